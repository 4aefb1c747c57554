//! What is known of one node: its record, its sign of life, and what is believed of it.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::delta::Introduction;
use crate::detector::Pulse;
use crate::entry::Key;
use crate::liveness::Seat;
use crate::message::{HeadLine, Line};
use crate::name::{NodeId, NodeName};
use crate::record::Record;
use crate::replica::Replica;
use crate::summary::Summary;
use crate::time::Moment;
use crate::version::{Generation, Head, Heartbeat, Version};

/// One node, as this one knows it.
///
/// Of ten thousand nodes that know each other there are a hundred million of these, so that what is the same for all who
/// know the node is in its record, and what few nodes have is elsewhere.
#[derive(Debug, Clone)]
pub(crate) struct EndpointState {
    /// What others know alike.
    pub record: Arc<Record>,
    /// The newest heartbeat heard of, in the life that the record is of.
    pub heartbeat: Heartbeat,
    /// When that heartbeat was authored: earlier than it was heard, by the age it came with.
    pub authored: Moment,
    /// How its heart has been beating.
    pub pulse: Pulse,
    /// What is believed of it.
    pub seat: Seat,
}

impl EndpointState {
    /// A node of which this record is known, and a heartbeat that was authored at `authored`.
    pub(crate) fn new(record: Record, heartbeat: Heartbeat, authored: Moment, pulse: Pulse) -> Self {
        let (record, seat) = (Arc::new(record), Seat::default());
        Self { record, heartbeat, authored, pulse, seat }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &NodeName {
        &self.record.name
    }

    /// Where it gossips in this life.
    pub(crate) fn address(&self) -> SocketAddr {
        self.record.address
    }

    /// Its state.
    pub(crate) fn replica(&self) -> &Replica {
        &self.record.replica
    }

    /// The life that is known of it.
    pub(crate) fn generation(&self) -> Generation {
        self.record.replica.generation()
    }

    /// Up to which version its state is known.
    pub(crate) fn max_version(&self) -> Version {
        self.record.replica.max_version()
    }

    /// How far its life has come.
    pub(crate) fn head(&self) -> Head {
        Head { generation: self.generation(), heartbeat: self.heartbeat }
    }

    /// Its line in a digest.
    pub(crate) fn line(&self, id: NodeId) -> Line {
        Line { id, generation: self.generation(), max: self.max_version() }
    }

    /// Its sign of life, as one relays it at `now`.
    pub(crate) fn head_line(&self, id: NodeId, now: Moment) -> HeadLine {
        let Head { generation, heartbeat } = self.head();
        HeadLine { id, generation, heartbeat, age: now.since(self.authored) }
    }

    /// Its part of the summary.
    pub(crate) fn summand(&self, id: NodeId) -> Summary {
        Summary::of(id, self.generation(), self.max_version())
    }

    /// Who it is, for one who does not know it.
    pub(crate) fn introduction(&self, now: Moment) -> Introduction {
        let (name, address, heartbeat) = (self.name().clone(), self.address(), self.heartbeat);
        Introduction { name, address, heartbeat, age: now.since(self.authored) }
    }

    /// Whether it announced its departure in this life.
    pub(crate) fn has_departed(&self) -> bool {
        self.replica().entry(Key::DEPARTED).is_some_and(|entry| entry.value.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten thousand nodes that know each other fit a machine: a hundred million of these.
    #[test]
    fn what_is_known_of_a_node_takes_tens_of_bytes() {
        assert!(size_of::<EndpointState>() <= 80, "{} bytes", size_of::<EndpointState>());
    }
}
