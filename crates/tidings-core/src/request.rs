//! Asking an owner to change what is its own: what is asked, what it says, and how both stand in gossiped state.
//!
//! A request is an entry of the requester's own state under `tidings/req/SLOT`; the answer is in an entry of the owner's,
//! `tidings/ack/REQUESTER`, which is written in the same version as the change itself (PROTOCOL.md, "Asking the owner").

mod acknowledged;

use std::fmt;
use std::time::Duration;

pub(crate) use acknowledged::Acknowledged;

use crate::entry::{Key, Lifetime, Value};
use crate::name::{NodeId, NodeName};
use crate::owner::WriteError;
use crate::replica::Replica;
use crate::time::{Moment, millis};
use crate::version::{Generation, Version};
use crate::wire::{Reader, WireError, Writer};

/// How many requests a node may have under way, to all owners together.
pub(crate) const OUTSTANDING: usize = 64;
/// How many requesters an owner remembers.
pub(crate) const REQUESTERS: usize = 1_024;

/// Which request of a node: they rise as long as the node remembers its requests, and from life to life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RequestId {
    /// The highest generation that the node had when it asked.
    pub epoch: Generation,
    /// Its place among the requests of the epoch.
    pub sequence: u64,
}

/// The write that a key shows, as one who compares has to name it: versions begin anew with some lives.
pub type Stamp = (Generation, Version);

/// What is [expected](Request::expected) of a key that is to show nothing.
pub const NOTHING: Stamp = (Generation(0), Version(0));

/// A change that a node asks the owner of a key for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The key.
    pub key: Key,
    /// What it is to show; `None` deletes.
    pub value: Option<Value>,
    /// For how long it is to be there, from when the owner grants it.
    pub lifetime: Lifetime,
    /// The write that it has to show until then, or [`NOTHING`], if that matters.
    pub expected: Option<Stamp>,
}

/// What the owner made of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It made the change, as this write.
    Applied(Stamp),
    /// It did not: its policy allows nobody to ask for changes of this key.
    NotAllowed,
    /// It did not, since there is no such key to delete.
    Absent,
    /// It did not, for this reason.
    Refused(String),
    /// It did not, since the key shows another write than the expected one: this one, or nothing.
    Conflict(Option<Stamp>),
}

/// Why there is no outcome. What was asked for may have been done, or may still be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unanswered {
    /// None came in time, and the request was withdrawn.
    Late,
    /// None came before this node left, and the request was withdrawn.
    Left,
    /// The request could not be saved: it was never sent.
    Unsaved,
}

/// Somebody asks, and the user of this node decides: see [`Policy::Decided`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Who asks.
    pub requester: NodeName,
    /// Which of its requests it is.
    pub id: RequestId,
    /// What it asks for.
    pub request: Request,
}

/// Which requests of other nodes an owner grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Policy {
    /// Those for keys that one of these patterns fits, in which `*` stands for any text. Without patterns, none.
    Keys(Vec<String>),
    /// Those that its user grants: [`poll_question`](crate::Gossiper::poll_question) asks.
    Decided,
}

/// Why a node does not ask. Nothing was asked then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The owner is not known here.
    #[error("no other node {owner} is known")]
    UnknownOwner {
        /// The owner.
        owner: NodeName,
    },
    /// Too many requests are under way.
    #[error("this node waits for the answers to {OUTSTANDING} requests: that is the limit")]
    TooMany,
    /// The request cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Request {
    /// Asks for `key` to show `value`, until it is written again; for `None`, to be deleted.
    #[must_use]
    pub fn new(key: Key, value: Option<Value>) -> Self {
        Self { key, value, lifetime: Lifetime::default(), expected: None }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch, self.sequence)
    }
}

impl RequestId {
    /// The next one in a life of `generation`. An owner can say that it heard of any: numbers rise all the same.
    pub(crate) fn next(self, generation: Generation) -> Self {
        let later = Self { epoch: generation.max(Generation(self.epoch.0.saturating_add(1))), sequence: 1 };
        let goes_on = generation <= self.epoch && self.sequence < Self::HIGHEST;
        if goes_on { Self { epoch: self.epoch, sequence: self.sequence + 1 } } else { later }
    }

    /// Nobody asks as often: a higher number is none.
    const HIGHEST: u64 = 1 << 62;

    /// Whether a node that hears that it asked this much already can go on from there.
    pub(crate) fn is_believable(self, highest: Generation) -> bool {
        self.epoch <= highest && self.sequence <= Self::HIGHEST / 2
    }

    fn write(self, out: &mut Writer) {
        out.varint(self.epoch.0);
        out.varint(self.sequence);
    }

    fn read(bytes: &mut Reader<'_>) -> Result<Self, WireError> {
        let id = Self { epoch: Generation(bytes.varint()?), sequence: bytes.varint()? };
        if id.epoch > Generation(0) && (1..=Self::HIGHEST).contains(&id.sequence) {
            Ok(id)
        } else {
            Err(WireError::Malformed("a request without a number"))
        }
    }
}

impl Policy {
    /// Whether a request for `key` is granted; `None` where the user decides.
    pub(crate) fn grants(&self, key: &Key) -> Option<bool> {
        match self {
            Self::Keys(patterns) => Some(patterns.iter().any(|pattern| fits(pattern, key.as_str()))),
            Self::Decided => None,
        }
    }
}

/// Whether `pattern` fits all of `text`: `*` stands for any text.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return text.ends_with(part);
        }
        // The first place is as good as any: what follows has the most text left.
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    true
}

/// A request as an entry of its requester's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Posted {
    pub owner: NodeId,
    pub id: RequestId,
    pub request: Request,
}

const DELETE: u8 = 0b01;
const EXPECTED: u8 = 0b10;
const EPHEMERAL: u8 = 0b100;
const TTL: u8 = 0b1000;

impl Posted {
    /// The key of the entry in `slot`.
    pub(crate) fn key(slot: u8) -> Key {
        Key::of_protocol(&format!("{}{slot:02}", Key::REQUEST))
    }

    /// What the entry shows.
    pub(crate) fn encode(&self) -> Value {
        let Request { key, value, lifetime, expected } = &self.request;
        let mut out = Writer::default();
        out.word(self.owner.0);
        self.id.write(&mut out);
        let flags = [
            (value.is_none(), DELETE),
            (expected.is_some(), EXPECTED),
            (lifetime.is_ephemeral, EPHEMERAL),
            (lifetime.ttl.is_some(), TTL),
        ];
        out.byte(flags.iter().filter(|(is_so, _)| *is_so).map(|(_, flag)| flag).sum());
        out.counted(key.as_str().as_bytes());
        value.iter().for_each(|value| out.counted(value.as_bytes()));
        expected.iter().for_each(|stamp| write_stamp(&mut out, *stamp));
        lifetime.ttl.iter().for_each(|ttl| out.varint(millis(*ttl)));
        Value::from(out.into_bytes())
    }

    /// The request that an entry shows.
    pub(crate) fn decode(value: &Value) -> Result<Self, WireError> {
        let bytes = &mut Reader::new(value.as_bytes());
        let (owner, id) = (NodeId(bytes.word()?), RequestId::read(bytes)?);
        let flags = bytes.byte()?;
        if flags & !(DELETE | EXPECTED | EPHEMERAL | TTL) != 0 {
            return Err(WireError::Malformed("an unknown kind of request"));
        }
        let key =
            Key::new(text(bytes.counted()?)?).map_err(|_| WireError::Malformed("a key out of bounds"))?;
        let value = if flags & DELETE == 0 { Some(Value::from(bytes.counted()?)) } else { None };
        let expected = if flags & EXPECTED == 0 { None } else { Some(read_stamp(bytes)?) };
        let ttl = if flags & TTL == 0 { None } else { Some(Duration::from_millis(bytes.varint()?)) };
        let lifetime = Lifetime { ttl, is_ephemeral: flags & EPHEMERAL != 0 };
        // An owner that granted another one would tell what nobody reads.
        lifetime.check().map_err(|_| WireError::Malformed("a life out of bounds"))?;
        whole(bytes, Self { owner, id, request: Request { key, value, lifetime, expected } })
    }

    /// Which requests `replica` shows.
    pub(crate) fn places(replica: &Replica) -> impl Iterator<Item = Place<'_>> {
        replica.entries_under(Key::REQUEST).take(OUTSTANDING).filter_map(|(key, entry)| {
            let slot = key.as_str().strip_prefix(Key::REQUEST)?.parse().ok()?;
            let value = entry.value.as_ref()?;
            let bytes = &mut Reader::new(value.as_bytes());
            let (owner, id) = (NodeId(bytes.word().ok()?), RequestId::read(bytes).ok()?);
            Some(Place { slot, owner, id, until: entry.expires, value })
        })
    }
}

/// Where a request stands in its requester's state, and as much of it as is read before it is answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub slot: u8,
    pub owner: NodeId,
    pub id: RequestId,
    /// When it expires.
    pub until: Moment,
    /// All of it: see [`Posted::decode`].
    pub value: &'a Value,
}

fn write_stamp(out: &mut Writer, (generation, version): Stamp) {
    out.varint(generation.0);
    out.varint(version.0);
}

fn read_stamp(bytes: &mut Reader<'_>) -> Result<Stamp, WireError> {
    Ok((Generation(bytes.varint()?), Version(bytes.varint()?)))
}

fn text(bytes: &[u8]) -> Result<&str, WireError> {
    std::str::from_utf8(bytes).map_err(|_| WireError::Malformed("text that is not UTF-8"))
}

/// `read`, if all was read.
fn whole<T>(bytes: &Reader<'_>, read: T) -> Result<T, WireError> {
    if bytes.is_empty() { Ok(read) } else { Err(WireError::Malformed("an entry with a rest")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Entry;

    pub(super) fn id(epoch: u64, sequence: u64) -> RequestId {
        RequestId { epoch: Generation(epoch), sequence }
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, does) in [
            ("*", "", true),
            ("config/*", "config/a/b", true),
            ("config/*", "config", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*bc", "abcbc", true),
            ("*bc*d", "abcd", true),
            ("*ab*b", "ab", false),
            ("a*b", "ab-", false),
            ("**", "x", true),
            ("a", "ab", false),
            ("", "", true),
        ] {
            assert_eq!(fits(pattern, text), does, "{pattern} {text}");
        }
    }

    /// What is written is read, and nothing shorter, longer or unknown is.
    #[test]
    fn a_request_is_read_as_it_was_written_or_not_at_all() {
        let key = Key::new("config/a").unwrap();
        let lasting = Lifetime::ttl(Duration::from_millis(1_500));
        for (value, lifetime, expected) in [
            (Some(Value::from("x")), Lifetime { is_ephemeral: true, ..lasting }, None),
            (Some(Value::from("x")), Lifetime::ephemeral(), None),
            (None, Lifetime::default(), Some((Generation(3), Version(4)))),
            (None, Lifetime::default(), None),
        ] {
            let request = Request { key: key.clone(), value, lifetime, expected };
            let posted = Posted { owner: NodeId(7), id: id(9, 300), request };
            let bytes = posted.encode();
            assert_eq!(Posted::decode(&bytes), Ok(posted));
            are_strict(bytes.as_bytes(), |value| Posted::decode(value).is_ok());
        }
    }

    #[test]
    fn numbers_rise_whatever_was_heard_of() {
        let life = Generation(9);
        assert_eq!(RequestId::default().next(life), id(9, 1));
        assert_eq!(id(9, 1).next(life), id(9, 2));
        assert_eq!(id(8, 7).next(life), id(9, 1));
        assert_eq!(id(12, 7).next(life), id(12, 8));
        assert_eq!(id(12, RequestId::HIGHEST).next(life), id(13, 1));
        assert_eq!(id(8, RequestId::HIGHEST).next(life), id(9, 1));
    }

    #[test]
    fn a_number_is_read_if_somebody_can_have_it() {
        for (number, is_one, is_believable) in [
            (id(9, 1), true, true),
            (id(9, 1 << 61), true, true),
            (id(9, (1 << 61) + 1), true, false),
            (id(9, 1 << 62), true, false),
            (id(9, (1 << 62) + 1), false, false),
            (id(9, 0), false, true),
            (id(0, 1), false, true),
            (id(10, 1), true, false),
        ] {
            let mut bytes = Writer::default();
            number.write(&mut bytes);
            let read = RequestId::read(&mut Reader::new(&bytes.into_bytes()));
            assert_eq!(read.ok(), is_one.then_some(number), "{number}");
            assert_eq!(number.is_believable(Generation(9)), is_believable, "{number}");
        }
        assert_eq!(id(9, 300).to_string(), "9:300");
    }

    #[test]
    fn a_policy_grants_what_one_of_its_patterns_fits() {
        let grants = |policy: Policy| ["config/a", "color"].map(|key| policy.grants(&Key::new(key).unwrap()));
        let keys = |patterns: &[&str]| Policy::Keys(patterns.iter().map(|&key| key.to_owned()).collect());
        assert_eq!(grants(keys(&[])), [Some(false); 2]);
        assert_eq!(grants(keys(&["other", "config/*"])), [Some(true), Some(false)]);
        assert_eq!(grants(Policy::Decided), [None; 2]);
    }

    /// What stands where requests do and is none is passed over.
    #[test]
    fn a_replica_shows_the_requests_in_its_slots() {
        let request = Request::new(Key::new("config/a").unwrap(), Some(Value::from("x")));
        let posted = Posted { owner: NodeId(7), id: id(9, 300), request };
        let mut replica = Replica::new(Generation(1));
        let until = Moment::from_micros(5);
        let entry = |value| Entry { expires: until, ..Entry::new(value, Version(0)) };
        replica.write([
            (Posted::key(3), entry(Some(posted.encode()))),
            (Posted::key(4), Entry::delete()),
            (Posted::key(5), entry(Some(Value::from("none")))),
            (Key::new("tidings/req/x").unwrap(), entry(Some(posted.encode()))),
            (Key::new("config/a").unwrap(), entry(Some(posted.encode()))),
        ]);
        let places: Vec<_> = Posted::places(&replica).collect();
        let [place] = places[..] else { panic!("{places:?}") };
        assert_eq!((place.slot, place.owner, place.id, place.until), (3, NodeId(7), id(9, 300), until));
        assert_eq!(Posted::decode(place.value), Ok(posted));
    }

    pub(super) fn are_strict(bytes: &[u8], is_read: impl Fn(&Value) -> bool) {
        for len in 0..bytes.len() {
            assert!(!is_read(&Value::from(&bytes[..len])), "cut at {len}");
        }
        assert!(!is_read(&Value::from([bytes, &[0]].concat())), "a rest");
    }
}
