//! What a checker asks, who looks at every step whether promises are kept.

use std::time::Duration;

use super::Gossiper;
use crate::name::NodeId;
use crate::replica::Replica;
use crate::snapshot::Standing;
use crate::time::Moment;
use crate::version::Head;

/// What a node keeps beside the nodes' states: all of it is bounded, and goes when it has served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Exchanges that are not over, and for how long the oldest of them has not been.
    pub exchanges: usize,
    /// See `exchanges`.
    pub oldest_exchange: Duration,
    /// Nodes that there is evidence against, and those of whom it is told that they answered.
    pub accused: usize,
    /// See `accused`.
    pub acquitted: usize,
    /// Owners that changed here lately.
    pub recent: usize,
    /// Certificates of nodes that were forgotten.
    pub certificates: usize,
    /// Streams that this node opened.
    pub fetching: usize,
    /// Streams that other nodes opened.
    pub serving: usize,
    /// Messages, events, answers and questions that wait to be polled.
    pub queued: usize,
    /// Requests to owners that are under way.
    pub requests: usize,
    /// The owners that are hot, and those that were offered and are waited for.
    pub hot: usize,
    /// See `hot`.
    pub wanted: usize,
}

impl Gossiper {
    /// All nodes that are known, this one included, in order.
    #[must_use]
    pub fn ids(&self) -> &[NodeId] {
        self.cluster.endpoints().ids()
    }

    /// This node's copy of the state of `id`; of its own, the state itself.
    #[must_use]
    pub fn replica(&self, id: NodeId) -> Option<&Replica> {
        Some(self.cluster.endpoint(id)?.replica())
    }

    /// The newest sign of life that is known of `id`.
    #[must_use]
    pub fn head(&self, id: NodeId) -> Option<Head> {
        Some(self.cluster.endpoint(id)?.head())
    }

    /// What is believed of `id`; `None` of this node itself, and of one that is unknown.
    #[must_use]
    pub fn standing(&self, id: NodeId) -> Option<Standing> {
        self.cluster.standing(id)
    }

    /// When silence alone will have convicted `id`, if it reckons with half as many heads as now, as when it looked last, maybe:
    /// once this node convicts anybody again, and has looked at it, which it does once in three times the spacing of heads.
    #[must_use]
    pub fn silent_until(&self, id: NodeId) -> Option<Moment> {
        let pulse = &self.cluster.endpoint(id)?.pulse;
        let fewest = (self.clock.supply / 2).max(self.least_heads());
        let widest = self.spacing(self.cluster.live().len(), fewest);
        let silent = pulse.silent_until(self.threshold(id), widest).max(self.clock.hold_until);
        Some(silent + 3 * widest)
    }

    /// What is kept at `now` beside the nodes' states.
    #[must_use]
    pub fn load(&self, now: Moment) -> Load {
        Load {
            exchanges: self.exchanges.len(),
            oldest_exchange: self.exchanges.oldest().map_or(Duration::ZERO, |sent| now.since(sent)),
            accused: self.accused.len(),
            acquitted: self.acquitted.len(),
            recent: self.cluster.recent().len(),
            certificates: self.cluster.certificates().len(),
            fetching: self.streams.fetching.len(),
            serving: self.streams.serving.len(),
            queued: self.transmits.len() + self.events.len() + self.unpolled_requests(),
            requests: self.waiting_requests(),
            hot: self.rumors.len().0,
            wanted: self.rumors.len().1,
        }
    }
}
