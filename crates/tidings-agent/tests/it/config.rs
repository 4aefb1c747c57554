//! The configuration of an agent: which layer counts, what is refused, what is shown.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Agent, Done, fail_to_start, run, tidings};

/// A configuration file, gone when dropped.
struct File {
    _dir: TempDir,
    path: String,
}

impl File {
    fn new(text: &str) -> Self {
        let dir = TempDir::new().expect("a directory");
        let path = dir.path().join("tidings.toml").to_str().expect("a path in UTF-8").to_owned();
        fs::write(&path, text).expect("the directory takes a file");
        Self { _dir: dir, path }
    }

    /// Runs `config show` with this file.
    fn show(&self, args: &[&str], environment: &[(&str, &str)]) -> Done {
        show(&[&["--config", &self.path], args].concat(), environment)
    }

    /// Where the setting in a line of this file comes from.
    fn line(&self, line: usize) -> String {
        format!("file {}:{line}", self.path)
    }
}

fn show(args: &[&str], environment: &[(&str, &str)]) -> Done {
    let environment = environment.iter().copied();
    tidings().args(["config", "show"]).args(args).envs(environment).output().expect("the binary runs").into()
}

/// The rows of `config show -o json`, as (value, from) of a key.
fn shown(done: &Done, key: &str) -> (Value, String) {
    assert_eq!(done.code, Some(0), "{}", done.err);
    let rows: Vec<Value> = serde_json::from_str(&done.out).expect("an array");
    let row = rows.iter().find(|row| row["key"] == key).unwrap_or_else(|| panic!("no {key} in {}", done.out));
    (row["value"].clone(), row["from"].as_str().expect("text").to_owned())
}

#[test]
fn each_layer_overrides_the_next() {
    let file = File::new("name = \"file\"\ninterval = \"2m\"\nseed = [\"a:1\", \"b:2\"]\nfanout = 3\n");
    let environment =
        [("TIDINGS_INTERVAL", "1500ms"), ("TIDINGS_SEED", "c:3, d:4"), ("TIDINGS_DATA_DIR", "")];
    let json = ["-o", "json"];

    let all = file.show(
        &[&json[..], &["--interval", "100ms", "--seed", "e:5", "--seed", "f:6"]].concat(),
        &environment,
    );
    assert_eq!(shown(&all, "interval"), (json!("100ms"), "flag --interval".to_owned()));
    assert_eq!(shown(&all, "seed"), (json!(["e:5", "f:6"]), "flag --seed".to_owned()));
    let no_flags = file.show(&json, &environment);
    assert_eq!(shown(&no_flags, "interval"), (json!("1s 500ms"), "environment TIDINGS_INTERVAL".to_owned()));
    assert_eq!(shown(&no_flags, "seed"), (json!(["c:3", "d:4"]), "environment TIDINGS_SEED".to_owned()));
    assert_eq!(
        shown(&no_flags, "data_dir"),
        (Value::Null, "default".to_owned()),
        "an empty variable is none"
    );
    let only_file = file.show(&json, &[]);
    assert_eq!(shown(&only_file, "interval"), (json!("2m"), file.line(2)));
    assert_eq!(shown(&only_file, "seed"), (json!(["a:1", "b:2"]), file.line(3)));
    assert_eq!(shown(&only_file, "fanout"), (json!(3), file.line(4)));
    let defaults = show(&["--name", "a", "-o", "json"], &[]);
    assert_eq!(shown(&defaults, "interval"), (json!("1s"), "default".to_owned()));
    assert_eq!(shown(&defaults, "seed"), (json!([]), "default".to_owned()));
}

#[test]
fn every_setting_can_be_given_by_every_layer() {
    let values = [
        ("name", "api-1"),
        ("listen", "127.0.0.1:1"),
        ("advertise", "127.0.0.1:2"),
        ("seed", "a:3"),
        ("neighbour", "n:3"),
        ("api", "127.0.0.1:4"),
        ("cluster", "blue"),
        ("data_dir", "d"),
        ("interval", "250ms"),
        ("mode", "pull"),
        ("fanout", "5"),
        ("rumors", "blind-coin-2x3"),
        ("hold", "5ms"),
        ("rumor_datagrams", "7"),
        ("rumor_bytes", "8KiB"),
        ("flow_control", "off"),
        ("patience", "3"),
        ("datagram", "1400B"),
        ("max_keys", "6"),
        ("max_bytes", "64KiB"),
        ("grace", "1m"),
        ("forget_after", "2h"),
        ("allow_requests", "config/*"),
    ];
    // Seeds and neighbours exclude each other.
    for left_out in ["seed", "neighbour"] {
        let given: Vec<_> = values.into_iter().filter(|(key, _)| *key != left_out).collect();
        for (layer, done) in by_each_layer(&given) {
            assert_eq!((done.code, done.err.as_str()), (Some(0), ""));
            let rows: Vec<Vec<_>> =
                done.out.lines().skip(1).map(|line| line.split_whitespace().take(3).collect()).collect();
            let row = |(key, value)| {
                if key == left_out { vec![key, "-", "default"] } else { vec![key, value, layer] }
            };
            assert_eq!(rows, values.into_iter().map(row).collect::<Vec<_>>());
        }
    }
}

/// What `config show` says of settings given by flags, by variables and by a file.
fn by_each_layer(values: &[(&str, &str)]) -> [(&'static str, Done); 3] {
    let mut flags = vec![];
    let mut variables = vec![];
    let mut file = String::new();
    for &(key, value) in values {
        flags.extend([format!("--{}", key.replace('_', "-")), value.to_owned()]);
        variables.push((format!("TIDINGS_{}", key.to_uppercase()), value.to_owned()));
        file += &match key {
            "seed" | "neighbour" => format!("{key} = [\"{value}\"]\n"),
            // A table goes to the end of its file.
            "allow_requests" => format!("[requests]\nallow = [\"{value}\"]\n"),
            "fanout" | "patience" | "max_keys" | "rumor_datagrams" => format!("{key} = {value}\n"),
            _ => format!("{key} = \"{value}\"\n"),
        };
    }
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    [
        ("flag", show(&flags, &[])),
        ("environment", show(&[], &variables)),
        ("file", File::new(&file).show(&[], &[])),
    ]
}

#[test]
fn the_table_shows_where_each_value_comes_from() {
    let done = show(&["--name", "api-1"], &[("TIDINGS_SEED", "a:1,b:2")]);
    expect_test::expect![[r#"
        KEY              VALUE           FROM
        name             api-1           flag --name
        listen           127.0.0.1:8434  default
        advertise        -               default
        seed             a:1,b:2         environment TIDINGS_SEED
        neighbour        -               default
        api              127.0.0.1:8435  default
        cluster          tidings         default
        data_dir         -               default
        interval         1s              default
        mode             push-pull       default
        fanout           1               default
        rumors           ring            default
        hold             20ms            default
        rumor_datagrams  128             default
        rumor_bytes      64KiB           default
        flow_control     on              default
        patience         2               default
        datagram         1200B           default
        max_keys         16384           default
        max_bytes        8MiB            default
        grace            1h              default
        forget_after     1day            default
        allow_requests   -               default
    "#]]
    .assert_eq(&done.out);
    let lines = show(&["--name", "api-1", "-o", "jsonl"], &[]).out;
    assert_eq!(lines.lines().next(), Some(r#"{"key":"name","value":"api-1","from":"flag --name"}"#));
    assert_eq!(lines.lines().count(), done.out.lines().count() - 1);
}

#[test]
fn an_agent_runs_by_its_file_and_its_environment() {
    let file = File::new("cluster = \"blue\"\nmax_keys = 2\nmax_bytes = \"512B\"\nfanout = 99\n");
    let agent = Agent::start("api-1", &["--config", &file.path, "--fanout", "1"]);
    assert_eq!(agent.fetch("/v1/status")["cluster"], "blue");
    agent.run(&["set", "k", &"v".repeat(600)]).failed(1, "512");
    agent.ok(&["set", "a", "1"]);
    agent.ok(&["set", "b", "2"]);
    agent.run(&["set", "c", "3"]).failed(1, "2 keys");
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest() {
    for (key, nearest) in [("intervall", "interval"), ("data-dir", "data_dir"), ("seeds", "seed")] {
        let file = File::new(&format!("# mine\nname = \"a\"\n{key} = \"x\"\n"));
        for done in [file.show(&[], &[]), fail_to_start(&["--config", &file.path])] {
            done.failed(2, &format!("{}:3 has the unknown key {key:?}", file.path));
            done.failed(2, &format!("fix: did you mean {nearest}? The keys are name, listen, "));
            assert_eq!(done.out, "");
        }
    }
    File::new("name = \"a\"\n[requests]\nallows = [\"*\"]\n")
        .show(&[], &[])
        .failed(2, ":2 has the unknown key \"requests.allows\"\nfix: did you mean requests.allow? ");
    File::new("[agent]\nname = \"a\"\n").show(&[], &[]).failed(2, ":1 has the unknown key \"agent\"");
}

#[test]
fn an_unknown_variable_is_warned_about() {
    let warned = |name| show(&["--name", "a"], &[(name, "x")]);
    let done = warned("TIDINGS_INTERVALL");
    assert_eq!(done.code, Some(0));
    let warning =
        "warning: TIDINGS_INTERVALL is no setting, and has no effect; did you mean TIDINGS_INTERVAL?\n";
    assert_eq!(done.err, warning);
    assert_eq!(
        warned("TIDINGS_SERVICE_HOST").err,
        "warning: TIDINGS_SERVICE_HOST is no setting, and has no effect\n"
    );
    let known = show(&["--name", "a"], &[("TIDINGS_API", "http://127.0.0.1:1"), ("TIDINGS_LOG", "info")]);
    assert_eq!((known.code, known.err.as_str()), (Some(0), ""));
    assert!(
        known.out.contains("api              127.0.0.1:1     environment TIDINGS_API\n"),
        "{}",
        known.out
    );
}

#[test]
fn a_wrong_value_is_told_with_its_place_and_what_is_accepted() {
    let file = File::new("name = \"a\"\n\nmax_bytes = 8_388_608\n");
    let refused = format!("max_bytes can't be 8_388_608 ({})", file.line(3));
    file.show(&[], &[]).failed(2, &refused);
    file.show(&[], &[]).failed(2, "\nfix: give a size as 1200B, 64KiB or 8MiB, from 1B to 4GiB\n");
    assert_eq!(file.show(&["--max-bytes", "1KiB"], &[]).code, Some(0), "only what counts is read");
    for (variable, value, fact, fix) in [
        ("TIDINGS_INTERVAL", "5", "interval can't be \"5\"", "a duration as 500ms, 1s or 2m"),
        ("TIDINGS_FANOUT", "99", "fanout can't be \"99\"", "a number from 1 to 32"),
        ("TIDINGS_RUMORS", "loud", "rumors can't be \"loud\"", "off, ring, ring+EAGER"),
        ("TIDINGS_MODE", "both", "mode can't be \"both\"", "push, pull or push-pull"),
        ("TIDINGS_NEIGHBOUR", "a", "neighbour can't be \"a\"", "a list of HOST:PORT"),
        ("TIDINGS_SEED", "a:1,b", "seed can't be \"a:1,b\"", "a list of HOST:PORT"),
        ("TIDINGS_API", "https://127.0.0.1:1", "api can't be", "an address as 127.0.0.1:8435 or http://"),
    ] {
        let done = show(&["--name", "a"], &[(variable, value)]);
        done.failed(2, fact);
        done.failed(2, &format!("(environment {variable})\nfix: give {fix}"));
    }
    show(&["--name", "a", "--datagram", "1MB"], &[]).failed(2, "datagram can't be \"1MB\" (flag --datagram)");
}

#[test]
fn a_file_that_is_none_is_refused() {
    let file = File::new("name = \"a\"\ninterval = 1s\n");
    file.show(&[], &[]).failed(2, &format!("{}:2 is no TOML: ", file.path));
    File::new("name = \"a\"\nname = \"b\"\n").show(&[], &[]).failed(2, ":2 is no TOML: ");
    show(&["--config", "/nowhere/tidings.toml"], &[]).failed(2, "/nowhere/tidings.toml can't be read");
}

#[test]
fn a_missing_name_is_told_with_the_ways_to_give_it() {
    let fix = "fix: give it by --name, by TIDINGS_NAME, or as `name` in the file of --config\n";
    let done = fail_to_start(&[]);
    done.failed(2, "the node has no name");
    assert!(done.err.ends_with(fix), "{}", done.err);
    let shown = run(&["config", "show"]);
    shown.failed(2, fix);
    assert!(shown.out.contains("name             -               default\n"), "{}", shown.out);
}

#[test]
fn an_address_that_nobody_can_reach_is_refused() {
    show(&["--name", "a", "--listen", "0.0.0.0:0"], &[])
        .failed(2, "no other node can reach this one at 0.0.0.0:0");
    let advertised = ["--name", "a", "--listen", "0.0.0.0:0", "--advertise", "127.0.0.1:0"];
    assert_eq!(show(&advertised, &[]).code, Some(0));
}

#[test]
fn seeds_and_neighbours_are_not_given_together() {
    let fix =
        "fix: give neighbours alone if this node may gossip with nobody else, and seeds alone if it may\n";
    let by_flags = ["--name", "a", "--seed", "a:1", "--neighbour", "b:2"];
    for done in [show(&by_flags, &[]), fail_to_start(&by_flags)] {
        done.failed(2, "a node has seeds or neighbours, and not both");
        assert!(done.err.ends_with(fix), "{}", done.err);
    }
    let by_layers = show(&["--name", "a", "--seed", "a:1"], &[("TIDINGS_NEIGHBOUR", "b:2")]);
    by_layers.failed(2, "a node has seeds or neighbours, and not both");
}
