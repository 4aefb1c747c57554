//! Many seeds, on all cores.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{draw, shrink};
use crate::checker::Broken;
use crate::scenario::{Action, Outcome, Scenario, run};

/// Which seeds to run, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    /// The seeds; the last one is not among them.
    pub seeds: Range<u64>,
    /// Which part of them.
    pub shard: Shard,
    /// On how many threads. It changes how long it takes, and nothing else.
    pub threads: usize,
}

/// One part of several, so that machines can share a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Which one, from one on.
    pub number: u64,
    /// Of how many.
    pub of: u64,
}

/// What came of a campaign.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// How many seeds were run.
    pub seeds: u64,
    /// How much time passed in them, all together.
    pub simulated: Duration,
    /// How long processors took for them.
    pub processor: Duration,
    /// How often what happened; also what never did.
    pub coverage: BTreeMap<&'static str, u64>,
    /// The seeds that found a promise broken.
    pub failures: Vec<Found>,
    /// All that happened, in a word.
    pub trace_hash: u64,
}

/// A seed that found a promise broken.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The seed.
    pub seed: u64,
    /// The promise, when and where.
    pub broken: Broken,
    /// A scenario that breaks it, too: the smallest that was found, for the first few seeds, and all of it for the others.
    pub scenario: Scenario,
}

/// How many failures are made smaller: that takes a while.
const SHRUNK: usize = 3;
/// From how many seeds on everything must have happened.
const ENOUGH: u64 = 200;

/// What must happen, besides all that steps do.
const COUNTED: [&str; 20] = [
    "calls for help",
    "convictions",
    "cuts",
    "damaged datagrams",
    "departures seen",
    "doubled datagrams",
    "generation changes",
    "generations given up",
    "late datagrams",
    "lost datagrams",
    "pieces",
    "pushes",
    "refusals",
    "refused messages",
    "refutations",
    "resets",
    "restarts seen",
    "revivals",
    "streams",
    "streams given up",
];

impl Default for Shard {
    /// All of it.
    fn default() -> Self {
        Self { number: 1, of: 1 }
    }
}

impl Campaign {
    /// All of `seeds`, on all cores.
    #[must_use]
    pub fn new(seeds: Range<u64>) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self { seeds, shard: Shard::default(), threads }
    }

    /// The seeds of this part.
    #[must_use]
    pub fn part(&self) -> Vec<u64> {
        let mine = |seed: &u64| (seed - self.seeds.start) % self.shard.of == self.shard.number - 1;
        self.seeds.clone().filter(mine).collect()
    }

    /// Runs them all. `progress` is told how many are done, from any thread.
    #[must_use]
    pub fn run(&self, progress: &(dyn Fn(usize) + Sync)) -> Report {
        let seeds = self.part();
        let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let results = Mutex::new(BTreeMap::new());
        let work = || {
            while let Some(&seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                let begun = Clock::now();
                let outcome = run(&draw(seed));
                let result = (outcome, begun.elapsed());
                results.lock().expect("nobody failed").insert(seed, result);
                progress(done.fetch_add(1, Ordering::Relaxed) + 1);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.threads.clamp(1, seeds.len().max(1)) {
                scope.spawn(work);
            }
            work();
        });
        Report::of(results.into_inner().expect("nobody failed"))
    }
}

impl Report {
    fn of(results: BTreeMap<u64, (Outcome, Duration)>) -> Self {
        let names = Action::NAMES.into_iter().chain(COUNTED);
        let mut report = Self {
            seeds: results.len() as u64,
            simulated: Duration::ZERO,
            processor: Duration::ZERO,
            coverage: names.map(|name| (name, 0)).collect(),
            failures: Vec::new(),
            trace_hash: 0,
        };
        for (seed, (outcome, took)) in results {
            report.simulated += outcome.simulated;
            report.processor += took;
            for (name, count) in outcome.coverage {
                *report.coverage.entry(name).or_default() += count;
            }
            report.trace_hash =
                (report.trace_hash ^ outcome.trace_hash).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
            if let Some(broken) = outcome.broken {
                let is_shrunk = report.failures.len() < SHRUNK;
                let scenario = if is_shrunk { smallest(seed, &broken) } else { draw(seed) };
                report.failures.push(Found { seed, broken, scenario });
            }
        }
        report
    }

    /// What never happened, though there were seeds enough for everything.
    #[must_use]
    pub fn gaps(&self) -> Vec<&'static str> {
        let never = self.coverage.iter().filter(|(_, count)| **count == 0).map(|(&name, _)| name);
        if self.seeds < ENOUGH { Vec::new() } else { never.collect() }
    }
}

fn smallest(seed: u64, broken: &Broken) -> Scenario {
    let breaks = |scenario: &Scenario| run(scenario).broken.is_some_and(|b| b.promise == broken.promise);
    shrink(draw(seed), &breaks)
}

/// What a thread takes of its processor, where the system says that; otherwise, what passes.
struct Clock {
    begun: Instant,
    processor: Option<Duration>,
}

impl Clock {
    fn now() -> Self {
        Self { begun: Instant::now(), processor: Self::processor() }
    }

    fn processor() -> Option<Duration> {
        let times = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        Some(Duration::from_nanos(times.split_whitespace().next()?.parse().ok()?))
    }

    fn elapsed(&self) -> Duration {
        let processor = self.processor.zip(Self::processor());
        processor.map_or_else(|| self.begun.elapsed(), |(before, after)| after.saturating_sub(before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(shard: Shard, threads: usize) -> Report {
        let campaign = Campaign { shard, threads, ..Campaign::new(0..12) };
        Report { processor: Duration::ZERO, ..campaign.run(&|_| ()) }
    }

    #[test]
    fn a_report_does_not_depend_on_the_number_of_threads() {
        assert_eq!(report(Shard::default(), 1), report(Shard::default(), 5));
    }

    #[test]
    fn shards_are_all_of_it_together() {
        let parts = (1..=5).flat_map(|number| {
            let shard = Shard { number, of: 5 };
            Campaign { shard, ..Campaign::new(100..117) }.part()
        });
        let mut all: Vec<u64> = parts.collect();
        all.sort_unstable();
        assert_eq!(all, (100..117).collect::<Vec<_>>());
    }

    /// Two hundred seeds have seen everything, and nothing that has no name here.
    #[test]
    fn two_hundred_seeds_see_everything() {
        let report = Campaign::new(0..200).run(&|_| ());
        assert_eq!(report.gaps(), [""; 0]);
        assert_eq!(report.failures, []);
        let named = Action::NAMES.into_iter().chain(COUNTED).chain(["false convictions"]);
        let named: std::collections::BTreeSet<_> = named.collect();
        let unnamed: Vec<_> = report.coverage.keys().filter(|name| !named.contains(*name)).collect();
        assert_eq!(unnamed, [&""; 0]);
    }
}
