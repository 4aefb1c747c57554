//! `tidings agent`: the daemon. A node, and the HTTP interface beside it.

use std::io::{self, IsTerminal as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tidings::{Builder, Node};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;

use crate::body::ReadyBody;
use crate::config::{AgentConfig, Flags, LOG, Settings};
use crate::failure::{Exit, Failure};
use crate::http::events::News;
use crate::http::{self, Desk};
use crate::output;

/// Runs a node until it leaves.
pub(crate) fn run(flags: &Flags) -> Result<(), Failure> {
    log_to_stderr()?;
    let config = Settings::resolve(flags)?.config;
    let builder = builder(&config)?;
    runtime()?.block_on(serve(builder, config.api))
}

/// A runtime for nodes.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    Runtime::new().map_err(|error| system("no threads can be had", &error))
}

/// What the library says of a start that failed, or of a node that ended.
pub(crate) fn not_started(error: &tidings::Error) -> Failure {
    use tidings::Error::{Advertise, Config, Name, Seed, SeedsAndNeighbours};
    // What the flags say is usage; what the system says is not.
    let usage = matches!(error, Name(_) | Config(_) | Seed { .. } | SeedsAndNeighbours | Advertise { .. });
    let exit = if usage { Exit::Usage } else { Exit::Refused };
    let fix = error.fix().unwrap_or_else(|| "see `tidings agent --help`".to_owned());
    Failure::new(exit, error.to_string(), fix)
}

async fn serve(builder: Builder, api: SocketAddr) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    // The API first: once the node gossips, others count on it, and nothing may fail any more.
    let listener = bind_api(api).await?;
    let api = listener.local_addr().map_err(|error| system("the API's address is unknown", &error))?;
    let node = builder.start().await.map_err(|error| not_started(&error))?;
    let news = News::gather(&node).await.map_err(|error| not_started(&error))?;
    let desk = Arc::new(Desk::new(node.clone(), news, api));

    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(http::serve(listener, Arc::clone(&desk), async {
        // A dropped sender stops the server as well as a word does.
        let _ = stopped.await;
    }));
    say_ready(&node, &desk);

    let ending = tokio::select! {
        () = signals.next() => {
            tracing::info!("asked to end: leaving");
            tokio::select! {
                left = desk.leave() => left.map_err(|error| not_started(&error)),
                () = signals.next() => Err(Failure::new(
                    Exit::Refused,
                    "interrupted before the departure was announced",
                    "nothing: the others will find this node unreachable",
                )),
            }
        }
        () = node.stopped() => Ok(()),
    };
    let left = desk.is_leaving();
    drop(stop);
    // Whoever asked for the departure gets the answer; whoever dawdles does not keep us.
    let _ = tokio::time::timeout(LAST_ANSWERS, server).await;
    ending?;
    if let Some(conflict) = node.conflict() {
        return Err(not_started(&conflict));
    }
    if left {
        tracing::info!("left");
        return Ok(());
    }
    Err(Failure::new(Exit::Refused, "the node has stopped by itself", "see the log above for the cause"))
}

async fn bind_api(api: SocketAddr) -> Result<TcpListener, Failure> {
    if !api.ip().is_loopback() {
        tracing::warn!(%api, "whoever reaches this address can read and write: the API asks for no password");
    }
    TcpListener::bind(api).await.map_err(|error| {
        Failure::new(
            Exit::Refused,
            format!("the API can't be served on {api}: {error}"),
            "choose another address with --api (port 0 takes a free one), or end what holds this one",
        )
    })
}

fn builder(config: &AgentConfig) -> Result<Builder, Failure> {
    let mut builder = Node::builder(config.check()?)
        .cluster(&config.cluster)
        .listen(config.listen)
        .seeds(&config.seeds)
        .neighbours(&config.neighbours)
        .mode(config.mode)
        .interval(config.interval)
        .fanout(config.fanout)
        .mongering(config.rumors)
        .hold(config.hold)
        .rumor_budget(config.rumor_datagrams, config.rumor_bytes)
        .flow_control(config.flow_control)
        .grace(config.grace)
        .forget_after(config.forget_after)
        .patience(config.patience)
        .datagram(config.datagram)
        .limits(config.max_keys, config.max_bytes)
        .allow_requests(&config.allow_requests);
    if let Some(advertise) = config.advertise {
        builder = builder.advertise(advertise);
    }
    if let Some(dir) = &config.data_dir {
        builder = builder.data_dir(dir);
    }
    Ok(builder)
}

fn say_ready(node: &Node, desk: &Desk) {
    let ready =
        ReadyBody { ready: true, name: node.name().to_string(), gossip: node.address(), api: desk.api() };
    tracing::info!(name = %ready.name, gossip = %ready.gossip, api = %ready.api, "ready");
    let line = serde_json::to_string(&ready).expect("text and numbers are JSON");
    // An agent goes on serving when nobody reads its stdout.
    let _ = output::line(&line);
}

fn log_to_stderr() -> Result<(), Failure> {
    let filter = std::env::var(LOG).unwrap_or_else(|_| "info".to_owned());
    let filter = EnvFilter::try_new(&filter).map_err(|error| {
        let fact = format!("{LOG}={filter} is no filter: {error}");
        Failure::new(Exit::Usage, fact, "give a level (error, warn, info, debug, trace), or module=level")
    })?;
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(io::stderr).init();
    Ok(())
}

fn system(fact: &str, error: &io::Error) -> Failure {
    Failure::new(Exit::Refused, format!("{fact}: {error}"), "look at this host's limits")
}

/// The two signals that ask a daemon to end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let take = |kind| signal(kind).map_err(|error| system("signals can't be taken", &error));
        Ok(Self { terminate: take(SignalKind::terminate())?, interrupt: take(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// How long the last answers may take, once the node has stopped.
const LAST_ANSWERS: Duration = Duration::from_secs(2);
