//! All that a node holds, in one word: two nodes with equal summaries hold the same.

use crate::message::Line;
use crate::name::{NodeId, first_word};
use crate::version::{Generation, Version};

/// A sum of one hash for each owner known, over (id, generation, `max_version`).
///
/// As a sum it is kept up to date by one subtraction and one addition, and two summaries can be told apart owner by
/// owner: what is left of the difference once all known differences are taken off is what nobody has explained yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Summary(pub u64);

impl Summary {
    /// The summand of one owner.
    #[must_use]
    pub fn of(id: NodeId, generation: Generation, max: Version) -> Self {
        let words = [id.0, generation.0, max.0].map(u64::to_be_bytes);
        Self(first_word(&[b"tidings line", words.as_flattened()]))
    }

    /// The summand of a line; `None` if it says that the owner is unknown.
    pub(crate) fn of_line(line: &Line) -> Option<Self> {
        line.known().map(|(generation, max)| Self::of(line.id, generation, max))
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }

    /// This one with `other` taken off.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0.wrapping_sub(other.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_forgets_what_is_taken_off_whatever_the_order() {
        let of = |id| Summary::of(NodeId(id), Generation(3), Version(4));
        let all = of(1).plus(of(2)).plus(of(3));
        assert_eq!(all, of(3).plus(of(1)).plus(of(2)));
        assert_eq!(all.minus(of(2)), of(1).plus(of(3)));
        assert_ne!(of(1), Summary::of(NodeId(1), Generation(4), Version(3)));
    }
}
