//! What goes out and what is kept: B1, B2, B3, B5, S9.

use std::time::Duration;

use tidings_core::{Body, Gossiper, Message, Moment};

use super::{Checker, Promise};
use crate::node::{Place, SimNode};

/// How much a node began of late.
#[derive(Debug, Default)]
pub(super) struct Rate {
    since: Moment,
    begun: u32,
    alarms: u32,
    /// How many exchanges it began since all had come true.
    pub in_calm: u32,
    looked_at: Moment,
}

/// What a node may begin in an interval beside its rounds: suspects tried again, exchanges repeated, gaps repaired; see
/// PROTOCOL.md. Two rounds may lie in one interval of ours.
const BESIDE: u32 = 8 + 4 + 4;
/// How often it gives alarms in an interval of its own; each goes to eight, or to as many as the nodes' number has bits.
const ALARMS: u32 = 10;
/// How many exchanges a node remembers, and streams that it opened, and that it serves.
const EXCHANGES: usize = 256;
const FETCHING: usize = 4;
const SERVING: usize = 16;

/// Whether a message tells of grave evidence, and of nothing else.
fn is_alarm(body: &Body) -> bool {
    let Body::Push(push) = body else { return false };
    !push.evidence.is_empty() && push.heads.is_empty() && push.deltas.is_empty() && push.window.is_none()
}

impl Checker {
    /// A node sends a datagram of `len` bytes.
    pub(crate) fn sends(&mut self, now: Moment, place: Place, node: &SimNode, message: &Message, len: usize) {
        if len > node.config.datagram {
            let what = format_args!("sends a datagram of {len} bytes: {} are allowed", node.config.datagram);
            self.break_promise(Promise::B2, now, place, what);
        }
        self.look_at_heads(now, place, message);
        self.look_at_saved(now, place, node, message);
        if matches!(message.body, Body::Syn(_) | Body::Push(_)) {
            let interval = node.config.interval;
            let rounds = u32::try_from(node.config.fanout).unwrap_or(u32::MAX) + 2;
            let alarms = ALARMS * (usize::BITS - self.views.len().leading_zeros()).max(8);
            let rate = &mut self.view(place).rate;
            rate.in_calm += 1;
            if now.since(rate.since) >= interval {
                (rate.since, rate.begun, rate.alarms) = (now, 0, 0);
            }
            let (begun, most) = if is_alarm(&message.body) {
                rate.alarms += 1;
                (rate.alarms, 2 * alarms)
            } else {
                rate.begun += 1;
                (rate.begun, 2 * (rounds + BESIDE))
            };
            if begun > most {
                let what = format_args!("begins {begun} exchanges in an interval: {most} are allowed");
                self.break_promise(Promise::B3, now, place, what);
            }
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
        if load.recent > known {
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

    /// B3: in the calm, a node begins at most three times what its rounds do.
    pub(super) fn look_at_rate(&mut self, now: Moment, place: Place, most: u32) {
        let begun = self.view(place).rate.in_calm;
        if begun > most {
            let what = format_args!("begins {begun} exchanges in the calm: {most} are allowed");
            self.break_promise(Promise::B3, now, place, what);
        }
    }
}
