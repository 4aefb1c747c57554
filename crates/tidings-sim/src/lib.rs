//! Clusters of Tidings nodes in virtual time: latency, loss, partitions, crashes, all from one seed.
//!
//! A [`Simulation`] runs many cores, the real ones, and passes every message through their encoder and decoder. What
//! happens next is taken from one queue, ordered by time and, at the same time, by what was put in first; every
//! chance is drawn from one seed. The same seed gives the same [trace](Simulation::trace), byte for byte, on every
//! machine.
//!
//! ```
//! use std::time::Duration;
//! use tidings_core::Config;
//! use tidings_sim::Simulation;
//!
//! let mut sim = Simulation::new(7);
//! let ann = sim.start("ann", Config::new("example"), &[]);
//! let bob = sim.start("bob", Config::new("example"), &[ann]);
//! sim.set(ann, "color", "green");
//! let took = sim.until(Duration::from_secs(10), |sim| sim.value(bob, ann, "color").is_some());
//! assert!(took.is_some());
//! ```

pub mod checker;
mod counts;
pub mod lab;
mod life;
mod machines;
pub mod model;
mod network;
mod node;
mod queue;
pub mod scenario;
mod simulation;
mod streams;
pub mod swarm;
mod trace;
mod warm;

pub use counts::Counts;
pub use network::{Links, Network, Rule, RuleId, Share, StreamFault, Trouble};
pub use node::{Answer, Arrivals, Disk, Place};
pub use simulation::Simulation;
