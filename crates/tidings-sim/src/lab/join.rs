//! How soon newcomers are known, and know all: the full protocol.

use tidings_core::{Gossiper, Moment, Standing};

use crate::lab::chance::{Chance, Odds};
use crate::lab::crew::Lab;
use crate::lab::experiment::Experiment;
use crate::lab::figure::{Axis, Figure, Marks, Series};
use crate::lab::protocol::{self, INTERVAL};
use crate::lab::row::{Findings, Row};
use crate::lab::sample::Sample;
use crate::lab::timers::{Beat, Timers};
use crate::{Place, Simulation};

/// What came of joining, in intervals from the start on.
struct Joined {
    /// Until all the others knew the newcomer.
    known: f64,
    /// Until the newcomer believed that all of them run.
    knows: f64,
}

pub(crate) fn run(lab: &Lab<'_>) -> Findings {
    let mut rows = newcomers(lab);
    rows.extend(together(lab));
    let figures = vec![figure(&rows)];
    Findings { experiment: Experiment::Join, rows, figures }
}

fn row(nodes: usize, what: &str, metric: &str, measured: f64) -> Row {
    let params = vec![("nodes", nodes.into()), ("start", what.into()), ("metric", metric.into())];
    Row::new(Experiment::Join, params, measured)
}

fn newcomers(lab: &Lab<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    for nodes in [10, 30, 100, 300] {
        let what = format!("join, a newcomer among {nodes}");
        let runs = (6_000 / nodes).clamp(20, 100);
        let joined = lab.measure(&what, runs, |chance| newcomer(nodes, chance));
        let known = Sample::new(joined.iter().map(|joined| joined.known));
        let knows = Sample::new(joined.iter().map(|joined| joined.knows));
        // Word of it spreads like any other, once it has asked whether its name is free.
        let spread = spread(lab, nodes);
        rows.extend([
            row(nodes, "newcomer", "known_by_all_intervals", known.mean())
                .expect(ASKING + spread)
                .within(spread, (ASKING + spread) * 1.25),
            row(nodes, "newcomer", "known_by_all_p99", known.percentile(99)),
            row(nodes, "newcomer", "knows_all_intervals", knows.mean()).at_most(10.0),
        ]);
    }
    rows
}

/// For how many intervals a newcomer asks who has its name, before it takes part.
const ASKING: f64 = 1.0;

/// How long word takes to reach all, by the model of free timers.
fn spread(lab: &Lab<'_>, nodes: usize) -> f64 {
    let timers = Timers { nodes, fanout: 1, beat: Beat::Staggered, latency: 10, loss: Odds::share(0.0) };
    let what = format!("join, the model of {nodes}");
    Sample::new(lab.measure(&what, 400, |chance| timers.run(chance).last)).mean()
}

/// The same happens twice, as chance is the same: who is watched differs.
fn newcomer(nodes: usize, chance: &mut Chance) -> Joined {
    let again = &mut chance.clone();
    let (mut sim, places, newcomer) = with_newcomer(nodes, chance);
    let name = sim.name(newcomer).clone();
    let known =
        sim.until_each(&places, 120 * INTERVAL, |core| core.state(&name, Moment::default()).is_some());
    assert_eq!(known.len(), nodes, "all know it within 120 intervals");
    let (mut sim, _, newcomer) = with_newcomer(nodes, again);
    let knows = sim.until_each(&[newcomer], 120 * INTERVAL, |core| has_all(core, nodes + 1));
    assert_eq!(knows.len(), 1, "it knows all within 120 intervals");
    Joined { known: known[nodes - 1].as_secs_f64(), knows: knows[0].as_secs_f64() }
}

fn with_newcomer(nodes: usize, chance: &mut Chance) -> (Simulation, Vec<Place>, Place) {
    let (mut sim, places) = protocol::cluster(nodes, &protocol::rounds_alone(), chance);
    let seed = places[chance.below(nodes)];
    let newcomer = sim.start("newcomer", protocol::rounds_alone(), &[seed]);
    (sim, places, newcomer)
}

fn has_all(core: &Gossiper, nodes: usize) -> bool {
    core.counts()[0] == (Standing::Live, nodes)
}

fn together(lab: &Lab<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    for nodes in [10, 30, 100, 300] {
        let what = format!("join, {nodes} start at once");
        let runs = (3_000 / nodes).clamp(20, 100);
        let times = Sample::new(lab.measure(&what, runs, |chance| all_at_once(nodes, chance)));
        rows.push(row(nodes, "all at once", "all_know_all_intervals", times.mean()).at_most(15.0));
        rows.push(row(nodes, "all at once", "all_know_all_p99", times.percentile(99)));
    }
    rows
}

/// How many intervals it takes until all of so many that start at once, knowing the first alone, believe that all run.
fn all_at_once(nodes: usize, chance: &mut Chance) -> f64 {
    let mut sim = Simulation::new(chance.word());
    sim.network.latency = (INTERVAL / 10, INTERVAL / 10);
    let start = |number: usize| sim.start(&format!("node-{number}"), protocol::rounds_alone(), &[Place(0)]);
    let places: Vec<Place> = (0..nodes).map(start).collect();
    let times = sim.until_each(&places, 120 * INTERVAL, |core| has_all(core, nodes));
    assert_eq!(times.len(), nodes, "all know all within 120 intervals");
    times[nodes - 1].as_secs_f64()
}

fn figure(rows: &[Row]) -> Figure {
    let of = |metric: &str, of: fn(&Row) -> Option<f64>| {
        let rows = rows.iter().filter(|row| row.is("metric", metric));
        rows.filter_map(|row| Some((row.number("nodes"), of(row)?))).collect()
    };
    Figure {
        title: "Joining, the full protocol".to_owned(),
        x: Axis::log("nodes"),
        y: Axis::linear("intervals T"),
        series: vec![
            Series::new(
                "a newcomer is known by all, expected",
                0,
                Marks::Line,
                of("known_by_all_intervals", |row| row.expected),
            ),
            Series::new(
                "a newcomer is known by all",
                0,
                Marks::Points,
                of("known_by_all_intervals", |row| Some(row.measured)),
            ),
            Series::new(
                "all that start at once know all",
                1,
                Marks::Points,
                of("all_know_all_intervals", |row| Some(row.measured)),
            ),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newcomers_are_known_and_know_all_soon() {
        let joined = newcomer(8, &mut Chance::new(1, "newcomer", 0));
        assert!(joined.known < 10.0 && joined.knows < 10.0, "{} {}", joined.known, joined.knows);
        let together = all_at_once(8, &mut Chance::new(1, "together", 0));
        assert!(together > 1.0 && together < 15.0, "{together}");
    }
}
