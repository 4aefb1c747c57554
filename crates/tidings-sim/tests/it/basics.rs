//! The first things that must hold.

use std::time::Duration;

use tidings_sim::{Share, Simulation};

use crate::{MINUTE, SECOND, cluster, config, text};

#[test]
fn the_same_seed_gives_the_same_trace_and_another_seed_another() {
    let run = |seed| {
        let mut sim = Simulation::new(seed);
        sim.keep_trace();
        sim.network.latency = (Duration::from_millis(1), Duration::from_millis(90));
        (sim.network.loss, sim.network.duplicates) = (Share(100), Share(50));
        (sim.network.held, sim.network.hold) = (Share(50), SECOND);
        let first = sim.start("node-0", config(), &[]);
        let nodes: Vec<_> = (1..8).map(|n| sim.start(&format!("node-{n}"), config(), &[first])).collect();
        sim.run(5 * SECOND);
        sim.set(nodes[2], "color", "green");
        sim.crash(nodes[4]);
        sim.run(30 * SECOND);
        sim.trace().to_owned()
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

/// R16: keys written together are seen together, at every moment and by everybody, also where deltas are cut.
#[test]
fn r16_keys_set_together_are_never_seen_apart() {
    let mut sim = Simulation::new(16);
    let nodes = cluster(&mut sim, 6, &config());
    (sim.network.loss, sim.network.duplicates) = (Share(200), Share(100));
    sim.network.latency = (Duration::from_millis(1), Duration::from_millis(400));
    let padding = "x".repeat(300);
    for turn in 0..60 {
        let value = format!("{turn}{padding}");
        for (pair, &owner) in nodes.iter().take(4).enumerate() {
            sim.set_many(owner, &[(&format!("left-{pair}"), &value), (&format!("right-{pair}"), &value)]);
        }
        let end = sim.now() + SECOND / 4;
        sim.until(MINUTE, |sim| {
            for (pair, &owner) in nodes.iter().take(4).enumerate() {
                for &viewer in &nodes {
                    let [left, right] =
                        ["left", "right"].map(|side| sim.value(viewer, owner, &format!("{side}-{pair}")));
                    assert_eq!(left, right, "pair {pair} at {viewer:?}");
                }
            }
            sim.now() >= end
        });
    }
    sim.until(MINUTE, Simulation::is_equal).expect("all is told in the end");
    let last = format!("59{padding}");
    assert_eq!(text(&sim, nodes[5], nodes[0], "right-0"), Some(last));
}

/// A newcomer learns what takes many datagrams, and each of them fits.
#[test]
fn a_cold_join_takes_as_many_exchanges_as_it_needs() {
    let mut sim = Simulation::new(3);
    let ann = sim.start("ann", config(), &[]);
    for n in 0..500 {
        sim.set(ann, &format!("key-{n}"), &"v".repeat(100));
    }
    let bob = sim.start("bob", config(), &[ann]);
    let took = sim.until(5 * MINUTE, Simulation::is_equal).expect("all is told in the end");
    assert!(took < 30 * SECOND, "{took:?}");
    assert_eq!(sim.member(bob, ann).unwrap().keys, 500);
    assert!(sim.counts().largest <= 1_200);
}

#[test]
fn a_delete_reaches_everybody_and_stays() {
    let mut sim = Simulation::new(4);
    let nodes = cluster(&mut sim, 8, &config());
    sim.set(nodes[0], "color", "green");
    sim.until(MINUTE, |sim| nodes.iter().all(|&n| text(sim, n, nodes[0], "color").is_some()))
        .expect("it is told");
    sim.network.part(&nodes[..4], &nodes[4..]);
    sim.delete(nodes[0], "color");
    sim.run(MINUTE);
    assert!(text(&sim, nodes[5], nodes[0], "color").is_some());
    sim.network.heal();
    sim.until(2 * MINUTE, Simulation::is_equal).expect("both halves agree");
    sim.run(MINUTE);
    assert!(nodes.iter().all(|&node| text(&sim, node, nodes[0], "color").is_none()));
}
