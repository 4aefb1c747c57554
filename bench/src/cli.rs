//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Tidings beside its peers: the same work in the same run.
#[derive(Debug, Parser)]
#[command(name = "tidings-bench", max_term_width = 100)]
pub(crate) struct Cli {
    /// Do only the works whose name contains one of these
    pub(crate) works: Vec<String>,
    /// How to print what was measured
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Format,
    /// Write the table to a page of the documentation as well
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = PAGE)]
    pub(crate) docs: Option<PathBuf>,
    /// Do everything as small and as seldom as can be: to see that it works, not to learn anything
    #[arg(long)]
    pub(crate) quick: bool,
    /// Do what takes many minutes as well: a thousand nodes of chitchat
    #[arg(long, conflicts_with = "quick")]
    pub(crate) slow: bool,
    /// List the works
    #[arg(long)]
    pub(crate) list: bool,
    /// Do so many exchanges and nothing else: for whoever counts instructions
    #[arg(long, hide = true, num_args = 3, value_names = ["WHO", "NODES", "EXCHANGES"])]
    pub(crate) exchanges: Option<Vec<String>>,
}

/// How to print what was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// A table for people
    #[default]
    Table,
    /// An array of objects
    Json,
}

/// The page of the documentation.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/bench.md");
