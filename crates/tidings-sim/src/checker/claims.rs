//! What a node does with its own life: S6 of heartbeats and generations.

use std::time::Duration;

use tidings_core::{
    Body, Delta, Evidence, Generation, Head, HeadLine, Heartbeat, Line, Message, Moment, NodeId, Version,
};

use super::{Checker, Promise};
use crate::node::Place;

/// What a node was told of itself, and since when its heart beats from where.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// The highest generation that anybody said it has, where that, or what is said of its state, is more than it has.
    life: Option<Generation>,
    /// Whether somebody did not believe its generation.
    was_refused: bool,
    since: Moment,
    from: Heartbeat,
}

/// How often a heart may beat beside its rounds: at the start, and where two rounds lie in one interval of ours.
const EXTRA: u64 = 2;

impl Claims {
    /// A life begins.
    pub(super) fn begin(now: Moment) -> Self {
        Self { since: now, ..Self::default() }
    }

    /// The highest heartbeat that rounds of `interval` can have led to, by a clock that is a tenth too fast.
    fn highest(&self, now: Moment, interval: Duration) -> Heartbeat {
        let rounds = 11 * now.since(self.since).as_micros() / (10 * interval.as_micros().max(1));
        Heartbeat(self.from.0.saturating_add(EXTRA).saturating_add(u64::try_from(rounds).unwrap_or(u64::MAX)))
    }
}

impl Checker {
    /// Whether some node was told of a later life of itself than it has.
    pub(super) fn has_claims(&self) -> bool {
        self.views.iter().any(|view| view.claims.life.is_some())
    }

    /// A node is about to be told `message`: what does it say of that node itself?
    pub(super) fn hears_of_itself(&mut self, now: Moment, place: Place, message: &Message) {
        let view = self.view(place);
        let (Some(me), Some(own), own_max) = (view.me, view.own, view.own_max) else { return };
        view.claims.was_refused |= matches!(message.body, Body::Refusal(_));
        each_told(message, me, &mut |generation, heartbeat, max| {
            let claims = &mut view.claims;
            if generation > own.generation || generation == own.generation && max > own_max {
                claims.life = claims.life.max(Some(generation));
            }
            // A heartbeat that is told of it is outrun (G2).
            if generation == own.generation && heartbeat > own.heartbeat {
                (claims.since, claims.from) = (now, claims.from.max(heartbeat));
            }
        });
    }

    /// S6: the heart of a node beats once in a round, and never back; a life begins for a claim, or for a refusal.
    pub(super) fn look_at_life(&mut self, now: Moment, place: Place, before: Head, head: Head) {
        let view = self.view(place);
        if head.generation == before.generation {
            let highest = view.claims.highest(now, view.interval);
            if head.heartbeat < before.heartbeat || head.heartbeat > highest {
                let (from, to) = (before.heartbeat, head.heartbeat);
                let what = format_args!("its heartbeat goes from {from} to {to}: {highest} is the highest");
                self.break_promise(Promise::S6, now, place, what);
            }
            return;
        }
        let rises = head.generation > before.generation;
        let is_claimed = view.claims.life >= Some(before.generation);
        let may = if rises { is_claimed } else { view.claims.was_refused };
        (view.claims.since, view.claims.from) = (now, Heartbeat(0));
        if !may {
            let (from, to) = (before.generation, head.generation);
            let what = format_args!("goes from generation {from} to {to}, and nobody called for that");
            self.break_promise(Promise::S6, now, place, what);
        }
    }
}

/// Calls `tell` with the generation, the heartbeat and the version of each thing that `message` says of `id`.
fn each_told(message: &Message, id: NodeId, tell: &mut dyn FnMut(Generation, Heartbeat, Version)) {
    let (heads, evidence, lines, deltas): (&[HeadLine], &[Evidence], &[Line], &[Delta]) = match &message.body
    {
        Body::Syn(syn) => (&syn.heads, &syn.evidence, &syn.lines, &[]),
        Body::Ack(ack) => (&ack.heads, &ack.evidence, &ack.lines, &ack.deltas),
        Body::Ack2(news) => (&[], &[], &[], &news.deltas),
        Body::Push(push) => (&push.heads, &push.evidence, &push.lines, &push.deltas),
        Body::Rumor(rumor) => (&[], &rumor.evidence, &rumor.lines, &rumor.deltas),
        Body::Ask(lines) => (&[], &[], lines, &[]),
        Body::Help(evidence) | Body::Report(evidence) => (&[], std::slice::from_ref(evidence), &[], &[]),
        Body::Fetch(fetch) => (&[], &[], &fetch.lines, &[]),
        Body::FetchPieces(fetch) => (&[], &[], std::slice::from_ref(&fetch.line), &[]),
        Body::Piece(_) | Body::Who(_) | Body::Namesake(_) | Body::Refusal(_) => (&[], &[], &[], &[]),
    };
    let (window, large): (_, &[Line]) = match &message.body {
        Body::Syn(syn) => (syn.window.as_ref(), &[]),
        Body::Push(push) => (push.window.as_ref(), &push.large),
        Body::Ack(ack) => (None, &ack.large),
        Body::Ack2(news) => (None, &news.large),
        Body::Fetch(fetch) => (fetch.window.as_ref(), &[]),
        Body::Help(_) | Body::Report(_) | Body::FetchPieces(_) | Body::Piece(_) => (None, &[]),
        Body::Who(_) | Body::Namesake(_) | Body::Refusal(_) => (None, &[]),
        Body::Rumor(_) | Body::Ask(_) => (None, &[]),
    };
    let told = heads.iter().chain(evidence.iter().map(|evidence| &evidence.head));
    told.filter(|head| head.id == id).for_each(|head| tell(head.generation, head.heartbeat, Version(0)));
    let window = window.into_iter().flat_map(|window| &window.lines);
    let lines = lines.iter().chain(large).chain(window).filter(|line| line.id == id);
    lines.for_each(|line| tell_line(line, tell));
    for delta in deltas.iter().filter(|delta| delta.owner == id) {
        if delta.line().certificate().is_some() {
            tell_line(&delta.line(), tell);
            continue;
        }
        let heartbeat = delta.introduction.as_ref().map_or(Heartbeat(0), |who| who.heartbeat);
        tell(delta.generation, heartbeat, delta.through);
    }
}

/// What a line says. Whoever is forgotten up to a heartbeat goes beyond it.
fn tell_line(line: &Line, tell: &mut dyn FnMut(Generation, Heartbeat, Version)) {
    match line.certificate() {
        Some(end) => tell(end.generation, Heartbeat(end.heartbeat.0 + 1), Version(0)),
        None => tell(line.generation, Heartbeat(0), line.max),
    }
}
