//! What nodes say to each other.

use std::net::SocketAddr;
use std::time::Duration;

use crate::delta::Delta;
use crate::name::NodeId;
use crate::summary::Summary;
use crate::time::{WallClock, millis};
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
    /// Ends an exchange with what the responder lacked; on a stream, a part of what was fetched.
    Ack2(News),
    /// Tells what is new, and wants no answer.
    Push(Push),
    /// Offers what is new to one who may lack it, or brings it.
    Rumor(Rumor),
    /// Asks for what was offered: all that the receiver knows above these lines. An ACK2 answers it.
    Ask(Vec<Line>),
    /// Answers a SYN whose sender claims a generation beyond belief.
    Refusal(Refusal),
    /// Asks for help: try this node, too, and say what you get.
    Help(Evidence),
    /// Says what somebody who asked for help wants to know: more evidence, or none, where the node answered.
    Report(Evidence),
    /// Asks, on a stream, for more than datagrams carry well.
    Fetch(Fetch),
    /// Asks for pieces of what no datagram carries, where no stream can be had.
    FetchPieces(FetchPieces),
    /// One such piece.
    Piece(Piece),
    /// Asks who uses the sender's name.
    Who(Instance),
    /// Answers that.
    Namesake(Namesake),
}

/// The beginning of an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Syn {
    /// Whether the answer is all that is wanted: no ACK2 will come.
    pub is_pull: bool,
    /// What the sender holds, in a word.
    pub summary: Summary,
    /// The newest that the sender knows of some other nodes' lives.
    pub heads: Vec<HeadLine>,
    /// What speaks against nodes that are about to be convicted.
    pub evidence: Vec<Evidence>,
    /// The owners that changed at the sender lately, newest first.
    pub lines: Vec<Line>,
    /// What the sender holds, as sums that tell how the receiver differs: when lines alone did not settle that.
    pub sketch: Vec<Cell>,
    /// A part of all that the sender knows: the backstop, for a stranger, or when a sketch does not tell what differs.
    pub window: Option<Window>,
    /// What an earlier answer gave, to show that the sender is where it says.
    pub cookie: Option<Cookie>,
    /// What the sender may write, if that is limited.
    pub share: Option<Share>,
}

/// The answer to a SYN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// What the sender holds, in a word. Equal to the SYN's, it ends the exchange.
    pub summary: Summary,
    /// The newest that the sender knows of some other nodes' lives.
    pub heads: Vec<HeadLine>,
    /// The same of some nodes that both know: there only if both hold the same, and all is calm.
    pub beats: Option<Beats>,
    /// What speaks against nodes that are about to be convicted.
    pub evidence: Vec<Evidence>,
    /// Owners on which the two differ, as the sender has them: what it lacks, and what did not fit.
    pub lines: Vec<Line>,
    /// What the initiator lacks.
    pub deltas: Vec<Delta>,
    /// Owners of whom the initiator lacks something that no datagram carries, as the sender has them: to be fetched.
    pub large: Vec<Line>,
    /// Whether the initiator lacks so much that a stream serves it better.
    pub has_much: bool,
    /// There if this answer was cut, because the initiator has not shown yet that it is where it says: with this in
    /// another SYN, there is more.
    pub cookie: Option<Cookie>,
    /// What the sender may write, if that is limited.
    pub share: Option<Share>,
}

/// What a node may write, while the cluster is told more than it takes in: in bytes of keys and values for an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// So much it may.
    pub limit: u32,
    /// So much it would.
    pub wants: u32,
}

impl Share {
    /// The most that is told, and believed, of either.
    pub const MOST: u32 = 1 << 24;
}

/// Deltas, and what they leave out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct News {
    /// What the receiver lacks.
    pub deltas: Vec<Delta>,
    /// As in an [`Ack`].
    pub large: Vec<Line>,
    /// Whether the receiver lacks so much more that a stream serves it better.
    pub has_much: bool,
}

/// What is new at a node, told without being asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// What the sender holds, in a word.
    pub summary: Summary,
    /// The newest that the sender knows of some other nodes' lives.
    pub heads: Vec<HeadLine>,
    /// What speaks against nodes that are about to be convicted.
    pub evidence: Vec<Evidence>,
    /// Owners that changed lately and whose news did not fit: whoever is behind asks for them.
    pub lines: Vec<Line>,
    /// A part of all that the sender knows, in turn: whoever missed something long ago finds it here.
    pub window: Option<Window>,
    /// What changed lately.
    pub deltas: Vec<Delta>,
    /// As in an [`Ack`].
    pub large: Vec<Line>,
}

/// What is hot at a node. Its sender's own line is offered by every rumor: it stands in the greeting.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rumor {
    /// What speaks against nodes that are about to be convicted.
    pub evidence: Vec<Evidence>,
    /// Owners of whom there is news, as the sender has them: whoever is behind asks, with the number of this exchange.
    pub lines: Vec<Line>,
    /// News that is brought unasked.
    pub deltas: Vec<Delta>,
    /// Whether the sender wants to know, by a rumor in turn, which of the deltas were known.
    pub wants_feedback: bool,
}

/// What is asked for on a stream: all that the receiver knows above `lines`, and of the owners in `window`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// Some owners, as the sender has them.
    pub lines: Vec<Line>,
    /// All owners between two ids, as the sender has them.
    pub window: Option<Window>,
}

/// Asks for pieces of the next delta for one who is at `line`, as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchPieces {
    /// The owner, as the sender has it.
    pub line: Line,
    /// From which byte on.
    pub offset: u32,
    /// How many pieces.
    pub count: u32,
}

/// A piece of a delta's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The line that was asked with.
    pub line: Line,
    /// How many bytes the delta has.
    pub total: u32,
    /// Their CRC-32.
    pub checksum: u32,
    /// How long ago the delta was cut, in whole milliseconds: by so much the lives in it are shorter now.
    pub age: Duration,
    /// Where this piece begins.
    pub offset: u32,
    /// The piece.
    pub bytes: Vec<u8>,
}

/// Tells two processes with one name apart: random, and new at each start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instance(pub u64);

/// Who uses the asker's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Namesake {
    /// The one that answers does: this instance.
    Me(Instance),
    /// Somebody at this address did, when last heard of.
    At(SocketAddr),
    /// Nobody that is known.
    Nobody,
}

/// Shows that its bearer receives what is sent to its address: only there was it sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cookie(pub u64);

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

/// A sum over some of the lines that a node holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cell {
    /// Their ids, one bit against the other.
    pub id: u64,
    /// Their generations, in the same way.
    pub generation: u64,
    /// Their versions, in the same way.
    pub max: u64,
    /// The lower halves of their hashes in a summary, added up.
    pub check: u32,
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

/// Signs of life of nodes that follow each other by id, for one who holds the same: it knows who they are, and in which
/// lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beats {
    /// How many nodes have lower ids than the first of them.
    pub first: u32,
    /// What is told of each.
    pub beats: Vec<Beat>,
}

/// A sign of life for one who knows the node and its life, in three bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// The low half of the heartbeat's low word: within 32,767 rounds, it tells which one.
    pub round: u16,
    /// How long ago that round began: an eighth more at most.
    pub age: Age,
}

/// A span in a byte: milliseconds up to fifteen, and then three bits after the highest one, rounded up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age(pub u8);

impl Age {
    /// The least that is not below `span`.
    #[must_use]
    pub fn of(span: Duration) -> Self {
        let millis = millis(span);
        if millis < 8 {
            return Self(u8::try_from(millis).unwrap_or(u8::MAX));
        }
        let shift = u64::from(millis.ilog2() - 3);
        let most = millis.div_ceil(1 << shift);
        // Sixteen of these are eight of the next.
        Self(u8::try_from(8 * shift + most).unwrap_or(u8::MAX))
    }

    /// The span.
    #[must_use]
    pub fn span(self) -> Duration {
        Duration::from_millis(self.millis())
    }

    fn millis(self) -> u64 {
        let code = u64::from(self.0);
        if code < 8 { code } else { (8 + code % 8) << (code / 8 - 1) }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_in_a_byte_is_an_eighth_more_at_most() {
        for millis in (0..3_000).chain([70_000, 1 << 20, (1 << 30) + 1, 86_400_000]) {
            let span = Duration::from_millis(millis);
            let age = Age::of(span).span();
            assert!(span <= age && age <= span + span / 8, "{span:?} becomes {age:?}");
        }
        assert_eq!(Age::of(Duration::MAX), Age(u8::MAX));
        assert!((0..=u8::MAX).all(|code| Age::of(Age(code).span()) == Age(code)));
    }
}
