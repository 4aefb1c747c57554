//! Rumors: what is new is told at once, to those on the ring who may lack it, or at random.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Gossiper, random_part};
use crate::bounds;
use crate::delta::Delta;
use crate::digest;
use crate::message::{Body, Line, News, Rumor, Sender};
use crate::mongering::{Mongering, Stop};
use crate::name::NodeId;
use crate::ring;
use crate::rng::Rng;
use crate::rumor::Offerer;
use crate::snapshot::Standing;
use crate::time::{Moment, Time};
use crate::version::Version;
use crate::wire::size;

/// How long a relay waits at most for more to tell.
const RELAY: Duration = Duration::from_millis(5);
/// How long an answer to a request may take at least before somebody else is asked.
const LEAST_WAIT: Duration = Duration::from_millis(10);
/// The same while no round trip is known.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// How often it is asked for something that was offered.
const ASKS: u32 = 12;
/// How many intervals something stays hot at most, if there is no room to tell it.
const HOT: u32 = 4;

impl Gossiper {
    /// There is news of `id`, of which this node was at `before`; `from` has it, too. Whoever has not caught up yet with the
    /// cluster tells only what it was told as a rumor: all else is news to nobody else.
    pub(super) fn heat(&mut self, now: Time, before: &Line, from: NodeId) {
        let line = self.cluster.line(before.id);
        let is_rumor = self.rumors.is_wanted(line.id);
        self.rumors.learned(&line, now.moment);
        let is_own = line.id == self.cluster.me();
        if self.config.mongering == Mongering::Off || !(self.is_settled || is_rumor || is_own) {
            return;
        }
        let since = if before.generation == line.generation { before.max } else { Version(0) };
        let relay = self.relay();
        let wait = if is_own { self.config.hold } else { random_part(&mut self.rng, relay) };
        let due = (now.moment + wait).max(self.rumors.told + relay);
        let times = (now.moment, due);
        self.rumors.heat(line.id, since, Some(from).filter(|_| !is_own), times);
    }

    /// How long relays wait for more to tell. Demers' cycles are as long for everybody.
    fn relay(&self) -> Duration {
        match self.config.mongering {
            Mongering::Random { .. } => self.config.hold.max(RELAY),
            Mongering::Ring { .. } | Mongering::Off => RELAY,
        }
    }

    /// Tells what is hot, and asks again for what was offered and did not come, if it is time.
    pub(super) fn spread_rumors(&mut self, now: Time) {
        self.ask_again(now);
        if self.rumors.hot().is_empty() || self.rumors.due > now.moment {
            return;
        }
        self.rumors.expire(now.moment - HOT * self.config.interval);
        let free_at = self.rumors.offers().free_at();
        if free_at > now.moment {
            self.rumors.due = free_at;
            return;
        }
        (self.rumors.told, self.rumors.due) = (now.moment, now.moment + self.config.hold.max(RELAY));
        match self.config.mongering {
            Mongering::Off => {}
            Mongering::Ring { eager } => self.offer_along_the_ring(now, eager),
            Mongering::Random { partners, feedback, stop } => {
                self.push_at_random(now, partners, feedback, stop);
            }
        }
    }

    /// What is hot and fits a datagram, what became hot first before all else; with where those are who have not heard.
    fn hot_lines(&self) -> Vec<Line> {
        let mut hot: Vec<_> = self.rumors.hot().iter().map(|(&id, hot)| (hot.born, id, hot.since)).collect();
        hot.sort_unstable();
        let behind = |(_, id, since)| match since {
            Version(0) => Line::unknown(id),
            max => Line { max, ..self.cluster.line(id) },
        };
        hot.into_iter().take(most_lines(self.config.datagram)).map(behind).collect()
    }

    fn offer_along_the_ring(&mut self, now: Time, eager: usize) {
        let lines = self.hot_lines();
        for (nth, target) in self.offered_to().into_iter().rev().enumerate() {
            let is_told = |line: &&Line| {
                let known = self.rumors.hot().get(&line.id).is_some_and(|hot| hot.knowers.contains(&target));
                line.id != target && !known
            };
            let told: Vec<Line> = lines.iter().filter(is_told).copied().collect();
            if !told.is_empty() {
                let is_first = told
                    .iter()
                    .all(|line| self.rumors.hot().get(&line.id).is_some_and(|hot| hot.pushes == 0));
                let rumor = if nth < eager && is_first { self.carry(now, &told) } else { self.offer(&told) };
                self.tell_rumor(now, target, rumor);
            }
        }
        // Where much is lost, offers are, too.
        let again = self.odds.is_lossy();
        for line in &lines {
            let Some(hot) = self.rumors.hot_mut(line.id) else { continue };
            hot.pushes += 1;
            if !again || hot.pushes > 1 {
                self.rumors.cool(line.id);
            }
        }
        self.rumors.due = now.moment + 2 * self.wait_for_what_was_offered();
    }

    /// To whom this node offers what is new, the nearest first.
    pub(super) fn offered_to(&mut self) -> Vec<NodeId> {
        if self.contacts.has_neighbours() {
            let mut neighbours = self.partners().into_owned();
            self.rng.shuffle(&mut neighbours);
            neighbours.truncate(usize::BITS as usize / 2);
            return neighbours;
        }
        let is_live = |id| self.cluster.standing(id) == Some(Standing::Live);
        ring::around(self.cluster.endpoints().ids(), self.cluster.me(), is_live)
    }

    /// An offer of what this node has of the owners in `lines`. Its own line stands in the greeting.
    fn offer(&self, lines: &[Line]) -> Rumor {
        let others = lines.iter().filter(|line| line.id != self.cluster.me());
        Rumor { lines: others.map(|line| self.cluster.line(line.id)).collect(), ..Rumor::default() }
    }

    /// A rumor that brings what those at `lines` lack, and offers what it has no room for.
    fn carry(&self, now: Time, lines: &[Line]) -> Rumor {
        let of_lines: usize = lines.iter().map(|line| size::line(&self.cluster.line(line.id))).sum();
        let room = room_for(self.config.datagram).saturating_sub(of_lines);
        let (News { deltas, .. }, left) =
            digest::news(&self.cluster, lines, now.moment, (room, self.config.datagram));
        Rumor { deltas, ..self.offer(&left) }
    }

    fn push_at_random(&mut self, now: Time, partners: usize, feedback: bool, stop: Stop) {
        let lines = self.hot_lines();
        let live = self.partners().into_owned();
        let most = 4 * (usize::BITS - live.len().leading_zeros()) + stop.number();
        for _ in 0..partners.min(live.len()) {
            let Some(&target) = self.rng.pick(&live) else { break };
            let told: Vec<Line> = lines.iter().filter(|line| line.id != target).copied().collect();
            if !told.is_empty() {
                let rumor = Rumor { wants_feedback: feedback, ..self.carry(now, &told) };
                self.tell_rumor(now, target, rumor);
            }
            for line in &lines {
                let Some(hot) = self.rumors.hot_mut(line.id) else { continue };
                hot.pushes += 1;
                if (!feedback && stop.is_reached(hot.pushes, &mut self.rng)) || hot.pushes > most {
                    self.rumors.cool(line.id);
                }
            }
        }
        if live.is_empty() {
            lines.iter().for_each(|line| self.rumors.cool(line.id));
        }
    }

    pub(super) fn tell_rumor(&mut self, now: Time, to: NodeId, rumor: Rumor) {
        let Some(address) = self.cluster.endpoint(to).map(|endpoint| endpoint.address()) else { return };
        let lines: usize = rumor.lines.iter().map(size::line).sum();
        let deltas: usize = rumor.deltas.iter().map(size::delta).sum();
        let evidence: usize = rumor.evidence.iter().map(size::evidence).sum();
        self.rumors.offers().spend(now.moment, size::GREETING + evidence + lines + deltas);
        let number = self.proofs.number(address, now.moment);
        self.transmit(address, number, Body::Rumor(rumor));
    }

    /// `sender` tells a rumor: what it brings is taken, and what it offers is asked for if it is lacking here.
    pub(super) fn receive_rumor(
        &mut self,
        now: Time,
        from: SocketAddr,
        sender: Sender,
        number: u32,
        rumor: &Rumor,
    ) {
        self.hear(now, sender);
        self.hear_evidence(now, sender.id, &rumor.evidence);
        self.hear_lines(now, &rumor.lines);
        let line_of =
            |delta: &Delta| Line { id: delta.owner, generation: delta.generation, max: delta.through };
        let brought: Vec<Line> = rumor.deltas.iter().map(line_of).collect();
        let known = |line: &&Line| self.cluster.compare(line).is_ge();
        let mut knew: Vec<Line> = brought.iter().filter(known).copied().collect();
        self.apply(now, sender.id, &rumor.deltas);
        let own = Line { id: sender.id, generation: sender.head.generation, max: sender.max };
        let offered: Vec<Line> = rumor.lines.iter().chain(&brought).chain([&own]).copied().collect();
        // What knew everything says so with lines alone.
        let is_feedback = rumor.deltas.is_empty() && !rumor.wants_feedback;
        self.note_knower(sender.id, &offered, if is_feedback { &rumor.lines } else { &[] });
        let known = self.cluster.endpoint(sender.id).is_some_and(|endpoint| endpoint.address() == from);
        let is_there = known || self.proofs.is_proved(from, now.moment);
        self.ask_for_offered(now, Offerer { address: from, number, is_there }, &offered);
        knew.truncate(most_lines(self.config.datagram));
        let of_lines: usize = knew.iter().map(size::line).sum();
        let answers = rumor.wants_feedback && !knew.is_empty();
        if answers && self.rumors.answers().pays(now.moment, size::GREETING + of_lines) {
            let rumor = Rumor { lines: knew, ..Rumor::default() };
            self.transmit(from, 0, Body::Rumor(rumor));
        }
    }

    /// `who` is at `lines`: it need not be told what is hot here and not above that. What it `knew`, it was told in vain.
    fn note_knower(&mut self, who: NodeId, lines: &[Line], knew: &[Line]) {
        for line in lines {
            if self.rumors.hot().contains_key(&line.id) && self.cluster.compare(line).is_le() {
                self.rumors.knows(line.id, who);
            }
        }
        for line in knew.iter().filter(|line| self.cluster.compare(line).is_le()) {
            let Some(hot) = self.rumors.hot_mut(line.id) else { continue };
            hot.misses += 1;
            let misses = hot.misses;
            if let Mongering::Random { feedback: true, stop, .. } = self.config.mongering
                && stop.is_reached(misses, &mut self.rng)
            {
                self.rumors.cool(line.id);
            }
        }
    }

    /// Asks for what is lacking here of all that is `offered`, unless somebody else was just asked.
    fn ask_for_offered(&mut self, now: Time, from: Offerer, offered: &[Line]) {
        let next = now.moment + self.wait_for_what_was_offered();
        let mut ids = Vec::new();
        for line in offered {
            let is_lacking = line.id != self.cluster.me()
                && self.cluster.compare(line).is_lt()
                && bounds::is_believable_line(now.wall, line);
            if is_lacking && self.rumors.want(line, from, next) {
                ids.push(line.id);
            }
        }
        self.send_ask(now, from, &ids);
    }

    fn send_ask(&mut self, now: Time, to: Offerer, ids: &[NodeId]) {
        for ids in ids.chunks(most_lines(self.config.datagram)) {
            // What is not asked for now is asked for later.
            if self.rumors.answers().free_at() > now.moment {
                return;
            }
            let lines: Vec<_> = ids.iter().map(|&id| self.cluster.line(id)).collect();
            let of_lines: usize = lines.iter().map(size::line).sum();
            self.rumors.answers().spend(now.moment, size::GREETING + of_lines);
            self.transmit(to.address, to.number, Body::Ask(lines));
        }
    }

    fn wait_for_what_was_offered(&self) -> Duration {
        self.clock.round_trip.map_or(FIRST_WAIT, |round_trip| (2 * round_trip).max(LEAST_WAIT))
    }

    /// Asks others for what was offered and did not come, and leaves to the rounds what was asked for often enough.
    fn ask_again(&mut self, now: Time) {
        if self.rumors.len().1 == 0 {
            return;
        }
        let wait = self.wait_for_what_was_offered();
        let (asks, given_up) = self.rumors.asks(now.moment, wait, ASKS);
        for (to, ids) in asks {
            self.send_ask(now, to, &ids);
        }
        given_up.iter().for_each(|line| self.ask_later(line));
    }

    /// `sender` asks for what it lacks above `lines`. The `number` of an offer that went to where it is shows that it is there.
    pub(super) fn receive_ask(
        &mut self,
        now: Time,
        (from, len): (SocketAddr, usize),
        sender: Sender,
        number: u32,
        lines: &[Line],
    ) {
        self.proofs.check_number(from, number, now.moment);
        self.hear(now, sender);
        self.hear_lines(now, lines);
        let allowed = self.proofs.allowance(from, len, now.moment);
        let datagram = self.config.datagram;
        let room = room_for(datagram.min(allowed));
        let (news, _) = digest::news(&self.cluster, lines, now.moment, (room, datagram));
        if news == News::default() {
            return;
        }
        let deltas: usize = news.deltas.iter().map(size::delta).sum();
        if !self.rumors.answers().pays(now.moment, size::GREETING + deltas) {
            return self.drop_for("rumor_budget");
        }
        for delta in &news.deltas {
            self.rumors.knows(delta.owner, sender.id);
        }
        self.transmit(from, number, Body::Ack2(news));
    }

    /// When rumors want to go on.
    pub(super) fn rumors_due(&self) -> Moment {
        self.rumors.next_due()
    }
}

impl Stop {
    fn number(self) -> u32 {
        match self {
            Self::Counter(k) | Self::Coin(k) => k,
        }
    }

    /// Whether interest is lost, after `count` that count.
    fn is_reached(self, count: u32, rng: &mut Rng) -> bool {
        match self {
            Self::Counter(k) => count >= k,
            Self::Coin(k) => rng.chance(1, k as usize),
        }
    }
}

/// How many lines fit a datagram of `datagram` bytes, however long they are.
fn most_lines(datagram: usize) -> usize {
    room_for(datagram) / size::LONGEST_LINE
}

/// The room for lines and deltas in a message of `len` bytes.
fn room_for(len: usize) -> usize {
    len.saturating_sub(size::GREETING + 3 * size::LIST + size::SECTION)
}
