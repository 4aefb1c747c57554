//! Each command: what it prints, as a table and as JSON, and that it succeeds.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::explain::COMMANDS;
use crate::harness::{Agent, run, tidings};

/// The fields of an object, in their order.
fn fields(object: &Value) -> Vec<&str> {
    let mut fields: Vec<_> = object.as_object().expect("an object").keys().map(String::as_str).collect();
    fields.sort_unstable();
    fields
}

#[test]
fn members_lists_the_node_itself() {
    let agent = Agent::start("api-1", &[]);
    let members = agent.json(&["members"]);
    assert_eq!(
        fields(&members[0]),
        ["address", "generation", "heartbeat", "keys", "max_version", "name", "phi", "self", "state"]
    );
    let me = &members[0];
    assert_eq!((&me["name"], &me["state"], &me["self"]), (&json!("api-1"), &json!("live"), &json!(true)));
    assert_eq!(me["address"], agent.gossip.to_string());
    let table = agent.ok(&["members"]);
    assert_eq!(table.lines().last(), Some("1 live · 0 unreachable · 0 departed, as seen by api-1"));
    assert!(!table.contains('\u{1b}'), "no colours in a pipe");
}

#[test]
fn a_key_can_be_set_read_listed_and_deleted() {
    let agent = Agent::start("api-1", &[]);
    let written = agent.json(&["set", "a/b c", "é"]);
    assert_eq!(fields(&written), ["generation", "key", "owner", "version"]);
    let entry = agent.json(&["get", "@self", "a/b c"]);
    let expected = json!({
        "owner": "api-1", "key": "a/b c", "value": "é",
        "version": written["version"], "generation": written["generation"],
    });
    assert_eq!(entry, expected);
    let state = agent.json(&["state", "api-1"]);
    assert_eq!(fields(&state[0]), ["entries", "generation", "max_version", "name", "suspected"]);
    assert_eq!(state[0]["entries"], json!([expected]));
    assert!(agent.ok(&["state"]).ends_with("\n1 key of 1 node, as seen by api-1\n"));
    assert_eq!(agent.ok(&["get", "api-1", "a/b c"]), "é\n");

    let deleted = agent.json(&["delete", "a/b c"]);
    assert!(deleted["version"].as_u64() > written["version"].as_u64());
    assert_eq!(agent.json(&["state"])[0]["entries"], json!([]));
}

#[test]
fn a_key_can_be_set_for_a_time_or_for_the_life_of_the_node() {
    let agent = Agent::start("api-1", &[]);
    agent.ok(&["set", "lease", "7", "--ttl", "1h 30m", "--ephemeral"]);
    let entry = agent.json(&["get", "@self", "lease"]);
    assert_eq!(entry["ephemeral"], json!(true));
    let left = entry["ttl_ms"].as_u64().expect("it expires");
    assert!(left <= 5_400_000 && left > 5_000_000, "{left}");
    assert_eq!(fields(&agent.json(&["state"])[0]["entries"][0]), fields(&entry));

    agent.ok(&["set", "lease", "7"]);
    assert!(agent.json(&["get", "@self", "lease"])["ttl_ms"].is_null());
    agent.ok(&["set", "short", "v", "--ttl", "1ms"]);
    agent.ok(&["set", "later", "v"]);
    let is_gone = || agent.json(&["state"])[0]["entries"].as_array().expect("a list").len() == 2;
    assert!((0..1_000).any(|_| is_gone()), "it has expired");
}

#[test]
fn a_lifetime_that_is_none_is_refused() {
    let agent = Agent::start("api-1", &[]);
    for query in ["ttl=5", "ttl=soon", "ttl=0s", "ttl=11years", "ephemeral=perhaps", "tll=5s"] {
        let answer = agent.http("PUT", &format!("/v1/kv/@self/key?{query}"), b"v").json();
        assert_eq!(
            (&answer["status"], &answer["type"]),
            (&json!(400), &json!("urn:tidings:problem:bad-request"))
        );
        assert!(answer["fix"].as_str().is_some_and(|fix| fix.contains("30s")), "{query}: {answer}");
    }
    assert_eq!(agent.json(&["state"])[0]["entries"], json!([]));
}

#[test]
fn a_value_from_stdin_may_be_any_bytes() {
    let agent = Agent::start("api-1", &[]);
    let api = agent.api.to_string();
    let mut set = tidings();
    set.args(["set", "raw", "-", "--api", &api]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut set = set.spawn().expect("the binary runs");
    set.stdin.take().expect("stdin is piped").write_all(b"\xff\0\n").expect("it reads");
    assert!(set.wait().expect("it ends").success());

    let entry = agent.json(&["get", "@self", "raw"]);
    assert_eq!((&entry["value_base64"], &entry["value"]), (&json!("/wAK"), &Value::Null));
    let get = tidings().args(["get", "@self", "raw", "--api", &api]).output().expect("the binary runs");
    assert_eq!(get.stdout, b"\xff\0\n");
    assert!(agent.ok(&["state"]).contains("(3 bytes)"));
}

#[test]
fn values_that_look_like_flags_can_be_given() {
    let agent = Agent::start("api-1", &[]);
    agent.ok(&["set", "n", "-5"]);
    assert_eq!(agent.ok(&["get", "@self", "n"]), "-5\n");
    agent.ok(&["set", "o", "", "-o", "jsonl"]);
    assert_eq!(agent.ok(&["get", "@self", "o"]), "\n");
}

#[test]
fn status_tells_all_that_the_interface_names() {
    let agent = Agent::start("api-1", &["--cluster", "blue"]);
    let status = agent.json(&["status"]);
    let expected = [
        "api",
        "blocked_streams",
        "cluster",
        "converged",
        "departed",
        "digest",
        "disk",
        "dropped",
        "generation",
        "gossip",
        "live",
        "mode",
        "name",
        "received",
        "repairs",
        "rounds",
        "sent",
        "unreachable",
        "version",
        "warnings",
        "write_limit",
    ];
    assert_eq!(fields(&status), expected);
    let traffic = ["datagram_bytes", "datagrams", "stream_bytes", "streams"];
    assert_eq!((fields(&status["sent"]), fields(&status["received"])), (traffic.to_vec(), traffic.to_vec()));
    assert_eq!((&status["name"], &status["cluster"]), (&json!("api-1"), &json!("blue")));
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!((&status["gossip"], &status["api"]), (&json!(agent.gossip), &json!(agent.api)));
    assert_eq!((&status["live"], &status["unreachable"]), (&json!(1), &json!(0)));
    assert_eq!(status["digest"].as_str().map(str::len), Some(16));
    assert!(agent.ok(&["status"]).contains("node        api-1 in cluster blue\n"));
}

#[test]
fn jsonl_has_one_element_a_line() {
    let agent = Agent::start("api-1", &[]);
    let other = Agent::join("api-2", &agent, &[]);
    other.wait_for_members(2);
    let out = other.ok(&["members", "-o", "jsonl"]);
    let names: Vec<_> = out.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")).collect();
    assert_eq!((&names[0]["name"], &names[1]["name"], names.len()), (&json!("api-1"), &json!("api-2"), 2));
    assert_eq!(other.ok(&["status", "-o", "jsonl"]).lines().count(), 1);
}

#[test]
fn the_json_of_a_command_is_the_body_of_its_route() {
    let agent = Agent::start("api-1", &[]);
    agent.ok(&["set", "k", "v"]);
    assert_eq!(agent.json(&["state"]), agent.fetch("/v1/kv"));
    assert_eq!(agent.json(&["get", "@self", "k"]), agent.fetch("/v1/kv/@self/k"));
    assert_eq!(fields(&agent.json(&["members"])[0]), fields(&agent.fetch("/v1/members")[0]));
    assert_eq!(fields(&agent.json(&["status"])), fields(&agent.fetch("/v1/status")));
}

#[test]
fn wait_returns_when_all_holds() {
    let agent = Agent::start("api-1", &[]);
    agent.ok(&["set", "a/b", "x=y"]);
    let said = agent.ok(&["wait", "--members", "1", "--key", "api-1/a/b=x=y"]);
    assert!(said.starts_with("1 live · api-1/a/b = x=y, after "), "{said}");
    let met = agent.json(&["wait", "--members", "1"]);
    assert_eq!(fields(&met), ["after_ms", "conditions", "met"]);
    assert_eq!(met["conditions"], json!([{"asked": "1 live", "holds": true, "found": "1 live"}]));
}

#[test]
fn the_agent_to_ask_comes_from_the_environment_where_no_flag_names_it() {
    let agent = Agent::start("api-1", &[]);
    let by_environment = |address: &str| tidings().arg("members").env("TIDINGS_API", address).output();
    assert!(by_environment(&agent.api.to_string()).expect("the binary runs").status.success());
    assert!(by_environment(&format!("http://{}", agent.api)).expect("the binary runs").status.success());
    let flag =
        tidings().args(["members", "--api", &agent.api.to_string()]).env("TIDINGS_API", "nowhere").output();
    assert!(flag.expect("the binary runs").status.success());
}

#[test]
fn a_reader_that_goes_away_ends_a_command_quietly() {
    let agent = Agent::start("api-1", &[]);
    for command in [&["members"][..], &["status", "-o", "json"], &["state", "-o", "jsonl"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let api = agent.api.to_string();
        let done =
            tidings().args(command).args(["--api", &api]).stdout(writer).output().expect("the binary runs");
        assert_eq!((done.status.code(), done.stderr.as_slice()), (Some(0), &b""[..]), "{command:?}");
    }
}

#[test]
fn the_program_explains_itself() {
    let help = run(&["--help"]);
    assert_eq!(help.code, Some(0));
    for command in COMMANDS {
        assert!(help.out.contains(&format!("\n  {command} ")), "{command} in {}", help.out);
        assert_eq!(run(&[command, "--help"]).code, Some(0), "{command}");
    }
    assert_eq!(run(&["--version"]).out, format!("tidings {}\n", env!("CARGO_PKG_VERSION")));
}
