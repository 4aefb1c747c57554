//! How a node lives: it boots, is told things, and all that it says then is done.

use std::net::SocketAddr;

use tidings_core::{Gossiper, Identity, Message, Moment, Peer, Persist, Time, Transmit};

use crate::checker::Promise;
use crate::counts::name;
use crate::network::{Sent, Verdict};
use crate::node::{Arrivals, Pause, Place, SimNode};
use crate::queue::What;
use crate::simulation::Simulation;

/// How many things a node may have to say at once.
const ENDLESS: u32 = 1_000_000;

impl Simulation {
    pub(crate) fn boot(&mut self, place: Place) {
        self.trace.line(self.now, place, format_args!("start"));
        let rng_seed = self.rng.word();
        let now = self.now;
        let node = &mut self.nodes[place.0];
        node.life += 1;
        let saved = node.disk.clone();
        let address = node.advertised.unwrap_or(node.address);
        let me = Identity { name: node.name.clone(), address, saved };
        let core = Gossiper::new(node.config.clone(), me, rng_seed, node.time(now));
        let mut core = core.expect("the configuration works");
        core.share(self.interner.clone());
        node.core = Some(core);
        node.wake = Moment::NEVER;
        self.tell_contacts(place);
        if let Some(checker) = &mut self.checker {
            checker.booted(now, place, &self.nodes[place.0]);
        }
        self.drain(place);
    }

    /// Tells a node where its seeds and neighbours are now.
    fn tell_contacts(&mut self, place: Place) {
        let node = &self.nodes[place.0];
        let addresses = |places: &[Place]| places.iter().map(|&place| self.address(place)).collect();
        let (seeds, neighbours) = (addresses(&node.seeds), node.neighbours.as_deref().map(addresses));
        let time = node.time(self.now);
        let Some(core) = self.nodes[place.0].core.as_mut() else { return };
        core.handle_seeds(time, seeds);
        if let Some(neighbours) = neighbours {
            core.handle_neighbours(time, neighbours);
        }
    }

    /// A node looks up its seeds and neighbours again, as drivers do for ever.
    pub(crate) fn look_up(&mut self, place: Place) {
        if self.nodes[place.0].paused.is_none() && self.is_up(place) {
            self.tell_contacts(place);
            self.drain(place);
        }
    }

    pub(crate) fn wake(&mut self, place: Place) {
        if self.nodes[place.0].paused.is_none() && self.is_up(place) {
            self.tell(place, Gossiper::handle_timeout);
        }
    }

    /// The disk has done what it was asked to; a paused node hears of it when it runs again.
    pub(crate) fn saved(&mut self, place: Place) {
        let node = &mut self.nodes[place.0];
        let Some(Persist { mark, saved }) = node.saving.take() else { return };
        if node.disk_is_broken {
            if let Some(checker) = &mut self.checker {
                checker.save_failed(place);
            }
            return self.tell(place, |core, now| core.handle_persist_failed(now, mark));
        }
        node.save(saved);
        self.tell(place, |core, now| core.handle_persisted(now, mark));
    }

    pub(crate) fn arrive(&mut self, place: Place, from: SocketAddr, bytes: Vec<u8>) {
        let node = &mut self.nodes[place.0];
        node.received += bytes.len() as u64;
        match &mut node.paused {
            Some(Pause { arrivals: Arrivals::Wait, waiting }) => return waiting.push((from, bytes)),
            Some(Pause { arrivals: Arrivals::AreLost, .. }) => return,
            None => {}
        }
        if node.core.is_none() {
            return;
        }
        match node.seal.decode(&bytes) {
            Ok(message) => self.hear(place, Peer::Datagram { from, len: bytes.len() }, message),
            Err(_) => self.counts.refused += 1,
        }
    }

    pub(crate) fn hear(&mut self, place: Place, peer: Peer, message: Message) {
        if let Some(checker) = &mut self.checker {
            checker.hears(self.now, place, &message);
        }
        let heard = self.tell(place, |core, now| core.handle_message(now, peer, message));
        self.counts.refused += u64::from(heard.is_err());
    }

    /// Tells a core something, and does all that it says then.
    pub(crate) fn tell<T>(&mut self, place: Place, something: impl FnOnce(&mut Gossiper, Time) -> T) -> T {
        let node = &mut self.nodes[place.0];
        let now = node.time(self.now);
        let result = something(node.core.as_mut().expect("the node is up"), now);
        self.touch(place);
        self.drain(place);
        result
    }

    /// Does all that a node has to say.
    pub(crate) fn drain(&mut self, place: Place) {
        let now = self.now;
        let node = &mut self.nodes[place.0];
        let core = node.core.as_mut().expect("the node is up");
        // Nothing that is polled leads to something else to poll.
        while let Some(event) = core.poll_event() {
            self.trace.line(now, place, format_args!("{} {:?}", event.node, event.kind));
            if let Some(checker) = &mut self.checker {
                checker.says(now, place, core, &event);
            }
            node.events.push((now, event));
        }
        while let Some(answer) = core.poll_answer() {
            if let Some(checker) = &mut self.checker {
                checker.answered(now, place, core, &answer);
            }
            node.answers.push(answer);
        }
        if let Some(persist) = core.poll_persist() {
            node.saving = Some(persist);
            let what = What::Saved { life: node.life };
            self.put(now + SimNode::SAVING, place, what);
        }
        let mut turns = 0_u32;
        while let Some(sent) = self.nodes[place.0].core.as_mut().and_then(Gossiper::poll_transmit) {
            match sent {
                Transmit::Datagram { to, message } => self.send(place, to, &message),
                Transmit::Open { stream, to } => self.open_stream(place, stream, to),
                Transmit::Frame { stream, message } => self.send_frame(place, stream, &message),
                Transmit::Close { stream } => self.close_stream(place, stream),
            }
            turns += 1;
            if turns == ENDLESS {
                return self.goes_on(place);
            }
        }
        if let Some(checker) = &mut self.checker {
            checker.look(now, place, &self.nodes[place.0]);
        }
        self.plan_wake(place);
    }

    /// A node has always something more to say.
    fn goes_on(&mut self, place: Place) {
        let now = self.now;
        let checker = self.checker.as_mut().expect("a node comes to an end");
        checker.break_promise(Promise::S10, now, place, format_args!("has always something more to say"));
    }

    fn plan_wake(&mut self, place: Place) {
        let now = self.now;
        let node = &mut self.nodes[place.0];
        let wake = node.core.as_ref().map_or(Moment::NEVER, Gossiper::poll_timeout);
        let wake = node.world(wake).max(now);
        if wake != node.wake && wake < Moment::NEVER {
            node.wake = wake;
            let what = What::Wake { life: node.life };
            self.put(wake, place, what);
        }
    }

    fn send(&mut self, from: Place, to: SocketAddr, message: &Message) {
        let node = &self.nodes[from.0];
        let bytes = node.seal.encode(message);
        if let Some(checker) = &mut self.checker {
            checker.sends(self.now, from, node, message, bytes.len());
        } else {
            assert!(bytes.len() <= node.config.datagram, "a datagram of {} bytes", bytes.len());
        }
        self.counts.sent(message, bytes.len());
        let Some(to) = self.at(to) else { return };
        let sent = Sent { at: self.now(), from, to, len: bytes.len() };
        let verdict = self.network.judge(&mut self.rng, sent);
        let copies = if verdict.lost { 0 } else { 1 + usize::from(verdict.twice) };
        // The first words hold the kind and the checksum.
        let word = |at: usize| bytes[at..at + 4].iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
        let what = [to.0 as u64, bytes.len() as u64, word(0), word(8), copies as u64];
        let line = format_args!("-> {} {} {} bytes, {copies} arrive", to.0, name(message), bytes.len());
        self.trace.note(self.now, from, what, line);
        self.counts.met(verdict);
        let bytes = if verdict.damaged { self.damage(bytes) } else { bytes };
        let address = self.address(from);
        if copies == 0 {
            return;
        }
        let at = self.arrival(verdict);
        for _ in 1..copies {
            let again = self.arrival(verdict);
            self.put(again, to, What::Arrival { from: address, bytes: bytes.clone() });
        }
        self.put(at, to, What::Arrival { from: address, bytes });
    }

    /// When something arrives that is sent now.
    fn arrival(&mut self, verdict: Verdict) -> Moment {
        self.now + verdict.late + self.network.travel(&mut self.rng)
    }

    /// Flips a bit of `bytes`, cuts them, or puts noise in their place.
    fn damage(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        let at = self.rng.below(bytes.len());
        match self.rng.below(4) {
            0 => bytes.truncate(at),
            1 => bytes[at..].iter_mut().for_each(|byte| *byte ^= self.rng.word().to_le_bytes()[0]),
            _ => bytes[at] ^= 1 << self.rng.below(8),
        }
        bytes
    }
}
