//! Nobody crashes: who is believed to have, all the same?

use std::collections::BTreeMap;
use std::time::Duration;

use tidings_core::Rng;

use crate::cluster::{Cluster, ROUND, Setup};
use crate::ours::cluster::Ours;
use crate::peers::chitchat_cluster::ChitchatCluster;
use crate::peers::foca_cluster::FocaCluster;
use crate::row::{Better, Row};
use crate::versions;
use crate::work::crash::{PATIENCE, words};
use crate::work::{Bench, Job, Work, on_all_cores};

pub(crate) const WORK: Work = Work {
    name: "false-convictions",
    about: "Nobody crashes, and yet a node is believed to have crashed, or is told so itself: how often, for each node and \
            hour. What befalls one node within five seconds is one conviction, however many believe it. At losses, and \
            with a node in each second that stands still for 1.5 s and finds all messages waiting then. Patience as in \
            `crash`: with two seconds for all, and with each one's default. What is too seldom to be seen is below \
            one in the hours that were watched, which the parameters tell.",
    losses: "",
    run,
};

/// What befalls one node within this time is one conviction.
const ONE: Duration = Duration::from_secs(5);
/// How long a node stands still.
const STALL: Duration = Duration::from_millis(1_500);

fn run(bench: &Bench<'_>) -> Vec<Row> {
    let mut cases = Vec::new();
    let nodes = bench.size(64, 8);
    for patience in [Some(PATIENCE), None] {
        let weathers = vec![(0, false), (100, false), (250, false), (0, true)];
        for (loss, stalls) in bench.size(weathers, vec![(250, true)]) {
            cases.push((Setup { loss, patience, watches: true, ..Setup::warm(nodes, 1) }, stalls));
        }
    }
    let mut jobs: Vec<Job<'_, Watched>> = Vec::new();
    for (setup, stalls) in &cases {
        jobs.push(Box::new(move || {
            let (loss, patience) = (setup.loss / 10, words(setup.patience));
            bench.tell(&format!("false convictions, loss {loss} %, stalls {stalls}, patience {patience}"));
            watch::<ChitchatCluster>(setup, *stalls, bench.size(90, 10))
        }));
        jobs.push(Box::new(move || watch::<Ours>(setup, *stalls, bench.size(3_600, 10))));
        jobs.push(Box::new(move || watch::<FocaCluster>(setup, *stalls, bench.size(600, 10))));
    }
    let done = on_all_cores(jobs);
    let mut rows = Vec::new();
    for ((setup, stalls), done) in cases.iter().zip(done.chunks(3)) {
        let [chitchat, ours, foca] = done else { continue };
        rows.push(beside(setup, *stalls, ours, versions::chitchat(), chitchat));
        rows.push(beside(setup, *stalls, ours, versions::foca(), foca));
    }
    rows
}

fn beside(setup: &Setup, stalls: bool, ours: &Watched, peer: String, theirs: &Watched) -> Row {
    let hours = |watched: &Watched| (watched.hours * 10.0).round() / 10.0;
    let goal = setup.patience.and(match (setup.loss, stalls) {
        (100, false) => Some(0.0),
        (250, false) => Some(0.01),
        _ => None,
    });
    Row::new("false-convictions", "per node-hour", Better::Less, Some(ours.rate()))
        .with("nodes", setup.nodes)
        .with("loss", f64::from(setup.loss) / 1_000.0)
        .with("stalls", stalls)
        .with("patience", words(setup.patience))
        .with("our node-hours", hours(ours))
        .with("their node-hours", hours(theirs))
        .beside(peer, Some(theirs.rate()), 1.0 / theirs.hours.min(ours.hours))
        .goal(goal)
}

/// What was seen.
struct Watched {
    convictions: u32,
    hours: f64,
}

impl Watched {
    fn rate(&self) -> f64 {
        f64::from(self.convictions) / self.hours
    }
}

fn watch<C: Cluster>(setup: &Setup, stalls: bool, seconds: u32) -> Watched {
    let mut cluster = C::begin(setup);
    let mut rng = Rng::new(setup.seed);
    let mut stalled = vec![Duration::ZERO; setup.nodes];
    cluster.run(10 * ROUND);
    cluster.convictions();
    let mut last: BTreeMap<usize, Duration> = BTreeMap::new();
    let mut convictions = 0;
    for _ in 0..seconds {
        if stalls {
            let node = rng.below(setup.nodes);
            // One that has just stood still is given time to breathe.
            if stalled[node] + 2 * STALL < cluster.now() {
                stalled[node] = cluster.now();
                cluster.stall(node, STALL);
            }
        }
        cluster.run(ROUND);
        for conviction in cluster.convictions() {
            // It begins anew after that time, if it goes on.
            if last.get(&conviction.of).is_none_or(|&before| before + ONE < conviction.at) {
                last.insert(conviction.of, conviction.at);
                convictions += 1;
            }
        }
    }
    Watched { convictions, hours: f64::from(seconds) * setup.nodes as f64 / 3_600.0 }
}
