//! How what a replica shows comes to its end: overwritten, expired, collected.

use super::{Change, Replica, weight};
use crate::entry::{Entry, Key, Value};
use crate::time::Moment;
use crate::version::{Generation, Version};

impl Replica {
    /// How many tombstones there are.
    pub(crate) fn tombstones(&self) -> usize {
        self.tombstones.len()
    }

    /// When the first of the values expires; [`Moment::NEVER`] if none does.
    pub(crate) fn next_expiry(&self) -> Moment {
        self.deadlines.first().map_or(Moment::NEVER, |(at, _)| *at)
    }

    /// Turns all that has expired by `now` into tombstones of the versions that it has. Returns what is gone.
    pub fn expire(&mut self, now: Moment) -> Vec<(Key, Option<Value>, Version)> {
        let mut gone = Vec::new();
        while self.deadlines.first().is_some_and(|(at, _)| *at <= now) {
            let (_, key) = self.deadlines.first().cloned().expect("it was just seen");
            gone.push(self.bury(key));
        }
        self.drop_tombstones();
        gone
    }

    /// Whether something ends with its owner's life.
    pub(crate) fn has_ephemeral(&self) -> bool {
        self.entries.values().any(|entry| entry.is_ephemeral)
    }

    /// Turns all that ends with its owner's life into tombstones of the versions that it has, where that life is over.
    /// Returns what is gone.
    pub(crate) fn end_ephemeral(&mut self) -> Vec<Change> {
        let mortal = self.entries.iter().filter(|(_, entry)| entry.is_ephemeral);
        let keys: Vec<Key> = mortal.map(|(key, _)| key.clone()).collect();
        let gone = keys.into_iter().map(|key| self.bury(key)).collect();
        self.drop_tombstones();
        gone
    }

    /// Collects all tombstones, which takes a version: what the owner itself does. All that was told before is at or below
    /// the new `gc_version`, so that whoever has not heard of a tombstone is told everything anew.
    pub(crate) fn collect(&mut self) {
        self.gc = self.max;
        self.max = Version(self.max.0.checked_add(1).expect("the bound on versions is below their maximum"));
        self.drop_tombstones();
    }

    /// `entry` of that life as it is to be held: where the same write of `key` is known already, with the earlier end.
    pub(super) fn sooner(&self, key: &Key, entry: Entry, generation: Generation) -> Entry {
        let known = self.entries.get(key).filter(|known| {
            (self.generation, known.version) == (generation, entry.version) && entry.value.is_some()
        });
        match known {
            Some(known) if known.value.is_none() || known.expires < entry.expires => known.clone(),
            Some(_) | None => entry,
        }
    }

    /// Puts a tombstone of the same version in the place of a value.
    fn bury(&mut self, key: Key) -> Change {
        let tombstone = self.entries.get(&key).expect("it is shown").buried();
        let version = tombstone.version;
        self.put(key.clone(), tombstone);
        (key, None, version)
    }

    pub(super) fn put(&mut self, key: Key, entry: Entry) {
        let Entry { version, expires, .. } = entry;
        let is_tombstone = entry.value.is_none();
        self.bytes += weight(&key, entry.value.as_ref());
        if let Some(old) = self.entries.insert(key.clone(), entry) {
            self.forget(&key, &old);
        }
        if is_tombstone {
            self.tombstones.insert((version, key.clone()));
        }
        if expires != Moment::NEVER {
            self.deadlines.insert((expires, key.clone()));
        }
        self.history.insert((version, key));
    }

    /// What is noted of an entry that is no longer there.
    fn forget(&mut self, key: &Key, old: &Entry) {
        self.bytes -= weight(key, old.value.as_ref());
        self.history.remove(&(old.version, key.clone()));
        if old.value.is_none() {
            self.tombstones.remove(&(old.version, key.clone()));
        }
        if old.expires != Moment::NEVER {
            self.deadlines.remove(&(old.expires, key.clone()));
        }
    }

    /// Drops the tombstones that are collected, and looks at no other entry.
    pub(super) fn drop_tombstones(&mut self) {
        let through = if flaw!(DroppedEarly) && self.gc > Version(0) { self.max } else { self.gc };
        while self.tombstones.first().is_some_and(|(version, _)| *version <= through) {
            let (_, key) = self.tombstones.pop_first().expect("it was just seen");
            let tombstone = self.entries.remove(&key).expect("tombstones are entries");
            self.forget(&key, &tombstone);
        }
    }
}
