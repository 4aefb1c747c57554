//! `tidings sim lab`: measured beside expected.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Serialize, Serializer};
use tidings::Mode;
use tidings_sim::lab::{Experiment, Findings, Lab, Param, Progress, Row, Spread, book, report};

use crate::cli::{Print, share};
use crate::failure::{Exit, Failure};
use crate::output::{self, Column, Format, count};

/// The flags of `sim lab`.
#[derive(Debug, Args)]
pub(crate) struct LabArgs {
    /// The experiment, or all of them
    #[arg(value_parser = names())]
    name: Name,
    /// Of `spread`: which ways news goes
    #[arg(long, value_name = "MODE", value_delimiter = ',', value_parser = mode)]
    mode: Vec<Mode>,
    /// Of `spread`: how many nodes there are
    #[arg(long, value_name = "NUMBER", value_delimiter = ',', value_parser = nodes)]
    nodes: Vec<usize>,
    /// Of `spread`: with how many others a node gossips in a round [default: 1]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(1..=32))]
    fanout: Option<u8>,
    /// Of `spread`: lose this share of all messages at random, from 0 to 0.9 [default: 0]
    #[arg(long, value_name = "SHARE", value_parser = share, allow_negative_numbers = true)]
    loss: Option<f64>,
    /// How often each thing is measured; by default as often as its accepted range needs
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    runs: Option<u32>,
    /// Where all chance comes from: the same number gives the same figures, on every machine
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed_number: u64,
    /// The folder that the report and the plots are written into [default: tidings-lab, and none with -o json or jsonl]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write no report
    #[arg(long, conflicts_with = "out")]
    no_report: bool,
    /// Write the book of results, Markdown, into this file, and its plots into a folder beside it
    #[arg(long, value_name = "FILE")]
    docs: Option<PathBuf>,
    #[command(flatten)]
    print: Print,
}

/// What to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    /// One experiment.
    One(Experiment),
    /// Each, one after the other.
    All,
}

/// A row, as programs see it.
#[derive(Debug, Serialize)]
struct RowBody<'a> {
    experiment: &'static str,
    #[serde(serialize_with = "params")]
    params: &'a Row,
    measured: f64,
    expected: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
    ok: bool,
}

/// The name that stands for all experiments.
const ALL: &str = "all";

use super::FOLDER;

fn names() -> impl clap::builder::TypedValueParser<Value = Name> {
    let names = Experiment::ALL.map(Experiment::name).into_iter().chain([ALL]);
    PossibleValuesParser::new(names).map(|name| name.parse().map_or(Name::All, Name::One))
}

fn mode(text: &str) -> Result<Mode, String> {
    let modes = [Mode::Push, Mode::Pull, Mode::PushPull];
    let mode = modes.into_iter().find(|mode| mode.to_string() == text);
    mode.ok_or_else(|| "give push, pull, push-pull, or several with commas".to_owned())
}

fn nodes(text: &str) -> Result<usize, String> {
    let nodes = text.parse().ok().filter(|nodes| (2..=10_000_000).contains(nodes));
    nodes.ok_or_else(|| "give a number from 2 to 10000000, or several with commas".to_owned())
}

/// `tidings sim lab`.
pub(crate) fn run(args: &LabArgs) -> Result<(), Failure> {
    let experiments = match args.name {
        Name::One(experiment) => vec![experiment],
        Name::All => Experiment::ALL.to_vec(),
    };
    let asked = asked(args)?;
    // Before anything is measured: that takes a while.
    let folder = folder(args);
    folder.into_iter().try_for_each(|folder| write(folder, || fs::create_dir_all(folder)))?;
    let findings = measure(args, &experiments, &asked)?;
    if args.print.output == Format::Json {
        let rows: Vec<_> = findings.iter().flat_map(|findings| &findings.rows).map(RowBody::from).collect();
        output::line(&json(&rows)?)?;
    }
    if let Some(folder) = folder {
        let path = write_report(folder, args, &findings)?;
        if args.print.output == Format::Table {
            output::line(&format!("report: {}, plots beside it", path.display()))?;
        }
    }
    if let Some(file) = &args.docs {
        write_book(file, args, &findings)?;
    }
    judge(&findings)
}

/// What of `spread` is asked.
fn asked(args: &LabArgs) -> Result<Spread, Failure> {
    let LabArgs { mode, nodes, fanout, loss, .. } = args;
    let is_plain = mode.is_empty() && nodes.is_empty() && fanout.is_none() && loss.is_none();
    if args.name != Name::One(Experiment::Spread) && !is_plain {
        return Err(Failure::new(
            Exit::Usage,
            "--mode, --nodes, --fanout and --loss are of the experiment spread alone",
            "leave them out, or experiment with `tidings sim lab spread`",
        ));
    }
    let default = Spread::default();
    Ok(Spread {
        modes: if mode.is_empty() { default.modes } else { mode.clone() },
        nodes: if nodes.is_empty() { default.nodes } else { nodes.clone() },
        fanout: fanout.map_or(default.fanout, usize::from),
        loss: loss.unwrap_or(default.loss),
    })
}

/// Where the report goes, if there is to be one: scripts are not surprised with files.
fn folder(args: &LabArgs) -> Option<&Path> {
    let usual = !args.no_report && args.print.output == Format::Table;
    args.out.as_deref().or_else(|| usual.then_some(Path::new(FOLDER)))
}

/// Makes the experiments, and prints each as soon as it is made, but for a JSON document, which is one.
fn measure(args: &LabArgs, experiments: &[Experiment], asked: &Spread) -> Result<Vec<Findings>, Failure> {
    let bar = ProgressBar::new(1);
    let style = ProgressStyle::with_template("{elapsed:>4} {bar:24} {pos}/{len} {msg}");
    bar.set_style(style.expect("the template is right"));
    let progress = |progress: &Progress<'_>| {
        if progress.done == 0 {
            bar.set_length(progress.runs as u64);
            bar.set_message(progress.what.to_owned());
        }
        bar.set_position(progress.done as u64);
    };
    let runs = args.runs.and_then(|runs| usize::try_from(runs).ok());
    let lab = Lab { seed: args.seed_number, runs, progress: &progress, ..Lab::default() };
    let mut all = Vec::new();
    for &experiment in experiments {
        let findings = match experiment {
            Experiment::Spread => lab.spread(asked),
            Experiment::Rumors
            | Experiment::Staleness
            | Experiment::Digest
            | Experiment::Detect
            | Experiment::Detection
            | Experiment::Heal
            | Experiment::Join => lab.run(experiment),
        };
        bar.suspend(|| show(args.print.output, &findings))?;
        all.push(findings);
    }
    bar.finish_and_clear();
    Ok(all)
}

fn show(format: Format, findings: &Findings) -> Result<(), Failure> {
    match format {
        Format::Table => output::line(&table(findings)),
        Format::Json => Ok(()),
        Format::Jsonl => findings.rows.iter().try_for_each(|row| output::line(&json(&RowBody::from(row))?)),
    }
}

fn table(findings: &Findings) -> String {
    let columns = findings.columns();
    let column = |title: &&'static str| match *title {
        "measured" | "expected" | "nodes" | "fanout" | "loss" => Column::Right(title),
        title => Column::Left(title),
    };
    let columns: Vec<_> = columns.iter().map(column).collect();
    let failures = match findings.failures() {
        0 => "all ok".to_owned(),
        failures => format!("{failures} NOT OK"),
    };
    let judged = findings.rows.iter().filter(|row| row.is_judged()).count();
    format!(
        "{}: {}\n\n{}\n\n{}: {}, {judged} of them judged, {failures}\n",
        findings.experiment,
        findings.experiment.text().what,
        output::table(&columns, findings.lines()),
        findings.experiment,
        count(findings.rows.len(), "row"),
    )
}

fn write_report(folder: &Path, args: &LabArgs, findings: &[Findings]) -> Result<PathBuf, Failure> {
    for (name, svg) in findings.iter().flat_map(Findings::pictures) {
        let path = folder.join(name);
        write(&path, || fs::write(&path, svg))?;
    }
    let name = match args.name {
        Name::One(experiment) => experiment.name(),
        Name::All => ALL,
    };
    let path = folder.join(name).with_extension("html");
    write(&path, || fs::write(&path, report(findings, args.seed_number)))?;
    Ok(path)
}

fn write_book(file: &Path, args: &LabArgs, findings: &[Findings]) -> Result<(), Failure> {
    let folder = file.with_extension("");
    write(&folder, || fs::create_dir_all(&folder))?;
    for (name, svg) in findings.iter().flat_map(Findings::pictures) {
        let path = folder.join(name);
        write(&path, || fs::write(&path, svg))?;
    }
    let pictures = folder.file_name().unwrap_or_default().to_string_lossy();
    write(file, || fs::write(file, book(findings, args.seed_number, &pictures)))
}

fn write(path: &Path, how: impl FnOnce() -> io::Result<()>) -> Result<(), Failure> {
    how().map_err(|error| {
        Failure::new(
            Exit::Refused,
            format!("{} can't be written: {error}", path.display()),
            "name another place with --out or --docs, or use --no-report",
        )
    })
}

fn judge(findings: &[Findings]) -> Result<(), Failure> {
    let rows: usize = findings.iter().map(|findings| findings.rows.len()).sum();
    match findings.iter().map(Findings::failures).sum() {
        0 => Ok(()),
        failures => Err(Failure::new(
            Exit::Refused,
            format!("{failures} of {} are out of what is accepted", count(rows, "row")),
            "see those that are not ok; few --runs leave much to chance, another --seed-number shows how much",
        )),
    }
}

fn json(body: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(body).map_err(|error| Failure::from(io::Error::from(error)))
}

fn params<S: Serializer>(row: &Row, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(row.params.iter().map(|(name, param)| (name, ParamBody::from(param))))
}

/// A setting, as programs see it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum ParamBody<'a> {
    Word(&'a str),
    Whole(u64),
    Real(f64),
}

impl<'a> From<&'a Param> for ParamBody<'a> {
    fn from(param: &'a Param) -> Self {
        match param {
            Param::Word(word) => Self::Word(word),
            Param::Whole(number) => Self::Whole(*number),
            Param::Real(number) => Self::Real(*number),
        }
    }
}

impl<'a> From<&'a Row> for RowBody<'a> {
    fn from(row: &'a Row) -> Self {
        Self {
            experiment: row.experiment.name(),
            params: row,
            measured: row.measured,
            expected: row.expected,
            low: row.low,
            high: row.high,
            ok: row.ok(),
        }
    }
}
