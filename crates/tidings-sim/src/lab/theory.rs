//! What theory and earlier computations expect of an epidemic.
//!
//! Where a table has a figure, it counts: such figures were computed by programs that share nothing with the models here.
//! Between them the formulae hold, and for loss and fan-out without a figure the recursion of the epidemic itself.

use tidings_core::Mode;

/// An expectation, and what is accepted around it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Expected {
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// The numbers of nodes that tables are for: 10^2 to 10^6.
const NODES: [usize; 5] = [100, 1_000, 10_000, 100_000, 1_000_000];

impl Expected {
    fn give_or_take(value: f64, margin: f64) -> Self {
        Self { value, low: value - margin, high: value + margin }
    }
}

/// The mean number of synchronous rounds until the last node knows.
pub(crate) fn rounds(mode: Mode, nodes: usize, fanout: usize, loss: f64) -> Expected {
    if fanout == 1 && loss == 0.0 {
        return plain_rounds(mode, nodes);
    }
    if let Some(value) = fanout_rounds(mode, nodes, fanout).filter(|_| loss == 0.0) {
        return Expected::give_or_take(value, 0.25);
    }
    if let Some(value) = lossy_rounds(mode, nodes, loss).filter(|_| fanout == 1) {
        return Expected::give_or_take(value, f64::max(0.3, value * 0.04));
    }
    let value = recursion(mode, nodes, fanout, loss);
    Expected::give_or_take(value, f64::max(0.4, value * 0.04))
}

/// Without loss and with one call a round. Push and pull among 10^6 were computed in twelve runs only: there the formulae
/// are better.
fn plain_rounds(mode: Mode, nodes: usize) -> Expected {
    let margins = match mode {
        Mode::Push | Mode::Pull => [0.4, 0.4, 0.4, 0.4, 0.5],
        Mode::PushPull => [0.2; 5],
    };
    match (at(nodes), mode, nodes) {
        (Some(place), Mode::Push, 1_000) => Expected { low: 17.7, high: 18.4, ..table(mode, place, 0.0) },
        (Some(place), Mode::Pull, 1_000) => Expected { low: 13.4, high: 14.2, ..table(mode, place, 0.0) },
        (Some(place), Mode::Push | Mode::Pull | Mode::PushPull, _) => table(mode, place, margins[place]),
        (None, Mode::Push | Mode::Pull | Mode::PushPull, 100..) => {
            Expected::give_or_take(formula(mode, nodes), 0.5)
        }
        (None, Mode::Push | Mode::Pull | Mode::PushPull, ..100) => {
            Expected::give_or_take(recursion(mode, nodes, 1, 0.0), 0.6)
        }
    }
}

fn table(mode: Mode, place: usize, margin: f64) -> Expected {
    let figures = match mode {
        Mode::Push => [12.3, 18.0, 23.7, 29.3, 34.85],
        Mode::Pull => [9.8, 13.8, 17.4, 21.3, 24.7],
        Mode::PushPull => [6.53, 9.16, 11.59, 14.02, 16.33],
    };
    Expected::give_or_take(figures[place], margin)
}

/// Where `nodes` is in the tables.
fn at(nodes: usize) -> Option<usize> {
    NODES.iter().position(|&number| number == nodes)
}

/// Push: log2 n + ln n + 1.1 (Pittel 1987); pull: log2 n + log2 ln n + 1.0; push-pull: log3 n + log2 ln n (Karp,
/// Schindelhauer, Shenker, Vöcking 2000; Doerr and Kostrygin 2017). The constants were found by computation.
pub(crate) fn formula(mode: Mode, nodes: usize) -> f64 {
    let nodes = nodes as f64;
    match mode {
        Mode::Push => nodes.log2() + nodes.ln() + 1.1,
        Mode::Pull => nodes.log2() + nodes.ln().log2() + 1.0,
        Mode::PushPull => nodes.ln() / 3_f64.ln() + nodes.ln().log2(),
    }
}

/// Push-pull with several calls a round.
fn fanout_rounds(mode: Mode, nodes: usize, fanout: usize) -> Option<f64> {
    const ROUNDS: [[f64; 4]; 4] =
        [[4.5, 3.9, 3.3, 3.0], [6.2, 5.1, 4.9, 4.1], [8.0, 6.7, 6.0, 5.1], [9.7, 8.0, 7.0, 6.4]];
    let row = ROUNDS.get(at(nodes)?).filter(|_| mode == Mode::PushPull)?;
    row.get(fanout.checked_sub(2)?).copied()
}

/// A thousand nodes that lose 5, 10, 20, 30 or 50 % of all messages.
fn lossy_rounds(mode: Mode, nodes: usize, loss: f64) -> Option<f64> {
    let place = [0.05, 0.1, 0.2, 0.3, 0.5].iter().position(|&share| share == loss && nodes == 1_000)?;
    let figures = match mode {
        Mode::Push => [18.9, 19.7, 21.8, 24.5, 33.4],
        Mode::Pull => [15.7, 17.7, 22.9, 30.0, 60.5],
        Mode::PushPull => [10.0, 10.8, 12.8, 15.2, 22.8],
    };
    Some(figures[place])
}

/// The mean round in which a node learns, without loss and with one call a round.
pub(crate) fn mean_rounds(mode: Mode, nodes: usize) -> Option<Expected> {
    let figures = match mode {
        Mode::Push => [6.8, 10.1, 13.4, 16.7, 20.0],
        Mode::Pull => return None,
        Mode::PushPull => [4.3, 6.4, 8.5, 10.6, 12.8],
    };
    at(nodes).map(|place| Expected::give_or_take(figures[place], 0.2))
}

/// Copies sent for each node, without loss and with one call a round. Who pushes does so from when it learns to the end, so
/// by push they are the rounds less the mean round of learning.
pub(crate) fn copies(mode: Mode, nodes: usize) -> Option<Expected> {
    let figures = match mode {
        Mode::Push => [5.6, 8.0, 10.3, 12.5, 14.85],
        // All but one ask once.
        Mode::Pull => [0.99, 0.999, 1.0, 1.0, 1.0],
        Mode::PushPull => [1.324, 1.334, 1.335, 1.335, 1.335],
    };
    at(nodes).map(|place| Expected::give_or_take(figures[place], 0.03 * figures[place]))
}

/// The round that one of a hundred spreads exceeds, by push-pull without loss and with one call a round.
pub(crate) fn slow_rounds(nodes: usize) -> Option<f64> {
    at(nodes).map(|place| [8.0, 10.0, 13.0, 15.0, 17.0][place])
}

/// What the recursion of the epidemic gives for the mean number of rounds until the last node knows.
///
/// The share of nodes that do not know yet follows its mean, which is exact for many; the end is a race of independent
/// stragglers, whose number is nearly Poisson; and the beginning, while few know, is a branching process whose growth
/// varies by a factor W of mean one, taken as lognormal with W's variance (Athreya and Ney 1972, section I.6).
pub(crate) fn recursion(mode: Mode, nodes: usize, fanout: usize, loss: f64) -> f64 {
    let (pushes, pulls) = match mode {
        Mode::Push => (1.0, 0.0),
        Mode::Pull => (0.0, 1.0),
        Mode::PushPull => (1.0, 1.0),
    };
    let (n, f, there) = (nodes as f64, fanout as f64, 1.0 - loss);
    let (push, pull) = (f * there * pushes, f * there * there * pulls);
    let growth = 1.0 + push + pull;
    let variance = (push * loss + pull) / (growth * (growth - 1.0));
    let spread = (1.0 + variance).ln().sqrt();
    let rounds = |w: f64| {
        let mut missing = 1.0 - (w / n).min(0.5);
        let mut rounds = 0.0;
        while n * missing > 1e-9 && rounds < 10_000.0 {
            rounds += 1.0 - (-n * missing).exp();
            let informed = n * (1.0 - missing) / (n - 1.0);
            let not_pushed = (1.0 - pushes * there / (n - 1.0)).powf(f * n * (1.0 - missing));
            let not_pulled = (1.0 - pulls * there * there * informed.min(1.0)).powf(f);
            missing *= not_pushed * not_pulled;
        }
        rounds
    };
    // Gauss and Hermite's five points for a normal distribution.
    const POINTS: [(f64, f64); 5] = [
        (0.0, 0.533_333),
        (1.355_626, 0.222_076),
        (-1.355_626, 0.222_076),
        (2.856_970, 0.011_257),
        (-2.856_970, 0.011_257),
    ];
    POINTS.iter().map(|&(z, weight)| weight * rounds((spread * z - spread * spread / 2.0).exp())).sum()
}

/// The mean number of intervals until the last node knows, with unsynchronised timers and push-pull. `latency` is in
/// hundredths of the interval.
pub(crate) fn intervals(
    nodes: usize,
    fanout: usize,
    loss: f64,
    latency: u64,
    burst: bool,
) -> Option<Expected> {
    let figures = match (fanout, latency, loss, burst) {
        (1, 0, 0.0, _) => [4.4, 6.2, 8.0, 9.6],
        (1, 10, 0.0, _) => [5.2, 7.5, 9.5, 11.3],
        (1, 0, 0.1, _) => [6.1, 8.8, 11.5, 14.5],
        (3, 0, 0.0, true) => [2.0, 2.9, 3.6, 4.4],
        (3, 10, 0.0, true) => [2.73, 3.79, 4.75, 5.8],
        (3, 10, 0.1, true) => [3.17, 4.45, 5.68, 6.9],
        (3, 0, 0.25, true) => [3.7, 5.3, 6.8, 8.3],
        (3, 10, 0.0, false) => [2.24, 3.09, 3.94, f64::NAN],
        (3, 10, 0.1, false) => [2.75, 3.95, 5.13, f64::NAN],
        _ => return None,
    };
    let value = figures.get(at(nodes)?).copied().filter(|value| value.is_finite())?;
    Some(Expected::give_or_take(value, f64::max(0.15, value * 0.03)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODES: [Mode; 3] = [Mode::Push, Mode::Pull, Mode::PushPull];

    #[test]
    fn tables_formulae_and_recursion_agree() {
        for mode in MODES {
            for nodes in NODES {
                let table = rounds(mode, nodes, 1, 0.0).value;
                assert!((formula(mode, nodes) - table).abs() < 0.6, "formula for {mode}, {nodes}");
                let recursion = recursion(mode, nodes, 1, 0.0);
                assert!((recursion - table).abs() < 0.45, "{recursion} for {mode}, {nodes}, not {table}");
            }
            for loss in [0.05, 0.1, 0.2, 0.3, 0.5] {
                let (table, recursion) =
                    (rounds(mode, 1_000, 1, loss).value, recursion(mode, 1_000, 1, loss));
                assert!(
                    (recursion / table - 1.0).abs() < 0.04,
                    "{recursion} for {mode}, {loss}, not {table}"
                );
            }
        }
        for fanout in 2..=5 {
            for nodes in &NODES[..4] {
                let table = rounds(Mode::PushPull, *nodes, fanout, 0.0).value;
                let recursion = recursion(Mode::PushPull, *nodes, fanout, 0.0);
                assert!((recursion - table).abs() < 0.4, "{recursion} for {nodes}, {fanout}, not {table}");
            }
        }
    }

    #[test]
    fn what_is_in_no_table_is_told_so() {
        assert_eq!(copies(Mode::Push, 200), None);
        assert_eq!(intervals(100, 2, 0.0, 10, false), None);
        assert_eq!(intervals(100_000, 3, 0.0, 10, false), None);
        assert_eq!(intervals(1_000_000, 1, 0.0, 0, false), None);
    }
}
