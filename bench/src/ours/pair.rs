//! Two nodes that exchange with each other and nobody else, without a network in between.

use std::collections::{BTreeMap, VecDeque};

use tidings_core::{Body, Gossiper, Moment, Peer, Seal, StreamEnd, StreamId, Time, Transmit, WallClock};

use crate::ours::world;

/// Two nodes, the time, and how much went between them.
#[derive(Debug)]
pub(crate) struct Pair {
    /// The nodes.
    pub(crate) cores: [Gossiper; 2],
    numbers: [usize; 2],
    now: Time,
    seal: Seal,
    /// What each end of a stream is called at the other end.
    streams: BTreeMap<(usize, StreamId), StreamId>,
    /// Exchanges that were begun.
    pub(crate) exchanges: u64,
    /// The bytes of all messages.
    pub(crate) bytes: u64,
    /// The largest datagram.
    pub(crate) largest: usize,
}

impl Pair {
    /// The nodes of these numbers.
    pub(crate) fn new(cores: [Gossiper; 2], numbers: [usize; 2]) -> Self {
        let seal = Seal::new("bench");
        let (now, streams) = (world::begin(), BTreeMap::new());
        Self { cores, numbers, now, seal, streams, exchanges: 0, bytes: 0, largest: 0 }
    }

    /// Lets the next timer run out, and passes on all that is said then.
    pub(crate) fn step(&mut self) {
        let wakes = [self.cores[0].poll_timeout(), self.cores[1].poll_timeout()];
        let next = usize::from(wakes[1] < wakes[0]);
        self.advance(wakes[next]);
        self.cores[next].handle_timeout(self.now);
        self.settle();
    }

    /// Lets time pass until so many more exchanges were begun.
    pub(crate) fn exchange(&mut self, more: u64) {
        let enough = self.exchanges + more;
        while self.exchanges < enough {
            self.step();
        }
    }

    /// Lets time pass until `done`, for a thousand exchanges at most. Returns whether it came to it.
    pub(crate) fn until(&mut self, done: impl Fn(&Self) -> bool) -> bool {
        let most = self.exchanges + 1_000;
        while !done(self) {
            if self.exchanges > most {
                return false;
            }
            self.step();
        }
        true
    }

    /// What time it is.
    pub(crate) fn now(&self) -> Time {
        self.now
    }

    /// Whether both hold the same.
    pub(crate) fn is_equal(&self) -> bool {
        self.cores[0].digest() == self.cores[1].digest()
    }

    /// Whether either believes that somebody crashed.
    pub(crate) fn convicts(&self) -> bool {
        self.cores.iter().any(|core| core.counts()[1].1 > 0)
    }

    fn advance(&mut self, to: Moment) {
        let moment = to.max(self.now.moment);
        let passed = moment.since(self.now.moment);
        self.now = Time { moment, wall: WallClock(self.now.wall.0) + passed };
    }

    /// Passes on all that is said, and what is said then, until both are silent.
    pub(crate) fn settle(&mut self) {
        let mut waiting = VecDeque::new();
        loop {
            for side in 0..2 {
                while self.cores[side].poll_event().is_some() {}
                while let Some(sent) = self.cores[side].poll_transmit() {
                    waiting.push_back((side, sent));
                }
            }
            let Some((side, sent)) = waiting.pop_front() else { return };
            self.pass(side, sent);
        }
    }

    fn pass(&mut self, side: usize, sent: Transmit) {
        let (other, now) = (1 - side, self.now);
        match sent {
            Transmit::Datagram { to, message } => {
                if to != world::address(self.numbers[other]) {
                    return;
                }
                let bytes = self.seal.encode(&message);
                self.exchanges += u64::from(matches!(message.body, Body::Syn(_)));
                self.bytes += bytes.len() as u64;
                self.largest = self.largest.max(bytes.len());
                let from = world::address(self.numbers[side]);
                let peer = Peer::Datagram { from, len: bytes.len() };
                let message = self.seal.decode(&bytes).expect("what was encoded can be decoded");
                // What is refused was counted by whoever refused it.
                let _ = self.cores[other].handle_message(now, peer, message);
            }
            Transmit::Open { stream, .. } => match self.cores[other].handle_stream(now) {
                Some(accepted) => {
                    self.streams.insert((side, stream), accepted);
                    self.streams.insert((other, accepted), stream);
                }
                None => self.cores[side].handle_stream_closed(now, stream, StreamEnd::Refused),
            },
            Transmit::Frame { stream, message } => {
                let Some(&there) = self.streams.get(&(side, stream)) else { return };
                let bytes = self.seal.encode(&message);
                self.bytes += bytes.len() as u64;
                let message = self.seal.decode(&bytes).expect("what was encoded can be decoded");
                let peer = Peer::Stream { stream: there, len: bytes.len() };
                let _ = self.cores[other].handle_message(now, peer, message);
                self.cores[side].handle_stream_written(now, stream);
            }
            Transmit::Close { stream } => {
                if let Some(there) = self.streams.remove(&(side, stream)) {
                    self.streams.remove(&(other, there));
                    self.cores[other].handle_stream_closed(now, there, StreamEnd::Broken);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ours::world::World;

    #[test]
    fn two_that_know_the_same_stay_equal_and_quiet() {
        let world = World::new(50, 10);
        let mut pair = Pair::new([world.node(0, 1), world.node(1, 0)], [0, 1]);
        pair.exchange(10);
        assert!(pair.is_equal() && !pair.convicts());
    }

    #[test]
    fn a_newcomer_learns_everything() {
        let world = World::new(50, 10);
        let mut newcomer = world.stranger(50);
        newcomer.handle_seeds(world::begin(), vec![world::address(0)]);
        let mut pair = Pair::new([world.node(0, 50), newcomer], [0, 50]);
        assert!(pair.until(|pair| pair.is_equal() && pair.cores[1].members(pair.now().moment).len() == 51));
    }
}
