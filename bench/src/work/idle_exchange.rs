//! An exchange between two nodes that know the same.

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
    name: "idle-exchange",
    about: "Two nodes know the same of so many nodes, each with ten keys of 32 bytes, and exchange: all messages of an \
            exchange with their bytes, and the processor time of both nodes for it, with encoding and decoding. \
            Ours live among the others: each plays all of them to the other one, so that all hearts beat, and it has its \
            timers in it, and what a node does for others in a round. Of chitchat's, no heartbeat of others has advanced, \
            which makes its exchange shorter; it is the bare handshake, begun by command, without its round's pass over all nodes. Its channel \
            transport compares each message with what was decoded, which no real transport would. Above 1,280 nodes \
            (4,835 with its newer format V1) its digest no longer fits a datagram of UDP, and it is mute.",
    losses: "Two microseconds are not reached. Both nodes together take some 25,000 instructions, at 1,000 \
             nodes no more than at 100: two datagrams are written, sealed, opened and read, some twenty signs \
             of life told and taken, and two timers run. What is more at 10,000 is waiting for memory: the \
             nodes whose hearts beat lie anywhere, and each is looked up by its place and in its record, beyond \
             the caches.",
    run,
};

/// Batches of exchanges: the figure is the median of them.
const BATCHES: usize = 9;

fn run(bench: &Bench<'_>) -> Vec<Row> {
    let sizes: &[usize] = bench.size(&[100, 1_000, 5_000, 10_000], &[20, 50]);
    sizes.iter().flat_map(|&nodes| of(bench, nodes)).collect()
}

fn of(bench: &Bench<'_>, nodes: usize) -> Vec<Row> {
    bench.tell(&format!("idle exchange, {nodes} nodes"));
    let world = World::new(nodes, 10);
    let peers = [ProtocolVersion::V0, ProtocolVersion::V1].map(|wire| {
        let pair = ChitchatPair::new(wire);
        pair.teach(0, nodes, 10, |owner, _| data::rounds(owner));
        pair.teach(1, nodes, 10, |owner, _| data::rounds(owner));
        (wire, pair.speaks().then_some(pair))
    });
    let (mut bytes, mut cpu) = (Vec::new(), Vec::new());
    let mut theirs = [Vec::new(), Vec::new()];
    let mut their_bytes = [None, None];
    let each = bench.size(20, 2);
    for _ in 0..bench.size(BATCHES, 2) {
        let mut pair = idle_pair(&world);
        let before = (pair.exchanges, pair.bytes);
        let ((), took) = timed(|| pair.exchange(each));
        let exchanges = (pair.exchanges - before.0) as f64;
        assert!(!pair.convicts(), "nobody is believed to have crashed while nothing happens");
        bytes.push((pair.bytes - before.1) as f64 / exchanges);
        cpu.push(micros(took) / exchanges);
        for (at, (_, pair)) in peers.iter().enumerate() {
            let Some(pair) = pair else { continue };
            let rounds = if nodes > 500 { each.div_ceil(4) } else { each };
            let (sent, took) = timed(|| (0..rounds).map(|_| pair.exchange().1).sum::<u64>());
            theirs[at].push(micros(took) / rounds as f64);
            their_bytes[at] = Some(sent as f64 / rounds as f64);
        }
    }
    let (bytes, cpu) = (Sample::new(bytes).median(), Sample::new(cpu).median());
    let goals = [100, 1_000, 10_000].contains(&nodes);
    let mut rows = Vec::new();
    for (at, (wire, pair)) in peers.iter().enumerate() {
        let row = |work, unit, ours, theirs, goal: f64| {
            let row = Row::new(work, unit, Better::Less, ours).with("nodes", nodes).with("keys", 10);
            let row = row.with("wire", format!("{wire:?}")).beside(versions::chitchat(), theirs, 0.0);
            let row = row.goal(goals.then_some(goal));
            if pair.is_some() { row } else { row.note(MUTE) }
        };
        rows.push(row("idle-exchange/bytes", "B", bytes, their_bytes[at], 128.0));
        rows.push(row("idle-exchange/cpu", "µs", cpu, Sample::new(theirs[at].clone()).median(), 2.0));
    }
    rows
}

/// Why chitchat has no figure.
const MUTE: &str = "its digest does not fit a datagram: nothing is sent";

/// Two that know everybody, after a few exchanges.
fn idle_pair(world: &World) -> Group {
    let mut pair = Group::living_pair(world);
    pair.exchange(20);
    assert!(pair.is_equal(), "they know the same");
    pair
}
