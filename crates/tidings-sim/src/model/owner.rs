//! The owner: what it can do, and the memory of what it really wrote in each of its lives.

use tidings_core::{Entry, Generation, Key, Moment, Replica, Value, Version};

use super::real::{Real, ReplicaId};
use super::{Bounds, Raises};

/// The keys there are.
pub(super) const KEYS: [&str; 2] = ["a", "b"];

/// The most lives that are remembered.
pub(super) const MOST_LIVES: usize = 4;

/// What the owner does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// One version, with a change of one key or of both.
    Write([Option<Change>; 2]),
    /// What it wrote and can expire, does.
    Expire,
    /// A version that raises `gc_version` to this.
    Raise(u8),
    /// A new life with all that is there: from the disk, or because somebody claimed a later one.
    GoOn,
    /// A new life with nothing.
    StartAnew,
}

/// What a write does to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Put,
    /// A value that can expire.
    Lend,
    Delete,
}

/// What a value says of its own write: each value there is, is written once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Mark {
    /// The life in which the count of versions began.
    pub era: u8,
    pub version: u8,
    pub key: u8,
    /// Whether it can expire.
    pub is_mortal: bool,
}

/// The owner, and all that has to be remembered of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Owner {
    pub replica: ReplicaId,
    pub generation: u8,
    /// The versions taken in all lives.
    taken: u8,
    lives: [Life; MOST_LIVES],
}

/// What was written in one life, as far as anything depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Life {
    pub era: u8,
    pub max: u8,
    pub keys: [Written; 2],
    /// The versions that changed both keys, as bits.
    together: u16,
}

/// What was written under one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Written {
    /// The version of the newest write; 0 if there is none.
    pub newest: u8,
    /// The versions that deleted it, and those that can expire, as bits.
    deletes: u16,
    mortals: u16,
}

impl Mark {
    pub(super) fn value(self) -> Value {
        Value::from([self.era, self.version, self.key, self.is_mortal.into()])
    }

    pub(super) fn read(value: &Value) -> Self {
        let [era, version, key, mortal] = *value.as_bytes() else { panic!("the model wrote each value") };
        Self { era, version, key, is_mortal: mortal == 1 }
    }
}

impl Owner {
    /// An owner that did nothing yet, in its first life.
    pub(super) fn new(real: &mut Real) -> Self {
        let lives = [Life { era: 1, ..Life::default() }, Life::default(), Life::default(), Life::default()];
        Self { replica: real.keep(Replica::new(Generation(1))), generation: 1, taken: 0, lives }
    }

    /// What was written in the life of this generation; `None` if there was no such life.
    pub(super) fn life(&self, generation: u8) -> Option<&Life> {
        let known = (1..=self.generation).contains(&generation);
        known.then(|| &self.lives[usize::from(generation) - 1])
    }

    /// Without the memory of all lives but the present one and those of `generations`: nobody can speak of them.
    pub(super) fn forget_all_but(mut self, generations: impl Fn(u8) -> bool) -> Self {
        for generation in 1..self.generation {
            if !generations(generation) {
                self.lives[usize::from(generation) - 1] = Life::default();
            }
        }
        self
    }

    /// All that the owner can do next.
    pub(super) fn deeds(&self, real: &mut Real, bounds: Bounds) -> Vec<(Deed, Self)> {
        let mut deeds = Vec::new();
        if self.taken < bounds.versions {
            let changes = [None, Some(Change::Put), Some(Change::Delete), Some(Change::Lend)];
            let changes = &changes[..if bounds.expiry { 4 } else { 3 }];
            for &a in changes {
                for &b in changes {
                    deeds.extend(self.write(real, [a, b]).map(|next| (Deed::Write([a, b]), next)));
                }
            }
            let own = real.view(self.replica);
            let least = match bounds.raises {
                Raises::ToNewest => own.max.max(own.gc + 1),
                Raises::ToAny => own.gc + 1,
            };
            let raises = least..=own.max;
            deeds.extend(raises.map(|gc| (Deed::Raise(gc), self.raise(real, gc))));
        }
        let replica = real.expire(self.replica).then;
        if replica != self.replica {
            deeds.push((Deed::Expire, Self { replica, ..*self }));
        }
        if self.generation < bounds.lives {
            deeds.push((Deed::GoOn, self.go_on(real)));
            deeds.push((Deed::StartAnew, self.start_anew(real)));
        }
        deeds
    }

    /// Writes `changes` as one version, if they change anything, and delete only what is there.
    fn write(&self, real: &mut Real, changes: [Option<Change>; 2]) -> Option<Self> {
        let own = real.replica(self.replica)?;
        let absent = |(key, change): (&str, Option<Change>)| {
            change == Some(Change::Delete) && own.entry(key).is_none_or(|entry| entry.value.is_none())
        };
        if changes == [None, None] || KEYS.into_iter().zip(changes).any(absent) {
            return None;
        }
        let mut next = *self;
        let version = next.take_version();
        let life = next.present();
        let mut entries: Vec<_> = own.entries().map(|(key, entry)| (key.clone(), entry.clone())).collect();
        for (key, change) in (0_u8..).zip(changes) {
            let Some(change) = change else { continue };
            let written = &mut life.keys[usize::from(key)];
            written.newest = version;
            written.deletes |= u16::from(change == Change::Delete) << version;
            written.mortals |= u16::from(change == Change::Lend) << version;
            let mark = Mark { era: life.era, version, key, is_mortal: change == Change::Lend };
            let value = (change != Change::Delete).then(|| mark.value());
            let expires = if mark.is_mortal { Real::END } else { Moment::NEVER };
            let key = Key::new(KEYS[usize::from(key)]).expect("it is a key");
            entries.retain(|(other, _)| *other != key);
            entries.push((key, Entry { expires, ..Entry::new(value, Version(version.into())) }));
        }
        life.together |= u16::from(changes.iter().all(Option::is_some)) << version;
        let (generation, gc) = (own.generation(), own.gc_version());
        next.replica = real.keep(Replica::restored(generation, Version(version.into()), gc, entries));
        Some(next)
    }

    fn raise(&self, real: &mut Real, gc: u8) -> Self {
        let mut next = *self;
        let version = Version(next.take_version().into());
        let own = real.replica(self.replica).expect("the owner knows itself");
        let entries: Vec<_> = own.entries().map(|(key, entry)| (key.clone(), entry.clone())).collect();
        let raised = Replica::restored(own.generation(), version, Version(gc.into()), entries);
        next.replica = real.keep(raised);
        next
    }

    fn go_on(&self, real: &mut Real) -> Self {
        let mut next = *self;
        next.generation += 1;
        let (own, mut life) = (real.view(self.replica), self.lives[usize::from(self.generation) - 1]);
        // What expired is as good as deleted: no copy of the new life ever had it.
        for (held, written) in own.keys.iter().zip(&mut life.keys) {
            written.deletes |= u16::from(held.shown().is_none() && written.newest > 0) << written.newest;
        }
        next.lives[usize::from(self.generation)] = life;
        let replica = real.replica(self.replica).expect("the owner knows itself");
        let shown = replica.entries().filter(|(_, entry)| entry.value.is_some());
        let shown: Vec<_> = shown.map(|(key, entry)| (key.clone(), entry.clone())).collect();
        let generation = Generation(next.generation.into());
        next.replica = real.keep(Replica::restored(generation, replica.max_version(), Version(0), shown));
        next
    }

    fn start_anew(&self, real: &mut Real) -> Self {
        let mut next = *self;
        next.generation += 1;
        *next.present() = Life { era: next.generation, ..Life::default() };
        next.replica = real.keep(Replica::new(Generation(next.generation.into())));
        next
    }

    fn take_version(&mut self) -> u8 {
        self.taken += 1;
        self.present().max += 1;
        self.present().max
    }

    fn present(&mut self) -> &mut Life {
        &mut self.lives[usize::from(self.generation) - 1]
    }
}

impl Life {
    /// Whether `version` changed both keys.
    pub(super) fn wrote_together(&self, version: u8) -> bool {
        self.together >> version & 1 == 1
    }
}

impl Written {
    /// Whether `version` deleted the key.
    pub(super) fn was_deleted_at(&self, version: u8) -> bool {
        self.deletes >> version & 1 == 1
    }

    /// Whether `version` wrote a value that can expire.
    pub(super) fn is_mortal_at(&self, version: u8) -> bool {
        self.mortals >> version & 1 == 1
    }

    /// Whether what was written as `version` may be gone for one that knows all up to `through`: it can expire, or was
    /// deleted since, or written again so that it can.
    pub(super) fn may_be_gone(&self, version: u8, through: u8) -> bool {
        self.is_mortal_at(version)
            || (version + 1..=through)
                .any(|version| self.was_deleted_at(version) || self.is_mortal_at(version))
    }
}
