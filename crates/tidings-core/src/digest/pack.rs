//! Which deltas go into a message, and in which order: everybody's turn comes, however much there is of others.

use std::cmp::{Ordering, Reverse};

use crate::cluster::Cluster;
use crate::delta::Delta;
use crate::message::Line;
use crate::name::NodeId;
use crate::time::Moment;
use crate::wire::size;

/// Hardly a delta is smaller than this: with less room left, one need not look for one that fits.
const SMALLEST_DELTA: usize = 32;

/// With more than so many datagrams left to send, a stream is the better way.
pub(super) const MUCH: usize = 3;

/// Deltas for those who are at `lacks`, as far as `room` goes; the lines of known owners that got none for want of room;
/// those that no datagram serves; and about how many bytes are left to send, as far as that matters.
pub(super) struct Packed {
    pub deltas: Vec<Delta>,
    pub spent: usize,
    pub unsent: Vec<Line>,
    pub large: Vec<Line>,
    pub left: usize,
    /// The owners of whom something is left, and whose life the receiver knows.
    pub late: Vec<NodeId>,
}

/// Whether little is left to send of an owner, while another one just changed.
fn is_small(cluster: &Cluster, theirs: &Line) -> bool {
    let newest = cluster.recent().newest_first().next();
    let is_busy = newest.is_some_and(|item| item.id != theirs.id && item.round + 1 >= cluster.round());
    is_busy && cluster.left(theirs, SMALL) < SMALL
}

/// What is small beside a datagram.
const SMALL: usize = 200;

/// The order in which to tell those who are at `lacks`: first those of whom little is to be told, as far as half the room
/// goes, however much there is of others; then whose versions are most behind, so that whoever waits comes to its turn.
fn by_need(cluster: &Cluster, lacks: &[Line], room: usize) -> Vec<Line> {
    let mut slice = room / 2;
    let (mut small, mut rest) = (Vec::with_capacity(lacks.len()), Vec::new());
    for line in lacks {
        let left = cluster.left(line, SMALL);
        match slice.checked_sub(left).filter(|_| left <= SMALL) {
            Some(left) => {
                slice = left;
                small.push(*line);
            }
            None => rest.push(*line),
        }
    }
    rest.sort_by_cached_key(|line| Reverse(cluster.depth(line)));
    small.append(&mut rest);
    small
}

pub(super) fn pack(cluster: &Cluster, lacks: &[Line], now: Moment, room: usize, datagram: usize) -> Packed {
    let (unsent, large) = (Vec::new(), Vec::new());
    let mut packed = Packed { deltas: Vec::new(), spent: 0, unsent, large, left: 0, late: Vec::new() };
    let lacks = by_need(cluster, lacks, room);
    for (place, theirs) in lacks.iter().enumerate() {
        if flaw!(SmallWaits) && is_small(cluster, theirs) {
            continue;
        }
        let left = room - packed.spent;
        let delta = if left < SMALLEST_DELTA {
            None
        } else if place + 1 < lacks.len() && cluster.left(theirs, SMALL) > SMALL {
            // Others wait: half of what is left, unless not even a version fits in that.
            let half = cluster.delta(theirs, now, left / 2);
            half.or_else(|| cluster.delta(theirs, now, left))
        } else {
            cluster.delta(theirs, now, left)
        };
        let mut at = *theirs;
        if let Some(delta) = delta {
            at = Line { id: delta.owner, generation: delta.generation, max: delta.through };
            packed.spent += size::delta(&delta);
            packed.deltas.push(delta);
        } else if theirs.known().is_some() {
            packed.unsent.push(cluster.line(theirs.id));
        }
        if cluster.compare(&at) != Ordering::Greater {
            continue;
        }
        if cluster.line(theirs.id).generation == theirs.generation {
            packed.late.push(theirs.id);
        }
        if packed.large.len() < MOST_LARGE && cluster.needs_stream(&at, datagram) {
            packed.unsent.pop_if(|line| line.id == theirs.id);
            packed.large.push(cluster.line(theirs.id));
        } else if packed.left <= MUCH * datagram {
            packed.left += cluster.left(&at, MUCH * datagram);
        }
    }
    packed
}

/// How many owners a message names of whom something needs a stream.
const MOST_LARGE: usize = 8;

pub(super) fn take_lines(from: &[Line], to: &mut Vec<Line>, room: &mut usize) {
    for line in from {
        let Some(left) = room.checked_sub(size::line(line)) else { return };
        *room = left;
        to.push(*line);
    }
}
