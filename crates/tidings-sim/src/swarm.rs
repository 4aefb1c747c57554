//! The swarm: each seed draws a cluster, its configuration, what goes wrong and what is written, and the promises are held
//! against all of it (Groce et al. 2012: a random subset of the faults for each run finds more than all of them in all).

mod campaign;
mod draw;
mod shrink;

pub use campaign::{Campaign, Found, Report, Shard};
pub use draw::draw;
pub use shrink::shrink;
