//! One foca node: who it is, and what it makes of broadcasts.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::Duration;

use foca::{BroadcastHandler, Config, Foca, Identity, Invalidates, PostcardCodec};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use serde::{Deserialize, Serialize};

use crate::data;

/// A foca node.
pub(crate) type Node = Foca<Id, PostcardCodec, SmallRng, Updates>;

/// Who a node is: an address of IPv4, and how often it had to be renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Id {
    address: [u8; 4],
    port: u16,
    renewed: u16,
}

impl Id {
    /// Node `number`, as it begins.
    pub(crate) fn new(number: usize) -> Self {
        let number = u32::try_from(number).expect("a benchmark has fewer nodes than that");
        Self { address: (BASE + number).to_be_bytes(), port: 8434, renewed: 0 }
    }

    /// Which node it is.
    pub(crate) fn number(self) -> usize {
        (u32::from_be_bytes(self.address) - BASE) as usize
    }
}

const BASE: u32 = 0x0a00_0001;

impl Identity for Id {
    type Addr = ([u8; 4], u16);

    fn renew(&self) -> Option<Self> {
        Some(Self { renewed: self.renewed.wrapping_add(1), ..*self })
    }

    fn addr(&self) -> Self::Addr {
        (self.address, self.port)
    }

    fn win_addr_conflict(&self, other: &Self) -> bool {
        self.renewed > other.renewed
    }
}

/// What a node holds of updates, which are broadcasts to foca: the newest of each writer.
#[derive(Debug, Default)]
pub(crate) struct Updates {
    newest: BTreeMap<u32, u32>,
    /// What became known since somebody looked.
    heard: Rc<RefCell<Vec<u64>>>,
}

/// An update: whose, and which.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Update {
    writer: u32,
    count: u32,
}

impl Invalidates for Update {
    fn invalidates(&self, other: &Self) -> bool {
        self.writer == other.writer && self.count > other.count
    }
}

impl BroadcastHandler<Id> for Updates {
    type Key = Update;
    type Error = Infallible;

    fn receive_item(&mut self, bytes: &[u8], _sender: Option<&Id>) -> Result<Option<Update>, Infallible> {
        let number = std::str::from_utf8(bytes).ok().and_then(data::number_of);
        let Some(number) = number else { return Ok(None) };
        let [writer, count] = [number >> 32, number & u64::from(u32::MAX)]
            .map(|half| u32::try_from(half).expect("half of a word"));
        if self.newest.get(&writer).is_some_and(|&newest| newest >= count) {
            return Ok(None);
        }
        self.newest.insert(writer, count);
        self.heard.borrow_mut().push(number);
        Ok(Some(Update { writer, count }))
    }
}

/// Node `number` of a cluster of `nodes`, and where it tells what it heard. As foca recommends for a local network, but for
/// `patience`.
pub(crate) fn node(
    number: usize,
    nodes: usize,
    patience: Option<Duration>,
    seed: u64,
) -> (Node, Rc<RefCell<Vec<u64>>>) {
    let size = u32::try_from(nodes).ok().and_then(NonZeroU32::new).expect("a cluster has nodes");
    let mut config = Config::new_lan(size);
    if let Some(patience) = patience {
        config.suspect_to_down_after = patience;
    }
    let updates = Updates::default();
    let heard = Rc::clone(&updates.heard);
    let rng = SmallRng::seed_from_u64(seed);
    (Foca::with_custom_broadcast(Id::new(number), config, rng, PostcardCodec, updates), heard)
}
