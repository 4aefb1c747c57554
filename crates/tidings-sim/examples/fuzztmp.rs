use std::time::Instant;
fn main() {
    let a: Vec<u64> = std::env::args().skip(1).map(|x| x.parse().unwrap()).collect();
    if a[0] == 999 {
        let s = tidings_sim::scenario::Scenario::parse(include_str!("../benches/weather.toml")).unwrap();
        let s = tidings_sim::scenario::Scenario { nodes: 64, fanout: 1, ..s };
        let t = Instant::now();
        let o = tidings_sim::scenario::run(&s);
        println!("{:?} {:?} {:?}", t.elapsed(), o.counts, o.coverage);
        return;
    }
    let t = Instant::now();
    let mut fails = 0;
    let mut sim = 0.0;
    let mut cov = std::collections::BTreeMap::new();
    let mut by = std::collections::BTreeMap::<String, Vec<u64>>::new();
    for seed in a[0]..a[1] {
        let s = tidings_sim::swarm::draw(seed);
        if a.len() > 2 {
            println!("{}", s.to_toml());
            let (o, tr) = tidings_sim::scenario::run_with_trace(&s);
            if a.len() > 3 {
                println!("{tr}");
            }
            println!("{:?}", o.broken);
            continue;
        }
        let t1 = Instant::now();
        std::fs::write("/tmp/seed", seed.to_string()).unwrap();
        let o = tidings_sim::scenario::run(&s);
        let e = t1.elapsed().as_secs_f64();
        if e > 2.0 {
            println!("slow {seed} n={} {e}", s.nodes);
        }
        sim += o.simulated.as_secs_f64();
        for (k, v) in o.coverage {
            *cov.entry(k).or_insert(0u64) += v;
        }
        if let Some(b) = o.broken {
            fails += 1;
            by.entry(b.promise.to_string()).or_default().push(seed);
            if fails < 40 {
                println!(
                    "seed {seed} n={} mode={:?} {:?} at {:?} {:?}: {}",
                    s.nodes,
                    s.mode,
                    b.promise,
                    b.at,
                    b.place.map(|p| p.0),
                    b.what
                );
            }
        }
    }
    println!("{fails} fails, {:?}, {:.0} sim s", t.elapsed(), sim);
    println!("{cov:?}");
    for (k, v) in by {
        println!("{k}: {} {:?}", v.len(), &v[..v.len().min(12)]);
    }
}
