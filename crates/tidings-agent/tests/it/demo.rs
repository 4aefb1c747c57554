//! The demo reaches what it promises, by itself.

use serde_json::Value;

use crate::harness::{Done, run};

fn steps(done: &Done) -> Vec<Value> {
    done.out.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

#[test]
fn the_story_ends_converged() {
    let done = run(&["demo", "--nodes", "3"]);
    assert_eq!(done.code, Some(0), "{}", done.err);
    for said in
        ["\n1. ", "\n2. ", "\n3. ", "\n4. ", "converged: all 3 digests are ", "theory: ", "unreachable"]
    {
        assert!(done.out.contains(said), "{said:?} in {}", done.out);
    }
    assert!(!done.out.contains('\u{1b}'), "no live table in a pipe");
}

#[test]
fn every_step_can_be_read_by_a_program() {
    let done = run(&["demo", "--nodes", "2", "--seed-number", "7", "-o", "jsonl"]);
    assert_eq!(done.code, Some(0), "{}", done.err);
    let steps = steps(&done);
    let names: Vec<_> = steps.iter().map(|step| step["step"].as_str().expect("a name")).collect();
    let expected = [
        "start",
        "known",
        "converged",
        "write",
        "arrival",
        "spread",
        "kill",
        "convicted",
        "unreachable",
        "readable",
        "restart",
        "restarted",
        "live",
        "generation",
        "converged",
    ];
    assert_eq!(names, expected);
    for step in &steps {
        for field in ["ms", "rounds", "datagrams", "bytes"] {
            assert!(step[field].is_number(), "{field} in {step}");
        }
        assert!(step["said"].is_string(), "{step}");
    }
    assert_eq!(steps[4]["node"], "node-1");
    assert!(steps[5]["expected_rounds"].is_number());
}
