//! What goes wrong is told with the fact, the fix, and the right exit code.

use std::io::Write as _;
use std::net::{TcpListener, UdpSocket};
use std::process::Stdio;

use crate::harness::{Agent, Done, fail_to_start, run, tidings};

#[test]
fn agents_of_different_clusters_say_so() {
    let blue = Agent::start("blue-1", &["--cluster", "blue"]);
    let red = Agent::join("red-1", &blue, &["--cluster", "red"]);
    let status = blue.fetch_until("/v1/status", |status| {
        status["dropped"]["cluster"].as_u64() > Some(0) && status["warnings"] != serde_json::json!([])
    });
    assert_eq!((&status["live"], &red.fetch("/v1/status")["live"]), (&1.into(), &1.into()));
    let table = blue.ok(&["status"]);
    assert!(table.starts_with("not well, for 1 reason:\n  ! "), "{table}");
    assert!(table.lines().nth(1).is_some_and(|warning| warning.contains("cluster")), "{table}");
}

#[test]
fn a_gossip_port_that_is_taken_stops_the_start() {
    let holder = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let taken = holder.local_addr().expect("an address").to_string();
    let done = fail_to_start(&["--name", "late", "--listen", &taken]);
    done.failed(1, &format!("cannot listen for gossip on {taken}"));
    assert!(done.err.contains("another port"), "{}", done.err);
    assert_eq!(done.out, "");
}

#[test]
fn an_api_port_that_is_taken_stops_the_start() {
    let holder = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = holder.local_addr().expect("an address").to_string();
    let done = fail_to_start(&["--name", "late", "--api", &taken]);
    done.failed(1, &format!("the API can't be served on {taken}"));
    assert_eq!(done.out, "");
}

#[test]
fn wrong_usage_of_agent_is_exit_2() {
    fail_to_start(&["--name", "not a name"]).failed(2, "name");
    fail_to_start(&["--name", "a", "--listen", "0.0.0.0:0"]).failed(2, "0.0.0.0");
    fail_to_start(&["--name", "a", "--seed", "no port"]).failed(2, "no port");
    fail_to_start(&["--name", "a", "--interval", "soon"]).failed(2, "soon");
    fail_to_start(&["--listen", "127.0.0.1:0"]).failed(2, "--name");
}

#[test]
fn wrong_usage_is_exit_2() {
    for (args, fact) in [
        (&["members", "--api", "https://127.0.0.1:1"][..], "https:// is not spoken here"),
        (&["members", "--api", "nowhere"], "neither IP:PORT nor an http:// URL"),
        (&["wait"], "required"),
        (&["wait", "--key", "no-equals-sign/k"], "OWNER/KEY=VALUE"),
        (&["wait", "--members", "1", "--timeout", "long"], "long"),
        (&["members", "-o", "yaml"], "yaml"),
        (&["demo", "--nodes", "1"], "2..=100"),
        (&["demo", "--nodes", "101"], "2..=100"),
        (&["gossip"], "gossip"),
    ] {
        run(args).failed(2, fact);
    }
}

#[test]
fn an_agent_that_is_not_there_is_exit_3() {
    // A port that was free a moment ago, and that nobody here listens on.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let nobody = listener.local_addr().expect("an address").to_string();
    drop(listener);
    for command in [
        &["members"][..],
        &["state"],
        &["get", "a", "k"],
        &["set", "k", "v"],
        &["delete", "k"],
        &["status"],
        &["leave"],
        &["wait", "--members", "1", "--timeout", "100ms"],
    ] {
        run(&[command, &["--api", &nobody]].concat())
            .failed(3, &format!("no agent answers at http://{nobody}"));
    }
}

#[test]
fn an_answer_that_does_not_come_in_time_is_exit_4() {
    // Accepts connections in its backlog, and never answers.
    let mute = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let mute = mute.local_addr().map(|address| (mute, address.to_string())).expect("an address");
    run(&["wait", "--members", "1", "--timeout", "300ms", "--api", &mute.1]).failed(4, "did not answer");
}

#[test]
fn what_does_not_hold_in_time_is_exit_4_with_the_figures() {
    let agent = Agent::start("api-1", &[]);
    agent.ok(&["set", "k", "old"]);
    let wait = ["wait", "--members", "2", "--key", "api-1/k=new", "--key", "api-1/x=1", "--timeout", "200ms"];
    let done = agent.run(&wait);
    done.failed(4, "not so within 200ms: 1 live (asked: 2 live)");
    done.failed(4, "api-1/k = old (asked: api-1/k = new)");
    done.failed(4, "api-1/x is not there (asked: api-1/x = 1)");
    assert_eq!(done.out, "");
}

#[test]
fn refused_writes_are_exit_1() {
    let agent = Agent::start("api-1", &[]);
    agent.run(&["set", "", "v"]).failed(1, "the key is empty");
    agent.run(&["set", &"k".repeat(257), "v"]).failed(1, "257");
    agent.run(&["set", "a\nb", "v"]).failed(1, "control character");
    agent.run(&["set", "tidings/departed", "v"]).failed(1, "tidings/");
    agent.run(&["set", "k", &"v".repeat(65_537)]).failed(1, "65536");
    agent.run(&["delete", "never-set"]).failed(1, "never-set");
    set_from_stdin(&agent, &vec![b'v'; 1 << 20]).failed(1, "more than 65536 bytes");
    set_from_stdin(&agent, &vec![b'v'; 900]).ok();
}

#[test]
fn what_is_not_there_is_exit_1() {
    let agent = Agent::start("api-1", &[]);
    agent.run(&["get", "@self", "nix"]).failed(1, "api-1 has no key \"nix\"");
    agent.run(&["get", "nobody", "k"]).failed(1, "no node \"nobody\" is known");
    agent.run(&["state", "nobody"]).failed(1, "no node \"nobody\" is known");
}

#[test]
fn a_second_departure_finds_no_agent() {
    let mut agent = Agent::start("api-1", &[]);
    assert_eq!(agent.ok(&["leave"]), "api-1 has left the cluster\n");
    assert_eq!(agent.ended().code(), Some(0));
    agent.run(&["leave"]).failed(3, "no agent answers");
}

fn set_from_stdin(agent: &Agent, value: &[u8]) -> Done {
    let mut set = tidings();
    set.args(["set", "big", "-", "--api", &agent.api.to_string()]);
    let mut set =
        set.stdin(Stdio::piped()).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
    // It stops reading once it knows that the value is too large.
    let _ = set.stdin.take().expect("stdin is piped").write_all(value);
    set.wait_with_output().expect("it ends").into()
}

impl Done {
    /// Checks that the command succeeded.
    #[track_caller]
    fn ok(&self) {
        assert_eq!(self.code, Some(0), "{}", self.err);
    }
}
