//! The entries of one owner: by their keys, in the order of their versions, and in that in which they end.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::entry::{Entry, Key};
use crate::time::Moment;
use crate::version::Version;

/// Entries by their keys. Few, as most owners have, are looked through where an order is asked for: kept, it would take nearly
/// as much room again. Of many it is kept.
#[derive(Debug, Clone, Default)]
pub(super) struct Entries {
    by_key: BTreeMap<Key, Entry>,
    /// There since there are more than [`FEW`](Self::FEW).
    orders: Option<Box<Orders>>,
}

/// Orders of entries.
///
/// Invariants: `history` has each entry once, `tombstones` each of those, and `deadlines` each that expires.
#[derive(Debug, Clone, Default)]
struct Orders {
    history: BTreeSet<(Version, Key)>,
    tombstones: BTreeSet<(Version, Key)>,
    deadlines: BTreeSet<(Moment, Key)>,
}

impl Entries {
    const FEW: usize = 16;

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.by_key.get(key)
    }

    /// All of them, by key.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (&Key, &Entry)> {
        self.by_key.iter()
    }

    /// Those whose keys begin with `prefix`.
    pub(super) fn under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a Key, &'a Entry)> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        self.by_key.range::<str, _>(from).take_while(move |(key, _)| key.as_str().starts_with(prefix))
    }

    /// Puts `entry` in the place of what `key` had, which is returned.
    pub(super) fn insert(&mut self, key: Key, entry: Entry) -> Option<Entry> {
        if let Some(orders) = &mut self.orders {
            if let Some(old) = self.by_key.get(&key) {
                orders.forget(&key, old);
            }
            orders.note(&key, &entry);
        }
        let old = self.by_key.insert(key, entry);
        if self.orders.is_none() && self.len() > Self::FEW {
            let mut orders = Box::<Orders>::default();
            self.iter().for_each(|(key, entry)| orders.note(key, entry));
            self.orders = Some(orders);
        }
        old
    }

    pub(super) fn remove(&mut self, key: &Key) -> Option<Entry> {
        let old = self.by_key.remove(key)?;
        if let Some(orders) = &mut self.orders {
            orders.forget(key, &old);
        }
        Some(old)
    }

    /// Those above `version`, in the order of their versions, and of keys within one.
    pub(super) fn after(&self, version: Version) -> impl Iterator<Item = (&Key, &Entry)> {
        let orders = self.orders.as_deref();
        let from = (Version(version.0.saturating_add(1)), Key::least());
        let kept = orders.map(|orders| orders.history.range(from..).map(|(_, key)| self.named(key)));
        let looked_up = orders.is_none().then(|| self.look_for(|entry| entry.version > version));
        kept.into_iter().flatten().chain(looked_up.into_iter().flatten())
    }

    /// The tombstones, in the order of their versions.
    pub(super) fn tombstones(&self) -> impl Iterator<Item = (&Key, &Entry)> {
        let orders = self.orders.as_deref();
        let kept = orders.map(|orders| orders.tombstones.iter().map(|(_, key)| self.named(key)));
        let looked_up = orders.is_none().then(|| self.look_for(|entry| entry.value.is_none()));
        kept.into_iter().flatten().chain(looked_up.into_iter().flatten())
    }

    /// How many tombstones there are.
    pub(super) fn tombstone_count(&self) -> usize {
        let is_one = |entry: &&Entry| entry.value.is_none();
        self.orders
            .as_ref()
            .map_or_else(|| self.by_key.values().filter(is_one).count(), |orders| orders.tombstones.len())
    }

    /// When the first one expires, and which that is; [`Moment::NEVER`] if none does.
    pub(super) fn first_expiry(&self) -> (Moment, Option<&Key>) {
        let first = match &self.orders {
            Some(orders) => orders.deadlines.first().map(|(at, key)| (*at, key)),
            None => self.iter().map(|(key, entry)| (entry.expires, key)).min(),
        };
        first
            .filter(|(at, _)| *at != Moment::NEVER)
            .map_or((Moment::NEVER, None), |(at, key)| (at, Some(key)))
    }

    /// Those that are wanted, in the order of their versions.
    fn look_for(&self, is_wanted: impl Fn(&Entry) -> bool) -> Vec<(&Key, &Entry)> {
        let mut wanted: Vec<_> = self.iter().filter(|(_, entry)| is_wanted(entry)).collect();
        wanted.sort_by_key(|(_, entry)| entry.version);
        wanted
    }

    fn named<'a>(&'a self, key: &'a Key) -> (&'a Key, &'a Entry) {
        (key, self.by_key.get(key).expect("orders name entries"))
    }
}

impl Orders {
    fn note(&mut self, key: &Key, entry: &Entry) {
        if entry.value.is_none() {
            self.tombstones.insert((entry.version, key.clone()));
        }
        if entry.expires != Moment::NEVER {
            self.deadlines.insert((entry.expires, key.clone()));
        }
        self.history.insert((entry.version, key.clone()));
    }

    fn forget(&mut self, key: &Key, entry: &Entry) {
        if entry.value.is_none() {
            self.tombstones.remove(&(entry.version, key.clone()));
        }
        if entry.expires != Moment::NEVER {
            self.deadlines.remove(&(entry.expires, key.clone()));
        }
        self.history.remove(&(entry.version, key.clone()));
    }
}

impl PartialEq for Entries {
    fn eq(&self, other: &Self) -> bool {
        self.by_key == other.by_key
    }
}

impl Eq for Entries {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Value;
    use crate::rng::Rng;

    /// What is answered by looking through all of them, and what by orders that are kept, is the same at each size, whatever
    /// is put, put again, deleted and taken out.
    #[test]
    fn few_and_many_answer_alike() {
        let mut rng = Rng::new(7);
        let (mut entries, mut model) = (Entries::default(), BTreeMap::new());
        let version = |rng: &mut Rng| Version(rng.below(1_000) as u64);
        for step in 1..4_000 {
            let key = Key::new(&format!("k{}", rng.below(1 + step / 100))).unwrap();
            if rng.below(3) == 0 {
                assert_eq!(entries.remove(&key), model.remove(&key));
            } else {
                let value = (rng.below(3) > 0).then(|| Value::from("x"));
                let expires =
                    if rng.below(4) == 0 { Moment::from_micros(rng.below(50) as i64) } else { Moment::NEVER };
                let entry = Entry { expires, ..Entry::new(value, version(&mut rng)) };
                assert_eq!(entries.insert(key.clone(), entry.clone()), model.insert(key, entry));
            }
            is_as(&entries, &model, version(&mut rng));
        }
        assert!(entries.orders.is_some() && entries.len() > Entries::FEW);
    }

    fn is_as(entries: &Entries, model: &BTreeMap<Key, Entry>, after: Version) {
        let mut by_version: Vec<_> = model.iter().collect();
        by_version.sort_by_key(|(key, entry)| (entry.version, *key));
        let later = by_version.iter().copied().filter(|(_, entry)| entry.version > after);
        assert!(entries.iter().eq(model.iter()) && entries.after(after).eq(later));
        let tombstones = by_version.iter().copied().filter(|(_, entry)| entry.value.is_none());
        assert!(entries.tombstones().eq(tombstones.clone()));
        assert_eq!(entries.tombstone_count(), tombstones.count());
        let first = model.values().map(|entry| entry.expires).min().unwrap_or(Moment::NEVER);
        let (at, which) = entries.first_expiry();
        assert_eq!((at, which.is_some()), (first, first != Moment::NEVER));
        assert!(which.is_none_or(|key| model[key].expires == first));
    }
}
