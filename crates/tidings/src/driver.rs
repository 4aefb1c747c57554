//! The one task that owns the core: it waits for the world, tells the core, and does what the core says.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tidings_core::{
    Event, Gossiper, Key, Message, Peer, PersistMark, Seal, Standing, StreamId, Time, Transmit, Value,
    Version, WriteError,
};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep_until;

use crate::clock::Clock;
use crate::disk::Disk;
use crate::error::Error;
use crate::status::{Status, Traffic};
use crate::streams::{StreamNews, Streams};

/// Where the answer to a write goes.
type Reply = oneshot::Sender<Result<Version, Error>>;

/// What a node is asked to do.
pub(crate) enum Command {
    Set(Vec<(Key, Value)>, Reply),
    Delete(Key, Reply),
    Ask(Box<dyn FnOnce(&View<'_>) + Send>),
    Leave,
    Stop,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Set(..) => "Set",
            Self::Delete(..) => "Delete",
            Self::Ask(_) => "Ask",
            Self::Leave => "Leave",
            Self::Stop => "Stop",
        })
    }
}

/// What questions are put to.
pub(crate) struct View<'a> {
    pub(crate) core: &'a Gossiper,
    pub(crate) now: Time,
    books: &'a Books,
    address: SocketAddr,
}

/// What the driver counts.
#[derive(Debug, Default)]
struct Books {
    sent: Traffic,
    received: Traffic,
    dropped: BTreeMap<&'static str, u64>,
    set_aside: Vec<PathBuf>,
    disk_error: Option<String>,
    has_seeds: bool,
}

/// One node's driver.
pub(crate) struct Driver {
    core: Gossiper,
    seal: Seal,
    clock: Clock,
    address: SocketAddr,
    // Before `commands`: who waits for the node to stop finds its port free.
    socket: UdpSocket,
    listener: TcpListener,
    streams: Streams,
    stream_news: mpsc::Receiver<(StreamId, StreamNews)>,
    disk: Option<Arc<Disk>>,
    saving: Option<JoinHandle<(PersistMark, io::Result<()>)>>,
    saving_peers: Option<JoinHandle<io::Result<Vec<SocketAddr>>>>,
    saved_peers: Vec<SocketAddr>,
    writers: Vec<(Version, Reply)>,
    seeds: Option<watch::Receiver<Vec<SocketAddr>>>,
    events: broadcast::Sender<Event>,
    books: Books,
    commands: mpsc::Receiver<Command>,
}

/// The longest datagram there is.
const LONGEST: usize = 65_535;
/// How many datagrams are taken before anything else gets its turn.
const BATCH: usize = 64;
/// How often the addresses of others are saved, if they changed.
const SAVE_PEERS: Duration = Duration::from_secs(5);
/// How many of them.
const PEERS: usize = 256;

impl Driver {
    #[allow(clippy::too_many_arguments)] // All that a node consists of, put together in one place.
    pub(crate) fn new(
        core: Gossiper,
        seal: Seal,
        (socket, listener): (UdpSocket, TcpListener),
        clock: Clock,
        commands: mpsc::Receiver<Command>,
        events: broadcast::Sender<Event>,
        disk: Option<Disk>,
        seeds: Option<watch::Receiver<Vec<SocketAddr>>>,
    ) -> Self {
        let books = Books { has_seeds: seeds.is_some(), ..Books::default() };
        let address = core.address();
        let (streams, stream_news) = Streams::new(seal.clone(), core.config().longest_message());
        Self {
            core,
            seal,
            clock,
            address,
            socket,
            listener,
            streams,
            stream_news,
            disk: disk.map(Arc::new),
            saving: None,
            saving_peers: None,
            saved_peers: Vec::new(),
            writers: Vec::new(),
            seeds,
            events,
            books,
            commands,
        }
    }

    /// Lets the status say that these files were damaged.
    pub(crate) fn warn_of(mut self, set_aside: Vec<PathBuf>) -> Self {
        self.books.set_aside = set_aside;
        self
    }

    /// Runs until the node is stopped, has left, or nobody holds it any more.
    pub(crate) async fn run(mut self) {
        let mut buffer = vec![0; LONGEST];
        let mut save_peers = tokio::time::interval(SAVE_PEERS);
        save_peers.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !self.core.has_left() {
            self.drain().await;
            let wake = self.clock.instant(self.core.poll_timeout());
            tokio::select! {
                () = sleep_until(wake) => self.core.handle_timeout(self.clock.now()),
                readable = self.socket.readable() => self.receive(readable, &mut buffer).await,
                stream = self.listener.accept() => self.accept(stream).await,
                Some((stream, news)) = self.stream_news.recv() => self.hear_stream(stream, news),
                command = self.commands.recv() => match command {
                    Some(Command::Stop) | None => break,
                    Some(command) => self.obey(command),
                },
                saved = finished(&mut self.saving) => self.saved(saved),
                saved = finished(&mut self.saving_peers) => self.peers_saved(saved),
                addresses = changed(&mut self.seeds) => self.core.handle_seeds(self.clock.now(), addresses),
                _ = save_peers.tick() => self.save_peers(),
            }
        }
        self.drain().await;
        self.finish().await;
    }

    /// Does everything that the core wants done.
    async fn drain(&mut self) {
        while let Some(event) = self.core.poll_event() {
            tracing::debug!(node = %event.node, generation = %event.generation, kind = ?event.kind, "event");
            // Nobody listens, perhaps.
            let _ = self.events.send(event);
        }
        self.save();
        while let Some(transmit) = self.core.poll_transmit() {
            match transmit {
                Transmit::Datagram { to, message } => self.send(to, &message).await,
                Transmit::Open { stream, to } => {
                    self.books.sent.streams += 1;
                    self.streams.open(stream, to);
                }
                Transmit::Frame { stream, message } => {
                    self.books.sent.stream_bytes += self.streams.send(stream, &message) as u64;
                }
                Transmit::Close { stream } => self.streams.close(stream),
            }
        }
        self.answer_writers();
    }

    async fn send(&mut self, to: SocketAddr, message: &Message) {
        let bytes = self.seal.encode(message);
        match self.socket.send_to(&bytes, to).await {
            Ok(_) => self.books.sent.datagram(bytes.len()),
            Err(error) => {
                tracing::debug!(%to, %error, "a datagram could not be sent");
                self.drop_for("unsendable");
            }
        }
    }

    /// Takes a stream that another node opened, if there are not too many.
    async fn accept(&mut self, accepted: io::Result<(TcpStream, SocketAddr)>) {
        match accepted {
            Ok((stream, from)) => {
                self.books.received.streams += 1;
                match self.core.handle_stream(self.clock.now()) {
                    Some(id) => self.streams.accept(id, stream),
                    None => tracing::debug!(%from, "a stream was refused: there are enough"),
                }
            }
            Err(error) => self.rest(&error).await,
        }
    }

    fn hear_stream(&mut self, stream: StreamId, news: StreamNews) {
        let now = self.clock.now();
        match news {
            StreamNews::Message(message, len) => {
                self.books.received.stream_bytes += len as u64;
                let heard = self.core.handle_message(now, Peer::Stream { stream, len }, message);
                if let Err(rejected) = heard {
                    tracing::debug!(stream = stream.0, %rejected, "a message was refused");
                }
            }
            StreamNews::Refused(error) => self.drop_for(error.reason()),
            StreamNews::Written => self.core.handle_stream_written(now, stream),
            StreamNews::Closed(end) => {
                self.streams.close(stream);
                self.core.handle_stream_closed(now, stream, end);
            }
        }
    }

    /// Has saved what the core wants saved, one thing after the other.
    fn save(&mut self) {
        let (Some(disk), None) = (&self.disk, &self.saving) else { return };
        if let Some(persist) = self.core.poll_persist() {
            let disk = Arc::clone(disk);
            let save = move || (persist.mark, disk.save(&persist.saved));
            self.saving = Some(tokio::task::spawn_blocking(save));
        }
    }

    /// Takes what came in. An error of the socket is counted, and ends nothing.
    async fn receive(&mut self, readable: io::Result<()>, buffer: &mut [u8]) {
        let mut result = readable;
        for _ in 0..BATCH {
            if result.is_err() {
                break;
            }
            match self.socket.try_recv_from(buffer) {
                Ok((len, from)) => {
                    self.take(buffer.get(..len).unwrap_or_default(), from);
                    self.drain().await;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => result = Err(error),
            }
        }
        if let Err(error) = result {
            self.rest(&error).await;
        }
    }

    /// Counts an error of a socket, and lets a moment pass.
    async fn rest(&mut self, error: &io::Error) {
        tracing::warn!(%error, "the socket reported an error");
        self.drop_for("socket");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    fn take(&mut self, bytes: &[u8], from: SocketAddr) {
        self.books.received.datagram(bytes.len());
        match self.seal.decode(bytes) {
            Ok(message) => {
                let peer = Peer::Datagram { from, len: bytes.len() };
                if let Err(rejected) = self.core.handle_message(self.clock.now(), peer, message) {
                    tracing::debug!(%from, %rejected, "a message was refused");
                }
            }
            Err(error) => {
                tracing::debug!(%from, %error, "a datagram was refused");
                self.drop_for(error.reason());
            }
        }
    }

    fn obey(&mut self, command: Command) {
        let now = self.clock.now();
        match command {
            Command::Set(pairs, reply) => {
                let written = self.core.set(now, pairs);
                self.await_write(written, reply);
            }
            Command::Delete(key, reply) => {
                let written = self.core.delete(now, key);
                self.await_write(written, reply);
            }
            Command::Ask(question) => {
                question(&View { core: &self.core, now, books: &self.books, address: self.address });
            }
            Command::Leave => self.core.leave(now),
            Command::Stop => unreachable!("the loop ends at this command"),
        }
    }

    fn await_write(&mut self, written: Result<Version, WriteError>, reply: Reply) {
        match written {
            Ok(version) => self.writers.push((version, reply)),
            Err(refused) => {
                // Whoever wrote may have gone.
                let _ = reply.send(Err(refused.into()));
            }
        }
    }

    /// Answers those whose writes show by now.
    fn answer_writers(&mut self) {
        let shown = self.core.own_version();
        for (version, reply) in self.writers.extract_if(.., |(version, _)| *version <= shown) {
            let _ = reply.send(Ok(version));
        }
    }

    fn saved(&mut self, (mark, result): (PersistMark, io::Result<()>)) {
        let now = self.clock.now();
        match result {
            Ok(()) => {
                self.books.disk_error = None;
                self.core.handle_persisted(now, mark);
            }
            Err(error) => {
                tracing::error!(%error, "the state could not be saved");
                self.core.handle_persist_failed(now, mark);
                for (_, reply) in self.writers.drain(..) {
                    let _ = reply.send(Err(Error::Disk(error.to_string())));
                }
                self.books.disk_error = Some(error.to_string());
            }
        }
    }

    /// Remembers where the others are, if that changed.
    fn save_peers(&mut self) {
        let (Some(disk), None) = (&self.disk, &self.saving_peers) else { return };
        let peers = self.core.peer_addresses(PEERS);
        if !peers.is_empty() && peers != self.saved_peers {
            let disk = Arc::clone(disk);
            let save = move || disk.save_peers(&peers).map(|()| peers);
            self.saving_peers = Some(tokio::task::spawn_blocking(save));
        }
    }

    fn peers_saved(&mut self, result: io::Result<Vec<SocketAddr>>) {
        match result {
            Ok(peers) => self.saved_peers = peers,
            Err(error) => {
                tracing::error!(%error, "the addresses of the other nodes could not be saved");
                self.books.disk_error = Some(error.to_string());
            }
        }
    }

    /// Waits for the disk, so that nothing is written once the node has stopped.
    async fn finish(mut self) {
        if self.saving.is_some() {
            let saved = finished(&mut self.saving).await;
            self.saved(saved);
            self.answer_writers();
        }
        self.save_peers();
        if self.saving_peers.is_some() {
            let saved = finished(&mut self.saving_peers).await;
            self.peers_saved(saved);
        }
    }

    fn drop_for(&mut self, reason: &'static str) {
        *self.books.dropped.entry(reason).or_default() += 1;
    }
}

/// The result of a task on the disk, if there is one; otherwise this waits for ever.
async fn finished<T>(task: &mut Option<JoinHandle<T>>) -> T {
    let Some(running) = task else { return std::future::pending().await };
    let result = running.await;
    *task = None;
    result.expect("saving does not panic, and is not cancelled")
}

/// The seeds' addresses, when they changed; waits for ever if there are no seeds.
async fn changed(seeds: &mut Option<watch::Receiver<Vec<SocketAddr>>>) -> Vec<SocketAddr> {
    let Some(found) = seeds else { return std::future::pending().await };
    if found.changed().await.is_err() {
        return std::future::pending().await;
    }
    found.borrow_and_update().clone()
}

impl View<'_> {
    pub(crate) fn status(&self) -> Status {
        let count = |wanted| {
            self.core.counts().into_iter().find(|(standing, _)| *standing == wanted).map_or(0, |c| c.1)
        };
        let mut dropped = self.books.dropped.clone();
        for (reason, times) in self.core.dropped() {
            *dropped.entry(reason).or_default() += times;
        }
        Status {
            name: self.core.name().clone(),
            cluster: self.core.config().cluster.clone(),
            gossip: self.address,
            generation: self.core.generation(),
            live: count(Standing::Live),
            unreachable: count(Standing::Unreachable),
            departed: count(Standing::Departed),
            digest: format!("{:016x}", self.core.digest()),
            converged: self.core.is_converged(),
            rounds: self.core.heartbeat().0,
            sent: self.books.sent,
            received: self.books.received,
            warnings: self.warnings(&dropped),
            dropped,
        }
    }

    fn warnings(&self, dropped: &BTreeMap<&'static str, u64>) -> Vec<String> {
        let mut warnings = Vec::new();
        let times = |reason| dropped.get(reason).copied().unwrap_or(0);
        let cluster = &self.core.config().cluster;
        let [(_, live), (_, unreachable), _] = self.core.counts();
        if live == 1 && unreachable > 0 {
            warnings.push("no other node answers: check this machine's network".to_owned());
        } else if live == 1 && self.books.has_seeds && self.core.heartbeat().0 > 3 {
            warnings.push(
                format!(
                    "no seed has answered: check that the seeds run, that their UDP ports are open, and that their \
                     cluster is {cluster:?}"
                ),
            );
        }
        if times("cluster") > 0 {
            warnings.push(format!(
                "{} datagrams of another cluster were refused: if they were meant for this one, give all nodes the \
                 cluster name {cluster:?}",
                times("cluster")
            ));
        }
        if times("own_name") > 0 {
            warnings
                .push(format!("another process uses the name {}: give each node its own", self.core.name()));
        }
        for path in &self.books.set_aside {
            warnings.push(format!("a damaged file was set aside as {}: look at the disk", path.display()));
        }
        if let Some(error) = &self.books.disk_error {
            warnings.push(format!("the state cannot be saved ({error}): make room on the disk"));
        }
        warnings
    }
}
