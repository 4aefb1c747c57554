//! What this node knows of every node, itself included, and what that amounts to.

mod ends;
mod forgetting;
mod telling;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::acquaintances::Acquaintances;
use crate::certificate::{Certificate, Certificates};
use crate::delta::{Delta, Introduction, Span};
use crate::detector::Pulse;
use crate::endpoint::EndpointState;
use crate::endpoints::Endpoints;
use crate::interner::Interner;
use crate::liveness::Liveness;
use crate::message::Line;
use crate::name::NodeId;
use crate::recent::{self, Recent};
use crate::record::Record;
use crate::replica::{Applied, Change, Fit, Limits, Replica};
use crate::sketch::Sketch;
use crate::snapshot::Standing;
use crate::summary::Summary;
use crate::time::Moment;
use crate::version::{Generation, Head, Version};

/// Everything known of everyone.
///
/// Invariants: `summary` is the sum over `endpoints` and the certificates that are told, and so is `sketch`, once there is one;
/// `endpoints` has this node, and none that there is a certificate of; `equals` are nodes that held the
/// same as this one in the last exchange; since then nothing changed here, and no exchange found a difference; `expiries` has
/// each node of which something expires, with when the first of it does.
#[derive(Debug)]
pub(crate) struct Cluster {
    me: NodeId,
    endpoints: Endpoints,
    liveness: Liveness,
    interner: Option<Interner>,
    summary: Summary,
    sketch: Option<Sketch>,
    certificates: Certificates,
    recent: Recent,
    equals: BTreeSet<NodeId>,
    expiries: BTreeSet<(Moment, NodeId)>,
    round: u64,
    limits: Limits,
    max_nodes: usize,
}

/// What a delta brought.
#[derive(Debug)]
pub(crate) enum Learned {
    /// Nothing that was not known.
    Nothing,
    /// What it builds upon is missing here.
    Gap,
    /// It was refused: it would take more room than is allowed, or it contradicts itself.
    Refused(&'static str),
    /// A node that was not known.
    Newcomer(Vec<Change>),
    /// A new life of a known node.
    Restart(Vec<Change>),
    /// More of a known life.
    News(Vec<Change>),
    /// That a known node is to be forgotten: nothing has moved.
    Forgotten(Certificate),
}

impl Cluster {
    /// A cluster of one.
    pub(crate) fn new(me: NodeId, own: EndpointState, limits: Limits, max_nodes: usize) -> Self {
        let summary = own.summand(me);
        let endpoints = Endpoints::new(me, own);
        let (recent, equals) = (Recent::default(), BTreeSet::new());
        let (liveness, interner) = (Liveness::default(), None);
        let mut cluster = Self {
            me,
            endpoints,
            liveness,
            interner,
            summary,
            sketch: None,
            certificates: Certificates::default(),
            recent,
            equals,
            expiries: BTreeSet::new(),
            round: 0,
            limits,
            max_nodes,
        };
        cluster.touch(me, Version(0));
        cluster.await_expiry(me, Moment::NEVER, cluster.own().replica().next_expiry());
        cluster
    }

    /// The owner `id` says itself that it is at `address`: others may have said something else.
    pub(crate) fn correct_address(&mut self, id: NodeId, generation: Generation, address: SocketAddr) {
        let endpoint = self.endpoints.get(id).filter(|endpoint| endpoint.generation() == generation);
        if endpoint.is_some() {
            self.move_to(id, address);
        }
    }

    /// `id` is at `address`.
    pub(crate) fn move_to(&mut self, id: NodeId, address: SocketAddr) {
        let elsewhere = self.endpoints.get_mut(id).filter(|endpoint| endpoint.address() != address);
        if let Some(endpoint) = elsewhere {
            Arc::make_mut(&mut endpoint.record).address = address;
            self.share_record(id);
        }
    }

    /// Makes equal records one, from now on, with all who have this interner.
    pub(crate) fn share(&mut self, interner: Interner) {
        self.interner = Some(interner);
        let ids: Vec<_> = self.endpoints.ids().to_vec();
        ids.into_iter().for_each(|id| self.share_record(id));
    }

    fn share_record(&mut self, id: NodeId) {
        let Some(interner) = &self.interner else { return };
        if let Some(endpoint) = self.endpoints.get_mut(id) {
            endpoint.record = interner.share(id, Arc::clone(&endpoint.record));
        }
    }

    /// This node's id.
    pub(crate) fn me(&self) -> NodeId {
        self.me
    }

    /// This node.
    pub(crate) fn own(&self) -> &EndpointState {
        self.endpoints.own()
    }

    /// All nodes, by id.
    pub(crate) fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// One node.
    pub(crate) fn endpoint(&self, id: NodeId) -> Option<&EndpointState> {
        self.endpoints.get(id)
    }

    /// This node's life, to be changed. Nothing that the summary covers may be.
    pub(crate) fn own_mut(&mut self) -> &mut EndpointState {
        self.endpoints.own_mut()
    }

    /// What is known of a node's life, to be changed. Nothing that the summary covers may be.
    pub(crate) fn life_mut(&mut self, id: NodeId) -> Option<&mut EndpointState> {
        self.endpoints.get_mut(id)
    }

    /// What is believed of `id`; `None` if nothing was ever entered.
    pub(crate) fn standing(&self, id: NodeId) -> Option<Standing> {
        self.endpoints.get(id)?.seat.standing()
    }

    /// The nodes of that standing; this one is on no roll.
    pub(crate) fn roll(&self, standing: Standing) -> &[NodeId] {
        self.liveness.roll(standing)
    }

    /// The nodes believed to run.
    pub(crate) fn live(&self) -> &[NodeId] {
        self.roll(Standing::Live)
    }

    /// Enters a known node as `standing`. Returns whether that changed anything.
    pub(crate) fn enter(&mut self, id: NodeId, standing: Standing) -> bool {
        self.liveness.enter(&mut self.endpoints, id, standing)
    }

    /// Lets a known node be looked at when it is what `at` makes of its pulse, and not before; [`Moment::NEVER`] if nobody
    /// has to look.
    pub(crate) fn look(&mut self, id: NodeId, at: impl FnOnce(&Pulse) -> Moment) {
        self.liveness.look(&mut self.endpoints, id, at);
    }

    /// The node that has waited longest for a look, if its time has come by `now`. Nobody has to look again.
    pub(crate) fn due(&mut self, now: Moment) -> Option<NodeId> {
        self.liveness.due(&mut self.endpoints, now)
    }

    /// What all of it comes to, in a word.
    pub(crate) fn summary(&self) -> Summary {
        self.summary
    }

    /// The same as sums that tell where others differ, if they were ever needed.
    pub(crate) fn sketch(&self) -> Option<&Sketch> {
        self.sketch.as_ref()
    }

    /// Keeps a sketch of so many cells from now on. Most nodes never need one; the first time costs a look at everybody.
    pub(crate) fn keep_sketch(&mut self, cells: usize) {
        if self.sketch.is_none() {
            let lines: Vec<_> = self.lines_since(NodeId(0)).collect();
            let mut sketch = Sketch::new(cells);
            for line in &lines {
                sketch.add(line, Summary::of_line(line).unwrap_or_default());
            }
            self.sketch = Some(sketch);
        }
    }

    /// The owners that changed lately, newest first.
    pub(crate) fn recent(&self) -> &Recent {
        &self.recent
    }

    /// The round that counts how recent things are.
    pub(crate) fn round(&self) -> u64 {
        self.round
    }

    /// Begins another round: what changed long ago is no longer recent.
    pub(crate) fn begin_round(&mut self) {
        self.round += 1;
        self.recent.expire(self.round, recent::listed_for(self.endpoints.len()));
    }

    /// The line of `id` in a digest, known or not.
    pub(crate) fn line(&self, id: NodeId) -> Line {
        let known = self.endpoint(id).map(|endpoint| endpoint.line(id));
        let line = known.or_else(|| self.certificates.get(id)?.line(id));
        line.unwrap_or_else(|| Line::unknown(id))
    }

    /// Lets `id` be asked for in the next exchanges, or passed on: something about it is new.
    pub(crate) fn touch(&mut self, id: NodeId, since: Version) {
        let young = recent::young_for(self.endpoints.len());
        self.recent.touch(id, self.round, since, young);
    }

    /// Changes this node's own state by `change`.
    pub(crate) fn change_own<T>(&mut self, change: impl FnOnce(&mut Replica) -> T) -> T {
        let own = self.endpoints.own_mut();
        let (before, expiry) = (own.line(self.me), own.replica().next_expiry());
        let result = change(&mut Arc::make_mut(&mut own.record).replica);
        let next = own.replica().next_expiry();
        self.await_expiry(self.me, expiry, next);
        self.changed(&before, before.max);
        result
    }

    /// Takes what `delta` says of another node. If it is not taken, nothing has moved.
    pub(crate) fn apply(&mut self, delta: &Delta, now: Moment, mean: Duration) -> Learned {
        debug_assert!(delta.owner != self.me, "only I change what is mine");
        if let Span::Forgotten(certificate) = &delta.span {
            if certificate.name.id() != delta.owner {
                return Learned::Refused("forged");
            }
            return self.learn_of_the_forgotten(delta.owner, certificate, now);
        }
        let known = self.endpoints.get(delta.owner);
        let is_forged = |who: &Introduction| {
            who.name.id() != delta.owner || known.is_some_and(|known| *known.name() != who.name)
        };
        if delta.introduction.as_ref().is_some_and(is_forged) {
            return Learned::Refused("forged");
        }
        match (known, &delta.introduction) {
            (None, None) => Learned::Gap,
            (None, Some(who)) => self.meet(delta, who, now, mean),
            (Some(_), _) => self.learn(delta, now),
        }
    }

    /// Knows all of `with` from now on, as far as there is room, and believes that they run, with `pulse`. None of it counts
    /// as a change.
    pub(crate) fn acquaint(&mut self, with: &Acquaintances, now: Moment, pulse: &Pulse) {
        let room = self.max_nodes.saturating_sub(self.endpoints.len());
        let Self { endpoints, liveness, summary, expiries, certificates, .. } = self;
        let strangers = with
            .all()
            .iter()
            .filter(|other| !endpoints.contains(other.id) && certificates.get(other.id).is_none());
        let strangers: Vec<_> = strangers.take(room).collect();
        liveness.reserve(strangers.len());
        let met = strangers.into_iter().map(|other| {
            *summary = summary.plus(other.summand);
            let expiry = other.record.replica.next_expiry();
            expiries.extend((expiry != Moment::NEVER).then_some((expiry, other.id)));
            let seat = liveness.welcome(other.id, pulse.look_at);
            let (record, heartbeat) = (Arc::clone(&other.record), other.heartbeat);
            (other.id, EndpointState { record, heartbeat, authored: now, pulse: pulse.clone(), seat })
        });
        endpoints.extend(met);
        // So many at a time are added up when they are needed.
        self.sketch = None;
        self.equals.clear();
    }

    /// Learns of a node for the first time.
    fn meet(&mut self, delta: &Delta, who: &Introduction, now: Moment, mean: Duration) -> Learned {
        if self.endpoints.len() >= self.max_nodes && !flaw!(NodesUncounted) {
            return Learned::Refused("full");
        }
        let authored = now - who.age;
        let head = Head { generation: delta.generation, heartbeat: who.heartbeat };
        if self.is_forgotten(delta.owner, head, authored) {
            return Learned::Refused("forgotten");
        }
        let mut replica = Replica::new(delta.generation);
        // A node without a single write is known through version zero, which no delta can be above.
        let changes = match replica.apply(delta, now, self.limits) {
            Applied::Taken(changes) => changes,
            Applied::Ignored => Vec::new(),
            Applied::Gap => return Learned::Gap,
            Applied::TooLarge => return Learned::Refused("too_large"),
        };
        let expiry = replica.next_expiry();
        let record = Record { replica, address: who.address, name: who.name.clone() };
        let endpoint = EndpointState::new(record, who.heartbeat, authored, Pulse::new(authored, mean));
        let before = self.line(delta.owner);
        self.certificates.remove(delta.owner);
        self.endpoints.insert(delta.owner, endpoint);
        self.share_record(delta.owner);
        self.await_expiry(delta.owner, Moment::NEVER, expiry);
        self.changed(&before, Version(0));
        Learned::Newcomer(changes)
    }

    /// Learns more of a known node.
    fn learn(&mut self, delta: &Delta, now: Moment) -> Learned {
        let id = delta.owner;
        let endpoint = self.endpoints.get_mut(id).expect("it is known");
        // Looked at first: to change a record that others have, too, it has to be copied.
        let fit = match endpoint.replica().fit(delta) {
            Fit::Old => return Learned::Nothing,
            Fit::Gap => return Learned::Gap,
            fit @ (Fit::Replaces | Fit::Extends) => fit,
        };
        let (before, expiry) = (endpoint.line(id), endpoint.replica().next_expiry());
        let restart = delta.generation > endpoint.generation();
        let record = Arc::make_mut(&mut endpoint.record);
        // What fits is taken, if there is room for it.
        let Applied::Taken(changes) = record.replica.take(delta, fit, now, self.limits) else {
            return Learned::Refused("too_large");
        };
        let next = record.replica.next_expiry();
        if let Some(who) = delta.introduction.as_ref().filter(|_| restart) {
            record.address = who.address;
            endpoint.heartbeat = who.heartbeat;
            endpoint.authored = now - who.age;
        }
        self.share_record(id);
        self.await_expiry(id, expiry, next);
        self.changed(&before, if restart { Version(0) } else { before.max });
        if restart { Learned::Restart(changes) } else { Learned::News(changes) }
    }

    /// An owner was at `before`, and had been told up to `since`.
    fn changed(&mut self, before: &Line, since: Version) {
        if self.count_again(before) {
            self.touch(before.id, since);
        }
    }

    /// An owner was at `before`: counts it as it is now. Returns whether that is something else.
    fn count_again(&mut self, before: &Line) -> bool {
        let after = self.line(before.id);
        if *before == after {
            return false;
        }
        let (taken, added) = (Summary::of_line(before), Summary::of_line(&after));
        let or_none = Option::unwrap_or_default;
        self.summary = self.summary.minus(or_none(taken)).plus(or_none(added));
        if let Some(sketch) = self.sketch.as_mut().filter(|_| !flaw!(Unsketched)) {
            taken.into_iter().for_each(|summand| sketch.remove(before, summand));
            added.into_iter().for_each(|summand| sketch.add(&after, summand));
        }
        self.equals.clear();
        true
    }

    /// Notes whether an exchange with `id` found that both hold the same.
    pub(crate) fn compared(&mut self, id: NodeId, equal: bool) {
        if !equal {
            self.equals.clear();
        } else if self.endpoints.contains(id) {
            self.equals.insert(id);
        }
    }

    /// The nodes that held the same as this one in the last exchange, and nothing changed here since.
    pub(crate) fn equals(&self) -> &BTreeSet<NodeId> {
        &self.equals
    }
}
