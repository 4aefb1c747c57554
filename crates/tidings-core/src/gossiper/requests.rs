//! Asking owners: requests are gossiped state of who asks, answers of who is asked.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::Gossiper;
use crate::bounds;
use crate::entry::{Entry, Key, Lifetime, Value};
use crate::name::{NodeId, NodeName};
use crate::owner::{Step, Write, WriteError};
use crate::request::{
    Acknowledged, NOTHING, OUTSTANDING, Outcome, Place, Posted, Question, Request, RequestError, RequestId,
    Stamp, Unanswered,
};
use crate::time::{Moment, Time};
use crate::version::{Generation, Version};

/// What a node asks others, and what they ask of it. Most of it stands in the nodes' own states; this is what does not.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// The last request of this node.
    last: RequestId,
    /// The requests that wait for their answers, by the slots of their entries.
    waiting: BTreeMap<u8, Waiting>,
    answers: VecDeque<(RequestId, Result<Outcome, Unanswered>)>,
    /// The requesters to be looked at again in the next round, and the one that was last given an answer.
    pub(super) due: BTreeSet<NodeId>,
    pub(super) served: Option<NodeId>,
    /// Those who were met, or began a life, and of whom not all is known yet: up to which version there was something then.
    pub(super) partial: BTreeMap<NodeId, Version>,
    /// Which request of whom the user is to decide, and what was decided.
    pub(super) decisions: BTreeMap<NodeId, (RequestId, Option<Result<(), String>>)>,
    pub(super) questions: VecDeque<Question>,
    /// Those whom an entry of this node concerns that shows since just now.
    concerned: BTreeSet<NodeId>,
}

impl Requests {
    /// A node was forgotten: what it had asked for is nobody's business any more.
    pub(super) fn forget(&mut self, id: NodeId) {
        self.partial.remove(&id);
        self.decisions.remove(&id);
    }
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
        let highest = bounds::highest_generation(now.wall);
        let heard = heard.filter(|id| id.is_believable(highest)).unwrap_or_default();
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
    pub(super) fn hear_answers(&mut self, now: Time, owner: NodeId) {
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

    /// This node goes on in the life of `generation`, perhaps a lower one: it was beyond belief, and so were its requests.
    pub(super) fn forget_unbelievable(&mut self, generation: Generation) {
        if self.requests.last.epoch > generation {
            self.requests.last = RequestId::default();
        }
    }

    /// Withdraws a request, if it is still under way: nobody waits for its answer any more.
    pub fn withdraw(&mut self, now: Time, id: RequestId) {
        let slot = self.requests.waiting.iter().find(|(_, waiting)| waiting.id == id).map(|(&slot, _)| slot);
        self.conclude(now, slot.map(|slot| (slot, Err(Unanswered::Late))).into_iter().collect());
    }

    /// Withdraws all requests: this node leaves, and nobody waits for what is answered later.
    pub(super) fn withdraw_requests(&mut self, now: Time) {
        let all = self.requests.waiting.keys().map(|&slot| (slot, Err(Unanswered::Left))).collect();
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
            write.push((Posted::key(slot), Entry::delete()));
        }
        // What expired is gone already. The rest goes however little may be written: that makes room.
        write.retain(|(key, _)| self.own_draft().shows(key));
        if self.check(now, &write, false).is_ok() {
            self.take(now, Step::Write(write));
        }
    }

    /// Waits for the answers to those requests of an earlier life that stand in this node's state.
    pub(super) fn restore_requests(&mut self) {
        for Place { slot, owner, id, until, .. } in
            Posted::places(self.owner.drafted(self.cluster.own().replica()))
        {
            self.requests.last = self.requests.last.max(id);
            self.requests.waiting.insert(slot, Waiting { owner, id, until });
        }
    }

    /// Writes that were to be saved are lost, requests perhaps among them. (Those whose withdrawal is lost are over all the
    /// same: they stand until they expire.)
    pub(super) fn drop_unsaved_requests(&mut self, now: Moment) {
        let posted: BTreeMap<_, _> =
            Posted::places(self.own_draft()).map(|place| (place.slot, place.id)).collect();
        let Requests { waiting, answers, .. } = &mut self.requests;
        waiting.retain(|slot, Waiting { id, until, .. }| {
            let is_posted = posted.get(slot) == Some(&*id);
            // One that has just expired may have been told to others.
            let is_kept = is_posted || *until <= now;
            answers.extend((!is_kept).then_some((*id, Err(Unanswered::Unsaved))));
            is_kept
        });
    }

    /// Refuses if `key` of this node does not show the `expected` write, or nothing, where that is expected.
    pub(super) fn expect(&self, key: &Key, expected: Option<Stamp>) -> Result<(), WriteError> {
        let own = self.own_draft();
        let shown = own.entry(key.as_str()).filter(|entry| entry.value.is_some());
        let current = shown.map(|entry| (own.generation(), entry.version));
        if expected.is_none_or(|expected| expected == current.unwrap_or(NOTHING)) {
            return Ok(());
        }
        Err(WriteError::Conflict { key: key.clone(), current })
    }

    /// What the next write of this node will be.
    pub(super) fn next_stamp(&self) -> Stamp {
        let own = self.own_draft();
        (own.generation(), Version(own.max_version().0.saturating_add(1)))
    }

    /// An entry of this node's own shows: whom it tells something?
    pub(super) fn note_concerned(&mut self, key: &Key, value: Option<&Value>) {
        let Some(value) = value else { return };
        let concerned = if let Some(name) = key.as_str().strip_prefix(Key::ACKNOWLEDGED) {
            let tells = Acknowledged::decode(value).is_ok_and(|known| known.is_telling());
            NodeName::new(name).ok().filter(|_| tells).map(|name| name.id())
        } else if key.as_str().starts_with(Key::REQUEST) {
            Posted::decode(value).ok().map(|posted| posted.owner)
        } else {
            None
        };
        self.requests.concerned.extend(concerned);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::gossiper::Identity;
    use crate::time::WallClock;

    /// Numbers go on from life to life, unless they were given in a life that nobody believed.
    #[test]
    fn numbers_beyond_belief_are_given_up() {
        let now = Time { moment: Moment::default(), wall: WallClock(1_800_000_000_000) };
        let name = NodeName::new("ann").unwrap();
        let me = Identity { name, address: ([10, 0, 0, 1], 1).into(), saved: None };
        let mut ann = Gossiper::new(Config::new("test"), me, 7, now).unwrap();
        let life = ann.generation();
        let last = |epoch| RequestId { epoch: Generation(epoch), sequence: 7 };
        for (last, kept) in [
            (last(life.0 - 1), last(life.0 - 1)),
            (last(life.0), last(life.0)),
            (last(life.0 + 1), RequestId::default()),
        ] {
            ann.requests.last = last;
            ann.forget_unbelievable(life);
            assert_eq!(ann.requests.last, kept, "{last}");
        }
    }
}
