//! How a node is doing.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use tidings_core::{Generation, Mode, NodeName, StreamEnd};

/// How a node is doing, at one moment.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Status {
    /// Its name.
    pub name: NodeName,
    /// Its cluster.
    pub cluster: String,
    /// Where others reach it.
    pub gossip: SocketAddr,
    /// Its present life.
    pub generation: Generation,
    /// How many nodes it believes to run, itself included.
    pub live: usize,
    /// How many it believes to have crashed, or to be cut off.
    pub unreachable: usize,
    /// How many said that they leave.
    pub departed: usize,
    /// A hash over all that it holds of live nodes, heartbeats left out. Equal on two nodes, they hold the same.
    pub digest: String,
    /// Whether the last exchange with each of min(live peers, 8) different ones found nothing to send either way.
    pub converged: bool,
    /// How many rounds it has lived in this life.
    pub rounds: u64,
    /// Which way news goes in its rounds.
    pub mode: Mode,
    /// How many gaps it repaired by a pull beside its rounds: see [`Mode`].
    pub repairs: u64,
    /// How many bytes of keys and values it may write in an interval, while the cluster is told more than it takes in;
    /// `None` while nothing limits it.
    pub write_limit: Option<u64>,
    /// How its data directory is.
    pub disk: DiskHealth,
    /// Where no stream could be had of late: what is large comes from there in pieces.
    pub blocked_streams: Vec<BlockedStream>,
    /// The datagrams, or parts of them, that it refused, by reason.
    pub dropped: BTreeMap<&'static str, u64>,
    /// What it sent.
    pub sent: Traffic,
    /// What it received, refused datagrams included.
    pub received: Traffic,
    /// What is wrong, and what to do about it: a sentence each. Empty when all is well.
    pub warnings: Vec<String>,
}

/// How a data directory is. Its [text](fmt::Display) is one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskHealth {
    /// There is none: nothing survives a restart.
    None,
    /// All that is acknowledged is saved.
    Well,
    /// The same; but at the start one of the two copies of the state was not whole, and the other one counted. After a crash
    /// nothing is missing; otherwise the last writes of before may be.
    Recovered,
    /// At the start something was damaged and could not be done without: it was set aside, and what it held is gone.
    Damaged,
    /// Nothing can be saved, so that writes are refused.
    Failing,
}

impl fmt::Display for DiskHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Well => "well",
            Self::Recovered => "recovered",
            Self::Damaged => "damaged",
            Self::Failing => "failing",
        })
    }
}

/// An address where no stream could be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockedStream {
    /// The address.
    pub address: SocketAddr,
    /// How the last one ended.
    pub end: StreamEnd,
}

/// How much went over the wire, without the headers of UDP, TCP and IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Datagrams.
    pub datagrams: u64,
    /// The bytes in them.
    pub datagram_bytes: u64,
    /// Streams opened.
    pub streams: u64,
    /// The bytes in them.
    pub stream_bytes: u64,
}

impl Traffic {
    /// Counts a datagram.
    pub(crate) fn datagram(&mut self, bytes: usize) {
        self.datagrams += 1;
        self.datagram_bytes += bytes as u64;
    }
}
