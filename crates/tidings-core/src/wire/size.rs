//! How many bytes things take on the wire, so that a message can be filled to its limit and no further.

use std::net::IpAddr;

use crate::delta::{Delta, Span};
use crate::entry::{Entry, Key};
use crate::message::{Beats, Cell, Evidence, HeadLine, Line, Share};
use crate::time::{Moment, millis};
use crate::version::Version;

/// The frame around a message.
pub(crate) const FRAME: usize = 12;
/// The most that a section of a datagram takes besides its content.
pub(crate) const SECTION: usize = 4;
/// The sender, the exchange and the summary, with their sections.
pub(crate) const GREETING: usize = FRAME + (SECTION + 8 + 3 * VARINT) + (SECTION + 4) + (SECTION + 8);
/// The longest varint.
pub(crate) const VARINT: usize = 10;
/// The longest count of things in a message.
pub(crate) const COUNT: usize = 4;
/// The longest line.
pub(crate) const LONGEST_LINE: usize = 8 + 2 * VARINT;
/// A window's bounds and count, with the section.
pub(crate) const WINDOW: usize = SECTION + 16 + COUNT;
/// A list's count, with the section.
pub(crate) const LIST: usize = SECTION + COUNT;
/// A cookie, with the section.
pub(crate) const COOKIE: usize = SECTION + 8;
/// A share of what may be written, with the section.
const SHARE: usize = SECTION + 2 * COUNT;
/// What a piece takes beside its bytes, with the section.
pub(crate) const PIECE: usize = SECTION + 8 + 7 * VARINT;

/// The bytes of a varint.
pub(crate) const fn varint(number: u64) -> usize {
    let bits = 64 - (number | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// The bytes of a line.
pub(crate) fn line(line: &Line) -> usize {
    8 + varint(line.generation.0) + varint(line.max.0)
}

/// The shortest cell of a sketch.
pub(crate) const SMALLEST_CELL: usize = 8 + 1 + 1 + 4;

/// The bytes of a cell of a sketch.
pub(crate) fn cell(cell: &Cell) -> usize {
    8 + varint(cell.generation) + varint(cell.max) + 4
}

/// The most bytes that a head line takes, in whatever company.
pub(crate) fn head(head: &HeadLine) -> usize {
    8 + varint(head.generation.0) + varint(head.heartbeat.0) + varint(millis(head.age))
}

/// A run of beats, with the section.
pub(crate) fn beats(run: &Beats) -> usize {
    const BEAT: usize = 3;
    LIST + VARINT + run.beats.len() * BEAT
}

/// A share of what may be written, if there is one, with the section.
pub(crate) fn share(share: Option<&Share>) -> usize {
    share.map_or(0, |_| SHARE)
}

/// The bytes of evidence.
pub(crate) fn evidence(evidence: &Evidence) -> usize {
    let accusers = evidence.accusers.iter().map(|(_, failed)| 8 + varint(u64::from(*failed)));
    head(&evidence.head)
        + varint(millis(evidence.since))
        + varint(millis(evidence.until))
        + COUNT
        + accusers.sum::<usize>()
}

/// The most bytes that the life takes that a value has left: ten years in milliseconds.
pub(crate) const LIFE: usize = 6;

/// The most bytes of an entry that follows one of version `before`, whatever is left of its life.
pub(crate) fn entry(before: Version, key: &Key, entry: &Entry) -> usize {
    let value = entry.value.as_ref().map_or(0, |value| {
        let len = value.as_bytes().len();
        varint(len as u64) + len
    });
    let key = key.as_str().len();
    let life = if entry.expires == Moment::NEVER { 0 } else { LIFE };
    1 + varint(entry.version.0 - before.0) + life + varint(key as u64) + key + value
}

/// The most bytes that a delta takes beside its entries, however it is cut.
pub(crate) fn delta_without_entries(delta: &Delta) -> usize {
    if let Span::Forgotten(certificate) = &delta.span {
        return 8 + 1 + 4 * VARINT + 1 + certificate.name.as_str().len();
    }
    let introduction = delta.introduction.as_ref().map_or(0, |who| {
        let address = match who.address.ip() {
            IpAddr::V4(_) => 7,
            IpAddr::V6(_) => 19,
        };
        1 + who.name.as_str().len() + address + varint(who.heartbeat.0) + varint(millis(who.age))
    });
    let numbers = [delta.generation.0, delta.after().0, delta.gc.0, delta.max.0, delta.max.0];
    8 + 1 + numbers.map(varint).iter().sum::<usize>() + COUNT + introduction
}

/// The most bytes that a delta takes.
pub(crate) fn delta(delta: &Delta) -> usize {
    let mut before = delta.after();
    let mut sum = delta_without_entries(delta);
    for (key, entry) in &delta.entries {
        sum += self::entry(before, key, entry);
        before = entry.version;
    }
    sum
}

/// The most bytes that any delta takes beside its entries.
pub(crate) const LARGEST_DELTA: usize = 8 + 1 + 5 * VARINT + COUNT + LARGEST_INTRODUCTION;
const LARGEST_INTRODUCTION: usize = 1 + 64 + 19 + 2 * VARINT;

/// The bytes that the entries of one version may take, so that they fit a datagram whatever else is in it.
pub(crate) const fn room_for_a_version(datagram: usize) -> usize {
    datagram - (GREETING + 4 * LIST + VARINT + SECTION + COOKIE + SHARE + LARGEST_DELTA)
}
