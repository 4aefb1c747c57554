//! All nodes that are known, found by their ids.

use std::ops::RangeInclusive;

use crate::endpoint::EndpointState;
use crate::name::NodeId;

/// All nodes that are known, this one included.
///
/// A view is looked up in for every head that comes in, and thousands of views do not fit any processor's cache. So the
/// index is a sorted list rather than a tree: ids are hashes, and where one must about be follows from itself. The states
/// stay where they are, in the order in which the nodes were met, this node first.
///
/// Invariants: `ids` rise; `states[slots[n]]` is the state of `ids[n]`; the first state is this node's.
#[derive(Debug)]
pub(crate) struct Endpoints {
    ids: Vec<NodeId>,
    slots: Vec<u32>,
    states: Vec<EndpointState>,
}

impl Endpoints {
    /// This node alone.
    pub(crate) fn new(me: NodeId, own: EndpointState) -> Self {
        Self { ids: vec![me], slots: vec![0], states: vec![own] }
    }

    /// Adds a node that is not known yet.
    ///
    /// # Panics
    /// If it is.
    pub(crate) fn insert(&mut self, id: NodeId, state: EndpointState) {
        let place = self.place(id).expect_err("a node is met once");
        self.ids.insert(place, id);
        self.slots.insert(place, slot(self.states.len()));
        self.states.push(state);
    }

    /// Removes a node, if it is known; this one always is.
    pub(crate) fn remove(&mut self, id: NodeId) {
        let Ok(place) = self.place(id) else { return };
        let slot = self.slots[place];
        assert!(slot > 0, "a node does not forget itself");
        self.ids.remove(place);
        self.slots.remove(place);
        self.states.swap_remove(slot as usize);
        // The last one stands in its place now.
        let last = crate::endpoints::slot(self.states.len());
        if let Some(moved) = self.slots.iter_mut().find(|moved| **moved == last) {
            *moved = slot;
        }
    }

    /// Adds nodes that are not known yet, many at a time.
    pub(crate) fn extend(&mut self, nodes: impl ExactSizeIterator<Item = (NodeId, EndpointState)>) {
        let (known, count) = (self.states.len(), nodes.len());
        self.ids.reserve_exact(count);
        self.states.reserve_exact(count);
        for (id, state) in nodes {
            self.ids.push(id);
            self.states.push(state);
        }
        let new = (known..self.states.len()).map(slot);
        let slots = self.slots.drain(..).chain(new);
        let mut index: Vec<_> = self.ids.drain(..).zip(slots).collect();
        index.sort_unstable();
        (self.ids, self.slots) = index.into_iter().unzip();
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// This node.
    pub(crate) fn own(&self) -> &EndpointState {
        &self.states[0]
    }

    /// This node, to be changed.
    pub(crate) fn own_mut(&mut self) -> &mut EndpointState {
        &mut self.states[0]
    }

    /// Whether `id` is known.
    pub(crate) fn contains(&self, id: NodeId) -> bool {
        self.place(id).is_ok()
    }

    /// What is known of `id`.
    pub(crate) fn get(&self, id: NodeId) -> Option<&EndpointState> {
        #[cfg(test)]
        tests::touch();
        let place = self.place(id).ok()?;
        Some(&self.states[self.slots[place] as usize])
    }

    /// What is known of `id`, to be changed.
    pub(crate) fn get_mut(&mut self, id: NodeId) -> Option<&mut EndpointState> {
        let place = self.place(id).ok()?;
        Some(&mut self.states[self.slots[place] as usize])
    }

    /// All ids, as they rise.
    pub(crate) fn ids(&self) -> &[NodeId] {
        &self.ids
    }

    /// The ids between two, both included.
    pub(crate) fn between(&self, bounds: RangeInclusive<NodeId>) -> &[NodeId] {
        let first = self.ids.partition_point(|id| id < bounds.start());
        let rest = &self.ids[first..];
        &rest[..rest.partition_point(|id| id <= bounds.end())]
    }

    /// All nodes from `first` on, by id.
    pub(crate) fn since(&self, first: NodeId) -> impl Iterator<Item = (NodeId, &EndpointState)> {
        self.after(self.ids.partition_point(|id| *id < first))
    }

    /// All nodes after the first `place` of them, by id.
    pub(crate) fn after(&self, place: usize) -> impl Iterator<Item = (NodeId, &EndpointState)> {
        let place = place.min(self.ids.len());
        let state = |&slot: &u32| {
            #[cfg(test)]
            tests::touch();
            &self.states[slot as usize]
        };
        let slots = self.slots[place..].iter().map(state);
        self.ids[place..].iter().copied().zip(slots)
    }

    /// The place of `id` among all, or the one that it would have.
    fn place(&self, id: NodeId) -> Result<usize, usize> {
        /// It is hardly ever farther, unless somebody chose names for their ids.
        const FAR: usize = 32;
        let guess = self.guess(id);
        let (before, after) = self.ids.split_at(guess);
        let place = if after[0] < id {
            let near = &after[..after.len().min(FAR)];
            near.iter().position(|other| *other >= id).map(|steps| guess + steps)
        } else {
            let near = &before[before.len().saturating_sub(FAR)..];
            near.iter().rev().position(|other| *other < id).map(|steps| guess - steps)
        };
        match place {
            Some(place) if self.ids[place] == id => Ok(place),
            Some(place) => Err(place),
            None => self.ids.binary_search(&id),
        }
    }

    /// Where `id` must about be: as far from the beginning as if ids lay evenly, and corrected by the id found there.
    fn guess(&self, id: NodeId) -> usize {
        let most = self.ids.len() - 1;
        let place = self.share(id.0).min(most);
        let there = self.ids[place];
        if there < id {
            (place + self.share(id.0 - there.0)).min(most)
        } else {
            place.saturating_sub(self.share(there.0 - id.0))
        }
    }

    /// How many ids lie in such a part of their range, on the mean.
    #[allow(clippy::cast_possible_truncation)] // No more than there are.
    fn share(&self, part: u64) -> usize {
        ((u128::from(part) * self.ids.len() as u128) >> u64::BITS) as usize
    }
}

fn slot(count: usize) -> u32 {
    u32::try_from(count).expect("the configuration allows fewer nodes")
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::Cell;
    use std::collections::BTreeMap;

    use super::*;
    use crate::detector::Pulse;
    use crate::name::NodeName;
    use crate::record::Record;
    use crate::replica::Replica;
    use crate::rng::Rng;
    use crate::time::Moment;
    use crate::version::{Generation, Heartbeat};

    thread_local! {
        static TOUCHED: Cell<usize> = const { Cell::new(0) };
    }

    pub(super) fn touch() {
        TOUCHED.set(TOUCHED.get() + 1);
    }

    /// How often a node was looked at since this was asked last.
    pub(crate) fn touched() -> usize {
        TOUCHED.replace(0)
    }

    /// A node that is told from others by its heartbeat.
    fn state(number: u64) -> EndpointState {
        let (name, address) = (NodeName::new("ann").unwrap(), ([10, 0, 0, 1], 1).into());
        let record = Record { replica: Replica::new(Generation(1)), address, name };
        let pulse = Pulse::new(Moment::default(), std::time::Duration::from_secs(1));
        EndpointState::new(record, Heartbeat(number), Moment::default(), pulse)
    }

    /// Holds what is found against a tree, for ids that are spread evenly, and for such as somebody chose.
    #[test]
    fn everybody_is_found_wherever_ids_lie() {
        let mut rng = Rng::new(1);
        let spreads: [fn(u64) -> u64; 4] = [
            |word| word,
            |word| word >> 40,
            |word| word | 0xffff << 48,
            |word| {
                if word & 1 == 0 { word >> 50 } else { word }
            },
        ];
        for spread in spreads {
            for count in [1, 2, 9, 100, 3_000] {
                let ids: Vec<_> = (0..count).map(|_| NodeId(spread(rng.word()))).collect();
                let mut tree = BTreeMap::from([(ids[0], 0)]);
                let mut all = Endpoints::new(ids[0], state(0));
                for (number, &id) in (0_u64..).zip(&ids) {
                    if let std::collections::btree_map::Entry::Vacant(free) = tree.entry(id) {
                        free.insert(number);
                        all.insert(id, state(number));
                    }
                }
                assert!(all.ids().iter().eq(tree.keys()));
                assert!(tree.iter().all(|(&id, &n)| all.get(id).unwrap().heartbeat == Heartbeat(n)));
                let stranger = NodeId(spread(rng.word()));
                assert_eq!(all.contains(stranger), tree.contains_key(&stranger));
                let (first, last) = (stranger.min(ids[0]), stranger.max(ids[0]));
                assert!(all.between(first..=last).iter().eq(tree.range(first..=last).map(|(id, _)| id)));
                assert!(all.since(first).map(|(id, _)| id).eq(tree.range(first..).map(|(&id, _)| id)));
            }
        }
    }

    #[test]
    fn whoever_is_removed_is_gone_and_nobody_else() {
        let mut all = Endpoints::new(NodeId(50), state(50));
        all.extend([90, 10, 60, 70].map(|id| (NodeId(id), state(id))).into_iter());
        [60, 70, 61].into_iter().for_each(|id| all.remove(NodeId(id)));
        assert_eq!(all.ids(), [10, 50, 90].map(NodeId));
        assert!(all.since(NodeId(0)).all(|(id, state)| state.heartbeat == Heartbeat(id.0)));
        all.insert(NodeId(60), state(60));
        assert_eq!(all.get(NodeId(60)).unwrap().heartbeat, Heartbeat(60));
    }

    #[test]
    fn many_at_a_time_are_as_one_after_the_other() {
        let mut all = Endpoints::new(NodeId(50), state(50));
        all.insert(NodeId(70), state(70));
        all.extend([90, 10, 60].map(|id| (NodeId(id), state(id))).into_iter());
        assert_eq!(all.ids(), [10, 50, 60, 70, 90].map(NodeId));
        assert!(all.since(NodeId(0)).all(|(id, state)| state.heartbeat == Heartbeat(id.0)));
        assert_eq!(all.own().heartbeat, Heartbeat(50));
    }
}
