//! Scuttlebutt's overload in the full protocol: how stale copies become when more is written than messages carry.

use std::collections::VecDeque;
use std::time::Duration;

use tidings_core::Config;

use crate::lab::chance::Chance;
use crate::lab::crew::Lab;
use crate::lab::experiment::Experiment;
use crate::lab::protocol::{INTERVAL, rounds_alone};
use crate::lab::row::Row;
use crate::lab::sample::Sample;
use crate::lab::scuttlebutt::KEYS;
use crate::lab::staleness::{NODES, Overload, writes};
use crate::{Place, Simulation};

/// A message with a hundred updates of as many owners: forty bytes for each, with key, value and versions.
const DATAGRAM: usize = 4_000;
const RUNS: usize = 1;

/// The full protocol by rounds alone, with messages of a model's size.
pub(crate) fn rows(lab: &Lab<'_>) -> Vec<Row> {
    let results = lab.measure("staleness, the full protocol, overload", RUNS, overload);
    let mean = |of: fn(&Overload) -> f64| Sample::new(results.iter().map(of)).mean();
    let row = |metric: &str, measured| {
        let params = vec![("ordering", "protocol".into()), ("nodes", NODES.into()), ("room", 100.into())];
        Row::new(Experiment::Staleness, params, measured).with("metric", metric)
    };
    vec![
        row("staleness_at_normal_load_s", mean(|result| result.normal)).at_most(9.0),
        row("stale_at_75_s", mean(|result| result.stale[73..76].iter().sum::<f64>() / 3.0)),
        row("peak_staleness_s", mean(|result| result.peak)).at_most(55.0),
        row("all_fresh_after_s", mean(|result| result.settled)).at_most(132.0),
    ]
}

/// What the owners wrote under each key, and one of them has not seen: with its number and when.
struct Unseen {
    viewer: Place,
    writes: Vec<VecDeque<(u64, Duration)>>,
    number: u64,
}

fn overload(chance: &mut Chance) -> Overload {
    let mut sim = Simulation::new(chance.word());
    sim.network.latency = (INTERVAL / 2_000, INTERVAL * 3 / 2_000);
    let places = sim.start_acquainted(NODES, &Config { datagram: DATAGRAM, ..rounds_alone() });
    let begin = sim.now();
    let mut unseen = Unseen { viewer: places[0], writes: vec![VecDeque::new(); NODES * KEYS], number: 0 };
    let mut result = Overload::begin();
    for second in 0..160 {
        let mut moments: Vec<_> = (0..NODES)
            .flat_map(|owner| vec![owner; writes(second)])
            .map(|owner| (chance.below(1_000_000) as u64, owner))
            .collect();
        moments.sort_unstable();
        for (micros, owner) in moments {
            let at = begin + Duration::from_secs(second) + Duration::from_micros(micros);
            sim.run(at.saturating_sub(sim.now()));
            unseen.write(&mut sim, places[owner], owner, chance.below(KEYS));
        }
        let end = begin + Duration::from_secs(second + 1);
        sim.run(end.saturating_sub(sim.now()));
        let (stale, oldest) = unseen.look(&sim, &places);
        if result.second(second, stale, oldest.map_or(0.0, |at| (end - at).as_secs_f64())) {
            break;
        }
    }
    result.end()
}

impl Unseen {
    fn write(&mut self, sim: &mut Simulation, place: Place, owner: usize, key: usize) {
        self.number += 1;
        sim.set(place, &format!("key-{key:02}"), &format!("{:08}", self.number));
        if place != self.viewer {
            self.writes[owner * KEYS + key].push_back((self.number, sim.now()));
        }
    }

    /// How many copies are stale, and since when the stalest is.
    fn look(&mut self, sim: &Simulation, places: &[Place]) -> (f64, Option<Duration>) {
        for (at, writes) in self.writes.iter_mut().enumerate().filter(|(_, writes)| !writes.is_empty()) {
            let (owner, key) = (places[at / KEYS], at % KEYS);
            let seen = sim.value(self.viewer, owner, &format!("key-{key:02}"));
            let seen = seen.and_then(|shown| shown.value.as_str()?.parse().ok()).unwrap_or(0);
            while writes.front().is_some_and(|&(number, _)| number <= seen) {
                writes.pop_front();
            }
        }
        let stale = self.writes.iter().filter_map(|writes| writes.front());
        (stale.clone().count() as f64, stale.map(|&(_, at)| at).min())
    }
}
