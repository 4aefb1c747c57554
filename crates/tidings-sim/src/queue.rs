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

/// The queue. What is sorted is a number each: the happenings themselves stay where they are.
///
/// Invariant: each entry of `order` names a slot that is full, and no two the same.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    order: BinaryHeap<Reverse<Turn>>,
    slots: Vec<Option<(Place, What)>>,
    free: Vec<usize>,
    sequence: u64,
}

/// When something happens, how many were put in before it, and its slot, from the highest bits to the lowest: numbers are
/// compared at once, where three of them would be compared one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn(u128);

impl Turn {
    const SLOT: u32 = 24;
    const SEQUENCE: u32 = u64::BITS - Self::SLOT;

    fn new(at: Moment, sequence: u64, slot: usize) -> Self {
        let at = u64::try_from(at.as_micros()).expect("virtual time begins at zero");
        assert!(sequence >> Self::SEQUENCE == 0 && slot >> Self::SLOT == 0, "a queue has room for so much");
        Self(u128::from(at) << u64::BITS | u128::from(sequence << Self::SLOT | slot as u64))
    }

    fn at(self) -> Moment {
        let micros = i64::try_from(self.0 >> u64::BITS).expect("it was a moment");
        Moment::from_micros(micros)
    }

    #[allow(clippy::cast_possible_truncation)] // Its lowest bits.
    fn slot(self) -> usize {
        self.0 as usize & ((1 << Self::SLOT) - 1)
    }
}

impl Queue {
    pub(crate) fn put(&mut self, at: Moment, to: Place, what: What) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[slot] = Some((to, what));
        self.order.push(Reverse(Turn::new(at, self.sequence, slot)));
        self.sequence += 1;
    }

    /// What happens next, if it does by `end`.
    pub(crate) fn pop(&mut self, end: Moment) -> Option<(Moment, Place, What)> {
        if self.order.peek().is_none_or(|Reverse(turn)| turn.at() > end) {
            return None;
        }
        let Reverse(turn) = self.order.pop()?;
        let slot = turn.slot();
        self.free.push(slot);
        let (place, what) = self.slots[slot].take().expect("what is in order is there");
        Some((turn.at(), place, what))
    }
}
