//! What users and drivers ask.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use sha2::{Digest as _, Sha256};

use super::Gossiper;
use crate::config::Config;
use crate::endpoint::EndpointState;
use crate::name::{NodeId, NodeName};
use crate::snapshot::{Member, NodeState, Shown, Snapshot, Standing, Suspected};
use crate::time::Moment;
use crate::version::{Generation, Heartbeat, Version};

impl Gossiper {
    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// This node's name.
    #[must_use]
    pub fn name(&self) -> &NodeName {
        self.cluster.own().name()
    }

    /// Where others reach this node.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.cluster.own().address()
    }

    /// Where other nodes are, the live ones first, `most` of them.
    #[must_use]
    pub fn peer_addresses(&self, most: usize) -> Vec<SocketAddr> {
        let mut peers = Vec::new();
        for roll in [self.cluster.live(), self.cluster.roll(Standing::Unreachable)] {
            let mut ids = roll.to_vec();
            ids.sort_unstable();
            peers.extend(ids.iter().filter_map(|&id| Some(self.cluster.endpoint(id)?.address())));
        }
        peers.truncate(most);
        peers
    }

    /// This node's generation.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.cluster.own().generation()
    }

    /// This node's heartbeat: how many rounds it has lived.
    #[must_use]
    pub fn heartbeat(&self) -> Heartbeat {
        self.cluster.own().heartbeat
    }

    /// The version of this node's newest write that shows.
    #[must_use]
    pub fn own_version(&self) -> Version {
        self.cluster.own().max_version()
    }

    /// Whether the departure has been announced to enough others: the node may stop now.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.farewell.as_ref().is_some_and(|farewell| {
            let is_told = farewell.told >= farewell.enough && self.cluster.own().has_departed();
            is_told || self.clock.now >= farewell.until
        })
    }

    /// Whether the last exchange with each of min(live peers, 8) different ones found nothing to send either way, and
    /// nothing changed here since.
    #[must_use]
    pub fn is_converged(&self) -> bool {
        let live = |id: &&NodeId| self.cluster.standing(**id) == Some(Standing::Live);
        let needed = self.partners().len().min(8);
        self.cluster.equals().iter().filter(live).take(needed).count() == needed
    }

    /// How many nodes are live, unreachable and departed, this one included.
    #[must_use]
    pub fn counts(&self) -> [(Standing, usize); 3] {
        let departed = usize::from(self.cluster.own().has_departed());
        [
            (Standing::Live, self.cluster.live().len() + 1 - departed),
            (Standing::Unreachable, self.cluster.roll(Standing::Unreachable).len()),
            (Standing::Departed, self.cluster.roll(Standing::Departed).len() + departed),
        ]
    }

    /// How many messages, or parts of them, were refused, by the reason.
    #[must_use]
    pub fn dropped(&self) -> &BTreeMap<&'static str, u64> {
        &self.dropped
    }

    /// Whether somebody refuses this node's generation as beyond belief, and nobody is known to accept it: this machine's
    /// clock is ahead of the others'.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.owner.is_refused()
    }

    /// How many bytes of keys and values this node may write in an interval, while the cluster is told more than it takes in;
    /// `None` while nothing limits it. See [`Config::flow_control`].
    #[must_use]
    pub fn write_limit(&self) -> Option<u64> {
        self.flow.share().map(|share| share.limit.into())
    }

    /// Whether a write had to wait of late, for that limit.
    #[must_use]
    pub fn holds_writes_back(&self) -> bool {
        self.flow.is_short()
    }

    /// How many gaps were repaired by a pull beside the rounds: what a push showed to be missing, and nodes that nobody
    /// could introduce.
    #[must_use]
    pub fn repairs(&self) -> u64 {
        self.clock.repaired
    }

    /// How many seeds there are, this node not counted.
    #[must_use]
    pub fn seeds(&self) -> usize {
        self.contacts.seeds().len()
    }

    /// The nodes known, sorted by name.
    #[must_use]
    pub fn members(&self, now: Moment) -> Vec<Member> {
        let mut members: Vec<_> =
            self.cluster.endpoints().ids().iter().filter_map(|&id| self.member(id, now)).collect();
        members.sort_by(|a, b| a.name.cmp(&b.name));
        members
    }

    /// One node, with what it owns.
    #[must_use]
    pub fn state(&self, name: &NodeName, now: Moment) -> Option<NodeState> {
        self.node_state(name.id(), now)
    }

    /// All nodes, with what they own.
    #[must_use]
    pub fn snapshot(&self, now: Moment) -> Snapshot {
        let ids = self.cluster.endpoints().ids().iter();
        let mut nodes: Vec<_> = ids.filter_map(|&id| self.node_state(id, now)).collect();
        nodes.sort_by(|a, b| a.member.name.cmp(&b.member.name));
        Snapshot { nodes }
    }

    /// What a node shows under a key, and in which of its lives. What is left of its life counts from when this node was told
    /// the time last.
    #[must_use]
    pub fn value(&self, owner: &NodeName, key: &str) -> Option<(Generation, Shown)> {
        let replica = self.cluster.endpoint(owner.id())?.replica();
        let entry = replica.entry(key).filter(|_| !key.starts_with(crate::Key::RESERVED))?;
        let shown = Shown::of(entry, self.clock.now)?;
        Some((replica.generation(), shown))
    }

    /// A hash over the contents held of all live nodes: names, generations, versions, keys and values. Equal on two
    /// nodes, they hold the same; heartbeats are left out.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let mut live: Vec<&EndpointState> =
            self.cluster.live().iter().filter_map(|&id| self.cluster.endpoint(id)).collect();
        if !self.cluster.own().has_departed() {
            live.push(self.cluster.own());
        }
        live.sort_by(|a, b| a.name().cmp(b.name()));
        let mut hash = Sha256::new_with_prefix(b"tidings contents");
        let mut counted = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        for endpoint in live {
            let replica = endpoint.replica();
            counted(endpoint.name().as_str().as_bytes());
            counted(&replica.generation().0.to_be_bytes());
            counted(&replica.max_version().0.to_be_bytes());
            for (key, entry) in replica.entries() {
                let Some(value) = &entry.value else { continue };
                counted(key.as_str().as_bytes());
                counted(&entry.version.0.to_be_bytes());
                counted(value.as_bytes());
            }
        }
        let digest: [u8; 32] = hash.finalize().into();
        u64::from_be_bytes(*digest.first_chunk().expect("32 bytes hold 8"))
    }

    fn node_state(&self, id: NodeId, now: Moment) -> Option<NodeState> {
        let member = self.member(id, now)?;
        let entries = self.cluster.endpoint(id)?.replica().entries();
        let shown = entries
            .filter(|(key, _)| !key.is_reserved())
            .filter_map(|(key, entry)| Some((key.clone(), Shown::of(entry, now)?)));
        Some(NodeState { member, entries: shown.collect(), suspected: self.suspected(id, now) })
    }

    /// What speaks against `id`; nobody suspects itself, or one that departed.
    fn suspected(&self, id: NodeId, now: Moment) -> Option<Suspected> {
        self.cluster.standing(id).filter(|standing| *standing != Standing::Departed)?;
        let name = |id: NodeId| {
            let known = self.cluster.endpoint(id).map(|endpoint| endpoint.name().to_string());
            known.unwrap_or_else(|| format!("{:016x}", id.0))
        };
        let me = self.cluster.me();
        let accusers = self.suspicion(id).map(|suspicion| suspicion.accusers(me)).unwrap_or_default();
        Some(Suspected {
            silence: self.silence(id, now),
            attempts: self.attempts(id),
            threshold: self.threshold(id),
            quiet: now.since(self.cluster.endpoint(id)?.pulse.quiet_since),
            accusers: accusers.into_iter().map(|(accuser, failed)| (name(accuser), failed)).collect(),
        })
    }

    pub(super) fn member(&self, id: NodeId, now: Moment) -> Option<Member> {
        let endpoint = self.cluster.endpoint(id)?;
        let is_self = id == self.cluster.me();
        let own = if endpoint.has_departed() { Standing::Departed } else { Standing::Live };
        let standing = if is_self { own } else { self.cluster.standing(id)? };
        let phi = self.suspected(id, now).map_or(0.0, |suspected| suspected.silence.max(suspected.attempts));
        let shown = |(key, entry): &(&crate::Key, &crate::Entry)| !key.is_reserved() && entry.value.is_some();
        Some(Member {
            name: endpoint.name().clone(),
            address: endpoint.address(),
            generation: endpoint.generation(),
            heartbeat: endpoint.heartbeat,
            standing,
            phi,
            keys: endpoint.replica().entries().filter(shown).count(),
            max_version: endpoint.max_version(),
            is_self,
            forgotten_in: self.forgotten_in(id, now),
        })
    }
}
