//! Which deltas go into a message, and in which order: everybody's turn comes, however much there is of others.

use std::cmp::Reverse;
use std::collections::VecDeque;

use crate::cluster::Cluster;
use crate::delta::Delta;
use crate::message::Line;
use crate::name::NodeId;
use crate::time::Moment;
use crate::wire::size;

/// Hardly a delta is smaller than this: with less room left, one need not look for one that fits.
const SMALLEST_DELTA: usize = 32;
/// After so many that do not fit, one need not look for one that does.
const MISSES: usize = 16;
/// What is small beside a datagram.
const SMALL: usize = 200;
/// So many are put in order, which is more than all messages of an answer tell of, and so many are looked at to know
/// what is left: among ten thousand, the others wait.
const LOOKED_AT: usize = 512;
/// With more than so many datagrams left to send, a stream is the better way.
pub(super) const MUCH: usize = 8;
/// How many owners a message names of whom something needs a stream.
const MOST_LARGE: usize = 8;

/// Those who lack something, as they are once all that was taken out so far has come to them, in the order in which to
/// tell them.
pub(super) struct Queue<'a> {
    cluster: &'a Cluster,
    now: Moment,
    /// The bytes of one of the receiver's datagrams.
    datagram: usize,
    waiting: VecDeque<Line>,
    /// Those that no datagram serves, as far as that was found out.
    large: Vec<Line>,
}

/// Deltas, and the room that they take.
#[derive(Default)]
pub(super) struct Packed {
    pub deltas: Vec<Delta>,
    pub spent: usize,
}

/// How much of the room one takes of whom much is to be told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Portion {
    /// All: there is another message for those that wait.
    All,
    /// Half of what is left as long as others wait, unless not even a version fits in that.
    Half,
}

/// What none of the messages tells.
#[derive(Default)]
pub(super) struct Rest {
    /// The lines here of known owners of whom the last message tells nothing.
    pub unsent: Vec<Line>,
    /// Those that no datagram serves.
    pub large: Vec<Line>,
    /// About how many bytes there are left to send, as far as that matters.
    pub left: usize,
    /// About how many of these there are of owners whose life the receiver knows.
    pub late: Vec<(NodeId, usize)>,
}

impl Rest {
    /// Whether much is left, and more than a datagram of that of owners whose lives the receiver knows, among those that are
    /// `named`.
    pub(super) fn is_late(&self, named: impl Fn(NodeId) -> bool, datagram: usize) -> bool {
        let late = self.late.iter().filter(|(id, _)| named(*id)).map(|(_, left)| left);
        self.left > MUCH * datagram && late.sum::<usize>() > datagram
    }
}

impl<'a> Queue<'a> {
    /// Those who are at `lacks`. First come those of whom little is to be told, as far as half the `room` goes, however
    /// much there is of others; then whose versions are most behind, so that whoever waits comes to its turn.
    pub(super) fn new(
        cluster: &'a Cluster,
        lacks: &[Line],
        now: Moment,
        (room, datagram): (usize, usize),
    ) -> Self {
        let mut slice = room / 2;
        let (mut waiting, mut others) = (VecDeque::new(), Vec::new());
        for (place, line) in lacks.iter().enumerate() {
            let is_room = slice > SMALLEST_DELTA;
            let left = if is_room { cluster.left(line, SMALL) } else { usize::MAX };
            match slice.checked_sub(left).filter(|_| left <= SMALL) {
                Some(left) => {
                    slice = left;
                    waiting.push_back(*line);
                }
                None => others.push((Reverse(cluster.depth(line)), place)),
            }
        }
        let ordered = others.len().min(LOOKED_AT);
        if ordered < others.len() {
            others.select_nth_unstable(ordered);
        }
        others[..ordered].sort_unstable();
        waiting.extend(others.iter().map(|&(_, place)| lacks[place]));
        Self { cluster, now, datagram, waiting, large: Vec::new() }
    }

    /// Whether all that waits takes more than about `room`.
    pub(super) fn exceeds(&self, room: usize) -> bool {
        let mut sum = 0;
        self.waiting.iter().any(|theirs| {
            sum += self.cluster.left(theirs, room);
            sum > room
        })
    }

    /// Takes out what fits a message of `room` bytes. Of whom there is more, the rest waits behind all others.
    pub(super) fn fill(&mut self, room: usize, portion: Portion) -> Packed {
        let mut packed = Packed::default();
        let (mut missed, mut cut) = (Vec::new(), Vec::new());
        while missed.len() < MISSES && room - packed.spent >= SMALLEST_DELTA {
            let Some(theirs) = self.waiting.pop_front() else { break };
            match self.next(&theirs, room - packed.spent, portion) {
                Some(delta) => {
                    packed.spent += size::delta(&delta);
                    let at = Line { id: delta.owner, generation: delta.generation, max: delta.through };
                    packed.deltas.push(delta);
                    cut.extend(Some(at).filter(|at| self.cluster.compare(at).is_gt()));
                }
                None if self.cluster.needs_stream(&theirs, self.datagram) => self.large.push(theirs),
                None if self.cluster.compare(&theirs).is_gt() => missed.push(theirs),
                None => {}
            }
        }
        missed.into_iter().rev().for_each(|line| self.waiting.push_front(line));
        self.waiting.extend(cut);
        packed
    }

    /// What comes next for one who is at `theirs`, if it fits in `room`.
    fn next(&self, theirs: &Line, room: usize, portion: Portion) -> Option<Delta> {
        let Self { cluster, now, waiting, .. } = self;
        if flaw!(SmallWaits) && is_small(cluster, theirs) {
            return None;
        }
        let others_wait = portion == Portion::Half && !waiting.is_empty();
        let half = others_wait && cluster.left(theirs, SMALL) > SMALL;
        let half = half.then(|| cluster.delta(theirs, *now, room / 2)).flatten();
        half.or_else(|| cluster.delta(theirs, *now, room))
    }

    /// What waits after the last message, which tells `told`.
    pub(super) fn rest(&self, told: &[Delta]) -> Rest {
        let mut rest = Rest::default();
        let much = MUCH * self.datagram;
        for (place, theirs) in self.large.iter().chain(&self.waiting).enumerate() {
            if place >= LOOKED_AT && rest.left > much {
                break;
            }
            let left = self.cluster.left(theirs, much);
            let may_be_large =
                left > size::room_for_a_version(self.datagram) && rest.large.len() < MOST_LARGE;
            if may_be_large && self.cluster.needs_stream(theirs, self.datagram) {
                rest.large.push(self.cluster.line(theirs.id));
                continue;
            }
            rest.left += left;
            if self.cluster.line(theirs.id).generation == theirs.generation {
                rest.late.push((theirs.id, left));
            }
            if theirs.known().is_some() && !told.iter().any(|delta| delta.owner == theirs.id) {
                rest.unsent.push(self.cluster.line(theirs.id));
            }
        }
        rest
    }
}

/// Whether little is left to send of an owner, while another one just changed.
fn is_small(cluster: &Cluster, theirs: &Line) -> bool {
    let newest = cluster.recent().newest_first().next();
    let is_busy = newest.is_some_and(|item| item.id != theirs.id && item.round + 1 >= cluster.round());
    is_busy && cluster.left(theirs, SMALL) < SMALL
}

pub(super) fn take_lines(from: &[Line], to: &mut Vec<Line>, room: &mut usize) {
    for line in from {
        let Some(left) = room.checked_sub(size::line(line)) else { return };
        *room = left;
        to.push(*line);
    }
}
