//! What happens, as programs read it from `/v1/events` and people from `tidings watch`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Agent, run, tidings};

/// A reader of `/v1/events`.
pub(crate) struct Events {
    stream: BufReader<TcpStream>,
    /// The last id that came.
    id: String,
}

impl Events {
    /// Begins to read; after the id `after`, if there is one.
    pub(crate) fn of(agent: &Agent, query: &str, after: Option<&str>) -> Self {
        let mut stream = BufReader::new(ask(agent, query, after));
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(stream.read_line(&mut head).expect("the agent answers"), 0, "{head}");
        }
        assert!(head.contains(" 200 ") && head.contains("content-type: text/event-stream\r\n"), "{head}");
        Self { stream, id: String::new() }
    }

    /// The next event; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<Value> {
        let mut event = None;
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line).expect("something comes in time") == 0 {
                return None;
            }
            let line = line.trim_end();
            if let Some(id) = line.strip_prefix("id: ") {
                id.clone_into(&mut self.id);
            } else if let Some(data) = line.strip_prefix("data: ") {
                event = Some(serde_json::from_str(data).expect("JSON"));
            } else if line.is_empty() && event.is_some() {
                return event;
            }
        }
    }

    /// So many events, in brief.
    fn several(&mut self, number: usize) -> Vec<String> {
        (0..number).map(|_| brief(&self.next().expect("an event"))).collect()
    }
}

/// Asks for events. HTTP/1.0 gives them as they are, without lengths in between.
fn ask(agent: &Agent, query: &str, after: Option<&str>) -> TcpStream {
    let mut stream = TcpStream::connect(agent.api).expect("the agent listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout can be set");
    let after = after.map_or(String::new(), |id| format!("Last-Event-ID: {id}\r\n"));
    let request = format!("GET /v1/events{query} HTTP/1.0\r\nHost: {}\r\n{after}\r\n", agent.api);
    stream.write_all(request.as_bytes()).expect("the agent reads");
    stream
}

fn brief(event: &Value) -> String {
    let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
    format!("{} {} {} {}", text("type"), text("node"), text("key"), text("value")).trim_end().to_owned()
}

fn put(agent: &Agent, key: &str, value: &str) {
    let answer = agent.http("PUT", &format!("/v1/kv/@self/{key}"), value.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// `tidings watch`, killed when dropped.
struct Watch {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Watch {
    fn start(agent: &Agent, args: &[&str]) -> Self {
        let mut command = tidings();
        command.arg("watch").args(args).args(["--api", &agent.api.to_string()]);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
        let out = BufReader::new(child.stdout.take().expect("stdout is piped"));
        Self { child, out }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }

    /// The next event of JSON, in brief.
    fn brief(&mut self) -> String {
        let line = self.line();
        brief(&serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}")))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_is_so_comes_first_and_then_what_changes() {
    let agent = Agent::start("api-1", &[]);
    put(&agent, "color", "green");
    agent.http("PUT", "/v1/kv/@self/bytes", b"\xff\0");
    let mut events = Events::of(&agent, "", None);
    let state: Vec<_> = (0..4).map(|_| events.next().expect("an event")).collect();
    let types: Vec<_> = state.iter().map(|event| event["type"].as_str().expect("text")).collect();
    assert_eq!(types, ["joined", "live", "set", "set"]);
    assert_eq!(state[2]["value_base64"], "/wA=");
    assert_eq!((&state[3]["value"], &state[3]["node"]), (&json!("green"), &json!("api-1")));
    assert!(state.iter().all(|event| event["seq"] == state[0]["seq"]), "{state:?}");
    put(&agent, "color", "blue");
    assert_eq!(agent.http("DELETE", "/v1/kv/@self/color", b"").status, 200);
    let (set, deleted) = (events.next().expect("an event"), events.next().expect("an event"));
    assert_eq!(brief(&set), "set api-1 color blue");
    assert_eq!(brief(&deleted), "deleted api-1 color");
    assert_eq!(set["seq"].as_u64(), state[0]["seq"].as_u64().map(|seq| seq + 1));
    assert_eq!(set["generation"], agent.fetch("/v1/status")["generation"]);
    assert!(set["at"].as_str().is_some_and(|at| at.ends_with('Z') && at.len() == 24), "{set}");
    assert!(deleted["version"].is_u64() && deleted.get("value").is_none(), "{deleted}");
}

#[test]
fn what_becomes_of_other_nodes_is_told() {
    let first = Agent::start("api-1", &[]);
    let mut events = Events::of(&first, "?prefix=none/", None);
    let mut second = Agent::join("api-2", &first, &[]);
    let told = ["joined api-1", "live api-1", "joined api-2", "live api-2"];
    assert_eq!(events.several(4), told);
    put(&second, "color", "green");
    second.signal("TERM");
    assert!(second.ended().success());
    assert_eq!(events.several(1), ["departed api-2"]);
}

#[test]
fn only_keys_with_the_prefix_are_told() {
    let agent = Agent::start("api-1", &[]);
    put(&agent, "a/1", "x");
    put(&agent, "b/1", "x");
    let mut events = Events::of(&agent, "?prefix=a%2F", None);
    put(&agent, "b/2", "y");
    put(&agent, "a/2", "y");
    let told = ["joined api-1", "live api-1", "set api-1 a/1 x", "set api-1 a/2 y"];
    assert_eq!(events.several(4), told);
    agent.http("GET", "/v1/events?prefix=a&prefix=b", b"").is_problem(400, "bad-request");
}

#[test]
fn a_reader_goes_on_where_it_was_without_loss_or_repetition() {
    let agent = Agent::start("api-1", &[]);
    let mut events = Events::of(&agent, "", None);
    put(&agent, "count", "0");
    assert_eq!(events.several(3), ["joined api-1", "live api-1", "set api-1 count 0"]);
    for number in 1..=20 {
        put(&agent, "count", &number.to_string());
        put(&agent, "other", &number.to_string());
        let mut again = Events::of(&agent, "?prefix=count", Some(&events.id));
        assert_eq!(again.several(1), [format!("set api-1 count {number}")]);
        events = again;
    }
}

#[test]
fn a_reader_that_was_away_for_too_long_is_told_of_the_gap_and_of_what_is_so() {
    let agent = Agent::start("api-1", &[]);
    let mut events = Events::of(&agent, "", None);
    put(&agent, "count", "first");
    events.several(3);
    let mut there = BufReader::new(TcpStream::connect(agent.api).expect("the agent listens"));
    for number in 0..4_097 {
        let text = number.to_string();
        let head = format!("PUT /v1/kv/@self/count HTTP/1.1\r\nHost: {}\r\n", agent.api);
        let request = format!("{head}Content-Length: {}\r\n\r\n{text}", text.len());
        there.get_mut().write_all(request.as_bytes()).expect("the agent reads");
        read_answer(&mut there);
    }
    let mut again = Events::of(&agent, "", Some(&events.id));
    let gap = again.next().expect("an event");
    assert_eq!((&gap["type"], &gap["missed"], &gap["node"]), (&json!("gap"), &json!(4_097), &json!("api-1")));
    assert_eq!(again.several(3), ["joined api-1", "live api-1", "set api-1 count 4096"]);
    put(&agent, "count", "last");
    assert_eq!(again.several(1), ["set api-1 count last"]);
}

/// Reads an answer that has a length, and leaves the connection open.
fn read_answer(there: &mut BufReader<TcpStream>) {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(there.read_line(&mut head).expect("the agent answers"), 0, "{head}");
    }
    let head = head.to_lowercase();
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    let len = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
    let mut body = vec![0; len.parse().expect("a number")];
    there.read_exact(&mut body).expect("a body");
}

#[test]
fn an_id_that_this_agent_did_not_give_is_a_gap() {
    let agent = Agent::start("api-1", &[]);
    let mut events = Events::of(&agent, "", None);
    put(&agent, "color", "green");
    events.several(3);
    let (start, _) = events.id.split_once('-').expect("a start and a number");
    for id in ["", "1", "7f-2", "x", "-1", &format!("{start}-x"), &format!("{start}-999999")] {
        let told = Events::of(&agent, "", Some(id)).several(4);
        assert_eq!(told, ["gap api-1", "joined api-1", "live api-1", "set api-1 color green"], "{id:?}");
    }
}

#[test]
fn the_streams_end_with_the_agent() {
    let mut agent = Agent::start("api-1", &[]);
    let mut events = Events::of(&agent, "", None);
    events.several(2);
    agent.signal("TERM");
    assert!(agent.ended().success());
    while events.next().is_some() {}
}

#[test]
fn five_hundred_readers_that_do_not_read_delay_nobody() {
    let first = Agent::start("api-1", &[]);
    let second = Agent::join("api-2", &first, &[]);
    first.wait_for_members(2);
    let stuck: Vec<_> = (0..500).map(|_| ask(&first, "", None)).collect();
    let large = "x".repeat(60_000);
    for number in 0..100 {
        put(&first, &format!("large/{}", number % 10), &large);
    }
    let rounds = |body: &Value| body["rounds"].as_u64().expect("a number");
    let before = rounds(&first.fetch("/v1/status"));
    first.fetch_until("/v1/status", |status| rounds(status) >= before + 20);
    put(&first, "small", "arrives");
    second.wait_for_key("api-1/small=arrives");
    put(&second, "small", "returns");
    first.wait_for_key("api-2/small=returns");
    drop(stuck);
}

#[test]
fn watch_prints_a_line_for_each_event() {
    let agent = Agent::start("api-1", &[]);
    put(&agent, "a/color", "two\nlines");
    let mut watch = Watch::start(&agent, &["a/"]);
    let rest = |line: String| line.split_once("Z  ").expect("a time").1.to_owned();
    assert_eq!(rest(watch.line()), "joined       api-1");
    assert_eq!(rest(watch.line()), "live         api-1");
    assert_eq!(rest(watch.line()), "set          api-1  a/color  two\\nlines");
    put(&agent, "b/color", "blue");
    assert_eq!(agent.http("DELETE", "/v1/kv/@self/a/color", b"").status, 200);
    assert_eq!(rest(watch.line()), "deleted      api-1  a/color");
}

#[test]
fn watch_prints_the_json_of_the_route() {
    let agent = Agent::start("api-1", &[]);
    for format in ["json", "jsonl"] {
        let mut watch = Watch::start(&agent, &["-o", format]);
        assert_eq!([watch.brief(), watch.brief()], ["joined api-1", "live api-1"]);
        let mut events = Events::of(&agent, "", None);
        events.several(2);
        put(&agent, "color", format);
        let line: Value = serde_json::from_str(&watch.line()).expect("JSON");
        assert_eq!(Some(line), events.next());
        assert_eq!(agent.http("DELETE", "/v1/kv/@self/color", b"").status, 200);
        assert_eq!(watch.brief(), "deleted api-1 color");
    }
}

#[test]
fn watch_ends_quietly_when_nobody_reads() {
    let agent = Agent::start("api-1", &[]);
    let mut watch = Watch::start(&agent, &[]);
    watch.line();
    let mut child = tidings();
    child.args(["watch", "--api", &agent.api.to_string()]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().expect("the binary runs");
    drop(child.stdout.take());
    let done = child.wait_with_output().expect("the command ends");
    assert_eq!((done.status.code(), String::from_utf8_lossy(&done.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn watch_goes_on_when_the_agent_comes_back() {
    let mut agent = Agent::start("api-1", &[]);
    let api = agent.api.to_string();
    let mut watch = Watch::start(&agent, &["-o", "jsonl"]);
    assert_eq!([watch.brief(), watch.brief()], ["joined api-1", "live api-1"]);
    agent.signal("KILL");
    agent.ended();
    let again = Agent::start_at("api-1", &api);
    assert_eq!([watch.brief(), watch.brief(), watch.brief()], ["gap api-1", "joined api-1", "live api-1"]);
    put(&again, "color", "green");
    assert_eq!(watch.brief(), "set api-1 color green");
}

#[test]
fn watch_fails_with_3_where_no_agent_is_or_stays() {
    let mut agent = Agent::start("api-1", &[]);
    let mut watch = Watch::start(&agent, &[]);
    watch.line();
    let api = agent.api.to_string();
    agent.signal("KILL");
    agent.ended();
    run(&["watch", "--api", &api]).failed(3, "no agent answers");
    assert_eq!(watch.child.wait().expect("the command ends").code(), Some(3));
}
