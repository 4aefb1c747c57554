//! Two processes with one name, nodes at other addresses than before, and clusters whose addresses are mixed up.

use std::time::Duration;

use tidings_core::{
    Body, Config, EventKind, Generation, Head, Heartbeat, Instance, Line, Message, Namesake, News, NodeId,
    Seal, Sender, Standing, Summary, Syn, Version,
};
use tidings_sim::{Arrivals, Disk, Place, Share, Simulation};

use crate::{MINUTE, SECOND, cluster, config, durable, knows_all, live, standing, text};

/// How often `viewer` saw `name` begin another life.
fn restarts(sim: &Simulation, viewer: Place, name: &str) -> usize {
    let restarted = |kind: &EventKind| matches!(kind, EventKind::Restarted);
    sim.events(viewer)
        .iter()
        .filter(|(_, event)| event.node.as_str() == name && restarted(&event.kind))
        .count()
}

/// R10: a newcomer whose name is taken asks first, says who has it, and is heard of by nobody.
#[test]
fn r10_a_newcomer_whose_name_is_taken_does_not_take_part() {
    for seed in 0..10 {
        let mut sim = Simulation::new(seed);
        let nodes = cluster(&mut sim, 6, &config());
        sim.set(nodes[3], "color", "green");
        sim.until(MINUTE, Simulation::is_equal).expect("all have it");
        let twin = sim.start("node-3", config(), &[nodes[1]]);
        sim.until(3 * SECOND, |sim| sim.core(twin).conflict().is_some()).expect("it gives way");
        let conflict = sim.core(twin).conflict().unwrap();
        assert_eq!((conflict.here, conflict.there), (twin.address(), nodes[3].address()));
        assert!(conflict.at_start);
        sim.run(MINUTE);
        assert!(nodes.iter().all(|&node| restarts(&sim, node, "node-3") == 0));
        assert_eq!(text(&sim, nodes[0], nodes[3], "color").as_deref(), Some("green"));
        assert!(sim.core(nodes[3]).conflict().is_none());
    }
}

/// R10, R44: two of one name that did not find each other at the start, since their seed was down or a partition kept them
/// apart: once they can meet, the lower one stops within three rounds of hearing of the other, and nothing flaps.
#[test]
fn r44_a_name_taken_is_found_though_the_seed_was_down_at_the_start() {
    for seed in 0..10 {
        let mut sim = Simulation::new(100 + seed);
        let nodes = cluster(&mut sim, 6, &config());
        sim.network.part(&[Place(6)], &nodes);
        let twin = sim.start("node-3", config(), &[nodes[0]]);
        sim.run(MINUTE);
        assert!(sim.core(twin).has_begun());
        sim.set(nodes[3], "mine", "first");
        sim.set(twin, "mine", "second");
        sim.network.heal();
        let lost =
            |sim: &Simulation| [nodes[3], twin].into_iter().find(|&node| sim.core(node).conflict().is_some());
        sim.until(20 * SECOND, |sim| lost(sim).is_some()).expect("one of them stops");
        let loser = lost(&sim).unwrap();
        let winner = if loser == twin { nodes[3] } else { twin };
        assert!(!sim.core(loser).conflict().unwrap().at_start);
        sim.crash(loser);
        let others: Vec<_> = nodes.iter().copied().filter(|&node| node != nodes[3]).collect();
        let mine = if winner == twin { "second" } else { "first" };
        sim.until(MINUTE, |sim| {
            others.iter().all(|&node| text(sim, node, winner, "mine").as_deref() == Some(mine))
        })
        .expect("the winner is believed");
        let before: Vec<_> = others.iter().map(|&node| restarts(&sim, node, "node-3")).collect();
        assert!(before.iter().all(|&times| times <= 3), "{before:?}");
        sim.run(2 * MINUTE);
        assert!(sim.core(winner).conflict().is_none());
        assert!(others.iter().zip(before).all(|(&node, before)| restarts(&sim, node, "node-3") == before));
        assert!(others.iter().all(|&node| live(&sim, node) == 6));
    }
}

/// R10: a cloned disk: the same saved generation, the same versions, other values.
#[test]
fn r10_a_cloned_disk_makes_one_node_and_not_two() {
    let mut sim = Simulation::new(10);
    let nodes = cluster(&mut sim, 4, &durable());
    sim.set(nodes[2], "color", "green");
    sim.run(5 * SECOND);
    let clone = sim.clone_disk(nodes[2], &[nodes[0]]);
    sim.until(3 * SECOND, |sim| sim.core(clone).conflict().is_some()).expect("it gives way");
    sim.run(MINUTE);
    assert!(nodes.iter().all(|&node| text(&sim, node, nodes[2], "color").as_deref() == Some("green")));
}

/// R13: a node that moved, as containers do: nobody answers at its old address, and it starts at its new one.
#[test]
fn a_restart_at_another_address_meets_silence_and_starts() {
    let mut sim = Simulation::new(11);
    let nodes = cluster(&mut sim, 5, &config());
    sim.set(nodes[2], "old", "1");
    sim.run(5 * SECOND);
    sim.crash(nodes[2]);
    let moved = sim.start("node-2", config(), &[nodes[0]]);
    let others: Vec<_> = [0, 1, 3, 4].map(|n| nodes[n]).into();
    sim.until(10 * SECOND, |sim| {
        others.iter().all(|&node| sim.member(node, moved).unwrap().address == moved.address())
    })
    .expect("all know where it is");
    sim.run(MINUTE);
    assert!(others.iter().all(|&node| standing(&sim, node, moved) == Some(Standing::Live)));
    assert!(others.iter().all(|&node| text(&sim, node, moved, "old").is_none()));
}

/// R12: a node that restarts twenty times is one node.
#[test]
fn r12_twenty_lives_are_one_member() {
    let mut sim = Simulation::new(12);
    let nodes = cluster(&mut sim, 5, &config());
    for turn in 0..20 {
        sim.crash(nodes[3]);
        sim.run(SECOND / 2 * (turn % 7));
        sim.restart(nodes[3], if turn % 2 == 0 { Disk::Lost } else { Disk::Kept });
        sim.run(SECOND * (turn % 5));
    }
    sim.until(MINUTE, |sim| knows_all(sim, &nodes)).expect("all are live");
    for &node in &nodes {
        assert_eq!(sim.core(node).members(sim.moment()).len(), 5);
    }
}

/// R11, R40: two nodes swap their addresses. Each is found where it is, under its own name, and no state is mixed up.
#[test]
fn r40_two_nodes_that_swap_addresses_are_not_mistaken_for_each_other() {
    for seed in 0..10 {
        let mut sim = Simulation::new(400 + seed);
        let nodes = cluster(&mut sim, 6, &config());
        sim.set(nodes[2], "who", "two");
        sim.set(nodes[4], "who", "four");
        sim.run(5 * SECOND);
        sim.swap(nodes[2], nodes[4]);
        let right = |sim: &Simulation| {
            nodes.iter().all(|&viewer| {
                nodes.iter().all(|&node| {
                    let member = sim.member(viewer, node);
                    member.is_some_and(|member| {
                        member.address == sim.address(node) && member.standing == Standing::Live
                    })
                })
            })
        };
        sim.until(MINUTE, right).expect("each is known to be where it is");
        sim.set(nodes[2], "who", "again");
        sim.until(MINUTE, Simulation::is_equal).expect("all is told");
        assert_eq!(text(&sim, nodes[0], nodes[2], "who").as_deref(), Some("again"));
        assert_eq!(live(&sim, nodes[0]), 6);
    }
}

/// R11: a node of another name comes up at the address of one that crashed: both are told apart.
#[test]
fn r11_a_newcomer_at_a_known_address_evicts_nobody() {
    let mut sim = Simulation::new(13);
    let nodes = cluster(&mut sim, 5, &config());
    sim.crash(nodes[3]);
    sim.rename(nodes[3], "other");
    let rest: Vec<_> = [0, 1, 2, 4].map(|n| nodes[n]).into();
    sim.until(2 * MINUTE, |sim| {
        rest.iter().all(|&node| standing(sim, node, nodes[3]) == Some(Standing::Live))
    })
    .expect("the newcomer is known");
    let old = tidings_core::NodeName::new("node-3").unwrap();
    let gone = |sim: &Simulation| {
        rest.iter().all(|&node| {
            let state = sim.core(node).state(&old, sim.moment());
            state.is_some_and(|state| state.member.standing == Standing::Unreachable)
        })
    };
    sim.until(2 * MINUTE, gone).expect("the old one is not taken for the new one");
    sim.run(5 * MINUTE);
    assert!(gone(&sim) && rest.iter().all(|&node| live(&sim, node) == 5));
}

/// R38: two clusters swap an address; no state crosses, whatever is sent.
#[test]
fn r38_clusters_whose_addresses_are_reused_stay_apart() {
    let mut sim = Simulation::new(38);
    let ours = cluster(&mut sim, 4, &config());
    let other = Config::new("other");
    let theirs: Vec<_> =
        (0..4).map(|n| sim.start(&format!("their-{n}"), other.clone(), &[Place(4)])).collect();
    sim.until(MINUTE, |sim| knows_all(sim, &theirs)).expect("the other cluster forms");
    sim.set(ours[2], "color", "green");
    sim.set(theirs[2], "color", "red");
    sim.run(5 * SECOND);
    sim.swap(ours[2], theirs[2]);
    sim.run(2 * MINUTE);
    for (nodes, others) in [(&ours, "their-"), (&theirs, "node-")] {
        for &node in nodes.iter() {
            let members = sim.core(node).members(sim.moment());
            assert_eq!(members.len(), 4);
            assert!(members.iter().all(|member| !member.name.as_str().starts_with(others)));
        }
        assert!(knows_all(&sim, nodes));
    }
    assert!(sim.counts().refused > 0);
}

/// R39, R41: a node that others reach at another address than it says, since somebody said so before it could: it is tried
/// where it is heard from, and found.
#[test]
fn r39_a_wrong_address_is_corrected_by_whoever_is_heard_from_elsewhere() {
    let mut sim = Simulation::new(39);
    let nodes = cluster(&mut sim, 4, &config());
    sim.advertise(nodes[3], Place(77).address());
    let near = |sim: &Simulation| {
        nodes[..3].iter().all(|&node| sim.member(node, nodes[3]).unwrap().address == nodes[3].address())
    };
    sim.until(MINUTE, |sim| !near(sim)).expect("it says that it is elsewhere");
    sim.until(2 * MINUTE, near).expect("it is found");
    sim.run(Duration::from_secs(600));
    assert!(nodes[..3].iter().all(|&node| standing(&sim, node, nodes[3]) == Some(Standing::Live)));
}

/// A newcomer whose seeds know little, answer late, lose what it asks, or that sleeps while it waits: it gives way all the
/// same, and the one that runs is never stopped.
#[test]
fn a_newcomer_gives_way_also_where_answers_are_late_or_lost() {
    let mut lost = 0;
    for seed in 0..40_u64 {
        let mut sim = Simulation::new(500 + seed);
        let nodes = cluster(&mut sim, 5, &config());
        let fresh = sim.start("fresh", config(), &[]);
        match seed % 4 {
            0 => sim.network.loss = Share(100),
            1 => sim.network.latency = (SECOND / 10, 2 * SECOND / 5),
            _ => {}
        }
        let twin = sim.start("node-3", config(), &[nodes[1], fresh]);
        if seed % 4 == 2 {
            sim.run(SECOND / 1_000);
            sim.pause(twin, Arrivals::Wait);
            sim.run(3 * SECOND);
            sim.resume(twin);
        }
        sim.run(30 * SECOND);
        let conflicts = [twin, nodes[3]].map(|node| sim.core(node).conflict().is_some());
        assert_eq!(conflicts.iter().filter(|conflict| **conflict).count(), 1, "seed {seed}");
        lost += u32::from(conflicts[1]);
    }
    assert_eq!(lost, 0, "one that ran was stopped");
}

/// A stranger in a node's name, from the end of time, does not stop it; one that repeats its questions costs it no seed.
#[test]
fn strangers_in_a_nodes_name_do_it_no_harm() {
    let mut sim = Simulation::new(600);
    let nodes = cluster(&mut sim, 4, &config());
    let seal = Seal::new("test");
    let (id, stranger) = (sim.name(nodes[2]).id(), Place(77).address());
    let head = Head { generation: Generation(u64::MAX), heartbeat: Heartbeat(1) };
    let say = |sim: &mut Simulation, head: Head, exchange: u32, body: Body, from: std::net::SocketAddr| {
        let sender = Sender { id, head, max: Version(0) };
        sim.inject(nodes[2], from, &seal.encode(&Message { sender, exchange, body }));
    };
    for turn in 0..100 {
        say(&mut sim, head, turn, Body::Ack2(News::default()), stranger);
        say(&mut sim, head, turn, Body::Namesake(Namesake::Me(Instance(u64::MAX))), stranger);
        let young = Head { generation: Generation(1), heartbeat: Heartbeat(1) };
        for seed in &nodes[..2] {
            say(&mut sim, young, turn, Body::Who(Instance(turn.into())), seed.address());
        }
        sim.run(SECOND / 10);
    }
    assert!(sim.core(nodes[2]).conflict().is_none());
    assert_eq!(sim.core(nodes[2]).seeds(), 1);
    sim.until(MINUTE, |sim| knows_all(sim, &nodes)).expect("all is well");
}

/// Whoever pretends again and again to have a node's name does not keep it from answering a claim.
#[test]
fn claims_do_not_wait_for_ever() {
    let mut sim = Simulation::new(700);
    let nodes = cluster(&mut sim, 4, &config());
    let seal = Seal::new("test");
    let id = sim.name(nodes[2]).id();
    let before = sim.core(nodes[2]).generation();
    let head = Head { generation: before, heartbeat: Heartbeat(1) };
    let own = Message {
        sender: Sender { id, head, max: Version(0) },
        exchange: 3,
        body: Body::Ack2(News::default()),
    };
    let claimed = Generation(before.0 + 3_600_000);
    let line = Line { id, generation: claimed, max: Version(9) };
    let (heads, evidence) = (Vec::new(), Vec::new());
    let syn = Syn {
        is_pull: false,
        summary: Summary(1),
        heads,
        evidence,
        lines: vec![line],
        sketch: Vec::new(),
        window: None,
        cookie: None,
        share: None,
    };
    let claim = Message {
        sender: Sender { id: NodeId(77), head, max: Version(0) },
        exchange: 3,
        body: Body::Syn(syn),
    };
    for turn in 0..50 {
        sim.inject(nodes[2], Place(50 + turn % 3).address(), &seal.encode(&own));
        if turn == 5 {
            sim.inject(nodes[2], Place(60).address(), &seal.encode(&claim));
        }
        sim.run(SECOND / 10);
    }
    assert!(sim.core(nodes[2]).generation() > claimed);
}
