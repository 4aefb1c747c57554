//! Bytes like others, but for a few changes. Lengths are made to fit most of the time, so that what is inside is reached.

use tidings_core::Rng;
use tidings_core::wire::{Frames, Reader, Writer, frame};

/// How bytes are made up, as far as it takes to change them and be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A message: twelve bytes, and sections.
    Message,
    /// Messages, each with its length in front.
    Frames,
    /// Bytes.
    Plain,
}

/// The bytes of a message before its sections.
const FRAME: usize = 12;
/// Nothing grows beyond this.
const MOST: usize = 1 << 14;
/// Numbers at the edges of varints, lengths and flags.
const EDGES: [u8; 8] = [0, 1, 2, 0x7f, 0x80, 0x81, 0xfe, 0xff];

/// A changed copy of one of `pool`, with parts of others.
///
/// # Panics
/// If `pool` is empty.
#[must_use]
pub fn mutate(rng: &mut Rng, shape: Shape, pool: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = rng.pick(pool).expect("there is something to begin with").clone();
    for _ in 0..=rng.below(4) {
        let other = rng.pick(pool).expect("as before").clone();
        match shape {
            Shape::Message if rng.chance(3, 4) => bytes = change_message(rng, &bytes, &other),
            Shape::Frames if rng.chance(7, 8) => bytes = change_frames(rng, &bytes, &other),
            Shape::Message | Shape::Frames | Shape::Plain => change(rng, &mut bytes, &other),
        }
    }
    bytes.truncate(MOST);
    bytes
}

/// Changes one message among several, or their order.
fn change_frames(rng: &mut Rng, bytes: &[u8], other: &[u8]) -> Vec<u8> {
    let (mut frames, others) = (frames(bytes), frames(other));
    let Some(at) = (!frames.is_empty()).then(|| rng.below(frames.len())) else { return other.to_vec() };
    let theirs = rng.pick(&others).cloned().unwrap_or_default();
    match rng.below(8) {
        0 => drop(frames.remove(at)),
        1 => frames.insert(at, theirs),
        2 => rng.shuffle(&mut frames),
        _ => frames[at] = change_message(rng, &frames[at], &theirs),
    }
    frames.iter().flat_map(|message| frame(message)).collect()
}

fn frames(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Frames::new(MOST);
    frames.push(bytes);
    std::iter::from_fn(|| frames.next_message().ok().flatten()).collect()
}

/// Changes one section of a message, or takes one of another message.
fn change_message(rng: &mut Rng, bytes: &[u8], other: &[u8]) -> Vec<u8> {
    let Some((head, mut sections)) = sections(bytes) else { return bytes.to_vec() };
    let others = sections_or_none(other);
    let theirs = rng.pick(&others).cloned();
    let at = rng.below(sections.len().max(1));
    match (rng.below(8), theirs) {
        (0, _) if !sections.is_empty() => drop(sections.remove(at)),
        (1 | 2, Some(theirs)) => {
            sections.retain(|(tag, _)| *tag != theirs.0);
            sections.push(theirs);
            sections.sort_by_key(|(tag, _)| *tag);
        }
        (_, theirs) => {
            if let Some((_, content)) = sections.get_mut(at) {
                change(rng, content, &theirs.unwrap_or_default().1);
            }
        }
    }
    let mut out = Writer::over(head);
    for (tag, content) in &sections {
        out.byte(*tag);
        out.counted(content);
    }
    out.into_bytes()
}

type Sections = Vec<(u8, Vec<u8>)>;

fn sections(bytes: &[u8]) -> Option<(Vec<u8>, Sections)> {
    let (head, rest) = bytes.split_at_checked(FRAME)?;
    let (mut rest, mut sections) = (Reader::new(rest), Vec::new());
    while !rest.is_empty() {
        sections.push((rest.byte().ok()?, rest.counted().ok()?.to_vec()));
    }
    Some((head.to_vec(), sections))
}

fn sections_or_none(bytes: &[u8]) -> Sections {
    sections(bytes).map_or_else(Vec::new, |(_, sections)| sections)
}

/// Changes some bytes, whatever they are.
fn change(rng: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    let at = rng.below(bytes.len() + 1);
    let some = 1 + rng.below(8);
    let edge = EDGES[rng.below(EDGES.len())];
    match rng.below(8) {
        0 => bytes.insert(at, edge),
        1 => drop(bytes.drain(at..(at + some).min(bytes.len()))),
        // The highest number that a varint can be.
        2 => drop(bytes.splice(at..at, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1])),
        3 => {
            let end = (at + some).min(bytes.len());
            bytes.extend_from_within(at..end);
        }
        4 => {
            let from = rng.below(other.len() + 1);
            let part = &other[from..(from + some).min(other.len())];
            bytes.splice(at..at, part.iter().copied());
        }
        how => {
            let Some(byte) = bytes.get_mut(at) else { return };
            *byte = match how {
                5 => *byte ^ (1 << rng.below(8)),
                6 => byte.wrapping_add(EDGES[rng.below(EDGES.len())]),
                _ => edge,
            };
        }
    }
}
