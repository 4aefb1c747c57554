//! Everybody writes, all the time.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cluster::{Cluster, Setup, update};
use crate::ours::cluster::Ours;
use crate::peers::chitchat_cluster::ChitchatCluster;
use crate::peers::foca_cluster::FocaCluster;
use crate::row::{Better, Row};
use crate::sample::Sample;
use crate::stopwatch::{micros, timed};
use crate::versions;
use crate::work::{Bench, Work};

pub(crate) const WORK: Work = Work {
    name: "load",
    about: "Each node writes 64 bytes each ten seconds, in the place of what it wrote before, evenly spread: payload bytes \
            and processor time for each node and second, and how long a write takes to a node, over all pairs of writes and \
            nodes. Writes and nodes that never met are not in the delays; how many met is told. What a later write \
            overtook before it came counts as not met. foca repairs nothing that got lost.",
    losses: "foca takes less time: it hands each update on some times and forgets it. Ours keeps what was \
             written and compares it, and offers each update before it sends it, so that each node gets it once \
             and not eight times.",
    run,
};

/// How often each writes.
const EACH: Duration = Duration::from_secs(10);

fn run(bench: &Bench<'_>) -> Vec<Row> {
    let nodes = bench.size(128, 8);
    bench.tell(&format!("load, {nodes} nodes"));
    let setup = Setup::warm(nodes, 1);
    let counted = bench.size(2, 1);
    let ours = measure(Ours::begin(&setup), nodes, counted);
    let foca = measure(FocaCluster::begin(&setup), nodes, counted);
    bench.tell(&format!("load, {nodes} nodes, chitchat"));
    let chitchat = measure(ChitchatCluster::begin(&setup), nodes, 1);
    let mut rows = Vec::new();
    for (peer, theirs, is_as_much) in
        [(versions::chitchat(), chitchat, true), (versions::foca(), foca, false)]
    {
        let row = |work, unit, better, of: fn(&Loaded) -> Option<f64>| {
            let row = Row::new(work, unit, better, of(&ours)).with("nodes", nodes).with("each", "10 s");
            let row = row.beside(peer.clone(), of(&theirs), 0.0);
            if is_as_much { row } else { row.less_work() }
        };
        rows.push(row("load/bytes", "B/node-s", Better::Less, |load| Some(load.bytes)));
        rows.push(row("load/cpu", "µs/node-s", Better::Less, |load| Some(load.cpu)));
        rows.push(row("load/delay", "s", Better::Less, |load| load.delays.median()));
        rows.push(row("load/delay-p99", "s", Better::Less, |load| load.delays.percentile(99)));
        rows.push(row("load/met", "%", Better::More, |load| Some(load.met)));
    }
    rows
}

/// What the load cost, and how long writes took.
struct Loaded {
    bytes: f64,
    cpu: f64,
    delays: Sample,
    met: f64,
}

/// All write once, then so often that it counts, and then once more.
fn measure(mut cluster: impl Cluster, nodes: usize, counted: u32) -> Loaded {
    let step = EACH / u32::try_from(nodes).expect("a small cluster");
    let mut born = BTreeMap::new();
    let mut cpu = Duration::ZERO;
    let mut written = 0;
    let mut turn = |cluster: &mut dyn Cluster, counts: bool| {
        let (node, count) = (written % nodes, written / nodes);
        let number = update(node, u32::try_from(count).expect("few writes") + 1);
        if counts {
            born.insert(number, cluster.now());
        }
        let ((), took) = timed(|| {
            cluster.write(node, number);
            cluster.run(step);
        });
        written += 1;
        took
    };
    let mut heard = Vec::new();
    for _ in 0..nodes {
        turn(&mut cluster, false);
    }
    cluster.heard();
    let before = cluster.traffic();
    for _ in 0..nodes * counted as usize {
        cpu += turn(&mut cluster, true);
    }
    let bytes = cluster.traffic().bytes - before.bytes;
    for _ in 0..nodes {
        turn(&mut cluster, false);
    }
    heard.extend(cluster.heard());
    let delays = heard.iter().filter_map(|heard| Some((heard.at - *born.get(&heard.update)?).as_secs_f64()));
    let delays: Vec<f64> = delays.collect();
    let each = nodes as f64 * EACH.as_secs_f64() * f64::from(counted);
    Loaded {
        bytes: bytes as f64 / each,
        cpu: micros(cpu) / each,
        met: 100.0 * delays.len() as f64 / (born.len() * (nodes - 1)) as f64,
        delays: Sample::new(delays),
    }
}
