//! Which way news goes: push, pull, both, and a mixture.

use tidings_core::{Config, Mode, Mongering, Standing};
use tidings_sim::{Counts, Place, Share, Simulation};

use crate::{MINUTE, SECOND, config, knows_all, standing, text};

const MODES: [Mode; 3] = [Mode::PushPull, Mode::Push, Mode::Pull];

fn with(mode: Mode) -> Config {
    Config { mode, mongering: Mongering::Off, ..config() }
}

/// Two nodes that know and trust each other, of which the second begins something once a second, the first hardly ever.
fn a_pair(seed: u64, mode: Mode) -> (Simulation, [Place; 2]) {
    let mut sim = Simulation::new(seed);
    let idle = Config { interval: 100 * SECOND, threshold: 100.0, ..with(mode) };
    let ann = sim.start("ann", idle, &[]);
    let bob = sim.start("bob", Config { threshold: 100.0, ..with(mode) }, &[ann]);
    sim.run(5 * MINUTE);
    assert!(sim.is_equal() && knows_all(&sim, &[ann, bob]));
    (sim, [ann, bob])
}

/// The datagrams until `done`, and the shortest while after that lets answers arrive.
fn spent(sim: &mut Simulation, done: impl Fn(&Simulation) -> bool) -> Counts {
    let before = sim.counts();
    sim.until(MINUTE, done).expect("it comes to that");
    sim.run(SECOND / 100);
    sim.counts() - before
}

/// Push takes one message, pull two, push-pull three, and two where there is nothing to tell.
#[test]
fn an_exchange_takes_as_many_messages_as_its_mode_says() {
    for (mode, messages) in [(Mode::PushPull, 3), (Mode::Push, 1), (Mode::Pull, 2)] {
        let (mut sim, [ann, bob]) = a_pair(1, mode);
        if mode != Mode::Push {
            sim.set(ann, "color", "green");
        }
        if mode != Mode::Pull {
            sim.set(bob, "shape", "round");
        }
        let repairs = [ann, bob].map(|node| sim.core(node).repairs());
        let spent = spent(&mut sim, |sim| {
            let told = |viewer, owner, key| mode == Mode::Push || sim.value(viewer, owner, key).is_some();
            let taken = |viewer, owner, key| mode == Mode::Pull || sim.value(viewer, owner, key).is_some();
            told(bob, ann, "color") && taken(ann, bob, "shape")
        });
        assert_eq!(spent.messages(), messages, "{mode}: {spent:?}");
        assert_eq!([ann, bob].map(|node| sim.core(node).repairs()), repairs, "{mode}");
    }
}

#[test]
fn between_equals_a_round_takes_two_messages_or_one_push() {
    for (mode, messages) in [(Mode::PushPull, 2), (Mode::Push, 1), (Mode::Pull, 2)] {
        let (mut sim, _) = a_pair(2, mode);
        let before = sim.counts();
        sim.run(10 * SECOND);
        assert_eq!((sim.counts() - before).messages(), 10 * messages, "{mode}");
    }
}

/// What a push shows to be missing is pulled, at once, and counted apart.
#[test]
fn a_gap_that_a_push_shows_is_repaired_by_a_pull() {
    let (mut sim, [ann, bob]) = a_pair(3, Mode::Push);
    sim.network.loss = Share(1_000);
    sim.set(bob, "color", "green");
    // Not so long that ann's address would have to be proved again.
    sim.run(4 * MINUTE);
    assert!(sim.value(ann, bob, "color").is_none());
    let repairs = sim.core(ann).repairs();
    sim.network.loss = Share(0);
    let spent = spent(&mut sim, |sim| sim.value(ann, bob, "color").is_some());
    assert_eq!((spent.pushes, spent.syns, spent.acks, spent.ack2s), (1, 1, 1, 0));
    assert_eq!(sim.core(ann).repairs() - repairs, 1);
}

/// Clusters of one mode, and one of all three: all converge from a cold start, and stay calm, also where a quarter is lost.
#[test]
fn every_mode_converges_and_stays_calm() {
    let mixtures: [&[Mode]; 6] = [
        &MODES[..1],
        &MODES[1..2],
        &MODES[2..],
        &MODES,
        &[Mode::Push, Mode::Pull],
        &[Mode::PushPull, Mode::Push, Mode::Push, Mode::Push],
    ];
    for (seed, modes) in mixtures.into_iter().enumerate() {
        let mut sim = Simulation::new(100 + seed as u64);
        (sim.network.loss, sim.network.latency) = (Share(250), (SECOND / 1_000, SECOND / 50));
        let first = Place(0);
        let nodes: Vec<_> = (0..24)
            .map(|n| sim.start(&format!("node-{n}"), with(modes[n % modes.len()]), &[first]))
            .collect();
        sim.until(5 * MINUTE, |sim| knows_all(sim, &nodes)).expect("the cluster forms");
        for (turn, &node) in nodes.iter().enumerate() {
            sim.set(node, "turn", &turn.to_string());
        }
        sim.until(5 * MINUTE, Simulation::is_equal).unwrap_or_else(|| panic!("{modes:?}"));
        assert_eq!(text(&sim, nodes[3], nodes[9], "turn").as_deref(), Some("9"));
        sim.network.loss = Share(0);
        for &node in &nodes {
            sim.set(node, "turn", "last");
        }
        sim.until(MINUTE, Simulation::is_equal).unwrap_or_else(|| panic!("{modes:?}, without loss"));
        let since = sim.now();
        sim.run(30 * MINUTE);
        let calm = |node: &Place| {
            let convicts =
                |kind: &tidings_core::EventKind| matches!(kind, tidings_core::EventKind::Unreachable { .. });
            !sim.events(*node)
                .iter()
                .any(|(at, event)| at.since(tidings_core::Moment::default()) > since && convicts(&event.kind))
        };
        assert!(nodes.iter().all(calm), "{modes:?}");
        assert!(nodes.iter().all(|&node| sim.core(node).is_converged()), "{modes:?}");
    }
}

#[test]
fn a_crash_and_a_departure_are_seen_in_every_mode() {
    for (seed, mode) in MODES.into_iter().enumerate() {
        let mut sim = Simulation::new(200 + seed as u64);
        let nodes: Vec<_> =
            (0..8).map(|n| sim.start(&format!("node-{n}"), with(mode), &[Place(0)])).collect();
        sim.until(MINUTE, |sim| knows_all(sim, &nodes)).expect("the cluster forms");
        sim.run(MINUTE);
        sim.crash(nodes[5]);
        sim.leave(nodes[6]);
        let seen = |sim: &Simulation| {
            nodes[..5].iter().all(|&node| {
                standing(sim, node, nodes[5]) == Some(Standing::Unreachable)
                    && standing(sim, node, nodes[6]) == Some(Standing::Departed)
            })
        };
        sim.until(MINUTE, seen).unwrap_or_else(|| panic!("{mode}"));
    }
}

/// By push alone, a node that missed a write finds it in the windows, and does not say that it has all before.
#[test]
fn an_old_miss_comes_to_light_by_push_alone() {
    for seed in 0..5 {
        let mut sim = Simulation::new(300 + seed);
        let nodes = sim.start_warm(100, &Config { threshold: 100.0, patience: 1_000, ..with(Mode::Push) });
        sim.run(30 * SECOND);
        let others: Vec<_> = nodes.iter().copied().filter(|node| *node != nodes[5]).collect();
        sim.network.part(&[nodes[5]], &others);
        sim.set(nodes[9], "color", "green");
        sim.run(3 * MINUTE);
        sim.network.heal();
        let repairs = sim.core(nodes[5]).repairs();
        // Long enough for somebody to push there: not so in one of four hundred cases.
        sim.run(6 * SECOND);
        let mut seconds = 6;
        while sim.value(nodes[5], nodes[9], "color").is_none() {
            assert!(!sim.core(nodes[5]).is_converged(), "seed {seed}, after {seconds} s");
            assert!(seconds < 60, "seed {seed}");
            sim.run(SECOND);
            seconds += 1;
        }
        assert!(sim.core(nodes[5]).repairs() - repairs <= 2, "seed {seed}");
    }
}
