//! What a message does: the arms of the machine, one for each kind.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::Gossiper;
use super::hear::Brought;
use crate::bounds;
use crate::config::Mode;
use crate::delta::Delta;
use crate::digest::{self, Answer, Room};
use crate::exchange::Exchange;
use crate::message::{Ack, Body, Line, Message, Push, Refusal, Sender, Syn};
use crate::name::NodeId;
use crate::peer::{Peer, Rejected};
use crate::snapshot::Standing;
use crate::stream::Scope;
use crate::summary::Summary;
use crate::time::Time;
use crate::wire::size;

impl Gossiper {
    /// `message` came from `peer`. What it asks for is answered to there, and nowhere else.
    ///
    /// # Errors
    /// The message was refused as a whole; nothing has moved, and it was counted.
    pub fn handle_message(&mut self, now: Time, peer: Peer, message: Message) -> Result<(), Rejected> {
        self.notice_pause(now);
        self.expire(now);
        let refused = match peer {
            Peer::Datagram { from, len } => self.receive(now, from, len, message),
            Peer::Stream { stream, len } => self.receive_frame(now, stream, len, message),
        };
        if let Err(rejected) = refused {
            self.drop_for(rejected.reason());
        }
        refused
    }

    fn receive(&mut self, now: Time, from: SocketAddr, len: usize, message: Message) -> Result<(), Rejected> {
        let Message { sender, exchange, body } = message;
        // These are answered by whoever is there, also before its own life begins.
        if let Body::Who(instance) = body {
            return self.receive_who(now, from, sender, exchange, instance);
        }
        if let Body::Namesake(namesake) = body {
            return self.receive_namesake(now, from, sender, exchange, namesake);
        }
        if !self.is_present() {
            return Err(Rejected::Absent);
        }
        if sender.id == self.cluster.me() {
            // By whatever clock another process of this name says so, it has one.
            if let Body::Refusal(refusal) = body {
                return self.receive_refusal(now, exchange, refusal);
            }
            return Err(self.meet_own_name(now, from, exchange, sender, &body));
        }
        self.receive_from_other(now, from, len, sender, exchange, body)
    }

    fn receive_from_other(
        &mut self,
        now: Time,
        from: SocketAddr,
        len: usize,
        sender: Sender,
        exchange: u32,
        body: Body,
    ) -> Result<(), Rejected> {
        // What answers costs nothing, so that nobody can use up a budget in the name of whoever answers.
        let quarters = match body {
            Body::Syn(_) | Body::Push(_) | Body::Help(_) => 4,
            Body::FetchPieces(_) | Body::Rumor(_) | Body::Ask(_) => 1,
            Body::Ack(_) | Body::Ack2(_) | Body::Refusal(_) | Body::Report(_) | Body::Piece(_) => 0,
            Body::Fetch(_) | Body::Who(_) | Body::Namesake(_) => 4,
        };
        if quarters > 0 && !self.proofs.spend(from, quarters, now.moment) {
            return Err(Rejected::Flood);
        }
        if !bounds::is_believable(now.wall, sender.head, sender.max) {
            self.refuse_if_beyond_belief(now, from, exchange, sender, &body);
            return Err(Rejected::Unbelievable);
        }
        self.see_at(sender, from);
        match body {
            Body::Syn(syn) => self.receive_syn(now, from, len, sender, exchange, &syn),
            Body::Ack(ack) => self.receive_ack(now, from, sender, exchange, ack)?,
            Body::Ack2(news) => {
                self.hear(now, sender);
                self.apply(now, sender.id, &news.deltas);
                news.large.iter().for_each(|line| self.rumors.forget(line.id));
                if self.proofs.is_proved(from, now.moment) {
                    let has_much = news.has_much
                        && self.is_live_at(sender.id, from)
                        && self.proofs.spend(from, 4, now.moment);
                    self.fetch(now, from, sender.id, &news.large, has_much);
                } else if self.clock.repairs > 0
                    && news.large.iter().any(|line| self.wants(now, line))
                    && self.proofs.spend(from, 4, now.moment)
                {
                    // Its answer to that will show that it is there. It is charged like a question of its own.
                    let allowed = self.proofs.allowance(from, len, now.moment);
                    self.repair(now, from, sender.id, self.config.datagram.min(allowed));
                }
            }
            Body::Push(push) => self.receive_push(now, from, len, sender, &push),
            Body::Rumor(rumor) => self.receive_rumor(now, from, sender, exchange, &rumor),
            Body::Ask(lines) => self.receive_ask(now, (from, len), sender, exchange, &lines),
            Body::Refusal(refusal) => self.receive_refusal(now, exchange, refusal)?,
            Body::Help(evidence) => {
                let allowed = self.proofs.allowance(from, len, now.moment);
                self.receive_help(now, sender, evidence, allowed);
            }
            Body::Report(evidence) => self.receive_report(now, sender, evidence),
            Body::FetchPieces(fetch) => self.receive_fetch_pieces(now, from, exchange, fetch)?,
            Body::Piece(piece) => self.receive_piece(now, from, sender, exchange, &piece)?,
            Body::Fetch(_) | Body::Who(_) | Body::Namesake(_) => return Err(Rejected::Unsolicited),
        }
        Ok(())
    }

    /// Tells one that asks in a generation that nobody can have by now, by which clock that is. Returns whether it did.
    fn refuse_if_beyond_belief(
        &mut self,
        now: Time,
        from: SocketAddr,
        exchange: u32,
        sender: Sender,
        body: &Body,
    ) -> bool {
        let refuses =
            matches!(body, Body::Syn(_)) && sender.head.generation > bounds::highest_generation(now.wall);
        if refuses {
            let others = self.some_live_addresses(3);
            self.transmit(from, exchange, Body::Refusal(Refusal { clock: now.wall, others }));
        }
        refuses
    }

    /// A message in this node's own name: its own, through a seed's address that is its own; or a second process's.
    fn meet_own_name(
        &mut self,
        now: Time,
        from: SocketAddr,
        number: u32,
        sender: Sender,
        body: &Body,
    ) -> Rejected {
        let Some(exchange) = self.exchanges.end(number) else {
            if !self.proofs.spend(from, 4, now.moment) {
                return Rejected::Flood;
            }
            // One of both: together they might be more than an address is paid back that has not shown that it is there.
            if !self.refuse_if_beyond_belief(now, from, number, sender, body) {
                self.look_for_namesake(now, from);
            }
            return Rejected::OwnName;
        };
        self.contacts.shun(exchange.to, now.moment + 30 * self.config.interval);
        Rejected::Echo
    }

    fn receive_syn(
        &mut self,
        now: Time,
        from: SocketAddr,
        len: usize,
        sender: Sender,
        exchange: u32,
        syn: &Syn,
    ) {
        if let Some(cookie) = syn.cookie {
            self.proofs.check(from, cookie, now.moment);
        }
        self.hear(now, sender);
        self.hear_heads(now, &syn.heads);
        self.hear_evidence(now, sender.id, &syn.evidence);
        self.hear_lines(now, &syn.lines);
        self.compare_summaries(sender.id, syn.summary);
        if !syn.sketch.is_empty() {
            self.keep_sketch();
        }
        // Who tells heads waits for some, too.
        let is_idle = syn.summary == self.cluster.summary() && syn.heads.is_empty();
        let mut signs = if is_idle {
            self.signs_for_equal(now.moment, sender)
        } else {
            self.signs(now.moment, Some(sender))
        };
        let is_peer = self.is_live_at(sender.id, from) && self.proofs.is_proved(from, now.moment);
        if is_peer {
            signs.share = self.flow.share_with(syn.share, now.moment);
        }
        let (line, datagram) = (line_of(sender), self.config.datagram);
        let allowed = self.proofs.allowance(from, len, now.moment);
        // Whoever knows nobody, and was never answered, cannot tell a silent world from one that does not believe it (G3).
        let is_alone = self.cluster.live().is_empty() && !self.is_accepted();
        // The sender may have to be asked in turn, and both together must not exceed the allowance.
        let asks = syn.is_pull || is_alone;
        let room = datagram.min(if asks { allowed - allowed / 3 } else { allowed });
        let before = if self.proofs.is_proved(from, now.moment) { self.clock.parts } else { 0 };
        let sizes = Room { ack: room, datagram, before };
        let Answer { before, mut ack, is_behind, is_cut, is_late } =
            digest::ack(&self.cluster, &line, syn, signs, &mut self.rng, now.moment, sizes);
        if (is_cut || !ack.large.is_empty()) && room < datagram {
            ack.cookie = Some(self.proofs.cookie(from, now.moment));
        }
        if is_peer {
            self.flow.told(sender.id, is_late);
        }
        self.clock.parts -= before.len();
        before.into_iter().for_each(|news| self.transmit(from, exchange, Body::Ack2(news)));
        self.transmit(from, exchange, Body::Ack(ack));
        let is_new = || self.cluster.line(sender.id).generation < sender.head.generation;
        let pulls = syn.is_pull && (is_new() || self.config.mode == Mode::Push);
        if is_behind && (pulls || is_alone) {
            self.repair(now, from, sender.id, datagram.min(allowed / 3));
        }
    }

    /// Whether `id` is live, as far as is believed here, and known to be at `address`.
    fn is_live_at(&self, id: NodeId, address: SocketAddr) -> bool {
        let known = self.cluster.endpoint(id);
        known.is_some_and(|known| known.address() == address)
            && self.cluster.standing(id) == Some(Standing::Live)
    }

    /// `id` holds what comes to `theirs`. Returns whether this node holds the same.
    fn compare_summaries(&mut self, id: NodeId, theirs: Summary) -> bool {
        let equal = theirs == self.cluster.summary();
        self.cluster.compared(id, equal);
        self.is_settled |= equal;
        equal
    }

    /// Pulls, beside the rounds, what a message showed to be missing here and did not bring.
    fn repair(&mut self, now: Time, from: SocketAddr, id: NodeId, room: usize) {
        if self.clock.repairs == 0 || room < size::GREETING {
            return;
        }
        self.clock.repairs -= 1;
        self.clock.repaired += 1;
        // Whoever does not answer elsewhere than where it is said to be is no suspect.
        let known = self.cluster.endpoint(id).filter(|known| known.address() == from);
        let with = known.map(|_| id);
        self.ask(now, from, with, None, room);
    }

    fn receive_push(&mut self, now: Time, from: SocketAddr, len: usize, sender: Sender, push: &Push) {
        self.hear(now, sender);
        self.hear_heads(now, &push.heads);
        self.hear_evidence(now, sender.id, &push.evidence);
        self.hear_lines(now, &push.lines);
        let Brought { gap, .. } = self.apply(now, sender.id, &push.deltas);
        let is_proved = self.proofs.is_proved(from, now.moment);
        let own = line_of(sender);
        let allowed = self.config.datagram.min(self.proofs.allowance(from, len, now.moment));
        let is_outdone = self.cluster.line(sender.id).generation > own.generation;
        if is_outdone && self.clock.repairs > 0 && allowed >= size::GREETING {
            // It hears of a later life of its name from nobody, if nobody knows that it is here.
            self.clock.repairs -= 1;
            self.push(now, from, Some(sender), allowed);
        }
        let shown = push.window.iter().flat_map(|window| &window.lines).chain(&push.lines).chain([&own]);
        let is_large = |line: &Line| push.large.iter().any(|large| large.id == line.id);
        let lacks = |line: &&Line| {
            let is_mine =
                line.id == self.cluster.me() || self.streams.is_futile((line.id, Scope::Owner), now.moment);
            !is_mine && self.cluster.compare(line) == Ordering::Less && !(is_proved && is_large(line))
        };
        let lacking: Vec<Line> = shown.filter(lacks).copied().collect();
        self.compare_summaries(sender.id, push.summary);
        if gap || !lacking.is_empty() {
            for line in &lacking {
                self.ask_later(line);
                if self.cluster.line(line.id).known().is_none() {
                    self.window_from = line.id;
                }
            }
            self.repair(now, from, sender.id, if is_outdone { 0 } else { allowed });
        }
        if is_proved {
            self.fetch(now, from, sender.id, &push.large, false);
        }
    }

    fn receive_ack(
        &mut self,
        now: Time,
        from: SocketAddr,
        sender: Sender,
        number: u32,
        ack: Ack,
    ) -> Result<(), Rejected> {
        let ended = self.exchanges.end(number);
        assert!(!flaw!(Fatal) || ended.is_some(), "an answer to nothing that was asked");
        let exchange = ended.ok_or(Rejected::Unsolicited)?;
        if from == exchange.to {
            self.proofs.prove(from, now.moment);
        }
        self.contacts.meet(exchange.to, sender.id);
        self.owner.hear_acceptance(exchange.generation);
        self.answered(now, sender.id, &exchange);
        self.hear(now, sender);
        self.hear_heads(now, &ack.heads);
        if let Some(beats) = ack.beats.as_ref().filter(|_| ack.summary == self.cluster.summary()) {
            self.hear_beats(now, beats);
        }
        self.hear_evidence(now, sender.id, &ack.evidence);
        self.hear_lines(now, &ack.lines);
        self.flow.hear_share(ack.share, now.moment);
        let besides = self.explain(&exchange, &line_of(sender), &ack);
        self.is_settled |= !self.wide;
        if !self.wide {
            self.sketched = 0;
        }
        if self.config.mode == Mode::PushPull {
            // What it told may show that it lacks what is known here of those that one of both has forgotten.
            let told: Vec<_> = ack.deltas.iter().map(Delta::line).collect();
            let lines = [ack.lines.as_slice(), &besides, &told].concat();
            self.end_exchange(now, from, sender.id, number, &lines);
        }
        if ack.has_much && ack.deltas.iter().any(|delta| self.cluster.endpoint(delta.owner).is_none()) {
            self.expect_strangers(now);
        }
        self.apply(now, sender.id, &ack.deltas);
        for line in ack.lines.iter().chain([&line_of(sender)]) {
            self.ask_later(line);
        }
        let fetches = self.fetch(now, exchange.to, sender.id, &ack.large, ack.has_much);
        let has_more = ack.cookie.is_some() || (self.wide && !ack.deltas.is_empty() && !fetches);
        if has_more && self.clock.repeats > 0 {
            self.clock.repeats -= 1;
            self.ask(now, exchange.to, exchange.with, ack.cookie, self.config.datagram);
        }
        Ok(())
    }

    /// Finds out whether both hold the same once all that `ack` names is settled, or else this node has to go deeper. Returns
    /// where the responder is with what it lacks besides.
    fn explain(&mut self, exchange: &Exchange, sender: &Line, ack: &Ack) -> Vec<Line> {
        let equal = self.compare_summaries(sender.id, ack.summary);
        // Equal to what we were when we asked is as good: what changed since is young, and listed next time.
        if equal || ack.summary == exchange.summary {
            self.wide = false;
            return Vec::new();
        }
        let listed = exchange.listed.filter(|_| self.config.mode == Mode::PushPull);
        let besides = digest::besides(&self.cluster, sender, ack, listed);
        self.wide = besides.is_none();
        besides.unwrap_or_default()
    }

    /// Tells what the responder lacks, which is at `lines`.
    fn end_exchange(&mut self, now: Time, to: SocketAddr, with: NodeId, number: u32, lines: &[Line]) {
        let more = if self.proofs.is_proved(to, now.moment) { self.clock.parts } else { 0 };
        let (all, is_late) = digest::ack2s(&self.cluster, lines, now.moment, self.config.datagram, 1 + more);
        self.flow.told(with, is_late);
        self.clock.parts -= all.len().saturating_sub(1);
        all.into_iter().for_each(|news| self.transmit(to, number, Body::Ack2(news)));
    }

    fn receive_refusal(&mut self, now: Time, exchange: u32, refusal: Refusal) -> Result<(), Rejected> {
        let exchange = self.exchanges.end(exchange).ok_or(Rejected::Unsolicited)?;
        self.contacts.remember(self.others(refusal.others));
        // Two agree on it, or all that can be asked.
        let enough =
            self.contacts.neighbour_count(&self.cluster).unwrap_or_else(|| self.askable(exchange.to)).min(2);
        let own = self.cluster.own().generation();
        if exchange.generation != own {
            return Ok(());
        }
        let believable = self.owner.hear_refusal(exchange.to, refusal.clock, enough, own, now);
        self.take_generation(now, believable);
        Ok(())
    }

    /// How many addresses this node could ask for a second opinion, `asked` among them.
    fn askable(&self, asked: SocketAddr) -> usize {
        let live = self.cluster.live().iter().filter_map(|&id| Some(self.cluster.endpoint(id)?.address()));
        let told = self.contacts.seeds().iter().chain(self.contacts.remembered()).copied();
        live.chain(told).chain([asked]).take(64).collect::<BTreeSet<_>>().len()
    }

    /// If there is more to be had of an owner than what came, its line is listed in the next exchange.
    pub(super) fn ask_later(&mut self, theirs: &Line) {
        if self.cluster.compare(theirs) != Ordering::Less || theirs.id == self.cluster.me() {
            return;
        }
        match self.cluster.line(theirs.id).known() {
            Some((_, max)) => self.cluster.touch(theirs.id, max),
            None => self.wide = true,
        }
    }
}

fn line_of(sender: Sender) -> Line {
    Line { id: sender.id, generation: sender.head.generation, max: sender.max }
}
