//! What an address gets that has not shown yet that anybody is there.

use tidings_core::wire::Writer;
use tidings_core::{
    Body, Config, EventKind, Generation, Head, Heartbeat, Line, Message, News, NodeId, Push, Seal, Sender,
    Summary, Syn, Version, Window,
};
use tidings_sim::{Simulation, StreamFault};

use crate::forgery::empty_syn;
use crate::{MINUTE, SECOND, cluster, config};

/// A SYN of somebody unknown that shows itself to lack everything.
fn hungry() -> Vec<u8> {
    let head = Head { generation: Generation(1_799_999_999_000), heartbeat: Heartbeat(1) };
    let sender = Sender { id: NodeId(99), head, max: Version(0) };
    let window = Some(Window { first: NodeId(0), last: NodeId(u64::MAX), lines: Vec::new() });
    let syn = Syn { window, ..empty_syn() };
    Seal::new("test").encode(&Message { sender, exchange: 7, body: Body::Syn(syn) })
}

/// Whoever sends in the name of an address that never answers makes it get three times as much at the most, whatever there
/// is to tell and however often it asks.
#[test]
fn an_address_that_proved_nothing_gets_three_times_what_it_sent() {
    let mut sim = Simulation::new(1);
    let nodes = cluster(&mut sim, 30, &config());
    for &node in &nodes {
        sim.set(node, "large", &"x".repeat(900));
    }
    sim.until(MINUTE, Simulation::is_equal).expect("all have it");
    let victim = sim.start("victim", Config::new("another"), &[]);
    let asked = hungry();
    let mut sent = 0;
    for _ in 0..200 {
        for &node in &nodes[..3] {
            sim.inject(node, victim.address(), &asked);
            sent += asked.len() as u64;
        }
    }
    sim.run(SECOND / 100);
    let got = sim.received(victim);
    assert!(got > sent / 4, "it is answered, within the budget of a source: {got} for {sent}");
    assert!(got <= 3 * sent, "{got} for {sent}");
    sim.run(5 * MINUTE);
    assert!(sim.received(victim) <= 3 * sent, "{} for {sent}", sim.received(victim));
}

/// A source that sends without end is answered up to a bound, and others as before.
#[test]
fn a_flood_is_answered_up_to_a_bound() {
    let mut sim = Simulation::new(2);
    let nodes = cluster(&mut sim, 3, &config());
    let flooder = sim.start("flooder", Config::new("another"), &[]);
    let before = sim.counts();
    for _ in 0..1_000 {
        sim.inject(nodes[0], flooder.address(), &hungry());
    }
    sim.run(SECOND / 100);
    assert!((sim.counts() - before).acks <= 64);
    assert!(sim.core(nodes[0]).dropped()["flood"] >= 900);
    sim.set(nodes[1], "color", "green");
    let heard = |sim: &Simulation| sim.value(nodes[0], nodes[1], "color").is_some();
    sim.until(10 * SECOND, heard).expect("the others are heard");
}

/// A newcomer at an address that was never heard of shows that it is there, and gets the rest at once.
#[test]
fn a_newcomer_shows_the_cookie_and_gets_the_rest() {
    let mut sim = Simulation::new(3);
    let ann = sim.start("ann", config(), &[]);
    sim.set(ann, "one", &"x".repeat(900));
    let bob = sim.start("bob", config(), &[ann]);
    let took = sim.until(10 * SECOND, |sim| sim.is_up(bob) && sim.value(bob, ann, "one").is_some());
    assert!(took.expect("it learns") < 2 * SECOND);
    assert_eq!(sim.counts().syns, 3, "the second one shows the cookie, and ann, who knew nobody, asks back");
}

/// Whoever pushes in a life that is over is pushed back to, with no more than three times what it sent.
#[test]
fn a_push_of_a_life_that_is_over_is_answered_within_the_allowance() {
    let mut sim = Simulation::new(4);
    let nodes = cluster(&mut sim, 30, &config());
    for &node in &nodes {
        sim.set(node, "large", &"x".repeat(900));
    }
    let stranger = sim.start("stranger", Config::new("another"), &[]);
    let head = Head { generation: Generation(1), heartbeat: Heartbeat(1) };
    let sender = Sender { id: sim.name(nodes[7]).id(), head, max: Version(0) };
    let (heads, evidence, lines) = (Vec::new(), Vec::new(), Vec::new());
    let (deltas, large, summary) = (Vec::new(), Vec::new(), Summary(1));
    let push = Push { summary, heads, evidence, lines, window: None, deltas, large };
    let bytes = Seal::new("test").encode(&Message { sender, exchange: 0, body: Body::Push(push) });
    let before = sim.counts();
    sim.inject(nodes[0], stranger.address(), &bytes);
    assert_eq!((sim.counts() - before).pushes, 1, "it is told of the later life");
    sim.run(SECOND / 100);
    assert!((1..=3 * bytes.len() as u64).contains(&sim.received(stranger)));
}

/// Whoever asks in a node's own name and in a generation beyond belief has a budget like any, and gets three times what it
/// sent at the most.
#[test]
fn questions_in_a_name_of_ones_own_have_a_budget_too() {
    let mut sim = Simulation::new(5);
    let nodes = cluster(&mut sim, 5, &config());
    let stranger = sim.start("stranger", Config::new("another"), &[]);
    let head = Head { generation: Generation(3_000_000_000_000), heartbeat: Heartbeat(1) };
    let sender = Sender { id: sim.name(nodes[0]).id(), head, max: Version(0) };
    let (heads, evidence, lines) = (Vec::new(), Vec::new(), Vec::new());
    let (window, cookie, summary) = (None, None, Summary(1));
    let syn = Syn {
        is_pull: false,
        summary,
        heads,
        evidence,
        lines,
        sketch: Vec::new(),
        window,
        cookie,
        share: None,
    };
    let bytes = Seal::new("test").encode(&Message { sender, exchange: 7, body: Body::Syn(syn) });
    let before = sim.counts().refusals;
    (0..200).for_each(|_| sim.inject(nodes[0], stranger.address(), &bytes));
    assert!((1..=64).contains(&(sim.counts().refusals - before)));
    sim.run(SECOND / 100);
    assert!(sim.received(stranger) <= 3 * 200 * bytes.len() as u64);
}

/// Random bytes, and honest messages with a bit flipped, of which none changes anything.
#[test]
fn damaged_bytes_change_nothing() {
    let mut sim = Simulation::new(4);
    let nodes = cluster(&mut sim, 3, &config());
    let (honest, digest) = (hungry(), sim.core(nodes[0]).digest());
    let before = sim.counts();
    for bit in 0..8 * honest.len() {
        let mut bytes = honest.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        sim.inject(nodes[0], nodes[1].address(), &bytes);
        let mut noise = Writer::default();
        noise.word((bit as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        sim.inject(nodes[0], nodes[1].address(), &noise.into_bytes());
    }
    assert_eq!((sim.counts() - before).refused, 16 * honest.len() as u64);
    assert_eq!(sim.core(nodes[0]).digest(), digest);
}

/// What is told to be large is fetched from those alone who are where they say: the victim of a forged word gets nothing.
#[test]
fn a_forged_word_of_something_large_makes_nobody_ask_for_it() {
    let mut sim = Simulation::new(5);
    let nodes = cluster(&mut sim, 3, &config());
    let victim = sim.start("victim", Config::new("another"), &[]);
    sim.network.streams = StreamFault::Refused;
    let head = Head { generation: Generation(1_799_999_999_000), heartbeat: Heartbeat(1) };
    let sender = Sender { id: NodeId(99), head, max: Version(0) };
    let mut sent = 0;
    for turn in 0..60 {
        let line =
            |n: u64| Line { id: NodeId(1_000 + 10 * turn + n), generation: Generation(5), max: Version(5) };
        let news = News { large: (0..4).map(line).collect(), ..News::default() };
        let bytes = Seal::new("test").encode(&Message { sender, exchange: 7, body: Body::Ack2(news) });
        sim.inject(nodes[0], victim.address(), &bytes);
        sent += bytes.len() as u64;
        sim.run(SECOND);
    }
    assert!(sim.received(victim) <= 3 * sent, "{} for {sent}", sim.received(victim));
    assert_eq!(sim.counts().streams, 0);
}

/// Thousands of datagrams in a healthy node's name use up no budget that its answers need: nobody convicts it.
#[test]
fn a_flood_in_a_nodes_name_does_not_mute_it() {
    let mut sim = Simulation::new(6);
    let nodes = cluster(&mut sim, 5, &config());
    for _ in 0..1_000 {
        for &node in nodes.iter().filter(|node| **node != nodes[1]) {
            (0..10).for_each(|_| sim.inject(node, nodes[1].address(), &hungry()));
        }
        sim.run(SECOND / 50);
    }
    for &node in &nodes {
        assert_eq!(crate::standing(&sim, node, nodes[1]), Some(tidings_core::Standing::Live));
        let convicts = |kind: &EventKind| matches!(kind, EventKind::Unreachable { .. });
        assert!(!sim.events(node).iter().any(|(_, event)| convicts(&event.kind)));
    }
}
