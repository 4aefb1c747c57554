//! What nodes say to each other.

use std::net::SocketAddr;
use std::time::Duration;

use crate::delta::Delta;
use crate::name::NodeId;
use crate::summary::Summary;
use crate::time::WallClock;
use crate::version::{Generation, Head, Heartbeat, Version};

/// A message of one node to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who speaks, and how far its life has come: a sign of life of age zero.
    pub sender: Sender,
    /// The exchange that this belongs to: the initiator's choice, repeated in each answer.
    pub exchange: u32,
    /// What is said.
    pub body: Body,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    /// The speaker.
    pub id: NodeId,
    /// Its life, and the rounds it has lived.
    pub head: Head,
    /// The version of its own newest write.
    pub max: Version,
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Begins an exchange.
    Syn(Syn),
    /// Answers a SYN: what the initiator lacks, and what the responder lacks.
    Ack(Ack),
    /// Ends an exchange with what the responder lacked.
    Ack2(Vec<Delta>),
    /// Answers a SYN whose sender claims a generation beyond belief.
    Refusal(Refusal),
    /// Asks for help: try this node, too, and say what you get.
    Help(Evidence),
    /// Says what somebody who asked for help wants to know: more evidence, or none, where the node answered.
    Report(Evidence),
}

/// The beginning of an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Syn {
    /// What the sender holds, in a word.
    pub summary: Summary,
    /// The newest that the sender knows of some other nodes' lives.
    pub heads: Vec<HeadLine>,
    /// What speaks against nodes that are about to be convicted.
    pub evidence: Vec<Evidence>,
    /// The owners that changed at the sender lately, newest first.
    pub lines: Vec<Line>,
    /// A part of all that the sender knows: the backstop, when lines alone did not settle what differs.
    pub window: Option<Window>,
}

/// The answer to a SYN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// What the sender holds, in a word. Equal to the SYN's, it ends the exchange.
    pub summary: Summary,
    /// The newest that the sender knows of some other nodes' lives.
    pub heads: Vec<HeadLine>,
    /// What speaks against nodes that are about to be convicted.
    pub evidence: Vec<Evidence>,
    /// Owners on which the two differ, as the sender has them: what it lacks, and what did not fit.
    pub lines: Vec<Line>,
    /// What the initiator lacks.
    pub deltas: Vec<Delta>,
}

/// The answer to one whose generation is beyond belief. It falls back once two nodes agree on that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The clock by which it is.
    pub clock: WallClock,
    /// Where some other nodes are, to be asked for a second opinion.
    pub others: Vec<SocketAddr>,
}

/// How far a replica has come: one line of a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// The owner.
    pub id: NodeId,
    /// The life known of it; zero says that the owner is unknown.
    pub generation: Generation,
    /// The version up to which it is known.
    pub max: Version,
}

impl Line {
    /// The line of one who doesn't know `id`.
    #[must_use]
    pub fn unknown(id: NodeId) -> Self {
        Self { id, generation: Generation(0), max: Version(0) }
    }

    /// Where the replica stands; `None` if the owner is unknown.
    #[must_use]
    pub fn known(&self) -> Option<(Generation, Version)> {
        (self.generation > Generation(0)).then_some((self.generation, self.max))
    }
}

/// A sign of life, relayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLine {
    /// Whose.
    pub id: NodeId,
    /// The life.
    pub generation: Generation,
    /// The round.
    pub heartbeat: Heartbeat,
    /// How long ago that round began, as far as the relay knows. In milliseconds on the wire.
    pub age: Duration,
}

/// What speaks against a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The newest that the sender knows of its life.
    pub head: HeadLine,
    /// How long ago the first attempt was made that failed. In milliseconds on the wire.
    pub since: Duration,
    /// How long ago the latest one was made. In milliseconds on the wire.
    pub until: Duration,
    /// Who tried, and how often without an answer. Nobody: it answers.
    pub accusers: Vec<(NodeId, u32)>,
}

/// All that the sender knows between two ids, both included: an owner in between that has no line is unknown to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// The lower bound.
    pub first: NodeId,
    /// The upper bound.
    pub last: NodeId,
    /// The owners in between, by id.
    pub lines: Vec<Line>,
}
