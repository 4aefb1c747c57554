//! Asking an agent over HTTP, and what can go wrong with that.

use std::fmt;
use std::io::BufReader;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ureq::http::Uri;
use ureq::{Agent, Body, BodyReader, Timeout};

use crate::body::ProblemBody;
use crate::failure::{Exit, Failure};
use crate::http::events::KEEP_ALIVE;
use crate::stamp::Tag;

/// Where an agent serves HTTP. Invariant: `http://` and an authority, nothing after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Api(String);

/// A client of one agent.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    api: Api,
    agent: Agent,
    patience: Duration,
}

/// An answer that goes on.
pub(crate) type Stream = BufReader<BodyReader<'static>>;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum CallError {
    /// Nobody answers there.
    Unreachable { api: Api, cause: String },
    /// It did not answer in time.
    Late { api: Api, patience: Duration },
    /// It answered that it does not do that.
    Refused(ProblemBody),
    /// Something answered that is no agent.
    Stranger { api: Api, status: u16 },
}

impl FromStr for Api {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = match text.split_once("://") {
            Some(("http", _)) => text.to_owned(),
            Some((scheme, _)) => return Err(format!("{scheme}:// is not spoken here: use http://IP:PORT")),
            None if text.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) => {
                format!("http://{text}")
            }
            None => return Err("neither IP:PORT nor an http:// URL".to_owned()),
        };
        let uri: Uri = url.parse().map_err(|error| format!("neither IP:PORT nor an http:// URL: {error}"))?;
        match uri.authority() {
            Some(authority) if matches!(uri.path(), "" | "/") && uri.query().is_none() => {
                Ok(Self(format!("http://{authority}")))
            }
            _ => Err("an agent has no path: end the URL after the port".to_owned()),
        }
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Client {
    /// A client of the agent at `api` that waits for an answer as long as `patience`.
    pub(crate) fn new(api: Api, patience: Duration) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            // An agent is near; a proxy from the environment would only be in the way.
            .proxy(None)
            .timeout_connect(Some(CONNECT))
            .user_agent(concat!("tidings/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { api, agent: config.new_agent(), patience }
    }

    /// The same client with another patience.
    pub(crate) fn with_patience(&self, patience: Duration) -> Self {
        Self { patience, ..self.clone() }
    }

    /// The body of `GET path`.
    pub(crate) fn get(&self, path: &str) -> Result<String, CallError> {
        let request = self.agent.get(self.url(path));
        self.read(request.config().timeout_global(Some(self.patience)).build().call())
    }

    /// The body of the answer to `PUT path` with `value`, if the key shows the `expected` write.
    pub(crate) fn put(&self, path: &str, value: &[u8], expected: Option<Tag>) -> Result<String, CallError> {
        let mut request = self.agent.put(self.url(path)).header("content-type", "application/octet-stream");
        if let Some((name, condition)) = expected.map(Tag::condition) {
            request = request.header(name, condition);
        }
        self.read(request.config().timeout_global(Some(self.patience)).build().send(value))
    }

    /// The body of the answer to `DELETE path`, if the key shows the `expected` write.
    pub(crate) fn delete(&self, path: &str, expected: Option<Tag>) -> Result<String, CallError> {
        let mut request = self.agent.delete(self.url(path));
        if let Some((name, condition)) = expected.map(Tag::condition) {
            request = request.header(name, condition);
        }
        self.read(request.config().timeout_global(Some(self.patience)).build().call())
    }

    /// The body of the answer to `POST path`.
    pub(crate) fn post(&self, path: &str) -> Result<String, CallError> {
        let request = self.agent.post(self.url(path));
        self.read(request.config().timeout_global(Some(self.patience)).build().send_empty())
    }

    /// What `GET path` goes on to answer with, from the event after the id `after` on. Reading fails when nothing came for
    /// longer than an agent is silent.
    pub(crate) fn follow(&self, path: &str, after: Option<&str>) -> Result<Stream, CallError> {
        let mut request = self.agent.get(self.url(path));
        if let Some(id) = after {
            request = request.header("last-event-id", id);
        }
        let config = request.config().timeout_recv_response(Some(self.patience));
        let answer = config.timeout_per_read(Some(SILENCE)).build().call();
        let mut answer = answer.map_err(|error| self.no_answer(&error))?;
        if !answer.status().is_success() {
            return Err(self.refusal(&mut answer));
        }
        Ok(BufReader::new(answer.into_body().into_reader()))
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.api)
    }

    fn read(&self, answer: Result<ureq::http::Response<Body>, ureq::Error>) -> Result<String, CallError> {
        let mut answer = answer.map_err(|error| self.no_answer(&error))?;
        if !answer.status().is_success() {
            return Err(self.refusal(&mut answer));
        }
        self.text(&mut answer)
    }

    fn text(&self, answer: &mut ureq::http::Response<Body>) -> Result<String, CallError> {
        let body = answer.body_mut().with_config().limit(ANSWER_LIMIT).read_to_string();
        body.map_err(|error| self.no_answer(&error))
    }

    /// Why `answer` is none.
    fn refusal(&self, answer: &mut ureq::http::Response<Body>) -> CallError {
        let body = match self.text(answer) {
            Ok(body) => body,
            Err(error) => return error,
        };
        match serde_json::from_str(&body) {
            Ok(problem) => CallError::Refused(problem),
            Err(_) => CallError::Stranger { api: self.api.clone(), status: answer.status().as_u16() },
        }
    }

    fn no_answer(&self, error: &ureq::Error) -> CallError {
        let api = self.api.clone();
        if let ureq::Error::Timeout(phase) = error
            && !matches!(phase, Timeout::Resolve | Timeout::Connect)
        {
            return CallError::Late { api, patience: self.patience };
        }
        let cause = if let ureq::Error::Io(error) = error { error.to_string() } else { error.to_string() };
        CallError::Unreachable { api, cause }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Unreachable { api, cause } => Self::new(
                Exit::Unreachable,
                format!("no agent answers at {api}: {cause}"),
                "start one with `tidings agent`, or name another with --api or TIDINGS_API",
            ),
            CallError::Late { api, patience } => Self::new(
                Exit::Late,
                format!("the agent at {api} did not answer within {} ms", patience.as_millis()),
                "look at its log; it may be overloaded or stopped",
            ),
            CallError::Refused(problem) => {
                let exit = if problem.status == NO_ANSWER { Exit::Late } else { Exit::Refused };
                Self::new(exit, problem.detail, problem.fix)
            }
            CallError::Stranger { api, status } => Self::new(
                Exit::Refused,
                format!("{api} answered with status {status}, and not as an agent does"),
                "name an agent with --api or TIDINGS_API",
            ),
        }
    }
}

/// The path of a key; `/` inside a key is escaped, so that no key can look like another path.
pub(crate) fn key_path(owner: &str, key: &str) -> String {
    format!("/v1/kv/{}/{}", escape(owner), escape(key))
}

/// `text` as one segment of a path, or as a value in a query.
pub(crate) fn escape(text: &str) -> impl fmt::Display {
    utf8_percent_encode(text, ESCAPED)
}

const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'@');

/// An agent is on this host or next door: who takes longer to accept a connection is not there.
const CONNECT: Duration = Duration::from_secs(2);

/// The status that says that an owner did not answer in time.
const NO_ANSWER: u16 = 504;

/// Three signs of life of an agent that has nothing to tell.
const SILENCE: Duration = KEEP_ALIVE.saturating_mul(3);

/// More than any cluster's state that fits its nodes' memory, and a bound on what a stranger may make us hold.
const ANSWER_LIMIT: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    fn api(text: &str) -> Result<String, String> {
        text.parse::<Api>().map(|api| api.to_string())
    }

    #[test]
    fn an_agent_is_named_by_address_or_url() {
        assert_eq!(api("127.0.0.1:8435").as_deref(), Ok("http://127.0.0.1:8435"));
        assert_eq!(api("[::1]:8435").as_deref(), Ok("http://[::1]:8435"));
        assert_eq!(api("http://localhost:8435/").as_deref(), Ok("http://localhost:8435"));
    }

    #[test]
    fn what_names_no_agent_is_refused_with_the_fix() {
        assert_eq!(api("https://a:1").unwrap_err(), "https:// is not spoken here: use http://IP:PORT");
        assert_eq!(api("http://a:1/v1").unwrap_err(), "an agent has no path: end the URL after the port");
        for text in ["", "8435", "a", "a:b", "http://", "http:// :1"] {
            assert!(api(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_key_is_one_segment() {
        assert_eq!(key_path("@self", "a/b c%"), "/v1/kv/@self/a%2Fb%20c%25");
    }
}
