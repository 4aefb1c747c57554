//! Phi as evidence: how improbable it is that a node runs, given what was, and was not, heard of it.
//!
//! `phi = max(S, A)`, in the unit of Hayashibara et al. (2004): -log10 of a probability.
//!
//! * Silence, `S = 0.434 x (quiet - lag) / mean`: heads come in like a Poisson stream, `mean` apart, and `lag` old.
//! * Attempts, `A = failures x -log10(q)`: exchanges that this node, or another one that says so, began and that got no
//!   answer, where q is how often that happens to nodes which turn out to be well. See [`crate::evidence`].
//!
//! All of it is sums, products and quotients, so that every machine reckons the same.

use std::time::Duration;

use crate::evidence::Suspicion;
use crate::time::Moment;

/// log10(e): what a mean interval of silence adds to S.
const LOG10_E: f64 = std::f64::consts::LOG10_E;

/// How much a new interval counts in the mean.
const WEIGHT: u64 = 8;

/// An interval counts as at most this many means, so that one outage does not blind the detector for long.
const LONGEST: u64 = 10;

/// The same for ages: over many links, heads are on their way for long.
const OLDEST: u64 = 100;

/// A span of time, in half the room of a [`Duration`]: five centuries at most, and more counts as that.
type Nanos = u64;

/// No span at all.
const UNKNOWN: Nanos = Nanos::MAX;

/// Attempts that are closer together than this are one.
pub(crate) const LEAST_APART: Duration = Duration::from_millis(50);

/// What is kept of a node's heart.
#[derive(Debug, Clone)]
pub(crate) struct Pulse {
    /// Since when nothing newer was heard: when the newest head was authored, later by what we slept ourselves.
    pub quiet_since: Moment,
    /// When to look at it again: not before can silence convict it. [`Moment::NEVER`] while nobody has to look.
    pub look_at: Moment,
    /// The smoothed interval between its heads, as authored.
    mean: Nanos,
    /// The smoothed age of its heads on arrival, and by how much they differ from that; [`UNKNOWN`] before the first.
    lag: Nanos,
    spread: Nanos,
    /// What speaks against it since it was last heard of.
    pub suspicion: Option<Box<Suspicion>>,
}

impl Pulse {
    /// The pulse of a node whose first head was authored at `authored`; heads are expected `mean` apart.
    pub(crate) fn new(authored: Moment, mean: Duration) -> Self {
        let (mean, look_at) = (nanos(mean), Moment::NEVER);
        Self { quiet_since: authored, look_at, mean, lag: UNKNOWN, spread: UNKNOWN, suspicion: None }
    }

    /// The node goes on in a new life, whose first head was authored at `authored`.
    pub(crate) fn begin_life(&mut self, authored: Moment) {
        self.quiet_since = authored;
        self.suspicion = None;
    }

    /// A newer head came in, `interval` after the one before, as authored, and `age` after it was.
    pub(crate) fn beat(&mut self, interval: Duration, age: Duration) {
        let interval = nanos(interval).min(self.mean.saturating_mul(LONGEST));
        let age = nanos(age).min(self.mean.saturating_mul(OLDEST));
        self.mean = smoothed(self.mean, interval);
        (self.lag, self.spread) = if self.lag == UNKNOWN {
            // Nothing is known yet of how often heads come: the first interval says more than what was expected.
            self.mean = self.mean.max(interval);
            (age, age / 2)
        } else {
            (smoothed(self.lag, age), smoothed(self.spread, self.lag.abs_diff(age)))
        };
    }

    /// The node ran at `at`. Returns the suspicion that this refutes.
    pub(crate) fn refresh(&mut self, at: Moment) -> Option<Box<Suspicion>> {
        self.quiet_since = self.quiet_since.max(at);
        self.suspicion.take_if(|suspicion| suspicion.first <= at)
    }

    /// The mean interval, not below `floor`.
    pub(crate) fn mean(&self, floor: Duration) -> Duration {
        Duration::from_nanos(self.mean).max(floor)
    }

    /// How long its heads are on their way, with what Jacobson (1988) allows a round trip: four times the mean deviation.
    fn lag(&self) -> Duration {
        let lag =
            if self.lag == UNKNOWN { 0 } else { self.lag.saturating_add(self.spread.saturating_mul(4)) };
        Duration::from_nanos(lag)
    }

    /// S: what the silence says at `now`.
    pub(crate) fn silence(&self, now: Moment, floor: Duration) -> f64 {
        let quiet = now.since(self.quiet_since).saturating_sub(self.lag());
        LOG10_E * quiet.as_secs_f64() / self.mean(floor).as_secs_f64()
    }

    /// When silence alone will have reached `phi`.
    pub(crate) fn silent_until(&self, phi: f64, floor: Duration) -> Moment {
        let millis = self.mean(floor).as_secs_f64() * phi / LOG10_E * 1_000.0;
        // A float is cut to its range here, so that no mean and no threshold is too large.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let millis = millis as u64;
        self.quiet_since + self.lag() + Duration::from_millis(millis.saturating_add(1))
    }
}

fn nanos(span: Duration) -> Nanos {
    span.as_secs().saturating_mul(1_000_000_000).saturating_add(span.subsec_nanos().into()).min(UNKNOWN - 1)
}

/// The smoothed value that `old` becomes with `new`.
fn smoothed(old: Nanos, new: Nanos) -> Nanos {
    old - old / WEIGHT + new / WEIGHT
}

/// How often attempts fail on nodes that turn out to be well. Old observations fade.
#[derive(Debug, Clone)]
pub(crate) struct Odds {
    answered: f64,
    failed: f64,
}

impl Odds {
    /// Before anything was seen: two failures in five, so that a bad network is not taken for a crash at first.
    pub(crate) fn new() -> Self {
        Self { answered: 3.0, failed: 2.0 }
    }

    /// An attempt was answered.
    pub(crate) fn answered(&mut self) {
        self.fade();
        self.answered += 1.0;
    }

    /// So many attempts were not, on a node that turns out to be well.
    pub(crate) fn failed(&mut self, count: u32) {
        for _ in 0..count {
            self.fade();
            self.failed += 1.0;
        }
    }

    fn fade(&mut self) {
        const FADING: f64 = 0.995;
        self.answered *= FADING;
        self.failed *= FADING;
    }

    /// q: the share of attempts that fail on nodes which turn out to be well.
    fn share(&self) -> f64 {
        self.failed / (self.answered + self.failed)
    }

    /// What one failed attempt adds to A.
    pub(crate) fn weight(&self) -> f64 {
        -log10(self.share().clamp(0.01, 0.6))
    }

    /// Whether so much is lost that it pays to say things twice: every sixth message or more.
    pub(crate) fn is_lossy(&self) -> bool {
        self.share() > 0.3
    }
}

/// The logarithm to base ten of `x`, for 0.001 < x < 1,000, by the series of the area tangent: no platform's own.
fn log10(x: f64) -> f64 {
    let (mut x, mut ln) = (x, 0.0);
    while x < 0.75 {
        x *= 2.0;
        ln -= std::f64::consts::LN_2;
    }
    while x > 1.5 {
        x /= 2.0;
        ln += std::f64::consts::LN_2;
    }
    let t = (x - 1.0) / (x + 1.0);
    let (mut power, mut k) = (t, 1.0);
    while k < 30.0 {
        ln += 2.0 * power / k;
        power *= t * t;
        k += 2.0;
    }
    ln * LOG10_E
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn silence_of_eighteen_means_is_a_phi_of_eight() {
        let pulse = Pulse::new(Moment::default(), SECOND);
        let at = pulse.silent_until(8.0, SECOND);
        assert_eq!(at.as_micros() / 1_000, 18_421);
        assert!((pulse.silence(at, SECOND) - 8.0).abs() < 0.01);
    }

    /// R49: the mean neither drifts nor sticks, over what is years of beats.
    #[test]
    fn r49_the_mean_stays_the_mean() {
        let mut pulse = Pulse::new(Moment::default(), SECOND);
        for _ in 0..10_000_000 {
            pulse.beat(SECOND, Duration::ZERO);
        }
        assert!(pulse.mean(Duration::ZERO).abs_diff(SECOND) < Duration::from_micros(1));
        pulse.beat(Duration::from_secs(1_000_000), Duration::ZERO);
        assert!(pulse.mean(Duration::ZERO) < Duration::from_millis(2_126));
        for _ in 0..100 {
            pulse.beat(SECOND, Duration::ZERO);
        }
        assert!(pulse.mean(Duration::ZERO).abs_diff(SECOND) < Duration::from_millis(1));
    }

    #[test]
    fn a_failure_weighs_less_where_failures_are_common() {
        let mut odds = Odds::new();
        assert!((odds.weight() - 0.398).abs() < 0.01);
        (0..10_000).for_each(|_| odds.answered());
        assert!((odds.weight() - 2.0).abs() < 0.001);
        for _ in 0..10_000 {
            odds.answered();
            odds.failed(1);
        }
        assert!((odds.weight() - 0.301).abs() < 0.01);
    }

    #[test]
    fn the_logarithm_is_one() {
        for (x, log) in
            [(0.01, -2.0), (0.1, -1.0), (0.5, -std::f64::consts::LOG10_2), (1.0, 0.0), (100.0, 2.0)]
        {
            assert!((log10(x) - log).abs() < 1e-12, "{x}");
        }
    }
}
