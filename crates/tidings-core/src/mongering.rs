//! How rumors spread: along the ring of ids, or at random as Demers et al. (1987) had it.

use std::fmt;
use std::str::FromStr;

/// How what is new spreads at once, beside the rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mongering {
    /// Not at all: rounds alone spread it.
    Off,
    /// A node that learns something offers it, in a few bytes, to the live nodes 1, 4, 16, ... places from it on the
    /// ring of ids, both ways. Whoever lacks it asks, and gets it: hardly more than one copy for each node, and nobody is left to
    /// chance.
    Ring {
        /// How many of these nodes, the farthest first, get it unasked.
        eager: usize,
    },
    /// A node that learns something sends it to random live nodes until it loses interest (Demers et al. 1987, section 1.4).
    Random {
        /// To how many nodes at a time.
        partners: usize,
        /// Whether only those count who say that they had it already: feedback. Otherwise everybody does: blind.
        feedback: bool,
        /// When it loses interest.
        stop: Stop,
    },
}

/// When a node loses interest in a rumor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// After so many that count.
    Counter(u32),
    /// With a chance of one in so many, after each that counts.
    Coin(u32),
}

impl Default for Mongering {
    fn default() -> Self {
        Self::Ring { eager: 0 }
    }
}

/// The most partners, the most that get it unasked, and the largest number of a rule to stop.
pub(crate) const MOST_PARTNERS: usize = 32;
pub(crate) const LARGEST_STOP: u32 = 100;

impl fmt::Display for Mongering {
    /// As it is read: `off`, `ring`, `ring+2`, `feedback-counter-3`, `blind-coin-2x4`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match *self {
            Self::Off => "off".to_owned(),
            Self::Ring { eager: 0 } => "ring".to_owned(),
            Self::Ring { eager } => format!("ring+{eager}"),
            Self::Random { partners, feedback, stop } => {
                let counts = if feedback { "feedback" } else { "blind" };
                let (rule, k) = match stop {
                    Stop::Counter(k) => ("counter", k),
                    Stop::Coin(k) => ("coin", k),
                };
                let times = if partners == 1 { String::new() } else { format!("x{partners}") };
                format!("{counts}-{rule}-{k}{times}")
            }
        };
        f.pad(&text)
    }
}

/// Why a text names no way to spread rumors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no way to spread rumors: say off, ring, ring+EAGER, or (blind|feedback)-(counter|coin)-K, with xPARTNERS \
     after it for more than one at a time"
)]
pub struct MongeringError(String);

impl FromStr for Mongering {
    type Err = MongeringError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(text).filter(|mongering| mongering.is_possible()).ok_or_else(|| MongeringError(text.to_owned()))
    }
}

fn read(text: &str) -> Option<Mongering> {
    match text {
        "off" => return Some(Mongering::Off),
        "ring" => return Some(Mongering::Ring { eager: 0 }),
        _ => {}
    }
    if let Some(eager) = text.strip_prefix("ring+") {
        return Some(Mongering::Ring { eager: eager.parse().ok()? });
    }
    let mut parts = text.split('-');
    let (counts, rule, number) = (parts.next()?, parts.next()?, parts.next()?);
    let feedback = match counts {
        "feedback" => true,
        "blind" => false,
        _ => return None,
    };
    let (k, partners) = number.split_once('x').unwrap_or((number, "1"));
    let (k, partners) = (k.parse().ok()?, partners.parse().ok()?);
    let stop = match rule {
        "counter" => Stop::Counter(k),
        "coin" => Stop::Coin(k),
        _ => return None,
    };
    parts.next().is_none().then_some(Mongering::Random { partners, feedback, stop })
}

impl Mongering {
    /// Whether its numbers are within their bounds: 32 partners, 32 unasked, and a hundred before it stops.
    pub(crate) fn is_possible(self) -> bool {
        match self {
            Self::Off => true,
            Self::Ring { eager } => eager <= MOST_PARTNERS,
            Self::Random { partners, stop: Stop::Counter(k) | Stop::Coin(k), .. } => {
                (1..=MOST_PARTNERS).contains(&partners) && (1..=LARGEST_STOP).contains(&k)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_again() {
        for text in ["off", "ring", "ring+3", "blind-counter-2", "feedback-coin-4x6", "feedback-counter-1"] {
            assert_eq!(text.parse::<Mongering>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_cannot_work_is_refused_with_what_can() {
        for text in [
            "",
            "on",
            "ring+33",
            "ring+-1",
            "blind-counter-0",
            "blind-coin-2x0",
            "blind-coin-2-3",
            "x-coin-1",
        ] {
            let error = text.parse::<Mongering>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{text:?} is no way")), "{error}");
        }
    }
}
