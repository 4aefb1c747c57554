//! How soon everybody sees a crash, how often the living are convicted, and what that costs: the full protocol.

use std::time::Duration;

use tidings_core::{Config, EventKind, Gossiper, Moment, Standing};

use crate::lab::chance::Chance;
use crate::lab::crew::Lab;
use crate::lab::experiment::Experiment;
use crate::lab::figure::{Axis, Figure, Marks, Series};
use crate::lab::membership;
use crate::lab::muted;
use crate::lab::protocol::INTERVAL;
use crate::lab::row::{Findings, Param, Row};
use crate::lab::sample::Sample;
use crate::{Arrivals, Links, Place, Rule, Share, Simulation, Trouble};

pub(crate) fn run(lab: &Lab<'_>) -> Findings {
    let mut rows = crashes(lab);
    rows.extend(stalls(lab));
    rows.extend(bad_weather(lab));
    rows.extend(membership::rows(lab));
    rows.extend(muted::rows(lab));
    let figures = vec![figure(&rows)];
    Findings { experiment: Experiment::Detection, rows, figures }
}

/// A cluster on a local network, which takes half a millisecond to one and a half, that has known itself for a while and
/// has got used to its losses.
pub(crate) fn cluster(
    nodes: usize,
    config: &Config,
    loss: Share,
    chance: &mut Chance,
) -> (Simulation, Vec<Place>) {
    let mut sim = Simulation::new(chance.word());
    sim.network.latency = (INTERVAL / 2_000, INTERVAL * 3 / 2_000);
    let places = sim.start_acquainted(nodes, config);
    sim.network.loss = loss;
    sim.run(30 * INTERVAL + INTERVAL * u32::try_from(chance.below(1_000)).unwrap_or(0) / 1_000);
    (sim, places)
}

pub(crate) fn row(what: &str, params: Vec<(&'static str, Param)>, metric: &str, measured: f64) -> Row {
    let mut all = vec![("what", what.into())];
    all.extend(params);
    all.push(("metric", metric.into()));
    Row::new(Experiment::Detection, all, measured)
}

/// When a crash was convicted by the first of the others, by half of them, and by the last, in intervals; and the datagrams
/// that each node sent in that time beside its rounds.
struct Seen {
    first: f64,
    median: f64,
    last: f64,
    beside: f64,
}

fn crashes(lab: &Lab<'_>) -> Vec<Row> {
    let at_two = [5, 30, 128, 1_000].into_iter().flat_map(|nodes| [0, 100, 250].map(|loss| (nodes, loss, 2)));
    let others = [0, 5].into_iter().flat_map(|patience| [0, 100, 250].map(|loss| (128, loss, patience)));
    let mut rows = Vec::new();
    for (nodes, loss, patience) in at_two.chain(others).chain([(10_000, 0, 2)]) {
        let what = format!("detection, a crash among {nodes}, loss {loss} in 1000, patience {patience}");
        let runs = (8_000 / nodes).clamp(1, 60);
        let seen = lab.measure(&what, runs, |chance| crashes_of(nodes, Share(loss), patience, chance));
        let seen: Vec<_> = seen.into_iter().flatten().collect();
        let of = |metric: &str, measured: f64| {
            let (loss, patience) = (f64::from(loss) / 1_000.0, patience as usize);
            let params = vec![("nodes", nodes.into()), ("loss", loss.into()), ("patience", patience.into())];
            row("crash", params, metric, measured)
        };
        let sample = |of: fn(&Seen) -> f64| Sample::new(seen.iter().map(of));
        let (median, last) = (sample(|seen| seen.median).median(), sample(|seen| seen.last).median());
        let goal = patience == 2 && nodes <= 1_000;
        rows.extend([
            of("first_observer_intervals", sample(|seen| seen.first).median()),
            if goal {
                of("median_observer_intervals", median).expect(2.9).at_most(3.2)
            } else {
                of("median_observer_intervals", median)
            },
            if goal {
                of("last_observer_intervals", last).expect(2.9).at_most(3.5)
            } else {
                of("last_observer_intervals", last)
            },
            of("last_observer_p90", sample(|seen| seen.last).percentile(90)),
            of("last_after_first_intervals", Sample::new(seen.iter().map(|s| s.last - s.first)).mean()),
            of("messages_per_node_beside_rounds", sample(|seen| seen.beside).mean()),
        ]);
    }
    rows
}

/// Crashes in a cluster: where it is large, several, one after the other.
fn crashes_of(nodes: usize, loss: Share, patience: u32, chance: &mut Chance) -> Vec<Seen> {
    let config = Config { patience, ..Config::new("lab") };
    let (mut sim, mut places) = cluster(nodes, &config, loss, chance);
    let crashes = if nodes < 1_000 { 1 } else { 5 };
    (0..crashes).map(|_| crash(&mut sim, &mut places, chance)).collect()
}

fn crash(sim: &mut Simulation, places: &mut Vec<Place>, chance: &mut Chance) -> Seen {
    sim.run(INTERVAL + INTERVAL * u32::try_from(chance.below(1_000)).unwrap_or(0) / 1_000);
    let victim = places.swap_remove(chance.below(places.len()));
    let id = sim.id(victim);
    let before = sim.counts();
    sim.crash(victim);
    let convicts = |core: &Gossiper| core.standing(id) == Some(Standing::Unreachable);
    let times = sim.until_each(places, 600 * INTERVAL, convicts);
    assert_eq!(times.len(), places.len(), "all convict it within 600 intervals");
    let at = |number: usize| times[number].as_secs_f64();
    let (counts, last) = (sim.counts() - before, at(times.len() - 1));
    let beside = (counts.syns + counts.help + counts.pushes) as f64 / places.len() as f64 - last;
    Seen { first: at(0), median: at(times.len() / 2), last, beside }
}

/// How often somebody convicted a node that ran: whom, and how many did.
pub(crate) fn convictions(sim: &Simulation, since: Moment, of: impl Fn(Place) -> bool) -> usize {
    let subjects: Vec<_> = sim.places().into_iter().filter(|&place| of(place)).map(|p| sim.name(p)).collect();
    let at = |place: Place| {
        let events = sim.events(place).iter().filter(|(at, _)| *at >= since);
        let convicts = |kind: &EventKind| matches!(kind, EventKind::Unreachable { .. });
        events.filter(|(_, event)| convicts(&event.kind) && subjects.contains(&&event.node)).count()
    };
    sim.places().into_iter().map(at).sum()
}

/// The share of stalls that end in a conviction.
fn stalls(lab: &Lab<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    for (patience, tenths, expected) in
        [(2, 19, 0.0), (2, 25, 0.28), (2, 40, 0.84), (5, 25, 0.0), (5, 40, 0.0)]
    {
        let what = format!("detection, stalls of {tenths} tenths, patience {patience}");
        let ended = lab.measure(&what, 8, |chance| stall(patience, INTERVAL * tenths / 10, chance));
        let params = vec![
            ("nodes", 64.into()),
            ("patience", (patience as usize).into()),
            ("stall", (f64::from(tenths) / 10.0).into()),
        ];
        let row = row("stall", params, "share_convicted", Sample::new(ended).mean()).expect(expected);
        rows.push(if tenths < patience * 10 { row.at_most(0.02) } else { row });
    }
    rows
}

fn stall(patience: u32, length: Duration, chance: &mut Chance) -> f64 {
    const TIMES: usize = 20;
    let config = Config { patience, ..Config::new("lab") };
    let (mut sim, places) = cluster(64, &config, Share(10), chance);
    let mut convicted = 0;
    for _ in 0..TIMES {
        let (victim, since) = (places[chance.below(places.len())], sim.moment());
        sim.pause(victim, Arrivals::Wait);
        sim.run(length);
        sim.resume(victim);
        sim.run(12 * INTERVAL + INTERVAL * u32::try_from(chance.below(1_000)).unwrap_or(0) / 1_000);
        convicted += usize::from(convictions(&sim, since, |place| place == victim) > 0);
    }
    convicted as f64 / TIMES as f64
}

/// What is wrong with the network, or with some nodes, while nobody crashes.
#[derive(Debug, Clone, Copy)]
enum Weather {
    /// Each message is lost with the same chance, in thousandths.
    Loss(u16),
    /// Links lose all for five messages in a row, a tenth of the time.
    Bursts,
    /// One node loses four messages of five, both ways.
    LossyNode,
    /// Thirty links carry nothing, one way.
    OneWay,
    /// Four nodes stall for two and a half intervals, one after the other, again and again: it is the others that count.
    StalledObservers,
}

impl Weather {
    const ALL: [Self; 7] = [
        Self::Loss(0),
        Self::Loss(100),
        Self::Loss(250),
        Self::Bursts,
        Self::LossyNode,
        Self::OneWay,
        Self::StalledObservers,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Loss(_) => "loss",
            Self::Bursts => "bursts",
            Self::LossyNode => "one lossy node",
            Self::OneWay => "one-way links",
            Self::StalledObservers => "stalled observers",
        }
    }

    fn begin(self, sim: &mut Simulation, places: &[Place], chance: &mut Chance) {
        let mut impose = |links, trouble| {
            sim.network.impose(Rule { links, trouble });
        };
        match self {
            Self::Loss(share) => sim.network.loss = Share(share),
            Self::Bursts => impose(
                Links::All,
                Trouble::Bursts { begins: Share(22), ends: Share(200), loss: Share(1_000) },
            ),
            Self::LossyNode => {
                let others = places[1..].iter().copied();
                impose(Links::between([places[0]], others), Trouble::Loss(Share(800)));
            }
            Self::OneWay => {
                for _ in 0..30 {
                    let from = chance.below(places.len());
                    let to = chance.other(from, places.len());
                    impose(Links::from_to([places[from]], [places[to]]), Trouble::Cut);
                }
            }
            Self::StalledObservers => {}
        }
    }

    /// Who is not as well as the others.
    fn is_ill(self, place: Place) -> bool {
        match self {
            Self::Loss(_) | Self::Bursts | Self::OneWay => false,
            Self::LossyNode => place.0 == 0,
            Self::StalledObservers => place.0 < 4,
        }
    }
}

/// What bad weather brought, for each node-hour and each node-second.
struct Calm {
    of_healthy: f64,
    of_ill: f64,
    probes: f64,
    bytes: f64,
}

fn bad_weather(lab: &Lab<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    for weather in Weather::ALL {
        for patience in [0, 2, 5] {
            let what = format!("detection, {weather:?}, patience {patience}");
            // What is judged takes hours of many nodes.
            let runs = if patience == 2 { 4 } else { 2 };
            let calms = lab.measure(&what, runs, |chance| calm(weather, patience, chance));
            let mean = |of: fn(&Calm) -> f64| Sample::new(calms.iter().map(of)).mean();
            let of = |metric: &str, measured| {
                let loss = if let Weather::Loss(share) = weather { f64::from(share) / 1_000.0 } else { 0.0 };
                let params = vec![
                    ("nodes", 64.into()),
                    ("loss", loss.into()),
                    ("patience", (patience as usize).into()),
                ];
                row(weather.name(), params, metric, measured)
            };
            let healthy = of("false_convictions_per_node_hour", mean(|calm| calm.of_healthy));
            rows.push(match weather {
                Weather::Loss(0 | 100) if patience == 2 => healthy.expect(0.0).at_most(0.0),
                Weather::Loss(250) if patience == 2 => healthy.expect(0.0).at_most(0.01),
                Weather::Loss(_)
                | Weather::Bursts
                | Weather::LossyNode
                | Weather::OneWay
                | Weather::StalledObservers => healthy,
            });
            if matches!(weather, Weather::LossyNode | Weather::StalledObservers) {
                rows.push(of("convictions_of_the_ill_per_node_hour", mean(|calm| calm.of_ill)));
            }
            rows.push(of("probes_per_node_second", mean(|calm| calm.probes)));
            rows.push(of("bytes_per_node_second", mean(|calm| calm.bytes)));
        }
    }
    rows
}

fn calm(weather: Weather, patience: u32, chance: &mut Chance) -> Calm {
    const SECONDS: u32 = 900;
    let config = Config { patience, ..Config::new("lab") };
    let (mut sim, places) = cluster(64, &config, Share(0), chance);
    weather.begin(&mut sim, &places, chance);
    sim.run(30 * INTERVAL);
    let (since, before) = (sim.moment(), sim.counts());
    let mut left = SECONDS;
    while left > 0 {
        if let Weather::StalledObservers = weather {
            let ill = places[(left / 10 % 4) as usize];
            sim.pause(ill, Arrivals::Wait);
            sim.run(INTERVAL * 5 / 2);
            sim.resume(ill);
            sim.run(INTERVAL * 15 / 2);
            left = left.saturating_sub(10);
        } else {
            sim.run(left * INTERVAL);
            left = 0;
        }
    }
    let counts = sim.counts() - before;
    let seconds = f64::from(SECONDS) * places.len() as f64;
    let count = |is_ill: bool| convictions(&sim, since, |place| weather.is_ill(place) == is_ill) as f64;
    Calm {
        of_healthy: count(false) * 3_600.0 / seconds,
        of_ill: count(true) * 3_600.0 / seconds,
        probes: (counts.syns + counts.help) as f64 / seconds,
        bytes: counts.bytes as f64 / seconds,
    }
}

/// False convictions beside the time to detect, by patience, for each loss. What the comparison with others measures at
/// equal patience has its place here.
fn figure(rows: &[Row]) -> Figure {
    let find = |what: &str, metric: &str, loss: f64, patience: f64| {
        let is_it = |row: &&Row| {
            let nodes = row.number("nodes");
            row.is("what", what)
                && row.is("metric", metric)
                && (nodes == 128.0 || nodes == 64.0)
                && row.number("loss") == loss
                && row.number("patience") == patience
        };
        rows.iter().find(is_it).map(|row| row.measured)
    };
    let series = |(colour, loss): (usize, f64)| {
        let point = |patience: f64| {
            let time = find("crash", "median_observer_intervals", loss, patience)?;
            Some((time, find("loss", "false_convictions_per_node_hour", loss, patience)?))
        };
        let points = [0.0, 2.0, 5.0].into_iter().filter_map(point).collect();
        Series::new(format!("{} % lost, patience 0, 2 and 5", loss * 100.0), colour, Marks::Points, points)
    };
    Figure {
        title: "False convictions and the time to detect".to_owned(),
        x: Axis::linear("intervals until the median observer convicts a crash"),
        y: Axis::linear("false convictions per node-hour"),
        series: [0.0, 0.1, 0.25].into_iter().enumerate().map(series).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_see_a_crash_when_the_first_does() {
        let seen = &crashes_of(40, Share(0), 2, &mut Chance::new(1, "crash", 0))[0];
        assert!(seen.first >= 2.0 && seen.last - seen.first < 0.1, "{} {}", seen.first, seen.last);
    }

    #[test]
    fn weather_is_counted() {
        let calm = calm(Weather::Loss(0), 2, &mut Chance::new(1, "calm", 0));
        assert!(calm.of_healthy == 0.0 && calm.probes > 0.9 && calm.bytes > 100.0);
    }
}
