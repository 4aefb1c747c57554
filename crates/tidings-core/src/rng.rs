//! The core's only source of chance: a ChaCha stream from the seed that was handed in.
//!
//! ChaCha rather than something faster, so that nobody who sees our choices can foretell our next partner. All
//! draws are made from 64-bit words: 32-bit machines and others see the same run.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};

/// A reproducible stream of random choices.
#[derive(Debug, Clone)]
pub struct Rng(ChaCha8Rng);

impl Rng {
    /// The stream that belongs to `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Sixty-four random bits.
    pub fn word(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`, each equally likely: Lemire's multiplication with rejection, so exactly uniform.
    ///
    /// # Panics
    /// If `bound` is zero: there is no such number.
    pub fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "no number is below zero");
        let bound = bound as u64;
        let unfair = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.word()) * u128::from(bound);
            let (high, low) = ((product >> 64) as u64, product & u128::from(u64::MAX));
            if low >= u128::from(unfair) {
                return usize::try_from(high).expect("below a usize");
            }
        }
    }

    /// True `part` times out of `whole`; always if `part >= whole`.
    pub fn chance(&mut self, part: usize, whole: usize) -> bool {
        part >= whole || self.below(whole) < part
    }

    /// One of `items`, each equally likely; `None` if there are none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        if items.is_empty() { None } else { items.get(self.below(items.len())) }
    }

    /// Puts `items` in random order, each order equally likely.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R45: a pick that favours some peers misses others. Chi-squared over 80,000 draws, p = 0.001.
    #[test]
    fn r45_every_item_is_picked_equally_often() {
        const CRITICAL: [f64; 9] = [0.0, 0.0, 10.83, 13.82, 16.27, 18.47, 20.52, 22.46, 24.32];
        for (n, critical) in CRITICAL.iter().enumerate().skip(2) {
            let mut rng = Rng::new(n as u64);
            let mut seen = vec![0_u32; n];
            for _ in 0..80_000 {
                seen[rng.below(n)] += 1;
            }
            let expected = 80_000.0 / n as f64;
            let off = |&s| f64::from(s) - expected;
            let chi: f64 = seen.iter().map(|s| off(s) * off(s) / expected).sum();
            assert!(chi < *critical, "n = {n}: chi squared {chi:.1} of {seen:?}");
        }
    }

    #[test]
    fn one_seed_gives_one_stream() {
        let words = |seed| {
            (0..8)
                .map({
                    let mut rng = Rng::new(seed);
                    move |_| rng.word()
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(words(7), words(7));
        assert_ne!(words(7), words(8));
    }
}
