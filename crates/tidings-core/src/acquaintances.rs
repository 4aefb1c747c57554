//! Nodes that know each other from the start, as if they had for long.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::endpoint::EndpointState;
use crate::name::NodeId;
use crate::record::Record;
use crate::summary::Summary;
use crate::version::Heartbeat;

/// Nodes as they are just now, for others to know: made once, and then told to each of them with
/// [`Gossiper::acquaint`](crate::Gossiper::acquaint). Large simulations begin so.
#[derive(Debug)]
pub struct Acquaintances(Vec<Acquaintance>);

/// One of them.
#[derive(Debug)]
pub(crate) struct Acquaintance {
    pub id: NodeId,
    pub record: Arc<Record>,
    pub heartbeat: Heartbeat,
    /// Its part of the summary.
    pub summand: Summary,
}

impl Acquaintances {
    pub(crate) fn new<'a>(nodes: impl Iterator<Item = (NodeId, &'a EndpointState)>) -> Self {
        let present = nodes.filter(|(_, own)| !own.has_departed());
        let mut all: Vec<_> = present.map(|(id, own)| Acquaintance::new(id, own)).collect();
        // Of two processes of one name, the later life counts.
        all.sort_by_key(|one| (one.id, Reverse(one.record.replica.generation())));
        all.dedup_by_key(|one| one.id);
        Self(all)
    }

    /// All of them, by id.
    pub(crate) fn all(&self) -> &[Acquaintance] {
        &self.0
    }
}

impl Acquaintance {
    fn new(id: NodeId, own: &EndpointState) -> Self {
        Self { id, record: Arc::clone(&own.record), heartbeat: own.heartbeat, summand: own.summand(id) }
    }
}
