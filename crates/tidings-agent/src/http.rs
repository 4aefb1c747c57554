//! The HTTP interface: which route does what.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::{Body, to_bytes};
use axum::extract::{Query, State};
use axum::http::{Method, Uri};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use serde::{Deserialize, Serialize};
use tidings::{Lifetime, Node, Version};
use tokio::net::TcpListener;

use crate::body::{
    EntryBody, LeftBody, MemberBody, State as MemberState, StateBody, StatusBody, WrittenBody,
};
use crate::http::events::News;
use crate::http::guard::Arrival;
use crate::http::problem::{Kind, Problem};
use crate::http::target::{MemberTarget, Target};

pub(crate) mod events;
mod guard;
mod problem;
mod target;

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

    async fn written(&self, key: String, version: Version) -> Result<Json<WrittenBody>, Problem> {
        let (owner, generation) = (self.node.name().to_string(), self.node.generation().await?);
        Ok(Json(WrittenBody { owner, key, version: version.0, generation: generation.0 }))
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
        .route("/v1/members/{name}", get(member))
        .route("/v1/kv", get(states))
        .route("/v1/kv/{*target}", get(entry).put(set).delete(delete))
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

async fn members(State(desk): State<Arc<Desk>>) -> Result<Json<Vec<MemberBody>>, Problem> {
    Ok(Json(desk.node.members().await?.iter().map(MemberBody::from).collect()))
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

async fn entry(State(desk): State<Arc<Desk>>, target: Target) -> Result<Json<EntryBody>, Problem> {
    let owner = if target.is_owned_by(desk.node.name()) { desk.node.name().as_str() } else { &target.owner };
    if let Some(found) = desk.node.get(owner, &target.key).await? {
        return Ok(Json(EntryBody::new(owner, &target.key, &found)));
    }
    desk.node.state(owner).await?.ok_or_else(|| no_such_node(owner))?;
    Err(Problem::new(
        Kind::NoSuchKey,
        format!("{owner} has no key {:?}, as far as {} knows", target.key, desk.node.name()),
        format!("see what there is with `tidings state {owner}`, or wait for it with `tidings wait --key`"),
    ))
}

/// For how long a value is there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lasts {
    ttl: Option<String>,
    #[serde(default)]
    ephemeral: bool,
}

impl Lasts {
    /// What the query of `uri` says.
    fn read(uri: &Uri) -> Result<Lifetime, Problem> {
        let refuse = |fact| {
            let fix =
                "say it as ?ttl=30s (500ms, 1h), as ?ephemeral=true, with & between both, or not at all";
            Problem::new(Kind::BadRequest, fact, fix)
        };
        let Query(lasts) = Query::<Self>::try_from_uri(uri).map_err(|error| refuse(error.body_text()))?;
        let read = |text: String| {
            humantime::parse_duration(&text)
                .map_err(|error| refuse(format!("the ttl {text:?} is none: {error}")))
        };
        Ok(Lifetime { ttl: lasts.ttl.map(read).transpose()?, is_ephemeral: lasts.ephemeral })
    }
}

async fn set(
    State(desk): State<Arc<Desk>>,
    target: Target,
    uri: Uri,
    body: Body,
) -> Result<Json<WrittenBody>, Problem> {
    target.must_be_owned_by(desk.node.name())?;
    let lifetime = Lasts::read(&uri)?;
    let value = to_bytes(body, BODY_LIMIT).await.map_err(|_| {
        Problem::new(
            Kind::TooLarge,
            format!("the body did not arrive whole, or has more than {BODY_LIMIT} bytes"),
            format!("send a value of {} bytes at most", tidings::Value::MAX_LEN),
        )
    })?;
    let version = desk.node.set_for([(&target.key, &value)], lifetime).await?;
    desk.written(target.key, version).await
}

async fn delete(State(desk): State<Arc<Desk>>, target: Target) -> Result<Json<WrittenBody>, Problem> {
    target.must_be_owned_by(desk.node.name())?;
    let version = desk.node.delete(&target.key).await?;
    desk.written(target.key, version).await
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

/// How much of a body is read. Above the limit for values, so that a value a little too large is refused with an answer
/// and not with a broken connection.
const BODY_LIMIT: usize = 4 * tidings::Value::MAX_LEN;
