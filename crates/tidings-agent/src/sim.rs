//! `tidings sim`: whole clusters in virtual time, and the laboratory.

use clap::Subcommand;
use serde_json::{Value, json};
use tidings_sim::checker::Broken;

use crate::failure::Failure;
use crate::output;

mod compare;
mod fuzz;
mod lab;
mod run;

/// What there is to simulate.
#[derive(Debug, Subcommand)]
pub(crate) enum SimCommand {
    /// Run a scenario, and hold every step against the promises
    ///
    /// A scenario says in TOML what happens to a cluster; README.md tells where some are. Exit code 1 if a promise is broken.
    Run(run::RunArgs),
    /// Run a seed of the swarm, or a scenario, again, and tell what happens
    Replay(run::ReplayArgs),
    /// Draw scenarios from seeds, run them on all cores, and hold every step against the promises
    ///
    /// Prints how often what happened. Exit code 1 if a promise is broken, with the command that replays it and a smaller
    /// scenario; also if something never happened in two hundred seeds or more.
    Fuzz(fuzz::FuzzArgs),
    /// Run all scenarios of a folder, and print what they take beside what they took
    Compare(compare::CompareArgs),
    /// Measure what theory expects, and print both: the theory lab
    ///
    /// Prints measured beside expected, and writes a report with plots. Exit code 1 if anything measured is out of what is
    /// accepted.
    Lab(lab::LabArgs),
}

/// Where files go if nobody says so.
const FOLDER: &str = "tidings-lab";

/// `tidings sim`.
pub(crate) fn run(command: &SimCommand) -> Result<(), Failure> {
    match command {
        SimCommand::Run(args) => run::run(args),
        SimCommand::Replay(args) => run::replay(args),
        SimCommand::Fuzz(args) => fuzz::run(args),
        SimCommand::Compare(args) => compare::run(args),
        SimCommand::Lab(args) => lab::run(args),
    }
}

/// A trace in a word, as people and programs see it.
fn hash(trace: u64) -> String {
    format!("{trace:016x}")
}

/// A broken promise, as programs see it.
fn broken_body(broken: &Broken) -> Value {
    json!({
        "promise": broken.promise.to_string(),
        "at_ms": u64::try_from(broken.at.as_millis()).unwrap_or(u64::MAX),
        "node": broken.place.map(|place| place.0),
        "what": broken.what,
    })
}

/// A broken promise, as people see it.
fn tell(broken: &Broken) -> String {
    let node = broken.place.map_or_else(String::new, |place| format!(", node {}", place.0));
    let at = broken.at.as_secs_f64();
    format!("{} after {at:.3} s{node}: {}", broken.promise, output::visible(&broken.what))
}
