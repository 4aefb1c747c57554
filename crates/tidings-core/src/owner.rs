//! What is mine: the writes on their way to disk, my generation, and what is done when somebody knows better.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use crate::bounds;
use crate::cluster::Cluster;
use crate::config::Config;
use crate::entry::{Entry, Key, KeyError, Value};
use crate::replica::Replica;
use crate::request::Stamp;
use crate::time::{Moment, Time, WallClock};
use crate::version::{Generation, Version};

/// What an owner keeps over its lives.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Saved {
    /// The highest generation ever taken.
    pub generation: Generation,
    /// The highest generation that a peer is known to have accepted.
    pub accepted: Generation,
    /// The version of the newest write.
    pub max: Version,
    /// The version up to which tombstones were dropped.
    pub gc: Version,
    /// The entries, by key, with the life that each had left when it was saved.
    pub entries: Vec<(Key, Entry)>,
    /// When that was, by the wall clock.
    pub wall: WallClock,
}

impl Saved {
    /// The entries as they are held at `now`. What they have left of their lives is what they had when they were saved, less
    /// what the wall clock says that has passed since: never more, wherever that clock went meanwhile.
    pub(crate) fn held(&self, now: Time) -> impl Iterator<Item = (Key, Entry)> {
        self.entries
            .iter()
            .map(move |(key, entry)| (key.clone(), entry.aged(now.wall.since(self.wall)).heard(now.moment)))
    }
}

/// Something to be put on disk before what depends on it can happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Persist {
    /// What to say once it is safe.
    pub mark: PersistMark,
    /// What to put there, in the place of all that was there before.
    pub saved: Saved,
}

/// Names one [`Persist`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PersistMark(pub u64);

/// Why a write is refused. Nothing has been written then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The key is no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The key belongs to the protocol.
    #[error("the key {key} is reserved: keys that begin with `tidings/` belong to the protocol")]
    Reserved {
        /// The key.
        key: Key,
    },
    /// Nothing was given to write.
    #[error("there is nothing to write")]
    Empty,
    /// One key twice in a single write.
    #[error("the key {key} is given twice in one write")]
    Repeated {
        /// The key.
        key: Key,
    },
    /// A value above the configured length.
    #[error("the value of {key} has {len} bytes: the limit is {most}")]
    ValueTooLong {
        /// The key.
        key: Key,
        /// The value's length.
        len: usize,
        /// The longest that is allowed.
        most: usize,
    },
    /// The owner would have too many keys.
    #[error("this node would have more than {most} keys, deleted ones included")]
    TooManyKeys {
        /// The most that is allowed.
        most: usize,
    },
    /// The owner would have too many bytes.
    #[error("this node's keys and values would take more than {most} bytes")]
    TooManyBytes {
        /// The most that is allowed.
        most: usize,
    },
    /// A time to live that is none.
    #[error("a time to live of {ttl:?} is none: it must be from 1 ms to ten years")]
    Lifetime {
        /// What was given.
        ttl: Duration,
    },
    /// A key to be deleted that isn't there.
    #[error("there is no key {key} to delete")]
    Absent {
        /// The key.
        key: Key,
    },
    /// The key shows another write than the one that was expected.
    #[error("the key {key} shows {}, and not the write that was expected", shown(*current))]
    Conflict {
        /// The key.
        key: Key,
        /// The write that it shows, if it shows one.
        current: Option<Stamp>,
    },
    /// The bound on versions, which everybody holds against everybody, is reached.
    #[error(
        "this node has written more than 10,000 times a second since 2025: nobody would believe another version"
    )]
    TooManyWrites,
    /// The cluster is told more than it takes in: this node may write again in a while.
    #[error("the cluster takes in less than is written: this node may write again in {} ms", wait.as_millis())]
    Busy {
        /// How long that is, most likely.
        wait: Duration,
    },
    /// The node is leaving.
    #[error("the node is leaving: it takes no more writes")]
    Leaving,
}

/// A write: keys, and what they are to show, in a version that is known when it shows; a tombstone deletes.
pub(crate) type Write = Vec<(Key, Entry)>;

/// What an owner does to its own state. Each takes a version.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// It writes.
    Write(Write),
    /// It collects its tombstones.
    Collect,
}

impl Step {
    /// Does it to `own`.
    pub(crate) fn change(&self, own: &mut Replica) {
        match self {
            Self::Write(write) => drop(own.write(write.iter().cloned())),
            Self::Collect => own.collect(),
        }
    }
}

fn shown(current: Option<Stamp>) -> String {
    current.map_or("nothing".to_owned(), |(generation, version)| format!("version {generation}:{version}"))
}

/// The bookkeeping of one's own state. The state itself stands in the cluster, with everybody's.
#[derive(Debug)]
pub(crate) struct Owner {
    /// Whether there is a disk.
    durable: bool,
    /// Whether the present generation may be told: it is on disk, or there is no disk.
    pub is_announced: bool,
    /// The highest generation that a peer is known to have accepted.
    pub accepted: Generation,
    /// Steps that are not on disk yet, with the mark that says when they are.
    staged: VecDeque<(PersistMark, Step)>,
    /// The state that all staged steps will lead to; there while there are some.
    draft: Option<Replica>,
    /// A generation that is not on disk yet.
    coming: Option<Generation>,
    /// Whether something changed since the last [`Persist`].
    dirty: bool,
    /// The [`Persist`] under way, with the new generation that is in it; and the next one's mark.
    under_way: Option<(PersistMark, Option<Generation>)>,
    next_mark: u64,
    /// When to try the disk again after it failed.
    retry_at: Option<Moment>,
    refutation: Refutation,
    /// Who refused the present generation, and by what clock; and how often any did.
    refusals: BTreeMap<SocketAddr, WallClock>,
    refused: u32,
}

/// So many refusals by one are enough where nobody else answers: the others whom this node could ask may not run any more.
const REFUSALS: u32 = 8;

/// The highest generation that others claim of this node, and when it may answer.
#[derive(Debug, Default)]
struct Refutation {
    claim: Option<Generation>,
    next: Option<Moment>,
    wait: Duration,
}

impl Refutation {
    const FIRST_WAIT: Duration = Duration::from_secs(10);
    const LONGEST_WAIT: Duration = Duration::from_secs(600);
}

impl Owner {
    /// The generation of a life that begins at `wall`, after the one that was saved.
    pub(crate) fn first_generation(saved: &Saved, wall: WallClock) -> Generation {
        if flaw!(GenerationReused) && saved.generation > Generation(0) {
            return saved.generation;
        }
        Generation(wall.0.max(saved.generation.0.saturating_add(1)))
    }

    pub(crate) fn new(durable: bool, accepted: Generation) -> Self {
        Self {
            durable,
            is_announced: !durable,
            accepted,
            staged: VecDeque::new(),
            draft: None,
            coming: None,
            dirty: durable,
            under_way: None,
            next_mark: 0,
            retry_at: None,
            refutation: Refutation::default(),
            refusals: BTreeMap::new(),
            refused: 0,
        }
    }

    /// Checks `write` against everything that bounds it, on top of the steps that are under way, and of a collection before
    /// it if it `collects`. Returns the version that it will have.
    pub(crate) fn check(
        &self,
        config: &Config,
        own: &Replica,
        write: &Write,
        collects: bool,
        wall: WallClock,
    ) -> Result<Version, WriteError> {
        let own = self.drafted(own);
        let version = Version(own.max_version().0.saturating_add(1 + u64::from(collects)));
        check_entries(config, own, write)?;
        if version > bounds::highest_version(wall) {
            return Err(WriteError::TooManyWrites);
        }
        let news = write.iter().map(|(key, entry)| (key, entry.value.as_ref()));
        let size = if collects { own.size_collected_with(news) } else { own.size_with(news) };
        // What the protocol answers has room where a user has none. Holders allow twice as much.
        let room =
            |most: usize| if write.iter().all(|(key, _)| key.is_reserved()) { most + most / 2 } else { most };
        if size.keys > room(config.max_keys) {
            return Err(WriteError::TooManyKeys { most: config.max_keys });
        }
        if size.bytes > room(config.max_bytes) && !flaw!(BytesUncounted) {
            return Err(WriteError::TooManyBytes { most: config.max_bytes });
        }
        Ok(version)
    }

    /// What `own` will be once all that waits for the disk shows.
    pub(crate) fn drafted<'a>(&'a self, own: &'a Replica) -> &'a Replica {
        self.draft.as_ref().unwrap_or(own)
    }

    /// Keeps `step` until it is on disk. Without a disk it is given back: it can show at once.
    pub(crate) fn stage(&mut self, own: &Replica, step: Step) -> Option<Step> {
        if !self.durable {
            return Some(step);
        }
        step.change(self.draft.get_or_insert_with(|| own.clone()));
        self.staged.push_back((PersistMark(self.next_mark), step));
        self.dirty = true;
        None
    }

    /// The version of the latest step, whether it shows or not.
    pub(crate) fn latest(&self, own: &Replica) -> Version {
        self.draft.as_ref().unwrap_or(own).max_version()
    }

    /// When something expires that is on its way to the disk.
    pub(crate) fn next_expiry(&self) -> Moment {
        self.draft.as_ref().map_or(Moment::NEVER, Replica::next_expiry)
    }

    /// What has expired by `now` is not saved as a value.
    pub(crate) fn expire(&mut self, now: Moment) {
        if let Some(draft) = &mut self.draft {
            draft.expire(now);
        }
    }

    /// Asks for what is new to be saved, if anything is, and nothing is being saved.
    pub(crate) fn poll_persist(&mut self, cluster: &Cluster, now: Time) -> Option<Persist> {
        if !self.dirty || self.under_way.is_some() || self.retry_at.is_some_and(|at| now.moment < at) {
            return None;
        }
        let own = cluster.own().replica();
        let mark = PersistMark(self.next_mark);
        self.next_mark += 1;
        (self.under_way, self.dirty, self.retry_at) = (Some((mark, self.coming)), false, None);
        // The next life does not begin departed.
        let lasts = |key: &Key, entry: &Entry| {
            key.as_str() != Key::DEPARTED && (!entry.is_ephemeral || flaw!(EphemeralSaved))
        };
        let drafted = self.drafted(own);
        let lasting = drafted.entries().filter(|(key, entry)| lasts(key, entry));
        let entries = lasting.map(|(key, entry)| (key.clone(), entry.told(now.moment))).collect();
        let generation = self.coming.unwrap_or(own.generation());
        let (max, gc, accepted) = (drafted.max_version(), drafted.gc_version(), self.accepted);
        Some(Persist { mark, saved: Saved { generation, accepted, max, gc, entries, wall: now.wall } })
    }

    /// What is on disk up to `mark` takes effect: a generation, and steps in their order.
    pub(crate) fn persisted(&mut self, mark: PersistMark) -> (Option<Generation>, Vec<Step>) {
        let Some((_, generation)) = self.under_way.take_if(|(under_way, _)| *under_way == mark) else {
            return (None, Vec::new());
        };
        self.is_announced = true;
        let safe = self.staged.iter().take_while(|(staged, _)| *staged <= mark).count();
        let steps = self.staged.drain(..safe).map(|(_, step)| step).collect();
        if self.staged.is_empty() {
            self.draft = None;
        }
        self.coming.take_if(|coming| Some(*coming) == generation);
        (generation, steps)
    }

    /// What waits for the disk will show in the life of `generation`, which has just begun.
    pub(crate) fn begin_life(&mut self, generation: Generation) {
        self.forget_refusals();
        if let Some(draft) = &mut self.draft {
            draft.begin_life(generation);
        }
    }

    /// Whether steps wait for the disk.
    pub(crate) fn is_saving_writes(&self) -> bool {
        !self.staged.is_empty()
    }

    /// The disk failed: all steps under way are dropped, and the generation is tried again at `again`.
    pub(crate) fn persist_failed(&mut self, mark: PersistMark, again: Moment) {
        if self.under_way.take_if(|(under_way, _)| *under_way == mark).is_some() {
            self.staged.clear();
            self.draft = None;
            self.dirty = true;
            self.retry_at = Some(again);
        }
    }

    /// When the disk is to be tried again.
    pub(crate) fn retry_at(&self) -> Option<Moment> {
        self.retry_at
    }

    /// Somebody claims a life of this node at `generation`, which is not it. Answered at most every ten seconds, ever
    /// more rarely while it goes on.
    pub(crate) fn hear_claim(&mut self, generation: Generation) {
        self.refutation.claim = self.refutation.claim.max(Some(generation));
    }

    /// The generation with which to answer the claims heard, if there are any and it may be answered by now.
    pub(crate) fn refute(&mut self, own: Generation, now: Time) -> Option<Generation> {
        let Refutation { claim, next, wait } = &mut self.refutation;
        if next.is_some_and(|next| now.moment < next) {
            return None;
        }
        // A claim may be older than the answer that is on its way to the disk.
        let own = own.max(self.coming.unwrap_or(own));
        let claim = claim.take().filter(|claim| *claim >= own)?;
        let calm = next.is_none_or(|next| now.moment.since(next) > 2 * *wait);
        *wait = if calm { Refutation::FIRST_WAIT } else { (*wait * 2).min(Refutation::LONGEST_WAIT) };
        *next = Some(now.moment + *wait);
        Some(Generation(claim.0.saturating_add(1).max(now.wall.0)))
    }

    /// A peer answered: the present generation is believed.
    pub(crate) fn hear_acceptance(&mut self, own: Generation) {
        if self.accepted < own {
            self.accepted = own;
            self.dirty = self.durable;
        }
        self.forget_refusals();
    }

    fn forget_refusals(&mut self) {
        self.refusals.clear();
        self.refused = 0;
    }

    /// The peer that was asked at `asked` does not believe the present generation by its `clock`. If `enough` agree on that, or nobody else
    /// answers for long, and none ever believed it, the clock was wrong at the start, and a believable generation is returned.
    pub(crate) fn hear_refusal(
        &mut self,
        from: SocketAddr,
        clock: WallClock,
        enough: usize,
        own: Generation,
        now: Time,
    ) -> Option<Generation> {
        // One that is on its way to the disk answers the refusals of before.
        if self.accepted >= own || self.coming.is_some() {
            return None;
        }
        self.refusals.insert(from, clock);
        self.refused += 1;
        if self.refusals.len() < enough && self.refused < REFUSALS {
            return None;
        }
        let latest = self.refusals.values().copied().max().unwrap_or(now.wall).min(now.wall);
        self.forget_refusals();
        let believable = Generation(latest.0.max(self.accepted.0.saturating_add(1)));
        (believable < own).then_some(believable)
    }

    /// Whether a peer refused the present generation, and none accepted it since.
    pub(crate) fn is_refused(&self) -> bool {
        !self.refusals.is_empty()
    }

    /// Takes `generation` as soon as it is safe; at once where there is no disk.
    pub(crate) fn take_generation(&mut self, generation: Generation) -> Option<Generation> {
        if self.durable {
            self.coming = Some(generation);
            self.dirty = true;
            return None;
        }
        Some(generation)
    }
}

/// Checks each entry of `write` by itself.
fn check_entries(config: &Config, own: &Replica, write: &Write) -> Result<(), WriteError> {
    if write.is_empty() {
        return Err(WriteError::Empty);
    }
    let mut keys = BTreeSet::new();
    for (key, entry) in write {
        if !keys.insert(key) {
            return Err(WriteError::Repeated { key: key.clone() });
        }
        let value_len = entry.value.as_ref().map_or(0, |value| value.as_bytes().len());
        // What the protocol writes is larger than what it writes of.
        let most = if key.is_reserved() { Value::MAX_LEN } else { config.max_value };
        if value_len > most {
            return Err(WriteError::ValueTooLong { key: key.clone(), len: value_len, most });
        }
        if entry.value.is_none() && !own.shows(key) {
            return Err(WriteError::Absent { key: key.clone() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// G3: two have to agree, or one has to say it eight times in a row in one life that nobody accepts.
    #[test]
    fn a_generation_is_given_up_if_two_refuse_it_or_one_does_eight_times() {
        let (own, now) = (Generation(900), Time { moment: Moment::default(), wall: WallClock(1_000) });
        let peer = |last| SocketAddr::from(([10, 0, 0, last], 1));
        let hear = |owner: &mut Owner, last, count| {
            (0..count).find_map(|_| owner.hear_refusal(peer(last), WallClock(500), 2, own, now))
        };
        let new = || Owner::new(false, Generation(0));
        let mut two = new();
        assert_eq!((hear(&mut two, 1, 1), hear(&mut two, 2, 1)), (None, Some(Generation(500))));
        let mut one = new();
        assert_eq!((hear(&mut one, 1, 7), hear(&mut one, 1, 1)), (None, Some(Generation(500))));
        let mut another_life = new();
        assert_eq!(hear(&mut another_life, 1, 7), None);
        another_life.begin_life(own);
        assert_eq!(hear(&mut another_life, 1, 7), None);
        let mut accepted = new();
        accepted.hear_acceptance(own);
        assert_eq!(hear(&mut accepted, 1, 8), None);
    }
}
