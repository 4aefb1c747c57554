//! Scenarios and the swarm, from the command line.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::harness::{Done, run, tidings};

/// The scenarios of the repository.
fn scenarios() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios").to_string_lossy().into_owned()
}

fn body(done: &Done) -> Value {
    serde_json::from_str(&done.out).unwrap_or_else(|error| panic!("{error}: {}{}", done.out, done.err))
}

/// However many threads run them; the gate compares builds with and without optimisation.
#[test]
fn a_seed_is_the_same_run_everywhere() {
    let done = run(&["sim", "fuzz", "--seeds", "0..20", "-o", "json"]);
    let report = body(&done);
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""));
    assert_eq!(report["seeds"], 20);
    assert_eq!(report["failures"], Value::Array(Vec::new()));
    let coverage = report["coverage"].as_object().expect("names");
    assert!(coverage.len() >= 20 && coverage.values().all(Value::is_u64), "{coverage:?}");
    assert!(report["simulated_hours"].as_f64().is_some_and(|hours| hours > 0.1));
    assert!(report["core_seconds"].as_f64().is_some_and(|seconds| seconds > 0.0));
    let other = run(&["sim", "fuzz", "--seeds", "0..20", "--threads", "3", "-o", "json"]);
    assert_eq!(body(&other)["trace_hash"], report["trace_hash"]);
}

#[test]
fn people_see_what_happened_and_what_it_took() {
    let done = run(&["sim", "fuzz", "--seeds", "0..8", "--shard", "2/2"]);
    assert_eq!(done.code, Some(0), "{}{}", done.out, done.err);
    assert!(done.out.contains("TIMES  WHAT HAPPENED") && done.out.contains("crashes"), "{}", done.out);
    assert!(done.out.contains("\n4 seeds, "), "{}", done.out);
}

#[test]
fn wrong_seeds_and_shards_are_exit_2() {
    for (args, reason) in [
        (["--seeds", "7"], "give two numbers, the first one below the second"),
        (["--seeds", "7..7"], "give two numbers"),
        (["--seeds", "0..18446744073709551615"], "that is more than 1000000000 seeds"),
        (["--shard", "0/4"], "give which part of how many, like 3/16"),
        (["--shard", "5/4"], "give which part of how many"),
    ] {
        let done = run(&[&["sim", "fuzz"], &args[..]].concat());
        assert_eq!(done.code, Some(2), "{}", done.err);
        assert!(done.err.contains(reason), "{}", done.err);
    }
}

#[test]
fn a_scenario_runs_the_same_each_time_and_another_seed_is_another_run() {
    let file = format!("{}/crash.toml", scenarios());
    let once = body(&run(&["sim", "run", &file, "-o", "json"]));
    assert_eq!(once, body(&run(&["sim", "run", &file, "-o", "json"])));
    let other = body(&run(&["sim", "run", &file, "--seed", "2", "-o", "json"]));
    assert_ne!(once["trace_hash"], other["trace_hash"]);
    assert_eq!((&once["broken"], &once["nodes"]), (&Value::Null, &16.into()));
    assert!(once["messages"].as_u64().is_some_and(|messages| messages > 1_000), "{once}");
    let people = run(&["sim", "run", &file]).out;
    assert!(people.contains("crashes, seed 1\n") && people.contains("all promises kept, trace "), "{people}");
}

#[test]
fn a_replay_tells_the_story_and_what_is_asked_of_it() {
    let file = format!("{}/crash.toml", scenarios());
    let story = run(&["sim", "replay", &file, "--from", "19s", "--to", "25s", "--node", "9"]).out;
    assert!(story.contains("    20000000    9 crash\n"), "{story}");
    assert!(!story.contains("   8 crash") && story.ends_with("all promises kept\n"), "{story}");
    let seed = body(&run(&["sim", "replay", "5", "-o", "json"]));
    assert!(seed["lines"].as_array().is_some_and(|lines| lines.len() > 100));
    let trace = |command: &str, seed: &str| {
        body(&run(&["sim", command, &file, "--seed", seed, "-o", "json"]))["trace_hash"].clone()
    };
    assert_eq!(trace("replay", "2"), trace("run", "2"));
    assert_ne!(trace("replay", "2"), trace("replay", "3"));
    run(&["sim", "replay", "5", "--seed", "2"]).failed(2, "leave out --seed");
}

#[test]
fn what_breaks_is_told_with_its_scenario_and_the_command_that_replays_it() {
    let folder = tempfile::tempdir().expect("a folder");
    // Where there are more nodes than a node remembers, not all know each other.
    let text = "name = \"too many\"\nnodes = 6\nchaos = \"5s\"\nmax-nodes = 4\n";
    fs::write(folder.path().join("many.toml"), text).expect("it is written");
    let here = |args: &[&str]| -> Done {
        tidings().args(args).current_dir(&folder).output().expect("the binary runs").into()
    };
    let done = here(&["sim", "run", "many.toml", "--seed", "7"]);
    done.failed(1, "too many breaks L2 after ");
    assert!(done.err.contains("`tidings sim replay many.toml --seed 7` tells"), "{}", done.err);
    here(&["sim", "replay", "many.toml", "--seed", "7"]).failed(1, "--seed 7");
    let done = here(&["sim", "compare", ".", "--update"]);
    done.failed(1, "too many breaks L2 after ");
    assert!(done.err.contains("`tidings sim replay ./many.toml` tells"), "{}", done.err);
}

#[test]
fn a_step_that_did_nothing_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("idle.toml");
    let step = |at: &str, what: &str| format!("[[step]]\nat = \"{at}\"\ndo = \"{what}\"\nnode = 1\n");
    let steps = [step("1s", "crash"), step("2s", "crash")].concat();
    fs::write(&file, format!("name = \"idle\"\nnodes = 3\nchaos = \"5s\"\n{steps}")).expect("it is written");
    let done = run(&["sim", "run", &file.to_string_lossy()]);
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert!(done.err.starts_with("note: the step of 2s, crashes, did nothing"), "{}", done.err);
    assert_eq!(done.err.lines().count(), 1, "{}", done.err);
}

#[test]
fn what_is_no_scenario_is_exit_2_with_the_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("x.toml");
    fs::write(&file, "name = \"x\"\nnodes = 3\nchaos = \"10s\"\n[[step]]\nat = \"1s\"\ndo = \"crush\"\n")
        .expect("it is written");
    let done = run(&["sim", "run", &file.to_string_lossy()]);
    assert_eq!(done.code, Some(2));
    assert!(done.err.contains("unknown variant `crush`") && done.err.contains("line 4"), "{}", done.err);
    assert_eq!(run(&["sim", "replay", "nowhere.toml"]).code, Some(2));
}

#[test]
fn scenarios_take_what_they_took_or_it_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = |name: &str| folder.path().join(name);
    fs::copy(format!("{}/namesake.toml", scenarios()), here("namesake.toml")).expect("it is copied");
    let compare = |args: &[&str]| -> Done {
        let args = [&["sim", "compare", "."], args].concat();
        tidings().args(args).current_dir(&folder).output().expect("the binary runs").into()
    };
    let done = compare(&[]);
    assert_eq!(done.code, Some(2));
    assert!(done.err.contains("--update"), "{}", done.err);
    assert_eq!(compare(&["--update"]).code, Some(0));
    let done = compare(&["--tolerance", "0"]);
    assert_eq!(done.code, Some(0), "{}{}", done.out, done.err);
    let baseline = fs::read_to_string(here("baseline.toml")).expect("it was written");
    fs::write(here("baseline.toml"), baseline.replace("messages = ", "messages = 1")).expect("it is written");
    let lines = compare(&["-o", "jsonl"]).out;
    assert_eq!(
        lines.lines().filter(|line| serde_json::from_str::<Value>(line).is_ok()).count(),
        5,
        "{lines}"
    );
    let done = compare(&["-o", "json"]);
    assert_eq!(done.code, Some(1));
    assert!(done.err.contains("1 of 5 figures differ by more than 5 %"), "{}", done.err);
    let messages = &body(&done)[1];
    assert!(
        messages["difference_percent"].as_f64().is_some_and(|difference| difference < -50.0),
        "{messages}"
    );
    fs::rename(here("namesake.toml"), here("other.toml")).expect("it is moved");
    compare(&[]).failed(1, "has namesake, and there is no namesake.toml");
}
