//! What a simulated node costs: processor time for each of its rounds, and memory for each node that it knows.
//!
//! `cargo bench -p tidings-sim` takes half a minute; `cargo bench -p tidings-sim -- 10000 1 20` is for 10,000 nodes, a
//! fan-out of 1, and 20 rounds, and takes 12 GiB of memory. Nobody writes or crashes; the one-way latency is between a
//! hundredth and a tenth of an interval. Then the same with the checker at every step, in fine
//! weather and in bad: with all faults.

use std::error::Error;
use std::process::Command;
use std::time::{Duration, Instant};

use tidings_core::Config;
use tidings_sim::Simulation;
use tidings_sim::scenario::{Scenario, run};

/// Nodes, fan-out, and rounds.
const SIZES: [[&str; 3]; 3] = [["64", "1", "7200"], ["100", "3", "1000"], ["1000", "1", "100"]];

const HEADINGS: &str =
    "   nodes  fan-out  start  us per node-round  times real time  hours per core-minute  bytes per pair";
const WEATHER: &str = "   nodes  fan-out  us per node-round  times real time  hours per core-minute";
/// Says that somebody else has printed the headings.
const ROW: &str = "--row";

const SECOND: Duration = Duration::from_secs(1);

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo adds options of its own.
    let (options, numbers): (Vec<_>, Vec<_>) =
        std::env::args().skip(1).partition(|word| word.starts_with("--"));
    if !options.iter().any(|option| option == ROW) {
        println!("{HEADINGS}");
    }
    if let [nodes, fanout, rounds] = &numbers[..] {
        return measure(nodes.parse()?, fanout.parse()?, rounds.parse()?);
    }
    for size in SIZES {
        // A process for each, so that none has the memory of another one.
        Command::new(std::env::current_exe()?).arg(ROW).args(size).status()?;
    }
    let bad = Scenario::parse(include_str!("weather.toml"))?;
    let fine = Scenario { steps: Vec::new(), drift: Vec::new(), tail: Duration::ZERO, ..bad.clone() };
    for (weather, scenario) in [("without faults", fine), ("with all faults", bad)] {
        println!("\nwith the checker, {weather}\n{WEATHER}");
        for (nodes, fanout) in [(64, 1), (100, 3)] {
            measure_weather(&Scenario { nodes, fanout, ..scenario.clone() })?;
        }
    }
    Ok(())
}

/// Runs ten minutes of weather, and the calm after it.
fn measure_weather(scenario: &Scenario) -> Result<(), Box<dyn Error>> {
    let (nodes, fanout) = (scenario.nodes, scenario.fanout);
    let begun = Instant::now();
    let start = processor(begun);
    let outcome = run(scenario);
    let took = (processor(begun) - start).as_secs_f64();
    if let Some(broken) = outcome.broken {
        return Err(format!("{} is broken: {}", broken.promise, broken.what).into());
    }
    let simulated = outcome.simulated.as_secs_f64();
    let faster = simulated / took;
    let each = 1e6 / (faster * f64::from(u32::try_from(nodes)?));
    println!("{nodes:>8}  {fanout:>7}  {each:>17.2}  {faster:>15.0}  {:>21.1}", faster / 60.0);
    Ok(())
}

fn measure(nodes: u32, fanout: usize, rounds: u32) -> Result<(), Box<dyn Error>> {
    let (before, begun) = (resident(), Instant::now());
    let mut sim = Simulation::new(7);
    sim.network.latency = (SECOND / 100, SECOND / 10);
    let start = processor(begun);
    sim.start_acquainted(nodes.try_into()?, &Config { fanout, ..Config::new("speed") });
    let started = processor(begun) - start;
    sim.run(5 * SECOND);
    let start = processor(begun);
    sim.run(rounds * SECOND);
    let took = processor(begun) - start;
    let faster = f64::from(rounds) / took.as_secs_f64();
    let each = took.as_secs_f64() * 1e6 / (f64::from(nodes) * f64::from(rounds));
    let pairs = f64::from(nodes) * f64::from(nodes);
    let memory = match (before, resident()) {
        (Some(before), Some(after)) => format!("{:.0}", (after - before) / pairs),
        _ => "unknown".to_owned(),
    };
    println!(
        "{nodes:>8}  {fanout:>7}  {:>4.1}s  {each:>17.2}  {faster:>15.0}  {:>21.1}  {memory:>14}",
        started.as_secs_f64(),
        faster / 60.0,
    );
    Ok(())
}

/// How long this thread has been on a processor, where the system says that: others may use it, too. Otherwise, how long
/// ago it began.
fn processor(begun: Instant) -> Duration {
    let nanos = std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|times| times.split_whitespace().next()?.parse().ok());
    nanos.map_or_else(|| begun.elapsed(), Duration::from_nanos)
}

/// The most bytes of memory that this process had so far, where the system says that.
fn resident() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? * 1024.0)
}
