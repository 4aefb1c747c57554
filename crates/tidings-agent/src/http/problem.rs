//! Why a request was not done, as application/problem+json (RFC 9457).

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tidings::{Error, RemoveError, RequestError, WriteError};

use crate::body::ProblemBody;

/// Why a request was not done: the kind, the fact, and what to do.
#[derive(Debug)]
pub(crate) struct Problem {
    kind: Kind,
    detail: String,
    fix: String,
    /// When to try again, where that is known.
    retry_after: Option<Duration>,
}

/// The kinds of problems. Programs tell them apart by `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    BadRequest,
    ForeignHost,
    ForeignSite,
    NoSuchRoute,
    NoSuchMethod,
    NoSuchNode,
    NoSuchKey,
    BadKey,
    Refused,
    Conflict,
    NoAnswer,
    StillLive,
    TooLarge,
    NoRoom,
    TooFast,
    Leaving,
    Stopped,
}

impl Kind {
    /// Its status, its name for programs, and its title for people.
    fn face(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::BadRequest => (StatusCode::BAD_REQUEST, "bad-request", "Not understood"),
            Self::ForeignHost => (StatusCode::MISDIRECTED_REQUEST, "foreign-host", "Not this host"),
            Self::ForeignSite => (StatusCode::FORBIDDEN, "foreign-site", "Asked from another site"),
            Self::NoSuchRoute => (StatusCode::NOT_FOUND, "no-such-route", "No such route"),
            Self::NoSuchMethod => (StatusCode::METHOD_NOT_ALLOWED, "no-such-method", "No such method here"),
            Self::NoSuchNode => (StatusCode::NOT_FOUND, "no-such-node", "No such node"),
            Self::NoSuchKey => (StatusCode::NOT_FOUND, "no-such-key", "No such key"),
            Self::BadKey => (StatusCode::BAD_REQUEST, "bad-key", "Not a key that can be written"),
            Self::Refused => (StatusCode::FORBIDDEN, "refused", "Refused by the owner"),
            Self::Conflict => (StatusCode::PRECONDITION_FAILED, "conflict", "Another version"),
            Self::NoAnswer => (StatusCode::GATEWAY_TIMEOUT, "no-answer", "No answer of the owner"),
            Self::StillLive => (StatusCode::CONFLICT, "still-live", "Not gone"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Too large"),
            Self::NoRoom => (StatusCode::INSUFFICIENT_STORAGE, "no-room", "No room"),
            Self::TooFast => (StatusCode::TOO_MANY_REQUESTS, "too-fast", "Too many writes"),
            Self::Leaving => (StatusCode::SERVICE_UNAVAILABLE, "leaving", "Leaving"),
            Self::Stopped => (StatusCode::SERVICE_UNAVAILABLE, "stopped", "Stopped"),
        }
    }
}

impl Problem {
    /// A problem of a `kind`: the fact, and what to do.
    pub(crate) fn new(kind: Kind, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), fix: fix.into(), retry_after: None }
    }

    /// The node leaves.
    pub(crate) fn leaving() -> Self {
        Self::new(Kind::Leaving, "the node is leaving the cluster", "ask another agent")
    }

    /// Its kind.
    #[cfg(test)]
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    fn into_body(self) -> (StatusCode, ProblemBody) {
        let (status, name, title) = self.kind.face();
        let body = ProblemBody {
            kind: format!("urn:tidings:problem:{name}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: self.detail,
            fix: self.fix,
        };
        (status, body)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let retry_after = self.retry_after;
        let (status, body) = self.into_body();
        let mut response = (status, Json(body)).into_response();
        let json = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        if let Some(wait) = retry_after {
            // In whole seconds, and not too early.
            response.headers_mut().insert(header::RETRY_AFTER, wait.as_secs().saturating_add(1).into());
        }
        response
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let kind = if let Error::Write(refused) | Error::Request(RequestError::Write(refused)) = &error {
            kind_of(refused)
        } else if let Error::Request(RequestError::UnknownOwner { .. }) = &error {
            Kind::NoSuchNode
        } else if let Error::Request(RequestError::TooMany) = &error {
            Kind::TooFast
        } else if let Error::Remove(refused) = &error {
            kind_of_removal(refused)
        } else if let Error::Name(_) = &error {
            Kind::NoSuchNode
        } else if let Error::NoAnswer { .. } = &error {
            Kind::NoAnswer
        } else if let Error::Disk(_) = &error {
            Kind::NoRoom
        } else {
            // What else there is stops a start, and no node that started says it.
            Kind::Stopped
        };
        let fix = error.fix().unwrap_or_else(|| KEYS.to_owned());
        let retry_after = if let Error::Write(WriteError::Busy { wait }) = error { Some(wait) } else { None };
        Self { retry_after, ..Self::new(kind, error.to_string(), fix) }
    }
}

fn kind_of_removal(refused: &RemoveError) -> Kind {
    match refused {
        RemoveError::Unknown { .. } => Kind::NoSuchNode,
        RemoveError::Myself { .. } | RemoveError::Live { .. } => Kind::StillLive,
    }
}

fn kind_of(refused: &WriteError) -> Kind {
    match refused {
        WriteError::Key(..) | WriteError::Reserved { .. } => Kind::BadKey,
        WriteError::Empty | WriteError::Repeated { .. } | WriteError::Lifetime { .. } => Kind::BadRequest,
        WriteError::ValueTooLong { .. } => Kind::TooLarge,
        WriteError::TooManyKeys { .. } | WriteError::TooManyBytes { .. } => Kind::NoRoom,
        WriteError::Absent { .. } => Kind::NoSuchKey,
        WriteError::Conflict { .. } => Kind::Conflict,
        WriteError::TooManyWrites | WriteError::Busy { .. } => Kind::TooFast,
        WriteError::Leaving => Kind::Leaving,
    }
}

/// The fix for what is no key.
const KEYS: &str = "use a key of 1 to 256 bytes without control characters";

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_problem_says_the_fact_and_the_fix() {
        let (status, body) = Problem::leaving().into_body();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        expect![[r#"
            {
              "type": "urn:tidings:problem:leaving",
              "title": "Leaving",
              "status": 503,
              "detail": "the node is leaving the cluster",
              "fix": "ask another agent"
            }"#]]
        .assert_eq(&serde_json::to_string_pretty(&body).expect("plain data"));
    }

    #[test]
    fn whoever_writes_too_much_is_told_when_to_try_again() {
        let wait = Duration::from_millis(2_500);
        let response = Problem::from(Error::Write(WriteError::Busy { wait })).into_response();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()[header::RETRY_AFTER], "3");
    }

    #[test]
    fn a_delete_of_nothing_is_not_found() {
        let key = tidings::Key::new("a").expect("a key");
        let (status, body) = Problem::from(Error::Write(WriteError::Absent { key })).into_body();
        assert_eq!((status, body.kind.as_str()), (StatusCode::NOT_FOUND, "urn:tidings:problem:no-such-key"));
    }
}
