//! A cluster of ours: the simulator's, with every message encoded and decoded.

use std::collections::BTreeMap;
use std::time::Duration;

use tidings_core::{Config, EventKind, Moment, NodeName, Standing};
use tidings_sim::{Arrivals, Place, Share, Simulation};

use crate::cluster::{Cluster, Conviction, Heard, LATENCY, ROUND, Setup, Traffic};
use crate::data;

/// A cluster of ours.
pub(crate) struct Ours {
    sim: Simulation,
    places: Vec<Place>,
    numbers: BTreeMap<NodeName, usize>,
    /// How many events of each node were looked at.
    seen: Vec<usize>,
    heard: Vec<Heard>,
    convictions: Vec<Conviction>,
    /// Who stands still, and until when.
    stalled: Vec<(Duration, Place)>,
}

/// The key of all updates.
const KEY: &str = "update";

impl Ours {
    /// Looks at what was said since this was done.
    fn look(&mut self) {
        for (by, &place) in self.places.iter().enumerate() {
            let events = self.sim.events(place);
            for (at, event) in &events[self.seen[by]..] {
                let at = at.since(Moment::default());
                match &event.kind {
                    EventKind::Set { key, value, .. } if key.as_str() == KEY => {
                        if let Some(update) = value.as_str().and_then(data::number_of) {
                            self.heard.push(Heard { update, at });
                        }
                    }
                    EventKind::Unreachable { .. } => {
                        let of = self.numbers[&event.node];
                        self.convictions.push(Conviction { by, of, at });
                    }
                    EventKind::Joined
                    | EventKind::Live
                    | EventKind::Forgotten { .. }
                    | EventKind::Departed
                    | EventKind::Restarted
                    | EventKind::StreamFailed { .. }
                    | EventKind::Set { .. }
                    | EventKind::Deleted { .. } => {}
                }
            }
            self.seen[by] = events.len();
        }
    }
}

impl Cluster for Ours {
    fn begin(setup: &Setup) -> Self {
        let mut config = Config { interval: ROUND, fanout: 1, ..Config::new("bench") };
        if let Some(patience) = setup.patience {
            config.patience = u32::try_from(patience.as_millis() / ROUND.as_millis()).expect("a few rounds");
        }
        let mut sim = Simulation::new(setup.seed);
        let (least, most) = LATENCY;
        sim.network.latency = (Duration::from_micros(least.into()), Duration::from_micros(most.into()));
        let places = if setup.is_warm {
            sim.start_acquainted(setup.nodes, &config)
        } else {
            let start = |number: usize| {
                let seeds = [Place(0)];
                let seeds = if number == 0 { &[][..] } else { &seeds[..] };
                sim.start(&data::node(number), config.clone(), seeds)
            };
            (0..setup.nodes).map(start).collect::<Vec<_>>()
        };
        sim.network.loss = Share(setup.loss);
        let numbers = places.iter().enumerate().map(|(at, &place)| (sim.name(place).clone(), at)).collect();
        let seen = vec![0; places.len()];
        let (heard, convictions, stalled) = (Vec::new(), Vec::new(), Vec::new());
        Self { sim, places, numbers, seen, heard, convictions, stalled }
    }

    fn run(&mut self, span: Duration) {
        let end = self.sim.now() + span;
        loop {
            let next = self.stalled.iter().map(|&(until, _)| until).min().filter(|&until| until <= end);
            self.sim.run(next.unwrap_or(end).saturating_sub(self.sim.now()));
            let Some(next) = next else { return };
            for (_, place) in self.stalled.extract_if(.., |(until, _)| *until <= next) {
                self.sim.resume(place);
            }
        }
    }

    fn now(&self) -> Duration {
        self.sim.now()
    }

    fn write(&mut self, node: usize, update: u64) {
        self.sim.set(self.places[node], KEY, &data::update(update));
        // Its own event does not count.
        self.look();
        self.heard.retain(|heard| heard.update != update);
    }

    fn heard(&mut self) -> Vec<Heard> {
        self.look();
        std::mem::take(&mut self.heard)
    }

    fn crash(&mut self, node: usize) {
        self.sim.crash(self.places[node]);
    }

    fn stall(&mut self, node: usize, span: Duration) {
        self.sim.pause(self.places[node], Arrivals::Wait);
        self.stalled.push((self.sim.now() + span, self.places[node]));
    }

    fn convictions(&mut self) -> Vec<Conviction> {
        self.look();
        std::mem::take(&mut self.convictions)
    }

    fn traffic(&self) -> Traffic {
        let counts = self.sim.counts();
        Traffic { bytes: counts.bytes + counts.stream_bytes, copies: counts.entries }
    }

    fn is_complete(&mut self) -> bool {
        let live = |place: &Place| {
            let [(standing, live), ..] = self.sim.core(*place).counts();
            standing == Standing::Live && live >= self.places.len()
        };
        self.places.iter().all(live)
    }
}
