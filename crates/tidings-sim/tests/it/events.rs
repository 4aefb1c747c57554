//! What a watcher is told: in order, once, and so that it leads to what is so.

use std::collections::BTreeMap;

use tidings_core::{Event, EventKind, Standing, Version};
use tidings_sim::{Disk, Place, Share, Simulation};

use crate::{MINUTE, SECOND, cluster, config, durable, standing};

/// A world in which every step is looked at.
fn checked(seed: u64) -> Simulation {
    let mut sim = Simulation::new(seed);
    sim.check();
    sim
}

/// What `viewer` told of `subject`, in order.
fn told(sim: &Simulation, viewer: Place, subject: Place) -> impl Iterator<Item = &Event> {
    let of_subject = move |event: &&Event| event.node == *sim.name(subject);
    sim.events(viewer).iter().map(|(_, event)| event).filter(of_subject)
}

/// What `viewer` told of the life of `subject`, in order.
fn standings(sim: &Simulation, viewer: Place, subject: Place) -> Vec<Standing> {
    let of_event = |event: &Event| match event.kind {
        EventKind::Live => Some(Standing::Live),
        EventKind::Unreachable { .. } => Some(Standing::Unreachable),
        EventKind::Departed => Some(Standing::Departed),
        EventKind::Joined | EventKind::Restarted | EventKind::Forgotten { .. } => None,
        EventKind::StreamFailed { .. } => None,
        EventKind::Set { .. } | EventKind::Deleted { .. } => None,
    };
    told(sim, viewer, subject).filter_map(of_event).collect()
}

/// R17: whatever is late, doubled or lost, and through restarts of the owner and of others, nobody shows an older state of a key
/// after a newer one.
#[test]
fn r17_no_older_state_shadows_a_newer_one() {
    for (seed, disk) in [Disk::Kept, Disk::Lost].into_iter().enumerate() {
        let mut sim = checked(1_700 + seed as u64);
        let nodes = cluster(&mut sim, 5, &durable());
        (sim.network.latency, sim.network.loss) = ((SECOND / 100, 2 * SECOND), Share(150));
        sim.network.duplicates = Share(150);
        for turn in 0..300 {
            sim.set(nodes[1], &format!("key-{}", turn % 3), &format!("{turn:03}"));
            sim.run(SECOND / 3);
            if turn % 60 == 40 {
                let down = nodes[1 + turn / 60 % 2];
                sim.crash(down);
                sim.run(SECOND);
                sim.restart(down, if down == nodes[1] { Disk::Kept } else { disk });
            }
        }
        (sim.network.latency, sim.network.loss) = ((SECOND / 1_000, SECOND / 100), Share(0));
        sim.until(MINUTE, Simulation::is_equal).expect("all is told in the end");
        assert_eq!(sim.broken(), None);
        // These two ran all the time.
        for viewer in [nodes[0], nodes[4]] {
            let mut last: BTreeMap<&str, &str> = BTreeMap::new();
            for event in told(&sim, viewer, nodes[1]) {
                let EventKind::Set { key, value, .. } = &event.kind else { continue };
                let value = value.as_str().unwrap();
                let before = last.insert(key.as_str(), value);
                assert!(before <= Some(value), "{key}: {value} after {before:?}");
            }
            assert_eq!(last.values().copied().collect::<Vec<_>>(), ["297", "298", "299"]);
        }
    }
}

/// R18: where there is a disk, versions go on after a restart, at the owner and at all others.
#[test]
fn r18_versions_do_not_fall_after_a_restart() {
    let mut sim = checked(18);
    let nodes = cluster(&mut sim, 4, &durable());
    let mut own = Version(0);
    for turn in 0..20 {
        sim.set(nodes[2], "key", &turn.to_string());
        // Some of these are not on disk yet.
        sim.run(SECOND * (turn % 3));
        let shown = sim.core(nodes[2]).own_version();
        assert!(shown >= own, "turn {turn}");
        own = shown;
        sim.crash(nodes[2]);
        sim.run(SECOND / 2);
        sim.restart(nodes[2], Disk::Kept);
        assert!(sim.core(nodes[2]).own_version() >= own, "turn {turn}");
    }
    sim.set(nodes[2], "key", "last");
    sim.until(MINUTE, Simulation::is_equal).expect("all is told in the end");
    assert_eq!(sim.broken(), None);
    for &viewer in [&nodes[..2], &nodes[3..]].concat().iter() {
        let versions = told(&sim, viewer, nodes[2]).filter_map(|event| {
            if let EventKind::Set { version, .. } = &event.kind { Some(*version) } else { None }
        });
        assert!(versions.is_sorted());
    }
}

/// R27: somebody who missed much of a node's state is reset, when that node is long dead. It stays dead for it.
#[test]
fn r27_a_reset_of_a_dead_nodes_state_makes_nobody_live() {
    let grace = 10 * SECOND;
    let mut sim = checked(27);
    let nodes = cluster(&mut sim, 3, &tidings_core::Config { grace, ..config() });
    let [owner, witness, away] = nodes[..] else { unreachable!("there are three") };
    let gc = |sim: &Simulation, viewer: Place| {
        sim.core(viewer).replica(sim.name(owner).id()).map(|replica| replica.gc_version())
    };
    for key in ["deleted", "kept"] {
        sim.set(owner, key, "v");
    }
    sim.until(MINUTE, Simulation::is_equal).expect("all have it");
    sim.network.part(&[away], &[owner, witness]);
    sim.delete(owner, "deleted");
    sim.until(MINUTE, |sim| gc(sim, witness) > Some(Version(0))).expect("it is collected");
    sim.crash(owner);
    let is_dead = |sim: &Simulation, viewer| standing(sim, viewer, owner) == Some(Standing::Unreachable);
    sim.until(5 * MINUTE, |sim| is_dead(sim, witness) && is_dead(sim, away)).expect("both convict it");
    let before = [witness, away].map(|viewer| standings(&sim, viewer, owner));
    sim.network.heal();
    sim.until(MINUTE, |sim| gc(sim, away) == gc(sim, witness)).expect("it is reset");
    sim.run(5 * MINUTE);
    assert_eq!([witness, away].map(|viewer| standings(&sim, viewer, owner)), before);
    assert_eq!(sim.value(away, owner, "deleted"), None);
    assert_eq!(sim.broken(), None);
}

/// R50, R56: while links fail, nodes sleep, crash, leave and come back, each is told to be live and not live in turn, never twice
/// the same, and what is told last is so.
#[test]
fn r50_r56_lives_and_deaths_are_told_in_turn_and_once() {
    for seed in 0..6 {
        let mut sim = checked(5_000 + seed);
        let nodes = cluster(&mut sim, 6, &config());
        for turn in 0..12_usize {
            let (one, other) = (nodes[turn % 5], nodes[(turn + 2) % 5]);
            match (turn + usize::try_from(seed).unwrap()) % 4 {
                0 => sim.network.part(&[one], &[&nodes[..turn % 5], &nodes[turn % 5 + 1..]].concat()),
                1 => sim.network.cut(one, other),
                2 => sim.pause(one, tidings_sim::Arrivals::Wait),
                _ => {
                    sim.leave(one);
                    sim.run(2 * SECOND);
                    sim.crash(one);
                }
            }
            sim.run(15 * SECOND);
            sim.network.heal();
            if sim.is_up(one) {
                sim.resume(one);
            } else {
                sim.restart(one, Disk::Lost);
            }
            sim.run(SECOND * u32::try_from(turn % 3).unwrap());
        }
        sim.until(2 * MINUTE, |sim| crate::knows_all(sim, &nodes)).expect("all are back");
        assert_eq!(sim.broken(), None, "seed {seed}");
        // This one ran all the time.
        for &subject in &nodes[..5] {
            let told = standings(&sim, nodes[5], subject);
            assert!(told.windows(2).all(|pair| pair[0] != pair[1]), "{told:?}");
            assert_eq!(told.last().copied(), standing(&sim, nodes[5], subject));
            assert!(told.len() > 2, "{told:?}");
        }
    }
}
