//! Three thousand nodes: no datagram grows with them, and every node still answers.

use tidings_core::{Config, Moment, Mongering, Standing};
use tidings_sim::{Place, Simulation};

use crate::{MINUTE, SECOND, config, live};

/// R57: where a full digest would outgrow the datagram, and nodes would fall silent.
#[test]
fn r57_three_thousand_nodes_take_in_a_newcomer_and_a_write() {
    let mut sim = Simulation::new(3_000);
    sim.network.latency = (SECOND / 100, SECOND / 10);
    let nodes = sim.start_warm(3_000, &config());
    assert_eq!(live(&sim, nodes[2_999]), 3_000);

    let newcomer = sim.start("newcomer", config(), &[nodes[7]]);
    let name = sim.name(newcomer).clone();
    let learnt = sim.until_each(&nodes, MINUTE, |core| core.state(&name, Moment::default()).is_some());
    assert_eq!(learnt.len(), nodes.len(), "the newcomer is learnt by all");
    let learns = |core: &tidings_core::Gossiper| core.counts()[0] == (Standing::Live, 3_001);
    let learns = sim.until_each(&[newcomer], 5 * MINUTE, learns);

    let writer = nodes[1_234];
    let owner = sim.name(writer).clone();
    sim.set(writer, "key", "value");
    let all: Vec<Place> = sim.places();
    let reached = sim.until_each(&all, MINUTE, |core| core.value(&owner, "key").is_some());
    assert_eq!(reached.len(), all.len(), "the write reaches all");
    assert!(sim.counts().largest <= 1_200, "{} bytes", sim.counts().largest);
    println!(
        "learnt by all after {:?}, learns all after {:?}, a write reaches all after {:?}; largest datagram {} bytes",
        learnt.last().unwrap(),
        learns.last().expect("the newcomer learns all"),
        reached.last().unwrap(),
        sim.counts().largest
    );
}

/// Ten thousand nodes: by rounds alone a write reaches all within 1.15 of what free timers take in theory, 9.5 intervals, and then
/// nothing happens for ten minutes.
#[test]
#[ignore = "takes minutes and gigabytes: run it with --release"]
fn ten_thousand_nodes_take_in_a_write_and_stay_calm() {
    const NODES: usize = 10_000;
    let mut sim = Simulation::new(10);
    sim.network.latency = (SECOND / 10, SECOND / 10);
    let nodes = sim.start_acquainted(NODES, &Config { mongering: Mongering::Off, ..config() });
    sim.run(SECOND);
    let owner = sim.name(nodes[4_321]).clone();
    sim.set(nodes[4_321], "key", "value");
    let reached = sim.until_each(&nodes, MINUTE, |core| core.value(&owner, "key").is_some());
    assert_eq!(reached.len(), NODES, "the write reaches all");
    let last = reached[NODES - 1].as_secs_f64();

    sim.run(2 * SECOND);
    let (before, events): (_, Vec<_>) =
        (sim.counts(), nodes.iter().map(|&node| sim.events(node).len()).collect());
    sim.run(10 * MINUTE);
    let counts = sim.counts() - before;
    assert!(sim.is_equal() && counts.entries == 0, "{counts:?}");
    for (&node, events) in nodes.iter().zip(events) {
        assert!(sim.core(node).is_converged() && sim.events(node).len() == events);
    }
    let bytes = counts.bytes as f64 / NODES as f64 / 600.0;
    println!("to all after {last:.2} intervals; then {bytes:.0} bytes for each node and second");
    assert!(last <= 1.15 * 9.5, "{last:.2} intervals");
    assert!(bytes <= 128.0 && counts.largest <= 1_200, "{bytes:.0} bytes for each node and second");
}

/// Nodes that begin as if they had known each other for long hold the same, have nothing to tell, and are no less awake.
#[test]
fn acquainted_nodes_are_calm_and_see_a_crash_and_a_write() {
    let mut sim = Simulation::new(300);
    sim.network.latency = (SECOND / 100, SECOND / 10);
    let nodes = sim.start_acquainted(300, &config());
    assert!(nodes.iter().all(|&node| live(&sim, node) == 300 && sim.events(node).is_empty()));
    assert!(sim.is_equal());
    sim.run(10 * MINUTE);
    assert!(nodes.iter().all(|&node| sim.core(node).is_converged() && sim.events(node).is_empty()));
    assert_eq!(sim.counts().entries, 0);

    sim.set(nodes[17], "key", "value");
    let owner = sim.name(nodes[17]).clone();
    assert!(sim.value(nodes[18], nodes[17], "key").is_none(), "what they share is not their knowledge");
    let reached = sim.until_each(&nodes, MINUTE, |core| core.value(&owner, "key").is_some());
    assert_eq!(reached.len(), nodes.len(), "the write reaches all");
    sim.crash(nodes[42]);
    let others: Vec<_> = nodes.iter().copied().filter(|node| *node != nodes[42]).collect();
    let gone = |core: &tidings_core::Gossiper| core.counts()[1] == (Standing::Unreachable, 1);
    assert_eq!(sim.until_each(&others, MINUTE, gone).len(), others.len(), "all see the crash");
    sim.restart(nodes[42], tidings_sim::Disk::Lost);
    sim.until(MINUTE, |sim| nodes.iter().all(|&node| live(sim, node) == 300)).expect("all welcome it back");
}
