//! The last changes, written out, for all readers.

use std::collections::VecDeque;

use axum::body::Bytes;

/// The last changes. Invariant: their numbers are `first`, `first + 1` and so on.
pub(crate) struct Ring {
    first: u64,
    entries: VecDeque<Entry>,
    bytes: usize,
}

/// A change as it goes over the wire.
pub(crate) struct Entry {
    /// The key that it is about, if it is about one.
    pub(crate) key: Option<String>,
    /// It, ready to be sent.
    pub(crate) frame: Bytes,
}

/// What a reader finds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// The next change that it wants.
    Frame(Bytes),
    /// Nothing new.
    Nothing,
    /// The next change is no longer here.
    Lost,
}

impl Ring {
    /// A ring that begins after the change `last`.
    pub(crate) fn new(last: u64) -> Self {
        Self { first: last + 1, entries: VecDeque::new(), bytes: 0 }
    }

    /// Begins again after the change `last`.
    pub(crate) fn restart(&mut self, last: u64) {
        *self = Self::new(last);
    }

    /// Adds the next change, and drops the oldest where there are too many.
    pub(crate) fn push(&mut self, entry: Entry) {
        self.bytes += entry.frame.len();
        self.entries.push_back(entry);
        while self.entries.len() > KEPT || self.bytes > BYTES {
            let Some(oldest) = self.entries.pop_front() else { return };
            self.bytes -= oldest.frame.len();
            self.first += 1;
        }
    }

    /// The number of the last change.
    pub(crate) fn last(&self) -> u64 {
        self.first - 1 + self.entries.len() as u64
    }

    /// What comes after the change `seq` for a reader of keys with `prefix`; `seq` goes on to it.
    pub(crate) fn read(&self, seq: &mut u64, prefix: &str) -> Read {
        let Some(index) = (*seq + 1).checked_sub(self.first) else { return Read::Lost };
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        for entry in self.entries.iter().skip(index) {
            *seq += 1;
            if entry.is_wanted(prefix) {
                return Read::Frame(entry.frame.clone());
            }
        }
        Read::Nothing
    }
}

impl Entry {
    /// Whether a reader of keys with `prefix` wants it.
    pub(crate) fn is_wanted(&self, prefix: &str) -> bool {
        self.key.as_ref().is_none_or(|key| key.starts_with(prefix))
    }
}

/// How many changes a reader may be behind.
const KEPT: usize = 4_096;
/// How many bytes they may have together: fewer are kept where values are large, since the agent has other work too.
const BYTES: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn push(ring: &mut Ring, key: &str, len: usize) {
        ring.push(Entry { key: Some(key.to_owned()), frame: vec![0; len].into() });
    }

    #[test]
    fn a_reader_passes_over_other_keys_and_ends_at_the_last_change() {
        let mut ring = Ring::new(7);
        for key in ["a", "b", "a", "b"] {
            push(&mut ring, key, 1);
        }
        let mut seq = 7;
        for expected in [8, 10] {
            assert!(matches!(ring.read(&mut seq, "a"), Read::Frame(_)));
            assert_eq!(seq, expected);
        }
        assert_eq!(ring.read(&mut seq, "a"), Read::Nothing);
        assert_eq!((seq, ring.last()), (11, 11));
    }

    #[test]
    fn a_ring_has_a_bound_in_changes_and_one_in_bytes() {
        let mut ring = Ring::new(0);
        (0..=KEPT).for_each(|_| push(&mut ring, "a", 1));
        assert_eq!(ring.read(&mut 0, ""), Read::Lost);
        assert!(matches!(ring.read(&mut 1, ""), Read::Frame(_)));
        (0..3).for_each(|_| push(&mut ring, "a", BYTES / 2));
        assert_eq!(ring.entries.len(), 2);
        assert_eq!(ring.last(), KEPT as u64 + 4);
    }

    #[test]
    fn what_lies_before_a_new_beginning_is_lost() {
        let mut ring = Ring::new(0);
        push(&mut ring, "a", 1);
        ring.restart(9);
        assert_eq!(ring.read(&mut 1, ""), Read::Lost);
        assert_eq!(ring.read(&mut 9, ""), Read::Nothing);
    }
}
