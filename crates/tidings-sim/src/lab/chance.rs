//! The models' source of chance: fast, and the same everywhere.
//!
//! The protocol draws from ChaCha so that nobody foretells its choices. A model of a million nodes has nobody to hide
//! from and draws a hundred million numbers: xoshiro256** (Blackman and Vigna 2018), begun by SplitMix64, takes about a
//! nanosecond each.

/// A reproducible stream of random choices.
#[derive(Debug, Clone)]
pub(crate) struct Chance([u64; 4]);

/// How likely something is, in 2^-64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Odds(u64);

impl Chance {
    /// The stream of run `number` of what `label` says.
    pub(crate) fn new(seed: u64, label: &str, number: u64) -> Self {
        let mut state = mix(seed.wrapping_add(GOLDEN));
        for word in label.bytes().map(u64::from).chain([number]) {
            state = mix((state ^ word).wrapping_add(GOLDEN));
        }
        Self([(); 4].map(|()| {
            state = state.wrapping_add(GOLDEN);
            mix(state)
        }))
    }

    /// Sixty-four random bits.
    pub(crate) fn word(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.0;
        let word = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        word
    }

    /// A number below `bound`, each equally likely.
    ///
    /// # Panics
    /// If `bound` is zero: there is no such number.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "no number is below zero");
        let bound = bound as u64;
        loop {
            let product = u128::from(self.word()) * u128::from(bound);
            #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
            let low = product as u64;
            // The rest of the division is worth its time only where it could matter.
            if low >= bound || low >= bound.wrapping_neg() % bound {
                return usize::try_from(product >> 64).expect("below a usize");
            }
        }
    }

    /// A number below `count` other than `me`, each equally likely.
    pub(crate) fn other(&mut self, me: usize, count: usize) -> usize {
        let other = self.below(count - 1);
        other + usize::from(other >= me)
    }

    /// Whether something so likely happens.
    pub(crate) fn happens(&mut self, odds: Odds) -> bool {
        odds.0 > 0 && self.word() < odds.0
    }

    /// A number from 0 to 1, without 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number of the normal distribution, to six deviations: twelve uniform ones and a subtraction, so that it is the
    /// same number on every machine.
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    /// Puts `items` in random order, each order equally likely.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

impl Odds {
    /// A share of all, from 0 to below 1.
    pub(crate) fn share(share: f64) -> Self {
        // Exact but for what is below 2^-64: the multiplication by a power of two rounds nothing.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is from 0 to 1")]
        Self((share * 18_446_744_073_709_551_616.0) as u64)
    }
}

/// SplitMix64's step.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// SplitMix64's scrambler.
fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_seed_label_and_number_and_by_nothing_else() {
        let words = |seed, label, number| {
            let mut chance = Chance::new(seed, label, number);
            [(); 4].map(|()| chance.word())
        };
        assert_eq!(words(1, "a", 0), words(1, "a", 0));
        let all = [words(1, "a", 0), words(2, "a", 0), words(1, "b", 0), words(1, "a", 1), words(1, "aa", 0)];
        for (place, one) in all.iter().enumerate() {
            assert!(all[..place].iter().all(|other| other != one));
        }
    }

    #[test]
    fn every_other_is_drawn_equally_often() {
        let mut chance = Chance::new(1, "others", 0);
        let mut seen = [0; 7];
        for _ in 0..60_000 {
            seen[chance.other(3, 7)] += 1;
        }
        assert_eq!(seen[3], 0);
        for (place, &count) in seen.iter().enumerate().filter(|&(place, _)| place != 3) {
            assert!((9_600..10_400).contains(&count), "{place} was drawn {count} times");
        }
    }

    #[test]
    fn what_is_likely_happens_so_often() {
        let mut chance = Chance::new(1, "odds", 0);
        let mut often = |share| (0..100_000).filter(|_| chance.happens(Odds::share(share))).count();
        assert_eq!(often(0.0), 0);
        assert!((24_400..25_600).contains(&often(0.25)));
        let normal: Vec<f64> = (0..100_000).map(|_| chance.normal()).collect();
        let mean = normal.iter().sum::<f64>() / 1e5;
        let spread = normal.iter().map(|x| x * x).sum::<f64>() / 1e5;
        assert!(mean.abs() < 0.02 && (spread - 1.0).abs() < 0.02, "{mean} {spread}");
    }
}
