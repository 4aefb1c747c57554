//! The full protocol at up to ten thousand nodes: how long a write takes by rounds alone, with one exchange an interval and with
//! three, and what rumors add to that.

use std::time::Duration;

use tidings_core::{Config, Mongering};

use crate::lab::chance::{Chance, Odds};
use crate::lab::crew::Lab;
use crate::lab::experiment::Experiment;
use crate::lab::figure::{Axis, Figure, Marks, Series};
use crate::lab::protocol::{INTERVAL, rounds_alone};
use crate::lab::row::{Findings, Row};
use crate::lab::sample::Sample;
use crate::lab::theory;
use crate::lab::timers::{Beat, Timers};
use crate::{Place, Share, Simulation};

/// How many nodes there are.
const SIZES: [usize; 3] = [100, 1_000, 10_000];

pub(crate) fn run(lab: &Lab<'_>) -> Findings {
    let mut rows = Vec::new();
    for (fanout, loss, latency) in [(1, 0, 10), (3, 0, 10), (3, 100, 10), (3, 250, 0)] {
        let setting = Setting { fanout, loss, latency };
        // What loses a quarter has one size in the tables of others. Ten thousand that lose messages take minutes.
        let is_measured = |nodes: usize| match loss {
            0 => true,
            1..250 => nodes <= 1_000,
            250.. => nodes == 1_000,
        };
        for nodes in SIZES.into_iter().filter(|&nodes| is_measured(nodes)) {
            rows.extend(setting.rounds(lab, nodes));
        }
    }
    rows.extend(rumors(lab));
    let figures = vec![figure(&rows)];
    Findings { experiment: Experiment::Scale, rows, figures }
}

/// How the nodes gossip, and over what.
#[derive(Debug, Clone, Copy)]
struct Setting {
    /// How many exchanges a node begins in an interval.
    fanout: usize,
    /// How many of a thousand messages are lost.
    loss: u16,
    /// How long they take, in hundredths of the interval.
    latency: u64,
}

impl Setting {
    fn row(self, nodes: usize, timing: &str, metric: &str, measured: f64) -> Row {
        let params = vec![
            ("nodes", nodes.into()),
            ("fanout", self.fanout.into()),
            ("loss", (f64::from(self.loss) / 1_000.0).into()),
            ("latency", (self.latency as f64 / 100.0).into()),
            ("timing", timing.into()),
            ("metric", metric.into()),
        ];
        Row::new(Experiment::Scale, params, measured)
    }

    /// The models, at once and spread over the interval, and the full protocol, which spreads its exchanges.
    fn rounds(self, lab: &Lab<'_>, nodes: usize) -> Vec<Row> {
        let mut rows = Vec::new();
        let (burst, of_burst) = self.model(lab, nodes, Beat::Burst);
        let (spread, of_spread) = self.model(lab, nodes, Beat::Staggered);
        if self.fanout > 1 {
            rows.extend(of_burst);
        }
        rows.extend(of_spread);
        let writes = self.protocol(lab, nodes);
        let mean = |of: fn(&Write) -> f64| Sample::new(writes.iter().map(of)).mean();
        let row = |metric: &str, measured| self.row(nodes, "protocol", metric, measured);
        let intervals = row("intervals", mean(|write| write.last)).expect(spread.last);
        let copies = row("copies", mean(|write| write.copies)).expect(spread.copies);
        let is_large = nodes > 1_000;
        rows.push(intervals.at_most(match (self.fanout, self.loss) {
            (1, _) => 1.15 * spread.last,
            // Exchanges that do not begin at once are worth a seventh, where addresses are shown.
            (_, 0) if !is_large => f64::min(1.1 * spread.last, 0.87 * burst.last),
            (_, 0) => 1.15 * burst.last,
            (_, _) => 1.1 * spread.last,
        }));
        let slowest = row("p99", Sample::new(writes.iter().map(|write| write.last)).percentile(99));
        rows.push(if self.fanout == 1 { slowest } else { slowest.at_most(burst.slowest) });
        rows.push(row("t_ave", mean(|write| write.mean)).expect(spread.mean));
        // What got no answer is sent again, which the models do not do.
        let is_plain = self.loss == 0 && !is_large;
        rows.push(if is_plain { copies.at_most(1.05 * spread.copies) } else { copies });
        rows
    }

    fn model(self, lab: &Lab<'_>, nodes: usize, beat: Beat) -> (Expected, Vec<Row>) {
        let Self { fanout, loss, latency } = self;
        let share = f64::from(loss) / 1_000.0;
        let timers = Timers { nodes, fanout, beat, latency, loss: Odds::share(share) };
        let what = format!("scale, {nodes} nodes, free timers, {self:?}, {beat:?}");
        let outcomes = lab.measure(&what, (1_000_000 / nodes).clamp(200, 1_000), |chance| timers.run(chance));
        let last = Sample::new(outcomes.iter().map(|outcome| outcome.last));
        let mean =
            |of: fn(&crate::lab::epidemic::Outcome) -> f64| Sample::new(outcomes.iter().map(of)).mean();
        let expected = Expected {
            last: last.mean(),
            slowest: last.percentile(99),
            mean: mean(|outcome| outcome.mean),
            copies: mean(|outcome| outcome.copies),
        };
        let timing = if beat == Beat::Burst && fanout > 1 { "burst" } else { "event" };
        let intervals = self.row(nodes, timing, "intervals", expected.last);
        let rows = vec![
            match theory::intervals(nodes, fanout, share, latency, beat == Beat::Burst) {
                Some(theory) => intervals.expect(theory.value).within(theory.low, theory.high),
                None => intervals,
            },
            self.row(nodes, timing, "p99", expected.slowest),
            self.row(nodes, timing, "copies", expected.copies),
        ];
        (expected, rows)
    }

    /// Writes in clusters of the full protocol. Where they are large, one after the other in the same one.
    fn protocol(self, lab: &Lab<'_>, nodes: usize) -> Vec<Write> {
        let what = format!("scale, {nodes} nodes, the full protocol, {self:?}");
        let (clusters, writes) = match nodes {
            ..1_000 => (20, 10),
            1_000..10_000 => (2, 20),
            // Gigabytes each.
            _ => (1, 2),
        };
        // For how many intervals they have gossiped: by then most have shown most others their addresses. Ten thousand would not
        // have met in an hour, and whoever loses messages asks again anyway.
        let known_for = match (self.loss, nodes) {
            (0, ..1_000) => 150,
            (0, 1_000..10_000) => 600,
            (_, _) => 0,
        };
        let config = Config { fanout: self.fanout, ..rounds_alone() };
        let all = lab.measure(&what, clusters, |chance| {
            let (mut sim, places) = cluster(nodes, &config, self.latency, chance);
            sim.run(known_for * INTERVAL);
            sim.network.loss = Share(self.loss);
            (0..writes).map(|number| write(&mut sim, &places, number, chance)).collect::<Vec<_>>()
        });
        all.into_iter().flatten().collect()
    }
}

/// What a model finds: the mean and the slowest time of one in a hundred until the last node knows, when a node does on the
/// mean, and how many copies each is sent.
struct Expected {
    last: f64,
    slowest: f64,
    mean: f64,
    copies: f64,
}

/// What became of a write: when the last node had it, when a node did on the mean, and how many copies each was sent.
struct Write {
    last: f64,
    mean: f64,
    copies: f64,
}

/// A cluster that has known itself for long.
fn cluster(nodes: usize, config: &Config, latency: u64, chance: &mut Chance) -> (Simulation, Vec<Place>) {
    let mut sim = Simulation::new(chance.word());
    let latency = INTERVAL * u32::try_from(latency).unwrap_or(0) / 100;
    sim.network.latency = (latency, latency);
    let places = sim.start_acquainted(nodes, config);
    (sim, places)
}

/// A node writes, at a random moment, and all have it in the end.
fn write(sim: &mut Simulation, places: &[Place], number: usize, chance: &mut Chance) -> Write {
    sim.run(INTERVAL + INTERVAL * u32::try_from(chance.below(1_000)).unwrap_or(0) / 1_000);
    let writer = places[chance.below(places.len())];
    let (owner, key) = (sim.name(writer).clone(), format!("key-{number}"));
    let before = sim.counts().entries;
    sim.set(writer, &key, &"v".repeat(64));
    let times = sim.until_each(places, 300 * INTERVAL, |core| core.value(&owner, &key).is_some());
    assert_eq!(times.len(), places.len(), "all have it within 300 intervals");
    let times = times.iter().map(Duration::as_secs_f64);
    let nodes = places.len() as f64;
    Write {
        last: times.clone().fold(0.0, f64::max),
        mean: times.sum::<f64>() / (nodes - 1.0),
        copies: (sim.counts().entries - before) as f64 / nodes,
    }
}

/// Rumors as they are by default, with rounds behind them, where messages take a tenth of the interval.
fn rumors(lab: &Lab<'_>) -> Vec<Row> {
    const NODES: usize = 1_000;
    let setting = Setting { fanout: 3, loss: 0, latency: 10 };
    let config = Config { mongering: Mongering::default(), fanout: 3, ..rounds_alone() };
    let all = lab.measure("scale, rumors and rounds", 4, |chance| {
        let (mut sim, places) = cluster(NODES, &config, setting.latency, chance);
        (0..5).map(|number| write(&mut sim, &places, number, chance)).collect::<Vec<_>>()
    });
    let mean = |of: fn(&Write) -> f64| Sample::new(all.iter().flatten().map(of)).mean();
    let row = |metric: &str, measured| setting.row(NODES, "rumors and rounds", metric, measured);
    vec![
        row("intervals", mean(|write| write.last)),
        // The rounds alone, with a burst of three exchanges, have it after 2.5 intervals on the mean.
        row("t_ave", mean(|write| write.mean)).expect(1.25).at_most(1.25),
        row("copies", mean(|write| write.copies)).at_most(3.0),
    ]
}

fn figure(rows: &[Row]) -> Figure {
    let series = |fanout: f64, timing: &str| {
        let of = rows.iter().filter(|row| row.is("timing", timing) && row.is("metric", "intervals"));
        let of = of.filter(|row| row.number("fanout") == fanout && row.number("loss") == 0.0);
        of.map(|row| (row.number("nodes"), row.measured)).collect()
    };
    let mut all = Vec::new();
    for (colour, (fanout, name)) in [(1.0, "one exchange"), (3.0, "three exchanges")].into_iter().enumerate()
    {
        all.push(Series::new(format!("{name}, the model"), colour, Marks::Line, series(fanout, "event")));
        all.push(Series::new(name, colour, Marks::Points, series(fanout, "protocol")));
    }
    Figure {
        title: "A write to the last node by rounds alone, the full protocol".to_owned(),
        x: Axis::log("nodes"),
        y: Axis::linear("intervals T"),
        series: all,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_exchanges_are_as_fast_in_the_protocol_as_in_the_model() {
        let lab = Lab { runs: Some(20), ..Lab::default() };
        let rows = Setting { fanout: 3, loss: 0, latency: 10 }.rounds(&lab, 100);
        let last = rows.iter().find(|row| row.is("timing", "protocol") && row.is("metric", "intervals"));
        let last = last.expect("it is measured");
        assert!(last.measured > 1.5 && last.measured < 3.0, "{last:?}");
    }
}
