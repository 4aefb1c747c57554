//! Tidings beside its peers: chitchat and foca, from the registry, at the same work in the same run.
//!
//! See `README.md` for how to read the table.

mod cli;
mod cluster;
mod data;
mod figure;
mod ours;
mod peers;
mod row;
mod sample;
mod stopwatch;
mod table;
mod versions;
mod work;

use std::alloc::System;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};
use cap::Cap;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use indicatif::{ProgressBar, ProgressStyle};

use cli::{Cli, Format};
use row::Row;
use work::{Bench, Work};

/// Counts what is allocated: one addition each time, for ours and theirs alike.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    if cli.list {
        work::ALL.iter().for_each(|work| println!("{}", work.name));
        return Ok(());
    }
    if let Some([who, nodes, exchanges]) = cli.exchanges.as_deref() {
        if !work::instructions::exchange(who, nodes.parse()?, exchanges.parse()?) {
            bail!("{who:?} is neither ours nor chitchat");
        }
        return Ok(());
    }
    let works = chosen(&cli.works);
    if cli.docs.is_some() && (cli.quick || !cli.works.is_empty()) {
        let why = "the page of the documentation has all works at their full size";
        Cli::command().error(ErrorKind::ArgumentConflict, why).exit();
    }
    let done = perform(&works, &cli);
    let rows = || done.iter().flat_map(|(_, rows)| rows);
    match cli.output {
        Format::Table => print!("{}", table::for_people(&done)),
        Format::Json => println!("{}", serde_json::to_string_pretty(&rows().collect::<Vec<_>>())?),
    }
    if let Some(page) = cli.docs {
        write(&page, &done).with_context(|| format!("writing {}", page.display()))?;
    }
    Ok(())
}

/// Writes the page of the documentation, and the picture into a folder of the same name beside it.
fn write(page: &Path, done: &[(Work, Vec<Row>)]) -> std::io::Result<()> {
    let folder = page.with_extension("");
    let mut picture = None;
    if let Some(figure) = figure::of(done) {
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(figure::NAME), figure.svg())?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        picture = Some(format!("![{}]({name}/{})", figure.title, figure::NAME));
    }
    std::fs::write(page, table::page(done, picture.as_deref()))
}

/// The works whose name contains one of `words`; all if there are none. Ends with 2 if a word is in no name.
fn chosen(words: &[String]) -> Vec<Work> {
    for word in words {
        if !work::ALL.iter().any(|work| work.name.contains(word.as_str())) {
            let names = work::ALL.map(|work| work.name).join(", ");
            let why = format!("no work has {word:?} in its name; there are {names}");
            Cli::command().error(ErrorKind::InvalidValue, why).exit();
        }
    }
    let is_chosen = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    work::ALL.into_iter().filter(|work| is_chosen(work.name)).collect()
}

/// Does all works, and says on the error stream how far it is.
fn perform(works: &[Work], cli: &Cli) -> Vec<(Work, Vec<Row>)> {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}").expect("a template");
    let is_seen = std::io::stderr().is_terminal();
    let bar = if is_seen { ProgressBar::new(works.len() as u64) } else { ProgressBar::hidden() };
    bar.set_style(style);
    let begun = Instant::now();
    let tell = |what: &str| {
        if is_seen {
            bar.set_message(what.to_owned());
        } else {
            // Whoever closed the error stream does not want to know.
            let _ = writeln!(std::io::stderr(), "{:>4} s  {what}", begun.elapsed().as_secs());
        }
    };
    let mut done = Vec::new();
    for &work in works {
        let rows = (work.run)(&Bench { quick: cli.quick, slow: cli.slow, tell: &tell });
        done.push((work, rows));
        bar.inc(1);
    }
    bar.finish_and_clear();
    done
}
