//! Two chitchat nodes that know many others and exchange with each other.

use std::time::Duration;

use chitchat::{
    ChitchatConfig, ChitchatHandle, ChitchatId, DeletionStatus, FailureDetectorConfig, ProtocolVersion,
    VersionedValue, spawn_chitchat,
};
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;
use tokio::time::sleep;

use crate::data;
use crate::peers::lan::{Lan, Weather};

/// The most that a UDP datagram carries.
pub(crate) const MOST: usize = 65_507;

/// Two nodes whose own rounds never come: exchanges are begun by command.
pub(crate) struct ChitchatPair {
    runtime: Runtime,
    handles: [ChitchatHandle; 2],
    lan: Lan,
    wire: ProtocolVersion,
}

impl ChitchatPair {
    /// Nodes 0 and 1, which know nobody but themselves.
    pub(crate) fn new(wire: ProtocolVersion) -> Self {
        let runtime = runtime();
        let lan = Lan::new(MOST, Weather::new(0));
        let handles = runtime.block_on(async {
            let start = |number| {
                let config = config(number, wire, NEVER);
                spawn_chitchat(config, Vec::new(), &lan)
            };
            [start(0).await.expect("it starts"), start(1).await.expect("it starts")]
        });
        let pair = Self { runtime, handles, lan, wire };
        pair.settle();
        pair
    }

    /// Lets `side` know `nodes` nodes, the two of the pair among them, with `keys` keys each. `round` says of which owner's key which round's value it is.
    pub(crate) fn teach(
        &self,
        side: usize,
        nodes: usize,
        keys: usize,
        round: impl Fn(usize, usize) -> u64 + Copy,
    ) {
        self.runtime.block_on(self.handles[side].with_chitchat(|chitchat| {
            for owner in 2..nodes {
                let version = |key| keys as u64 * round(owner, key) + key as u64 + 1;
                let values = (0..keys).map(|key| {
                    let value = data::value(owner, key, round(owner, key));
                    (
                        data::key(key),
                        VersionedValue { value, version: version(key), status: DeletionStatus::Set },
                    )
                });
                let values: Vec<_> = values.collect();
                let max = (0..keys).map(version).max().unwrap_or(1);
                // What is taught has no heartbeats. To digests that are compressed, different starts make up for that.
                let id = ChitchatId { generation_id: STARTED + data::started(owner), ..id(owner) };
                chitchat.reset_node_state_if_update(&id, values.into_iter(), max, 0);
            }
        }));
    }

    /// Lets node 1 hear of so many others from themselves, one by one, each after so many beats of its heart.
    pub(crate) fn introduce(&self, nodes: usize, keys: usize, beats: u32) {
        let beat = Duration::from_millis(1);
        for owner in 2..nodes {
            let values = (0..keys).map(|key| (data::key(key), data::value(owner, key, 0)));
            let config = config(owner, self.wire, beat);
            let handle = self.runtime.block_on(async {
                let handle = spawn_chitchat(config, values.collect(), &self.lan).await.expect("it starts");
                sleep(beats * beat).await;
                handle
            });
            handle.gossip(data::address(1)).expect("it runs");
            self.settle();
            handle.abort();
            self.settle();
        }
    }

    /// Node 0 begins an exchange with node 1. Returns how many messages and bytes went; fewer than three messages are
    /// no exchange.
    pub(crate) fn exchange(&self) -> (u64, u64) {
        let before = self.sent();
        // A node whose task has failed cannot be told anything.
        let _ = self.handles[0].gossip(data::address(1));
        self.settle();
        let after = self.sent();
        (after.0 - before.0, after.1 - before.1)
    }

    /// Whether exchanges work: with many nodes, nothing goes out.
    pub(crate) fn speaks(&self) -> bool {
        self.exchange().0 >= 3
    }

    /// The versions of all nodes that `side` knows of others, added up: they grow with all that it learns.
    pub(crate) fn versions(&self, side: usize) -> u64 {
        self.runtime.block_on(
            self.handles[side].with_chitchat(|chitchat| {
                chitchat.node_states().values().map(|state| state.max_version()).sum()
            }),
        )
    }

    /// How many nodes `side` knows.
    pub(crate) fn nodes(&self, side: usize) -> usize {
        self.runtime.block_on(self.handles[side].with_chitchat(|chitchat| chitchat.node_states().len()))
    }

    fn sent(&self) -> (u64, u64) {
        let weather = self.lan.weather();
        (weather.messages, weather.bytes)
    }

    /// Lets both do what they have to do, without letting time pass.
    fn settle(&self) {
        self.runtime.block_on(async {
            for _ in 0..QUIET {
                yield_now().await;
            }
        });
    }
}

/// The interval of rounds that never come.
const NEVER: Duration = Duration::from_secs(1 << 30);

/// How many turns each node gets for an exchange: three messages take fewer than ten.
const QUIET: usize = 16;

/// A runtime on this thread whose clock stands still until all wait for it.
pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime can be had")
}

/// What node `number` is called.
pub(crate) fn id(number: usize) -> ChitchatId {
    ChitchatId::new(data::node(number), STARTED, data::address(number))
}

/// The generation of a node: when it started, in microseconds.
const STARTED: u64 = 1_800_000_000_000_000;

/// How node `number` gossips.
pub(crate) fn config(number: usize, wire: ProtocolVersion, interval: Duration) -> ChitchatConfig {
    ChitchatConfig {
        chitchat_id: id(number),
        cluster_id: "bench".to_owned(),
        gossip_interval: interval,
        listen_addr: data::address(number),
        seed_nodes: Vec::new(),
        failure_detector_config: FailureDetectorConfig::default(),
        marked_for_deletion_grace_period: Duration::from_secs(900),
        catchup_callback: None,
        extra_liveness_predicate: None,
        protocol_version: wire,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exchange_takes_three_messages_and_brings_what_differs() {
        let pair = ChitchatPair::new(ProtocolVersion::V0);
        pair.teach(0, 50, 10, |_, _| 0);
        pair.teach(1, 50, 10, |owner, key| u64::from(owner == 7 && key == 3));
        let (behind, ahead) = (pair.versions(0), pair.versions(1));
        assert!(behind < ahead);
        let (messages, bytes) = pair.exchange();
        assert!(messages == 3 && bytes > 4_000, "{messages} messages, {bytes} bytes");
        assert_eq!(pair.versions(0), ahead);
    }
}
