//! The command line: commands, flags and their help.

use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::client::Api;
use crate::config::Flags;
use crate::output::Format;
use crate::sim::SimCommand;
use crate::stamp::Tag;
use crate::wait::KeyIs;

/// Gossip for clusters of equal nodes: shared state, membership and failure detection without a coordinator.
#[derive(Debug, Parser)]
#[command(
    name = "tidings",
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 done, 1 failed or refused, 2 usage, 3 agent not reachable, 4 not so in time.\n\
                  New here? Run `tidings demo`."
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show a real cluster at work, explained as it goes: half a minute at most
    Demo(DemoArgs),
    /// Run a node, and serve its HTTP interface
    ///
    /// Flags count before TIDINGS_* variables, these before the file of --config, and this before the defaults. An
    /// empty variable counts as none. `tidings config show` tells what counts.
    Agent(Flags),
    /// List the nodes of the cluster, as the agent sees them
    Members {
        /// Also those that were forgotten, and until when that is remembered
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        to: To,
    },
    /// List the keys of all nodes, or of one
    State {
        /// The node to list; all by default
        node: Option<String>,
        #[command(flatten)]
        to: To,
    },
    /// Print the value of a key
    Get {
        /// The node that owns the key; `@self` is the agent's own
        owner: String,
        /// The key
        key: String,
        #[command(flatten)]
        to: To,
    },
    /// Set a key of the agent's node, or ask its owner to
    Set {
        /// The key: 1 to 256 bytes
        key: String,
        /// The value; `-` reads bytes from stdin
        #[arg(allow_negative_numbers = true)]
        value: String,
        #[command(flatten)]
        lasts: Lasts,
        #[command(flatten)]
        terms: Terms,
        #[command(flatten)]
        to: To,
    },
    /// Delete a key of the agent's node, or ask its owner to
    Delete {
        /// The key
        key: String,
        #[command(flatten)]
        terms: Terms,
        #[command(flatten)]
        to: To,
    },
    /// Print what there is, and then each change as it happens, until interrupted
    Watch {
        /// Only keys that begin with this; nodes are always told of
        #[arg(default_value = "")]
        prefix: String,
        #[command(flatten)]
        to: To,
    },
    /// Tell how the agent's node is doing, and what to do if something is wrong
    Status {
        #[command(flatten)]
        to: To,
    },
    /// Forget a node that is gone for good, on all nodes
    ///
    /// The node must be unreachable or departed. Should it run all the same, it says so, and is known again. Without this, all
    /// forget it after --forget-after.
    Remove {
        /// The node
        node: String,
        #[command(flatten)]
        to: To,
    },
    /// Leave the cluster politely; the agent then exits
    Leave {
        #[command(flatten)]
        to: To,
    },
    /// Wait until all that is asked holds at once
    Wait(WaitArgs),
    /// Look into virtual time: what the protocol does, and what theory expects
    #[command(subcommand)]
    Sim(SimCommand),
    /// Look at the configuration of an agent, without starting it
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the completions of a shell, for it to source
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Print the manual page of `tidings`, or of a command, as roff
    Man {
        /// The command, as `agent` or `config show`
        command: Vec<String>,
    },
}

/// Whose key to change, and on which terms.
#[derive(Debug, Args)]
pub(crate) struct Terms {
    /// The node that owns the key. Others are asked through gossip, and grant what their --allow-requests allows
    #[arg(long, value_name = "NODE", default_value = "@self")]
    pub(crate) owner: String,
    /// Only if the key shows this write: the generation and the version that `get -o json` tells
    #[arg(long, value_name = "GENERATION:VERSION")]
    pub(crate) if_version: Option<Tag>,
    /// How long another node has to answer; then the request is withdrawn
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = patience)]
    pub(crate) wait: Duration,
}

/// How long an answer may be waited for.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

fn patience(text: &str) -> Result<Duration, String> {
    let wait = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    Some(wait).filter(|wait| *wait <= LONGEST_WAIT).ok_or_else(|| "give an hour at most".to_owned())
}

/// Which agent to ask, and how to print its answer.
#[derive(Debug, Args)]
pub(crate) struct To {
    /// The agent's HTTP address: IP:PORT, or an http:// URL
    #[arg(long, value_name = "ADDRESS", env = "TIDINGS_API", default_value = "http://127.0.0.1:8435")]
    pub(crate) api: Api,
    #[command(flatten)]
    pub(crate) print: Print,
}

/// How to print.
#[derive(Debug, Args)]
pub(crate) struct Print {
    /// How to print: for people, as JSON, or as JSON with one element a line
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
}

/// For how long a value is there: until it is written again or deleted, if nothing is said.
#[derive(Debug, Default, Args)]
pub(crate) struct Lasts {
    /// After how long the key expires everywhere: from 1ms to ten years
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) ttl: Option<Duration>,
    /// Whether the key ends with this life of the node: it is gone after a restart, and once the node has left
    #[arg(long)]
    pub(crate) ephemeral: bool,
    /// Only if there is no such key: with --ttl, a lease that one holds at a time
    #[arg(long, conflicts_with = "if_version")]
    pub(crate) if_absent: bool,
}

/// What there is to do with a configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print each setting of an agent and where it comes from: flag, environment, file or default
    ///
    /// Takes the flags of `agent`, and starts nothing. Exit code 2 where `agent` would refuse the configuration.
    Show {
        #[command(flatten)]
        flags: Flags,
        #[command(flatten)]
        print: Print,
    },
}

/// The flags of `demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// How many nodes to run
    #[arg(long, value_name = "NUMBER", default_value_t = 5,
          value_parser = clap::value_parser!(u16).range(2..=100))]
    pub(crate) nodes: u16,
    /// How many seconds the story may take; it never takes more than 30
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) seconds: u16,
    /// Lose this share of all datagrams at random, from 0 to 0.9
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share, allow_negative_numbers = true)]
    pub(crate) loss: f64,
    /// Repeats the random choices of an earlier run; chance in the network's timing remains
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed_number: Option<u64>,
    #[command(flatten)]
    pub(crate) print: Print,
}

/// Reads the share of `--loss`.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=0.9).contains(share));
    share.ok_or_else(|| "give a share from 0 to 0.9".to_owned())
}

/// The flags of `wait`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("condition").required(true).multiple(true)
          .args(["members", "converged", "keys"]))]
pub(crate) struct WaitArgs {
    /// So many nodes are live, the agent's own included
    #[arg(long, value_name = "NUMBER")]
    pub(crate) members: Option<usize>,
    /// The agent's last exchanges with its peers found nothing to send
    #[arg(long)]
    pub(crate) converged: bool,
    /// The agent shows this value. May be given several times
    #[arg(long = "key", id = "keys", value_name = "OWNER/KEY=VALUE")]
    pub(crate) keys: Vec<KeyIs>,
    /// How long to wait
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Duration,
    #[command(flatten)]
    pub(crate) to: To,
}
