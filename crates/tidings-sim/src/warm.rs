//! Clusters that begin knowing each other, as if they had run for a while: what large experiments start from.

use std::time::Duration;

use tidings_core::{
    Body, Config, Delta, Generation, Gossiper, Head, Heartbeat, Introduction, Message, News, NodeId, Seal,
    Sender, Span, Version,
};

use crate::node::Place;
use crate::simulation::Simulation;

/// How many introductions go into a message.
const BATCH: usize = 20;

impl Simulation {
    /// Starts `count` nodes, named `node-0` and so on, that know each other. Two intervals
    /// have passed then, so that their rounds begin at random moments. The first is everybody's seed.
    ///
    /// They are introduced by messages like any other, encoded and decoded. For more than a thousand, take
    /// [`start_acquainted`](Self::start_acquainted).
    pub fn start_warm(&mut self, count: usize, config: &Config) -> Vec<Place> {
        let first = self.nodes.len();
        let places: Vec<_> = (0..count)
            .map(|number| self.start(&format!("node-{}", first + number), config.clone(), &[Place(first)]))
            .collect();
        // Each asks the first one about its name before it takes part.
        let begun = self.until_each(&places, 3 * config.interval, Gossiper::has_begun);
        assert_eq!(begun.len(), places.len(), "all begin");
        let introductions: Vec<Delta> = places.iter().map(|&place| self.introduction(place)).collect();
        let seal = Seal::new(&config.cluster);
        for (number, batch) in introductions.chunks(BATCH).enumerate() {
            let bytes = seal.encode(&self.told_by_nobody(batch));
            for &place in &places {
                self.inject(place, Place(first + number).address(), &bytes);
                self.nodes[place.0].events = Vec::new();
            }
        }
        self.run(2 * config.interval);
        places
    }

    /// Starts `count` nodes as [`start_warm`](Self::start_warm) does, for thousands of them: nobody introduces them, each
    /// knows all from the start as if it had for long, and nothing is new to anybody.
    pub fn start_acquainted(&mut self, count: usize, config: &Config) -> Vec<Place> {
        let first = self.nodes.len();
        // Without seeds they begin at once.
        let places: Vec<_> = (0..count)
            .map(|number| self.start(&format!("node-{}", first + number), config.clone(), &[]))
            .collect();
        let begun = self.until_each(&places, config.interval, Gossiper::has_begun);
        assert_eq!(begun.len(), places.len(), "all begin");
        let all = Gossiper::acquaintances(places.iter().map(|&place| self.core(place)));
        let seeds = [Place(first)];
        for &place in &places {
            self.tell(place, |core, now| core.acquaint(now, &all));
            self.nodes[place.0].seeds = seeds.to_vec();
            let addresses = seeds.map(Place::address).to_vec();
            self.tell(place, |core, now| core.handle_seeds(now, addresses));
        }
        self.run(2 * config.interval);
        places
    }

    /// The end of an exchange with a node that nobody knows.
    fn told_by_nobody(&self, deltas: &[Delta]) -> Message {
        let head = Head { generation: Generation(1), heartbeat: Heartbeat(0) };
        let sender = Sender { id: NodeId(0), head, max: Version(0) };
        Message { sender, exchange: 0, body: Body::Ack2(News { deltas: deltas.to_vec(), ..News::default() }) }
    }

    fn introduction(&self, place: Place) -> Delta {
        let core = self.core(place);
        let who = Introduction {
            name: core.name().clone(),
            address: place.address(),
            heartbeat: core.heartbeat(),
            age: Duration::ZERO,
        };
        Delta {
            owner: core.name().id(),
            generation: core.generation(),
            introduction: Some(who),
            span: Span::After(Version(0)),
            through: Version(0),
            gc: Version(0),
            max: Version(0),
            entries: Vec::new(),
        }
    }
}
