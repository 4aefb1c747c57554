//! Where messages come from and go to, and why one is refused.

use std::fmt;
use std::net::SocketAddr;

use crate::message::Message;

/// Where a message came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// A datagram of so many bytes.
    Datagram {
        /// The address that it came from.
        from: SocketAddr,
        /// Its length.
        len: usize,
    },
    /// A stream, and so many bytes on it.
    Stream {
        /// Which one.
        stream: StreamId,
        /// The message's length.
        len: usize,
    },
}

/// A stream, among all that a node ever had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId(pub u64);

/// What is to be sent, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transmit {
    /// A datagram. The message has at most [`Config::datagram`](crate::Config::datagram) bytes once it is encoded.
    Datagram {
        /// Where to.
        to: SocketAddr,
        /// What.
        message: Message,
    },
    /// Open a stream.
    Open {
        /// What it is called from now on.
        stream: StreamId,
        /// Where to.
        to: SocketAddr,
    },
    /// A message on a stream. Say so when it was written: see
    /// [`handle_stream_written`](crate::Gossiper::handle_stream_written).
    Frame {
        /// Which stream.
        stream: StreamId,
        /// What.
        message: Message,
    },
    /// Close a stream once everything on it was written. Nothing more is said of it, and nothing is to be told.
    Close {
        /// Which one.
        stream: StreamId,
    },
}

/// How a stream came to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StreamEnd {
    /// It could not be opened.
    Refused,
    /// Nothing came for too long.
    Stalled,
    /// It ended before all was said.
    Broken,
}

impl fmt::Display for StreamEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "refused",
            Self::Stalled => "stalled",
            Self::Broken => "broken",
        })
    }
}

/// Why a message was refused. It changed nothing that this node knows or believes of others, and was counted: see
/// [`Gossiper::dropped`](crate::Gossiper::dropped).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// It answers nothing that this node asked.
    #[error("it answers nothing that was asked")]
    Unsolicited,
    /// Its sender claims a generation, a heartbeat or a version that nobody can have by now.
    #[error("its sender's numbers are beyond belief")]
    Unbelievable,
    /// It came from this node itself: a seed's address is its own.
    #[error("it came from this node itself")]
    Echo,
    /// Another process uses this node's name.
    #[error("its sender uses this node's own name")]
    OwnName,
    /// This node is not on disk yet, or it has left.
    #[error("this node is not in the cluster now")]
    Absent,
    /// It asks for much, and its source has not shown yet that it is there.
    #[error("its source has not shown yet that it is where it says")]
    Unproved,
    /// Its source sent more than is answered in an interval.
    #[error("its source sends too much")]
    Flood,
}

impl Rejected {
    /// Under which word such a message is counted as dropped.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Unsolicited => "unsolicited",
            Self::Unbelievable => "unbelievable",
            Self::Echo => "echo",
            Self::OwnName => "own_name",
            Self::Absent => "absent",
            Self::Flood => "flood",
            Self::Unproved => "unproved",
        }
    }
}
