//! `tidings sim`: whole clusters in virtual time, and the laboratory.

use clap::Subcommand;

use crate::failure::Failure;

mod lab;

/// What there is to simulate.
#[derive(Debug, Subcommand)]
pub(crate) enum SimCommand {
    /// Measure what theory expects, and print both: the theory lab
    ///
    /// Prints measured beside expected, and writes a report with plots. Exit code 1 if anything measured is out of what is
    /// accepted.
    Lab(lab::LabArgs),
}

/// `tidings sim`.
pub(crate) fn run(command: &SimCommand) -> Result<(), Failure> {
    match command {
        SimCommand::Lab(args) => lab::run(args),
    }
}
