//! Streams between simulated nodes: ordered, never lost, and as faulty as the network says.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tidings_core::wire::{Frames, frame};
use tidings_core::{Gossiper, Message, Moment, Peer, StreamEnd, StreamId};

use crate::network::StreamFault;
use crate::node::Place;
use crate::queue::What;
use crate::simulation::Simulation;

/// One end of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct End {
    place: Place,
    life: u32,
    stream: StreamId,
}

/// All streams there are.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    /// The other end of each, and the frames that wait for it to be opened.
    links: BTreeMap<End, Link>,
}

#[derive(Debug, Default)]
struct Link {
    other: Option<End>,
    waiting: Vec<Vec<u8>>,
    /// When the last frame arrives: none overtakes another.
    last: Moment,
    frames: u32,
}

/// What was lost on its way, since a link is cut: the wish for a stream to somebody, or bytes.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lost {
    Wish(Place),
    Bytes(Vec<u8>),
}

/// How long it takes until what was lost is sent again.
const AGAIN: Duration = Duration::from_secs(1);

/// Something that happens to an end of a stream.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StreamHappening {
    Asked {
        by: End,
    },
    /// What was lost is sent again.
    Again(Lost),
    Opened {
        other: End,
    },
    Frame(Vec<u8>),
    Written,
    Closed(StreamEnd),
}

impl Simulation {
    fn end(&self, place: Place, stream: StreamId) -> End {
        End { place, life: self.nodes[place.0].life, stream }
    }

    fn happens(&mut self, at: Moment, end: End, what: StreamHappening) {
        self.put(at, end.place, What::Stream { end, what });
    }

    fn travel(&mut self) -> Moment {
        self.now + self.network.travel(&mut self.rng)
    }

    /// `place` opens a stream to whoever is at `to`.
    pub(crate) fn open_stream(&mut self, place: Place, stream: StreamId, to: SocketAddr) {
        let by = self.end(place, stream);
        self.counts.streams += 1;
        self.streams.links.insert(by, Link::default());
        let at = self.travel();
        let known = self.at(to);
        let refused = |to: &Place| self.network.stream_fault(place, *to) == StreamFault::Refused;
        let Some(to) = known.filter(|to| !refused(to)) else {
            return self.happens(at, by, StreamHappening::Closed(StreamEnd::Refused));
        };
        self.wish(at, by, to);
    }

    /// Asks `to` for a stream; again and again, while the link is cut.
    fn wish(&mut self, at: Moment, by: End, to: Place) {
        if self.network.is_cut(by.place, to) {
            return self.happens(at + AGAIN, by, StreamHappening::Again(Lost::Wish(to)));
        }
        self.put(at, to, What::Stream { end: by, what: StreamHappening::Asked { by } });
    }

    /// `place` sends `message` on a stream.
    pub(crate) fn send_frame(&mut self, place: Place, stream: StreamId, message: &Message) {
        let node = &self.nodes[place.0];
        let bytes = node.seal.encode(message);
        self.counts.frame(message, bytes.len());
        if let Some(checker) = &mut self.checker {
            checker.sends_frame(self.now, place, node, message, bytes.len());
        }
        let end = self.end(place, stream);
        let Some(link) = self.streams.links.get_mut(&end) else { return };
        match link.other {
            None => link.waiting.push(bytes),
            Some(_) => self.send_bytes(end, bytes),
        }
    }

    fn send_bytes(&mut self, end: End, bytes: Vec<u8>) {
        let arrival = self.travel();
        let Some(link) = self.streams.links.get_mut(&end) else { return };
        let Some(other) = link.other else { return };
        let fault = self.network.stream_fault(end.place, other.place);
        link.frames += 1;
        let slow = if let StreamFault::Slow(span) = fault { span } else { Duration::ZERO };
        link.last = link.last.max(arrival) + slow;
        let (last, frames) = (link.last, link.frames);
        if fault == StreamFault::Stalled {
            return;
        }
        if self.network.is_cut(end.place, other.place) {
            return self.happens(last + AGAIN, end, StreamHappening::Again(Lost::Bytes(bytes)));
        }
        if matches!(fault, StreamFault::Broken(most) if frames > most) {
            self.happens(last, other, StreamHappening::Closed(StreamEnd::Broken));
            return self.happens(last, end, StreamHappening::Closed(StreamEnd::Broken));
        }
        self.happens(last, other, StreamHappening::Frame(bytes));
        self.happens(last, end, StreamHappening::Written);
    }

    /// `place` closes a stream.
    pub(crate) fn close_stream(&mut self, place: Place, stream: StreamId) {
        let end = self.end(place, stream);
        if let Some(link) = self.streams.links.remove(&end) {
            let at = self.travel().max(link.last);
            if let Some(other) = link.other {
                self.happens(at, other, StreamHappening::Closed(StreamEnd::Broken));
            }
        }
    }

    /// All streams of a node that crashes break.
    pub(crate) fn break_streams(&mut self, place: Place) {
        let ends: Vec<End> = self.streams.links.keys().filter(|end| end.place == place).copied().collect();
        ends.into_iter().for_each(|end| self.close_stream(place, end.stream));
    }

    /// Something happens to a stream, at `place`.
    pub(crate) fn stream_happens(&mut self, place: Place, end: End, what: StreamHappening) {
        if let StreamHappening::Asked { by } = what {
            return self.stream_is_asked_for(place, by);
        }
        if self.nodes[place.0].life != end.life || !self.is_up(place) {
            return;
        }
        let stream = end.stream;
        match what {
            StreamHappening::Opened { other } => {
                let Some(link) = self.streams.links.get_mut(&end) else { return };
                link.other = Some(other);
                let waiting = std::mem::take(&mut link.waiting);
                waiting.into_iter().for_each(|bytes| self.send_bytes(end, bytes));
            }
            StreamHappening::Frame(bytes) => self.frame_arrives(end, &bytes),
            StreamHappening::Again(Lost::Bytes(bytes)) => self.send_bytes(end, bytes),
            StreamHappening::Again(Lost::Wish(to)) if self.streams.links.contains_key(&end) => {
                let at = self.travel();
                self.wish(at, end, to);
            }
            StreamHappening::Written if self.streams.links.contains_key(&end) => {
                self.tell(place, |core, now| core.handle_stream_written(now, stream));
            }
            StreamHappening::Closed(how) if self.streams.links.remove(&end).is_some() => {
                self.tell(place, |core, now| core.handle_stream_closed(now, stream, how));
            }
            StreamHappening::Written | StreamHappening::Closed(_) => {}
            StreamHappening::Asked { .. } | StreamHappening::Again(_) => {}
        }
    }

    fn stream_is_asked_for(&mut self, place: Place, by: End) {
        let back = self.travel();
        if !self.is_up(place) {
            return self.happens(back, by, StreamHappening::Closed(StreamEnd::Refused));
        }
        match self.tell(place, Gossiper::handle_stream) {
            None => self.happens(back, by, StreamHappening::Closed(StreamEnd::Broken)),
            Some(stream) => {
                let here = self.end(place, stream);
                self.streams.links.insert(here, Link { other: Some(by), ..Link::default() });
                self.happens(back, by, StreamHappening::Opened { other: here });
            }
        }
    }

    fn frame_arrives(&mut self, end: End, bytes: &[u8]) {
        if !self.streams.links.contains_key(&end) {
            return;
        }
        let node = &self.nodes[end.place.0];
        let mut frames = Frames::new(node.config.longest_message());
        frames.push(&frame(bytes));
        let message = frames.next_message().ok().flatten().and_then(|bytes| node.seal.decode(&bytes).ok());
        let Some(message) = message else {
            self.close_stream(end.place, end.stream);
            return self.tell(end.place, |core, now| {
                core.handle_stream_closed(now, end.stream, StreamEnd::Broken);
            });
        };
        let peer = Peer::Stream { stream: end.stream, len: bytes.len() };
        self.hear(end.place, peer, message);
    }
}
