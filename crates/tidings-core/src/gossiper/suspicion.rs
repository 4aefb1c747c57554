//! What is believed of others: signs of life, failed attempts, convictions, and the doubt about oneself.

use std::time::Duration;

use super::Gossiper;
use crate::config::Mode;
use crate::detector::{LEAST_APART, Pulse};
use crate::event::{Cause, EventKind};
use crate::evidence::Suspicion;
use crate::exchange::Exchange;
use crate::name::NodeId;
use crate::snapshot::Standing;
use crate::time::{Moment, Time};
use crate::version::Head;

/// After how many failed attempts a node is not tried any more beside the rounds.
const MOST: u32 = 16;

impl Gossiper {
    /// If this node was told the time long after its next exchange was due, it slept, and what it did not hear meanwhile is
    /// nobody's fault: all arrival clocks move on by as much, and nobody is convicted for two intervals.
    pub(super) fn notice_pause(&mut self, now: Time) {
        self.see_time(now);
        if now.moment <= self.clock.next {
            return; // As mostly.
        }
        let slept = now.moment.since(self.clock.next);
        if flaw!(SleepUnnoticed) || slept <= (self.config.interval / 2).max(Duration::from_millis(100)) {
            return;
        }
        self.clock.hold_until = now.moment + 2 * self.config.interval;
        self.clock.resumed = now.moment;
        self.clock.next = self.clock.next.max(now.moment);
        self.exchanges.extend(slept);
        self.streams.extend(slept);
        self.rumors.extend(slept);
        for id in self.cluster.live().to_vec() {
            if let Some(pulse) = self.pulse_mut(id) {
                pulse.quiet_since = (pulse.quiet_since + slept).min(now.moment);
                if let Some(suspicion) = &mut pulse.suspicion {
                    for moment in [
                        &mut suspicion.first,
                        &mut suspicion.latest,
                        &mut suspicion.fresh,
                        &mut suspicion.last,
                    ] {
                        *moment = (*moment + slept).min(now.moment);
                    }
                    suspicion.next = suspicion.next.map(|next| next + slept);
                }
            }
            self.look_again(id);
        }
    }

    /// A head of `id` that was authored at `authored`, heard now. Only a newer one of the life that is known counts: returns
    /// whether it is one.
    pub(super) fn hear_life(&mut self, now: Time, id: NodeId, head: Head, authored: Moment) -> bool {
        let Some(endpoint) = self.cluster.life_mut(id) else {
            if self.cluster.hear_of_forgotten(id, head, authored) {
                self.streams.help(id);
            }
            return false;
        };
        let known = endpoint.head();
        if head <= known || head.generation > known.generation {
            if flaw!(OldHeadsCount) && head == known {
                endpoint.pulse.refresh(now.moment);
                self.sign_of_life(now, id, now.moment, None);
                return false;
            }
            if head.generation > known.generation {
                let max = endpoint.max_version();
                self.cluster.touch(id, max);
            }
            return false;
        }
        let authored = authored.max(endpoint.authored);
        if endpoint.authored >= self.clock.resumed {
            endpoint.pulse.beat(authored.since(endpoint.authored), now.moment.since(authored));
        }
        (endpoint.heartbeat, endpoint.authored) = (head.heartbeat, authored);
        let refuted = endpoint.pulse.refresh(authored);
        self.sign_of_life(now, id, authored, refuted);
        true
    }

    /// `id` itself spoke, in the life that is known: it runs now, whatever its heartbeat.
    pub(super) fn hear_directly(&mut self, now: Time, id: NodeId, head: Head) {
        let Some(endpoint) = self.cluster.life_mut(id).filter(|endpoint| endpoint.head() == head) else {
            return;
        };
        let refuted = endpoint.pulse.refresh(now.moment);
        self.sign_of_life(now, id, now.moment, refuted);
    }

    /// Something showed that `id` ran at `at`, and refuted what spoke against it. Whoever was asked for help is told.
    pub(super) fn sign_of_life(
        &mut self,
        now: Time,
        id: NodeId,
        at: Moment,
        refuted: Option<Box<Suspicion>>,
    ) {
        if let Some(suspicion) = refuted {
            self.odds.failed(suspicion.failed);
            self.tell_helpers(now, id, at, &suspicion);
            self.give_all_clear(now, id, at, &suspicion);
        }
        // In a calm cluster nobody is accused or unreachable, and this is called for every head that comes in.
        if !self.accused.is_empty() && self.suspicion(id).is_none() && !flaw!(Unforgotten) {
            self.accused.remove(&id);
            self.suspects.remove(&id);
        }
        let given_up = !self.cluster.roll(Standing::Unreachable).is_empty()
            && self.cluster.standing(id) == Some(Standing::Unreachable);
        if given_up || flaw!(Returned) && self.cluster.standing(id) == Some(Standing::Departed) {
            self.revive(now, id);
        }
    }

    /// A node that was given up shows signs of life, if they are fresh enough not to convict it at once: newer than its
    /// silence allows, and than the attempts that it did not answer.
    fn revive(&mut self, now: Time, id: NodeId) {
        let phi = self.silence(id, now.moment).max(self.attempts(id));
        let forgiven = phi < self.config.threshold && !flaw!(Unforgiven);
        if forgiven && self.cluster.enter(id, Standing::Live) {
            self.look_again(id);
            self.say(now, id, EventKind::Live);
            self.tell_of_return(now, id);
        }
    }

    /// Most of the cluster is unknown here, and on its way. How old heads are is of its size, so for a while silence says
    /// nothing.
    pub(super) fn expect_strangers(&mut self, now: Time) {
        self.clock.learns_until = now.moment + 2 * self.config.interval;
        self.clock.hold_until = self.clock.hold_until.max(self.clock.learns_until);
    }

    /// A node of which nothing is believed yet: live, unless the sign of life it came with is stale.
    pub(super) fn judge_newcomer(&mut self, now: Time, id: NodeId) {
        if self.cluster.endpoint(id).is_some_and(|endpoint| endpoint.has_departed()) {
            return;
        }
        let phi = self.silence(id, now.moment);
        if phi < self.config.threshold || now.moment < self.clock.learns_until {
            self.cluster.enter(id, Standing::Live);
            self.look_again(id);
            self.say(now, id, EventKind::Live);
        } else {
            self.cluster.enter(id, Standing::Unreachable);
            self.say(now, id, EventKind::Unreachable { phi, cause: Cause::Silence });
        }
    }

    /// A known node in a new life: nothing that was believed of the old one holds, but how often its heads come, and how
    /// late, is of the way that they take.
    pub(super) fn judge_restart(&mut self, now: Time, id: NodeId) {
        let Some(endpoint) = self.cluster.life_mut(id) else { return };
        endpoint.pulse.begin_life(endpoint.authored);
        self.suspects.remove(&id);
        self.look_where_it_is_now(id);
        match self.cluster.standing(id) {
            Some(Standing::Live) => self.look_again(id),
            Some(Standing::Unreachable) => self.revive(now, id),
            Some(Standing::Departed) | None => self.judge_newcomer(now, id),
        }
    }

    /// `id` announced its departure.
    pub(super) fn see_off(&mut self, now: Time, id: NodeId) {
        self.put_to_rest(id, Standing::Departed);
        self.say(now, id, EventKind::Departed);
    }

    /// Nobody looks after `id` any longer.
    fn put_to_rest(&mut self, id: NodeId, standing: Standing) {
        self.suspects.remove(&id);
        self.cluster.look(id, |_| Moment::NEVER);
        self.cluster.enter(id, standing);
    }

    /// `exchange` was answered, by `id`.
    pub(super) fn answered(&mut self, now: Time, id: NodeId, exchange: &Exchange) {
        self.wake_contacts();
        if let Some(with) = exchange.with.filter(|&with| with != id) {
            // Somebody else is there now.
            self.miss(with, exchange.to);
            self.suspect(now, with, exchange.sent);
        }
        self.find(id, exchange.to);
        let took = now.moment.since(exchange.sent);
        let smoothed = self.clock.round_trip.map_or(took, |old| old - old / 8 + took / 8);
        self.clock.round_trip = Some(smoothed);
        if exchange.with == Some(id) && exchange.fails.is_some() {
            self.odds.answered();
        }
        self.report_answer(now, id);
    }

    /// Once somebody answers, the addresses of an earlier life have served.
    fn wake_contacts(&mut self) {
        if !self.cluster.live().is_empty() {
            self.contacts.forget_remembered();
        }
    }

    /// How long an answer may take before the attempt counts as failed.
    pub(super) fn patience_for_an_answer(&self) -> Duration {
        let longest = (self.config.interval / 2).max(LEAST_APART);
        self.clock.round_trip.map_or(longest, |round_trip| (4 * round_trip).clamp(LEAST_APART, longest))
    }

    /// Counts the exchanges that got no answer in time against those who were to give it.
    pub(super) fn fail_exchanges(&mut self, now: Time) {
        for exchange in self.exchanges.fail(now.moment) {
            if let Some(id) = exchange.with {
                self.miss(id, exchange.to);
                self.suspect(now, id, exchange.sent);
            }
        }
    }

    /// An attempt on `id`, made at `sent`, failed. Attempts too close to the last one are the same bad luck.
    fn suspect(&mut self, now: Time, id: NodeId, sent: Moment) {
        if !self.is_tried(id) {
            return;
        }
        let apart = self.clock.round_trip.unwrap_or(LEAST_APART).max(LEAST_APART);
        let interval = self.config.interval;
        let Some(pulse) = self.pulse_mut(id).filter(|pulse| pulse.quiet_since <= sent) else { return };
        let suspicion = pulse.suspicion.get_or_insert_with(|| Box::new(Suspicion::new(sent, interval / 10)));
        if suspicion.failed == 0 || sent.since(suspicion.last) >= apart {
            suspicion.failed += 1;
            (suspicion.last, suspicion.fresh) = (sent, now.moment);
            suspicion.first = suspicion.first.min(sent);
            suspicion.latest = suspicion.latest.max(sent);
        }
        suspicion.next = Some(now.moment + suspicion.wait.max(apart));
        if !flaw!(Obstinate) {
            suspicion.wait = (suspicion.wait * 3 / 2).min(interval * 3 / 10);
        }
        if self.cluster.standing(id) == Some(Standing::Live) {
            self.suspects.insert(id);
        }
        self.accused.insert(id);
        self.report_failure(now, id);
        self.call_for_help(now, id);
        self.alarm(now, id);
    }

    /// Whether attempts on `id` count: while it is live, and for a while after it was convicted, since others may need more
    /// failures than this node did, and hear of them from here. Not for ever, or what is known against the dead would be told
    /// to everybody for as long as the rounds try them.
    pub(super) fn is_tried(&self, id: NodeId) -> bool {
        match self.cluster.standing(id) {
            Some(Standing::Live) => true,
            Some(Standing::Unreachable) => {
                self.suspicion(id).is_some_and(|suspicion| suspicion.failed < MOST)
            }
            Some(Standing::Departed) | None => false,
        }
    }

    /// When `id` is to be tried again: also once the attempts say all that this node alone may say, for an answer ends
    /// what others may have made of them.
    pub(super) fn retry_of(&self, id: NodeId) -> Option<Moment> {
        let suspicion = self.suspicion(id).filter(|_| self.clock.retries > 0)?;
        let most = if flaw!(Obstinate) { u32::MAX } else { MOST };
        suspicion.next.filter(|_| suspicion.failed < most && self.is_tried(id))
    }

    pub(super) fn retry_suspects(&mut self, now: Time) {
        for id in self.accused.clone() {
            if self.retry_of(id).is_some_and(|next| next <= now.moment) {
                self.clock.retries -= u32::from(!flaw!(Obstinate));
                self.try_suspect(now, id, self.config.datagram);
            }
        }
    }

    /// Tries `id` once more, beside the rounds, with at most `room` bytes.
    pub(super) fn try_suspect(&mut self, now: Time, id: NodeId, room: usize) {
        if let Some(suspicion) = self.pulse_mut(id).and_then(|pulse| pulse.suspicion.as_mut()) {
            suspicion.next = None;
        }
        if self.contacts.allows(id) {
            self.probe(now, id, room);
        }
    }

    /// Convicts whom the evidence is enough against.
    pub(super) fn convict(&mut self, now: Time) {
        while let Some(id) = self.cluster.due(now.moment) {
            if self.judge(now, id) {
                self.look_again(id);
            }
        }
        for id in self.accused.clone() {
            self.judge(now, id);
        }
    }

    /// Convicts `id` if it is live, and the evidence is enough. Returns whether it is live then.
    pub(super) fn judge(&mut self, now: Time, id: NodeId) -> bool {
        let known = self.cluster.endpoint(id);
        let Some(endpoint) = known.filter(|known| known.seat.standing() == Some(Standing::Live)) else {
            return false;
        };
        let (silence, attempts) = (endpoint.pulse.silence(now.moment, self.floor()), self.attempts(id));
        let phi = silence.max(attempts);
        // A billionth is what sums of floats may lack.
        if flaw!(Unconvicted) && id.0.is_multiple_of(3) {
            return true;
        }
        if phi < self.threshold(id) - 1e-9 || now.moment < self.clock.hold_until {
            return true;
        }
        let cause = if silence >= attempts { Cause::Silence } else { Cause::Attempts };
        self.put_to_rest(id, Standing::Unreachable);
        if !flaw!(ConvictionUntold) {
            self.say(now, id, EventKind::Unreachable { phi, cause });
        }
        false
    }

    /// S of `id`.
    pub(super) fn silence(&self, id: NodeId, now: Moment) -> f64 {
        self.cluster.endpoint(id).map_or(0.0, |endpoint| endpoint.pulse.silence(now, self.floor()))
    }

    /// A of `id`: what counts once the attempts are spread over the patience.
    pub(super) fn attempts(&self, id: NodeId) -> f64 {
        if flaw!(Hasty) && self.suspicion(id).is_some_and(|suspicion| suspicion.failed > 0) {
            return f64::INFINITY;
        }
        if flaw!(LoneAccuser) && self.suspicion(id).is_some_and(|suspicion| suspicion.failed > 1) {
            return f64::INFINITY;
        }
        let patience = if flaw!(LoneAccuser) { Duration::ZERO } else { self.config.patience() };
        let ripe = self.suspicion(id).filter(|suspicion| suspicion.is_ripe(patience));
        ripe.map_or(0.0, |suspicion| suspicion.sum(self.odds.weight(), self.cap(id)))
    }

    pub(super) fn suspicion(&self, id: NodeId) -> Option<&Suspicion> {
        if self.accused.is_empty() {
            return None; // As mostly, and without a search.
        }
        self.cluster.endpoint(id)?.pulse.suspicion.as_deref()
    }

    /// The most that one accuser's attempts may say of `id`, this node's own included: where there are others to ask, it
    /// takes several.
    pub(super) fn cap(&self, id: NodeId) -> f64 {
        if flaw!(LoneAccuser) {
            return f64::INFINITY;
        }
        let accusers = u32::try_from(self.cluster.live().len().clamp(1, 4)).expect("at most four");
        (self.threshold(id) / f64::from(accusers)).max(2.0)
    }

    /// The threshold for `id`, raised, three times at most, by the share of all others that do not answer either: the
    /// fault may be this node's own.
    pub(super) fn threshold(&self, id: NodeId) -> f64 {
        let others = self.cluster.live().len().saturating_sub(1);
        let suspects = self.suspects.len() - usize::from(self.suspects.contains(&id));
        if others == 0 {
            return self.config.threshold;
        }
        #[allow(clippy::cast_precision_loss)] // Counts of nodes.
        let share = suspects as f64 / others as f64;
        self.config.threshold * (1.0 + 2.0 * share.min(1.0))
    }

    /// The interval at which heads of one node can be expected: the round's, or as the budget of heads gives it. A push
    /// brings no answer, which would have some, too.
    pub(super) fn floor(&self) -> Duration {
        self.floor_among(self.cluster.live().len())
    }

    /// The same, where so many are live.
    pub(super) fn floor_among(&self, live: usize) -> Duration {
        self.spacing(live, self.clock.supply)
    }

    /// How far apart the heads of each of so many nodes are, if `supply` of all of them come in in 256 rounds.
    pub(super) fn spacing(&self, live: usize, supply: u32) -> Duration {
        let rounds = (256 * live).div_ceil(supply as usize).max(1);
        self.config.interval * u32::try_from(rounds).unwrap_or(u32::MAX)
    }

    /// How many heads come in in 256 rounds, at most.
    pub(super) fn most_heads(&self) -> u32 {
        256 * u32::try_from(self.config.fanout * self.config.heads).unwrap_or(u32::MAX)
    }

    /// The fewest heads that this node reckons with, for whoever hears of nobody has to convict in the end, too. Where nobody is asked,
    /// the leaf of a star hears of the others when its hub happens to push to it.
    pub(super) fn least_heads(&self) -> u32 {
        self.most_heads() / if self.config.mode == Mode::Push { 16 } else { 4 }
    }

    /// How many heads come in, smoothed over some rounds: no more than the answers to this node's own exchanges bring in the
    /// calm, which is all that it may rely on.
    pub(super) fn reckon_supply(&mut self) {
        let most = self.most_heads();
        let heads = std::mem::take(&mut self.clock.heads).min(most / 256);
        let supply = self.clock.supply - self.clock.supply / 16 + heads * 16;
        self.clock.supply = supply.clamp(self.least_heads(), most);
    }

    /// Puts down when `id` is to be looked at next.
    fn look_again(&mut self, id: NodeId) {
        // By the threshold as it is configured: doubts may end before that, and nobody would look then.
        let (floor, threshold, hold) = (self.floor(), self.config.threshold, self.clock.hold_until);
        // Nor is it too late if more heads come in by then: as many as can be.
        let least = self.spacing(self.cluster.live().len(), self.most_heads());
        let (after, soon) = (self.clock.now + self.config.interval / 4, self.clock.now + 3 * least);
        // What is reckoned with may change until then: a look in three spacings costs the same at any number of nodes.
        self.cluster.look(id, |pulse| pulse.silent_until(threshold, floor).min(soon).max(hold).max(after));
    }

    pub(super) fn pulse_mut(&mut self, id: NodeId) -> Option<&mut Pulse> {
        Some(&mut self.cluster.life_mut(id)?.pulse)
    }
}
