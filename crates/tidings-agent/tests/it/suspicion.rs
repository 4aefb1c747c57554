//! What agents believe of each other: why, and not for their own stalls.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::Agent;

#[test]
fn the_state_of_a_node_tells_what_phi_is_made_of() {
    let witness = Agent::start("witness", &[]);
    let all = [Agent::join("a", &witness, &[]), Agent::join("b", &witness, &[])];
    for agent in [&witness, &all[0], &all[1]] {
        agent.wait_for_members(3);
    }
    assert_eq!(witness.fetch("/v1/kv?owner=witness")[0]["suspected"], Value::Null, "nobody suspects itself");
    let calm = witness.json(&["state", "b"])[0]["suspected"].clone();
    assert!(calm["quiet_ms"].is_u64() && calm["phi"].is_number(), "{calm}");
    assert!(witness.ok(&["state", "b"]).contains("NODE  PHI"));

    let [a, b] = all;
    b.signal("KILL");
    drop(b);
    let of_b = |nodes: &Value| nodes[0]["suspected"].clone();
    let accusers = |nodes: &Value| of_b(nodes)["accusers"].as_array().expect("an array").clone();
    let accused = witness.fetch_until("/v1/kv?owner=b", |nodes| !accusers(nodes).is_empty());
    for accuser in accusers(&accused) {
        assert!(["witness", "a"].contains(&accuser["name"].as_str().expect("a name")), "{accused}");
        assert!(accuser["failed"].as_u64() > Some(0), "{accused}");
    }
    witness.wait_for_members(2);
    let suspected = of_b(&witness.json(&["state", "b"]));
    let figure = |field: &str| suspected[field].as_f64().expect("a number");
    assert!(figure("phi") >= 8.0 && figure("threshold") >= 8.0, "{suspected}");
    assert!((figure("phi") - figure("silence").max(figure("attempts"))).abs() < 1e-9, "{suspected}");
    assert!(figure("quiet_ms") >= 200.0, "longer than the patience: {suspected}");
    let table = witness.ok(&["state"]);
    assert!(table.contains("ACCUSED BY\nb "), "{table}");
    assert!(a.ok(&["state", "witness"]).contains("ACCUSED BY\nwitness "), "who is asked for is shown");
}

/// What it did not hear while it was stopped is nobody's fault.
#[test]
fn an_agent_that_was_stopped_convicts_nobody_once_it_goes_on() {
    let dir = TempDir::new().expect("a directory");
    let log = |name: &str| dir.path().join(name);
    let judge = Agent::start_logged("judge", &[], &log("judge"));
    let seed = judge.gossip.to_string();
    let other = Agent::join("other", &judge, &[]);
    let stopped = Agent::start_logged("stopped", &["--seed", &seed], &log("stopped"));
    for agent in [&judge, &other, &stopped] {
        agent.wait_for_members(3);
    }
    let rounds = |status: &Value| status["rounds"].as_u64().expect("a number");
    stopped.signal("STOP");
    judge.wait_for_members(2);
    assert_eq!(judge.member("stopped")["state"], "unreachable");
    // For so long that the silence alone would convict everybody.
    let convicted = rounds(&judge.fetch("/v1/status"));
    judge.fetch_until("/v1/status", |status| rounds(status) >= convicted + 30);
    stopped.signal("CONT");
    let first = rounds(&stopped.fetch("/v1/status"));
    stopped.fetch_until("/v1/status", |status| {
        assert_eq!((&status["live"], &status["unreachable"]), (&json!(3), &json!(0)));
        rounds(status) >= first + 10
    });
    judge.wait_for_members(3);
    // What happened between two looks is in the log.
    let happened = |name: &str| fs::read_to_string(log(name)).expect("the agent wrote it");
    assert!(happened("judge").contains("kind=Unreachable"), "{}", happened("judge"));
    assert!(happened("stopped").contains("kind=Live"), "{}", happened("stopped"));
    assert!(!happened("stopped").contains("kind=Unreachable"), "{}", happened("stopped"));
}
