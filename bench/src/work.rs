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

use std::num::NonZero;
use std::sync::Mutex;
use std::thread;

use crate::row::Row;

/// Something that is done by ours and by peers.
#[derive(Clone, Copy)]
pub(crate) struct Work {
    /// What it is called.
    pub(crate) name: &'static str,
    /// What is done, and where peers do less: for the documentation.
    pub(crate) about: &'static str,
    /// Why ours loses, or does not reach its goal; empty where it does neither.
    pub(crate) losses: &'static str,
    /// Does it.
    pub(crate) run: fn(&Bench<'_>) -> Vec<Row>,
}

/// How to do the works.
pub(crate) struct Bench<'a> {
    /// As small and as seldom as can be.
    pub(crate) quick: bool,
    /// Also what takes minutes.
    pub(crate) slow: bool,
    /// Is told what is being done.
    pub(crate) tell: &'a (dyn Fn(&str) + Sync),
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

/// Something to be done by whoever is free.
pub(crate) type Job<'a, T> = Box<dyn FnOnce() -> T + Send + 'a>;

/// Does all jobs on all cores, the first first. Returns what came of them in their order. Not for what measures processor
/// time: only for clusters in virtual time, which do not notice each other.
pub(crate) fn on_all_cores<T: Send>(jobs: Vec<Job<'_, T>>) -> Vec<T> {
    let mut results: Vec<Option<T>> = jobs.iter().map(|_| None).collect();
    let waiting = Mutex::new(jobs.into_iter().zip(&mut results));
    let next = || waiting.lock().expect("nobody failed").next();
    let work = || {
        while let Some((job, result)) = next() {
            *result = Some(job());
        }
    };
    thread::scope(|scope| {
        for _ in 1..thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(work);
        }
        work();
    });
    drop(waiting);
    results.into_iter().map(|result| result.expect("all are done")).collect()
}

/// The work that the picture is of.
pub(crate) const CONVICTIONS: Work = convictions::WORK;

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
    CONVICTIONS,
    join::WORK,
    largest::WORK,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_jobs() {
        let jobs = (0..20).map(|number| -> Job<'_, u32> { Box::new(move || number * number) }).collect();
        let squares: Vec<u32> = (0..20).map(|number| number * number).collect();
        assert_eq!(on_all_cores(jobs), squares);
    }
}
