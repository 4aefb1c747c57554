//! The one task that owns the core: it waits for the world, tells the core, and does what the core says.

mod replies;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tidings_core::{
    Conflict, Event, Gossiper, Key, Lifetime, Message, NodeName, Outcome, Peer, PersistMark, Removed,
    Request, RequestId, Seal, Stamp, StreamId, Transmit, Value, Version,
};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep_until;

use crate::clock::Clock;
use crate::decider::Decider;
use crate::disk::Disk;
use crate::error::Error;
use crate::loss::Loss;
use crate::seeds::Contacts;
use crate::streams::{StreamNews, Streams};
use crate::view::{Books, View};

/// Where the answer to a write goes.
type Reply = oneshot::Sender<Result<Stamp, Error>>;

/// Where the answer to a request goes.
type Answer = oneshot::Sender<Result<Outcome, Error>>;

/// What a node is asked to do.
pub(crate) enum Command {
    Set(Vec<(Key, Value)>, Lifetime, Reply),
    /// Changes a key of the node itself: as its request says.
    Change(Request, Reply),
    /// Asks another node for a change, and waits for so long.
    Request(NodeName, Request, Duration, Answer),
    /// Forgets another node.
    Remove(NodeName, oneshot::Sender<Result<Removed, Error>>),
    Ask(Box<dyn FnOnce(&View<'_>) + Send>),
    Leave,
    Stop,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Set(..) => "Set",
            Self::Change(..) => "Change",
            Self::Request(..) => "Request",
            Self::Remove(..) => "Remove",
            Self::Ask(_) => "Ask",
            Self::Leave => "Leave",
            Self::Stop => "Stop",
        })
    }
}

/// One node's driver.
pub(crate) struct Driver {
    core: Gossiper,
    seal: Seal,
    clock: Clock,
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
    /// Who waits for what an owner was asked for, and what is said if nothing comes.
    requesters: BTreeMap<RequestId, (NodeName, Duration, Answer)>,
    decider: Option<Decider>,
    contacts: Contacts,
    events: broadcast::Sender<Event>,
    books: Books,
    loss: Option<Loss>,
    /// Who waits for the node to begin, or to hear that it can't; and why it ended if it did by itself.
    starter: Option<oneshot::Sender<io::Result<()>>>,
    has_failed_to_start: bool,
    ended: Arc<OnceLock<Conflict>>,
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
        contacts: Contacts,
        starter: oneshot::Sender<io::Result<()>>,
        ended: Arc<OnceLock<Conflict>>,
    ) -> Self {
        let books = Books { has_seeds: contacts.found.is_some(), ..Books::default() };
        let (streams, stream_news) = Streams::new(seal.clone(), core.config().longest_message());
        Self {
            core,
            seal,
            clock,
            socket,
            listener,
            streams,
            stream_news,
            disk: disk.map(Arc::new),
            saving: None,
            saving_peers: None,
            saved_peers: Vec::new(),
            writers: Vec::new(),
            requesters: BTreeMap::new(),
            decider: None,
            contacts,
            events,
            books,
            loss: None,
            starter: Some(starter),
            has_failed_to_start: false,
            ended,
            commands,
        }
    }

    /// Lets the status say what was damaged on the disk: these files were set aside, or one of two copies was not whole.
    pub(crate) fn warn_of(mut self, set_aside: Vec<PathBuf>, is_half: bool) -> Self {
        (self.books.set_aside, self.books.is_half) = (set_aside, is_half);
        self
    }

    /// Loses datagrams on purpose.
    pub(crate) fn lose(mut self, loss: Loss) -> Self {
        self.loss = Some(loss);
        self
    }

    /// Lets this decide what others ask for.
    pub(crate) fn decide_by(mut self, decider: Option<Decider>) -> Self {
        self.decider = decider;
        self
    }

    /// Runs until the node is stopped, has left, or nobody holds it any more.
    pub(crate) async fn run(mut self) {
        self.live().await;
        self.drain().await;
        self.finish().await;
    }

    async fn live(&mut self) {
        let mut buffer = vec![0; LONGEST];
        let mut save_peers = tokio::time::interval(SAVE_PEERS);
        save_peers.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            self.drain().await;
            if self.has_ended() {
                return;
            }
            let wake = self.clock.instant(self.core.poll_timeout());
            tokio::select! {
                () = sleep_until(wake) => self.core.handle_timeout(self.clock.now()),
                readable = self.socket.readable() => self.receive(readable, &mut buffer).await,
                stream = self.listener.accept() => self.accept(stream).await,
                Some((stream, news)) = self.stream_news.recv() => self.hear_stream(stream, news),
                command = self.commands.recv() => match command {
                    Some(Command::Stop) | None => return,
                    Some(command) => self.obey(command),
                },
                saved = finished(&mut self.saving) => self.saved(saved),
                saved = finished(&mut self.saving_peers) => self.peers_saved(saved),
                addresses = changed(&mut self.contacts.found) => self.contacts.tell(&mut self.core, self.clock.now(), addresses),
                _ = save_peers.tick() => self.save_peers(),
            }
        }
    }

    /// Whether the node has left, or gives way to another one of its name. Says so to whoever waits for its start.
    fn has_ended(&mut self) -> bool {
        if let Some(conflict) = self.core.conflict() {
            tracing::error!(here = %conflict.here, there = %conflict.there, "another process uses this node's name");
            // It is set once, here.
            let _ = self.ended.set(conflict);
            return true;
        }
        if self.core.has_begun() {
            // Whoever started the node may have gone.
            self.starter.take().map(|starter| starter.send(Ok(())));
        }
        self.core.has_left() || self.has_failed_to_start
    }

    /// Does everything that the core wants done.
    async fn drain(&mut self) {
        self.decide();
        self.tell_events();
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
        self.answer_requesters();
    }

    fn tell_events(&mut self) {
        while let Some(event) = self.core.poll_event() {
            tracing::debug!(node = %event.node, generation = %event.generation, kind = ?event.kind, "event");
            // Nobody listens, perhaps.
            let _ = self.events.send(event);
            self.books.told += 1;
        }
    }

    async fn send(&mut self, to: SocketAddr, message: &Message) {
        let bytes = self.seal.encode(message);
        if self.loss.as_mut().is_some_and(Loss::strikes) {
            self.books.sent.datagram(bytes.len());
            return self.drop_for("lost");
        }
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
                let heard = self.core.handle_message(now, Peer::Stream { stream, len }, *message);
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
            Command::Set(pairs, lifetime, reply) => {
                let written = self.core.set_for(now, pairs, lifetime);
                self.await_write(written, reply);
            }
            Command::Change(request, reply) => {
                let written = self.core.change(now, request);
                self.await_write(written, reply);
            }
            Command::Request(owner, request, wait, reply) => {
                match self.core.request(now, &owner, request, wait) {
                    Ok(id) => drop(self.requesters.insert(id, (owner, wait, reply))),
                    // Whoever asked may have gone.
                    Err(refused) => drop(reply.send(Err(refused.into()))),
                }
            }
            // Whoever asked may have gone.
            Command::Remove(name, reply) => {
                drop(reply.send(self.core.remove(now, &name).map_err(Error::from)));
            }
            Command::Ask(question) => {
                // So that nothing is shown that has expired, and nothing told afterwards that is shown.
                self.core.handle_timeout(now);
                self.tell_events();
                question(&View { core: &self.core, now, books: &self.books, events: &self.events });
            }
            Command::Leave => self.core.leave(now),
            Command::Stop => unreachable!("the loop ends at this command"),
        }
    }

    fn saved(&mut self, (mark, result): (PersistMark, io::Result<()>)) {
        let now = self.clock.now();
        match result {
            Ok(()) => {
                if self.books.unsaved.take().is_some() {
                    tracing::info!("the state can be saved again");
                }
                self.core.handle_persisted(now, mark);
            }
            Err(error) => {
                // It is tried again in every interval: once is enough to say.
                if self.books.unsaved.replace(error.to_string()).is_none() {
                    tracing::error!(%error, "the state could not be saved: writes are refused until it can be");
                }
                self.core.handle_persist_failed(now, mark);
                for (_, reply) in self.writers.drain(..) {
                    let _ = reply.send(Err(Error::Disk(error.to_string())));
                }
                // A generation that is not on disk must not be told.
                if let Some(starter) = self.starter.take() {
                    self.has_failed_to_start = true;
                    let _ = starter.send(Err(error));
                }
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
            Ok(peers) => (self.saved_peers, self.books.peers_unsaved) = (peers, None),
            Err(error) => {
                if self.books.peers_unsaved.replace(error.to_string()).is_none() {
                    tracing::error!(%error, "the addresses of the other nodes could not be saved");
                }
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

/// The addresses of the seeds or the neighbours, when they changed; waits for ever if there are none.
async fn changed(found: &mut Option<watch::Receiver<Vec<SocketAddr>>>) -> Vec<SocketAddr> {
    let Some(found) = found else { return std::future::pending().await };
    if found.changed().await.is_err() {
        return std::future::pending().await;
    }
    found.borrow_and_update().clone()
}
