//! What theory expects of the demo, in rounds.

use std::time::Duration;

/// How many rounds push-pull takes to bring one write to the last of `nodes`: log3 n + log2 ln n, for synchronised
/// rounds (Karp, Schindelhauer, Shenker, Vöcking 2000). The formula is for many nodes; no spread takes less than one.
pub(super) fn spread_rounds(nodes: usize) -> f64 {
    let ln = as_f64(nodes).ln();
    (ln / 3_f64.ln() + ln.log2()).max(1.0)
}

/// How many rounds of silence bring phi to the threshold of 8: 8 x ln 10 mean intervals between the signs of life, of
/// which a message carries those of sixteen nodes or so.
pub(super) fn conviction_rounds(nodes: usize) -> f64 {
    8.0 * 10_f64.ln() * (as_f64(nodes) / 16.0).max(1.0)
}

/// The interval at which a conviction of one out of `nodes` takes a quarter of `limit` at most, as far as
/// intervals between 20 and 100 ms allow.
pub(super) fn interval(nodes: usize, limit: Duration) -> Duration {
    let fitting = limit.div_f64(4.0 * conviction_rounds(nodes));
    fitting.clamp(Duration::from_millis(20), Duration::from_millis(100))
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
        assert_eq!(conviction_rounds(5).round(), 18.0);
        assert_eq!(conviction_rounds(32).round(), 37.0);
    }

    #[test]
    fn the_interval_fits_the_time() {
        let millis = |nodes, seconds| interval(nodes, Duration::from_secs(seconds)).as_millis();
        assert_eq!([millis(5, 30), millis(100, 30), millis(5, 5), millis(100, 1)], [100, 65, 67, 20]);
    }
}
