//! How a node is started.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tidings_core::{Config, Gossiper, Identity, Mode, Mongering, NodeName, Policy, Question, Seal};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::clock::Clock;
use crate::decider::Decider;
use crate::disk::{Disk, Found};
use crate::driver::Driver;
use crate::error::Error;
use crate::events;
use crate::loss::Loss;
use crate::node::Node;
use crate::seeds::{self, Contacts, Seed};

/// A node to be: see [`Node::builder`].
#[derive(Debug, Clone)]
pub struct Builder {
    name: String,
    config: Config,
    listen: SocketAddr,
    advertise: Option<SocketAddr>,
    seeds: Vec<String>,
    neighbours: Vec<String>,
    data_dir: Option<PathBuf>,
    rng_seed: Option<u64>,
    loss: f64,
    decider: Option<Decider>,
}

/// How many commands wait for the node before callers do.
const COMMANDS: usize = 256;

impl Builder {
    pub(crate) fn new(name: String) -> Self {
        let listen = (Ipv4Addr::LOCALHOST, 8434).into();
        let config = Config::new("tidings");
        Self {
            name,
            config,
            listen,
            advertise: None,
            seeds: Vec::new(),
            neighbours: Vec::new(),
            data_dir: None,
            rng_seed: None,
            loss: 0.0,
            decider: None,
        }
    }

    /// The cluster's name, `tidings` by default. Nodes of other clusters are not heard.
    #[must_use]
    pub fn cluster(mut self, name: impl Into<String>) -> Self {
        self.config.cluster = name.into();
        self
    }

    /// Where to listen for gossip: 127.0.0.1:8434 by default. Port 0 takes any free one.
    #[must_use]
    pub fn listen(mut self, address: impl Into<SocketAddr>) -> Self {
        self.listen = address.into();
        self
    }

    /// Where others reach this node, if that differs from where it listens. Port 0 stands for the port listened on.
    #[must_use]
    pub fn advertise(mut self, address: impl Into<SocketAddr>) -> Self {
        self.advertise = Some(address.into());
        self
    }

    /// Nodes to begin with, as `host:port`. Names are looked up again for ever. A node may be its own seed, so that
    /// all can have the same list.
    #[must_use]
    pub fn seeds<S: Into<String>>(mut self, seeds: impl IntoIterator<Item = S>) -> Self {
        self.seeds.extend(seeds.into_iter().map(Into::into));
        self
    }

    /// The only nodes to gossip with, as `host:port`: neighbours in a network where not everybody reaches everybody. This
    /// node knows everybody's state all the same, as long as the links connect all. Give neighbours or seeds, not both.
    #[must_use]
    pub fn neighbours<S: Into<String>>(mut self, neighbours: impl IntoIterator<Item = S>) -> Self {
        self.neighbours.extend(neighbours.into_iter().map(Into::into));
        self
    }

    /// Which way news goes in this node's rounds: both by default. Nodes of one cluster may differ in it.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.config.mode = mode;
        self
    }

    /// How often a round begins: every second by default. Give all nodes of a cluster the same.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.config.interval = interval;
        self
    }

    /// With how many live nodes to gossip in an interval, evenly spread over it: 1 by default.
    #[must_use]
    pub fn fanout(mut self, fanout: usize) -> Self {
        self.config.fanout = fanout;
        self
    }

    /// How what is new spreads at once, beside the rounds: it is offered along the ring of ids by default. Nodes of one
    /// cluster may differ in it.
    #[must_use]
    pub fn mongering(mut self, mongering: Mongering) -> Self {
        self.config.mongering = mongering;
        self
    }

    /// How long this node's own news waits for more of it before it spreads at once: 20 ms by default.
    #[must_use]
    pub fn hold(mut self, hold: Duration) -> Self {
        self.config.hold = hold;
        self
    }

    /// How many datagrams and bytes rumors may send in a second: 128 and 64 KiB by default. Where there is more to say, it
    /// waits, or is left to the rounds.
    #[must_use]
    pub fn rumor_budget(mut self, datagrams: u32, bytes: u32) -> Self {
        (self.config.rumor_datagrams, self.config.rumor_bytes) = (datagrams, bytes);
        self
    }

    /// Whether this node writes less while the cluster is told more than it takes in: by default, it does.
    #[must_use]
    pub fn flow_control(mut self, is_on: bool) -> Self {
        self.config.flow_control = is_on;
        self
    }

    /// For how many intervals a node that does not answer is given time: 2 by default. A stall that is shorter convicts
    /// nobody; a crash is seen about one interval and this after it happened.
    #[must_use]
    pub fn patience(mut self, intervals: u32) -> Self {
        self.config.patience = intervals;
        self
    }

    /// How many bytes a datagram has at most: 1,200 by default, which pass every network.
    #[must_use]
    pub fn datagram(mut self, bytes: usize) -> Self {
        self.config.datagram = bytes;
        self
    }

    /// How much this node owns at most, and allows others to own: keys, and bytes of keys and values. 16,384 and 8 MiB
    /// by default.
    #[must_use]
    pub fn limits(mut self, keys: usize, bytes: usize) -> Self {
        (self.config.max_keys, self.config.max_bytes) = (keys, bytes);
        self
    }

    /// How old a tombstone of this node becomes before it is collected: an hour by default. A node that was away for longer
    /// is told everything of this one again, so that no deleted key comes back.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.config.grace = grace;
        self
    }

    /// How long a node that is unreachable, or departed, is known: a day by default, and sixty intervals at least. Then it is
    /// forgotten everywhere. Give all nodes of a cluster the same.
    #[must_use]
    pub fn forget_after(mut self, span: Duration) -> Self {
        self.config.forget_after = span;
        self
    }

    /// Lets other nodes [ask](Node::request) for changes of those keys that one of these patterns fits: `*` stands for any text,
    /// as in `config/*`. By default nobody may.
    #[must_use]
    pub fn allow_requests<S: Into<String>>(mut self, patterns: impl IntoIterator<Item = S>) -> Self {
        self.config.requests = Policy::Keys(patterns.into_iter().map(Into::into).collect());
        self.decider = None;
        self
    }

    /// Lets `decide` say which requests of other nodes are granted, and why others are not. It is called by the task that runs
    /// the node, and must not block.
    #[must_use]
    pub fn decide_requests(
        mut self,
        decide: impl Fn(&Question) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.config.requests = Policy::Decided;
        self.decider = Some(Decider::new(decide));
        self
    }

    /// Where to keep what survives a restart: the generation, this node's keys, and where others are.
    #[must_use]
    pub fn data_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(dir.into());
        self
    }

    /// The seed of this node's choices, random by default: for tests and demonstrations.
    #[must_use]
    pub fn rng_seed(mut self, seed: u64) -> Self {
        self.rng_seed = Some(seed);
        self
    }

    /// Loses this share of the datagrams that the node sends, from 0, the default, to 0.9: for tests and demonstrations.
    /// Which ones is chosen at random, and repeated by [`rng_seed`](Self::rng_seed). The status counts them as sent, as a
    /// sender counts what the network loses, and as dropped for the reason `lost`. Streams lose nothing.
    #[must_use]
    pub fn loss(mut self, share: f64) -> Self {
        self.loss = share;
        self
    }

    /// Starts the node. It looks for its seeds for ever, and takes writes at once. If its cluster knows its name at another
    /// address, that is asked first, for an interval at most: two processes cannot have one name.
    ///
    /// # Errors
    /// What was configured cannot work, the socket cannot be opened, the data directory cannot be used, or
    /// another process has the name.
    pub async fn start(self) -> Result<Node, Error> {
        let name = NodeName::new(&self.name)?;
        let are_neighbours = !self.neighbours.is_empty();
        if are_neighbours && !self.seeds.is_empty() {
            return Err(Error::SeedsAndNeighbours);
        }
        let contacts = if are_neighbours { &self.neighbours } else { &self.seeds };
        let seeds = contacts.iter().map(|seed| Seed::new(seed)).collect::<Result<Vec<_>, _>>()?;
        let bind = |source| Error::Bind { address: self.listen, source };
        let (socket, listener) = sockets(self.listen).await.map_err(bind)?;
        let address = self.reachable_at(socket.local_addr().map_err(bind)?)?;
        let config = Config { durable: self.data_dir.is_some(), ..self.config };
        let opened = self.data_dir.as_deref().map(|dir| Disk::open(dir, &name)).transpose()?;
        let (disk, found) = opened.map_or_else(Default::default, |(disk, found)| (Some(disk), found));
        let Found { saved, peers, set_aside, is_half } = found.logged();
        let rng_seed = match self.rng_seed {
            Some(seed) => seed,
            None => getrandom::u64().map_err(|error| bind(error.into()))?,
        };
        let loss = Loss::new(self.loss, rng_seed)?;
        let begins_at = seeds::first(&seeds, address).await;
        let clock = Clock::start();
        let seal = Seal::new(&config.cluster);
        let cluster = config.cluster.clone();
        let identity = Identity { name: name.clone(), address, saved };
        let mut core = Gossiper::new(config, identity, rng_seed, clock.now())?;
        if !are_neighbours {
            core.handle_remembered(peers);
        }
        let (found, addresses) = watch::channel(begins_at.clone());
        let contacts = Contacts { are_neighbours, found: (!seeds.is_empty()).then_some(addresses) };
        contacts.tell(&mut core, clock.now(), begins_at);
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let (sender, _) = broadcast::channel(events::KEPT);
        let heard = sender.downgrade();
        if !seeds.is_empty() {
            tokio::spawn(seeds::look_up(seeds, address, found));
        }
        let (starter, begun) = oneshot::channel();
        let ended = Arc::new(OnceLock::new());
        let sockets = (socket, listener);
        let driver = Driver::new(
            core,
            seal,
            sockets,
            clock,
            inbox,
            sender,
            disk,
            contacts,
            starter,
            Arc::clone(&ended),
        );
        tokio::spawn(driver.warn_of(set_aside, is_half).lose(loss).decide_by(self.decider).run());
        let node = Node::new(name, cluster, address, commands, heard, ended);
        match begun.await {
            Ok(Ok(())) => Ok(node),
            Ok(Err(source)) => Err(Error::DataDir { path: self.data_dir.unwrap_or_default(), source }),
            Err(_) => Err(node.conflict().unwrap_or(Error::Stopped)),
        }
    }

    /// The address to advertise, for a socket at `local`.
    fn reachable_at(&self, local: SocketAddr) -> Result<SocketAddr, Error> {
        let mut address = self.advertise.unwrap_or(local);
        if address.port() == 0 {
            address.set_port(local.port());
        }
        let unreachable = address.ip().is_unspecified() || address.ip().is_multicast();
        if unreachable { Err(Error::Advertise { address }) } else { Ok(address) }
    }
}

/// A socket for datagrams and one for streams on the same port. Where any will do, one is looked for that both can have.
async fn sockets(listen: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    const TRIES: usize = 32;
    let mut tries = 0;
    loop {
        let socket = UdpSocket::bind(listen).await?;
        match TcpListener::bind(socket.local_addr()?).await {
            Ok(listener) => return Ok((socket, listener)),
            Err(error) if listen.port() != 0 || tries == TRIES => return Err(error),
            Err(_) => tries += 1,
        }
    }
}
