//! The ring of ids: who stands at power-of-two distances from a node.
//!
//! All who know the same nodes see the same ring, so that the links from everybody to those at distances 1, 2, 4, ... lead
//! from any node to any other in at most log2 N steps, and nobody is left to chance.

use crate::name::NodeId;

/// The nodes that stand at distances 1, 2, 4, ... after `id` on the ring of `ids`, which rise; where somebody there does
/// not `serve`, the next one who does. The nearest comes first, nobody comes twice, and `id` not at all.
pub(crate) fn after(ids: &[NodeId], id: NodeId, serve: impl Fn(NodeId) -> bool) -> Vec<NodeId> {
    let place = ids.partition_point(|other| *other < id);
    let mut found = Vec::new();
    for distance in std::iter::successors(Some(1), |distance| Some(2 * distance)) {
        if distance >= ids.len() {
            break;
        }
        let steps = (distance..ids.len()).map(|step| ids[(place + step) % ids.len()]);
        let Some(next) = steps.filter(|other| *other != id).find(|&other| serve(other)) else { break };
        if !found.contains(&next) {
            found.push(next);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn ids(count: u64) -> Vec<NodeId> {
        (0..count).map(NodeId).collect()
    }

    #[test]
    fn distances_double() {
        let all = |_| true;
        assert_eq!(after(&ids(10), NodeId(7), all), [8, 9, 1, 5].map(NodeId));
        assert_eq!(after(&ids(2), NodeId(1), all), [NodeId(0)]);
        assert_eq!(after(&ids(1), NodeId(0), all), []);
    }

    #[test]
    fn whoever_does_not_serve_is_passed_over() {
        let odd = |id: NodeId| id.0 % 2 == 1;
        assert_eq!(after(&ids(8), NodeId(0), odd), [1, 3, 5].map(NodeId));
        assert_eq!(after(&ids(8), NodeId(0), |_| false), []);
    }

    /// Whoever of them serves, all who do are reached from each of them, in a few steps.
    #[test]
    fn everybody_reaches_everybody() {
        for (count, gap) in [(1_u64, 2), (2, 2), (31, 3), (128, 2), (100, 7), (64, 100)] {
            let ring = ids(count);
            let serve = |id: NodeId| id.0 % gap != 1;
            let serving: BTreeSet<_> = ring.iter().copied().filter(|&id| serve(id)).collect();
            let mut reached = BTreeSet::from([NodeId(0)]);
            let mut steps = 0;
            while reached != serving {
                let next: Vec<_> = reached.iter().flat_map(|&id| after(&ring, id, serve)).collect();
                reached.extend(next);
                steps += 1;
                assert!(steps <= 8, "{count} nodes, every {gap}th away");
            }
        }
    }
}
