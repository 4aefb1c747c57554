//! How much can be written in the full protocol, by how many, and how stale copies become, where all would write more than
//! the cluster takes in.

use std::collections::BTreeMap;
use std::time::Duration;

use tidings_core::{Config, Key, NodeId, Value};

use crate::lab::chance::Chance;
use crate::lab::crew::Lab;
use crate::lab::experiment::Experiment;
use crate::lab::figure::{Axis, Figure, Marks, Series};
use crate::lab::protocol::{INTERVAL, cluster, rounds_alone};
use crate::lab::row::{Findings, Row};
use crate::lab::sample::Sample;
use crate::{Place, Simulation, StreamFault};

/// How often each is measured.
const RUNS: usize = 2;
/// How many keys each node writes to: so many that little is written over before it is told.
const KEYS: usize = 250;
/// How often in an interval writers try.
const TRIES: u32 = 10;
/// How many intervals are left for the limits to settle, and then measured.
const SPANS: (usize, usize) = (120, 40);
/// Whose copies are looked at.
const VIEWERS: usize = 8;
/// What nodes that do not hold back would write together in an interval, in datagrams.
const DEMAND: f64 = 20.0;

pub(crate) fn run(lab: &Lab<'_>) -> Findings {
    let mut rows = Vec::new();
    let mut series = Vec::new();
    let setups = [
        Setup { nodes: 32, deltas: 50, ..Setup::PLAIN },
        Setup { nodes: 32, deltas: 25, ..Setup::PLAIN },
        Setup { nodes: 64, deltas: 50, ..Setup::PLAIN },
        Setup { nodes: 64, deltas: 25, ..Setup::PLAIN },
        Setup { greed: 10.0, ..Setup::PLAIN },
        Setup { flow_control: false, ..Setup::PLAIN },
        Setup { streams: true, ..Setup::PLAIN },
        Setup { streams: true, flow_control: false, ..Setup::PLAIN },
    ];
    for (colour, setup) in setups.into_iter().enumerate() {
        let courses = lab.measure(&format!("flow, {setup:?}"), RUNS, |chance| setup.run(SPANS, chance));
        rows.extend(setup.rows(&courses));
        let points = courses[0].staleness.iter().enumerate();
        let points = points.map(|(interval, &stale)| (interval as f64 + 1.0, stale)).collect();
        series.push(Series::new(setup.name(), colour, Marks::Line, points));
    }
    let figure = Figure {
        title: "The stalest copy, while more is written than datagrams carry".to_owned(),
        x: Axis::linear("intervals"),
        y: Axis::linear("age of the oldest write that somebody lacks"),
        series,
    };
    Findings { experiment: Experiment::Flow, rows, figures: vec![figure] }
}

/// What is measured.
#[derive(Debug, Clone, Copy)]
struct Setup {
    nodes: usize,
    /// About how many writes fit a datagram.
    deltas: usize,
    /// How much more one of them would write than each other.
    greed: f64,
    flow_control: bool,
    /// Whether streams can be had.
    streams: bool,
}

impl Setup {
    const PLAIN: Self = Self { nodes: 32, deltas: 50, greed: 1.0, flow_control: true, streams: false };

    fn name(self) -> String {
        let Self { nodes, deltas, greed, flow_control, streams } = self;
        let control = if flow_control { "" } else { ", without flow control" };
        let streams = if streams { ", with streams" } else { "" };
        let greed = if greed > 1.0 { ", one greedy" } else { "" };
        format!("{nodes} nodes, {deltas} writes a datagram{greed}{control}{streams}")
    }

    fn run(self, spans: (usize, usize), chance: &mut Chance) -> Course {
        let config = Config {
            datagram: REST + self.deltas * DELTA,
            flow_control: self.flow_control,
            ..rounds_alone()
        };
        let fair = DEMAND * self.deltas as f64 / self.nodes as f64;
        // Where one is greedy, the others want about half of what they could have.
        let demand = |node| match self.greed {
            1.0 => fair,
            greed if node == 0 => fair * greed,
            _ => fair / 4.0,
        };
        let mut writers = Writers::new(self.nodes, &config, demand, chance);
        if !self.streams {
            writers.sim.network.streams = StreamFault::Refused;
        }
        writers.course(spans, chance)
    }

    fn rows(self, courses: &[Course]) -> Vec<Row> {
        let row = |metric: &str, of: &dyn Fn(&Course) -> f64| {
            let params = vec![
                ("nodes", self.nodes.into()),
                ("writes_in_a_datagram", self.deltas.into()),
                ("greed", self.greed.into()),
                ("flow_control", (if self.flow_control { "on" } else { "off" }).into()),
                ("streams", (if self.streams { "yes" } else { "refused" }).into()),
            ];
            let row = Row::new(Experiment::Flow, params, Sample::new(courses.iter().map(of)).mean());
            row.with("metric", metric)
        };
        vec![
            row("writes_per_interval", &Course::total),
            row("datagrams_of_writes_per_interval", &|course| course.total() / self.deltas as f64),
            row("fairness", &|course| fairness(&course.rates)),
            row("staleness_peak_intervals", &|course| course.peak()),
            row("staleness_settled_intervals", &|course| course.settled(SPANS.0)),
            row("bytes_per_node_interval", &|course| course.bytes),
        ]
    }
}

/// A write of eight bytes to a key of seven, as a delta, and what else a datagram has.
const DELTA: usize = 40;
const REST: usize = 200;

/// Some who write as much as they can.
struct Writers {
    sim: Simulation,
    places: Vec<Place>,
    /// What each would write in an interval, and what of that it has not.
    demand: Vec<f64>,
    waiting: Vec<f64>,
    /// When each owner made its versions, and which was the last before the first of them.
    made: BTreeMap<NodeId, (u64, Vec<Duration>)>,
}

/// What came of it.
struct Course {
    /// How many writes each made in an interval of the measured time.
    rates: Vec<f64>,
    /// The stalest copy at any viewer, at the end of each interval.
    staleness: Vec<f64>,
    /// What each node sent in an interval of the measured time.
    bytes: f64,
}

impl Course {
    fn total(&self) -> f64 {
        self.rates.iter().sum()
    }

    fn peak(&self) -> f64 {
        self.staleness.iter().copied().fold(0.0, f64::max)
    }

    /// The stalest copy on the mean, after so many intervals.
    fn settled(&self, after: usize) -> f64 {
        Sample::new(self.staleness[after..].iter().copied()).mean()
    }
}

impl Writers {
    fn new(nodes: usize, config: &Config, demand: impl Fn(usize) -> f64, chance: &mut Chance) -> Self {
        let (sim, places) = cluster(nodes, config, chance);
        let first = |place: &Place| (sim.name(*place).id(), (sim.core(*place).own_version().0, Vec::new()));
        let made = places.iter().map(first).collect();
        let demand = (0..nodes).map(demand).collect();
        Self { sim, places, demand, waiting: vec![0.0; nodes], made }
    }

    /// Lets an interval pass. Returns how many writes each made.
    fn interval(&mut self, chance: &mut Chance) -> Vec<usize> {
        let mut writes = vec![0; self.places.len()];
        for _ in 0..TRIES {
            for (node, writes) in writes.iter_mut().enumerate() {
                let most = self.demand[node].max(1.0);
                self.waiting[node] = (self.waiting[node] + self.demand[node] / f64::from(TRIES)).min(most);
                while self.waiting[node] >= 1.0 && self.write(node, chance) {
                    self.waiting[node] -= 1.0;
                    *writes += 1;
                }
            }
            self.sim.run(INTERVAL / TRIES);
        }
        writes
    }

    fn write(&mut self, node: usize, chance: &mut Chance) -> bool {
        let key = Key::new(&format!("key-{:03}", chance.below(KEYS))).expect("a proper key");
        let (place, now) = (self.places[node], self.sim.now());
        let is_taken = self.sim.try_set(place, vec![(key, Value::from(&b"12345678"[..]))]).is_ok();
        if is_taken {
            let made = self.made.get_mut(&self.sim.name(place).id()).expect("it was there at the start");
            made.1.push(now);
        }
        is_taken
    }

    /// The age of the oldest write that some viewer has not seen, in intervals.
    fn staleness(&self) -> f64 {
        let now = self.sim.now();
        let age = |viewer: &Place, (id, (first, times)): (&NodeId, &(u64, Vec<Duration>))| {
            let held = self.sim.core(*viewer).replica(*id).map_or(*first, |replica| replica.max_version().0);
            let missed = usize::try_from(held.saturating_sub(*first)).ok().and_then(|next| times.get(next));
            missed.map_or(Duration::ZERO, |&made| now.saturating_sub(made))
        };
        let viewers = self.places.iter().take(VIEWERS);
        let oldest = viewers.flat_map(|viewer| self.made.iter().map(move |owner| age(viewer, owner))).max();
        oldest.unwrap_or_default().as_secs_f64() / INTERVAL.as_secs_f64()
    }

    /// Lets the limits settle, then measures.
    fn course(&mut self, (settle, measured): (usize, usize), chance: &mut Chance) -> Course {
        let mut rates = vec![0.0; self.places.len()];
        let mut staleness = Vec::new();
        let mut before = self.sim.counts();
        for interval in 0..settle + measured {
            if interval == settle {
                before = self.sim.counts();
            }
            let writes = self.interval(chance);
            if interval >= settle {
                let mean = |writes: usize| writes as f64 / measured as f64;
                rates.iter_mut().zip(writes).for_each(|(rate, writes)| *rate += mean(writes));
            }
            staleness.push(self.staleness());
        }
        let counts = self.sim.counts() - before;
        let node_intervals = (measured * self.places.len()) as f64;
        Course { rates, staleness, bytes: (counts.bytes + counts.stream_bytes) as f64 / node_intervals }
    }
}

/// 1 if all are the same, 1/n if one has all: Jain, Chiu and Hawe 1984.
fn fairness(rates: &[f64]) -> f64 {
    let (sum, squares) =
        rates.iter().fold((0.0, 0.0), |(sum, squares), rate| (sum + rate, squares + rate * rate));
    sum * sum / (rates.len() as f64 * squares)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(setup: Setup) -> Course {
        let setup = Setup { nodes: 24, deltas: 10, ..setup };
        setup.run((50, 30), &mut Chance::new(1, "flow", 0))
    }

    /// F5 to F7, small.
    #[test]
    fn f5_writers_that_outrun_the_cluster_are_held_back_alike() {
        let (held, free) = (course(Setup::PLAIN), course(Setup { flow_control: false, ..Setup::PLAIN }));
        assert!(held.total() < 0.8 * free.total(), "{} {}", held.total(), free.total());
        assert!(fairness(&held.rates) >= 0.95, "{:?}", held.rates);
        let stale = [held.settled(50), free.settled(50)];
        assert!(stale[0] < stale[1], "{stale:?}");
    }

    #[test]
    fn f7_one_who_wants_more_gets_what_the_others_leave() {
        let course = course(Setup { greed: 10.0, ..Setup::PLAIN });
        let others = &course.rates[1..];
        let least = others.iter().copied().fold(f64::MAX, f64::min);
        assert!(course.rates[0] >= 5.0 * least && least > 0.0, "{:?}", course.rates);
    }

    #[test]
    fn where_streams_carry_it_nobody_is_held_back() {
        let streams = Setup { streams: true, ..Setup::PLAIN };
        let free = Setup { flow_control: false, ..streams };
        assert_eq!(course(streams).total().to_bits(), course(free).total().to_bits());
    }
}
