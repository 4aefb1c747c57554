//! The settings of an agent: one row each.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tidings::{Mode, NodeName};

use crate::config::AgentConfig;
use crate::config::units::{duration, show_size, size};

/// A setting: how it is called, told, read and shown.
pub(super) struct Setting {
    /// Its key in the file. The flag has `-` in the place of `_`; the variable is `TIDINGS_` and the key in capitals.
    pub(super) key: &'static str,
    /// What it takes, in one word for the help.
    pub(super) form: &'static str,
    /// What it is for.
    pub(super) help: &'static str,
    /// What it accepts.
    pub(super) accepts: &'static str,
    /// Whether its flag may be given several times.
    pub(super) many: bool,
    /// Takes what a layer gives: text by flags and variables, any type by the file. `None` if it is not accepted.
    pub(super) take: fn(&mut AgentConfig, &Value) -> Option<()>,
    /// What a configuration has for it; null where it has none.
    pub(super) show: fn(&AgentConfig) -> Value,
}

impl Setting {
    /// Where it stands in the file: its key, or a table and a key in it.
    pub(super) fn place(&self) -> &'static str {
        match self.key {
            "allow_requests" => "requests.allow",
            key => key,
        }
    }

    /// Its flag, without the hyphens before it.
    pub(super) fn flag(&self) -> String {
        self.key.replace('_', "-")
    }

    /// Its variable in the environment.
    pub(super) fn variable(&self) -> String {
        format!("TIDINGS_{}", self.key.to_uppercase())
    }
}

/// All settings, in the order of the help.
pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "name",
        form: "NAME",
        help: "The node's name, unique in the cluster, the same after a restart; has to be given",
        accepts: "a name of 1 to 64 of A-Z a-z 0-9 . _ -",
        many: false,
        take: |config, given| put(&mut config.name, Some(NodeName::new(given.as_str()?).ok()?.to_string())),
        show: |config| json!(config.name),
    },
    Setting {
        key: "listen",
        form: "IP:PORT",
        help: "Where to gossip, by UDP; port 0 takes a free one",
        accepts: "an address as 10.0.0.7:8434 or [::1]:8434; port 0 takes a free one",
        many: false,
        take: |config, given| put(&mut config.listen, address(given)?),
        show: |config| json!(config.listen),
    },
    Setting {
        key: "advertise",
        form: "IP:PORT",
        help: "The address that others reach this node at, where it is not the one listened on",
        accepts: "an address as 10.0.0.7:8434 or [::1]:8434; port 0 stands for the port listened on",
        many: false,
        take: |config, given| put(&mut config.advertise, Some(address(given)?)),
        show: |config| json!(config.advertise),
    },
    Setting {
        key: "seed",
        form: "HOST:PORT",
        help: "A node to begin with; any live one will do. May be given several times; in the variable, commas \
               divide them",
        accepts: "a list of HOST:PORT: the flag several times, commas in the variable, [\"a:1\", \"b:2\"] in the file",
        many: true,
        take: |config, given| put(&mut config.seeds, seeds(given)?),
        show: |config| json!(config.seeds),
    },
    Setting {
        key: "neighbour",
        form: "HOST:PORT",
        help: "A node that this one may gossip with, where not everybody reaches everybody: with such, it gossips with \
               no others. Given as a seed is, and in the place of seeds",
        accepts: "a list of HOST:PORT: the flag several times, commas in the variable, [\"a:1\", \"b:2\"] in the file",
        many: true,
        take: |config, given| put(&mut config.neighbours, seeds(given)?),
        show: |config| json!(config.neighbours),
    },
    Setting {
        key: "api",
        form: "IP:PORT",
        help: "Where to serve HTTP, also as http://IP:PORT; port 0 takes a free one. For other commands the same \
               variable names the agent to ask",
        accepts: "an address as 127.0.0.1:8435 or http://127.0.0.1:8435; port 0 takes a free one",
        many: false,
        take: |config, given| put(&mut config.api, address_or_url(given)?),
        show: |config| json!(config.api),
    },
    Setting {
        key: "cluster",
        form: "NAME",
        help: "The cluster's name: nodes of different clusters ignore each other",
        accepts: "1 to 64 bytes of text without control characters",
        many: false,
        take: |config, given| put(&mut config.cluster, cluster(given)?),
        show: |config| json!(config.cluster),
    },
    Setting {
        key: "data_dir",
        form: "DIR",
        help: "Where to keep the node's own keys and its generation; without it both are lost when the agent ends",
        accepts: "the path of a directory",
        many: false,
        take: |config, given| put(&mut config.data_dir, Some(PathBuf::from(given.as_str()?))),
        show: |config| json!(config.data_dir),
    },
    Setting {
        key: "interval",
        form: "DURATION",
        help: "How often to gossip",
        accepts: "a duration as 500ms, 1s or 2m, from 10ms to 1h",
        many: false,
        take: |config, given| {
            let longest = Duration::from_secs(3_600);
            put(&mut config.interval, within(duration(given)?, Duration::from_millis(10), longest)?)
        },
        show: |config| json!(humantime::format_duration(config.interval).to_string()),
    },
    Setting {
        key: "mode",
        form: "MODE",
        help: "Which way news goes in this node's rounds: push, pull or push-pull",
        accepts: "push, pull or push-pull",
        many: false,
        take: |config, given| put(&mut config.mode, mode(given)?),
        show: |config| json!(config.mode.to_string()),
    },
    Setting {
        key: "fanout",
        form: "NUMBER",
        help: "With how many nodes to gossip in each interval",
        accepts: "a number from 1 to 32",
        many: false,
        take: |config, given| put(&mut config.fanout, within(number(given)?, 1, 32)?),
        show: |config| json!(config.fanout),
    },
    Setting {
        key: "rumors",
        form: "HOW",
        help: "How what is new spreads at once, beside the rounds: ring (offered along the ring of ids), ring+N (and sent \
               unasked to N of those), off, or at random as blind-counter-3 or feedback-coin-2x4",
        accepts: "off, ring, ring+EAGER, or (blind|feedback)-(counter|coin)-K, with xPARTNERS after it",
        many: false,
        take: |config, given| put(&mut config.rumors, given.as_str()?.parse().ok()?),
        show: |config| json!(config.rumors.to_string()),
    },
    Setting {
        key: "hold",
        form: "DURATION",
        help: "How long the node's own news waits for more of it before it spreads at once",
        accepts: "a duration as 20ms or 1s, up to 1h",
        many: false,
        take: |config, given| {
            let longest = Duration::from_secs(3_600);
            put(&mut config.hold, within(duration(given)?, Duration::ZERO, longest)?)
        },
        show: |config| json!(humantime::format_duration(config.hold).to_string()),
    },
    Setting {
        key: "rumor_datagrams",
        form: "NUMBER",
        help: "How many datagrams rumors may send in a second; what is more waits, or is left to the rounds",
        accepts: "a number from 1 to 100000",
        many: false,
        take: |config, given| {
            put(&mut config.rumor_datagrams, within(u32::try_from(number(given)?).ok()?, 1, 100_000)?)
        },
        show: |config| json!(config.rumor_datagrams),
    },
    Setting {
        key: "rumor_bytes",
        form: "SIZE",
        help: "How many bytes rumors may send in a second",
        accepts: "a size as 64KiB, from 1KiB to 16MiB",
        many: false,
        take: |config, given| {
            put(&mut config.rumor_bytes, within(u32::try_from(size(given)?).ok()?, 1 << 10, 1 << 24)?)
        },
        show: |config| json!(show_size(config.rumor_bytes as usize)),
    },
    Setting {
        key: "flow_control",
        form: "ON|OFF",
        help: "Whether this node writes less while the cluster is told more than it takes in: on or off",
        accepts: "on or off",
        many: false,
        take: |config, given| {
            let is_on = match given.as_str()? {
                "on" => true,
                "off" => false,
                _ => return None,
            };
            put(&mut config.flow_control, is_on)
        },
        show: |config| json!(if config.flow_control { "on" } else { "off" }),
    },
    Setting {
        key: "patience",
        form: "NUMBER",
        help: "For how many intervals a node that does not answer is given time: a shorter stall convicts nobody",
        accepts: "a number from 0 to 1000",
        many: false,
        take: |config, given| {
            put(&mut config.patience, within(u32::try_from(number(given)?).ok()?, 0, 1_000)?)
        },
        show: |config| json!(config.patience),
    },
    Setting {
        key: "datagram",
        form: "SIZE",
        help: "How large a datagram may be",
        accepts: "a size as 1200B or 8KiB, from 512B to 65507B",
        many: false,
        take: |config, given| put(&mut config.datagram, within(size(given)?, 512, 65_507)?),
        show: |config| json!(show_size(config.datagram)),
    },
    Setting {
        key: "max_keys",
        form: "NUMBER",
        help: "How many keys a node may have, deleted ones that are still remembered included",
        accepts: "a number from 1 to 16777216",
        many: false,
        take: |config, given| put(&mut config.max_keys, within(number(given)?, 1, 1 << 24)?),
        show: |config| json!(config.max_keys),
    },
    Setting {
        key: "max_bytes",
        form: "SIZE",
        help: "How much the keys and values of a node may take",
        accepts: "a size as 1200B, 64KiB or 8MiB, from 1B to 4GiB",
        many: false,
        take: |config, given| put(&mut config.max_bytes, within(size(given)?, 1, 1 << 32)?),
        show: |config| json!(show_size(config.max_bytes)),
    },
    Setting {
        key: "grace",
        form: "DURATION",
        help: "How long a deleted key is remembered; a node that was away for longer is told everything of this one again",
        accepts: "a duration as 10m or 1h, from 10ms to 365d",
        many: false,
        take: |config, given| {
            let longest = Duration::from_secs(365 * 24 * 3_600);
            put(&mut config.grace, within(duration(given)?, Duration::from_millis(10), longest)?)
        },
        show: |config| json!(humantime::format_duration(config.grace).to_string()),
    },
    Setting {
        key: "forget_after",
        form: "DURATION",
        help: "How long a node that is unreachable or departed is known, sixty intervals at least; then all forget it",
        accepts: "a duration as 10m or 24h, from 10ms to 3650d",
        many: false,
        take: |config, given| {
            let longest = Duration::from_secs(3_650 * 24 * 3_600);
            put(&mut config.forget_after, within(duration(given)?, Duration::from_millis(10), longest)?)
        },
        show: |config| json!(humantime::format_duration(config.forget_after).to_string()),
    },
    Setting {
        key: "allow_requests",
        form: "PATTERN",
        help: "Keys of this node that others may ask it to change, as config/*; * stands for any text. None by default. Given \
               as a seed is; in the file as `allow` in the table [requests]",
        accepts: "a list of patterns: the flag several times, commas in the variable, allow = [\"config/*\"] below [requests] \
                  in the file",
        many: true,
        take: |config, given| put(&mut config.allow_requests, patterns(given)?),
        show: |config| json!(config.allow_requests),
    },
];

/// Lets the rows be expressions.
fn put<T>(place: &mut T, value: T) -> Option<()> {
    *place = value;
    Some(())
}

fn within<T: PartialOrd>(value: T, least: T, most: T) -> Option<T> {
    (least <= value && value <= most).then_some(value)
}

fn number(given: &Value) -> Option<usize> {
    match given.as_str() {
        Some(text) => text.parse().ok(),
        None => given.as_u64()?.try_into().ok(),
    }
}

fn address(given: &Value) -> Option<SocketAddr> {
    given.as_str()?.parse().ok()
}

fn address_or_url(given: &Value) -> Option<SocketAddr> {
    let text = given.as_str()?;
    let authority = text.strip_prefix("http://").map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    authority.unwrap_or(text).parse().ok()
}

fn cluster(given: &Value) -> Option<String> {
    let name = given.as_str()?;
    let fits = (1..=64).contains(&name.len()) && !name.chars().any(char::is_control);
    fits.then(|| name.to_owned())
}

fn mode(given: &Value) -> Option<Mode> {
    let modes = [Mode::Push, Mode::Pull, Mode::PushPull];
    let text = given.as_str()?;
    modes.into_iter().find(|mode| mode.to_string() == text)
}

/// A list: commas divide it where it is a text.
fn list(given: &Value) -> Option<Vec<&str>> {
    match given.as_str() {
        Some(list) => Some(list.split(',').map(str::trim).collect()),
        None => given.as_array()?.iter().map(Value::as_str).collect(),
    }
}

fn patterns(given: &Value) -> Option<Vec<String>> {
    list(given)?.into_iter().map(|pattern| (!pattern.is_empty()).then(|| pattern.to_owned())).collect()
}

fn seeds(given: &Value) -> Option<Vec<String>> {
    list(given)?.into_iter().map(|seed| is_seed(seed).then(|| seed.to_owned())).collect()
}

fn is_seed(text: &str) -> bool {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return address.port() != 0;
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && host.chars().all(plain) && port.parse::<u16>().is_ok_and(|port| port != 0)
    })
}

#[cfg(test)]
mod tests {
    use tidings::{Builder, Error, Node};

    use super::*;

    fn taken(key: &str, given: &Value) -> Option<AgentConfig> {
        let mut config = AgentConfig { name: Some("a".to_owned()), ..AgentConfig::default() };
        let setting = SETTINGS.iter().find(|setting| setting.key == key).expect("a setting");
        (setting.take)(&mut config, given).map(|()| config)
    }

    /// A builder with what the library may refuse.
    fn builder(change: impl Fn(Builder) -> Builder) -> Builder {
        change(Node::builder("a").listen(([127, 0, 0, 1], 0)))
    }

    #[tokio::test]
    async fn the_ranges_are_those_of_the_library() {
        type Write = fn(usize) -> Value;
        type Change = fn(Builder, usize) -> Builder;
        let millis: Write = |n| json!(format!("{n}ms"));
        let number: Write = |n| json!(n);
        let bytes: Write = |n| json!(format!("{n}B"));
        let interval: Change = |builder, n| builder.interval(Duration::from_millis(n as u64));
        let datagrams: Change = |builder, n| builder.rumor_budget(u32::try_from(n).unwrap(), 1 << 10);
        let rumor_bytes: Change = |builder, n| builder.rumor_budget(1, u32::try_from(n).unwrap());
        let grace: Change = |builder, ms| builder.grace(Duration::from_millis(ms as u64));
        let forget: Change = |builder, ms| builder.forget_after(Duration::from_millis(ms as u64));
        let max_keys: Change = |builder, n| builder.limits(n, 1);
        let max_bytes: Change = |builder, n| builder.limits(1, n);
        for (key, least, most, write, change) in [
            ("interval", 10, 3_600_000, millis, interval),
            ("fanout", 1, 32, number, Builder::fanout as Change),
            ("datagram", 512, 65_507, bytes, Builder::datagram as Change),
            ("rumor_datagrams", 1, 100_000, number, datagrams),
            ("rumor_bytes", 1 << 10, 1 << 24, bytes, rumor_bytes),
            ("max_keys", 1, 1 << 24, number, max_keys),
            ("max_bytes", 1, 1 << 32, bytes, max_bytes),
            ("grace", 10, 365 * 24 * 3_600_000, millis, grace),
            ("forget_after", 10, 3_650 * 24 * 3_600_000, millis, forget),
        ] {
            for (given, fits) in [(least - 1, false), (least, true), (most, true), (most + 1, false)] {
                assert_eq!(taken(key, &write(given)).is_some(), fits, "{key} = {given}");
                let started = builder(|builder| change(builder, given)).start().await;
                assert_eq!(!matches!(started, Err(Error::Config(_))), fits, "{key} = {given}");
            }
        }
    }

    #[tokio::test]
    async fn seeds_and_names_are_those_of_the_library() {
        for seed in
            ["a:1", "[::1]:1", "1.2.3.4:5", "x.example.org:80", "a", "a:0", ":1", "a b:1", "::1", "[::1]:0"]
        {
            let started = builder(|builder| builder.seeds([seed])).start().await;
            assert_eq!(taken("seed", &json!([seed])).is_some(), started.is_ok(), "{seed}");
        }
        for cluster in ["a", "é b", "", "a\nb", &"c".repeat(64), &"c".repeat(65)] {
            let started = builder(|builder| builder.cluster(cluster)).start().await;
            assert_eq!(taken("cluster", &json!(cluster)).is_some(), started.is_ok(), "{cluster:?}");
        }
    }

    #[test]
    fn what_is_shown_is_accepted_again() {
        let config = AgentConfig { name: Some("a".to_owned()), ..AgentConfig::default() };
        for setting in SETTINGS {
            let shown = (setting.show)(&config);
            if !shown.is_null() {
                assert_eq!(taken(setting.key, &shown).as_ref(), Some(&config), "{}", setting.key);
            }
        }
    }

    #[test]
    fn the_file_gives_each_its_type() {
        for (key, wrong) in [
            ("name", json!(5)),
            ("listen", json!(8434)),
            ("seed", json!([1])),
            ("data_dir", json!(true)),
            ("interval", json!(1)),
            ("fanout", json!(1.0)),
            ("max_bytes", json!(1_024)),
        ] {
            assert_eq!(taken(key, &wrong), None, "{key} = {wrong}");
        }
    }

    #[test]
    fn the_api_may_be_given_as_other_commands_take_it() {
        let api = |text: &str| taken("api", &json!(text)).map(|config| config.api.to_string());
        for text in ["127.0.0.1:1", "http://127.0.0.1:1", "http://127.0.0.1:1/"] {
            assert_eq!(api(text).as_deref(), Some("127.0.0.1:1"));
        }
        assert_eq!(api("http://localhost:1"), None);
        assert_eq!(api("https://127.0.0.1:1"), None);
    }
}
