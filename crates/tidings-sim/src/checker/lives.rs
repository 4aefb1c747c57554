//! Who is believed to run, and what that rests on: S5, S11, F2 to F5.

use tidings_core::{
    Body, Event, EventKind, Gossiper, Head, HeadLine, Heartbeat, Message, Moment, NodeId, Standing,
};

use super::{Checker, Promise, View};
use crate::node::{Place, SimNode};

/// How often a node may be convicted by another one, and in how many intervals, where links fail one way.
const FLAPS: usize = 2;
const SPAN: u32 = 60;
/// How many intervals after its start, or after it was away, a node may be convicted for that: nobody is, who ran for longer.
const SETTLED: u32 = 12;

impl Checker {
    /// A node told its user something.
    pub(crate) fn says(&mut self, now: Moment, place: Place, core: &Gossiper, event: &Event) {
        let id = self.ids.get(&event.node).copied().unwrap_or_else(|| event.node.id());
        let view = self.view(place);
        view.touched.push(id);
        let is_mine = view.me == Some(id);
        if let Some(what) = view.seen.entry(id).or_default().picture.live_on(event, is_mine) {
            let name = self.name(id);
            self.break_promise(Promise::S11, now, place, format_args!("tells that {name} {what}"));
        }
        let is_belief = !matches!(
            event.kind,
            EventKind::Set { .. } | EventKind::Deleted { .. } | EventKind::StreamFailed { .. }
        );
        if is_belief {
            self.believed_at = Some(now);
        }
        match &event.kind {
            EventKind::Set { .. } | EventKind::Deleted { .. } => self.says_change(now, place, id, event),
            EventKind::StreamFailed { .. } => self.count("streams given up"),
            EventKind::Forgotten { remembered_for } => {
                self.says_forgotten(now, place, core, id, now + *remembered_for);
            }
            EventKind::Joined => self.look_for_the_dead(now, place, core, id),
            EventKind::Restarted => self.count("restarts seen"),
            EventKind::Live => self.says_live(now, place, core, id, event),
            EventKind::Unreachable { .. } => self.says_unreachable(now, place, core, id, event),
            EventKind::Departed => {
                self.count("departures seen");
                let seen = self.view(place).seen.entry(id).or_default();
                let before = seen.picture.standing.replace(Standing::Departed);
                let twice = before == Some(Standing::Departed) && seen.departed >= Some(event.generation);
                seen.departed = seen.departed.max(Some(event.generation));
                if twice {
                    let what = format!("tells twice that {} departed", self.name(id));
                    self.break_promise(Promise::S11, now, place, format_args!("{what}"));
                }
            }
        }
    }

    /// A node forgot another one.
    fn says_forgotten(&mut self, now: Moment, place: Place, core: &Gossiper, id: NodeId, until: Moment) {
        self.count("forgotten nodes");
        if self.ghost(id).is_some_and(|ghost| !ghost.running.is_empty()) {
            self.count("forgotten nodes that ran");
        }
        let all = core.forgotten(Moment::default());
        let head = all.iter().find(|forgotten| forgotten.name.id() == id);
        let head = head.map(|one| Head {
            generation: one.generation,
            heartbeat: one.heartbeat.unwrap_or(Heartbeat(u64::MAX)),
        });
        let seen = self.view(place).seen.entry(id).or_default();
        let was_live = seen.picture.standing == Some(Standing::Live);
        *seen = seen.forgotten(head.unwrap_or_default(), now, until);
        self.view(place).forgotten.push(id);
        if was_live {
            let what = format!("forgets {}, which it takes for live", self.name(id));
            self.break_promise(Promise::F2, now, place, format_args!("{what}"));
        }
    }

    /// What is remembered of the forgotten may end before it was said to: others forgot them earlier.
    pub(super) fn look_at_the_forgotten(
        &mut self,
        now: Moment,
        place: Place,
        node: &SimNode,
        core: &Gossiper,
    ) {
        let (view, shown) = (self.view(place), node.moment(now));
        let View { forgotten, seen, .. } = view;
        forgotten.retain(|id| {
            let Some(seen) = seen.get_mut(id).filter(|seen| seen.forgotten.is_some()) else { return false };
            let left = core.remembers(*id, shown);
            // Clocks differ by a hundredth.
            let until = left.map(|left| now + left * 98 / 100);
            seen.forgotten = seen.forgotten.zip(until).map(|((head, at, _), until)| (head, at, until));
            until.is_some()
        });
    }

    /// S5: whoever was forgotten comes back with a greater head than it had then, or in a later life, and if it ran since.
    fn look_for_the_dead(&mut self, now: Moment, place: Place, core: &Gossiper, id: NodeId) {
        let forgotten = self.view(place).seen.entry(id).or_default().forgotten.take();
        let Some((before, at, _)) = forgotten.filter(|(.., until)| now < *until) else { return };
        self.count("forgotten nodes that came back");
        let head = core.head(id).unwrap_or_default();
        // What was on its way when it was forgotten is as old as that, or lay as long before one that slept.
        let late = self.view(place).interval + self.longest_sleep;
        let has_run = self.ghost(id).is_none_or(|ghost| {
            !ghost.running.is_empty() || ghost.away_at.is_some_and(|away| away + late >= at)
        });
        if head <= before || head.generation == before.generation && !has_run {
            let what = format!("knows {} again, forgotten at {before:?}, by {head:?}", self.name(id));
            self.break_promise(Promise::S5, now, place, format_args!("{what}"));
        }
    }

    fn says_live(&mut self, now: Moment, place: Place, core: &Gossiper, id: NodeId, event: &Event) {
        let head = core.head(id).unwrap_or_default();
        let seen = self.view(place).seen.entry(id).or_default();
        let before = seen.picture.standing.replace(Standing::Live);
        let returned = seen.departed.is_some_and(|departed| departed >= event.generation);
        let convicted_at = seen.convicted_at.take();
        let is_unfounded = !seen.was_heard && convicted_at.is_some_and(|convicted_at| head <= convicted_at);
        seen.was_heard = false;
        if before == Some(Standing::Unreachable) {
            self.count("revivals");
        }
        let name = self.name(id);
        if returned {
            let what = format_args!("takes {name} back in generation {}, which departed", event.generation);
            self.break_promise(Promise::S5, now, place, what);
        } else if before == Some(Standing::Live) {
            self.break_promise(Promise::S11, now, place, format_args!("tells twice that {name} is live"));
        } else if is_unfounded {
            let what = format_args!("takes {name} back on no newer sign of life than it was convicted with");
            self.break_promise(Promise::F5, now, place, what);
        }
    }

    fn says_unreachable(&mut self, now: Moment, place: Place, core: &Gossiper, id: NodeId, event: &Event) {
        self.count("convictions");
        // What came with the evidence may have begun another life since.
        let of_that_life = Head { generation: event.generation, heartbeat: Heartbeat(u64::MAX) };
        let head = core.head(id).unwrap_or_default().min(of_that_life);
        let expectation = self.expectation;
        let view = self.view(place);
        let (holds, interval) = (view.holds_until.is_some_and(|until| now < until), view.interval);
        let seen = view.seen.entry(id).or_default();
        let before = seen.picture.standing.replace(Standing::Unreachable);
        (seen.convicted_at, seen.was_heard) = (Some(head), false);
        seen.convictions.retain(|at| now.since(*at) < SPAN * interval);
        seen.convictions.push(now);
        let flaps = seen.convictions.len();
        let was_live = before == Some(Standing::Live);
        let name = self.name(id);
        let kind = &event.kind;
        // A newcomer can be unreachable from the start, in the hold, too: nobody took it for live.
        if holds && was_live {
            self.break_promise(Promise::F3, now, place, format_args!("convicts {name} just after it slept"));
        } else if before.is_some() && !was_live {
            self.break_promise(Promise::S11, now, place, format_args!("convicts {name} twice: {kind:?}"));
        } else if was_live && expectation.no_false_conviction && self.runs_well(now, id, SETTLED * interval) {
            self.break_promise(
                Promise::F2,
                now,
                place,
                format_args!("convicts {name}, which runs: {kind:?}"),
            );
        } else if was_live
            && expectation.no_flapping
            && flaps > FLAPS
            && self.runs_well(now, id, SPAN * interval)
        {
            let what = format_args!("convicts {name} for the {flaps}th time in {SPAN} intervals: {kind:?}");
            self.break_promise(Promise::F4, now, place, what);
        }
        if was_live && self.ghost(id).is_some_and(|ghost| !ghost.running.is_empty()) {
            self.count("false convictions");
        }
    }

    /// Whether `id` has been running for `span`, and was neither paused nor slow.
    fn runs_well(&self, now: Moment, id: NodeId, span: std::time::Duration) -> bool {
        let ghost = self.ghost(id).filter(|ghost| !ghost.running.is_empty());
        ghost.is_some_and(|ghost| {
            now.since(ghost.up_since) >= span && ghost.away_at.is_none_or(|at| now.since(at) >= span)
        })
    }

    /// F5: no head that is told is ahead of its owner.
    pub(super) fn look_at_heads(&mut self, now: Moment, place: Place, message: &Message) {
        let heads: &[HeadLine] = match &message.body {
            Body::Syn(syn) => &syn.heads,
            Body::Ack(ack) => &ack.heads,
            Body::Push(push) => &push.heads,
            Body::Help(evidence) | Body::Report(evidence) => std::slice::from_ref(&evidence.head),
            Body::Ack2(_) | Body::Fetch(_) | Body::FetchPieces(_) | Body::Piece(_) => &[],
            Body::Who(_) | Body::Namesake(_) | Body::Refusal(_) | Body::Rumor(_) | Body::Ask(_) => &[],
        };
        let is_ahead = |line: &&HeadLine| {
            let life = self.ghosts.get(&line.id).and_then(|ghost| ghost.lives.get(&line.generation));
            life.is_some_and(|life| line.heartbeat > life.heartbeat)
        };
        if let Some(line) = heads.iter().find(is_ahead).copied() {
            let (name, beat) = (self.name(line.id), line.heartbeat);
            self.break_promise(Promise::F5, now, place, format_args!("tells heartbeat {beat} of {name}"));
        }
    }
}
