//! What will happen, in order of time and, at the same time, of when it was put in.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;

use tidings_core::Moment;

use crate::node::Place;
use crate::streams::{End, StreamHappening};

/// Something that will happen to a node.
#[derive(Debug)]
pub(crate) enum What {
    Arrival { from: SocketAddr, bytes: Vec<u8> },
    Stream { end: End, what: StreamHappening },
    Saved { life: u32 },
    Wake { life: u32 },
}

/// The queue. What is sorted is small: the happenings themselves stay where they are.
///
/// Invariant: each entry of `order` names a slot that is full, and no two the same.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    order: BinaryHeap<Reverse<(Moment, u64, u32)>>,
    slots: Vec<Option<(Place, What)>>,
    free: Vec<u32>,
    sequence: u64,
}

impl Queue {
    pub(crate) fn put(&mut self, at: Moment, to: Place, what: What) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).expect("a queue has room for four billion")
        });
        self.slots[slot as usize] = Some((to, what));
        self.order.push(Reverse((at, self.sequence, slot)));
        self.sequence += 1;
    }

    /// What happens next, if it does by `end`.
    pub(crate) fn pop(&mut self, end: Moment) -> Option<(Moment, Place, What)> {
        if self.order.peek().is_none_or(|Reverse((at, ..))| *at > end) {
            return None;
        }
        let Reverse((at, _, slot)) = self.order.pop()?;
        self.free.push(slot);
        let (place, what) = self.slots[slot as usize].take().expect("what is in order is there");
        Some((at, place, what))
    }
}
