//! How rumors spread in the full protocol: along the ring, or at random, and what that takes.

use std::time::Duration;

use tidings_core::{Config, Mongering};

use crate::lab::chance::Chance;
use crate::lab::crew::Lab;
use crate::lab::experiment::Experiment;
use crate::lab::figure::{Axis, Figure, Marks, Series};
use crate::lab::protocol::INTERVAL;
use crate::lab::row::{Findings, Row};
use crate::lab::sample::Sample;
use crate::{Place, Share, Simulation};

/// The ways that are compared.
const WAYS: [&str; 7] =
    ["ring", "ring+1", "ring+2", "feedback-counter-2", "feedback-coin-2", "blind-counter-4", "blind-coin-4"];

/// What makes it harder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// Nothing but lost messages.
    None,
    /// One node in ten just died, and is not missed yet.
    Dead,
    /// One node in ten just came, and is not known to all.
    New,
    /// Every node writes within the same second.
    All,
}

impl Trouble {
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Dead => "a tenth dead",
            Self::New => "a tenth new",
            Self::All => "all write",
        }
    }
}

pub(crate) fn run(lab: &Lab<'_>) -> Findings {
    let mut rows = Vec::new();
    for nodes in [128, 1_000] {
        for loss in [0.0, 0.1, 0.25] {
            for way in WAYS.into_iter().filter(|way| nodes == 128 || !way.contains("coin")) {
                rows.extend(measure(lab, Setting { way, nodes, loss, trouble: Trouble::None }));
            }
        }
    }
    for (trouble, loss) in
        [(Trouble::Dead, 0.0), (Trouble::Dead, 0.25), (Trouble::New, 0.0), (Trouble::All, 0.0)]
    {
        for way in ["ring", "ring+1", "feedback-counter-2", "off"] {
            rows.extend(measure(lab, Setting { way, nodes: 128, loss, trouble }));
        }
    }
    let figures = vec![figure(&rows)];
    Findings { experiment: Experiment::Mongering, rows, figures }
}

/// What is measured.
#[derive(Debug, Clone, Copy)]
struct Setting {
    way: &'static str,
    nodes: usize,
    loss: f64,
    trouble: Trouble,
}

/// What became of a write.
#[derive(Debug, Clone, Copy)]
struct Heard {
    /// When half had it, and when the last one did, in milliseconds.
    half: f64,
    last: f64,
    /// How many copies of it, and how many bytes in all but the rounds' own, each node was sent.
    copies: f64,
    bytes: f64,
    /// Whether somebody had it only by the rounds.
    late: bool,
}

/// After this time, in milliseconds, nobody tells rumors any longer, and the rounds bring it.
const LATE: f64 = 500.0;

fn measure(lab: &Lab<'_>, setting: Setting) -> Vec<Row> {
    let Setting { way, nodes, loss, trouble } = setting;
    let what = format!("mongering, {way}, {nodes} nodes, loss {loss}, {}", trouble.name());
    let heard = lab.measure(&what, 12_000 / nodes, |chance| spread(setting, chance));
    let sample = |of: fn(&Heard) -> f64| Sample::new(heard.iter().map(of));
    let row = |metric: &str, measured| {
        let params = vec![
            ("way", way.into()),
            ("nodes", nodes.into()),
            ("loss", loss.into()),
            ("trouble", trouble.name().into()),
        ];
        Row::new(Experiment::Mongering, params, measured).with("metric", metric)
    };
    let (last, copies) = (sample(|heard| heard.last), sample(|heard| heard.copies));
    let late = heard.iter().filter(|heard| heard.late).count() as f64 / heard.len() as f64;
    let rows = [
        row("half_ms", sample(|heard| heard.half).median()),
        row("last_ms", last.median()),
        row("last_p99_ms", last.percentile(99)),
        row("copies", copies.mean()),
        row("bytes", sample(|heard| heard.bytes).mean()),
        row("late", late),
    ];
    rows.map(|row| judged(row, setting)).into()
}

/// The goals of the way that is the default.
fn judged(row: Row, setting: Setting) -> Row {
    let Setting { way, nodes, loss, trouble } = setting;
    let last = if nodes == 128 { 100.0 } else { 120.0 };
    match (way, trouble, loss) {
        ("ring", Trouble::None, 0.0) if row.is("metric", "last_p99_ms") => row.at_most(last),
        ("ring", Trouble::None, 0.0) if row.is("metric", "copies") => row.at_most(1.05),
        ("ring", Trouble::None, 0.0) if row.is("metric", "late") => row.at_most(0.0),
        ("ring", Trouble::None, _) if row.is("metric", "last_ms") && nodes == 128 => row.at_most(200.0),
        ("ring", Trouble::None, _) if row.is("metric", "last_p99_ms") => row.at_most(1_200.0),
        ("ring", Trouble::None, _) if row.is("metric", "copies") => row.at_most(1.6),
        _ => row,
    }
}

/// A write of 64 bytes spreads over a local network.
fn spread(setting: Setting, chance: &mut Chance) -> Heard {
    let (mut sim, mut places) = cluster(setting, chance);
    let nodes = places.len();
    let writer = places[chance.below(nodes - nodes / 10)];
    let idle = idle_bytes(&mut sim);
    match setting.trouble {
        Trouble::None | Trouble::All => {}
        Trouble::Dead => {
            let dead = places.split_off(nodes - nodes / 10);
            dead.into_iter().for_each(|place| sim.crash(place));
        }
        Trouble::New => places.extend(newcomers(&mut sim, nodes / 10, setting.way)),
    }
    let before = sim.counts();
    let mut writes = 1;
    if setting.trouble == Trouble::All {
        for &place in places.iter().filter(|place| **place != writer) {
            sim.run(INTERVAL / u32::try_from(nodes).unwrap_or(1));
            sim.set(place, "key", &"v".repeat(64));
            writes += 1;
        }
    }
    let owner = sim.name(writer).clone();
    sim.set(writer, "key", &"v".repeat(64));
    let times = sim.until_each(&places, 300 * INTERVAL, |core| core.value(&owner, "key").is_some());
    assert_eq!(times.len(), places.len(), "all have it in the end");
    if setting.trouble == Trouble::All {
        sim.run(4 * INTERVAL);
    }
    let spent = sim.counts() - before;
    let rounds = idle * spent.syns as f64;
    let each = places.len() as f64 * f64::from(writes);
    let millis = |time: Duration| time.as_secs_f64() * 1_000.0;
    let last = millis(times[times.len() - 1]);
    Heard {
        half: millis(times[times.len() / 2]),
        last,
        copies: spent.entries as f64 / each,
        bytes: (spent.bytes as f64 - rounds).max(0.0) / each,
        late: last > LATE,
    }
}

fn config(way: &str) -> Config {
    let mongering: Mongering = way.parse().expect("it is a way");
    Config { mongering, ..Config::new("lab") }
}

/// Nodes on a local network that have known each other for a while.
fn cluster(setting: Setting, chance: &mut Chance) -> (Simulation, Vec<Place>) {
    let mut sim = Simulation::new(chance.word());
    let millisecond = Duration::from_millis(1);
    sim.network.latency = (millisecond / 2, millisecond * 3 / 2);
    let places = sim.start_acquainted(setting.nodes, &config(setting.way));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of few")]
    let loss = (setting.loss * 1_000.0) as u16;
    sim.network.loss = Share(loss);
    sim.run(6 * INTERVAL + INTERVAL * u32::try_from(chance.below(1_000)).unwrap_or(0) / 1_000);
    (sim, places)
}

/// What a round that finds nothing takes, with its answer.
fn idle_bytes(sim: &mut Simulation) -> f64 {
    let before = sim.counts();
    sim.run(INTERVAL);
    let spent = sim.counts() - before;
    spent.bytes as f64 / spent.syns as f64
}

fn newcomers(sim: &mut Simulation, count: usize, way: &str) -> Vec<Place> {
    let names = (0..count).map(|number| format!("newcomer-{number}"));
    let new: Vec<_> = names.map(|name| sim.start(&name, config(way), &[Place(0)])).collect();
    sim.run(INTERVAL / 4);
    new
}

fn figure(rows: &[Row]) -> Figure {
    let mut series = Vec::new();
    for (colour, way) in WAYS.into_iter().filter(|way| !way.contains("coin")).enumerate() {
        let points = rows
            .iter()
            .filter(|row| row.is("way", way) && row.is("trouble", "none") && row.is("metric", "last_ms"))
            .filter(|row| row.number("nodes") == 128.0);
        let points = points.map(|row| (row.number("loss"), row.measured)).collect();
        series.push(Series::new(way, colour, Marks::Line, points));
    }
    Figure {
        title: "One write to the last of 128 nodes".to_owned(),
        x: Axis::linear("share of messages lost"),
        y: Axis::log("milliseconds"),
        series,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_reaches_all_at_once_and_chance_does_not() {
        let lab = Lab { runs: Some(10), ..Lab::default() };
        let last = |way| {
            let rows = measure(&lab, Setting { way, nodes: 64, loss: 0.0, trouble: Trouble::None });
            rows.into_iter().find(|row| row.is("metric", "last_ms")).expect("it is measured").measured
        };
        assert!(last("ring") < 60.0);
        assert!(last("blind-counter-4") > 200.0);
        assert!(last("off") > 2_000.0);
    }
}
