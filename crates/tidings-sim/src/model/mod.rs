//! An exhaustive search: three copies of one owner's state, in every order of everything that can happen to them.
//!
//! The rules are not written here again: each delta is cut, written, read and taken by `tidings_core` itself. The search
//! adds the owner's deeds, what becomes of deltas on their way, and the memory of what was really written, against
//! which each state that can be reached is held. Small as the [`Bounds`] are, everything within them is tried, in
//! the order of the number of steps: what breaks a promise is told as a shortest story.
//!
//! ```
//! use tidings_sim::model::{Bounds, explore};
//!
//! let found = explore(Bounds { versions: 2, ..Bounds::default() });
//! assert!(found.broken.is_none());
//! assert!(found.states > 100);
//! ```

mod owner;
mod promises;
mod real;
mod search;
mod story;
mod tally;

use std::fmt;

pub use search::explore;
pub use tally::Tally;

/// How far a search goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How many nodes there are beside the owner. At most 3.
    pub others: usize,
    /// How many versions the owner takes, all lives together: a write or a raised `gc_version` each. At most 15.
    pub versions: u8,
    /// How many lives the owner has. At most 4.
    pub lives: u8,
    /// How many deltas can be on their way while other things happen: two at most. They arrive in any order, anywhere,
    /// any number of times or never. All others arrive at once, or never.
    pub delayed: usize,
    /// To what the owner raises its `gc_version`.
    pub raises: Raises,
    /// Whether values can be written that expire: at each node by itself, at any time after that.
    pub expiry: bool,
    /// Whether a reset may hide a key that was written again, until that write is known, too.
    pub may_hide: bool,
}

/// To what an owner raises its `gc_version`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Raises {
    /// To its newest version.
    ToNewest,
    /// To any version that it has taken.
    ToAny,
}

impl Default for Bounds {
    /// Two others, and one life of three versions, with deltas that arrive at once.
    fn default() -> Self {
        Self {
            others: 2,
            versions: 3,
            lives: 1,
            delayed: 0,
            raises: Raises::ToNewest,
            expiry: false,
            may_hide: false,
        }
    }
}

/// What a search went through, and what it found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explored {
    /// The states reached, counting one for those that differ only in the names of the others.
    pub states: usize,
    /// The number of steps to the farthest of them.
    pub depth: usize,
    /// What happened on the way.
    pub tally: Tally,
    /// The first promise that broke, on a shortest way there. The search ends with it, unless it is
    /// [`Promise::Settles`]: anything else is worse, and told instead.
    pub broken: Option<Broken>,
}

/// A promise that a search holds every state and step against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Promise {
    /// Whatever is held, its owner wrote it in that life, with that version; tombstones, too.
    NoInvention,
    /// (generation, `max_version`) never falls, nor does the version of a key within a life; what isn't taken moves
    /// nothing.
    Growth,
    /// Nobody holds different things for the same version of the same life, but for a tombstone where a value expired.
    OneMeaning,
    /// Whoever is past the newest write of a key, and that is a delete, doesn't show it.
    NoResurrection,
    /// Whoever is past the newest write of a key shows exactly that, or nothing if it can expire.
    Kept,
    /// A key once shown goes only by a delete, when it expires, or with its life.
    OnlyDeleted,
    /// Keys written together are seen together, save those written again.
    Together,
    /// The changes that are told lead from what was shown to what is.
    Told,
    /// Once everybody has told everybody everything, nothing moves any more, and everybody holds what the owner does, once all
    /// has expired that can.
    Settles,
    /// Nothing panics.
    NoPanic,
}

/// A broken promise, and how it came to that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Which one.
    pub promise: Promise,
    /// What is wrong in the end.
    pub what: String,
    /// A shortest way there, step by step.
    pub story: Vec<String>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (step, line) in self.story.iter().enumerate() {
            writeln!(f, "{:>3}. {line}", step + 1)?;
        }
        write!(f, "broken: {}: {}", self.promise, self.what)
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoInvention => "S1 no invention",
            Self::Growth => "S2 growth",
            Self::OneMeaning => "S3 one meaning",
            Self::NoResurrection => "S4 no resurrected delete",
            Self::Kept => "S7 the replica's promise",
            Self::OnlyDeleted => "S7 a key goes only by a delete",
            Self::Together => "S7 together",
            Self::NoPanic => "S10 no panic",
            Self::Told => "S11 changes are told",
            Self::Settles => "L1 all settle",
        })
    }
}
