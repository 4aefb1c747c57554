//! What questions are put to, and what a status says.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tidings_core::{Event, Gossiper, Standing, Time};
use tokio::sync::broadcast;

use crate::status::{BlockedStream, DiskHealth, Status, Traffic};

/// A node, as its driver shows it to whoever asks.
pub(crate) struct View<'a> {
    pub(crate) core: &'a Gossiper,
    pub(crate) now: Time,
    pub(crate) books: &'a Books,
    pub(crate) events: &'a broadcast::Sender<Event>,
}

/// What the driver counts.
#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) sent: Traffic,
    pub(crate) received: Traffic,
    pub(crate) dropped: BTreeMap<&'static str, u64>,
    /// What was damaged in the data directory, and set aside; and whether one of the two copies of the state was not whole.
    pub(crate) set_aside: Vec<PathBuf>,
    pub(crate) is_half: bool,
    /// Why the state could not be saved the last time, and why the addresses of others could not.
    pub(crate) unsaved: Option<String>,
    pub(crate) peers_unsaved: Option<String>,
    pub(crate) has_seeds: bool,
    /// How many events were told.
    pub(crate) told: u64,
}

impl View<'_> {
    pub(crate) fn status(&self) -> Status {
        let count = |wanted| {
            self.core.counts().into_iter().find(|(standing, _)| *standing == wanted).map_or(0, |c| c.1)
        };
        let mut dropped = self.books.dropped.clone();
        for (reason, times) in self.core.dropped() {
            *dropped.entry(reason).or_default() += times;
        }
        let blocked = self.core.blocked_streams(self.now.moment).into_iter();
        let blocked_streams: Vec<_> = blocked.map(|(address, end)| BlockedStream { address, end }).collect();
        Status {
            name: self.core.name().clone(),
            cluster: self.core.config().cluster.clone(),
            gossip: self.core.address(),
            generation: self.core.generation(),
            live: count(Standing::Live),
            unreachable: count(Standing::Unreachable),
            departed: count(Standing::Departed),
            digest: format!("{:016x}", self.core.digest()),
            converged: self.core.is_converged(),
            rounds: self.core.heartbeat().0,
            mode: self.core.config().mode,
            repairs: self.core.repairs(),
            write_limit: self.core.write_limit(),
            disk: self.disk(),
            sent: self.books.sent,
            received: self.books.received,
            warnings: self.warnings(&dropped, &blocked_streams),
            dropped,
            blocked_streams,
        }
    }

    fn disk(&self) -> DiskHealth {
        match (&self.books.unsaved, self.books.set_aside.is_empty()) {
            _ if !self.core.config().durable => DiskHealth::None,
            (Some(_), _) => DiskHealth::Failing,
            (None, false) => DiskHealth::Damaged,
            (None, true) if self.books.is_half => DiskHealth::Recovered,
            (None, true) => DiskHealth::Well,
        }
    }

    fn warnings(&self, dropped: &BTreeMap<&'static str, u64>, blocked: &[BlockedStream]) -> Vec<String> {
        let mut warnings: Vec<String> = self.loneliness().into_iter().collect();
        warnings.extend(self.refusals(dropped));
        if let [BlockedStream { address, end }, rest @ ..] = blocked {
            let others =
                if rest.is_empty() { String::new() } else { format!(", nor to {} others", rest.len()) };
            warnings.push(format!(
                "no stream to {address} could be had ({end}){others}, so that what is large comes in pieces: open the \
                 TCP port of the same number as the UDP port"
            ));
        }
        if let Some(limit) = self.core.write_limit().filter(|_| self.core.holds_writes_back()) {
            warnings.push(format!(
                "the cluster is told more than it takes in: this node may write {limit} bytes in an interval until that is \
                 over; write less, or allow more with a larger datagram and a larger budget for rumors"
            ));
        }
        for path in &self.books.set_aside {
            warnings.push(format!(
                "a damaged file was set aside as {}, and what this node had there is gone: look at the disk, and write anew \
                 what is missing",
                path.display()
            ));
        }
        if let Some(error) = &self.books.unsaved {
            warnings.push(format!(
                "the state cannot be saved ({error}), so that writes are refused: make room on the disk"
            ));
        } else if let Some(error) = &self.books.peers_unsaved {
            warnings
                .push(format!("the addresses of others cannot be saved ({error}): make room on the disk"));
        }
        warnings
    }

    /// What to say of a node that has nobody.
    fn loneliness(&self) -> Option<String> {
        let cluster = &self.core.config().cluster;
        let [(_, live), (_, unreachable), _] = self.core.counts();
        if live > 1 {
            return None;
        }
        if unreachable > 0 {
            return Some(
                "no other node answers: check this machine's network, and that UDP gets through both ways"
                    .into(),
            );
        }
        let waited = self.books.has_seeds && self.core.heartbeat().0 > 3;
        let seeds = self.core.seeds();
        (waited && seeds == 0).then(|| "no seed has an address: check the names of the seeds".into()).or_else(|| {
            waited.then(|| {
                format!(
                    "no seed has answered: check that the seeds run, that their UDP ports are open, and that their \
                     cluster is {cluster:?}"
                )
            })
        })
    }

    /// What to say of what was refused, here or by others.
    fn refusals(&self, dropped: &BTreeMap<&'static str, u64>) -> Vec<String> {
        let cluster = &self.core.config().cluster;
        let times = |reason| dropped.get(reason).copied().unwrap_or(0);
        let mut warnings = Vec::new();
        let mut warn = |reason, text: &dyn Fn(u64) -> String| {
            if times(reason) > 0 {
                warnings.push(text(times(reason)));
            }
        };
        warn("cluster", &|times| {
            format!(
                "{times} datagrams of another cluster were refused: if they were meant for this one, give all nodes the \
                 cluster name {cluster:?}"
            )
        });
        warn("version", &|times| {
            format!(
                "{times} datagrams of a protocol version that is not spoken here were refused: bring all nodes to the \
                 same release"
            )
        });
        warn("unbelievable", &|times| {
            format!(
                "{times} times, a node's numbers were beyond belief: check the clocks of this and the other machines"
            )
        });
        warn("own_name", &|_| {
            format!("another process uses the name {}: give each node its own", self.core.name())
        });
        warn("flood", &|times| {
            format!(
                "{times} datagrams were dropped since their source sends too much: look for a node that runs wild"
            )
        });
        if self.core.is_refused() {
            warnings.push(
                "another node refuses this one, since its clock is more than a day ahead: set this machine's clock"
                    .into(),
            );
        }
        warnings
    }
}
