//! Forgetting nodes: by command, when they have been gone for long, or because others did; and not being forgotten.

use std::borrow::Cow;
use std::time::Duration;

use super::Gossiper;
use super::help::CONVICTED;
use crate::bounds;
use crate::certificate::Certificate;
use crate::contacts::Astray;
use crate::delta::{Delta, Span};
use crate::event::EventKind;
use crate::message::{Evidence, Line};
use crate::name::{NodeId, NodeName};
use crate::snapshot::{Forgotten, Standing};
use crate::time::{Moment, Time};
use crate::version::{Head, Heartbeat};

/// What [`Gossiper::remove`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// What was believed of the node; `None` if it was forgotten before.
    pub was: Option<Standing>,
    /// For how long nothing newer had been heard of it.
    pub quiet: Duration,
    /// How many of its keys are not shared any more.
    pub keys: usize,
    /// For how long it is remembered that the node was forgotten.
    pub remembered_for: Duration,
}

/// Why a node is not removed. Nothing has moved then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoveError {
    /// No node of that name is known.
    #[error("no node named {node} is known here")]
    Unknown {
        /// The name.
        node: NodeName,
    },
    /// It is the node that was asked.
    #[error("{node} is the node that was asked: to take it out of the cluster, let it leave")]
    Myself {
        /// The name.
        node: NodeName,
    },
    /// The node runs, as far as is known here, and would refute it.
    #[error("{node} is live, and would be back at once: stop it, or let it leave")]
    Live {
        /// The name.
        node: NodeName,
    },
}

impl Gossiper {
    /// Forgets a node that does not run any more, here and, as that spreads, everywhere. Should it run all the same, it says so,
    /// and is known again.
    ///
    /// # Errors
    /// The node is live, is this one, or is not known. Nothing has moved then.
    pub fn remove(&mut self, now: Time, name: &NodeName) -> Result<Removed, RemoveError> {
        self.notice_pause(now);
        self.expire(now);
        let (id, node) = (name.id(), name.clone());
        if id == self.cluster.me() {
            return Err(RemoveError::Myself { node });
        }
        if let Some(held) = self.cluster.certificates().get(id) {
            let Certificate { entered, until, .. } = held.certificate;
            let (quiet, remembered_for) = (now.moment.since(entered), until.since(now.moment));
            return Ok(Removed { was: None, quiet, keys: 0, remembered_for });
        }
        let Some(member) = self.member(id, now.moment) else { return Err(RemoveError::Unknown { node }) };
        if member.standing == Standing::Live {
            return Err(RemoveError::Live { node });
        }
        let quiet =
            self.cluster.endpoint(id).map_or(Duration::ZERO, |known| now.moment.since(known.authored));
        let Some(certificate) = self.certificate_of(id, now.moment) else {
            return Err(RemoveError::Unknown { node });
        };
        self.forget(now, id, certificate);
        let remembered_for = self.remembered_for();
        Ok(Removed { was: Some(member.standing), quiet, keys: member.keys, remembered_for })
    }

    /// Forgets who has been gone for long.
    pub(super) fn forget_the_long_gone(&mut self, now: Time) {
        // Whoever slept hears first what happened meanwhile.
        if now.moment < self.clock.hold_until {
            return;
        }
        for id in self.long_gone(now.moment) {
            if let Some(certificate) = self.certificate_of(id, now.moment) {
                self.forget(now, id, certificate);
            }
        }
    }

    fn long_gone(&self, now: Moment) -> Vec<NodeId> {
        let gone = [Standing::Unreachable, Standing::Departed].map(|standing| self.cluster.roll(standing));
        let is_over = |id: &NodeId| self.forgotten_in(*id, now).is_some_and(|left| left.is_zero());
        gone.concat().into_iter().filter(is_over).collect()
    }

    /// How long it takes until `id` is forgotten, if nothing is heard of it; `None` if it is live, or not known.
    pub(super) fn forgotten_in(&self, id: NodeId, now: Moment) -> Option<Duration> {
        let endpoint = self.cluster.endpoint(id)?;
        let is_gone = matches!(endpoint.seat.standing(), Some(Standing::Unreachable | Standing::Departed));
        is_gone.then(|| self.config.forgets_after().saturating_sub(now.since(endpoint.authored)))
    }

    /// How long a certificate lasts: stale peers have had to forget the node by themselves before it ends.
    fn remembered_for(&self) -> Duration {
        2 * self.config.forgets_after()
    }

    fn certificate_of(&self, id: NodeId, now: Moment) -> Option<Certificate> {
        let endpoint = self.cluster.endpoint(id)?;
        let (name, mut head) = (endpoint.name().clone(), endpoint.head());
        if endpoint.has_departed() {
            head.heartbeat = Line::HIGHEST;
        }
        let head = if flaw!(Shortsighted) { Head { heartbeat: Heartbeat(0), ..head } } else { head };
        let entered = if flaw!(Shortsighted) { now - self.remembered_for() } else { now };
        Some(Certificate { name, head, entered, until: now + self.remembered_for() })
    }

    /// Forgets `id`, which is known, with all that is believed of it.
    pub(super) fn forget(&mut self, now: Time, id: NodeId, certificate: Certificate) {
        let before = self.cluster.line(id);
        let kind = EventKind::Forgotten { remembered_for: certificate.until.since(now.moment) };
        let said = self.event(now, id, kind);
        if !self.cluster.forget(id, certificate, now.moment) {
            return self.drop_for("full");
        }
        self.events.extend(said);
        self.suspects.remove(&id);
        self.accused.remove(&id);
        self.acquitted.remove(&id);
        self.requests.forget(id);
        self.contacts.set_astray(id, Astray::default());
        self.heat(now, &before, self.cluster.me());
    }

    /// What `delta` tells, if that is a certificate, for no longer than this node's own ones last.
    pub(super) fn bounded<'a>(&self, delta: &'a Delta) -> Cow<'a, Delta> {
        let longest = Moment::default() + self.remembered_for();
        match &delta.span {
            Span::Forgotten(certificate) if certificate.until > longest => {
                let certificate = Certificate { until: longest, ..certificate.clone() };
                Cow::Owned(Delta::forgotten(delta.owner, certificate))
            }
            Span::Forgotten(_) | Span::After(_) | Span::Reset => Cow::Borrowed(delta),
        }
    }

    /// Somebody has forgotten a node that is believed to run here: that speaks against it as much as one accuser can.
    pub(super) fn hear_of_an_end(&mut self, now: Time, from: NodeId, delta: &Delta) {
        let (id, Span::Forgotten(told)) = (delta.owner, &delta.span) else { return };
        let certificate = told.heard(now.moment);
        let Some(known) = self.cluster.endpoint(id) else { return };
        if self.cluster.standing(id) == Some(Standing::Live)
            && certificate.covers(known.head(), known.authored)
        {
            let until = now.moment.since(certificate.entered);
            let (head, since) = (known.head_line(id, now.moment), until + self.config.patience());
            self.hear_evidence(
                now,
                from,
                &[Evidence { head, since, until, accusers: vec![(from, CONVICTED)] }],
            );
        }
    }

    /// Somebody has forgotten this node, which is alive: its heart beats beyond that, and everybody is told.
    pub(super) fn hear_of_my_end(&mut self, now: Time, end: Head) {
        let own = self.cluster.own().head();
        if self.farewell.is_some() || end < own {
            return;
        }
        let highest = bounds::highest_heartbeat(now.wall, own.generation);
        if end.generation > own.generation || end.heartbeat >= highest {
            self.owner.hear_claim(end.generation);
            return self.answer_claims(now);
        }
        let me = self.cluster.me();
        let state = self.cluster.own_mut();
        (state.heartbeat, state.authored) = (Heartbeat(end.heartbeat.0 + 1), now.moment);
        self.heat(now, &Line::unknown(me), me);
    }

    /// For how long it is still remembered that `id` was forgotten, if it is.
    #[must_use]
    pub fn remembers(&self, id: NodeId, now: Moment) -> Option<Duration> {
        self.cluster.certificates().get(id).map(|held| held.certificate.until.since(now))
    }

    /// The nodes that were forgotten, as far as that is remembered, sorted by name.
    #[must_use]
    pub fn forgotten(&self, now: Moment) -> Vec<Forgotten> {
        let mut forgotten: Vec<_> = self.cluster.certificates().all().map(|one| one.seen_at(now)).collect();
        forgotten.sort_by(|a, b| a.name.cmp(&b.name));
        forgotten
    }
}

impl Certificate {
    fn seen_at(&self, now: Moment) -> Forgotten {
        Forgotten {
            name: self.name.clone(),
            generation: self.head.generation,
            heartbeat: Some(self.head.heartbeat).filter(|heartbeat| *heartbeat != Line::HIGHEST),
            forgotten_for: now.since(self.entered),
            remembered_for: self.until.since(now),
        }
    }
}
