//! The phi accrual detector: Hayashibara, Défago, Yared and Katayama 2004, with a normal distribution fitted to the last
//! thousand intervals between heartbeats.

use std::collections::VecDeque;

use crate::lab::chance::Chance;

/// What a trace of heartbeats showed of a detector.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watched {
    /// How often a living sender was suspected, in each second.
    pub(crate) mistakes: f64,
    /// After how many seconds of silence a crash is detected, on the mean over all moments of a crash.
    pub(crate) detection: f64,
}

/// Thresholds, and how many deviations beyond the mean each is for a normal distribution.
pub(crate) const THRESHOLDS: [(f64, f64); 8] = [
    (1.0, 1.2816),
    (2.0, 2.3263),
    (4.0, 3.7190),
    (8.0, 5.6120),
    (10.0, 6.3613),
    (12.0, 7.0345),
    (14.0, 7.6506),
    (16.0, 8.2221),
];

/// The heartbeat interval of the paper's trace, in seconds.
const PERIOD: f64 = 0.1039;

/// How much a heartbeat is early or late, as a deviation in seconds: the intervals between two vary by the root of two
/// more. The paper's 0.104 s are those of its outages; this is chosen so that the gap that a single loss leaves is beyond
/// threshold 8 and within threshold 12, which is how the paper explains its cliff.
const JITTER: f64 = 0.013;

/// The window of the detector.
const WINDOW: usize = 1_000;

/// Of a thousand heartbeats, four are lost: two one by one, two in bursts of 28.7 on the mean, as the paper's are. A burst
/// goes on with a chance of 277 in 287.
const SINGLE: (usize, usize) = (2, 1_000);
const BURST: (usize, usize) = (2_000, 28_700_000);

/// Watches a trace of so many heartbeats with each of the thresholds.
pub(crate) fn watch(heartbeats: usize, chance: &mut Chance) -> Vec<Watched> {
    let mut window = Window::default();
    let mut mistakes = [0_u32; THRESHOLDS.len()];
    let mut waits = [0.0; THRESHOLDS.len()];
    let (mut last, mut heard, mut in_burst) = (0.0, 0_u32, false);
    for number in 1..=heartbeats {
        in_burst = if in_burst { chance.below(287) < 277 } else { chance.below(BURST.1) < BURST.0 };
        if in_burst || chance.below(SINGLE.1) < SINGLE.0 {
            continue;
        }
        let now = number as f64 * PERIOD + JITTER * chance.normal();
        let gap = now - last;
        last = now;
        // A detector that has seen little says little.
        if window.gaps.len() == WINDOW {
            heard += 1;
            for ((_, deviations), (mistakes, waits)) in
                THRESHOLDS.iter().zip(mistakes.iter_mut().zip(&mut waits))
            {
                let patience = window.mean() + deviations * window.deviation();
                *mistakes += u32::from(gap > patience);
                *waits += patience;
            }
        }
        window.push(gap);
    }
    let seconds = f64::from(heard) * PERIOD;
    let watched = |(mistakes, waits): (u32, f64)| Watched {
        mistakes: f64::from(mistakes) / seconds,
        // A crash comes half a period after the last heartbeat, on the mean.
        detection: waits / f64::from(heard) - PERIOD / 2.0,
    };
    mistakes.into_iter().zip(waits).map(watched).collect()
}

/// The last gaps between heartbeats, and their sums.
#[derive(Debug, Default)]
struct Window {
    gaps: VecDeque<f64>,
    sum: f64,
    squares: f64,
}

impl Window {
    fn push(&mut self, gap: f64) {
        if self.gaps.len() == WINDOW
            && let Some(old) = self.gaps.pop_front()
        {
            self.sum -= old;
            self.squares -= old * old;
        }
        self.gaps.push_back(gap);
        self.sum += gap;
        self.squares += gap * gap;
    }

    fn mean(&self) -> f64 {
        self.sum / self.gaps.len() as f64
    }

    fn deviation(&self) -> f64 {
        (self.squares / self.gaps.len() as f64 - self.mean() * self.mean()).max(0.0).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_costs_little_and_saves_mistakes() {
        let watched = watch(300_000, &mut Chance::new(1, "accrual", 0));
        for pair in watched.windows(2) {
            assert!(pair[0].mistakes >= pair[1].mistakes && pair[0].detection < pair[1].detection);
        }
        let (eight, twelve) = (watched[3], watched[5]);
        assert!(eight.mistakes > 3.0 * twelve.mistakes, "{eight:?} {twelve:?}");
        assert!(twelve.detection < 2.5 * eight.detection, "{eight:?} {twelve:?}");
    }

    #[test]
    fn the_window_forgets() {
        let mut window = Window::default();
        window.push(50.0);
        for number in 0..WINDOW {
            window.push(if number % 2 == 0 { 1.0 } else { 3.0 });
        }
        assert!((window.mean() - 2.0).abs() < 1e-9 && (window.deviation() - 1.0).abs() < 1e-9);
    }
}
