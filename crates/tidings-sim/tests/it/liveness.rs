//! Who is given up, and who is not.

use std::time::Duration;

use tidings_core::{Cause, Config, EventKind, Gossiper, Moment, Mongering, Standing};
use tidings_sim::{Arrivals, Disk, Place, Share, Simulation};

use crate::{MINUTE, SECOND, cluster, config, standing};

/// How often `viewer` gave somebody up, since `from`.
fn convictions(sim: &Simulation, viewer: Place, from: Duration) -> usize {
    let from = Moment::default() + from;
    let events = sim.events(viewer).iter().filter(|(at, _)| *at >= from);
    events.filter(|(_, event)| matches!(event.kind, EventKind::Unreachable { .. })).count()
}

#[test]
fn a_crash_is_seen_by_all_and_so_is_the_return() {
    let mut sim = Simulation::new(1);
    let nodes = cluster(&mut sim, 5, &config());
    sim.set(nodes[4], "color", "green");
    sim.run(MINUTE);
    sim.crash(nodes[4]);
    let down = |sim: &Simulation| {
        nodes[..4].iter().all(|&n| standing(sim, n, nodes[4]) == Some(Standing::Unreachable))
    };
    let took = sim.until(5 * MINUTE, down).expect("all see it");
    assert!(took < 10 * SECOND, "{took:?}");
    assert_eq!(sim.value(nodes[0], nodes[4], "color").unwrap().value.as_str(), Some("green"));
    let before = sim.member(nodes[0], nodes[4]).unwrap().generation;
    sim.restart(nodes[4], Disk::Lost);
    let up =
        |sim: &Simulation| nodes[..4].iter().all(|&n| standing(sim, n, nodes[4]) == Some(Standing::Live));
    sim.until(MINUTE, up).expect("all see that, too");
    assert!(sim.member(nodes[0], nodes[4]).unwrap().generation > before);
}

#[test]
fn the_survivor_of_two_still_convicts() {
    let mut sim = Simulation::new(2);
    let nodes = cluster(&mut sim, 2, &config());
    sim.run(MINUTE);
    sim.crash(nodes[1]);
    let gone = |sim: &Simulation| standing(sim, nodes[0], nodes[1]) == Some(Standing::Unreachable);
    let took = sim.until(MINUTE, gone).expect("it is given up");
    assert!(took < 10 * SECOND, "{took:?}: its own attempts are enough where there is nobody to ask");
    let (_, last) = sim.events(nodes[0]).last().unwrap();
    assert!(matches!(last.kind, EventKind::Unreachable { cause: Cause::Attempts, .. }), "{last:?}");
}

/// Each answer says that there is much, of nodes that are known: that is no reason to judge nobody.
#[test]
fn a_crash_is_seen_while_more_is_written_than_datagrams_carry() {
    let mut sim = Simulation::new(11);
    let config = Config { mongering: Mongering::Off, ..config() };
    let nodes = cluster(&mut sim, 8, &config);
    let value = "v".repeat(200);
    let write = |sim: &mut Simulation, nodes: &[Place]| {
        for &node in nodes {
            (0..40).for_each(|key| sim.set(node, &format!("key-{key}"), &value));
        }
        sim.run(SECOND / 4);
    };
    (0..80).for_each(|_| write(&mut sim, &nodes));
    sim.crash(nodes[7]);
    (0..24).for_each(|_| write(&mut sim, &nodes[..7]));
    for &viewer in &nodes[..7] {
        assert_eq!(standing(&sim, viewer, nodes[7]), Some(Standing::Unreachable));
    }
    assert!(sim.counts().streams > 50, "{:?}", sim.counts());
}

#[test]
fn a_departure_is_no_crash() {
    let mut sim = Simulation::new(3);
    let nodes = cluster(&mut sim, 6, &config());
    sim.set(nodes[2], "color", "green");
    sim.run(10 * SECOND);
    sim.leave(nodes[2]);
    sim.until(10 * SECOND, |sim| sim.core(nodes[2]).has_left()).expect("it is announced");
    sim.crash(nodes[2]);
    let others: Vec<_> = nodes.iter().copied().filter(|&node| node != nodes[2]).collect();
    let seen =
        |sim: &Simulation| others.iter().all(|&n| standing(sim, n, nodes[2]) == Some(Standing::Departed));
    sim.until(MINUTE, seen).expect("all know");
    let since = sim.now();
    sim.run(5 * MINUTE);
    assert!(seen(&sim), "and it stays so");
    assert!(others.iter().all(|&node| convictions(&sim, node, since) == 0));
}

/// R46: a node that slept convicts nobody for what it did not hear, whether that waited for it or is lost.
#[test]
fn r46_a_sleeper_convicts_nobody() {
    for arrivals in [Arrivals::Wait, Arrivals::AreLost] {
        for (seed, seconds) in [1, 3, 10, 30, 60, 300].into_iter().enumerate() {
            let mut sim = Simulation::new(460 + seed as u64);
            let nodes = cluster(&mut sim, 8, &config());
            sim.run(MINUTE);
            sim.pause(nodes[3], arrivals);
            sim.run(Duration::from_secs(seconds));
            let woke = sim.now();
            sim.resume(nodes[3]);
            sim.run(2 * MINUTE);
            assert_eq!(convictions(&sim, nodes[3], woke), 0, "after {seconds} s, datagrams {arrivals:?}");
            assert!(nodes.iter().all(|&node| standing(&sim, node, nodes[3]) == Some(Standing::Live)));
        }
    }
}

/// A crashed node whose silence convicts it only after hours is tried all that time, and nothing overflows.
#[test]
fn attempts_without_end_do_no_harm() {
    let mut sim = Simulation::new(6);
    let patient = Config { threshold: 100.0, ..config() };
    let nodes = cluster(&mut sim, 3, &patient);
    sim.crash(nodes[2]);
    sim.run(60 * MINUTE);
    assert_eq!(standing(&sim, nodes[0], nodes[2]), Some(Standing::Unreachable));
}

#[test]
fn a_quarter_of_all_messages_lost_for_an_hour_convicts_nobody() {
    for count in [2, 5, 32] {
        let mut sim = Simulation::new(250 + count as u64);
        sim.network.latency = (SECOND / 1_000, SECOND / 50);
        let nodes = cluster(&mut sim, count, &config());
        sim.network.loss = Share(250);
        let since = sim.now();
        sim.run(60 * MINUTE);
        assert!(nodes.iter().all(|&node| convictions(&sim, node, since) == 0), "{count} nodes");
    }
}

/// A newcomer hears of a node that died long ago, from others who know it: it never takes it for live.
#[test]
fn a_newcomer_does_not_take_the_dead_for_live() {
    let mut sim = Simulation::new(5);
    let nodes = cluster(&mut sim, 5, &config());
    sim.crash(nodes[4]);
    sim.run(2 * MINUTE);
    let newcomer = sim.start("newcomer", config(), &[nodes[0]]);
    sim.until(MINUTE, |sim| standing(sim, newcomer, nodes[4]).is_some()).expect("it hears of it");
    sim.run(MINUTE);
    assert_eq!(standing(&sim, newcomer, nodes[4]), Some(Standing::Unreachable));
    let revived = |kind: &EventKind| matches!(kind, EventKind::Live);
    let name = sim.name(nodes[4]);
    assert!(!sim.events(newcomer).iter().any(|(_, event)| event.node == *name && revived(&event.kind)));
}

/// What a hundred nodes gather together convicts a crashed one everywhere within a few intervals, on the mean of twenty
/// runs: one until the first contact, the patience of two, and the spread.
#[test]
fn a_crash_among_a_hundred_is_seen_by_all_within_twelve_intervals() {
    let mut sum = 0.0;
    for seed in 0..20 {
        let mut sim = Simulation::new(seed);
        sim.network.latency = (SECOND / 1_000, SECOND / 50);
        let nodes = sim.start_warm(100, &config());
        sim.run(MINUTE + u32::try_from(seed).unwrap() * SECOND / 20);
        let victim = nodes[usize::try_from(seed).unwrap() * 5];
        sim.crash(victim);
        let name = sim.name(victim).clone();
        let others: Vec<_> = nodes.iter().copied().filter(|&node| node != victim).collect();
        let gone = |core: &Gossiper| {
            core.state(&name, Moment::default())
                .is_some_and(|state| state.member.standing == Standing::Unreachable)
        };
        let times = sim.until_each(&others, 5 * MINUTE, gone);
        assert_eq!(times.len(), others.len());
        sum += times.last().unwrap().as_secs_f64();
    }
    println!("seen by all after {:.1} intervals", sum / 20.0);
    assert!(sum / 20.0 <= 12.0, "{:.1}", sum / 20.0);
}

/// A process that stops for less than the patience is convicted by nobody.
#[test]
fn a_stall_shorter_than_the_patience_convicts_nobody() {
    for seed in 0..10 {
        let mut sim = Simulation::new(600 + seed);
        let nodes = cluster(&mut sim, 16, &config());
        sim.run(MINUTE);
        let since = sim.now();
        for turn in 0..20 {
            sim.pause(nodes[turn % 16], Arrivals::Wait);
            sim.run(Duration::from_millis(1_900));
            sim.resume(nodes[turn % 16]);
            sim.run(10 * SECOND);
        }
        assert!(nodes.iter().all(|&node| convictions(&sim, node, since) == 0), "seed {seed}");
    }
}

/// Two nodes that do not hear each other, one way or both, while all others hear both: nobody convicts them.
#[test]
fn two_nodes_cut_off_from_each_other_convict_neither() {
    for (seed, ways) in [(true, false), (false, true), (true, true)].into_iter().enumerate() {
        let mut sim = Simulation::new(700 + seed as u64);
        let nodes = cluster(&mut sim, 8, &config());
        sim.run(MINUTE);
        let since = sim.now();
        if ways.0 {
            sim.network.cut(nodes[2], nodes[5]);
        }
        if ways.1 {
            sim.network.cut(nodes[5], nodes[2]);
        }
        sim.run(30 * MINUTE);
        assert!(nodes.iter().all(|&node| convictions(&sim, node, since) == 0), "{ways:?}");
        sim.set(nodes[2], "color", "green");
        sim.until(MINUTE, |sim| sim.value(nodes[5], nodes[2], "color").is_some()).expect("it goes round");
    }
}

/// Where a quarter of all messages is lost, one node may need more failures than another to be sure. Those that are sure go on
/// to try, so that the others become it soon, and need not wait for the silence to tell.
#[test]
fn a_crash_among_five_is_seen_by_all_through_loss() {
    let mut times = Vec::new();
    for seed in 0..40_u32 {
        let mut sim = Simulation::new(1_500 + u64::from(seed));
        sim.network.latency = (SECOND / 1_000, SECOND / 50);
        let nodes = cluster(&mut sim, 5, &config());
        sim.network.loss = Share(250);
        sim.run(10 * SECOND + seed * SECOND / 40);
        sim.crash(nodes[3]);
        let others: Vec<_> = nodes.iter().copied().filter(|node| *node != nodes[3]).collect();
        let gone = |sim: &Simulation| {
            others.iter().all(|&node| standing(sim, node, nodes[3]) == Some(Standing::Unreachable))
        };
        times.push(sim.until(5 * MINUTE, gone).expect("all see it"));
    }
    times.sort_unstable();
    println!("seen by all: median {:?}, worst {:?}", times[20], times[39]);
    assert!(times[20] < 8 * SECOND && times[39] < 16 * SECOND, "{times:?}");
}
