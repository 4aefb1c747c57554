//! Messages as bytes: a frame with a checksum that the cluster's name is part of, around tagged sections.
//!
//! ```text
//! 'T'  version  highest version  kind  cluster tag (4)  CRC-32 (4)  section*
//! section = tag (1)  length  content
//! ```
//!
//! The cluster's tag tells messages of other clusters from damaged ones; the checksum runs over a longer hash of the
//! cluster's name, both versions, the kind and all sections. A message is written in one version, and names the highest
//! that its sender reads: two nodes speak the lower of theirs, and the first one until they know. Sections come by
//! rising tag, each at most once; those above the last known tag are skipped, so that later releases can add some.
//! Everything else that is not exactly as the encoder would write it is an error, no number is believed before it is
//! checked, and nothing is allocated that the bytes at hand have not paid for.
//!
//! On a stream, a message has its length in front, in four bytes: see [`Frames`].

mod bytes;
mod certificate;
mod frames;
mod parts;
pub(crate) mod size;

pub use bytes::{Reader, Writer};
pub use frames::{Frames, frame};
pub use parts::{read_addresses, read_entry, write_addresses, write_entry};
pub(crate) use parts::{read_one_delta, write_one_delta};

use sha2::{Digest as _, Sha256};

use crate::message::{Ack, Body, Cookie, Fetch, Instance, Message, News, Push, Refusal, Rumor, Syn};
use crate::summary::Summary;
use crate::time::WallClock;

/// The version of the protocol that this release speaks.
pub const PROTOCOL_VERSION: u8 = 1;

const MAGIC: u8 = b'T';

const SYN: u8 = 1;
const ACK: u8 = 2;
const ACK2: u8 = 3;
const REFUSAL: u8 = 4;
const HELP: u8 = 5;
const REPORT: u8 = 6;
const PULL: u8 = 7;
const PUSH: u8 = 8;
const FETCH: u8 = 9;
const FETCH_PIECES: u8 = 10;
const PIECE: u8 = 11;
const WHO: u8 = 12;
const NAMESAKE: u8 = 13;
const RUMOR: u8 = 14;
const ASK: u8 = 15;

const SENDER: u8 = 1;
const EXCHANGE: u8 = 2;
const SUMMARY: u8 = 3;
const HEADS: u8 = 4;
const LINES: u8 = 5;
const WINDOW: u8 = 6;
const DELTAS: u8 = 7;
const CLOCK: u8 = 8;
const OTHERS: u8 = 9;
const EVIDENCE: u8 = 10;
const LARGE: u8 = 11;
const MUCH: u8 = 12;
const COOKIE: u8 = 13;
const PIECES: u8 = 14;
const WHOSE: u8 = 15;
const SKETCH: u8 = 16;
const BEATS: u8 = 17;
const FEEDBACK: u8 = 18;
const SHARE: u8 = 19;
/// The highest tag that this release knows; later ones add above it.
const LAST: u8 = SHARE;

/// Why bytes are no message for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// They are not of this protocol.
    #[error("these bytes are no Tidings message")]
    Alien,
    /// They are of a protocol version that is not spoken here.
    #[error("protocol version {0} is not spoken here")]
    Version(u8),
    /// They are a message of another cluster.
    #[error("this is a message of another cluster")]
    Cluster,
    /// The checksum does not fit: they were changed on the way.
    #[error("the checksum does not fit: the message was damaged")]
    Checksum,
    /// They are longer than any message that is expected here.
    #[error("the message is longer than is allowed")]
    TooLong,
    /// They end too soon.
    #[error("the message ends too soon")]
    Truncated,
    /// They break a rule of the format.
    #[error("the message has {0}")]
    Malformed(&'static str),
}

impl WireError {
    /// Under which word such a message is counted as dropped.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Version(_) => "version",
            Self::Cluster => "cluster",
            Self::Checksum => "checksum",
            Self::TooLong => "too_large",
            Self::Alien | Self::Truncated | Self::Malformed(_) => "malformed",
        }
    }
}

/// What binds messages to a cluster.
#[derive(Debug, Clone)]
pub struct Seal {
    tag: [u8; 4],
    salted: crc32fast::Hasher,
}

impl Seal {
    /// The seal of the cluster named `cluster`.
    #[must_use]
    pub fn new(cluster: &str) -> Self {
        let digest: [u8; 32] =
            Sha256::new_with_prefix(b"tidings cluster ").chain_update(cluster).finalize().into();
        let (tag, salt) = digest.split_first_chunk().expect("32 bytes hold 4");
        let mut salted = crc32fast::Hasher::new();
        salted.update(salt);
        Self { tag: *tag, salted }
    }

    fn checksum(&self, head: &[u8], sections: &[u8]) -> [u8; 4] {
        let mut hasher = self.salted.clone();
        hasher.update(head);
        hasher.update(sections);
        hasher.finalize().to_be_bytes()
    }

    /// `message` as bytes.
    #[must_use]
    pub fn encode(&self, message: &Message) -> Vec<u8> {
        let mut out = Writer::over(Vec::with_capacity(256));
        let kind = match &message.body {
            Body::Syn(syn) if syn.is_pull => PULL,
            Body::Syn(_) => SYN,
            Body::Ack(_) => ACK,
            Body::Ack2(_) => ACK2,
            Body::Refusal(_) => REFUSAL,
            Body::Help(_) => HELP,
            Body::Report(_) => REPORT,
            Body::Push(_) => PUSH,
            Body::Fetch(_) => FETCH,
            Body::FetchPieces(_) => FETCH_PIECES,
            Body::Piece(_) => PIECE,
            Body::Who(_) => WHO,
            Body::Namesake(_) => NAMESAKE,
            Body::Rumor(_) => RUMOR,
            Body::Ask(_) => ASK,
        };
        out.raw(&[MAGIC, PROTOCOL_VERSION, PROTOCOL_VERSION, kind]);
        out.raw(&self.tag);
        out.raw(&[0; 4]);
        write_sections(&mut out, message);
        let mut bytes = out.into_bytes();
        self.reseal(&mut bytes);
        bytes
    }

    /// Makes the checksum of an encoded message fit its content again: for tests, which change that. What is too short
    /// for a message stays as it is.
    pub fn reseal(&self, bytes: &mut [u8]) {
        let Some((frame, sections)) = bytes.split_at_mut_checked(size::FRAME) else { return };
        let checksum = self.checksum(&frame[1..4], sections);
        frame[8..].copy_from_slice(&checksum);
    }

    /// The message that `bytes` are.
    ///
    /// # Errors
    /// Says why they are none for this cluster. No bytes make it panic.
    pub fn decode(&self, bytes: &[u8]) -> Result<Message, WireError> {
        let mut frame = Reader::new(bytes);
        if frame.byte()? != MAGIC {
            return Err(WireError::Alien);
        }
        let head @ &[version, highest, kind] = frame.array_ref()?;
        if version != PROTOCOL_VERSION {
            return Err(WireError::Version(version));
        }
        if frame.raw(4)? != self.tag && !flaw!(AnyCluster) {
            return Err(WireError::Cluster);
        }
        let checksum = frame.raw(4)?;
        let sections = frame.raw(frame.len())?;
        if checksum != self.checksum(head, sections) && !flaw!(AnyCluster) {
            return Err(WireError::Checksum);
        }
        if highest < version {
            return Err(WireError::Malformed("a version that its sender does not read"));
        }
        read_message(kind, Sections(Reader::new(sections)))
    }
}

fn write_sections(out: &mut Writer, message: &Message) {
    out.section(SENDER, |out| parts::write_sender(out, &message.sender));
    out.section(EXCHANGE, |out| out.half(message.exchange));
    match &message.body {
        Body::Syn(syn) => {
            out.section(SUMMARY, |out| out.word(syn.summary.0));
            some_section(out, HEADS, &syn.heads, parts::write_heads);
            some_section(out, LINES, &syn.lines, parts::write_lines);
            some_section(out, WINDOW, syn.window.as_slice(), parts::write_windows);
            some_section(out, EVIDENCE, &syn.evidence, parts::write_evidence);
            some_section(out, COOKIE, syn.cookie.as_slice(), parts::write_cookies);
            some_section(out, SKETCH, &syn.sketch, parts::write_cells);
            some_section(out, SHARE, syn.share.as_slice(), parts::write_shares);
        }
        Body::Ack(ack) => {
            out.section(SUMMARY, |out| out.word(ack.summary.0));
            some_section(out, HEADS, &ack.heads, parts::write_heads);
            some_section(out, LINES, &ack.lines, parts::write_lines);
            some_section(out, DELTAS, &ack.deltas, parts::write_deltas);
            some_section(out, EVIDENCE, &ack.evidence, parts::write_evidence);
            some_section(out, LARGE, &ack.large, parts::write_lines);
            some_section(out, MUCH, if ack.has_much { &[()] } else { &[] }, |_, _| {});
            some_section(out, COOKIE, ack.cookie.as_slice(), parts::write_cookies);
            some_section(out, BEATS, ack.beats.as_slice(), parts::write_beats);
            some_section(out, SHARE, ack.share.as_slice(), parts::write_shares);
        }
        Body::Ack2(news) => {
            some_section(out, DELTAS, &news.deltas, parts::write_deltas);
            some_section(out, LARGE, &news.large, parts::write_lines);
            some_section(out, MUCH, if news.has_much { &[()] } else { &[] }, |_, _| {});
        }
        Body::Push(push) => {
            out.section(SUMMARY, |out| out.word(push.summary.0));
            some_section(out, HEADS, &push.heads, parts::write_heads);
            some_section(out, LINES, &push.lines, parts::write_lines);
            some_section(out, WINDOW, push.window.as_slice(), parts::write_windows);
            some_section(out, DELTAS, &push.deltas, parts::write_deltas);
            some_section(out, EVIDENCE, &push.evidence, parts::write_evidence);
            some_section(out, LARGE, &push.large, parts::write_lines);
        }
        Body::Rumor(rumor) => {
            some_section(out, LINES, &rumor.lines, parts::write_lines);
            some_section(out, DELTAS, &rumor.deltas, parts::write_deltas);
            some_section(out, EVIDENCE, &rumor.evidence, parts::write_evidence);
            some_section(out, FEEDBACK, if rumor.wants_feedback { &[()] } else { &[] }, |_, _| {});
        }
        Body::Ask(lines) => some_section(out, LINES, lines, parts::write_lines),
        Body::Refusal(refusal) => {
            out.section(CLOCK, |out| out.varint(refusal.clock.0));
            some_section(out, OTHERS, &refusal.others, write_addresses);
        }
        Body::Help(evidence) | Body::Report(evidence) => {
            out.section(EVIDENCE, |out| parts::write_evidence(out, std::slice::from_ref(evidence)));
        }
        Body::Fetch(fetch) => {
            some_section(out, LINES, &fetch.lines, parts::write_lines);
            some_section(out, WINDOW, fetch.window.as_slice(), parts::write_windows);
        }
        Body::FetchPieces(fetch) => out.section(PIECES, |out| parts::write_fetch_pieces(out, fetch)),
        Body::Piece(piece) => out.section(PIECES, |out| parts::write_piece(out, piece)),
        Body::Who(instance) => out.section(WHOSE, |out| out.word(instance.0)),
        Body::Namesake(namesake) => out.section(WHOSE, |out| parts::write_namesake(out, namesake)),
    }
}

fn some_section<T>(out: &mut Writer, tag: u8, items: &[T], write: impl FnOnce(&mut Writer, &[T])) {
    if !items.is_empty() {
        out.section(tag, |out| write(out, items));
    }
}

fn read_message(kind: u8, mut sections: Sections<'_>) -> Result<Message, WireError> {
    let sender = sections.required(SENDER, parts::read_sender)?;
    let exchange = sections.required(EXCHANGE, Reader::half)?;
    let body = match kind {
        SYN | PULL => Body::Syn(Syn {
            is_pull: kind == PULL,
            summary: Summary(sections.required(SUMMARY, Reader::word)?),
            heads: sections.list(HEADS, parts::read_heads)?,
            lines: sections.list(LINES, parts::read_lines)?,
            window: sections.optional(WINDOW, parts::read_window)?,
            evidence: sections.list(EVIDENCE, parts::read_evidence)?,
            cookie: sections.optional(COOKIE, Reader::word)?.map(Cookie),
            sketch: sections.list(SKETCH, parts::read_cells)?,
            share: sections.optional(SHARE, parts::read_share)?,
        }),
        ACK => Body::Ack(Ack {
            summary: Summary(sections.required(SUMMARY, Reader::word)?),
            heads: sections.list(HEADS, parts::read_heads)?,
            lines: sections.list(LINES, parts::read_lines)?,
            deltas: sections.list(DELTAS, parts::read_deltas)?,
            evidence: sections.list(EVIDENCE, parts::read_evidence)?,
            large: sections.list(LARGE, parts::read_lines)?,
            has_much: sections.optional(MUCH, |_| Ok(()))?.is_some(),
            cookie: sections.optional(COOKIE, Reader::word)?.map(Cookie),
            beats: sections.optional(BEATS, parts::read_beats)?,
            share: sections.optional(SHARE, parts::read_share)?,
        }),
        ACK2 => Body::Ack2(News {
            deltas: sections.list(DELTAS, parts::read_deltas)?,
            large: sections.list(LARGE, parts::read_lines)?,
            has_much: sections.optional(MUCH, |_| Ok(()))?.is_some(),
        }),
        PUSH => Body::Push(Push {
            summary: Summary(sections.required(SUMMARY, Reader::word)?),
            heads: sections.list(HEADS, parts::read_heads)?,
            lines: sections.list(LINES, parts::read_lines)?,
            window: sections.optional(WINDOW, parts::read_window)?,
            deltas: sections.list(DELTAS, parts::read_deltas)?,
            evidence: sections.list(EVIDENCE, parts::read_evidence)?,
            large: sections.list(LARGE, parts::read_lines)?,
        }),
        RUMOR => Body::Rumor(Rumor {
            lines: sections.list(LINES, parts::read_lines)?,
            deltas: sections.list(DELTAS, parts::read_deltas)?,
            evidence: sections.list(EVIDENCE, parts::read_evidence)?,
            wants_feedback: sections.optional(FEEDBACK, |_| Ok(()))?.is_some(),
        }),
        ASK => match sections.list(LINES, parts::read_lines)? {
            lines if lines.is_empty() => return Err(WireError::Malformed("a section missing")),
            lines => Body::Ask(lines),
        },
        REFUSAL => Body::Refusal(Refusal {
            clock: WallClock(sections.required(CLOCK, Reader::varint)?),
            others: sections.list(OTHERS, read_addresses)?,
        }),
        HELP => Body::Help(sections.required(EVIDENCE, parts::read_one_evidence)?),
        REPORT => Body::Report(sections.required(EVIDENCE, parts::read_one_evidence)?),
        FETCH => Body::Fetch(Fetch {
            lines: sections.list(LINES, parts::read_lines)?,
            window: sections.optional(WINDOW, parts::read_window)?,
        }),
        FETCH_PIECES => Body::FetchPieces(sections.required(PIECES, parts::read_fetch_pieces)?),
        PIECE => Body::Piece(sections.required(PIECES, parts::read_piece)?),
        WHO => Body::Who(Instance(sections.required(WHOSE, Reader::word)?)),
        NAMESAKE => Body::Namesake(sections.required(WHOSE, parts::read_namesake)?),
        _ => return Err(WireError::Malformed("an unknown kind")),
    };
    sections.finish()?;
    Ok(Message { sender, exchange, body })
}

/// The sections of a message, still to be read.
struct Sections<'a>(Reader<'a>);

impl<'a> Sections<'a> {
    /// Reads the next section, if it has this tag.
    fn optional<T>(
        &mut self,
        tag: u8,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, WireError>,
    ) -> Result<Option<T>, WireError> {
        let mut ahead = self.0;
        if ahead.is_empty() || ahead.byte()? != tag {
            return Ok(None);
        }
        let mut content = next_content(&mut ahead)?;
        self.0 = ahead;
        let read = read(&mut content)?;
        if content.is_empty() { Ok(Some(read)) } else { Err(WireError::Malformed("a section with a rest")) }
    }

    /// Reads the next section, if it has this tag: a list, which is there only if there is something in it.
    fn list<T>(
        &mut self,
        tag: u8,
        read: impl FnOnce(&mut Reader<'a>) -> Result<Vec<T>, WireError>,
    ) -> Result<Vec<T>, WireError> {
        match self.optional(tag, read)? {
            Some(list) if list.is_empty() => Err(WireError::Malformed("an empty list")),
            list => Ok(list.unwrap_or_default()),
        }
    }

    fn required<T>(
        &mut self,
        tag: u8,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, WireError>,
    ) -> Result<T, WireError> {
        self.optional(tag, read)?.ok_or(WireError::Malformed("a section missing"))
    }

    /// Skips what is left: whole sections, by rising tag, that are not known here.
    fn finish(mut self) -> Result<(), WireError> {
        let mut last = LAST;
        while !self.0.is_empty() {
            let tag = self.0.byte()?;
            if tag <= last {
                return Err(WireError::Malformed("a section out of place"));
            }
            last = tag;
            next_content(&mut self.0)?;
        }
        Ok(())
    }
}

fn next_content<'a>(bytes: &mut Reader<'a>) -> Result<Reader<'a>, WireError> {
    Ok(Reader::new(bytes.counted()?))
}
