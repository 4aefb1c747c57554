//! What is done to the machines of a simulation.

use std::net::SocketAddr;

use tidings_core::{Config, Gossiper, Key, Moment, NodeName, Seal, Value};

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

    fn add(&mut self, name: &str, config: Config, seeds: &[Place]) -> Place {
        let place = Place(self.nodes.len());
        self.nodes.push(SimNode {
            name: NodeName::new(name).expect("a simulated node has a proper name"),
            seal: Seal::new(&config.cluster),
            config,
            address: place.address(),
            advertised: None,
            received: 0,
            seeds: seeds.to_vec(),
            neighbours: None,
            core: None,
            disk: None,
            saving: None,
            disk_is_broken: false,
            skew: 0,
            life: 0,
            wake: Moment::NEVER,
            paused: None,
            events: Vec::new(),
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
    }

    /// Starts a crashed node again.
    ///
    /// # Panics
    /// If it runs.
    pub fn restart(&mut self, place: Place, disk: Disk) {
        assert!(!self.is_up(place), "a node that runs is not started again");
        if disk == Disk::Lost {
            self.nodes[place.0].disk = None;
        }
        self.boot(place);
    }

    /// Sets a node's wall clock ahead of the world's, or behind it, by so many milliseconds.
    pub fn skew(&mut self, place: Place, milliseconds: i64) {
        self.nodes[place.0].skew = milliseconds;
    }

    /// Lets all that a node saves fail from now on, or no longer.
    pub fn break_disk(&mut self, place: Place, is_broken: bool) {
        self.nodes[place.0].disk_is_broken = is_broken;
    }

    /// Stops a node's processor. Datagrams for it wait, or are lost.
    pub fn pause(&mut self, place: Place, arrivals: Arrivals) {
        self.trace.line(self.now, place, format_args!("pause"));
        self.nodes[place.0].paused.get_or_insert(Pause { arrivals, waiting: Vec::new() });
    }

    /// Lets a paused node run again: it finds all datagrams that waited at once.
    pub fn resume(&mut self, place: Place) {
        self.trace.line(self.now, place, format_args!("resume"));
        let Some(Pause { waiting, .. }) = self.nodes[place.0].paused.take() else { return };
        for (from, bytes) in waiting {
            self.arrive(place, from, &bytes);
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
        self.tell(place, |core, now| core.set(now, pairs)).expect("the write is accepted");
    }

    /// Lets a node announce that it leaves.
    ///
    /// # Panics
    /// If it is down.
    pub fn leave(&mut self, place: Place) {
        self.tell(place, Gossiper::leave);
    }

    /// Deletes a key of a node.
    ///
    /// # Panics
    /// If the node refuses, or is down.
    pub fn delete(&mut self, place: Place, key: &str) {
        let key = Key::new(key).expect("a proper key");
        self.tell(place, |core, now| core.delete(now, key)).expect("the delete is accepted");
    }

    /// Puts a datagram in front of a node, as if it had just come from `from`.
    pub fn inject(&mut self, place: Place, from: SocketAddr, bytes: &[u8]) {
        self.arrive(place, from, bytes);
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
        (self.nodes[one.0].address, self.nodes[other.0].address) = (addresses[1], addresses[0]);
        self.boot(one);
        self.boot(other);
    }

    /// Starts a machine again, under another name and with nothing on its disk.
    ///
    /// # Panics
    /// If it runs, or the name is none.
    pub fn rename(&mut self, place: Place, name: &str) {
        self.nodes[place.0].name = NodeName::new(name).expect("a simulated node has a proper name");
        self.restart(place, Disk::Lost);
    }

    /// Lets a node start again, and say that it is at `address`, where it is not.
    pub fn advertise(&mut self, place: Place, address: SocketAddr) {
        self.crash(place);
        self.nodes[place.0].advertised = Some(address);
        self.boot(place);
    }
}
