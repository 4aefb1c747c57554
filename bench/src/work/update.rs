//! One write, until everybody has it.

use std::time::Duration;

use tidings_core::Rng;

use crate::cluster::{Cluster, Setup, update};
use crate::ours::cluster::Ours;
use crate::peers::chitchat_cluster::ChitchatCluster;
use crate::peers::foca_cluster::FocaCluster;
use crate::row::{Better, Row};
use crate::sample::Sample;
use crate::versions;
use crate::work::{Bench, Job, Work, on_all_cores};

pub(crate) const WORK: Work = Work {
    name: "update",
    about: "A node of a warm cluster writes 64 bytes, at a random moment: how long until half, 99 % and all of the others \
            have it, in the runs in which they came to have it; how often the value was sent, for each node; all payload \
            bytes for each node in the three seconds from the write on, idle ones included; and in how many of a hundred \
            runs somebody had it not after 30 s. Rounds of a second; ours turns to one node in each, chitchat to three. \
            foca is as it recommends for a local network: it broadcasts to three nodes each 200 ms, and repairs nothing \
            that got lost on the way, which is less than the others do. chitchat's clock has steps of a millisecond, \
            so that its latency is a little longer; a thousand of its nodes are only run with \
            `--slow`, as they take a processor for minutes.",
    losses: "",
    run,
};

/// Why chitchat has no figure.
const SLOW: &str = "a thousand whole nodes take minutes: only with --slow";
/// How long is waited for the last.
const LIMIT: Duration = Duration::from_secs(30);
/// For how long bytes are counted.
const WINDOW: Duration = Duration::from_secs(3);
const STEP: Duration = Duration::from_millis(100);

fn run(bench: &Bench<'_>) -> Vec<Row> {
    // The largest first: the others are done beside them.
    let mut cases = Vec::new();
    for nodes in bench.size(vec![1_000, 128], vec![8]) {
        for loss in bench.size(vec![0, 100, 250], vec![0]) {
            cases.push(Setup { loss, counts_copies: true, ..Setup::warm(nodes, 1) });
        }
    }
    let mut jobs: Vec<Job<'_, Spread>> = Vec::new();
    for setup in &cases {
        for who in [Who::Chitchat, Who::Ours, Who::Foca] {
            jobs.push(Box::new(move || who.spread(bench, setup)));
        }
    }
    let done = on_all_cores(jobs);
    let mut rows = Vec::new();
    for (setup, done) in cases.iter().zip(done.chunks(3)).rev() {
        let [chitchat, ours, foca] = done else { continue };
        rows.extend(beside(setup, ours, chitchat, versions::chitchat(), true));
        rows.extend(beside(setup, ours, foca, versions::foca(), false));
    }
    rows
}

/// Whose cluster it is.
#[derive(Debug, Clone, Copy)]
enum Who {
    Ours,
    Chitchat,
    Foca,
}

impl Who {
    fn spread(self, bench: &Bench<'_>, setup: &Setup) -> Spread {
        let is_large = setup.nodes > 500;
        let runs = match (self, is_large) {
            (Self::Ours, false) => 100,
            (Self::Ours, true) => 30,
            (Self::Foca, false) if setup.loss < 250 => 50,
            // Whatever misses somebody is watched for half a minute, and with losses most do.
            (Self::Foca, _) => 12,
            (Self::Chitchat, false) => 15,
            (Self::Chitchat, true) => {
                if bench.slow {
                    3
                } else {
                    0
                }
            }
        };
        let runs = bench.size(runs, 1);
        if runs > 0 {
            bench.tell(&format!("update, {} nodes, loss {} %, {self:?}", setup.nodes, setup.loss / 10));
        }
        match self {
            Self::Ours => spread::<Ours>(setup, runs),
            Self::Chitchat => spread::<ChitchatCluster>(setup, runs),
            Self::Foca => spread::<FocaCluster>(setup, runs),
        }
    }
}

/// What came of some runs.
#[derive(Default)]
struct Spread {
    half: Vec<f64>,
    most: Vec<f64>,
    all: Vec<f64>,
    copies: Vec<f64>,
    bytes: Vec<f64>,
    missed: u32,
    runs: u32,
}

fn spread<C: Cluster>(setup: &Setup, runs: u32) -> Spread {
    let mut spread = Spread { runs, ..Spread::default() };
    if runs == 0 {
        return spread;
    }
    let mut cluster = C::begin(setup);
    let mut rng = Rng::new(setup.seed);
    for run in 0..runs {
        cluster.run(Duration::from_millis(rng.below(1_000) as u64));
        let writer = rng.below(setup.nodes);
        once(&mut cluster, setup, update(writer, run + 1), writer, &mut spread);
    }
    spread
}

fn once(cluster: &mut impl Cluster, setup: &Setup, number: u64, writer: usize, spread: &mut Spread) {
    cluster.heard();
    let (start, before) = (cluster.now(), cluster.traffic());
    cluster.write(writer, number);
    // The writer has it from the start.
    let mut times = vec![0.0];
    let mut bytes = None;
    loop {
        cluster.run(STEP);
        let heard = cluster.heard().into_iter().filter(|heard| heard.update == number);
        times.extend(heard.map(|heard| (heard.at - start).as_secs_f64()));
        let passed = cluster.now() - start;
        if passed >= WINDOW {
            bytes.get_or_insert(cluster.traffic().bytes - before.bytes);
        }
        if passed >= LIMIT || (passed >= WINDOW && times.len() >= setup.nodes) {
            break;
        }
    }
    times.sort_by(f64::total_cmp);
    let until = |percent: usize| times.get((setup.nodes * percent).div_ceil(100) - 1).copied();
    spread.half.extend(until(50));
    spread.most.extend(until(99));
    spread.all.extend(until(100));
    spread.missed += u32::from(times.len() < setup.nodes);
    let each = setup.nodes as f64;
    spread.copies.push((cluster.traffic().copies - before.copies) as f64 / each);
    spread.bytes.push(bytes.unwrap_or_default() as f64 / each);
}

fn beside(setup: &Setup, ours: &Spread, theirs: &Spread, peer: String, is_as_much: bool) -> Vec<Row> {
    let (nodes, loss) = (setup.nodes, setup.loss);
    let row = |work, unit, of: fn(&Spread) -> Option<f64>, least, goal| {
        let row = Row::new(work, unit, Better::Less, of(ours)).with("nodes", nodes);
        let row = row.with("loss", f64::from(loss) / 1_000.0).beside(peer.clone(), of(theirs), least);
        let row = row.with("our runs", ours.runs).with("their runs", theirs.runs).goal(goal);
        match (is_as_much, theirs.runs) {
            (true, 0) => row.note(SLOW),
            (true, _) => row,
            (false, _) => row.less_work(),
        }
    };
    let p99 = match (nodes, loss) {
        (128, 0) => Some(0.10),
        (1_000, 0) => Some(0.12),
        (128, 250) => Some(1.2),
        _ => None,
    };
    let copies = (loss == 0).then_some(1.6);
    let all = (nodes == 128 && loss == 250).then_some(0.2);
    let missed = (loss == 0 || nodes == 128).then_some(0.0);
    vec![
        row("update/half", "s", |spread| median_of(&spread.half), 0.0, None),
        row("update/99-percent", "s", |spread| median_of(&spread.most), 0.0, None),
        row("update/all", "s", |spread| median_of(&spread.all), 0.0, all),
        row("update/all-p99", "s", |spread| Sample::new(spread.all.iter().copied()).percentile(99), 0.0, p99),
        row("update/copies", "copies/node", |spread| median_of(&spread.copies), 0.0, copies),
        row("update/bytes", "B/node in 3 s", |spread| median_of(&spread.bytes), 0.0, None),
        row("update/missed", "of 100 runs", Spread::share_missed, 1.0, missed),
    ]
}

impl Spread {
    /// In how many of a hundred runs somebody never had it.
    fn share_missed(&self) -> Option<f64> {
        (self.runs > 0).then(|| 100.0 * f64::from(self.missed) / f64::from(self.runs))
    }
}

fn median_of(all: &[f64]) -> Option<f64> {
    Sample::new(all.iter().copied()).median()
}
