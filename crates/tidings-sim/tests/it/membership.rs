//! Who is known, and who is believed to run, when much happens at once: incidents that others report, as counts.

use std::time::Duration;

use tidings_core::{Config, EventKind, Gossiper, Moment, Standing};
use tidings_sim::{Arrivals, Links, Place, Rule, Share, Simulation, Trouble};

use crate::{SECOND, config};

/// A cluster on a local network that has known itself for a while.
fn lan(seed: u64, nodes: usize, config: &Config) -> (Simulation, Vec<Place>) {
    let mut sim = Simulation::new(seed);
    sim.network.latency = (SECOND / 2_000, SECOND * 3 / 2_000);
    let places = sim.start_acquainted(nodes, config);
    sim.run(20 * SECOND + u32::try_from(seed % 10).unwrap() * SECOND / 10);
    (sim, places)
}

/// How often anybody convicted a node that is none of `ill`, since `since`.
fn convictions_but(sim: &Simulation, ill: &[Place], since: Moment) -> usize {
    let ill: Vec<_> = ill.iter().map(|&place| sim.name(place)).collect();
    let at = |place: Place| {
        let events = sim.events(place).iter().filter(|(at, _)| *at >= since);
        let convicts = |kind: &EventKind| matches!(kind, EventKind::Unreachable { .. });
        events.filter(|(_, event)| convicts(&event.kind) && !ill.contains(&&event.node)).count()
    };
    sim.places().into_iter().map(at).sum()
}

fn until_all_take_for(sim: &mut Simulation, of: Place, by: &[Place], standing: Standing) -> Vec<f64> {
    let name = sim.name(of).clone();
    let holds = |core: &Gossiper| {
        core.state(&name, Moment::default()).is_some_and(|state| state.member.standing == standing)
    };
    let times = sim.until_each(by, 120 * SECOND, holds);
    assert_eq!(times.len(), by.len(), "all come to it");
    times.iter().map(Duration::as_secs_f64).collect()
}

/// All convict a crashed node as soon as the first one does, also where a quarter of all messages is lost, for a few messages
/// each.
#[test]
fn all_see_a_crash_at_once_at_any_loss() {
    for (loss, most) in [(0, 30.0), (250, 60.0)] {
        let mut beside = 0.0;
        for seed in 0..4_u64 {
            let (mut sim, places) = lan(seed, 128, &config());
            sim.network.loss = Share(loss);
            sim.run(30 * SECOND);
            let victim = places[usize::try_from(seed).unwrap() * 13];
            let others: Vec<_> = places.iter().copied().filter(|&place| place != victim).collect();
            let before = sim.counts();
            sim.crash(victim);
            let times = until_all_take_for(&mut sim, victim, &others, Standing::Unreachable);
            let (first, last) = (times[0], times[times.len() - 1]);
            assert!(first >= 2.0 && last - first < 0.5, "seed {seed}, loss {loss}: {first} to {last}");
            let counts = sim.counts() - before;
            beside += (counts.syns + counts.help + counts.pushes) as f64 / 128.0 - last;
        }
        println!("loss {loss}: {:.1} messages of each node", beside / 4.0);
        assert!(beside / 4.0 <= most, "{:.1} messages of each node", beside / 4.0);
    }
}

/// S14: two halves that saw nothing of each other for sixty intervals are one again within five rounds, or within three where
/// each begins three exchanges: all hold the same and take each other for live.
#[test]
fn s14_halves_are_one_again_within_a_few_rounds() {
    for (fanout, goal) in [(1, 5.0), (3, 3.0)] {
        let mut sum = 0.0;
        for seed in 0..6 {
            let mut sim = Simulation::new(1_400 + seed);
            sim.network.latency = (SECOND / 10, SECOND / 10);
            let places = sim.start_warm(40, &Config { fanout, ..config() });
            let (one, other) = places.split_at(20);
            sim.network.part(one, other);
            sim.run(30 * SECOND);
            places.iter().for_each(|&place| sim.set(place, "key", "value"));
            sim.run(30 * SECOND + u32::try_from(seed).unwrap() * SECOND / 6);
            sim.network.heal();
            sum += sim.until(60 * SECOND, Simulation::is_equal).expect("they are one again").as_secs_f64();
        }
        println!("fan-out {fanout}: {:.2} intervals", sum / 6.0);
        assert!(sum / 6.0 <= goal, "fan-out {fanout}: {:.2} intervals", sum / 6.0);
    }
}

/// M14: a node that all gave up, and that is back, is back for all as soon as a write would be known to all, twice that at
/// most.
#[test]
fn m14_a_return_is_news_for_all() {
    for (seed, nodes) in [(0, 250), (1, 250), (2, 1_000)] {
        let (mut sim, places) = lan(seed, nodes, &config());
        let (lost, others) = (places[7], [&places[..7], &places[8..]].concat());
        sim.network.part(&[lost], &others);
        until_all_take_for(&mut sim, lost, &others, Standing::Unreachable);
        sim.run(10 * SECOND);
        sim.network.heal();
        let times = until_all_take_for(&mut sim, lost, &others, Standing::Live);
        let last = times[times.len() - 1];
        assert!(last <= 2.0 * 7.7, "seed {seed}: {last}");
        assert!(last - times[0] < 0.5, "seed {seed}: once one knows it, all do: {} to {last}", times[0]);
    }
}

/// A newcomer to many takes none of them for dead, though their heads are old where there are many.
#[test]
fn a_newcomer_to_many_takes_none_for_dead() {
    let (mut sim, places) = lan(3, 600, &config());
    sim.run(20 * SECOND);
    let newcomer = sim.start("newcomer", config(), &[places[0]]);
    sim.until(20 * SECOND, |sim| sim.core(newcomer).counts()[0] == (Standing::Live, 601))
        .expect("it knows all");
    sim.run(10 * SECOND);
    assert_eq!(convictions_but(&sim, &[], Moment::default()), 0);
}

/// M12, smaller: all that start at once with one seed know each other within fifteen intervals.
#[test]
fn m12_all_that_start_at_once_know_each_other_soon() {
    let mut sim = Simulation::new(12);
    let start = |number| sim.start(&format!("node-{number}"), config(), &[Place(0)]);
    let places: Vec<_> = (0..200).map(start).collect();
    let all_live = |core: &Gossiper| core.counts()[0] == (Standing::Live, 200);
    let times = sim.until_each(&places, 15 * SECOND, all_live);
    assert_eq!(times.len(), 200);
    assert_eq!(convictions_but(&sim, &[], Moment::default()), 0);
}

/// M8, smaller: nodes that run for a twentieth of each second convict nobody who is well, and no more do the others.
#[test]
fn m8_the_starved_do_no_harm_to_the_healthy() {
    let (mut sim, places) = lan(8, 50, &config());
    let since = sim.moment();
    for _ in 0..120 {
        places[..4].iter().for_each(|&place| sim.pause(place, Arrivals::Wait));
        sim.run(SECOND * 19 / 20);
        places[..4].iter().for_each(|&place| sim.resume(place));
        sim.run(SECOND / 20);
    }
    assert_eq!(convictions_but(&sim, &places[..4], since), 0);
}

/// M10, smaller: who loses four of five messages it sends harms nobody else.
#[test]
fn m10_the_lossy_do_no_harm_to_the_healthy() {
    let (mut sim, places) = lan(10, 100, &config());
    let since = sim.moment();
    let links = Links::from_to([places[0]], places.iter().copied());
    sim.network.impose(Rule { links, trouble: Trouble::Loss(Share(800)) });
    sim.run(300 * SECOND);
    assert_eq!(convictions_but(&sim, &places[..1], since), 0);
}

/// M11, smaller: who hears nothing for twenty seconds, and all for twenty, is heard all the time: nobody changes its mind more
/// than twice.
#[test]
fn m11_the_deaf_are_heard() {
    let (mut sim, places) = lan(11, 50, &config());
    let since = sim.moment();
    for _ in 0..3 {
        let links = Links::from_to(places.iter().copied(), places[..5].iter().copied());
        let rule = sim.network.impose(Rule { links, trouble: Trouble::Cut });
        sim.run(20 * SECOND);
        sim.network.lift(rule);
        sim.run(20 * SECOND);
    }
    let all = convictions_but(&sim, &[], since);
    println!("{all} convictions by {} pairs", 45 * 5);
    assert!(all <= 45 * 5, "{all} convictions by {} pairs", 45 * 5);
}
