//! What no datagram carries: by stream, and in pieces where no stream can be had.

use std::time::Duration;

use tidings_core::{Config, EventKind, Lifetime, Mode, StreamEnd};
use tidings_sim::{Counts, Disk, Place, Share, Simulation, StreamFault};

use crate::{MINUTE, SECOND, cluster, config, text};

const LARGE: usize = 64 << 10;

fn large(letter: &str) -> String {
    letter.repeat(LARGE)
}

/// R61: the largest value arrives, whatever becomes of streams, and so does what is written after it.
#[test]
fn r61_a_value_larger_than_a_datagram_arrives_whatever_becomes_of_streams() {
    let faults = [
        (StreamFault::None, None),
        (StreamFault::Slow(SECOND), None),
        (StreamFault::Refused, Some(StreamEnd::Refused)),
        (StreamFault::Stalled, Some(StreamEnd::Stalled)),
        (StreamFault::Broken(0), Some(StreamEnd::Broken)),
    ];
    for (seed, (fault, end)) in faults.into_iter().enumerate() {
        let mut sim = Simulation::new(61 + seed as u64);
        sim.network.latency = (SECOND / 1_000, SECOND / 50);
        sim.network.streams = fault;
        let nodes = cluster(&mut sim, 3, &config());
        sim.set(nodes[0], "large", &large("x"));
        sim.set(nodes[0], "small", "y");
        let arrived = |sim: &Simulation| {
            nodes.iter().all(|&node| text(sim, node, nodes[0], "small").as_deref() == Some("y"))
        };
        sim.until(3 * MINUTE, arrived).unwrap_or_else(|| panic!("{fault:?}: {:?}", sim.counts()));
        assert!(nodes.iter().all(|&node| text(&sim, node, nodes[0], "large") == Some(large("x"))));
        assert!(sim.is_equal());
        let failed = |place: &Place| {
            sim.events(*place).iter().find_map(|(_, event)| {
                if let EventKind::StreamFailed { end, .. } = event.kind { Some(end) } else { None }
            })
        };
        assert_eq!(nodes.iter().find_map(failed), end, "{fault:?}");
        assert_eq!(sim.counts().pieces > 0, end.is_some(), "{fault:?}");
        if end.is_some() {
            assert!(nodes.iter().any(|&node| !sim.core(node).blocked_streams(sim.moment()).is_empty()));
        }
    }
}

/// A value of 64 KiB in pieces where a quarter of all datagrams is lost, while its owner goes on writing others.
#[test]
fn pieces_arrive_through_loss() {
    let mut sim = Simulation::new(5);
    let nodes = cluster(&mut sim, 4, &config());
    sim.network.streams = StreamFault::Refused;
    (sim.network.loss, sim.network.duplicates) = (Share(250), Share(100));
    sim.network.latency = (SECOND / 1_000, SECOND / 20);
    sim.set(nodes[1], "large", &large("x"));
    for turn in 0..20 {
        sim.set(nodes[1], "turn", &turn.to_string());
        sim.run(SECOND);
    }
    sim.until(3 * MINUTE, Simulation::is_equal).expect("all is told in the end");
    assert!(nodes.iter().all(|&node| text(&sim, node, nodes[1], "large") == Some(large("x"))));
    assert!(sim.counts().largest <= 1_200);
}

/// Pieces are cut once for all who ask for the same: those that are told late are told what is left to live then.
#[test]
fn what_comes_in_pieces_lives_no_longer() {
    let mut sim = Simulation::new(9);
    sim.check();
    sim.network.streams = StreamFault::Refused;
    let owner = sim.start("owner", config(), &[]);
    sim.run(3 * SECOND);
    sim.set_for(owner, "large", &large("x"), Lifetime::ttl(MINUTE));
    let written = sim.moment();
    let mut met = 0;
    let newcomers: Vec<Place> = (0..9)
        .map(|number| {
            let newcomer = sim.start(&format!("n{number}"), config(), &[owner]);
            sim.run(6 * SECOND);
            met += usize::from(text(&sim, newcomer, owner, "large").is_some());
            newcomer
        })
        .collect();
    assert!(met > 6 && sim.counts().pieces > 0, "{met} have it");
    sim.run(MINUTE.saturating_sub(sim.moment().since(written)) + 2 * SECOND);
    assert!(newcomers.iter().all(|&newcomer| text(&sim, newcomer, owner, "large").is_none()));
    assert_eq!(sim.broken(), None);
}

/// Each node fetches each value once, from whoever told it: no copy goes to one who has it or has asked elsewhere.
#[test]
fn a_large_value_is_fetched_once_by_each() {
    let mut sim = Simulation::new(6);
    let nodes = cluster(&mut sim, 32, &config());
    sim.run(10 * SECOND);
    let before = sim.counts();
    sim.set(nodes[3], "large", &large("x"));
    sim.until(MINUTE, Simulation::is_equal).expect("all have it");
    let Counts { entries, stream_bytes, .. } = sim.counts() - before;
    assert_eq!(entries, 31, "copies");
    assert!(stream_bytes < 32 * (LARGE as u64 + 1_000), "{stream_bytes}");
}

/// Three hundred nodes, ten of them with a value of 64 KiB: from a warm start, with streams and without.
#[test]
fn three_hundred_nodes_with_large_values_converge_with_streams_and_without() {
    for (seed, fault) in [StreamFault::None, StreamFault::Refused].into_iter().enumerate() {
        let mut sim = Simulation::new(300 + seed as u64);
        sim.network.latency = (SECOND / 1_000, SECOND / 100);
        sim.network.streams = fault;
        let nodes = sim.start_warm(300, &config());
        for &node in nodes.iter().step_by(30) {
            sim.set(node, "large", &large("x"));
        }
        let has_all = |core: &tidings_core::Gossiper| {
            nodes.iter().step_by(30).all(|&owner| {
                let name = tidings_core::NodeName::new(&format!("node-{}", owner.0)).unwrap();
                core.value(&name, "large").is_some()
            })
        };
        let times = sim.until_each(&nodes, 5 * MINUTE, has_all);
        assert_eq!(times.len(), nodes.len(), "{fault:?}: {:?}", sim.counts());
        println!("{fault:?}: all after {:?}, {:?}", times.last().unwrap(), sim.counts());
        assert!(sim.counts().largest <= 1_200);
    }
}

/// A newcomer fetches everything at once, by one stream, and without streams learns it datagram by datagram.
#[test]
fn a_cold_join_goes_by_stream() {
    for (seed, fault) in
        [StreamFault::None, StreamFault::Refused, StreamFault::Broken(3)].into_iter().enumerate()
    {
        let mut sim = Simulation::new(80 + seed as u64);
        sim.network.streams = fault;
        let ann = sim.start("ann", config(), &[]);
        for turn in 0..3_000 {
            sim.set(ann, &format!("key-{turn}"), &"v".repeat(100));
        }
        sim.set(ann, "large", &large("x"));
        let bob = sim.start("bob", config(), &[ann]);
        let took = sim.until(10 * MINUTE, Simulation::is_equal).expect("all is told in the end");
        assert_eq!(sim.member(bob, ann).unwrap().keys, 3_001);
        if fault == StreamFault::None {
            assert!(took < 3 * SECOND, "{took:?}");
            assert_eq!(sim.counts().streams, 1);
        }
    }
}

/// Keys written together are of one version, which may be larger than a datagram, and arrive together.
#[test]
fn a_write_larger_than_a_datagram_arrives_whole() {
    let mut sim = Simulation::new(7);
    let nodes = cluster(&mut sim, 3, &config());
    let pairs: Vec<(String, String)> = (0..40).map(|n| (format!("key-{n}"), "v".repeat(5_000))).collect();
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    sim.set_many(nodes[1], &pairs);
    sim.until(MINUTE, |sim| {
        let keys = sim.member(nodes[2], nodes[1]).unwrap().keys;
        assert!(keys == 0 || keys == 40, "{keys}");
        keys == 40
    })
    .expect("they arrive");
}

/// A stream whose other end crashes, or is cut off, costs nothing but time; the value comes from elsewhere.
#[test]
fn the_value_comes_from_elsewhere_where_a_stream_hangs() {
    let mut sim = Simulation::new(8);
    sim.network.latency = (SECOND / 100, SECOND / 50);
    let nodes = cluster(&mut sim, 6, &config());
    sim.network.streams = StreamFault::Slow(5 * SECOND);
    sim.set(nodes[0], "large", &large("x"));
    sim.until(MINUTE, |sim| sim.counts().streams > 0).expect("somebody fetches it");
    sim.run(SECOND / 10);
    sim.network.part(&nodes[..1], &nodes[1..]);
    sim.run(30 * SECOND);
    sim.network.heal();
    sim.network.streams = StreamFault::None;
    sim.until(3 * MINUTE, Simulation::is_equal).expect("all have it");
    sim.crash(nodes[0]);
    sim.restart(nodes[0], Disk::Lost);
    sim.until(3 * MINUTE, Simulation::is_equal).expect("all forget it");
}

/// More streams than a node serves: the rest is turned away, comes again, and nothing is lost.
#[test]
fn a_node_serves_a_bounded_number_of_streams() {
    let mut sim = Simulation::new(9);
    sim.network.streams = StreamFault::Slow(2 * SECOND);
    let ann = sim.start("ann", Config { fanout: 32, ..config() }, &[]);
    sim.set(ann, "large", &large("x"));
    let newcomers: Vec<_> = (0..60).map(|n| sim.start(&format!("node-{n}"), config(), &[ann])).collect();
    sim.until(5 * MINUTE, |sim| newcomers.iter().all(|&n| text(sim, n, ann, "large").is_some()))
        .expect("all have it");
    assert!(sim.core(ann).dropped()["stream_refused"] > 0, "some were turned away");
    sim.run(Duration::from_secs(5));
}

/// A write of four million bytes in pieces, over a hundred milliseconds there and back.
#[test]
fn four_million_bytes_arrive_in_pieces() {
    let mut sim = Simulation::new(10);
    sim.network.streams = StreamFault::Refused;
    sim.network.latency = (SECOND / 20, SECOND / 20);
    let ann = sim.start("ann", config(), &[]);
    let pairs: Vec<(String, String)> = (0..100).map(|n| (format!("key-{n}"), "v".repeat(40_000))).collect();
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    sim.set_many(ann, &pairs);
    let bob = sim.start("bob", config(), &[ann]);
    let took = sim.until(2 * MINUTE, |sim| sim.member(bob, ann).is_some_and(|member| member.keys == 100));
    assert!(took.is_some(), "{:?}", sim.counts());
}

/// A node with smaller limits than the rest refuses what is too large for it, and does not fetch it again and again.
#[test]
fn what_is_refused_is_not_fetched_for_ever() {
    for mode in [Mode::PushPull, Mode::Push, Mode::Pull] {
        let mut sim = Simulation::new(11);
        let nodes = cluster(&mut sim, 5, &Config { mode, ..config() });
        let small = sim.start("small", Config { mode, max_bytes: 1_000, ..config() }, &[nodes[0]]);
        sim.run(10 * SECOND);
        sim.set(nodes[1], "large", &large("x"));
        sim.run(10 * MINUTE);
        assert!(sim.core(small).dropped()["too_large"] < 20, "{mode}: {:?}", sim.core(small).dropped());
        assert!(sim.core(small).repairs() < 40, "{mode}: {}", sim.core(small).repairs());
        sim.set(nodes[2], "color", "green");
        sim.until(MINUTE, |sim| text(sim, small, nodes[2], "color").is_some()).expect("all else arrives");
    }
}
