//! How many nodes a cluster may have.

use std::panic;

use chitchat::ProtocolVersion;
use foca::{AccumulatingRuntime, Member};

use crate::data;
use crate::ours::group::Group;
use crate::ours::world::World;
use crate::peers::chitchat_pair::ChitchatPair;
use crate::peers::foca_node::{Id, node};
use crate::row::{Better, Row};
use crate::versions;
use crate::work::{Bench, Work};

pub(crate) const WORK: Work = Work {
    name: "largest",
    about: "Two nodes that know so many others still exchange: the largest number for which they do, up to the number that \
            is tried. chitchat's digest has a line for each node and must fit a datagram of 65,507 bytes; with one node \
            more, nothing goes out, and a node that is asked fails. foca's packets do not grow; it is asked to gossip with \
            as many members, which is less than comparing their state.",
    losses: "",
    run,
};

fn run(bench: &Bench<'_>) -> Vec<Row> {
    let most = bench.size(50_000, 2_000);
    bench.tell(&format!("largest, up to {most} nodes"));
    let ours = ours(most);
    let mut rows = Vec::new();
    for wire in [ProtocolVersion::V0, ProtocolVersion::V1] {
        let theirs = silently(|| largest(most, |nodes| chitchat_speaks(nodes, wire)));
        let row = Row::new("largest", "nodes", Better::More, ours.map(|ours| ours as f64));
        let row = row.with("tried", most).with("wire", format!("{wire:?}"));
        rows.push(row.beside(versions::chitchat(), Some(theirs as f64), 0.0));
    }
    let theirs = foca_gossips(most).then_some(most as f64);
    let row = Row::new("largest", "nodes", Better::More, ours.map(|ours| ours as f64)).with("tried", most);
    rows.push(row.beside(versions::foca(), theirs, 0.0).less_work());
    rows
}

/// The largest number up to `most` for which it holds: it does for one, and for all below that.
fn largest(most: usize, holds: impl Fn(usize) -> bool) -> usize {
    if holds(most) {
        return most;
    }
    let (mut low, mut high) = (1, most);
    while high - low > 1 {
        let middle = (low + high) / 2;
        *(if holds(middle) { &mut low } else { &mut high }) = middle;
    }
    low
}

fn ours(nodes: usize) -> Option<usize> {
    let world = World::new(nodes, 1);
    let mut pair = Group::new([(0, world.node(0, 1)), (1, world.node(1, 0))]);
    pair.exchange(4);
    pair.is_equal().then_some(nodes)
}

fn chitchat_speaks(nodes: usize, wire: ProtocolVersion) -> bool {
    let pair = ChitchatPair::new(wire);
    for side in 0..2 {
        pair.teach(side, nodes, 1, |owner, _| data::rounds(owner));
    }
    pair.speaks()
}

fn foca_gossips(nodes: usize) -> bool {
    let (mut foca, _heard) = node(0, nodes, None, 1);
    let mut runtime = AccumulatingRuntime::new();
    let members = (1..nodes).map(|number| Member::alive(Id::new(number)));
    let is_told = foca.apply_many(members, false, &mut runtime).is_ok() && foca.gossip(&mut runtime).is_ok();
    is_told && runtime.to_send().is_some()
}

/// Does `work` without a word about what fails in it on purpose.
fn silently<T>(work: impl FnOnce() -> T) -> T {
    let before = panic::take_hook();
    panic::set_hook(Box::new(|_| ()));
    let result = work();
    panic::set_hook(before);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_is_found_between_what_works_and_what_does_not() {
        assert_eq!(largest(1_000, |nodes| nodes <= 137), 137);
        assert_eq!(largest(1_000, |_| true), 1_000);
        assert_eq!(largest(1_000, |nodes| nodes == 1), 1);
    }
}
