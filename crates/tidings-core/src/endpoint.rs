//! What is known of one node: who it is, its sign of life, and a replica of its state.

use std::net::SocketAddr;

use crate::delta::Introduction;
use crate::detector::Pulse;
use crate::entry::Key;
use crate::message::{HeadLine, Line};
use crate::name::{NodeId, NodeName};
use crate::replica::Replica;
use crate::summary::Summary;
use crate::time::Moment;
use crate::version::{Head, Heartbeat};

/// One node, as this one knows it.
#[derive(Debug, Clone)]
pub(crate) struct EndpointState {
    /// Its name.
    pub name: NodeName,
    /// Where it gossips in this life.
    pub address: SocketAddr,
    /// Where it was heard from last, if that is elsewhere; and how often it did not answer at its address since it did.
    pub seen_at: Option<SocketAddr>,
    pub missed: u8,
    /// The newest heartbeat heard of, in the life that `replica` is of.
    pub heartbeat: Heartbeat,
    /// When that heartbeat was authored: earlier than it was heard, by the age it came with.
    pub authored: Moment,
    /// How its heart has been beating.
    pub pulse: Pulse,
    /// Its state.
    pub replica: Replica,
}

impl EndpointState {
    /// How far its life has come.
    pub(crate) fn head(&self) -> Head {
        Head { generation: self.replica.generation(), heartbeat: self.heartbeat }
    }

    /// Its line in a digest.
    pub(crate) fn line(&self, id: NodeId) -> Line {
        Line { id, generation: self.replica.generation(), max: self.replica.max_version() }
    }

    /// Its sign of life, as one relays it at `now`.
    pub(crate) fn head_line(&self, id: NodeId, now: Moment) -> HeadLine {
        let Head { generation, heartbeat } = self.head();
        HeadLine { id, generation, heartbeat, age: now.since(self.authored) }
    }

    /// Its part of the summary.
    pub(crate) fn summand(&self, id: NodeId) -> Summary {
        Summary::of(id, self.replica.generation(), self.replica.max_version())
    }

    /// Who it is, for one who does not know it.
    pub(crate) fn introduction(&self, now: Moment) -> Introduction {
        let (name, address, heartbeat) = (self.name.clone(), self.address, self.heartbeat);
        Introduction { name, address, heartbeat, age: now.since(self.authored) }
    }

    /// Whether it announced its departure in this life.
    pub(crate) fn has_departed(&self) -> bool {
        self.replica.entry(Key::departed().as_str()).is_some_and(|entry| entry.value.is_some())
    }
}
