//! The binary `tidings`: a gossip agent, and the commands that talk to one.

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command};
use crate::failure::Failure;

mod cli;
mod commands;
mod members;
mod wait;
mod watch;

mod agent;
mod config;
mod http;

mod demo;
mod explain;
mod sim;

mod body;
mod client;
mod event;
mod failure;
mod output;
mod stamp;
mod suspected;

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Demo(args) => demo::run(&args),
        Command::Agent(flags) => agent::run(&flags),
        Command::Members { all, to } => members::list(all, &to),
        Command::State { node, to } => commands::state(node.as_deref(), &to),
        Command::Get { owner, key, to } => commands::get(&owner, &key, &to),
        Command::Set { key, value, lasts, terms, to } => commands::set(&key, value, &lasts, &terms, &to),
        Command::Delete { key, terms, to } => commands::delete(&key, &terms, &to),
        Command::Watch { prefix, to } => watch::run(&prefix, &to),
        Command::Status { to } => commands::status(&to),
        Command::Remove { node, to } => members::remove(&node, &to),
        Command::Leave { to } => commands::leave(&to),
        Command::Wait(args) => wait::run(&args),
        Command::Sim(command) => sim::run(&command),
        Command::Config(command) => config::run(&command),
        Command::Completions { shell } => explain::completions(shell),
        Command::Man { command } => explain::man(&command),
    }
}
