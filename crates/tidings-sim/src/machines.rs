//! What is done to the machines of a simulation.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use tidings_core::{
    Config, Gossiper, Key, Lifetime, Moment, NodeName, RemoveError, Removed, Request, RequestError,
    RequestId, Seal, Time, Value, Version, WriteError,
};

use crate::node::{Arrivals, Disk, Pause, Place, SimNode};
use crate::simulation::Simulation;

impl Simulation {
    /// Starts a new node, on an empty disk, with `seeds` to begin with. It may name places that don't exist yet.
    ///
    /// # Panics
    /// If the name is none, or the configuration cannot work.
    pub fn start(&mut self, name: &str, config: Config, seeds: &[Place]) -> Place {
        let place = self.add(name, config, seeds);
        self.boot(place);
        place
    }

    pub(crate) fn add(&mut self, name: &str, config: Config, seeds: &[Place]) -> Place {
        let place = Place(self.nodes.len());
        let name = NodeName::new(name).expect("a simulated node has a proper name");
        self.nodes.push(SimNode {
            id: name.id(),
            name,
            seal: Seal::new(&config.cluster),
            config,
            address: place.address(),
            advertised: None,
            received: 0,
            seeds: seeds.to_vec(),
            neighbours: None,
            core: None,
            disk: None,
            backups: VecDeque::new(),
            saving: None,
            disk_is_broken: false,
            skew: 0,
            drift: 0,
            work: Duration::ZERO,
            busy_until: Moment::default(),
            has_given_way: false,
            life: 0,
            wake: Moment::NEVER,
            paused: None,
            events: Vec::new(),
            answers: Vec::new(),
        });
        place
    }

    /// Lets a node gossip with these alone, from now on. They may not exist yet.
    pub fn neighbours(&mut self, place: Place, neighbours: &[Place]) {
        self.nodes[place.0].neighbours = Some(neighbours.to_vec());
        let addresses = neighbours.iter().map(|&place| self.address(place)).collect();
        self.tell(place, |core, now| core.handle_neighbours(now, addresses));
    }

    /// Kills a node: what it had not saved is gone, and so is what waited for it.
    pub fn crash(&mut self, place: Place) {
        self.trace.line(self.now, place, format_args!("crash"));
        self.break_streams(place);
        let node = &mut self.nodes[place.0];
        (node.core, node.paused, node.saving) = (None, None, None);
        if let Some(checker) = &mut self.checker {
            checker.crashed(self.now, place);
        }
    }

    /// Starts a crashed node again.
    ///
    /// # Panics
    /// If it runs.
    pub fn restart(&mut self, place: Place, disk: Disk) {
        assert!(!self.is_up(place), "a node that runs is not started again");
        let is_lost = self.nodes[place.0].find_disk(disk);
        if let Some(checker) = self.checker.as_mut().filter(|_| is_lost) {
            checker.lost_disk(place);
        }
        self.boot(place);
    }

    /// Sets a node's wall clock ahead of the world's, or behind it, by so many milliseconds.
    pub fn skew(&mut self, place: Place, milliseconds: i64) {
        self.nodes[place.0].skew = milliseconds;
    }

    /// Lets all clocks of a node run too fast by so many millionths, from its next start on.
    pub fn drift(&mut self, place: Place, millionths: i32) {
        self.nodes[place.0].drift = millionths;
    }

    /// Lets a node take `work` for each message, from now on: whatever comes meanwhile waits.
    pub fn slow(&mut self, place: Place, work: Duration) {
        self.trace.line(self.now, place, format_args!("slow {work:?}"));
        self.nodes[place.0].work = work;
    }

    /// Lets all that a node saves fail from now on, or no longer.
    pub fn break_disk(&mut self, place: Place, is_broken: bool) {
        self.nodes[place.0].disk_is_broken = is_broken;
    }

    /// Stops a node's processor. Datagrams for it wait, or are lost.
    pub fn pause(&mut self, place: Place, arrivals: Arrivals) {
        self.trace.line(self.now, place, format_args!("pause"));
        self.nodes[place.0].paused.get_or_insert(Pause { arrivals, waiting: Vec::new() });
        if let Some(checker) = &mut self.checker {
            checker.paused(self.now, place);
        }
    }

    /// Lets a paused node run again: it finds all datagrams that waited at once.
    pub fn resume(&mut self, place: Place) {
        self.trace.line(self.now, place, format_args!("resume"));
        let Some(Pause { waiting, .. }) = self.nodes[place.0].paused.take() else { return };
        if let Some(checker) = &mut self.checker {
            checker.resumed(self.now, place);
        }
        for (from, bytes) in waiting {
            self.arrive(place, from, bytes);
        }
        self.wake(place);
    }

    /// Sets a key of a node.
    ///
    /// # Panics
    /// If the node refuses the write, or is down.
    pub fn set(&mut self, place: Place, key: &str, value: &str) {
        self.set_many(place, &[(key, value)]);
    }

    /// Sets keys of a node in one version.
    ///
    /// # Panics
    /// If the node refuses the write, or is down.
    pub fn set_many(&mut self, place: Place, pairs: &[(&str, &str)]) {
        let pair = |(key, value): &(&str, &str)| (Key::new(key).expect("a proper key"), Value::from(value));
        let pairs: Vec<_> = pairs.iter().map(pair).collect();
        self.try_set(place, pairs).expect("the write is accepted");
    }

    /// Sets keys of a node in one version.
    ///
    /// # Errors
    /// The node refuses the write.
    ///
    /// # Panics
    /// If it is down.
    pub fn try_set(&mut self, place: Place, pairs: Vec<(Key, Value)>) -> Result<Version, WriteError> {
        self.try_set_for(place, pairs, Lifetime::default())
    }

    /// Sets keys of a node in one version, for a lifetime.
    ///
    /// # Errors
    /// The node refuses the write.
    ///
    /// # Panics
    /// If it is down.
    pub fn try_set_for(
        &mut self,
        place: Place,
        pairs: Vec<(Key, Value)>,
        lifetime: Lifetime,
    ) -> Result<Version, WriteError> {
        let write = pairs.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
        self.write(place, write, lifetime, |core, now| core.set_for(now, pairs, lifetime))
    }

    /// Sets a key of a node, for a lifetime.
    ///
    /// # Panics
    /// If the node refuses the write, or is down.
    pub fn set_for(&mut self, place: Place, key: &str, value: &str, lifetime: Lifetime) {
        let pair = (Key::new(key).expect("a proper key"), Value::from(value));
        self.try_set_for(place, vec![pair], lifetime).expect("the write is accepted");
    }

    /// Deletes a key of a node.
    ///
    /// # Errors
    /// The node refuses the write: there is no such key.
    ///
    /// # Panics
    /// If it is down.
    pub fn try_delete(&mut self, place: Place, key: Key) -> Result<Version, WriteError> {
        self.write(place, vec![(key.clone(), None)], Lifetime::default(), |core, now| core.delete(now, key))
    }

    /// Lets a node write, as `command` says. A checker is told of the write before anybody can see it.
    fn write(
        &mut self,
        place: Place,
        write: Vec<(Key, Option<Value>)>,
        lifetime: Lifetime,
        command: impl FnOnce(&mut Gossiper, Time) -> Result<Version, WriteError>,
    ) -> Result<Version, WriteError> {
        let node = &mut self.nodes[place.0];
        let now = node.time(self.now);
        let written = command(node.core.as_mut().expect("the node is up"), now);
        if let (Ok(version), Some(checker)) = (&written, &mut self.checker) {
            checker.wrote(self.now, place, *version, (write, lifetime));
        }
        self.touch(place);
        self.drain(place);
        written
    }

    /// Lets a node ask another one for a change.
    ///
    /// # Errors
    /// The node does not ask.
    ///
    /// # Panics
    /// If it is down.
    pub fn request(
        &mut self,
        place: Place,
        owner: Place,
        request: Request,
        wait: Duration,
    ) -> Result<RequestId, RequestError> {
        let name = self.name(owner).clone();
        let asked = self.tell(place, |core, now| core.request(now, &name, request.clone(), wait));
        if let (Ok(id), Some(checker)) = (&asked, &mut self.checker) {
            checker.asked(place, name.id(), *id, request);
        }
        asked
    }

    /// Lets a node announce that it leaves.
    ///
    /// # Panics
    /// If it is down.
    pub fn leave(&mut self, place: Place) {
        if let Some(checker) = &mut self.checker {
            checker.leaves(place);
        }
        self.tell(place, Gossiper::leave);
    }

    /// Lets a node remove another one.
    ///
    /// # Errors
    /// It refuses.
    ///
    /// # Panics
    /// If it is down.
    pub fn remove(&mut self, place: Place, subject: Place) -> Result<Removed, RemoveError> {
        let name = self.name(subject).clone();
        self.tell(place, |core, now| core.remove(now, &name))
    }

    /// Deletes a key of a node.
    ///
    /// # Panics
    /// If the node refuses, or is down.
    pub fn delete(&mut self, place: Place, key: &str) {
        self.try_delete(place, Key::new(key).expect("a proper key")).expect("the delete is accepted");
    }

    /// Puts a datagram in front of a node, as if it had just come from `from`.
    pub fn inject(&mut self, place: Place, from: SocketAddr, bytes: &[u8]) {
        self.arrive(place, from, bytes.to_vec());
    }

    /// Starts another machine with a copy of a node's disk, and its name.
    ///
    /// # Panics
    /// If the node has no disk.
    pub fn clone_disk(&mut self, of: Place, seeds: &[Place]) -> Place {
        let (name, config) = (self.nodes[of.0].name.to_string(), self.nodes[of.0].config.clone());
        let disk = self.nodes[of.0].disk.clone();
        assert!(disk.is_some(), "there is nothing to copy");
        let place = self.add(&name, config, seeds);
        self.nodes[place.0].disk = disk;
        self.boot(place);
        place
    }

    /// Lets two nodes stop, and start again at each other's addresses.
    pub fn swap(&mut self, one: Place, other: Place) {
        self.crash(one);
        self.crash(other);
        let addresses = [one, other].map(|place| self.nodes[place.0].address);
        self.move_to(one, addresses[1]);
        self.move_to(other, addresses[0]);
        self.boot(one);
        self.boot(other);
    }

    /// Starts a machine again, under another name and with nothing on its disk.
    ///
    /// # Panics
    /// If it runs, or the name is none.
    pub fn rename(&mut self, place: Place, name: &str) {
        let node = &mut self.nodes[place.0];
        node.name = NodeName::new(name).expect("a simulated node has a proper name");
        node.id = node.name.id();
        self.restart(place, Disk::Lost);
    }

    /// Lets a node start again, and say that it is at `address`, where it is not.
    pub fn advertise(&mut self, place: Place, address: SocketAddr) {
        self.crash(place);
        self.nodes[place.0].advertised = Some(address);
        self.boot(place);
    }

    /// Starts a node of another cluster at the address of one that is down.
    ///
    /// # Panics
    /// If that one runs, or the name is none.
    pub fn occupy(&mut self, place: Place, name: &str, config: Config, seeds: &[Place]) -> Place {
        assert!(!self.is_up(place), "an address has one node");
        let address = self.nodes[place.0].address;
        let stranger = self.add(name, config, seeds);
        self.move_to(stranger, address);
        self.boot(stranger);
        stranger
    }

    /// Gives a node its address back, where a stranger was that is down now.
    pub fn reclaim(&mut self, place: Place) {
        let address = self.nodes[place.0].address;
        self.moved.insert(address, place);
    }
}
