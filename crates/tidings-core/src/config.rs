//! What a user can choose, with a reason for each default.

use std::fmt;
use std::time::Duration;

use crate::entry::Value;
use crate::mongering::Mongering;
use crate::request::Policy;
use crate::wire::size;

/// How a node gossips. All nodes of a cluster should have the same interval; all else may differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The cluster's name. It is bound into every message, and messages of other clusters are refused.
    pub cluster: String,
    /// Which way news goes in this node's rounds. Nodes of one cluster may differ in it.
    pub mode: Mode,
    /// How often a round begins. Shorter spreads news faster and costs more; one second is what Cassandra and Serf
    /// use.
    pub interval: Duration,
    /// With how many live nodes a node gossips in each interval, evenly spread over it. One is enough to spread
    /// everything; three halves the time and triples the cost.
    pub fanout: usize,
    /// How what is new spreads at once, beside the rounds.
    pub mongering: Mongering,
    /// How long this node's own news waits for more of it before it spreads at once. Relays wait five milliseconds at
    /// most, and as long as this where rumors are told at random.
    pub hold: Duration,
    /// How many datagrams rumors may send in a second, and how many bytes; requests and answers may send as many. Where there is more to say, it waits; what waits
    /// for long is left to the rounds.
    pub rumor_datagrams: u32,
    /// See [`rumor_datagrams`](Self::rumor_datagrams).
    pub rumor_bytes: u32,
    /// How many bytes a datagram has at most, without UDP's and IP's own headers. 1,200 pass every network that
    /// IPv6 runs on, which is why QUIC chose them too.
    pub datagram: usize,
    /// How many heads of other nodes a SYN and an ACK carry; between two that hold the same while all are believed to run,
    /// the ACK alone carries them, in three bytes each. More detect a silent node sooner in a large cluster where no attempt
    /// does: a head comes round every N / (heads x fan-out) intervals.
    pub heads: usize,
    /// The phi at which a node is convicted. 8 says: a hundred million to one that it is not just bad luck.
    pub threshold: f64,
    /// For how many intervals a node that does not answer is given time, before attempts convict it. A stall shorter than
    /// this convicts nobody; a crash is seen about one interval and this after it happened, at any number of nodes.
    pub patience: u32,
    /// How long a value may be, in bytes. What does not fit a datagram travels by stream.
    pub max_value: usize,
    /// How many keys one owner may have, tombstones included.
    pub max_keys: usize,
    /// How many bytes of keys and values one owner may have.
    pub max_bytes: usize,
    /// How old a tombstone of this node becomes before it is collected, with all others of the moment. Whoever was away for
    /// longer is told everything of this node again, so that nothing deleted comes back; shorter saves memory, and costs that
    /// more often.
    pub grace: Duration,
    /// How long a node that is unreachable, or departed, is known: then it is forgotten, here and everywhere. For twice as long it
    /// is remembered that it was, so that no stale peer brings it back. Sixty intervals at least. Shorter saves memory where nodes
    /// come and go; what a node wrote is lost when it is forgotten, unless it has a disk.
    pub forget_after: Duration,
    /// How many nodes are remembered. It bounds what strangers can make this node store.
    pub max_nodes: usize,
    /// Whether the driver keeps state on disk. Then generations and writes are given to
    /// [`poll_persist`](crate::Gossiper::poll_persist), and take effect once they are safe.
    pub durable: bool,
    /// Whether this node writes less while the cluster is told more than it takes in. Otherwise copies grow ever staler
    /// while that lasts, also those of other nodes' state.
    pub flow_control: bool,
    /// Which of its keys others may ask this node to change. None: who may change what has to be said.
    pub requests: Policy,
    /// When a round goes on to a seed.
    pub seed_rule: SeedRule,
}

/// Which way news goes when a node turns to another one. Whatever it is, a node answers whoever asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Both ways, in three messages: the fastest, and the only one in which an exchange leaves both equal.
    #[default]
    PushPull,
    /// Away from the node, in one message. What a push shows to be missing is pulled.
    Push,
    /// Towards the node, in two messages.
    Pull,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::PushPull => "push-pull",
            Self::Push => "push",
            Self::Pull => "pull",
        })
    }
}

/// When a round adds an exchange with a seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeedRule {
    /// If the live node it gossiped with is no seed, **or fewer nodes are live than there are seeds**. Without the
    /// second half, seeds that find each other in pairs never look for the other pairs (CASSANDRA-150).
    NoSeedOrFewLive,
    /// If the live node it gossiped with is no seed. It is here to show the islands that it leaves.
    NoSeed,
}

/// Why a configuration is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// The cluster's name is empty, long, or has control characters.
    #[error("the cluster name {0:?} is not 1 to 64 bytes of text without control characters")]
    Cluster(String),
    /// A number out of its range.
    #[error("{what} is {given}: it must be from {least} to {most}")]
    Range {
        /// Which setting.
        what: &'static str,
        /// What was given.
        given: String,
        /// The least that works.
        least: String,
        /// The most that works.
        most: String,
    },
}

impl Config {
    /// The shortest interval. The bound on heartbeats follows from it: nobody's heart beats faster.
    pub const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

    /// The recommended configuration for the cluster named `cluster`.
    #[must_use]
    pub fn new(cluster: impl Into<String>) -> Self {
        Self {
            cluster: cluster.into(),
            mode: Mode::default(),
            interval: Duration::from_secs(1),
            fanout: 1,
            mongering: Mongering::default(),
            hold: Duration::from_millis(20),
            rumor_datagrams: 128,
            rumor_bytes: 64 << 10,
            datagram: 1_200,
            heads: 8,
            threshold: 8.0,
            patience: 2,
            max_value: Value::MAX_LEN,
            max_keys: 16_384,
            max_bytes: 8 << 20,
            grace: Duration::from_secs(3_600),
            forget_after: Duration::from_secs(24 * 3_600),
            max_nodes: 65_536,
            durable: false,
            flow_control: true,
            requests: Policy::Keys(Vec::new()),
            seed_rule: SeedRule::NoSeedOrFewLive,
        }
    }

    /// The longest message that a node of this configuration reads from a stream: an owner as large as is allowed.
    #[must_use]
    pub fn longest_message(&self) -> usize {
        const ENTRY: usize = 1 + 3 * size::VARINT + size::LIFE;
        (1 << 20) + 2 * (self.max_bytes + self.max_keys * ENTRY)
    }

    /// The time that `patience` gives.
    pub(crate) fn patience(&self) -> Duration {
        self.interval * self.patience
    }

    /// How long a node that is gone is known: long enough in any case that it is convicted before.
    pub(crate) fn forgets_after(&self) -> Duration {
        self.forget_after.max(60 * self.interval)
    }

    /// Refuses what cannot work.
    ///
    /// # Errors
    /// Says what, and what would.
    pub fn check(&self) -> Result<(), ConfigError> {
        let cluster = &self.cluster;
        if cluster.is_empty() || cluster.len() > 64 || cluster.chars().any(char::is_control) {
            return Err(ConfigError::Cluster(cluster.clone()));
        }
        let hour = Duration::from_secs(3_600);
        if self.interval < Self::SHORTEST_INTERVAL || self.interval > hour {
            return Err(range("the interval", &self.interval, &Self::SHORTEST_INTERVAL, &hour));
        }
        if self.hold > hour {
            return Err(range("the time that news is held", &self.hold, &Duration::ZERO, &hour));
        }
        let year = 365 * 24 * hour;
        if self.grace < Self::SHORTEST_INTERVAL || self.grace > year {
            return Err(range("the grace of tombstones", &self.grace, &Self::SHORTEST_INTERVAL, &year));
        }
        let (least, most) = (Self::SHORTEST_INTERVAL, 10 * year);
        if self.forget_after < least || self.forget_after > most {
            return Err(range("the time after which a node is forgotten", &self.forget_after, &least, &most));
        }
        if !self.mongering.is_possible() {
            let (least, most) =
                ("one partner, one to stop".to_owned(), "32 of them, a hundred to stop".to_owned());
            return Err(ConfigError::Range {
                what: "the mongering",
                given: self.mongering.to_string(),
                least,
                most,
            });
        }
        let numbers = [
            ("the fan-out", self.fanout, 1, 32),
            ("the datagram size", self.datagram, 512, 65_507),
            ("the number of heads", self.heads, 1, 16),
            ("the longest value", self.max_value, 1, Value::MAX_LEN),
            ("the number of keys", self.max_keys, 1, 1 << 24),
            ("the bytes of an owner", self.max_bytes, 1, 1 << 32),
            ("the number of nodes", self.max_nodes, 2, 1 << 24),
            ("the patience", self.patience as usize, 0, 1_000),
            ("the datagrams of rumors in a second", self.rumor_datagrams as usize, 1, 100_000),
            ("the bytes of rumors in a second", self.rumor_bytes as usize, 1 << 10, 1 << 24),
        ];
        for (what, given, least, most) in numbers {
            if given < least || given > most {
                return Err(range(what, &given, &least, &most));
            }
        }
        if !(1.0..=100.0).contains(&self.threshold) {
            return Err(range("the threshold", &self.threshold, &1.0, &100.0));
        }
        Ok(())
    }
}

fn range<T: fmt::Debug>(what: &'static str, given: &T, least: &T, most: &T) -> ConfigError {
    let text = |x: &T| format!("{x:?}");
    ConfigError::Range { what, given: text(given), least: text(least), most: text(most) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recommended_configuration_is_accepted() {
        assert_eq!(Config::new("test").check(), Ok(()));
    }

    #[test]
    fn a_refusal_names_the_range() {
        let config = Config { interval: Duration::from_millis(1), ..Config::new("test") };
        assert_eq!(
            config.check().unwrap_err().to_string(),
            "the interval is 1ms: it must be from 10ms to 3600s"
        );
        let config = Config { fanout: 0, ..Config::new("test") };
        assert_eq!(config.check().unwrap_err().to_string(), "the fan-out is 0: it must be from 1 to 32");
        assert!(Config::new("a\nb").check().is_err());
    }
}
