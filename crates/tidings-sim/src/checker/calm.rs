//! What must come true once nothing goes wrong any more: L1 to L5, F1, B3.

use std::collections::BTreeSet;
use std::time::Duration;

use tidings_core::{Entry, Generation, Mode, Moment, NodeId, Standing, Value, Version};

use super::loads::Most;
use super::{Checker, Promise};
use crate::node::Place;
use crate::simulation::Simulation;

/// Somebody writes much.
#[derive(Debug)]
pub(crate) struct Load {
    /// Within what time all of `places` must have what one of `light` writes.
    pub span: Duration,
    pub places: BTreeSet<Place>,
    pub light: BTreeSet<NodeId>,
}

/// A write that must be everywhere by `deadline`.
#[derive(Debug)]
pub(super) struct Urgent {
    deadline: Moment,
    missing: BTreeSet<Place>,
}

/// For how many intervals the calm lasts once all has come true: evidence is kept for ten after the last attempt, and what is
/// recent for twice as long as news spreads.
const SETTLING: u32 = 60;
/// For how many at most, where nodes go on to convict and to forget each other.
const LONGEST_SETTLING: u32 = 10 * SETTLING;
/// For how long a stream may be silent that was under way when the chaos ended, and what was fetched in vain is left alone.
const STREAMS: Duration = Duration::from_secs(20);
/// For how long a node may wait that hears others claim a later life of it, having refuted them twice (G2).
const REFUTATION: Duration = Duration::from_secs(40);
/// How many intervals it may take at most until silence convicts.
const SILENCE: u32 = 1_000;
/// How many intervals a start may take beside, with the search for another process of the name, where a node starts as the
/// chaos ends.
const START: u32 = 12;

/// R(n): within how many intervals all that run are equal: three times what an epidemic takes, log2 n + ln n.
pub(crate) fn rounds(nodes: usize) -> u32 {
    let n = f64::from(u32::try_from(nodes.max(2)).unwrap_or(u32::MAX));
    // Rounded up to a whole number from a table of exact powers: no library decides.
    let (mut log2, mut ln, mut power) = (0_u32, 0_u32, 1.0);
    while power < n {
        power *= 2.0;
        log2 += 1;
    }
    power = 1.0;
    while power < n {
        power *= std::f64::consts::E;
        ln += 1;
    }
    3 * (log2 + ln)
}

/// How many whole intervals `span` has.
fn intervals(span: Duration, interval: Duration) -> u32 {
    u32::try_from(span.as_millis() / interval.as_millis().max(1)).unwrap_or(0)
}

impl Checker {
    /// From now on somebody writes much; or no longer.
    pub(crate) fn expect_load(&mut self, load: Option<Load>) {
        self.load = load;
    }

    /// `owner` wrote something: if it is one of those who write little, it must be everywhere soon.
    pub(super) fn expect_soon(&mut self, now: Moment, owner: NodeId, version: Version) {
        if let Some(load) = self.load.as_ref().filter(|load| load.light.contains(&owner)) {
            let urgent = Urgent { deadline: now + load.span, missing: load.places.clone() };
            self.urgent.insert((owner, version), urgent);
        }
    }

    /// A node holds what `owner` wrote up to `version`.
    pub(super) fn arrived(&mut self, place: Place, owner: NodeId, version: Version) {
        if !self.urgent.is_empty() {
            for (_, urgent) in self.urgent.range_mut((owner, Version(0))..=(owner, version)) {
                urgent.missing.remove(&place);
            }
        }
    }

    /// Whoever ended need not have anything.
    pub(super) fn expect_no_more_of(&mut self, place: Place) {
        if let Some(load) = &mut self.load {
            load.places.remove(&place);
        }
        for urgent in self.urgent.values_mut() {
            urgent.missing.remove(&place);
        }
    }

    pub(super) fn look_at_urgent(&mut self, now: Moment) {
        self.urgent.retain(|_, urgent| !urgent.missing.is_empty());
        let overdue = self.urgent.iter().find(|(_, urgent)| urgent.deadline < now);
        if let Some((&(owner, version), urgent)) = overdue {
            let (name, place) = (self.name(owner), urgent.missing.first().copied());
            let what = format_args!("still lacks version {version} of {name}, which writes little");
            self.break_promise(Promise::L4, now, place, what);
        }
    }
}

impl Simulation {
    /// Nothing goes wrong any more: lets time pass, and looks whether all comes true. `down` are the names of nodes that do
    /// not run, and `slowness` says how much longer news takes than where everybody knows everybody.
    pub(crate) fn calm(&mut self, down: &BTreeSet<NodeId>, slowness: u32) {
        let running = self.running();
        let Some(&first) = running.first() else { return };
        let config = &self.nodes[first.0].config;
        let interval = config.interval;
        self.look_at_pictures();
        let (of_streams, of_refutation) = (intervals(STREAMS, interval), intervals(REFUTATION, interval));
        let start = if running.iter().all(|&place| self.core(place).has_begun()) { 0 } else { START };
        let least = rounds(running.len()) * slowness + 4 + start;
        let least = least + self.backlog() * slowness;
        let mut waited = 0;
        while let Some((promise, place, what)) = self.not_yet_true() {
            // Only a stream, or what takes its place, is waited for longer, and whoever has to refute.
            let mut limit = least;
            limit += if self.counts.streams + self.counts.pieces > 0 { of_streams } else { 0 };
            let has_claims = self.checker.as_ref().is_some_and(|checker| checker.has_claims());
            limit += if has_claims { of_refutation } else { 0 };
            if waited >= limit {
                let what = format_args!("{what}, after {waited} calm intervals");
                return self.break_promise(promise, place, what);
            }
            self.run(interval);
            self.end_the_superfluous();
            waited += 1;
        }
        self.await_silence(down, interval);
        let settled = self.settle(down, interval);
        self.look_at_the_end(settled);
    }

    /// Lets time pass until nobody takes one of `down` for live: where nobody is asked for an answer, silence alone convicts, and
    /// that may take long.
    fn await_silence(&mut self, down: &BTreeSet<NodeId>, interval: Duration) {
        for _ in 0..SILENCE {
            if !self.running().iter().any(|&place| self.takes_for_live(place, down)) {
                return;
            }
            self.run(interval);
            self.look_at_the_dead(down, interval);
        }
        self.break_promise(Promise::F1, None, format_args!("somebody takes for live who is down"));
    }

    /// Lets as many calm intervals pass as it takes until all is gone that is kept for a while. Silence convicts when it is long
    /// enough, and who is gone for long is forgotten: they begin anew then. Returns how many passed since.
    fn settle(&mut self, down: &BTreeSet<NodeId>, interval: Duration) -> u32 {
        let enough = SETTLING.max(intervals(STREAMS, interval) + 1);
        let mut settled = 0;
        for _ in 0..LONGEST_SETTLING {
            if let Some(checker) = self.checker.as_mut().filter(|_| settled == 0) {
                checker.forget_rates();
            }
            self.run(interval);
            self.look_at_the_dead(down, interval);
            settled = if self.believed_since(interval) { 0 } else { settled + 1 };
            if settled == enough {
                return settled;
            }
        }
        self.break_promise(
            Promise::L3,
            None,
            format_args!("some go on to believe else of others in the calm"),
        );
        settled
    }

    /// All that run, and did not give way to another one of their name.
    fn running(&self) -> Vec<Place> {
        self.places().into_iter().filter(|&place| self.is_up(place)).collect()
    }

    /// Ends those that gave way to another one of their name, as their processes would.
    pub(crate) fn end_the_superfluous(&mut self) {
        for place in self.running() {
            let gives_way = self.core(place).conflict().is_some();
            if gives_way || self.core(place).has_left() {
                self.crash(place);
                self.nodes[place.0].has_given_way = gives_way;
            }
        }
    }

    fn break_promise(
        &mut self,
        promise: Promise,
        place: impl Into<Option<Place>>,
        what: std::fmt::Arguments<'_>,
    ) {
        let now = self.now;
        if let Some(checker) = &mut self.checker {
            checker.break_promise(promise, now, place, what);
        }
    }

    /// What should come true, and is not: that all that run know each other (L2), believe each other live (L3), and hold all
    /// that each of them has (L1).
    fn not_yet_true(&self) -> Option<(Promise, Place, String)> {
        let running = self.running();
        for &place in &running {
            let core = self.core(place);
            if !core.has_begun() {
                return Some((Promise::L2, place, "has not begun".to_owned()));
            }
            for &other in running.iter().filter(|&&other| self.name(other) != self.name(place)) {
                let name = self.name(other);
                match core.standing(self.id(other)) {
                    Some(Standing::Live) => {}
                    None => return Some((Promise::L2, place, format!("does not know {name}"))),
                    Some(standing) => {
                        return Some((Promise::L3, place, format!("takes {name} for {standing}")));
                    }
                }
            }
        }
        running.iter().find_map(|&place| {
            let differs = |&&owner: &&Place| self.copy_at(place, owner) != self.copy_at(owner, owner);
            let owner = *running.iter().find(differs)?;
            let (held, own) = (self.copy_at(place, owner)?, self.copy_at(owner, owner)?);
            let name = self.name(owner);
            let what = format!("holds {}/{} of {name}, which is at {}/{}", held.0, held.1, own.0, own.1);
            Some((Promise::L1, place, what))
        })
    }

    /// How many datagrams carry what the one that lacks most has to be told, where nothing else carries it: by push alone.
    fn backlog(&self) -> u32 {
        let running = self.running();
        let lacks = |place: Place, owner: Place| {
            let held =
                self.core(place).replica(self.id(owner)).map(|held| (held.generation(), held.max_version()));
            let Some(own) = self.core(owner).replica(self.id(owner)) else { return 0 };
            let later = |entry: &Entry| held.is_none_or(|held| held < (own.generation(), entry.version));
            let later = own.entries().filter(|(_, entry)| later(entry));
            let len = |value: &Option<Value>| value.as_ref().map_or(0, |value| value.as_bytes().len());
            later.map(|(key, entry)| key.as_str().len() + len(&entry.value)).sum::<usize>()
        };
        let lacks_most = running
            .iter()
            .map(|&place| running.iter().map(|&owner| lacks(place, owner)).sum::<usize>())
            .max();
        let config = &self.nodes[running[0].0].config;
        let datagrams = lacks_most.unwrap_or(0) / config.datagram;
        if config.mode == Mode::Push { u32::try_from(datagrams).unwrap_or(u32::MAX) } else { 0 }
    }

    /// How far a node has come in the state of another one, or in its own.
    fn copy_at(&self, place: Place, owner: Place) -> Option<(Generation, Version)> {
        let replica = self.core(place).replica(self.id(owner))?;
        Some((replica.generation(), replica.max_version()))
    }

    /// F1: nobody takes a node for live any more that is down.
    fn look_at_the_dead(&mut self, down: &BTreeSet<NodeId>, interval: Duration) {
        for place in self.running() {
            let node = &self.nodes[place.0];
            let Some(core) = &node.core else { continue };
            let now = node.moment(self.now);
            let overdue = |id: &&NodeId| {
                core.standing(**id) == Some(Standing::Live)
                    && core.silent_until(**id).is_some_and(|at| at + 3 * interval < now)
            };
            if let Some(&id) = down.iter().find(overdue) {
                let name = self.checker.as_ref().map(|checker| checker.name(id)).unwrap_or_default();
                self.break_promise(Promise::F1, place, format_args!("takes {name} for live, which is down"));
            }
        }
    }

    /// Whether anybody came to believe something else of another node in the last `interval`.
    fn believed_since(&self, interval: Duration) -> bool {
        self.checker
            .as_ref()
            .and_then(|checker| checker.believed_at)
            .is_some_and(|at| at + interval > self.now)
    }

    /// Whether a node takes one of `down` for live.
    fn takes_for_live(&self, place: Place, down: &BTreeSet<NodeId>) -> bool {
        down.iter().any(|&id| self.core(place).standing(id) == Some(Standing::Live))
    }

    /// S11, of all that run.
    fn look_at_pictures(&mut self) {
        let (now, running) = (self.now, self.running());
        let Some(checker) = &mut self.checker else { return };
        for place in running {
            let node = &self.nodes[place.0];
            if let Some(core) = &node.core {
                checker.look_at_picture(now, place, node, core);
            }
        }
    }

    fn look_at_the_end(&mut self, settled: u32) {
        if let Some((promise, place, what)) = self.not_yet_true() {
            self.break_promise(promise, place, format_args!("{what} at the end of the calm"));
        }
        for place in self.running() {
            let node = &self.nodes[place.0];
            let Some(core) = &node.core else { continue };
            let load = core.load(node.moment(self.now));
            // Certificates end at times of their own, and come again from those who entered them later.
            let recent = load.recent.saturating_sub(load.certificates);
            let soft = load.accused + load.acquitted + recent + load.requests;
            let soft = soft + load.fetching + load.serving;
            let most = Most::of(&node.config).in_calm(settled);
            if soft > 0 {
                self.break_promise(Promise::L5, place, format_args!("keeps {load:?} after the calm"));
            }
            let now = self.now;
            if let Some(checker) = &mut self.checker {
                checker.look_at_rate(now, place, most);
                checker.look_at_all(now, place, &self.nodes[place.0]);
            }
        }
    }
}
