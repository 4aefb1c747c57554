//! The HTTP interface: which route does what.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{Query, State};
use axum::http::{Method, Uri, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use serde::{Deserialize, Serialize};
use tidings::Node;
use tokio::net::TcpListener;

use crate::body::{
    AnyMember, EntryBody, LeftBody, MemberBody, RemovedBody, State as MemberState, StateBody, StatusBody,
};
use crate::http::events::News;
use crate::http::guard::Arrival;
use crate::http::problem::{Kind, Problem};
use crate::http::target::{MemberTarget, Target};
use crate::stamp::Tag;

pub(crate) mod events;
mod guard;
mod problem;
mod target;
mod write;

/// What the handlers share: the node they speak for.
pub(crate) struct Desk {
    node: Node,
    news: Arc<News>,
    api: SocketAddr,
    leaving: AtomicBool,
}

impl Desk {
    /// A desk for `node`, which serves what `news` tells of it at `api`.
    pub(crate) fn new(node: Node, news: Arc<News>, api: SocketAddr) -> Self {
        Self { node, news, api, leaving: AtomicBool::new(false) }
    }

    /// Where it is served.
    pub(crate) fn api(&self) -> SocketAddr {
        self.api
    }

    /// Whether the node was asked to leave.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::SeqCst)
    }

    /// Leaves the cluster; returns once that is announced, also if somebody else asked for it first.
    pub(crate) async fn leave(&self) -> Result<(), tidings::Error> {
        let again = self.leaving.swap(true, Ordering::SeqCst);
        match self.node.leave().await {
            Err(tidings::Error::Stopped) if again => Ok(()),
            left => left,
        }
    }
}

/// Serves the interface until `stop`, then finishes the answers that are under way.
pub(crate) async fn serve(
    listener: TcpListener,
    desk: Arc<Desk>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let service = router(desk).into_make_service_with_connect_info::<Arrival>();
    axum::serve(listener, service).with_graceful_shutdown(stop).await
}

fn router(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/members", get(members))
        .route("/v1/members/{name}", get(member).delete(remove))
        .route("/v1/kv", get(states))
        .route("/v1/kv/{*target}", get(entry).put(write::set).delete(write::delete))
        .route("/v1/events", get(events::follow))
        .route("/v1/leave", post(leave))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .fallback(no_such_route)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::from_fn(guard::check))
        .with_state(desk)
}

async fn status(State(desk): State<Arc<Desk>>) -> Result<Json<StatusBody>, Problem> {
    Ok(Json(StatusBody::new(desk.node.status().await?, desk.api)))
}

/// Whom to list.
#[derive(Deserialize)]
struct Whom {
    /// Those that were forgotten, too.
    #[serde(default)]
    all: bool,
}

async fn members(State(desk): State<Arc<Desk>>, uri: Uri) -> Result<Json<Vec<AnyMember>>, Problem> {
    let Query(whom) = Query::<Whom>::try_from_uri(&uri).map_err(|error| {
        Problem::new(Kind::BadRequest, error.body_text(), "ask with ?all=true, ?all=false or neither")
    })?;
    let known = desk.node.members().await?;
    let forgotten = if whom.all { desk.node.forgotten().await? } else { Vec::new() };
    let known = known.iter().map(|member| AnyMember::Known(member.into()));
    let forgotten = forgotten.iter().map(|forgotten| AnyMember::Forgotten(forgotten.into()));
    Ok(Json(known.chain(forgotten).collect()))
}

async fn remove(
    State(desk): State<Arc<Desk>>,
    MemberTarget(name): MemberTarget,
) -> Result<Json<RemovedBody>, Problem> {
    let name = if name == target::SELF { desk.node.name().to_string() } else { name };
    let removed = desk.node.remove(&name).await?;
    Ok(Json(RemovedBody::new(name, &removed)))
}

async fn member(
    State(desk): State<Arc<Desk>>,
    MemberTarget(name): MemberTarget,
) -> Result<Json<MemberBody>, Problem> {
    let members = desk.node.members().await?;
    let member = members
        .iter()
        .find(|member| member.name.as_str() == name || (name == target::SELF && member.is_self));
    member.map(|member| Json(member.into())).ok_or_else(|| no_such_node(&name))
}

/// Which keys to list.
#[derive(Deserialize)]
struct Which {
    owner: Option<String>,
    #[serde(default)]
    prefix: String,
}

async fn states(State(desk): State<Arc<Desk>>, uri: Uri) -> Result<Json<Vec<StateBody>>, Problem> {
    let Query(which) = Query::<Which>::try_from_uri(&uri).map_err(|error| {
        Problem::new(
            Kind::BadRequest,
            error.body_text(),
            "ask with ?owner=NODE, ?prefix=TEXT, both or neither",
        )
    })?;
    let nodes = match which.owner {
        None => desk.node.snapshot().await?.nodes,
        Some(owner) => {
            let owner = if owner == target::SELF { desk.node.name().to_string() } else { owner };
            vec![desk.node.state(&owner).await?.ok_or_else(|| no_such_node(&owner))?]
        }
    };
    Ok(Json(nodes.iter().map(|state| StateBody::new(state, &which.prefix)).collect()))
}

async fn entry(State(desk): State<Arc<Desk>>, target: Target) -> Result<impl IntoResponse, Problem> {
    let owner = if target.is_owned_by(desk.node.name()) { desk.node.name().as_str() } else { &target.owner };
    if let Some(found) = desk.node.get(owner, &target.key).await? {
        let tag = Tag((found.generation, found.version)).quoted();
        return Ok(([(header::ETAG, tag)], Json(EntryBody::new(owner, &target.key, &found))));
    }
    desk.node.state(owner).await?.ok_or_else(|| no_such_node(owner))?;
    Err(Problem::new(
        Kind::NoSuchKey,
        format!("{owner} has no key {:?}, as far as {} knows", target.key, desk.node.name()),
        format!("see what there is with `tidings state {owner}`, or wait for it with `tidings wait --key`"),
    ))
}

async fn leave(State(desk): State<Arc<Desk>>) -> Result<Json<LeftBody>, Problem> {
    desk.leave().await?;
    Ok(Json(LeftBody { name: desk.node.name().to_string(), state: MemberState::Departed }))
}

/// The answer to a probe.
#[derive(Serialize)]
struct Well {
    ok: bool,
}

/// Lives whoever answers; what peers do has no say in it.
async fn livez() -> Json<Well> {
    Json(Well { ok: true })
}

async fn readyz(State(desk): State<Arc<Desk>>) -> Result<Json<Well>, Problem> {
    if desk.is_leaving() {
        return Err(Problem::leaving());
    }
    desk.node.status().await?;
    Ok(Json(Well { ok: true }))
}

async fn no_such_route(uri: Uri) -> Problem {
    let fix = "ask for /v1/status, /v1/members, /v1/kv, /v1/events, /livez or /readyz";
    Problem::new(Kind::NoSuchRoute, format!("there is no {}", uri.path()), fix)
}

async fn no_such_method(method: Method, uri: Uri) -> Problem {
    let fix = "use one of the methods in the header Allow";
    Problem::new(Kind::NoSuchMethod, format!("{} can't be asked for with {method}", uri.path()), fix)
}

fn no_such_node(name: &str) -> Problem {
    let fix = "see which there are with `tidings members`";
    Problem::new(Kind::NoSuchNode, format!("no node {name:?} is known"), fix)
}
