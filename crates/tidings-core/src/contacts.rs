//! Addresses that are worth a try, beside those of the nodes that are known to run.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::cluster::Cluster;
use crate::name::NodeId;
use crate::snapshot::Standing;
use crate::time::Moment;
use crate::version::Generation;

/// Seeds, neighbours, and addresses of an earlier life.
#[derive(Debug, Default)]
pub(crate) struct Contacts {
    /// The seeds, as they were told, and those among them that are not shunned.
    told: Vec<SocketAddr>,
    seeds: Vec<SocketAddr>,
    /// Addresses at which this node met itself, and until when they are not tried again: behind the address of a
    /// balancer there may be another node next time.
    shunned: BTreeMap<SocketAddr, Moment>,
    remembered: Vec<SocketAddr>,
    /// With whom alone this node may gossip, if that was said, and who was met there last.
    neighbours: Option<BTreeMap<SocketAddr, Option<NodeId>>>,
    /// The nodes that were heard from elsewhere than they are said to be, or did not answer where they are said to be.
    astray: BTreeMap<NodeId, Astray>,
}

/// A node that may be elsewhere than it is said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Astray {
    /// Where it was heard from last, if that is elsewhere, and in which life.
    pub seen_at: Option<(SocketAddr, Generation)>,
    /// How often it did not answer at its address since it did.
    pub missed: u8,
}

impl Contacts {
    /// How many addresses are remembered.
    const MOST: usize = 256;

    /// The addresses to try where nobody else is known: seeds, and neighbours that were not met yet.
    pub(crate) fn seeds(&self) -> &[SocketAddr] {
        &self.seeds
    }

    /// The addresses of an earlier life.
    pub(crate) fn remembered(&self) -> &[SocketAddr] {
        &self.remembered
    }

    /// Takes `seeds` in the place of those of before. Returns whether they differ.
    pub(crate) fn tell_seeds(&mut self, seeds: Vec<SocketAddr>, now: Moment) -> bool {
        let news = seeds != self.told;
        self.told = seeds;
        self.forgive(now);
        news
    }

    /// Takes `neighbours` in the place of those of before. Returns whether they differ.
    pub(crate) fn tell_neighbours(&mut self, neighbours: &[SocketAddr], now: Moment) -> bool {
        let old = self.neighbours.take().unwrap_or_default();
        let met = |address: &SocketAddr| (*address, old.get(address).copied().flatten());
        let new: BTreeMap<_, _> = neighbours.iter().map(met).collect();
        let news = !new.keys().eq(old.keys());
        self.neighbours = Some(new);
        self.forgive(now);
        news
    }

    pub(crate) fn remember(&mut self, addresses: Vec<SocketAddr>) {
        for address in addresses {
            if self.remembered.len() < Self::MOST && !self.remembered.contains(&address) {
                self.remembered.push(address);
            }
        }
    }

    /// The addresses of an earlier life have served.
    pub(crate) fn forget_remembered(&mut self) {
        self.remembered.clear();
    }

    pub(crate) fn shun(&mut self, address: SocketAddr, until: Moment) {
        if self.shunned.len() >= Self::MOST && !self.shunned.contains_key(&address) {
            self.shunned.pop_first();
        }
        self.shunned.insert(address, until);
        self.remembered.retain(|remembered| *remembered != address);
        self.seeds.retain(|seed| *seed != address);
    }

    /// Ends what is over: shunned addresses are tried again, and so are neighbours.
    pub(crate) fn forgive(&mut self, now: Moment) {
        self.shunned.retain(|_, until| *until > now);
        let free = |seed: &&SocketAddr| !self.shunned.contains_key(*seed);
        self.seeds = match &self.neighbours {
            None => self.told.iter().filter(free).copied().collect(),
            Some(neighbours) => neighbours.keys().filter(free).copied().collect(),
        };
    }

    /// `id` was met at `address`.
    pub(crate) fn meet(&mut self, address: SocketAddr, id: NodeId) {
        if let Some(met) = self.neighbours.as_mut().and_then(|neighbours| neighbours.get_mut(&address)) {
            *met = Some(id);
        }
    }

    /// Where else `id` may be.
    pub(crate) fn astray(&self, id: NodeId) -> Astray {
        self.astray.get(&id).copied().unwrap_or_default()
    }

    /// Says that of `id`.
    pub(crate) fn set_astray(&mut self, id: NodeId, astray: Astray) {
        if astray != Astray::default() {
            self.astray.insert(id, astray);
        } else if !self.astray.is_empty() {
            self.astray.remove(&id);
        }
    }

    /// Whether it was said with whom alone this node may gossip.
    pub(crate) fn has_neighbours(&self) -> bool {
        self.neighbours.is_some()
    }

    /// How many neighbours may answer, if it was said with whom alone this node may gossip: all but those known to be down.
    pub(crate) fn neighbour_count(&self, cluster: &Cluster) -> Option<usize> {
        let is_down = |id| matches!(cluster.standing(id), Some(Standing::Unreachable | Standing::Departed));
        let may_answer = |met: &&Option<NodeId>| !met.is_some_and(is_down);
        self.neighbours.as_ref().map(|neighbours| neighbours.values().filter(may_answer).count())
    }

    /// The nodes of that standing with which this one may gossip.
    pub(crate) fn among<'a>(&self, cluster: &'a Cluster, standing: Standing) -> Cow<'a, [NodeId]> {
        let Some(neighbours) = &self.neighbours else { return Cow::Borrowed(cluster.roll(standing)) };
        let met = neighbours.values().copied().flatten();
        let mut among: Vec<_> = met.filter(|&id| cluster.standing(id) == Some(standing)).collect();
        among.sort_unstable();
        among.dedup();
        Cow::Owned(among)
    }

    /// Whether this node may gossip with `id`.
    pub(crate) fn allows(&self, id: NodeId) -> bool {
        self.neighbours.as_ref().is_none_or(|neighbours| neighbours.values().any(|met| *met == Some(id)))
    }
}
