//! The program as people and scripts meet it, at the smallest sizes.

use std::process::{Command, Output};

use serde_json::Value;

fn bench(words: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_tidings-bench"));
    program.args(words).output().expect("the program runs")
}

fn rows(words: &[&str]) -> Vec<Value> {
    let done = bench(words);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).expect("an array of objects")
}

/// What is wrong with a row, if anything is.
fn fault(row: &Value) -> Option<&'static str> {
    let number = |name: &str| row[name].as_f64();
    let is_number_or_null = |name: &str| row[name].is_null() || row[name].is_f64();
    let keys = ["better", "comparable", "goal", "ours", "params", "peer", "ratio", "theirs", "unit", "work"];
    if !row.as_object().is_some_and(|object| object.keys().map(String::as_str).eq(keys)) {
        return Some("other keys");
    }
    if !row["work"].is_string() || !row["unit"].is_string() || !row["params"].is_object() {
        return Some("work, unit or params");
    }
    if !["goal", "ours", "ratio", "theirs"].into_iter().all(is_number_or_null) {
        return Some("a figure");
    }
    if !row["comparable"].is_boolean() {
        return Some("comparable");
    }
    let is_peer = |peer: &str| {
        let version = peer.strip_prefix("chitchat ").or_else(|| peer.strip_prefix("foca "));
        version.is_some_and(|version| version.split('.').all(|part| part.parse::<u32>().is_ok()))
    };
    if !(row["peer"].is_null() || row["peer"].as_str().is_some_and(is_peer)) {
        return Some("peer");
    }
    let is_less = match row["better"].as_str() {
        Some("less") => true,
        Some("more") => false,
        _ => return Some("better"),
    };
    let (ours, theirs) = (number("ours"), number("theirs"));
    match (number("ratio"), ours, theirs) {
        (None, Some(_), Some(_)) => Some("no ratio of two figures"),
        (Some(_), None, _) | (Some(_), _, None) => Some("a ratio of one figure"),
        (Some(ratio), Some(ours), Some(theirs)) if ours != theirs && ratio != 1.0 => {
            let loses = if is_less { ours > theirs } else { ours < theirs };
            (loses != (ratio > 1.0)).then_some("a ratio the wrong way round")
        }
        _ => None,
    }
}

#[test]
fn every_work_is_done_and_told_in_the_shape_that_scripts_expect() {
    let rows = rows(&["--quick", "-o", "json"]);
    for row in &rows {
        assert_eq!(fault(row), None, "{row}");
    }
    let works = String::from_utf8(bench(&["--list"]).stdout).expect("text");
    assert_eq!(works.lines().count(), 12);
    for work in works.lines() {
        let is_of = |row: &&Value| row["work"].as_str().is_some_and(|name| name.starts_with(work));
        let of: Vec<_> = rows.iter().filter(is_of).collect();
        assert!(!of.is_empty(), "{work} has no row");
        // There need not be a valgrind.
        let has_figures = |row: &&&Value| row["ours"].is_f64() && row["theirs"].is_f64();
        assert!(work == "instructions" || of.iter().any(|row| has_figures(&row)), "{work} has no figures");
    }
}

#[test]
fn a_fault_is_found() {
    let row = serde_json::json!({
        "work": "w", "params": {}, "peer": "foca 2.0.0", "theirs": 2.0, "ours": 4.0, "ratio": 2.0, "unit": "s",
        "better": "less", "goal": null, "comparable": true,
    });
    assert_eq!(fault(&row), None);
    let with = |name: &str, value: Value| {
        let mut row = row.clone();
        row[name] = value;
        fault(&row)
    };
    assert_eq!(with("better", "more".into()), Some("a ratio the wrong way round"));
    assert_eq!(with("theirs", Value::Null), Some("a ratio of one figure"));
    assert_eq!(with("peer", "foca".into()), Some("peer"));
    assert_eq!(with("note", "more".into()), Some("other keys"));
}

#[test]
fn only_the_works_that_are_asked_for_are_done() {
    let rows = rows(&["idle-ex", "--quick", "-o", "json"]);
    assert!(!rows.is_empty());
    assert!(
        rows.iter().all(|row| row["work"].as_str().is_some_and(|work| work.starts_with("idle-exchange")))
    );
}

#[test]
fn what_is_not_understood_ends_with_two() {
    for words in [&["--nonsense"][..], &["-o", "xml"], &["no-such-work"]] {
        let done = bench(words);
        assert_eq!((done.status.code(), done.stdout.is_empty()), (Some(2), true), "{words:?}");
    }
}

#[test]
fn people_get_a_table_and_are_told_how_far_it_is() {
    let done = bench(&["largest", "--quick"]);
    let (said, progress) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(said.starts_with("work") && said.contains("ratio above 1 says that we lose"), "{said}");
    assert!(progress.contains("largest, up to"), "{progress}");
}
