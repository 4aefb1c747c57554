//! One place for what many cores in one process hold alike.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::name::NodeId;
use crate::record::Record;

/// Makes equal records of nodes one: for simulations, in which thousands of cores know the same of each other.
///
/// Clones share what they hold. It keeps nothing alive, and nothing that a core does depends on it: see
/// [`Gossiper::share`](crate::Gossiper::share).
#[derive(Debug, Clone, Default)]
pub struct Interner(Arc<Mutex<BTreeMap<NodeId, Vec<Weak<Record>>>>>);

impl Interner {
    /// The one record of `id` that equals `record`: another one's, if there is one already.
    pub(crate) fn share(&self, id: NodeId, record: Arc<Record>) -> Arc<Record> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.entry(id).or_default();
        // There are about as many as the owner has versions on their way.
        known.retain(|known| known.strong_count() > 0);
        let equal = known.iter().filter_map(Weak::upgrade).find(|known| *known == record);
        equal.unwrap_or_else(|| {
            known.push(Arc::downgrade(&record));
            record
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::NodeName;
    use crate::replica::Replica;
    use crate::version::Generation;

    fn record(generation: u64) -> Arc<Record> {
        let name = NodeName::new("ann").unwrap();
        Arc::new(Record {
            replica: Replica::new(Generation(generation)),
            address: ([10, 0, 0, 1], 1).into(),
            name,
        })
    }

    #[test]
    fn equal_records_become_one_and_others_do_not() {
        let interner = Interner::default();
        let share = |generation| interner.share(NodeId(1), record(generation));
        let (one, same, other) = (share(1), share(1), share(2));
        assert!(Arc::ptr_eq(&one, &same));
        assert!(!Arc::ptr_eq(&one, &other));
    }

    #[test]
    fn what_nobody_holds_is_forgotten() {
        let interner = Interner::default();
        (1..100).for_each(|generation| drop(interner.share(NodeId(1), record(generation))));
        assert_eq!(interner.0.lock().unwrap()[&NodeId(1)].len(), 1);
    }
}
