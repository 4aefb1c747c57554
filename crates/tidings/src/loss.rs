//! Loss on purpose: what a demonstration or a test needs, and no cluster that serves.

use tidings_core::{ConfigError, Rng};

/// Chooses which datagrams are lost.
#[derive(Debug)]
pub(crate) struct Loss {
    /// Out of [`WHOLE`].
    part: usize,
    rng: Rng,
}

/// The largest share: beyond it no cluster comes together in a time that anybody waits for.
const MOST: f64 = 0.9;

/// What shares are parts of: finer than anybody measures.
const WHOLE: usize = 1_000_000;

impl Loss {
    /// Loses `share` of all datagrams, chosen by the seed.
    ///
    /// # Errors
    /// The share is out of range.
    pub(crate) fn new(share: f64, rng_seed: u64) -> Result<Self, ConfigError> {
        if !(0.0..=MOST).contains(&share) {
            return Err(ConfigError::Range {
                what: "the share of datagrams to lose",
                given: share.to_string(),
                least: "0".to_owned(),
                most: MOST.to_string(),
            });
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // It is between 0 and WHOLE.
        let part = (share * 1e6) as usize;
        // Not the seed itself: the node makes its own choices from that.
        Ok(Self { part, rng: Rng::new(!rng_seed) })
    }

    /// Whether the next datagram is lost.
    pub(crate) fn strikes(&mut self) -> bool {
        self.part > 0 && self.rng.chance(self.part, WHOLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_lost_and_a_seed_repeats_which() {
        let lost = |share| {
            let mut loss = Loss::new(share, 7).expect("a share");
            (0..10_000).map(|_| loss.strikes()).collect::<Vec<_>>()
        };
        let count = |share| lost(share).into_iter().filter(|lost| *lost).count();
        assert_eq!(count(0.0), 0);
        assert!((2_300..2_700).contains(&count(0.25)), "{}", count(0.25));
        assert!((8_800..9_200).contains(&count(0.9)), "{}", count(0.9));
        assert_eq!(lost(0.25), lost(0.25));
    }

    #[test]
    fn a_share_out_of_range_is_refused_with_the_range() {
        for share in [-0.1, 0.91, 2.0, f64::NAN, f64::INFINITY] {
            assert!(Loss::new(share, 7).is_err(), "{share}");
        }
        assert_eq!(
            Loss::new(2.0, 7).unwrap_err().to_string(),
            "the share of datagrams to lose is 2: it must be from 0 to 0.9"
        );
    }
}
