//! A whole cluster in virtual time, ours or a peer's: what the works ask of it.

use std::time::Duration;

/// How a cluster is begun.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup {
    /// How many nodes it has.
    pub(crate) nodes: usize,
    /// Where all chance comes from.
    pub(crate) seed: u64,
    /// How many of a thousand messages are lost.
    pub(crate) loss: u16,
    /// For how long a node that does not answer is given time. `None`: what the cluster's own default gives.
    pub(crate) patience: Option<Duration>,
    /// Whether copies of updates are counted, which takes time with peers.
    pub(crate) counts_copies: bool,
    /// Whether convictions are asked for.
    pub(crate) watches: bool,
    /// Whether its nodes know each other from the start. Otherwise all know the first, and join at once.
    pub(crate) is_warm: bool,
}

impl Setup {
    /// So many nodes that know each other; no loss, the default patience, and nothing watched.
    pub(crate) fn warm(nodes: usize, seed: u64) -> Self {
        Self { nodes, seed, loss: 0, patience: None, counts_copies: false, watches: false, is_warm: true }
    }
}

/// The number of what `node` writes as its `count`th update.
pub(crate) fn update(node: usize, count: u32) -> u64 {
    (node as u64) << 32 | u64::from(count)
}

/// A node came to hold an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heard {
    /// The number of the update.
    pub(crate) update: u64,
    /// When.
    pub(crate) at: Duration,
}

/// A node came to believe that another one crashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Conviction {
    /// Who believes it.
    pub(crate) by: usize,
    /// Of whom.
    pub(crate) of: usize,
    /// Since when.
    pub(crate) at: Duration,
}

/// How much went over the network so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Traffic {
    /// Payload bytes of all messages, without headers of UDP and IP.
    pub(crate) bytes: u64,
    /// How often updates were sent.
    pub(crate) copies: u64,
}

/// A cluster of one kind. Rounds of a second; messages take 0.5 to 1.5 ms.
pub(crate) trait Cluster {
    /// Begins one.
    fn begin(setup: &Setup) -> Self
    where
        Self: Sized;

    /// Lets time pass.
    fn run(&mut self, span: Duration);

    /// What time it is.
    fn now(&self) -> Duration;

    /// A node writes update number `update`, 64 bytes, in the place of what it wrote before.
    fn write(&mut self, node: usize, update: u64);

    /// Who came to hold which update since this was asked.
    fn heard(&mut self) -> Vec<Heard>;

    /// A node stops for good, without a word.
    fn crash(&mut self, node: usize);

    /// A node stands still for `span`; what comes in waits.
    fn stall(&mut self, node: usize, span: Duration);

    /// Who came to believe of whom that it crashed since this was asked.
    fn convictions(&mut self) -> Vec<Conviction>;

    /// How much went over the network so far.
    fn traffic(&self) -> Traffic;

    /// Whether each node knows all others and believes that they run.
    fn is_complete(&mut self) -> bool;
}

/// How long a message is on its way, in microseconds: at least, and at most.
pub(crate) const LATENCY: (u32, u32) = (500, 1_500);
/// How often a round begins.
pub(crate) const ROUND: Duration = Duration::from_secs(1);
