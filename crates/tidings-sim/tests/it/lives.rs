//! Crashes, restarts, clocks that went wrong, disks that were lost.

use std::time::Duration;

use tidings_core::{Config, Event, EventKind, Generation, Standing};
use tidings_sim::{Disk, Place, Share, Simulation};

use crate::{MINUTE, SECOND, cluster, config, durable, knows_all, standing, text};

const HOUR: i64 = 3_600_000;
const YEAR: i64 = 365 * 24 * HOUR;

/// Crashes the last of `nodes`, sets its clock, starts it again, and waits until all are one.
fn reboot(sim: &mut Simulation, nodes: &[Place], disk: Disk, skew: i64) -> (Generation, Generation) {
    let last = *nodes.last().unwrap();
    let before = sim.core(last).generation();
    sim.crash(last);
    sim.run(30 * SECOND);
    sim.skew(last, skew);
    sim.restart(last, disk);
    sim.run(SECOND);
    sim.set(last, "life", "second");
    let done = |sim: &Simulation| {
        knows_all(sim, nodes) && sim.is_equal() && text(sim, nodes[0], last, "life").is_some()
    };
    sim.until(2 * MINUTE, done).expect("all converge");
    (before, sim.core(last).generation())
}

#[test]
fn a_crash_a_restart_an_empty_disk_and_a_new_node_all_converge() {
    let mut sim = Simulation::new(1);
    let mut nodes = cluster(&mut sim, 6, &durable());
    let last = nodes[5];
    sim.set(last, "kept", "yes");
    sim.run(10 * SECOND);
    let (before, after) = reboot(&mut sim, &nodes, Disk::Kept, 0);
    assert!(after > before);
    assert_eq!(text(&sim, nodes[0], last, "kept").as_deref(), Some("yes"), "what was on disk is there again");
    let (before, after) = reboot(&mut sim, &nodes, Disk::Lost, 0);
    assert!(after > before);
    assert_eq!(text(&sim, nodes[0], last, "kept"), None, "what was lost is gone everywhere");
    nodes.push(sim.start("newcomer", durable(), &[nodes[0]]));
    sim.until(MINUTE, |sim| knows_all(sim, &nodes) && sim.is_equal()).expect("the new node learns all");
}

/// R02: the bound on generations does not age: a node is welcome after 400 days of its life.
#[test]
fn r02_a_restart_after_more_than_a_year_is_accepted() {
    let mut sim = Simulation::new(2);
    let config = Config { interval: Duration::from_secs(3_600), ..config() };
    let nodes: Vec<_> =
        (0..3).map(|n| sim.start(&format!("node-{n}"), config.clone(), &[Place(0)])).collect();
    sim.run(400 * 24 * 60 * MINUTE);
    assert!(knows_all(&sim, &nodes));
    let before = sim.core(nodes[2]).generation();
    sim.crash(nodes[2]);
    sim.restart(nodes[2], Disk::Lost);
    sim.run(24 * 60 * MINUTE);
    assert!(knows_all(&sim, &nodes));
    assert!(sim.member(nodes[0], nodes[2]).unwrap().generation > before);
}

/// R03: a clock that was set back, with what was saved and without.
#[test]
fn r03_a_restart_with_an_older_clock_is_accepted() {
    for (seed, disk) in [Disk::Kept, Disk::Lost].into_iter().enumerate() {
        let mut sim = Simulation::new(30 + seed as u64);
        let nodes = cluster(&mut sim, 5, &durable());
        let (before, after) = reboot(&mut sim, &nodes, disk, -HOUR);
        assert!(after > before, "{disk:?}");
        sim.run(2 * MINUTE);
        let new_life =
            |event: &Event| event.kind == EventKind::Restarted && event.node == *sim.name(nodes[4]);
        let lives = sim.events(nodes[4]).iter().filter(|(_, event)| new_life(event)).count();
        assert_eq!(
            lives,
            usize::from(disk == Disk::Lost),
            "one answer is enough, and none where all was saved"
        );
    }
}

/// I2: a clock ten years ahead at one start: two peers refuse it, and the node falls back to what they can believe.
#[test]
fn a_boot_with_a_clock_ten_years_ahead_does_not_exclude() {
    for disk in [Disk::Kept, Disk::Lost] {
        let mut sim = Simulation::new(10);
        let nodes = cluster(&mut sim, 5, &durable());
        let (before, after) = reboot(&mut sim, &nodes, disk, 10 * YEAR);
        assert!(after > before && after.0 < before.0 + 600_000, "{before} {after}");
        assert!(sim.counts().refusals >= 2);
        sim.run(2 * MINUTE);
        reboot(&mut sim, &nodes, Disk::Kept, 0);
    }
}

/// The same where one of the two who could be asked runs no longer: it is enough that the other one says so eight times.
#[test]
fn a_boot_with_a_wrong_clock_beside_one_that_answers_and_one_that_is_down() {
    let mut sim = Simulation::new(11);
    let nodes = cluster(&mut sim, 3, &durable());
    let before = sim.core(nodes[2]).generation();
    nodes[1..].iter().for_each(|&node| sim.crash(node));
    sim.skew(nodes[2], 10 * YEAR);
    sim.restart(nodes[2], Disk::Lost);
    sim.until(30 * SECOND, |sim| knows_all(sim, &[nodes[0], nodes[2]])).expect("it falls back");
    assert!(sim.core(nodes[2]).generation().0 < before.0 + 600_000);
}

/// R08: leaves, is back after 50 milliseconds, and joins through peers that may have heard of the departure or not.
#[test]
fn r08_a_quick_return_after_leaving_is_a_new_life() {
    for seed in 0..20 {
        let mut sim = Simulation::new(800 + seed);
        sim.network.latency = (SECOND / 1_000, SECOND / 5);
        let nodes = cluster(&mut sim, 6, &durable());
        let last = nodes[5];
        let before = sim.core(last).generation();
        sim.leave(last);
        sim.until(10 * SECOND, |sim| sim.core(last).has_left()).expect("it is announced");
        sim.crash(last);
        sim.run(Duration::from_millis(50));
        sim.restart(last, if seed % 2 == 0 { Disk::Kept } else { Disk::Lost });
        sim.until(MINUTE, |sim| knows_all(sim, &nodes) && sim.is_equal()).expect("it is back");
        sim.run(MINUTE);
        assert!(knows_all(&sim, &nodes), "and stays");
        assert!(sim.member(nodes[0], last).unwrap().generation > before);
    }
}

/// Nothing is told before it is safe: a node that crashes while it saves has told nobody of the write.
#[test]
fn a_write_is_seen_only_once_it_is_on_disk() {
    let mut sim = Simulation::new(6);
    let nodes = cluster(&mut sim, 3, &durable());
    for (turn, after) in [500, 1_500, 2_500].into_iter().enumerate() {
        let key = format!("key-{turn}");
        sim.set(nodes[2], &key, "value");
        let told = sim.until(Duration::from_micros(after), |sim| {
            nodes.iter().any(|&n| text(sim, n, nodes[2], &key).is_some())
        });
        sim.crash(nodes[2]);
        sim.run(10 * SECOND);
        assert!(nodes[..2].iter().all(|&n| text(&sim, n, nodes[2], &key).is_none()), "it told nobody yet");
        sim.restart(nodes[2], Disk::Kept);
        sim.until(MINUTE, |sim| knows_all(sim, &nodes) && sim.is_equal()).expect("it is back");
        assert_eq!(told.is_some(), after > 2_000, "saving takes two milliseconds");
        assert_eq!(
            text(&sim, nodes[0], nodes[2], &key).is_some(),
            told.is_some(),
            "what showed is kept, nothing else"
        );
    }
}

/// R70: a disk that fails refuses writes and stops nothing else: gossip, detection, and a polite departure.
#[test]
fn a_broken_disk_loses_writes_and_nothing_else() {
    let mut sim = Simulation::new(7);
    let nodes = cluster(&mut sim, 4, &durable());
    sim.set(nodes[3], "color", "green");
    sim.run(5 * SECOND);
    sim.break_disk(nodes[3], true);
    sim.set(nodes[3], "color", "red");
    sim.set(nodes[0], "shape", "round");
    sim.run(MINUTE);
    assert_eq!(text(&sim, nodes[3], nodes[3], "color").as_deref(), Some("green"));
    assert_eq!(text(&sim, nodes[3], nodes[0], "shape").as_deref(), Some("round"));
    sim.break_disk(nodes[3], false);
    sim.run(5 * SECOND);
    sim.set(nodes[3], "color", "blue");
    sim.until(MINUTE, |sim| text(sim, nodes[0], nodes[3], "color").as_deref() == Some("blue"))
        .expect("it works again");
    sim.break_disk(nodes[3], true);
    sim.set(nodes[3], "color", "grey");
    sim.leave(nodes[3]);
    sim.until(20 * SECOND, |sim| sim.core(nodes[3]).has_left()).expect("it says so");
    sim.crash(nodes[3]);
    sim.until(MINUTE, |sim| standing(sim, nodes[1], nodes[3]) == Some(Standing::Departed))
        .expect("it is known");
    assert_eq!(text(&sim, nodes[0], nodes[3], "color").as_deref(), Some("blue"));
}

/// An owner that keeps shrinking and growing at its limit is never too large for those who follow with a lag; and at its
/// limit it can still say that it leaves.
#[test]
fn an_owner_at_its_limit_is_followed() {
    let mut sim = Simulation::new(8);
    let tight = Config { max_bytes: 4_000, max_keys: 8, ..config() };
    let nodes = cluster(&mut sim, 3, &tight);
    let large = "x".repeat(900);
    let fill = |sim: &mut Simulation, prefix: &str, value: &str| {
        (0..4).for_each(|n| sim.set(nodes[2], &format!("{prefix}{n}"), value));
    };
    fill(&mut sim, "a", &large);
    sim.run(10 * SECOND);
    sim.network.part(&nodes[..2], &nodes[2..]);
    fill(&mut sim, "a", "small");
    fill(&mut sim, "b", &large);
    fill(&mut sim, "a", "little");
    sim.network.heal();
    sim.until(MINUTE, Simulation::is_equal).expect("they follow");
    assert_eq!(sim.member(nodes[2], nodes[2]).unwrap().keys, 8, "the owner is at its limit of keys");
    sim.leave(nodes[2]);
    sim.until(MINUTE, |sim| standing(sim, nodes[0], nodes[2]) == Some(Standing::Departed))
        .expect("it is heard");
}

/// R14: lives that end and begin between a SYN and its ACK2, each with keys of small versions: nobody is left with a mixture.
#[test]
fn r14_a_life_that_begins_within_an_exchange_loses_nothing() {
    for seed in 0..20_u64 {
        let mut sim = Simulation::new(1_400 + seed);
        let nodes = cluster(&mut sim, 5, &config());
        sim.network.latency = (SECOND / 10, 3 * SECOND);
        (sim.network.loss, sim.network.duplicates) = (Share(100), Share(100));
        for life in 0..6 {
            for key in 0..3 {
                sim.set(nodes[2], &format!("{life}-{key}"), "x");
            }
            sim.run(SECOND * 2);
            sim.crash(nodes[2]);
            sim.restart(nodes[2], Disk::Lost);
            sim.run(SECOND);
        }
        let last = ["one", "two", "three"];
        last.iter().for_each(|key| sim.set(nodes[2], key, "last"));
        let right = |sim: &Simulation| {
            nodes.iter().all(|&node| {
                let state = sim.core(node).state(sim.name(nodes[2]), sim.moment());
                let keys: Vec<_> = state.iter().flat_map(|state| state.entries.keys()).collect();
                keys.len() == 3 && last.iter().all(|key| keys.iter().any(|k| k.as_str() == *key))
            })
        };
        sim.until(5 * MINUTE, right).unwrap_or_else(|| panic!("seed {seed}"));
    }
}

/// R15: an owner writes at every moment of every exchange. Whoever has come as far as the newest write of a key shows it: no
/// version is told that is ahead of what is told with it.
#[test]
fn r15_no_version_is_told_ahead_of_its_entries() {
    let mut sim = Simulation::new(15);
    let nodes = cluster(&mut sim, 4, &config());
    sim.network.latency = (SECOND / 1_000, SECOND / 5);
    sim.network.loss = Share(200);
    for turn in 0..4_000_u32 {
        let owner = nodes[(turn % 4) as usize];
        sim.set(owner, &format!("key-{}", turn % 37), &turn.to_string());
        sim.run(SECOND / 200);
        for &viewer in &nodes {
            let max = sim.member(viewer, owner).unwrap().max_version;
            for key in 0..37 {
                let key = format!("key-{key}");
                let Some(newest) = sim.value(owner, owner, &key).filter(|newest| newest.version <= max)
                else {
                    continue;
                };
                assert_eq!(sim.value(viewer, owner, &key), Some(newest), "{key} at {viewer:?}, turn {turn}");
            }
        }
    }
    sim.until(MINUTE, Simulation::is_equal).expect("all is told in the end");
}
