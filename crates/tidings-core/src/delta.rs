//! What one node tells another about one owner: the entries between two versions, or everything.

use std::net::SocketAddr;
use std::time::Duration;

use crate::entry::{Entry, Key};
use crate::name::{NodeId, NodeName};
use crate::version::{Generation, Heartbeat, Version};

/// News of one owner, as [`Replica::cut`](crate::replica::Replica::cut) made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta {
    /// Whose state.
    pub owner: NodeId,
    /// In which life.
    pub generation: Generation,
    /// Who the owner is: there if, and only if, the delta begins at the beginning.
    pub introduction: Option<Introduction>,
    /// What the entries stand for.
    pub span: Span,
    /// The versions up to here are known once this was applied.
    pub through: Version,
    /// The sender's `gc_version` of this owner.
    pub gc: Version,
    /// The sender's `max_version` of this owner: above `through`, there is more to come.
    pub max: Version,
    /// The entries, by rising version; no version is split.
    pub entries: Vec<(Key, Entry)>,
}

/// What a delta's entries stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// The entries with versions above this one.
    After(Version),
    /// All entries there are: what the receiver has of this owner is replaced.
    Reset,
}

/// Who an owner is: what is said of it at first contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduction {
    /// Its name.
    pub name: NodeName,
    /// Where it gossips in this life.
    pub address: SocketAddr,
    /// Its newest heartbeat that the sender knows of.
    pub heartbeat: Heartbeat,
    /// How long ago that heartbeat was authored.
    pub age: Duration,
}

impl Delta {
    /// The version that this delta builds upon; zero for all that starts from nothing.
    #[must_use]
    pub fn after(&self) -> Version {
        match self.span {
            Span::After(version) => version,
            Span::Reset => Version(0),
        }
    }
}
