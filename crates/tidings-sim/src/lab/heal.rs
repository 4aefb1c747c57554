//! How soon all agree again: after most heard a thing already, and after a partition.

use tidings_core::{Config, Mode, Standing};

use crate::lab::chance::{Chance, Odds};
use crate::lab::crew::Lab;
use crate::lab::epidemic::Epidemic;
use crate::lab::experiment::Experiment;
use crate::lab::figure::{Axis, Figure, Marks, Series};
use crate::lab::protocol::{self, INTERVAL};
use crate::lab::row::{Findings, Row};
use crate::lab::sample::Sample;

pub(crate) fn run(lab: &Lab<'_>) -> Findings {
    let mut rows = informed(lab);
    let figure = figure(&rows);
    rows.extend(partitions(lab));
    Findings { experiment: Experiment::Heal, rows, figures: vec![figure] }
}

/// From a share of nodes that know to all of them, by synchronous push-pull.
fn informed(lab: &Lab<'_>) -> Vec<Row> {
    const EXPECTED: [(f64, [f64; 3]); 3] =
        [(0.5, [2.6, 3.1, 3.3]), (0.1, [4.3, 5.0, 5.1]), (0.01, [6.6, 7.0, 7.1])];
    // With three calls a round it takes two, three and four rounds, and nearly always just as many.
    const EXPECTED_OF_THREE: [f64; 3] = [2.0, 3.0, 4.0];
    let mut rows = Vec::new();
    for ((share, expected), of_three) in EXPECTED.into_iter().zip(EXPECTED_OF_THREE) {
        for (nodes, expected) in [100, 1_000, 10_000].into_iter().zip(expected) {
            for (fanout, expected, margin) in [(1, expected, 0.2), (3, of_three, 0.4)] {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of few")]
                let informed = (share * nodes as f64).round() as usize;
                let epidemic =
                    Epidemic { mode: Mode::PushPull, nodes, fanout, loss: Odds::share(0.0), informed };
                let what = format!("heal, {informed} of {nodes} know, fan-out {fanout}");
                let runs = (20_000_000 / nodes).clamp(40, 4_000);
                let rounds = Sample::new(lab.measure(&what, runs, |chance| epidemic.run(chance).last)).mean();
                let params = vec![
                    ("model", "sync".into()),
                    ("nodes", nodes.into()),
                    ("fanout", fanout.into()),
                    ("informed", share.into()),
                    ("metric", "rounds".into()),
                ];
                rows.push(Row::new(Experiment::Heal, params, rounds).give_or_take(expected, margin));
            }
        }
    }
    rows
}

/// How a partition healed, in intervals after its end.
struct Healed {
    /// Until all had the same.
    equal: f64,
    /// Until all believed again that all run.
    live: f64,
}

fn partitions(lab: &Lab<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    for nodes in [10, 40] {
        for (fanout, expected) in [(1, 5.0), (3, 3.0)] {
            let what = format!("heal, the full protocol, {nodes} nodes, fan-out {fanout}");
            let healed = lab.measure(&what, 40, |chance| partition(nodes, fanout, chance));
            let row = |metric: &str, measured| {
                let params =
                    vec![("model", "protocol".into()), ("nodes", nodes.into()), ("fanout", fanout.into())];
                Row::new(Experiment::Heal, params, measured).with("metric", metric)
            };
            let equal = Sample::new(healed.iter().map(|healed| healed.equal));
            let live = Sample::new(healed.iter().map(|healed| healed.live));
            rows.extend([
                row("intervals_to_equal", equal.mean()).expect(expected).at_most(expected),
                row("intervals_to_equal_p99", equal.percentile(99)),
                row("intervals_to_all_live", live.mean()),
            ]);
        }
    }
    rows
}

/// Two halves see nothing of each other for sixty intervals, in which every owner writes.
fn partition(nodes: usize, fanout: usize, chance: &mut Chance) -> Healed {
    let (mut sim, places) = protocol::cluster(nodes, &Config { fanout, ..Config::new("lab") }, chance);
    let (one, other) = places.split_at(nodes / 2);
    sim.network.part(one, other);
    sim.run(30 * INTERVAL);
    for &place in &places {
        sim.set(place, "key", "value");
    }
    sim.run(30 * INTERVAL);
    sim.network.heal();
    let from = sim.now();
    let equal = sim.until(600 * INTERVAL, |sim| sim.is_equal()).expect("all have the same in the end");
    let all_live = |core: &tidings_core::Gossiper| core.counts()[0] == (Standing::Live, nodes);
    let live = sim.until_each(&places, 600 * INTERVAL, all_live);
    assert_eq!(live.len(), nodes, "all believe that all run in the end");
    let since = |took: std::time::Duration| took.as_secs_f64();
    Healed { equal: since(equal), live: (sim.now() - from).as_secs_f64() }
}

fn figure(rows: &[Row]) -> Figure {
    let mut series = Vec::new();
    for (colour, share) in [0.5, 0.1, 0.01].into_iter().enumerate() {
        let of = |of: fn(&Row) -> Option<f64>| -> Vec<(f64, f64)> {
            rows.iter()
                .filter(|row| row.number("informed") == share && row.number("fanout") == 1.0)
                .filter_map(|row| Some((row.number("nodes"), of(row)?)))
                .collect()
        };
        let name = format!("{} % know at the beginning", share * 100.0);
        series.push(Series::new(format!("{name}, expected"), colour, Marks::Line, of(|row| row.expected)));
        series.push(Series::new(name, colour, Marks::Points, of(|row| Some(row.measured))));
    }
    Figure {
        title: "Synchronous rounds from a share that knows to all".to_owned(),
        x: Axis::log("nodes"),
        y: Axis::linear("rounds"),
        series,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_lack_it_soon_have_it() {
        let rows = informed(&Lab { runs: Some(300), ..Lab::default() });
        let wrong: Vec<_> = rows.iter().filter(|row| !row.ok()).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn halves_that_were_parted_find_each_other() {
        let healed = partition(6, 1, &mut Chance::new(1, "halves", 0));
        assert!(healed.equal <= healed.live && healed.live < 60.0, "{} {}", healed.equal, healed.live);
    }
}
