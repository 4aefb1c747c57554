//! What it takes to know a node.

use chitchat::ProtocolVersion;
use foca::{AccumulatingRuntime, Member};

use crate::ALLOCATOR;
use crate::ours::group::Group;
use crate::ours::world::World;
use crate::peers::chitchat_pair::ChitchatPair;
use crate::peers::foca_node::{Id, node};
use crate::row::{Better, Row};
use crate::versions;
use crate::work::{Bench, Work};

pub(crate) const WORK: Work = Work {
    name: "memory",
    about: "A node comes to know five hundred others, by messages: bytes that are allocated then and were not before, for \
            each of them; with ten keys of 32 bytes each, and with none. What the allocator adds is not in it. chitchat's \
            is without the copy of all states that it keeps for whoever watches the live nodes: here nobody is live. \
            foca holds an address of eight bytes for each and no state, and is told them in one go.",
    losses: "The goals are not reached. A key and a value are shared with deltas, snapshots and whoever \
             watches, so that none of them copies any: with the counters and handles of both, a key of five \
             bytes and a value of 32 take 101. Its version, when it ends and its place among the others take \
             the rest of the 136 bytes for a key. A node without keys is its record (name, address, life, no \
             entries), which all nodes of one process have in common in the laboratory but not here, its signs \
             of life and what is believed of it, its places by id and on the ring, and the half of growing \
             tables that is empty. foca's twelve bytes are an address and a number: no state, no name, no signs \
             of life.",
    run,
};

fn run(bench: &Bench<'_>) -> Vec<Row> {
    let nodes = bench.size(500, 50);
    bench.tell(&format!("memory, {nodes} nodes"));
    let row = |keys: usize, ours: f64, peer, theirs: f64| {
        let row = Row::new("memory", "B/known node", Better::Less, Some(ours)).with("nodes", nodes);
        let row = row.with("keys", keys).beside(peer, Some(theirs), 0.0);
        row.goal(Some(if keys == 0 { 100.0 } else { 1_200.0 }))
    };
    let mut rows = Vec::new();
    for keys in [10, 0] {
        let ours = ours(nodes, keys);
        rows.push(row(keys, ours, versions::chitchat(), chitchat(nodes, keys)));
        if keys == 0 {
            rows.push(row(keys, ours, versions::foca(), foca(nodes)).less_work());
        }
    }
    rows
}

/// By how many bytes more is allocated after `work`, for each of so many.
fn grown(each: usize, work: impl FnOnce()) -> f64 {
    let before = ALLOCATOR.allocated();
    work();
    ALLOCATOR.allocated().saturating_sub(before) as f64 / each as f64
}

fn ours(nodes: usize, keys: usize) -> f64 {
    let world = World::new(nodes, keys);
    let (member, newcomer) = (0, nodes);
    let mut group =
        Group::new([(member, world.node(member, newcomer)), (newcomer, world.stranger(newcomer))]);
    group.join(newcomer, member);
    grown(nodes, || {
        let is_done = |group: &Group| group.is_equal() && group.cores[&newcomer].ids().len() > nodes;
        group.until(4_000, is_done).expect("it comes to know everything");
        // What served the join is given back.
        group.exchange(8);
    })
}

fn chitchat(nodes: usize, keys: usize) -> f64 {
    let pair = ChitchatPair::new(ProtocolVersion::V1);
    pair.introduce(nodes, keys, 1);
    let all = (pair.nodes(1), pair.versions(1));
    let mut exchanges = 0;
    let joined = grown(nodes, || {
        while pair.nodes(0) < all.0 || pair.versions(0) < all.1 {
            pair.exchange();
            exchanges += 1;
            assert!(exchanges < 1_000, "it comes to know everything");
        }
    });
    // Only with the second heartbeat does it keep the intervals in between.
    pair.introduce(nodes, keys, 5);
    let beating = grown(nodes, || {
        pair.exchange();
    });
    joined + beating
}

fn foca(nodes: usize) -> f64 {
    let (mut foca, _heard) = node(0, nodes, None, 1);
    let mut runtime = AccumulatingRuntime::new();
    grown(nodes, || {
        let members = (1..=nodes).map(|number| Member::alive(Id::new(number)));
        foca.apply_many(members, false, &mut runtime).expect("it knows them");
        while runtime.to_notify().is_some() {}
        runtime = AccumulatingRuntime::new();
    })
}
