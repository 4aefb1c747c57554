//! Asking the owner: through a node that both see, on terms, and across a restart.

use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::events::Events;
use crate::harness::{Agent, Answer, Done, http, tidings};

/// Who asks, who stands between, and who owns: the first and the last gossip with the one in the middle alone.
struct Line {
    requester: Agent,
    middle: Agent,
    owner: Agent,
}

impl Line {
    fn start(owner: &[&str]) -> Self {
        let middle = Agent::start("middle", &[]);
        let requester = Agent::start("requester", &["--neighbour", &middle.gossip.to_string()]);
        let owner = start_owner(&middle, owner);
        for agent in [&requester, &middle, &owner] {
            agent.wait_for_members(3);
        }
        Self { requester, middle, owner }
    }
}

fn start_owner(middle: &Agent, args: &[&str]) -> Agent {
    let neighbour = middle.gossip.to_string();
    let allowed = ["--neighbour", &neighbour, "--allow-requests", "config/*", "--allow-requests", "mode"];
    Agent::start("owner", &[&allowed[..], args].concat())
}

/// Asks over HTTP, with the header If-Match.
fn on_terms(agent: &Agent, method: &str, path: &str, tag: &str) -> Answer {
    let (host, terms) = (format!("Host: {}", agent.api), format!("If-Match: {tag}"));
    http(agent.api, &format!("{method} {path} HTTP/1.1"), &[&host, &terms], b"by terms")
}

/// The entity tag of a key.
fn tag(agent: &Agent, path: &str) -> String {
    let answer = agent.http("GET", path, b"");
    let line = answer.head.lines().find_map(|line| line.strip_prefix("etag: "));
    line.unwrap_or_else(|| panic!("no tag in {}", answer.head)).to_owned()
}

#[test]
fn a_request_goes_through_the_node_that_both_see() {
    let Line { requester, middle, owner } = Line::start(&[]);
    let said = requester.ok(&["set", "config/color", "green", "--owner", "owner"]);
    assert!(said.starts_with("set config/color of owner: version "), "{said}");
    assert_eq!(owner.ok(&["get", "@self", "config/color"]), "green\n");
    assert_eq!(requester.ok(&["get", "owner", "config/color"]), "green\n", "it comes with the answer");
    middle.wait_for_key("owner/config/color=green");
    let written = requester.json(&["set", "mode", "fast", "--owner", "owner"]);
    let shown = owner.json(&["get", "owner", "mode"]);
    for field in ["owner", "key", "version", "generation"] {
        assert_eq!(written[field], shown[field], "{field}");
    }
    let said = requester.ok(&["delete", "mode", "--owner", "owner"]);
    assert!(said.starts_with("deleted mode of owner: version "), "{said}");
    owner.run(&["get", "@self", "mode"]).failed(1, "has no key");
}

#[test]
fn a_refusal_is_exit_1_and_403_with_the_reason() {
    let Line { requester, middle: _between, owner } = Line::start(&[]);
    let refused = requester.run(&["set", "secret", "x", "--owner", "owner"]);
    refused.failed(1, "owner lets nobody ask for changes of \"secret\"");
    requester.http("PUT", "/v1/kv/owner/secret", b"x").is_problem(403, "refused");
    requester.http("DELETE", "/v1/kv/owner/config/none", b"").is_problem(404, "no-such-key");
    requester.http("PUT", "/v1/kv/nobody/k", b"x").is_problem(404, "no-such-node");
    requester.http("PUT", "/v1/kv/no%20name/k", b"x").is_problem(404, "no-such-node");
    requester.http("PUT", "/v1/kv/owner/tidings/x", b"x").is_problem(400, "bad-key");
    requester.http("PUT", "/v1/kv/owner/config/a?wait=soon", b"x").is_problem(400, "bad-request");
    // Nobody said that the requester grants anything.
    owner
        .run(&["set", "config/color", "red", "--owner", "requester"])
        .failed(1, "requester lets nobody ask for changes of");
}

#[test]
fn whoever_expects_another_write_is_told_which_there_is() {
    let Line { requester, middle: _between, owner } = Line::start(&[]);
    for (agent, path, name) in
        [(&requester, "/v1/kv/owner/config/color", "owner"), (&owner, "/v1/kv/@self/config/own", "owner")]
    {
        agent.http("PUT", path, b"first");
        let first = tag(agent, path);
        assert_eq!(on_terms(agent, "PUT", path, &first).status, 200);
        let second = tag(agent, path);
        for method in ["PUT", "DELETE"] {
            let answer = on_terms(agent, method, path, &first);
            answer.is_problem(412, "conflict");
            let detail = answer.json()["detail"].as_str().expect("text").to_owned();
            let expected = format!("of {name} is at {}, and not", second.trim_matches('"'));
            assert!(detail.contains(&expected), "{detail}");
        }
        let stale = first.trim_matches('"');
        let key = path.rsplit_once("/config/").map(|(_, key)| format!("config/{key}")).expect("a key");
        agent
            .run(&["set", &key, "x", "--owner", name, "--if-version", stale])
            .failed(1, "not at the version");
        agent.ok(&["delete", &key, "--owner", name, "--if-version", second.trim_matches('"')]);
        on_terms(agent, "PUT", path, &second).is_problem(412, "conflict");
        on_terms(agent, "PUT", path, "nonsense").is_problem(400, "bad-request");
    }
}

#[test]
fn no_answer_in_time_is_exit_4_and_504() {
    let Line { requester, middle: _between, owner } = Line::start(&[]);
    owner.signal("STOP");
    let done = requester.run(&["set", "config/color", "red", "--owner", "owner", "--wait", "300ms"]);
    done.failed(
        4,
        "no answer of owner came within 300 ms: the request is withdrawn, and may still be granted",
    );
    requester.http("PUT", "/v1/kv/owner/config/color?wait=100ms", b"red").is_problem(504, "no-answer");
    owner.signal("CONT");
    requester.ok(&["set", "config/color", "green", "--owner", "owner"]);
    requester.wait_for_key("owner/config/color=green");
}

/// The owner stands still while it is asked, is killed, and starts again with what is on its disk: the request is granted then,
/// the requester is told in which version, and nobody ever sees it granted once more.
#[test]
fn an_owner_that_is_killed_half_way_grants_once() {
    let dir = tempfile::TempDir::new().expect("a directory");
    let path = dir.path().to_str().expect("a path in UTF-8");
    let Line { requester, middle, owner } = Line::start(&["--data-dir", path]);
    let mut seen = Events::of(&middle, "?prefix=config/", None);
    owner.signal("STOP");
    let asking = Asking::begin(&requester, "green");
    middle.fetch_until("/v1/members", |members| {
        // The request is on its way once its entry is in the middle.
        let version = |name: &str| {
            let member = members.as_array().expect("an array").iter().find(|member| member["name"] == name);
            member.expect(name)["max_version"].as_u64()
        };
        version("requester") > Some(0)
    });
    drop(owner);
    let owner = start_owner(&middle, &["--data-dir", path]);
    let told = asking.granted();
    let shown = owner.json(&["get", "@self", "config/color"]);
    assert_eq!((&told["version"], &told["generation"]), (&shown["version"], &shown["generation"]));
    owner.ok(&["set", "config/color", "black"]);
    let owner = restart(owner, &middle, dir.path());
    middle.wait_for_members(3);
    requester.wait_for_key("owner/config/color=black");
    assert_eq!(owner.ok(&["get", "@self", "config/color"]), "black\n");
    owner.ok(&["set", "config/end", ""]);
    assert_eq!(values_until_the_end(&mut seen), ["green", "black"]);
}

/// The owner is killed at the moment at which it shows the change, whether its answer is on its way by then or not: what was
/// granted is on its disk with the answer, which is told by its next life, and nothing is granted again.
#[test]
fn an_owner_that_is_killed_just_after_it_granted_answers_in_its_next_life() {
    let dir = tempfile::TempDir::new().expect("a directory");
    let path = dir.path().to_str().expect("a path in UTF-8");
    let Line { requester, middle, mut owner } = Line::start(&["--data-dir", path]);
    let mut before = Vec::new();
    for color in ["red", "green", "blue"] {
        let asking = Asking::begin(&requester, color);
        owner.wait_for_key(&format!("owner/config/color={color}"));
        let version = owner.json(&["get", "@self", "config/color"])["version"].clone();
        owner = restart(owner, &middle, dir.path());
        assert_eq!(asking.granted()["version"], version, "{color}");
        let shown = owner.json(&["get", "@self", "config/color"]);
        assert_eq!((&shown["version"], &shown["value"]), (&version, &color.into()));
        before.push(version.as_u64().expect("a number"));
    }
    assert!(before.is_sorted_by(|one, next| one < next), "{before:?}");
}

fn restart(owner: Agent, middle: &Agent, dir: &Path) -> Agent {
    drop(owner);
    start_owner(middle, &["--data-dir", dir.to_str().expect("a path in UTF-8")])
}

/// The values of config/color, as they followed each other until config/end came. A state that is told anew, as with a new
/// life, is no change.
fn values_until_the_end(events: &mut Events) -> Vec<String> {
    let mut values: Vec<String> = Vec::new();
    loop {
        let event = events.next().expect("an event");
        let value = event["value"].as_str().unwrap_or_default().to_owned();
        match event["key"].as_str() {
            Some("config/end") => return values,
            Some("config/color") if values.last() != Some(&value) => values.push(value),
            _ => {}
        }
    }
}

/// A command that waits for an owner.
struct Asking(Child);

impl Asking {
    fn begin(requester: &Agent, value: &str) -> Self {
        let mut command = tidings();
        command.args(["set", "config/color", value, "--owner", "owner", "--wait", "30s", "-o", "json"]);
        command.args(["--api", &requester.api.to_string()]).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().expect("the binary runs"))
    }

    /// What the owner's answer says, which grants it.
    fn granted(self) -> Value {
        let done: Done = self.0.wait_with_output().expect("it is a child").into();
        assert_eq!(done.code, Some(0), "{}", done.err);
        serde_json::from_str(&done.out).expect("JSON")
    }
}
