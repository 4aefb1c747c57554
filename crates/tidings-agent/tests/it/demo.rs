//! The demo reaches what it promises, by itself.

use std::time::{Duration, Instant};

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
        ["\n1. ", "\n4. ", "\n5. ", "converged: all 3 digests are ", "theory: ", "unreachable", " bytes, "]
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
        "rest",
        "rested",
    ];
    assert_eq!(names, expected);
    for step in &steps {
        for field in ["ms", "rounds", "datagrams", "bytes", "lost"] {
            assert!(step[field].is_number(), "{field} in {step}");
        }
        assert!(step["said"].is_string(), "{step}");
    }
    assert_eq!(steps[4]["node"], "node-1");
    assert!(steps[5]["expected_rounds"].is_number());
    assert!(steps.last().is_some_and(|step| step["processor_us"].as_u64() > Some(0)), "{steps:?}");
}

#[test]
fn the_story_ends_on_a_network_that_loses_a_quarter_of_all() {
    let began = Instant::now();
    let done = run(&["demo", "--loss", "0.25", "-o", "jsonl"]);
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert!(began.elapsed() < Duration::from_secs(40), "thirty seconds, and some for a busy machine");
    let steps = steps(&done);
    let (lost, sent) = steps.iter().fold((0, 0), |(lost, sent), step| {
        let figure = |field: &str| step[field].as_u64().expect("a number");
        // The last step of an act has its sums, and a new act begins at nothing.
        (lost.max(figure("lost")), sent.max(figure("datagrams")))
    });
    assert!(lost > 0 && lost < sent / 2, "{lost} of {sent}");
    assert!(steps.iter().skip(10).any(|step| step["step"] == "converged"), "{steps:?}");
}

#[test]
fn a_story_tells_what_was_lost() {
    let done = run(&["demo", "--nodes", "2", "--loss", "0.1", "--seconds", "20"]);
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert!(done.out.contains("\nOf all datagrams, a share of 0.1 is lost at random."), "{}", done.out);
    assert!(done.out.contains(" bytes; ") && done.out.contains(" datagrams were lost.\n"), "{}", done.out);
}

#[test]
fn a_story_that_is_not_told_in_time_is_exit_1() {
    let done = run(&["demo", "--loss", "0.9", "--seconds", "1", "-o", "json"]);
    done.failed(1, ", within 1 s");
    done.failed(1, "\nfix: run it again with fewer --nodes or more --seconds");
    let steps: Value = serde_json::from_str(&done.out).expect("what was told so far is JSON");
    assert_eq!(steps[0]["step"], "start");
}

#[test]
fn figures_that_make_no_story_are_exit_2() {
    for (args, fact) in [
        (["--nodes", "1"], "2..=100"),
        (["--nodes", "0"], "2..=100"),
        (["--seconds", "0"], "--seconds"),
        (["--loss", "2"], "give a share from 0 to 0.9"),
        (["--loss", "-0.1"], "give a share from 0 to 0.9"),
        (["--loss", "NaN"], "give a share from 0 to 0.9"),
        (["--loss", "much"], "give a share from 0 to 0.9"),
    ] {
        let done = run(&[&["demo"][..], &args].concat());
        done.failed(2, fact);
        assert_eq!(done.out, "", "{args:?}");
    }
}
