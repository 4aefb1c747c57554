//! What is this node's own: its writes, its departure, and its lives.

use super::{Gossiper, TOLD};
use crate::entry::{Entry, Key, Value};
use crate::event::EventKind;
use crate::owner::{Step, Write, WriteError};
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
        self.see_time(now);
        self.expire(now);
        if self.farewell.is_some() {
            return Err(WriteError::Leaving);
        }
        self.make_room(now, &write);
        let version = self.check(now, &write, false)?;
        let bytes = write.iter().map(|(key, entry)| replica::weight(key, entry.value.as_ref())).sum();
        self.flow.admit(bytes, now.moment).map_err(|wait| WriteError::Busy { wait })?;
        self.take(now, Step::Write(write));
        Ok(version)
    }

    /// Collects tombstones, if that makes room for `write`.
    pub(super) fn make_room(&mut self, now: Time, write: &Write) {
        let refused = self.check(now, write, false).err().filter(|_| self.farewell.is_none());
        let may = refused.is_some_and(|refused| self.may_make_room(now, &refused));
        if may && self.check(now, write, true).is_ok() {
            self.collect(now);
        }
    }

    /// Checks `write`, after a collection if it `collects`, against all bounds but that of what the cluster takes in.
    pub(super) fn check(&self, now: Time, write: &Write, collects: bool) -> Result<Version, WriteError> {
        self.owner.check(&self.config, self.cluster.own().replica(), write, collects, now.wall)
    }

    /// This node's own state, once all that waits for the disk shows.
    pub(super) fn own_draft(&self) -> &Replica {
        self.owner.drafted(self.cluster.own().replica())
    }

    /// Takes `step` as soon as it is safe; at once where there is no disk.
    pub(super) fn take(&mut self, now: Time, step: Step) {
        if let Some(safe) = self.owner.stage(self.cluster.own().replica(), step) {
            self.commit(now, safe);
        }
    }

    /// Lets `step` show.
    pub(super) fn commit(&mut self, now: Time, step: Step) {
        let before = self.cluster.line(self.cluster.me());
        let own = self.cluster.own().replica();
        let changes = match &step {
            Step::Collect => Vec::new(),
            // What expired meanwhile need not be deleted.
            Step::Write(write) => {
                let news = write.iter().filter(|(key, entry)| entry.value.is_some() || own.shows(key));
                let version = Version(own.max_version().0 + 1);
                news.map(|(key, entry)| (key.clone(), entry.value.clone(), version)).collect()
            }
        };
        self.cluster.change_own(|own| step.change(own));
        self.heat(now, &before, before.id);
        if let Step::Write(write) = &step {
            write.iter().for_each(|(key, entry)| self.note_concerned(key, entry.value.as_ref()));
        }
        self.say_changes(now, self.cluster.me(), changes);
        let has_tombstones = self.cluster.own().replica().tombstones() > 0;
        self.collector.wrote(has_tombstones, now.moment);
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
        let farewell = Entry::new(Some(Value::from(b"")), Version(0));
        self.commit(now, Step::Write(vec![(Key::departed(), farewell)]));
        self.end_ephemeral(now, self.cluster.me());
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
        self.owner.begin_life(generation);
        self.look_for_tombstones(now);
        self.forget_unbelievable(generation);
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
