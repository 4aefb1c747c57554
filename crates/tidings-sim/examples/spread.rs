//! How long one write takes to reach everybody by rounds alone: `spread [NODES] [FANOUT] [RUNS]`, by default 100 1 200.
//!
//! One-way latency is a tenth of the interval. Prints intervals (T) until the last node has it, and how many copies of
//! the value each node received on average.

use std::time::Duration;

use tidings_core::{Config, Mongering};
use tidings_sim::Simulation;

fn main() {
    let mut given =
        std::env::args().skip(1).map(|arg| arg.parse::<usize>().expect("NODES, FANOUT and RUNS are numbers"));
    let mut number = |default| given.next().unwrap_or(default).max(1);
    let (nodes, fanout, runs) = (number(100), number(1), number(200));
    let (mut times, mut copies): (Vec<f64>, Vec<f64>) =
        (0..runs).map(|seed| spread(nodes, fanout, seed)).unzip();
    times.sort_by(f64::total_cmp);
    copies.sort_by(f64::total_cmp);
    let mean = |numbers: &[f64]| numbers.iter().sum::<f64>() / numbers.len() as f64;
    println!("{nodes} nodes, fan-out {fanout}, {runs} runs");
    println!(
        "  the last has it after {:.2} T (median {:.2}, worst {:.2})",
        mean(&times),
        times[runs / 2],
        times[runs - 1]
    );
    println!("  {:.2} copies for each node", mean(&copies));
}

/// Intervals until the last of `nodes` has it, and copies for each.
fn spread(nodes: usize, fanout: usize, seed: usize) -> (f64, f64) {
    let mut sim = Simulation::new(seed as u64);
    sim.network.latency = (Duration::from_millis(100), Duration::from_millis(100));
    let config = Config { fanout, mongering: Mongering::Off, ..Config::new("spread") };
    let places = sim.start_warm(nodes, &config);
    sim.run(Duration::from_secs(25));
    let before = sim.counts().entries;
    let writer = places[seed % nodes];
    let owner = sim.name(writer).clone();
    sim.set(writer, "key", "value");
    let times = sim.until_each(&places, Duration::from_secs(60), |core| core.value(&owner, "key").is_some());
    assert_eq!(times.len(), nodes, "seed {seed}: somebody never learns");
    let last = times.last().expect("there is a node").as_secs_f64();
    (last, (sim.counts().entries - before) as f64 / nodes as f64)
}
