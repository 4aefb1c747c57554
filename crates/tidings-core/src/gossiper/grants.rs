//! Being asked: whose requests are granted, and what is told of them.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::Gossiper;
use crate::bounds;
use crate::entry::{Entry, Key, Value};
use crate::name::{NodeId, NodeName};
use crate::owner::{Write, WriteError};
use crate::replica::{self, Change};
use crate::request::{Acknowledged, Outcome, Posted, Question, REQUESTERS, Request, RequestId};
use crate::time::Time;
use crate::version::Version;

/// What is remembered of requesters takes this part of all that an owner may have, at the most.
const SHARE: usize = 16;

impl Gossiper {
    /// `id` was met, or met in another life, in which there is something up to `max`: outcomes that it has seen meanwhile are
    /// to be dropped.
    pub(super) fn meet_requester(&mut self, id: NodeId, max: Version) {
        self.requests.partial.insert(id, max);
        let name = self.cluster.endpoint(id).map(|endpoint| endpoint.name());
        let known = name.and_then(|name| Acknowledged::find(self.own_draft(), name));
        if known.is_some_and(|known| known.is_telling()) {
            self.requests.due.insert(id);
        }
    }

    /// Whether `id` may show a request that has not come yet.
    fn is_partial(&mut self, id: NodeId) -> bool {
        let Some(&max) = self.requests.partial.get(&id) else { return false };
        let is_partial = self.cluster.endpoint(id).is_some_and(|endpoint| endpoint.max_version() < max);
        if !is_partial {
            self.requests.partial.remove(&id);
        }
        is_partial
    }

    /// `changes` came of `id`: they may be requests to this node, or answers to its own.
    pub(super) fn hear_requests(&mut self, now: Time, id: NodeId, changes: &[Change]) {
        if changes.iter().any(|(key, ..)| key.as_str().starts_with(Key::REQUEST)) {
            self.answer_requests(now, id);
        }
        let answers =
            |(key, ..): &Change| key.as_str().strip_prefix(Key::ACKNOWLEDGED) == Some(self.name().as_str());
        if changes.iter().any(answers) {
            self.hear_answers(now, id);
        }
    }

    /// What the user is to decide, with [`Policy::Decided`](crate::Policy::Decided).
    #[must_use]
    pub fn poll_question(&mut self) -> Option<Question> {
        self.requests.questions.pop_front()
    }

    /// The user's answer to a [`Question`]: whether the request is granted, or why not.
    pub fn handle_decision(&mut self, now: Time, question: &Question, decision: Result<(), String>) {
        self.see_time(now);
        self.expire(now);
        let id = question.requester.id();
        let open = self.requests.decisions.get_mut(&id).filter(|(asked, _)| *asked == question.id);
        if let Some((_, decided)) = open {
            *decided = Some(decision);
            self.answer_requests(now, id);
        }
    }

    /// In a round: answers what had to wait, and drops outcomes that have been seen.
    pub(super) fn go_on_answering(&mut self, now: Time) {
        let due = std::mem::take(&mut self.requests.due);
        // Where little may be written, each has its turn.
        let (before, after): (Vec<_>, Vec<_>) =
            due.into_iter().partition(|id| Some(*id) <= self.requests.served);
        for id in after.into_iter().chain(before) {
            self.answer_requests(now, id);
            self.drop_outcomes(now, id);
        }
    }

    /// Writes that were to be saved are lost, answers perhaps among them.
    pub(super) fn answer_all_again(&mut self) {
        let ids = self.cluster.endpoints().ids().iter().copied();
        self.requests.due = ids.filter(|id| *id != self.cluster.me()).collect();
    }

    /// What `id` asks of this node, and has not withdrawn.
    fn asked_by(&self, now: Time, id: NodeId) -> Option<(NodeName, BTreeMap<RequestId, Value>)> {
        let endpoint = self.cluster.endpoint(id)?;
        let (me, highest) = (self.cluster.me(), bounds::highest_generation(now.wall));
        let to_me = Posted::places(endpoint.replica())
            .filter(|place| place.owner == me && place.id.epoch <= highest)
            .map(|place| (place.id, place.value.clone()));
        Some((endpoint.name().clone(), to_me.collect()))
    }

    /// Answers what `id` asks, one request after the other, as far as that can be done now.
    fn answer_requests(&mut self, now: Time, id: NodeId) {
        let Some((requester, asked)) = self.asked_by(now, id) else { return };
        let mut known = Acknowledged::find(self.own_draft(), &requester).unwrap_or_default();
        let watermark = if flaw!(WatermarkForgotten) { RequestId::default() } else { known.through };
        let new = (Bound::Excluded(watermark), Bound::Unbounded);
        let is_partial = self.is_partial(id);
        let is_shown = |id| is_partial || asked.contains_key(&id);
        for (&request_id, value) in asked.range(new) {
            known.keep(is_shown);
            if !self.answer(now, &requester, (request_id, value), &mut known) {
                self.requests.due.insert(id);
                break;
            }
            self.requests.served = Some(id);
        }
        let open = self.requests.decisions.get(&id).is_some_and(|(request, _)| asked.contains_key(request));
        if !open {
            self.requests.decisions.remove(&id);
        }
        if known.keep(is_shown) {
            self.requests.due.insert(id);
        }
        self.tell_concerned(now);
    }

    /// Drops the outcomes that `id` has seen: it does not show those requests any more.
    fn drop_outcomes(&mut self, now: Time, id: NodeId) {
        let Some((requester, asked)) = self.asked_by(now, id) else { return };
        let Some(mut known) = Acknowledged::find(self.own_draft(), &requester) else { return };
        // What is not there may still come.
        let is_partial = self.is_partial(id);
        if known.keep(|id| asked.contains_key(&id))
            && (is_partial || self.put(now, vec![known.entry(&requester)]).is_err())
        {
            self.requests.due.insert(id);
        }
    }

    /// Answers one request of `requester`, of which `known` is remembered, if that can be done now.
    fn answer(
        &mut self,
        now: Time,
        requester: &NodeName,
        (id, value): (RequestId, &Value),
        known: &mut Acknowledged,
    ) -> bool {
        let change = match Posted::decode(value) {
            Err(error) => Err(Outcome::Refused(format!("it is none that this node can read: {error}"))),
            Ok(Posted { request, .. }) => {
                let Some(decision) = self.decide(requester, id, &request) else { return false };
                let Request { key, value, lifetime, expected } = request;
                decision.and_then(|()| self.expect(&key, expected).map_err(outcome)).map(|()| {
                    let entry = Entry::write(value, lifetime, now.moment);
                    (key, entry)
                })
            }
        };
        let is_granted = change.is_ok();
        let told = self.acknowledge(now, requester, id, change, known);
        let told = match told {
            Err(WriteError::Busy { .. }) => return false,
            Err(error) if is_granted => self.acknowledge(now, requester, id, Err(outcome(error)), known),
            told => told,
        };
        // Until then the user need not be asked again.
        if told.is_ok() {
            self.requests.decisions.remove(&requester.id());
        }
        told.is_ok()
    }

    /// Whether a request is granted, or why not; `None` while the user has not decided.
    fn decide(
        &mut self,
        requester: &NodeName,
        id: RequestId,
        request: &Request,
    ) -> Option<Result<(), Outcome>> {
        if request.key.is_reserved() {
            return Some(Err(Outcome::NotAllowed));
        }
        if let Some(is_granted) = self.config.requests.grants(&request.key) {
            return Some(is_granted.then_some(()).ok_or(Outcome::NotAllowed));
        }
        let (asked, decided) = self.requests.decisions.entry(requester.id()).or_default();
        if *asked != id {
            (*asked, *decided) = (id, None);
            let question = Question { requester: requester.clone(), id, request: request.clone() };
            self.requests.questions.push_back(question);
        }
        decided.clone().map(|decided| decided.map_err(Outcome::Refused))
    }

    /// Writes the outcome of a request, and the change that it asked for if it is granted, in one version: whoever sees the one
    /// sees the other, and what a disk has of them is both.
    fn acknowledge(
        &mut self,
        now: Time,
        requester: &NodeName,
        id: RequestId,
        change: Result<(Key, Entry), Outcome>,
        known: &mut Acknowledged,
    ) -> Result<Version, WriteError> {
        let forgotten = self.forget_requester(known.through == RequestId::default())?;
        let told = |stamp| {
            let mut after = known.clone();
            after.answer(id, change.clone().map_or_else(|refusal| refusal, |_| Outcome::Applied(stamp)));
            let entry = after.entry(requester);
            (
                after,
                change.clone().ok().into_iter().chain([entry]).chain(forgotten.clone()).collect::<Write>(),
            )
        };
        // First, since a collection takes a version.
        self.make_room(now, &told(self.next_stamp()).1);
        let stamp = self.next_stamp();
        let told_of = if flaw!(Misreported) { (stamp.0, Version(stamp.1.0 - 1)) } else { stamp };
        let (after, mut write) = told(told_of);
        if flaw!(AnsweredApart) && change.is_ok() {
            let change = write.remove(0);
            self.put(now, write)?;
            *known = after;
            return self.put(now, vec![change]);
        }
        let version = self.put(now, write)?;
        debug_assert_eq!(version, stamp.1, "an outcome tells the version of its change");
        *known = after;
        Ok(version)
    }

    /// Forgets a requester if what is remembered of all is as much as may be, or of as many as may be and this one `is_new`: one
    /// that is not known, and waits for no outcome.
    fn forget_requester(&self, is_new: bool) -> Result<Option<(Key, Entry)>, WriteError> {
        let most = self.config.max_bytes / SHARE;
        let remembered = || {
            self.own_draft()
                .entries_under(Key::ACKNOWLEDGED)
                .filter_map(|(key, entry)| Some((key, entry.value.as_ref()?)))
        };
        let bytes: usize = remembered().map(|(key, value)| replica::weight(key, Some(value))).sum();
        let refused = if is_new && remembered().count() >= REQUESTERS {
            WriteError::TooManyKeys { most: REQUESTERS }
        } else if bytes > most {
            WriteError::TooManyBytes { most }
        } else {
            return Ok(None);
        };
        let is_over = |(key, value): &(&Key, &Value)| {
            let name = key.as_str().strip_prefix(Key::ACKNOWLEDGED).and_then(|name| NodeName::new(name).ok());
            let is_known = name.is_some_and(|name| self.cluster.endpoint(name.id()).is_some());
            !is_known && !Acknowledged::decode(value).is_ok_and(|known| known.is_telling())
        };
        remembered().find(is_over).map(|(key, _)| Some((key.clone(), Entry::delete()))).ok_or(refused)
    }
}

/// What tells a requester that its change was not made, for this reason.
fn outcome(error: WriteError) -> Outcome {
    if let WriteError::Conflict { current, .. } = error {
        return Outcome::Conflict(current);
    }
    if matches!(error, WriteError::Absent { .. }) {
        Outcome::Absent
    } else {
        Outcome::Refused(error.to_string())
    }
}
