//! Gossip for clusters of equal nodes: shared state, membership and failure detection without a coordinator.
//!
//! Each [`Node`] owns a set of keys that only it may change. By talking to random others, every node ends up with
//! every node's keys, in about log N rounds, through crashes, restarts and partitions; and each knows who is live.
//!
//! ```no_run
//! use tidings::{Node, Notice};
//!
//! # async fn example() -> Result<(), tidings::Error> {
//! let node = Node::builder("api-1").listen(([127, 0, 0, 1], 8434)).seeds(["127.0.0.1:8435"]).start().await?;
//! node.set("service/api", "10.0.0.7:8080").await?;
//! let mut events = node.events();
//! while let Some(Notice::Event(event)) = events.next().await {
//!     println!("{}: {:?}", event.node, event.kind);
//! }
//! # Ok(())
//! # }
//! ```

mod builder;
mod clock;
mod decider;
mod disk;
mod driver;
mod error;
mod events;
mod loss;
mod node;
mod seeds;
mod status;
mod streams;
mod view;
mod watch;

pub use builder::Builder;
pub use error::Error;
pub use events::{Events, Notice};
pub use node::{Found, Node};
pub use status::{BlockedStream, DiskHealth, Status, Traffic};
pub use tidings_core::{
    Cause, ConfigError, Event, EventKind, Forgotten, Generation, Heartbeat, Key, KeyError, Lifetime, Member,
    Mode, Mongering, MongeringError, NOTHING, NameError, NodeName, NodeState, Outcome, Question, RemoveError,
    Removed, Request, RequestError, RequestId, Shown, Snapshot, Stamp, Standing, Stop, StreamEnd, Suspected,
    Value, Version, WallClock, WriteError,
};
pub use watch::Watch;

/// What the README shows, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
