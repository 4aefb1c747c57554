//! What goes out and what is kept: B1, B2, B3, B5, S9.

use std::time::Duration;

use tidings_core::{Body, Config, Gossiper, Message, Moment};

use super::{Checker, Promise};
use crate::node::{Place, SimNode};

/// How much a node began of late.
#[derive(Debug, Default)]
pub(super) struct Rate {
    /// The exchanges of the present interval.
    begun: Window,
    /// How many exchanges it began since all had come true.
    pub in_calm: u32,
    looked_at: Moment,
    /// The rumors and requests of the present second.
    rumors: Window,
    /// The alarms of the present interval.
    alarms: Window,
}

/// How often something happened in the present span of time.
#[derive(Debug, Default)]
struct Window {
    since: Moment,
    count: u32,
}

impl Window {
    /// It happens once more, at `now`. Returns how often it did since the present `span` began.
    fn add(&mut self, now: Moment, span: Duration) -> u32 {
        if now.since(self.since) >= span {
            *self = Self { since: now, count: 0 };
        }
        self.count += 1;
        self.count
    }
}

/// How often a node gives alarms in an interval.
const ALARMS: u32 = 10;

/// How many exchanges a node may begin: B3.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    /// In a round.
    round: u32,
    /// From one round to the next, beside rounds: suspects tried again, exchanges repeated, gaps repaired; see PROTOCOL.md.
    beside: u32,
}

impl Most {
    /// What `config` allows. Whatever else may begin something has its budget here.
    pub(super) fn of(config: &Config) -> Self {
        let fanout = u32::try_from(config.fanout).unwrap_or(u32::MAX);
        // The fan-out's, one with a node that does not answer, and one with a seed.
        Self { round: fanout.saturating_add(2), beside: 8 + 4 + 4 }
    }

    /// In an interval of ours: two rounds may lie in it.
    fn in_an_interval(self) -> u32 {
        2 * (self.round + self.beside)
    }

    /// In so many intervals of the calm, by a clock that is a little too fast.
    pub(super) fn in_calm(self, intervals: u32) -> u32 {
        self.round * (intervals + 2) + self.beside
    }
}

/// How many exchanges a node remembers, and streams that it opened, and that it serves.
const EXCHANGES: usize = 256;
/// How many rumors one turn may tell, whatever it leaves of the budget: to both sides on the ring, or to all neighbours.
const TURN: u32 = 64;
const FETCHING: usize = 4;
const SERVING: usize = 16;

impl Checker {
    /// A node sends a datagram of `len` bytes.
    pub(crate) fn sends(&mut self, now: Moment, place: Place, node: &SimNode, message: &Message, len: usize) {
        if len > node.config.datagram {
            let what = format_args!("sends a datagram of {len} bytes: {} are allowed", node.config.datagram);
            self.break_promise(Promise::B2, now, place, what);
        }
        self.look_at_heads(now, place, message);
        self.look_at_saved(now, place, node, message);
        if matches!(&message.body, Body::Rumor(rumor) if !rumor.evidence.is_empty()) {
            self.look_at_alarms(now, place, node);
        } else if matches!(message.body, Body::Rumor(_) | Body::Ask(_)) {
            self.look_at_rumors(now, place, node);
        }
        if matches!(message.body, Body::Syn(_) | Body::Push(_)) {
            let interval = node.config.interval;
            let most = Most::of(&node.config).in_an_interval();
            let rate = &mut self.view(place).rate;
            rate.in_calm += 1;
            let begun = rate.begun.add(now, interval);
            if begun > most {
                let what = format_args!("begins {begun} exchanges in an interval: {most} are allowed");
                self.break_promise(Promise::B3, now, place, what);
            }
        }
    }

    /// B3: ten alarms in an interval, each to eight or to those on both sides of the ring.
    fn look_at_alarms(&mut self, now: Moment, place: Place, node: &SimNode) {
        let interval = node.config.interval;
        let each = (usize::BITS - self.views.len().leading_zeros()).max(8);
        let most = (2 * ALARMS + 1) * each;
        let told = self.view(place).rate.alarms.add(now, interval);
        if told > most {
            let what = format_args!("gives alarms {told} times in an interval: {most} are allowed");
            self.break_promise(Promise::B3, now, place, what);
        }
    }

    /// B3: rumors, and requests for what they offer, keep to their budgets: of each, a quarter of a second may be taken in
    /// advance.
    fn look_at_rumors(&mut self, now: Moment, place: Place, node: &SimNode) {
        let most = node.config.rumor_datagrams * 5 / 2 + TURN;
        let told = self.view(place).rate.rumors.add(now, Duration::from_secs(1));
        if told > most {
            let what = format_args!("tells and asks for {told} rumors in a second: {most} are allowed");
            self.break_promise(Promise::B3, now, place, what);
        }
    }

    /// A node sends a message of `len` bytes on a stream.
    pub(crate) fn sends_frame(
        &mut self,
        now: Moment,
        place: Place,
        node: &SimNode,
        message: &Message,
        len: usize,
    ) {
        let most = node.config.longest_message();
        if len > most {
            let what = format_args!("sends {len} bytes in a frame: {most} are allowed");
            self.break_promise(Promise::B2, now, place, what);
        }
        self.look_at_saved(now, place, node, message);
    }

    /// S9: what is told was saved before.
    fn look_at_saved(&mut self, now: Moment, place: Place, node: &SimNode, message: &Message) {
        if !node.config.durable {
            return;
        }
        let generation = message.sender.head.generation;
        let told = &mut self.view(place).told;
        *told = (*told).max(generation);
        let saved = node.disk.as_ref().map(|saved| saved.generation).unwrap_or_default();
        if generation > saved {
            let what = format_args!("tells generation {generation}, and {saved} is on its disk");
            self.break_promise(Promise::S9, now, place, what);
        }
    }

    /// B1, B5: what a node keeps is within its bounds.
    pub(super) fn look_at_load(&mut self, now: Moment, place: Place, node: &SimNode, core: &Gossiper) {
        let view = self.view(place);
        let interval = view.interval;
        if now.since(view.rate.looked_at) < interval / 2 {
            return;
        }
        view.rate.looked_at = now;
        self.look_at_urgent(now);
        let view = self.view(place);
        let kept = 12 * interval.max(Duration::from_millis(100));
        let rested = view.paused_at.is_none() && view.slept_at.is_none_or(|at| now.since(at) > 2 * kept);
        let load = core.load(node.moment(now));
        let known = core.ids().len();
        let most = node.config.max_nodes;
        if known > most {
            self.break_promise(
                Promise::B1,
                now,
                place,
                format_args!("knows {known} nodes: {most} are allowed"),
            );
        }
        if load.certificates > most {
            let what = format_args!("keeps {} certificates: {most} are allowed", load.certificates);
            self.break_promise(Promise::B1, now, place, what);
        }
        if load.recent > known + load.certificates {
            let what = format_args!("keeps {} changes of {known} nodes", load.recent);
            self.break_promise(Promise::B1, now, place, what);
        }
        let is_old = rested && load.oldest_exchange > kept;
        if load.exchanges > EXCHANGES || is_old {
            let what = format_args!(
                "keeps {} exchanges, one of them for {:?}",
                load.exchanges, load.oldest_exchange
            );
            self.break_promise(Promise::B5, now, place, what);
        }
        if load.fetching > FETCHING || load.serving > SERVING || load.queued > 0 {
            self.break_promise(Promise::B5, now, place, format_args!("keeps {load:?}"));
        }
        if load.accused > known || load.acquitted > known {
            self.break_promise(Promise::B5, now, place, format_args!("keeps {load:?} of {known} nodes"));
        }
    }

    /// All has come true: from now on, rounds are all that there is.
    pub(super) fn forget_rates(&mut self) {
        self.views.iter_mut().for_each(|view| view.rate.in_calm = 0);
    }

    /// B3: in the calm, a node begins what its rounds do, and nothing besides for long.
    pub(super) fn look_at_rate(&mut self, now: Moment, place: Place, most: u32) {
        let begun = self.view(place).rate.in_calm;
        if begun > most {
            let what = format_args!("begins {begun} exchanges in the calm: {most} are allowed");
            self.break_promise(Promise::B3, now, place, what);
        }
    }
}
