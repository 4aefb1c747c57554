//! Looks at every step of a simulation whether the promises of PROTOCOL.md are kept.
//!
//! It knows better than any node: a ghost of each owner has all that this owner really wrote, in each of its
//! lives, and when it ran. What nodes hold, say and believe is compared with that after whatever happens to them.
//!
//! | | the promise | held against |
//! |---|---|---|
//! | S1 | no invention | each entry of a replica was written by its owner, in that life, under that version |
//! | S2 | growth (P2) | (generation, max) of a replica never falls, nor does the version of a key in a life |
//! | S3 | one meaning | a version of a life stands for one write |
//! | S4 | no deleted key returns (P1) | where the newest write of a key is a delete at or below max, the key is not there; in the end nothing is shown whose life is over |
//! | S5 | no node returns from the dead (D4, X1) | whoever departed is live again in a later life only; whoever was forgotten is known again with a greater head, if it ran since, or in a later life |
//! | S6 | self-authority (P4) | what a node holds of itself is what it wrote, for itself or as others asked, no more often and not before it said so; its heart beats once in a round, never back, and a life begins for a claim or a refusal that it heard |
//! | S7 | the replica's promise (P1, P3) | where the newest write of a key is at or below max, exactly that is shown, until its life is over; what was shown goes by a delete, or then |
//! | S8 | clusters keep apart | nobody knows a node of another cluster |
//! | S9 | a durable generation (G1) | where there is a disk: it is saved before it is told, above all that were told, and no acknowledged write is lost |
//! | S10 | totality | nothing panics, and no step goes on without end |
//! | S11 | true events | whoever is told a state and then the events has what a look would show; nothing is told twice; versions rise; lives and deaths alternate; so do answers to requests tell what is so |
//! | L1 | convergence | in the calm, all that run are equal within R = 3 (log2 N + ln N) intervals, and twenty seconds where something takes a stream |
//! | L2 | islands merge | and know each other |
//! | L3 | refutation | and believe each other live |
//! | L4 | no starvation | while somebody writes much, what another one writes once is everywhere within R; by push or pull alone, within 2 R |
//! | L5 | no garbage | what was kept against nodes, what is told of the recent, and streams are gone at the end of the calm |
//! | F1 | completeness (D1) | in the calm, whoever is down is convicted by all, no later than silence does it, and three spacings of heads |
//! | F2 | accuracy | nobody is convicted who has run for twelve intervals, where nothing but some loss happens; nobody is forgotten who is taken for live |
//! | F3 | a local pause (D3) | whoever slept for two intervals convicts nobody for two more |
//! | F4 | no flapping | over a link that fails one way, nobody is convicted more than twice in sixty intervals |
//! | F5 | evidence | a convicted node is live again only with a newer head, its own word, or its answer to somebody; no head is ahead of its owner |
//! | B1 | memory | no more nodes are known, and no more bytes of each, than configured; what is kept of the recent is no more than the nodes |
//! | B2 | size | no datagram is larger than configured, no frame than its bound |
//! | B3 | rate | a node begins in an interval what two rounds do at most, and so many besides; in the calm what its rounds do |
//! | B5 | queues | each is within its bound, and exchanges end in ten intervals; after a node said all, nothing waits to be polled |
//!
//! F1 takes the mean, the lag and the threshold as the node itself has them. With neighbours, R grows with the diameter.

mod calm;
mod claims;
mod copies;
mod ghost;
mod lives;
mod loads;
mod picture;
mod requests;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tidings_core::{Head, Key, Lifetime, Moment, NodeId, NodeName, Value, Version};

use crate::node::{Place, SimNode};
pub(crate) use calm::{Load, rounds};
use copies::Seen;
use ghost::Ghost;

/// A promise. See the module's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // The table above says what each is.
#[rustfmt::skip]
pub enum Promise { S1, S2, S3, S4, S5, S6, S7, S8, S9, S10, S11, L1, L2, L3, L4, L5, F1, F2, F3, F4, F5, B1, B2, B3, B5 }

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub promise: Promise,
    /// When, since the beginning.
    pub at: Duration,
    /// At which node, if it is at one.
    pub place: Option<Place>,
    /// What was found.
    pub what: String,
}

/// What can be expected in a world, given what befalls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Expectation {
    /// Nothing happens that could get a node convicted that runs.
    pub no_false_conviction: bool,
    /// Nothing but links that fail one way.
    pub no_flapping: bool,
}

/// What is written, and for how long: `None` deletes.
pub(crate) type Write = (Vec<(Key, Option<Value>)>, Lifetime);

/// Looks at every step.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    ghosts: BTreeMap<NodeId, Ghost>,
    /// The ids of names: each is a hash.
    ids: BTreeMap<NodeName, NodeId>,
    views: Vec<View>,
    expectation: Expectation,
    /// While somebody writes much: what the others write must be everywhere soon.
    load: Option<Load>,
    urgent: BTreeMap<(NodeId, Version), calm::Urgent>,
    /// The longest that a node stood still: as late may messages be that came for it meanwhile.
    longest_sleep: Duration,
    /// When a node came to believe something else of another one last.
    believed_at: Option<Moment>,
    broken: Option<Broken>,
    coverage: BTreeMap<&'static str, u64>,
}

/// What a node is known to have shown so far, by its place.
#[derive(Debug, Default)]
struct View {
    me: Option<NodeId>,
    /// Of which of its lives its own state was looked at last, and up to which version.
    own: Option<Head>,
    own_max: Version,
    /// Whether its own state is to be looked at.
    own_touched: bool,
    interval: Duration,
    seen: BTreeMap<NodeId, Seen>,
    /// Whom it forgot, and remembers that it did.
    forgotten: Vec<NodeId>,
    /// Of whom something was heard since it was looked at.
    touched: Vec<NodeId>,
    /// Until when it convicts nobody, since it slept.
    holds_until: Option<Moment>,
    paused_at: Option<Moment>,
    /// When it was paused or slow last.
    slept_at: Option<Moment>,
    rate: loads::Rate,
    claims: claims::Claims,
    asked: requests::Asked,
    /// The highest generation that it ever told, if it has a disk.
    told: tidings_core::Generation,
    /// Whether what it had on disk was lost since it ran.
    lost_disk: bool,
    is_leaving: bool,
}

impl Checker {
    pub(crate) fn new(expectation: Expectation) -> Self {
        Self { expectation, ..Self::default() }
    }

    /// The first promise that was broken.
    pub(crate) fn broken(&self) -> Option<&Broken> {
        self.broken.as_ref()
    }

    /// How often things happened that are not counted elsewhere.
    pub(crate) fn coverage(&self) -> &BTreeMap<&'static str, u64> {
        &self.coverage
    }

    fn count(&mut self, what: &'static str) {
        *self.coverage.entry(what).or_default() += 1;
    }

    /// Puts down that `promise` was broken, if it is the first one.
    pub(crate) fn break_promise(
        &mut self,
        promise: Promise,
        now: Moment,
        place: impl Into<Option<Place>>,
        what: fmt::Arguments<'_>,
    ) {
        if self.broken.is_none() {
            let (at, place, what) = (now.since(Moment::default()), place.into(), what.to_string());
            self.broken = Some(Broken { promise, at, place, what });
        }
    }

    fn view(&mut self, place: Place) -> &mut View {
        if self.views.len() <= place.0 {
            self.views.resize_with(place.0 + 1, View::default);
        }
        &mut self.views[place.0]
    }

    /// A node was told something, and has said all that it had to say.
    pub(crate) fn look(&mut self, now: Moment, place: Place, node: &SimNode) {
        let Some(core) = &node.core else { return };
        self.look_at_own(now, node.moment(now), place, core);
        self.look_at_the_forgotten(now, place, node, core);
        let touched = std::mem::take(&mut self.view(place).touched);
        for &id in &touched {
            self.look_at_copy(now, place, core, id);
        }
        let view = self.view(place);
        view.touched = touched;
        view.touched.clear();
        self.look_at_load(now, place, node, core);
    }

    /// How a node is called in a report.
    fn name(&self, id: NodeId) -> String {
        self.ghosts.get(&id).map_or_else(|| format!("{id:?}"), |ghost| ghost.name.to_string())
    }

    /// Looks at all that a node holds, whether it was touched or not.
    pub(crate) fn look_at_all(&mut self, now: Moment, place: Place, node: &SimNode) {
        let Some(core) = &node.core else { return };
        self.view(place).own_touched = true;
        self.look_at_own(now, node.moment(now), place, core);
        self.look_at_picture(now, place, node, core);
        for &id in core.ids() {
            self.look_at_copy(now, place, core, id);
            self.look_for_the_undying(now, place, core, id);
        }
    }
}
