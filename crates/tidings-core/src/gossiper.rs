//! The machine: what the world tells it, what it tells the world, and the steps of a round.

mod acquaint;
mod alarm;
mod answer;
mod ends;
mod forgetting;
mod grants;
mod hear;
mod help;
mod inspect;
mod namesakes;
mod own;
mod questions;
mod requests;
mod rumors;
mod steps;
mod streams;
mod suspicion;
mod whereabouts;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use crate::cluster::Cluster;
use crate::collector::Collector;
use crate::config::{Config, ConfigError};
use crate::contacts::Contacts;
use crate::detector::{Odds, Pulse};
use crate::endpoint::EndpointState;
use crate::entry::{Entry, Key, Lifetime, Value};
use crate::event::{Event, EventKind};
use crate::exchange::Exchanges;
use crate::flow::Flow;
use crate::name::{NodeId, NodeName};
use crate::namesake::Search;
use crate::owner::{Owner, Persist, PersistMark, Saved, WriteError};
use crate::peer::Transmit;
use crate::proof::Proofs;
use crate::record::Record;
use crate::replica::{Change, Limits, Replica};
use crate::request::Request;
use crate::rng::Rng;
use crate::rumor::Rumors;
use crate::stream::Streams;
use crate::time::{Moment, Time, WallClock};
use crate::version::{Heartbeat, Version};

use alarm::Alarms;
pub use forgetting::{RemoveError, Removed};
pub use inspect::Load;
use requests::Requests;

/// Who a node is when it starts.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its name.
    pub name: NodeName,
    /// Where others reach it.
    pub address: SocketAddr,
    /// What it kept from earlier lives, if it kept anything.
    pub saved: Option<Saved>,
}

/// One node's part in the protocol. See the crate's documentation for how to drive it.
#[derive(Debug)]
pub struct Gossiper {
    config: Config,
    rng: Rng,
    cluster: Cluster,
    owner: Owner,
    collector: Collector,
    odds: Odds,
    exchanges: Exchanges,
    /// The live nodes that did not answer this node, and all nodes that there is evidence against, also others'.
    suspects: BTreeSet<NodeId>,
    accused: BTreeSet<NodeId>,
    /// The nodes that others may take for dead, and that run: which answered somebody after there was grave evidence against
    /// them, or are back. When they were last heard of, and since which round it is told.
    acquitted: BTreeMap<NodeId, (Moment, u64)>,
    alarms: Alarms,
    contacts: Contacts,
    rumors: Rumors,
    requests: Requests,
    flow: Flow,
    proofs: Proofs,
    streams: Streams,
    namesake: Search,
    clock: Clock,
    farewell: Option<Farewell>,
    /// Whether what differs may be more than recent lines can settle: the next SYN goes deeper. And how often in a row one
    /// did, counted round.
    wide: bool,
    sketched: u8,
    /// Whether this node ever had all that another one had: from then on, what it learns is news.
    is_settled: bool,
    /// Where the next window begins, which of the live has its head relayed next, and which of all its beat.
    window_from: NodeId,
    head_from: usize,
    beat_from: usize,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
    dropped: BTreeMap<&'static str, u64>,
}

/// When things are due.
#[derive(Debug)]
struct Clock {
    /// The last moment that this node was told, and what the wall clock was then.
    now: Moment,
    wall: WallClock,
    /// When the next exchange of the round begins, and which one of the round it is.
    next: Moment,
    slot: usize,
    /// How long after the first contact the first regular round begins: nodes that start together don't stay together.
    phase: Option<Duration>,
    /// Until when nobody is convicted, and which heads a pause of this node makes useless for measuring: those
    /// authored before it ended.
    hold_until: Moment,
    resumed: Moment,
    /// Until when this node learns of most of the cluster.
    learns_until: Moment,
    /// The smoothed time of an exchange from SYN to ACK.
    round_trip: Option<Duration>,
    /// How many heads came in since the last round, and in 256 rounds like the last few.
    heads: u32,
    supply: u32,
    /// How many more suspects may be tried again in this round, and how often an exchange that brought something and
    /// has more to bring may be repeated at once.
    retries: u32,
    repeats: u32,
    /// How many more datagrams may be sent in this round of what one of an exchange does not hold.
    parts: usize,
    /// How many more gaps may be repaired in this round, and how many were at all.
    repairs: u32,
    repaired: u64,
}

/// The end of this node's life, while it is announced.
#[derive(Debug)]
struct Farewell {
    told: usize,
    enough: usize,
    until: Moment,
}

/// How many suspects are tried again in a round, beside its own exchanges.
const RETRIES: u32 = 8;
/// How often a node that lacks much repeats its exchanges in a round.
const REPEATS: u32 = 4;
/// How many gaps that a message shows are repaired in a round.
const REPAIRS: u32 = 4;
/// How many nodes are told of a departure, by this node itself.
const TOLD: usize = 3;

impl Gossiper {
    /// A node that begins its life at `now`. It knows nobody: see [`handle_seeds`](Self::handle_seeds).
    ///
    /// # Errors
    /// The configuration cannot work, and why.
    pub fn new(config: Config, me: Identity, rng_seed: u64, now: Time) -> Result<Self, ConfigError> {
        config.check()?;
        let saved = me.saved.unwrap_or_default();
        let generation = Owner::first_generation(&saved, now.wall);
        let pulse = Pulse::new(now.moment, config.interval);
        // Nobody holds anything of this life yet, so that nothing has to be told that it lacks.
        let shown = saved.held(now).filter(|(_, entry)| entry.value.is_some());
        let replica = Replica::restored(generation, saved.max, Version(0), shown);
        let (id, heartbeat, authored) = (me.name.id(), Heartbeat(0), now.moment);
        let record = Record { replica, address: me.address, name: me.name };
        let own = EndpointState::new(record, heartbeat, authored, pulse);
        // A replica that was cut can hold old entries beside the new ones that made their owner small again, and an owner
        // at its limit can still say that it leaves: so holders allow twice what owners allow themselves.
        let limits = Limits { keys: 2 * config.max_keys, bytes: 2 * config.max_bytes };
        let mut rng = Rng::new(rng_seed);
        let mut node = Self {
            cluster: Cluster::new(id, own, limits, config.max_nodes),
            owner: Owner::new(config.durable, saved.accepted),
            collector: Collector::default(),
            odds: Odds::new(),
            exchanges: Exchanges::default(),
            suspects: BTreeSet::new(),
            accused: BTreeSet::new(),
            acquitted: BTreeMap::new(),
            alarms: Alarms::default(),
            contacts: Contacts::default(),
            rumors: Rumors::new(&config),
            requests: Requests::default(),
            flow: Flow::new(&config),
            proofs: Proofs::new(&mut rng, config.max_nodes, config.interval),
            streams: Streams::new(&config),
            namesake: Search::new(&mut rng, now.moment),
            clock: Clock {
                now: now.moment,
                wall: now.wall,
                next: now.moment,
                slot: 0,
                phase: Some(random_part(&mut rng, config.interval)),
                hold_until: now.moment,
                resumed: now.moment,
                learns_until: now.moment,
                round_trip: None,
                heads: 0,
                supply: 256 * u32::try_from(config.fanout * config.heads).unwrap_or(u32::MAX),
                retries: RETRIES,
                repeats: REPEATS,
                parts: 0,
                repairs: REPAIRS,
                repaired: 0,
            },
            farewell: None,
            wide: true,
            is_settled: false,
            sketched: 0,
            window_from: NodeId(rng.word()),
            head_from: 0,
            beat_from: 0,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            dropped: BTreeMap::new(),
            config,
            rng,
        };
        node.restore_requests();
        Ok(node)
    }

    // The world tells us.

    /// Time has passed. Call it when [`poll_timeout`](Self::poll_timeout) has come; more often is harmless.
    pub fn handle_timeout(&mut self, now: Time) {
        self.notice_pause(now);
        self.expire(now);
        if self.owner.is_announced {
            self.search(now);
        }
        if !self.is_present() {
            return;
        }
        self.expire_streams(now);
        self.expire_requests(now);
        self.fail_exchanges(now);
        self.convict(now);
        self.retry_suspects(now);
        self.give_alarms(now);
        self.spread_rumors(now);
        if now.moment >= self.clock.next {
            self.begin_slot(now);
        }
    }

    /// The seeds are at these addresses now; those of before no longer count. This node's own is left out. A node that
    /// knows nobody turns to them at once.
    pub fn handle_seeds(&mut self, now: Time, seeds: Vec<SocketAddr>) {
        self.notice_pause(now);
        let seeds = self.others(seeds);
        if self.contacts.tell_seeds(seeds, now.moment) {
            self.hurry(now);
        }
    }

    /// This node's neighbours are at these addresses now; those of before no longer count. From now on it gossips with
    /// them alone, whoever else it knows, and seeds do not count.
    pub fn handle_neighbours(&mut self, now: Time, neighbours: Vec<SocketAddr>) {
        self.notice_pause(now);
        let neighbours = self.others(neighbours);
        if self.contacts.tell_neighbours(&neighbours, now.moment) {
            self.hurry(now);
        }
    }

    /// These addresses, in order and without this node's own.
    fn others(&self, mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
        let own = self.cluster.own().address();
        addresses.sort_unstable();
        addresses.dedup();
        addresses.retain(|address| *address != own);
        addresses
    }

    /// A node that knows nobody turns to new addresses at once.
    fn hurry(&mut self, now: Time) {
        if self.cluster.live().is_empty() {
            (self.clock.next, self.clock.slot) = (now.moment, 0);
            self.clock.phase = Some(random_part(&mut self.rng, self.config.interval));
        }
    }

    /// Other nodes were at these addresses in an earlier life of this one: they are tried like the unreachable, until
    /// the first of the live is known.
    pub fn handle_remembered(&mut self, addresses: Vec<SocketAddr>) {
        let others = self.others(addresses);
        self.contacts.remember(others);
    }

    /// What [`Persist`] named `mark` is safe on disk.
    pub fn handle_persisted(&mut self, now: Time, mark: PersistMark) {
        self.see_time(now);
        let (generation, steps) = self.owner.persisted(mark);
        for step in steps {
            self.commit(now, step);
        }
        if let Some(generation) = generation {
            self.begin_life(now, generation);
        }
        self.tell_concerned(now);
        self.depart_if_ready(now);
    }

    /// What [`Persist`] named `mark` could not be saved. All writes that wait for the disk are dropped; what is left is
    /// to be saved again after an interval.
    pub fn handle_persist_failed(&mut self, now: Time, mark: PersistMark) {
        self.owner.persist_failed(mark, now.moment + self.config.interval);
        self.look_for_tombstones(now);
        self.drop_unsaved_requests(now.moment);
        self.answer_all_again();
        self.depart_if_ready(now);
    }

    // The owner commands.

    /// Sets keys of this node to values, all in one version: a reader sees all of them or none. Returns that version.
    /// With a disk, the write shows once it is safe: when [`own_version`](Self::own_version) has come this far.
    ///
    /// # Errors
    /// A bound would be broken. Nothing has moved then.
    pub fn set(
        &mut self,
        now: Time,
        pairs: impl IntoIterator<Item = (Key, Value)>,
    ) -> Result<Version, WriteError> {
        self.set_for(now, pairs, Lifetime::default())
    }

    /// Sets keys of this node to values that are there for a `lifetime`; otherwise as [`set`](Self::set).
    ///
    /// # Errors
    /// As for [`set`](Self::set), or the time to live is none.
    pub fn set_for(
        &mut self,
        now: Time,
        pairs: impl IntoIterator<Item = (Key, Value)>,
        lifetime: Lifetime,
    ) -> Result<Version, WriteError> {
        lifetime.check()?;
        let entry = |value| Entry::write(Some(value), lifetime, now.moment);
        self.write(now, pairs.into_iter().map(|(key, value)| (key, entry(value))).collect())
    }

    /// Deletes a key of this node; as [`set`](Self::set).
    ///
    /// # Errors
    /// There is no such key, or a bound would be broken. Nothing has moved then.
    pub fn delete(&mut self, now: Time, key: Key) -> Result<Version, WriteError> {
        self.write(now, vec![(key, Entry::delete())])
    }

    /// Sets a key of this node, or deletes it, if it shows the expected write; as [`set_for`](Self::set_for).
    ///
    /// # Errors
    /// It shows another one, or a bound would be broken. Nothing has moved then.
    pub fn change(&mut self, now: Time, request: Request) -> Result<Version, WriteError> {
        let Request { key, value, lifetime, expected } = request;
        lifetime.check()?;
        self.see_time(now);
        self.expire(now);
        self.expect(&key, expected)?;
        self.write(now, vec![(key, Entry::write(value, lifetime, now.moment))])
    }

    /// Withdraws what this node asked for, and announces that it leaves, to some nodes at once and to all others through
    /// them: as soon as its last writes are on disk. [`has_left`](Self::has_left) says when that is done. After ten seconds, or ten intervals if they are
    /// longer, the node has left in any case.
    pub fn leave(&mut self, now: Time) {
        if self.farewell.is_none() {
            self.withdraw_requests(now);
            let patience = (10 * self.config.interval).max(Duration::from_secs(10));
            self.farewell = Some(Farewell { told: 0, enough: usize::MAX, until: now.moment + patience });
            self.depart_if_ready(now);
        }
    }

    // We tell the world.

    /// The next thing to be sent.
    #[must_use]
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// What must be put on disk next. Nothing more is asked for until it was
    /// [answered](Self::handle_persisted).
    #[must_use]
    pub fn poll_persist(&mut self) -> Option<Persist> {
        let Clock { now: moment, wall, .. } = self.clock;
        self.owner.poll_persist(&self.cluster, Time { moment, wall })
    }

    /// The next thing to tell the user.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        if self.events.is_empty() {
            self.events.shrink_to(Event::FEW);
        }
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called next; [`Moment::NEVER`] while this node waits
    /// for its disk, or has left.
    #[must_use]
    pub fn poll_timeout(&self) -> Moment {
        let disk = self.owner.retry_at();
        if self.owner.is_announced && !self.has_begun() {
            return self.search_timeout().min(self.next_expiry());
        }
        if !self.is_present() {
            return disk.unwrap_or(Moment::NEVER);
        }
        let retry = self.accused.iter().filter_map(|&id| self.retry_of(id)).min();
        let end = self.farewell.as_ref().map(|farewell| farewell.until);
        let streams = self.streams.next_deadline();
        let requests = self.requests_due();
        let others = [self.exchanges.next_failure(), retry, self.alarms.due(), disk, end, streams, requests];
        others
            .into_iter()
            .flatten()
            .fold(self.clock.next.min(self.rumors_due()), Moment::min)
            .min(self.next_expiry())
    }

    // Private steps.

    /// Whether this node takes part: it has begun, and has not left.
    fn is_present(&self) -> bool {
        self.has_begun() && !self.has_left()
    }

    fn say(&mut self, now: Time, id: NodeId, kind: EventKind) {
        let event = self.event(now, id, kind);
        self.events.extend(event);
    }

    fn event(&self, now: Time, id: NodeId, kind: EventKind) -> Option<Event> {
        let endpoint = self.cluster.endpoint(id)?;
        let (node, generation) = (endpoint.name().clone(), endpoint.generation());
        Some(Event { at: now.wall, node, generation, kind })
    }

    fn say_changes(&mut self, now: Time, id: NodeId, changes: Vec<Change>) {
        for (key, value, version) in changes.into_iter().filter(|(key, ..)| !key.is_reserved()) {
            let kind = match value {
                Some(value) => EventKind::Set { key, value, version },
                None => EventKind::Deleted { key, version },
            };
            self.say(now, id, kind);
        }
    }

    /// This node is told the time.
    fn see_time(&mut self, now: Time) {
        self.clock.now = self.clock.now.max(now.moment);
        self.clock.wall = now.wall;
    }

    fn drop_for(&mut self, reason: &'static str) {
        *self.dropped.entry(reason).or_default() += 1;
    }
}

/// A random part of `span`.
fn random_part(rng: &mut Rng, span: Duration) -> Duration {
    span * u32::try_from(rng.below(1_000)).expect("below a thousand") / 1_000
}
