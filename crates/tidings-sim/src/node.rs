//! One simulated machine: a core, a disk, clocks, and what it was heard to say.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tidings_core::{Config, Event, Gossiper, Moment, NodeName, Persist, Saved, Seal, Time, WallClock};

/// Which node of a simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(pub usize);

/// What is left on the disk of a node that crashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disk {
    /// All that was saved.
    Kept,
    /// Nothing.
    Lost,
}

/// What becomes of datagrams that come in while a node is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrivals {
    /// They wait: a process that is stopped.
    Wait,
    /// They are lost: a machine that is suspended.
    AreLost,
}

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
    /// What its disk holds.
    pub(crate) disk: Option<Saved>,
    /// What is on its way to the disk.
    pub(crate) saving: Option<Persist>,
    /// Whether nothing can be saved.
    pub(crate) disk_is_broken: bool,
    /// By how much its wall clock is ahead, in milliseconds.
    pub(crate) skew: i64,
    /// Which start this is: what belongs to an earlier one comes too late.
    pub(crate) life: u32,
    /// When it wakes next; a wake-up at another time is stale.
    pub(crate) wake: Moment,
    /// What waits for it while it is paused.
    pub(crate) paused: Option<Pause>,
    /// What it said, and when.
    pub(crate) events: Vec<(Moment, Event)>,
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

/// When simulations begin, by the wall clock: 2027-01-15.
const BEGINNING: u64 = 1_800_000_000_000;

impl SimNode {
    /// What time it is on this machine when it is `now` in the world.
    pub(crate) fn time(&self, now: Moment) -> Time {
        let passed = now.since(Moment::default());
        let wall = (WallClock(BEGINNING) + passed).0.saturating_add_signed(self.skew);
        Time { moment: now, wall: WallClock(wall) }
    }

    /// How long a stream waits for a node that is paused, each time.
    pub(crate) const PATIENCE: Duration = Duration::from_millis(50);

    /// How long its disk takes.
    pub(crate) const SAVING: Duration = Duration::from_millis(2);
}
