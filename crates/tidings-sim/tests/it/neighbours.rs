//! Nodes that gossip with a few neighbours only, and know everybody's state all the same.

use std::collections::BTreeSet;
use std::time::Duration;

use tidings_core::{
    Body, Config, EventKind, Head, Heartbeat, Message, Mode, Moment, Mongering, News, Seal, Sender, Version,
};
use tidings_sim::{Place, Simulation};

use crate::{MINUTE, SECOND, config, knows_all};

const COUNT: usize = 16;

/// The neighbours of each node.
type Links = Vec<Vec<usize>>;

fn line(count: usize) -> Links {
    let near = |n: usize| n.checked_sub(1).into_iter().chain(Some(n + 1).filter(|&next| next < count));
    (0..count).map(|n| near(n).collect()).collect()
}

fn ring() -> Links {
    (0..COUNT).map(|n| vec![(n + COUNT - 1) % COUNT, (n + 1) % COUNT]).collect()
}

fn star(count: usize) -> Links {
    (0..count).map(|n| if n == 0 { (1..count).collect() } else { vec![0] }).collect()
}

fn start(seed: u64, links: &Links) -> (Simulation, Vec<Place>) {
    start_with(seed, links, &config())
}

fn start_with(seed: u64, links: &Links, config: &Config) -> (Simulation, Vec<Place>) {
    let mut sim = Simulation::new(seed);
    sim.keep_trace();
    let nodes: Vec<_> =
        (0..links.len()).map(|n| sim.start(&format!("node-{n}"), config.clone(), &[])).collect();
    for (&node, near) in nodes.iter().zip(links) {
        sim.neighbours(node, &near.iter().map(|&n| nodes[n]).collect::<Vec<_>>());
    }
    (sim, nodes)
}

/// No datagram goes past a link, and all are used.
fn only_links_are_used(sim: &Simulation, links: &Links) {
    let mut used = BTreeSet::new();
    for line in sim.trace().lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        if let [_, from, "->", to, ..] = words[..] {
            used.insert((from.parse::<usize>().unwrap(), to.parse::<usize>().unwrap()));
        }
    }
    let linked = links.iter().enumerate().flat_map(|(from, near)| near.iter().map(move |&to| (from, to)));
    assert_eq!(used, linked.collect());
}

/// Nobody convicted anybody since then, and all know that they hold the same.
fn all_were_calm(sim: &Simulation, nodes: &[Place], since: Duration) {
    for &node in nodes {
        let after = |at: &Moment| at.since(Moment::default()) > since;
        let convictions = sim
            .events(node)
            .iter()
            .filter(|(at, event)| after(at) && matches!(event.kind, EventKind::Unreachable { .. }));
        assert_eq!(convictions.count(), 0, "node {node:?} of {}", nodes.len());
        assert!(sim.core(node).is_converged());
    }
}

/// Heads are old when they reach the far end of a long line. That is their way, and no sign of death.
#[test]
fn a_long_line_stays_calm() {
    let (mut sim, nodes) = start(9, &line(60));
    sim.until(20 * MINUTE, |sim| knows_all(sim, &nodes)).expect("all know all");
    sim.run(10 * MINUTE);
    let since = sim.now();
    sim.run(60 * MINUTE);
    all_were_calm(&sim, &nodes, since);
}

/// A line, a ring and a star converge from nothing, stay calm for an hour, and no datagram goes past a link.
#[test]
fn line_ring_and_star_converge_and_stay_calm() {
    for (seed, links) in [line(COUNT), ring(), star(COUNT)].into_iter().enumerate() {
        let (mut sim, nodes) = start(seed as u64, &links);
        sim.until(10 * MINUTE, |sim| knows_all(sim, &nodes)).expect("all know all");
        sim.run(2 * MINUTE);
        let since = sim.now();
        for &node in &nodes {
            sim.set(node, "color", "green");
        }
        sim.until(MINUTE, Simulation::is_equal).expect("all hold the same");
        sim.run(60 * MINUTE);
        all_were_calm(&sim, &nodes, since);
        only_links_are_used(&sim, &links);
    }
}

/// From the end of a line of sixteen to the other takes fifteen links. Over each of them an exchange begins once in an
/// interval on the mean: half of the rounds of either end. In a ring it is half as far; in a star two links, of which
/// each leaf takes its own at once.
#[test]
fn news_travels_in_about_as_many_rounds_as_there_are_links() {
    for (links, from, least, most) in
        [(line(COUNT), 0, 9.0, 19.0), (ring(), 0, 5.0, 10.0), (star(COUNT), 1, 1.0, 2.5)]
    {
        let mut sum = 0.0;
        for seed in 0..40 {
            let by_rounds = Config { mongering: Mongering::Off, ..config() };
            let (mut sim, nodes) = start_with(1_000 + seed, &links, &by_rounds);
            sim.until(10 * MINUTE, |sim| knows_all(sim, &nodes)).expect("all know all");
            sim.run(MINUTE + u32::try_from(seed).unwrap() * SECOND / 40);
            sim.set(nodes[from], "color", "green");
            sum += sim.until(10 * MINUTE, Simulation::is_equal).expect("it arrives").as_secs_f64();
        }
        println!("{:.2} intervals", sum / 40.0);
        assert!((least..most).contains(&(sum / 40.0)), "{:.2}", sum / 40.0);
    }
}

/// A node that crashes is missed by all, also by those that never gossiped with it, and welcomed back.
#[test]
fn a_crash_is_seen_past_the_neighbours() {
    let (mut sim, nodes) = start(7, &ring());
    sim.network.latency = (SECOND / 1_000, SECOND / 50);
    sim.until(10 * MINUTE, |sim| knows_all(sim, &nodes)).expect("all know all");
    sim.run(2 * MINUTE);
    sim.crash(nodes[5]);
    let rest: Vec<_> = nodes.iter().copied().filter(|&node| node != nodes[5]).collect();
    let gone = |sim: &Simulation| {
        rest.iter()
            .all(|&node| crate::standing(sim, node, nodes[5]) == Some(tidings_core::Standing::Unreachable))
    };
    sim.until(5 * MINUTE, gone).expect("all miss it");
    sim.restart(nodes[5], tidings_sim::Disk::Kept);
    sim.until(5 * MINUTE, |sim| knows_all(sim, &nodes)).expect("all know all again");
    only_links_are_used(&sim, &ring());
}

/// A datagram in a neighbour's name, with somebody else's id, makes nobody a neighbour.
#[test]
fn a_forged_sender_is_no_neighbour() {
    let (mut sim, nodes) = start(8, &line(5));
    sim.until(10 * MINUTE, |sim| knows_all(sim, &nodes)).expect("all know all");
    let (id, head) = (
        sim.name(nodes[4]).id(),
        Head { generation: sim.core(nodes[4]).generation(), heartbeat: Heartbeat(1) },
    );
    let message = Message {
        sender: Sender { id, head, max: Version(0) },
        exchange: 7,
        body: Body::Ack2(News::default()),
    };
    for _ in 0..60 {
        sim.inject(nodes[0], nodes[1].address(), &Seal::new("test").encode(&message));
        sim.run(SECOND);
    }
    only_links_are_used(&sim, &line(5));
}

/// A hub answers its leaves in a fixed order, eight heads at a time: none is told of the same eight for ever.
#[test]
fn the_hub_of_a_star_tells_each_leaf_of_all_the_others() {
    for (seed, (count, fanout)) in [(13, 3), (17, 1), (25, 1), (49, 1)].into_iter().enumerate() {
        let config = Config { fanout, ..config() };
        let (mut sim, nodes) = start_with(seed as u64, &star(count), &config);
        sim.run(3 * MINUTE);
        let beats =
            |at: Place, of: Place| sim.core(at).head(sim.name(of).id()).map_or(0, |head| head.heartbeat.0);
        for &of in &nodes[1..] {
            let latest = nodes[1..].iter().map(|&at| beats(at, of)).min().unwrap();
            assert!(latest + 16 > beats(of, of), "{count} nodes: {latest} of {}", beats(of, of));
        }
    }
}

/// Where nobody asks, a leaf hears of the others when its hub happens to push to it, and reckons with that.
#[test]
fn a_leaf_that_is_seldom_pushed_to_convicts_nobody() {
    for seed in 0..8 {
        let config = Config { mode: Mode::Push, ..config() };
        let (mut sim, nodes) = start_with(seed, &star(13), &config);
        sim.run(20 * MINUTE);
        all_were_calm(&sim, &nodes, Duration::ZERO);
    }
}
