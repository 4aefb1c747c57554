//! `tidings watch`: a line for each event, as it happens.

use std::io::BufRead;
use std::thread::sleep;
use std::time::Duration;

use crate::cli::To;
use crate::client::{CallError, Client, Stream, escape};
use crate::commands::{PATIENCE, brief};
use crate::event::EventBody;
use crate::failure::Failure;
use crate::output::{self, Format, visible};

/// Prints events until the reader of the output goes, or the agent does and stays away.
pub(crate) fn run(prefix: &str, to: &To) -> Result<(), Failure> {
    let client = Client::new(to.api.clone(), PATIENCE);
    let path = format!("/v1/events?prefix={}", escape(prefix));
    let mut place = Place::default();
    let mut answer = client.follow(&path, None)?;
    loop {
        place.print(answer, to.print.output)?;
        answer = again(&client, &path, &place.id)?;
    }
}

/// How far the reading is.
#[derive(Default)]
struct Place {
    id: String,
}

impl Place {
    /// Prints the events of `answer` until it breaks off.
    fn print(&mut self, answer: impl BufRead, format: Format) -> Result<(), Failure> {
        let (mut id, mut data) = (None, None);
        for line in answer.lines() {
            let Ok(line) = line else { return Ok(()) };
            if let Some(text) = line.strip_prefix("id: ") {
                id = Some(text.to_owned());
            } else if let Some(json) = line.strip_prefix("data: ") {
                data = Some(json.to_owned());
            } else if line.is_empty() {
                // Only what arrived whole counts: the rest comes again.
                data.take().map_or(Ok(()), |json: String| print(&json, format))?;
                self.id = id.take().unwrap_or(std::mem::take(&mut self.id));
            }
        }
        Ok(())
    }
}

fn print(json: &str, format: Format) -> Result<(), Failure> {
    match format {
        Format::Table => output::line(&sentence(&output::understand(json)?)),
        Format::Json | Format::Jsonl => output::line(json),
    }
}

/// Tries to go on after the event `id`, for a while.
fn again(client: &Client, path: &str, id: &str) -> Result<Stream, CallError> {
    let mut tries = 0;
    loop {
        // Also before the first: an agent that is about to end answers, and ends the answer at once.
        sleep(PAUSE);
        match client.follow(path, Some(id)) {
            Ok(answer) => return Ok(answer),
            Err(error) if tries == TRIES => return Err(error),
            Err(_) => tries += 1,
        }
    }
}

/// An event, for people.
fn sentence(event: &EventBody) -> String {
    let mut parts = vec![event.at.clone(), format!("{:<11}", visible(&event.kind)), visible(&event.node)];
    parts.extend(event.key.as_deref().map(visible));
    parts.extend(event.value.as_ref().map(brief));
    parts.extend(event.phi.map(|phi| format!("phi {phi:.1}")));
    parts.extend(event.cause.as_deref().map(visible));
    parts.extend(event.address.map(|address| address.to_string()));
    parts.extend(event.end.as_deref().map(visible));
    parts.extend(event.missed.map(|missed| format!("{missed} missed")));
    parts.join("  ")
}

/// How often to try to reach an agent that went away, and how long to wait in between: ten seconds together, enough for
/// a restart.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(250);
