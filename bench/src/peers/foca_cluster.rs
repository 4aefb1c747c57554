//! A cluster of foca nodes: its bare state machines, driven by a queue of what will happen in virtual time.

use std::cell::RefCell;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::rc::Rc;
use std::time::Duration;

use foca::{AccumulatingRuntime, Member, OwnedNotification, Timer};
use tidings_core::Rng;

use crate::cluster::{Cluster, Conviction, Heard, LATENCY, ROUND, Setup, Traffic};
use crate::data;
use crate::peers::foca_node::{Id, Node, node};

/// A cluster of foca nodes.
pub(crate) struct FocaCluster {
    nodes: Vec<Machine>,
    queue: BinaryHeap<Reverse<Happening>>,
    put: u64,
    now: Duration,
    rng: Rng,
    loss: u16,
    counts_copies: bool,
    /// The update whose copies are counted.
    marker: Option<String>,
    traffic: Traffic,
    heard: Vec<Heard>,
    convictions: Vec<Conviction>,
    is_warm: bool,
}

struct Machine {
    foca: Node,
    heard: Rc<RefCell<Vec<u64>>>,
    is_up: bool,
    stalled_until: Duration,
}

struct Happening {
    at: Duration,
    number: u64,
    to: usize,
    what: What,
}

enum What {
    /// The node starts.
    Start,
    /// The node, if it is still alone, announces itself to the first.
    Join,
    /// A timer of its runs out.
    Timer(Timer<Id>),
    /// A packet comes in.
    Packet(Vec<u8>),
}

impl FocaCluster {
    fn put(&mut self, at: Duration, to: usize, what: What) {
        self.put += 1;
        self.queue.push(Reverse(Happening { at, number: self.put, to, what }));
    }

    fn up_to(&mut self, span: Duration) -> Duration {
        let micros = usize::try_from(span.as_micros()).expect("a short span");
        Duration::from_micros(self.rng.below(micros + 1) as u64)
    }

    fn happen(&mut self, Happening { to, what, .. }: Happening) {
        let machine = &self.nodes[to];
        if !machine.is_up {
            return;
        }
        if machine.stalled_until > self.now {
            let until = machine.stalled_until;
            return self.put(until, to, what);
        }
        match what {
            What::Start if self.is_warm => {
                let others: Vec<_> = (0..self.nodes.len()).filter(|&other| other != to).collect();
                self.tell(to, |foca, runtime| {
                    let members = others.into_iter().map(|other| Member::alive(Id::new(other)));
                    foca.apply_many(members, false, runtime)
                });
            }
            What::Start => self.put(self.now, to, What::Join),
            What::Join => {
                if to != 0 && self.nodes[to].foca.num_members() == 0 {
                    self.tell(to, |foca, runtime| foca.announce(Id::new(0), runtime));
                    self.put(self.now + ROUND, to, What::Join);
                }
            }
            What::Timer(timer) => self.tell(to, |foca, runtime| foca.handle_timer(timer, runtime)),
            What::Packet(bytes) => self.tell(to, |foca, runtime| foca.handle_data(&bytes, runtime)),
        }
    }

    /// Tells a node something, and does all that it says then.
    fn tell(
        &mut self,
        to: usize,
        something: impl FnOnce(&mut Node, &mut AccumulatingRuntime<Id>) -> Result<(), foca::Error>,
    ) {
        let mut runtime = AccumulatingRuntime::new();
        // What it refuses is its own affair: it says so of packets for an identity that it no longer has.
        let _ = something(&mut self.nodes[to].foca, &mut runtime);
        while let Some((after, timer)) = runtime.to_schedule() {
            self.put(self.now + after, to, What::Timer(timer));
        }
        while let Some((id, bytes)) = runtime.to_send() {
            self.send(id.number(), &bytes);
        }
        while let Some(notification) = runtime.to_notify() {
            self.notice(to, &notification);
        }
        let heard = self.nodes[to].heard.take();
        let at = self.now;
        self.heard.extend(heard.into_iter().map(|update| Heard { update, at }));
    }

    fn send(&mut self, to: usize, bytes: &[u8]) {
        self.traffic.bytes += bytes.len() as u64;
        if let Some(marker) = &self.marker {
            let marker = marker.as_bytes();
            self.traffic.copies += bytes.windows(marker.len()).filter(|part| *part == marker).count() as u64;
        }
        if self.loss > 0 && self.rng.chance(self.loss.into(), 1_000) {
            return;
        }
        let (least, most) = LATENCY;
        let more = self.up_to(Duration::from_micros(u64::from(most - least)));
        let at = self.now + Duration::from_micros(least.into()) + more;
        self.put(at, to, What::Packet(bytes.to_vec()));
    }

    /// A member is down, or this node itself was told that it is.
    fn notice(&mut self, by: usize, notification: &OwnedNotification<Id>) {
        let of = match notification {
            OwnedNotification::MemberDown(id) => id.number(),
            OwnedNotification::Rejoin(_) | OwnedNotification::Defunct => by,
            OwnedNotification::MemberUp(_)
            | OwnedNotification::Rename(..)
            | OwnedNotification::Active
            | OwnedNotification::Idle => return,
        };
        self.convictions.push(Conviction { by, of, at: self.now });
    }
}

impl Cluster for FocaCluster {
    fn begin(setup: &Setup) -> Self {
        let machine = |number| {
            let (foca, heard) = node(number, setup.nodes, setup.patience, setup.seed + number as u64);
            Machine { foca, heard, is_up: true, stalled_until: Duration::ZERO }
        };
        let mut cluster = Self {
            nodes: (0..setup.nodes).map(machine).collect(),
            queue: BinaryHeap::new(),
            put: 0,
            now: Duration::ZERO,
            rng: Rng::new(setup.seed),
            loss: 0,
            counts_copies: setup.counts_copies,
            marker: None,
            traffic: Traffic::default(),
            heard: Vec::new(),
            convictions: Vec::new(),
            is_warm: setup.is_warm,
        };
        for number in 0..setup.nodes {
            let at = if setup.is_warm { cluster.up_to(ROUND) } else { Duration::ZERO };
            cluster.put(at, number, What::Start);
        }
        if setup.is_warm {
            cluster.run(2 * ROUND);
        }
        cluster.loss = setup.loss;
        cluster
    }

    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(Reverse(next)) = self.queue.peek() {
            if next.at > end {
                break;
            }
            let Some(Reverse(next)) = self.queue.pop() else { break };
            self.now = next.at;
            self.happen(next);
        }
        self.now = end;
    }

    fn now(&self) -> Duration {
        self.now
    }

    fn write(&mut self, node: usize, update: u64) {
        let bytes = data::update(update);
        self.tell(node, |foca, _| foca.add_broadcast(bytes.as_bytes()).map(|_| ()));
        self.heard.retain(|heard| heard.update != update);
        if self.counts_copies {
            self.marker = Some(bytes);
        }
    }

    fn heard(&mut self) -> Vec<Heard> {
        std::mem::take(&mut self.heard)
    }

    fn crash(&mut self, node: usize) {
        self.nodes[node].is_up = false;
    }

    fn stall(&mut self, node: usize, span: Duration) {
        self.nodes[node].stalled_until = self.now + span;
    }

    fn convictions(&mut self) -> Vec<Conviction> {
        std::mem::take(&mut self.convictions)
    }

    fn traffic(&self) -> Traffic {
        self.traffic
    }

    fn is_complete(&mut self) -> bool {
        let all = self.nodes.len() - 1;
        self.nodes.iter().filter(|node| node.is_up).all(|node| node.foca.num_members() >= all)
    }
}

impl PartialEq for Happening {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Happening {}

impl PartialOrd for Happening {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Happening {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}
