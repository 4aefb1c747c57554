//! Probing members at random: Das, Gupta and Motivala 2002 (SWIM).

use crate::lab::chance::{Chance, Odds};

/// In which period a crashed member is probed for the first time, if each of the others probes one at random in every
/// period.
pub(crate) fn first_detection(members: usize, chance: &mut Chance) -> u32 {
    let mut period = 0;
    loop {
        period += 1;
        if (1..members).any(|member| chance.other(member, members) == 0) {
            return period;
        }
    }
}

/// How often a living member is suspected in so many probes of it, if a share of all messages is lost: a probe and its
/// answer are two messages, one over a helper four.
pub(crate) fn false_suspicions(helpers: usize, loss: Odds, probes: usize, chance: &mut Chance) -> usize {
    let arrive = |messages: usize, chance: &mut Chance| (0..messages).all(|_| !chance.happens(loss));
    let answered = |chance: &mut Chance| {
        arrive(2, chance) || (0..helpers).fold(false, |any, _| arrive(4, chance) || any)
    };
    (0..probes).filter(|_| !answered(chance)).count()
}

/// How many periods the first detection takes on the mean: one in e / (e - 1) for many members, and for few what follows
/// from the chance that nobody draws the crashed one.
pub(crate) fn expected_detection(members: usize) -> f64 {
    let others = (members - 1) as f64;
    1.0 / (1.0 - (1.0 - 1.0 / others).powf(others))
}

/// The share of probes of a living member that suspect it.
pub(crate) fn expected_suspicions(helpers: i32, loss: f64) -> f64 {
    let there = 1.0 - loss;
    (1.0 - there.powi(2)) * (1.0 - there.powi(4)).powi(helpers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_members_detect_as_fast_as_few() {
        assert!((expected_detection(100_000) - 1.582).abs() < 0.001);
        for members in [8, 128] {
            let periods: u32 =
                (0..4_000).map(|number| first_detection(members, &mut Chance::new(1, "swim", number))).sum();
            let mean = f64::from(periods) / 4_000.0;
            assert!((mean - expected_detection(members)).abs() < 0.06, "{mean} of {members}");
        }
    }

    #[test]
    fn helpers_keep_the_living_from_suspicion() {
        let chance = &mut Chance::new(1, "suspicion", 0);
        for helpers in [1_u8, 3] {
            let count = false_suspicions(helpers.into(), Odds::share(0.1), 300_000, chance);
            let expected = expected_suspicions(helpers.into(), 0.1) * 300_000.0;
            assert!((count as f64 / expected - 1.0).abs() < 0.1, "{count}, not {expected}");
        }
    }
}
