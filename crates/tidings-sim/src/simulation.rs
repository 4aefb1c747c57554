//! The world: one queue, one clock, one seed.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::net::SocketAddr;
use std::time::Duration;

use tidings_core::{
    Event, Gossiper, Identity, Interner, Message, Moment, NodeName, Peer, Persist, Rng, Shown, Transmit,
};

use crate::network::Network;
use crate::node::{Arrivals, Pause, Place, SimNode};
use crate::streams::{End, StreamHappening, Streams};
use crate::trace::{Counts, Trace};

/// A cluster in virtual time.
#[derive(Debug)]
pub struct Simulation {
    /// The network, to be changed at will.
    pub network: Network,
    pub(crate) rng: Rng,
    pub(crate) now: Moment,
    queue: BinaryHeap<Reverse<Happening>>,
    sequence: u64,
    pub(crate) nodes: Vec<SimNode>,
    pub(crate) counts: Counts,
    pub(crate) streams: Streams,
    pub(crate) trace: Trace,
    /// What the cores hold alike, once.
    pub(crate) interner: Interner,
    /// The nodes that something happened to since somebody looked.
    touched: BTreeSet<Place>,
}

/// Something that will happen to a node. Ordered by time, then by the order in which it was put in.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Happening {
    at: Moment,
    sequence: u64,
    to: Place,
    what: What,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    Arrival { from: SocketAddr, bytes: Vec<u8> },
    Stream { end: End, what: StreamHappening },
    Saved { life: u32 },
    Wake { life: u32 },
}

impl Simulation {
    /// An empty world in which every chance comes from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            network: Network::default(),
            rng: Rng::new(seed),
            now: Moment::default(),
            queue: BinaryHeap::new(),
            sequence: 0,
            nodes: Vec::new(),
            counts: Counts::default(),
            streams: Streams::default(),
            trace: Trace::default(),
            interner: Interner::default(),
            touched: BTreeSet::new(),
        }
    }

    /// Keeps a trace from now on.
    pub fn keep_trace(&mut self) {
        self.trace.0.get_or_insert_default();
    }

    /// The trace: a line for each datagram sent, each event and each crash, if it was kept.
    #[must_use]
    pub fn trace(&self) -> &str {
        self.trace.0.as_deref().unwrap_or_default()
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
        let usual = Place::usual_at(address).filter(|&place| place.0 < self.nodes.len())?;
        if self.nodes[usual.0].address == address {
            return Some(usual);
        }
        (0..self.nodes.len()).map(Place).find(|place| self.nodes[place.0].address == address)
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
        self.touched = waiting.clone();
        loop {
            for place in std::mem::take(&mut self.touched) {
                let core = self.nodes[place.0].core.as_ref();
                if waiting.contains(&place) && core.is_some_and(&holds) {
                    waiting.remove(&place);
                    times.push(self.now.since(start));
                }
            }
            if waiting.is_empty() || !self.step(end) {
                return times;
            }
        }
    }

    /// Lets the next thing happen, if it does before `end`.
    fn step(&mut self, end: Moment) -> bool {
        if self.queue.peek().is_none_or(|Reverse(next)| next.at > end) {
            return false;
        }
        let Some(Reverse(Happening { at, to, what, .. })) = self.queue.pop() else { return false };
        self.now = at;
        self.touched.insert(to);
        match what {
            What::Arrival { from, bytes } => self.arrive(to, from, &bytes),
            // What goes over streams waits for whoever is paused.
            What::Stream { .. } if self.nodes[to.0].paused.is_some() => {
                self.put(at + SimNode::PATIENCE, to, what);
            }
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

    pub(crate) fn boot(&mut self, place: Place) {
        self.trace.line(self.now, place, format_args!("start"));
        let rng_seed = self.rng.word();
        let now = self.now;
        let addresses: Vec<SocketAddr> = self.nodes.iter().map(|node| node.address).collect();
        let node = &mut self.nodes[place.0];
        node.life += 1;
        let saved = node.disk.clone();
        let address = node.advertised.unwrap_or(node.address);
        let me = Identity { name: node.name.clone(), address, saved };
        let core = Gossiper::new(node.config.clone(), me, rng_seed, node.time(now));
        let mut core = core.expect("the configuration works");
        core.share(self.interner.clone());
        let addresses = |places: &[Place]| {
            places
                .iter()
                .map(|&place| addresses.get(place.0).copied().unwrap_or_else(|| place.address()))
                .collect()
        };
        core.handle_seeds(node.time(now), addresses(&node.seeds));
        if let Some(neighbours) = &node.neighbours {
            core.handle_neighbours(node.time(now), addresses(neighbours));
        }
        node.core = Some(core);
        node.wake = Moment::NEVER;
        self.drain(place);
    }

    pub(crate) fn wake(&mut self, place: Place) {
        if self.nodes[place.0].paused.is_none() && self.is_up(place) {
            self.tell(place, Gossiper::handle_timeout);
        }
    }

    /// The disk has done what it was asked to; a paused node hears of it when it runs again.
    fn saved(&mut self, place: Place) {
        let node = &mut self.nodes[place.0];
        let Some(Persist { mark, saved }) = node.saving.take() else { return };
        if node.disk_is_broken {
            return self.tell(place, |core, now| core.handle_persist_failed(now, mark));
        }
        node.disk = Some(saved);
        self.tell(place, |core, now| core.handle_persisted(now, mark));
    }

    pub(crate) fn arrive(&mut self, place: Place, from: SocketAddr, bytes: &[u8]) {
        let node = &mut self.nodes[place.0];
        node.received += bytes.len() as u64;
        match &mut node.paused {
            Some(Pause { arrivals: Arrivals::Wait, waiting }) => return waiting.push((from, bytes.to_vec())),
            Some(Pause { arrivals: Arrivals::AreLost, .. }) => return,
            None => {}
        }
        if node.core.is_none() {
            return;
        }
        match node.seal.decode(bytes) {
            Ok(message) => {
                let peer = Peer::Datagram { from, len: bytes.len() };
                let heard = self.tell(place, |core, now| core.handle_message(now, peer, message));
                self.counts.refused += u64::from(heard.is_err());
            }
            Err(_) => self.counts.refused += 1,
        }
    }

    /// Tells a core something, and does all that it says then.
    pub(crate) fn tell<T>(
        &mut self,
        place: Place,
        something: impl FnOnce(&mut Gossiper, tidings_core::Time) -> T,
    ) -> T {
        let node = &mut self.nodes[place.0];
        let now = node.time(self.now);
        let result = something(node.core.as_mut().expect("the node is up"), now);
        self.touched.insert(place);
        self.drain(place);
        result
    }

    fn drain(&mut self, place: Place) {
        let now = self.now;
        loop {
            let node = &mut self.nodes[place.0];
            let Some(core) = &mut node.core else { return };
            if let Some(event) = core.poll_event() {
                self.trace.line(now, place, format_args!("{} {:?}", event.node, event.kind));
                node.events.push((now, event));
            } else if let Some(persist) = core.poll_persist() {
                node.saving = Some(persist);
                let what = What::Saved { life: node.life };
                self.put(now + SimNode::SAVING, place, what);
            } else if let Some(sent) = core.poll_transmit() {
                match sent {
                    Transmit::Datagram { to, message } => self.send(place, to, &message),
                    Transmit::Open { stream, to } => self.open_stream(place, stream, to),
                    Transmit::Frame { stream, message } => self.send_frame(place, stream, &message),
                    Transmit::Close { stream } => self.close_stream(place, stream),
                }
            } else {
                break;
            }
        }
        let node = &mut self.nodes[place.0];
        let wake = node.core.as_ref().map_or(Moment::NEVER, Gossiper::poll_timeout).max(now);
        if wake != node.wake && wake < Moment::NEVER {
            node.wake = wake;
            let what = What::Wake { life: node.life };
            self.put(wake, place, what);
        }
    }

    fn send(&mut self, from: Place, to: SocketAddr, message: &Message) {
        let node = &self.nodes[from.0];
        let bytes = node.seal.encode(message);
        assert!(bytes.len() <= node.config.datagram, "a datagram of {} bytes", bytes.len());
        self.counts.sent(message, bytes.len());
        let Some(to) = self.at(to) else { return };
        let arrivals = self.network.arrivals(&mut self.rng, from, to);
        self.trace.line(
            self.now,
            from,
            format_args!("-> {} {} bytes, {} arrive", to.0, bytes.len(), arrivals.len()),
        );
        for after in arrivals {
            let what = What::Arrival { from: self.address(from), bytes: bytes.clone() };
            self.put(self.now + after, to, what);
        }
    }

    pub(crate) fn put(&mut self, at: Moment, to: Place, what: What) {
        self.queue.push(Reverse(Happening { at, sequence: self.sequence, to, what }));
        self.sequence += 1;
    }
}
