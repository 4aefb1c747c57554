//! How fast one write reaches everybody by rounds alone, against theory: reference figures for unsynchronised timers, push-pull.

use std::time::Duration;

use tidings_core::{Config, Mongering};
use tidings_sim::Simulation;

use crate::{MINUTE, SECOND};

/// The mean time to the last of 100 nodes, in intervals, and the mean number of copies of the value for each node.
fn mean_spread(fanout: usize, runs: u64) -> (f64, f64) {
    let (mut time, mut copies) = (0.0, 0.0);
    for seed in 0..runs {
        let mut sim = Simulation::new(seed);
        sim.network.latency = (SECOND / 10, SECOND / 10);
        let nodes =
            sim.start_warm(100, &Config { fanout, mongering: Mongering::Off, ..Config::new("spread") });
        sim.run(Duration::from_secs(2));
        let writer = nodes[usize::try_from(seed).unwrap() % nodes.len()];
        let owner = sim.name(writer).clone();
        let before = sim.counts().entries;
        sim.set(writer, "key", "value");
        let times = sim.until_each(&nodes, MINUTE, |core| core.value(&owner, "key").is_some());
        assert_eq!(times.len(), nodes.len(), "seed {seed}: somebody never learns");
        time += times.last().unwrap().as_secs_f64();
        copies += (sim.counts().entries - before) as f64 / nodes.len() as f64;
    }
    (time / runs as f64, copies / runs as f64)
}

/// Expected 5.2 T and 1.12 copies.
#[test]
fn one_exchange_an_interval_reaches_a_hundred_in_five() {
    let (time, copies) = mean_spread(1, 200);
    println!("fan-out 1: {time:.2} T, {copies:.2} copies");
    assert!(time <= 1.15 * 5.2, "{time:.2} T");
    assert!(copies <= 1.05 * 1.12, "{copies:.2} copies");
}

/// Expected 2.24 T and 1.33 copies: three exchanges, spread over the interval.
#[test]
fn three_staggered_exchanges_reach_a_hundred_in_two() {
    let (time, copies) = mean_spread(3, 200);
    println!("fan-out 3: {time:.2} T, {copies:.2} copies");
    assert!(time <= 1.15 * 2.24, "{time:.2} T");
    assert!(copies <= 1.05 * 1.33, "{copies:.2} copies");
}
