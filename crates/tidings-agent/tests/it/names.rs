//! One name, one process; and where the process of a name is may change.

use std::fs;
use std::net::UdpSocket;

use tempfile::TempDir;

use crate::harness::{Agent, fail_to_start};

#[test]
fn a_second_agent_of_a_name_does_not_start_and_the_first_goes_on() {
    let first = Agent::start("twin", &[]);
    let other = Agent::join("other", &first, &[]);
    other.wait_for_members(2);
    let generation = first.member("twin")["generation"].clone();
    // Whether it asks the one who has its name, or somebody who knows of that one.
    for seed in [&first, &other] {
        let second = fail_to_start(&["--name", "twin", "--seed", &seed.gossip.to_string()]);
        second.failed(1, "the name twin is taken: ");
        second.failed(1, &format!("a process at {} has it, and this one is at 127.0.0.1:", first.gossip));
        let fix = format!("\nfix: give this node another name, or stop the process at {}\n", first.gossip);
        assert!(second.err.ends_with(&fix), "{}", second.err);
        assert_eq!(second.out, "", "it was never ready");
    }
    first.ok(&["set", "still", "here"]);
    other.wait_for_key("twin/still=here");
    let seen = other.member("twin");
    assert_eq!((&seen["generation"], &seen["address"]), (&generation, &first.gossip.to_string().into()));
}

#[test]
fn of_two_agents_of_a_name_that_meet_later_the_elder_ends_and_says_why() {
    let dir = TempDir::new().expect("a directory");
    let log = dir.path().join("log");
    let mut elder = Agent::start_logged("twin", &[], &log);
    let younger = Agent::start("twin", &[]);
    // Neither knew anybody to ask, until somebody comes who knows both.
    let seeds = [&elder, &younger].map(|twin| twin.gossip.to_string());
    let between = Agent::start("between", &["--seed", &seeds[0], "--seed", &seeds[1]]);
    assert_eq!(elder.ended().code(), Some(1));
    let log = fs::read_to_string(&log).expect("the agent wrote it");
    let error = format!(
        "\nerror: the name twin is taken: a process at {} has it, and this one is at {}\nfix: give this node another \
         name, or stop the process at {}\n",
        younger.gossip, elder.gossip, younger.gossip
    );
    assert!(log.ends_with(&error), "{log}");
    younger.ok(&["set", "still", "here"]);
    between.wait_for_key("twin/still=here");
}

#[test]
fn a_restart_at_another_address_is_found_under_its_name() {
    let seed = Agent::start("seed", &[]);
    let other = Agent::join("other", &seed, &[]);
    let moved = Agent::join("moved", &seed, &[]);
    for agent in [&seed, &other, &moved] {
        agent.wait_for_members(3);
    }
    let (before, old) = (other.member("moved"), moved.gossip);
    assert_eq!(before["address"], old.to_string());
    moved.signal("KILL");
    drop(moved);
    // So that it does not get its old port by chance. If somebody else has it by now, that serves as well.
    let _held = UdpSocket::bind(old);

    let moved = Agent::join("moved", &seed, &[]);
    assert_ne!(moved.gossip, old);
    moved.ok(&["set", "new", "home"]);
    for agent in [&seed, &other] {
        agent.wait_for_key("moved/new=home");
        agent.wait_for_members(3);
        let after = agent.member("moved");
        assert_eq!(after["address"], moved.gossip.to_string());
        assert!(after["generation"].as_u64() > before["generation"].as_u64(), "{after}");
    }
}
