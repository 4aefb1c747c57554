//! What happens, told to whoever listens.

use tidings_core::Event;
use tokio::sync::broadcast;

/// What happens at a node, from the moment on at which this was made: see [`Node::events`](crate::Node::events).
#[derive(Debug)]
pub struct Events(pub(crate) broadcast::Receiver<Event>);

/// One thing that happened, or the word that some were missed.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// It happened.
    Event(Event),
    /// The reader was too slow, and the oldest events are gone. A [`Watch`](crate::Watch) tells the state next; for
    /// [`Events`], look at a snapshot.
    Gap {
        /// How many events were missed.
        missed: u64,
    },
}

/// How many events are kept for a slow reader.
pub(crate) const KEPT: usize = 4_096;

impl Events {
    /// The next thing that happens; `None` once the node has stopped and everything was told.
    pub async fn next(&mut self) -> Option<Notice> {
        match self.0.recv().await {
            Ok(event) => Some(Notice::Event(event)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Notice::Gap { missed }),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
