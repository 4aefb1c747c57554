//! What happens at a moment, or for a while.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::span;
use crate::network::{Links, Rule, Share, StreamFault, Trouble};
use crate::node::{Disk, Place};

/// Something that happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// When.
    #[serde(with = "span")]
    pub at: Duration,
    /// For how long, where it lasts; to the end of the chaos if that is not said.
    #[serde(default, rename = "for", with = "lasting", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Duration>,
    /// What.
    #[serde(flatten)]
    pub action: Action,
}

/// What happens. Nodes are numbered from 0 in the order of their first start; where one is down, or up already, nothing
/// happens, and it is said. Shares are from 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
#[allow(missing_docs)] // A field is what its action says.
pub enum Action {
    /// A node sets a key, to `value` or to so many bytes.
    Set { node: usize, key: String, value: Option<String>, bytes: Option<usize> },
    /// A node sets several keys in one version.
    SetMany { node: usize, keys: Vec<String>, bytes: Option<usize> },
    /// A node sets a key, until its time to live is over, or its own.
    SetFor {
        node: usize,
        key: String,
        #[serde(default, with = "lasting", skip_serializing_if = "Option::is_none")]
        ttl: Option<Duration>,
        #[serde(default)]
        ephemeral: bool,
    },
    /// A node deletes a key.
    Delete { node: usize, key: String },
    /// A node asks an owner to set a key, or to delete it: if it shows what the node sees, or a write that never was, or
    /// whatever it shows. It waits so long for the answer.
    Request {
        node: usize,
        owner: usize,
        key: String,
        #[serde(default)]
        delete: bool,
        #[serde(default)]
        expected: Expected,
        #[serde(default, with = "lasting", skip_serializing_if = "Option::is_none")]
        ttl: Option<Duration>,
        #[serde(default)]
        ephemeral: bool,
        #[serde(with = "span")]
        wait: Duration,
    },
    /// A node says good-bye.
    Leave { node: usize },
    /// A node crashes. It starts again at the end of the chaos, unless it `stays` down.
    Crash {
        node: usize,
        #[serde(default)]
        stays: bool,
    },
    /// A node that is down starts again.
    Restart { node: usize, disk: Disk },
    /// All nodes crash and start again, within a span.
    MassRestart {
        disk: Disk,
        #[serde(with = "span")]
        within: Duration,
    },
    /// A node is stopped, for as long as it lasts: what comes waits, or is lost.
    Pause { node: usize, lossy: bool },
    /// A node takes so long for each message.
    Slow {
        node: usize,
        #[serde(with = "span")]
        work: Duration,
    },
    /// The wall clock of a node jumps, by so many seconds.
    Clock { node: usize, by: i64 },
    /// Nothing can be saved on a node's disk.
    BreakDisk { node: usize },
    /// A node joins.
    Join {},
    /// A node removes one that it takes for gone.
    Remove { node: usize, by: usize },
    /// Another process starts under the name of a node, elsewhere.
    Namesake { node: usize },
    /// Two nodes start again at each other's addresses.
    Swap { one: usize, other: usize },
    /// A node crashes, and one of another cluster starts at its address, which takes its peers for its own.
    Stranger { node: usize },
    /// A share of all datagrams is lost.
    Loss { share: f64 },
    /// Losses come in bursts.
    Bursts { begins: f64, ends: f64, loss: f64 },
    /// A share of all datagrams arrives twice.
    Duplicates { share: f64 },
    /// A share of all datagrams is held back.
    Hold {
        share: f64,
        #[serde(with = "span")]
        most: Duration,
    },
    /// A share of all datagrams is damaged.
    Damage { share: f64 },
    /// Larger datagrams are lost.
    Largest { bytes: usize },
    /// Nodes on different sides cannot reach each other; a node on no side reaches all: a bridge.
    Split { sides: Vec<Vec<usize>> },
    /// Nothing comes from the ones to the others; the way back is open.
    OneWay { from: Vec<usize>, to: Vec<usize> },
    /// Each reaches only those that are so many places apart on the ring of all.
    Ring { reach: usize },
    /// Streams fail.
    Streams { fault: Streams },
}

/// Which write a request expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expected {
    /// Any, or none.
    #[default]
    Any,
    /// The one that whoever asks sees, if it sees one.
    Seen,
    /// One that never was.
    Never,
}

/// What befalls streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Streams {
    /// None can be opened.
    Refused,
    /// Nothing comes through.
    Stalled,
    /// They are slow.
    Slow,
    /// They break in the middle.
    Cut,
}

impl Streams {
    pub(super) fn fault(self) -> StreamFault {
        match self {
            Self::Refused => StreamFault::Refused,
            Self::Stalled => StreamFault::Stalled,
            Self::Slow => StreamFault::Slow(Duration::from_millis(700)),
            Self::Cut => StreamFault::Broken(1),
        }
    }
}

impl Action {
    /// All that [`name`](Self::name) can be.
    pub const NAMES: [&'static str; 37] = [
        "broken disks",
        "bursts of losses",
        "clock jumps ahead",
        "clock jumps back",
        "corruptions",
        "crashes",
        "cut streams",
        "deletes",
        "duplications",
        "joins",
        "leaves",
        "losses",
        "mass restarts",
        "name clashes",
        "one-way links",
        "pauses",
        "refused streams",
        "reorderings",
        "removals",
        "requests",
        "restarts with a disk",
        "restarts with a stale disk",
        "restarts with a torn disk",
        "restarts with collected tombstones",
        "restarts without a disk",
        "reused addresses",
        "ring partitions",
        "sets",
        "sets for a time",
        "sets of several keys",
        "slow nodes",
        "slow streams",
        "small paths",
        "splits",
        "splits into many",
        "stalled streams",
        "swapped addresses",
    ];

    /// What it is called: see the coverage of a campaign.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Set { .. } => "sets",
            Self::SetMany { .. } => "sets of several keys",
            Self::SetFor { .. } => "sets for a time",
            Self::Delete { .. } => "deletes",
            Self::Request { .. } => "requests",
            Self::Leave { .. } => "leaves",
            Self::Crash { .. } => "crashes",
            Self::Restart { disk: Disk::Kept, .. } => "restarts with a disk",
            Self::Restart { disk: Disk::Lost, .. } => "restarts without a disk",
            Self::Restart { disk: Disk::Torn, .. } => "restarts with a torn disk",
            Self::Restart { disk: Disk::Stale, .. } => "restarts with a stale disk",
            Self::Restart { disk: Disk::Collected, .. } => "restarts with collected tombstones",
            Self::MassRestart { .. } => "mass restarts",
            Self::Pause { .. } => "pauses",
            Self::Slow { .. } => "slow nodes",
            Self::Clock { by, .. } if *by < 0 => "clock jumps back",
            Self::Clock { .. } => "clock jumps ahead",
            Self::BreakDisk { .. } => "broken disks",
            Self::Join {} => "joins",
            Self::Remove { .. } => "removals",
            Self::Namesake { .. } => "name clashes",
            Self::Swap { .. } => "swapped addresses",
            Self::Stranger { .. } => "reused addresses",
            Self::Loss { .. } => "losses",
            Self::Bursts { .. } => "bursts of losses",
            Self::Duplicates { .. } => "duplications",
            Self::Hold { .. } => "reorderings",
            Self::Damage { .. } => "corruptions",
            Self::Largest { .. } => "small paths",
            Self::Split { sides } if sides.len() > 2 => "splits into many",
            Self::Split { .. } => "splits",
            Self::OneWay { .. } => "one-way links",
            Self::Ring { .. } => "ring partitions",
            Self::Streams { fault: Streams::Refused } => "refused streams",
            Self::Streams { fault: Streams::Stalled } => "stalled streams",
            Self::Streams { fault: Streams::Slow } => "slow streams",
            Self::Streams { fault: Streams::Cut } => "cut streams",
        }
    }
}

impl Action {
    /// What befalls which links of a cluster that begins with so many `nodes`; nothing, where it befalls nodes.
    pub(super) fn rules(&self, nodes: usize) -> Vec<Rule> {
        let on_all = |trouble| vec![Rule { links: Links::All, trouble }];
        let cut = |links| Rule { links, trouble: Trouble::Cut };
        let places = |nodes: &[usize]| nodes.iter().copied().map(Place).collect::<Vec<_>>();
        match self {
            Self::Loss { share: lost } => on_all(Trouble::Loss(share(*lost))),
            Self::Bursts { begins, ends, loss } => {
                let (begins, ends, loss) = (share(*begins), share(*ends), share(*loss));
                on_all(Trouble::Bursts { begins, ends, loss })
            }
            Self::Duplicates { share: twice } => on_all(Trouble::Duplicates(share(*twice))),
            Self::Hold { share: held, most } => on_all(Trouble::Hold { share: share(*held), most: *most }),
            Self::Damage { share: damaged } => on_all(Trouble::Damage(share(*damaged))),
            Self::Largest { bytes } => on_all(Trouble::Largest(*bytes)),
            Self::Streams { fault } => on_all(Trouble::Streams(fault.fault())),
            Self::OneWay { from, to } => vec![cut(Links::from_to(places(from), places(to)))],
            Self::Ring { reach } => vec![cut(Links::BeyondRing { reach: *reach, nodes })],
            Self::Split { sides } => {
                let others = |one: usize| sides.iter().skip(one + 1).flat_map(|side| places(side));
                let side = |(one, side): (usize, &Vec<usize>)| cut(Links::between(places(side), others(one)));
                sides.iter().enumerate().map(side).collect()
            }
            Self::Set { .. } | Self::SetMany { .. } | Self::SetFor { .. } => Vec::new(),
            Self::Delete { .. } | Self::Request { .. } | Self::Leave { .. } => Vec::new(),
            Self::Crash { .. } | Self::Restart { .. } | Self::MassRestart { .. } | Self::Pause { .. } => {
                Vec::new()
            }
            Self::Slow { .. } | Self::Clock { .. } | Self::BreakDisk { .. } | Self::Join {} => Vec::new(),
            Self::Namesake { .. } | Self::Swap { .. } | Self::Stranger { .. } | Self::Remove { .. } => {
                Vec::new()
            }
        }
    }
}

impl Action {
    /// How many bytes `place` writes by it.
    pub(super) fn writes(&self, place: Place) -> usize {
        if let Self::Set { node, bytes, .. } = self
            && *node == place.0
        {
            return bytes.unwrap_or(8);
        }
        if let Self::SetMany { node, keys, bytes } = self
            && *node == place.0
        {
            return keys.len() * bytes.unwrap_or(8);
        }
        0
    }

    /// Whether it may leave others without a way to each other, where each has but a few neighbours.
    pub(crate) fn may_sever(&self) -> bool {
        let stays = if let Self::Crash { stays, .. } = self { *stays } else { false };
        // Neighbours are known by their addresses.
        let moves = matches!(self, Self::Swap { .. });
        stays || moves || matches!(self, Self::Leave { .. } | Self::Join {} | Self::Namesake { .. })
    }

    /// Whether another node comes by it.
    pub(super) fn adds_a_node(&self) -> bool {
        matches!(self, Self::Join {} | Self::Namesake { .. } | Self::Stranger { .. })
    }

    /// Whether it can last, and end.
    pub(super) fn lasts(&self) -> bool {
        let ends =
            matches!(self, Self::Leave { .. } | Self::Crash { .. } | Self::Swap { .. } | Self::Remove { .. });
        let starts = matches!(self, Self::Restart { .. } | Self::MassRestart { .. } | Self::Clock { .. });
        !(self.is_write() || self.adds_a_node() || ends || starts)
    }

    /// All nodes that it names.
    pub(super) fn nodes(&self) -> Vec<usize> {
        match self {
            Self::Set { node, .. } | Self::SetMany { node, .. } | Self::Delete { node, .. } => vec![*node],
            Self::SetFor { node, .. } => vec![*node],
            Self::Leave { node } | Self::Crash { node, .. } | Self::Restart { node, .. } => vec![*node],
            Self::Pause { node, .. } | Self::Slow { node, .. } | Self::Clock { node, .. } => vec![*node],
            Self::BreakDisk { node } | Self::Namesake { node } | Self::Stranger { node } => vec![*node],
            Self::Swap { one, other } | Self::Remove { node: one, by: other } => vec![*one, *other],
            Self::Request { node, owner, .. } => vec![*node, *owner],
            Self::Split { sides } => sides.concat(),
            Self::OneWay { from, to } => [from.as_slice(), to].concat(),
            Self::MassRestart { .. } | Self::Join {} | Self::Loss { .. } | Self::Bursts { .. } => Vec::new(),
            Self::Duplicates { .. } | Self::Hold { .. } | Self::Damage { .. } => Vec::new(),
            Self::Largest { .. } | Self::Ring { .. } | Self::Streams { .. } => Vec::new(),
        }
    }

    /// Whether it writes, or lets others write.
    pub(crate) fn is_write(&self) -> bool {
        let sets = matches!(self, Self::Set { .. } | Self::SetMany { .. } | Self::SetFor { .. });
        sets || matches!(self, Self::Delete { .. } | Self::Request { .. })
    }

    /// Whether nobody who runs may be convicted for it, if what is held back is so for `short` at most.
    pub(super) fn is_harmless(&self, short: Duration) -> bool {
        let loses = if let Self::Loss { share } = self { *share } else { 1.0 };
        let holds = if let Self::Hold { most, .. } = self { *most } else { Duration::MAX };
        let ends = matches!(self, Self::Leave { .. } | Self::Crash { .. } | Self::Restart { .. });
        let is_beside = matches!(self, Self::Join {} | Self::Duplicates { .. } | Self::Streams { .. });
        self.is_write() || ends || is_beside || loses <= 0.1 || holds <= short
    }

    /// Whether it does nothing but write, or let links fail one way.
    pub(super) fn is_one_way_or_write(&self) -> bool {
        self.is_write() || matches!(self, Self::OneWay { .. })
    }
}

/// A share as the network takes it: thousandths.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // It is cut to its range.
fn share(part: f64) -> Share {
    Share((part.clamp(0.0, 1.0) * 1_000.0) as u16)
}

mod lasting {
    use std::time::Duration;

    use serde::{Deserializer, Serializer};

    use super::span;

    pub(super) fn serialize<S: Serializer>(lasts: &Option<Duration>, out: S) -> Result<S::Ok, S::Error> {
        span::serialize(&lasts.unwrap_or_default(), out)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Duration>, D::Error> {
        span::deserialize(input).map(Some)
    }
}
