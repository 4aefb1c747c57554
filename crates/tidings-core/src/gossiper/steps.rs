//! The steps of a round: beat, choose, begin an exchange.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use super::{Gossiper, REPEATS, RETRIES, Transmit};
use crate::bounds;
use crate::digest::{self, Signs};
use crate::exchange::Exchange;
use crate::message::{Body, HeadLine, Message, Sender};
use crate::name::NodeId;
use crate::round::{self, Partners, Standings};
use crate::snapshot::Standing;
use crate::time::{Moment, Time};
use crate::version::Heartbeat;

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
        } else if slot < self.liveness.live().len() {
            let live = self.rng.pick(self.liveness.live()).copied();
            live.into_iter().for_each(|id| self.gossip_with(now, id));
        }
    }

    fn pace(&self) -> Duration {
        self.config.interval / u32::try_from(self.config.fanout).expect("the fan-out is small")
    }

    /// Beats, forgets what is over, and gossips with whom the three rules choose.
    fn begin_round(&mut self, now: Time) {
        self.beat(now);
        self.contacts.forgive(now.moment);
        self.cluster.begin_round();
        (self.clock.retries, self.clock.repeats) = (RETRIES, REPEATS);
        self.forget_evidence(now);
        self.exchanges.forget(now.moment, 10 * self.config.interval.max(Duration::from_millis(100)));
        self.answer_claims(now);
        let (live, unreachable) = (self.liveness.live(), self.liveness.unreachable());
        let contacts = &self.contacts;
        // The addresses of an earlier life count until somebody live is known.
        let remembered = if live.is_empty() { contacts.remembered.as_slice() } else { &[] };
        let among = Standings {
            live: live.len(),
            unreachable: unreachable.len() + remembered.len(),
            seeds: contacts.seeds.len(),
            rule: self.config.seed_rule,
        };
        let is_seed = |place: usize| {
            let endpoint = live.get(place).and_then(|&id| self.cluster.endpoint(id));
            endpoint.is_some_and(|endpoint| contacts.seeds.contains(&endpoint.address))
        };
        let Partners { live: one, unreachable: lost, seed } = round::partners(&mut self.rng, among, is_seed);
        let one = one.and_then(|place| live.get(place)).copied();
        let remembered =
            lost.and_then(|place| remembered.get(place.checked_sub(unreachable.len())?)).copied();
        let lost = lost.and_then(|place| unreachable.get(place)).copied();
        let seed = seed.and_then(|place| contacts.seeds.get(place)).copied();
        [one, lost].into_iter().flatten().for_each(|id| self.gossip_with(now, id));
        [remembered, seed].into_iter().flatten().for_each(|address| self.gossip_at(now, address));
    }

    fn beat(&mut self, now: Time) {
        let me = self.cluster.me();
        let highest = bounds::highest_heartbeat(now.wall, self.cluster.own().replica.generation());
        let own = self.cluster.life_mut(me).expect("this node is in its own view");
        // Never backwards, also where the wall clock went back.
        own.heartbeat = Heartbeat((own.heartbeat.0 + 1).min(highest.0)).max(own.heartbeat);
        own.authored = now.moment;
    }

    /// Begins an exchange with a node that is known.
    pub(super) fn gossip_with(&mut self, now: Time, id: NodeId) {
        if let Some(address) = self.cluster.endpoint(id).map(|endpoint| endpoint.address) {
            self.begin_exchange(now, address, Some(id));
        }
    }

    /// Begins an exchange with whoever is at `address`.
    fn gossip_at(&mut self, now: Time, address: SocketAddr) {
        self.begin_exchange(now, address, None);
    }

    pub(super) fn begin_exchange(&mut self, now: Time, to: SocketAddr, with: Option<NodeId>) {
        let live = with.filter(|&id| self.liveness.standing(id) == Some(Standing::Live));
        let signs = self.signs(now.moment, None);
        let window = (self.wide || live.is_none()).then_some(self.window_from);
        let syn = digest::syn(&self.cluster, signs, window, self.config.datagram);
        if let Some(window) = &syn.window {
            self.window_from = NodeId(window.last.0.wrapping_add(1));
        }
        let fails = Some(now.moment + self.patience_for_an_answer());
        let generation = self.cluster.own().replica.generation();
        let exchange = Exchange { to, with: live, sent: now.moment, fails, generation, summary: syn.summary };
        let number = self.exchanges.begin(&mut self.rng, exchange);
        self.transmit(to, number, Body::Syn(syn));
    }

    pub(super) fn transmit(&mut self, to: SocketAddr, exchange: u32, body: Body) {
        let deltas = match &body {
            Body::Ack(ack) => ack.deltas.as_slice(),
            Body::Ack2(deltas) => deltas.as_slice(),
            Body::Syn(_) | Body::Refusal(_) | Body::Help(_) | Body::Report(_) => &[],
        };
        let own = self.cluster.own();
        let (id, head, max) = (self.cluster.me(), own.head(), own.replica.max_version());
        let says_goodbye =
            own.has_departed() && deltas.iter().any(|delta| delta.owner == id && delta.through == max);
        if let Some(farewell) = self.farewell.as_mut().filter(|_| says_goodbye) {
            farewell.told += 1;
        }
        let sender = Sender { id, head, max };
        self.transmits.push_back(Transmit { to, message: Message { sender, exchange, body } });
    }

    /// What to tell of others' lives.
    pub(super) fn signs(&mut self, now: Moment, asker: Option<Sender>) -> Signs {
        Signs { heads: self.heads(now, asker), evidence: self.evidence_to_tell(now) }
    }

    /// The heads to tell: those of the live in turn, so that each comes round as often as any; before them all that of
    /// `asker`, if something higher is told of it than it says itself.
    fn heads(&mut self, now: Moment, asker: Option<Sender>) -> Vec<HeadLine> {
        let live = self.liveness.live();
        let line = |id: NodeId| Some(self.cluster.endpoint(id)?.head_line(id, now));
        let outdone =
            |asker: &Sender| self.cluster.endpoint(asker.id).is_some_and(|known| known.head() > asker.head);
        let mut heads: Vec<_> = asker.filter(outdone).and_then(|asker| line(asker.id)).into_iter().collect();
        let count = self.config.heads.min(live.len());
        let ids = (0..count).map(|step| live[(self.head_from + step) % live.len()]);
        heads.extend(ids.filter(|&id| asker.is_none_or(|asker| asker.id != id)).filter_map(line));
        self.head_from = self.head_from.wrapping_add(count);
        heads
    }

    /// Where some random live nodes are.
    pub(super) fn some_live_addresses(&mut self, count: usize) -> Vec<SocketAddr> {
        let picks = (0..count).filter_map(|_| self.rng.pick(self.liveness.live()).copied());
        let picks: BTreeSet<NodeId> = picks.collect();
        picks.into_iter().filter_map(|id| Some(self.cluster.endpoint(id)?.address)).collect()
    }
}
