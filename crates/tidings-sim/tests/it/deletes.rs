//! What is deleted, or has expired, does not come back: tombstones, their collection, times to live, ephemeral keys.

use std::time::Duration;

use tidings_core::{Config, EventKind, Lifetime, Moment, NodeName, Standing};
use tidings_sim::{Arrivals, Disk, Place, Simulation};

use crate::{MINUTE, SECOND, cluster, durable, standing, text};

const GRACE: Duration = MINUTE;
const YEAR: i64 = 365 * 24 * 3_600 * 1_000;

fn graceful() -> Config {
    Config { grace: GRACE, ..crate::config() }
}

/// A world in which every step is looked at.
fn checked(seed: u64) -> Simulation {
    let mut sim = Simulation::new(seed);
    sim.check();
    sim.network.latency = (SECOND / 1_000, SECOND / 50);
    sim
}

fn is_well(sim: &Simulation) {
    assert_eq!(sim.broken(), None);
}

/// What `viewer` told of `key` of `owner`, and when: whether it was set, or is gone.
fn told(sim: &Simulation, viewer: Place, owner: Place, key: &str) -> Vec<(Moment, bool)> {
    let of_owner = sim.events(viewer).iter().filter(|(_, event)| event.node == *sim.name(owner));
    let change = |kind: &EventKind| {
        if let EventKind::Set { key: set, .. } = kind {
            (set.as_str() == key).then_some(true)
        } else if let EventKind::Deleted { key: deleted, .. } = kind {
            (deleted.as_str() == key).then_some(false)
        } else {
            None
        }
    };
    of_owner.filter_map(|(at, event)| Some((*at, change(&event.kind)?))).collect()
}

/// Whether the key was shown once, and is gone since.
fn came_and_went(sim: &Simulation, viewer: Place, owner: Place, key: &str) -> bool {
    matches!(told(sim, viewer, owner, key)[..], [(_, true), (_, false)])
}

/// Up to which version `viewer` knows tombstones of `owner` to be collected, and how many it has.
fn tombstones(sim: &Simulation, viewer: Place, owner: Place) -> (u64, usize) {
    let replica = sim.core(viewer).replica(sim.name(owner).id()).expect("it is known");
    let buried = replica.entries().filter(|(_, entry)| entry.value.is_none());
    (replica.gc_version().0, buried.count())
}

/// R21: of 200 KB, in datagrams of 1,200 bytes, one key is deleted and collected while one node is away. That node hears of
/// it from the other one, which may not cut the reset that this takes; then the owner is back.
#[test]
fn r21_a_reset_in_parts_brings_no_deleted_key_back() {
    for (seed, fault) in
        [tidings_sim::StreamFault::None, tidings_sim::StreamFault::Refused].into_iter().enumerate()
    {
        let mut sim = checked(21 + seed as u64);
        let nodes = cluster(&mut sim, 3, &graceful());
        let [owner, witness, away] = nodes[..] else { unreachable!("there are three") };
        for key in 0..100 {
            sim.set(owner, &format!("key-{key}"), &"v".repeat(2_000));
            sim.run(SECOND / 2);
        }
        sim.until(2 * MINUTE, Simulation::is_equal).expect("all have it");
        sim.network.part(&[away], &[owner, witness]);
        sim.delete(owner, "key-7");
        sim.run(2 * GRACE);
        assert_eq!(tombstones(&sim, witness, owner), (101, 0));
        assert!(text(&sim, away, owner, "key-7").is_some());
        sim.network.heal();
        sim.network.streams = fault;
        sim.network.part(&[away], &[owner]);
        sim.until(5 * MINUTE, |sim| text(sim, away, owner, "key-7").is_none()).expect("it hears of it");
        sim.network.heal();
        sim.set(owner, "last", "v");
        sim.until(MINUTE, |sim| text(sim, away, owner, "last").is_some()).expect("all goes on");
        sim.run(MINUTE);
        is_well(&sim);
        assert!(sim.is_equal());
        for &viewer in &nodes {
            assert!(came_and_went(&sim, viewer, owner, "key-7"), "{fault:?}");
            assert!(
                (0..100).all(|key| key == 7 || text(&sim, viewer, owner, &format!("key-{key}")).is_some())
            );
        }
    }
}

/// R22: fifty nodes start again one after the other, and learn of tombstones and of what expires from each other. Nothing of
/// it lives longer for that.
#[test]
fn r22_fifty_nodes_that_come_back_in_turn_prolong_nothing() {
    let mut sim = checked(22);
    let nodes = cluster(&mut sim, 50, &graceful());
    let (owner, others) = (nodes[0], &nodes[1..]);
    sim.set(owner, "deleted", "v");
    sim.set_for(owner, "expired", "v", Lifetime::ttl(40 * SECOND));
    sim.delete(owner, "deleted");
    let end = sim.moment() + 40 * SECOND;
    for &node in others {
        sim.crash(node);
        sim.run(SECOND / 2);
        sim.restart(node, Disk::Lost);
        sim.run(SECOND / 2);
    }
    for &viewer in others {
        let late = |(at, is_set): &(Moment, bool)| *is_set && *at > end || at.since(end) > SECOND;
        assert!(
            !told(&sim, viewer, owner, "expired").iter().any(late),
            "{:?}",
            told(&sim, viewer, owner, "expired")
        );
        assert_eq!(text(&sim, viewer, owner, "expired"), None);
    }
    sim.run(3 * GRACE);
    is_well(&sim);
    for &viewer in &nodes {
        assert_eq!(tombstones(&sim, viewer, owner).1, 0);
        assert!(tombstones(&sim, viewer, owner).0 > 0);
    }
}

/// R23: a node sleeps for ten times as long as tombstones are kept.
#[test]
fn r23_whoever_missed_a_tombstone_shows_no_deleted_key() {
    for arrivals in [Arrivals::Wait, Arrivals::AreLost] {
        let mut sim = checked(23);
        let nodes = cluster(&mut sim, 4, &graceful());
        sim.set_many(nodes[0], &[("a", "1"), ("b", "2")]);
        sim.until(MINUTE, Simulation::is_equal).expect("all have it");
        sim.pause(nodes[3], arrivals);
        sim.delete(nodes[0], "a");
        sim.run(10 * GRACE);
        sim.resume(nodes[3]);
        sim.until(MINUTE, Simulation::is_equal).expect("it catches up");
        sim.run(MINUTE);
        is_well(&sim);
        assert!(nodes.iter().all(|&viewer| came_and_went(&sim, viewer, nodes[0], "a")));
        assert_eq!(text(&sim, nodes[3], nodes[0], "b").as_deref(), Some("2"));
    }
}

/// R24: whoever sees a node depart ends what was to end with that life, for itself alone: what the next life writes under the
/// same key, in the same round, counts.
#[test]
fn r24_bystanders_end_a_life_without_a_write_of_theirs() {
    for (seed, disk) in [Disk::Kept, Disk::Lost].into_iter().enumerate() {
        let mut sim = checked(24 + seed as u64);
        let nodes = cluster(&mut sim, 8, &durable());
        let (owner, others) = (nodes[3], [&nodes[..3], &nodes[4..]].concat());
        sim.set_for(owner, "session", "old", Lifetime::ephemeral());
        sim.set(owner, "lasting", "v");
        sim.run(5 * SECOND);
        assert!(others.iter().all(|&viewer| text(&sim, viewer, owner, "session").is_some()));
        sim.leave(owner);
        sim.run(SECOND / 4);
        sim.crash(owner);
        sim.restart(owner, disk);
        sim.run(SECOND / 4);
        sim.set_for(owner, "session", "new", Lifetime::ephemeral());
        let has_new =
            |sim: &Simulation, &viewer: &Place| text(sim, viewer, owner, "session").as_deref() == Some("new");
        sim.until(MINUTE, |sim| nodes.iter().all(|viewer| has_new(sim, viewer))).expect("all have it");
        sim.run(MINUTE);
        is_well(&sim);
        assert!(nodes.iter().all(|viewer| has_new(&sim, viewer)));
        for &viewer in &others {
            assert_eq!(text(&sim, viewer, owner, "lasting").is_some(), disk == Disk::Kept);
        }
    }
}

/// R51: the wall clock of each node jumps by ten years, there or back, while a value lives and a tombstone ages.
#[test]
fn r51_wall_clocks_that_jump_change_no_life() {
    let mut sim = checked(51);
    let nodes = cluster(&mut sim, 5, &graceful());
    sim.set(nodes[0], "deleted", "v");
    sim.set_for(nodes[0], "expired", "v", Lifetime::ttl(30 * SECOND));
    sim.set_for(nodes[0], "lasting", "v", Lifetime::ttl(1_000_000 * SECOND));
    let end = sim.moment() + 30 * SECOND;
    sim.delete(nodes[0], "deleted");
    sim.until(10 * SECOND, Simulation::is_equal).expect("all have it");
    for (number, &node) in nodes.iter().enumerate() {
        sim.skew(node, if number % 2 == 0 { 10 * YEAR } else { -10 * YEAR });
    }
    sim.run(GRACE - 11 * SECOND);
    assert_eq!(tombstones(&sim, nodes[0], nodes[0]).0, 0, "the grace is not over");
    for &viewer in &nodes {
        let [(_, true), (gone, false)] = told(&sim, viewer, nodes[0], "expired")[..] else {
            panic!("{:?}", told(&sim, viewer, nodes[0], "expired"))
        };
        assert!(gone.since(end) < SECOND && end.since(gone) < SECOND, "{gone:?} {end:?}");
    }
    sim.run(GRACE);
    assert_eq!(tombstones(&sim, nodes[0], nodes[0]).1, 0);
    assert!(nodes.iter().all(|&viewer| text(&sim, viewer, nodes[0], "lasting").is_some()));
    is_well(&sim);
}

/// I8: a key is deleted and collected everywhere but at a node that is cut off, for ten times the grace. Nobody shows it again.
#[test]
fn i8_a_node_that_was_cut_off_for_ten_times_the_grace_revives_nothing() {
    let mut sim = checked(8);
    let nodes = cluster(&mut sim, 12, &graceful());
    let away = nodes[11];
    for owner in [nodes[0], nodes[1], away] {
        sim.set_many(owner, &[("deleted", "v"), ("kept", "v")]);
    }
    sim.until(MINUTE, Simulation::is_equal).expect("all have it");
    sim.network.part(&[away], &nodes[..11]);
    for owner in [nodes[0], nodes[1], away] {
        sim.delete(owner, "deleted");
    }
    sim.run(10 * GRACE);
    assert!(nodes[..11].iter().all(|&viewer| tombstones(&sim, viewer, nodes[0]) == (2, 0)));
    assert!(text(&sim, away, nodes[0], "deleted").is_some());
    sim.network.heal();
    sim.until(MINUTE, Simulation::is_equal).expect("all are equal again");
    sim.run(10 * GRACE);
    is_well(&sim);
    for owner in [nodes[0], nodes[1], away] {
        for &viewer in &nodes {
            assert!(came_and_went(&sim, viewer, owner, "deleted"));
            assert!(text(&sim, viewer, owner, "kept").is_some());
        }
    }
}

/// Remaining life travels: everywhere the end comes within a round of the owner's, also at a newcomer and through relays.
#[test]
fn a_value_expires_everywhere_within_a_round() {
    let mut sim = checked(30);
    let nodes = cluster(&mut sim, 32, &crate::config());
    sim.set_for(nodes[5], "key", "v", Lifetime::ttl(30 * SECOND));
    sim.run(20 * SECOND);
    let late = sim.start("late", crate::config(), &[nodes[0]]);
    sim.until(8 * SECOND, |sim| sim.value(late, nodes[5], "key").is_some()).expect("it is told");
    let left = sim.value(late, nodes[5], "key").and_then(|shown| shown.lifetime.ttl);
    assert!(left.is_some_and(|left| left <= 10 * SECOND), "{left:?}");
    sim.run(MINUTE);
    is_well(&sim);
    let ends = nodes.iter().chain([&late]).map(|&viewer| {
        let [(_, true), (at, false)] = told(&sim, viewer, nodes[5], "key")[..] else { panic!("{viewer:?}") };
        at
    });
    let ends: Vec<_> = ends.collect();
    let (first, last) = (*ends.iter().min().expect("some"), *ends.iter().max().expect("some"));
    assert!(last.since(first) < SECOND, "{first:?} {last:?}");
}

/// An ephemeral key is shown while its owner is unreachable, ends with its departure, and is not there in its next life.
#[test]
fn an_ephemeral_key_ends_with_its_owners_life() {
    let mut sim = checked(31);
    let nodes = cluster(&mut sim, 6, &durable());
    for owner in [nodes[4], nodes[5]] {
        sim.set_for(owner, "session", "v", Lifetime::ephemeral());
        sim.set(owner, "lasting", "v");
    }
    sim.run(5 * SECOND);
    assert!(sim.is_equal(), "all have it");
    sim.crash(nodes[4]);
    sim.leave(nodes[5]);
    let is = |sim: &Simulation, owner, wanted| standing(sim, nodes[0], owner) == Some(wanted);
    sim.until(MINUTE, |sim| {
        is(sim, nodes[4], Standing::Unreachable) && is(sim, nodes[5], Standing::Departed)
    })
    .expect("both are seen");
    sim.run(5 * SECOND);
    for &viewer in &nodes[..4] {
        assert!(text(&sim, viewer, nodes[4], "session").is_some(), "it may come back");
        assert!(text(&sim, viewer, nodes[5], "session").is_none(), "it will not");
        assert!(text(&sim, viewer, nodes[5], "lasting").is_some());
        assert!(came_and_went(&sim, viewer, nodes[5], "session"));
    }
    sim.restart(nodes[4], Disk::Kept);
    sim.until(MINUTE, |sim| text(sim, nodes[0], nodes[4], "session").is_none())
        .expect("its next life is known");
    sim.run(MINUTE);
    is_well(&sim);
    assert!(nodes[..5].iter().all(|&viewer| text(&sim, viewer, nodes[4], "lasting").is_some()));
}

/// A durable value that expires while its owner is down is not there afterwards; one that does not has the rest of its life.
#[test]
fn a_life_goes_on_while_its_owner_is_down() {
    let mut sim = checked(32);
    let nodes = cluster(&mut sim, 3, &durable());
    sim.set_for(nodes[1], "short", "v", Lifetime::ttl(20 * SECOND));
    sim.set_for(nodes[1], "long", "v", Lifetime::ttl(100 * SECOND));
    let end = sim.moment() + 100 * SECOND;
    sim.run(10 * SECOND);
    sim.crash(nodes[1]);
    sim.run(30 * SECOND);
    sim.restart(nodes[1], Disk::Kept);
    assert_eq!(text(&sim, nodes[1], nodes[1], "short"), None);
    assert!(text(&sim, nodes[1], nodes[1], "long").is_some());
    sim.run(90 * SECOND);
    is_well(&sim);
    for &viewer in &nodes {
        assert!(came_and_went(&sim, viewer, nodes[1], "short") || viewer == nodes[1]);
        let (at, is_set) = *told(&sim, viewer, nodes[1], "long").last().expect("it was there");
        assert!(!is_set && at.since(end) < SECOND && end.since(at) < SECOND, "{viewer:?} {at:?}");
    }
    let name = NodeName::new("node-1").expect("a proper name");
    assert!(sim.core(nodes[0]).value(&name, "short").is_none());
}
