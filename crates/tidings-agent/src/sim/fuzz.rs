//! `tidings sim fuzz`: the promises held against what seeds draw.

use std::fs;
use std::ops::Range;
use std::path::Path;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tidings_sim::swarm::{Campaign, Found, Report, Shard};

use super::{broken_body, hash};
use crate::cli::Print;
use crate::failure::{Exit, Failure};
use crate::output::{self, Column, Format, count};

/// The flags of `sim fuzz`.
#[derive(Debug, Args)]
pub(crate) struct FuzzArgs {
    /// The seeds, from the first one up to the second one, which is not among them
    #[arg(long, value_name = "A..B", value_parser = seeds)]
    seeds: Range<u64>,
    /// Run the K-th of N parts alone: a cluster's scheduler can share a campaign
    #[arg(long, value_name = "K/N", value_parser = shard)]
    shard: Option<Shard>,
    /// On how many threads [default: all cores]. It changes how long it takes, and nothing else
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    #[command(flatten)]
    print: Print,
}

/// How many seeds one campaign has at most.
const MOST: u64 = 1_000_000_000;

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let bounds = text.split_once("..").and_then(|(a, b)| Some(a.parse().ok()?..b.parse().ok()?));
    let seeds = bounds.filter(|seeds: &Range<u64>| !seeds.is_empty());
    let seeds = seeds.ok_or("give two numbers, the first one below the second, like 0..1000")?;
    if seeds.end - seeds.start > MOST {
        return Err(format!("that is more than {MOST} seeds: run them in several parts"));
    }
    Ok(seeds)
}

fn shard(text: &str) -> Result<Shard, String> {
    let parts = text.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
    let shard = parts.filter(|(number, of)| (1..=*of).contains(number));
    let shard = shard.map(|(number, of)| Shard { number, of });
    shard.ok_or_else(|| "give which part of how many, like 3/16".to_owned())
}

/// `tidings sim fuzz`.
pub(crate) fn run(args: &FuzzArgs) -> Result<(), Failure> {
    let mut campaign = Campaign::new(args.seeds.clone());
    campaign.shard = args.shard.unwrap_or_default();
    campaign.threads = args.threads.map_or(campaign.threads, usize::from);
    let bar = ProgressBar::new(campaign.len());
    let style = ProgressStyle::with_template("{elapsed:>4} {bar:24} {pos}/{len} seeds, {eta} left");
    bar.set_style(style.expect("the template is right"));
    let report = campaign.run(&|done| bar.set_position(done));
    bar.finish_and_clear();
    match args.print.output {
        Format::Table => output::line(&table(&report)?)?,
        Format::Json | Format::Jsonl => output::line(&body(&report).to_string())?,
    }
    judge(&report)
}

/// The command that runs a seed again, and tells what happens.
fn replay(seed: u64) -> String {
    format!("tidings sim replay {seed}")
}

fn body(report: &Report) -> Value {
    let failure = |found: &Found| {
        let mut body = broken_body(&found.broken);
        body["seed"] = found.seed.into();
        body["replay"] = replay(found.seed).into();
        body["is_smaller"] = found.is_shrunk.into();
        body["scenario"] = found.scenario.to_toml().into();
        body
    };
    json!({
        "seeds": report.seeds,
        "simulated_hours": report.simulated.as_secs_f64() / 3_600.0,
        "core_seconds": report.processor.as_secs_f64(),
        "coverage": report.coverage,
        "failures": report.failures.iter().map(failure).collect::<Vec<_>>(),
        "trace_hash": hash(report.trace_hash),
    })
}

fn table(report: &Report) -> Result<String, Failure> {
    let columns = [Column::Right("TIMES"), Column::Left("WHAT HAPPENED")];
    let rows = report.coverage.iter().map(|(name, count)| vec![count.to_string(), (*name).to_owned()]);
    let mut text = output::table(&columns, rows);
    let seconds = report.processor.as_secs_f64();
    #[allow(clippy::cast_precision_loss)] // Seeds are far fewer than a float counts.
    let each = seconds / (report.seeds.max(1)) as f64;
    text += &format!(
        "\n\n{} seeds, {:.1} hours simulated in {seconds:.1} core-seconds ({each:.3} each), trace {}",
        report.seeds,
        report.simulated.as_secs_f64() / 3_600.0,
        hash(report.trace_hash),
    );
    for found in &report.failures {
        text += &failure(found)?;
    }
    Ok(text)
}

fn failure(found: &Found) -> Result<String, Failure> {
    let (seed, broken) = (found.seed, &found.broken);
    let path = Path::new(super::FOLDER).join(format!("seed-{seed}.toml"));
    let write = || {
        fs::create_dir_all(super::FOLDER)?;
        fs::write(&path, found.scenario.to_toml())
    };
    write().map_err(|error| {
        let fact = format!("{} can't be written: {error}", path.display());
        Failure::new(Exit::Refused, fact, "run it where you may write, or with -o json")
    })?;
    Ok(format!(
        "\n\nseed {seed} breaks {}\n  replay: {}\n  {}: {}, for `tidings sim run`",
        super::tell(broken),
        replay(seed),
        if found.is_shrunk { "smaller" } else { "scenario" },
        path.display(),
    ))
}

fn judge(report: &Report) -> Result<(), Failure> {
    let gaps = report.gaps();
    if !report.failures.is_empty() {
        let fact = format!("{} broke a promise", count(report.failures.len(), "seed"));
        return Err(Failure::new(Exit::Refused, fact, "replay one, and mend what broke it"));
    }
    if !gaps.is_empty() {
        let fact = format!("in {} seeds these never happened: {}", report.seeds, gaps.join(", "));
        return Err(Failure::new(Exit::Refused, fact, "the swarm must be made to draw them again"));
    }
    Ok(())
}
