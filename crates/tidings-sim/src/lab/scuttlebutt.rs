//! Scuttlebutt with little room in its messages: van Renesse, Dumitriu, Gough and Thomas 2008.
//!
//! Every participant owns keys and writes to them; twice a second on average it is in an exchange, in which each side gives
//! the other what it lacks, up to a number of updates. Which ones go first is the ordering.

use crate::lab::chance::Chance;

/// How many keys each participant owns.
pub(crate) const KEYS: usize = 64;

/// A second.
const SECOND: u64 = 1_000_000;

/// Which updates go first where not all do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ordering {
    /// All that differs, the oldest first.
    PreciseOldest,
    /// All that differs, the newest first.
    PreciseNewest,
    /// What is beyond the other's newest version of an owner, one update of each owner in turn.
    ScuttleBreadth,
    /// The same, owners with most updates first.
    ScuttleDepth,
}

/// The state of everybody, as seen by everybody.
pub(crate) struct Scuttlebutt<'a> {
    nodes: usize,
    ordering: Ordering,
    chance: &'a mut Chance,
    /// What a viewer has of an owner's key: viewer by viewer, owner by owner, key by key.
    copies: Vec<Held>,
    /// The newest version that a viewer has of an owner.
    newest: Vec<u32>,
    /// How many of a viewer's copies are stale.
    pub(crate) stale: Vec<usize>,
    /// How many updates an exchange may take each way.
    pub(crate) room: usize,
}

/// A copy of a key.
#[derive(Debug, Clone, Copy)]
struct Held {
    version: u32,
    /// When its owner wrote it.
    written: u64,
    /// Since when its owner has had another one.
    stale: u64,
}

/// An update on its way.
#[derive(Debug, Clone, Copy)]
struct Update {
    owner: usize,
    key: usize,
    version: u32,
    written: u64,
}

/// Not stale.
const FRESH: u64 = u64::MAX;

/// What happens within a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Write,
    Exchange,
}

impl Ordering {
    pub(crate) const ALL: [Self; 4] =
        [Self::PreciseOldest, Self::PreciseNewest, Self::ScuttleBreadth, Self::ScuttleDepth];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::PreciseOldest => "precise-oldest",
            Self::PreciseNewest => "precise-newest",
            Self::ScuttleBreadth => "scuttle-breadth",
            Self::ScuttleDepth => "scuttle-depth",
        }
    }
}

impl<'a> Scuttlebutt<'a> {
    pub(crate) fn new(nodes: usize, ordering: Ordering, chance: &'a mut Chance) -> Self {
        Self {
            nodes,
            ordering,
            chance,
            copies: vec![Held { version: 0, written: 0, stale: FRESH }; nodes * nodes * KEYS],
            newest: vec![0; nodes * nodes],
            stale: vec![0; nodes],
            room: usize::MAX,
        }
    }

    /// At which moment of each second the participants gossip.
    pub(crate) fn phases(&mut self) -> Vec<u64> {
        (0..self.nodes).map(|_| self.chance.word() % SECOND).collect()
    }

    /// Lets a second pass in which each participant writes so many times and gossips once. `exchanged` is told of each
    /// exchange: by whom, with whom, and whether there was too little room.
    pub(crate) fn second(
        &mut self,
        number: u64,
        phases: &[u64],
        writes: impl Fn(usize) -> usize,
        mut exchanged: impl FnMut(usize, usize, bool),
    ) {
        let mut events: Vec<(u64, What, usize)> = Vec::new();
        for (node, &phase) in phases.iter().enumerate() {
            events.push((phase, What::Exchange, node));
            for _ in 0..writes(node) {
                events.push((self.chance.word() % SECOND, What::Write, node));
            }
        }
        events.sort_unstable();
        for (at, what, node) in events {
            let now = number * SECOND + at;
            match what {
                What::Write => self.write(node, now),
                What::Exchange => {
                    let other = self.chance.other(node, self.nodes);
                    let is_full = self.exchange(node, other);
                    exchanged(node, other, is_full);
                }
            }
        }
    }

    /// The age of the stalest copy that `viewer` has at the end of a second, in seconds.
    pub(crate) fn staleness(&self, viewer: usize, second: u64) -> f64 {
        let mine = &self.copies[viewer * self.nodes * KEYS..][..self.nodes * KEYS];
        let oldest = mine.iter().map(|copy| copy.stale).min().unwrap_or(FRESH);
        ((second + 1) * SECOND).saturating_sub(oldest) as f64 / SECOND as f64
    }

    fn place(&self, viewer: usize, owner: usize, key: usize) -> usize {
        (viewer * self.nodes + owner) * KEYS + key
    }

    fn write(&mut self, owner: usize, now: u64) {
        let key = self.chance.below(KEYS);
        let newest = &mut self.newest[owner * self.nodes + owner];
        *newest += 1;
        let version = *newest;
        for viewer in 0..self.nodes {
            let place = self.place(viewer, owner, key);
            let copy = &mut self.copies[place];
            if viewer == owner {
                *copy = Held { version, written: now, stale: FRESH };
            } else if copy.stale == FRESH {
                copy.stale = now;
                self.stale[viewer] += 1;
            }
        }
    }

    /// Both sides' gifts are chosen before either arrives. Returns whether there was too little room.
    fn exchange(&mut self, one: usize, other: usize) -> bool {
        let (there, full_there) = self.gifts(one, other);
        let (back, full_back) = self.gifts(other, one);
        self.take(other, &there);
        self.take(one, &back);
        full_there || full_back
    }

    /// What `from` gives `to`.
    fn gifts(&mut self, from: usize, to: usize) -> (Vec<Update>, bool) {
        match self.ordering {
            Ordering::PreciseOldest | Ordering::PreciseNewest => {
                let mut updates = self.differing(from, to);
                let is_full = updates.len() > self.room;
                if is_full {
                    updates.sort_by_key(|update| update.written);
                    if self.ordering == Ordering::PreciseNewest {
                        updates.reverse();
                    }
                    updates.truncate(self.room);
                }
                (updates, is_full)
            }
            Ordering::ScuttleBreadth | Ordering::ScuttleDepth => {
                let mut groups = self.beyond(from, to);
                let is_full = groups.iter().map(Vec::len).sum::<usize>() > self.room;
                // Of owners with as many updates, chance decides which is first.
                self.chance.shuffle(&mut groups);
                let updates = match self.ordering {
                    Ordering::ScuttleBreadth => in_turn(&groups),
                    Ordering::ScuttleDepth | Ordering::PreciseOldest | Ordering::PreciseNewest => {
                        groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
                        groups.concat()
                    }
                };
                (updates.into_iter().take(self.room).collect(), is_full)
            }
        }
    }

    /// Every key of which `from` has a newer version.
    fn differing(&self, from: usize, to: usize) -> Vec<Update> {
        let mut updates = Vec::new();
        for owner in 0..self.nodes {
            let (mine, theirs) = (self.place(from, owner, 0), self.place(to, owner, 0));
            let pairs = self.copies[mine..][..KEYS].iter().zip(&self.copies[theirs..][..KEYS]);
            for (key, (mine, _)) in
                pairs.enumerate().filter(|(_, (mine, theirs))| mine.version > theirs.version)
            {
                updates.push(Update { owner, key, version: mine.version, written: mine.written });
            }
        }
        updates
    }

    /// Of each owner, what `from` has beyond the newest that `to` has, in the order of versions.
    fn beyond(&self, from: usize, to: usize) -> Vec<Vec<Update>> {
        let mut groups = Vec::new();
        for owner in 0..self.nodes {
            let known = self.newest[to * self.nodes + owner];
            if self.newest[from * self.nodes + owner] <= known {
                continue;
            }
            let mine = &self.copies[self.place(from, owner, 0)..][..KEYS];
            let newer = mine.iter().enumerate().filter(|(_, copy)| copy.version > known);
            let update = |(key, copy): (usize, &Held)| Update {
                owner,
                key,
                version: copy.version,
                written: copy.written,
            };
            let mut group: Vec<Update> = newer.map(update).collect();
            group.sort_unstable_by_key(|update| update.version);
            if !group.is_empty() {
                groups.push(group);
            }
        }
        groups
    }

    fn take(&mut self, viewer: usize, updates: &[Update]) {
        for &Update { owner, key, version, written } in updates {
            let place = self.place(viewer, owner, key);
            let current = self.copies[self.place(owner, owner, key)].version;
            let copy = &mut self.copies[place];
            if version > copy.version {
                let stale = if version == current { FRESH } else { copy.stale };
                self.stale[viewer] -= usize::from(stale == FRESH && copy.stale != FRESH);
                *copy = Held { version, written, stale };
            }
            let newest = &mut self.newest[viewer * self.nodes + owner];
            *newest = version.max(*newest);
        }
    }
}

/// The first of each group, then the second of each, and so on.
fn in_turn(groups: &[Vec<Update>]) -> Vec<Update> {
    let longest = groups.iter().map(Vec::len).max().unwrap_or(0);
    (0..longest).flat_map(|rank| groups.iter().filter_map(move |group| group.get(rank)).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Equation 2 of the paper: every copy is current, or its owner's version of it is beyond the newest that the viewer has
    /// of that owner. So an equal newest version means an equal state.
    #[test]
    fn f8_a_copy_is_current_or_the_owner_is_ahead() {
        for ordering in [Ordering::ScuttleBreadth, Ordering::ScuttleDepth] {
            let mut chance = Chance::new(1, "invariant", 0);
            let mut world = Scuttlebutt::new(12, ordering, &mut chance);
            let phases = world.phases();
            world.room = 7;
            for second in 0..40 {
                world.second(second, &phases, |_| 3, |_, _, _| ());
                for (viewer, owner, key) in all(12) {
                    let (mine, theirs) = (world.place(viewer, owner, key), world.place(owner, owner, key));
                    let (mine, theirs) = (world.copies[mine].version, world.copies[theirs].version);
                    let newest = world.newest[viewer * 12 + owner];
                    assert!(mine == theirs || theirs > newest, "{ordering:?}: {mine}, {theirs}, {newest}");
                }
            }
            assert!(world.stale.iter().sum::<usize>() > 0, "there was too little room");
        }
    }

    #[test]
    fn with_room_all_becomes_fresh_in_every_ordering() {
        for ordering in Ordering::ALL {
            let mut chance = Chance::new(1, "fresh", 0);
            let mut world = Scuttlebutt::new(12, ordering, &mut chance);
            let phases = world.phases();
            for second in 0..20 {
                world.second(second, &phases, |_| usize::from(second < 8), |_, _, _| ());
            }
            assert_eq!(world.stale, [0; 12], "{ordering:?}");
            assert_eq!(world.staleness(3, 20), 0.0, "{ordering:?}");
        }
    }

    fn all(nodes: usize) -> impl Iterator<Item = (usize, usize, usize)> {
        (0..nodes * nodes * KEYS).map(move |n| (n / KEYS / nodes, n / KEYS % nodes, n % KEYS))
    }
}
