//! A node that knows nothing comes to know everything.

use chitchat::ProtocolVersion;

use crate::data;
use crate::ours::group::Group;
use crate::ours::world::World;
use crate::peers::chitchat_pair::ChitchatPair;
use crate::row::{Better, Row};
use crate::sample::Sample;
use crate::stopwatch::{micros, timed};
use crate::versions;
use crate::work::{Bench, Work};

pub(crate) const WORK: Work = Work {
    name: "cold-join",
    about: "A node that knows nobody exchanges with one that knows a thousand nodes with ten keys of 32 bytes each, until \
            both hold the same: all bytes, both ways, over what all of that takes in one message of ours, and the \
            processor time of both. The newcomer begins all of chitchat's exchanges. chitchat compresses what it sends, and the \
            hexadecimal digits of these values to half: what it sends can be less than the data.",
    losses: "chitchat V1 sends fewer bytes, since it compresses. Ours does not: values that compress well do so \
             better before they are written, once and not at each hop.",
    run,
};

fn run(bench: &Bench<'_>) -> Vec<Row> {
    let nodes = bench.size(1_000, 50);
    bench.tell(&format!("cold join, {nodes} nodes"));
    let world = World::new(nodes, 10);
    let size = world.encoded() as f64;
    let wires = [ProtocolVersion::V0, ProtocolVersion::V1];
    let (mut ours, mut theirs) = (Vec::new(), [Vec::new(), Vec::new()]);
    for _ in 0..bench.size(5, 1) {
        ours.push(ours_once(&world));
        for (at, wire) in wires.into_iter().enumerate() {
            theirs[at].push(theirs_once(nodes, wire));
        }
    }
    let median = |all: &[Joined], of: &dyn Fn(&Joined) -> f64| Sample::new(all.iter().map(of)).median();
    let mut rows = Vec::new();
    for (wire, theirs) in wires.into_iter().zip(&theirs) {
        let row = |work, unit, of: &dyn Fn(&Joined) -> f64, goal| {
            Row::new(work, unit, Better::Less, median(&ours, of))
                .with("nodes", nodes)
                .with("keys", 10)
                .with("wire", format!("{wire:?}"))
                .beside(versions::chitchat(), median(theirs, of), 0.0)
                .goal(goal)
        };
        rows.push(row("cold-join/bytes", "x the data", &|joined| joined.bytes / size, Some(1.2)));
        rows.push(row("cold-join/cpu", "ms", &|joined| joined.cpu / 1_000.0, Some(5.0)));
        rows.push(row("cold-join/exchanges", "exchanges", &|joined| joined.exchanges, None));
    }
    rows
}

/// What it took.
struct Joined {
    bytes: f64,
    cpu: f64,
    exchanges: f64,
}

fn ours_once(world: &World) -> Joined {
    let (member, newcomer) = (0, world.nodes);
    let all = world.nodes + 1;
    let mut group =
        Group::new([(member, world.node(member, newcomer)), (newcomer, world.stranger(newcomer))]);
    group.join(newcomer, member);
    let is_done = |group: &Group| group.is_equal() && group.cores[&newcomer].ids().len() >= all;
    let cpu = group.until(1_000, is_done).expect("it comes to know everything");
    Joined { bytes: group.bytes as f64, cpu: micros(cpu), exchanges: group.exchanges as f64 }
}

fn theirs_once(nodes: usize, wire: ProtocolVersion) -> Joined {
    let pair = ChitchatPair::new(wire);
    pair.teach(1, nodes, 10, |owner, _| data::rounds(owner));
    let all = pair.versions(1);
    let (mut bytes, mut cpu, mut exchanges) = (0, 0.0, 0);
    while pair.versions(0) < all {
        let ((_, sent), took) = timed(|| pair.exchange());
        (bytes, exchanges) = (bytes + sent, exchanges + 1);
        cpu += micros(took);
        assert!(exchanges < 1_000, "it comes to know everything");
    }
    Joined { bytes: bytes as f64, cpu, exchanges: f64::from(exchanges) }
}
