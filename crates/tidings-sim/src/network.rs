//! What becomes of a datagram, or of a stream, on its way.

mod rule;

use std::collections::BTreeMap;
use std::time::Duration;

use tidings_core::Rng;

use crate::node::Place;
use rule::Standing;
pub use rule::{Links, Rule, RuleId, Trouble};

/// A share of all, in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share(pub u16);

/// The network between all nodes. Its fields can be changed at any time; what befalls some links only, or comes and goes,
/// is a [`Rule`].
#[derive(Debug, Clone)]
pub struct Network {
    /// How long a datagram travels: anything between the two is equally likely, so that datagrams overtake each other.
    pub latency: (Duration, Duration),
    /// What is added to that, exponentially distributed around this mean: a few are very late.
    pub tail: Duration,
    /// How many datagrams are lost.
    pub loss: Share,
    /// How many arrive twice.
    pub duplicates: Share,
    /// How many are held back for up to `hold` more, so that others overtake them by far.
    pub held: Share,
    /// How long those are held back at most.
    pub hold: Duration,
    /// What becomes of streams.
    pub streams: StreamFault,
    rules: BTreeMap<RuleId, Standing>,
    next_rule: u64,
}

/// What goes wrong with streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamFault {
    /// Nothing.
    None,
    /// None can be opened.
    Refused,
    /// They are opened, and nothing ever comes through.
    Stalled,
    /// Each frame takes so much longer.
    Slow(Duration),
    /// They break after so many frames.
    Broken(u32),
}

impl Default for Network {
    /// One millisecond one way, and nothing goes wrong.
    fn default() -> Self {
        let millisecond = Duration::from_millis(1);
        Self {
            latency: (millisecond, millisecond),
            tail: Duration::ZERO,
            loss: Share(0),
            duplicates: Share(0),
            held: Share(0),
            hold: Duration::ZERO,
            streams: StreamFault::None,
            rules: BTreeMap::new(),
            next_rule: 0,
        }
    }
}

/// What all rules together make of one datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Verdict {
    pub lost: bool,
    pub twice: bool,
    pub late: Duration,
    pub damaged: bool,
}

/// A datagram that was just sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    /// When, as the simulation counts time.
    pub at: Duration,
    pub from: Place,
    pub to: Place,
    /// How many bytes it has.
    pub len: usize,
}

impl Network {
    /// Lets `rule` hold until it is [lifted](Self::lift).
    pub fn impose(&mut self, rule: Rule) -> RuleId {
        let id = RuleId(self.next_rule);
        self.next_rule += 1;
        self.rules.insert(id, Standing::new(rule));
        id
    }

    /// Lets a rule hold no longer.
    pub fn lift(&mut self, rule: RuleId) {
        self.rules.remove(&rule);
    }

    /// Cuts the link from `from` to `to`; the way back stays open.
    pub fn cut(&mut self, from: Place, to: Place) {
        self.impose(Rule { links: Links::from_to([from], [to]), trouble: Trouble::Cut });
    }

    /// Cuts all links between `one` and `other`, both ways.
    pub fn part(&mut self, one: &[Place], other: &[Place]) {
        let links = Links::between(one.iter().copied(), other.iter().copied());
        self.impose(Rule { links, trouble: Trouble::Cut });
    }

    /// Lifts all rules.
    pub fn heal(&mut self) {
        self.rules.clear();
    }

    /// What becomes of a datagram.
    pub(crate) fn judge(&mut self, rng: &mut Rng, sent: Sent) -> Verdict {
        let mut verdict = Verdict::default();
        for rule in self.rules.values_mut().filter(|rule| rule.concerns(sent.from, sent.to)) {
            rule.judge(rng, sent, &mut verdict);
        }
        verdict.lost = verdict.lost || happens(rng, self.loss);
        verdict.twice = !verdict.lost && happens(rng, self.duplicates) || verdict.twice;
        verdict
    }

    /// Whether nothing gets from `from` to `to`.
    pub(crate) fn is_cut(&self, from: Place, to: Place) -> bool {
        self.rules.values().any(|rule| rule.is_cut() && rule.concerns(from, to))
    }

    /// What befalls streams between `from` and `to`.
    pub(crate) fn stream_fault(&self, from: Place, to: Place) -> StreamFault {
        let of_rule = self.rules.values().filter(|rule| rule.concerns(from, to));
        of_rule.filter_map(Standing::stream_fault).next_back().unwrap_or(self.streams)
    }

    /// How long something is on its way.
    pub(crate) fn travel(&self, rng: &mut Rng) -> Duration {
        let (least, most) = self.latency;
        let travel = least + up_to(rng, most.saturating_sub(least)) + exponential(rng, self.tail);
        if happens(rng, self.held) { travel + up_to(rng, self.hold) } else { travel }
    }
}

pub(crate) fn happens(rng: &mut Rng, share: Share) -> bool {
    share.0 > 0 && rng.chance(share.0.into(), 1_000)
}

/// Anything up to `span`, each microsecond equally likely.
pub(crate) fn up_to(rng: &mut Rng, span: Duration) -> Duration {
    let micros = usize::try_from(span.as_micros()).expect("a span of virtual time fits");
    if micros == 0 { span } else { Duration::from_micros(rng.below(micros + 1) as u64) }
}

/// Exponentially distributed around `mean`, but for a few hundredths: the number of coins that come up heads in a row is a
/// logarithm to base two, and in between it is taken to be straight. No mathematics library is asked.
pub(crate) fn exponential(rng: &mut Rng, mean: Duration) -> Duration {
    if mean.is_zero() {
        return mean;
    }
    let word = rng.word();
    let heads = u64::from(word.leading_ones().min(32));
    let part = u64::from(u32::MAX) & word;
    // ln 2, and the same again for what is in between, in 1/65,536.
    const LN_2: u64 = 45_426;
    let logarithm = heads * LN_2 + ((part * LN_2) >> 32);
    Duration::from_micros((u64::try_from(mean.as_micros()).unwrap_or(u64::MAX) / 16 * logarithm) >> 12)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exponential_has_its_mean_and_its_tail() {
        let (mut rng, mean) = (Rng::new(1), Duration::from_millis(100));
        let mut drawn: Vec<_> = (0..100_000).map(|_| exponential(&mut rng, mean).as_secs_f64()).collect();
        drawn.sort_by(f64::total_cmp);
        let average = drawn.iter().sum::<f64>() / 1e5;
        assert!((average - 0.1).abs() < 0.006, "{average}");
        // The median of an exponential is 0.69 of its mean, and one in a thousand is 6.9 times as much.
        assert!((drawn[50_000] - 0.0693).abs() < 0.003, "{}", drawn[50_000]);
        assert!((drawn[99_900] - 0.69).abs() < 0.06, "{}", drawn[99_900]);
    }
}
