//! `tidings sim compare`: what scenarios take, beside what they took.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tidings_sim::scenario;

use super::run::{again, judge, read};
use crate::cli::Print;
use crate::failure::{Exit, Failure};
use crate::output::{self, Column, Format};

/// The flags of `sim compare`.
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// The folder of the scenarios, and of what they took: baseline.toml
    #[arg(value_name = "DIR", default_value = "scenarios")]
    folder: PathBuf,
    /// Put down what they take now
    #[arg(long)]
    update: bool,
    /// By how many per cent a figure may differ
    #[arg(long, value_name = "PER CENT", default_value_t = 5.0, value_parser = tolerance)]
    tolerance: f64,
    #[command(flatten)]
    print: Print,
}

fn tolerance(text: &str) -> Result<f64, String> {
    let number = text.trim_end_matches('%').parse().ok();
    number.filter(|number| (0.0..=1_000.0).contains(number)).ok_or_else(|| "give a number like 5".to_owned())
}

/// What each scenario took, by its file's name.
type Baseline = BTreeMap<String, Figures>;

/// What a scenario takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Figures {
    /// Intervals, until all has come true, and the calm after that.
    rounds: u64,
    messages: u64,
    bytes: u64,
    copies: u64,
    streams: u64,
}

/// One figure beside what it was.
struct Compared {
    scenario: String,
    figure: &'static str,
    before: Option<u64>,
    now: u64,
}

impl Figures {
    fn of(file: &Path) -> Result<Self, Failure> {
        let scenario = read(file)?;
        let outcome = scenario::run(&scenario);
        judge(&scenario, &outcome, &again(&file.to_string_lossy(), None))?;
        let rounds = outcome.simulated.as_millis() / scenario.interval.as_millis().max(1);
        Ok(Self {
            rounds: u64::try_from(rounds).unwrap_or(u64::MAX),
            messages: outcome.counts.messages(),
            bytes: outcome.counts.bytes,
            copies: outcome.counts.entries,
            streams: outcome.counts.streams,
        })
    }

    fn each(self) -> [(&'static str, u64); 5] {
        let Self { rounds, messages, bytes, copies, streams } = self;
        [
            ("rounds", rounds),
            ("messages", messages),
            ("bytes", bytes),
            ("copies", copies),
            ("streams", streams),
        ]
    }
}

impl Compared {
    /// By how many per cent it differs; `None` if there was nothing before.
    #[allow(clippy::cast_precision_loss)] // Counts of a short run.
    fn difference(&self) -> Option<f64> {
        let before = self.before?;
        Some((self.now as f64 - before as f64) / (before.max(1)) as f64 * 100.0)
    }
}

/// `tidings sim compare`.
pub(crate) fn run(args: &CompareArgs) -> Result<(), Failure> {
    let path = args.folder.join("baseline.toml");
    let mut now = Baseline::new();
    for file in files(&args.folder)? {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        now.insert(name, Figures::of(&file)?);
    }
    if args.update {
        let text = toml::to_string(&now).map_err(|error| unwritable(&path, &error.to_string()))?;
        fs::write(&path, text).map_err(|error| unwritable(&path, &error.to_string()))?;
    }
    let before = baseline(&path)?;
    if let Some(gone) = before.keys().find(|name| !now.contains_key(*name)) {
        let fact = format!("{} has {gone}, and there is no {gone}.toml", path.display());
        return Err(Failure::new(
            Exit::Refused,
            fact,
            "bring the file back, or put down what is there with --update",
        ));
    }
    let all: Vec<_> = now.iter().flat_map(|(name, now)| compared(name, *now, before.get(name))).collect();
    match args.print.output {
        Format::Table => output::line(&table(&all))?,
        Format::Json => output::line(&json!(all.iter().map(body).collect::<Vec<_>>()).to_string())?,
        Format::Jsonl => all.iter().try_for_each(|c| output::line(&body(c).to_string()))?,
    }
    let is_off = |c: &&Compared| c.difference().is_none_or(|difference| difference.abs() > args.tolerance);
    match all.iter().filter(is_off).count() {
        0 => Ok(()),
        off => Err(Failure::new(
            Exit::Refused,
            format!(
                "{off} of {} figures differ by more than {} % from {}",
                all.len(),
                args.tolerance,
                path.display()
            ),
            "find out why; where it is meant, put down the new ones with --update",
        )),
    }
}

fn body(c: &Compared) -> Value {
    json!({
        "scenario": c.scenario, "figure": c.figure, "before": c.before, "now": c.now,
        "difference_percent": c.difference(),
    })
}

fn compared(name: &str, now: Figures, before: Option<&Figures>) -> Vec<Compared> {
    let before = before.map(|before| before.each());
    let figures = now.each().into_iter().enumerate();
    let one = |(place, (figure, now)): (usize, (&'static str, u64))| Compared {
        scenario: name.to_owned(),
        figure,
        before: before.map(|before| before[place].1),
        now,
    };
    figures.map(one).collect()
}

fn table(all: &[Compared]) -> String {
    let columns = [
        Column::Left("SCENARIO"),
        Column::Left("FIGURE"),
        Column::Right("BEFORE"),
        Column::Right("NOW"),
        Column::Right("DIFFERENCE"),
    ];
    let row = |c: &Compared| {
        let before = c.before.map_or_else(|| "-".to_owned(), |before| before.to_string());
        let difference = c.difference().map_or_else(|| "new".to_owned(), |d| format!("{d:+.1} %"));
        vec![c.scenario.clone(), c.figure.to_owned(), before, c.now.to_string(), difference]
    };
    output::table(&columns, all.iter().map(row))
}

/// The scenarios of a folder, by name.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |error: std::io::Error| {
        let fact = format!("{} can't be read: {error}", folder.display());
        Failure::new(Exit::Usage, fact, "name a folder of scenarios")
    };
    let entries = fs::read_dir(folder).map_err(unreadable)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>();
    let is_scenario = |path: &PathBuf| {
        path.extension().is_some_and(|end| end == "toml") && path.file_stem() != Some("baseline".as_ref())
    };
    let mut files: Vec<_> = paths.map_err(unreadable)?.into_iter().filter(is_scenario).collect();
    files.sort();
    if files.is_empty() {
        let fact = format!("{} has no scenarios", folder.display());
        return Err(Failure::new(Exit::Usage, fact, "name a folder with files that end in .toml"));
    }
    Ok(files)
}

fn baseline(path: &Path) -> Result<Baseline, Failure> {
    let fix = "put down what the scenarios take now with --update";
    let text = fs::read_to_string(path).map_err(|error| {
        Failure::new(Exit::Usage, format!("{} can't be read: {error}", path.display()), fix)
    })?;
    toml::from_str(&text).map_err(|error| {
        Failure::new(
            Exit::Usage,
            format!("{} is no baseline: {}", path.display(), error.to_string().trim()),
            fix,
        )
    })
}

fn unwritable(path: &Path, error: &str) -> Failure {
    let fact = format!("{} can't be written: {error}", path.display());
    Failure::new(Exit::Refused, fact, "run it where you may write")
}
