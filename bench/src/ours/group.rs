//! Nodes that exchange with each other and nobody else, without a network in between.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use tidings_core::{Body, Gossiper, Message, Moment, Peer, Seal, StreamEnd, StreamId, Time, Transmit};

use crate::data;
use crate::ours::parts::Parts;
use crate::ours::world::{self, World};
use crate::stopwatch::timed;

/// Some nodes by their numbers, the time, and how much went between them.
#[derive(Debug)]
pub(crate) struct Group {
    /// The nodes.
    pub(crate) cores: BTreeMap<usize, Gossiper>,
    now: Time,
    seal: Seal,
    /// Whose parts they play to each other, if they play any.
    parts: Option<Parts>,
    /// The other end of each end of a stream.
    streams: BTreeMap<(usize, StreamId), (usize, StreamId)>,
    /// Exchanges that were begun.
    pub(crate) exchanges: u64,
    /// The bytes of all messages.
    pub(crate) bytes: u64,
}

impl Group {
    /// Nodes as they are when all begins.
    pub(crate) fn new(cores: impl IntoIterator<Item = (usize, Gossiper)>) -> Self {
        let cores = cores.into_iter().collect();
        let (now, seal, streams) = (world::begin(), Seal::new("bench"), BTreeMap::new());
        Self { cores, now, seal, parts: None, streams, exchanges: 0, bytes: 0 }
    }

    /// Two nodes of a whole cluster that lives and in which nothing happens: to each other they play the parts of all.
    pub(crate) fn living_pair(world: &World) -> Self {
        let parts = Some(Parts::new(world.nodes));
        Self { parts, ..Self::new([(0, world.member(0)), (1, world.member(1))]) }
    }

    /// Lets the next timer run out, and passes on all that is said then.
    pub(crate) fn step(&mut self) {
        let wakes = self.cores.iter().map(|(&number, core)| (core.poll_timeout(), number));
        let Some((moment, number)) = wakes.min() else { return };
        self.advance(moment);
        let now = self.now;
        self.core(number).handle_timeout(now);
        self.settle();
    }

    /// Lets time pass until so many more exchanges were begun.
    pub(crate) fn exchange(&mut self, more: u64) {
        let enough = self.exchanges + more;
        while self.exchanges < enough {
            self.step();
        }
    }

    /// Lets time pass until `done`, for so many exchanges at most. Returns how long this thread was at it, looking
    /// whether it is done not counted; `None` if it never came to it.
    pub(crate) fn until(&mut self, most: u64, done: impl Fn(&Self) -> bool) -> Option<Duration> {
        let most = self.exchanges + most;
        let mut took = Duration::ZERO;
        while !done(self) {
            if self.exchanges > most {
                return None;
            }
            took += timed(|| self.step()).1;
        }
        Some(took)
    }

    /// Whether all hold the same.
    pub(crate) fn is_equal(&self) -> bool {
        let mut digests = self.cores.values().map(Gossiper::digest);
        let first = digests.next();
        digests.all(|digest| Some(digest) == first)
    }

    /// Whether anybody believes that somebody crashed.
    pub(crate) fn convicts(&self) -> bool {
        self.cores.values().any(|core| core.counts()[1].1 > 0)
    }

    /// Lets a node gossip with another one alone.
    pub(crate) fn join(&mut self, number: usize, other: usize) {
        let now = self.now;
        self.core(number).handle_neighbours(now, vec![data::address(other)]);
    }

    /// The node of that number.
    pub(crate) fn core(&mut self, number: usize) -> &mut Gossiper {
        self.cores.get_mut(&number).expect("it is in the group")
    }

    fn advance(&mut self, to: Moment) {
        let moment = to.max(self.now.moment);
        let passed = moment.since(self.now.moment);
        self.now = Time { moment, wall: self.now.wall + passed };
    }

    /// Passes on all that is said, and what is said then, until all are silent.
    fn settle(&mut self) {
        let mut waiting = VecDeque::new();
        loop {
            for (&number, core) in &mut self.cores {
                while core.poll_event().is_some() {}
                while let Some(sent) = core.poll_transmit() {
                    waiting.push_back((number, sent));
                }
            }
            let Some((from, sent)) = waiting.pop_front() else { return };
            self.pass(from, sent);
        }
    }

    fn pass(&mut self, from: usize, sent: Transmit) {
        let now = self.now;
        match sent {
            Transmit::Datagram { to, message } => self.send(from, to, message),
            Transmit::Open { stream, to } => {
                let accepted = self.at(to).and_then(|to| Some((to, self.core(to).handle_stream(now)?)));
                match accepted {
                    Some(there) => {
                        self.streams.insert((from, stream), there);
                        self.streams.insert(there, (from, stream));
                    }
                    None => self.core(from).handle_stream_closed(now, stream, StreamEnd::Refused),
                }
            }
            Transmit::Frame { stream, message } => {
                let Some(&(to, there)) = self.streams.get(&(from, stream)) else { return };
                let bytes = self.seal.encode(&message);
                self.bytes += bytes.len() as u64;
                self.hear(to, &bytes, Peer::Stream { stream: there, len: bytes.len() });
                self.core(from).handle_stream_written(now, stream);
            }
            Transmit::Close { stream } => {
                if let Some((to, there)) = self.streams.remove(&(from, stream)) {
                    self.streams.remove(&(to, there));
                    self.core(to).handle_stream_closed(now, there, StreamEnd::Broken);
                }
            }
        }
    }

    fn send(&mut self, from: usize, to: SocketAddr, mut message: Message) {
        let is_syn = matches!(message.body, Body::Syn(_));
        let (heard_from, to) = match (&mut self.parts, data::number_at(to)) {
            (Some(parts), Some(to)) => parts.play(from, to, is_syn, &mut message),
            (_, to) => (from, to.unwrap_or(usize::MAX)),
        };
        if !self.cores.contains_key(&to) {
            return;
        }
        let bytes = self.seal.encode(&message);
        self.exchanges += u64::from(is_syn);
        self.bytes += bytes.len() as u64;
        self.hear(to, &bytes, Peer::Datagram { from: data::address(heard_from), len: bytes.len() });
    }

    fn hear(&mut self, to: usize, bytes: &[u8], peer: Peer) {
        let now = self.now;
        let message = self.seal.decode(bytes).expect("what was encoded can be decoded");
        // Whoever refuses a message counts that.
        let _ = self.core(to).handle_message(now, peer, message);
    }

    fn at(&self, address: SocketAddr) -> Option<usize> {
        data::number_at(address).filter(|number| self.cores.contains_key(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ours::world::World;

    #[test]
    fn two_that_know_the_same_stay_equal_and_quiet() {
        let world = World::new(50, 10);
        let mut group = Group::new([(0, world.node(0, 1)), (1, world.node(1, 0))]);
        group.exchange(10);
        assert!(group.is_equal() && !group.convicts());
    }

    #[test]
    fn two_that_play_a_living_cluster_stay_calm() {
        let mut pair = Group::living_pair(&World::new(50, 10));
        pair.exchange(400);
        assert!(pair.is_equal() && !pair.convicts());
        let before = pair.bytes;
        pair.exchange(100);
        assert!(pair.bytes - before <= 100 * 128, "{} bytes", pair.bytes - before);
    }

    #[test]
    fn a_newcomer_learns_everything() {
        let world = World::new(50, 10);
        let mut group = Group::new([(0, world.node(0, 50)), (50, world.stranger(50))]);
        group.join(50, 0);
        assert!(
            group.until(1_000, |group| group.is_equal() && group.cores[&50].counts()[0].1 == 51).is_some()
        );
    }
}
