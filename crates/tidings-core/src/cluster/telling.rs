//! What can be told to one who is at a line.

use std::cmp::Ordering;

use super::Cluster;
use crate::delta::Delta;
use crate::message::Line;
use crate::time::Moment;
use crate::wire::size;

impl Cluster {
    /// How what is known here compares with what `theirs` says is known there.
    pub(crate) fn compare(&self, theirs: &Line) -> Ordering {
        let forgotten = self.compare_forgotten(theirs);
        forgotten.unwrap_or_else(|| self.line(theirs.id).known().cmp(&theirs.known()))
    }

    /// What this node can tell one who is at `theirs`, in at most `room` bytes.
    pub(crate) fn delta(&self, theirs: &Line, now: Moment, room: usize) -> Option<Delta> {
        if flaw!(Withheld) && theirs.id != self.me && theirs.id.0.is_multiple_of(4) {
            return None;
        }
        if let Some(held) = self.certificates.get(theirs.id) {
            let delta = Delta::forgotten(theirs.id, held.certificate.told(now));
            return Some(delta).filter(|delta| !held.is_refuted && size::delta(delta) <= room);
        }
        let endpoint = self.endpoint(theirs.id)?;
        endpoint.replica().cut(theirs.id, &endpoint.introduction(now), theirs.state(), now, room)
    }

    /// Whether what comes next for one who is at `theirs` does not fit a datagram of `datagram` bytes by itself.
    pub(crate) fn needs_stream(&self, theirs: &Line, datagram: usize) -> bool {
        let room = size::room_for_a_version(datagram);
        self.endpoint(theirs.id).is_some_and(|endpoint| endpoint.replica().next_len(theirs.state()) > room)
    }

    /// The room that what comes next for one who is at `theirs` takes.
    pub(crate) fn next_room(&self, theirs: &Line) -> usize {
        let next = self.endpoint(theirs.id).map_or(0, |endpoint| endpoint.replica().next_len(theirs.state()));
        next + size::LARGEST_DELTA
    }

    /// About how many bytes are left to tell one who is at `theirs`: no more than a little above `enough` is counted.
    pub(crate) fn left(&self, theirs: &Line, enough: usize) -> usize {
        self.endpoint(theirs.id).map_or(0, |endpoint| endpoint.replica().left(theirs.state(), enough))
    }

    /// How many versions one who is at `theirs` is behind, at the most.
    pub(crate) fn depth(&self, theirs: &Line) -> u64 {
        let ours = self.line(theirs.id);
        let from = theirs.state().filter(|(generation, _)| *generation == ours.generation);
        ours.max.0.saturating_sub(from.map_or(0, |(_, max)| max.0))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{SECOND, alone, at, begin, forgotten, head, id, write};
    use super::*;
    use crate::entry::Value;
    use crate::name::NodeId;
    use crate::version::{Generation, Version};

    const ROOM: usize = 1_000;

    fn line(id: NodeId, generation: u64, max: u64) -> Line {
        Line { id, generation: Generation(generation), max: Version(max) }
    }

    /// Ann, who knows bob through version 3 of his second life, in which each write has so many bytes.
    fn knowing_bob(len: usize) -> Cluster {
        let mut ann = alone("ann", 9);
        ann.apply(&begin("bob", head(2, 1), 0), at(0), SECOND);
        for version in [2, 3] {
            let mut delta = write("bob", version);
            delta.generation = Generation(2);
            delta.entries[0].1.value = Some(Value::from(vec![7; len]));
            ann.apply(&delta, at(0), SECOND);
        }
        ann
    }

    #[test]
    fn whoever_lacks_something_is_told_it_whatever_its_owner_is_called() {
        let mut ann = alone("ann", 99);
        let names: Vec<_> = (0..16).map(|number| format!("node-{number}")).collect();
        for name in &names {
            ann.apply(&write(name, 1), at(0), SECOND);
            let theirs = Line::unknown(id(name));
            let told = ann.delta(&theirs, at(0), ROOM).unwrap();
            assert_eq!((told.owner, told.through), (id(name), Version(1)));
            assert_eq!(ann.compare(&theirs), Ordering::Greater);
            assert_eq!(ann.delta(&told.line(), at(0), ROOM), None);
        }
        assert_eq!(ann.delta(&Line::unknown(id("stranger")), at(0), ROOM), None);
    }

    #[test]
    fn a_certificate_is_told_where_it_fits_until_it_is_refuted() {
        let (mut ann, bob) = (alone("ann", 9), id("bob"));
        ann.apply(&forgotten("bob", head(1, 5), 0, 100), at(0), SECOND);
        let theirs = Line::unknown(bob);
        let told = ann.delta(&theirs, at(10), ROOM).unwrap();
        assert_eq!(told, forgotten("bob", head(1, 5), 10, 90));
        let len = size::delta(&told);
        assert_eq!(ann.delta(&theirs, at(10), len), Some(told));
        assert_eq!(ann.delta(&theirs, at(10), len - 1), None);
        ann.hear_of_forgotten(bob, head(1, 6), at(1));
        assert_eq!(ann.delta(&theirs, at(10), ROOM), None);
    }

    /// As much as a version may take, and a byte more.
    #[test]
    fn what_no_datagram_carries_needs_a_stream() {
        const DATAGRAM: usize = 1_200;
        let (room, bob) = (size::room_for_a_version(DATAGRAM), id("bob"));
        let behind = line(bob, 2, 2);
        let fits = |len: &usize| knowing_bob(*len).next_room(&behind) <= room + size::LARGEST_DELTA;
        let most = (1..DATAGRAM).take_while(fits).last().unwrap();
        let (ann, more) = (knowing_bob(most), knowing_bob(most + 1));
        assert_eq!(ann.next_room(&behind), room + size::LARGEST_DELTA);
        assert!(!ann.needs_stream(&behind, DATAGRAM));
        assert!(more.needs_stream(&behind, DATAGRAM));
        for theirs in [line(bob, 2, 3), Line::unknown(id("stranger"))] {
            assert!(!more.needs_stream(&theirs, DATAGRAM));
            assert_eq!(more.next_room(&theirs), size::LARGEST_DELTA);
        }
    }

    #[test]
    fn what_is_left_to_tell_is_counted_to_a_little_above_what_is_enough() {
        let (ann, bob) = (knowing_bob(100), id("bob"));
        assert_eq!(ann.left(&line(bob, 2, 3), ROOM), 0);
        assert_eq!(ann.left(&Line::unknown(id("stranger")), ROOM), 0);
        let left = ann.left(&line(bob, 2, 2), ROOM);
        assert!((100..200).contains(&left), "{left}");
    }

    #[test]
    fn the_depth_of_one_who_is_behind_is_in_versions_of_this_life() {
        let (ann, bob) = (knowing_bob(1), id("bob"));
        for (theirs, depth) in [
            (line(bob, 2, 3), 0),
            (line(bob, 2, 1), 2),
            (line(bob, 1, 1), 3),
            (line(bob, 1, 900), 3),
            (Line::unknown(bob), 3),
            (line(bob, 2, 9), 0),
            (Line::unknown(id("stranger")), 0),
        ] {
            assert_eq!(ann.depth(&theirs), depth, "{theirs:?}");
        }
    }
}
