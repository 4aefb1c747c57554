//! Time as it is told to the core: a monotonic moment and the wall clock, never read, always handed in.

use std::ops::{Add, Sub};
use std::time::Duration;

/// What time it is, by both clocks of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    /// The monotonic clock: all intervals, ages and deadlines are measured on it.
    pub moment: Moment,
    /// The wall clock: it gives generations, and bounds those that others claim.
    pub wall: WallClock,
}

/// A point on the monotonic clock, in microseconds since an origin of the driver's choice.
///
/// It is signed, because what a peer told us about may have happened before our own clock began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment(i64);

impl Moment {
    /// After everything else.
    pub const NEVER: Self = Self(i64::MAX);

    /// The moment `micros` microseconds after the origin.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the origin.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(micros(span)))
    }
}

impl Sub<Duration> for Moment {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(micros(span)))
    }
}

/// `span` in whole milliseconds, or the most that there can be.
pub(crate) fn millis(span: Duration) -> u64 {
    span.as_secs().saturating_mul(1_000).saturating_add(span.subsec_millis().into())
}

/// `span` in microseconds, or the most that there can be.
fn micros(span: Duration) -> i64 {
    let micros = span.as_secs().saturating_mul(1_000_000).saturating_add(span.subsec_micros().into());
    i64::try_from(micros).unwrap_or(i64::MAX)
}

/// The wall clock, in milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct WallClock(pub u64);

impl WallClock {
    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for WallClock {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_before_the_clock_began_keeps_its_age() {
        let now = Moment::from_micros(5);
        let authored = now - Duration::from_secs(3600);
        assert_eq!(now.since(authored), Duration::from_secs(3600));
    }

    #[test]
    fn time_does_not_run_backwards_nor_over() {
        let now = Moment::from_micros(5);
        assert_eq!(now.since(now + Duration::from_secs(1)), Duration::ZERO);
        assert_eq!(now + Duration::MAX, Moment::from_micros(i64::MAX));
        assert_eq!(WallClock(7).since(WallClock(9)), Duration::ZERO);
    }
}
