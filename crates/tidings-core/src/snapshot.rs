//! Pictures of what a node knows: what users look at.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::entry::{Entry, Key, Lifetime, Value};
use crate::name::NodeName;
use crate::time::Moment;
use crate::version::{Generation, Heartbeat, Version};

/// Everything a node knows of its cluster, at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// All nodes, the one that answers included, sorted by name.
    pub nodes: Vec<NodeState>,
}

/// A node as another one, or it itself, sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// Its name.
    pub name: NodeName,
    /// Where it gossips.
    pub address: SocketAddr,
    /// Which life.
    pub generation: Generation,
    /// The newest round of it that was heard of.
    pub heartbeat: Heartbeat,
    /// What is believed of it.
    pub standing: Standing,
    /// The suspicion against it: -log10 of the probability that it runs and was not heard all the same. It is
    /// convicted above the threshold, 8 by default.
    pub phi: f64,
    /// How many keys it has, tombstones not counted.
    pub keys: usize,
    /// Up to which of its versions it is known.
    pub max_version: Version,
    /// Whether this is the node that answers.
    pub is_self: bool,
    /// In what time it is forgotten, if it stays away; `None` of one that is live.
    pub forgotten_in: Option<Duration>,
}

/// A node that was forgotten: all that is left is that it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    /// Its name.
    pub name: NodeName,
    /// The life in which it was.
    pub generation: Generation,
    /// The newest round of it that was heard of; `None` if it had departed.
    pub heartbeat: Option<Heartbeat>,
    /// How long ago that was.
    pub forgotten_for: Duration,
    /// How long it is remembered from now on.
    pub remembered_for: Duration,
}

/// A node and what it owns.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeState {
    /// The node.
    pub member: Member,
    /// Its keys with what they show; deleted ones are absent.
    pub entries: BTreeMap<Key, Shown>,
    /// What its phi is made of; `None` for the node that answers and for one that departed, which nobody suspects.
    pub suspected: Option<Suspected>,
}

/// What phi is made of: it is the larger of the two parts.
#[derive(Debug, Clone, PartialEq)]
pub struct Suspected {
    /// What the silence says.
    pub silence: f64,
    /// What the attempts say that got no answer: nothing before they are spread over the patience.
    pub attempts: f64,
    /// From which phi on the node is convicted, as things are: more than is configured while others do not answer either.
    pub threshold: f64,
    /// For how long nothing newer was heard of it.
    pub quiet: Duration,
    /// How many attempts of whom got no answer: by name, or by id in hex where the name is unknown.
    pub accusers: BTreeMap<String, u32>,
}

/// The value that a key shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The value.
    pub value: Value,
    /// The version of the write.
    pub version: Version,
    /// For how long it is there from now on.
    pub lifetime: Lifetime,
}

impl Shown {
    /// What `entry` shows at `now`, if it does.
    pub(crate) fn of(entry: &Entry, now: Moment) -> Option<Self> {
        let value = entry.value.clone()?;
        Some(Self { value, version: entry.version, lifetime: entry.lifetime(now) })
    }
}

/// What is believed of a node: exactly one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It runs.
    Live,
    /// It crashed, or is cut off. Its keys are still known.
    Unreachable,
    /// It said that it leaves, and stays so until it comes back in a new life.
    Departed,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Live => "live",
            Self::Unreachable => "unreachable",
            Self::Departed => "departed",
        })
    }
}
