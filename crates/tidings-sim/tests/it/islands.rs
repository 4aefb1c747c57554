//! Seeds, islands, and how they find each other.

use tidings_core::{Config, SeedRule};
use tidings_sim::{Place, Share, Simulation};

use crate::{MINUTE, SECOND, cluster, config, knows_all, live, standing};

/// Four seeds start at once; A hears only B at first, and C only D. Returns whether they are one cluster in the end.
fn four_seeds(seed: u64, rule: SeedRule) -> bool {
    let mut sim = Simulation::new(seed);
    let all: Vec<_> = (0..4).map(Place).collect();
    sim.network.part(&all[..2], &all[2..]);
    for name in ["a", "b", "c", "d"] {
        sim.start(name, Config { seed_rule: rule, ..config() }, &all);
    }
    sim.until(MINUTE, |sim| all.iter().all(|&node| live(sim, node) == 2)).expect("the pairs meet");
    sim.network.heal();
    sim.until(2 * MINUTE, |sim| knows_all(sim, &all)).is_some()
}

#[test]
fn seeds_never_end_in_two_islands() {
    for seed in 0..50 {
        assert!(four_seeds(seed, SeedRule::NoSeedOrFewLive), "seed {seed}");
    }
}

#[test]
fn without_the_second_clause_seeds_stay_on_two_islands() {
    for seed in 0..50 {
        assert!(!four_seeds(seed, SeedRule::NoSeed), "seed {seed}");
    }
}

/// R32: all start together, with several seeds, and nearly a third of all messages is lost.
#[test]
fn r32_a_mass_start_ends_in_one_cluster() {
    for seeds in 2..=5 {
        let mut sim = Simulation::new(32 + seeds as u64);
        sim.network.loss = Share(300);
        let list: Vec<_> = (0..seeds).map(Place).collect();
        let mut nodes = Vec::new();
        for n in 0..64 {
            nodes.push(sim.start(&format!("node-{n}"), config(), &list));
            sim.run(SECOND / 64);
        }
        sim.until(2 * MINUTE, |sim| knows_all(sim, &nodes))
            .unwrap_or_else(|| panic!("{seeds} seeds: islands"));
    }
}

/// R33: the first seed lists only itself, and others list different ones. The lists together connect all.
#[test]
fn r33_seed_lists_that_differ_make_one_cluster() {
    let mut sim = Simulation::new(33);
    let (a, b, c, d) = (Place(0), Place(1), Place(2), Place(3));
    for (name, seeds) in [("a", vec![a]), ("b", vec![b, a]), ("c", vec![b]), ("d", vec![d, c])] {
        sim.start(name, config(), &seeds);
    }
    sim.until(MINUTE, |sim| knows_all(sim, &[a, b, c, d])).expect("one cluster");
}

/// R34: a partition that lasts ten times as long as it takes to give the others up heals all the same.
#[test]
fn r34_a_long_partition_heals() {
    for seed in 0..10 {
        let mut sim = Simulation::new(340 + seed);
        let nodes = cluster(&mut sim, 10, &config());
        let (one, other) = nodes.split_at(5);
        sim.network.part(one, other);
        sim.run(5 * MINUTE);
        assert!(nodes.iter().all(|&node| live(&sim, node) == 5), "each side gave the other up");
        sim.set(one[1], "side", "one");
        sim.set(other[1], "side", "other");
        sim.run(MINUTE);
        sim.network.heal();
        sim.until(2 * MINUTE, |sim| knows_all(sim, &nodes) && sim.is_equal()).expect("they merge");
    }
}

/// R34: a node that lost everybody, its seed's address included, is found again by the others.
#[test]
fn r34_a_node_that_lost_all_its_peers_returns() {
    let mut sim = Simulation::new(34);
    let nodes = cluster(&mut sim, 4, &config());
    sim.network.part(&nodes[..1], &nodes[1..]);
    sim.until(5 * MINUTE, |sim| live(sim, nodes[0]) == 1).expect("it is alone");
    sim.run(5 * MINUTE);
    sim.network.heal();
    sim.until(MINUTE, |sim| knows_all(sim, &nodes)).expect("it returns");
    assert!(standing(&sim, nodes[3], nodes[0]).is_some());
}

/// R36: seeds that are down, that nothing comes back from, and that answer late: a newcomer joins by any that is left, and by
/// whichever comes back first if none is.
#[test]
fn r36_a_newcomer_joins_whatever_its_other_seeds_do() {
    for seed in 0..8_u64 {
        let mut sim = Simulation::new(360 + seed);
        sim.network.latency = (SECOND / 1_000, SECOND * u32::try_from(seed % 3).unwrap() + SECOND / 100);
        let nodes = cluster(&mut sim, 5, &config());
        let (down, blackhole, good) = (nodes[0], nodes[1], nodes[2]);
        sim.crash(down);
        let newcomer = Place(5);
        sim.network.part(&[blackhole], &[newcomer]);
        if seed >= 4 {
            sim.network.part(&[good], &[newcomer]);
        }
        assert_eq!(sim.start("newcomer", config(), &[down, blackhole, good]), newcomer);
        sim.run(MINUTE);
        if seed >= 4 {
            assert_eq!(live(&sim, newcomer), 1);
            sim.network.heal();
        }
        sim.until(MINUTE, |sim| live(sim, newcomer) == 5).unwrap_or_else(|| panic!("seed {seed}"));
        let known = |sim: &Simulation| nodes[1..].iter().all(|&node| live(sim, node) == 5);
        sim.until(MINUTE, known).expect("all know it");
    }
}
