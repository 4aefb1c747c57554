//! Steps, in words.

use std::fmt::Write as _;

use tidings_core::{Delta, Span};

use super::owner::{Change, Deed, KEYS};
use super::real::{DeltaId, Heard, Held, Outcome, Real};
use super::search::MOST_OTHERS;

/// Something that can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Happening {
    /// The owner does something.
    Deed(Deed),
    /// One tells another something, at once.
    Tells { from: Place, to: usize, delta: DeltaId, heard: Heard },
    /// One says something that is on its way for a while.
    Sends { from: Place, delta: DeltaId },
    /// What was on its way arrives, and may arrive again.
    Arrives { to: usize, delta: DeltaId, heard: Heard },
    /// What was on its way is lost, or has arrived for the last time.
    Lost { delta: DeltaId },
    /// What one of the others holds and can expire, does.
    Expires { who: usize },
    /// One of the others starts again and knows nothing.
    Forgets { who: usize },
}

/// Who there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Owner,
    Other(usize),
}

impl Happening {
    /// This in words; the others are called `names`.
    pub(super) fn tell(&self, real: &Real, names: [&str; MOST_OTHERS]) -> String {
        let name = |place: Place| match place {
            Place::Owner => "the owner",
            Place::Other(other) => names[other],
        };
        match *self {
            Self::Deed(deed) => format!("the owner {}", deed.tell()),
            Self::Tells { from, to, delta, heard } => {
                let (told, outcome) = (tell_delta(real.delta(delta)), heard.outcome.tell());
                format!("{} tells {} {told}: {outcome}", name(from), names[to])
            }
            Self::Sends { from, delta } => {
                format!("{} sends {}; it takes a while", name(from), tell_delta(real.delta(delta)))
            }
            Self::Arrives { to, delta, heard } => {
                let (told, outcome) = (tell_delta(real.delta(delta)), heard.outcome.tell());
                format!("{} gets, late, {told}: {outcome}", names[to])
            }
            Self::Lost { delta } => format!("on its way no more: {}", tell_delta(real.delta(delta))),
            Self::Expires { who } => format!("at {} all expires that can", names[who]),
            Self::Forgets { who } => format!("{} starts again and knows nothing", names[who]),
        }
    }
}

impl Deed {
    fn tell(self) -> String {
        match self {
            Self::Write([Some(Change::Put), Some(Change::Put)]) => "writes a and b together".to_owned(),
            Self::Write(changes) => {
                let deeds = KEYS.iter().zip(changes).filter_map(|(key, change)| match change? {
                    Change::Put => Some(format!("writes {key}")),
                    Change::Lend => Some(format!("writes {key} for a time")),
                    Change::Delete => Some(format!("deletes {key}")),
                });
                deeds.collect::<Vec<_>>().join(" and, together, ")
            }
            Self::Expire => "lets expire what can".to_owned(),
            Self::Raise(gc) => format!("raises its gc_version to {gc}"),
            Self::GoOn => "begins another life with all that it has".to_owned(),
            Self::StartAnew => "begins another life with nothing".to_owned(),
        }
    }
}

impl Outcome {
    fn tell(self) -> &'static str {
        match self {
            Self::Ignored => "old news",
            Self::Gap => "of no use there",
            Self::Taken => "taken",
        }
    }
}

fn tell_delta(delta: &Delta) -> String {
    let Delta { generation, through, gc, max, .. } = delta;
    let mut told = match &delta.span {
        Span::Forgotten(_) => format!("that life {generation} is forgotten"),
        Span::Reset => format!("everything of life {generation}, through {through}, gc {gc}"),
        Span::After(after) => format!("life {generation} after {after} through {through} of {max}, gc {gc}"),
    };
    told += " (";
    for (place, (key, entry)) in delta.entries.iter().enumerate() {
        let comma = if place > 0 { ", " } else { "" };
        let _ = match Held::of(entry) {
            Held::Nothing => Ok(()),
            Held::Tombstone(version) => write!(told, "{comma}{version}: no {key}"),
            Held::Write(version, mark) if mark.version == version => write!(told, "{comma}{version}: {key}"),
            Held::Write(version, mark) => write!(told, "{comma}{version}: {key} of {}", mark.version),
        };
    }
    if delta.entries.is_empty() {
        told += "no entries";
    }
    told + ")"
}
