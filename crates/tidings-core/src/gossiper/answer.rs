//! What a message does: the arms of the machine, one for each kind.

use std::cmp::Ordering;
use std::net::SocketAddr;

use super::{Gossiper, Rejected};
use crate::bounds;
use crate::cluster::Learned;
use crate::delta::Delta;
use crate::digest;
use crate::event::EventKind;
use crate::message::{Ack, Body, HeadLine, Line, Message, Refusal, Sender, Syn};
use crate::name::NodeId;
use crate::snapshot::Standing;
use crate::time::Time;
use crate::version::{Generation, Head, Heartbeat, Version};

impl Gossiper {
    /// `message` came from `from`. What it asks for is answered to there, and nowhere else.
    ///
    /// # Errors
    /// The message was refused as a whole; nothing has moved, and it was counted.
    pub fn handle_message(&mut self, now: Time, from: SocketAddr, message: Message) -> Result<(), Rejected> {
        self.notice_pause(now);
        let refused = self.receive(now, from, message);
        if let Err(rejected) = refused {
            self.drop_for(rejected.reason());
        }
        refused
    }

    fn receive(&mut self, now: Time, from: SocketAddr, message: Message) -> Result<(), Rejected> {
        if !self.is_present() {
            return Err(Rejected::Absent);
        }
        let Message { sender, exchange, body } = message;
        if sender.id == self.cluster.me() {
            return Err(self.meet_own_name(now, exchange));
        }
        if !bounds::is_believable(now.wall, sender.head, sender.max) {
            if matches!(body, Body::Syn(_)) && sender.head.generation > bounds::highest_generation(now.wall) {
                let others = self.some_live_addresses(3);
                self.transmit(from, exchange, Body::Refusal(Refusal { clock: now.wall, others }));
            }
            return Err(Rejected::Unbelievable);
        }
        match body {
            Body::Syn(syn) => self.receive_syn(now, from, sender, exchange, &syn),
            Body::Ack(ack) => self.receive_ack(now, from, sender, exchange, ack)?,
            Body::Ack2(deltas) => {
                self.hear(now, sender);
                self.apply(now, sender.id, &deltas);
            }
            Body::Refusal(refusal) => self.receive_refusal(now, from, exchange, refusal)?,
            Body::Help(evidence) => self.receive_help(now, sender, evidence),
            Body::Report(evidence) => self.receive_report(now, sender, evidence),
        }
        Ok(())
    }

    /// A message in this node's own name: its own, through a seed's address that is its own; or a second process's.
    fn meet_own_name(&mut self, now: Time, exchange: u32) -> Rejected {
        let Some(exchange) = self.exchanges.end(exchange) else { return Rejected::OwnName };
        self.contacts.shun(exchange.to, now.moment + 30 * self.config.interval);
        Rejected::Echo
    }

    fn receive_syn(&mut self, now: Time, from: SocketAddr, sender: Sender, exchange: u32, syn: &Syn) {
        self.hear(now, sender);
        self.hear_heads(now, &syn.heads);
        self.hear_evidence(now, sender.id, &syn.evidence);
        self.hear_lines(now, &syn.lines);
        self.cluster.compared(sender.id, syn.summary == self.cluster.summary());
        let signs = self.signs(now.moment, Some(sender));
        let (line, datagram) = (line_of(sender), self.config.datagram);
        let ack = digest::ack(&self.cluster, &line, syn, signs, &mut self.rng, now.moment, datagram);
        self.transmit(from, exchange, Body::Ack(ack));
    }

    fn receive_ack(
        &mut self,
        now: Time,
        from: SocketAddr,
        sender: Sender,
        number: u32,
        ack: Ack,
    ) -> Result<(), Rejected> {
        let exchange = self.exchanges.end(number).ok_or(Rejected::Unsolicited)?;
        self.owner.hear_acceptance(exchange.generation);
        self.answered(now, sender.id, &exchange);
        self.hear(now, sender);
        self.hear_heads(now, &ack.heads);
        self.hear_evidence(now, sender.id, &ack.evidence);
        self.hear_lines(now, &ack.lines);
        let equal = ack.summary == self.cluster.summary();
        self.cluster.compared(sender.id, equal);
        // Equal to what we were when we asked is as good: what changed since is young, and listed next time.
        self.wide = !equal
            && ack.summary != exchange.summary
            && digest::is_unexplained(&self.cluster, &line_of(sender), &ack);
        let deltas = digest::ack2(&self.cluster, &ack, now.moment, self.config.datagram);
        if !deltas.is_empty() {
            self.transmit(from, number, Body::Ack2(deltas));
        }
        self.apply(now, sender.id, &ack.deltas);
        for line in ack.lines.iter().chain([&line_of(sender)]) {
            self.ask_later(line);
        }
        if self.wide && !ack.deltas.is_empty() && self.clock.repeats > 0 {
            self.clock.repeats -= 1;
            self.begin_exchange(now, exchange.to, exchange.with);
        }
        Ok(())
    }

    fn receive_refusal(
        &mut self,
        now: Time,
        from: SocketAddr,
        exchange: u32,
        refusal: Refusal,
    ) -> Result<(), Rejected> {
        let exchange = self.exchanges.end(exchange).ok_or(Rejected::Unsolicited)?;
        self.contacts.remember(refusal.others);
        let own = self.cluster.own().replica.generation();
        if exchange.generation != own {
            return Ok(());
        }
        let believable = self.owner.hear_refusal(from, refusal.clock, own, now);
        self.take_generation(now, believable);
        Ok(())
    }

    /// If there is more to be had of an owner than what came, its line is listed in the next exchange.
    fn ask_later(&mut self, theirs: &Line) {
        if self.cluster.compare(theirs) != Ordering::Less || theirs.id == self.cluster.me() {
            return;
        }
        match self.cluster.line(theirs.id).known() {
            Some((_, max)) => self.cluster.touch(theirs.id, max),
            None => self.wide = true,
        }
    }

    /// The sender itself speaks: as fresh a sign of life as there can be.
    pub(super) fn hear(&mut self, now: Time, sender: Sender) {
        self.hear_life(now, sender.id, sender.head, now.moment);
        self.hear_directly(now, sender.id, sender.head);
    }

    pub(super) fn hear_heads(&mut self, now: Time, heads: &[HeadLine]) {
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

    /// Whoever has come further in my own state than I have holds what I never wrote.
    fn hear_lines(&mut self, now: Time, lines: &[Line]) {
        let me = self.cluster.me();
        for line in lines.iter().filter(|line| line.id == me) {
            let head = Head { generation: line.generation, heartbeat: Heartbeat(0) };
            if !bounds::is_believable(now.wall, head, line.max) {
                self.drop_for("unbelievable");
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
            let me = self.cluster.me();
            let own = self.cluster.life_mut(me).expect("this node is in its own view");
            own.heartbeat = Heartbeat(claim.heartbeat.0 + 1).min(highest);
        }
    }

    fn apply(&mut self, now: Time, from: NodeId, deltas: &[Delta]) {
        for delta in deltas {
            let heartbeat = delta.introduction.as_ref().map_or(Heartbeat(0), |who| who.heartbeat);
            let head = Head { generation: delta.generation, heartbeat };
            if !bounds::is_believable(now.wall, head, delta.max) {
                self.drop_for("unbelievable");
            } else if delta.owner == self.cluster.me() {
                self.hear_of_my_state(now, delta.generation, delta.through);
            } else {
                self.apply_to_other(now, delta);
            }
            if let Some(who) = delta.introduction.as_ref().filter(|_| delta.owner == from) {
                self.cluster.correct_address(from, delta.generation, who.address);
            }
        }
    }

    /// Somebody holds state in my name, up to `max` of `generation`. If I never wrote that in this life, it is of another
    /// one, and I begin one above.
    fn hear_of_my_state(&mut self, now: Time, generation: Generation, max: Version) {
        let own = &self.cluster.own().replica;
        if (generation, max) > (own.generation(), own.max_version()) {
            self.owner.hear_claim(generation);
            self.answer_claims(now);
        }
    }

    fn apply_to_other(&mut self, now: Time, delta: &Delta) {
        let id = delta.owner;
        let floor = self.floor();
        let changes = match self.cluster.apply(delta, now.moment, floor) {
            Learned::Nothing => return,
            Learned::Refused(reason) => return self.drop_for(reason),
            Learned::Gap => return self.ask_for(id),
            Learned::Newcomer(changes) => {
                self.say(now, id, EventKind::Joined);
                self.judge_newcomer(now, id);
                changes
            }
            Learned::Restart(changes) => {
                self.say(now, id, EventKind::Restarted);
                self.judge_restart(now, id);
                changes
            }
            Learned::News(changes) => changes,
        };
        self.say_changes(now, id, changes);
        let departed = self.cluster.endpoint(id).is_some_and(|endpoint| endpoint.has_departed());
        if departed && self.liveness.standing(id) != Some(Standing::Departed) {
            self.see_off(now, id);
        }
    }

    fn ask_for(&mut self, id: NodeId) {
        match self.cluster.line(id).known() {
            Some((_, max)) => self.cluster.touch(id, max),
            None => self.wide = true,
        }
    }
}

fn line_of(sender: Sender) -> Line {
    Line { id: sender.id, generation: sender.head.generation, max: sender.max }
}
