//! Evidence that everybody should hear of at once: what is grave and new, what refutes it, and how both travel.
//!
//! [`grave_news`](Gossiper::grave_news) says what there is to tell, and [`hear_evidence`](Gossiper::hear_evidence) takes what
//! is heard. Rumors carry both, along the ring of ids, however news is told.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Gossiper;
use super::help::HELPERS;
use crate::evidence::{Suspicion, Told};
use crate::message::{Evidence, Rumor};
use crate::name::NodeId;
use crate::time::{Moment, Time};
use crate::wire::size;

/// How often alarms are given in an interval at most: what comes in between waits for the next one, and goes with it.
const OFTEN: u32 = 10;

/// From so many untold cases on, returns are none.
const MANY: usize = 32;

/// The cases that everybody is to be told of at once, and when that may be done next.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    untold: BTreeSet<NodeId>,
    after: Moment,
}

impl Alarms {
    /// When the next alarm is due.
    pub(super) fn due(&self) -> Option<Moment> {
        (!self.untold.is_empty()).then_some(self.after)
    }
}

impl Gossiper {
    /// Notices if the case of `id` became grave, or its patience ended.
    pub(super) fn alarm(&mut self, now: Time, id: NodeId) {
        let due = self.due_to_tell(now.moment, id);
        let Some(suspicion) = self.pulse_mut(id).and_then(|pulse| pulse.suspicion.as_mut()) else { return };
        if due > suspicion.told {
            suspicion.told = due;
            self.tell_all(now, id);
        }
    }

    /// What of the case of `id` everybody should know by now. While it is grave, nobody hears of it before two fifths of the
    /// patience are over: by then most of what looks grave through losses is refuted, and there is time for whoever hears
    /// from the node in its next round to say so.
    fn due_to_tell(&self, now: Moment, id: NodeId) -> Told {
        match self.suspicion(id).filter(|_| self.is_grave(id)) {
            Some(_) if self.attempts(id) >= self.threshold(id) => Told::Verdict,
            Some(suspicion) if now.since(suspicion.first) >= self.config.patience() * 2 / 5 => Told::Alarm,
            Some(_) | None => Told::Nothing,
        }
    }

    /// `id` ran at `at`, after what `suspicion` rests on: if everybody was told of that, everybody is told of this.
    pub(super) fn give_all_clear(&mut self, now: Time, id: NodeId, at: Moment, suspicion: &Suspicion) {
        if suspicion.told > Told::Nothing {
            self.acquitted.insert(id, (at, self.cluster.round()));
            self.tell_all(now, id);
        }
    }

    /// `id` is back: others may not have heard that. Where very many are, it is no case for alarms: exchanges tell of them first.
    pub(super) fn tell_of_return(&mut self, now: Time, id: NodeId) {
        let heard = self.cluster.endpoint(id).map_or(now.moment, |endpoint| endpoint.pulse.quiet_since);
        self.acquitted.insert(id, (heard, self.cluster.round()));
        if self.alarms.untold.len() < MANY {
            self.tell_all(now, id);
        }
    }

    /// This node hears that it is accused: it says that it runs.
    pub(super) fn answer_accusers(&mut self, now: Time) {
        self.tell_all(now, self.cluster.me());
    }

    /// From when on attempts on `id` speak against it, of those made between `first` and `latest`; `None` if none do. Whoever
    /// heard from it meanwhile says so, once. When the patience is over that is too late, and it may have stopped just
    /// then: what was tried since counts.
    pub(super) fn unheard_since(
        &mut self,
        now: Time,
        id: NodeId,
        first: Moment,
        latest: Moment,
    ) -> Option<Moment> {
        let endpoint = self.cluster.endpoint(id)?;
        let heard = endpoint.pulse.quiet_since;
        if heard < first {
            return Some(first);
        }
        if self.clock.resumed >= first {
            // What moved on with a sleep of this node was not heard.
            return Some(first.max(endpoint.authored + Duration::from_micros(1)));
        }
        if latest.since(first) >= self.config.patience() {
            return (heard < latest).then(|| heard + Duration::from_micros(1));
        }
        if self.acquitted.get(&id).is_none_or(|(at, _)| *at < first) {
            self.acquitted.insert(id, (heard, self.cluster.round()));
            self.tell_all(now, id);
        }
        None
    }

    fn tell_all(&mut self, now: Time, id: NodeId) {
        self.alarms.untold.insert(id);
        self.give_alarms(now);
    }

    /// Tells those who tell it to all what is grave and new, unless that was done just now.
    pub(super) fn give_alarms(&mut self, now: Time) {
        if self.alarms.due().is_none_or(|due| due > now.moment) {
            return;
        }
        let evidence = self.grave_news(now.moment);
        if evidence.is_empty() {
            return;
        }
        self.alarms.after = now.moment + self.config.interval / OFTEN;
        let few = self.cluster.live().len() <= HELPERS;
        let all = if few { self.partners().into_owned() } else { self.offered_to() };
        for id in all {
            self.tell_rumor(now, id, Rumor { evidence: evidence.clone(), ..Rumor::default() });
        }
    }

    /// What is grave and was not told yet, or refutes what was: as much as fits a datagram. It counts as told from now on.
    fn grave_news(&mut self, now: Moment) -> Vec<Evidence> {
        let mut room = self.config.datagram.saturating_sub(size::GREETING + size::LIST);
        let mut news = Vec::new();
        while let Some(&id) = self.alarms.untold.first() {
            let grave = self.evidence(now, id).filter(|_| self.is_grave(id));
            if let Some(evidence) = grave.or_else(|| self.refutation(now, id)) {
                let Some(left) = room.checked_sub(size::evidence(&evidence)) else { return news };
                room = left;
                news.push(evidence);
            }
            self.alarms.untold.pop_first();
        }
        news
    }

    /// That `id` ran after it was accused.
    fn refutation(&self, now: Moment, id: NodeId) -> Option<Evidence> {
        let is_me = id == self.cluster.me();
        let (at, _) = if is_me { (now, 0) } else { *self.acquitted.get(&id)? };
        let (head, since) = (self.cluster.endpoint(id)?.head_line(id, now), now.since(at));
        Some(Evidence { head, since, until: since, accusers: Vec::new() })
    }
}
