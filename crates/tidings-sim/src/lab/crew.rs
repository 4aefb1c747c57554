//! Runs many, on all cores, with results that do not depend on how many there are.

use std::fmt;
use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::lab::chance::Chance;
use crate::lab::experiment::Experiment;
use crate::lab::row::Findings;
use crate::lab::{detect, detection, digest, flow, heal, join, mongering, rumors, scale, spread, staleness};

/// How to experiment.
#[derive(Clone, Copy)]
pub struct Lab<'a> {
    /// Where all chance comes from.
    pub seed: u64,
    /// How often each thing is measured; by default as often as its tolerance needs.
    pub runs: Option<usize>,
    /// On how many threads. It changes how long it takes, and nothing else.
    pub threads: usize,
    /// Is told how far it is, from any thread.
    pub progress: &'a (dyn Fn(&Progress<'_>) + Sync),
}

/// How far a measurement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// What is measured.
    pub what: &'a str,
    /// How many runs are done.
    pub done: usize,
    /// How many there are.
    pub runs: usize,
}

impl Default for Lab<'_> {
    /// Seed 1, all cores, in silence.
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self { seed: 1, runs: None, threads, progress: &|_| () }
    }
}

impl fmt::Debug for Lab<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, runs, threads, progress: _ } = self;
        f.debug_struct("Lab").field("seed", seed).field("runs", runs).field("threads", threads).finish()
    }
}

impl Lab<'_> {
    /// Makes an experiment, with its defaults.
    #[must_use]
    pub fn run(&self, experiment: Experiment) -> Findings {
        match experiment {
            Experiment::Spread => self.spread(&spread::Spread::default()),
            Experiment::Scale => scale::run(self),
            Experiment::Rumors => rumors::run(self),
            Experiment::Mongering => mongering::run(self),
            Experiment::Staleness => staleness::run(self),
            Experiment::Flow => flow::run(self),
            Experiment::Digest => digest::run(self),
            Experiment::Detect => detect::run(self),
            Experiment::Detection => detection::run(self),
            Experiment::Heal => heal::run(self),
            Experiment::Join => join::run(self),
        }
    }

    /// Makes the experiment `spread`, of what is asked.
    #[must_use]
    pub fn spread(&self, asked: &spread::Spread) -> Findings {
        spread::run(self, asked)
    }

    /// Measures `what` so many times, or as often as was asked for. Each time has its own stream of chance; the results come
    /// in the order of their numbers, whoever had them first.
    pub(crate) fn measure<T: Send>(
        &self,
        what: &str,
        runs: usize,
        once: impl Fn(&mut Chance) -> T + Sync,
    ) -> Vec<T> {
        let runs = self.runs.unwrap_or(runs).max(1);
        let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let results = Mutex::new(Vec::with_capacity(runs));
        let tell = |done| (self.progress)(&Progress { what, done, runs });
        tell(0);
        let work = || {
            let mut mine = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= runs {
                    break;
                }
                mine.push((number, once(&mut Chance::new(self.seed, what, number as u64))));
                tell(done.fetch_add(1, Ordering::Relaxed) + 1);
            }
            results.lock().expect("nobody failed").extend(mine);
        };
        std::thread::scope(|scope| {
            for _ in 1..self.threads.clamp(1, runs) {
                scope.spawn(work);
            }
            work();
        });
        let mut results = results.into_inner().expect("nobody failed");
        results.sort_unstable_by_key(|&(number, _)| number);
        results.into_iter().map(|(_, result)| result).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_do_not_depend_on_the_number_of_threads() {
        let measured = |threads| {
            let lab = Lab { threads, ..Lab::default() };
            lab.measure("words", 100, Chance::word)
        };
        assert_eq!(measured(1), measured(2));
        assert_eq!(measured(1), measured(7));
        let lab = Lab { seed: 2, ..Lab::default() };
        assert_ne!(measured(1), lab.measure("words", 100, Chance::word));
    }

    #[test]
    fn progress_is_told_to_the_end() {
        let most = AtomicUsize::new(0);
        let progress = |progress: &Progress<'_>| {
            most.fetch_max(progress.done, Ordering::Relaxed);
        };
        let lab = Lab { runs: Some(9), progress: &progress, ..Lab::default() };
        assert_eq!(lab.measure("words", 100, Chance::word).len(), 9);
        assert_eq!(most.into_inner(), 9);
    }
}
