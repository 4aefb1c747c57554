//! The nodes of the demo: started, killed, started again, heard and measured.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidings::{Error, Event, Generation, Member, Node, NodeState, Notice, Status};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Real nodes on loopback.
pub(super) struct Stage {
    interval: Duration,
    seed_number: u64,
    loss: f64,
    names: Vec<String>,
    nodes: BTreeMap<String, Node>,
    seed: Option<SocketAddr>,
    /// What the nodes that were stopped had sent.
    retired: Total,
    mark: Mark,
    /// The latest sum, so that a burst of events is not slowed down by counting.
    latest: (Instant, Total),
    tell: mpsc::UnboundedSender<Heard>,
    heard: mpsc::UnboundedReceiver<Heard>,
}

/// What a node told.
pub(super) struct Heard {
    /// The node that tells.
    pub(super) by: String,
    /// When it was heard.
    pub(super) at: Instant,
    /// What it tells.
    pub(super) event: Event,
}

/// What all nodes sent.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Total {
    /// Datagrams.
    pub(super) datagrams: u64,
    /// Bytes in datagrams and streams.
    pub(super) bytes: u64,
    /// Those of the datagrams that were lost on purpose.
    pub(super) lost: u64,
}

/// What an act took so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Figures {
    /// Time.
    pub(super) elapsed: Duration,
    /// The same in rounds.
    pub(super) rounds: f64,
    /// What was sent meanwhile.
    pub(super) sent: Total,
}

/// Where an act began.
#[derive(Debug, Clone, Copy)]
struct Mark {
    at: Instant,
    total: Total,
}

/// The key that each node has from the beginning.
pub(super) const SERVICE: &str = "service/web";

/// A number for the nodes' random choices, where the user gave none.
pub(super) fn any_seed_number() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::from(since.subsec_micros())
}

impl Stage {
    /// An empty stage for a number of nodes, on a network that loses a share of their datagrams.
    pub(super) fn new(nodes: usize, interval: Duration, seed_number: u64, loss: f64) -> Self {
        let width = nodes.to_string().len();
        let (tell, heard) = mpsc::unbounded_channel();
        let now = Instant::now();
        Self {
            interval,
            seed_number,
            loss,
            names: (1..=nodes).map(|number| format!("node-{number:0width$}")).collect(),
            nodes: BTreeMap::new(),
            seed: None,
            retired: Total::default(),
            mark: Mark { at: now, total: Total::default() },
            latest: (now, Total::default()),
            tell,
            heard,
        }
    }

    /// Starts all nodes, the first one as the seed, each with a key of its own.
    pub(super) async fn start_all(&mut self) -> Result<(), Error> {
        for name in self.names.clone() {
            self.start(&name, self.seed_number).await?;
            self.set(&name, SERVICE, &self.service_address(&name)).await?;
        }
        Ok(())
    }

    /// Stops a node, as a crash would.
    pub(super) async fn kill(&mut self, name: &str) {
        let Some(node) = self.nodes.remove(name) else { return };
        if let Ok(status) = node.status().await {
            self.retired += Total::from(&status);
        }
        node.stop().await;
    }

    /// Starts a killed node again. Tells the generation that the others remember, and the new one.
    pub(super) async fn restart(&mut self, name: &str) -> Result<(Generation, Generation), Error> {
        let members = self.as_seen_by_the_seed().await;
        let old = members.iter().find(|member| member.name.as_str() == name).map(|member| member.generation);
        let new = self.start(name, self.seed_number.wrapping_add(1)).await?;
        Ok((old.unwrap_or_default(), new))
    }

    /// Sets a key of a node.
    pub(super) async fn set(&self, name: &str, key: &str, value: &str) -> Result<(), Error> {
        match self.nodes.get(name) {
            Some(node) => node.set(key, value).await.map(drop),
            None => Err(Error::Stopped),
        }
    }

    /// The next thing that a node tells.
    pub(super) async fn hear(&mut self) -> Option<Heard> {
        self.heard.recv().await
    }

    /// Begins to measure anew; what was not listened to yet is forgotten.
    pub(super) async fn mark(&mut self) {
        while self.heard.try_recv().is_ok() {}
        self.mark = Mark { total: self.total().await, at: Instant::now() };
    }

    /// What was measured from the mark to `at`. The sums may be as old as `age`.
    pub(super) async fn figures(&mut self, at: Instant, age: Duration) -> Figures {
        if self.latest.0 < self.mark.at || self.latest.0.elapsed() >= age {
            self.latest = (Instant::now(), self.total().await);
        }
        let elapsed = at.saturating_duration_since(self.mark.at);
        let Total { datagrams, bytes, lost } = self.latest.1;
        let sent = Total {
            datagrams: datagrams.saturating_sub(self.mark.total.datagrams),
            bytes: bytes.saturating_sub(self.mark.total.bytes),
            lost: lost.saturating_sub(self.mark.total.lost),
        };
        Figures { elapsed, rounds: elapsed.div_duration_f64(self.interval), sent }
    }

    /// What all nodes ever sent.
    pub(super) async fn total(&self) -> Total {
        let mut total = self.retired;
        for status in self.statuses().await.into_values() {
            total += Total::from(&status);
        }
        total
    }

    /// Whether each running node knows `name`, and `holds` for what it knows of it.
    pub(super) async fn everywhere(&self, name: &str, holds: impl Fn(&NodeState) -> bool) -> bool {
        for node in self.nodes.values() {
            if !matches!(node.state(name).await, Ok(Some(state)) if holds(&state)) {
                return false;
            }
        }
        true
    }

    /// Whether every node finds nothing to send, and all hold the same.
    pub(super) async fn converged(&self) -> bool {
        let statuses = self.statuses().await;
        statuses.len() == self.size()
            && statuses.values().all(|status| status.converged)
            && self.digest().await.is_some()
    }

    /// The digest, if all nodes have the same.
    pub(super) async fn digest(&self) -> Option<String> {
        let mut digests = self.statuses().await.into_values().map(|status| status.digest);
        let first = digests.next()?;
        digests.all(|digest| digest == first).then_some(first)
    }

    /// How the running nodes are doing.
    pub(super) async fn statuses(&self) -> BTreeMap<String, Status> {
        let mut statuses = BTreeMap::new();
        for (name, node) in &self.nodes {
            if let Ok(status) = node.status().await {
                statuses.insert(name.clone(), status);
            }
        }
        statuses
    }

    /// The members, as the seed sees them.
    pub(super) async fn as_seen_by_the_seed(&self) -> Vec<Member> {
        match self.nodes.values().next() {
            Some(seed) => seed.members().await.unwrap_or_default(),
            None => Vec::new(),
        }
    }

    /// The nodes' names; the first one is the seed.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The name of the last node.
    pub(super) fn last(&self) -> &str {
        self.names.last().map_or("", String::as_str)
    }

    /// How many nodes there are when none is killed.
    pub(super) fn size(&self) -> usize {
        self.names.len()
    }

    /// How long a round is.
    pub(super) fn interval(&self) -> Duration {
        self.interval
    }

    /// What the nodes' random choices come from.
    pub(super) fn seed_number(&self) -> u64 {
        self.seed_number
    }

    /// Which share of all datagrams is lost.
    pub(super) fn loss(&self) -> f64 {
        self.loss
    }

    /// The value of [`SERVICE`] on a node.
    pub(super) fn service_address(&self, name: &str) -> String {
        let number = self.names.iter().position(|other| other == name).map_or(0, |index| index + 1);
        format!("10.0.0.{number}:8080")
    }

    async fn start(&mut self, name: &str, seed_number: u64) -> Result<Generation, Error> {
        let number = self.nodes.len() as u64;
        let node = Node::builder(name)
            .cluster("demo")
            .listen((Ipv4Addr::LOCALHOST, 0))
            .seeds(self.seed.map(|seed| seed.to_string()))
            .interval(self.interval)
            .loss(self.loss)
            .rng_seed(seed_number.wrapping_mul(1_000).wrapping_add(number))
            .start()
            .await?;
        self.seed.get_or_insert(node.address());
        let generation = node.status().await?.generation;
        let (mut events, tell, by) = (node.events(), self.tell.clone(), name.to_owned());
        tokio::spawn(async move {
            while let Some(notice) = events.next().await {
                let Notice::Event(event) = notice else { continue };
                if tell.send(Heard { by: by.clone(), at: Instant::now(), event }).is_err() {
                    return;
                }
            }
        });
        self.nodes.insert(name.to_owned(), node);
        Ok(generation)
    }
}

impl std::ops::AddAssign for Total {
    fn add_assign(&mut self, other: Self) {
        self.datagrams += other.datagrams;
        self.bytes += other.bytes;
        self.lost += other.lost;
    }
}

impl From<&Status> for Total {
    fn from(status: &Status) -> Self {
        let sent = &status.sent;
        let lost = status.dropped.get("lost").copied().unwrap_or_default();
        Self { datagrams: sent.datagrams, bytes: sent.datagram_bytes + sent.stream_bytes, lost }
    }
}
