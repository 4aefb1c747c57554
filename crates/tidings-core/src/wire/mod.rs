//! Messages as bytes: a frame with a checksum that the cluster's name is part of, around tagged sections.
//!
//! ```text
//! 'T'  version  kind  cluster tag (4)  CRC-32 (4)  section*
//! section = tag (1)  length (2)  content
//! ```
//!
//! The tag tells messages of other clusters from damaged ones; the checksum runs over a longer hash of the cluster's
//! name, the version, the kind and all sections. Sections come by rising tag, each at most once; those
//! above the last known tag are skipped, so that later releases can add some. Everything else that is not exactly as the encoder would write it is an error, no number is
//! believed before it is checked, and nothing is allocated that the bytes at hand have not paid for.

mod bytes;
mod parts;
pub(crate) mod size;

pub use bytes::{Reader, Writer};
pub use parts::{read_addresses, read_entry, write_addresses, write_entry};

use sha2::{Digest as _, Sha256};

use crate::message::{Ack, Body, Message, Refusal, Syn};
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
/// The highest tag that this release knows; later ones add above it.
const LAST: u8 = EVIDENCE;

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

    fn checksum(&self, kind: u8, sections: &[u8]) -> [u8; 4] {
        let mut hasher = self.salted.clone();
        hasher.update(&[PROTOCOL_VERSION, kind]);
        hasher.update(sections);
        hasher.finalize().to_be_bytes()
    }

    /// `message` as bytes.
    #[must_use]
    pub fn encode(&self, message: &Message) -> Vec<u8> {
        let mut out = Writer::over(Vec::with_capacity(256));
        let kind = match &message.body {
            Body::Syn(_) => SYN,
            Body::Ack(_) => ACK,
            Body::Ack2(_) => ACK2,
            Body::Refusal(_) => REFUSAL,
            Body::Help(_) => HELP,
            Body::Report(_) => REPORT,
        };
        out.raw(&[MAGIC, PROTOCOL_VERSION, kind]);
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
        let checksum = self.checksum(frame[2], sections);
        frame[7..].copy_from_slice(&checksum);
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
        let version = frame.byte()?;
        if version != PROTOCOL_VERSION {
            return Err(WireError::Version(version));
        }
        let kind = frame.byte()?;
        if frame.raw(4)? != self.tag {
            return Err(WireError::Cluster);
        }
        let checksum = frame.raw(4)?;
        let sections = frame.raw(frame.len())?;
        if checksum != self.checksum(kind, sections) {
            return Err(WireError::Checksum);
        }
        read_message(kind, Sections(Reader::new(sections)))
    }
}

fn write_sections(out: &mut Writer, message: &Message) {
    section(out, SENDER, |out| parts::write_sender(out, &message.sender));
    section(out, EXCHANGE, |out| out.half(message.exchange));
    match &message.body {
        Body::Syn(syn) => {
            section(out, SUMMARY, |out| out.word(syn.summary.0));
            some_section(out, HEADS, &syn.heads, parts::write_heads);
            some_section(out, LINES, &syn.lines, parts::write_lines);
            if let Some(window) = &syn.window {
                section(out, WINDOW, |out| parts::write_window(out, window));
            }
            some_section(out, EVIDENCE, &syn.evidence, parts::write_evidence);
        }
        Body::Ack(ack) => {
            section(out, SUMMARY, |out| out.word(ack.summary.0));
            some_section(out, HEADS, &ack.heads, parts::write_heads);
            some_section(out, LINES, &ack.lines, parts::write_lines);
            some_section(out, DELTAS, &ack.deltas, parts::write_deltas);
            some_section(out, EVIDENCE, &ack.evidence, parts::write_evidence);
        }
        Body::Ack2(deltas) => some_section(out, DELTAS, deltas, parts::write_deltas),
        Body::Refusal(refusal) => {
            section(out, CLOCK, |out| out.varint(refusal.clock.0));
            some_section(out, OTHERS, &refusal.others, write_addresses);
        }
        Body::Help(evidence) | Body::Report(evidence) => {
            section(out, EVIDENCE, |out| parts::write_evidence(out, std::slice::from_ref(evidence)));
        }
    }
}

fn some_section<T>(out: &mut Writer, tag: u8, items: &[T], write: impl FnOnce(&mut Writer, &[T])) {
    if !items.is_empty() {
        section(out, tag, |out| write(out, items));
    }
}

fn section(out: &mut Writer, tag: u8, content: impl FnOnce(&mut Writer)) {
    out.raw(&[tag, 0, 0]);
    let start = out.len();
    content(out);
    let len = u16::try_from(out.len() - start).expect("a section is smaller than a datagram");
    out.patch(start - 2, &len.to_be_bytes());
}

fn read_message(kind: u8, mut sections: Sections<'_>) -> Result<Message, WireError> {
    let sender = sections.required(SENDER, parts::read_sender)?;
    let exchange = sections.required(EXCHANGE, Reader::half)?;
    let body = match kind {
        SYN => Body::Syn(Syn {
            summary: Summary(sections.required(SUMMARY, Reader::word)?),
            heads: sections.optional(HEADS, parts::read_heads)?.unwrap_or_default(),
            lines: sections.optional(LINES, parts::read_lines)?.unwrap_or_default(),
            window: sections.optional(WINDOW, parts::read_window)?,
            evidence: sections.optional(EVIDENCE, parts::read_evidence)?.unwrap_or_default(),
        }),
        ACK => Body::Ack(Ack {
            summary: Summary(sections.required(SUMMARY, Reader::word)?),
            heads: sections.optional(HEADS, parts::read_heads)?.unwrap_or_default(),
            lines: sections.optional(LINES, parts::read_lines)?.unwrap_or_default(),
            deltas: sections.optional(DELTAS, parts::read_deltas)?.unwrap_or_default(),
            evidence: sections.optional(EVIDENCE, parts::read_evidence)?.unwrap_or_default(),
        }),
        ACK2 => Body::Ack2(sections.optional(DELTAS, parts::read_deltas)?.unwrap_or_default()),
        REFUSAL => Body::Refusal(Refusal {
            clock: WallClock(sections.required(CLOCK, Reader::varint)?),
            others: sections.optional(OTHERS, read_addresses)?.unwrap_or_default(),
        }),
        HELP => Body::Help(sections.required(EVIDENCE, parts::read_one_evidence)?),
        REPORT => Body::Report(sections.required(EVIDENCE, parts::read_one_evidence)?),
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
    let len = usize::from(bytes.quarter()?);
    Ok(Reader::new(bytes.raw(len)?))
}
