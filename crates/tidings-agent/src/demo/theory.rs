//! What theory expects of the demo, in rounds.

use std::time::Duration;

/// How many rounds push-pull takes to bring one write to the last of `nodes`: log3 n + log2 ln n, for synchronised
/// rounds (Karp, Schindelhauer, Shenker, Vöcking 2000). The formula is for many nodes; no spread takes less than one.
pub(super) fn spread_rounds(nodes: usize) -> f64 {
    let ln = as_f64(nodes).ln();
    (ln / 3_f64.ln() + ln.log2()).max(1.0)
}

/// How many rounds a crash takes to be seen by the first: one until somebody's attempt on the node fails, on the mean, and
/// the patience of two that every node is given. It does not depend on how many nodes there are.
pub(super) const CONVICTION_ROUNDS: f64 = 3.0;

/// The interval at which the story fits `limit` well, as far as intervals between 20 and 200 ms allow: it takes some forty
/// rounds.
pub(super) fn interval(limit: Duration) -> Duration {
    (limit / 80).clamp(Duration::from_millis(20), Duration::from_millis(200))
}

fn as_f64(nodes: usize) -> f64 {
    u32::try_from(nodes).map_or(f64::MAX, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expectations_are_those_of_the_papers() {
        let rounded = |nodes| (spread_rounds(nodes) * 10.0).round() / 10.0;
        assert_eq!([2, 5, 100, 1000].map(rounded), [1.0, 2.2, 6.4, 9.1]);
    }

    #[test]
    fn the_interval_fits_the_time() {
        let millis = |seconds| interval(Duration::from_secs(seconds)).as_millis();
        assert_eq!([millis(30), millis(10), millis(1)], [200, 125, 20]);
    }
}
