//! The steps of a round: beat, choose, begin an exchange.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use super::{Gossiper, REPAIRS, REPEATS, RETRIES};
use crate::bounds;
use crate::config::Mode;
use crate::delta::Delta;
use crate::digest::{self, Depth, Signs, SynKind};
use crate::endpoint::EndpointState;
use crate::exchange::Exchange;
use crate::message::{Age, Beat, Beats, Body, Cookie, HeadLine, Message, Sender, Window};
use crate::name::NodeId;
use crate::peer::Transmit;
use crate::round::{self, Standings};
use crate::sketch::Sketch;
use crate::snapshot::Standing;
use crate::time::{Moment, Time};
use crate::version::Heartbeat;
use crate::wire::size;

impl Gossiper {
    /// One exchange after the other, `fanout` of them evenly spread over the interval; the first of them begins the
    /// round.
    pub(super) fn begin_slot(&mut self, now: Time) {
        let pace = self.pace();
        let late = now.moment.since(self.clock.next) > pace;
        self.clock.next = match self.clock.phase.take() {
            Some(phase) => now.moment + phase,
            None if late => now.moment + pace,
            None => self.clock.next + pace,
        };
        let slot = self.clock.slot;
        self.clock.slot = (slot + 1) % self.config.fanout;
        if slot == 0 {
            self.begin_round(now);
        } else if slot < self.partners().len() {
            let live = self.rng.pick(&self.contacts.among(&self.cluster, Standing::Live)).copied();
            live.into_iter().for_each(|id| self.gossip_with(now, id));
        }
    }

    /// The live nodes with which this one may gossip.
    pub(super) fn partners(&self) -> Cow<'_, [NodeId]> {
        self.contacts.among(&self.cluster, Standing::Live)
    }

    fn pace(&self) -> Duration {
        self.config.interval / u32::try_from(self.config.fanout).expect("the fan-out is small")
    }

    /// Beats, forgets what is over, and gossips with whom the three rules choose.
    fn begin_round(&mut self, now: Time) {
        self.beat(now);
        self.contacts.forgive(now.moment);
        self.cluster.begin_round();
        self.forget_the_long_gone(now);
        self.reckon_supply();
        self.flow.begin_round(self.cluster.live().len() + 1, now.moment);
        (self.clock.retries, self.clock.repeats, self.clock.repairs) = (RETRIES, REPEATS, REPAIRS);
        self.clock.parts = PARTS;
        self.forget_evidence(now);
        self.collect_if_due(now);
        self.exchanges.forget(now.moment, 10 * self.config.interval.max(Duration::from_millis(100)));
        self.answer_claims(now);
        self.go_on_answering(now);
        let (ids, addresses) = self.choose();
        ids.into_iter().flatten().for_each(|id| self.gossip_with(now, id));
        addresses.into_iter().flatten().for_each(|address| self.gossip_at(now, address, None));
    }

    /// Whom the three rules choose: nodes that are known, and addresses.
    fn choose(&mut self) -> ([Option<NodeId>; 2], [Option<SocketAddr>; 2]) {
        let contacts = &self.contacts;
        let live = contacts.among(&self.cluster, Standing::Live);
        let lost = contacts.among(&self.cluster, Standing::Unreachable);
        // The addresses of an earlier life count until somebody live is known.
        let alone = live.is_empty() && !contacts.has_neighbours();
        let remembered = if alone { contacts.remembered() } else { &[] };
        let seeds = if flaw!(SeedsForgotten) && !live.is_empty() { &[] } else { contacts.seeds() };
        let among = Standings {
            live: live.len(),
            unreachable: lost.len() + remembered.len(),
            seeds: seeds.len(),
            rule: self.config.seed_rule,
        };
        let is_seed = |place: usize| {
            let endpoint = live.get(place).and_then(|&id| self.cluster.endpoint(id));
            endpoint.is_some_and(|endpoint| seeds.contains(&endpoint.address()))
        };
        let partners = round::partners(&mut self.rng, among, is_seed);
        let one = partners.live.and_then(|place| live.get(place));
        let past = partners.unreachable.and_then(|place| remembered.get(place.checked_sub(lost.len())?));
        let lost = partners.unreachable.and_then(|place| lost.get(place));
        let seed = partners.seed.and_then(|place| seeds.get(place));
        ([one.copied(), lost.copied()], [past.copied(), seed.copied()])
    }

    fn beat(&mut self, now: Time) {
        let highest = bounds::highest_heartbeat(now.wall, self.cluster.own().generation());
        let own = self.cluster.own_mut();
        if flaw!(HeartRaces) {
            own.heartbeat = Heartbeat(own.heartbeat.0 + 1);
        }
        if flaw!(HeartFalls) && own.heartbeat.0.is_multiple_of(16) {
            own.heartbeat = Heartbeat(own.heartbeat.0 / 2);
        }
        // Never backwards, also where the wall clock went back.
        own.heartbeat = Heartbeat((own.heartbeat.0 + 1).min(highest.0)).max(own.heartbeat);
        own.authored = now.moment;
    }

    /// Gossips with a node that is known, the way that is configured.
    pub(super) fn gossip_with(&mut self, now: Time, id: NodeId) {
        if let Some(address) = self.address_to_try(id) {
            self.gossip_at(now, address, Some(id));
        }
    }

    /// Gossips with whoever is at `address`, supposedly `with`.
    fn gossip_at(&mut self, now: Time, address: SocketAddr, with: Option<NodeId>) {
        match self.config.mode {
            Mode::Push if self.is_accepted() => self.push(now, address, None, self.config.datagram),
            Mode::PushPull | Mode::Pull | Mode::Push => self.begin_exchange(now, address, with),
        }
    }

    /// Whether somebody answered in this life: until then nobody may believe its generation, and a push would never tell.
    pub(super) fn is_accepted(&self) -> bool {
        self.owner.accepted >= self.cluster.own().generation()
    }

    /// Turns to `id` for an answer, whatever is configured, with a SYN of at most `room` bytes.
    pub(super) fn probe(&mut self, now: Time, id: NodeId, room: usize) {
        if let Some(address) = self.address_to_try(id) {
            self.ask(now, address, Some(id), None, room);
        }
    }

    /// Tells `id` of the departure. By a pull, it would have to ask at the right time.
    pub(super) fn say_goodbye(&mut self, now: Time, id: NodeId) {
        let Some(address) = self.cluster.endpoint(id).map(|endpoint| endpoint.address()) else { return };
        match self.config.mode {
            Mode::PushPull => self.begin_exchange(now, address, Some(id)),
            Mode::Push | Mode::Pull => self.push(now, address, None, self.config.datagram),
        }
    }

    /// Pushes in at most `room` bytes; to `back`, if it is an answer to one that pushed.
    pub(super) fn push(&mut self, now: Time, to: SocketAddr, back: Option<Sender>, room: usize) {
        let signs = self.signs(now.moment, back);
        let sizes = (room, self.config.datagram);
        let push = digest::push(&self.cluster, signs, self.window_from, now.moment, sizes);
        self.turn_window(push.window.as_ref());
        self.transmit(to, 0, Body::Push(push));
    }

    /// The next window begins where this one ends.
    fn turn_window(&mut self, window: Option<&Window>) {
        if let Some(window) = window {
            self.window_from = NodeId(window.last.0.wrapping_add(1));
        }
    }

    pub(super) fn begin_exchange(&mut self, now: Time, to: SocketAddr, with: Option<NodeId>) {
        self.ask(now, to, with, None, self.config.datagram);
    }

    /// Begins an exchange with a SYN of at most `room` bytes.
    pub(super) fn ask(
        &mut self,
        now: Time,
        to: SocketAddr,
        with: Option<NodeId>,
        cookie: Option<Cookie>,
        room: usize,
    ) {
        let is_live = with.is_some_and(|id| self.cluster.standing(id) == Some(Standing::Live));
        // Whoever holds the same answers with beats, and nobody waits for a head.
        let is_idle = is_live && self.is_calm() && !self.cluster.equals().is_empty();
        let mut signs = if is_idle { self.evidence_alone(now.moment) } else { self.signs(now.moment, None) };
        signs.share = self.flow.share();
        let depth = self.depth(is_live);
        let is_pull = self.config.mode != Mode::PushPull;
        let syn = digest::syn(&self.cluster, signs, SynKind { is_pull, cookie, depth }, room);
        self.turn_window(syn.window.as_ref());
        let fails = Some(now.moment + self.patience_for_an_answer());
        let generation = self.cluster.own().generation();
        let expected = with.filter(|&id| is_live || self.is_tried(id));
        let (summary, listed) = (syn.summary, syn.lines.last().map(|line| line.id));
        let exchange = Exchange { to, with: expected, sent: now.moment, fails, generation, summary, listed };
        let number = self.exchanges.begin(&mut self.rng, exchange);
        self.transmit(to, number, Body::Syn(syn));
    }

    /// How far the next SYN has to go, to one that is live, or is not. What recent lines do not explain, a sketch tells in a few
    /// hundred bytes where little differs, which is most likely, and in a datagram where it is more; where much does, windows
    /// tell part after part of it, with a sketch in between.
    fn depth(&mut self, is_live: bool) -> Depth {
        if !is_live {
            return Depth::Window(self.window_from);
        }
        if !self.wide {
            return Depth::Recent;
        }
        let tried = self.sketched;
        self.sketched = (tried + 1) % 5;
        let most = match tried {
            0 => FEW_CELLS,
            1 => Sketch::MOST,
            _ if flaw!(Unsketched) => Sketch::MOST,
            _ => return Depth::Window(self.window_from),
        };
        self.keep_sketch();
        Depth::Sketch(most)
    }

    /// Keeps a sketch that fills a datagram.
    pub(super) fn keep_sketch(&mut self) {
        self.cluster.keep_sketch(self.config.datagram / size::SMALLEST_CELL);
    }

    pub(super) fn transmit(&mut self, to: SocketAddr, exchange: u32, body: Body) {
        let message = self.message(exchange, body);
        self.transmits.push_back(Transmit::Datagram { to, message });
    }

    /// `body` as a message of this node.
    pub(super) fn message(&mut self, exchange: u32, body: Body) -> Message {
        let deltas = match &body {
            Body::Ack(ack) => ack.deltas.as_slice(),
            Body::Ack2(news) => news.deltas.as_slice(),
            Body::Push(push) => push.deltas.as_slice(),
            Body::Rumor(rumor) => rumor.deltas.as_slice(),
            Body::Syn(_)
            | Body::Refusal(_)
            | Body::Help(_)
            | Body::Report(_)
            | Body::Fetch(_)
            | Body::FetchPieces(_)
            | Body::Piece(_)
            | Body::Who(_)
            | Body::Namesake(_)
            | Body::Ask(_) => &[],
        };
        let own = self.cluster.own();
        let (id, head, max) = (self.cluster.me(), own.head(), own.max_version());
        let tells_all = |delta: &Delta| delta.owner == id && delta.through == max;
        let says_goodbye = deltas.iter().any(tells_all) && own.has_departed();
        if let Some(farewell) = self.farewell.as_mut().filter(|_| says_goodbye) {
            farewell.told += 1;
        }
        Message { sender: Sender { id, head, max }, exchange, body }
    }

    /// What to tell of others' lives.
    pub(super) fn signs(&mut self, now: Moment, asker: Option<Sender>) -> Signs {
        Signs { heads: self.heads(now, asker, self.config.heads), ..self.evidence_alone(now) }
    }

    fn evidence_alone(&mut self, now: Moment) -> Signs {
        Signs { heads: Vec::new(), evidence: self.evidence_to_tell(now), beats: None, share: None }
    }

    /// What to tell of others' lives to `asker`, who holds the same.
    pub(super) fn signs_for_equal(&mut self, now: Moment, asker: Sender) -> Signs {
        if !self.is_calm() {
            return self.signs(now, Some(asker));
        }
        let heads = self.heads(now, Some(asker), 0);
        Signs { heads, beats: self.beats(now), ..self.evidence_alone(now) }
    }

    /// Whether nobody waits for a head: all are believed to run, nothing speaks against anybody, and all gossip with all.
    fn is_calm(&self) -> bool {
        let is_unquestioned = self.cluster.roll(Standing::Unreachable).is_empty() && self.accused.is_empty();
        is_unquestioned && !self.contacts.has_neighbours()
    }

    /// The beats to tell: of all nodes in turn, by id.
    fn beats(&mut self, now: Moment) -> Option<Beats> {
        let all = self.cluster.endpoints();
        let first = self.beat_from % all.len();
        let run = all.after(first).take(self.config.heads);
        let beat = |(_, endpoint): (NodeId, &EndpointState)| {
            #[allow(clippy::cast_possible_truncation)] // Its lowest half.
            let round = endpoint.heartbeat.0 as u16;
            Beat { round, age: Age::of(now.since(endpoint.authored)) }
        };
        let beats: Vec<_> = run.map(beat).collect();
        self.beat_from = first + beats.len();
        Some(Beats { first: u32::try_from(first).ok()?, beats })
    }

    /// The head that `beat` of the node at `place` is to one who holds the same, if it has come further than is known here.
    pub(super) fn head_of(&self, place: usize, beat: &Beat) -> Option<HeadLine> {
        let (id, endpoint) = self.cluster.endpoints().after(place).next()?;
        let known = endpoint.heartbeat.0;
        #[allow(clippy::cast_possible_truncation)] // Its lowest half.
        let later = beat.round.wrapping_sub(known as u16).cast_signed();
        let rounds = u64::try_from(later).ok().filter(|rounds| *rounds > 0)?;
        let heartbeat = Heartbeat(known.checked_add(rounds)?);
        let head = HeadLine { id, generation: endpoint.generation(), heartbeat, age: beat.age.span() };
        (id != self.cluster.me()).then_some(head)
    }

    /// The heads to tell: those of the live in turn, so that each comes round as often as any; before them as many of those
    /// whom others may take for dead; before them all that of `asker`, if something higher is told of it than it says itself.
    fn heads(&mut self, now: Moment, asker: Option<Sender>, most: usize) -> Vec<HeadLine> {
        let live = self.cluster.live();
        let line = |id: NodeId| Some(self.cluster.endpoint(id)?.head_line(id, now));
        let outdone =
            |asker: &Sender| self.cluster.endpoint(asker.id).is_some_and(|known| known.head() > asker.head);
        let count = most.min(live.len());
        let back = self.acquitted.len().min(self.config.heads);
        let first = asker.filter(outdone).and_then(|asker| line(asker.id));
        let mut heads = Vec::with_capacity(count + back + usize::from(first.is_some()));
        heads.extend(first);
        let skipped = self.head_from % self.acquitted.len().max(1);
        let acquitted = self.acquitted.keys().cycle().skip(skipped).take(back).copied();
        heads.extend(acquitted.filter(|&id| asker.is_none_or(|asker| asker.id != id)).filter_map(line));
        let (before, from) = live.split_at(self.head_from.checked_rem(live.len()).unwrap_or(0));
        let ids = from.iter().chain(before).take(count).copied();
        heads.extend(ids.filter(|&id| asker.is_none_or(|asker| asker.id != id)).filter_map(line));
        self.head_from = self.next_place(live.len(), count, count.max(back));
        heads
    }

    /// The place among `live` where the next heads begin, after `count` of them and `told` in all. Every fourth lap or
    /// so begins one place further than the one before: those who gossip with this node in a fixed order, as the leaves of a
    /// star do, could be told the same few for ever.
    fn next_place(&mut self, live: usize, count: usize, told: usize) -> usize {
        let next = self.head_from.wrapping_add(told);
        if count == live || self.head_from % live + told < live {
            return next;
        }
        next.wrapping_add(usize::from(self.rng.below(4) == 0))
    }

    /// Where some random live nodes are.
    pub(super) fn some_live_addresses(&mut self, count: usize) -> Vec<SocketAddr> {
        let picks = (0..count).filter_map(|_| self.rng.pick(self.cluster.live()).copied());
        let picks: BTreeSet<NodeId> = picks.collect();
        picks.into_iter().filter_map(|id| Some(self.cluster.endpoint(id)?.address())).collect()
    }
}

/// So many cells tell of ten changed owners, most of the time: each is a line of one node and a line of the other.
const FEW_CELLS: usize = 40;
/// How many datagrams a node sends in a round of what the one that ends or answers an exchange does not hold.
const PARTS: usize = 8;
