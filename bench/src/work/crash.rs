//! A node crashes: when do the others see it?

use std::collections::BTreeMap;
use std::time::Duration;

use tidings_core::Rng;

use crate::cluster::{Cluster, ROUND, Setup};
use crate::ours::cluster::Ours;
use crate::peers::chitchat_cluster::ChitchatCluster;
use crate::peers::foca_cluster::FocaCluster;
use crate::row::{Better, Row};
use crate::sample::Sample;
use crate::versions;
use crate::work::{Bench, Job, Work, on_all_cores};

pub(crate) const WORK: Work = Work {
    name: "crash",
    about: "A node of a warm cluster stops without a word: when the first, the median and the last of the others believe \
            that it crashed; medians over several crashes, one after the other, of which all came to be seen by so many. \
            With each one's own default, and with two seconds of patience for all: foca declares a suspect down after two \
            seconds, and chitchat's threshold is two of its mean intervals between heartbeats, which is the nearest that \
            it has (its intervals begin at one second then, not five). With that it convicts so many of the living that \
            its first observer is there by chance: see `false-convictions`. What is not seen by all within 60 s is told \
            apart. chitchat is looked at each 50 ms.",
    losses: "",
    run,
};

/// How long is waited for the last.
const LIMIT: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(50);

/// The patience that all have, where it can be chosen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

fn run(bench: &Bench<'_>) -> Vec<Row> {
    let mut cases = Vec::new();
    // With losses, a thousand foca nodes rename each other so often that it takes minutes.
    for (nodes, loss) in bench.size(vec![(128, 0), (128, 250), (1_000, 0)], vec![(8, 0)]) {
        for patience in [Some(PATIENCE), None] {
            cases.push(Setup { loss, patience, watches: true, ..Setup::warm(nodes, 1) });
        }
    }
    let mut jobs: Vec<Job<'_, Seen>> = Vec::new();
    for setup in &cases {
        let told = move |who: &str| {
            let Setup { nodes, loss, patience, .. } = setup;
            bench.tell(&format!(
                "crash, {nodes} nodes, loss {} %, patience {}, {who}",
                loss / 10,
                words(*patience)
            ));
        };
        jobs.push(Box::new(move || {
            // Its intervals begin at five seconds and come down to what they are.
            let rounds = if setup.patience.is_some() { 10 } else { bench.size(60, 20) };
            if setup.nodes > 500 {
                return Seen::default();
            }
            told("chitchat");
            crashes::<ChitchatCluster>(setup, bench.size(4, 1), rounds)
        }));
        jobs.push(Box::new(move || {
            told("ours");
            crashes::<Ours>(setup, bench.size(15, 1), 10)
        }));
        jobs.push(Box::new(move || {
            told("foca");
            crashes::<FocaCluster>(setup, bench.size(10, 1), 10)
        }));
    }
    let done = on_all_cores(jobs);
    let mut rows = Vec::new();
    for (setup, done) in cases.iter().zip(done.chunks(3)) {
        let [chitchat, ours, foca] = done else { continue };
        if chitchat.crashes > 0 {
            rows.extend(beside(setup, ours, versions::chitchat(), chitchat));
        }
        rows.extend(beside(setup, ours, versions::foca(), foca));
    }
    rows
}

/// The patience in words.
pub(crate) fn words(patience: Option<Duration>) -> String {
    patience.map_or_else(|| "default".to_owned(), |patience| format!("{} s", patience.as_secs()))
}

fn beside(setup: &Setup, ours: &Seen, peer: String, theirs: &Seen) -> Vec<Row> {
    let row = |work, unit, of: fn(&Seen) -> Option<f64>, least, goal| {
        Row::new(work, unit, Better::Less, of(ours))
            .with("nodes", setup.nodes)
            .with("loss", f64::from(setup.loss) / 1_000.0)
            .with("patience", words(setup.patience))
            .beside(peer.clone(), of(theirs), least)
            .goal(goal)
    };
    vec![
        row("crash/first", "s", |seen| median(&seen.first), 0.0, None),
        row("crash/median", "s", |seen| median(&seen.median), 0.0, Some(3.2)),
        row("crash/last", "s", |seen| median(&seen.last), 0.0, Some(3.5)),
        row("crash/unseen", "of 100 crashes", |seen| Some(seen.unseen()), 1.0, None),
    ]
}

fn median(all: &[f64]) -> Option<f64> {
    Sample::new(all.iter().copied()).median()
}

/// When crashes were seen.
#[derive(Default)]
struct Seen {
    first: Vec<f64>,
    median: Vec<f64>,
    last: Vec<f64>,
    crashes: u32,
}

impl Seen {
    /// How many of a hundred crashes somebody did not see in time.
    fn unseen(&self) -> f64 {
        100.0 - 100.0 * self.last.len() as f64 / f64::from(self.crashes)
    }
}

fn crashes<C: Cluster>(setup: &Setup, crashes: u32, warm: u32) -> Seen {
    let mut cluster = C::begin(setup);
    cluster.run(warm * ROUND);
    let mut rng = Rng::new(setup.seed);
    let mut seen = Seen { crashes, ..Seen::default() };
    let mut up: Vec<usize> = (0..setup.nodes).collect();
    for _ in 0..crashes {
        cluster.run(Duration::from_millis(1_000 + rng.below(1_000) as u64));
        // The first is everybody's seed.
        let victim = up.remove(1 + rng.below(up.len() - 1));
        cluster.convictions();
        let start = cluster.now();
        cluster.crash(victim);
        let mut by = BTreeMap::new();
        while by.len() < up.len() && cluster.now() - start < LIMIT {
            cluster.run(STEP);
            for conviction in cluster.convictions() {
                if conviction.of == victim && up.contains(&conviction.by) {
                    by.entry(conviction.by).or_insert((conviction.at - start).as_secs_f64());
                }
            }
        }
        let mut times: Vec<f64> = by.into_values().collect();
        times.sort_by(f64::total_cmp);
        seen.first.extend(times.first());
        seen.median.extend(times.get(up.len() / 2));
        seen.last.extend(times.get(up.len() - 1));
    }
    seen
}
