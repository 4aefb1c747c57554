//! What is heard of nodes and of their states, whatever message brings it.

use super::Gossiper;
use crate::bounds;
use crate::cluster::Learned;
use crate::delta::Delta;
use crate::event::EventKind;
use crate::message::{Beats, HeadLine, Line, Sender};
use crate::name::NodeId;
use crate::replica::Limits;
use crate::snapshot::Standing;
use crate::stream::Scope;
use crate::time::Time;
use crate::version::{Generation, Head, Heartbeat, Version};

/// What deltas brought.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Brought {
    /// Something that was not known.
    pub news: bool,
    /// Something that builds upon what is missing here.
    pub gap: bool,
}

impl Gossiper {
    /// The sender itself speaks: as fresh a sign of life as there can be.
    pub(super) fn hear(&mut self, now: Time, sender: Sender) {
        if !self.hear_life(now, sender.id, sender.head, now.moment) {
            self.hear_directly(now, sender.id, sender.head);
        }
    }

    pub(super) fn hear_heads(&mut self, now: Time, heads: &[HeadLine]) {
        self.clock.heads = self.clock.heads.saturating_add(u32::try_from(heads.len()).unwrap_or(u32::MAX));
        for line in heads {
            let head = Head { generation: line.generation, heartbeat: line.heartbeat };
            if !bounds::is_believable(now.wall, head, Version(0)) {
                self.drop_for("unbelievable");
            } else if line.id == self.cluster.me() {
                self.hear_of_myself(now, head);
            } else {
                self.hear_life(now, line.id, head, now.moment - line.age);
            }
        }
    }

    /// Beats of one who holds the same.
    pub(super) fn hear_beats(&mut self, now: Time, run: &Beats) {
        for (place, beat) in (run.first as usize..).zip(&run.beats) {
            if let Some(head) = self.head_of(place, beat) {
                self.hear_heads(now, std::slice::from_ref(&head));
            }
        }
    }

    /// Whoever has come further in my own state than I have holds what I never wrote.
    pub(super) fn hear_lines(&mut self, now: Time, lines: &[Line]) {
        let me = self.cluster.me();
        for line in lines.iter().filter(|line| line.id == me) {
            if !bounds::is_believable_line(now.wall, line) {
                self.drop_for("unbelievable");
            } else if let Some(end) = line.certificate() {
                self.hear_of_my_end(now, end);
            } else {
                self.hear_of_my_state(now, line.generation, line.max);
            }
        }
    }

    /// What others say of me changes nothing of mine but this: I go on above it.
    fn hear_of_myself(&mut self, now: Time, claim: Head) {
        let own = self.cluster.own().head();
        if claim.generation > own.generation {
            self.owner.hear_claim(claim.generation);
            self.answer_claims(now);
        } else if claim.generation == own.generation && claim.heartbeat > own.heartbeat {
            let highest = bounds::highest_heartbeat(now.wall, own.generation);
            self.cluster.own_mut().heartbeat = Heartbeat(claim.heartbeat.0 + 1).min(highest);
        }
    }

    pub(super) fn apply(&mut self, now: Time, from: NodeId, deltas: &[Delta]) -> Brought {
        let mut brought = Brought::default();
        for delta in deltas {
            let heartbeat = delta.introduction.as_ref().map_or(Heartbeat(0), |who| who.heartbeat);
            let head = Head { generation: delta.generation, heartbeat };
            let line = delta.line();
            let end = line.certificate();
            let (head, max) = if end.is_some() { line.claim() } else { (head, delta.max) };
            if !bounds::is_believable(now.wall, head, max) {
                self.drop_for("unbelievable");
            } else if let Some(end) = end.filter(|_| delta.owner == self.cluster.me()) {
                self.hear_of_my_end(now, end);
            } else if delta.owner == self.cluster.me() {
                if let Some(who) = &delta.introduction {
                    self.hear_of_namesake(now, delta.generation, who.address);
                }
                if flaw!(Overwritten) {
                    let limits = Limits { keys: self.config.max_keys, bytes: self.config.max_bytes };
                    self.cluster.change_own(|own| drop(own.apply(delta, now.moment, limits)));
                }
                self.hear_of_my_state(now, delta.generation, delta.through);
            } else {
                self.apply_to_other(now, from, delta, &mut brought);
            }
            if let Some(who) = delta.introduction.as_ref().filter(|_| delta.owner == from) {
                self.cluster.correct_address(from, delta.generation, who.address);
            }
        }
        brought
    }

    /// Somebody holds state in my name, up to `max` of `generation`. If I never wrote that in this life, it is of another
    /// one, and I begin one above.
    fn hear_of_my_state(&mut self, now: Time, generation: Generation, max: Version) {
        let own = self.cluster.own().replica();
        if (generation, max) > (own.generation(), own.max_version()) {
            self.owner.hear_claim(generation);
            self.answer_claims(now);
        }
    }

    fn apply_to_other(&mut self, now: Time, from: NodeId, delta: &Delta, brought: &mut Brought) {
        let id = delta.owner;
        let before = self.cluster.line(id);
        let floor = self.floor();
        let changes = match self.cluster.apply(&self.bounded(delta), now.moment, floor) {
            Learned::Nothing if delta.line().certificate().is_some() => {
                self.rumors.forget(id);
                return self.hear_of_an_end(now, from, delta);
            }
            Learned::Nothing => return,
            Learned::Refused(reason) => {
                self.streams.give_up((id, Scope::Owner), now.moment);
                self.rumors.forget(id);
                return self.drop_for(reason);
            }
            Learned::Gap => {
                brought.gap = true;
                return self.ask_for(id);
            }
            Learned::Newcomer(changes) => {
                self.say(now, id, EventKind::Joined);
                self.judge_newcomer(now, id);
                self.meet_requester(id, delta.max);
                changes
            }
            Learned::Restart(changes) => {
                if !flaw!(RestartUntold) {
                    self.say(now, id, EventKind::Restarted);
                }
                self.judge_restart(now, id);
                self.meet_requester(id, delta.max);
                changes
            }
            Learned::News(changes) => changes,
            Learned::Forgotten(certificate) => return self.forget(now, id, certificate),
        };
        self.streams.help(id);
        brought.news = true;
        self.heat(now, &before, from);
        self.hear_requests(now, id, &changes);
        self.say_changes(now, id, changes);
        let departed = self.cluster.endpoint(id).is_some_and(|endpoint| endpoint.has_departed());
        if departed && self.cluster.standing(id) != Some(Standing::Departed) {
            self.see_off(now, id);
        }
        if departed && !flaw!(Outlived) {
            self.end_ephemeral(now, id);
        }
    }

    fn ask_for(&mut self, id: NodeId) {
        match self.cluster.line(id).known() {
            Some((_, max)) => self.cluster.touch(id, max),
            None => self.wide = true,
        }
    }
}
