//! The owners that changed here lately, newest first: what an exchange settles before anything else.

use std::collections::BTreeMap;

use crate::name::NodeId;
use crate::version::Version;

/// Owners by the time of their last change at this node.
///
/// Invariant: `places` and `items` name the same owners.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    items: BTreeMap<u64, Item>,
    places: BTreeMap<NodeId, u64>,
    next: u64,
}

/// An owner that changed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item {
    pub id: NodeId,
    /// The round in which it changed last.
    pub round: u64,
    /// Its `max_version` before the run of changes that is still young.
    pub since: Version,
    /// The round in which that run began.
    began: u64,
}

/// For how many rounds a change counts as young: about as long as it takes to reach everybody.
pub(crate) fn young_for(nodes: usize) -> u64 {
    u64::from(usize::BITS - nodes.leading_zeros()) + 2
}

/// For how many rounds a change is listed: twice as long, so that whoever still passes on a young one finds it
/// listed by all who have it, and doesn't send it to them again.
pub(crate) fn listed_for(nodes: usize) -> u64 {
    2 * young_for(nodes)
}

impl Recent {
    /// Says that `id` changed in `round`, from version `since`; `young` as [`young_for`] gives it.
    pub(crate) fn touch(&mut self, id: NodeId, round: u64, since: Version, young: u64) {
        let place = self.places.remove(&id).filter(|_| !flaw!(RecentUnbounded));
        let old = place.and_then(|place| self.items.remove(&place));
        let (since, began) = match old {
            Some(old) if old.began + young > round && old.since <= since => (old.since, old.began),
            Some(_) | None => (since, round),
        };
        self.items.insert(self.next, Item { id, round, since, began });
        self.places.insert(id, self.next);
        self.next += 1;
    }

    /// Forgets what changed `listed` rounds before `round`, or longer ago.
    pub(crate) fn expire(&mut self, round: u64, listed: u64) {
        while let Some(oldest) = self.items.first_entry() {
            if oldest.get().round + listed > round {
                return;
            }
            let item = oldest.remove();
            self.places.remove(&item.id);
        }
    }

    /// The owners that changed before the last change of `id`, the one that changed last first; none if `id` did not.
    pub(crate) fn before(&self, id: NodeId) -> impl Iterator<Item = &Item> {
        let place = self.places.get(&id).copied().unwrap_or(0);
        self.items.range(..place).rev().map(|(_, item)| item)
    }

    /// How many owners there are.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// The owners, the one that changed last first.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &Item> {
        self.items.values().rev()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_comes_first_and_the_old_go() {
        let mut recent = Recent::default();
        let young = young_for(100);
        for (id, round) in [(1, 0), (2, 1), (3, 2), (1, 3)] {
            recent.touch(NodeId(id), round, Version(round), young);
        }
        let order = |recent: &Recent| recent.newest_first().map(|item| item.id.0).collect::<Vec<_>>();
        assert_eq!(order(&recent), [1, 3, 2]);
        assert_eq!(recent.before(NodeId(3)).map(|item| item.id.0).collect::<Vec<_>>(), [2]);
        assert_eq!(recent.before(NodeId(4)).count(), 0);
        recent.expire(1 + listed_for(100), listed_for(100));
        assert_eq!(order(&recent), [1, 3]);
    }

    #[test]
    fn a_run_begins_anew_when_it_is_no_longer_young() {
        let mut recent = Recent::default();
        let since = |recent: &Recent| recent.newest_first().next().unwrap().since;
        recent.touch(NodeId(1), 0, Version(5), 10);
        recent.touch(NodeId(1), 9, Version(6), 10);
        assert_eq!(since(&recent), Version(5));
        recent.touch(NodeId(1), 10, Version(7), 10);
        assert_eq!(since(&recent), Version(7));
    }
}
