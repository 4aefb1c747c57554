//! What each owner really wrote, in each of its lives, and when it ran.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tidings_core::{
    Entry, Generation, Gossiper, Head, Heartbeat, Key, Lifetime, Moment, NodeId, NodeName, Replica, Value,
    Version,
};

use super::claims::Claims;
use super::requests::{ANSWERS, Wanted};
use super::{Checker, Promise, View, Write};
use crate::node::{Place, SimNode};

/// One name, whoever bears it.
#[derive(Debug)]
pub(super) struct Ghost {
    pub name: NodeName,
    pub cluster: String,
    pub lives: BTreeMap<Generation, Life>,
    /// All that was ever written, or tried to be, in any life: what a disk may hold.
    ever: BTreeSet<(Version, Key, Option<Value>)>,
    /// The changes that others asked it for.
    pub asked: BTreeMap<(Key, Option<Value>), Wanted>,
    /// The machines that run under this name.
    pub running: BTreeSet<Place>,
    /// When it began to run last, and when it was down, paused or slow last.
    pub up_since: Moment,
    pub away_at: Option<Moment>,
}

/// One life of an owner.
#[derive(Debug, Clone, Default)]
pub(super) struct Life {
    /// All writes, those of earlier lives that it began with included.
    pub written: BTreeMap<(Version, Key), Option<Value>>,
    /// The newest write of each key.
    pub newest: BTreeMap<Key, (Version, Option<Value>)>,
    pub max: Version,
    /// Up to which version it is known which writes nobody was told of.
    told: Version,
    /// How far its heart has come.
    pub heartbeat: Heartbeat,
    /// What ends by itself.
    mortal: BTreeMap<(Version, Key), Mortal>,
    /// Whether it ended with a departure.
    is_over: bool,
    /// Writes that were accepted and do not show yet, and when they were.
    staged: VecDeque<(Version, Moment, Write)>,
}

/// A value that ends by itself.
#[derive(Debug, Clone, Copy)]
struct Mortal {
    /// When it expires for its owner; [`Moment::NEVER`] if it does not.
    expires: Moment,
    /// By how much sooner it may for others: clocks differ by two hundredths at most, and each relay rounds.
    sooner: Duration,
    is_ephemeral: bool,
}

impl Mortal {
    fn new(now: Moment, lifetime: Lifetime) -> Self {
        let Lifetime { ttl, is_ephemeral } = lifetime;
        let expires = ttl.map_or(Moment::NEVER, |ttl| now + ttl);
        Self { expires, sooner: ttl.unwrap_or_default() / 32 + Duration::from_millis(10), is_ephemeral }
    }
}

impl Life {
    /// A life that begins at `now` with what `replica` has, by a clock that shows `shown`.
    fn from(replica: &Replica, now: Moment, shown: Moment) -> Self {
        let max = replica.max_version();
        let mut life = Self { max, told: max, ..Self::default() };
        for (key, Entry { value, version, expires, is_ephemeral }) in replica.entries() {
            let ttl = (*expires != Moment::NEVER).then(|| expires.since(shown));
            life.put(*version, key.clone(), value.clone());
            life.limit(now, *version, key, Lifetime { ttl, is_ephemeral: *is_ephemeral });
        }
        life
    }

    fn put(&mut self, version: Version, key: Key, value: Option<Value>) {
        self.newest.insert(key.clone(), (version, value.clone()));
        self.written.insert((version, key), value);
    }

    /// What was written as `version` is there for a lifetime, from `now` on.
    fn limit(&mut self, now: Moment, version: Version, key: &Key, lifetime: Lifetime) {
        if lifetime != Lifetime::default() {
            self.mortal.insert((version, key.clone()), Mortal::new(now, lifetime));
        }
    }

    /// Whether what was written as `version` may have ended by itself.
    pub(super) fn may_be_over(&self, now: Moment, version: Version, key: &Key) -> bool {
        self.mortal.get(&(version, key.clone())).is_some_and(|mortal| {
            now + mortal.sooner >= mortal.expires || mortal.is_ephemeral && self.is_over
        })
    }

    /// For how long what was written as `version` has been over for its owner.
    pub(super) fn over_for(&self, now: Moment, version: Version, key: &Key) -> Duration {
        self.mortal.get(&(version, key.clone())).map_or(Duration::ZERO, |mortal| now.since(mortal.expires))
    }

    /// Whether what was written as `version` was to end with this life.
    pub(super) fn is_ephemeral(&self, version: Version, key: &Key) -> bool {
        self.mortal.get(&(version, key.clone())).is_some_and(|mortal| mortal.is_ephemeral)
    }

    /// Whether `entry` is what was written of `key` then, or what is left of it.
    pub(super) fn is_left(&self, now: Moment, key: &Key, entry: &Entry, written: &Option<Value>) -> bool {
        *written == entry.value || entry.value.is_none() && self.may_be_over(now, entry.version, key)
    }

    /// Whether an owner, or one that knows its newest write of `key`, may lack it, where tombstones were collected up to `gc`.
    pub(super) fn may_be_collected(&self, now: Moment, key: &Key, gc: Version) -> bool {
        self.newest.get(key).is_none_or(|(version, value)| {
            *version <= gc && (value.is_none() || self.may_be_over(now, *version, key))
        })
    }

    /// Whether something was written as `version`: an answer may have been, with what was granted too often.
    fn is_taken(&self, version: Version) -> bool {
        let is_it = |(v, key): &(Version, Key)| *v == version && !key.as_str().starts_with(ANSWERS);
        version <= self.max && self.written.keys().any(is_it)
    }

    /// The newest write that a user was told of: a departure is none, and not for the disk.
    fn acknowledged(&self) -> Option<Version> {
        let by_users = self.newest.iter().filter(|(key, _)| !key.as_str().starts_with(Key::RESERVED));
        by_users.map(|(_, (version, _))| *version).max()
    }

    /// Goes on as another life, with what `replica` has of it: nobody holds anything of it yet, so that it needs no tombstones.
    fn begin_anew(&mut self, now: Moment, replica: &Replica) {
        self.heartbeat = Heartbeat(0);
        let mut newest = std::mem::take(&mut self.newest);
        newest.retain(|key, (version, value)| {
            let may_be_gone = value.is_none() || self.may_be_over(now, *version, key);
            !may_be_gone || replica.entry(key.as_str()).is_some()
        });
        self.newest = newest;
    }

    /// Lets all writes up to `version` show.
    fn show(&mut self, version: Version) {
        while self.staged.front().is_some_and(|(staged, ..)| *staged <= version) {
            let Some((version, at, (write, lifetime))) = self.staged.pop_front() else { return };
            for (key, value) in write {
                self.limit(at, version, &key, lifetime);
                self.put(version, key, value);
            }
            self.max = version;
        }
    }
}

impl Ghost {
    /// One that wrote nothing.
    fn new(name: NodeName, cluster: String, now: Moment) -> Self {
        Self {
            name,
            cluster,
            lives: BTreeMap::new(),
            ever: BTreeSet::new(),
            asked: BTreeMap::new(),
            running: BTreeSet::new(),
            up_since: now,
            away_at: None,
        }
    }

    /// Adds to its life of `generation` what its `replica` shows, nobody was told of, and can be explained; `shown` is what the
    /// owner's clock shows at `now`.
    fn look_at_untold(&mut self, generation: Generation, replica: &Replica, now: Moment, shown: Moment) {
        let Some(mut life) = self.lives.remove(&generation) else { return };
        let is_new = |(_, entry): &(&Key, &Entry)| entry.version > life.told;
        // A departure ends the life, which an earlier one may have done by the same write.
        let is_untold = |(key, entry): &(&Key, &Entry)| {
            key.as_str() != DEPARTED && !life.written.contains_key(&(entry.version, (*key).clone()))
        };
        let untold: Vec<_> = replica.entries().filter(is_new).filter(is_untold).collect();
        for (key, Entry { value, version, expires, is_ephemeral }) in untold {
            if self.explain(replica, *version, key, value.as_ref()) {
                life.put(*version, key.clone(), value.clone());
                let ttl = (*expires != Moment::NEVER).then(|| expires.since(shown));
                life.limit(now, *version, key, Lifetime { ttl, is_ephemeral: *is_ephemeral });
                if ttl.is_some() {
                    self.ever.insert((*version, key.clone(), None));
                }
                life.max = life.max.max(*version);
            }
        }
        life.told = life.max;
        self.lives.insert(generation, life);
    }

    /// The owner holds in `replica` a write of which nobody was told: it has to be one that others asked for, or the protocol's
    /// own. Returns whether it is.
    fn explain(&mut self, replica: &Replica, version: Version, key: &Key, value: Option<&Value>) -> bool {
        let write = (version, key.clone(), value.cloned());
        if self.ever.contains(&write) {
            return true;
        }
        let is_known = PROTOCOL.iter().any(|prefix| key.as_str().starts_with(prefix));
        (is_known || self.may_grant(replica, version, key, value)) && self.ever.insert(write)
    }
}

/// The key by which an owner says that it departed.
const DEPARTED: &str = "tidings/departed";
/// What an owner writes of its own accord: what it asks others for, and what it answers.
const PROTOCOL: [&str; 2] = ["tidings/req/", ANSWERS];

impl Checker {
    /// A node began to run.
    pub(crate) fn booted(&mut self, now: Moment, place: Place, node: &SimNode) {
        let Some(core) = &node.core else { return };
        let (id, generation) = (node.id, core.generation());
        self.ids.insert(node.name.clone(), id);
        let Some(replica) = core.replica(id) else { return };
        let old = std::mem::take(self.view(place));
        let (told, before) = (old.told, old.own);
        let is_kept = node.config.durable && node.disk.is_some() && !old.lost_disk && before.is_some();
        let claims = Claims::begin(now);
        *self.view(place) = View { me: Some(id), interval: node.config.interval, claims, ..View::default() };
        // What was lost with a disk binds nobody.
        let told = if is_kept { told } else { Generation(0) };
        self.view(place).told = told;
        if is_kept && generation <= told {
            let what = format_args!("boots in generation {}, and told {} before", generation.0, told.0);
            self.break_promise(Promise::S9, now, place, what);
        }
        let new = || Ghost::new(core.name().clone(), node.config.cluster.clone(), now);
        let ghost = self.ghosts.entry(id).or_insert_with(new);
        if !is_kept {
            ghost.asked.values_mut().for_each(Wanted::begin_anew);
        }
        let acknowledged = before.and_then(|head| ghost.lives.get(&head.generation)?.acknowledged());
        let unknown = replica
            .entries()
            .find(|(key, entry)| !ghost.explain(replica, entry.version, key, entry.value.as_ref()));
        let unknown = unknown.map(|(key, _)| key.clone());
        (ghost.up_since, ghost.away_at) = (now, Some(now));
        ghost.running.insert(place);
        ghost.lives.insert(generation, Life::from(replica, now, node.moment(now)));
        let max = replica.max_version();
        if let Some(key) = unknown {
            self.break_promise(
                Promise::S9,
                now,
                place,
                format_args!("boots with {key}, which it never wrote"),
            );
        }
        if let Some(least) = acknowledged.filter(|least| is_kept && max < *least) {
            let what = format_args!("boots with version {}, and {} was acknowledged", max.0, least.0);
            self.break_promise(Promise::S9, now, place, what);
        }
        self.view(place).own_touched = true;
        self.knows_itself(place, replica);
    }

    /// A node ended.
    pub(crate) fn crashed(&mut self, now: Moment, place: Place) {
        self.expect_no_more_of(place);
        let me = self.view(place).me;
        if let Some(ghost) = me.and_then(|me| self.ghosts.get_mut(&me)) {
            ghost.running.remove(&place);
            ghost.away_at = Some(now);
        }
    }

    /// What a node had on its disk is lost, or is older than what it had.
    pub(crate) fn lost_disk(&mut self, place: Place) {
        self.view(place).lost_disk = true;
    }

    /// A node stops, but does not end.
    pub(crate) fn paused(&mut self, now: Moment, place: Place) {
        self.view(place).paused_at.get_or_insert(now);
        self.is_away(now, place);
    }

    /// A node goes on.
    pub(crate) fn resumed(&mut self, now: Moment, place: Place) {
        let view = self.view(place);
        let slept = view.paused_at.take().map_or(Duration::ZERO, |at| now.since(at));
        self.longest_sleep = self.longest_sleep.max(slept);
        let view = self.view(place);
        // What is shorter than two intervals need not be noticed.
        if slept >= 2 * view.interval {
            // Its clock may be a hundredth too fast.
            view.holds_until = Some(now + 2 * view.interval * 98 / 100);
        }
        self.is_away(now, place);
    }

    /// A node is paused, or slow: what is not heard of it now says nothing.
    pub(crate) fn is_away(&mut self, now: Moment, place: Place) {
        let view = self.view(place);
        view.slept_at = Some(now);
        let me = view.me;
        if let Some(ghost) = me.and_then(|me| self.ghosts.get_mut(&me)) {
            ghost.away_at = Some(now);
        }
    }

    /// A node accepted a write, as `version`. Nobody can have seen it yet.
    pub(crate) fn wrote(&mut self, now: Moment, place: Place, version: Version, write: Write) {
        let (Some(me), Some(own)) = (self.view(place).me, self.view(place).own) else { return };
        self.view(place).own_touched = true;
        self.expect_soon(now, me, version);
        let Some(ghost) = self.ghosts.get_mut(&me) else { return };
        let (writes, Lifetime { ttl, is_ephemeral }) = &write;
        // What is ephemeral is never on disk; what ended by itself is there as a tombstone.
        let saved = |(key, value): &(Key, Option<Value>)| (version, key.clone(), value.clone());
        ghost.ever.extend(writes.iter().filter(|_| !is_ephemeral).map(saved));
        let ends = ttl.is_some() || *is_ephemeral;
        ghost.ever.extend(writes.iter().filter(|_| ends).map(|(key, _)| (version, key.clone(), None)));
        if let Some(life) = ghost.lives.get_mut(&own.generation) {
            life.staged.push_back((version, now, write));
        }
    }

    /// The disk failed: what was not on it yet is given up.
    pub(crate) fn save_failed(&mut self, place: Place) {
        let view = self.view(place);
        let (Some(me), Some(own)) = (view.me, view.own) else { return };
        if let Some(life) = self.ghosts.get_mut(&me).and_then(|ghost| ghost.lives.get_mut(&own.generation)) {
            life.staged.clear();
        }
    }

    /// A node was told to leave.
    pub(crate) fn leaves(&mut self, place: Place) {
        self.view(place).is_leaving = true;
    }

    /// S6: what a node holds of itself is what it wrote. S3: and each write has a version of its own.
    pub(super) fn look_at_own(&mut self, now: Moment, shown: Moment, place: Place, core: &Gossiper) {
        let head = Head { generation: core.generation(), heartbeat: core.heartbeat() };
        let max = core.own_version();
        let view = self.view(place);
        // Most of what a node is told changes nothing of its own.
        let is_same = view.own == Some(head) && view.own_max == max && !view.own_touched;
        let Some(id) = view.me.filter(|_| !is_same) else { return };
        let (before, touched, leaving) = (view.own.replace(head), view.own_touched, view.is_leaving);
        (view.own_touched, view.own_max) = (false, max);
        let before = before.unwrap_or(head);
        self.look_at_life(now, place, before, head);
        let Some(ghost) = self.ghosts.get_mut(&id) else { return };
        let is_new_life = before.generation != head.generation;
        if is_new_life {
            let mut life = ghost.lives.get(&before.generation).cloned().unwrap_or_default();
            life.show(max);
            if let Some(replica) = core.replica(id) {
                life.begin_anew(now, replica);
            }
            ghost.lives.insert(head.generation, life);
            self.count("generation changes");
            if head.generation < before.generation {
                // It fell back, since nobody believed the other one (G3).
                self.view(place).told = head.generation;
                self.count("generations given up");
            } else {
                self.count("refutations");
            }
            self.view(place).own_touched = true;
            return self.look_at_own(now, shown, place, core);
        }
        let Some(life) = ghost.lives.get_mut(&head.generation) else { return };
        life.heartbeat = life.heartbeat.max(head.heartbeat);
        if max == life.max && !touched {
            return;
        }
        let Some(replica) = core.replica(id) else { return };
        life.show(max);
        ghost.look_at_untold(head.generation, replica, now, shown);
        let Some(life) = ghost.lives.get_mut(&head.generation) else { return };
        let is_next = life.max.0 + 1 == max.0;
        if is_next && life.max > Version(0) && replica.gc_version() == life.max {
            // It collected its tombstones, which takes a version.
            life.max = max;
        } else if leaving && is_next {
            let key = Key::new(DEPARTED).expect("the protocol's own key is one");
            ghost.ever.insert((max, key.clone(), Some(Value::from(b""))));
            life.put(max, key, Some(Value::from(b"")));
            (life.max, life.is_over) = (max, true);
        }
        let wrong = replica.entries().find(|(key, entry)| {
            let is_left = |written| life.is_left(now, key, entry, written);
            !life.newest.get(*key).is_some_and(|(v, written)| *v == entry.version && is_left(written))
        });
        let wrong = wrong.map(|(key, entry)| (key.clone(), entry.version));
        let gc = replica.gc_version();
        let is_there = |key: &Key| replica.entry(key.as_str()).is_some();
        let missing = life.newest.keys().any(|key| !is_there(key) && !life.may_be_collected(now, key, gc));
        let is_reused = wrong.as_ref().is_some_and(|(_, version)| life.is_taken(*version));
        let expected = life.max;
        if is_reused && let Some((key, version)) = wrong {
            let what = format_args!("shows {key} as version {}, which is another write", version.0);
            self.break_promise(Promise::S3, now, place, what);
        } else if let Some((key, version)) = wrong {
            let what = format_args!("holds {key} of its own as version {}, which it never wrote", version.0);
            self.break_promise(Promise::S6, now, place, what);
        } else if missing || max != expected {
            let what = format_args!("is at version {} of its own, and wrote up to {}", max.0, expected.0);
            self.break_promise(Promise::S6, now, place, what);
        }
    }

    /// The ghost of a node that is known to be of that cluster.
    pub(super) fn ghost(&self, id: NodeId) -> Option<&Ghost> {
        self.ghosts.get(&id)
    }
}
