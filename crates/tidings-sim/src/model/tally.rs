//! How often things happened, so that a search can be seen to go where it should.

use tidings_core::{Delta, Span};

use super::owner::{Change, Deed};
use super::real::{Held, Outcome, View};

/// How often things happened in a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// All steps, from all states.
    pub steps: u64,
    /// Different replicas and different deltas that occurred.
    pub replicas: u64,
    /// See `replicas`.
    pub deltas: u64,
    /// Deltas that were taken.
    pub taken: u64,
    /// Of these: resets.
    pub resets: u64,
    /// Resets of a replica of the same life: one that was away for longer than the tombstones were there.
    pub caught_up: u64,
    /// Deltas of a later life that end below what was known of the earlier one.
    pub fell_back: u64,
    /// Deltas taken that end below what their sender knew.
    pub cut: u64,
    /// Deltas taken that bring a later life in the place of a known one.
    pub new_lives: u64,
    /// Deltas of which nothing was taken, since they build upon something that is missing.
    pub gaps: u64,
    /// Values that went with a delta.
    pub gone: u64,
    /// Delayed deltas that were taken.
    pub late_taken: u64,
    /// Delayed deltas that were overtaken: their receiver knew as much of the same life.
    pub overtaken: u64,
    /// Delayed deltas of an earlier life than their receiver knew.
    pub outlived: u64,
    /// How often something expired.
    pub expiries: u64,
    /// Raises of `gc_version`.
    pub raises: u64,
    /// Changes of both keys in one version.
    pub together: u64,
    /// Lives begun with all that was there.
    pub lives: u64,
    /// Lives begun with nothing.
    pub lives_anew: u64,
    /// Deltas that were cut, and that no decoder would read.
    pub unreadable: u64,
}

impl Tally {
    pub(super) fn count_deed(&mut self, deed: Deed) {
        match deed {
            Deed::Write(changes) => self.together += u64::from(changes.iter().all(Option::<Change>::is_some)),
            Deed::Expire => self.expiries += 1,
            Deed::Raise(_) => self.raises += 1,
            Deed::GoOn => self.lives += 1,
            Deed::StartAnew => self.lives_anew += 1,
        }
    }

    pub(super) fn count_delta(
        &mut self,
        delta: &Delta,
        is_late: bool,
        outcome: Outcome,
        old: View,
        new: View,
    ) {
        match outcome {
            Outcome::Taken => self.count_taken(delta, is_late, old, new),
            Outcome::Gap => self.gaps += 1,
            Outcome::Ignored if is_late => {
                let is_outlived = delta.generation.0 < u64::from(old.generation);
                *(if is_outlived { &mut self.outlived } else { &mut self.overtaken }) += 1;
            }
            Outcome::Ignored => {}
        }
    }

    fn count_taken(&mut self, delta: &Delta, is_late: bool, old: View, new: View) {
        let shown = |view: View| view.keys.map(Held::shown);
        let is_gone = |(old, new): (Option<u8>, Option<u8>)| old.is_some() && new.is_none();
        let is_reset = delta.span == Span::Reset;
        let is_new_life = old.generation != 0 && old.generation < new.generation;
        self.taken += 1;
        self.resets += u64::from(is_reset);
        self.caught_up += u64::from(is_reset && old.generation == new.generation);
        self.fell_back += u64::from(is_new_life && new.max < old.max);
        self.cut += u64::from(delta.through < delta.max);
        self.new_lives += u64::from(is_new_life);
        self.gone += u64::from(shown(old).into_iter().zip(shown(new)).any(is_gone));
        self.late_taken += u64::from(is_late);
    }
}
