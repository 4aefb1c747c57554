//! The numbers that order things: generations, heartbeats, versions, and the head of a node.

use std::fmt;

/// Which life of a node: it grows with each start, mostly as the wall clock in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Generation(pub u64);

/// How many rounds a node has lived in its present life. Not a version: see [`Version`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Heartbeat(pub u64);

/// The counter of one owner's writes. A write raises it, and nothing else; least of all a heartbeat, or two peers
/// would differ in most owners at every exchange, and no digest could be saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version(pub u64);

/// How far a node's life has come: the sign of life that travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Head {
    /// Which life.
    pub generation: Generation,
    /// The rounds lived in it.
    pub heartbeat: Heartbeat,
}

macro_rules! shows_its_number {
    ($($number:ident),*) => {$(
        impl fmt::Display for $number {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )*};
}
shows_its_number!(Generation, Heartbeat, Version);
