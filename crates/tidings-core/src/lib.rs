//! The Tidings gossip protocol as one state machine: it thinks, and others do.
//!
//! A [`Gossiper`] is one node's part. It reads no clock and opens no socket; it is told the time and what messages came
//! in, and it says what to send, what to save, what happened, and when it wants to be woken. A run is a function of
//! (configuration, seed, inputs): record the inputs, and you can replay it.
//!
//! # The law of the drive loop: tell, drain, sleep
//!
//! After any `handle_` method or command, drain every `poll_` queue; then wait for
//! [`poll_timeout`](Gossiper::poll_timeout), or for the next input.
//!
//! ```
//! use std::net::SocketAddr;
//! use tidings_core::{
//!     Config, Gossiper, Identity, Key, Moment, NodeName, Peer, Seal, Time, Transmit, Value, WallClock,
//! };
//!
//! // Two nodes; the second has the first as its seed.
//! let at = |micros: i64| Time { moment: Moment::from_micros(micros), wall: WallClock(1_800_000_000_000) };
//! let place = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
//! let mut nodes = [("ann", 1), ("bob", 2)].map(|(name, port)| {
//!     let me = Identity { name: NodeName::new(name).unwrap(), address: place(port), saved: None };
//!     Gossiper::new(Config::new("example"), me, port.into(), at(0)).unwrap()
//! });
//! nodes[1].handle_seeds(at(0), vec![place(1)]);
//! nodes[0].set(at(0), [(Key::new("color").unwrap(), Value::from("green"))]).unwrap();
//!
//! let seal = Seal::new("example");
//! let mut now = at(0);
//! while nodes[1].value(&NodeName::new("ann").unwrap(), "color").is_none() {
//!     // Sleep: nothing happens before the earliest time-out.
//!     now.moment = nodes.iter().map(Gossiper::poll_timeout).min().unwrap().max(now.moment);
//!     nodes.iter_mut().for_each(|node| node.handle_timeout(now));
//!     // Drain, and tell the other side, until both are silent.
//!     loop {
//!         let (from, sent) = match (nodes[0].poll_transmit(), nodes[1].poll_transmit()) {
//!             (Some(sent), _) => (place(1), sent),
//!             (None, Some(sent)) => (place(2), sent),
//!             (None, None) => break,
//!         };
//!         // Hardly anything takes a stream: see `Transmit` for those.
//!         let Transmit::Datagram { to, message } = sent else { continue };
//!         let bytes = seal.encode(&message);
//!         let receiver = &mut nodes[usize::from(to.port()) - 1];
//!         let peer = Peer::Datagram { from, len: bytes.len() };
//!         receiver.handle_message(now, peer, seal.decode(&bytes).unwrap()).unwrap();
//!     }
//! }
//! ```

#[macro_use]
mod flaw;
mod acquaintances;
mod bounds;
mod certificate;
mod cluster;
mod collector;
mod config;
mod contacts;
mod delta;
mod detector;
mod digest;
mod endpoint;
mod endpoints;
mod entry;
mod event;
mod evidence;
mod exchange;
mod flow;
mod gossiper;
mod interner;
mod liveness;
mod message;
mod mongering;
mod name;
mod namesake;
mod owner;
mod peer;
mod pieces;
mod proof;
mod recent;
mod record;
mod replica;
mod request;
mod ring;
mod rng;
mod round;
mod rumor;
mod sketch;
mod snapshot;
mod stream;
mod summary;
mod time;
mod version;
pub mod wire;

pub use acquaintances::Acquaintances;
pub use certificate::Certificate;
pub use config::{Config, ConfigError, Mode, SeedRule};
pub use delta::{Delta, Introduction, Span};
pub use entry::{Entry, Key, KeyError, Lifetime, Value};
pub use event::{Cause, Event, EventKind};
#[cfg(feature = "planted")]
pub use flaw::{Flaw, plant};
pub use gossiper::{Gossiper, Identity, Load, RemoveError, Removed};
pub use interner::Interner;
pub use message::{
    Ack, Age, Beat, Beats, Body, Cell, Cookie, Evidence, Fetch, FetchPieces, HeadLine, Instance, Line,
    Message, Namesake, News, Piece, Push, Refusal, Rumor, Sender, Share, Syn, Window,
};
pub use mongering::{Mongering, MongeringError, Stop};
pub use name::{NameError, NodeId, NodeName};
pub use namesake::Conflict;
pub use owner::{Persist, PersistMark, Saved, WriteError};
pub use peer::{Peer, Rejected, StreamEnd, StreamId, Transmit};
pub use replica::{Applied, Limits, Replica};
pub use request::{NOTHING, Outcome, Policy, Question, Request, RequestError, RequestId, Stamp, Unanswered};
pub use rng::Rng;
pub use snapshot::{Forgotten, Member, NodeState, Shown, Snapshot, Standing, Suspected};
pub use summary::Summary;
pub use time::{Moment, Time, WallClock};
pub use version::{Generation, Head, Heartbeat, Version};
pub use wire::Seal;
