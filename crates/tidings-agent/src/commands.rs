//! The commands that ask an agent one thing.

use std::io::{self, IsTerminal as _, Read as _};
use std::time::Duration;

use tidings::{NOTHING, Value};

use crate::body::{EntryBody, LeftBody, StateBody, StatusBody, TrafficBody, ValueBody, WrittenBody};
use crate::cli::{Lasts, Terms, To};
use crate::client::{Client, escape, key_path};
use crate::failure::{Exit, Failure};
use crate::output::{self, Column, Format, count, visible};
use crate::stamp::Tag;
use crate::suspected;

/// `tidings state`.
pub(crate) fn state(node: Option<&str>, to: &To) -> Result<(), Failure> {
    let client = client(to);
    let path = match node {
        Some(node) => format!("/v1/kv?owner={}", escape(node)),
        None => "/v1/kv".to_owned(),
    };
    let body = client.get(&path)?;
    output::list(to.print.output, &body, |nodes| {
        let status: StatusBody = output::understand(&client.get("/v1/status")?)?;
        Ok(state_table(&nodes, &status.name, node.is_some()))
    })
}

/// `tidings get`. For people it is the value alone: text as a line, other bytes as they are.
pub(crate) fn get(owner: &str, key: &str, to: &To) -> Result<(), Failure> {
    let body = client(to).get(&key_path(owner, key))?;
    if to.print.output != Format::Table {
        return output::line(&body);
    }
    let entry: EntryBody = output::understand(&body)?;
    let terminal = io::stdout().is_terminal();
    match &entry.value {
        ValueBody::Text(text) if terminal => output::line(&visible(text)),
        ValueBody::Text(text) => output::line(text),
        ValueBody::Base64(text) if terminal => output::line(&format!("(base64) {text}")),
        ValueBody::Base64(_) => {
            let not_base64 = |error| {
                Failure::new(
                    Exit::Refused,
                    format!("the agent sent a value that is not base64: {error}"),
                    "use an agent of the version of this command",
                )
            };
            output::bytes(&entry.value.to_bytes().map_err(not_base64)?)
        }
    }
}

/// `tidings set`.
pub(crate) fn set(key: &str, value: String, lasts: &Lasts, terms: &Terms, to: &To) -> Result<(), Failure> {
    let value = if value == "-" { read_stdin()? } else { value.into_bytes() };
    let path = path_with(terms, key, lasts);
    let expected = if lasts.if_absent { Some(Tag(NOTHING)) } else { terms.if_version };
    let body = client_with(terms, to).put(&path, &value, expected)?;
    output::one(to.print.output, &body, |written: WrittenBody| Ok(written_line(&written, "set")))
}

/// `tidings delete`.
pub(crate) fn delete(key: &str, terms: &Terms, to: &To) -> Result<(), Failure> {
    let body = client_with(terms, to).delete(&path_with(terms, key, &Lasts::default()), terms.if_version)?;
    output::one(to.print.output, &body, |written: WrittenBody| Ok(written_line(&written, "deleted")))
}

/// `tidings status`.
pub(crate) fn status(to: &To) -> Result<(), Failure> {
    let body = client(to).get("/v1/status")?;
    output::one(to.print.output, &body, |status| Ok(status_table(&status)))
}

/// `tidings leave`.
pub(crate) fn leave(to: &To) -> Result<(), Failure> {
    let body = client(to).post("/v1/leave")?;
    output::one(to.print.output, &body, |left: LeftBody| Ok(format!("{} has left the cluster", left.name)))
}

pub(crate) fn client(to: &To) -> Client {
    Client::new(to.api.clone(), PATIENCE)
}

/// A client that waits for as long as the owner has, and for the agent.
fn client_with(terms: &Terms, to: &To) -> Client {
    client(to).with_patience(PATIENCE.saturating_add(terms.wait))
}

fn path_with(terms: &Terms, key: &str, lasts: &Lasts) -> String {
    let duration = |length| escape(&humantime::format_duration(length).to_string()).to_string();
    let ttl = lasts.ttl.map_or_else(String::new, |ttl| format!("&ttl={}", duration(ttl)));
    let ephemeral = if lasts.ephemeral { "&ephemeral=true" } else { "" };
    format!("{}?wait={}{ttl}{ephemeral}", key_path(&terms.owner, key), duration(terms.wait))
}

/// Reads a value, and no more than a value may have.
fn read_stdin() -> Result<Vec<u8>, Failure> {
    let mut value = Vec::new();
    let limit = u64::try_from(Value::MAX_LEN).unwrap_or(u64::MAX);
    io::stdin().lock().take(limit.saturating_add(1)).read_to_end(&mut value).map_err(|error| {
        Failure::new(Exit::Refused, format!("stdin can't be read: {error}"), "give the value as an argument")
    })?;
    if value.len() <= Value::MAX_LEN {
        return Ok(value);
    }
    Err(Failure::new(
        Exit::Refused,
        format!("stdin has more than {limit} bytes, the most that a value may have"),
        "store the value elsewhere, and gossip where it is",
    ))
}

/// Keys, then what speaks against whom: against everybody in it if they were `asked_for` by name.
fn state_table(nodes: &[StateBody], me: &str, asked_for: bool) -> String {
    let columns =
        [Column::Left("OWNER"), Column::Left("KEY"), Column::Left("VALUE"), Column::Right("VERSION")];
    let entries = nodes.iter().flat_map(|node| &node.entries);
    let table = output::table(
        &columns,
        entries.clone().map(|entry| {
            vec![entry.owner.clone(), visible(&entry.key), brief(&entry.value), entry.version.to_string()]
        }),
    );
    let keys = count(entries.count(), "key");
    let suspected =
        suspected::table(nodes, asked_for).map_or_else(String::new, |table| format!("\n{table}\n\n"));
    format!("{table}\n{suspected}{keys} of {}, as seen by {me}", count(nodes.len(), "node"))
}

fn status_table(status: &StatusBody) -> String {
    let mut reasons: Vec<_> = status.warnings.iter().map(|warning| visible(warning)).collect();
    if status.unreachable > 0 {
        let (nodes, them) =
            (count(status.unreachable, "node"), if status.unreachable == 1 { "it" } else { "them" });
        reasons.push(format!(
            "{nodes} unreachable: see which by `tidings members`, and why by `tidings state NODE`; start {them} again, \
             or mend the network to {them}"
        ));
    }
    let mut lines = match reasons.len() {
        0 => vec!["all is well".to_owned()],
        number => vec![format!("not well, for {}:", count(number, "reason"))],
    };
    lines.extend(reasons.iter().map(|reason| format!("  ! {reason}")));
    let blocked = status.blocked_streams.iter();
    let blocked: Vec<_> =
        blocked.map(|blocked| format!("{} ({})", blocked.address, visible(&blocked.end))).collect();
    let dropped = status.dropped.iter().filter(|(_, number)| **number > 0);
    let dropped: Vec<_> = dropped.map(|(reason, number)| format!("{number} {}", visible(reason))).collect();
    let limit =
        status.write_limit.map_or("not limited".to_owned(), |most| format!("{most} bytes an interval"));
    let members = census(status.live, status.unreachable, status.departed);
    for (name, text) in [
        ("node", format!("{} in cluster {}", status.name, visible(&status.cluster))),
        ("generation", status.generation.to_string()),
        ("gossip", status.gossip.to_string()),
        ("api", status.api.to_string()),
        ("members", members),
        ("converged", if status.converged { "yes" } else { "not yet" }.to_owned()),
        ("digest", visible(&status.digest)),
        ("rounds", format!("{}, by {}", status.rounds, visible(&status.mode))),
        ("repairs", status.repairs.to_string()),
        ("writes", limit),
        ("disk", visible(&status.disk)),
        ("sent", traffic(&status.sent)),
        ("received", traffic(&status.received)),
        (
            "blocked",
            if blocked.is_empty() {
                "nothing".to_owned()
            } else {
                format!("streams to {}", blocked.join(", "))
            },
        ),
        ("dropped", if dropped.is_empty() { "nothing".to_owned() } else { dropped.join(" · ") }),
        ("version", visible(&status.version)),
    ] {
        lines.push(format!("{name:<10}  {text}"));
    }
    lines.join("\n")
}

pub(crate) fn census(live: usize, unreachable: usize, departed: usize) -> String {
    format!("{live} live · {unreachable} unreachable · {departed} departed")
}

fn traffic(traffic: &TrafficBody) -> String {
    let TrafficBody { datagrams, datagram_bytes, streams, stream_bytes } = traffic;
    format!("{datagrams} datagrams of {datagram_bytes} bytes · {streams} streams of {stream_bytes} bytes")
}

fn written_line(written: &WrittenBody, deed: &str) -> String {
    format!("{deed} {} of {}: version {}", visible(&written.key), written.owner, written.version)
}

/// A value on its line of a table.
pub(crate) fn brief(value: &ValueBody) -> String {
    match value {
        ValueBody::Text(text) => {
            let mut shown: String = visible(text).chars().take(BRIEF + 1).collect();
            if shown.chars().count() > BRIEF {
                shown.pop();
                shown.push('…');
            }
            shown
        }
        ValueBody::Base64(_) => format!("({} bytes)", value.to_bytes().map_or(0, |bytes| bytes.len())),
    }
}

/// How long to wait for an answer: an agent answers from memory, and a write from one fsync.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How much of a value a table shows, in characters.
const BRIEF: usize = 48;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use expect_test::expect;

    use crate::body::BlockedStreamBody;

    use super::*;

    #[test]
    fn state_shows_values_in_brief() {
        let entry = |key: &str, value| EntryBody {
            owner: "api-1".to_owned(),
            key: key.to_owned(),
            value,
            version: 7,
            generation: 1,
            ttl_ms: None,
            ephemeral: false,
        };
        let entries = vec![
            entry("a", ValueBody::Text("two\nlines".to_owned())),
            entry("b", ValueBody::Text("x".repeat(60))),
            entry("c", ValueBody::Base64("/wA=".to_owned())),
        ];
        let nodes =
            [StateBody { name: "api-1".to_owned(), generation: 1, max_version: 7, suspected: None, entries }];
        expect![[r#"
            OWNER  KEY  VALUE                                              VERSION
            api-1  a    two\nlines                                               7
            api-1  b    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…        7
            api-1  c    (2 bytes)                                                7
            3 keys of 1 node, as seen by api-2"#]]
        .assert_eq(&state_table(&nodes, "api-2", false));
    }

    #[test]
    fn status_begins_with_how_things_are() {
        let traffic = TrafficBody { datagrams: 10, datagram_bytes: 1280, streams: 0, stream_bytes: 0 };
        let mut status = StatusBody {
            name: "api-1".to_owned(),
            cluster: "tidings".to_owned(),
            version: "0.1.0".to_owned(),
            gossip: ([127, 0, 0, 1], 8434).into(),
            api: ([127, 0, 0, 1], 8435).into(),
            generation: 1,
            live: 5,
            unreachable: 0,
            departed: 0,
            converged: true,
            digest: "0123456789abcdef".to_owned(),
            rounds: 7,
            mode: "push-pull".to_owned(),
            repairs: 2,
            write_limit: Some(900),
            disk: "well".to_owned(),
            blocked_streams: vec![BlockedStreamBody {
                address: ([127, 0, 0, 1], 9).into(),
                end: "refused".to_owned(),
            }],
            sent: traffic.clone(),
            received: traffic,
            dropped: BTreeMap::from([("cluster".to_owned(), 3), ("checksum".to_owned(), 0)]),
            warnings: vec![],
        };
        assert_eq!(status_table(&status).lines().next(), Some("all is well"));
        status.warnings.push("something is odd: mend it".to_owned());
        status.unreachable = 1;
        expect![[r#"
            not well, for 2 reasons:
              ! something is odd: mend it
              ! 1 node unreachable: see which by `tidings members`, and why by `tidings state NODE`; start it again, or mend the network to it
            node        api-1 in cluster tidings
            generation  1
            gossip      127.0.0.1:8434
            api         127.0.0.1:8435
            members     5 live · 1 unreachable · 0 departed
            converged   yes
            digest      0123456789abcdef
            rounds      7, by push-pull
            repairs     2
            writes      900 bytes an interval
            disk        well
            sent        10 datagrams of 1280 bytes · 0 streams of 0 bytes
            received    10 datagrams of 1280 bytes · 0 streams of 0 bytes
            blocked     streams to 127.0.0.1:9 (refused)
            dropped     3 cluster
            version     0.1.0"#]]
        .assert_eq(&status_table(&status));
    }
}
