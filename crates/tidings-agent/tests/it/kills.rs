//! `kill -9` at any instant, and a disk that takes nothing, with real processes on real files.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Agent, Done, tidings};

const LIVES: u64 = 200;
/// So many write at the same time, so that a kill finds some writes on their way.
const WRITERS: usize = 3;

/// A write that was acknowledged.
struct Acknowledged {
    writer: usize,
    value: u64,
    version: u64,
    generation: u64,
}

/// What is known of a writer's key: what it was last found or acknowledged with.
#[derive(Default, Clone, Copy)]
struct Known {
    value: u64,
    version: u64,
}

/// Numbers from a seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Sets a key; `None` if the agent does not answer that it did.
fn set(api: SocketAddr, key: &str, value: &str) -> Option<Value> {
    let mut stream = TcpStream::connect(api).ok()?;
    let len = value.len();
    let head = format!(
        "PUT /v1/kv/@self/{key} HTTP/1.1\r\nHost: {api}\r\nConnection: close\r\nContent-Length: {len}"
    );
    stream.write_all(format!("{head}\r\n\r\n{value}").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    assert!(head.starts_with("HTTP/1.1 200 "), "{answer}");
    serde_json::from_str(body).ok()
}

/// Writes one number after the other until the agent is gone, and tells which were acknowledged.
fn writes(api: SocketAddr, writer: usize, from: u64, told: Sender<Acknowledged>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for value in from.. {
            // Values of different lengths, so that the state grows and shrinks.
            let text = format!("{value}{}", " ".repeat(usize::try_from(value % 7).expect("small") * 300));
            let Some(body) = set(api, &format!("key-{writer}"), &text) else { return };
            let number = |field: &str| body[field].as_u64().expect(field);
            let (version, generation) = (number("version"), number("generation"));
            if told.send(Acknowledged { writer, value, version, generation }).is_err() {
                return;
            }
        }
    })
}

/// Kills an agent while it starts: when its slots were looked at so many times, or when it is ready.
fn kill_while_starting(dir: &Path, looks: u64) {
    let mut command = tidings();
    command.args(["agent", "--name", "node", "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0"]);
    let mut child =
        command.arg("--data-dir").arg(dir).stdout(Stdio::null()).spawn().expect("the binary runs");
    for _ in 0..looks {
        // They may not be there yet.
        let _ = fs::read(dir.join("state-0"));
    }
    child.kill().and_then(|()| child.wait()).expect("it is our child");
}

/// What the agent has, as its writers know it; and its generation.
fn found(agent: &Agent) -> (u64, Vec<Known>) {
    let state = &agent.fetch("/v1/kv?owner=@self")[0];
    let mut found = vec![Known::default(); WRITERS];
    for entry in state["entries"].as_array().expect("entries") {
        let key = entry["key"].as_str().and_then(|key| key.strip_prefix("key-")).expect("a writer's key");
        let value = entry["value"].as_str().expect("text").trim_end().parse().expect("a number");
        found[key.parse::<usize>().expect("a number")] =
            Known { value, version: entry["version"].as_u64().expect("a version") };
    }
    (state["generation"].as_u64().expect("a generation"), found)
}

/// R69, S9: killed two hundred times, while writes are on their way or while it starts, a node has all that it acknowledged; no
/// generation begins twice, no key's version falls, and none of what was acknowledged gets another meaning.
#[test]
fn r69_two_hundred_kills_lose_no_acknowledged_write_and_reuse_no_generation() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().to_str().expect("a path in UTF-8");
    let mut chance = Chance(69);
    let mut known = vec![Known::default(); WRITERS];
    let mut meanings = BTreeMap::new();
    let (mut latest, mut acknowledged, mut in_flight) = (0, 0, 0);
    for life in 0..LIVES {
        if life % 4 == 3 {
            kill_while_starting(dir.path(), chance.below(1_500));
        }
        let agent = Agent::start("node", &["--data-dir", path]);
        let (generation, now) = found(&agent);
        assert!(generation > latest, "life {life}: generation {generation} after {latest}");
        latest = generation;
        for (writer, (before, now)) in known.iter().zip(&now).enumerate() {
            // What was on its way may have come to the disk, and nothing after it was begun.
            let is_next = now.value == before.value + 1 && now.version > before.version;
            let is_same = (now.value, now.version) == (before.value, before.version);
            assert!(is_same || is_next, "life {life}: key-{writer} is {} after {}", now.value, before.value);
            in_flight += u64::from(is_next);
        }
        known = now;
        for written in killed_at(agent, &known, chance.below(12)) {
            acknowledged += 1;
            assert_eq!(written.generation, generation);
            let before = meanings.insert(written.version, (written.writer, written.value));
            assert_eq!(before, None, "version {} was acknowledged twice", written.version);
            let key = &mut known[written.writer];
            assert!(written.version > key.version && written.value == key.value + 1);
            *key = Known { value: written.value, version: written.version };
        }
    }
    println!("{acknowledged} writes acknowledged; {in_flight} more were found that were on their way");
    assert!(acknowledged > LIVES && in_flight > 0);
}

/// Lets an agent write, and kills it when so many writes were acknowledged. All that were.
fn killed_at(agent: Agent, known: &[Known], after: u64) -> Vec<Acknowledged> {
    let (told, hears): (_, Receiver<Acknowledged>) = channel();
    let threads: Vec<_> = known
        .iter()
        .enumerate()
        .map(|(writer, known)| writes(agent.api, writer, known.value + 1, told.clone()))
        .collect();
    drop(told);
    let mut all: Vec<_> = (0..after).map(|_| hears.recv().expect("the agent takes writes")).collect();
    // By SIGKILL.
    drop(agent);
    threads.into_iter().for_each(|thread| thread.join().expect("a writer ends with the agent"));
    all.extend(hears);
    all
}

/// R70: no file may grow by a byte. The agent says so, and does not begin a life that it could not save.
#[test]
fn r70_an_agent_that_cannot_save_its_generation_does_not_start() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().to_str().expect("a path in UTF-8");
    let start = "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", start, env!("CARGO_BIN_EXE_tidings"), "agent", "--name", "node", "--data-dir", path]);
    shell.args(["--listen", "127.0.0.1:0", "--api", "127.0.0.1:0"]).env("TIDINGS_LOG", "off");
    let done: Done = shell.stdin(Stdio::null()).output().expect("there is a shell").into();
    done.failed(1, &format!("cannot use the data directory {path}: "));
    done.failed(1, "\nfix: make room on the disk of the data directory, and start again\n");
    assert_eq!(done.out, "", "it was never ready");
    let agent = Agent::start("node", &["--data-dir", path]);
    agent.ok(&["set", "there is", "room"]);
}

/// R70: nothing can be saved while the agent runs. Whoever writes is told, and so is whoever looks; it is over when it is over.
#[test]
fn r70_an_agent_says_that_nothing_can_be_saved_and_goes_on_when_it_can() {
    let dir = TempDir::new().expect("a directory");
    let agent = Agent::start("node", &["--data-dir", dir.path().to_str().expect("a path in UTF-8")]);
    agent.ok(&["set", "color", "green"]);
    let slots =
        ["state-0", "state-1"].map(|slot| (dir.path().join(slot), dir.path().join(format!("{slot}.kept"))));
    for (slot, kept) in &slots {
        // As good as a full disk: a directory takes no bytes.
        fs::rename(slot, kept).and_then(|()| fs::create_dir(slot)).expect("the directory is ours");
    }
    agent.run(&["set", "color", "red"]).failed(1, "the write could not be saved: ");
    agent.http("PUT", "/v1/kv/@self/color", b"red").is_problem(507, "no-room");
    let table = agent.ok(&["status"]);
    assert!(
        table.contains("  ! the state cannot be saved (") && table.contains("\ndisk        failing\n"),
        "{table}"
    );
    assert_eq!(agent.ok(&["get", "@self", "color"]), "green\n");
    for (slot, kept) in &slots {
        fs::remove_dir(slot).and_then(|()| fs::rename(kept, slot)).expect("the directory is ours");
    }
    agent.fetch_until("/v1/status", |status| status["disk"] == "well");
    agent.ok(&["set", "color", "blue"]);
    assert!(agent.ok(&["status"]).contains("\ndisk        well\n"));
}
