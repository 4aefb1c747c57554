//! Rules: what befalls some links, for as long as a rule holds. Several may concern one datagram; each says its part.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tidings_core::Rng;

use super::{Sent, Share, StreamFault, Verdict, happens, up_to};
use crate::node::Place;

/// Names a rule that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleId(pub(super) u64);

/// What befalls which links.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The links.
    pub links: Links,
    /// What befalls them.
    pub trouble: Trouble,
}

/// Links, each in one direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Links {
    /// All.
    All,
    /// Those from one of the first to one of the second.
    FromTo(BTreeSet<Place>, BTreeSet<Place>),
    /// Those between one of the first and one of the second, both ways.
    Between(BTreeSet<Place>, BTreeSet<Place>),
    /// Those between nodes that are more than so many places apart on a ring of so many nodes: each sees a majority, and no
    /// two see the same one.
    BeyondRing {
        /// How many places apart two may be.
        reach: usize,
        /// How many nodes the ring has.
        nodes: usize,
    },
}

/// What befalls a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing comes through.
    Cut,
    /// A share is lost.
    Loss(Share),
    /// Losses come in bursts: a link turns bad with `begins` at each datagram, and well again with `ends`; a bad one loses
    /// `loss` (Gilbert 1960, Elliott 1963).
    Bursts {
        /// How often a link that is well turns bad.
        begins: Share,
        /// How often a bad one turns well.
        ends: Share,
        /// What a bad one loses.
        loss: Share,
    },
    /// A share arrives twice.
    Duplicates(Share),
    /// A share is held back.
    Hold {
        /// How many.
        share: Share,
        /// For how long at most.
        most: Duration,
    },
    /// All is held back until then: a node whose messages wait while its clocks run on.
    Wait {
        /// Until when, as the simulation counts time.
        until: Duration,
    },
    /// A share is damaged: a flipped bit, a lost end, or noise.
    Damage(Share),
    /// What has more bytes is lost.
    Largest(usize),
    /// Streams fail.
    Streams(StreamFault),
}

impl Links {
    /// From any of the first to any of the second.
    #[must_use]
    pub fn from_to(from: impl IntoIterator<Item = Place>, to: impl IntoIterator<Item = Place>) -> Self {
        Self::FromTo(from.into_iter().collect(), to.into_iter().collect())
    }

    /// Between any of the first and any of the second.
    #[must_use]
    pub fn between(one: impl IntoIterator<Item = Place>, other: impl IntoIterator<Item = Place>) -> Self {
        Self::Between(one.into_iter().collect(), other.into_iter().collect())
    }

    fn contain(&self, from: Place, to: Place) -> bool {
        match self {
            Self::All => true,
            Self::FromTo(one, other) => one.contains(&from) && other.contains(&to),
            Self::Between(one, other) => {
                one.contains(&from) && other.contains(&to) || one.contains(&to) && other.contains(&from)
            }
            Self::BeyondRing { reach, nodes } => {
                let apart = from.0.abs_diff(to.0);
                from.0 < *nodes && to.0 < *nodes && apart.min(nodes - apart) > *reach
            }
        }
    }
}

/// A rule that holds, and what it remembers.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    rule: Rule,
    /// The links that are in a burst.
    bad: BTreeMap<(Place, Place), bool>,
}

impl Standing {
    pub(super) fn new(rule: Rule) -> Self {
        Self { rule, bad: BTreeMap::new() }
    }

    pub(super) fn concerns(&self, from: Place, to: Place) -> bool {
        self.rule.links.contain(from, to)
    }

    pub(super) fn is_cut(&self) -> bool {
        self.rule.trouble == Trouble::Cut
    }

    pub(super) fn stream_fault(&self) -> Option<StreamFault> {
        if let Trouble::Streams(fault) = self.rule.trouble { Some(fault) } else { None }
    }

    pub(super) fn judge(&mut self, rng: &mut Rng, sent: Sent, verdict: &mut Verdict) {
        let Sent { at, from, to, len } = sent;
        match self.rule.trouble {
            Trouble::Cut => verdict.lost = true,
            Trouble::Loss(share) => verdict.lost |= happens(rng, share),
            Trouble::Bursts { begins, ends, loss } => {
                let bad = self.bad.entry((from, to)).or_default();
                *bad ^= happens(rng, if *bad { ends } else { begins });
                verdict.lost |= *bad && happens(rng, loss);
            }
            Trouble::Duplicates(share) => verdict.twice |= happens(rng, share),
            Trouble::Hold { share, most } => {
                if happens(rng, share) {
                    verdict.late += up_to(rng, most);
                }
            }
            Trouble::Wait { until } => verdict.late = verdict.late.max(until.saturating_sub(at)),
            Trouble::Damage(share) => verdict.damaged |= happens(rng, share),
            Trouble::Largest(most) => verdict.lost |= len > most,
            Trouble::Streams(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(of: &[usize]) -> Vec<Place> {
        of.iter().copied().map(Place).collect()
    }

    #[test]
    fn links_have_directions() {
        let one_way = Links::from_to(places(&[1]), places(&[2, 3]));
        assert!(one_way.contain(Place(1), Place(3)) && !one_way.contain(Place(3), Place(1)));
        let both = Links::between(places(&[1]), places(&[2]));
        assert!(both.contain(Place(1), Place(2)) && both.contain(Place(2), Place(1)));
        // Of five on a ring, each reaches its two neighbours.
        let ring = Links::BeyondRing { reach: 1, nodes: 5 };
        assert!(!ring.contain(Place(0), Place(4)) && ring.contain(Place(0), Place(2)));
        assert!(!ring.contain(Place(0), Place(7)), "newcomers are beside the ring");
    }

    #[test]
    fn bursts_lose_as_much_as_they_say_and_in_a_row() {
        let bursts = Trouble::Bursts { begins: Share(50), ends: Share(200), loss: Share(1_000) };
        let mut rule = Standing::new(Rule { links: Links::All, trouble: bursts });
        let mut rng = Rng::new(1);
        let lost: Vec<bool> = (0..50_000)
            .map(|_| {
                let mut verdict = Verdict::default();
                let sent = Sent { at: Duration::ZERO, from: Place(0), to: Place(1), len: 100 };
                rule.judge(&mut rng, sent, &mut verdict);
                verdict.lost
            })
            .collect();
        let all = lost.iter().filter(|lost| **lost).count();
        let runs = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count();
        assert!((9_300..10_700).contains(&all), "a fifth of the time is bad: {all}");
        assert!((4..7).contains(&(all / runs)), "five in a row: {}", all / runs);
    }
}
