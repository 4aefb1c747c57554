//! How what is shown of nodes comes to its end by itself.

use std::sync::Arc;

use super::Cluster;
use crate::endpoint::EndpointState;
use crate::name::NodeId;
use crate::replica::{Change, Replica};
use crate::time::Moment;

impl Cluster {
    /// When the first value expires that is held; [`Moment::NEVER`] if none does.
    pub(crate) fn next_expiry(&self) -> Moment {
        self.expiries.first().map_or(Moment::NEVER, |(at, _)| *at)
    }

    /// Lets go what has expired by `now`. Returns what that is, of whom, in the order of time.
    pub(crate) fn expire(&mut self, now: Moment) -> Vec<(NodeId, Vec<Change>)> {
        let mut gone = Vec::new();
        while self.expiries.first().is_some_and(|(at, _)| *at <= now) {
            let (_, id) = *self.expiries.first().expect("it was just seen");
            gone.push((id, self.let_go(id, |replica| replica.expire(now))));
        }
        gone
    }

    /// Lets go what was to last as long as the life of `id`, which is over. Returns what that is.
    pub(crate) fn end_ephemeral(&mut self, id: NodeId) -> Vec<Change> {
        let is_mortal = |endpoint: &EndpointState| endpoint.replica().has_ephemeral();
        if !self.endpoint(id).is_some_and(is_mortal) {
            return Vec::new();
        }
        self.let_go(id, Replica::end_ephemeral)
    }

    /// Changes what is shown of `id`, and no version of it.
    fn let_go(&mut self, id: NodeId, change: impl FnOnce(&mut Replica) -> Vec<Change>) -> Vec<Change> {
        let endpoint = self.endpoints.get_mut(id).expect("it is known");
        let expiry = endpoint.replica().next_expiry();
        let gone = change(&mut Arc::make_mut(&mut endpoint.record).replica);
        let next = endpoint.replica().next_expiry();
        self.await_expiry(id, expiry, next);
        self.share_record(id);
        gone
    }

    /// The first value that is held of `id` expires at `next`, and not at `before`.
    pub(super) fn await_expiry(&mut self, id: NodeId, before: Moment, next: Moment) {
        if before != next {
            self.expiries.remove(&(before, id));
            self.expiries.extend((next != Moment::NEVER).then_some((next, id)));
        }
    }
}
