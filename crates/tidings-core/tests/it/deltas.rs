//! The delta rules, against everything that an owner may do and a network may do to it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::bool::weighted;
use proptest::option;
use proptest::prelude::*;
use tidings_core::{
    Applied, Delta, Entry, Generation, Heartbeat, Introduction, Key, Limits, Moment, NodeId, NodeName,
    Replica, Span, Value, Version,
};

const OWNER: NodeId = NodeId(7);
const LIMITS: Limits = Limits { keys: 100, bytes: 10_000 };
const LIFE: Generation = Generation(5);
const NOW: Moment = Moment::from_micros(5);
const PLENTY: usize = 10_000;

/// What an owner does, one version each.
#[derive(Debug, Clone)]
enum Deed {
    Write(Vec<(usize, Option<u8>)>),
    Collect,
    /// Begins another life, with what it had or without.
    Restart {
        keeps: bool,
    },
}

/// An owner with its whole history: what it was after each deed, and for each life the newest write of each key.
struct History {
    states: Vec<Replica>,
    newest: BTreeMap<Generation, BTreeMap<Key, Entry>>,
    deleted: BTreeSet<(Generation, Key)>,
}

fn key(number: usize) -> Key {
    Key::new(&format!("k{number}")).unwrap()
}

fn who() -> Introduction {
    let name = NodeName::new("ann").unwrap();
    Introduction { name, address: ([10, 0, 0, 1], 1).into(), heartbeat: Heartbeat(1), age: Duration::ZERO }
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let pair = (0..3_usize, option::weighted(0.7, any::<u8>()));
    let write = proptest::collection::btree_map(0..3_usize, pair.prop_map(|(_, value)| value), 1..3);
    let write = write.prop_map(|pairs| Deed::Write(pairs.into_iter().collect()));
    let restart = any::<bool>().prop_map(|keeps| Deed::Restart { keeps });
    proptest::collection::vec(prop_oneof![8 => write, 2 => Just(Deed::Collect), 1 => restart], 1..9)
}

/// The owner's lives, in which each deed takes one version.
fn live_through(deeds: &[Deed]) -> History {
    let mut entries: BTreeMap<Key, Entry> = BTreeMap::new();
    let mut history =
        History { states: vec![Replica::new(LIFE)], newest: BTreeMap::new(), deleted: BTreeSet::new() };
    let (mut life, mut max, mut gc) = (LIFE, Version(0), Version(0));
    for deed in deeds {
        max.0 += 1;
        match deed {
            Deed::Write(pairs) => {
                for &(number, value) in pairs {
                    let entry = Entry::new(value.map(|value| Value::from([value])), max);
                    if entry.value.is_none() {
                        history.deleted.insert((life, key(number)));
                    }
                    entries.insert(key(number), entry.clone());
                    history.newest.entry(life).or_default().insert(key(number), entry);
                }
            }
            Deed::Collect => {
                gc = Version(max.0 - 1);
                entries.retain(|_, entry| entry.value.is_some() || entry.version > gc);
            }
            Deed::Restart { keeps } => {
                life.0 += 1;
                if !keeps {
                    (max, gc) = (Version(0), Version(0));
                    entries.clear();
                }
                history.newest.insert(life, entries.clone());
            }
        }
        history.states.push(Replica::restored(life, max, gc, entries.clone()));
    }
    history
}

/// Everything that `from` can tell `to`, cut to `room`.
fn cut(from: &Replica, to: &Replica, room: usize) -> Option<Delta> {
    from.cut(OWNER, &who(), Some((to.generation(), to.max_version())), NOW, room)
}

/// `to` after hearing all of `from`.
fn merged(to: &Replica, from: &Replica) -> Replica {
    let mut to = to.clone();
    if let Some(delta) = cut(from, &to, PLENTY) {
        assert!(matches!(to.apply(&delta, NOW, LIMITS), Applied::Taken(_)));
    }
    to
}

/// The newest writes that a replica has passed, of the life that it knows.
fn passed<'a>(replica: &Replica, history: &'a History) -> impl Iterator<Item = (&'a Key, &'a Entry)> {
    let max = replica.max_version();
    let newest = history.newest.get(&replica.generation()).into_iter().flatten();
    newest.filter(move |(_, entry)| entry.version <= max)
}

/// What a replica shows of these: its life, and each key's value.
fn promised(replica: &Replica, history: &History) -> (Generation, BTreeMap<Key, Option<Value>>) {
    let shown = |key: &Key| replica.entry(key.as_str()).and_then(|entry| entry.value.clone());
    (replica.generation(), passed(replica, history).map(|(key, _)| (key.clone(), shown(key))).collect())
}

/// Asserts the promise (PROTOCOL.md, P1).
fn keeps_its_promise(replica: &Replica, history: &History) {
    for (key, newest) in passed(replica, history) {
        let shown = replica.entry(key.as_str()).and_then(|entry| entry.value.as_ref());
        assert_eq!(shown, newest.value.as_ref(), "{key} at {}", replica.max_version());
    }
}

/// What one of three replicas, or the owner, tells another one.
#[derive(Debug, Clone)]
struct Step {
    /// Who tells; 3 is the owner.
    from: usize,
    /// For whom it is cut, and who hears it.
    meant: usize,
    to: usize,
    /// How much there is room for.
    room: usize,
    /// Whether it is held back until after the next one, and then heard.
    held: bool,
}

/// Three replicas and their owner tell each other what they have: in any order, cut anywhere, held back, misdirected.
fn mix(history: &History, steps: &[Step]) -> Vec<Replica> {
    let mut replicas = vec![Replica::new(LIFE); 3];
    let mut owner_at = 0;
    let mut held: Option<(usize, Delta)> = None;
    for &Step { from, meant, to, room, held: hold } in steps {
        owner_at = (owner_at + room % 3).min(history.states.len() - 1);
        let teller = if from == 3 { &history.states[owner_at] } else { &replicas[from] };
        let Some(delta) = cut(teller, &replicas[meant], 30 + room) else { continue };
        let stand = |replica: &Replica| (replica.generation(), replica.max_version());
        let (before, (life, promise)) = (stand(&replicas[to]), promised(&replicas[to], history));
        let shows = |replica: &Replica, key: &Key| {
            replica.entry(key.as_str()).is_some_and(|entry| entry.value.is_some())
        };
        let visible: Vec<Key> = (0..3).map(key).filter(|key| shows(&replicas[to], key)).collect();
        if hold {
            held = Some((to, delta));
            continue;
        }
        replicas[to].apply(&delta, NOW, LIMITS);
        if let Some((late_to, late)) = held.take() {
            replicas[late_to].apply(&late, NOW, LIMITS);
        }
        assert!(stand(&replicas[to]) >= before, "nothing goes back");
        for (key, value) in promise.into_iter().filter(|_| replicas[to].generation() == life) {
            let now = replicas[to].entry(key.as_str()).and_then(|entry| entry.value.clone());
            assert_eq!(value, now, "what was settled stays");
        }
        for key in visible.into_iter().filter(|_| replicas[to].generation() == life) {
            let is_deleted = history.deleted.contains(&(life, key.clone()));
            assert!(is_deleted || shows(&replicas[to], &key), "a key once shown goes only by a delete");
        }
        replicas.iter().for_each(|replica| keeps_its_promise(replica, history));
    }
    replicas
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..4_usize, 0..3_usize, option::weighted(0.2, 0..3_usize), 0..30_usize, weighted(0.2));
    let step = step.prop_map(|(from, to, meant, room, held)| {
        let meant = meant.unwrap_or(to);
        Step { from, meant, to, room, held }
    });
    proptest::collection::vec(step, 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn replicas_keep_their_promise_and_only_grow(deeds in deeds(), steps in steps()) {
        mix(&live_through(&deeds), &steps);
    }

    /// R31.
    #[test]
    fn merging_is_idempotent_commutative_and_associative(deeds in deeds(), steps in steps()) {
        let history = live_through(&deeds);
        let replicas = mix(&history, &steps);
        let [a, b, c] = [&replicas[0], &replicas[1], &replicas[2]];
        // What is promised is compared: of a key with a newer write to come, replicas may show different old ones.
        let view = |replica: &Replica| (replica.max_version(), replica.gc_version(), promised(replica, &history));
        prop_assert_eq!(&merged(a, a), a);
        prop_assert_eq!(merged(&merged(a, b), b), merged(a, b));
        prop_assert_eq!(view(&merged(a, b)), view(&merged(b, a)));
        prop_assert_eq!(view(&merged(&merged(a, b), c)), view(&merged(a, &merged(b, c))));
    }

    #[test]
    fn whoever_hears_all_of_the_owner_is_its_equal(deeds in deeds(), steps in steps()) {
        let history = live_through(&deeds);
        let owner = history.states.last().unwrap();
        for replica in mix(&history, &steps) {
            let told = merged(&replica, owner);
            let shown = |replica: &Replica| -> BTreeMap<Key, Entry> {
                let live = replica.entries().filter(|(_, entry)| entry.value.is_some());
                live.map(|(key, entry)| (key.clone(), entry.clone())).collect()
            };
            prop_assert_eq!(shown(&told), shown(owner));
            prop_assert_eq!((told.max_version(), told.gc_version()), (owner.max_version(), owner.gc_version()));
        }
    }
}

#[test]
fn a_later_life_replaces_an_earlier_one_only_from_its_beginning() {
    let entry = |version| (key(1), Entry::new(Some(Value::from("v")), Version(version)));
    let old = Replica::restored(Generation(1), Version(9), Version(0), [entry(9)]);
    let new = Replica::restored(Generation(2), Version(3), Version(0), [entry(2)]);
    let delta = cut(&new, &old, PLENTY).unwrap();
    let mut replica = old.clone();
    assert!(matches!(replica.apply(&delta, NOW, LIMITS), Applied::Taken(_)));
    assert_eq!((replica.generation(), replica.max_version()), (Generation(2), Version(3)));
    let late = cut(&old, &Replica::new(Generation(1)), PLENTY).unwrap();
    assert_eq!(replica.apply(&late, NOW, LIMITS), Applied::Ignored);
    let tail = new.cut(OWNER, &who(), Some((Generation(2), Version(1))), NOW, PLENTY).unwrap();
    assert_eq!(old.clone().apply(&tail, NOW, LIMITS), Applied::Gap);
}

#[test]
fn a_reset_that_comes_late_hides_nothing() {
    let entry = |version| (key(1), Entry::new(Some(Value::from("v")), Version(version)));
    // Whoever is at 3 lacks the key: it was written at 2, and again at 4.
    let ahead = Replica::restored(LIFE, Version(3), Version(1), []);
    let reset = cut(&ahead, &Replica::new(LIFE), PLENTY).unwrap();
    assert_eq!(reset.span, Span::Reset);
    let mut replica = Replica::restored(LIFE, Version(2), Version(0), [entry(2)]);
    assert_eq!(replica.apply(&reset, NOW, LIMITS), Applied::Taken(Vec::new()));
    assert_eq!(replica, Replica::restored(LIFE, Version(3), Version(1), [entry(2)]));
}

/// Who compares a key before writing it has to know each write of it, also one of the same value.
#[test]
fn a_reset_tells_a_write_of_the_same_value_and_none_that_is_shown() {
    let entry = |number, version| (key(number), Entry::new(Some(Value::from("v")), Version(version)));
    let owner = Replica::restored(LIFE, Version(4), Version(3), [entry(1, 1), entry(2, 4)]);
    let mut replica = Replica::restored(LIFE, Version(2), Version(0), [entry(1, 1), entry(2, 2)]);
    let reset = cut(&owner, &replica, PLENTY).unwrap();
    assert_eq!(reset.span, Span::Reset);
    let told = Applied::Taken(vec![(key(2), Some(Value::from("v")), Version(4))]);
    assert_eq!(replica.apply(&reset, NOW, LIMITS), told);
}

#[test]
fn an_owner_beyond_its_limits_is_refused_and_nothing_moves() {
    let entries = (0..5).map(|n| (key(n), Entry::new(Some(Value::from("v")), Version(n as u64 + 1))));
    let owner = Replica::restored(LIFE, Version(5), Version(0), entries);
    let mut replica = Replica::new(LIFE);
    let delta = cut(&owner, &replica, PLENTY).unwrap();
    for limits in [Limits { keys: 4, ..LIMITS }, Limits { bytes: 14, ..LIMITS }] {
        assert_eq!(replica.apply(&delta, NOW, limits), Applied::TooLarge);
        assert_eq!(replica, Replica::new(LIFE));
    }
}
