//! Evidence against a node: the attempts on it that got no answer, this node's own and those of others.
//!
//! It is soft state: nobody versions it, the larger number wins, and it goes when the node shows signs of life, or when
//! nothing was added for ten rounds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::name::NodeId;
use crate::time::Moment;

/// What speaks against one node since it was last heard of.
#[derive(Debug, Clone)]
pub(crate) struct Suspicion {
    /// When the first attempt was made that failed, anybody's: only a sign of life after that ends the suspicion.
    pub first: Moment,
    /// When the latest attempt was made that failed, anybody's.
    pub latest: Moment,
    /// When something was added last.
    pub fresh: Moment,
    /// How many attempts of this node's own failed, of those far enough apart, and when the last of these was made.
    pub failed: u32,
    pub last: Moment,
    /// When to try again, and how long to wait after that: attempts are spread ever wider.
    pub next: Option<Moment>,
    pub wait: Duration,
    /// How many attempts of others failed.
    others: BTreeMap<NodeId, u32>,
    /// Those who were asked for help, and those among them who did not say yet what they got.
    pub helpers: BTreeSet<NodeId>,
    pub awaited: BTreeSet<NodeId>,
    /// Those who asked this node for help.
    pub askers: BTreeSet<NodeId>,
    /// Whether this node is to try it, or did, because of what others say.
    pub is_checked: bool,
    /// What everybody was told of it so far.
    pub told: Told,
}

/// How much of a case everybody was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Told {
    Nothing,
    /// That it is grave: whoever hears from the node can say so in time.
    Alarm,
    /// That the patience is over.
    Verdict,
}

/// How many accusers are remembered: more than it takes.
pub(crate) const ACCUSERS: usize = 16;

impl Suspicion {
    /// A suspicion that rests on an attempt made at `first`; attempts begin `wait` apart.
    pub(crate) fn new(first: Moment, wait: Duration) -> Self {
        Self {
            first,
            latest: first,
            fresh: first,
            failed: 0,
            last: first,
            next: None,
            wait,
            others: BTreeMap::new(),
            helpers: BTreeSet::new(),
            awaited: BTreeSet::new(),
            askers: BTreeSet::new(),
            is_checked: false,
            told: Told::Nothing,
        }
    }

    /// `accuser` says that so many attempts of its own failed.
    pub(crate) fn accuse(&mut self, accuser: NodeId, failed: u32, now: Moment) {
        let has_room = self.others.len() < ACCUSERS;
        match self.others.get_mut(&accuser) {
            Some(known) if *known < failed => *known = failed,
            None if has_room && failed > 0 => drop(self.others.insert(accuser, failed)),
            Some(_) | None => return,
        }
        self.fresh = now;
    }

    /// Whether the attempts are spread over as long as `patience`: a stall that is shorter cannot fail both the first and
    /// the latest of them.
    pub(crate) fn is_ripe(&self, patience: Duration) -> bool {
        self.latest.since(self.first) >= patience
    }

    /// What it amounts to, where one failure adds `weight` and nobody counts for more than `cap`.
    pub(crate) fn sum(&self, weight: f64, cap: f64) -> f64 {
        let counts = self.others.values().chain([&self.failed]);
        counts.map(|&failed| (f64::from(failed) * weight).min(cap)).sum()
    }

    /// Those who accuse, this node as `me` among them if it does.
    pub(crate) fn accusers(&self, me: NodeId) -> Vec<(NodeId, u32)> {
        let own = (self.failed > 0).then_some((me, self.failed));
        own.into_iter().chain(self.others.iter().map(|(&accuser, &failed)| (accuser, failed))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_number_of_each_accuser_counts_up_to_the_cap() {
        let mut suspicion = Suspicion::new(Moment::default(), Duration::ZERO);
        suspicion.failed = 1;
        for (accuser, failed) in [(1, 2), (2, 1), (1, 1), (2, 9)] {
            suspicion.accuse(NodeId(accuser), failed, Moment::default());
        }
        assert_eq!(suspicion.accusers(NodeId(7)), [(NodeId(7), 1), (NodeId(1), 2), (NodeId(2), 9)]);
        assert!((suspicion.sum(0.5, 2.0) - (0.5 + 1.0 + 2.0)).abs() < 1e-9);
    }

    #[test]
    fn accusers_are_bounded() {
        let mut suspicion = Suspicion::new(Moment::default(), Duration::ZERO);
        (0..1_000).for_each(|accuser| suspicion.accuse(NodeId(accuser), 1, Moment::default()));
        assert_eq!(suspicion.accusers(NodeId(7)).len(), ACCUSERS);
    }
}
