//! An exchange between two nodes one of which knows of changes that the other does not.

use chitchat::ProtocolVersion;
use tidings_core::Version;

use crate::data;
use crate::ours::group::Group;
use crate::ours::world::{self, World};
use crate::peers::chitchat_pair::ChitchatPair;
use crate::row::{Better, Row};
use crate::sample::Sample;
use crate::stopwatch::{micros, timed};
use crate::versions;
use crate::work::{Bench, Work};

pub(crate) const WORK: Work = Work {
    name: "changed-exchange",
    about: "One of two nodes has heard that 1 % of all keys changed: one key each of a hundred of a thousand owners, or ten \
            keys each of ten. Both exchange until they hold the same again: all bytes, and the processor time of both. \
            Ours heard it from the owners, one by one, and takes as many exchanges as its datagrams of 1,200 bytes need; \
            chitchat takes one of up to 65 kB.",
    losses: "A hundred microseconds are not reached with a hundred owners. Both nodes together spend three on \
             each of them: its line is told and compared, its delta cut, written, sealed, opened, checked \
             against what is held, and taken in; then it is one of those that changed lately, in the summary \
             and in the sketch, and users are told. With ten owners and ten keys each it is eleven for each \
             owner.",
    run,
};

/// Who changed how much.
struct Change {
    nodes: usize,
    owners: usize,
    keys: usize,
}

fn run(bench: &Bench<'_>) -> Vec<Row> {
    let nodes = bench.size(1_000, 50);
    let changes = [
        Change { nodes, owners: bench.size(100, 5), keys: 1 },
        Change { nodes, owners: bench.size(10, 1), keys: 10 },
    ];
    changes.iter().flat_map(|change| of(bench, change)).collect()
}

fn of(bench: &Bench<'_>, change: &Change) -> Vec<Row> {
    bench.tell(&format!("changed exchange, {} owners", change.owners));
    let wires = [ProtocolVersion::V0, ProtocolVersion::V1];
    let (mut ours, mut theirs) = (Vec::new(), [Vec::new(), Vec::new()]);
    for _ in 0..bench.size(5, 1) {
        ours.push(ours_once(World::new(change.nodes, 10), change));
        for (at, wire) in wires.into_iter().enumerate() {
            theirs[at].push(theirs_once(change, wire));
        }
    }
    let median = |all: &[Exchanged], of: fn(&Exchanged) -> f64| Sample::new(all.iter().map(of)).median();
    let mut rows = Vec::new();
    for (wire, theirs) in wires.into_iter().zip(&theirs) {
        let row = |work, unit, of: fn(&Exchanged) -> f64, goal| {
            Row::new(work, unit, Better::Less, median(&ours, of))
                .with("nodes", change.nodes)
                .with("owners", change.owners)
                .with("keys", change.keys)
                .with("wire", format!("{wire:?}"))
                .beside(versions::chitchat(), median(theirs, of), 0.0)
                .goal(goal)
        };
        rows.push(row("changed-exchange/bytes", "B", |done| done.bytes, Some(12_000.0)));
        rows.push(row("changed-exchange/cpu", "µs", |done| done.cpu, Some(100.0)));
        rows.push(row("changed-exchange/exchanges", "exchanges", |done| done.exchanges, None));
    }
    rows
}

/// What it took until both held the same.
struct Exchanged {
    bytes: f64,
    cpu: f64,
    exchanges: f64,
}

fn ours_once(world: World, change: &Change) -> Exchanged {
    // Node 1 hears of the changes; node 0 exchanges with a third that knows nothing of them.
    let (behind, ahead, other) = (0, 1, 2);
    let owners = 3..3 + change.owners;
    let mut group = Group::new([(behind, world.node(behind, other)), (other, world.node(other, behind))]);
    group.cores.insert(ahead, world.node(ahead, owners.start));
    for owner in owners.clone() {
        let mut core = world.node(owner, ahead);
        for key in 0..change.keys {
            world::write(&mut core, world::begin(), owner, key, 1);
        }
        group.cores.insert(owner, core);
    }
    let changed = Version(10 + change.keys as u64);
    let knows = |group: &Group, number: usize| {
        owners.clone().all(|owner| {
            let replica = group.cores[&number].replica(world::name(owner).id());
            replica.is_some_and(|replica| replica.max_version() == changed)
        })
    };
    group.until(4_000, |group| knows(group, ahead)).expect("it hears of all changes");
    group.cores.retain(|&number, _| number == behind || number == ahead);
    // What a process holds it holds alone: nobody else has a part in what changes now.
    drop(world);
    group.join(behind, ahead);
    group.join(ahead, behind);
    let before = (group.bytes, group.exchanges);
    let cpu = group.until(1_000, Group::is_equal).expect("they come to hold the same");
    assert!(knows(&group, behind), "what they hold is what was written");
    Exchanged {
        bytes: (group.bytes - before.0) as f64,
        cpu: micros(cpu),
        exchanges: (group.exchanges - before.1) as f64,
    }
}

fn theirs_once(change: &Change, wire: ProtocolVersion) -> Exchanged {
    let pair = ChitchatPair::new(wire);
    let before = |owner: usize| data::rounds(owner);
    pair.teach(0, change.nodes, 10, |owner, _| before(owner));
    pair.teach(1, change.nodes, 10, |owner, key| {
        let has_changed = (2..2 + change.owners).contains(&owner) && key < change.keys;
        before(owner) + u64::from(has_changed)
    });
    let ahead = pair.versions(1);
    let (mut bytes, mut cpu, mut exchanges) = (0, 0.0, 0);
    while pair.versions(0) < ahead {
        let ((_, sent), took) = timed(|| pair.exchange());
        (bytes, exchanges) = (bytes + sent, exchanges + 1);
        cpu += micros(took);
        assert!(exchanges < 100, "it hears of all changes");
    }
    Exchanged { bytes: bytes as f64, cpu, exchanges: f64::from(exchanges) }
}
