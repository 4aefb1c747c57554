//! A copy of one owner's state, and the rules by which copies grow.
//!
//! A replica is (generation, `max_version`, `gc_version`, entries). An overwritten version leaves no entry, so a
//! replica that was cut is no past state of its owner. What holds is the **replica's promise**: if the newest write
//! of a key is at or below the replica's `max_version`, the replica shows exactly that write. The rules of
//! [`Replica::cut`] and [`Replica::apply`] keep it, for any order, loss and repetition of deltas (PROTOCOL.md,
//! "Deltas").

mod ends;
mod entries;

use crate::delta::{Delta, Introduction, Span};
use crate::entry::{Entry, Key, Value};
use crate::name::NodeId;
use crate::replica::entries::Entries;
use crate::time::Moment;
use crate::version::{Generation, Version};
use crate::wire::size;

/// One owner's state as one node knows it.
///
/// Invariants: no entry is above `max`; no tombstone is at or below `gc`; `bytes` is the length of all keys and values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Replica {
    generation: Generation,
    max: Version,
    gc: Version,
    entries: Entries,
    bytes: usize,
}

/// A key whose value changed; `None` means that it is gone.
pub(crate) type Change = (Key, Option<Value>, Version);

/// What became of a delta.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// It was older than what is known: nothing moved.
    Ignored,
    /// What it builds upon is missing here: nothing moved. The rest has to be asked for.
    Gap,
    /// It would make the owner larger than is allowed: nothing moved.
    TooLarge,
    /// It was taken. These keys changed, in the order of their versions.
    Taken(Vec<(Key, Option<Value>, Version)>),
}

/// What a delta can do to a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// It tells what is known.
    Old,
    /// What it builds upon is missing.
    Gap,
    /// It takes the place of what is known.
    Replaces,
    /// It goes on where what is known ends.
    Extends,
}

/// How large one owner is, or may grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Keys, tombstones included.
    pub keys: usize,
    /// Bytes of keys and values.
    pub bytes: usize,
}

impl Replica {
    /// A replica of a life of which nothing is known yet.
    #[must_use]
    pub fn new(generation: Generation) -> Self {
        Self { generation, ..Self::default() }
    }

    /// A replica with what its owner kept from an earlier life: `entries` in versions up to `max`, by the owner's clock.
    #[must_use]
    pub fn restored(
        generation: Generation,
        max: Version,
        gc: Version,
        entries: impl IntoIterator<Item = (Key, Entry)>,
    ) -> Self {
        let mut replica = Self { generation, max, gc, ..Self::default() };
        for (key, entry) in entries {
            replica.max = replica.max.max(entry.version);
            replica.put(key, entry);
        }
        replica.drop_tombstones();
        replica
    }

    /// The life that this is a replica of.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Up to which version this owner is known.
    #[must_use]
    pub fn max_version(&self) -> Version {
        self.max
    }

    /// Up to which version tombstones have been dropped.
    #[must_use]
    pub fn gc_version(&self) -> Version {
        self.gc
    }

    /// All entries, tombstones included.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&Key, &Entry)> {
        self.entries.iter()
    }

    /// All entries whose keys begin with `prefix`, tombstones included.
    pub(crate) fn entries_under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a Key, &'a Entry)> {
        self.entries.under(prefix)
    }

    /// What is known of `key`.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// The length of all keys and values, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Moves the replica into another life of its owner, with all that it shows: what the owner itself does. Nobody holds
    /// anything of that life yet, so that nothing has to be told that it lacks, and its tombstones go.
    pub(crate) fn begin_life(&mut self, generation: Generation) {
        (self.generation, self.gc) = (generation, self.max);
        self.drop_tombstones();
        self.gc = Version(0);
    }

    /// Writes all of `writes` as the next version, whatever theirs are: what the owner itself does. Returns that version.
    pub(crate) fn write(&mut self, writes: impl IntoIterator<Item = (Key, Entry)>) -> Version {
        let step = u64::from(!flaw!(VersionReused) || self.max.0 % 4 != 3);
        let version =
            Version(self.max.0.checked_add(step).expect("the bound on versions is below their maximum"));
        for (key, entry) in writes {
            self.put(key, Entry { version, ..entry });
        }
        self.max = version;
        version
    }

    /// What `owner`'s replica here can tell one that is at `theirs`: (generation, `max_version`), or `None` where
    /// the owner is unknown. At most `room` bytes on the wire; `None` if there is nothing to tell, or if not even
    /// one version fits. A reset is never cut. What is left of lives counts from `now`.
    #[must_use]
    pub fn cut(
        &self,
        owner: NodeId,
        introduction: &Introduction,
        theirs: Option<(Generation, Version)>,
        now: Moment,
        room: usize,
    ) -> Option<Delta> {
        let (span, known) = self.span_for(theirs)?;
        let after = span.after();
        let is_reset = span == Span::Reset;
        let introduction = (after == Version(0)).then(|| introduction.clone());
        let mut delta = Delta {
            owner,
            generation: self.generation,
            introduction,
            span,
            through: self.max,
            gc: if flaw!(GcUntold) { Version(0) } else { self.gc },
            max: self.max,
            entries: Vec::new(),
        };
        let room = room.checked_sub(size::delta_without_entries(&delta))?;
        self.fill(&mut delta, after, now, room);
        let progress = delta.through > after || !known;
        let whole = delta.through == self.max;
        (progress && (whole || !is_reset || flaw!(ResetCut))).then_some(delta)
    }

    /// From where to tell one that is at `theirs`, and whether it knows this life; `None` if it knows as much.
    fn span_for(&self, theirs: Option<(Generation, Version)>) -> Option<(Span, bool)> {
        if let Some((generation, max)) = theirs
            && (flaw!(LivesMixed) && generation < self.generation && max < self.max)
        {
            return Some((Span::After(max), true));
        }
        let known = theirs.filter(|&(generation, _)| generation >= self.generation);
        match known {
            None if self.gc == Version(0) => Some((Span::After(Version(0)), false)),
            None => Some((Span::Reset, false)),
            Some((generation, max)) if generation > self.generation || max >= self.max => None,
            Some((_, max)) if max < self.gc && !flaw!(StaleTaken) => Some((Span::Reset, true)),
            Some((_, max)) => Some((Span::After(max), true)),
        }
    }

    /// The bytes of the next version's entries for one who is at `theirs`, or of all that a reset takes.
    pub(crate) fn next_len(&self, theirs: Option<(Generation, Version)>) -> usize {
        let Some((span, _)) = self.span_for(theirs) else { return 0 };
        if span == Span::Reset {
            return len_of(self.entries.iter());
        }
        let mut later = self.entries.after(span.after()).peekable();
        let next = later.peek().map(|(_, entry)| entry.version);
        len_of(later.take_while(|(_, entry)| Some(entry.version) == next))
    }

    /// About how many bytes are left to tell one who is at `theirs`; the count ends a little above `enough`.
    pub(crate) fn left(&self, theirs: Option<(Generation, Version)>, enough: usize) -> usize {
        const DELTA: usize = 24;
        const INTRODUCTION: usize = 40;
        let Some((span, _)) = self.span_for(theirs) else { return 0 };
        let after = span.after();
        let mut sum = if after == Version(0) { DELTA + INTRODUCTION } else { DELTA };
        for (key, entry) in self.entries.after(after) {
            if sum > enough {
                break;
            }
            sum += size::entry(Version(0), key, entry);
        }
        sum
    }

    /// Puts entries above `after` into `delta`, version by version, while they fit in `room`.
    fn fill(&self, delta: &mut Delta, after: Version, now: Moment, mut room: usize) {
        let mut before = after;
        let mut entries = self.entries.after(after).peekable();
        while let Some(version) = entries.peek().map(|(_, entry)| entry.version) {
            let start = delta.entries.len();
            let mut cost = 0;
            while let Some((key, entry)) = entries.next_if(|(_, entry)| entry.version == version) {
                if flaw!(DeleteUntold) && entry.value.is_none() {
                    continue;
                }
                cost += size::entry(before, key, entry);
                before = version;
                if cost > room && flaw!(VersionSplit) && delta.entries.len() > start {
                    delta.through = version;
                    return;
                }
                if cost > room {
                    delta.entries.truncate(start);
                    delta.through = Version(version.0 - 1);
                    return;
                }
                let version = if flaw!(Relabelled) { self.max } else { version };
                let mut told = Entry { version, ..entry.told(now) };
                if flaw!(Undying) {
                    told.expires = Moment::NEVER;
                }
                delta.entries.push((key.clone(), told));
            }
            room -= cost;
        }
    }

    /// Takes `delta`, which comes in at `now`, by the rules of PROTOCOL.md. It tells of this replica's owner. If it isn't
    /// taken, nothing has moved.
    pub fn apply(&mut self, delta: &Delta, now: Moment, limits: Limits) -> Applied {
        self.take(delta, self.fit(delta), now, limits)
    }

    /// Takes `delta`, of which is known how it fits.
    pub(crate) fn take(&mut self, delta: &Delta, fit: Fit, now: Moment, limits: Limits) -> Applied {
        match fit {
            Fit::Old => Applied::Ignored,
            Fit::Gap => Applied::Gap,
            Fit::Replaces => self.replace(delta, now, limits),
            Fit::Extends => self.extend(delta, now, limits),
        }
    }

    /// What `delta` could do here.
    pub(crate) fn fit(&self, delta: &Delta) -> Fit {
        let is_new_life = delta.generation > self.generation;
        let is_old = delta.through <= self.max && !flaw!(Backwards);
        if delta.generation < self.generation || (!is_new_life && is_old) {
            return Fit::Old;
        }
        match delta.span {
            Span::Forgotten(_) => Fit::Old,
            Span::Reset if is_new_life || self.max < delta.gc || flaw!(LateReset) => Fit::Replaces,
            // It was made for one that knew less. What is above `max` is all that this one needs; the rest may lack
            // what is shown here and was written again since.
            Span::Reset => Fit::Extends,
            // A delta of a later life starts from nothing, or it is of no use.
            Span::After(Version(0)) if is_new_life && (delta.gc == Version(0) || flaw!(LivesMixed)) => {
                Fit::Replaces
            }
            Span::After(_) if is_new_life => {
                if flaw!(LivesMixed) {
                    Fit::Replaces
                } else {
                    Fit::Gap
                }
            }
            Span::After(after) if after <= self.max && (self.max >= delta.gc || flaw!(StaleTaken)) => {
                Fit::Extends
            }
            Span::After(_) if flaw!(GapSkipped) => Fit::Extends,
            Span::After(_) => Fit::Gap,
        }
    }

    fn replace(&mut self, delta: &Delta, now: Moment, limits: Limits) -> Applied {
        let mut fresh = Self { gc: delta.gc, ..Self::new(delta.generation) };
        for (key, entry) in &delta.entries {
            fresh.put(key.clone(), self.sooner(key, entry.heard(now), delta.generation));
        }
        fresh.max = delta.through;
        fresh.drop_tombstones();
        if !fresh.size_with(std::iter::empty()).is_within(limits) {
            return Applied::TooLarge;
        }
        let mut changes = Vec::new();
        for (key, old) in self.entries.iter() {
            let stays = fresh.entries.get(key.as_str()).is_some_and(|new| new.value.is_some());
            if old.value.is_some() && !stays {
                let version =
                    fresh.entries.get(key.as_str()).map_or(fresh.max, |tombstone| tombstone.version);
                changes.push((key.clone(), None, version));
                if flaw!(Forged) {
                    fresh.put(key.clone(), Entry::new(None, version));
                }
            }
        }
        for (key, entry) in fresh.entries.after(Version(0)) {
            let is_shown = self.entries.get(key.as_str()).is_some_and(|old| {
                (old.version, &old.value) == (entry.version, &entry.value) && !flaw!(ToldAgain)
            });
            if entry.value.is_some() && !is_shown {
                changes.push((key.clone(), entry.value.clone(), entry.version));
            }
        }
        if flaw!(ChangeUntold) {
            changes.clear();
        }
        *self = fresh;
        Applied::Taken(changes)
    }

    fn extend(&mut self, delta: &Delta, now: Moment, limits: Limits) -> Applied {
        let news = || delta.entries.iter().filter(|(_, entry)| entry.version > self.max);
        let size = self.size_with(news().map(|(key, entry)| (key, entry.value.as_ref())));
        if !size.is_within(limits) {
            return Applied::TooLarge;
        }
        let mut changes = Vec::new();
        for (key, entry) in news().cloned().collect::<Vec<_>>() {
            if self.shows(&key) || entry.value.is_some() {
                changes.push((key.clone(), entry.value.clone(), entry.version));
            }
            self.put(key, entry.heard(now));
        }
        self.gc = self.gc.max(delta.gc);
        self.max = delta.through;
        self.drop_tombstones();
        Applied::Taken(changes)
    }

    /// How many keys and bytes there would be with `news` in their places.
    pub(crate) fn size_with<'a>(&self, news: impl Iterator<Item = (&'a Key, Option<&'a Value>)>) -> Limits {
        let size = Limits { keys: self.entries.len(), bytes: self.bytes };
        size.with(news, |key| self.entries.get(key.as_str()))
    }

    /// The same, once all tombstones are collected that there are.
    pub(crate) fn size_collected_with<'a>(
        &self,
        news: impl Iterator<Item = (&'a Key, Option<&'a Value>)>,
    ) -> Limits {
        let collected: usize = self.entries.tombstones().map(|(key, _)| weight(key, None)).sum();
        let keys = self.entries.len() - self.entries.tombstone_count();
        let size = Limits { keys, bytes: self.bytes - collected };
        size.with(news, |key| self.entries.get(key.as_str()).filter(|entry| entry.value.is_some()))
    }

    /// Whether `key` has a value.
    pub(crate) fn shows(&self, key: &Key) -> bool {
        self.entries.get(key.as_str()).is_some_and(|entry| entry.value.is_some())
    }
}

impl Limits {
    /// So much with `news` in the places of what was `there`.
    fn with<'a, 'b>(
        mut self,
        news: impl Iterator<Item = (&'a Key, Option<&'a Value>)>,
        there: impl Fn(&Key) -> Option<&'b Entry>,
    ) -> Self {
        for (key, value) in news {
            match there(key) {
                Some(old) => self.bytes -= weight(key, old.value.as_ref()),
                None => self.keys += 1,
            }
            self.bytes += weight(key, value);
        }
        self
    }

    /// Whether this much is allowed.
    pub(crate) fn is_within(self, most: Self) -> bool {
        self.keys <= most.keys && self.bytes <= most.bytes
    }
}

fn len_of<'a>(entries: impl Iterator<Item = (&'a Key, &'a Entry)>) -> usize {
    entries.map(|(key, entry)| size::entry(Version(0), key, entry)).sum()
}

/// What a key and its value count towards their owner's bytes.
pub(crate) fn weight(key: &Key, value: Option<&Value>) -> usize {
    key.as_str().len() + value.map_or(0, |value| value.as_bytes().len())
}
