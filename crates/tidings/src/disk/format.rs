//! The files of the data directory as bytes: what each holds, between what says that it is ours and what says that it is
//! whole.

use std::net::SocketAddr;

use tidings_core::wire::{self, Reader, Writer};
use tidings_core::{Generation, Moment, NodeName, Saved, Version, WallClock};

const MAGIC: &[u8; 8] = b"tidings\x01";
const SLOT_MAGIC: &[u8; 8] = b"tidings\x02";

/// `body` as a slot holds it: after what says that it is ours, when it was written among the others and how long it is, and
/// before what says that it is whole. What follows is left from something longer.
pub(crate) fn slot(sequence: u64, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).expect("an owner's state is far below 4 GiB");
    let mut bytes = [&SLOT_MAGIC[..], &sequence.to_be_bytes(), &len.to_be_bytes(), body].concat();
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_be_bytes());
    bytes
}

/// The sequence number and the body of a slot, if all of it is there and unharmed.
pub(crate) fn open_slot(bytes: &[u8]) -> Option<(u64, &[u8])> {
    const HEAD: usize = 20;
    let (sequence, rest) = bytes.strip_prefix(SLOT_MAGIC)?.split_first_chunk::<8>()?;
    let (len, rest) = rest.split_first_chunk::<4>()?;
    let (body, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*len)).ok()?)?;
    let (checksum, _) = rest.split_first_chunk::<4>()?;
    let whole = crc32fast::hash(bytes.get(..HEAD + body.len())?) == u32::from_be_bytes(*checksum);
    whole.then_some((u64::from_be_bytes(*sequence), body))
}

/// `body` between what says that it is ours and what says that it is whole.
pub(crate) fn sealed(body: &[u8]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(body);
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_be_bytes());
    bytes
}

/// The body, if all of it is there and unharmed.
pub(crate) fn opened(bytes: &[u8]) -> Option<&[u8]> {
    let (content, checksum) = bytes.split_last_chunk::<4>()?;
    let whole = crc32fast::hash(content) == u32::from_be_bytes(*checksum);
    content.strip_prefix(MAGIC).filter(|_| whole)
}

/// What a node keeps over its lives, with the name of whose it is.
pub(crate) fn write_state(name: &NodeName, saved: &Saved) -> Vec<u8> {
    let mut out = Writer::default();
    out.counted(name.as_str().as_bytes());
    let numbers = [saved.generation.0, saved.accepted.0, saved.max.0, saved.gc.0, saved.entries.len() as u64];
    numbers.into_iter().for_each(|number| out.varint(number));
    for (key, entry) in &saved.entries {
        wire::write_entry(&mut out, Version(0), key, entry);
    }
    // From when on lives have what they have left, if something has one that ends.
    if saved.entries.iter().any(|(_, entry)| entry.expires != Moment::NEVER) {
        out.varint(saved.wall.0);
    }
    out.into_bytes()
}

/// What [`write_state`] wrote; `None` if the bytes are anything else. No bytes make it panic.
pub(crate) fn read_state(bytes: &[u8]) -> Option<(NodeName, Saved)> {
    let mut bytes = Reader::new(bytes);
    let name = NodeName::new(std::str::from_utf8(bytes.counted().ok()?).ok()?).ok()?;
    let (generation, accepted) = (Generation(bytes.varint().ok()?), Generation(bytes.varint().ok()?));
    let (max, gc) = (Version(bytes.varint().ok()?), Version(bytes.varint().ok()?));
    if max >= BEYOND {
        return None;
    }
    let count = bytes.count(4).ok()?;
    let entries = (0..count).map(|_| wire::read_entry(&mut bytes, Version(0), max));
    let entries: Vec<_> = entries.collect::<Result<_, _>>().ok()?;
    let ends = entries.iter().any(|(_, entry)| entry.expires != Moment::NEVER);
    let wall = if ends { WallClock(bytes.varint().ok()?) } else { WallClock::default() };
    let saved = Saved { generation, accepted, max, gc, entries, wall };
    bytes.is_empty().then_some((name, saved))
}

/// Where others are.
pub(crate) fn write_peers(peers: &[SocketAddr]) -> Vec<u8> {
    let mut out = Writer::default();
    wire::write_addresses(&mut out, peers);
    out.into_bytes()
}

/// No owner comes as far as this: the bound on writes stops it long before.
const BEYOND: Version = Version(1 << 60);

/// What [`write_peers`] wrote; `None` if the bytes are anything else. No bytes make it panic.
pub(crate) fn read_peers(bytes: &[u8]) -> Option<Vec<SocketAddr>> {
    let mut bytes = Reader::new(bytes);
    let peers = wire::read_addresses(&mut bytes).ok()?;
    bytes.is_empty().then_some(peers)
}

#[cfg(test)]
pub(super) mod tests {
    use tidings_core::{Entry, Key, Value};

    use super::*;

    pub(crate) fn name() -> NodeName {
        NodeName::new("api-1").unwrap()
    }

    pub(crate) fn saved() -> Saved {
        let entry = |version, value: Option<&str>| Entry::new(value.map(Value::from), Version(version));
        let key = |key| Key::new(key).unwrap();
        Saved {
            generation: Generation(1_800_000_000_000),
            accepted: Generation(1_700_000_000_000),
            max: Version(9),
            gc: Version(2),
            entries: vec![(key("a"), entry(3, Some("one"))), (key("b"), entry(9, None))],
            wall: WallClock::default(),
        }
    }

    /// The same with a value that has three seconds to live.
    fn with_a_life() -> Saved {
        let (mut saved, wall) = (saved(), WallClock(1_800_000_000_001));
        saved.entries[0].1.expires = Moment::from_micros(3_000_000);
        saved.wall = wall;
        saved
    }

    /// A later release finds what this one left: a change of these bytes makes nodes forget their state.
    #[test]
    fn r43_golden_state_is_written_and_read_byte_for_byte() {
        let golden = [
            &b"tidings\x01"[..],
            b"\x05api-1",
            b"\x80\xa0\xf1\xc2\xb1\x34\x80\xd0\x95\xff\xbc\x31\x09\x02\x02",
            b"\x00\x03\x01a\x03one",
            b"\x01\x09\x01b",
            b"\x16\x5d\xff\xe4",
        ]
        .concat();
        assert_eq!(sealed(&write_state(&name(), &saved())), golden);
        assert_eq!(opened(&golden).and_then(read_state), Some((name(), saved())));
    }

    /// The same, of a slot; what follows it does not matter.
    #[test]
    fn r43_golden_slot_is_written_and_read_byte_for_byte() {
        let golden = b"tidings\x02\0\0\0\0\0\0\x01\x07\0\0\0\x04body\x52\x61\x54\x6b";
        assert_eq!(slot(0x107, b"body"), golden);
        assert_eq!(open_slot(&[golden, &b"left"[..]].concat()), Some((0x107, &b"body"[..])));
    }

    /// Where something has a time to live, what it has left is there, and when that was saved.
    #[test]
    fn r43_golden_lives_are_written_and_read_byte_for_byte() {
        let golden = [
            &b"\x05api-1"[..],
            b"\x80\xa0\xf1\xc2\xb1\x34\x80\xd0\x95\xff\xbc\x31\x09\x02\x02",
            b"\x02\x03\xb8\x17\x01a\x03one",
            b"\x01\x09\x01b",
            b"\x81\xa0\xf1\xc2\xb1\x34",
        ]
        .concat();
        assert_eq!(write_state(&name(), &with_a_life()), golden);
        assert_eq!(read_state(&golden), Some((name(), with_a_life())));
    }

    /// Cut at every byte, and with every bit flipped, a file is never believed.
    #[test]
    fn a_damaged_file_is_not_believed() {
        let whole = sealed(&write_state(&name(), &saved()));
        for len in 0..whole.len() {
            assert_eq!(opened(&whole[..len]), None, "cut at {len}");
        }
        for bit in 0..8 * whole.len() {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(opened(&flipped), None, "bit {bit}");
        }
    }

    /// A state file whose checksum fits can still be nonsense: no bytes make reading panic.
    #[test]
    fn a_state_that_does_not_parse_is_none() {
        for saved in [saved(), with_a_life()] {
            let body = write_state(&name(), &saved);
            for len in 0..body.len() {
                assert_eq!(read_state(&body[..len]), None);
            }
            assert!(read_state(&[body, vec![0]].concat()).is_none());
        }
    }
}
