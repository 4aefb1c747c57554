//! Agents that end with their test, commands against them, and a small HTTP client.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// An agent, killed when dropped.
pub(crate) struct Agent {
    child: Child,
    pub(crate) name: String,
    pub(crate) gossip: SocketAddr,
    pub(crate) api: SocketAddr,
}

/// What a command did.
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// An answer over HTTP.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The header lines, in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

/// A `tidings` command that takes nothing from this environment.
pub(crate) fn tidings() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    let ours = |name: &str| name.starts_with("TIDINGS_");
    for (name, _) in std::env::vars().filter(|(name, _)| ours(name)) {
        command.env_remove(name);
    }
    command.env("TIDINGS_LOG", "warn").stdin(Stdio::null());
    command
}

/// Runs a `tidings` command to its end.
pub(crate) fn run(args: &[&str]) -> Done {
    tidings().args(args).output().expect("the binary runs").into()
}

/// The flags that every agent here has: fast gossip, free ports.
const FAST: [&str; 6] = ["--listen", "127.0.0.1:0", "--api", "127.0.0.1:0", "--interval", "100ms"];

/// Tries to start an agent that can't.
pub(crate) fn fail_to_start(args: &[&str]) -> Done {
    let mut agent = vec!["agent"];
    let given = |flag: &str| args.contains(&flag);
    for flag in FAST.chunks(2).filter(|flag| !given(flag[0])) {
        agent.extend(flag);
    }
    agent.extend(args);
    run(&agent)
}

impl Agent {
    /// Starts an agent, and returns when it is ready.
    pub(crate) fn start(name: &str, args: &[&str]) -> Self {
        Self::begin(tidings(), name, args)
    }

    /// Starts an agent that writes all that happens to it, and its last words, into the file `log`.
    pub(crate) fn start_logged(name: &str, args: &[&str], log: &Path) -> Self {
        let log = File::create(log).expect("the directory takes a file");
        let mut command = tidings();
        command.env("TIDINGS_LOG", "tidings=debug").stderr(log);
        Self::begin(command, name, args)
    }

    /// Starts an agent that serves HTTP at `api`.
    pub(crate) fn start_at(name: &str, api: &str) -> Self {
        let mut command = tidings();
        command.args(["agent", "--name", name, "--listen", "127.0.0.1:0", "--api", api]);
        Self::spawn(name, command)
    }

    fn begin(mut command: Command, name: &str, args: &[&str]) -> Self {
        command.args(["agent", "--name", name]).args(FAST).args(args);
        Self::spawn(name, command)
    }

    fn spawn(name: &str, mut command: Command) -> Self {
        command.stdout(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        let mut line = String::new();
        let stdout = child.stdout.as_mut().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut line).expect("the agent says something");
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no ready line: {line:?}"));
        assert_eq!(ready["ready"], true);
        assert_eq!(ready["name"], name);
        let address = |field: &str| ready[field].as_str().expect(field).parse().expect("an address");
        Self { child, name: name.to_owned(), gossip: address("gossip"), api: address("api") }
    }

    /// Starts an agent that knows `seed`.
    pub(crate) fn join(name: &str, seed: &Self, args: &[&str]) -> Self {
        let seed = seed.gossip.to_string();
        Self::start(name, &[&["--seed", &seed], args].concat())
    }

    /// Runs a command against this agent.
    pub(crate) fn run(&self, args: &[&str]) -> Done {
        tidings().args(args).args(["--api", &self.api.to_string()]).output().expect("the binary runs").into()
    }

    /// Runs a command that must succeed; what it printed.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let done = self.run(args);
        assert_eq!(done.code, Some(0), "{args:?} of {}: {}", self.name, done.err);
        done.out
    }

    /// Runs a command that must succeed; the JSON that it printed.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let out = self.ok(&[args, &["-o", "json"]].concat());
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{args:?}: {error}: {out}"))
    }

    /// The member `name`, as this agent sees it.
    pub(crate) fn member(&self, name: &str) -> Value {
        let members = self.json(&["members"]);
        let mut members = members.as_array().expect("an array").iter();
        members.find(|member| member["name"] == name).unwrap_or_else(|| panic!("no member {name}")).clone()
    }

    /// Waits until `--key` holds here.
    pub(crate) fn wait_for_key(&self, key: &str) {
        self.ok(&["wait", "--key", key]);
    }

    /// Waits until so many are live here.
    pub(crate) fn wait_for_members(&self, members: usize) {
        self.ok(&["wait", "--members", &members.to_string()]);
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", signal, &pid]).status().expect("kill runs");
        assert!(status.success());
    }

    /// Waits until the agent has ended by itself.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        self.child.wait().expect("the agent is a child")
    }

    /// Asks over HTTP.
    pub(crate) fn http(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let host = format!("Host: {}", self.api);
        http(self.api, &format!("{method} {path} HTTP/1.1"), &[&host], body)
    }

    /// The JSON of a route.
    pub(crate) fn fetch(&self, path: &str) -> Value {
        let answer = self.http("GET", path, b"");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    /// Looks at a route until `holds`.
    pub(crate) fn fetch_until(&self, path: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let body = self.fetch(path);
            if holds(&body) {
                return body;
            }
            assert!(Instant::now() < deadline, "{path} of {} never did what it should: {body}", self.name);
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

impl Done {
    /// Checks that the command failed with `code`, and that it said the fact and the fix.
    #[track_caller]
    pub(crate) fn failed(&self, code: i32, fact: &str) {
        assert_eq!(self.code, Some(code), "{}", self.err);
        assert!(self.err.starts_with("error: ") || self.err.contains("\nerror: "), "{}", self.err);
        assert!(self.err.contains(fact), "{:?} does not say {fact:?}", self.err);
        // Wrong usage is told by the parser of flags, in its own form.
        assert!(code == 2 || self.err.contains("\nfix: "), "{}", self.err);
    }
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Checks that it is a problem of `kind`.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, kind: &str) {
        assert_eq!(self.status, status, "{}", self.body);
        assert!(self.head.contains("content-type: application/problem+json\r\n"), "{}", self.head);
        let body = self.json();
        assert_eq!(body["type"], format!("urn:tidings:problem:{kind}"));
        assert_eq!(body["status"], status);
        for field in ["title", "detail", "fix"] {
            assert!(body[field].as_str().is_some_and(|text| !text.is_empty()), "{field} in {body}");
        }
    }
}

/// Sends one request as it is written here, and reads the answer to its end.
pub(crate) fn http(to: SocketAddr, request: &str, headers: &[&str], body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(to).expect("the agent listens");
    let mut text = format!("{request}\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    stream.write_all(text.as_bytes()).and_then(|()| stream.write_all(body)).expect("the agent reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the agent answers");
    let answer = String::from_utf8(answer).expect("an answer is text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head: format!("{}\r\n", head.to_lowercase()), body: body.to_owned() }
}
