//! Nodes that know each other from the start, as if they had for long.

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
        let mut all: Vec<_> = nodes.map(|(id, own)| Acquaintance::new(id, own)).collect();
        all.sort_unstable_by_key(|acquaintance| acquaintance.id);
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
