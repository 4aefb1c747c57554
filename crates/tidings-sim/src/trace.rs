//! What happened, for the eye and for comparison; and how much of it.

use std::fmt::Write as _;

use tidings_core::{Body, Message, Moment};

use crate::node::Place;

/// How much went over the simulated network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Messages that began an exchange.
    pub syns: u64,
    /// Messages that answered one.
    pub acks: u64,
    /// Messages that ended one.
    pub ack2s: u64,
    /// Messages that refused one.
    pub refusals: u64,
    /// Messages that asked for help with a suspect, or answered that.
    pub help: u64,
    /// The bytes of all of them.
    pub bytes: u64,
    /// The entries in their deltas: the copies of values.
    pub entries: u64,
    /// The size of the largest.
    pub largest: usize,
    /// Messages that a decoder or a core refused.
    pub refused: u64,
}

impl Counts {
    /// All messages.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.syns + self.acks + self.ack2s + self.refusals + self.help
    }

    pub(crate) fn sent(&mut self, message: &Message, bytes: usize) {
        let deltas = match &message.body {
            Body::Syn(_) => {
                self.syns += 1;
                &[][..]
            }
            Body::Ack(ack) => {
                self.acks += 1;
                &ack.deltas
            }
            Body::Ack2(deltas) => {
                self.ack2s += 1;
                deltas
            }
            Body::Refusal(_) => {
                self.refusals += 1;
                &[]
            }
            Body::Help(_) | Body::Report(_) => {
                self.help += 1;
                &[]
            }
        };
        self.entries += deltas.iter().map(|delta| delta.entries.len() as u64).sum::<u64>();
        self.bytes += bytes as u64;
        self.largest = self.largest.max(bytes);
    }
}

/// The story of a run, a line for each happening, if anybody wants it.
#[derive(Debug, Default)]
pub(crate) struct Trace(pub(crate) Option<String>);

impl Trace {
    pub(crate) fn line(&mut self, now: Moment, place: Place, what: std::fmt::Arguments<'_>) {
        if let Some(text) = &mut self.0 {
            writeln!(text, "{:>12} {:>4} {what}", now.as_micros(), place.0).expect("a string takes all");
        }
    }
}
