//! The works by name, and how large they are.

mod idle_exchange;

use crate::row::Row;

/// Something that is done by ours and by peers.
#[derive(Clone, Copy)]
pub(crate) struct Work {
    /// What it is called.
    pub(crate) name: &'static str,
    /// What is done, and where peers do less: for the documentation.
    pub(crate) about: &'static str,
    /// Does it.
    pub(crate) run: fn(&Bench<'_>) -> Vec<Row>,
}

/// How to do the works.
pub(crate) struct Bench<'a> {
    /// As small and as seldom as can be.
    pub(crate) quick: bool,
    /// Is told what is being done.
    pub(crate) tell: &'a dyn Fn(&str),
}

impl Bench<'_> {
    /// So much of something: `full`, or `quick` if it is only to be seen that it works.
    pub(crate) fn size<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// Says what is being done.
    pub(crate) fn tell(&self, what: &str) {
        (self.tell)(what);
    }
}

/// All works, in the order of the table.
pub(crate) const ALL: [Work; 1] = [idle_exchange::WORK];
