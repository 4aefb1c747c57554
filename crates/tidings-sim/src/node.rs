//! One simulated machine: a core, a disk, clocks, and what it was heard to say.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidings_core::{
    Config, Event, Gossiper, Moment, NodeId, NodeName, Outcome, Persist, RequestId, Saved, Seal, Time,
    Unanswered, Version, WallClock,
};

/// Which node of a simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(pub usize);

/// What is left on the disk of a node that crashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disk {
    /// All that was saved.
    Kept,
    /// Nothing.
    Lost,
    /// What was there before the last time that something was saved: its bytes were torn.
    Torn,
    /// A copy from long ago, up to eight saves back: somebody restored a backup.
    Stale,
    /// All that was saved, but the tombstones: they were collected, which takes a version.
    Collected,
}

/// What becomes of datagrams that come in while a node is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrivals {
    /// They wait: a process that is stopped.
    Wait,
    /// They are lost: a machine that is suspended.
    AreLost,
}

/// What became of a request.
pub type Answer = (RequestId, Result<Outcome, Unanswered>);

/// A pause of a node.
#[derive(Debug)]
pub(crate) struct Pause {
    pub(crate) arrivals: Arrivals,
    /// The datagrams that wait, and where they came from.
    pub(crate) waiting: Vec<(SocketAddr, Vec<u8>)>,
}

/// One machine.
#[derive(Debug)]
pub(crate) struct SimNode {
    pub(crate) name: NodeName,
    pub(crate) id: NodeId,
    pub(crate) config: Config,
    pub(crate) seal: Seal,
    /// Where it is, and where it says that it is, if that differs.
    pub(crate) address: SocketAddr,
    pub(crate) advertised: Option<SocketAddr>,
    /// How many bytes of datagrams came in.
    pub(crate) received: u64,
    pub(crate) seeds: Vec<Place>,
    /// With whom alone it gossips, if that was said.
    pub(crate) neighbours: Option<Vec<Place>>,
    /// The running core; `None` while it is down.
    pub(crate) core: Option<Gossiper>,
    /// What its disk holds, and what it held before, the latest last.
    pub(crate) disk: Option<Saved>,
    pub(crate) backups: VecDeque<Saved>,
    /// What is on its way to the disk.
    pub(crate) saving: Option<Persist>,
    /// Whether nothing can be saved.
    pub(crate) disk_is_broken: bool,
    /// By how much its wall clock is ahead, in milliseconds.
    pub(crate) skew: i64,
    /// By how many millionths all its clocks are too fast.
    pub(crate) drift: i32,
    /// How long it takes for each message, and until when it is at one.
    pub(crate) work: Duration,
    pub(crate) busy_until: Moment,
    /// Whether it ended since another one has its name.
    pub(crate) has_given_way: bool,
    /// Which start this is: what belongs to an earlier one comes too late.
    pub(crate) life: u32,
    /// When it wakes next; a wake-up at another time is stale.
    pub(crate) wake: Moment,
    /// What waits for it while it is paused.
    pub(crate) paused: Option<Pause>,
    /// What it said, and when.
    pub(crate) events: Vec<(Moment, Event)>,
    /// What became of what it asked owners for.
    pub(crate) answers: Vec<Answer>,
}

impl Place {
    /// Where the node of this place begins on the simulated network.
    #[must_use]
    pub fn address(self) -> SocketAddr {
        let place = u32::try_from(self.0).expect("a simulation has fewer nodes than that");
        (Ipv4Addr::from(0x0a00_0001 + place), 8434).into()
    }

    /// The place whose node begins at `address`.
    pub(crate) fn usual_at(address: SocketAddr) -> Option<Self> {
        let SocketAddr::V4(address) = address else { return None };
        let place = u32::from(*address.ip()).checked_sub(0x0a00_0001)?;
        Some(Self(usize::try_from(place).ok()?))
    }
}

/// How many earlier contents of a disk are kept.
const BACKUPS: usize = 8;

const MILLION: i128 = 1_000_000;

/// When simulations begin, by the wall clock: 2027-01-15.
const BEGINNING: u64 = 1_800_000_000_000;

impl SimNode {
    /// What time it is on this machine when it is `now` in the world.
    pub(crate) fn time(&self, now: Moment) -> Time {
        let moment = self.moment(now);
        let passed = moment.since(Moment::default());
        let wall = (WallClock(BEGINNING) + passed).0.saturating_add_signed(self.skew);
        Time { moment, wall: WallClock(wall) }
    }

    /// What its monotonic clock shows when it is `now` in the world.
    pub(crate) fn moment(&self, now: Moment) -> Moment {
        Moment::from_micros(now.as_micros() + now.as_micros() / 1_000 * i64::from(self.drift) / 1_000)
    }

    /// When its monotonic clock shows `moment`, in the world: not before.
    pub(crate) fn world(&self, moment: Moment) -> Moment {
        if self.drift == 0 || moment == Moment::NEVER {
            return moment;
        }
        let (shown, drift) = (i128::from(moment.as_micros()), i128::from(self.drift));
        let micros = i64::try_from(shown * MILLION / (MILLION + drift)).unwrap_or(i64::MAX);
        let mut world = Moment::from_micros(micros);
        while self.moment(world) < moment {
            world = world + Duration::from_micros(1);
        }
        world
    }

    /// Lets its disk be found as `disk` says. Returns whether something is lost.
    pub(crate) fn find_disk(&mut self, disk: Disk) -> bool {
        match disk {
            Disk::Kept => {}
            Disk::Lost => self.disk = None,
            Disk::Torn => self.disk = self.backups.pop_back(),
            Disk::Stale => self.disk = self.backups.pop_front(),
            Disk::Collected => {
                if let Some(saved) = &mut self.disk {
                    (saved.gc, saved.max) = (saved.max, Version(saved.max.0 + 1));
                    saved.entries.retain(|(_, entry)| entry.value.is_some());
                }
            }
        }
        !matches!(disk, Disk::Kept | Disk::Collected)
    }

    /// Puts `saved` on its disk.
    pub(crate) fn save(&mut self, saved: Saved) {
        if let Some(before) = self.disk.replace(saved) {
            self.backups.push_back(before);
            if self.backups.len() > BACKUPS {
                self.backups.pop_front();
            }
        }
    }

    /// How long a stream waits for a node that is paused, each time.
    pub(crate) const PATIENCE: Duration = Duration::from_millis(50);

    /// How long its disk takes.
    pub(crate) const SAVING: Duration = Duration::from_millis(2);
}
