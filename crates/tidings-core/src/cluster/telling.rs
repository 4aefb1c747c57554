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
