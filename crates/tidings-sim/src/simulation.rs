//! The world: one queue, one clock, one seed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use tidings_core::{Event, Gossiper, Interner, Moment, NodeId, NodeName, Rng, Shown};

use crate::checker::{Broken, Checker};
use crate::counts::Counts;
use crate::network::Network;
use crate::node::{Answer, Place, SimNode};
use crate::queue::{Queue, What};
use crate::streams::Streams;
use crate::trace::Trace;

/// A cluster in virtual time.
#[derive(Debug)]
pub struct Simulation {
    /// The network, to be changed at will.
    pub network: Network,
    pub(crate) rng: Rng,
    pub(crate) now: Moment,
    queue: Queue,
    pub(crate) nodes: Vec<SimNode>,
    /// Who is where another node was before.
    pub(crate) moved: BTreeMap<SocketAddr, Place>,
    pub(crate) counts: Counts,
    pub(crate) streams: Streams,
    pub(crate) trace: Trace,
    /// Whoever looks at every step, if anybody does.
    pub(crate) checker: Option<Box<Checker>>,
    /// What the cores hold alike, once.
    pub(crate) interner: Interner,
    /// The nodes that something happened to since somebody looked, if anybody does.
    touched: Option<BTreeSet<Place>>,
}

impl Simulation {
    /// An empty world in which every chance comes from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            network: Network::default(),
            rng: Rng::new(seed),
            now: Moment::default(),
            queue: Queue::default(),
            nodes: Vec::new(),
            moved: BTreeMap::new(),
            counts: Counts::default(),
            streams: Streams::default(),
            trace: Trace::default(),
            checker: None,
            interner: Interner::default(),
            touched: None,
        }
    }

    /// Looks at every step whether the promises of PROTOCOL.md are kept: to be said before the first node starts.
    pub fn check(&mut self) {
        self.checker = Some(Box::default());
    }

    /// The first promise that was broken, if they are looked at. Nothing happens any more after that.
    #[must_use]
    pub fn broken(&self) -> Option<&Broken> {
        self.checker.as_ref()?.broken()
    }

    /// Keeps a trace from now on.
    pub fn keep_trace(&mut self) {
        self.trace.text.get_or_insert_default();
    }

    /// The trace: a line for each datagram sent, each event and each crash, if it was kept.
    #[must_use]
    pub fn trace(&self) -> &str {
        self.trace.text.as_deref().unwrap_or_default()
    }

    /// All that happened so far, in a word: each datagram with its bytes, each event, each crash. Two runs with the same one
    /// were the same.
    #[must_use]
    pub fn trace_hash(&self) -> u64 {
        self.trace.hash()
    }

    /// What time it is, from zero on.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.now.since(Moment::default())
    }

    /// What time it is, as cores are told it.
    #[must_use]
    pub fn moment(&self) -> Moment {
        self.now
    }

    /// How much went over the network so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// All nodes that were ever started.
    #[must_use]
    pub fn places(&self) -> Vec<Place> {
        (0..self.nodes.len()).map(Place).collect()
    }

    // What is looked at.

    /// Where a node is.
    #[must_use]
    pub fn address(&self, place: Place) -> SocketAddr {
        self.nodes.get(place.0).map_or_else(|| place.address(), |node| node.address)
    }

    /// Which node is at `address`.
    pub(crate) fn at(&self, address: SocketAddr) -> Option<Place> {
        let moved = if self.moved.is_empty() { None } else { self.moved.get(&address).copied() };
        moved.or_else(|| Place::usual_at(address).filter(|&place| place.0 < self.nodes.len()))
    }

    /// Moves a node to `address`, in the place of whoever was there.
    pub(crate) fn move_to(&mut self, place: Place, address: SocketAddr) {
        self.nodes[place.0].address = address;
        self.moved.insert(address, place);
    }

    /// How many bytes of datagrams came in at a node's address, whatever it made of them.
    #[must_use]
    pub fn received(&self, place: Place) -> u64 {
        self.nodes[place.0].received
    }

    /// The core of a node.
    ///
    /// # Panics
    /// If it is down.
    #[must_use]
    pub fn core(&self, place: Place) -> &Gossiper {
        self.nodes[place.0].core.as_ref().expect("the node is up")
    }

    /// Whether a node runs.
    #[must_use]
    pub fn is_up(&self, place: Place) -> bool {
        self.nodes[place.0].core.is_some()
    }

    /// A node's id.
    pub(crate) fn id(&self, place: Place) -> NodeId {
        self.nodes[place.0].id
    }

    /// A node's name.
    #[must_use]
    pub fn name(&self, place: Place) -> &NodeName {
        &self.nodes[place.0].name
    }

    /// What `viewer` sees under `key` of `owner`.
    #[must_use]
    pub fn value(&self, viewer: Place, owner: Place, key: &str) -> Option<Shown> {
        Some(self.core(viewer).value(self.name(owner), key)?.1)
    }

    /// How `viewer` sees `subject`; `None` if it does not know it.
    #[must_use]
    pub fn member(&self, viewer: Place, subject: Place) -> Option<tidings_core::Member> {
        Some(self.core(viewer).state(self.name(subject), self.now)?.member)
    }

    /// What a node said so far, and when.
    #[must_use]
    pub fn events(&self, place: Place) -> &[(Moment, Event)] {
        &self.nodes[place.0].events
    }

    /// What became of a node's requests so far.
    pub fn answers(&self, place: Place) -> &[Answer] {
        &self.nodes[place.0].answers
    }

    /// Whether all nodes that are up hold the same, and have the same of the others.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        let mut digests = self.nodes.iter().filter_map(|node| node.core.as_ref()).map(Gossiper::digest);
        let first = digests.next();
        digests.all(|digest| Some(digest) == first)
    }

    // How time passes.

    /// Lets `span` pass.
    pub fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.step(end) {}
        self.now = end;
    }

    /// Lets time pass until `done`, for `limit` at most. Returns how long it took, or `None` if it never came to it.
    pub fn until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> Option<Duration> {
        let (start, end) = (self.now, self.now + limit);
        while !done(self) {
            if !self.step(end) {
                self.now = end;
                return None;
            }
        }
        Some(self.now.since(start))
    }

    /// Lets time pass until `holds` of each of `places`, for `limit` at most. It is asked of a node only after
    /// something happened to it. Returns how long it took for each, in order of time; fewer than there are places if
    /// not all came to it.
    pub fn until_each(
        &mut self,
        places: &[Place],
        limit: Duration,
        holds: impl Fn(&Gossiper) -> bool,
    ) -> Vec<Duration> {
        let (start, end) = (self.now, self.now + limit);
        let mut waiting: BTreeSet<Place> = places.iter().copied().collect();
        let mut times = Vec::new();
        self.touched = Some(waiting.clone());
        loop {
            for place in self.touched.replace(BTreeSet::new()).unwrap_or_default() {
                let core = self.nodes[place.0].core.as_ref();
                if waiting.contains(&place) && core.is_some_and(&holds) {
                    waiting.remove(&place);
                    times.push(self.now.since(start));
                }
            }
            if waiting.is_empty() || !self.step(end) {
                self.touched = None;
                return times;
            }
        }
    }

    /// Lets the next thing happen, if it does by `end`. Nothing more does once a promise is broken.
    fn step(&mut self, end: Moment) -> bool {
        if self.checker.as_ref().is_some_and(|checker| checker.broken().is_some()) {
            return false;
        }
        let Some((at, to, what)) = self.queue.pop(end) else { return false };
        self.now = at;
        if let Some(later) = self.busy(to, &what) {
            self.put(later, to, what);
            return true;
        }
        self.touch(to);
        match what {
            What::Arrival { from, bytes } => self.arrive(to, from, bytes),
            What::Stream { end, what } => self.stream_happens(to, end, what),
            What::Saved { life } if self.nodes[to.0].life == life => self.saved(to),
            What::Wake { life } if self.nodes[to.0].life == life && self.nodes[to.0].wake == at => {
                self.nodes[to.0].wake = Moment::NEVER;
                self.wake(to);
            }
            What::Saved { .. } | What::Wake { .. } => {}
        }
        true
    }

    /// Until when `what` waits for a node that is busy, or paused.
    fn busy(&mut self, place: Place, what: &What) -> Option<Moment> {
        let node = &mut self.nodes[place.0];
        // What goes over streams waits for whoever is paused.
        if node.paused.is_some() && matches!(what, What::Stream { .. }) {
            return Some(self.now + SimNode::PATIENCE);
        }
        if node.work.is_zero() || matches!(what, What::Saved { .. }) {
            return None;
        }
        if node.busy_until > self.now {
            if let What::Wake { life } = what
                && *life == node.life
                && node.wake == self.now
            {
                node.wake = node.busy_until;
            }
            return Some(node.busy_until);
        }
        if !matches!(what, What::Wake { .. }) {
            node.busy_until = self.now + node.work;
        }
        if let Some(checker) = &mut self.checker {
            checker.is_away(self.now, place);
        }
        None
    }

    pub(crate) fn put(&mut self, at: Moment, to: Place, what: What) {
        self.queue.put(at, to, what);
    }

    /// Something happened to a node: whoever waits for that looks at it.
    pub(crate) fn touch(&mut self, place: Place) {
        if let Some(touched) = &mut self.touched {
            touched.insert(place);
        }
    }
}
