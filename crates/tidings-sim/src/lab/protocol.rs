//! The full protocol, measured: real cores, real messages, virtual time.

use std::time::Duration;

use tidings_core::{Config, Mongering};

use crate::lab::chance::Chance;
use crate::lab::epidemic::Outcome;
use crate::{Place, Share, Simulation};

/// One interval.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);

/// Nodes that gossip in rounds alone: what the models are of.
pub(crate) fn rounds_alone() -> Config {
    Config { mongering: Mongering::Off, ..Config::new("lab") }
}

/// A cluster that has known itself for a while, whose messages take a tenth of the interval.
pub(crate) fn cluster(nodes: usize, config: &Config, chance: &mut Chance) -> (Simulation, Vec<Place>) {
    let mut sim = Simulation::new(chance.word());
    sim.network.latency = (INTERVAL / 10, INTERVAL / 10);
    let places = sim.start_warm(nodes, config);
    // Not a whole number of intervals, so that nothing happens in step with the rounds.
    sim.run(3 * INTERVAL + INTERVAL * u32::try_from(chance.below(1_000)).unwrap_or(0) / 1_000);
    (sim, places)
}

/// One write spreads to all.
///
/// # Panics
/// If somebody does not have it after five minutes.
pub(crate) fn spread(nodes: usize, fanout: usize, loss: Share, chance: &mut Chance) -> Outcome {
    let (mut sim, places) = cluster(nodes, &Config { fanout, ..rounds_alone() }, chance);
    sim.network.loss = loss;
    let writer = places[chance.below(nodes)];
    let owner = sim.name(writer).clone();
    let before = sim.counts().entries;
    sim.set(writer, "key", "value");
    let times = sim.until_each(&places, 300 * INTERVAL, |core| core.value(&owner, "key").is_some());
    assert_eq!(times.len(), nodes, "all have it within 300 intervals");
    let others = times.iter().map(Duration::as_secs_f64);
    Outcome {
        last: others.clone().fold(0.0, f64::max),
        mean: others.sum::<f64>() / (nodes - 1) as f64,
        copies: (sim.counts().entries - before) as f64 / nodes as f64,
        differing: f64::NAN,
    }
}
