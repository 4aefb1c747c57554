//! Who is live, unreachable or departed: three rolls without a common member, and when to look at whom.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::detector::Pulse;
use crate::endpoints::Endpoints;
use crate::name::NodeId;
use crate::snapshot::Standing;
use crate::time::Moment;

/// What is believed of all other nodes.
///
/// Invariants: a node is on the one roll that its seat says, at the place that it says. A live node is in `due` at the
/// moment that its pulse says; whatever else is in there is void.
#[derive(Debug, Default)]
pub(crate) struct Liveness {
    live: Vec<NodeId>,
    unreachable: Vec<NodeId>,
    departed: Vec<NodeId>,
    due: BinaryHeap<Reverse<(Moment, NodeId)>>,
}

/// Where a node is entered: on which roll, if any, and at which place of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Seat {
    roll: Option<Standing>,
    place: u32,
}

/// So many void entries are kept before they are cleared away.
const VOID: usize = 64;

impl Seat {
    /// What is believed of the node; `None` if nothing was ever entered.
    pub(crate) fn standing(self) -> Option<Standing> {
        self.roll
    }
}

impl Liveness {
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

    /// Enters `id` as `standing`, and takes it off the roll that it was on. Returns whether that changed anything.
    pub(crate) fn enter(&mut self, endpoints: &mut Endpoints, id: NodeId, standing: Standing) -> bool {
        let Some(endpoint) = endpoints.get_mut(id) else { return false };
        let old = endpoint.seat;
        if old.roll == Some(standing) {
            return false;
        }
        let roll = self.roll_mut(standing);
        endpoint.seat = Seat { roll: Some(standing), place: place(roll.len()) };
        roll.push(id);
        if let Some(left) = old.roll {
            self.vacate(endpoints, left, old.place);
        }
        true
    }

    /// Takes `id` off its roll: nobody looks at it any more.
    pub(crate) fn remove(&mut self, endpoints: &mut Endpoints, id: NodeId) {
        let Some(Seat { roll: Some(left), place }) = endpoints.get(id).map(|endpoint| endpoint.seat) else {
            return;
        };
        self.vacate(endpoints, left, place);
        if let Some(endpoint) = endpoints.get_mut(id) {
            (endpoint.seat, endpoint.pulse.look_at) = (Seat::default(), Moment::NEVER);
        }
    }

    /// Whoever is at `place` of that roll goes, and the last one of it comes there.
    fn vacate(&mut self, endpoints: &mut Endpoints, standing: Standing, place: u32) {
        let roll = self.roll_mut(standing);
        roll.swap_remove(place as usize);
        if let Some(moved) = roll.get(place as usize).and_then(|moved| endpoints.get_mut(*moved)) {
            moved.seat.place = place;
        }
    }

    /// Makes room for so many more that are live.
    pub(crate) fn reserve(&mut self, count: usize) {
        self.live.reserve(count);
        self.due.reserve(count);
    }

    /// Enters `id`, which is new, as live and to be looked at when it is `look_at`. Returns its seat.
    pub(crate) fn welcome(&mut self, id: NodeId, look_at: Moment) -> Seat {
        let seat = Seat { roll: Some(Standing::Live), place: place(self.live.len()) };
        self.live.push(id);
        self.due.push(Reverse((look_at, id)));
        seat
    }

    /// Lets `id` be looked at when it is what `at` makes of its pulse, and not before; [`Moment::NEVER`] if nobody has to
    /// look.
    pub(crate) fn look(&mut self, endpoints: &mut Endpoints, id: NodeId, at: impl FnOnce(&Pulse) -> Moment) {
        let Some(endpoint) = endpoints.get_mut(id) else { return };
        let at = at(&endpoint.pulse);
        if std::mem::replace(&mut endpoint.pulse.look_at, at) == at {
            return;
        }
        if at < Moment::NEVER {
            self.due.push(Reverse((at, id)));
        }
        if self.due.len() > 2 * self.live.len() + VOID {
            let is_meant = |(at, id)| endpoints.get(id).is_some_and(|endpoint| endpoint.pulse.look_at == at);
            self.due.retain(|&Reverse(look)| is_meant(look));
        }
    }

    /// The node that has waited longest for a look, if its time has come by `now`. Nobody has to look again.
    pub(crate) fn due(&mut self, endpoints: &mut Endpoints, now: Moment) -> Option<NodeId> {
        while self.due.peek().is_some_and(|Reverse((at, _))| *at <= now) {
            let Reverse((at, id)) = self.due.pop()?;
            if let Some(endpoint) = endpoints.get_mut(id).filter(|endpoint| endpoint.pulse.look_at == at) {
                endpoint.pulse.look_at = Moment::NEVER;
                return Some(id);
            }
        }
        None
    }
}

fn place(len: usize) -> u32 {
    u32::try_from(len).expect("the configuration allows fewer nodes")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::endpoint::EndpointState;
    use crate::name::NodeName;
    use crate::record::Record;
    use crate::replica::Replica;
    use crate::version::{Generation, Heartbeat};

    fn endpoints(count: u64) -> Endpoints {
        let endpoint = |id| {
            let (name, address) = (NodeName::new("ann").unwrap(), ([10, 0, 0, 1], 1).into());
            let record = Record { replica: Replica::new(Generation(1)), address, name };
            let pulse = Pulse::new(Moment::default(), Duration::from_secs(1));
            (NodeId(id), EndpointState::new(record, Heartbeat(0), Moment::default(), pulse))
        };
        let (me, own) = endpoint(0);
        let mut all = Endpoints::new(me, own);
        (1..=count).map(endpoint).for_each(|(id, state)| all.insert(id, state));
        all
    }

    #[test]
    fn a_node_stands_in_one_place() {
        let (mut liveness, mut all) = (Liveness::default(), endpoints(4));
        let mut enter = |id, standing| liveness.enter(&mut all, NodeId(id), standing);
        assert!((1..=4).all(|id| enter(id, Standing::Live)));
        assert!(enter(2, Standing::Unreachable));
        assert!(enter(1, Standing::Departed));
        assert!(!enter(1, Standing::Departed));
        assert!(!enter(9, Standing::Live));
        assert_eq!(liveness.roll(Standing::Live), [NodeId(3), NodeId(4)]);
        assert_eq!(liveness.roll(Standing::Unreachable), [NodeId(2)]);
        assert_eq!(liveness.roll(Standing::Departed), [NodeId(1)]);
        assert_eq!(all.get(NodeId(3)).unwrap().seat.standing(), Some(Standing::Live));
        assert!(liveness.enter(&mut all, NodeId(2), Standing::Live));
        assert_eq!(liveness.roll(Standing::Live), [NodeId(3), NodeId(4), NodeId(2)]);
    }

    #[test]
    fn whoever_is_removed_stands_nowhere() {
        let (mut liveness, mut all) = (Liveness::default(), endpoints(3));
        assert!((1..=3).all(|id| liveness.enter(&mut all, NodeId(id), Standing::Live)));
        liveness.look(&mut all, NodeId(1), |_| Moment::from_micros(5));
        liveness.remove(&mut all, NodeId(1));
        assert_eq!(liveness.roll(Standing::Live), [NodeId(3), NodeId(2)]);
        assert_eq!(all.get(NodeId(3)).unwrap().seat.place, 0);
        assert_eq!(liveness.due(&mut all, Moment::from_micros(9)), None);
    }

    #[test]
    fn looks_come_by_time_and_only_the_latest_of_a_node_counts() {
        let (mut liveness, mut all) = (Liveness::default(), endpoints(3));
        let at = Moment::from_micros;
        for (id, micros) in [(1, 30), (2, 20), (3, 10), (2, 40), (3, i64::MAX)] {
            liveness.look(&mut all, NodeId(id), |_| at(micros));
        }
        assert_eq!(liveness.due(&mut all, at(29)), None);
        assert_eq!(liveness.due(&mut all, at(99)), Some(NodeId(1)));
        liveness.look(&mut all, NodeId(1), |_| at(50));
        assert_eq!(liveness.due(&mut all, at(99)), Some(NodeId(2)));
        assert_eq!(liveness.due(&mut all, at(99)), Some(NodeId(1)));
        assert_eq!(liveness.due(&mut all, at(99)), None);
        liveness.look(&mut all, NodeId(1), |_| at(100));
        liveness.look(&mut all, NodeId(1), |_| Moment::NEVER);
        assert_eq!(liveness.due(&mut all, Moment::NEVER), None);
    }

    #[test]
    fn void_looks_do_not_pile_up() {
        let (mut liveness, mut all) = (Liveness::default(), endpoints(3));
        assert!((1..=3).all(|id| liveness.enter(&mut all, NodeId(id), Standing::Live)));
        let mut kept = |micros| {
            liveness.look(&mut all, NodeId(1), |_| Moment::from_micros(micros));
            liveness.due.len()
        };
        // They are cleared away only once there are many: that costs a look at all.
        assert_eq!((1..10_000).map(&mut kept).max(), Some(2 * 3 + VOID));
        assert_eq!(liveness.due(&mut all, Moment::from_micros(10_000)), Some(NodeId(1)));
    }
}
