//! `tidings wait`: returns when all that is asked holds at once.

use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::body::{EntryBody, StatusBody, ValueBody};
use crate::cli::WaitArgs;
use crate::client::{CallError, Client, key_path};
use crate::failure::{Exit, Failure};
use crate::output::{self, Format, visible};

/// The wish that a key shows a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyIs {
    owner: String,
    key: String,
    value: String,
}

/// What was asked, and how it stood at the last look.
#[derive(Debug, Serialize)]
struct Outcome {
    met: bool,
    after_ms: u128,
    conditions: Vec<Condition>,
}

/// One of the things asked.
#[derive(Debug, Serialize)]
struct Condition {
    asked: String,
    holds: bool,
    found: String,
}

impl FromStr for KeyIs {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let split = text.split_once('/').and_then(|(owner, rest)| Some((owner, rest.split_once('=')?)));
        match split {
            Some((owner, (key, value))) if !owner.is_empty() && !key.is_empty() => {
                Ok(Self { owner: owner.to_owned(), key: key.to_owned(), value: value.to_owned() })
            }
            _ => Err("not of the form OWNER/KEY=VALUE".to_owned()),
        }
    }
}

/// Looks until all holds, or the time is up.
pub(crate) fn run(args: &WaitArgs) -> Result<(), Failure> {
    let began = Instant::now();
    let client = Client::new(args.to.api.clone(), args.timeout);
    loop {
        let left = args.timeout.saturating_sub(began.elapsed());
        let look = look(args, &client.with_patience(left.max(LEAST_PATIENCE)));
        let up = args.timeout.saturating_sub(began.elapsed()).is_zero();
        match look {
            Ok(conditions) => {
                let met = conditions.iter().all(|condition| condition.holds);
                if met || up {
                    let outcome = Outcome { met, after_ms: began.elapsed().as_millis(), conditions };
                    return tell(&outcome, args);
                }
            }
            // It may be about to start.
            Err(Failure::Told { exit: Exit::Unreachable, .. }) if !up => {}
            Err(failure) => return Err(failure),
        }
        thread::sleep(PAUSE.min(args.timeout.saturating_sub(began.elapsed())));
    }
}

/// Asks the agent how everything stands.
fn look(args: &WaitArgs, client: &Client) -> Result<Vec<Condition>, Failure> {
    let mut conditions = Vec::new();
    if args.members.is_some() || args.converged {
        let status: StatusBody = output::understand(&client.get("/v1/status")?)?;
        if let Some(members) = args.members {
            conditions.push(Condition {
                asked: format!("{members} live"),
                holds: status.live == members,
                found: format!("{} live", status.live),
            });
        }
        if args.converged {
            conditions.push(Condition {
                asked: "converged".to_owned(),
                holds: status.converged,
                found: if status.converged { "converged" } else { "not converged" }.to_owned(),
            });
        }
    }
    for wish in &args.keys {
        conditions.push(look_at_key(wish, client)?);
    }
    Ok(conditions)
}

fn look_at_key(wish: &KeyIs, client: &Client) -> Result<Condition, Failure> {
    let value = match client.get(&key_path(&wish.owner, &wish.key)) {
        Ok(body) => Some(output::understand::<EntryBody>(&body)?.value),
        Err(CallError::Refused(problem)) if problem.status == 404 => None,
        Err(error) => return Err(error.into()),
    };
    let name = format!("{}/{}", visible(&wish.owner), visible(&wish.key));
    Ok(Condition {
        asked: format!("{name} = {}", visible(&wish.value)),
        holds: value == Some(ValueBody::Text(wish.value.clone())),
        found: match value {
            Some(ValueBody::Text(text)) => format!("{name} = {}", visible(&text)),
            Some(ValueBody::Base64(_)) => format!("{name} is no text"),
            None => format!("{name} is not there"),
        },
    })
}

fn tell(outcome: &Outcome, args: &WaitArgs) -> Result<(), Failure> {
    let Outcome { met, after_ms, conditions } = outcome;
    if args.to.print.output != Format::Table {
        output::line(&serde_json::to_string(outcome).expect("text and numbers are JSON"))?;
    }
    if *met {
        if args.to.print.output != Format::Table {
            return Ok(());
        }
        let found: Vec<_> = conditions.iter().map(|condition| condition.found.as_str()).collect();
        return output::line(&format!("{}, after {after_ms} ms", found.join(" · ")));
    }
    let open = conditions.iter().filter(|condition| !condition.holds);
    let open: Vec<_> = open.map(|open| format!("{} (asked: {})", open.found, open.asked)).collect();
    Err(Failure::new(
        Exit::Late,
        format!("not so within {}: {}", humantime::format_duration(args.timeout), open.join(" · ")),
        "look at `tidings status` for the cause, or allow more with --timeout",
    ))
}

/// How long to wait between two looks: short against an interval of gossip, long against a look.
const PAUSE: Duration = Duration::from_millis(50);

/// A last look gets a moment, so that a time-out tells how things stand.
const LEAST_PATIENCE: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<(String, String, String)> {
        text.parse::<KeyIs>().ok().map(|wish| (wish.owner, wish.key, wish.value))
    }

    #[test]
    fn a_wish_splits_at_the_first_slash_and_the_first_equals_sign_after_it() {
        let parts = |owner: &str, key: &str, value: &str| Some((owner.into(), key.into(), value.into()));
        assert_eq!(parse("api-1/port=80"), parts("api-1", "port", "80"));
        assert_eq!(parse("@self/a/b=c=d/e"), parts("@self", "a/b", "c=d/e"));
        assert_eq!(parse("a/k="), parts("a", "k", ""));
        for text in ["", "a", "a/k", "a=v", "/k=v", "a/=v"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
