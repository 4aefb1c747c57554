//! How what is new spreads at once.

use std::time::Duration;

use tidings_core::{Config, Mongering};
use tidings_sim::{Share, Simulation};

use crate::{MINUTE, SECOND};

#[test]
#[ignore]
fn explore() {
    for nodes in [128, 1000] {
        for loss in [0, 100, 250] {
            for mongering in ["ring", "ring+1"] {
                let mongering: Mongering = mongering.parse().unwrap();
                let runs = if nodes > 500 { 20 } else { 100 };
                let (mut lasts, mut t50s, mut copies, mut rumors, mut asks, mut bytes) =
                    (vec![], vec![], 0., 0., 0., 0.);
                for seed in 0..runs {
                    let mut sim = Simulation::new(seed);
                    sim.network.latency = (SECOND / 2000, SECOND * 3 / 2000);
                    let places = sim.start_acquainted(nodes, &Config { mongering, ..Config::new("rumors") });
                    sim.network.loss = Share(loss);
                    sim.run(SECOND * 6);
                    let before = sim.counts();
                    let writer = places[usize::try_from(seed).unwrap() % nodes];
                    let owner = sim.name(writer).clone();
                    sim.set(writer, "key", &"v".repeat(64));
                    let times = sim.until_each(&places, MINUTE, |core| core.value(&owner, "key").is_some());
                    assert_eq!(times.len(), nodes);
                    let counts = sim.counts() - before;
                    let last = times.last().unwrap().as_secs_f64();
                    lasts.push(last);
                    t50s.push(times[nodes / 2].as_secs_f64());
                    let n = nodes as f64;
                    copies += counts.entries as f64 / n;
                    rumors += counts.rumors as f64 / n;
                    asks += counts.asks as f64 / n;
                    bytes += counts.bytes as f64 / n - (last * 200.);
                }
                lasts.sort_by(f64::total_cmp);
                t50s.sort_by(f64::total_cmp);
                let r = runs as f64;
                let q = |v: &Vec<f64>, p: usize| v[(v.len() - 1) * p / 100] * 1000.;
                println!(
                    "{nodes:5} {loss:3} {mongering:20} t50 {:4.0} last {:4.0} p99 {:5.0} | copies {:.2} rumors {:.2} asks {:.2} bytes {:.0}",
                    q(&t50s, 50),
                    q(&lasts, 50),
                    q(&lasts, 99),
                    copies / r,
                    rumors / r,
                    asks / r,
                    bytes / r
                );
            }
        }
    }
    let _ = Duration::ZERO;
}
