//! What one node tells another about one owner: the entries between two versions, or everything.

use std::net::SocketAddr;
use std::time::Duration;

use crate::certificate::Certificate;
use crate::entry::{Entry, Key};
use crate::message::Line;
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Span {
    /// The entries with versions above this one.
    After(Version),
    /// All entries there are: what the receiver has of this owner is replaced.
    Reset,
    /// No entries: the owner was forgotten, and this certificate says up to where. Both versions are those of its line.
    Forgotten(Certificate),
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

impl Span {
    /// The version that it builds upon.
    pub(crate) fn after(&self) -> Version {
        match self {
            Self::After(version) => *version,
            Self::Reset | Self::Forgotten(_) => Version(0),
        }
    }
}

impl Delta {
    /// The version that this delta builds upon; zero for all that starts from nothing.
    #[must_use]
    pub fn after(&self) -> Version {
        self.span.after()
    }

    /// That `owner` was forgotten.
    #[must_use]
    pub fn forgotten(owner: NodeId, certificate: Certificate) -> Self {
        let Line { generation, max, .. } = Line::certified(owner, certificate.head);
        let (introduction, span, gc) = (None, Span::Forgotten(certificate), Version(0));
        Self { owner, generation, introduction, span, through: max, gc, max, entries: Vec::new() }
    }

    /// Where its owner is known to be once this was applied.
    #[must_use]
    pub fn line(&self) -> Line {
        Line { id: self.owner, generation: self.generation, max: self.through }
    }
}
