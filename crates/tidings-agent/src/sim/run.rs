//! `tidings sim run` and `tidings sim replay`: one scenario, and its story.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tidings_sim::scenario::{self, Outcome, Scenario};
use tidings_sim::swarm;

use super::{broken_body, hash, tell};
use crate::cli::Print;
use crate::failure::{Exit, Failure};
use crate::output::{self, Column, Format};

/// The flags of `sim run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The scenario, in TOML
    file: String,
    /// Take all chance from this seed, and not from the file's
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    #[command(flatten)]
    print: Print,
}

/// The flags of `sim replay`.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// A seed of `sim fuzz`, or a scenario's file
    #[arg(value_name = "SEED|FILE")]
    what: String,
    /// Take all chance of a scenario's file from this seed, and not from the file's
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Tell what happens from then on
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    from: Option<Duration>,
    /// Tell what happens until then
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    to: Option<Duration>,
    /// Tell what happens at this node alone, by its number
    #[arg(long, value_name = "NUMBER")]
    node: Option<usize>,
    #[command(flatten)]
    print: Print,
}

/// Reads the scenario in `file`.
pub(super) fn read(file: &Path) -> Result<Scenario, Failure> {
    let text = fs::read_to_string(file).map_err(|error| {
        let fact = format!("{} can't be read: {error}", file.display());
        Failure::new(Exit::Usage, fact, "name a scenario's file; there are some in the folder scenarios")
    })?;
    Scenario::parse(&text).map_err(|error| {
        let fact = format!("{} is no scenario: {error}", file.display());
        Failure::new(
            Exit::Usage,
            fact,
            "correct the file; those in the folder scenarios show how it is written",
        )
    })
}

/// `tidings sim run`.
pub(crate) fn run(args: &RunArgs) -> Result<(), Failure> {
    let mut scenario = read(Path::new(&args.file))?;
    scenario.seed = args.seed.unwrap_or(scenario.seed);
    let outcome = scenario::run(&scenario);
    match args.print.output {
        Format::Table => output::line(&table(&scenario, &outcome))?,
        Format::Json | Format::Jsonl => output::line(&body(&scenario, &outcome).to_string())?,
    }
    tell_idle(&scenario, &outcome);
    judge(&scenario, &outcome, &again(&args.file, args.seed))
}

/// The command that tells the story of a file's run.
pub(super) fn again(file: &str, seed: Option<u64>) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    let file = if !file.is_empty() && file.chars().all(is_plain) {
        file.to_owned()
    } else {
        format!("'{}'", file.replace('\'', r"'\''"))
    };
    seed.map_or_else(
        || format!("tidings sim replay {file}"),
        |seed| format!("tidings sim replay {file} --seed {seed}"),
    )
}

/// Says which steps did nothing.
fn tell_idle(scenario: &Scenario, outcome: &Outcome) {
    for step in outcome.idle.iter().filter_map(|number| scenario.steps.get(*number)) {
        let (name, at) = (step.action.name(), humantime::format_duration(step.at));
        // With stderr closed there is nobody to tell.
        let _ = writeln!(
            io::stderr(),
            "note: the step of {at}, {name}, did nothing: its node was down, or up already, or refused it"
        );
    }
}

fn body(scenario: &Scenario, outcome: &Outcome) -> Value {
    let counts = outcome.counts;
    json!({
        "name": scenario.name,
        "seed": scenario.seed,
        "nodes": scenario.nodes,
        "simulated_ms": u64::try_from(outcome.simulated.as_millis()).unwrap_or(u64::MAX),
        "messages": counts.messages(),
        "bytes": counts.bytes,
        "copies": counts.entries,
        "largest": counts.largest,
        "syns": counts.syns,
        "acks": counts.acks,
        "ack2s": counts.ack2s,
        "pushes": counts.pushes,
        "help": counts.help,
        "pieces": counts.pieces,
        "streams": counts.streams,
        "stream_bytes": counts.stream_bytes,
        "refused": counts.refused,
        "lost": counts.lost,
        "coverage": outcome.coverage,
        "broken": outcome.broken.as_ref().map(broken_body),
        "trace_hash": hash(outcome.trace_hash),
    })
}

fn table(scenario: &Scenario, outcome: &Outcome) -> String {
    let Value::Object(body) = body(scenario, outcome) else { return String::new() };
    let numbers = body.into_iter().filter(|(name, value)| value.is_number() && name != "seed");
    let happened = outcome.coverage.iter().filter(|(_, count)| **count > 0);
    let happened = happened.map(|(name, count)| vec![count.to_string(), (*name).to_owned()]);
    let numbers = numbers.map(|(name, value)| vec![value.to_string(), name.replace('_', " ")]);
    let columns = [Column::Right("TIMES"), Column::Left("WHAT")];
    let verdict = outcome
        .broken
        .as_ref()
        .map_or("all promises kept".to_owned(), |broken| format!("breaks {}", tell(broken)));
    format!(
        "{}, seed {}\n\n{}\n\n{verdict}, trace {}",
        output::visible(&scenario.name),
        scenario.seed,
        output::table(&columns, numbers.chain(happened)),
        hash(outcome.trace_hash)
    )
}

pub(super) fn judge(scenario: &Scenario, outcome: &Outcome, again: &str) -> Result<(), Failure> {
    let Some(broken) = &outcome.broken else { return Ok(()) };
    let fact = format!("{} breaks {}", output::visible(&scenario.name), tell(broken));
    Err(Failure::new(Exit::Refused, fact, format!("`{again}` tells what happened before")))
}

/// `tidings sim replay`.
pub(crate) fn replay(args: &ReplayArgs) -> Result<(), Failure> {
    let mut scenario = match args.what.parse() {
        Ok(drawn) if args.seed.is_none() => swarm::draw(drawn),
        Ok(_) => {
            let fact = format!("{} draws its scenario with all chance in it", args.what);
            return Err(Failure::new(Exit::Usage, fact, "leave out --seed, or name a scenario's file"));
        }
        Err(_) => read(Path::new(&args.what))?,
    };
    scenario.seed = args.seed.unwrap_or(scenario.seed);
    let (outcome, trace) = scenario::run_with_trace(&scenario);
    let shown = |line: &&str| {
        let mut words = line.split_whitespace();
        let at = words.next().and_then(|at| at.parse().ok()).map(Duration::from_micros);
        let node = words.next().and_then(|node| node.parse::<usize>().ok());
        let is_in_time =
            at.is_none_or(|at| args.from.is_none_or(|from| at >= from) && args.to.is_none_or(|to| at <= to));
        is_in_time && args.node.is_none_or(|asked| node == Some(asked))
    };
    let lines: Vec<&str> = trace.lines().filter(shown).collect();
    match args.print.output {
        Format::Table => {
            output::line("          us NODE WHAT HAPPENS")?;
            lines.iter().try_for_each(|line| output::line(&output::visible(line)))?;
            let kept = || "all promises kept".to_owned();
            output::line(
                &outcome.broken.as_ref().map_or_else(kept, |broken| format!("breaks {}", tell(broken))),
            )?;
        }
        Format::Json | Format::Jsonl => {
            let broken = outcome.broken.as_ref().map(broken_body);
            let body = json!({ "trace_hash": hash(outcome.trace_hash), "broken": broken, "lines": lines });
            output::line(&body.to_string())?;
        }
    }
    judge(&scenario, &outcome, &again(&args.what, args.seed))
}
