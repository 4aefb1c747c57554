//! A cluster in which nothing happens.

use chitchat::ProtocolVersion;

use crate::cluster::{Cluster, ROUND, Setup};
use crate::ours::cluster::Ours;
use crate::peers::chitchat_cluster::ChitchatCluster;
use crate::peers::foca_cluster::FocaCluster;
use crate::row::{Better, Row};
use crate::stopwatch::{micros, timed};
use crate::versions;
use crate::work::{Bench, Work};

pub(crate) const WORK: Work = Work {
    name: "idle-cluster",
    about: "A whole cluster that knows itself and in which nothing happens: payload bytes, and processor time with the \
            virtual network around it, for each node and second. Ours compares all state with one node in each second. \
            chitchat does so with three, which cannot be changed, and that is why it is dearer by more than its exchange \
            is. foca only probes one node and says who is there: no state is compared, so its figures are not to be \
            compared either.",
    losses: "foca sends and takes less: it says that nodes live, and compares no state.",
    run,
};

fn run(bench: &Bench<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    for nodes in bench.size(vec![128, 1_000], vec![8]) {
        bench.tell(&format!("idle cluster, {nodes} nodes"));
        let setup = Setup::warm(nodes, 1);
        let ours = measure(&mut Ours::begin(&setup), &setup, bench.size(60, 5));
        let mut all = Vec::new();
        if nodes < 500 {
            for wire in [ProtocolVersion::V0, ProtocolVersion::V1] {
                let mut cluster = ChitchatCluster::speaking(wire, &setup);
                let idle = measure(&mut cluster, &setup, bench.size(10, 5));
                all.push((versions::chitchat(), Some(format!("{wire:?}")), idle));
            }
        }
        all.push((
            versions::foca(),
            None,
            measure(&mut FocaCluster::begin(&setup), &setup, bench.size(60, 5)),
        ));
        for (peer, wire, theirs) in all {
            let row = |work, unit, ours, theirs, goal| {
                let row = Row::new(work, unit, Better::Less, Some(ours)).with("nodes", nodes);
                let row = row.beside(peer.clone(), Some(theirs), 0.0).goal(goal);
                match &wire {
                    Some(wire) => row.with("wire", wire.clone()),
                    None => row.less_work(),
                }
            };
            let goal = (nodes == 128).then_some(128.0);
            rows.push(row("idle-cluster/bytes", "B/node-s", ours.bytes, theirs.bytes, goal));
            rows.push(row("idle-cluster/cpu", "µs/node-s", ours.cpu, theirs.cpu, None));
        }
    }
    rows
}

/// What each node costs in each second.
struct Idle {
    bytes: f64,
    cpu: f64,
}

fn measure(cluster: &mut impl Cluster, setup: &Setup, seconds: u32) -> Idle {
    cluster.run(5 * ROUND);
    let before = cluster.traffic();
    let ((), took) = timed(|| cluster.run(seconds * ROUND));
    let each = setup.nodes as f64 * f64::from(seconds);
    Idle { bytes: (cluster.traffic().bytes - before.bytes) as f64 / each, cpu: micros(took) / each }
}
