//! The works by name, and how large they are.

mod changed_exchange;
mod cold_join;
mod convictions;
mod crash;
mod idle_cluster;
mod idle_exchange;
pub(crate) mod instructions;
mod join;
mod largest;
mod load;
mod memory;
mod update;

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
pub(crate) const ALL: [Work; 12] = [
    idle_exchange::WORK,
    changed_exchange::WORK,
    instructions::WORK,
    idle_cluster::WORK,
    cold_join::WORK,
    memory::WORK,
    update::WORK,
    load::WORK,
    crash::WORK,
    convictions::WORK,
    join::WORK,
    largest::WORK,
];
