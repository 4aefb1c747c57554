//! The configuration of an agent: flags over the environment over a file over defaults.
//!
//! [`SETTINGS`](settings::SETTINGS) is the one list: flags, variables, keys of the file, their help and
//! `tidings config show` all come from it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tidings::{Mode, Mongering};

use crate::cli::{ConfigCommand, Print};
use crate::failure::{Exit, Failure};

pub(crate) use layers::{Flags, LOG, Settings};

mod layers;
mod settings;
mod show;
mod units;

/// What an agent runs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AgentConfig {
    pub(crate) name: Option<String>,
    pub(crate) listen: SocketAddr,
    pub(crate) advertise: Option<SocketAddr>,
    pub(crate) seeds: Vec<String>,
    pub(crate) neighbours: Vec<String>,
    pub(crate) api: SocketAddr,
    pub(crate) cluster: String,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) interval: Duration,
    pub(crate) mode: Mode,
    pub(crate) fanout: usize,
    pub(crate) rumors: Mongering,
    pub(crate) hold: Duration,
    pub(crate) rumor_datagrams: u32,
    pub(crate) rumor_bytes: u32,
    pub(crate) flow_control: bool,
    pub(crate) patience: u32,
    pub(crate) datagram: usize,
    pub(crate) max_keys: usize,
    pub(crate) max_bytes: usize,
    pub(crate) grace: Duration,
    pub(crate) forget_after: Duration,
    pub(crate) allow_requests: Vec<String>,
}

impl Default for AgentConfig {
    /// Fits one host and any network; the numbers are the library's, which says why.
    fn default() -> Self {
        Self {
            name: None,
            listen: (Ipv4Addr::LOCALHOST, 8434).into(),
            advertise: None,
            seeds: Vec::new(),
            neighbours: Vec::new(),
            // The API asks for no password: whoever wants it on a network says so.
            api: (Ipv4Addr::LOCALHOST, 8435).into(),
            cluster: "tidings".to_owned(),
            data_dir: None,
            interval: Duration::from_secs(1),
            mode: Mode::default(),
            fanout: 1,
            rumors: Mongering::default(),
            hold: Duration::from_millis(20),
            rumor_datagrams: 128,
            rumor_bytes: 64 << 10,
            flow_control: true,
            patience: 2,
            datagram: 1_200,
            max_keys: 16_384,
            max_bytes: 8 << 20,
            grace: Duration::from_secs(3_600),
            forget_after: Duration::from_secs(24 * 3_600),
            allow_requests: Vec::new(),
        }
    }
}

impl AgentConfig {
    /// The node's name. Refuses what no setting shows to be wrong alone.
    pub(crate) fn check(&self) -> Result<&str, Failure> {
        let refuse = |fact: String, fix: &str| Failure::new(Exit::Usage, fact, fix);
        let Some(name) = &self.name else {
            let fix = "give it by --name, by TIDINGS_NAME, or as `name` in the file of --config";
            return Err(refuse("the node has no name".to_owned(), fix));
        };
        let address = self.advertise.unwrap_or(self.listen);
        if address.ip().is_unspecified() || address.ip().is_multicast() {
            let fix = "give one that they can send to by --advertise, TIDINGS_ADVERTISE or `advertise`";
            return Err(refuse(format!("no other node can reach this one at {address}"), fix));
        }
        if !self.seeds.is_empty() && !self.neighbours.is_empty() {
            let both = tidings::Error::SeedsAndNeighbours;
            return Err(refuse(both.to_string(), &both.fix().unwrap_or_default()));
        }
        Ok(name)
    }
}

/// `tidings config`.
pub(crate) fn run(command: &ConfigCommand) -> Result<(), Failure> {
    let ConfigCommand::Show { flags, print: Print { output: format } } = command;
    let settings = Settings::resolve(flags)?;
    show::print(&settings, *format)?;
    // What is missing shows in the table, and is an error all the same.
    settings.config.check().map(drop)
}
