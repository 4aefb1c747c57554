//! When an owner collects its tombstones.

use std::time::Duration;

use crate::time::Moment;

/// What decides when tombstones are collected: all at once, since whoever has not heard of one of them is told everything
/// anew in any case.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    /// Since when there is one, if there is.
    since: Option<Moment>,
    /// When something was written last.
    wrote: Option<Moment>,
    /// When they were collected last.
    collected: Option<Moment>,
}

impl Collector {
    /// Something was written at `now`; if `leaves_tombstones`, there are some.
    pub(crate) fn wrote(&mut self, leaves_tombstones: bool, now: Moment) {
        self.wrote = Some(now);
        self.look(leaves_tombstones, now);
    }

    /// At `now` there are tombstones, or there are none.
    pub(crate) fn look(&mut self, has_tombstones: bool, now: Moment) {
        self.since = has_tombstones.then(|| self.since.unwrap_or(now));
    }

    /// They are being collected, as of `now`.
    pub(crate) fn collects(&mut self, now: Moment) {
        (self.since, self.collected) = (None, Some(now));
    }

    /// Whether the oldest of them is older than `grace`, and what was written last had the time to `spread`: otherwise many
    /// would lack it, and need everything. A quarter of the grace is waited for that at most, and between two collections at
    /// least.
    pub(crate) fn is_due(&self, now: Moment, grace: Duration, spread: Duration) -> bool {
        let Some(age) = self.since.map(|since| now.since(since)) else { return false };
        let has_passed = |since: Option<Moment>, span| since.is_none_or(|since| now.since(since) >= span);
        let is_told = has_passed(self.wrote, spread) || age >= grace + grace / 4;
        age >= grace && is_told && has_passed(self.collected, grace / 4)
    }

    /// Whether they may be collected before that, since they leave no room: not sooner than `span` after the last time.
    pub(crate) fn may_be_early(&self, now: Moment, span: Duration) -> bool {
        self.collected.is_none_or(|collected| now.since(collected) >= span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(400);
    const SPREAD: Duration = Duration::from_secs(10);

    #[test]
    fn the_oldest_decides_and_what_was_just_written_is_waited_for() {
        let at = |seconds: i64| Moment::from_micros(seconds * 1_000_000);
        let mut collector = Collector::default();
        let is_due = |collector: &Collector, seconds| collector.is_due(at(seconds), GRACE, SPREAD);
        collector.wrote(false, at(0));
        assert!(!is_due(&collector, 1_000), "there is none");
        collector.wrote(true, at(1_000));
        collector.wrote(true, at(1_395));
        assert!(!is_due(&collector, 1_399), "none is old");
        assert!(!is_due(&collector, 1_400), "something is on its way");
        assert!(is_due(&collector, 1_405));
        collector.wrote(true, at(1_499));
        assert!(!is_due(&collector, 1_499));
        assert!(is_due(&collector, 1_500), "but not for ever");
        collector.collects(at(1_500));
        assert!(!is_due(&collector, 9_000));
        assert!(!collector.may_be_early(at(1_509), SPREAD) && collector.may_be_early(at(1_510), SPREAD));
    }
}
