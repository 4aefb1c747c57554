//! How nodes are forgotten, and what keeps them so.

use std::cmp::Ordering;
use std::ops::RangeInclusive;

use super::{Cluster, Learned};
use crate::certificate::{Certificate, Certificates, Held};
use crate::message::Line;
use crate::name::NodeId;
use crate::snapshot::Standing;
use crate::time::Moment;
use crate::version::{Head, Version};

impl Cluster {
    /// What stays of those that were forgotten.
    pub(crate) fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// Forgets `id`, which is known, by `certificate`. Returns whether there was room for that.
    pub(crate) fn forget(&mut self, id: NodeId, certificate: Certificate, now: Moment) -> bool {
        if self.certificates.len() >= self.max_nodes && !flaw!(NodesUncounted) {
            return false;
        }
        let before = self.line(id);
        let expiry = self.endpoint(id).map_or(Moment::NEVER, |endpoint| endpoint.replica().next_expiry());
        self.await_expiry(id, expiry, Moment::NEVER);
        self.liveness.remove(&mut self.endpoints, id);
        self.endpoints.remove(id);
        self.certificates.hold(id, certificate, false, now);
        self.changed(&before, before.max);
        true
    }

    /// Takes what a certificate of another node says, which came in at `now`.
    pub(super) fn learn_of_the_forgotten(&mut self, id: NodeId, told: &Certificate, now: Moment) -> Learned {
        let told = told.heard(now);
        if let Some(held) = self.certificates.get(id) {
            let merged = held.certificate.merged(&told);
            let is_refuted = held.is_refuted && merged.head == held.certificate.head;
            if merged == held.certificate {
                return Learned::Nothing;
            }
            let (before, grows) = (self.line(id), merged.head > held.certificate.head);
            self.certificates.hold(id, merged, is_refuted, now);
            self.count_again(&before);
            if grows {
                self.touch(id, Version(0));
            }
            return Learned::Nothing;
        }
        // Whoever is believed to run is not dropped for a word: it refutes that, or is convicted first.
        let stays = self.endpoint(id).is_some_and(|endpoint| {
            let is_live = endpoint.seat.standing() == Some(Standing::Live) && !flaw!(Silenced);
            is_live || !told.covers(endpoint.head(), endpoint.authored)
        });
        match (stays, self.endpoints.contains(id)) {
            (true, _) => Learned::Nothing,
            (false, true) => Learned::Forgotten(told),
            (false, false) if self.forget(id, told, now) => Learned::Nothing,
            (false, false) => Learned::Refused("full"),
        }
    }

    /// A head of a node that is not known was authored at `authored`: if it is beyond what its certificate covers, the node is
    /// back, and is asked for. Returns whether it is, and was not before.
    pub(crate) fn hear_of_forgotten(&mut self, id: NodeId, head: Head, authored: Moment) -> bool {
        let before = self.line(id);
        let is_back = |held: &Held| !held.is_refuted && !held.certificate.covers(head, authored);
        let returns = self.certificates.get(id).is_some_and(is_back) && self.certificates.refute(id);
        if returns {
            self.count_again(&before);
            self.touch(id, Version(0));
        }
        returns
    }

    /// Whether a node that is introduced with this head is one that was forgotten, and is not back.
    pub(super) fn is_forgotten(&self, id: NodeId, head: Head, authored: Moment) -> bool {
        // How old what comes in pieces is, nobody knows: once the node was heard of, its head alone counts.
        let covers = |held: &Held| {
            let Held { certificate, is_refuted, .. } = held;
            if *is_refuted { head <= certificate.head } else { certificate.covers(head, authored) }
        };
        self.certificates.get(id).is_some_and(covers) && !flaw!(Haunted)
    }

    /// Ends certificates, and the telling of them, when it is time.
    pub(crate) fn expire_certificates(&mut self, now: Moment) {
        for line in self.certificates.expire(now) {
            self.count_again(&line);
        }
    }

    /// All that stands in the summary, from `first` on, by id.
    pub(crate) fn lines_since(&self, first: NodeId) -> impl Iterator<Item = Line> {
        let mut known = self.endpoints.since(first).map(|(id, endpoint)| endpoint.line(id)).peekable();
        let mut forgotten = self.certificates.lines_since(first).peekable();
        std::iter::from_fn(move || match (known.peek(), forgotten.peek()) {
            (Some(one), Some(other)) if other.id < one.id => forgotten.next(),
            (Some(_), _) => known.next(),
            (None, _) => forgotten.next(),
        })
    }

    /// The ids of all that stands in the summary between two, both included.
    pub(crate) fn ids_between(&self, bounds: RangeInclusive<NodeId>) -> impl Iterator<Item = NodeId> {
        let known = self.endpoints.between(bounds.clone()).iter().copied();
        known.chain(self.certificates.lines_between(bounds).map(|line| line.id))
    }

    /// How what is known here of a node that one of both has forgotten compares with `theirs`; `None` if neither did.
    pub(super) fn compare_forgotten(&self, theirs: &Line) -> Option<Ordering> {
        let end = theirs.certificate();
        let Some(Held { certificate, is_refuted, is_told }) = self.certificates.get(theirs.id) else {
            let known = self.endpoint(theirs.id)?;
            // Of one that is believed to run, that is not taken, and not asked for.
            let is_live = known.seat.standing() == Some(Standing::Live) && !flaw!(Silenced);
            let unless_ahead = if is_live { Ordering::Equal } else { Ordering::Less };
            return end.map(|end| if known.head() > end { Ordering::Greater } else { unless_ahead });
        };
        let ours = certificate.head;
        Some(match (theirs.known(), end) {
            (None, _) if *is_told => Ordering::Greater,
            (None, _) => Ordering::Equal,
            // Whoever tells it longer than this node does lacks when it ends.
            (Some(_), Some(end)) if ours == end && !is_told && !is_refuted => Ordering::Greater,
            (Some(_), Some(end)) => ours.cmp(&end),
            (Some((generation, _)), None) => {
                let is_back = generation > ours.generation || *is_refuted && generation == ours.generation;
                if is_back { Ordering::Less } else { Ordering::Greater }
            }
        })
    }
}
