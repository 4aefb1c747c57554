//! Writes over HTTP: to the agent's own node, or by asking the owner.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, Query, State};
use axum::http::header::{self, HeaderName};
use axum::http::request::Parts;
use serde::Deserialize;
use tidings::{Generation, Key, Lifetime, NOTHING, Outcome, Request, Stamp, Value, Version, WriteError};

use crate::body::WrittenBody;
use crate::cli::LONGEST_WAIT;
use crate::http::problem::{Kind, Problem};
use crate::http::target::Target;
use crate::http::{Desk, no_such_node};
use crate::stamp::Tag;

/// On which terms to write.
pub(super) struct Terms {
    /// The write that the key has to show until then.
    expected: Option<Stamp>,
    /// How long an owner has to answer.
    wait: Duration,
    /// For how long the value is to be there.
    lifetime: Lifetime,
}

/// `?wait=10s&ttl=30s&ephemeral=true`, or some of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default, with = "humantime_text")]
    wait: Option<Duration>,
    #[serde(default, with = "humantime_text")]
    ttl: Option<Duration>,
    #[serde(default)]
    ephemeral: bool,
}

/// How long an answer of an owner is waited for, if nothing else is said.
const WAIT: Duration = Duration::from_secs(10);

/// `PUT /v1/kv/{owner}/{key}`.
pub(super) async fn set(
    State(desk): State<Arc<Desk>>,
    target: Target,
    terms: Terms,
    body: Body,
) -> Result<Written, Problem> {
    let value = to_bytes(body, BODY_LIMIT).await.map_err(|_| {
        Problem::new(
            Kind::TooLarge,
            format!("the body did not arrive whole, or has more than {BODY_LIMIT} bytes"),
            format!("send a value of {} bytes at most", Value::MAX_LEN),
        )
    })?;
    desk.change(target, Some(Value::from(value)), terms).await
}

/// `DELETE /v1/kv/{owner}/{key}`.
pub(super) async fn delete(
    State(desk): State<Arc<Desk>>,
    target: Target,
    terms: Terms,
) -> Result<Written, Problem> {
    if terms.lifetime != Lifetime::default() {
        let fix = "leave ttl and ephemeral out: they are for values";
        return Err(Problem::new(Kind::BadRequest, "what is deleted has no time to live".to_owned(), fix));
    }
    desk.change(target, None, terms).await
}

/// What was written, with the entity tag that it has now.
type Written = ([(HeaderName, String); 1], Json<WrittenBody>);

impl Desk {
    async fn change(
        &self,
        target: Target,
        value: Option<Value>,
        Terms { expected, wait, lifetime }: Terms,
    ) -> Result<Written, Problem> {
        let me = self.node.name();
        let owner = if target.is_owned_by(me) { me.to_string() } else { target.owner };
        let key = target.key;
        let asked = match Key::new(&key) {
            Ok(key) => {
                let request = Request { lifetime, expected, ..Request::new(key, value) };
                self.node.request_within(wait, &owner, request).await
            }
            Err(error) => Err(WriteError::Key(error).into()),
        };
        match asked {
            Ok(Outcome::Applied(stamp)) => {
                let (Generation(generation), Version(version)) = stamp;
                Ok((
                    [(header::ETAG, Tag(stamp).quoted())],
                    Json(WrittenBody { owner, key, version, generation }),
                ))
            }
            Ok(Outcome::NotAllowed) => Err(Problem::new(
                Kind::Refused,
                format!("{owner} lets nobody ask for changes of {key:?}"),
                format!("allow it where {owner} runs, with --allow-requests, or write there"),
            )),
            Ok(Outcome::Absent) => Err(Problem::new(
                Kind::NoSuchKey,
                format!("{owner} has no key {key:?}"),
                format!("see what there is with `tidings state {owner}`"),
            )),
            Ok(Outcome::Refused(why)) => Err(Problem::new(
                Kind::Refused,
                format!("{owner} does not do that: {why}"),
                format!("ask for what {owner} can do, or look at it there"),
            )),
            Ok(Outcome::Conflict(current)) => {
                let shown = current
                    .map_or_else(|| "is not there".to_owned(), |stamp| format!("is at {}", Tag(stamp)));
                Err(Problem::new(
                    Kind::Conflict,
                    format!("{key:?} of {owner} {shown}, and not at the version that was expected"),
                    "look at what it shows now, and decide again",
                ))
            }
            Err(tidings::Error::Name(_)) => Err(no_such_node(&owner)),
            Err(error) => Err(error.into()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Terms {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let bad = |detail: String, fix: &str| Problem::new(Kind::BadRequest, detail, fix);
        let Query(Asked { wait, ttl, ephemeral }) = Query::try_from_uri(&parts.uri).map_err(|error| {
            let fix = "say it as ?wait=10s, ?ttl=30s (500ms, 1h) or ?ephemeral=true, with & between several";
            bad(error.body_text(), fix)
        })?;
        if wait.is_some_and(|wait| wait > LONGEST_WAIT) {
            return Err(bad(
                "an answer is waited for no longer than an hour".to_owned(),
                "ask with ?wait=1h or less",
            ));
        }
        let expected = expected(parts)?;
        let lifetime = Lifetime { ttl, is_ephemeral: ephemeral };
        Ok(Self { expected, wait: wait.unwrap_or(WAIT), lifetime })
    }
}

/// What `If-Match` and `If-None-Match` say that the key has to show.
fn expected(parts: &Parts) -> Result<Option<Stamp>, Problem> {
    let bad = |detail: &str| {
        let fix =
            "send one header: If-Match: \"GENERATION:VERSION\", as the ETag of a GET, or If-None-Match: *";
        Problem::new(Kind::BadRequest, detail, fix)
    };
    let only = |name| {
        let mut headers = parts.headers.get_all(name).iter();
        let first = headers.next();
        if headers.next().is_some() { Err(bad("a condition is given twice")) } else { Ok(first) }
    };
    match (only(header::IF_MATCH)?, only(header::IF_NONE_MATCH)?) {
        (None, None) => Ok(None),
        (Some(tag), None) => {
            let tag = tag.to_str().ok().and_then(Tag::unquoted);
            tag.map(|Tag(stamp)| Some(stamp)).ok_or_else(|| bad("If-Match is no version of a key"))
        }
        (None, Some(any)) if any == "*" => Ok(Some(NOTHING)),
        (None, Some(_)) => Err(bad("If-None-Match is not *")),
        (Some(_), Some(_)) => Err(bad("two conditions are given")),
    }
}

/// A duration as `10s`.
mod humantime_text {
    use std::time::Duration;

    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(text: D) -> Result<Option<Duration>, D::Error> {
        let text = String::deserialize(text)?;
        humantime::parse_duration(&text).map(Some).map_err(D::Error::custom)
    }
}

/// How much of a body is read. Above the limit for values, so that a value a little too large is refused with an answer
/// and not with a broken connection.
const BODY_LIMIT: usize = 4 * Value::MAX_LEN;
