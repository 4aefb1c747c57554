//! Tidings: two nodes that exchange, and whole clusters in virtual time.

pub(crate) mod pair;
pub(crate) mod world;
