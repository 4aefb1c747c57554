//! A running node, as its user holds it.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tidings_core::{
    Conflict, Event, Forgotten, Generation, Key, Lifetime, Member, NodeName, NodeState, Outcome, Removed,
    Request, Shown, Snapshot, Stamp, Value, Version, WriteError,
};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::{Instant, sleep};

use crate::builder::Builder;
use crate::driver::Command;
use crate::error::Error;
use crate::events::Events;
use crate::status::Status;
use crate::view::View;
use crate::watch::Watch;

/// A running node. Clones are handles of the same one; when the last one is dropped, the node stops without a word,
/// as if it had crashed. [`leave`](Self::leave) tells the others.
#[derive(Debug, Clone)]
pub struct Node {
    name: NodeName,
    cluster: String,
    address: SocketAddr,
    commands: mpsc::Sender<Command>,
    /// The driver's, which ends with it.
    events: broadcast::WeakSender<Event>,
    ended: Arc<OnceLock<Conflict>>,
}

/// How long a write waits for the node's turn.
const WRITE_PATIENCE: Duration = Duration::from_secs(3);

/// How long an answer of an owner is waited for: several rounds, where all goes by rounds.
const REQUEST_PATIENCE: Duration = Duration::from_secs(10);

/// A value that was looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The life of the owner in which it is known.
    pub generation: Generation,
    /// The version of the write.
    pub version: Version,
    /// The value.
    pub value: Value,
    /// For how long it is there from now on.
    pub lifetime: Lifetime,
}

impl Found {
    /// The write that the key shows, as a change has to name it that [expects](Request::expected) it.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        (self.generation, self.version)
    }
}

impl Node {
    /// A node to be, of this name: 1 to 64 characters out of `A-Z a-z 0-9 . _ -`, unique in its cluster.
    #[must_use]
    pub fn builder(name: impl Into<String>) -> Builder {
        Builder::new(name.into())
    }

    pub(crate) fn new(
        name: NodeName,
        cluster: String,
        address: SocketAddr,
        commands: mpsc::Sender<Command>,
        events: broadcast::WeakSender<Event>,
        ended: Arc<OnceLock<Conflict>>,
    ) -> Self {
        Self { name, cluster, address, commands, events, ended }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &NodeName {
        &self.name
    }

    /// Its cluster's name.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Where others reach it.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets a key of this node to a value. Returns once the write shows here, and with a data directory is safe on
    /// disk; it reaches the other nodes by itself. Where the cluster is told more than it takes in, this waits for the node's
    /// turn, for three seconds at most: see [`Builder::flow_control`].
    ///
    /// # Errors
    /// The write breaks a bound, would have to wait for longer ([`WriteError::Busy`]), or could not be saved: nothing was
    /// written then. Or the node has stopped meanwhile.
    pub async fn set(&self, key: impl AsRef<str>, value: impl AsRef<[u8]>) -> Result<Version, Error> {
        self.set_many([(key, value)]).await
    }

    /// Sets several keys of this node in one version: every reader, anywhere, sees all of them or none. As
    /// [`set`](Self::set).
    ///
    /// # Errors
    /// As for [`set`](Self::set).
    pub async fn set_many<K: AsRef<str>, V: AsRef<[u8]>>(
        &self,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Version, Error> {
        self.set_for(pairs, Lifetime::default()).await
    }

    /// Sets several keys of this node in one version, for a lifetime: until their time to live is over, or until this life of
    /// the node is. As [`set`](Self::set).
    ///
    /// ```
    /// use std::time::Duration;
    /// use tidings::{Lifetime, Node};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tidings::Error> {
    /// let node = Node::builder("api-1").listen(([127, 0, 0, 1], 0)).start().await?;
    /// node.set_for([("lease", "7")], Lifetime::ttl(Duration::from_secs(30))).await?;
    /// node.set_for([("session", "a"), ("role", "b")], Lifetime::ephemeral()).await?;
    /// let lease = node.get("api-1", "lease").await?.expect("it has been set just now");
    /// assert!(lease.lifetime.ttl <= Some(Duration::from_secs(30)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for [`set`](Self::set), or the time to live is shorter than a millisecond or longer than ten years.
    pub async fn set_for<K: AsRef<str>, V: AsRef<[u8]>>(
        &self,
        pairs: impl IntoIterator<Item = (K, V)>,
        lifetime: Lifetime,
    ) -> Result<Version, Error> {
        let pair = |(key, value): (K, V)| Ok((Key::new(key.as_ref())?, Value::from(value)));
        let pairs = pairs.into_iter().map(pair).collect::<Result<Vec<_>, WriteError>>()?;
        self.patiently(WRITE_PATIENCE, |reply| Command::Set(pairs.clone(), lifetime, reply))
            .await
            .map(|(_, version)| version)
    }

    /// Deletes a key of this node; as [`set`](Self::set).
    ///
    /// # Errors
    /// There is no such key; otherwise as for [`set`](Self::set).
    pub async fn delete(&self, key: impl AsRef<str>) -> Result<Version, Error> {
        let key = Key::new(key.as_ref()).map_err(WriteError::Key)?;
        self.change(Request::new(key, None)).await.map(|(_, version)| version)
    }

    /// Changes a key of this node as `request` says, if it shows the write that is expected; as [`set`](Self::set). Returns the
    /// write that the key shows then, to be expected by the next change.
    ///
    /// # Errors
    /// It shows another write ([`WriteError::Conflict`]), or there is no key to delete; otherwise as for [`set`](Self::set).
    pub async fn change(&self, request: Request) -> Result<Stamp, Error> {
        self.patiently(WRITE_PATIENCE, |reply| Command::Change(request.clone(), reply)).await
    }

    /// Asks `owner` to set a key of its own to `value`, or to delete it if there is none; where a write is `expected`, only if
    /// the key shows that one. Only the owner changes its keys: it does so if its
    /// [policy](crate::Builder::allow_requests) allows it. The request and its answer travel by gossip, so that it also reaches
    /// an owner that this node cannot reach. It is granted once at the most, and withdrawn after ten seconds: see
    /// [`request_within`](Self::request_within).
    ///
    /// ```
    /// use tidings::{Node, Outcome};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tidings::Error> {
    /// # let any = ([127, 0, 0, 1], 0);
    /// let owner = Node::builder("api-1").listen(any).allow_requests(["config/*"]).start().await?;
    /// let other = Node::builder("api-2").listen(any).seeds([owner.address().to_string()]).start().await?;
    /// # while other.members().await?.len() < 2 { tokio::task::yield_now().await; }
    /// match other.request("api-1", "config/color", Some("green".into()), None).await? {
    ///     Outcome::Applied((generation, version)) => println!("it is version {generation}:{version}"),
    ///     Outcome::Conflict(current) => println!("it shows {current:?}"),
    ///     refused => println!("not granted: {refused:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The owner is not known, too much is asked for, or no answer came in time, or before this node left: then it may still
    /// be granted ([`Error::NoAnswer`], [`Error::Stopped`]).
    pub async fn request(
        &self,
        owner: &str,
        key: impl AsRef<str>,
        value: Option<Value>,
        expected: Option<Stamp>,
    ) -> Result<Outcome, Error> {
        let key = Key::new(key.as_ref()).map_err(WriteError::Key)?;
        let request = Request { expected, ..Request::new(key, value) };
        self.request_within(REQUEST_PATIENCE, owner, request).await
    }

    /// As [`request`](Self::request), but for a lifetime, and withdrawn after `wait`.
    ///
    /// # Errors
    /// As for [`request`](Self::request).
    pub async fn request_within(
        &self,
        wait: Duration,
        owner: &str,
        request: Request,
    ) -> Result<Outcome, Error> {
        let owner = NodeName::new(owner)?;
        if owner == self.name {
            return match self.change(request).await {
                Ok(stamp) => Ok(Outcome::Applied(stamp)),
                Err(Error::Write(WriteError::Conflict { current, .. })) => Ok(Outcome::Conflict(current)),
                Err(error) => Err(error),
            };
        }
        let command = |reply| Command::Request(owner.clone(), request.clone(), wait, reply);
        self.patiently(WRITE_PATIENCE.min(wait), command).await
    }

    /// What `owner` shows under `key`, as far as this node knows.
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn get(&self, owner: &str, key: &str) -> Result<Option<Found>, Error> {
        let Ok(owner) = NodeName::new(owner) else { return Ok(None) };
        let key = key.to_owned();
        self.ask(move |view| {
            let (generation, Shown { value, version, lifetime }) = view.core.value(&owner, &key)?;
            Some(Found { generation, version, value, lifetime })
        })
        .await
    }

    /// All nodes known, this one included, sorted by name.
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn members(&self) -> Result<Vec<Member>, Error> {
        self.ask(|view| view.core.members(view.now.moment)).await
    }

    /// The nodes that were forgotten, because they were gone for long or [removed](Self::remove), as far as that is remembered,
    /// sorted by name.
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn forgotten(&self) -> Result<Vec<Forgotten>, Error> {
        self.ask(|view| view.core.forgotten(view.now.moment)).await
    }

    /// Forgets a node that does not run any more, here at once and soon everywhere: what it wrote is shared no longer. Should it
    /// run all the same, it says so, and all know it again.
    ///
    /// # Errors
    /// The node is live, is this one, or is not known ([`Error::Remove`]); or this one has stopped.
    pub async fn remove(&self, name: &str) -> Result<Removed, Error> {
        let name = NodeName::new(name)?;
        self.command(|reply| Command::Remove(name, reply)).await?
    }

    /// One node and what it owns; `None` if it is not known.
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn state(&self, name: &str) -> Result<Option<NodeState>, Error> {
        let Ok(name) = NodeName::new(name) else { return Ok(None) };
        self.ask(move |view| view.core.state(&name, view.now.moment)).await
    }

    /// All nodes and what they own.
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn snapshot(&self) -> Result<Snapshot, Error> {
        self.ask(|view| view.core.snapshot(view.now.moment)).await
    }

    /// This node's present life.
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn generation(&self) -> Result<Generation, Error> {
        self.ask(|view| view.core.generation()).await
    }

    /// How the node is doing.
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn status(&self) -> Result<Status, Error> {
        self.ask(|view| view.status()).await
    }

    /// What happens from now on. A reader that is 4,096 events behind loses the oldest, and is told so.
    #[must_use]
    pub fn events(&self) -> Events {
        // Of a node that has stopped, nothing more is to be heard.
        let over = || broadcast::channel(1).1;
        Events(self.events.upgrade().map_or_else(over, |events| events.subscribe()))
    }

    /// What is there now under keys that start with `prefix`, and then what changes, with nothing lost or told twice in
    /// between: for each node known that it joined and how it stands, and its keys; then the changes of nodes, and of
    /// these keys. A reader that is 4,096 changes behind is told of a gap, and then the state again.
    ///
    /// ```
    /// use tidings::{EventKind, Node, Notice};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tidings::Error> {
    /// let node = Node::builder("api-1").listen(([127, 0, 0, 1], 0)).start().await?;
    /// node.set("service/api", "10.0.0.7:8080").await?;
    /// let mut services = node.watch("service/").await?;
    /// while let Some(Notice::Event(event)) = services.next().await {
    ///     if let EventKind::Set { key, value, .. } = event.kind {
    ///         assert_eq!((key.as_str(), value.as_str()), ("service/api", Some("10.0.0.7:8080")));
    ///         break;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn watch(&self, prefix: impl Into<String>) -> Result<Watch, Error> {
        Watch::new(self.commands.downgrade(), prefix.into()).await
    }

    /// Leaves the cluster: returns once the departure is announced, and the node has stopped. What it asked others for is
    /// withdrawn.
    ///
    /// # Errors
    /// The node had stopped before.
    pub async fn leave(&self) -> Result<(), Error> {
        self.tell(Command::Leave).await?;
        self.stopped().await;
        Ok(())
    }

    /// Stops the node without a word, as a crash would. Returns once its socket is closed.
    pub async fn stop(&self) {
        // If it can't be told, it has stopped already.
        let _ = self.tell(Command::Stop).await;
        self.stopped().await;
    }

    /// Why the node stopped by itself, if it did: another process has its name, and stays.
    #[must_use]
    pub fn conflict(&self) -> Option<Error> {
        let Conflict { here, there, .. } = *self.ended.get()?;
        Some(Error::NameTaken { name: self.name.clone(), here, there })
    }

    /// Returns once the node has stopped, for whatever reason: see [`conflict`](Self::conflict).
    pub async fn stopped(&self) {
        self.commands.closed().await;
    }

    /// Writes, as often as it takes until the node's turn has come, for `patience` at most.
    async fn patiently<T>(
        &self,
        patience: Duration,
        command: impl Fn(oneshot::Sender<Result<T, Error>>) -> Command,
    ) -> Result<T, Error> {
        let until = Instant::now() + patience;
        loop {
            match self.command(&command).await? {
                Err(Error::Write(WriteError::Busy { wait })) if Instant::now() + wait <= until => {
                    sleep(wait).await;
                }
                written => return written,
            }
        }
    }

    async fn tell(&self, command: Command) -> Result<(), Error> {
        self.commands.send(command).await.map_err(|_| Error::Stopped)
    }

    async fn command<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.tell(command(reply)).await?;
        answer.await.map_err(|_| Error::Stopped)
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&View<'_>) -> T + Send + 'static,
    ) -> Result<T, Error> {
        self.command(|reply| {
            Command::Ask(Box::new(move |view| {
                // Whoever asked may have gone.
                let _ = reply.send(question(view));
            }))
        })
        .await
    }
}
