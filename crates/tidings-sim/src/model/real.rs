//! The real code, asked every question once: what a replica can tell, and what becomes of a delta that it hears.
//!
//! Both are functions of what is asked about, so that an answer holds wherever the question comes up again. All
//! deltas travel as bytes.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use tidings_core::{
    Applied, Body, Delta, Entry, Generation, Head, Heartbeat, Introduction, Key, Limits, Message, Moment,
    News, NodeName, Replica, Seal, Sender, Value, Version,
};

use super::owner::{KEYS, Mark};
use super::{Bounds, Promise};

/// Hashes alike in every run, and fast: nobody chooses these keys to collide.
pub(super) type Fixed = BuildHasherDefault<Mixer>;

/// Multiplies and turns, word by word.
#[derive(Default)]
pub(super) struct Mixer(u64);

/// Names a replica; the first is the one of whom nothing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct ReplicaId(pub u32);

/// Names a delta; the first is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct DeltaId(pub u32);

/// All of a replica, small. Generation 0 is the one of an unknown owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct View {
    pub generation: u8,
    pub max: u8,
    pub gc: u8,
    pub keys: [Held; 2],
}

/// What a replica holds under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) enum Held {
    #[default]
    Nothing,
    Tombstone(u8),
    Write(u8, Mark),
}

/// What became of a delta at a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Heard {
    pub outcome: Outcome,
    /// The replica that it is then.
    pub then: ReplicaId,
    /// What is wrong with that, whatever the owner did.
    pub broken: Option<Promise>,
}

/// Whether a delta was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Ignored,
    Gap,
    Taken,
}

/// All replicas and deltas that ever were, and the answers of the real code about them.
pub(super) struct Real {
    bounds: Bounds,
    seal: Seal,
    who: Introduction,
    replicas: Vec<(Option<Replica>, View)>,
    by_view: HashMap<View, ReplicaId, Fixed>,
    deltas: Vec<Delta>,
    by_bytes: HashMap<Vec<u8>, DeltaId, Fixed>,
    tellings: HashMap<ReplicaId, Rc<[DeltaId]>, Fixed>,
    hearings: HashMap<(ReplicaId, DeltaId), Heard, Fixed>,
    meetings: HashMap<(ReplicaId, ReplicaId), Option<(DeltaId, Heard)>, Fixed>,
    ends: HashMap<ReplicaId, Heard, Fixed>,
    /// Deltas that the decoder refused.
    pub unreadable: u64,
}

impl Mixer {
    /// Odd, and of no pattern: the golden ratio's digits.
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
}

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(Self::FACTOR);
    }

    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}

impl Held {
    /// The version of what is shown.
    pub(super) fn shown(self) -> Option<u8> {
        match self {
            Self::Nothing | Self::Tombstone(_) => None,
            Self::Write(version, _) => Some(version),
        }
    }

    /// The version of what is held.
    pub(super) fn version(self) -> Option<u8> {
        match self {
            Self::Nothing => None,
            Self::Tombstone(version) | Self::Write(version, _) => Some(version),
        }
    }
}

impl View {
    fn of(replica: &Replica) -> Self {
        let held = |key: &str| replica.entry(key).map_or(Held::Nothing, Held::of);
        assert!(replica.entries().all(|(key, _)| KEYS.contains(&key.as_str())), "there are no other keys");
        Self {
            generation: small(replica.generation().0),
            max: small(replica.max_version().0),
            gc: small(replica.gc_version().0),
            keys: KEYS.map(held),
        }
    }
}

impl Held {
    pub(super) fn of(entry: &Entry) -> Self {
        let version = small(entry.version.0);
        match &entry.value {
            Some(value) => Self::Write(version, Mark::read(value)),
            None => Self::Tombstone(version),
        }
    }
}

impl Real {
    /// More than the largest delta has: two entries, and who the owner is.
    const MOST_ROOM: usize = 64;
    /// When everything expires that can. It is always the same time until then, so that what is left is always the same.
    pub(super) const END: Moment = Moment::from_micros(1_000);
    const LIMITS: Limits = Limits { keys: 8, bytes: 1024 };

    pub(super) fn new(bounds: Bounds) -> Self {
        let who = Introduction {
            name: NodeName::new("owner").expect("it is a name"),
            address: SocketAddr::from(([127, 0, 0, 1], 1)),
            heartbeat: Heartbeat(1),
            age: Duration::ZERO,
        };
        let mut real = Self {
            bounds,
            seal: Seal::new("model"),
            who,
            replicas: Vec::new(),
            by_view: HashMap::default(),
            deltas: Vec::new(),
            by_bytes: HashMap::default(),
            tellings: HashMap::default(),
            hearings: HashMap::default(),
            meetings: HashMap::default(),
            ends: HashMap::default(),
            unreadable: 0,
        };
        real.put(View::default(), None);
        let nothing = Replica::new(Generation(1)).cut(real.who.name.id(), &real.who, None, NOW, usize::MAX);
        real.deltas.extend(nothing);
        real
    }

    /// The name of `replica`.
    pub(super) fn keep(&mut self, replica: Replica) -> ReplicaId {
        let view = View::of(&replica);
        if let Some(&id) = self.by_view.get(&view) {
            let known = self.replicas[id.0 as usize].0.as_ref();
            assert_eq!(known, Some(&replica), "what looks the same is the same");
            return id;
        }
        self.put(view, Some(replica))
    }

    fn put(&mut self, view: View, replica: Option<Replica>) -> ReplicaId {
        let id = ReplicaId(number(self.replicas.len()));
        self.replicas.push((replica, view));
        self.by_view.insert(view, id);
        id
    }

    /// The replica of this name; `None` if nothing is known of the owner.
    pub(super) fn replica(&self, id: ReplicaId) -> Option<&Replica> {
        self.replicas[id.0 as usize].0.as_ref()
    }

    /// What is in the replica of this name.
    pub(super) fn view(&self, id: ReplicaId) -> View {
        self.replicas[id.0 as usize].1
    }

    /// The delta of this name.
    pub(super) fn delta(&self, id: DeltaId) -> &Delta {
        &self.deltas[id.0 as usize]
    }

    /// How many different replicas and deltas there were.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.replicas.len(), self.deltas.len())
    }

    /// All that `teller` can tell: to those who say that they are anywhere, right or wrong, cut wherever it can be.
    pub(super) fn tellings(&mut self, teller: ReplicaId) -> Rc<[DeltaId]> {
        if let Some(known) = self.tellings.get(&teller) {
            return Rc::clone(known);
        }
        let Some(replica) = self.replica(teller).cloned() else { return Rc::new([]) };
        let mut deltas = BTreeSet::new();
        for line in self.lines() {
            let cut = |room| replica.cut(self.who.name.id(), &self.who, line, NOW, room);
            let mut cuts: Vec<_> = (0..=Self::MOST_ROOM).filter_map(cut).collect();
            assert_eq!(cuts.last().cloned(), cut(usize::MAX), "there is room for everything");
            cuts.dedup();
            deltas.extend(cuts.into_iter().filter_map(|delta| self.send(delta)));
        }
        let deltas: Rc<[DeltaId]> = deltas.into_iter().collect();
        self.tellings.insert(teller, Rc::clone(&deltas));
        deltas
    }

    fn lines(&self) -> Vec<Option<(Generation, Version)>> {
        let known = (1..=self.bounds.lives).flat_map(|generation| {
            let versions = 0..=u64::from(self.bounds.versions);
            versions.map(move |version| Some((Generation(generation.into()), Version(version))))
        });
        std::iter::once(None).chain(known).collect()
    }

    /// Puts `delta` on its way, as bytes. `None` if no decoder would read it.
    fn send(&mut self, delta: Delta) -> Option<DeltaId> {
        let head = Head { generation: delta.generation, heartbeat: Heartbeat(1) };
        let sender = Sender { id: delta.owner, head, max: delta.max };
        let body = Body::Ack2(News { deltas: vec![delta.clone()], ..News::default() });
        let bytes = self.seal.encode(&Message { sender, exchange: 0, body });
        if let Some(&known) = self.by_bytes.get(&bytes) {
            return Some(known);
        }
        let Ok(Message { body: Body::Ack2(News { deltas, .. }), .. }) = self.seal.decode(&bytes) else {
            self.unreadable += 1;
            return None;
        };
        assert_eq!(deltas, [delta], "what is read is what was written");
        let id = DeltaId(number(self.deltas.len()));
        self.deltas.extend(deltas);
        self.by_bytes.insert(bytes, id);
        Some(id)
    }

    /// What becomes of `delta` at `hearer`.
    pub(super) fn hear(&mut self, hearer: ReplicaId, delta: DeltaId) -> Heard {
        if let Some(&heard) = self.hearings.get(&(hearer, delta)) {
            return heard;
        }
        let before = self.replica(hearer).cloned();
        let deed = || take(before.clone(), self.delta(delta));
        let heard = match catch_unwind(AssertUnwindSafe(deed)) {
            Err(_) => Heard { outcome: Outcome::Gap, then: hearer, broken: Some(Promise::NoPanic) },
            Ok((after, outcome, told)) => {
                let then = after.map_or(ReplicaId(0), |after| self.keep(after));
                let broken = self.judge(hearer, outcome, then, &told);
                Heard { outcome, then, broken }
            }
        };
        self.hearings.insert((hearer, delta), heard);
        heard
    }

    /// What becomes of a replica when all has expired that can.
    pub(super) fn expire(&mut self, replica: ReplicaId) -> Heard {
        if let Some(&heard) = self.ends.get(&replica) {
            return heard;
        }
        let mut heard = Heard { outcome: Outcome::Taken, then: replica, broken: None };
        if let Some(mut after) = self.replica(replica).cloned() {
            let told = after.expire(Self::END);
            heard.then = self.keep(after);
            heard.broken = self.judge(replica, Outcome::Taken, heard.then, &told);
        }
        self.ends.insert(replica, heard);
        heard
    }

    fn judge(&self, before: ReplicaId, outcome: Outcome, then: ReplicaId, told: &[Told]) -> Option<Promise> {
        let (old, new) = (self.view(before), self.view(then));
        let moved = outcome == Outcome::Taken;
        if (new.generation, new.max) < (old.generation, old.max) || (!moved && before != then) {
            return Some(Promise::Growth);
        }
        let falls = |(old, new): (&Held, &Held)| new.version().is_some_and(|new| Some(new) < old.version());
        if old.generation == new.generation && old.keys.iter().zip(&new.keys).any(falls) {
            return Some(Promise::Growth);
        }
        let mark = |held: &Held| match *held {
            Held::Nothing | Held::Tombstone(_) => None,
            Held::Write(_, mark) => Some(mark),
        };
        let mut shown = old.keys.each_ref().map(mark);
        for (key, value, _) in told {
            let place = KEYS.iter().position(|name| *name == key.as_str()).expect("there are no other keys");
            shown[place] = value.as_ref().map(Mark::read);
        }
        (shown != new.keys.each_ref().map(mark)).then_some(Promise::Told)
    }

    /// What becomes of all that `teller` has to tell `hearer`, who says where it is; `None` if that is
    /// nothing.
    pub(super) fn meet(&mut self, teller: ReplicaId, hearer: ReplicaId) -> Option<(DeltaId, Heard)> {
        if let Some(&heard) = self.meetings.get(&(teller, hearer)) {
            return heard;
        }
        let line = self.replica(hearer).map(|hearer| (hearer.generation(), hearer.max_version()));
        let teller_now = self.replica(teller);
        let all = teller_now
            .and_then(|teller| teller.cut(self.who.name.id(), &self.who, line, NOW, Self::MOST_ROOM));
        let told = all.and_then(|all| self.send(all));
        let heard = told.map(|delta| (delta, self.hear(hearer, delta)));
        self.meetings.insert((teller, hearer), heard);
        heard
    }
}

/// What time it is.
const NOW: Moment = Moment::from_micros(0);

type Told = (Key, Option<Value>, Version);

/// What a node does with a delta about another one, known or not.
fn take(known: Option<Replica>, delta: &Delta) -> (Option<Replica>, Outcome, Vec<Told>) {
    let is_known = known.is_some();
    if !is_known && delta.introduction.is_none() {
        return (None, Outcome::Gap, Vec::new());
    }
    let before = known.clone();
    let mut replica = known.unwrap_or_else(|| Replica::new(delta.generation));
    match replica.apply(delta, NOW, Real::LIMITS) {
        Applied::Taken(told) => (Some(replica), Outcome::Taken, told),
        Applied::Ignored if !is_known && delta.through == Version(0) => {
            (Some(replica), Outcome::Taken, Vec::new())
        }
        Applied::Ignored => (before.map(|_| replica), Outcome::Ignored, Vec::new()),
        Applied::Gap => (before.map(|_| replica), Outcome::Gap, Vec::new()),
        Applied::TooLarge => panic!("nothing here is large"),
    }
}

/// A number of the real code, which the bounds keep small.
fn small(number: u64) -> u8 {
    u8::try_from(number).expect("the bounds are small")
}

/// A place in a list, as a name.
pub(super) fn number(place: usize) -> u32 {
    u32::try_from(place).expect("a search ends before that")
}
