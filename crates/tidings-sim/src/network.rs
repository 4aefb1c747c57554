//! What becomes of a datagram on its way.

use std::collections::BTreeSet;
use std::time::Duration;

use tidings_core::Rng;

use crate::node::Place;

/// A share of all, in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share(pub u16);

/// The network between all nodes. Its fields can be changed at any time.
#[derive(Debug, Clone)]
pub struct Network {
    /// How long a datagram travels: anything between the two is equally likely, so that datagrams overtake each other.
    pub latency: (Duration, Duration),
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
    /// The links that are cut, each in one direction.
    cut: BTreeSet<(Place, Place)>,
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
            loss: Share(0),
            duplicates: Share(0),
            held: Share(0),
            hold: Duration::ZERO,
            streams: StreamFault::None,
            cut: BTreeSet::new(),
        }
    }
}

impl Network {
    /// Cuts the link from `from` to `to`; the way back stays open.
    pub fn cut(&mut self, from: Place, to: Place) {
        self.cut.insert((from, to));
    }

    /// Cuts all links between `one` and `other`, both ways.
    pub fn part(&mut self, one: &[Place], other: &[Place]) {
        for &a in one {
            for &b in other {
                self.cut(a, b);
                self.cut(b, a);
            }
        }
    }

    /// Opens all links.
    pub fn heal(&mut self) {
        self.cut.clear();
    }

    /// When copies of a datagram arrive, counted from now: none if it is lost.
    pub(crate) fn arrivals(&self, rng: &mut Rng, from: Place, to: Place) -> Vec<Duration> {
        if self.cut.contains(&(from, to)) || happens(rng, self.loss) {
            return Vec::new();
        }
        let copies = if happens(rng, self.duplicates) { 2 } else { 1 };
        (0..copies).map(|_| self.travel(rng)).collect()
    }

    /// Whether nothing gets from `from` to `to`.
    pub(crate) fn is_cut(&self, from: Place, to: Place) -> bool {
        self.cut.contains(&(from, to))
    }

    pub(crate) fn travel(&self, rng: &mut Rng) -> Duration {
        let (least, most) = self.latency;
        let travel = least + up_to(rng, most.saturating_sub(least));
        if happens(rng, self.held) { travel + up_to(rng, self.hold) } else { travel }
    }
}

fn happens(rng: &mut Rng, share: Share) -> bool {
    share.0 > 0 && rng.chance(share.0.into(), 1_000)
}

fn up_to(rng: &mut Rng, span: Duration) -> Duration {
    let micros = usize::try_from(span.as_micros()).expect("a span of virtual time fits");
    if micros == 0 { span } else { Duration::from_micros(rng.below(micros + 1) as u64) }
}
