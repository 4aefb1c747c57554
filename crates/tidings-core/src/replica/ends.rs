//! How what a replica shows comes to its end: overwritten, expired, collected.

use super::{Change, Replica, weight};
use crate::entry::{Entry, Key, Value};
use crate::time::Moment;
use crate::version::{Generation, Version};

impl Replica {
    /// How many tombstones there are.
    pub(crate) fn tombstones(&self) -> usize {
        self.entries.tombstone_count()
    }

    /// When the first of the values expires; [`Moment::NEVER`] if none does.
    pub(crate) fn next_expiry(&self) -> Moment {
        self.entries.first_expiry().0
    }

    /// Turns all that has expired by `now` into tombstones of the versions that it has. Returns what is gone.
    pub fn expire(&mut self, now: Moment) -> Vec<(Key, Option<Value>, Version)> {
        let mut gone = Vec::new();
        while let (at, Some(key)) = self.entries.first_expiry()
            && at <= now
        {
            gone.push(self.bury(key.clone()));
        }
        self.drop_tombstones();
        gone
    }

    /// Whether something ends with its owner's life.
    pub(crate) fn has_ephemeral(&self) -> bool {
        self.entries.iter().any(|(_, entry)| entry.is_ephemeral)
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
        let known = self.entries.get(key.as_str()).filter(|known| {
            (self.generation, known.version) == (generation, entry.version) && entry.value.is_some()
        });
        match known {
            Some(known) if known.value.is_none() || known.expires < entry.expires => known.clone(),
            Some(_) | None => entry,
        }
    }

    /// Puts a tombstone of the same version in the place of a value.
    fn bury(&mut self, key: Key) -> Change {
        let tombstone = self.entries.get(key.as_str()).expect("it is shown").buried();
        let version = tombstone.version;
        self.put(key.clone(), tombstone);
        (key, None, version)
    }

    pub(super) fn put(&mut self, key: Key, entry: Entry) {
        let (len, added) = (key.as_str().len(), weight(&key, entry.value.as_ref()));
        let old = self.entries.insert(key, entry);
        self.bytes += added;
        self.bytes -= old.map_or(0, |old| len + old.value.map_or(0, |value| value.as_bytes().len()));
    }

    /// Drops the tombstones that are collected, and looks at no other entry.
    pub(super) fn drop_tombstones(&mut self) {
        let through = if flaw!(DroppedEarly) && self.gc > Version(0) { self.max } else { self.gc };
        if through == Version(0) {
            return; // As mostly.
        }
        let collected = self.entries.tombstones().take_while(|(_, entry)| entry.version <= through);
        for key in collected.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.entries.remove(&key);
            self.bytes -= weight(&key, None);
        }
    }
}
