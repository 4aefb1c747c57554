//! The clocks of this machine, read here and nowhere else.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tidings_core::{Moment, Time, WallClock};

/// A monotonic clock that began when the node did, and the wall clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    began: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { began: Instant::now() }
    }

    /// What time it is.
    pub(crate) fn now(self) -> Time {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = WallClock(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX));
        Time { moment: Moment::default() + self.began.elapsed(), wall }
    }

    /// The instant of `moment`; a year from now for what never comes.
    pub(crate) fn instant(self, moment: Moment) -> tokio::time::Instant {
        const FAR: Duration = Duration::from_secs(365 * 24 * 3_600);
        let after = moment.since(Moment::default()).min(self.began.elapsed() + FAR);
        (self.began + after).into()
    }
}
