//! Tells the demo's steps: as sentences with a live table beneath in a terminal, as plain lines, or as JSON.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

use serde::Serialize;

use crate::body::MemberBody;
use crate::demo::stage::{Figures, Stage};
use crate::failure::Failure;
use crate::output::{self, Column, Format, paint};

/// A step of the story.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Step {
    step: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    ms: u64,
    rounds: f64,
    datagrams: u64,
    bytes: u64,
    lost: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    processor_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_rounds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    theory: Option<&'static str>,
    said: String,
}

impl Step {
    /// A step with its sentence.
    pub(super) fn new(step: &'static str, said: String) -> Self {
        let (ms, rounds, datagrams, bytes, lost) = (0, 0.0, 0, 0, 0);
        Self {
            step,
            node: None,
            ms,
            rounds,
            datagrams,
            bytes,
            lost,
            processor_us: None,
            expected_rounds: None,
            theory: None,
            said,
        }
    }

    /// The node that the step happened on.
    pub(super) fn of(self, node: &str) -> Self {
        Self { node: Some(node.to_owned()), ..self }
    }

    /// What the act took up to this step.
    pub(super) fn measured(self, figures: Figures) -> Self {
        Self {
            ms: u64::try_from(figures.elapsed.as_millis()).unwrap_or(u64::MAX),
            rounds: tenths(figures.rounds),
            datagrams: figures.sent.datagrams,
            bytes: figures.sent.bytes,
            lost: figures.sent.lost,
            ..self
        }
    }

    /// How much processor time all nodes together took.
    pub(super) fn took(self, processor: Duration) -> Self {
        Self { processor_us: u64::try_from(processor.as_micros()).ok(), ..self }
    }

    /// How many rounds theory expects, and which theory.
    pub(super) fn expect(self, rounds: f64, theory: &'static str) -> Self {
        Self { expected_rounds: Some(tenths(rounds)), theory: Some(theory), ..self }
    }
}

/// Who tells.
pub(super) struct Teller {
    format: Format,
    /// Whether there is a live table.
    live: bool,
    colours: bool,
    acts: usize,
    /// What was sent in the present act, in datagrams and bytes, and how many datagrams were lost.
    sent: Option<(u64, u64, u64)>,
    /// The table on the screen.
    picture: String,
    told: Vec<Step>,
}

impl Teller {
    /// A teller in a format.
    pub(super) fn new(format: Format) -> Self {
        let live = format == Format::Table && io::stdout().is_terminal();
        Self {
            format,
            live,
            colours: output::colours(),
            acts: 0,
            sent: None,
            picture: String::new(),
            told: Vec::new(),
        }
    }

    /// Says what this is.
    pub(super) fn open(&mut self, said: &str) -> Result<(), Failure> {
        if self.format == Format::Table { self.say(said) } else { Ok(()) }
    }

    /// Says how it ended.
    pub(super) fn close(&mut self, said: &str) -> Result<(), Failure> {
        let end = self.end_of_act();
        if self.format == Format::Table { self.say(&format!("{end}\n{said}")) } else { Ok(()) }
    }

    /// Begins an act.
    pub(super) fn act(&mut self, step: Step) -> Result<(), Failure> {
        self.acts += 1;
        let line = format!("{}\n{}. {}", self.end_of_act(), self.acts, step.said);
        self.tell(step, Some(line))
    }

    /// Tells a step with its time, and what theory expects.
    pub(super) fn step(&mut self, step: Step) -> Result<(), Failure> {
        let mut line = timed(&step);
        if let (Some(rounds), Some(theory)) = (step.expected_rounds, step.theory) {
            let _ = write!(line, "\n   {:<50} {:>16.1} rounds", format!("theory: {theory}"), rounds);
        }
        self.sent = Some((step.datagrams, step.bytes, step.lost));
        self.tell(step, Some(line))
    }

    /// Tells that the `nth` of `all` nodes reached a step. To people, of many nodes only some.
    pub(super) fn arrival(&mut self, step: Step, nth: usize, all: usize) -> Result<(), Failure> {
        let worth_a_line = all <= FEW || nth.is_power_of_two() || nth == all;
        let line = worth_a_line.then(|| match all <= FEW {
            true => timed(&step),
            false => format!("{}  {nth} of {all}", timed(&step)),
        });
        self.tell(step, line)
    }

    /// Draws the live table, if there is one.
    pub(super) async fn draw(&mut self, stage: &Stage) -> Result<(), Failure> {
        if !self.live {
            return Ok(());
        }
        let picture = picture(stage, self.colours).await;
        let erase = self.erase();
        self.picture = picture;
        output::bytes(format!("{erase}{}", self.picture).as_bytes())
    }

    /// Prints what is owed at the end.
    pub(super) fn end(self) -> Result<(), Failure> {
        match self.format {
            Format::Table | Format::Jsonl => Ok(()),
            Format::Json => {
                output::line(&serde_json::to_string(&self.told).expect("text and numbers are JSON"))
            }
        }
    }

    fn tell(&mut self, step: Step, line: Option<String>) -> Result<(), Failure> {
        match self.format {
            Format::Table => line.map_or(Ok(()), |line| self.say(&line)),
            Format::Jsonl => output::line(&serde_json::to_string(&step).expect("text and numbers are JSON")),
            Format::Json => {
                self.told.push(step);
                Ok(())
            }
        }
    }

    /// The line that ends an act: what it took on the wire.
    fn end_of_act(&mut self) -> String {
        self.sent.take().map_or_else(String::new, |(datagrams, bytes, lost)| {
            let lost = if lost == 0 { String::new() } else { format!(", {lost} datagrams lost") };
            format!("   in all {datagrams} datagrams, {bytes} bytes{lost}\n")
        })
    }

    /// Prints above the live table.
    fn say(&mut self, line: &str) -> Result<(), Failure> {
        output::bytes(format!("{}{line}\n{}", self.erase(), self.picture).as_bytes())
    }

    /// What takes the live table off the screen.
    fn erase(&self) -> String {
        match self.picture.lines().count() {
            0 => String::new(),
            lines => format!("\u{1b}[{lines}A\r\u{1b}[J"),
        }
    }
}

/// A sentence with its time, in columns.
fn timed(step: &Step) -> String {
    format!("   {:<50} {:>6} ms  {:>5.1} rounds", step.said, step.ms, step.rounds)
}

/// The live table, with the terminal told not to wrap it: a wrapped line could not be erased.
async fn picture(stage: &Stage, colours: bool) -> String {
    let columns = [
        Column::Left("STATE"),
        Column::Left("NODE"),
        Column::Right("GENERATION"),
        Column::Right("KEYS"),
        Column::Right("ROUNDS"),
        Column::Right("SENT"),
        Column::Right("RECEIVED"),
    ];
    let statuses = stage.statuses().await;
    let members = stage.as_seen_by_the_seed().await;
    let rows = members.iter().rev().take(MOST_ROWS).rev().map(|member| {
        let member = MemberBody::from(member);
        let status = statuses.get(&member.name);
        let figure = |figure: Option<u64>| figure.map_or("-".to_owned(), |figure| figure.to_string());
        vec![
            member.state.as_str().to_owned(),
            member.name,
            member.generation.to_string(),
            member.keys.to_string(),
            figure(status.map(|status| status.rounds)),
            figure(status.map(|status| status.sent.datagrams)),
            figure(status.map(|status| status.received.datagrams)),
        ]
    });
    let table = output::table(&columns, rows);
    let mut picture = String::from("\u{1b}[?7l\n");
    for line in table.lines() {
        picture.push_str(&paint(line, colours));
        picture.push('\n');
    }
    let more = members.len().saturating_sub(MOST_ROWS);
    if more > 0 {
        let _ = writeln!(picture, "and {more} more");
    }
    let _ =
        writeln!(picture, "as seen by {}\u{1b}[?7h", stage.names().first().map_or("nobody", String::as_str));
    picture
}

fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

/// Up to how many nodes each arrival is told to people.
const FEW: usize = 16;

/// How many rows the live table has at most, so that it leaves room for the story.
const MOST_ROWS: usize = 10;
