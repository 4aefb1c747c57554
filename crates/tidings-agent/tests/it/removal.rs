//! Nodes that are gone for good: removed by a command, and remembered for a while.

use crate::harness::Agent;

#[test]
fn a_crashed_agent_is_removed_everywhere_and_remembered_for_a_while() {
    let seed = Agent::start("api-1", &[]);
    let other = Agent::join("api-2", &seed, &[]);
    let victim = Agent::join("api-3", &seed, &[]);
    [&seed, &other, &victim].into_iter().for_each(|agent| agent.wait_for_members(3));
    victim.ok(&["set", "color", "green"]);
    other.wait_for_key("api-3/color=green");
    seed.run(&["remove", "api-3"]).failed(1, "api-3 is live");
    seed.run(&["remove", "api-1"]).failed(1, "api-1 is the node that was asked");
    seed.run(&["remove", "nobody"]).failed(1, "no node named nobody");
    seed.http("DELETE", "/v1/members/api-3", b"").is_problem(409, "still-live");
    seed.http("DELETE", "/v1/members/nobody", b"").is_problem(404, "no-such-node");
    seed.http("DELETE", "/v1/members/no%20name", b"").is_problem(404, "no-such-node");

    victim.signal("KILL");
    drop(victim);
    [&seed, &other].into_iter().for_each(|agent| agent.wait_for_members(2));
    let waits = seed.member("api-3")["forgotten_in_ms"].as_u64().expect("it is unreachable");
    assert!(waits <= 24 * 3_600_000 && waits > 23 * 3_600_000, "{waits}");
    let removed = seed.json(&["remove", "api-3"]);
    assert_eq!(
        (&removed["name"], &removed["was"], &removed["keys"]),
        (&"api-3".into(), &"unreachable".into(), &1.into())
    );
    assert_eq!(removed["remembered_for_ms"], 48 * 3_600_000);
    let again = seed.ok(&["remove", "api-3"]);
    assert!(again.starts_with("api-3 was forgotten ") && again.contains("nothing to do"), "{again}");

    for agent in [&seed, &other] {
        let all = agent.fetch_until("/v1/members?all=true", |all| all[2]["state"] == "forgotten");
        assert_eq!(all[2]["name"], "api-3");
        assert!(all[2]["remembered_for_ms"].as_u64().expect("a number") > 47 * 3_600_000, "{all}");
        assert_eq!(agent.json(&["members"]).as_array().map(Vec::len), Some(2));
        assert!(
            agent.ok(&["members", "--all"]).contains("2 live · 0 unreachable · 0 departed · 1 forgotten")
        );
        agent.run(&["get", "api-3", "color"]).failed(1, "no node");
    }
    seed.http("GET", "/v1/members?all=perhaps", b"").is_problem(400, "bad-request");

    // It is welcome in a later life.
    let back = Agent::join("api-3", &seed, &[]);
    [&seed, &other, &back].into_iter().for_each(|agent| agent.wait_for_members(3));
    assert_eq!(seed.fetch("/v1/members?all=true").as_array().map(Vec::len), Some(3));
}
