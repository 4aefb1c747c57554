//! Many seeds, on all cores.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
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
    /// Whether it was made smaller.
    pub is_shrunk: bool,
}

/// How many failures are made smaller: that takes a while.
const SHRUNK: usize = 3;
/// From how many seeds on everything must have happened.
const ENOUGH: u64 = 200;

/// What must happen, besides all that steps do.
const COUNTED: [&str; 27] = [
    "calls for help",
    "convictions",
    "cuts",
    "damaged datagrams",
    "departures seen",
    "forgotten nodes",
    "forgotten nodes that came back",
    "forgotten nodes that ran",
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
    "requests applied",
    "requests in conflict",
    "requests refused",
    "requests unanswered",
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

    /// How many seeds this part has.
    #[must_use]
    pub fn len(&self) -> u64 {
        let all = self.seeds.end.saturating_sub(self.seeds.start);
        all / self.shard.of + u64::from(all % self.shard.of >= self.shard.number)
    }

    /// Whether this part has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The seed in that place of this part; `None` beyond its end.
    #[must_use]
    pub fn seed(&self, place: u64) -> Option<u64> {
        (place < self.len()).then(|| self.seeds.start + (self.shard.number - 1) + place * self.shard.of)
    }

    /// Runs them all. `progress` is told how many are done, from any thread.
    #[must_use]
    pub fn run(&self, progress: &(dyn Fn(u64) + Sync)) -> Report {
        let (next, done) = (AtomicU64::new(0), AtomicU64::new(0));
        let results = Mutex::new(Results::default());
        let work = || {
            while let Some(seed) = self.seed(next.fetch_add(1, Ordering::Relaxed)) {
                let begun = Clock::now();
                let outcome = run(&draw(seed));
                let took = begun.elapsed();
                results.lock().expect("nobody failed").put(self, seed, outcome, took);
                progress(done.fetch_add(1, Ordering::Relaxed) + 1);
            }
        };
        let threads = u64::try_from(self.threads).unwrap_or(u64::MAX).clamp(1, self.len().max(1));
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(work);
            }
            work();
        });
        let mut report = results.into_inner().expect("nobody failed").report;
        report.failures.iter_mut().take(SHRUNK).for_each(Found::shrink);
        report
    }
}

/// What came of the seeds so far. Which thread is done first says nothing: they are added up in their order.
#[derive(Debug, Default)]
struct Results {
    report: Report,
    /// What came of seeds whose turn is not yet.
    early: BTreeMap<u64, (Outcome, Duration)>,
}

impl Results {
    fn put(&mut self, campaign: &Campaign, seed: u64, outcome: Outcome, took: Duration) {
        self.early.insert(seed, (outcome, took));
        while let Some(seed) = campaign.seed(self.report.seeds) {
            let Some((outcome, took)) = self.early.remove(&seed) else { return };
            self.report.add(seed, outcome, took);
        }
    }
}

impl Default for Report {
    /// Of no seeds.
    fn default() -> Self {
        let names = Action::NAMES.into_iter().chain(COUNTED);
        Self {
            seeds: 0,
            simulated: Duration::ZERO,
            processor: Duration::ZERO,
            coverage: names.map(|name| (name, 0)).collect(),
            failures: Vec::new(),
            trace_hash: 0,
        }
    }
}

impl Report {
    fn add(&mut self, seed: u64, outcome: Outcome, took: Duration) {
        self.seeds += 1;
        self.simulated += outcome.simulated;
        self.processor += took;
        for (name, count) in outcome.coverage {
            *self.coverage.entry(name).or_default() += count;
        }
        self.trace_hash =
            (self.trace_hash ^ outcome.trace_hash).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        if let Some(broken) = outcome.broken {
            self.failures.push(Found { seed, broken, scenario: draw(seed), is_shrunk: false });
        }
    }

    /// What never happened, though there were seeds enough for everything.
    #[must_use]
    pub fn gaps(&self) -> Vec<&'static str> {
        let never = self.coverage.iter().filter(|(_, count)| **count == 0).map(|(&name, _)| name);
        if self.seeds < ENOUGH { Vec::new() } else { never.collect() }
    }
}

impl Found {
    fn shrink(&mut self) {
        let promise = self.broken.promise;
        let breaks = |scenario: &Scenario| run(scenario).broken.is_some_and(|b| b.promise == promise);
        self.scenario = shrink(draw(self.seed), &breaks);
        self.is_shrunk = true;
    }
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
            let campaign = Campaign { shard, ..Campaign::new(100..117) };
            (0..campaign.len()).map_while(move |place| campaign.seed(place))
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
