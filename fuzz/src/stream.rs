//! Streams: one that a stranger opened, and one that the node opened to fetch what it lacks.

use tidings_core::wire::{Frames, WireError};
use tidings_core::{Message, Mode, Seal, StreamEnd, StreamId};

use crate::world::{CLUSTER, World, far};

/// The longest message that is read here.
const LONGEST: usize = 1 << 16;

/// `bytes` are all that comes on a stream, but for the checksums, which are made to fit. However they are cut, the
/// messages are the same, and whoever sends them, the node stands and keeps what is its own.
pub fn stream(bytes: &[u8]) -> bool {
    let whole = cut(bytes.chunks(bytes.len().max(1)));
    let size = 1 + crc32fast::hash(bytes) as usize % 13;
    assert_eq!(whole, cut(bytes.chunks(size)), "cut into parts of {size}, it brings something else");
    let (frames, end) = whole;
    if frames.is_empty() {
        return false;
    }
    let seal = Seal::new(CLUSTER);
    let mut messages = Vec::new();
    for mut frame in frames {
        seal.reseal(&mut frame);
        match seal.decode(&frame) {
            Ok(message) => messages.push((frame.len(), message)),
            Err(_) => break,
        }
    }

    let mut world = World::new(Mode::PushPull);
    let served = world.node.handle_stream(world.now).expect("there is room for one");
    hear(&mut world, served, &messages, end.is_some());
    world.answer_with_ack(true, &[far("ann"), far("eve")]);
    if let Some(fetched) = world.opened {
        hear(&mut world, fetched, &messages, end.is_some());
    }
    world.live(20);
    world.is_unharmed();
    !messages.is_empty()
}

fn hear(world: &mut World, stream: StreamId, messages: &[(usize, Message)], breaks: bool) {
    for (len, message) in messages {
        world.tell_on(stream, *len, message.clone());
    }
    if breaks {
        world.node.handle_stream_closed(world.now, stream, StreamEnd::Broken);
    }
}

/// The frames that come out, and what ends them.
fn cut<'a>(parts: impl Iterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, Option<WireError>) {
    let (mut frames, mut out) = (Frames::new(LONGEST), Vec::new());
    for part in parts {
        frames.push(part);
        loop {
            match frames.next_message() {
                Ok(Some(frame)) => out.push(frame),
                Ok(None) => break,
                Err(error) => return (out, Some(error)),
            }
        }
    }
    (out, frames.is_mid_message().then_some(WireError::Truncated))
}
