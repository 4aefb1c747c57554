//! Scenarios: what happens to a cluster, as data. A file says it, or a seed draws it; the same scenario is the same run.
//!
//! A scenario has three parts. In the **chaos** things go wrong, as its steps say; then all is healed, and who crashed starts
//! again. In the **load** nothing goes wrong, and steps write. In the **calm** nothing is written, and whatever is promised
//! for that must come true. All the time a [checker](crate::checker) looks at each step.
//!
//! ```toml
//! name = "a crash between halves"
//! nodes = 6
//! chaos = "40s"
//!
//! [[step]]
//! at = "1s"
//! do = "set"
//! node = 2
//! key = "color"
//! value = "green"
//!
//! [[step]]
//! at = "10s"
//! for = "20s"
//! do = "split"
//! sides = [[0, 1, 2], [3, 4, 5]]
//! ```

mod act;
mod check;
mod run;
mod step;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidings_core::{Config, Mode, Mongering, Policy};

pub use run::{Outcome, run, run_with_trace};
pub use step::{Action, Expected, Step, Streams};

/// What happens to a cluster. Times count from when the first node starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scenario {
    /// What it shows.
    pub name: String,
    /// The seed of all chance in it.
    #[serde(default = "defaults::one")]
    pub seed: u64,
    /// How many nodes start, soon after another.
    pub nodes: usize,
    /// How many of them, the first ones, are everybody's seeds.
    #[serde(default = "defaults::few")]
    pub seeds: usize,
    /// Who may gossip with whom.
    #[serde(default, skip_serializing_if = "is_default")]
    pub shape: Shape,
    /// Which way news goes: `push-pull`, `push` or `pull`.
    #[serde(default, with = "mode", skip_serializing_if = "is_default")]
    pub mode: Mode,
    /// How rumors spread: `ring` if nothing is said, `off`, `blind-counter-3` and so on.
    #[serde(default, with = "mongering", skip_serializing_if = "is_default")]
    pub mongering: Mongering,
    /// The gossip interval.
    #[serde(default = "defaults::second", with = "span")]
    pub interval: Duration,
    /// With how many nodes a node gossips in each interval.
    #[serde(default = "defaults::few")]
    pub fanout: usize,
    /// How many bytes a datagram has at most.
    #[serde(default = "defaults::datagram")]
    pub datagram: usize,
    /// How many bytes of keys and values a node may have.
    #[serde(default = "defaults::max_bytes")]
    pub max_bytes: usize,
    /// How many nodes a node remembers. Where there are more, not all can know each other.
    #[serde(default = "defaults::max_nodes")]
    pub max_nodes: usize,
    /// How old a tombstone becomes before its owner collects it.
    #[serde(default = "defaults::grace", with = "span")]
    pub grace: Duration,
    /// How long a node that is gone is known.
    #[serde(default = "defaults::forget_after", with = "span")]
    pub forget_after: Duration,
    /// Whether nodes have disks.
    #[serde(default)]
    pub disk: bool,
    /// By how many millionths the clocks of the first nodes run too fast.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<i32>,
    /// How long a datagram travels: anything between the two.
    #[serde(default = "defaults::latency", with = "spans")]
    pub latency: (Duration, Duration),
    /// What is added to that until the calm, exponentially distributed around this mean.
    #[serde(default, with = "span", skip_serializing_if = "is_default")]
    pub tail: Duration,
    /// How long things go wrong.
    #[serde(with = "span")]
    pub chaos: Duration,
    /// How long nodes write after that.
    #[serde(default, with = "span", skip_serializing_if = "is_default")]
    pub load: Duration,
    /// What happens, in order of time.
    #[serde(default, rename = "step")]
    pub steps: Vec<Step>,
}

/// Who may gossip with whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// Everybody with everybody.
    #[default]
    Full,
    /// Each with the two beside it.
    Ring,
    /// Each with the two beside it, but for the two at the ends.
    Line,
    /// All with the first alone.
    Star,
}

/// Why a scenario cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    /// It is no scenario in TOML, and where.
    #[error("{0}")]
    Syntax(String),
    /// A number that cannot be.
    #[error("{what} is {given}: {bound}")]
    Range {
        /// Which.
        what: &'static str,
        /// What was given.
        given: String,
        /// What can be.
        bound: String,
    },
    /// A step that cannot be.
    #[error("step {number}, {name} at {at}: {what} is {given}: {bound}")]
    Step {
        /// Which, from one on.
        number: usize,
        /// What it is called.
        name: &'static str,
        /// When.
        at: String,
        /// What cannot be.
        what: &'static str,
        /// What was given.
        given: String,
        /// What can be.
        bound: String,
    },
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// It is none, or asks for what cannot be.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let mut scenario: Self = toml::from_str(text)
            .map_err(|error| ScenarioError::Syntax(error.to_string().trim().to_owned()))?;
        scenario.check()?;
        scenario.steps.sort_by_key(|step| step.at);
        Ok(scenario)
    }

    /// The scenario as a file says it.
    ///
    /// # Panics
    /// Never: every scenario can be written.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a scenario is text, numbers and lists")
    }

    /// How each node is configured.
    pub(crate) fn config(&self) -> Config {
        Config {
            mode: self.mode,
            mongering: self.mongering,
            interval: self.interval,
            fanout: self.fanout,
            datagram: self.datagram,
            max_bytes: self.max_bytes,
            max_nodes: self.max_nodes,
            grace: self.grace,
            forget_after: self.forget_after,
            durable: self.disk,
            requests: Policy::Keys(vec!["k*".to_owned()]),
            // Little enough for nodes to come to the end of it.
            rumor_datagrams: 32,
            ..Config::new("lab")
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

pub(crate) mod defaults {
    use std::time::Duration;

    pub(super) fn one() -> u64 {
        1
    }
    pub(super) fn few() -> usize {
        1
    }
    pub(super) fn second() -> Duration {
        Duration::from_secs(1)
    }
    pub(super) fn datagram() -> usize {
        1_200
    }
    /// What a scenario's nodes write comes near it: a bound that nobody comes near is never broken.
    pub(crate) fn max_bytes() -> usize {
        256 << 10
    }
    pub(crate) fn max_nodes() -> usize {
        20_000
    }
    pub(crate) fn grace() -> Duration {
        Duration::from_secs(3_600)
    }
    pub(crate) fn forget_after() -> Duration {
        Duration::from_secs(24 * 3_600)
    }
    pub(super) fn latency() -> (Duration, Duration) {
        (Duration::from_millis(1), Duration::from_millis(10))
    }
}

/// Durations as `500ms`, `1s`, `2m`.
pub(crate) mod span {
    use std::time::Duration;

    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(span: &Duration, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(&humantime::format_duration(*span))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
        parse(&String::deserialize(input)?).map_err(D::Error::custom)
    }

    pub(super) fn parse(text: &str) -> Result<Duration, String> {
        humantime::parse_duration(text)
            .map_err(|_| format!("`{text}` is no duration: write it as 500ms, 1s or 2m"))
    }
}

mod spans {
    use std::time::Duration;

    use serde::de::Error as _;
    use serde::ser::SerializeTuple as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(spans: &(Duration, Duration), out: S) -> Result<S::Ok, S::Error> {
        let mut tuple = out.serialize_tuple(2)?;
        tuple.serialize_element(&humantime::format_duration(spans.0).to_string())?;
        tuple.serialize_element(&humantime::format_duration(spans.1).to_string())?;
        tuple.end()
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<(Duration, Duration), D::Error> {
        let (least, most) = <(String, String)>::deserialize(input)?;
        let parse = |text: &str| super::span::parse(text).map_err(D::Error::custom);
        Ok((parse(&least)?, parse(&most)?))
    }
}

mod mode {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};
    use tidings_core::Mode;

    pub(super) fn serialize<S: Serializer>(mode: &Mode, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(mode)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Mode, D::Error> {
        let text = String::deserialize(input)?;
        let modes = [Mode::PushPull, Mode::Push, Mode::Pull];
        let found = modes.into_iter().find(|mode| mode.to_string() == text);
        found.ok_or_else(|| D::Error::custom(format!("`{text}` is no mode: push-pull, push or pull")))
    }
}

mod mongering {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};
    use tidings_core::Mongering;

    pub(super) fn serialize<S: Serializer>(mongering: &Mongering, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(mongering)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Mongering, D::Error> {
        String::deserialize(input)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::draw;

    #[test]
    fn what_is_written_is_read_again() {
        for seed in 0..300 {
            let scenario = draw(seed);
            assert_eq!(Scenario::parse(&scenario.to_toml()), Ok(scenario));
        }
    }

    #[test]
    fn what_is_no_scenario_is_refused_with_the_reason() {
        let with = |line: &str| format!("name = \"x\"\nnodes = 3\nchaos = \"10s\"\n{line}\n");
        let step = |lines: &str| with(&format!("[[step]]\nat = \"1s\"\n{lines}"));
        for (text, reason) in [
            (with("fanuot = 2"), "unknown field `fanuot`"),
            (with("seeds = 4"), "seeds is 4: it must be from 1 to the number of nodes"),
            (with("mode = \"shove\""), "`shove` is no mode: push-pull, push or pull"),
            (with("interval = \"1\""), "`1` is no duration: write it as 500ms, 1s or 2m"),
            (with("fanout = 99"), "the fan-out is 99: it must be from 1 to 32"),
            (step("do = \"crush\"\nnode = 1"), "unknown variant `crush`"),
            (step("do = \"crash\"\nnode = 1\nstay = true"), "unknown field `stay`"),
            (step("do = \"crash\""), "missing field `node`"),
            (
                with("[[step]]\nat = \"20s\"\ndo = \"crash\"\nnode = 1"),
                "step 1, crashes at 20s: at is 20s: after the chaos nothing happens but writes",
            ),
            (
                with("[[step]]\nat = \"10s\"\ndo = \"delete\"\nnode = 1\nkey = \"k\""),
                "step 1, deletes at 10s: at is 10s: the chaos and the load are over by then",
            ),
            (
                step("do = \"loss\"\nshare = 1.5"),
                "step 1, losses at 1s: share is 1.5: a share must be from 0 to 1",
            ),
            (step("do = \"loss\"\nshare = nan"), "share is NaN: a share must be from 0 to 1"),
            (step("do = \"bursts\"\nbegins = 0.1\nends = -1.0\nloss = 1.0"), "ends is -1: a share"),
            (step("do = \"hold\"\nshare = 0.1\nmost = \"25h\""), "most is 1day 1h: it must be a day at most"),
            (
                step("for = \"2days\"\ndo = \"pause\"\nnode = 1\nlossy = true"),
                "for is 2days: it must be a day",
            ),
            (step("for = \"2s\"\ndo = \"crash\"\nnode = 1"), "for is 2s: it happens at once: leave it out"),
            (step("do = \"crash\"\nnode = 3"), "node is 3: there are 3, numbered from 0"),
            (step("do = \"split\"\nsides = [[0], [1, 7]]"), "node is 7: there are 3, numbered from 0"),
            (
                step("do = \"clock\"\nnode = 1\nby = 9000000000000"),
                "a clock jumps by a hundred years at most",
            ),
            (
                step("do = \"set\"\nnode = 1\nkey = \"k\"\nbytes = 9000000000000"),
                "bytes is 9000000000000: it must be",
            ),
            (
                step("do = \"set\"\nnode = 1\nkey = \"k\"\nvalue = \"v\"\nbytes = 3"),
                "give it or bytes, not both",
            ),
            (step("do = \"set\"\nnode = 1\nkey = \"\""), "key is \"\": "),
            (
                step("do = \"set\"\nnode = 1\nkey = \"tidings/x\""),
                "it belongs to the protocol: take another one",
            ),
            (step("do = \"set-many\"\nnode = 1\nkeys = []"), "keys is empty: name one at least"),
            (step("do = \"set-many\"\nnode = 1\nkeys = [\"a\", \"a\"]"), "key is a: it is there twice"),
        ] {
            let error = Scenario::parse(&text).expect_err(&text).to_string();
            assert!(error.contains(reason), "{error}, not {reason}");
        }
    }
}
