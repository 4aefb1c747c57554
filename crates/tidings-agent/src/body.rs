//! The JSON of the interface: bodies that the agent serves and the commands read.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use tidings::{
    BlockedStream, Forgotten, Found, Member, NodeState, Removed, Shown, Standing, Status, Traffic, Value,
};

use crate::suspected::SuspectedBody;

/// A node, as the agent sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct MemberBody {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    pub(crate) generation: u64,
    pub(crate) heartbeat: u64,
    pub(crate) state: State,
    pub(crate) phi: f64,
    pub(crate) keys: usize,
    pub(crate) max_version: u64,
    #[serde(rename = "self")]
    pub(crate) is_self: bool,
    /// In how many milliseconds it is forgotten if it stays away; absent of the live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) forgotten_in_ms: Option<u64>,
}

/// A node that was forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ForgottenBody {
    pub(crate) name: String,
    pub(crate) generation: u64,
    /// The newest that was heard of; absent of one that departed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) heartbeat: Option<u64>,
    pub(crate) state: State,
    /// How many milliseconds ago it was.
    pub(crate) forgotten_for_ms: u64,
    /// For how many more it is remembered.
    pub(crate) remembered_for_ms: u64,
}

/// A node, also one that was forgotten.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum AnyMember {
    Known(MemberBody),
    Forgotten(ForgottenBody),
}

/// What a removal did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RemovedBody {
    pub(crate) name: String,
    /// What was believed of it before: `unreachable`, `departed`, or `forgotten`.
    pub(crate) was: State,
    /// For how many milliseconds nothing newer had been heard of it; if it was forgotten before, how long ago that was.
    pub(crate) quiet_ms: u64,
    /// How many of its keys are not shared any more.
    pub(crate) keys: usize,
    /// For how many milliseconds it is remembered that it was forgotten.
    pub(crate) remembered_for_ms: u64,
}

/// What the agent believes of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Live,
    Unreachable,
    Departed,
    Forgotten,
}

/// A key of an owner, and what it shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EntryBody {
    pub(crate) owner: String,
    pub(crate) key: String,
    #[serde(flatten)]
    pub(crate) value: ValueBody,
    pub(crate) version: u64,
    pub(crate) generation: u64,
    /// For how many milliseconds it is there from now on; absent if it does not expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ttl_ms: Option<u64>,
    /// Whether it ends with its owner's life; absent if it does not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) ephemeral: bool,
}

/// A value: text where it is UTF-8, else base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ValueBody {
    #[serde(rename = "value")]
    Text(String),
    #[serde(rename = "value_base64")]
    Base64(String),
}

/// A write that the agent's node took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WrittenBody {
    pub(crate) owner: String,
    pub(crate) key: String,
    pub(crate) version: u64,
    pub(crate) generation: u64,
}

/// A node and its keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StateBody {
    pub(crate) name: String,
    pub(crate) generation: u64,
    pub(crate) max_version: u64,
    /// Null for the node that answers and for one that departed.
    pub(crate) suspected: Option<SuspectedBody>,
    pub(crate) entries: Vec<EntryBody>,
}

/// How the agent's node is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StatusBody {
    pub(crate) name: String,
    pub(crate) cluster: String,
    /// The version of the program.
    pub(crate) version: String,
    pub(crate) gossip: SocketAddr,
    pub(crate) api: SocketAddr,
    pub(crate) generation: u64,
    pub(crate) live: usize,
    pub(crate) unreachable: usize,
    pub(crate) departed: usize,
    pub(crate) converged: bool,
    pub(crate) digest: String,
    pub(crate) rounds: u64,
    pub(crate) mode: String,
    pub(crate) repairs: u64,
    pub(crate) write_limit: Option<u64>,
    /// How the data directory is: `none`, `well`, `recovered`, `damaged` or `failing`.
    pub(crate) disk: String,
    pub(crate) blocked_streams: Vec<BlockedStreamBody>,
    pub(crate) sent: TrafficBody,
    pub(crate) received: TrafficBody,
    pub(crate) dropped: BTreeMap<String, u64>,
    pub(crate) warnings: Vec<String>,
}

/// Where no stream could be had of late.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BlockedStreamBody {
    pub(crate) address: SocketAddr,
    /// How the last one ended: `refused`, `stalled` or `broken`.
    pub(crate) end: String,
}

/// What went over the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TrafficBody {
    pub(crate) datagrams: u64,
    pub(crate) datagram_bytes: u64,
    pub(crate) streams: u64,
    pub(crate) stream_bytes: u64,
}

/// The line that says that the agent is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReadyBody {
    pub(crate) ready: bool,
    pub(crate) name: String,
    pub(crate) gossip: SocketAddr,
    pub(crate) api: SocketAddr,
}

/// The agent's node has left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LeftBody {
    pub(crate) name: String,
    pub(crate) state: State,
}

/// Why the agent did not do it, by RFC 9457, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProblemBody {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) title: String,
    pub(crate) status: u16,
    pub(crate) detail: String,
    pub(crate) fix: String,
}

impl State {
    /// The word for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Unreachable => "unreachable",
            Self::Departed => "departed",
            Self::Forgotten => "forgotten",
        }
    }
}

impl EntryBody {
    /// The body for what `owner` shows under `key`.
    pub(crate) fn new(owner: &str, key: &str, found: &Found) -> Self {
        let Found { generation, version, value, lifetime } = found;
        Self {
            owner: owner.to_owned(),
            key: key.to_owned(),
            value: value.into(),
            version: version.0,
            generation: generation.0,
            ttl_ms: lifetime.ttl.map(millis),
            ephemeral: lifetime.is_ephemeral,
        }
    }
}

impl StateBody {
    /// The body for the keys of `state` that begin with `prefix`.
    pub(crate) fn new(state: &NodeState, prefix: &str) -> Self {
        let NodeState { member, entries, suspected } = state;
        let (name, generation) = (member.name.to_string(), member.generation.0);
        let entries = entries.iter().filter(|(key, _)| key.as_str().starts_with(prefix));
        let entries = entries.map(|(key, Shown { value, version, lifetime })| EntryBody {
            owner: name.clone(),
            key: key.to_string(),
            value: value.into(),
            version: version.0,
            generation,
            ttl_ms: lifetime.ttl.map(millis),
            ephemeral: lifetime.is_ephemeral,
        });
        Self {
            entries: entries.collect(),
            name,
            generation,
            max_version: member.max_version.0,
            suspected: suspected.as_ref().map(SuspectedBody::from),
        }
    }
}

impl StatusBody {
    /// The body for `status` of the node whose agent serves at `api`.
    pub(crate) fn new(status: Status, api: SocketAddr) -> Self {
        Self {
            name: status.name.to_string(),
            cluster: status.cluster,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            gossip: status.gossip,
            api,
            generation: status.generation.0,
            live: status.live,
            unreachable: status.unreachable,
            departed: status.departed,
            converged: status.converged,
            digest: status.digest,
            rounds: status.rounds,
            mode: status.mode.to_string(),
            repairs: status.repairs,
            write_limit: status.write_limit,
            disk: status.disk.to_string(),
            blocked_streams: status.blocked_streams.iter().map(BlockedStreamBody::from).collect(),
            sent: status.sent.into(),
            received: status.received.into(),
            dropped: status.dropped.into_iter().map(|(reason, n)| (reason.to_owned(), n)).collect(),
            warnings: status.warnings,
        }
    }
}

pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl ValueBody {
    /// The bytes that it stands for.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, base64::DecodeError> {
        match self {
            Self::Text(text) => Ok(text.clone().into_bytes()),
            Self::Base64(text) => BASE64_STANDARD.decode(text),
        }
    }
}

impl From<&Value> for ValueBody {
    fn from(value: &Value) -> Self {
        match value.as_str() {
            Some(text) => Self::Text(text.to_owned()),
            None => Self::Base64(BASE64_STANDARD.encode(value.as_bytes())),
        }
    }
}

impl From<&Member> for MemberBody {
    fn from(member: &Member) -> Self {
        Self {
            name: member.name.to_string(),
            address: member.address,
            generation: member.generation.0,
            heartbeat: member.heartbeat.0,
            state: member.standing.into(),
            phi: thousandths(member.phi),
            keys: member.keys,
            max_version: member.max_version.0,
            is_self: member.is_self,
            forgotten_in_ms: member.forgotten_in.map(millis),
        }
    }
}

impl From<&Forgotten> for ForgottenBody {
    fn from(forgotten: &Forgotten) -> Self {
        Self {
            name: forgotten.name.to_string(),
            generation: forgotten.generation.0,
            heartbeat: forgotten.heartbeat.map(|heartbeat| heartbeat.0),
            state: State::Forgotten,
            forgotten_for_ms: millis(forgotten.forgotten_for),
            remembered_for_ms: millis(forgotten.remembered_for),
        }
    }
}

impl RemovedBody {
    /// The body for what became of the node `name`.
    pub(crate) fn new(name: String, removed: &Removed) -> Self {
        Self {
            name,
            was: removed.was.map_or(State::Forgotten, State::from),
            quiet_ms: millis(removed.quiet),
            keys: removed.keys,
            remembered_for_ms: millis(removed.remembered_for),
        }
    }
}

/// A suspicion as JSON has it: there is no infinity, and nobody needs more than three digits.
pub(crate) fn thousandths(phi: f64) -> f64 {
    (phi.clamp(0.0, 1e6) * 1e3).round() / 1e3
}

impl From<Standing> for State {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Live => Self::Live,
            Standing::Unreachable => Self::Unreachable,
            Standing::Departed => Self::Departed,
        }
    }
}

impl From<&BlockedStream> for BlockedStreamBody {
    fn from(blocked: &BlockedStream) -> Self {
        Self { address: blocked.address, end: blocked.end.to_string() }
    }
}

impl From<Traffic> for TrafficBody {
    fn from(traffic: Traffic) -> Self {
        let Traffic { datagrams, datagram_bytes, streams, stream_bytes } = traffic;
        Self { datagrams, datagram_bytes, streams, stream_bytes }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use tidings::{Generation, Lifetime, Version};

    use super::*;

    fn entry(value: &[u8]) -> EntryBody {
        lasting(value, Lifetime::default())
    }

    fn lasting(value: &[u8], lifetime: Lifetime) -> EntryBody {
        let (generation, version) = (Generation(9), Version(7));
        EntryBody::new("api-1", "a/b", &Found { generation, version, value: Value::from(value), lifetime })
    }

    #[test]
    fn a_lifetime_is_told_where_there_is_one() {
        let lifetime = Lifetime { ttl: Some(Duration::from_micros(29_999_900)), is_ephemeral: true };
        let json = serde_json::to_string(&lasting(b"v", lifetime)).expect("plain data");
        expect![[r#"{"owner":"api-1","key":"a/b","value":"v","version":7,"generation":9,"ttl_ms":29999,"ephemeral":true}"#]]
            .assert_eq(&json);
    }

    #[test]
    fn a_value_is_text_where_it_is_utf8_and_base64_elsewhere() {
        let json = |value| serde_json::to_string(&entry(value)).expect("plain data");
        expect![[r#"{"owner":"api-1","key":"a/b","value":"é","version":7,"generation":9}"#]]
            .assert_eq(&json("é".as_bytes()));
        expect![[r#"{"owner":"api-1","key":"a/b","value_base64":"/wA=","version":7,"generation":9}"#]]
            .assert_eq(&json(b"\xff\0"));
    }

    #[test]
    fn a_value_survives_its_body() {
        for value in [&b"text"[..], b"", b"\xff\0"] {
            let json = serde_json::to_string(&entry(value)).expect("plain data");
            let read: EntryBody = serde_json::from_str(&json).expect("our own body");
            assert_eq!(read.value.to_bytes().expect("our own base64"), value);
        }
    }
}
