//! Who is live, unreachable or departed: three sets without a common member, and when to look at whom.

use std::collections::{BTreeMap, BTreeSet};

use crate::name::NodeId;
use crate::snapshot::Standing;
use crate::time::Moment;

/// What is believed of all other nodes.
///
/// Invariant: a node is on the one roll that `places` says, at the place that it says; `due` has live nodes only.
#[derive(Debug, Default)]
pub(crate) struct Liveness {
    live: Vec<NodeId>,
    unreachable: Vec<NodeId>,
    departed: Vec<NodeId>,
    places: BTreeMap<NodeId, (Standing, usize)>,
    due: BTreeSet<(Moment, NodeId)>,
}

impl Liveness {
    /// The nodes believed to run.
    pub(crate) fn live(&self) -> &[NodeId] {
        &self.live
    }

    /// The nodes believed to have crashed, or to be cut off.
    pub(crate) fn unreachable(&self) -> &[NodeId] {
        &self.unreachable
    }

    /// The nodes that said that they leave.
    pub(crate) fn departed(&self) -> &[NodeId] {
        &self.departed
    }

    /// What is believed of `id`; `None` if nothing was ever entered.
    pub(crate) fn standing(&self, id: NodeId) -> Option<Standing> {
        self.places.get(&id).map(|&(standing, _)| standing)
    }

    /// Enters `id` as `standing`, and takes it off the roll that it was on. Returns whether that changed anything.
    pub(crate) fn enter(&mut self, id: NodeId, standing: Standing) -> bool {
        if let Some(&(old, place)) = self.places.get(&id) {
            if old == standing {
                return false;
            }
            let roll = self.roll_mut(old);
            roll.swap_remove(place);
            if let Some(&moved) = roll.get(place) {
                self.places.insert(moved, (old, place));
            }
        }
        let roll = self.roll_mut(standing);
        let place = roll.len();
        roll.push(id);
        self.places.insert(id, (standing, place));
        true
    }

    /// The nodes of that standing.
    pub(crate) fn roll(&self, standing: Standing) -> &[NodeId] {
        match standing {
            Standing::Live => &self.live,
            Standing::Unreachable => &self.unreachable,
            Standing::Departed => &self.departed,
        }
    }

    fn roll_mut(&mut self, standing: Standing) -> &mut Vec<NodeId> {
        match standing {
            Standing::Live => &mut self.live,
            Standing::Unreachable => &mut self.unreachable,
            Standing::Departed => &mut self.departed,
        }
    }

    /// Moves the look at `id` from `old` to `new`.
    pub(crate) fn look(&mut self, id: NodeId, old: Option<Moment>, new: Option<Moment>) {
        if let Some(old) = old {
            self.due.remove(&(old, id));
        }
        if let Some(new) = new {
            self.due.insert((new, id));
        }
    }

    /// The node that has waited longest for a look, if its time has come by `now`.
    pub(crate) fn due(&self, now: Moment) -> Option<NodeId> {
        self.due.first().filter(|&&(at, _)| at <= now).map(|&(_, id)| id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_stands_in_one_place() {
        let mut liveness = Liveness::default();
        for id in 1..=4 {
            assert!(liveness.enter(NodeId(id), Standing::Live));
        }
        assert!(liveness.enter(NodeId(2), Standing::Unreachable));
        assert!(liveness.enter(NodeId(1), Standing::Departed));
        assert!(!liveness.enter(NodeId(1), Standing::Departed));
        assert_eq!(liveness.live(), [NodeId(3), NodeId(4)]);
        assert_eq!(liveness.unreachable(), [NodeId(2)]);
        assert_eq!(liveness.departed(), [NodeId(1)]);
        assert_eq!(liveness.standing(NodeId(3)), Some(Standing::Live));
        assert_eq!(liveness.standing(NodeId(9)), None);
        assert!(liveness.enter(NodeId(2), Standing::Live));
        assert_eq!(liveness.live(), [NodeId(3), NodeId(4), NodeId(2)]);
    }
}
