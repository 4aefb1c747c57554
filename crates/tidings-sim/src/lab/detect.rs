//! How soon a crash is seen, and how often the living are suspected: three detectors' models, and the full protocol.

use tidings_core::{Config, Gossiper, Moment, Standing};

use crate::Share;
use crate::lab::accrual;
use crate::lab::chance::{Chance, Odds};
use crate::lab::crew::Lab;
use crate::lab::experiment::Experiment;
use crate::lab::figure::{Axis, Figure, Marks, Series};
use crate::lab::protocol::{self, INTERVAL};
use crate::lab::row::{Findings, Param, Row};
use crate::lab::sample::Sample;
use crate::lab::swim;
use crate::lab::timers::{Beat, Timers};

pub(crate) fn run(lab: &Lab<'_>) -> Findings {
    let mut rows = first_detections(lab);
    rows.extend(suspicions(lab));
    let (phi, figure) = phi(lab);
    rows.extend(phi);
    rows.extend(crashes(lab));
    Findings { experiment: Experiment::Detect, rows, figures: vec![figure] }
}

fn row(detector: &str, params: Vec<(&'static str, Param)>, metric: &str, measured: f64) -> Row {
    let mut all = vec![("detector", detector.into())];
    all.extend(params);
    all.push(("metric", metric.into()));
    Row::new(Experiment::Detect, all, measured)
}

fn first_detections(lab: &Lab<'_>) -> Vec<Row> {
    let of = |members| {
        let what = format!("detect, SWIM, {members} members");
        let periods = lab.measure(&what, 20_000, |chance| f64::from(swim::first_detection(members, chance)));
        let row = row(
            "swim",
            vec![("nodes", members.into())],
            "first_detection_periods",
            Sample::new(periods).mean(),
        );
        // For many members e / (e - 1) = 1.58, and for eight less: section 3.1 of the paper.
        match members {
            32.. => row.expect(swim::expected_detection(members)).within(1.45, 1.70),
            _ => row.give_or_take(swim::expected_detection(members), 0.06),
        }
    };
    [8, 32, 128, 1_000].map(of).into()
}

fn suspicions(lab: &Lab<'_>) -> Vec<Row> {
    const PROBES: usize = 100_000;
    let of = |helpers: u8| {
        let what = format!("detect, SWIM, {helpers} helpers");
        let counts = lab.measure(&what, 100, |chance| {
            swim::false_suspicions(helpers.into(), Odds::share(0.1), PROBES, chance) as f64
        });
        let share = Sample::new(counts).mean() / PROBES as f64;
        let params = vec![("loss", 0.1.into()), ("helpers", usize::from(helpers).into())];
        row("swim", params, "false_suspicions_per_member_and_period", share)
            .near(swim::expected_suspicions(helpers.into(), 0.1), 0.1)
    };
    [1, 3, 5].map(of).into()
}

fn phi(lab: &Lab<'_>) -> (Vec<Row>, Figure) {
    let traces = lab.measure("detect, phi accrual", 40, |chance| accrual::watch(200_000, chance));
    let mean = |at: usize, of: fn(&accrual::Watched) -> f64| {
        Sample::new(traces.iter().map(|trace| of(&trace[at]))).mean()
    };
    let mut rows = Vec::new();
    let (mut mistakes, mut detections) = (Vec::new(), Vec::new());
    // The paper's figures 8 and 9, read by eye: of a trace that is not to be had.
    let paper = [0.09, 0.05, 0.033, 0.022, 0.0125, 0.0037, 0.0025, 0.0011]
        .into_iter()
        .zip([0.26, 0.27, 0.28, 0.30, 0.36, 0.60, 1.23, 2.57]);
    for ((at, &(threshold, _)), paper) in accrual::THRESHOLDS.iter().enumerate().zip(paper) {
        let params = || vec![("threshold", threshold.into())];
        mistakes.push((threshold, mean(at, |watched| watched.mistakes)));
        detections.push(mean(at, |watched| watched.detection));
        rows.push(row("phi", params(), "mistakes_per_second", mistakes[at].1).expect(paper.0));
        rows.push(row("phi", params(), "detection_s", detections[at]).expect(paper.1));
    }
    let drop = mistakes[3].1 / mistakes[5].1;
    rows.push(row("phi", Vec::new(), "mistakes_at_8_over_12", drop).expect(5.9).at_least(4.0));
    let rise = detections[5] / detections[3];
    rows.push(row("phi", Vec::new(), "detection_at_12_over_8", rise).expect(2.0).within(1.0, 2.5));
    let figure = Figure {
        title: "Phi accrual: mistakes by threshold".to_owned(),
        x: Axis::linear("threshold"),
        y: Axis::log("mistakes per second"),
        series: vec![
            Series::new(
                "the paper's trace",
                1,
                Marks::Line,
                rows.iter()
                    .filter(|row| row.is("metric", "mistakes_per_second"))
                    .filter_map(|row| Some((row.number("threshold"), row.expected?)))
                    .collect(),
            ),
            Series::new("measured on ours", 0, Marks::Points, mistakes),
        ],
    };
    (rows, figure)
}

/// When a crash was convicted, in intervals after it: by the first and by the last of the others.
struct Convicted {
    first: f64,
    last: f64,
}

/// When the median crash is convicted by the first observer: 0.7 intervals until somebody turns to it, two of patience, half of
/// the 0.3 between attempts, and half an interval until the last one has failed, which is as long as answers are waited for
/// where they take a fifth of an interval.
const FIRST: f64 = 0.7 + 2.0 + 0.15 + 0.5;

/// The full protocol, beside what its design computed for evidence from attempts with a patience of two intervals, where
/// answers come at once: 2.9 intervals at any number of nodes (median), 7.0 at worst (one of a hundred), the spread not counted.
/// That all convict it must take no longer than that and a spread as a write has it.
fn crashes(lab: &Lab<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    for (nodes, loss) in [(5, 0), (30, 0), (30, 250), (100, 0)] {
        let what = format!("detect, the full protocol, {nodes} nodes, loss {loss} in 1000");
        let convicted = lab.measure(&what, 250, |chance| crash(nodes, Share(loss), chance));
        let first = Sample::new(convicted.iter().map(|convicted| convicted.first));
        let last = Sample::new(convicted.iter().map(|convicted| convicted.last));
        let spread = spread(lab, nodes, f64::from(loss) / 1_000.0);
        let row = |metric: &str, measured| {
            let params = vec![("nodes", nodes.into()), ("loss", (f64::from(loss) / 1_000.0).into())];
            row("protocol", params, metric, measured)
        };
        rows.extend([
            row("first_conviction_median_intervals", first.median()).expect(FIRST).within(2.0, FIRST + 0.3),
            row("first_conviction_p99_intervals", first.percentile(99)).expect(7.0).at_most(10.0),
            row("all_convict_median_intervals", last.median()).at_most(2.9 + spread),
            row("all_convict_p99_intervals", last.percentile(99)),
        ]);
    }
    rows
}

/// How long word takes to reach all, by the model of free timers.
fn spread(lab: &Lab<'_>, nodes: usize, loss: f64) -> f64 {
    let timers = Timers { nodes, fanout: 1, beat: Beat::Staggered, latency: 10, loss: Odds::share(loss) };
    let what = format!("detect, the model of {nodes}, loss {loss}");
    Sample::new(lab.measure(&what, 400, |chance| timers.run(chance).last)).mean()
}

fn crash(nodes: usize, loss: Share, chance: &mut Chance) -> Convicted {
    let (mut sim, places) = protocol::cluster(nodes, &Config::new("lab"), chance);
    sim.network.loss = loss;
    sim.run(10 * INTERVAL);
    let victim = places[chance.below(nodes)];
    sim.crash(victim);
    let name = sim.name(victim).clone();
    let others: Vec<_> = places.into_iter().filter(|&place| place != victim).collect();
    let convicts = |core: &Gossiper| {
        let state = core.state(&name, Moment::default());
        state.is_some_and(|state| state.member.standing == Standing::Unreachable)
    };
    let times = sim.until_each(&others, 300 * INTERVAL, convicts);
    assert_eq!(times.len(), others.len(), "all convict it within 300 intervals");
    Convicted { first: times[0].as_secs_f64(), last: times[times.len() - 1].as_secs_f64() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_is_seen_after_the_patience_and_before_ten_intervals() {
        let lab = Lab { runs: Some(5), ..Lab::default() };
        for convicted in lab.measure("crash", 5, |chance| crash(12, Share(0), chance)) {
            assert!(convicted.first >= 2.0 && convicted.first <= convicted.last, "{}", convicted.first);
            assert!(convicted.last < 10.0, "{}", convicted.last);
        }
    }
}
