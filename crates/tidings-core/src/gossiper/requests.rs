//! Asking owners, and being asked: requests are gossiped state of who asks, answers of who is asked.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::time::Duration;

use super::Gossiper;
use crate::bounds;
use crate::entry::{Entry, Key, Lifetime, Value};
use crate::name::{NodeId, NodeName};
use crate::owner::{Step, Write, WriteError};
use crate::replica::Change;
use crate::request::{
    Acknowledged, OUTSTANDING, Outcome, Posted, Question, REQUESTERS, Request, RequestError, RequestId,
    Stamp, Unanswered,
};
use crate::time::{Moment, Time};
use crate::version::Version;

/// What a node asks others, and what they ask of it. Most of it stands in the nodes' own states; this is what does not.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// The last request of this node.
    last: RequestId,
    /// The requests that wait for their answers, by the slots of their entries.
    waiting: BTreeMap<u8, Waiting>,
    answers: VecDeque<(RequestId, Result<Outcome, Unanswered>)>,
    /// The requesters to be looked at again in the next round.
    due: BTreeSet<NodeId>,
    /// Which request of whom the user is to decide, and what was decided.
    decisions: BTreeMap<NodeId, (RequestId, Option<Result<(), String>>)>,
    questions: VecDeque<Question>,
    /// Those whom an entry of this node concerns that shows since just now.
    concerned: BTreeSet<NodeId>,
}

/// A request under way.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    owner: NodeId,
    id: RequestId,
    /// When it is withdrawn.
    until: Moment,
}

impl Gossiper {
    // This node asks.

    /// Asks `owner` for a change. [`poll_answer`](Self::poll_answer) tells what became of it, after `wait` at the latest: then
    /// the request is withdrawn.
    ///
    /// # Errors
    /// Nothing was asked, and why.
    pub fn request(
        &mut self,
        now: Time,
        owner: &NodeName,
        request: Request,
        wait: Duration,
    ) -> Result<RequestId, RequestError> {
        let to = owner.id();
        let Some(known) = self.cluster.endpoint(to).filter(|_| to != self.cluster.me()) else {
            return Err(RequestError::UnknownOwner { owner: owner.clone() });
        };
        if request.key.is_reserved() {
            return Err(WriteError::Reserved { key: request.key }.into());
        }
        request.lifetime.check()?;
        let slots = 0..u8::try_from(OUTSTANDING).expect("it is a small number");
        let is_free = |slot: &u8| !self.requests.waiting.contains_key(slot);
        let slot = slots.into_iter().find(is_free).ok_or(RequestError::TooMany)?;
        // What the owner remembers may be of a life that this node has forgotten.
        let heard = Acknowledged::find(known.replica(), self.name()).map(|known| known.through);
        let heard = heard.filter(|id| id.epoch <= bounds::highest_generation(now.wall)).unwrap_or_default();
        let id = self.requests.last.max(heard).next(self.generation());
        let (key, len) =
            (request.key.clone(), request.value.as_ref().map_or(0, |value| value.as_bytes().len()));
        let value = Posted { owner: to, id, request }.encode();
        let besides = value.as_bytes().len() - len;
        if len + besides > Value::MAX_LEN {
            return Err(WriteError::ValueTooLong { key, len, most: Value::MAX_LEN - besides }.into());
        }
        let wait = wait.clamp(Lifetime::SHORTEST, Lifetime::LONGEST);
        let entry = Entry::write(Some(value), Lifetime::ttl(wait), now.moment);
        let until = entry.expires;
        self.put(now, vec![(Posted::key(slot), entry)])?;
        self.requests.last = id;
        self.requests.waiting.insert(slot, Waiting { owner: to, id, until });
        self.tell_concerned(now);
        Ok(id)
    }

    /// What became of a request of this node, or why that is not known.
    #[must_use]
    pub fn poll_answer(&mut self) -> Option<(RequestId, Result<Outcome, Unanswered>)> {
        self.requests.answers.pop_front()
    }

    /// `owner` acknowledges something: perhaps what this node waits for.
    fn hear_answers(&mut self, now: Time, owner: NodeId) {
        let Some(known) = self.cluster.endpoint(owner) else { return };
        let Some(known) = Acknowledged::find(known.replica(), self.name()) else { return };
        let answer = |(&slot, waiting): (&u8, &Waiting)| {
            let told = known.outcome(waiting.id).cloned().map(Ok);
            // Passed over without a word: it was answered, and the answer did not survive.
            let lost = (waiting.id <= known.through).then_some(Err(Unanswered::Late));
            Some((slot, told.or(lost)?))
        };
        let to_owner = self.requests.waiting.iter().filter(|(_, waiting)| waiting.owner == owner);
        let answered: Vec<_> = to_owner.filter_map(answer).collect();
        self.conclude(now, answered);
    }

    /// Withdraws requests that were not answered in time.
    pub(super) fn expire_requests(&mut self, now: Time) {
        let late = self.requests.waiting.iter().filter(|(_, waiting)| waiting.until <= now.moment);
        let late: Vec<_> = late.map(|(&slot, _)| (slot, Err(Unanswered::Late))).collect();
        self.conclude(now, late);
    }

    /// Withdraws all requests: this node leaves, and nobody waits for what is answered later.
    pub(super) fn withdraw_requests(&mut self, now: Time) {
        let all = self.requests.waiting.keys().map(|&slot| (slot, Err(Unanswered::Late))).collect();
        self.conclude(now, all);
    }

    /// When the next request is to be withdrawn.
    pub(super) fn requests_due(&self) -> Option<Moment> {
        self.requests.waiting.values().map(|waiting| waiting.until).min()
    }

    /// How many requests are under way.
    pub(super) fn waiting_requests(&self) -> usize {
        self.requests.waiting.len()
    }

    /// How many answers and questions wait to be polled.
    pub(super) fn unpolled_requests(&self) -> usize {
        self.requests.answers.len() + self.requests.questions.len()
    }

    /// These requests are over: says so, and takes them out of this node's state.
    fn conclude(&mut self, now: Time, answered: Vec<(u8, Result<Outcome, Unanswered>)>) {
        let mut write = Write::new();
        for (slot, answer) in answered {
            let Some(waiting) = self.requests.waiting.remove(&slot) else { continue };
            self.requests.answers.push_back((waiting.id, answer));
            write.push((Posted::key(slot), Entry::new(None, Version(0))));
        }
        // What expired is gone already. The rest goes however little may be written: that makes room. Nothing does after a
        // departure.
        write.retain(|(key, _)| self.own_draft().shows(key));
        if !write.is_empty() && self.farewell.is_none() && self.check(now, &write, false).is_ok() {
            self.take(now, Step::Write(write));
        }
    }

    /// Waits for the answers to those requests of an earlier life that stand in this node's state.
    pub(super) fn restore_requests(&mut self) {
        let (posted, _) = Posted::all_in(self.own_draft());
        for (slot, (Posted { owner, id, .. }, until)) in posted {
            self.requests.last = self.requests.last.max(id);
            self.requests.waiting.insert(slot, Waiting { owner, id, until });
        }
    }

    /// Writes that were to be saved are lost, requests perhaps among them. (Those whose withdrawal is lost are over all the
    /// same: they stand until they expire.)
    pub(super) fn drop_unsaved_requests(&mut self, now: Moment) {
        let (posted, _) = Posted::all_in(self.own_draft());
        let Requests { waiting, answers, .. } = &mut self.requests;
        waiting.retain(|slot, Waiting { id, until, .. }| {
            let is_posted = posted.get(slot).is_some_and(|(posted, _)| posted.id == *id);
            // One that has just expired may have been told to others.
            let is_kept = is_posted || *until <= now;
            answers.extend((!is_kept).then_some((*id, Err(Unanswered::Unsaved))));
            is_kept
        });
    }

    // This node is asked.

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
        for id in std::mem::take(&mut self.requests.due) {
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
    fn asked_by(&mut self, now: Time, id: NodeId) -> Option<(NodeName, BTreeMap<RequestId, Request>)> {
        let endpoint = self.cluster.endpoint(id)?;
        let (posted, damaged) = Posted::all_in(endpoint.replica());
        let (name, me, highest) =
            (endpoint.name().clone(), self.cluster.me(), bounds::highest_generation(now.wall));
        (0..damaged).for_each(|_| self.drop_for("malformed"));
        let to_me = posted
            .into_values()
            .map(|(posted, _)| posted)
            .filter(|posted| posted.owner == me && posted.id.epoch <= highest);
        Some((name, to_me.map(|posted| (posted.id, posted.request)).collect()))
    }

    /// Answers what `id` asks, one request after the other, as far as that can be done now.
    fn answer_requests(&mut self, now: Time, id: NodeId) {
        let Some((requester, asked)) = self.asked_by(now, id) else { return };
        let mut known = Acknowledged::find(self.own_draft(), &requester).unwrap_or_default();
        let watermark = if flaw!(WatermarkForgotten) { RequestId::default() } else { known.through };
        let new = (Bound::Excluded(watermark), Bound::Unbounded);
        for (&request_id, request) in asked.range(new) {
            known.keep(|id| asked.contains_key(&id));
            if !self.answer(now, &requester, (request_id, request), &mut known) {
                self.requests.due.insert(id);
                break;
            }
        }
        if known.keep(|id| asked.contains_key(&id)) {
            self.requests.due.insert(id);
        }
        self.tell_concerned(now);
    }

    /// Drops the outcomes that `id` has seen: it does not show those requests any more.
    fn drop_outcomes(&mut self, now: Time, id: NodeId) {
        let Some((requester, asked)) = self.asked_by(now, id) else { return };
        let Some(mut known) = Acknowledged::find(self.own_draft(), &requester) else { return };
        if known.keep(|id| asked.contains_key(&id)) {
            let write = vec![known.entry(&requester)];
            if self.put(now, write).is_err() {
                self.requests.due.insert(id);
            }
        }
    }

    /// Answers one request of `requester`, of which `known` is remembered, if that can be done now.
    fn answer(
        &mut self,
        now: Time,
        requester: &NodeName,
        (id, request): (RequestId, &Request),
        known: &mut Acknowledged,
    ) -> bool {
        let Some(decision) = self.decide(requester, id, request) else { return false };
        let Request { key, value, lifetime, expected } = request;
        let found = decision.map_err(Outcome::Refused).and_then(|()| match self.expect(key, *expected) {
            Err(WriteError::Conflict { current, .. }) => Err(Outcome::Conflict(current)),
            Err(error) => Err(Outcome::Refused(error.to_string())),
            Ok(()) => Ok(()),
        });
        let change = found.map(|()| (key.clone(), Entry::write(value.clone(), *lifetime, now.moment)));
        let is_granted = change.is_ok();
        let told = self.acknowledge(now, requester, id, change, known);
        let told = match told {
            Err(WriteError::Busy { .. }) => return false,
            Err(error) if is_granted => {
                self.acknowledge(now, requester, id, Err(Outcome::Refused(error.to_string())), known)
            }
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
    ) -> Option<Result<(), String>> {
        let key = &request.key;
        if key.is_reserved() {
            return Some(Err(WriteError::Reserved { key: key.clone() }.to_string()));
        }
        if let Some(is_granted) = self.config.requests.grants(key) {
            let refusal = || format!("the policy of {} allows no requests for the key {key}", self.name());
            return Some(is_granted.then_some(()).ok_or_else(refusal));
        }
        let (asked, decided) = self.requests.decisions.entry(requester.id()).or_default();
        if *asked != id {
            (*asked, *decided) = (id, None);
            let question = Question { requester: requester.clone(), id, request: request.clone() };
            self.requests.questions.push_back(question);
        }
        decided.clone()
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
        let is_new = known.through == RequestId::default();
        let forgotten = if is_new { self.forget_requester()? } else { None };
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
        assert_eq!(version, stamp.1, "an outcome tells the version of its change");
        *known = after;
        Ok(version)
    }

    /// Forgets a requester if so many are remembered: one that is not known any more.
    fn forget_requester(&self) -> Result<Option<(Key, Entry)>, WriteError> {
        let is_shown = |(_, entry): &(&Key, &Entry)| entry.value.is_some();
        let remembered = || self.own_draft().entries_under(Key::ACKNOWLEDGED).filter(is_shown);
        if remembered().count() < REQUESTERS {
            return Ok(None);
        }
        let is_gone = |key: &&Key| {
            let name = key.as_str().strip_prefix(Key::ACKNOWLEDGED).and_then(|name| NodeName::new(name).ok());
            name.is_none_or(|name| self.cluster.endpoint(name.id()).is_none())
        };
        let gone = remembered().map(|(key, _)| key).find(is_gone);
        let full = WriteError::TooManyKeys { most: REQUESTERS };
        gone.map(|key| Some((key.clone(), Entry::new(None, Version(0))))).ok_or(full)
    }

    // Both.

    /// Refuses if `key` of this node does not show the `expected` write, where one is.
    pub(super) fn expect(&self, key: &Key, expected: Option<Stamp>) -> Result<(), WriteError> {
        let own = self.own_draft();
        let shown = own.entry(key.as_str()).filter(|entry| entry.value.is_some());
        let current = shown.map(|entry| (own.generation(), entry.version));
        if expected.is_none() || expected == current {
            return Ok(());
        }
        Err(WriteError::Conflict { key: key.clone(), current })
    }

    /// What the next write of this node will be.
    fn next_stamp(&self) -> Stamp {
        let own = self.own_draft();
        (own.generation(), Version(own.max_version().0.saturating_add(1)))
    }

    /// An entry of this node's own shows: whom it concerns?
    pub(super) fn note_concerned(&mut self, key: &Key, value: Option<&Value>) {
        let requester = key.as_str().strip_prefix(Key::ACKNOWLEDGED);
        let requester = requester.and_then(|name| NodeName::new(name).ok()).map(|name| name.id());
        let is_request = key.as_str().starts_with(Key::REQUEST);
        let owner = value.filter(|_| is_request).and_then(|value| Posted::decode(value).ok());
        self.requests.concerned.extend(requester.or(owner.map(|posted| posted.owner)));
    }

    /// Gossips at once with those whom new entries concern, as often as a node may repeat its exchanges.
    pub(super) fn tell_concerned(&mut self, now: Time) {
        for id in std::mem::take(&mut self.requests.concerned) {
            if self.clock.repeats > 0 && self.is_present() && self.partners().contains(&id) {
                self.clock.repeats -= 1;
                self.gossip_with(now, id);
            }
        }
    }
}
