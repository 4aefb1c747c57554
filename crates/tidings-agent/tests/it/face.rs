//! What scripts rely on: each command in each format, flags and exit codes.

use std::io::Read as _;
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Agent, Done, fail_to_start, run, tidings};

fn lines(done: &str) -> Vec<Value> {
    done.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect()
}

#[test]
fn each_command_prints_for_people_as_json_and_as_lines_of_json() {
    let agent = Agent::start("api-1", &[]);
    for (command, lines_of_json) in [
        (&["set", "a", "1"][..], 1),
        (&["set", "b", "2"], 1),
        (&["members"], 1),
        (&["state"], 1),
        (&["state", "api-1"], 1),
        (&["get", "api-1", "a"], 1),
        (&["delete", "b"], 1),
        (&["status"], 1),
        (&["wait", "--members", "1"], 1),
    ] {
        let with = |format: &[&str]| {
            if command[0] == "delete" {
                agent.ok(&["set", "b", "2"]);
            }
            agent.ok(&[command, format].concat())
        };
        let table = with(&[]);
        assert!(serde_json::from_str::<Value>(&table).is_err() || command[0] == "get", "{table}");
        assert!(with(&["-o", "table"]).ends_with('\n'), "{command:?}");
        assert_eq!(lines(&with(&["--output", "json"])).len(), 1, "{command:?}");
        let printed = lines(&with(&["-o", "jsonl"]));
        assert_eq!(printed.len(), lines_of_json, "{command:?}");
        assert!(printed.iter().all(Value::is_object), "{command:?}");
    }
    assert_eq!(lines(&agent.ok(&["leave", "-o", "jsonl"])), [json!({"name": "api-1", "state": "departed"})]);
}

#[test]
fn lists_are_arrays_in_json_and_elements_in_lines() {
    let agent = Agent::start("b", &[]);
    let others = ["c", "a"].map(|name| Agent::join(name, &agent, &[]));
    for agent in others.iter().chain([&agent]) {
        agent.wait_for_members(3);
    }
    let names = |list: &[Value]| list.iter().map(|each| each["name"].clone()).collect::<Vec<_>>();
    for command in ["members", "state"] {
        let array = agent.json(&[command]);
        assert_eq!(names(array.as_array().expect("an array")), ["a", "b", "c"], "{command}");
        assert_eq!(names(&lines(&agent.ok(&[command, "-o", "jsonl"]))), ["a", "b", "c"], "{command}");
    }
    let members = agent.fetch("/v1/members");
    let selves: Vec<_> = members.as_array().expect("an array").iter().map(|member| &member["self"]).collect();
    assert_eq!(selves, [false, true, false]);
    assert_eq!(agent.fetch("/v1/members/a")["self"], false);
}

#[test]
fn an_agent_says_that_it_is_ready_and_nothing_else_on_stdout() {
    let mut command = tidings();
    command.env("TIDINGS_LOG", "info").args(["agent", "--name", "a"]);
    command.args(["--listen", "0.0.0.0:0", "--advertise", "127.0.0.1:0", "--api", "127.0.0.1:0"]);
    let mut agent = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
    let mut said = Vec::new();
    let mut stdout = agent.stdout.take().expect("stdout is piped");
    while said.last() != Some(&b'\n') {
        let mut byte = [0];
        stdout.read_exact(&mut byte).expect("the agent says something");
        said.extend(byte);
    }
    let ready: Value = serde_json::from_slice(&said).expect("the line is JSON");
    let fields: Vec<_> = ready.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(fields, ["api", "gossip", "name", "ready"]);
    let address = |field: &str| ready[field].as_str().expect("text").to_owned();
    assert!(
        address("gossip").starts_with("127.0.0.1:"),
        "the advertised address, with the port listened on: {ready}"
    );
    assert!(!address("gossip").ends_with(":0") && !address("api").ends_with(":0"), "{ready}");

    let status = run(&["status", "-o", "json", "--api", &format!("http://{}", address("api"))]);
    assert_eq!(lines(&status.out)[0]["gossip"], ready["gossip"]);
    assert_eq!(run(&["leave", "--api", &address("api")]).code, Some(0));
    let done: Done = agent.wait_with_output().expect("it ends").into();
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).expect("the agent has ended");
    assert_eq!((done.code, rest.as_str()), (Some(0), ""));
    assert!(done.err.contains("ready") && done.err.contains("left"), "the log is on stderr: {}", done.err);
}

#[test]
fn values_over_http_may_be_any_bytes() {
    let agent = Agent::start("api-1", &[]);
    let put = agent.http("PUT", "/v1/kv/@self/raw", b"\xff\0\n").json();
    let entry = agent.fetch("/v1/kv/@self/raw");
    let expected = json!({
        "owner": "api-1", "key": "raw", "value_base64": "/wAK",
        "version": put["version"], "generation": put["generation"],
    });
    assert_eq!(entry, expected);
    let deleted = agent.http("DELETE", "/v1/kv/@self/raw", b"").json();
    assert!(deleted["version"].as_u64() > put["version"].as_u64());
}

#[test]
fn a_wait_for_what_does_not_come_is_exit_4() {
    let agent = Agent::start("api-1", &["--seed", "127.0.0.1:1"]);
    for (wish, fact) in [
        (&["--members", "2"][..], "1 live (asked: 2 live)"),
        (&["--key", "nobody/k=v"], "nobody/k is not there"),
        (&["--members", "1", "--key", "api-1/k=v"], "api-1/k is not there"),
    ] {
        let done = agent.run(&[&["wait", "--timeout", "100ms"], wish].concat());
        done.failed(4, fact);
        assert_eq!(done.out, "");
    }
    let done = agent.run(&["wait", "--members", "2", "--timeout", "100ms", "-o", "json"]);
    done.failed(4, "1 live");
    assert_eq!(lines(&done.out)[0]["met"], false);
}

#[test]
fn a_wait_for_convergence_waits_for_it() {
    let first = Agent::start("first", &[]);
    let second = Agent::join("second", &first, &[]);
    for agent in [&first, &second] {
        let said = agent.ok(&["wait", "--members", "2", "--converged", "--timeout", "20s"]);
        assert!(said.starts_with("2 live · converged, after "), "{said}");
        assert_eq!(agent.fetch("/v1/status")["converged"], true);
    }
}

#[test]
fn a_data_directory_that_cannot_serve_is_exit_1() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().to_str().expect("a path in UTF-8");
    let holder = Agent::start("holder", &["--data-dir", path]);
    let start = |name: &str| fail_to_start(&["--name", name, "--data-dir", path]);
    start("holder").failed(1, "another process uses the data directory");
    holder.ok(&["leave"]);
    drop(holder);
    start("other").failed(1, "belongs to the node holder");
    let file = dir.path().join("file");
    std::fs::write(&file, "").expect("the directory takes a file");
    fail_to_start(&["--name", "a", "--data-dir", file.to_str().expect("a path in UTF-8")])
        .failed(1, "cannot use the data directory");
}

#[test]
fn flags_that_are_none_are_exit_2() {
    for (args, fact) in [
        (&["get", "owner-alone"][..], "<KEY>"),
        (&["set", "key-alone"], "<VALUE>"),
        (&["delete"], "<KEY>"),
        (&["members", "--live"], "--live"),
        (&["status", "--api", ""], "--api"),
        (&["wait", "--members", "-1"], "-1"),
        (&["wait", "--converged", "--timeout", ""], "--timeout"),
        (&["demo", "--seconds", "0"], "--seconds"),
        (&["demo", "--seed-number", "x"], "--seed-number"),
        (&["demo", "-o", "xml"], "xml"),
        (&["config"], "show"),
        (&["config", "show", "--nodes", "5"], "--nodes"),
        (&["completions", "tcl"], "tcl"),
        (&["completions"], "<SHELL>"),
        (&["agent", "--name", "a", "--name", "b"], "--name"),
    ] {
        let done = run(args);
        assert_eq!(done.code, Some(2), "{args:?}: {}", done.err);
        assert!(done.err.contains(fact), "{args:?}: {}", done.err);
        assert_eq!(done.out, "", "{args:?}");
    }
    let done: Done =
        tidings().args(["agent", "--name", "a"]).env("TIDINGS_LOG", "=,=").output().expect("it runs").into();
    done.failed(2, "TIDINGS_LOG");
}
