//! What is this node's own: its writes, its departure, and its lives.

use super::{Gossiper, TOLD};
use crate::entry::{Key, Value};
use crate::event::EventKind;
use crate::owner::{Write, WriteError};
use crate::replica::{self, Replica};
use crate::time::Time;
use crate::version::{Generation, Heartbeat, Version};

impl Gossiper {
    pub(super) fn write(&mut self, now: Time, write: Write) -> Result<Version, WriteError> {
        if let Some((key, _)) = write.iter().find(|(key, _)| key.is_reserved()) {
            return Err(WriteError::Reserved { key: key.clone() });
        }
        self.put(now, write)
    }

    /// Writes what the protocol may write, too.
    pub(super) fn put(&mut self, now: Time, write: Write) -> Result<Version, WriteError> {
        if self.farewell.is_some() {
            return Err(WriteError::Leaving);
        }
        let version = self.check(now, &write)?;
        let bytes = write.iter().map(|(key, value)| replica::weight(key, value.as_ref())).sum();
        self.flow.admit(bytes, now.moment).map_err(|wait| WriteError::Busy { wait })?;
        self.keep(now, write);
        Ok(version)
    }

    /// Checks `write` against all bounds but that of what the cluster takes in.
    pub(super) fn check(&self, now: Time, write: &Write) -> Result<Version, WriteError> {
        self.owner.check(&self.config, self.cluster.own().replica(), write, now.wall)
    }

    /// Lets `write`, which was checked, show as soon as it is safe.
    pub(super) fn keep(&mut self, now: Time, write: Write) {
        if let Some(safe) = self.owner.stage(self.cluster.own().replica(), write) {
            self.commit(now, safe);
        }
    }

    /// This node's own state, once all that waits for the disk shows.
    pub(super) fn own_draft(&self) -> &Replica {
        self.owner.drafted(self.cluster.own().replica())
    }

    /// Lets `write` show.
    pub(super) fn commit(&mut self, now: Time, write: Write) {
        let before = self.cluster.line(self.cluster.me());
        let version = self.cluster.change_own(|own| own.write(write.iter().cloned()));
        self.heat(now, &before, before.id);
        write.iter().for_each(|(key, value)| self.note_concerned(key, value.as_ref()));
        let changes = write.into_iter().map(|(key, value)| (key, value, version)).collect();
        self.say_changes(now, self.cluster.me(), changes);
    }

    /// Says good-bye, if it is time: after the last write, so that none comes after the end.
    pub(super) fn depart_if_ready(&mut self, now: Time) {
        let live = self.partners().len();
        let Some(farewell) = &mut self.farewell else { return };
        if self.owner.is_saving_writes() || self.cluster.own().has_departed() {
            return;
        }
        farewell.enough = live.min(TOLD);
        farewell.until = now.moment + 2 * self.config.interval;
        // Not for the disk: the next life does not begin departed.
        self.commit(now, vec![(Key::departed(), Some(Value::from(b"")))]);
        self.say(now, self.cluster.me(), EventKind::Departed);
        let mut live = self.partners().into_owned();
        self.rng.shuffle(&mut live);
        live.into_iter().take(TOLD + 1).for_each(|id| self.say_goodbye(now, id));
    }

    /// This node goes on in another life, with all that it has.
    pub(super) fn begin_life(&mut self, now: Time, generation: Generation) {
        let me = self.cluster.me();
        let before = self.cluster.line(me);
        self.cluster.change_own(|own| own.begin_life(generation));
        self.heat(now, &before, me);
        let own = self.cluster.own_mut();
        (own.heartbeat, own.authored) = (Heartbeat(0), now.moment);
        self.say(now, me, EventKind::Restarted);
    }

    /// Takes a generation above what others claim of this node, if they do and it is time.
    /// While the other process that may make them is looked for, they can wait.
    pub(super) fn answer_claims(&mut self, now: Time) {
        let span = self.span_of_search();
        if self.namesake.may_hold(now.moment, span) {
            return;
        }
        let own = self.cluster.own().generation();
        let unclaimed = flaw!(Unclaimed) && self.cluster.own().heartbeat.0 == 20;
        let claimed = self.owner.refute(own, now);
        let answer = if unclaimed { Some(Generation(own.0 + 1)) } else { claimed };
        self.take_generation(now, answer);
    }

    /// Goes on in the life of `generation`, if one is given, as soon as it is safe.
    pub(super) fn take_generation(&mut self, now: Time, generation: Option<Generation>) {
        let safe = generation.and_then(|generation| self.owner.take_generation(generation));
        if let Some(generation) = safe {
            self.begin_life(now, generation);
        }
    }
}
