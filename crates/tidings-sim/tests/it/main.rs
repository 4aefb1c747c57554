//! What the protocol does, shown in virtual time. A test named `rNN_` is a failure that some gossip system had.

mod basics;
mod deletes;
mod events;
mod forgery;
mod islands;
mod large;
mod liveness;
mod lives;
mod membership;
mod model;
mod modes;
mod names;
mod neighbours;
#[cfg(feature = "planted")]
mod planted;
mod proof;
mod removal;
mod requests;
mod restarts;
mod rumors;
mod seeds;
mod spread;
mod streams;

use std::time::Duration;

use tidings_core::{Config, Standing};
use tidings_sim::{Place, Simulation};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn config() -> Config {
    Config::new("test")
}

fn durable() -> Config {
    Config { durable: true, ..config() }
}

/// Nodes that all have the first as their seed, and know each other.
fn cluster(sim: &mut Simulation, count: usize, config: &Config) -> Vec<Place> {
    let first = Place(sim.places().len());
    let nodes: Vec<_> =
        (0..count).map(|n| sim.start(&format!("node-{}", first.0 + n), config.clone(), &[first])).collect();
    sim.until(2 * MINUTE, |sim| knows_all(sim, &nodes)).expect("the cluster forms");
    nodes
}

/// Whether each of `nodes` believes that all of them run.
fn knows_all(sim: &Simulation, nodes: &[Place]) -> bool {
    nodes.iter().all(|&viewer| live(sim, viewer) == nodes.len())
}

/// How many nodes `viewer` believes to run, itself included.
fn live(sim: &Simulation, viewer: Place) -> usize {
    sim.core(viewer).counts().iter().find(|(standing, _)| *standing == Standing::Live).unwrap().1
}

/// What `viewer` believes of `subject`.
fn standing(sim: &Simulation, viewer: Place, subject: Place) -> Option<Standing> {
    sim.member(viewer, subject).map(|member| member.standing)
}

/// What `viewer` sees under `key` of `owner`, as text.
fn text(sim: &Simulation, viewer: Place, owner: Place, key: &str) -> Option<String> {
    sim.value(viewer, owner, key).map(|shown| shown.value.to_string())
}
