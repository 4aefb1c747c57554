//! What nodes ask owners for, how often those do it, and what they are told of it: S6, S11.

use std::collections::{BTreeMap, BTreeSet};

use tidings_core::{
    Gossiper, Key, Moment, NodeId, Outcome, Replica, Request, RequestId, Stamp, Value, Version,
};

use super::ghost::Ghost;
use super::{Checker, Promise};
use crate::node::{Answer, Place};

/// The beginning of the keys under which an owner answers.
pub(super) const ANSWERS: &str = "tidings/ack/";

/// A change that others asked an owner for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wanted {
    /// How often they did.
    times: u32,
    /// How often it was made, since its owner last lost what it knew of that.
    made: u32,
}

impl Wanted {
    /// The owner lost what it knew.
    pub(super) fn begin_anew(&mut self) {
        self.made = 0;
    }
}

/// What a process asked for, and was told of it.
#[derive(Debug, Default)]
pub(super) struct Asked {
    waiting: BTreeMap<RequestId, (NodeId, Key, Option<Value>)>,
    answered: BTreeSet<RequestId>,
}

impl Ghost {
    /// Whether others asked for this write of `key`, more often than it was made so far, and `replica`, in which it stands, tells
    /// of an answer in that version, or in a later one.
    pub(super) fn may_grant(
        &mut self,
        replica: &Replica,
        version: Version,
        key: &Key,
        value: Option<&Value>,
    ) -> bool {
        let answers = replica.entries().filter(|(key, _)| key.as_str().starts_with(ANSWERS));
        let is_answered = answers.map(|(_, entry)| entry.version).max() >= Some(version);
        let Some(wanted) = self.asked.get_mut(&(key.clone(), value.cloned())) else { return false };
        wanted.made += 1;
        wanted.made <= wanted.times && is_answered
    }

    /// Whether `key` may have been written so as `version`, in that life or in one that followed. Of what was written again at
    /// once, maybe for another node, there is no entry.
    fn may_have_written(&self, (life, version): Stamp, key: &Key, value: &Option<Value>) -> bool {
        self.lives.range(life..).any(|(_, life)| {
            let is_a_change =
                |(at, key): &(Version, Key)| *at == version && !key.as_str().starts_with(ANSWERS);
            let mut then = life.written.iter().filter(|(write, _)| is_a_change(write)).peekable();
            let was_again = || life.newest.get(key).is_none_or(|(newest, _)| *newest > version);
            let is_so = if then.peek().is_none() {
                was_again()
            } else {
                then.any(|((_, k), v)| k == key && v == value)
            };
            version <= life.max && is_so
        })
    }
}

impl Checker {
    /// A node asks `owner` for a change.
    pub(crate) fn asked(&mut self, place: Place, owner: NodeId, id: RequestId, request: Request) {
        let (key, value) = (request.key, request.value);
        if let Some(ghost) = self.ghosts.get_mut(&owner) {
            ghost.asked.entry((key.clone(), value.clone())).or_default().times += 1;
        }
        self.view(place).asked.waiting.insert(id, (owner, key, value));
    }

    /// A node is told what became of a request of this life, or of an earlier one: once, and what is so.
    pub(crate) fn answered(&mut self, now: Moment, place: Place, core: &Gossiper, (id, answer): &Answer) {
        self.count(match answer {
            Ok(Outcome::Applied(_)) => "requests applied",
            Ok(Outcome::NotAllowed | Outcome::Absent | Outcome::Refused(_)) => "requests refused",
            Ok(Outcome::Conflict(_)) => "requests in conflict",
            Err(_) => "requests unanswered",
        });
        let asked = &mut self.view(place).asked;
        let (is_first, request) = (asked.answered.insert(*id), asked.waiting.remove(id));
        if !is_first {
            let what = format_args!("is told twice what became of its request {id}");
            return self.break_promise(Promise::S11, now, place, what);
        }
        let (Ok(Outcome::Applied(stamp)), Some((owner, key, value))) = (answer, request) else { return };
        let is_so = self.ghost(owner).is_some_and(|ghost| ghost.may_have_written(*stamp, &key, &value));
        // Q4: whoever sees an outcome sees the change.
        let held = core.replica(owner).map(|replica| (replica.generation(), replica.max_version()));
        if !is_so || held < Some(*stamp) {
            let ((generation, version), name) = (stamp, self.name(owner));
            let what =
                format_args!("is told that {name} set {key} as {generation}:{version}, and holds {held:?}");
            self.break_promise(Promise::S11, now, place, what);
        }
    }
}
