//! How what is new spreads at once: rumors, by the counts.

use std::collections::BTreeMap;
use std::time::Duration;

use tidings_core::{
    Body, Config, Delta, EventKind, Generation, Head, Heartbeat, Key, Line, Message, Moment, Mongering,
    NodeId, Rumor, Seal, Sender, Standing, Version,
};
use tidings_sim::{Counts, Place, Share, Simulation};

use crate::{MINUTE, SECOND, cluster, config, live, text};

const MILLISECOND: Duration = Duration::from_millis(1);

fn with(mongering: &str) -> Config {
    Config { mongering: mongering.parse().unwrap(), ..config() }
}

/// Nodes on a local network that have known each other for a while.
fn warm(seed: u64, count: usize, config: &Config) -> (Simulation, Vec<Place>) {
    let mut sim = Simulation::new(seed);
    sim.network.latency = (MILLISECOND / 2, MILLISECOND * 3 / 2);
    let nodes = sim.start_acquainted(count, config);
    sim.run(3 * SECOND + u32::try_from(seed).unwrap() * SECOND / 64);
    (sim, nodes)
}

/// One write of 64 bytes: when the last had it, and what went over the network by then.
fn write(sim: &mut Simulation, nodes: &[Place], writer: Place) -> (Duration, Counts) {
    let (owner, before) = (sim.name(writer).clone(), sim.counts());
    sim.set(writer, "key", &"v".repeat(64));
    let times = sim.until_each(nodes, MINUTE, |core| core.value(&owner, "key").is_some());
    assert_eq!(times.len(), nodes.len());
    (times[times.len() - 1], sim.counts() - before)
}

/// Without loss, everybody has a write within a tenth of a second, and is sent one copy.
#[test]
fn one_copy_each_reaches_all_at_once() {
    for (count, runs, rumors, limit) in [(128, 30, 4.8, 60), (1_000, 3, 7.2, 70)] {
        let (mut copies, mut told) = (0, 0);
        for seed in 0..runs {
            let (mut sim, nodes) = warm(seed, count, &config());
            let (last, spent) = write(&mut sim, &nodes, nodes[usize::try_from(seed).unwrap() * 7 % count]);
            assert!(last < limit * MILLISECOND, "seed {seed}: {last:?}");
            (copies, told) = (copies + spent.entries, told + spent.rumors);
        }
        let each = |sum: u64| sum as f64 / (count as u64 * runs) as f64;
        println!("{count} nodes: {:.2} copies, {:.2} rumors each", each(copies), each(told));
        assert!(each(copies) <= 1.02 && each(told) <= rumors, "{} {}", each(copies), each(told));
    }
}

/// A quarter of all messages lost: all have it within half a second, in every run but a few, and in all of them in the end.
#[test]
fn a_lossy_network_takes_longer_and_misses_nobody() {
    let mut times = Vec::new();
    for seed in 0..40 {
        let (mut sim, nodes) = warm(seed, 128, &config());
        sim.network.loss = Share(250);
        sim.run(10 * SECOND);
        times.push(write(&mut sim, &nodes, nodes[0]).0);
    }
    times.sort_unstable();
    println!("{:?} {:?}", times[20], times[39]);
    assert!(times[20] <= 200 * MILLISECOND && times[38] <= 1_200 * MILLISECOND, "{times:?}");
}

/// However much is written, a node tells no more rumors than its budget allows, and all have everything in the end.
#[test]
fn under_load_rumors_keep_to_their_budget_and_nothing_is_lost() {
    let tight = Config { rumor_datagrams: 40, ..config() };
    let (mut sim, nodes) = warm(1, 32, &tight);
    let (before, seconds) = (sim.counts(), 10);
    for step in 0..100 * seconds {
        sim.set(nodes[step % 32], &format!("key-{}", step / 32), &"v".repeat(64));
        sim.run(SECOND / 100);
    }
    let spent = sim.counts() - before;
    let most = 32 * (40 * seconds as u64 + 40);
    assert!(spent.rumors <= most && spent.asks <= most, "{spent:?}, {most}");
    assert!(spent.rumors > most / 2, "the budget is used: {spent:?}");
    sim.until(MINUTE, Simulation::is_equal).expect("nothing is lost");
}

/// Many updates share a datagram: what one node writes in a while is offered at once.
#[test]
fn what_is_written_together_is_offered_together() {
    let (mut sim, nodes) = warm(2, 32, &config());
    let (owner, before) = (sim.name(nodes[3]).clone(), sim.counts());
    for key in 0..20 {
        sim.set(nodes[3], &format!("key-{key}"), "value");
        sim.run(MILLISECOND / 2);
    }
    sim.until_each(&nodes, SECOND, |core| core.value(&owner, "key-19").is_some());
    let spent = sim.counts() - before;
    assert!(spent.rumors <= 32 * 6 && spent.asks <= 40, "{spent:?}");
}

/// Halves that were parted: the first exchange across brings news, and all else is at once.
#[test]
fn what_anti_entropy_finds_is_offered_again() {
    let (mut sim, nodes) = warm(3, 40, &Config { patience: 1_000, threshold: 100.0, ..config() });
    let (one, other) = nodes.split_at(20);
    sim.network.part(one, other);
    sim.set(nodes[0], "key", "value");
    sim.run(20 * SECOND);
    assert!(other.iter().all(|&node| text(&sim, node, nodes[0], "key").is_none()));
    sim.network.heal();
    let owner = sim.name(nodes[0]).clone();
    let times = sim.until_each(other, MINUTE, |core| core.value(&owner, "key").is_some());
    let (first, last) = (times[0], times[19]);
    assert!(last - first < 100 * MILLISECOND, "{first:?} and {last:?}");
}

/// A newcomer is known to all as soon as the first one heard of it, and whoever leaves is gone as soon.
#[test]
fn joins_and_departures_are_rumors_too() {
    let (mut sim, mut nodes) = warm(4, 60, &config());
    let new = sim.start("newcomer", config(), &[nodes[0]]);
    let id = sim.name(new).id();
    let times = sim.until_each(&nodes, MINUTE, |core| core.standing(id).is_some());
    assert!(times[59] - times[0] < 60 * MILLISECOND, "{:?} and {:?}", times[0], times[59]);
    nodes.push(new);
    sim.run(5 * SECOND);
    assert_eq!(live(&sim, new), 61);
    let leaver = nodes.swap_remove(7);
    let id = sim.name(leaver).id();
    sim.leave(leaver);
    let times = sim.until_each(&nodes, MINUTE, |core| core.standing(id) == Some(Standing::Departed));
    assert!(times[59] < 100 * MILLISECOND, "{:?}", times[59]);
}

/// A value above a datagram is offered like any, and fetched by stream.
#[test]
fn a_large_value_is_offered_and_fetched() {
    let (mut sim, nodes) = warm(5, 16, &config());
    let (owner, before) = (sim.name(nodes[2]).clone(), sim.counts());
    sim.set(nodes[2], "large", &"v".repeat(20_000));
    let times = sim.until_each(&nodes, MINUTE, |core| core.value(&owner, "large").is_some());
    let spent = sim.counts() - before;
    assert_eq!(times.len(), 16);
    assert!(times[15] < SECOND && spent.largest <= 1_200, "{:?} {spent:?}", times[15]);
}

/// What is sent unasked and builds upon something that is missing is asked for from its sender: one round trip.
#[test]
fn a_gap_is_repaired_from_its_sender_in_one_round_trip() {
    let mut sim = Simulation::new(6);
    let nodes = cluster(&mut sim, 2, &with("ring+1"));
    sim.run(10 * SECOND);
    // The first write is lost on its way.
    sim.network.cut(nodes[0], nodes[1]);
    sim.set(nodes[0], "first", "1");
    sim.run(100 * MILLISECOND);
    sim.network.heal();
    assert_eq!(text(&sim, nodes[1], nodes[0], "first"), None);
    sim.set(nodes[0], "second", "2");
    let took = sim.until(SECOND, |sim| text(sim, nodes[1], nodes[0], "first").is_some()).expect("it comes");
    // 20 ms of holding, one way for the push, and a round trip for the request.
    assert!(took <= 24 * MILLISECOND, "{took:?}");
    assert_eq!(text(&sim, nodes[1], nodes[0], "second").as_deref(), Some("2"));
}

/// Demers' rumors die out by themselves; those whom they miss, the rounds reach.
#[test]
fn random_rumors_reach_most_and_rounds_the_rest() {
    for (way, least, most) in [
        ("blind-counter-3", 0.9, 3.2),
        ("blind-coin-3", 0.85, 3.6),
        ("feedback-counter-2", 0.9, 3.2),
        ("feedback-coin-3", 0.9, 4.0),
        ("blind-counter-2x3", 0.85, 3.2),
    ] {
        let (mut reached, mut copies) = (0, 0);
        for seed in 0..10 {
            let (mut sim, nodes) = warm(seed, 100, &with(way));
            let (owner, before) = (sim.name(nodes[9]).clone(), sim.counts());
            sim.set(nodes[9], "key", "value");
            reached += sim.until_each(&nodes, SECOND / 2, |core| core.value(&owner, "key").is_some()).len();
            copies += (sim.counts() - before).entries;
            sim.until(MINUTE, Simulation::is_equal).expect("the rounds reach all");
        }
        println!("{way}: {reached} of 1000, {copies} copies");
        assert!(reached as f64 >= least * 1_000.0, "{way}: {reached}");
        assert!(copies as f64 <= most * 1_000.0, "{way}: {copies}");
    }
}

/// Who asks with a number that was never offered is a stranger, and gets no more than it paid for.
#[test]
fn a_stranger_that_asks_gets_three_times_what_it_sent() {
    let mut sim = Simulation::new(7);
    let nodes = cluster(&mut sim, 2, &config());
    sim.set(nodes[0], "key", &"v".repeat(900));
    sim.run(SECOND);
    let seal = Seal::new("test");
    let head = Head { generation: Generation(1), heartbeat: Heartbeat(1) };
    let sender = Sender { id: NodeId(77), head, max: Version(0) };
    let ask = Body::Ask(vec![Line::unknown(sim.name(nodes[0]).id())]);
    let bytes = seal.encode(&Message { sender, exchange: 1_234, body: ask });
    let before = sim.counts();
    sim.inject(nodes[0], Place(9).address(), &bytes);
    let spent = sim.counts() - before;
    assert!(spent.bytes <= 3 * bytes.len() as u64, "{spent:?}");
}

/// An offer of what nobody has, from where nobody has shown to be, is asked for once, and then forgotten.
#[test]
fn a_forged_offer_costs_one_request() {
    let mut sim = Simulation::new(8);
    let nodes = cluster(&mut sim, 2, &config());
    let seal = Seal::new("test");
    let head = Head { generation: Generation(1), heartbeat: Heartbeat(1) };
    let sender = Sender { id: NodeId(77), head, max: Version(0) };
    let line = Line {
        max: Version(99),
        ..Line { id: sim.name(nodes[1]).id(), generation: sim.core(nodes[1]).generation(), max: Version(0) }
    };
    let rumor = Rumor { lines: vec![line], deltas: Vec::<Delta>::new(), ..Rumor::default() };
    let bytes = seal.encode(&Message { sender, exchange: 5, body: Body::Rumor(rumor) });
    let before = sim.counts();
    sim.inject(nodes[0], Place(9).address(), &bytes);
    sim.run(10 * SECOND);
    let spent = sim.counts() - before;
    assert_eq!(spent.asks, 1, "{spent:?}");
    assert_eq!(sim.core(nodes[0]).load(sim.moment()).wanted, 0);
}

/// Rumors can be turned off, and nothing of them is sent then.
#[test]
fn without_rumors_there_are_rounds() {
    let (mut sim, nodes) = warm(9, 30, &with("off"));
    let (last, spent) = write(&mut sim, &nodes, nodes[0]);
    assert!(last > SECOND && spent.rumors + spent.asks == 0, "{last:?} {spent:?}");
    assert_eq!("off".parse(), Ok(Mongering::Off));
}

/// Gossip Glomers, challenges 3d and 3e (fly.io/dist-sys): 25 nodes, 100 ms one way, 100 operations a second, half of them
/// writes. One setting passes both: fewer than 20 messages for each operation, and below 400 ms on the median and 600 at most.
#[test]
fn h5_h6_gossip_glomers_are_passed_with_one_setting() {
    let hold = 80 * MILLISECOND;
    let (mut sim, nodes) = {
        let mut sim = Simulation::new(10);
        sim.network.latency = (100 * MILLISECOND, 100 * MILLISECOND);
        let config = Config { hold, rumor_datagrams: 100, ..with("blind-counter-10x5") };
        let nodes = sim.start_acquainted(25, &config);
        (sim, nodes)
    };
    sim.run(5 * SECOND);
    let (before, writes) = (sim.counts(), 1_000);
    for write in 0..writes {
        sim.set(nodes[write * 7 % 25], &format!("key-{write}"), "value");
        sim.run(SECOND / 50);
    }
    let messages = (sim.counts() - before).messages() as f64 / (2 * writes) as f64;
    sim.run(10 * SECOND);
    let mut heard = BTreeMap::<Key, Vec<Moment>>::new();
    for &node in &nodes {
        for (at, event) in sim.events(node) {
            if let EventKind::Set { key, .. } = &event.kind {
                heard.entry(key.clone()).or_default().push(*at);
            }
        }
    }
    let took = |times: &Vec<Moment>| {
        assert_eq!(times.len(), 25, "everybody hears of everything");
        times.iter().max().unwrap().since(*times.iter().min().unwrap())
    };
    let mut times: Vec<_> = heard.values().map(took).collect();
    times.sort_unstable();
    println!(
        "{messages:.1} messages for each operation, {:?}, {:?} at most",
        times[writes / 2],
        times[writes - 1]
    );
    assert!(messages < 20.0, "{messages:.1} messages for each operation");
    assert!(times[writes / 2] < 400 * MILLISECOND && times[writes - 1] < 600 * MILLISECOND, "{times:?}");
}
