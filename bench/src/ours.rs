//! Tidings: two nodes that exchange, and whole clusters in virtual time.

pub(crate) mod cluster;
pub(crate) mod group;
mod parts;
pub(crate) mod world;
