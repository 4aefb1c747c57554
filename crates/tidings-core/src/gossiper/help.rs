//! Evidence from others: asking them to try a suspect too, saying what one got, telling all what is enough to tell.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Gossiper;
use crate::evidence::{ACCUSERS, Suspicion};
use crate::message::{Body, Evidence, Sender};
use crate::name::NodeId;
use crate::recent;
use crate::ring;
use crate::snapshot::Standing;
use crate::time::{Moment, Time};

/// How many are asked for help.
pub(super) const HELPERS: usize = 8;
/// From which phi of this node's own attempts on: after one failure where hardly any do fail, after three where a quarter
/// of all messages is lost.
const ALARMING: f64 = 1.0;
/// How many cases a SYN or an ACK tells of.
const TOLD: usize = 2;
/// For how many rounds evidence is kept to which nothing is added.
const KEPT: u32 = 10;

/// As how many attempts a verdict counts, that of this node or of whoever has forgotten a node: as much as one accuser can say.
pub(super) const CONVICTED: u32 = 8;

impl Gossiper {
    /// Asks some nodes to try `id`, once attempts of this node's own failed; whoever did not answer, again.
    pub(super) fn call_for_help(&mut self, now: Time, id: NodeId) {
        let weight = self.odds.weight();
        let own = |suspicion: &Suspicion| f64::from(suspicion.failed) * weight;
        let Some(suspicion) = self.suspicion(id).filter(|suspicion| own(suspicion) >= ALARMING) else {
            return;
        };
        let first_call = suspicion.helpers.is_empty();
        let fresh = if first_call { self.helpers(id) } else { BTreeSet::new() };
        let Some(suspicion) = self.pulse_mut(id).and_then(|pulse| pulse.suspicion.as_mut()) else { return };
        suspicion.awaited.extend(&fresh);
        suspicion.helpers.extend(fresh);
        let helpers = suspicion.awaited.clone();
        let Some(evidence) = self.evidence(now.moment, id) else { return };
        for helper in helpers {
            self.tell(helper, Body::Help(evidence.clone()));
        }
    }

    /// Some live nodes around `id` on the ring of ids; all of them, if they are few.
    fn helpers(&self, id: NodeId) -> BTreeSet<NodeId> {
        let live = self.partners();
        if live.len() <= HELPERS {
            return live.iter().copied().filter(|&other| other != id).collect();
        }
        let may_help =
            |other| self.cluster.standing(other) == Some(Standing::Live) && self.contacts.allows(other);
        let around = ring::around(self.cluster.endpoints().ids(), id, may_help);
        around.into_iter().take(HELPERS).collect()
    }

    /// Sends something that belongs to no exchange to a node that is known. Nobody else gets any: help must not be a way
    /// to make this node send to strangers.
    fn tell(&mut self, to: NodeId, body: Body) {
        if let Some(address) = self.cluster.endpoint(to).map(|endpoint| endpoint.address()) {
            self.transmit(address, 0, body);
        }
    }

    /// `sender` asks for help with a node. If that was heard of since, this is the answer; otherwise it is tried.
    /// Of the `allowed` bytes, half are for trying it: who asks may be somebody else, in a member's name.
    pub(super) fn receive_help(&mut self, now: Time, sender: Sender, evidence: Evidence, allowed: usize) {
        let id = evidence.head.id;
        self.hear(now, sender);
        if self.cluster.standing(sender.id) != Some(Standing::Live) {
            return self.drop_for("stranger");
        }
        self.hear_heads(now, std::slice::from_ref(&evidence.head));
        let resumed = self.clock.resumed;
        if self.cluster.standing(id) == Some(Standing::Unreachable) {
            // That was tried, and nothing newer is known: the verdict stands.
            let accusers = vec![(self.cluster.me(), CONVICTED)];
            return self.report(now, sender.id, id, accusers, evidence.since);
        }
        let Some(pulse) = self.pulse_mut(id) else { return };
        let first = now.moment - evidence.since;
        if pulse.quiet_since >= first && resumed < first {
            let since = now.moment.since(pulse.quiet_since);
            return self.report(now, sender.id, id, Vec::new(), since);
        }
        let since = evidence.since;
        self.hear_evidence(now, sender.id, &[evidence]);
        if !self.is_tried(id) || self.clock.retries == 0 {
            return;
        }
        let wait = self.config.interval / 10;
        let Some(pulse) = self.pulse_mut(id) else { return };
        let new = || Box::new(Suspicion::new(now.moment - since, wait));
        let suspicion = pulse.suspicion.get_or_insert_with(new);
        let is_new = suspicion.askers.len() < HELPERS && suspicion.askers.insert(sender.id);
        let (failed, is_waiting) = (suspicion.failed, suspicion.next.is_some());
        self.accused.insert(id);
        if failed > 0 {
            let accusers = vec![(self.cluster.me(), failed)];
            self.report(now, sender.id, id, accusers, since);
        }
        if is_new && !is_waiting {
            self.clock.retries -= 1;
            self.try_suspect(now, id, self.config.datagram.min(allowed / 2));
        }
    }

    /// A helper says what it got, or whoever asked for help passes on that another helper got an answer.
    pub(super) fn receive_report(&mut self, now: Time, sender: Sender, evidence: Evidence) {
        let id = evidence.head.id;
        self.hear(now, sender);
        self.hear_heads(now, std::slice::from_ref(&evidence.head));
        // From a helper, or from the one who asked for help.
        let asked = |suspicion: &mut Box<Suspicion>| {
            suspicion.awaited.remove(&sender.id);
            suspicion.helpers.contains(&sender.id) || suspicion.askers.contains(&sender.id)
        };
        let suspicion = self.pulse_mut(id).and_then(|pulse| pulse.suspicion.as_mut());
        if !suspicion.is_some_and(asked) {
            return;
        }
        if !evidence.accusers.is_empty() {
            return self.hear_evidence(now, sender.id, &[evidence]);
        }
        self.acquit_by_hearsay(now, id, now.moment - evidence.since);
    }

    /// Tells those who were asked for help with `id` that it ran at `at`: what they gathered before that is void.
    pub(super) fn tell_helpers(&mut self, now: Time, id: NodeId, at: Moment, suspicion: &Suspicion) {
        for helper in &suspicion.helpers {
            self.report(now, *helper, id, Vec::new(), now.moment.since(at));
        }
    }

    /// Somebody says that `id` answered at `answered`. Each that passes this on adds how long it was on its way, so that word
    /// of the dead would grow younger for ever: whoever runs has a new head soon after.
    fn acquit_by_hearsay(&mut self, now: Time, id: NodeId, answered: Moment) {
        if let Some(endpoint) = self.cluster.endpoint(id) {
            let latest = endpoint.authored + self.config.interval * 3 / 2;
            self.acquit(now, id, answered.min(latest));
        }
    }

    /// `id` answered somebody at `answered`: the attempts before that were bad luck, or the fault of those who tried.
    fn acquit(&mut self, now: Time, id: NodeId, answered: Moment) {
        if self.suspicion(id).is_none() {
            return;
        }
        if flaw!(LoneAccuser) {
            return;
        }
        // What is said later, and rests on attempts from before that, says nothing any more.
        let refuted = self.pulse_mut(id).and_then(|pulse| pulse.refresh(answered));
        if refuted.is_some() {
            self.sign_of_life(now, id, answered, refuted);
        }
    }

    /// Whether what is known against `id` is enough to tell everybody: beyond half the threshold.
    pub(super) fn is_grave(&self, id: NodeId) -> bool {
        let sum = self.suspicion(id).map_or(0.0, |suspicion| suspicion.sum(self.odds.weight(), self.cap(id)));
        sum >= self.threshold(id) / 2.0
    }

    /// Adds what `from` says against nodes to what is known.
    pub(super) fn hear_evidence(&mut self, now: Time, from: NodeId, evidence: &[Evidence]) {
        if evidence.is_empty() {
            return; // As mostly, and without a search.
        }
        if self.cluster.standing(from) != Some(Standing::Live) {
            return evidence.iter().for_each(|_| self.drop_for("stranger"));
        }
        // What refutes comes first, so that nobody is convicted for a moment.
        let (cases, refutations): (Vec<_>, Vec<_>) =
            evidence.iter().partition(|evidence| !evidence.accusers.is_empty());
        for Evidence { head, since, .. } in refutations {
            self.hear_heads(now, std::slice::from_ref(head));
            self.acquit_by_hearsay(now, head.id, now.moment - *since);
        }
        cases.into_iter().for_each(|case| self.hear_case(now, case));
    }

    fn hear_case(&mut self, now: Time, case: &Evidence) {
        let Evidence { head, since, until, accusers } = case;
        let id = head.id;
        self.hear_heads(now, std::slice::from_ref(head));
        if id == self.cluster.me() {
            return self.answer_accusers(now);
        }
        let credible = |accuser: &NodeId| *accuser != id && self.cluster.standing(*accuser).is_some();
        let accusers: Vec<_> =
            accusers.iter().filter(|(accuser, _)| credible(accuser)).take(ACCUSERS).copied().collect();
        if accusers.is_empty() || self.cluster.standing(id) != Some(Standing::Live) {
            return;
        }
        let wait = self.config.interval / 10;
        let (first, latest) = (now.moment - *since, now.moment - (*until).min(*since));
        let Some(first) = self.unheard_since(now, id, first, latest) else { return };
        let Some(pulse) = self.pulse_mut(id) else { return };
        let suspicion = pulse.suspicion.get_or_insert_with(|| Box::new(Suspicion::new(first, wait)));
        suspicion.first = suspicion.first.min(first);
        suspicion.latest = suspicion.latest.max(latest);
        accusers.into_iter().for_each(|(accuser, failed)| suspicion.accuse(accuser, failed, now.moment));
        self.accused.insert(id);
        self.check_for_myself(now, id);
        self.alarm(now, id);
        self.judge(now, id);
    }

    /// Grave evidence of others is checked a while after the patience is over: whoever missed the verdict comes to one of its
    /// own.
    fn check_for_myself(&mut self, now: Time, id: NodeId) {
        let (is_grave, patience, interval) =
            (self.is_grave(id), self.config.patience(), self.config.interval);
        let allowed = self.contacts.allows(id);
        let Some(suspicion) = self.pulse_mut(id).and_then(|pulse| pulse.suspicion.as_mut()) else { return };
        if is_grave && allowed && suspicion.failed == 0 && !suspicion.is_checked {
            suspicion.is_checked = true;
            suspicion.next = Some(now.moment.max(suspicion.first + patience + interval / 4));
        }
    }

    /// The cases that everybody should know of: grave ones, and those that were, until the node answered somebody.
    pub(super) fn evidence_to_tell(&mut self, now: Moment) -> Vec<Evidence> {
        if self.accused.is_empty() && self.acquitted.is_empty() {
            return Vec::new(); // As mostly.
        }
        let grave = self.accused.iter().filter(|&&id| self.is_grave(id)).map(|&id| (id, None));
        let acquitted = self.acquitted.iter().map(|(&id, &(answered, _))| (id, Some(answered)));
        let mut told: Vec<_> = acquitted.chain(grave).collect();
        self.rng.shuffle(&mut told);
        told.truncate(TOLD);
        let tell = |(id, answered): (NodeId, Option<Moment>)| {
            let Some(answered) = answered else { return self.evidence(now, id) };
            let head = self.cluster.endpoint(id)?.head_line(id, now);
            let since = now.since(answered);
            Some(Evidence { head, since, until: since, accusers: Vec::new() })
        };
        told.into_iter().filter_map(tell).collect()
    }

    /// What is known against `id`.
    pub(super) fn evidence(&self, now: Moment, id: NodeId) -> Option<Evidence> {
        let endpoint = self.cluster.endpoint(id)?;
        let suspicion = endpoint.pulse.suspicion.as_ref()?;
        let mut accusers = suspicion.accusers(self.cluster.me());
        accusers.truncate(HELPERS);
        let (since, until) = (now.since(suspicion.first), now.since(suspicion.latest));
        Some(Evidence { head: endpoint.head_line(id, now), since, until, accusers })
    }

    /// Tells those who asked for help with `id` that one more attempt failed.
    pub(super) fn report_failure(&mut self, now: Time, id: NodeId) {
        let Some(suspicion) = self.suspicion(id) else { return };
        let (accusers, since) =
            (vec![(self.cluster.me(), suspicion.failed)], now.moment.since(suspicion.first));
        for asker in suspicion.askers.clone() {
            self.report(now, asker, id, accusers.clone(), since);
        }
    }

    /// `id` answered this node just now: whoever asked for help is told.
    pub(super) fn report_answer(&mut self, now: Time, id: NodeId) {
        let askers = self.suspicion(id).map(|suspicion| suspicion.askers.clone());
        for asker in askers.unwrap_or_default() {
            self.report(now, asker, id, Vec::new(), Duration::ZERO);
        }
        self.acquit(now, id, now.moment);
    }

    fn report(&mut self, now: Time, to: NodeId, id: NodeId, accusers: Vec<(NodeId, u32)>, since: Duration) {
        if let Some(endpoint) = self.cluster.endpoint(id) {
            let head = endpoint.head_line(id, now.moment);
            let latest = endpoint.pulse.suspicion.as_ref().filter(|_| !accusers.is_empty());
            let until = latest.map_or(since, |suspicion| now.moment.since(suspicion.latest));
            self.tell(to, Body::Report(Evidence { head, since, until, accusers }));
        }
    }

    /// Drops what was refuted, and what nobody added to for ten rounds. One's own attempts stay: they stand for what is
    /// so until there is a sign of life.
    pub(super) fn forget_evidence(&mut self, now: Time) {
        let kept = KEPT * self.config.interval;
        let (round, young) = (self.cluster.round(), recent::young_for(self.cluster.endpoints().len()));
        self.acquitted.retain(|_, (_, since)| *since + young > round);
        for id in self.accused.clone() {
            let own = self.suspects.contains(&id);
            let Some(pulse) = self.pulse_mut(id) else { continue };
            let stale = pulse.suspicion.take_if(|s| !own && now.moment.since(s.fresh) > kept).is_some();
            if (stale || pulse.suspicion.is_none()) && !flaw!(Unforgotten) {
                self.accused.remove(&id);
            }
        }
    }
}
