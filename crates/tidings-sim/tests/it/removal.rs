//! Nodes that are removed, or gone for long: forgotten by all, brought back by nobody but themselves, and at no lasting cost.

use std::time::Duration;

use tidings_core::{
    Body, Certificate, Config, Delta, EventKind, Head, Heartbeat, Message, Moment, News, NodeId, NodeName,
    RemoveError, Seal, Sender, Standing, Version,
};
use tidings_sim::{Arrivals, Disk, Place, Share, Simulation};

use crate::{MINUTE, SECOND, cluster, config, knows_all, live, standing, text};

/// A cluster that forgets soon.
fn brief() -> Config {
    Config { forget_after: 2 * MINUTE, ..config() }
}

fn knows(sim: &Simulation, viewer: Place, subject: Place) -> bool {
    sim.member(viewer, subject).is_some()
}

fn is_remembered(sim: &Simulation, viewer: Place, subject: Place) -> bool {
    let forgotten = sim.core(viewer).forgotten(sim.moment());
    forgotten.iter().any(|one| one.name == *sim.name(subject))
}

fn until_convicted(sim: &mut Simulation, by: &[Place], subject: Place) {
    let all = |sim: &Simulation| {
        by.iter().all(|&place| standing(sim, place, subject) == Some(Standing::Unreachable))
    };
    sim.until(2 * MINUTE, all).expect("all convict it");
}

fn until_forgotten(sim: &mut Simulation, by: &[Place], subject: Place, limit: Duration) -> Duration {
    sim.until(limit, |sim| by.iter().all(|&place| !knows(sim, place, subject))).expect("all forget it")
}

/// A node leaves, and its process ends.
fn leave(sim: &mut Simulation, place: Place) {
    sim.leave(place);
    sim.until(MINUTE, |sim| sim.core(place).has_left()).expect("it leaves");
    sim.crash(place);
}

/// How often a node told its user that another one joined.
fn joins(sim: &Simulation, viewer: Place, subject: Place) -> usize {
    let is_join =
        |event: &tidings_core::Event| event.kind == EventKind::Joined && event.node == *sim.name(subject);
    sim.events(viewer).iter().filter(|(_, event)| is_join(event)).count()
}

#[test]
fn whoever_is_removed_is_forgotten_by_all_at_once_and_the_command_says_what_it_did() {
    let mut sim = Simulation::new(1);
    sim.check();
    let nodes = cluster(&mut sim, 16, &config());
    sim.set(nodes[3], "color", "green");
    sim.run(5 * SECOND);
    sim.crash(nodes[3]);
    let others: Vec<_> = nodes.iter().copied().filter(|&node| node != nodes[3]).collect();
    until_convicted(&mut sim, &others, nodes[3]);
    let removed = sim.remove(nodes[0], nodes[3]).expect("it is unreachable");
    assert_eq!((removed.was, removed.keys), (Some(Standing::Unreachable), 1));
    assert!(removed.quiet > 2 * SECOND && removed.remembered_for == 2 * config().forget_after);
    let took = until_forgotten(&mut sim, &others, nodes[3], MINUTE);
    assert!(took < SECOND, "all forget it within {took:?}");
    assert!(others.iter().all(|&place| is_remembered(&sim, place, nodes[3])));
    let again = sim.remove(nodes[5], nodes[3]).expect("it was forgotten before");
    assert_eq!((again.was, again.keys), (None, 0));
    sim.run(MINUTE);
    assert!(sim.is_equal() && sim.broken().is_none(), "{:?}", sim.broken());
}

#[test]
fn the_live_oneself_and_strangers_are_not_removed() {
    let mut sim = Simulation::new(2);
    let nodes = cluster(&mut sim, 3, &config());
    let stranger = sim.start("stranger", Config::new("another"), &[]);
    let node = |place| sim.name(place).clone();
    let [me, live, unknown] = [node(nodes[0]), node(nodes[1]), node(stranger)];
    assert_eq!(sim.remove(nodes[0], nodes[0]), Err(RemoveError::Myself { node: me }));
    assert_eq!(sim.remove(nodes[0], nodes[1]), Err(RemoveError::Live { node: live }));
    assert_eq!(sim.remove(nodes[0], stranger), Err(RemoveError::Unknown { node: unknown }));
    assert!(knows_all(&sim, &nodes));
}

/// Whoever is removed while it runs says so, in the same life, and all know it again with all that it has.
#[test]
fn a_living_node_refutes_its_removal() {
    for seed in 0..10 {
        let mut sim = Simulation::new(300 + seed);
        sim.check();
        let nodes = cluster(&mut sim, 8, &config());
        sim.set(nodes[5], "color", "green");
        sim.run(5 * SECOND);
        let (paused, others) = (nodes[5], [&nodes[..5], &nodes[6..]].concat());
        let life = sim.core(paused).generation();
        sim.pause(paused, Arrivals::AreLost);
        until_convicted(&mut sim, &others, paused);
        sim.remove(nodes[0], paused).expect("it is unreachable");
        until_forgotten(&mut sim, &others, paused, MINUTE);
        sim.resume(paused);
        let took = sim.until(MINUTE, |sim| knows_all(sim, &nodes)).expect("all know it again");
        assert!(took < 15 * SECOND, "seed {seed}: all know it again in {took:?}");
        let green = |sim: &Simulation| {
            others.iter().all(|&place| text(sim, place, paused, "color").as_deref() == Some("green"))
        };
        sim.until(MINUTE, green).expect("all have its key");
        assert_eq!(sim.core(paused).generation(), life, "it goes on in its life");
        sim.run(2 * MINUTE);
        assert!(sim.is_equal() && sim.broken().is_none(), "seed {seed}: {:?}", sim.broken());
    }
}

/// R19 (CASSANDRA-2371, 2961, 5216): a node is removed while a peer is cut off for longer than anything is kept; after the heal
/// nobody brings it back.
#[test]
fn r19_whoever_is_removed_while_a_peer_is_away_never_reappears() {
    for (seed, away) in (0..6).zip([MINUTE, 3 * MINUTE / 2, 3 * MINUTE, 5 * MINUTE, 8 * MINUTE, 12 * MINUTE])
    {
        let mut sim = Simulation::new(1_900 + seed);
        sim.check();
        let nodes = cluster(&mut sim, 10, &brief());
        let (dead, peer) = (nodes[4], nodes[7]);
        let others: Vec<_> = nodes.iter().copied().filter(|&node| node != dead && node != peer).collect();
        sim.network.part(&[peer], &others);
        // The peer sees more of it than the others do.
        sim.run(3 * SECOND);
        sim.crash(dead);
        until_convicted(&mut sim, &others, dead);
        sim.remove(nodes[0], dead).expect("it is unreachable");
        until_forgotten(&mut sim, &others, dead, MINUTE);
        sim.run(away);
        sim.network.heal();
        let rest = [others.as_slice(), &[peer]].concat();
        let settled = |sim: &Simulation| {
            !knows(sim, peer, dead) && rest.iter().all(|&place| live(sim, place) == rest.len())
        };
        let took = sim.until(3 * MINUTE, settled).expect("the peer forgets it");
        sim.run(10 * MINUTE);
        for &place in &others {
            assert_eq!(joins(&sim, place, dead), 1, "away for {away:?}, heal took {took:?}");
            assert!(!knows(&sim, place, dead));
        }
        assert!(sim.is_equal() && sim.broken().is_none(), "away for {away:?}: {:?}", sim.broken());
    }
}

/// R20 (piko 314, chitchat 155): two hundred names come and go, by crashes and departures; all forget them, nobody brings them
/// back, and the table is as small as it was.
#[test]
fn r20_after_two_hundred_names_the_table_is_as_small_as_before() {
    let mut sim = Simulation::new(20);
    sim.check();
    let nodes = cluster(&mut sim, 8, &brief());
    for turn in 0..50 {
        let guests: Vec<_> =
            (0..4).map(|guest| sim.start(&format!("guest-{turn}-{guest}"), brief(), &[nodes[0]])).collect();
        sim.run(15 * SECOND);
        for (number, guest) in guests.into_iter().enumerate() {
            if number % 2 == 0 { sim.crash(guest) } else { leave(&mut sim, guest) }
        }
        let most = nodes.iter().map(|&place| sim.core(place).ids().len()).max().unwrap();
        // Those of the last two minutes, and who is being convicted.
        assert!(most <= 8 + 4 * 12, "{most} nodes are known in turn {turn}");
    }
    sim.run(2 * brief().forget_after);
    for &place in &nodes {
        assert_eq!(sim.core(place).ids().len(), nodes.len(), "{:?}", sim.broken());
    }
    sim.run(2 * brief().forget_after);
    for &place in &nodes {
        assert_eq!(sim.core(place).load(sim.moment()).certificates, 0, "certificates end");
    }
    assert!(knows_all(&sim, &nodes) && sim.is_equal() && sim.broken().is_none(), "{:?}", sim.broken());
}

/// I6: while ten times as many nodes join and leave as there are, no more is held than of the live and of those that departed
/// within the time after which they are forgotten, and whoever joins succeeds.
#[test]
fn i6_what_is_held_under_churn_is_of_the_live_and_the_lately_gone() {
    let mut sim = Simulation::new(6);
    let nodes = cluster(&mut sim, 20, &brief());
    let pace = 5 * SECOND;
    let mut gone = Vec::new();
    for turn in 0..200 {
        let guest = sim.start(&format!("guest-{turn}"), brief(), &[nodes[turn % 20]]);
        sim.run(pace);
        assert!(live(&sim, guest) >= 20, "guest {turn} joins");
        leave(&mut sim, guest);
        gone.push(sim.moment());
        let recent = gone.iter().filter(|at| sim.moment().since(**at) <= brief().forget_after + pace).count();
        for &place in &nodes {
            let (held, load) = (sim.core(place).ids().len(), sim.core(place).load(sim.moment()));
            assert!(held <= 20 + 1 + recent, "{held} nodes are held, {recent} left of late");
            assert!(load.certificates <= 2 * (recent + 1), "{load:?}");
        }
    }
}

/// R28 (memberlist 254): whoever left is purged, and what is told in the calm is what it was.
#[test]
fn r28_departed_nodes_are_purged() {
    let mut sim = Simulation::new(28);
    let nodes = cluster(&mut sim, 12, &brief());
    let idle = |sim: &mut Simulation| {
        let before = sim.counts();
        sim.run(MINUTE);
        (sim.counts() - before).bytes
    };
    sim.run(2 * MINUTE);
    let before = idle(&mut sim);
    let guests: Vec<_> = (0..40).map(|n| sim.start(&format!("guest-{n}"), brief(), &[nodes[0]])).collect();
    sim.run(MINUTE);
    guests.iter().for_each(|&guest| leave(&mut sim, guest));
    sim.run(brief().forget_after + MINUTE / 2);
    assert!(nodes.iter().all(|&place| sim.core(place).ids().len() == 12));
    let while_told = idle(&mut sim);
    // One after the other ceases to be told, not quite at the same time.
    let while_ending = idle(&mut sim);
    sim.run(4 * brief().forget_after);
    let after = idle(&mut sim);
    println!("bytes in a minute: {before} before, {while_told}, {while_ending}, {after} after");
    assert!(while_told < before * 5 / 4 && while_ending < 3 * before && after < before * 11 / 10);
}

/// R29 (foca 31, 15): restarts are new lives of the same node, and never more nodes, also where a fifth of all messages is lost.
#[test]
fn r29_a_cluster_knows_as_many_nodes_as_it_has_however_often_they_restart() {
    let mut sim = Simulation::new(29);
    let nodes = sim.start_acquainted(100, &brief());
    sim.network.loss = Share(200);
    for turn in 0..20 {
        for part in nodes.chunks(10).skip(turn % 2).step_by(2) {
            part.iter().for_each(|&place| sim.crash(place));
            sim.run(SECOND);
            part.iter().for_each(|&place| sim.restart(place, Disk::Lost));
        }
        sim.run(5 * SECOND);
        assert!(nodes.iter().all(|&place| sim.core(place).ids().len() <= nodes.len()));
    }
    sim.network.loss = Share(0);
    sim.until(3 * MINUTE, |sim| knows_all(sim, &nodes)).expect("all know all");
    assert!(nodes.iter().all(|&place| sim.core(place).load(sim.moment()).certificates == 0));
}

/// M14 (CASSANDRA-14001): a node that all believe to be dead comes back, and all know it within twice the time that news takes,
/// whether they took it for unreachable or had forgotten it.
#[test]
fn m14_whoever_returns_from_the_dead_is_known_to_all_at_once() {
    for is_removed in [false, true] {
        let mut sim = Simulation::new(14);
        let nodes = sim.start_acquainted(1_000, &config());
        let (dead, others) = (nodes[777], [&nodes[..777], &nodes[778..]].concat());
        sim.run(10 * SECOND);
        // How long news takes, by rounds and rumors together.
        sim.set(nodes[3], "key", "value");
        let spread = sim
            .until(MINUTE, |sim| others.iter().all(|&place| text(sim, place, nodes[3], "key").is_some()))
            .expect("the news spreads");
        sim.crash(dead);
        until_convicted(&mut sim, &others, dead);
        if is_removed {
            sim.remove(nodes[3], dead).expect("it is unreachable");
            until_forgotten(&mut sim, &others, dead, MINUTE);
        }
        sim.restart(dead, Disk::Lost);
        sim.until(MINUTE, |sim| sim.core(dead).has_begun()).expect("it begins");
        let back =
            |sim: &Simulation| others.iter().all(|&place| standing(sim, place, dead) == Some(Standing::Live));
        let took = sim.until(MINUTE, back).expect("all take it for live");
        // It begins with a round, and learns of somebody to tell.
        let most = 2 * spread + 2 * config().interval;
        assert!(took <= most, "removed: {is_removed}: {took:?}, and news takes {spread:?}");
    }
}

/// Both halves of a cluster forget the other one, and are one again when the way is free, without a new life of anybody.
#[test]
fn halves_that_forgot_each_other_are_one_again() {
    for seed in 0..6 {
        let mut sim = Simulation::new(500 + seed);
        sim.check();
        let nodes = cluster(&mut sim, 12, &brief());
        nodes.iter().for_each(|&place| sim.set(place, "key", "value"));
        sim.run(10 * SECOND);
        let lives: Vec<_> = nodes.iter().map(|&place| sim.core(place).generation()).collect();
        let (one, other) = nodes.split_at(6);
        sim.network.part(one, other);
        sim.run(4 * MINUTE);
        assert!(nodes.iter().all(|&place| sim.core(place).ids().len() == 6));
        sim.network.heal();
        let took = sim.until(5 * MINUTE, |sim| knows_all(sim, &nodes)).expect("they are one again");
        sim.run(2 * MINUTE);
        assert!(took < MINUTE, "seed {seed}: after {took:?}");
        assert!(nodes.iter().map(|&place| sim.core(place).generation()).eq(lives), "nobody begins a life");
        assert!(sim.is_equal() && sim.broken().is_none(), "seed {seed}: {:?}", sim.broken());
    }
}

/// A message of somebody who is no node, with a proper checksum.
fn inject(sim: &mut Simulation, to: Place, deltas: Vec<Delta>) {
    let head = Head { generation: sim.core(to).generation(), heartbeat: Heartbeat(1) };
    let sender = Sender { id: NodeId(99), head, max: Version(0) };
    let message = Message { sender, exchange: 7, body: Body::Ack2(News { deltas, ..News::default() }) };
    sim.inject(to, Place(200).address(), &Seal::new("test").encode(&message));
}

/// Whatever a stranger says of a node that runs, those that hear from it keep it, and others know it again once it refuted that.
#[test]
fn a_strangers_certificate_does_not_silence_a_living_node() {
    let mut sim = Simulation::new(40);
    sim.check();
    let nodes = cluster(&mut sim, 6, &config());
    sim.run(10 * SECOND);
    let victim = nodes[2];
    let newcomer = sim.start("newcomer", config(), &[nodes[0]]);
    for (beyond, until) in [(0, 3_600), (50, 3_600), (50, 20 * 365 * 24 * 3_600)] {
        let core = sim.core(victim);
        let heartbeat = Heartbeat(core.heartbeat().0 + beyond);
        let head = Head { generation: core.generation(), heartbeat };
        let (entered, until) = (Moment::default(), Moment::from_micros(until * 1_000_000));
        let name = sim.name(victim).clone();
        let delta = Delta::forgotten(name.id(), Certificate { name, head, entered, until });
        nodes.iter().chain([&newcomer]).for_each(|&to| inject(&mut sim, to, vec![delta.clone()]));
        let keeps = |sim: &Simulation| nodes.iter().chain([&newcomer]).all(|&place| live(sim, place) == 7);
        sim.until(MINUTE, keeps).expect("all believe that all run");
        sim.run(20 * SECOND);
        assert!(keeps(&sim), "all keep it");
    }
    assert!(sim.core(victim).heartbeat() > Heartbeat(50));
    assert!(sim.is_equal() && sim.broken().is_none(), "{:?}", sim.broken());
}

/// No number of certificates of nodes that nobody knows takes more room than is configured, and all of it is given back.
#[test]
fn strangers_certificates_are_bounded() {
    let mut sim = Simulation::new(41);
    let config = Config { max_nodes: 50, ..brief() };
    let nodes = cluster(&mut sim, 3, &config);
    for number in 0..200 {
        let name = NodeName::new(&format!("nobody-{number}")).unwrap();
        let head = Head { generation: sim.core(nodes[0]).generation(), heartbeat: Heartbeat(number) };
        let (entered, until) = (Moment::default(), Moment::from_micros(Moment::NEVER.as_micros() >> 20));
        inject(
            &mut sim,
            nodes[0],
            vec![Delta::forgotten(name.id(), Certificate { name, head, entered, until })],
        );
    }
    let held =
        |sim: &Simulation| nodes.iter().map(|&place| sim.core(place).load(sim.moment()).certificates).max();
    assert_eq!(held(&sim), Some(50));
    sim.run(2 * brief().forget_after + MINUTE);
    assert_eq!(held(&sim), Some(0), "they end when this node's own would");
    assert!(knows_all(&sim, &nodes) && sim.is_equal());
}
