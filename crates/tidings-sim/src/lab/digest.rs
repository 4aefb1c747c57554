//! How much two nodes differ in when they gossip, and what it takes to tell.

use crate::lab::chance::{Chance, Odds};
use crate::lab::crew::Lab;
use crate::lab::epidemic::{Epidemic, Outcome};
use crate::lab::experiment::Experiment;
use crate::lab::figure::{Axis, Figure, Marks, Series};
use crate::lab::row::{Findings, Row};
use crate::lab::sample::Sample;
use crate::lab::sketch;
use crate::lab::timers::{Beat, Timers};
use tidings_core::Mode;

pub(crate) fn run(lab: &Lab<'_>) -> Findings {
    let mut rows = changes(lab);
    rows.extend(heartbeats(lab));
    let (sketches, figure) = sketches(lab);
    rows.extend(sketches);
    Findings { experiment: Experiment::Digest, rows, figures: vec![figure] }
}

/// Of U owners that change in an interval, d = c U / f differ in an exchange, where c is the number of copies that a node
/// is sent of each: at any number of nodes.
fn changes(lab: &Lab<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    for nodes in [1_000, 10_000, 100_000] {
        let runs = (4_000_000 / nodes).clamp(40, 2_000);
        let loss = Odds::share(0.0);
        let mut add = |timing: &str, fanout: usize, expected, outcomes: Vec<Outcome>| {
            let row = |metric: &str, measured| {
                let params = vec![
                    ("versioned", "changes".into()),
                    ("timing", timing.into()),
                    ("nodes", nodes.into()),
                    ("fanout", fanout.into()),
                ];
                Row::new(Experiment::Digest, params, measured).with("metric", metric)
            };
            let mean = |of: fn(&Outcome) -> f64| Sample::new(outcomes.iter().map(of)).mean();
            let (differing, copies) = (mean(|outcome| outcome.differing), mean(|outcome| outcome.copies));
            rows.push(row("f_d_per_u", differing).near(expected, 0.03));
            rows.push(row("f_d_per_u_over_copies", differing / copies).near(1.0, 0.01));
        };
        let epidemic = Epidemic { mode: Mode::PushPull, nodes, fanout: 1, loss, informed: 1 };
        let what = format!("digest, {nodes} nodes, synchronous rounds");
        add("sync", 1, 1.335, lab.measure(&what, runs, |chance| epidemic.run(chance)));
        let cases = [(1, 0, 1.0), (1, 10, 1.12), (1, 30, 1.33), (3, 0, 1.52), (3, 10, 1.82), (3, 30, 2.19)];
        for (fanout, latency, expected) in cases {
            let timing = match (fanout, latency) {
                (1, 0) => "event".to_owned(),
                (1, _) => format!("event-0.{}T", latency / 10),
                (_, 0) => "burst".to_owned(),
                (_, _) => format!("burst-0.{}T", latency / 10),
            };
            let timers = Timers { nodes, fanout, beat: Beat::Burst, latency, loss };
            let what = format!("digest, {nodes} nodes, {timing}");
            add(&timing, fanout, expected, lab.measure(&what, runs, |chance| timers.run(chance)));
        }
    }
    rows
}

/// With a heartbeat in the versions, everybody changes in every interval, and most of all nodes differ: why Tidings keeps
/// signs of life out of them.
fn heartbeats(lab: &Lab<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    for (fanout, expected, low, high) in [(1, 0.65, 0.60, 0.70), (3, 0.32, 0.29, 0.35)] {
        for nodes in [100, 300, 1_000] {
            let what = format!("digest, {nodes} nodes, heartbeats, fan-out {fanout}");
            let shares = lab.measure(&what, 4, |chance| differing_share(nodes, fanout, chance));
            let params = vec![
                ("versioned", "heartbeats".into()),
                ("timing", "sync".into()),
                ("nodes", nodes.into()),
                ("fanout", fanout.into()),
            ];
            let row = Row::new(Experiment::Digest, params, Sample::new(shares).mean());
            rows.push(row.with("metric", "d_per_n").expect(expected).within(low, high));
        }
    }
    rows
}

/// Of all owners, the share that differs in an exchange, if each node counts its rounds in its version. Exchanges of a
/// round happen one after the other.
fn differing_share(nodes: usize, fanout: usize, chance: &mut Chance) -> f64 {
    const ROUNDS: u16 = 80;
    const WARM: u16 = 30;
    let mut versions = vec![vec![0_u16; nodes]; nodes];
    let (mut differing, mut all) = (0, 0);
    for round in 1..=ROUNDS {
        for (node, versions) in versions.iter_mut().enumerate() {
            versions[node] = round;
        }
        for node in 0..nodes {
            for _ in 0..fanout {
                let other = chance.other(node, nodes);
                let [one, other] = versions.get_disjoint_mut([node, other]).expect("two nodes");
                if round > WARM {
                    differing += one.iter().zip(&*other).filter(|(one, other)| one != other).count();
                    all += nodes;
                }
                for (one, other) in one.iter_mut().zip(other) {
                    let newest = (*one).max(*other);
                    (*one, *other) = (newest, newest);
                }
            }
        }
    }
    differing as f64 / all as f64
}

/// How many symbols of a rateless sketch tell a difference, for each element of it.
fn sketches(lab: &Lab<'_>) -> (Vec<Row>, Figure) {
    let expected = [(1, 1.0), (4, 1.78), (16, 1.65), (64, 1.49), (256, 1.40), (1_024, 1.38), (16_384, 1.35)];
    let mut rows = Vec::new();
    for (elements, expected) in expected {
        let runs = (2_000_000 / elements).clamp(40, 20_000);
        let what = format!("digest, sketch of {elements}");
        let symbols = lab.measure(&what, runs, |chance| sketch::symbols(elements, chance) as f64);
        let overhead = Sample::new(symbols).mean() / elements as f64;
        let params = vec![("elements", elements.into()), ("metric", "symbols_per_element".into())];
        rows.push(Row::new(Experiment::Digest, params, overhead).near(expected, 0.03));
    }
    let of = |of: fn(&Row) -> Option<f64>| {
        rows.iter().filter_map(|row| Some((row.number("elements"), of(row)?))).collect()
    };
    let figure = Figure {
        title: "What a rateless sketch costs".to_owned(),
        x: Axis::log("elements of the difference"),
        y: Axis::linear("symbols per element"),
        series: vec![
            Series::new("expected", 0, Marks::Line, of(|row| row.expected)),
            Series::new("measured", 0, Marks::Points, of(|row| Some(row.measured))),
        ],
    };
    (rows, figure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeats_in_versions_make_most_owners_differ() {
        let share = |fanout| differing_share(100, fanout, &mut Chance::new(1, "heartbeats", 0));
        assert!((0.60..0.70).contains(&share(1)), "{}", share(1));
        assert!((0.29..0.35).contains(&share(3)), "{}", share(3));
    }

    #[test]
    fn sketches_cost_what_the_paper_says() {
        let (rows, _) = sketches(&Lab { runs: Some(60), ..Lab::default() });
        for row in rows.iter().filter(|row| row.number("elements") >= 64.0) {
            let expected = row.expected.expect("a figure");
            assert!((row.measured / expected - 1.0).abs() < 0.06, "{row:?}");
        }
    }
}
