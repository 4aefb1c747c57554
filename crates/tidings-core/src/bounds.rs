//! What numbers of strangers are believable. A forged or corrupt counter near its maximum has crippled several
//! gossip systems; here each counter has a bound that follows from the wall clock, and from nothing that was heard.

use std::time::Duration;

use crate::config::Config;
use crate::message::Line;
use crate::time::{WallClock, millis};
use crate::version::{Generation, Head, Heartbeat, Version};

/// How far clocks may be apart. Measured against our own clock, never against what is stored: a node that
/// restarts after a year is as welcome as any.
pub(crate) const SLACK: Duration = Duration::from_secs(24 * 3_600);

/// The writes per second that an owner may average since [`DAWN`]; it enforces the same on itself.
const WRITE_RATE: u64 = 10_000;

/// 2025-01-01, in milliseconds since 1970: no Tidings cluster is older.
const DAWN: WallClock = WallClock(1_735_689_600_000);

/// The highest generation that is believable at `wall`.
pub(crate) fn highest_generation(wall: WallClock) -> Generation {
    Generation((wall + SLACK).0)
}

/// The highest heartbeat that is believable at `wall` for a life that began at `generation`.
pub(crate) fn highest_heartbeat(wall: WallClock, generation: Generation) -> Heartbeat {
    let lived = millis(SLACK).saturating_add(wall.0.saturating_sub(generation.0));
    Heartbeat(lived / millis(Config::SHORTEST_INTERVAL))
}

/// The highest version that is believable at `wall`.
pub(crate) fn highest_version(wall: WallClock) -> Version {
    let passed = millis(SLACK).saturating_add(wall.0.saturating_sub(DAWN.0));
    Version((passed / 1_000).saturating_mul(WRITE_RATE))
}

/// Whether an owner can have come as far as `line` says by `wall`.
pub(crate) fn is_believable_line(wall: WallClock, line: &Line) -> bool {
    let (head, max) = line.claim();
    is_believable(wall, head, max)
}

/// Whether an owner can have come as far as this by `wall`.
pub(crate) fn is_believable(wall: WallClock, head: Head, max: Version) -> bool {
    head.generation <= highest_generation(wall)
        && head.heartbeat <= highest_heartbeat(wall, head.generation)
        && max <= highest_version(wall)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: WallClock = WallClock(1_795_000_000_000);

    fn head(generation: u64, heartbeat: u64) -> Head {
        Head { generation: Generation(generation), heartbeat: Heartbeat(heartbeat) }
    }

    #[test]
    fn a_life_of_a_year_is_believed_and_a_counter_near_its_maximum_is_not() {
        let year = 365 * 24 * 3_600 * 1_000;
        assert!(is_believable(NOW, head(NOW.0 - year, year / 1_000), Version(1_000_000)));
        assert!(is_believable(NOW, head(NOW.0 + 3_600_000, 0), Version(0)));
        for k in 0..4 {
            assert!(!is_believable(NOW, head(u64::MAX - k, 0), Version(0)));
            assert!(!is_believable(NOW, head(NOW.0, u64::MAX - k), Version(0)));
            assert!(!is_believable(NOW, head(NOW.0, 0), Version(u64::MAX - k)));
        }
        assert!(!is_believable(NOW, head(NOW.0 + (1 << 30), 0), Version(0)));
    }

    #[test]
    fn a_clock_before_the_dawn_gives_a_day_of_everything() {
        assert_eq!(highest_generation(WallClock(0)), Generation(86_400_000));
        assert_eq!(highest_version(WallClock(0)), Version(864_000_000));
    }
}
