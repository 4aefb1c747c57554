//! How long one write takes to reach everybody, in models of up to a million nodes and in the full protocol.

use tidings_core::Mode;

use crate::Share;
use crate::lab::chance::Odds;
use crate::lab::crew::Lab;
use crate::lab::epidemic::{Epidemic, Outcome};
use crate::lab::experiment::Experiment;
use crate::lab::figure::{Axis, Figure, Marks, Series};
use crate::lab::protocol;
use crate::lab::row::{Findings, Param, Row};
use crate::lab::sample::Sample;
use crate::lab::theory::{self, Expected};
use crate::lab::timers::{Beat, Timers};

/// Of what the experiment `spread` is made.
#[derive(Debug, Clone, PartialEq)]
pub struct Spread {
    /// Which ways news goes.
    pub modes: Vec<Mode>,
    /// How many nodes there are: each of these numbers, from two on.
    pub nodes: Vec<usize>,
    /// With how many others a node gossips in a round.
    pub fanout: usize,
    /// Which share of all messages is lost, from 0 to 0.9.
    pub loss: f64,
}

/// The most nodes that free timers are modelled for, and that the full protocol is run for.
const MOST_TIMERS: usize = 100_000;
const MOST_PROTOCOL: usize = 300;

/// The fewest nodes that are judged: the theory is about many.
const FEWEST: usize = 10;

/// The most loss that the full protocol is run for: beyond it, what spreads is no longer all that happens.
const MOST_LOSS: f64 = 0.25;

impl Default for Spread {
    /// All modes, a hundred to a million nodes, one call, no loss.
    fn default() -> Self {
        Self {
            modes: vec![Mode::Push, Mode::Pull, Mode::PushPull],
            nodes: vec![100, 1_000, 10_000, 100_000, 1_000_000],
            fanout: 1,
            loss: 0.0,
        }
    }
}

/// One mode and number of nodes of what is asked.
struct Case<'a> {
    lab: &'a Lab<'a>,
    asked: &'a Spread,
    mode: Mode,
    nodes: usize,
}

pub(crate) fn run(lab: &Lab<'_>, asked: &Spread) -> Findings {
    let mut rows = Vec::new();
    for &mode in &asked.modes {
        let first = rows.len();
        for &nodes in &asked.nodes {
            let case = Case { lab, asked, mode, nodes };
            rows.extend(case.rounds());
        }
        rows.extend(slope(asked, mode, &rows[first..]));
        if mode == Mode::PushPull {
            for &nodes in asked.nodes.iter().filter(|&&nodes| nodes <= MOST_TIMERS) {
                let case = Case { lab, asked, mode, nodes };
                rows.extend(case.timers());
            }
        }
    }
    let figures = figures(asked, &rows);
    Findings { experiment: Experiment::Spread, rows, figures }
}

impl Case<'_> {
    fn row(&self, timing: &str, metric: &str, measured: f64) -> Row {
        row(self.asked, self.mode, self.nodes, timing, metric, measured)
    }

    /// Synchronous rounds.
    fn rounds(&self) -> Vec<Row> {
        let Self { lab, asked: &Spread { fanout, loss, .. }, mode, nodes } = *self;
        let epidemic = Epidemic { mode, nodes, fanout, loss: Odds::share(loss), informed: 1 };
        let what = format!("spread, {mode}, {nodes} nodes, synchronous rounds");
        let outcomes =
            lab.measure(&what, (40_000_000 / nodes).clamp(150, 4_000), |chance| epidemic.run(chance));
        let last = Sample::new(outcomes.iter().map(|outcome| outcome.last));
        let plain = fanout == 1 && loss == 0.0;
        let row = |metric, measured| self.row("sync", metric, measured);
        let expected = (nodes >= FEWEST).then(|| theory::rounds(mode, nodes, fanout, loss));
        let mut rows = vec![judged(row("rounds", last.mean()), expected)];
        if mode == Mode::PushPull {
            // A law of the form log3 n + log2 ln n leaves little over, at any number of nodes.
            if plain && nodes >= 100 {
                let left = last.mean() - theory::formula(mode, nodes);
                rows.push(row("residual", left).give_or_take(0.0, 0.2));
            }
            let tail = row("p99", last.percentile(99));
            rows.push(match theory::slow_rounds(nodes).filter(|_| plain) {
                Some(expected) => tail.expect(expected).at_most(last.mean() + 2.0),
                None => tail,
            });
        }
        let expected = theory::mean_rounds(mode, nodes).filter(|_| plain);
        rows.push(judged(row("t_ave", mean(&outcomes, |outcome| outcome.mean)), expected));
        let expected = theory::copies(mode, nodes).filter(|_| plain);
        rows.push(judged(row("copies", mean(&outcomes, |outcome| outcome.copies)), expected));
        rows
    }

    /// Timers that run freely, and the full protocol beside them.
    fn timers(&self) -> Vec<Row> {
        let Spread { fanout, loss, .. } = *self.asked;
        let mut rows = Vec::new();
        let mut add = |timing: &str, latency, beat| {
            let outcomes = self.free(timing, latency, beat, loss);
            let burst = beat == Beat::Burst;
            let last = Sample::new(outcomes.iter().map(|outcome| outcome.last));
            let expected = theory::intervals(self.nodes, fanout, loss, latency, burst);
            rows.push(judged(self.row(timing, "intervals", last.mean()), expected));
            rows.push(self.row(timing, "p99", last.percentile(99)));
            rows.push(self.row(timing, "t_ave", mean(&outcomes, |outcome| outcome.mean)));
            let copies = mean(&outcomes, |outcome| outcome.copies);
            rows.push(self.row(timing, "copies", copies));
            (last.mean(), copies)
        };
        if fanout > 1 {
            add("burst", 0, Beat::Burst);
            add("burst-0.1T", 10, Beat::Burst);
        }
        add("event", 0, Beat::Staggered);
        let model = add("event-0.1T", 10, Beat::Staggered);
        if self.nodes <= MOST_PROTOCOL && loss <= MOST_LOSS {
            rows.extend(self.protocol(model));
        }
        rows
    }

    fn free(&self, timing: &str, latency: u64, beat: Beat, loss: f64) -> Vec<Outcome> {
        let fanout = self.asked.fanout;
        let timers = Timers { nodes: self.nodes, fanout, beat, latency, loss: Odds::share(loss) };
        let what = format!("spread, {} nodes, free timers, {timing}", self.nodes);
        let runs = (4_000_000 / self.nodes).clamp(40, 2_000);
        self.lab.measure(&what, runs, |chance| timers.run(chance))
    }

    /// The full protocol against the model whose messages take as long: it must be as fast, and send as many copies.
    ///
    /// Where messages are lost, it repeats what got no answer, which the model does not. It may then be anything between
    /// that model and the one that loses nothing, and sends more copies.
    fn protocol(&self, (intervals, copies): (f64, f64)) -> Vec<Row> {
        let Spread { fanout, loss, .. } = *self.asked;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share is from 0 to 0.9"
        )]
        let lost = Share((loss * 1_000.0).round() as u16);
        let what = format!("spread, {} nodes, the full protocol", self.nodes);
        let runs = (20_000 / self.nodes).clamp(60, 400);
        let outcomes =
            self.lab.measure(&what, runs, |chance| protocol::spread(self.nodes, fanout, lost, chance));
        let (fastest, most_copies) = if loss > 0.0 {
            let lossless = self.free("event-0.1T without loss", 10, Beat::Staggered, 0.0);
            (mean(&lossless, |outcome| outcome.last), 1.5)
        } else {
            (intervals, 1.1)
        };
        let row = |metric, measured| self.row("protocol", metric, measured);
        let last = Sample::new(outcomes.iter().map(|outcome| outcome.last));
        let spread = row("intervals", last.mean()).expect(intervals);
        let sent = row("copies", mean(&outcomes, |outcome| outcome.copies)).expect(copies);
        let is_judged = self.nodes >= FEWEST;
        vec![
            if is_judged { spread.within(fastest * 0.85, intervals * 1.1) } else { spread },
            row("p99", last.percentile(99)),
            row("t_ave", mean(&outcomes, |outcome| outcome.mean)),
            if is_judged { sent.within(copies * 0.9, copies * most_copies) } else { sent },
        ]
    }
}

fn row(asked: &Spread, mode: Mode, nodes: usize, timing: &str, metric: &str, measured: f64) -> Row {
    let params: Vec<(&str, Param)> = vec![
        ("mode", Param::Word(mode.to_string())),
        ("nodes", nodes.into()),
        ("fanout", asked.fanout.into()),
        ("loss", asked.loss.into()),
        ("timing", timing.into()),
        ("metric", metric.into()),
    ];
    Row::new(Experiment::Spread, params, measured)
}

fn judged(row: Row, expected: Option<Expected>) -> Row {
    match expected {
        Some(Expected { value, low, high }) => row.expect(value).within(low, high),
        None => row,
    }
}

fn mean(outcomes: &[Outcome], of: impl Fn(&Outcome) -> f64) -> f64 {
    outcomes.iter().map(of).sum::<f64>() / outcomes.len() as f64
}

/// How the rounds of push-pull grow beside log3 n, less log2 ln n: by one, says the theory.
fn slope(asked: &Spread, mode: Mode, rows: &[Row]) -> Option<Row> {
    let points: Vec<(f64, f64)> = rows
        .iter()
        .filter(|row| row.is("metric", "rounds") && row.number("nodes") >= 100.0)
        .map(|row| {
            let nodes = row.number("nodes");
            (nodes.ln() / 3_f64.ln(), row.measured - nodes.ln().log2())
        })
        .collect();
    let most = asked.nodes.iter().copied().max()?;
    if mode != Mode::PushPull || asked.fanout != 1 || asked.loss != 0.0 || points.len() < 3 {
        return None;
    }
    let count = points.len() as f64;
    let middle =
        points.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0 / count, sum.1 + point.1 / count));
    let over = points.iter().map(|point| (point.0 - middle.0) * (point.1 - middle.1)).sum::<f64>();
    let under = points.iter().map(|point| (point.0 - middle.0) * (point.0 - middle.0)).sum::<f64>();
    Some(row(asked, mode, most, "sync", "slope", over / under).give_or_take(1.0, 0.05))
}

fn figures(asked: &Spread, rows: &[Row]) -> Vec<Figure> {
    let points = |mode: &str, timing: &str, metric: &str, of: fn(&Row) -> Option<f64>| -> Vec<(f64, f64)> {
        rows.iter()
            .filter(|row| row.is("mode", mode) && row.is("timing", timing) && row.is("metric", metric))
            .filter_map(|row| Some((row.number("nodes"), of(row)?)))
            .collect()
    };
    let mut series = Vec::new();
    for (colour, mode) in asked.modes.iter().enumerate() {
        let name = mode.to_string();
        let expected = points(&name, "sync", "rounds", |row| row.expected);
        series.push(Series::new(format!("{name}, expected"), colour, Marks::Line, expected));
        let measured = points(&name, "sync", "rounds", |row| Some(row.measured));
        series.push(Series::new(name, colour, Marks::Points, measured));
    }
    let mut figures = vec![Figure {
        title: "Synchronous rounds until the last node knows".to_owned(),
        x: Axis::log("nodes"),
        y: Axis::linear("rounds"),
        series,
    }];
    let names = [
        ("event", "free timers"),
        ("event-0.1T", "free timers, 0.1 T one way"),
        ("burst-0.1T", "the same, all exchanges at once"),
        ("protocol", "the full protocol, 0.1 T one way"),
    ];
    let mut series = Vec::new();
    for (colour, (timing, name)) in names.into_iter().enumerate() {
        let expected = points("push-pull", timing, "intervals", |row| row.expected);
        if timing != "protocol" {
            series.push(Series::new(format!("{name}, expected"), colour, Marks::Line, expected));
        }
        let measured = points("push-pull", timing, "intervals", |row| Some(row.measured));
        series.push(Series::new(name, colour, Marks::Points, measured));
    }
    figures.push(Figure {
        title: "Intervals until the last node knows, push-pull".to_owned(),
        x: Axis::log("nodes"),
        y: Axis::linear("intervals T"),
        series,
    });
    figures.retain_mut(|figure| {
        figure.series.retain(|series| !series.points.is_empty());
        !figure.series.is_empty()
    });
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(asked: &Spread, runs: usize) -> Vec<Row> {
        let findings = Lab { runs: Some(runs), ..Lab::default() }.spread(asked);
        findings.rows.into_iter().filter(|row| !row.ok()).collect()
    }

    #[test]
    fn models_and_protocol_are_what_theory_expects() {
        let asked = Spread { nodes: vec![100, 1_000, 10_000], ..Spread::default() };
        let wrong = wrong(&asked, 100);
        // A hundred runs leave the tail and the fit to chance.
        let by_chance =
            |row: &&Row| ["p99", "slope", "residual"].iter().any(|metric| row.is("metric", metric));
        let means: Vec<_> = wrong.iter().filter(|row| !by_chance(row)).collect();
        assert!(means.is_empty(), "{means:#?}");
    }

    #[test]
    fn several_calls_and_loss_are_what_the_recursion_expects() {
        let asked = Spread { nodes: vec![500], fanout: 2, loss: 0.15, ..Spread::default() };
        let findings = Lab { runs: Some(100), ..Lab::default() }.spread(&asked);
        let rounds: Vec<_> = findings.rows.iter().filter(|row| row.is("metric", "rounds")).collect();
        assert!(rounds.len() == 3 && rounds.iter().all(|row| row.is_judged() && row.ok()), "{rounds:#?}");
        assert!(findings.rows.iter().any(|row| row.is("timing", "burst-0.1T")));
    }

    #[test]
    fn a_wrong_expectation_is_found_out() {
        let asked = Spread { nodes: vec![100], modes: vec![Mode::Pull], ..Spread::default() };
        let outcomes = Lab { runs: Some(100), ..Lab::default() }.spread(&asked);
        let rounds = outcomes.rows[0].clone();
        assert!(rounds.ok() && !rounds.give_or_take(theory::formula(Mode::Push, 100), 0.4).ok());
    }

    #[test]
    fn pictures_show_what_was_asked_alone() {
        let asked = Spread { nodes: vec![20], modes: vec![Mode::Push], ..Spread::default() };
        let findings = Lab { runs: Some(2), ..Lab::default() }.spread(&asked);
        assert_eq!(findings.figures.len(), 1, "push has no free timers");
        assert_eq!(findings.pictures()[0].0, "spread-1.svg");
    }
}
