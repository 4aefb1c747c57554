//! The ring of ids: who stands where around a node.
//!
//! All who know the same nodes see the same ring, so that the links between nodes that are 1, 4, 16, ... apart lead from
//! anybody to anybody else in few steps, and nobody is left to chance. They lead both ways: of the two at its ends, only the
//! one that learns something first has to tell the other. (With links to those 1, 2, 4, ... ahead, whoever tells is never
//! told by the same one, and takes half as many messages more to reach all in the same time.)

use crate::name::NodeId;

/// The nodes that stand 1, 4, 16, ... after and before `id` on the ring of `ids`, which rise; where somebody there does not
/// `serve`, the next one who does. The nearest come first, nobody comes twice, and `id` not at all.
pub(crate) fn around(ids: &[NodeId], id: NodeId, serve: impl Fn(NodeId) -> bool) -> Vec<NodeId> {
    let (place, count) = (ids.partition_point(|other| *other < id), ids.len());
    let after = |step: usize| ids[(place + step) % count];
    let before = |step: usize| ids[(place + count - step) % count];
    let serves = |other: &NodeId| *other != id && serve(*other);
    let mut found = Vec::new();
    let distances = std::iter::successors(Some(1), |distance| Some(4 * distance));
    for distance in distances.take_while(|distance| 2 * distance <= count) {
        let ahead = (distance..count).map(after).find(serves);
        let behind = (distance..count).map(before).find(serves);
        for next in ahead.into_iter().chain(behind) {
            if !found.contains(&next) {
                found.push(next);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::BTreeSet;

    use super::*;

    fn ids(count: u64) -> Vec<NodeId> {
        (0..count).map(NodeId).collect()
    }

    #[test]
    fn distances_grow_fourfold_both_ways() {
        let all = |_| true;
        assert_eq!(around(&ids(40), NodeId(7), all), [8, 6, 11, 3, 23, 31].map(NodeId));
        assert_eq!(around(&ids(2), NodeId(1), all), [NodeId(0)]);
        assert_eq!(around(&ids(1), NodeId(0), all), []);
    }

    #[test]
    fn whoever_does_not_serve_is_passed_over() {
        let odd = |id: NodeId| id.0 % 2 == 1;
        assert_eq!(around(&ids(8), NodeId(0), odd), [1, 7, 5, 3].map(NodeId));
        assert_eq!(around(&ids(8), NodeId(0), |_| false), []);
    }

    /// What it takes to find them is about how many they are, and not how many stand on the ring.
    #[test]
    fn few_are_looked_at_among_many() {
        for (count, gap, most) in [(100_u64, 1, 10), (100_000, 1, 20), (100_000, 10, 200)] {
            let looked_at = Cell::new(0);
            let serve = |id: NodeId| {
                looked_at.set(looked_at.get() + 1);
                id.0.is_multiple_of(gap)
            };
            let found = around(&ids(count), NodeId(7), serve);
            assert!(looked_at.get() <= most, "{} are looked at for {}", looked_at.get(), found.len());
        }
    }

    /// Whoever of them serves, all who do are reached from one of them, in a few steps.
    #[test]
    fn everybody_is_reached() {
        for (count, gap) in [(1_u64, 2), (2, 2), (31, 3), (128, 2), (100, 7), (1_000, 100)] {
            let ring = ids(count);
            let serve = |id: NodeId| id.0 % gap != 1;
            let serving: BTreeSet<_> = ring.iter().copied().filter(|&id| serve(id)).collect();
            let mut reached = BTreeSet::from([NodeId(0)]);
            let mut steps = 0;
            while reached != serving {
                let next: Vec<_> = reached.iter().flat_map(|&id| around(&ring, id, serve)).collect();
                reached.extend(next);
                steps += 1;
                assert!(steps <= 8, "{count} nodes, every {gap}th away");
            }
        }
    }
}
