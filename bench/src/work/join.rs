//! All nodes start at once and know one of them.

use std::time::Duration;

use crate::cluster::{Cluster, Setup};
use crate::ours::cluster::Ours;
use crate::peers::chitchat_cluster::ChitchatCluster;
use crate::peers::foca_cluster::FocaCluster;
use crate::row::{Better, Row};
use crate::versions;
use crate::work::{Bench, Work};

pub(crate) const WORK: Work = Work {
    name: "join",
    about: "All nodes start at the same moment and know the first one only: rounds of a second until each knows all \
            others and believes that they run, and payload bytes for each node until then. foca's nodes announce \
            themselves to the first each second while they are alone. A thousand chitchat nodes take minutes of processor \
            time: only with `--slow`.",
    losses: "A node of ours is told more of each other one than foca's, which know an address: name, life, \
             signs of life, and proof that it is there. It is some 240 bytes for each node that it comes to \
             know, and for it to be known.",
    run,
};

/// How long is waited.
const LIMIT: Duration = Duration::from_secs(600);
const STEP: Duration = Duration::from_millis(100);

fn run(bench: &Bench<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    for nodes in bench.size(vec![128, 1_000], vec![8]) {
        bench.tell(&format!("join, {nodes} nodes"));
        let setup = Setup { is_warm: false, ..Setup::warm(nodes, 1) };
        let ours = join::<Ours>(&setup);
        let mut all = Vec::new();
        if nodes < 500 || bench.slow {
            all.push((versions::chitchat(), join::<ChitchatCluster>(&setup)));
        }
        bench.tell(&format!("join, {nodes} nodes, foca"));
        all.push((versions::foca(), join::<FocaCluster>(&setup)));
        for (peer, theirs) in all {
            let row = |work, unit, of: fn(&Joined) -> f64, goal| {
                let row = Row::new(work, unit, Better::Less, ours.as_ref().map(of)).with("nodes", nodes);
                let row = row.beside(peer.clone(), theirs.as_ref().map(of), 0.0).goal(goal);
                if theirs.is_some() { row } else { row.note("not complete after 600 rounds") }
            };
            let goal = (nodes == 1_000).then_some(15.0);
            rows.push(row("join/rounds", "rounds", |joined| joined.rounds, goal));
            rows.push(row("join/bytes", "B/node", |joined| joined.bytes, None));
        }
    }
    rows
}

/// When all knew all.
struct Joined {
    rounds: f64,
    bytes: f64,
}

/// `None`: not within the limit.
fn join<C: Cluster>(setup: &Setup) -> Option<Joined> {
    let mut cluster = C::begin(setup);
    let start = cluster.now();
    while !cluster.is_complete() {
        if cluster.now() - start > LIMIT {
            return None;
        }
        cluster.run(STEP);
    }
    let bytes = cluster.traffic().bytes as f64 / setup.nodes as f64;
    Some(Joined { rounds: (cluster.now() - start).as_secs_f64(), bytes })
}
