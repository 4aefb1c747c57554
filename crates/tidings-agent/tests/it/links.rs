//! Modes, and networks in which not everybody reaches everybody.

use crate::harness::{Agent, fail_to_start};

#[test]
fn three_agents_in_a_line_that_push_and_pull_know_all() {
    let middle = Agent::start("middle", &["--mode", "push-pull"]);
    let neighbour = middle.gossip.to_string();
    let left = Agent::start("left", &["--neighbour", &neighbour, "--mode", "push"]);
    let right = Agent::start("right", &["--neighbour", &neighbour, "--mode", "pull"]);
    let all = [(&left, "push"), (&middle, "push-pull"), (&right, "pull")];
    for (agent, mode) in all {
        agent.ok(&["set", "from", &agent.name]);
        assert_eq!(agent.fetch("/v1/status")["mode"], mode);
    }
    for (agent, _) in all {
        agent.wait_for_members(3);
        for (other, _) in all {
            agent.wait_for_key(&format!("{}/from={}", other.name, other.name));
        }
    }
    assert!(left.ok(&["status"]).contains(", by push\n"));
}

#[test]
fn an_agent_with_neighbours_gossips_with_nobody_else() {
    let middle = Agent::start("middle", &[]);
    let neighbour = middle.gossip.to_string();
    let left = Agent::start("left", &["--neighbour", &neighbour]);
    let right = Agent::start("right", &["--neighbour", &neighbour]);
    for agent in [&left, &middle, &right] {
        agent.wait_for_members(3);
    }
    middle.signal("KILL");
    drop(middle);
    // They know where each other is, and hear nothing any more: only a link that should not be there would help.
    for (agent, other) in [(&left, "right"), (&right, "left")] {
        agent.wait_for_members(1);
        assert_eq!(agent.member(other)["state"], "unreachable");
        let table = agent.ok(&["status"]);
        assert!(table.contains("  ! 2 nodes unreachable: "), "{table}");
    }
}

#[test]
fn modes_and_neighbours_that_are_none_are_exit_2() {
    let done = fail_to_start(&["--name", "a", "--mode", "both"]);
    done.failed(2, "mode can't be \"both\" (flag --mode)");
    done.failed(2, "\nfix: give push, pull or push-pull\n");
    let done = fail_to_start(&["--name", "a", "--neighbour", "a:1", "--neighbour", "nowhere"]);
    done.failed(2, "neighbour can't be \"a:1\", \"nowhere\" (flag --neighbour)");
    done.failed(2, "\nfix: give a list of HOST:PORT");
    fail_to_start(&["--name", "a", "--neighbour", "a:1", "--seed", "b:2"])
        .failed(2, "a node has seeds or neighbours, and not both");
}
