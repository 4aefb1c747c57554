//! What is hot: owners whose news this node still has to spread, and those whose news it was offered and waits for.
//!
//! Rumors are for speed alone. Whatever is lost of all this, or dropped because there is too much of it, anti-entropy
//! finds.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use crate::config::Config;
use crate::message::Line;
use crate::name::NodeId;
use crate::time::Moment;
use crate::version::Version;

/// How many owners are hot at most, and how many are waited for.
const MOST: usize = 1_024;
/// How many nodes are remembered to have what is hot.
const KNOWERS: usize = 16;
/// How many nodes are remembered that offered what is waited for.
const OFFERERS: usize = 4;
/// How much of a second's budget may be spent at once.
const BURST: Duration = Duration::from_millis(250);

/// The rumors of one node.
///
/// Invariant: `turns` are those of `wanted`, each under its `next`.
#[derive(Debug)]
pub(crate) struct Rumors {
    hot: BTreeMap<NodeId, Hot>,
    wanted: BTreeMap<NodeId, Wanted>,
    turns: BTreeSet<(Moment, NodeId)>,
    /// When something was told last, and when what is hot is told next.
    pub told: Moment,
    pub due: Moment,
    /// What rumors may take, and what requests and answers may.
    offers: Budget,
    answers: Budget,
}

/// An owner whose news has to be spread.
#[derive(Debug, Clone)]
pub(crate) struct Hot {
    /// Where those are who have not heard of it, most likely: its `max_version` before, or zero if it was unknown.
    pub since: Version,
    /// When it became hot.
    pub born: Moment,
    /// Some who have it already.
    pub knowers: Vec<NodeId>,
    /// How often it was told, and how many of those it was told to at random had it.
    pub pushes: u32,
    pub misses: u32,
}

/// An owner whose news somebody offered.
#[derive(Debug, Clone)]
struct Wanted {
    /// How far the best offer goes.
    target: Line,
    /// Who offered it; the first is asked next.
    offerers: Vec<Offerer>,
    /// How often somebody was asked, and when the next one is.
    asks: u32,
    next: Moment,
}

/// Somebody who offered something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Offerer {
    pub address: SocketAddr,
    /// The number of its offer: in the request it shows that this node is where it says.
    pub number: u32,
    /// Whether it is where it says: whoever has not shown that is asked once.
    pub is_there: bool,
}

impl Rumors {
    pub(crate) fn new(config: &Config) -> Self {
        let budget = || Budget::new(config.rumor_datagrams, config.rumor_bytes);
        Self {
            hot: BTreeMap::new(),
            wanted: BTreeMap::new(),
            turns: BTreeSet::new(),
            told: Moment::default(),
            due: Moment::NEVER,
            offers: budget(),
            answers: budget(),
        }
    }

    /// There is news of `id`, from version `since` on, to be told by `due`; `from` has it.
    pub(crate) fn heat(
        &mut self,
        id: NodeId,
        since: Version,
        from: Option<NodeId>,
        (now, due): (Moment, Moment),
    ) {
        if self.hot.len() >= MOST && !self.hot.contains_key(&id) {
            return;
        }
        // What was told before is told.
        self.due = if self.hot.is_empty() { due } else { self.due.min(due) };
        let new = || Hot { since, born: now, knowers: Vec::new(), pushes: 0, misses: 0 };
        let hot = self.hot.entry(id).or_insert_with(new);
        hot.since = hot.since.min(since);
        (hot.pushes, hot.misses) = (0, 0);
        hot.knowers.clear();
        hot.knowers.extend(from);
    }

    /// `who` has as much of `id` as this node does. Returns the owner, if it is hot.
    pub(crate) fn knows(&mut self, id: NodeId, who: NodeId) -> Option<&mut Hot> {
        let hot = self.hot.get_mut(&id)?;
        if hot.knowers.len() < KNOWERS && !hot.knowers.contains(&who) {
            hot.knowers.push(who);
        }
        Some(hot)
    }

    /// What is hot.
    pub(crate) fn hot(&self) -> &BTreeMap<NodeId, Hot> {
        &self.hot
    }

    /// What is hot, to be changed.
    pub(crate) fn hot_mut(&mut self, id: NodeId) -> Option<&mut Hot> {
        self.hot.get_mut(&id)
    }

    /// `id` was told of, or it is too late for that.
    pub(crate) fn cool(&mut self, id: NodeId) {
        self.hot.remove(&id);
    }

    /// Drops what became hot before `then`: by now anti-entropy spreads it.
    pub(crate) fn expire(&mut self, then: Moment) {
        self.hot.retain(|_, hot| hot.born >= then);
    }

    /// Somebody offers `line`, of which this node has less. Returns whether it is to be asked now: if nobody else was, of
    /// late. Whoever is asked next is asked at `next`.
    pub(crate) fn want(&mut self, line: &Line, from: Offerer, next: Moment) -> bool {
        if let Some(wanted) = self.wanted.get_mut(&line.id) {
            if wanted.target.known() < line.known() {
                wanted.target = *line;
                wanted.offerers.clear();
            }
            if wanted.offerers.len() < OFFERERS && !wanted.offerers.iter().any(|o| o.address == from.address)
            {
                wanted.offerers.push(from);
            }
            return false;
        }
        if self.wanted.len() >= MOST {
            return false;
        }
        self.wanted.insert(line.id, Wanted { target: *line, offerers: vec![from], asks: 1, next });
        self.turns.insert((next, line.id));
        true
    }

    /// Whether news of `id` is waited for.
    pub(crate) fn is_wanted(&self, id: NodeId) -> bool {
        self.wanted.contains_key(&id)
    }

    /// This node is at `line` now. If that is less than was offered, the rest is asked for at `next`.
    pub(crate) fn learned(&mut self, line: &Line, next: Moment) {
        let Some(wanted) = self.wanted.get_mut(&line.id) else { return };
        if wanted.target.known() <= line.known() {
            self.forget(line.id);
        } else {
            self.turns.remove(&(wanted.next, line.id));
            self.turns.insert((next, line.id));
            wanted.next = next;
        }
    }

    /// The owners to be asked for by `now`, and whom to ask, in turn; each is asked for again after `wait`, and a quarter more
    /// every time. Those that were asked for `most` times are given up, and their lines returned.
    pub(crate) fn asks(
        &mut self,
        now: Moment,
        wait: Duration,
        most: u32,
    ) -> (BTreeMap<Offerer, Vec<NodeId>>, Vec<Line>) {
        let mut due = Vec::new();
        while self.turns.first().is_some_and(|(next, _)| *next <= now) {
            due.extend(self.turns.pop_first().map(|(_, id)| id));
        }
        due.sort_unstable();
        let (mut asks, mut given_up) = (BTreeMap::<Offerer, Vec<NodeId>>::new(), Vec::new());
        for id in due {
            let Some(wanted) = self.wanted.get_mut(&id) else { continue };
            wanted.offerers.retain(|offerer| offerer.is_there);
            if wanted.asks >= most || wanted.offerers.is_empty() {
                given_up.push(wanted.target);
                self.wanted.remove(&id);
                continue;
            }
            wanted.offerers.rotate_left(1);
            asks.entry(wanted.offerers[0]).or_default().push(id);
            wanted.next = now + wait + wait * wanted.asks / 4;
            self.turns.insert((wanted.next, id));
            wanted.asks += 1;
        }
        (asks, given_up)
    }

    /// When something is to be done.
    pub(crate) fn next_due(&self) -> Moment {
        let due = if self.hot.is_empty() { Moment::NEVER } else { self.due };
        self.turns.first().map_or(due, |(next, _)| due.min(*next))
    }

    /// How many are hot, and how many are waited for.
    pub(crate) fn len(&self) -> (usize, usize) {
        (self.hot.len(), self.wanted.len())
    }

    /// What rumors may take.
    pub(crate) fn offers(&mut self) -> &mut Budget {
        &mut self.offers
    }

    /// What requests and answers may take.
    pub(crate) fn answers(&mut self) -> &mut Budget {
        &mut self.answers
    }

    /// `id` is waited for no longer: it comes another way, or is not taken.
    pub(crate) fn forget(&mut self, id: NodeId) {
        if let Some(wanted) = self.wanted.remove(&id) {
            self.turns.remove(&(wanted.next, id));
        }
    }

    /// This node was asleep for `span`.
    pub(crate) fn extend(&mut self, span: Duration) {
        self.hot.values_mut().for_each(|hot| hot.born = hot.born + span);
    }
}

/// How many datagrams, and how many bytes, may be sent in a second: each takes its time, and a quarter of a second may be
/// taken in advance.
#[derive(Debug)]
pub(crate) struct Budget {
    of_datagram: Duration,
    of_byte: Duration,
    /// Until when all time is taken.
    taken: Moment,
}

impl Budget {
    fn new(datagrams: u32, bytes: u32) -> Self {
        let part = |count: u32| Duration::from_secs(1) / count.max(1);
        Self { of_datagram: part(datagrams), of_byte: part(bytes), taken: Moment::default() }
    }

    /// When something may be offered again.
    pub(crate) fn free_at(&self) -> Moment {
        self.taken - BURST
    }

    /// Whether a datagram of `len` bytes may be sent at `now`; it counts as sent then.
    pub(crate) fn pays(&mut self, now: Moment, len: usize) -> bool {
        let is_free = self.free_at() <= now;
        if is_free {
            self.spend(now, len);
        }
        is_free
    }

    /// A datagram of `len` bytes is sent at `now`.
    pub(crate) fn spend(&mut self, now: Moment, len: usize) {
        let bytes = u32::try_from(len).unwrap_or(u32::MAX);
        if flaw!(Spendthrift) {
            return;
        }
        let taken = self.taken.max(now) + self.of_datagram.max(self.of_byte * bytes);
        // Alarms do not ask, and must not silence all else for long.
        self.taken = taken.min(now + 4 * BURST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::Generation;

    const WAIT: Duration = Duration::from_millis(15);

    fn rumors() -> Rumors {
        Rumors::new(&Config { rumor_datagrams: 100, rumor_bytes: 50_000, ..Config::new("test") })
    }

    fn offerer(port: u16) -> Offerer {
        Offerer { address: ([10, 0, 0, 1], port).into(), number: port.into(), is_there: true }
    }

    fn line(max: u64) -> Line {
        Line { id: NodeId(1), generation: Generation(1), max: Version(max) }
    }

    fn at(millis: u64) -> Moment {
        Moment::default() + Duration::from_millis(millis)
    }

    #[test]
    fn those_who_offer_are_asked_in_turn_until_it_is_given_up() {
        let mut rumors = rumors();
        assert!(rumors.want(&line(2), offerer(1), at(15)));
        assert!(!rumors.want(&line(2), offerer(2), at(16)));
        assert!(rumors.asks(at(14), WAIT, 3).0.is_empty());
        for (now, asked) in [(15, 2), (34, 1)] {
            let (asks, given_up) = rumors.asks(at(now), WAIT, 3);
            assert_eq!(asks, BTreeMap::from([(offerer(asked), vec![NodeId(1)])]));
            assert!(given_up.is_empty());
        }
        assert_eq!(rumors.asks(at(57), WAIT, 3), (BTreeMap::new(), vec![line(2)]));
        assert_eq!(rumors.next_due(), Moment::NEVER);
    }

    #[test]
    fn what_came_is_waited_for_no_longer_and_the_rest_of_it_is_asked_for() {
        let mut rumors = rumors();
        rumors.want(&line(5), offerer(1), at(15));
        rumors.learned(&line(4), at(7));
        assert_eq!(rumors.next_due(), at(7));
        rumors.learned(&line(5), at(8));
        assert!(!rumors.is_wanted(NodeId(1)));
        assert_eq!(rumors.next_due(), Moment::NEVER);
    }

    #[test]
    fn a_second_has_room_for_so_many_datagrams_and_so_many_bytes() {
        for (len, count) in [(1, 100), (1_000, 50)] {
            let mut budget = rumors().offers;
            let mut sent = 0;
            for now in 0..4_000 {
                while budget.free_at() <= at(now) {
                    budget.spend(at(now), len);
                    sent += 1;
                }
            }
            let in_advance = count / 4 + 1;
            assert!((4 * count..=4 * count + in_advance).contains(&sent), "{sent} of {len} bytes");
        }
    }

    #[test]
    fn everything_is_bounded() {
        let mut rumors = rumors();
        for id in 0..10_000 {
            rumors.heat(NodeId(id), Version(0), None, (at(0), at(0)));
            rumors.want(&Line { id: NodeId(id), ..line(1) }, offerer(1), at(1));
            rumors.knows(NodeId(1), NodeId(id));
        }
        assert_eq!(rumors.len(), (MOST, MOST));
        assert_eq!(rumors.hot[&NodeId(1)].knowers.len(), KNOWERS);
    }
}
