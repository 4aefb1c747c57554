//! The streams of a node: what it fetches, what it serves, and where no stream could be had.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use crate::config::Config;
use crate::message::Line;
use crate::name::NodeId;
use crate::peer::{StreamEnd, StreamId};
use crate::pieces::{Assemblies, Cuts};
use crate::time::Moment;

/// All streams that are open, and what stands in for those that cannot be had.
///
/// Invariant: there are at most [`Self::FETCHED`] and [`Self::SERVED`] of them.
#[derive(Debug)]
pub(crate) struct Streams {
    next: u64,
    pub(crate) fetching: BTreeMap<StreamId, Fetching>,
    pub(crate) serving: BTreeMap<StreamId, Serving>,
    blocked: BTreeMap<SocketAddr, Blocked>,
    /// Owners whose fetch brought nothing, until when they are not fetched, and for how long that is.
    futile: BTreeMap<(NodeId, Scope), (Moment, Duration)>,
    pub(crate) assemblies: Assemblies,
    pub(crate) cuts: Cuts,
    blocked_for: Duration,
}

/// A stream that this node opened.
#[derive(Debug)]
pub(crate) struct Fetching {
    pub to: SocketAddr,
    pub with: NodeId,
    /// The owners that it was opened for, and whether for all others, too.
    pub owners: BTreeSet<NodeId>,
    pub has_much: bool,
    /// Those that brought something.
    pub brought: BTreeSet<NodeId>,
    pub bytes: usize,
    time: Deadline,
}

/// What is fetched in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    /// What a node owns.
    Owner,
    /// Everything that it knows.
    Everything,
}

/// A stream that another node opened.
#[derive(Debug)]
pub(crate) struct Serving {
    /// What the other one lacks, as it has it; `None` until it asked.
    pub lacks: Option<VecDeque<Line>>,
    /// When something was told on it first.
    pub told: Option<Moment>,
    time: Deadline,
}

/// How long a stream may last.
#[derive(Debug)]
struct Deadline {
    /// When it counts as stalled, unless something goes over it before.
    stalls: Moment,
    /// When it ends in any case.
    ends: Moment,
}

/// An address where no stream could be had.
#[derive(Debug)]
struct Blocked {
    until: Moment,
    strikes: u32,
    end: StreamEnd,
}

/// For how long a stream may be silent, and last.
const STALL: Duration = Duration::from_secs(10);
const LIFE: Duration = Duration::from_secs(60);

impl Deadline {
    fn new(now: Moment) -> Self {
        Self { stalls: now + STALL, ends: now + LIFE }
    }

    fn next(&self) -> Moment {
        self.stalls.min(self.ends)
    }
}

impl Streams {
    /// How many streams a node opens at a time, and how many it lets others open.
    const FETCHED: usize = 4;
    const SERVED: usize = 16;
    /// How many bytes one stream brings at most: what is left is fetched by the next one.
    pub(crate) const MOST_BYTES: usize = 64 << 20;
    /// How many addresses are kept where no stream could be had.
    const MOST_BLOCKED: usize = 1_024;
    /// After how many streams that broke an address counts as one where none can be had.
    const STRIKES: u32 = 3;

    pub(crate) fn new(config: &Config) -> Self {
        Self {
            next: 0,
            fetching: BTreeMap::new(),
            serving: BTreeMap::new(),
            blocked: BTreeMap::new(),
            futile: BTreeMap::new(),
            assemblies: Assemblies::new(config.longest_message()),
            cuts: Cuts::default(),
            blocked_for: 30 * config.interval,
        }
    }

    /// Enters a stream to be opened to `with` at `to`; `None` if there are enough.
    pub(crate) fn open(
        &mut self,
        to: SocketAddr,
        with: NodeId,
        owners: BTreeSet<NodeId>,
        has_much: bool,
        now: Moment,
    ) -> Option<StreamId> {
        if self.fetching.len() >= Self::FETCHED {
            return None;
        }
        let id = self.name();
        let time = Deadline::new(now);
        self.fetching
            .insert(id, Fetching { to, with, owners, has_much, brought: BTreeSet::new(), bytes: 0, time });
        Some(id)
    }

    /// Enters a stream that another node opened; `None` if there are enough.
    pub(crate) fn accept(&mut self, now: Moment) -> Option<StreamId> {
        if self.serving.len() >= Self::SERVED {
            return None;
        }
        let id = self.name();
        self.serving.insert(id, Serving { lacks: None, told: None, time: Deadline::new(now) });
        Some(id)
    }

    fn name(&mut self) -> StreamId {
        self.next += 1;
        StreamId(self.next)
    }

    /// Something went over `stream`.
    pub(crate) fn advance(&mut self, stream: StreamId, now: Moment) {
        let fetching = self.fetching.get_mut(&stream).map(|fetching| &mut fetching.time);
        let serving = self.serving.get_mut(&stream).map(|serving| &mut serving.time);
        if let Some(time) = fetching.or(serving) {
            time.stalls = now + STALL;
        }
    }

    /// Fetching this brought nothing, or what is refused here: it is not tried for a while, ever longer.
    pub(crate) fn give_up(&mut self, what: (NodeId, Scope), now: Moment) {
        const FIRST: Duration = Duration::from_secs(10);
        const LONGEST: Duration = Duration::from_secs(600);
        if self.futile.len() >= Self::MOST_BLOCKED && !self.futile.contains_key(&what) {
            self.futile.pop_first();
        }
        if self.is_futile(what, now) {
            return; // Several were under way at once.
        }
        let wait = self.futile.get(&what).map_or(FIRST, |(_, wait)| (2 * *wait).min(LONGEST));
        self.futile.insert(what, (now + wait, wait));
    }

    /// News of `owner` came: it is worth a try again.
    pub(crate) fn help(&mut self, owner: NodeId) {
        if !self.futile.is_empty() {
            self.futile.remove(&(owner, Scope::Owner));
            self.futile.remove(&(owner, Scope::Everything));
        }
    }

    /// Whether this is not to be fetched for now.
    pub(crate) fn is_futile(&self, what: (NodeId, Scope), now: Moment) -> bool {
        self.futile.get(&what).is_some_and(|(until, _)| *until > now)
    }

    /// Whether `owner` is being fetched by itself, in one way or the other.
    pub(crate) fn is_fetching(&self, owner: NodeId) -> bool {
        self.assemblies.is_fetching(owner)
            || self.fetching.values().any(|fetching| fetching.owners.contains(&owner))
    }

    /// Whether everything is being fetched.
    pub(crate) fn is_fetching_much(&self) -> bool {
        self.fetching.values().any(|fetching| fetching.has_much)
    }

    /// The streams whose time has run out by `now`.
    pub(crate) fn overdue(&self, now: Moment) -> Vec<StreamId> {
        let fetching = self.fetching.iter().map(|(&id, fetching)| (id, &fetching.time));
        let serving = self.serving.iter().map(|(&id, serving)| (id, &serving.time));
        fetching.chain(serving).filter(|(_, time)| time.next() <= now).map(|(id, _)| id).collect()
    }

    /// Whether a stream that has run out of time was silent, and not just long.
    pub(crate) fn has_stalled(fetching: &Fetching, now: Moment) -> bool {
        fetching.time.stalls <= now
    }

    /// When the next one runs out of time, or something is to be asked for again.
    pub(crate) fn next_deadline(&self) -> Option<Moment> {
        let fetching = self.fetching.values().map(|fetching| fetching.time.next());
        let serving = self.serving.values().map(|serving| serving.time.next());
        fetching.chain(serving).chain(self.assemblies.next_retry()).min()
    }

    /// Gives all of them `span` more time: this node was asleep for so long.
    pub(crate) fn extend(&mut self, span: Duration) {
        let fetching = self.fetching.values_mut().map(|fetching| &mut fetching.time);
        let serving = self.serving.values_mut().map(|serving| &mut serving.time);
        for time in fetching.chain(serving) {
            (time.stalls, time.ends) = (time.stalls + span, time.ends + span);
        }
    }

    /// A stream to `address` failed. Returns whether none is tried there for a while.
    pub(crate) fn fail(&mut self, address: SocketAddr, end: StreamEnd, now: Moment) -> bool {
        let until = now + self.blocked_for;
        self.blocked.retain(|_, blocked| blocked.until > now);
        if self.blocked.len() >= Self::MOST_BLOCKED && !self.blocked.contains_key(&address) {
            self.blocked.pop_first();
        }
        let blocked = self.blocked.entry(address).or_insert(Blocked { until, strikes: 0, end });
        (blocked.until, blocked.end) = (until, end);
        blocked.strikes += match end {
            StreamEnd::Refused | StreamEnd::Stalled => Self::STRIKES,
            StreamEnd::Broken => 1,
        };
        blocked.strikes >= Self::STRIKES
    }

    /// A stream to `address` did what it was for.
    pub(crate) fn succeed(&mut self, address: SocketAddr) {
        self.blocked.remove(&address);
    }

    /// Whether no stream is tried at `address`.
    pub(crate) fn is_blocked(&self, address: SocketAddr, now: Moment) -> bool {
        self.blocked
            .get(&address)
            .is_some_and(|blocked| blocked.until > now && blocked.strikes >= Self::STRIKES)
    }

    /// Where no stream can be had, and why.
    pub(crate) fn blocked(&self, now: Moment) -> impl Iterator<Item = (SocketAddr, StreamEnd)> {
        let blocked = self.blocked.iter().filter(move |(address, _)| self.is_blocked(**address, now));
        blocked.map(|(&address, blocked)| (address, blocked.end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T3: what several streams at once brought in vain was tried once.
    #[test]
    fn what_is_fetched_in_vain_is_left_alone_for_ten_seconds_and_then_for_twenty() {
        let at = |seconds: i64| Moment::from_micros(seconds * 1_000_000);
        let (mut streams, what) = (Streams::new(&Config::new("test")), (NodeId(1), Scope::Owner));
        for _ in 0..4 {
            streams.give_up(what, at(0));
        }
        assert!(streams.is_futile(what, at(9)) && !streams.is_futile(what, at(10)));
        streams.give_up(what, at(10));
        assert!(streams.is_futile(what, at(29)) && !streams.is_futile(what, at(30)));
        streams.give_up(what, at(30));
        streams.help(NodeId(1));
        assert!(!streams.is_futile(what, at(31)), "news of it came");
    }
}
