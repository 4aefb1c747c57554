//! What stays of nodes that were forgotten: certificates, which keep stale peers from bringing them back.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::{Bound, RangeInclusive};
use std::time::Duration;

use crate::message::Line;
use crate::name::{NodeId, NodeName};
use crate::time::{Moment, millis};
use crate::version::{Generation, Head, Heartbeat, Version};

/// Says that a node was forgotten, and up to where its life had come then.
///
/// It covers that head and all before it, and what was authored in the same life before it was entered: nobody brings the node
/// back by these. It yields to anything else. While less than half of its life is over it is told to everybody; afterwards
/// only to those who show that they still hold what it covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The node's name.
    pub name: NodeName,
    /// How far its life had come, as far as was known where this was entered.
    pub head: Head,
    /// When that was. In milliseconds ago on the wire.
    pub entered: Moment,
    /// When this ends. In milliseconds from now on the wire.
    pub until: Moment,
}

impl Certificate {
    /// How long a certificate can last.
    pub const LONGEST: Duration = Duration::from_secs(20 * 365 * 24 * 3_600);

    /// Whether a head that was authored at `authored` is no sign that the node is back.
    pub(crate) fn covers(&self, head: Head, authored: Moment) -> bool {
        let is_of_its_life = head.generation <= self.head.generation;
        head <= self.head || is_of_its_life && authored <= self.entered
    }

    /// Both together: the same, whatever comes first and however often. It covers what either of them does, and ends as that of
    /// the greater head; of the same one, as that which ends first.
    #[must_use]
    pub fn merged(&self, other: &Self) -> Self {
        let until = match self.head.cmp(&other.head) {
            Ordering::Less => other.until,
            Ordering::Equal => self.until.min(other.until),
            Ordering::Greater => self.until,
        };
        let (head, entered) = (self.head.max(other.head), self.entered.max(other.entered));
        Self { head, entered, until, ..self.clone() }
    }

    /// Whether it is told to everybody at `now`: in the first half of its life.
    pub(crate) fn is_young(&self, now: Moment) -> bool {
        self.until.since(now) > now.since(self.entered)
    }

    /// The certificate as it travels at `now`: on a clock that begins then.
    pub(crate) fn told(&self, now: Moment) -> Self {
        let origin = Moment::default();
        let whole = |span: Duration| Duration::from_millis(millis(span));
        let (age, left) = (whole(now.since(self.entered)), whole(self.until.since(now)));
        Self { entered: origin - age, until: origin + left, ..self.clone() }
    }

    /// The certificate as it is held, if it was told at `now`.
    pub(crate) fn heard(&self, now: Moment) -> Self {
        let origin = Moment::default();
        let (age, left) = (origin.since(self.entered), self.until.since(origin));
        Self { entered: now - age, until: now + left, ..self.clone() }
    }
}

impl Line {
    /// A version that is above all that anybody believes says that the line is a certificate's; the rest of it is the heartbeat.
    const MARK: u64 = 1 << 63;

    /// The highest heartbeat that a certificate's line can have: that of one that departed, so that nothing of its life is beyond.
    pub const HIGHEST: Heartbeat = Heartbeat(Self::MARK - 1);

    /// The line of a node that was forgotten: above all of that life, and below any later one.
    #[must_use]
    pub fn certified(id: NodeId, head: Head) -> Self {
        let max = Version(Self::MARK | head.heartbeat.min(Self::HIGHEST).0);
        Self { id, generation: head.generation, max }
    }

    /// Up to where the node is forgotten, if that is what the line says.
    #[must_use]
    pub fn certificate(&self) -> Option<Head> {
        let is_certified = self.max.0 & Self::MARK != 0 && self.generation > Generation(0);
        let heartbeat = Heartbeat(self.max.0 & !Self::MARK);
        is_certified.then_some(Head { generation: self.generation, heartbeat })
    }

    /// How far the node's life and state have come at least, by what the line says.
    pub(crate) fn claim(&self) -> (Head, Version) {
        let of_state = Head { generation: self.generation, heartbeat: Heartbeat(0) };
        let ended = |head: Head| if head.heartbeat == Self::HIGHEST { of_state } else { head };
        self.certificate().map_or((of_state, self.max), |head| (ended(head), Version(0)))
    }

    /// The state that the line says is known; none, if it is a certificate's.
    pub(crate) fn state(&self) -> Option<(Generation, Version)> {
        self.known().filter(|_| self.certificate().is_none())
    }
}

/// A certificate that is held.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub certificate: Certificate,
    /// Whether the node was heard of since, beyond what it covers. Then it is told to nobody.
    pub is_refuted: bool,
    /// Whether it stands in the summary.
    pub is_told: bool,
}

/// All certificates that are held.
///
/// Invariant: none has anything to do before `next`.
#[derive(Debug)]
pub(crate) struct Certificates {
    all: BTreeMap<NodeId, Held>,
    next: Moment,
}

impl Default for Certificates {
    fn default() -> Self {
        Self { all: BTreeMap::new(), next: Moment::NEVER }
    }
}

impl Certificates {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// That of `id`.
    pub(crate) fn get(&self, id: NodeId) -> Option<&Held> {
        if self.all.is_empty() {
            return None; // As mostly.
        }
        self.all.get(&id)
    }

    /// All of them, by id.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Certificate> {
        self.all.values().map(|held| &held.certificate)
    }

    /// Holds one in the place of what is held of `id`.
    pub(crate) fn hold(&mut self, id: NodeId, certificate: Certificate, is_refuted: bool, now: Moment) {
        let is_told = !is_refuted && certificate.is_young(now);
        let held = Held { certificate, is_refuted, is_told };
        self.next = self.next.min(held.due(now));
        self.all.insert(id, held);
    }

    /// The node `id` is back.
    pub(crate) fn remove(&mut self, id: NodeId) {
        self.all.remove(&id);
    }

    /// Marks that of `id` as refuted. Returns whether it was not.
    pub(crate) fn refute(&mut self, id: NodeId) -> bool {
        let Some(held) = self.all.get_mut(&id) else { return false };
        held.is_told = false;
        !std::mem::replace(&mut held.is_refuted, true)
    }

    /// Ends the lives, and the first halves of lives, that are over by `now`. Returns the lines that are not told any more.
    pub(crate) fn expire(&mut self, now: Moment) -> Vec<Line> {
        if self.next > now {
            return Vec::new(); // As mostly.
        }
        let mut untold = Vec::new();
        self.all.retain(|&id, held| {
            let ends = held.is_told && !held.certificate.is_young(now);
            if ends {
                untold.push(Line::certified(id, held.certificate.head));
                held.is_told = false;
            }
            held.certificate.until > now
        });
        self.next = self.all.values().map(|held| held.due(now)).min().unwrap_or(Moment::NEVER);
        untold
    }

    /// The lines of those that are told, from `first` on, by id.
    pub(crate) fn lines_since(&self, first: NodeId) -> impl Iterator<Item = Line> {
        self.lines(self.all.range((Bound::Included(first), Bound::Unbounded)))
    }

    /// The lines of those that are told between two ids, both included.
    pub(crate) fn lines_between(&self, bounds: RangeInclusive<NodeId>) -> impl Iterator<Item = Line> {
        self.lines(self.all.range(bounds))
    }

    fn lines<'a>(&self, held: impl Iterator<Item = (&'a NodeId, &'a Held)>) -> impl Iterator<Item = Line> {
        held.filter_map(|(&id, held)| held.line(id))
    }
}

impl Held {
    /// Its line in a digest, while it is told.
    pub(crate) fn line(&self, id: NodeId) -> Option<Line> {
        self.is_told.then(|| Line::certified(id, self.certificate.head))
    }

    /// When something is to be done with it.
    fn due(&self, now: Moment) -> Moment {
        let Certificate { entered, until, .. } = self.certificate;
        let half = now + until.since(now).saturating_sub(now.since(entered)) / 2;
        if self.is_told { half } else { until }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Moment {
        Moment::from_micros(seconds * 1_000_000)
    }

    fn head(generation: u64, heartbeat: u64) -> Head {
        Head { generation: Generation(generation), heartbeat: Heartbeat(heartbeat) }
    }

    fn certificate(head: Head, entered: i64, until: i64) -> Certificate {
        let name = NodeName::new("ann").unwrap();
        Certificate { name, head, entered: at(entered), until: at(until) }
    }

    /// R25: whatever is said of the dead, in whatever order, only what is greater and younger brings them back.
    #[test]
    fn r25_a_certificate_covers_all_but_what_is_greater_and_younger() {
        let entered = certificate(head(5, 100), 50, 90);
        for (told, authored, is_covered) in [
            (head(5, 100), 60, true),
            (head(5, 99), 60, true),
            (head(4, 900), 60, true),
            (head(5, 101), 60, false),
            (head(5, 101), 50, true),
            (head(6, 0), 40, false),
        ] {
            assert_eq!(entered.covers(told, at(authored)), is_covered, "{told:?} of {authored}");
        }
    }

    /// R31: whichever way certificates of a node meet, the same comes out.
    #[test]
    fn r31_merging_is_commutative_associative_and_idempotent() {
        let mut rng = crate::rng::Rng::new(31);
        let mut some = || {
            let (generation, heartbeat) = (1 + rng.below(2) as u64, rng.below(3) as u64);
            let (entered, left) = (rng.below(5).cast_signed() as i64, rng.below(5).cast_signed() as i64);
            certificate(head(generation, heartbeat), entered, 10 + left)
        };
        for _ in 0..2_000 {
            let (a, b, c) = (some(), some(), some());
            assert_eq!(a.merged(&b), b.merged(&a));
            assert_eq!(a.merged(&b).merged(&c), a.merged(&b.merged(&c)));
            for (told, authored) in [(a.head, b.entered), (b.head, a.entered), (head(1, 9), a.entered)] {
                let either = a.covers(told, authored) || b.covers(told, authored);
                assert!(!either || a.merged(&b).covers(told, authored), "{a:?} {b:?} {told:?} {authored:?}");
            }
            assert_eq!(a.merged(&b).merged(&b), a.merged(&b));
        }
    }

    #[test]
    fn a_certificate_is_told_for_half_its_life_and_then_kept_to_its_end() {
        let (mut all, id) = (Certificates::default(), NodeId(7));
        all.hold(id, certificate(head(5, 100), 0, 40), false, at(0));
        let line = Line::certified(id, head(5, 100));
        assert!(all.lines_since(NodeId(0)).eq([line]));
        assert_eq!(line.certificate(), Some(head(5, 100)));
        assert_eq!(all.expire(at(19)), []);
        assert_eq!(all.expire(at(20)), [line]);
        assert_eq!(all.lines_since(NodeId(0)).count(), 0);
        assert_eq!((all.expire(at(39)), all.len()), (Vec::new(), 1));
        assert_eq!((all.expire(at(40)), all.len()), (Vec::new(), 0));
    }

    #[test]
    fn what_travels_keeps_its_age_and_what_is_left() {
        let told = certificate(head(5, 100), 30, 90).told(at(40));
        assert_eq!(told.heard(at(1_000)), certificate(head(5, 100), 990, 1_050));
    }
}
