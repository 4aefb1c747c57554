//! Two processes with one name: what is asked, of whom, and what comes of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::message::Instance;
use crate::rng::Rng;
use crate::time::Moment;

/// Two processes use one name, and this one gives way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conflict {
    /// Where this one is.
    pub here: SocketAddr,
    /// Where the other one is.
    pub there: SocketAddr,
    /// Whether it was found before this one took part.
    pub at_start: bool,
}

/// The search for another process of this node's name.
#[derive(Debug)]
pub(crate) struct Search {
    pub instance: Instance,
    pub stage: Stage,
    asked: BTreeMap<u32, Asked>,
    next: Moment,
}

/// How far the search before the start has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nobody was asked yet.
    New,
    /// Answers are awaited, until this moment at most.
    Searching(Moment),
    /// This node takes part.
    Settled,
    /// Another one has the name.
    Lost(Conflict),
}

#[derive(Debug, Clone, Copy)]
struct Asked {
    to: SocketAddr,
    until: Moment,
}

impl Search {
    /// How many questions may be open.
    const MOST: usize = 8;

    pub(crate) fn new(rng: &mut Rng, now: Moment) -> Self {
        Self { instance: Instance(rng.word()), stage: Stage::New, asked: BTreeMap::new(), next: now }
    }

    /// Enters a question to `to`, open for `span`; `None` if there are enough.
    pub(crate) fn ask(&mut self, rng: &mut Rng, to: SocketAddr, now: Moment, span: Duration) -> Option<u32> {
        self.asked.retain(|_, asked| asked.until > now);
        if self.asked.len() >= Self::MOST || self.asked.values().any(|asked| asked.to == to) {
            return None;
        }
        #[allow(clippy::cast_possible_truncation)] // The low half of a random word is as random.
        let number = rng.word() as u32;
        self.asked.insert(number, Asked { to, until: now + span });
        Some(number)
    }

    /// Whether one more question may be asked in passing: one in `span`.
    pub(crate) fn may_ask(&mut self, now: Moment, span: Duration) -> bool {
        let may = now >= self.next;
        if may {
            self.next = now + span;
        }
        may
    }

    /// The question that `number` from `from` answers: it is over.
    pub(crate) fn answer(&mut self, number: u32, from: SocketAddr) -> bool {
        let is_asked = self.asked.get(&number).is_some_and(|asked| asked.to == from);
        is_asked && self.asked.remove(&number).is_some()
    }

    /// Whether a question is open.
    pub(crate) fn is_asking(&self, now: Moment) -> bool {
        self.asked.values().any(|asked| asked.until > now)
    }
}
