//! Every order of everything, in the small: see `tidings_sim::model`.

use std::sync::LazyLock;

use tidings_core::{
    Applied, Delta, Entry, Generation, Heartbeat, Introduction, Key, Limits, Moment, NodeId, NodeName,
    Replica, Span, Value, Version,
};
use tidings_sim::model::{Bounds, Explored, Promise, Raises, explore};

/// One life, five versions: deletes, raises, resets and cuts.
static ONE_LIFE: LazyLock<Explored> = LazyLock::new(|| explore(Bounds { versions: 5, ..Bounds::default() }));

/// The same with a `gc_version` that stays behind; see [`a_low_gc_version_can_hide_a_key_for_a_while`].
static LOW_RAISES: LazyLock<Explored> = LazyLock::new(|| explore(Bounds { may_hide: true, ..LOW }));
const LOW: Bounds = Bounds {
    others: 2,
    versions: 5,
    lives: 1,
    delayed: 0,
    raises: Raises::ToAny,
    expiry: false,
    may_hide: false,
};

/// Several lives, with all that was there or with nothing.
static LIVES: LazyLock<Explored> =
    LazyLock::new(|| explore(Bounds { versions: 4, lives: 2, ..Bounds::default() }));
static MORE_LIVES: LazyLock<Explored> =
    LazyLock::new(|| explore(Bounds { versions: 3, lives: 3, ..Bounds::default() }));

/// Deltas that take a while, and meet another state than they were made for.
static LATE: LazyLock<Explored> =
    LazyLock::new(|| explore(Bounds { versions: 3, lives: 2, delayed: 1, ..Bounds::default() }));
static LATER: LazyLock<Explored> =
    LazyLock::new(|| explore(Bounds { versions: 2, lives: 2, delayed: 2, ..Bounds::default() }));

/// Values that expire, at each node by itself.
static EXPIRY: LazyLock<Explored> =
    LazyLock::new(|| explore(Bounds { versions: 3, expiry: true, ..Bounds::default() }));
static EXPIRY_LATE: LazyLock<Explored> =
    LazyLock::new(|| explore(Bounds { versions: 2, delayed: 1, expiry: true, ..Bounds::default() }));

/// A fourth node.
static FOUR: LazyLock<Explored> =
    LazyLock::new(|| explore(Bounds { others: 3, versions: 4, ..Bounds::default() }));

fn keeps_all_promises(found: &Explored) {
    if let Some(broken) = &found.broken {
        panic!("after {} states:\n{broken}", found.states);
    }
}

#[test]
fn r14_a_delta_for_another_life_loses_nothing() {
    for found in [&LIVES, &MORE_LIVES, &LATE, &LATER] {
        keeps_all_promises(found);
        assert!(found.tally.new_lives > 1_000 && found.tally.fell_back > 1_000, "{found:?}");
    }
    for found in [&LATE, &LATER] {
        assert!(found.tally.outlived > 1_000 && found.tally.late_taken > 1_000, "{found:?}");
    }
}

#[test]
fn r21_whoever_was_reset_gets_no_deleted_key_from_an_older_replica() {
    for found in [&ONE_LIFE, &LOW_RAISES, &FOUR] {
        keeps_all_promises(found);
        let tally = &found.tally;
        assert!(tally.resets > 10_000 && tally.cut > 10_000 && tally.gone > 10_000, "{found:?}");
    }
}

#[test]
fn r23_whoever_was_away_for_longer_than_tombstones_live_catches_up() {
    for found in [&ONE_LIFE, &LOW_RAISES, &LATE, &FOUR] {
        keeps_all_promises(found);
        assert!(found.tally.raises > 1_000 && found.tally.caught_up > 1_000, "{found:?}");
    }
}

/// E2: what has expired is a tombstone here and a value there, of the same version, and that harms nothing.
#[test]
fn values_that_expire_anywhere_at_any_time_break_no_promise() {
    for found in [&EXPIRY, &EXPIRY_LATE] {
        keeps_all_promises(found);
        let tally = &found.tally;
        assert!(tally.expiries > 1_000 && tally.raises > 100 && tally.resets > 100, "{found:?}");
    }
}

#[test]
fn r24_nobody_but_the_owner_makes_tombstones() {
    // A tombstone that the owner did not write is an invention: each state was searched for them.
    for found in [&ONE_LIFE, &LIVES, &LATE, &FOUR] {
        keeps_all_promises(found);
        assert!(found.tally.gone > 1_000, "{found:?}");
    }
}

#[test]
fn r16_keys_written_together_are_seen_together() {
    for found in [&ONE_LIFE, &LIVES, &LATE, &FOUR] {
        keeps_all_promises(found);
        assert!(found.tally.together > 1_000 && found.tally.cut > 1_000, "{found:?}");
    }
}

/// Any two numbers can meet, also those that no owner and no decoder would let through.
#[test]
fn r26_no_pair_of_gc_and_max_panics() {
    let mut taken = 0;
    for (generation, max, gc) in triples(3) {
        for (other, through, other_gc) in triples(3) {
            for after in [None, Some(0), Some(1), Some(2), Some(3), Some(u64::MAX)] {
                let before = replica(generation, max, gc);
                let delta = delta(other, after, through, other_gc);
                let mut then = before.clone();
                let outcome = then.apply(&delta, Moment::default(), LIMITS);
                let stand = |replica: &Replica| (replica.generation(), replica.max_version());
                assert!(stand(&then) >= stand(&before), "{before:?} {delta:?}");
                assert!(matches!(outcome, Applied::Taken(_)) || then == before, "{before:?} {delta:?}");
                taken += u64::from(matches!(outcome, Applied::Taken(_)));
                for line in [None, Some(stand(&before)), Some((Generation(other), Version(through)))] {
                    for room in (0..80).step_by(7) {
                        let _ = then.cut(NodeId(7), &who(), line, Moment::default(), room);
                    }
                }
            }
        }
    }
    assert!(taken > 500, "{taken}");
}

#[test]
fn searches_go_where_they_should() {
    let found = [&*ONE_LIFE, &LOW_RAISES, &LIVES, &MORE_LIVES, &LATE, &LATER, &FOUR];
    for found in found {
        keeps_all_promises(found);
        println!("{found:?}");
        assert!(found.tally.gaps > 1_000, "{found:?}");
        assert_eq!(found.tally.unreadable, 0, "what is cut can be read");
    }
    assert!(LATE.tally.overtaken > 10_000 && LATE.tally.lives > 1_000 && LATE.tally.lives_anew > 1_000);
}

#[test]
#[ignore = "takes some minutes, and a gigabyte"]
fn wider_searches_keep_all_promises() {
    let bounds = Bounds::default();
    for bounds in [
        Bounds { versions: 3, lives: 2, delayed: 2, ..bounds },
        Bounds { others: 3, versions: 5, ..bounds },
        Bounds { versions: 6, ..bounds },
        Bounds { versions: 4, expiry: true, ..bounds },
        Bounds { versions: 3, delayed: 1, expiry: true, ..bounds },
    ] {
        let found = explore(bounds);
        println!("{bounds:?}: {} states", found.states);
        keeps_all_promises(&found);
    }
}

#[test]
fn a_search_is_the_same_each_time() {
    let bounds = Bounds { versions: 2, lives: 2, delayed: 1, ..Bounds::default() };
    assert_eq!(explore(bounds), explore(bounds));
}

/// Why `gc_version` goes to the newest version alone: a node with a key missing that was written since, and that
/// learned of a `gc_version` all the same, resets one that is below it and shows the key.
#[test]
fn a_low_gc_version_can_hide_a_key_for_a_while() {
    let broken = explore(LOW).broken.expect("it hides a key");
    assert_eq!(broken.promise, Promise::OnlyDeleted);
    assert!(broken.story.last().unwrap().contains("tells"), "{broken}");
}

const LIMITS: Limits = Limits { keys: 10, bytes: 1_000 };

fn triples(most: u64) -> impl Iterator<Item = (u64, u64, u64)> {
    (1..=2).flat_map(move |generation| {
        (0..=most).flat_map(move |max| (0..=most).map(move |gc| (generation, max, gc)))
    })
}

fn who() -> Introduction {
    let name = NodeName::new("ann").unwrap();
    Introduction {
        name,
        address: ([10, 0, 0, 1], 1).into(),
        heartbeat: Heartbeat(1),
        age: Default::default(),
    }
}

/// A value at the newest version, and a tombstone at the one before.
fn entries(max: u64) -> Vec<(Key, Entry)> {
    let entry = |key: &str, value, version| (Key::new(key).unwrap(), Entry::new(value, version));
    let value = (max > 0).then(|| entry("a", Some(Value::from("v")), Version(max)));
    let tombstone = (max > 1).then(|| entry("b", None, Version(max - 1)));
    tombstone.into_iter().chain(value).collect()
}

fn replica(generation: u64, max: u64, gc: u64) -> Replica {
    Replica::restored(Generation(generation), Version(max), Version(gc), entries(max))
}

fn delta(generation: u64, after: Option<u64>, through: u64, gc: u64) -> Delta {
    let span = after.map_or(Span::Reset, |after| Span::After(Version(after)));
    Delta {
        owner: NodeId(7),
        generation: Generation(generation),
        introduction: Some(who()),
        span,
        through: Version(through),
        gc: Version(gc),
        max: Version(through),
        entries: entries(through),
    }
}

/// The model bites: each fault is found, and named.
#[cfg(feature = "planted")]
mod planted {
    use tidings_core::{Flaw, plant};

    use super::{Bounds, Promise, explore};

    fn check(flaw: Flaw, promise: Promise) {
        let bounds = Bounds { versions: 4, ..Bounds::default() };
        check_within(bounds, flaw, promise);
    }

    fn check_within(bounds: Bounds, flaw: Flaw, promise: Promise) {
        plant(Some(flaw));
        let found = explore(bounds);
        plant(None);
        let broken = found.broken.unwrap_or_else(|| panic!("{flaw:?} is not found: {:?}", found.tally));
        println!("{flaw:?}, after {} states:\n{broken}", found.states);
        assert_eq!(broken.promise, promise, "{flaw:?}:\n{broken}");
    }

    #[test]
    fn inventions_are_found() {
        check(Flaw::Relabelled, Promise::NoInvention);
        check(Flaw::Forged, Promise::NoInvention);
    }

    #[test]
    fn falling_versions_are_found() {
        check(Flaw::Backwards, Promise::Growth);
    }

    #[test]
    fn resurrected_deletes_are_found() {
        check(Flaw::DeleteUntold, Promise::NoResurrection);
        check(Flaw::StaleTaken, Promise::NoResurrection);
        check(Flaw::GcUntold, Promise::NoResurrection);
        check(Flaw::DroppedEarly, Promise::NoResurrection);
    }

    #[test]
    fn broken_promises_are_found() {
        check(Flaw::GapSkipped, Promise::Kept);
        check_within(Bounds { lives: 2, ..Bounds::default() }, Flaw::LivesMixed, Promise::Kept);
    }

    #[test]
    fn split_versions_are_found() {
        check(Flaw::VersionSplit, Promise::Together);
    }

    #[test]
    fn resets_that_come_late_are_found() {
        check_within(Bounds { versions: 5, ..Bounds::default() }, Flaw::LateReset, Promise::Growth);
    }

    /// R21.
    #[test]
    fn cut_resets_are_found() {
        check(Flaw::ResetCut, Promise::OnlyDeleted);
    }

    #[test]
    fn untold_changes_are_found() {
        check(Flaw::ChangeUntold, Promise::Told);
    }
}
