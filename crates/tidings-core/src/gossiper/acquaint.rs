//! How the many cores of a simulation share what they know of each other, and begin with it.

use super::Gossiper;
use crate::acquaintances::Acquaintances;
use crate::detector::Pulse;
use crate::interner::Interner;
use crate::time::Time;

impl Gossiper {
    /// Many cores of this process hold the same of each other, and `interner` makes it one for all that are given the
    /// same. It changes nothing but the memory that this takes; a core that has a process of its own needs none.
    pub fn share(&mut self, interner: Interner) {
        self.cluster.share(interner);
    }

    /// This node as it is just now and all of these: for each of them to know.
    #[must_use]
    pub fn acquaintances<'a>(nodes: impl IntoIterator<Item = &'a Self>) -> Acquaintances {
        Acquaintances::new(nodes.into_iter().map(|node| (node.cluster.me(), node.cluster.own())))
    }

    /// Knows all of `with` from `now` on, as if it had for long: it believes that they run, and has no events and no news of
    /// them. For simulations that begin with a large cluster; those that are known already stay as they are.
    pub fn acquaint(&mut self, now: Time, with: &Acquaintances) {
        self.notice_pause(now);
        let floor = self.floor_among(self.cluster.live().len() + with.all().len());
        let mut pulse = Pulse::new(now.moment, floor);
        pulse.look_at = pulse.silent_until(self.config.threshold, floor);
        self.cluster.acquaint(with, now.moment, &pulse);
        // All have the same roll, and each relays other heads.
        self.head_from = self.rng.below(self.cluster.live().len().max(1));
        self.beat_from = self.head_from;
        (self.wide, self.is_settled) = (false, true);
    }
}
