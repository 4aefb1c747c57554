//! The laboratory: rows for programs, tables and reports for people.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Done, run, tidings};

fn rows(done: &Done) -> Vec<Value> {
    serde_json::from_str(&done.out).expect("an array of rows")
}

#[test]
fn the_lab_prints_rows_for_programs_and_writes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let args = ["sim", "lab", "spread", "--mode", "push-pull,push", "--nodes", "100,1000", "-o", "json"];
    let done: Done = tidings().args(args).current_dir(&folder).output().expect("the binary runs").into();
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""), "{}", done.out);
    assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 0);
    let rows = rows(&done);
    let rounds = rows.iter().find(|row| row["params"]["metric"] == "rounds").expect("a mean");
    let params = json!({
        "mode": "push-pull", "nodes": 100, "fanout": 1, "loss": 0.0, "timing": "sync", "metric": "rounds",
    });
    assert_eq!((&rounds["experiment"], &rounds["params"]), (&json!("spread"), &params));
    let measured = rounds["measured"].as_f64().expect("a number");
    assert!((6.33..6.73).contains(&measured), "{measured}");
    assert_eq!((&rounds["expected"], &rounds["ok"]), (&json!(6.53), &json!(true)));
    for field in ["low", "high"] {
        assert!(rounds[field].is_f64(), "{field} in {rounds}");
    }
    for timing in ["sync", "event", "event-0.1T", "protocol"] {
        assert!(rows.iter().any(|row| row["params"]["timing"] == timing), "{timing}");
    }
}

#[test]
fn the_same_seed_gives_the_same_rows() {
    let lab = |seed| run(&["sim", "lab", "heal", "--runs", "2", "-o", "jsonl", "--seed-number", seed]).out;
    let seven = lab("7");
    assert_eq!(seven, lab("7"));
    assert_ne!(seven, lab("8"));
    assert!(seven.lines().all(|row| serde_json::from_str::<Value>(row).is_ok()));
}

#[test]
fn people_get_a_table_a_report_and_a_book() {
    let folder = tempfile::tempdir().expect("a folder");
    let args = ["sim", "lab", "spread", "--nodes", "50", "--runs", "300", "--docs", "docs/lab.md"];
    let done: Done = tidings().args(args).current_dir(&folder).output().expect("the binary runs").into();
    assert_eq!(done.code, Some(0), "{}{}", done.out, done.err);
    assert!(done.out.contains("measured  expected  accepted") && done.out.contains("all ok"), "{}", done.out);
    assert!(done.out.contains("report: tidings-lab/spread.html"), "{}", done.out);
    let read = |path: &str| fs::read_to_string(folder.path().join(path)).expect("it was written");
    assert!(read("tidings-lab/spread.html").contains("<svg"));
    assert!(read("tidings-lab/spread-2.svg").starts_with("<svg"));
    assert!(read("docs/lab.md").contains("](lab/spread-1.svg)"));
    assert!(read("docs/lab/spread-1.svg").starts_with("<svg"));
}

#[test]
fn what_is_out_of_its_range_is_exit_1() {
    // One run is not the mean of many: at least one of all those rows is off.
    let done = run(&["sim", "lab", "rumors", "--runs", "1", "-o", "json"]);
    done.failed(1, " are out of what is accepted");
    let rows = rows(&done);
    assert!(rows.iter().any(|row| row["ok"] == false));
    let metrics = ["residue", "traffic", "t_ave", "t_last"];
    for (table, k) in (1..=5).flat_map(|k| [(1, k), (2, k)]).chain([(3, 1), (3, 2), (3, 3)]) {
        for metric in metrics {
            let params = json!({"table": table, "k": k, "metric": metric});
            assert!(rows.iter().any(|row| row["params"] == params), "{params}");
        }
    }
}

#[test]
fn figures_that_make_no_experiment_are_exit_2() {
    for (args, fact) in [
        (
            &["gossip"][..],
            "spread, scale, rumors, mongering, staleness, flow, digest, detect, detection, heal, join, all",
        ),
        (&[], "<NAME>"),
        (&["rumors", "--nodes", "100"], "are of the experiment spread alone"),
        (&["all", "--loss", "0.1"], "are of the experiment spread alone"),
        (&["spread", "--mode", "shout"], "give push, pull, push-pull"),
        (&["spread", "--nodes", "1"], "give a number from 2 to 10000000"),
        (&["spread", "--fanout", "0"], "1..=32"),
        (&["spread", "--loss", "1"], "give a share from 0 to 0.9"),
        (&["spread", "--runs", "0"], "--runs"),
        (&["spread", "--no-report", "--out", "x"], "cannot be used with"),
    ] {
        let done = run(&[&["sim", "lab"][..], args].concat());
        done.failed(2, fact);
        assert_eq!(done.out, "", "{args:?}");
    }
}

#[test]
fn a_report_that_cannot_be_written_is_told_before_anything_is_measured() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let out = file.path().join("folder");
    let done = run(&["sim", "lab", "spread", "--out", out.to_str().expect("a proper path")]);
    done.failed(1, " can't be written: ");
    assert_eq!(done.out, "");
}
