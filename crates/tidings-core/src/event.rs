//! What a node tells its user, with the cause.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::entry::{Key, Value};
use crate::name::NodeName;
use crate::peer::StreamEnd;
use crate::time::WallClock;
use crate::version::{Generation, Version};

/// Something that changed in this node's view of the cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When this node noticed, by its own wall clock.
    pub at: WallClock,
    /// The node that it is about.
    pub node: NodeName,
    /// The life of that node.
    pub generation: Generation,
    /// What happened.
    pub kind: EventKind,
}

impl Event {
    /// For how many there is room while none waits: a newcomer has thousands at once, and never again.
    pub(crate) const FEW: usize = 16;
}

/// What happened to a node, or to one of its keys.
#[derive(Debug, Clone, PartialEq)]
pub enum EventKind {
    /// A node that was not known before.
    Joined,
    /// The node is believed to run: a sign of life arrived.
    Live,
    /// The node is believed to have crashed, or to be cut off.
    Unreachable {
        /// The suspicion at the moment of the conviction: see [`Member::phi`](crate::Member).
        phi: f64,
        /// What it rests on.
        cause: Cause,
    },
    /// The node announced that it leaves.
    Departed,
    /// The node was gone for long, or was removed: nothing of it is shown any more.
    Forgotten {
        /// For how long that is remembered from now on.
        remembered_for: Duration,
    },
    /// The node runs in a new life.
    Restarted,
    /// No stream to the node could be had: what is large comes from it in pieces.
    StreamFailed {
        /// Where.
        address: SocketAddr,
        /// How it ended.
        end: StreamEnd,
    },
    /// The key shows a value, new or changed.
    Set {
        /// The key.
        key: Key,
        /// Its value.
        value: Value,
        /// The version of the write.
        version: Version,
    },
    /// The key is no longer there.
    Deleted {
        /// The key.
        key: Key,
        /// The version of the delete; of the owner's state, where the delete itself was not seen.
        version: Version,
    },
}

/// What a conviction rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// No new head of it was heard for too long.
    Silence,
    /// It did not answer this node's attempts.
    Attempts,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Silence => "silence",
            Self::Attempts => "unanswered attempts",
        })
    }
}
