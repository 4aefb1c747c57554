//! How what nodes show comes to its end by itself: expired, ended with its owner's life, collected.

use super::Gossiper;
use crate::bounds;
use crate::name::NodeId;
use crate::owner::{Step, WriteError};
use crate::recent;
use crate::time::{Moment, Time};
use crate::version::Version;

impl Gossiper {
    /// What has expired by now goes, whoever owns it, and certificates: by the monotonic clock of this node alone.
    pub(super) fn expire(&mut self, now: Time) {
        self.cluster.expire_certificates(now.moment);
        if self.next_expiry() > now.moment {
            return; // As mostly.
        }
        let gone = self.cluster.expire(now.moment);
        self.owner.expire(now.moment);
        // First, since what is written now comes after it.
        gone.iter().for_each(|(id, gone)| self.say_changes(now, *id, gone.clone()));
        gone.iter().for_each(|(id, gone)| self.hear_requests(now, *id, gone));
        self.look_for_tombstones(now);
    }

    /// When something expires.
    pub(super) fn next_expiry(&self) -> Moment {
        self.cluster.next_expiry().min(self.owner.next_expiry())
    }

    /// The life of `id` is over, and so is what was to last as long.
    pub(super) fn end_ephemeral(&mut self, now: Time, id: NodeId) {
        let gone = self.cluster.end_ephemeral(id);
        self.say_changes(now, id, gone);
    }

    /// Collects this node's tombstones, if it is time.
    pub(super) fn collect_if_due(&mut self, now: Time) {
        let young = u32::try_from(recent::young_for(self.cluster.endpoints().len())).unwrap_or(u32::MAX);
        let spread = self.config.interval * young;
        let is_due = self.collector.is_due(now.moment, self.config.grace, spread);
        let next = Version(self.owner.latest(self.cluster.own().replica()).0 + 1);
        if is_due && self.farewell.is_none() && next <= bounds::highest_version(now.wall) {
            self.collect(now);
        }
    }

    pub(super) fn collect(&mut self, now: Time) {
        self.collector.collects(now.moment);
        self.take(now, Step::Collect);
    }

    /// Whether `refused` is for want of room that tombstones take.
    pub(super) fn may_make_room(&self, now: Time, refused: &WriteError) -> bool {
        let is_full = matches!(refused, WriteError::TooManyKeys { .. } | WriteError::TooManyBytes { .. });
        is_full && self.collector.may_be_early(now.moment, 10 * self.config.interval)
    }

    /// Tombstones age from now on that were not there before.
    pub(super) fn look_for_tombstones(&mut self, now: Time) {
        let has_some = self.cluster.own().replica().tombstones() > 0;
        self.collector.look(has_some, now.moment);
    }
}
