//! Two processes with one name: what is asked, of whom, and what comes of it.

use std::collections::{BTreeMap, BTreeSet};
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
    /// Whom this search asked already.
    tried: BTreeSet<SocketAddr>,
    next: Moment,
    /// When what is open is asked again.
    pub repeat: Moment,
    /// Since when claims wait for answers.
    held: Option<Moment>,
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
        let (asked, tried) = (BTreeMap::new(), BTreeSet::new());
        let instance = Instance(rng.word());
        Self { instance, stage: Stage::New, asked, tried, next: now, repeat: now, held: None }
    }

    /// Whether `to` is to be asked in this search: each address is, once.
    pub(crate) fn may_try(&mut self, to: SocketAddr) -> bool {
        self.tried.len() < 2 * Self::MOST && self.tried.insert(to)
    }

    /// The questions that are open, and whom they went to.
    pub(crate) fn open(&self, now: Moment) -> Vec<(u32, SocketAddr)> {
        let open = self.asked.iter().filter(|(_, asked)| asked.until > now);
        open.map(|(&number, asked)| (number, asked.to)).collect()
    }

    /// Whether claims of this node's name can wait for what is asked: for `span` at most, however often it is.
    pub(crate) fn may_hold(&mut self, now: Moment, span: Duration) -> bool {
        if !self.is_asking(now) {
            self.held = None;
            return false;
        }
        now.since(*self.held.get_or_insert(now)) < span
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
