//! The JSON of an event: a line of `tidings watch`, and of `/v1/events`.

use std::net::SocketAddr;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tidings::{Event, EventKind, WallClock};

use crate::body::ValueBody;

/// One thing that happened, or is so. The type says which of the fields below `generation` are there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct EventBody {
    /// The number of the change; of the last change that it includes, for what was so at first.
    pub(crate) seq: u64,
    /// When the agent noticed, or looked.
    pub(crate) at: String,
    /// What it is. Text, since a later agent may have more types.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) node: String,
    pub(crate) generation: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    #[serde(flatten)]
    pub(crate) value: Option<ValueBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) phi: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cause: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) end: Option<String>,
    /// For how long it is remembered that the node was forgotten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remembered_for_ms: Option<u64>,
    /// How many changes were missed, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) missed: Option<u64>,
}

impl EventBody {
    /// The body for `event`, the change number `seq`.
    pub(crate) fn new(seq: u64, event: &Event) -> Self {
        let body = |kind| Self::bare(seq, event.at, kind, event.node.as_str(), event.generation.0);
        match &event.kind {
            EventKind::Joined => body("joined"),
            EventKind::Live => body("live"),
            EventKind::Departed => body("departed"),
            EventKind::Restarted => body("restarted"),
            EventKind::Forgotten { remembered_for } => {
                Self { remembered_for_ms: Some(crate::body::millis(*remembered_for)), ..body("forgotten") }
            }
            EventKind::Unreachable { phi, cause } => Self {
                phi: Some(crate::body::thousandths(*phi)),
                cause: Some(cause.to_string()),
                ..body("unreachable")
            },
            EventKind::StreamFailed { address, end } => {
                Self { address: Some(*address), end: Some(end.to_string()), ..body("stream_failed") }
            }
            EventKind::Set { key, value, version } => Self {
                key: Some(key.to_string()),
                value: Some(value.into()),
                version: Some(version.0),
                ..body("set")
            },
            EventKind::Deleted { key, version } => {
                Self { key: Some(key.to_string()), version: Some(version.0), ..body("deleted") }
            }
        }
    }

    /// The word that changes were missed up to number `seq`, by the agent of `node`.
    pub(crate) fn gap(seq: u64, at: WallClock, node: &str, generation: u64, missed: Option<u64>) -> Self {
        Self { missed, ..Self::bare(seq, at, "gap", node, generation) }
    }

    fn bare(seq: u64, at: WallClock, kind: &str, node: &str, generation: u64) -> Self {
        // Years of more than four digits have no such text.
        let at = Duration::from_millis(at.0.min(LATEST));
        Self {
            seq,
            at: humantime::format_rfc3339_millis(UNIX_EPOCH + at).to_string(),
            kind: kind.to_owned(),
            node: node.to_owned(),
            generation,
            key: None,
            value: None,
            version: None,
            phi: None,
            cause: None,
            address: None,
            end: None,
            remembered_for_ms: None,
            missed: None,
        }
    }
}

/// The last second of the year 9999, in milliseconds.
const LATEST: u64 = 253_402_300_799_000;
