//! Clusters of agents: writes spread, crashes are seen, restarts and departures are told apart.

use tempfile::TempDir;

use crate::harness::Agent;

/// Agents that all know each other; the first is the seed. The last has a data directory.
fn cluster(agents: usize, data: &TempDir) -> Vec<Agent> {
    let mut all = vec![Agent::start("node-1", &[])];
    for number in 2..=agents {
        let dir = data.path().to_str().expect("a path in UTF-8");
        let data: &[&str] = if number == agents { &["--data-dir", dir] } else { &[] };
        all.push(Agent::join(&format!("node-{number}"), &all[0], data));
    }
    all.iter().for_each(|agent| agent.wait_for_members(agents));
    all
}

#[test]
fn a_write_on_one_agent_is_read_on_all() {
    let data = TempDir::new().expect("a directory");
    let all = cluster(5, &data);
    all[2].ok(&["set", "service/web", "10.0.0.3:8080"]);
    for agent in &all {
        agent.wait_for_key("node-3/service/web=10.0.0.3:8080");
        assert_eq!(agent.ok(&["get", "node-3", "service/web"]), "10.0.0.3:8080\n");
    }
    all[2].ok(&["delete", "service/web"]);
    all[2].ok(&["set", "after", "the delete"]);
    for agent in &all {
        agent.wait_for_key("node-3/after=the delete");
        assert_eq!(agent.run(&["get", "node-3", "service/web"]).code, Some(1));
        agent.ok(&["wait", "--converged", "--members", "5"]);
    }
    let digests: Vec<_> = all.iter().map(|agent| agent.json(&["status"])["digest"].clone()).collect();
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
}

#[test]
fn a_crash_is_seen_and_a_restart_is_a_new_life_with_the_old_keys() {
    let data = TempDir::new().expect("a directory");
    let mut all = cluster(5, &data);
    let victim = all.pop().expect("five agents");
    victim.ok(&["set", "kept", "on disk"]);
    all.iter().for_each(|agent| agent.wait_for_key("node-5/kept=on disk"));
    let before = victim.member("node-5")["generation"].as_u64().expect("a number");

    victim.signal("KILL");
    drop(victim);
    for agent in &all {
        agent.wait_for_members(4);
        let member = agent.member("node-5");
        assert_eq!(member["state"], "unreachable");
        assert!(member["phi"].as_f64().expect("a number") >= 8.0, "{member}");
        assert_eq!(agent.ok(&["get", "node-5", "kept"]), "on disk\n");
    }
    assert!(all[0].ok(&["members"]).contains("4 live · 1 unreachable · 0 departed, as seen by node-1"));

    let dir = data.path().to_str().expect("a path in UTF-8");
    let back = Agent::join("node-5", &all[0], &["--data-dir", dir]);
    assert_eq!(back.ok(&["get", "@self", "kept"]), "on disk\n");
    for agent in all.iter().chain([&back]) {
        agent.wait_for_members(5);
        assert!(agent.member("node-5")["generation"].as_u64().expect("a number") > before);
        agent.wait_for_key("node-5/kept=on disk");
    }
}

#[test]
fn a_departure_is_told_apart_from_a_crash() {
    let data = TempDir::new().expect("a directory");
    let mut all = cluster(3, &data);
    let mut leaver = all.pop().expect("three agents");
    assert_eq!(leaver.json(&["leave"]), serde_json::json!({"name": "node-3", "state": "departed"}));
    assert_eq!(leaver.ended().code(), Some(0));
    for agent in &all {
        agent.wait_for_members(2);
        assert_eq!(agent.member("node-3")["state"], "departed");
        assert_eq!(agent.json(&["status"])["departed"], 1);
    }
}

#[test]
fn the_signals_of_the_shell_and_of_init_leave_politely() {
    for signal in ["TERM", "INT"] {
        let stays = Agent::start("stays", &[]);
        let mut goes = Agent::join("goes", &stays, &[]);
        stays.wait_for_members(2);
        goes.signal(signal);
        assert_eq!(goes.ended().code(), Some(0), "SIG{signal}");
        stays.wait_for_members(1);
        assert_eq!(stays.member("goes")["state"], "departed", "SIG{signal}");
    }
}
