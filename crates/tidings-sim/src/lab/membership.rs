//! Incidents of membership that papers report of others, in the full protocol: starved nodes, lossy ones, links that fail one
//! way, mass starts, returns.

use std::time::Duration;

use tidings_core::{Config, Gossiper, Standing};

use crate::lab::crew::Lab;
use crate::lab::detection::{cluster, convictions, row};
use crate::lab::protocol::INTERVAL;
use crate::lab::row::Row;
use crate::lab::sample::Sample;
use crate::{Arrivals, Links, Place, Rule, Share, Simulation, Trouble};

pub(crate) fn rows(lab: &Lab<'_>) -> Vec<Row> {
    let mut rows = stalled(lab);
    rows.extend([starved(lab), lossy(lab), one_way(lab)]);
    rows.extend(together(lab));
    rows.push(returned(lab));
    rows
}

/// Some of 128 nodes stall and run in turn, for as long as is drawn for each (the interval experiment of Dadgar, Phillips and
/// Currey 2018). How often others are convicted who are well: by anybody, and by those who are well.
fn stalled(lab: &Lab<'_>) -> Vec<Row> {
    const NODES: usize = 128;
    let mut rows = Vec::new();
    for ill in [1, 4, 16, 32] {
        let what = format!("detection, {ill} of {NODES} stall");
        let counts = lab.measure(&what, 6, |chance| {
            let (mut sim, places) = cluster(NODES, &Config::new("lab"), Share(0), chance);
            let since = sim.moment();
            let mut turns: Vec<_> = (0..ill).map(|_| (sim.now(), false)).collect();
            for _ in 0..240 {
                for (&place, (at, is_stalled)) in places.iter().zip(&mut turns) {
                    if sim.now() >= *at {
                        let span = Duration::from_millis(128 << chance.below(9));
                        (*at, *is_stalled) = (sim.now() + span, !*is_stalled);
                        if *is_stalled { sim.pause(place, Arrivals::Wait) } else { sim.resume(place) }
                    }
                }
                sim.run(INTERVAL / 2);
            }
            convictions(&sim, since, |place| place.0 >= ill) as f64
        });
        let params = vec![("nodes", NODES.into()), ("ill", ill.into())];
        let count = counts.iter().sum::<f64>();
        rows.push(
            row("stalling nodes", params, "convictions_of_the_healthy", count).expect(0.0).at_most(0.0),
        );
    }
    rows
}

/// Four of a hundred get a twentieth of a processor for five minutes: of each second they run for fifty milliseconds.
fn starved(lab: &Lab<'_>) -> Row {
    let counts = lab.measure("detection, 4 of 100 starve", 4, |chance| {
        let (mut sim, places) = cluster(100, &Config::new("lab"), Share(0), chance);
        let since = sim.moment();
        for _ in 0..300 {
            places[..4].iter().for_each(|&place| sim.pause(place, Arrivals::Wait));
            sim.run(INTERVAL * 19 / 20);
            places[..4].iter().for_each(|&place| sim.resume(place));
            sim.run(INTERVAL / 20);
        }
        convictions(&sim, since, |place| place.0 >= 4) as f64
    });
    let params = vec![("nodes", 100.into()), ("ill", 4.into())];
    row("starved nodes", params, "convictions_of_the_healthy", counts.iter().sum()).expect(0.0).at_most(0.0)
}

/// One node of a hundred loses four of five messages that it sends, for ten minutes.
fn lossy(lab: &Lab<'_>) -> Row {
    let counts = lab.measure("detection, 10 of 1000 are lossy", 1, |chance| {
        let (mut sim, places) = cluster(1_000, &Config::new("lab"), Share(0), chance);
        let since = sim.moment();
        let links = Links::from_to(places[..10].iter().copied(), places.iter().copied());
        sim.network.impose(Rule { links, trouble: Trouble::Loss(Share(800)) });
        sim.run(600 * INTERVAL);
        convictions(&sim, since, |place| place.0 >= 10) as f64
    });
    let params = vec![("nodes", 1_000.into()), ("ill", 10.into())];
    row("nodes that lose 80 %", params, "convictions_of_the_healthy", counts.iter().sum())
        .expect(0.0)
        .at_most(0.0)
}

/// Ten of a hundred hear nothing for twenty intervals, then all for twenty, and so on. How often each of the others changes its
/// mind of one of them.
fn one_way(lab: &Lab<'_>) -> Row {
    let changes = lab.measure("detection, 10 of 100 are deaf in turn", 4, |chance| {
        let (mut sim, places) = cluster(100, &Config::new("lab"), Share(0), chance);
        let since = sim.moment();
        for _ in 0..8 {
            let links = Links::from_to(places.iter().copied(), places[..10].iter().copied());
            let rule = sim.network.impose(Rule { links, trouble: Trouble::Cut });
            sim.run(20 * INTERVAL);
            sim.network.lift(rule);
            sim.run(20 * INTERVAL);
        }
        // Each conviction is followed by a return.
        2.0 * convictions(&sim, since, |place| place.0 < 10) as f64 / (90.0 * 10.0)
    });
    let params = vec![("nodes", 100.into()), ("ill", 10.into())];
    row("deaf for 20 of 40", params, "changes_of_view_per_pair", Sample::new(changes).mean()).at_most(2.0)
}

/// All start at once, and know the first alone.
fn together(lab: &Lab<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    for (nodes, runs) in [(1_000, 3), (2_000, 1)] {
        let what = format!("detection, {nodes} start at once");
        let runs = lab.measure(&what, runs, |chance| {
            let mut sim = Simulation::new(chance.word());
            sim.network.latency = (INTERVAL / 2_000, INTERVAL * 3 / 2_000);
            let start = |number| sim.start(&format!("node-{number}"), Config::new("lab"), &[Place(0)]);
            let places: Vec<_> = (0..nodes).map(start).collect();
            let all_live = |core: &Gossiper| core.counts()[0] == (Standing::Live, nodes);
            let times = sim.until_each(&places, 120 * INTERVAL, all_live);
            assert_eq!(times.len(), nodes, "all know all within 120 intervals");
            let received: Vec<_> = places.iter().map(|&place| sim.received(place) as f64).collect();
            let mean = received.iter().sum::<f64>() / nodes as f64;
            (times[nodes - 1].as_secs_f64(), received[0] / mean)
        });
        let of = |metric: &str, measured| {
            row("all start at once", vec![("nodes", nodes.into())], metric, measured)
        };
        rows.push(
            of("all_know_all_intervals", Sample::new(runs.iter().map(|run| run.0)).mean()).at_most(15.0),
        );
        rows.push(of(
            "datagram_bytes_at_the_seed_over_mean",
            Sample::new(runs.iter().map(|run| run.1)).mean(),
        ));
    }
    rows
}

/// A node that all believed dead is there again, with the life that it had: its link was cut.
fn returned(lab: &Lab<'_>) -> Row {
    const NODES: usize = 1_000;
    let times = lab.measure("detection, a return among 1000", 6, |chance| {
        let (mut sim, places) = cluster(NODES, &Config::new("lab"), Share(0), chance);
        let (lost, others) = (places[0], &places[1..]);
        sim.network.part(&[lost], others);
        let id = sim.id(lost);
        let given_up = |core: &Gossiper| core.standing(id) == Some(Standing::Unreachable);
        assert_eq!(sim.until_each(others, 120 * INTERVAL, given_up).len(), others.len(), "all give it up");
        sim.run(10 * INTERVAL);
        sim.network.heal();
        let is_back = |core: &Gossiper| core.standing(id) == Some(Standing::Live);
        let times = sim.until_each(others, 120 * INTERVAL, is_back);
        assert_eq!(times.len(), others.len(), "all take it back");
        times[times.len() - 1].as_secs_f64()
    });
    // Twice what a write takes to reach all, with one exchange an interval: 9.2 rounds.
    row("a return", vec![("nodes", NODES.into())], "known_by_all_intervals", Sample::new(times).mean())
        .at_most(18.4)
}
