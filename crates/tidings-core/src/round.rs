//! Whom to gossip with: Cassandra's three rules, and no other.

use crate::config::SeedRule;
use crate::rng::Rng;

/// What the rules look at. None of the three counts has this node in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standings {
    /// How many nodes are believed to run.
    pub live: usize,
    /// How many are believed not to, and how many addresses are remembered from an earlier life.
    pub unreachable: usize,
    /// How many seeds there are.
    pub seeds: usize,
    /// When to go on to a seed.
    pub rule: SeedRule,
}

/// The partners of one round, by their places among the live, the unreachable and the seeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Partners {
    pub live: Option<usize>,
    pub unreachable: Option<usize>,
    pub seed: Option<usize>,
}

/// Chooses a random live node; a random unreachable one, with probability unreachable / (live + 1); and a seed, if
/// the live node is none, or fewer nodes are live than there are seeds: always when none is live, otherwise with
/// probability seeds / (live + unreachable).
pub(crate) fn partners(rng: &mut Rng, among: Standings, is_seed: impl Fn(usize) -> bool) -> Partners {
    let Standings { live, unreachable, seeds, rule } = among;
    let mut partners = Partners::default();
    if live > 0 {
        partners.live = Some(rng.below(live));
    }
    if unreachable > 0 && rng.chance(unreachable, live + 1) {
        partners.unreachable = Some(rng.below(unreachable));
    }
    let few_live = match rule {
        SeedRule::NoSeedOrFewLive => live < seeds,
        SeedRule::NoSeed => false,
    };
    let due = seeds > 0 && (few_live || !partners.live.is_some_and(is_seed));
    if due && (live == 0 || rng.chance(seeds, live + unreachable)) {
        partners.seed = Some(rng.below(seeds));
    }
    partners
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNS: u32 = 20_000;

    /// How often each of the three is chosen, in parts of one; the first `met` of the live are seeds.
    fn shares(live: usize, unreachable: usize, seeds: usize, rule: SeedRule, met: usize) -> [f64; 3] {
        let mut rng = Rng::new(1);
        let mut hits = [0_u32; 3];
        for _ in 0..RUNS {
            let among = Standings { live, unreachable, seeds, rule };
            let Partners { live, unreachable, seed } = partners(&mut rng, among, |place| place < met);
            for (hit, place) in hits.iter_mut().zip([live, unreachable, seed]) {
                *hit += u32::from(place.is_some());
            }
        }
        hits.map(|hit| f64::from(hit) / f64::from(RUNS))
    }

    fn near(share: f64, expected: f64) {
        assert!((share - expected).abs() < 0.015, "{share} instead of {expected}");
    }

    const RULE: SeedRule = SeedRule::NoSeedOrFewLive;

    #[test]
    fn alone_a_node_turns_to_a_seed_and_with_nobody_to_nobody() {
        assert_eq!(shares(0, 0, 2, RULE, 0), [0.0, 0.0, 1.0]);
        assert_eq!(shares(0, 0, 0, RULE, 0), [0.0, 0.0, 0.0]);
        assert_eq!(shares(0, 1, 0, RULE, 0), [0.0, 1.0, 0.0]);
    }

    #[test]
    fn the_unreachable_are_tried_in_their_proportion() {
        near(shares(3, 1, 0, RULE, 0)[1], 0.25);
        near(shares(3, 2, 0, RULE, 0)[1], 0.5);
    }

    #[test]
    fn a_seed_is_added_unless_one_was_met() {
        // Met with probability 1/4; else added with probability 1/(4 + 1).
        near(shares(4, 1, 1, RULE, 1)[2], 0.75 * 0.2);
    }

    #[test]
    fn while_fewer_are_live_than_there_are_seeds_a_seed_is_added() {
        // Three seeds, of which only one is live: without the clause, the other two are never met.
        assert_eq!(shares(1, 0, 3, RULE, 1)[2], 1.0);
        assert_eq!(shares(1, 0, 3, SeedRule::NoSeed, 1)[2], 0.0);
    }
}
