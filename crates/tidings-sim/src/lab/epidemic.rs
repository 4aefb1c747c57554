//! An epidemic in synchronous rounds: in each, every node calls others at random, and all act on what they knew when the
//! round began.
//!
//! The model of Demers et al. 1987 (section 1.3) and Karp et al. 2000. Sets of nodes are bits, so that a million fit a
//! processor's cache, and those who have nothing to do in a mode are passed over sixty-four at a time.

use tidings_core::Mode;

use crate::lab::chance::{Chance, Odds};

/// What spreads, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Epidemic {
    pub(crate) mode: Mode,
    pub(crate) nodes: usize,
    /// How many others a node calls in a round.
    pub(crate) fanout: usize,
    /// How many messages are lost.
    pub(crate) loss: Odds,
    /// How many know it at the beginning.
    pub(crate) informed: usize,
}

/// How it went.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Outcome {
    /// Rounds, or intervals, until the last one knew it.
    pub(crate) last: f64,
    /// The mean time at which those who did not know it at the beginning learnt it.
    pub(crate) mean: f64,
    /// How many copies of it were sent, for each node.
    pub(crate) copies: f64,
    /// In how many exchanges the two differed in it, for each node.
    pub(crate) differing: f64,
}

/// A set of nodes.
#[derive(Debug, Clone)]
struct Set(Vec<u64>);

/// The nodes of one round.
struct Round {
    known: Set,
    fresh: Set,
    learnt: usize,
    copies: u64,
    differing: u64,
}

impl Epidemic {
    /// Lets it spread until all know it.
    pub(crate) fn run(&self, chance: &mut Chance) -> Outcome {
        let mut round = Round {
            known: Set::first(self.informed, self.nodes),
            fresh: Set::first(0, self.nodes),
            learnt: 0,
            copies: 0,
            differing: 0,
        };
        let (mut rounds, mut knowing, mut sum) = (0_u32, self.informed, 0.0);
        while knowing < self.nodes {
            rounds += 1;
            round.learnt = 0;
            self.round(&mut round, chance);
            round.known.take(&mut round.fresh);
            knowing += round.learnt;
            sum += f64::from(rounds) * round.learnt as f64;
        }
        let nodes = self.nodes as f64;
        Outcome {
            last: f64::from(rounds),
            mean: sum / (self.nodes - self.informed).max(1) as f64,
            copies: round.copies as f64 / nodes,
            differing: round.differing as f64 / nodes,
        }
    }

    fn round(&self, round: &mut Round, chance: &mut Chance) {
        for word in 0..round.known.0.len() {
            let known = round.known.0[word];
            let all = Set::word(self.nodes, word);
            let mut callers = match self.mode {
                Mode::Push => known,
                Mode::Pull => all & !known,
                Mode::PushPull => all,
            };
            while callers != 0 {
                let bit = callers.trailing_zeros();
                callers &= callers - 1;
                let caller = word * 64 + bit as usize;
                for _ in 0..self.fanout {
                    self.call(round, caller, known >> bit & 1 == 1, chance);
                }
            }
        }
    }

    fn call(&self, round: &mut Round, caller: usize, knows: bool, chance: &mut Chance) {
        let called = chance.other(caller, self.nodes);
        let other_knows = round.known.has(called);
        round.differing += u64::from(knows != other_knows);
        let arrives = |chance: &mut Chance| !chance.happens(self.loss);
        match (self.mode, knows, other_knows) {
            // Whoever pushes cannot know whether it is needed.
            (Mode::Push, true, _) | (Mode::PushPull, true, false) => {
                round.copies += 1;
                if arrives(chance) {
                    round.learns(called);
                }
            }
            // The question must arrive, and then the answer.
            (Mode::Pull | Mode::PushPull, false, true) if arrives(chance) => {
                round.copies += 1;
                if arrives(chance) {
                    round.learns(caller);
                }
            }
            (Mode::Push, false, _) | (Mode::Pull | Mode::PushPull, _, _) => {}
        }
    }
}

impl Round {
    fn learns(&mut self, node: usize) {
        if !self.known.has(node) && !self.fresh.has(node) {
            self.fresh.0[node / 64] |= 1 << (node % 64);
            self.learnt += 1;
        }
    }
}

impl Set {
    /// The first `count` of `nodes`.
    fn first(count: usize, nodes: usize) -> Self {
        Self((0..nodes.div_ceil(64)).map(|word| Self::word(count, word)).collect())
    }

    /// The bits of the first `count` nodes that are in `word`.
    fn word(count: usize, word: usize) -> u64 {
        match count.saturating_sub(word * 64) {
            left @ 0..64 => (1 << left) - 1,
            _ => u64::MAX,
        }
    }

    fn has(&self, node: usize) -> bool {
        self.0[node / 64] >> (node % 64) & 1 == 1
    }

    /// Takes all that `other` has.
    fn take(&mut self, other: &mut Self) {
        for (mine, theirs) in self.0.iter_mut().zip(&mut other.0) {
            *mine |= std::mem::take(theirs);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epidemic(mode: Mode, nodes: usize) -> Epidemic {
        Epidemic { mode, nodes, fanout: 1, loss: Odds::share(0.0), informed: 1 }
    }

    #[test]
    fn two_nodes_need_one_round() {
        for mode in [Mode::Push, Mode::Pull, Mode::PushPull] {
            let outcome = epidemic(mode, 2).run(&mut Chance::new(1, "two", 0));
            assert_eq!((outcome.last, outcome.mean), (1.0, 1.0), "{mode}");
        }
    }

    #[test]
    fn push_doubles_at_best_and_pull_sends_one_copy_each() {
        for number in 0..50 {
            let chance = &mut Chance::new(1, "bounds", number);
            assert!(epidemic(Mode::Push, 1_000).run(chance).last >= 10.0);
            let pull = epidemic(Mode::Pull, 1_000).run(chance);
            assert_eq!(pull.copies, 0.999, "nobody asks twice");
        }
    }

    /// Without loss each exchange of two that differ costs one copy: the conservation law d = c U / f.
    #[test]
    fn differences_are_copies() {
        let outcome = epidemic(Mode::PushPull, 777).run(&mut Chance::new(1, "law", 0));
        assert_eq!(outcome.copies, outcome.differing);
    }

    #[test]
    fn loss_delays() {
        let mean = |loss| {
            let lossy = Epidemic { loss: Odds::share(loss), ..epidemic(Mode::PushPull, 500) };
            (0..100).map(|number| lossy.run(&mut Chance::new(1, "loss", number)).last).sum::<f64>() / 100.0
        };
        assert!(mean(0.3) > mean(0.0) + 4.0);
    }
}
