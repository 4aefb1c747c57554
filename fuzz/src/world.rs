//! A node that knows some others, and what holds for whatever it says.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tidings_core::{
    Ack, Body, Certificate, Config, Delta, Generation, Gossiper, Head, Heartbeat, Identity, Introduction,
    Key, Lifetime, Line, Message, Mode, Moment, Namesake, NodeName, Peer, Policy, Request, Seal, Sender,
    Span, StreamId, Summary, Time, Transmit, Value, Version, WallClock,
};

/// The cluster of the golden messages.
pub(crate) const CLUSTER: &str = "golden";
/// When the golden messages could have been sent.
const WALL: WallClock = WallClock(1_799_999_100_000);
/// The life of every node but this one.
const LIFE: Generation = Generation(1_799_999_000_000);

const SECOND: Duration = Duration::from_secs(1);
/// For how long what is written for a while lasts.
const BRIEF: Lifetime = Lifetime { ttl: Some(Duration::from_secs(30)), is_ephemeral: false };

/// Where the node is, whom it knows best, and who was never heard of.
pub(crate) const ME: SocketAddr = v4(1);
pub(crate) const FRIEND: SocketAddr = v4(3);
pub(crate) const STRANGER: SocketAddr = v4(99);

const fn v4(last: u8) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, last)), 8_434)
}

/// A node, and what it said since it was asked last.
pub(crate) struct World {
    pub(crate) node: Gossiper,
    pub(crate) now: Time,
    seal: Seal,
    /// The number of the latest exchange that was begun with each address.
    begun: BTreeMap<SocketAddr, u32>,
    /// The latest stream that the node opened.
    pub(crate) opened: Option<StreamId>,
}

/// What the node said: how many bytes of datagrams to whom, and on which streams.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) bytes: BTreeMap<SocketAddr, usize>,
    pub(crate) streams: Vec<StreamId>,
}

impl World {
    /// A node that gossips in `mode`, has keys of its own, one of them for a while, and knows three others, of whom one has shown
    /// to be where it says, and is asked for a change. A fourth was forgotten.
    pub(crate) fn new(mode: Mode) -> Self {
        let now = Time { moment: Moment::from_micros(5_000_000), wall: WALL };
        let me = Identity { name: name("me"), address: ME, saved: None };
        let config = Config { mode, max_keys: 64, max_bytes: 1 << 16, max_nodes: 64, ..Config::new(CLUSTER) };
        let config = Config { requests: Policy::Keys(vec!["asked/*".to_owned()]), ..config };
        let node = Gossiper::new(config, me, 1, now).expect("this configuration works");
        let mut world = Self { node, now, seal: Seal::new(CLUSTER), begun: BTreeMap::new(), opened: None };
        world.node.set(now, [(key("own"), Value::from("mine"))]).expect("one small key");
        // Enough that an answer is as long as it may be, in parts small enough to fill it.
        for number in 0..40 {
            let pair = (key(&format!("some/{number}")), Value::from("twenty bytes of news"));
            world.node.set(now, [pair]).expect("some small keys");
        }
        world.node.set_for(now, [(key("brief"), Value::from("30 s"))], BRIEF).expect("one small key");
        world.node.handle_seeds(now, vec![FRIEND]);
        world.wake();
        world.answer(Body::Namesake(Namesake::Nobody));
        assert!(world.node.has_begun());
        world.greet();
        assert_eq!(
            (world.node.forgotten(world.now.moment).len(), world.node.load(world.now.moment).requests),
            (1, 1)
        );
        world
    }

    /// The friend asks and is answered, and tells of the others.
    fn greet(&mut self) {
        let deltas: Vec<Delta> = [("carl", FRIEND), ("ann", v4(7)), ("bob", v4(8))].map(introduced).into();
        let deltas = [deltas, vec![forgotten("dora")]].concat();
        let news = tidings_core::News { deltas, ..tidings_core::News::default() };
        self.tell(FRIEND, 1_200, from_friend(0, Body::Ack2(news)));
        for _ in 0..8 {
            self.wake();
            self.answer_with_ack(false, &[]);
        }
        let request = Request { lifetime: BRIEF, ..Request::new(key("asked"), Some(Value::from("1"))) };
        self.node.request(self.now, &name("carl"), request, 60 * SECOND).expect("the friend is known");
        self.drain();
    }

    /// The friend answers the latest that it was asked, with nothing in it but what `large` and `has_much` say.
    pub(crate) fn answer_with_ack(&mut self, has_much: bool, large: &[Line]) {
        let (heads, evidence, lines, deltas) = Default::default();
        let (summary, large) = (Summary(7), large.to_vec());
        self.answer(Body::Ack(Ack {
            summary,
            heads,
            beats: None,
            evidence,
            lines,
            deltas,
            large,
            has_much,
            cookie: None,
            share: None,
        }));
    }

    fn answer(&mut self, body: Body) {
        if let Some(&exchange) = self.begun.get(&FRIEND) {
            self.tell(FRIEND, 1_200, from_friend(exchange, body));
        }
    }

    /// The number of the latest exchange that the node began with its friend.
    pub(crate) fn begun_with_friend(&self) -> u32 {
        self.begun.get(&FRIEND).copied().unwrap_or_default()
    }

    /// `message`, of `len` bytes, comes from `from`.
    pub(crate) fn tell(&mut self, from: SocketAddr, len: usize, message: Message) -> Said {
        let _ = self.node.handle_message(self.now, Peer::Datagram { from, len }, message);
        self.drain()
    }

    /// `message`, of `len` bytes, comes on `stream`.
    pub(crate) fn tell_on(&mut self, stream: StreamId, len: usize, message: Message) {
        let _ = self.node.handle_message(self.now, Peer::Stream { stream, len }, message);
        let mut said = self.drain();
        // What is answered on a stream comes to an end.
        for _ in 0..1_000 {
            let Some(stream) = said.streams.pop() else { return };
            self.node.handle_stream_written(self.now, stream);
            said.streams.extend(self.drain().streams);
        }
        panic!("a stream goes on without end");
    }

    /// Time passes until the node wants to be woken.
    pub(crate) fn wake(&mut self) {
        let next = self.node.poll_timeout();
        if next == Moment::NEVER {
            return;
        }
        let wait = next.since(self.now.moment);
        self.now = Time { moment: self.now.moment + wait, wall: self.now.wall + wait };
        self.node.handle_timeout(self.now);
        self.drain();
    }

    /// Time passes, for so many wakes: it does go on.
    pub(crate) fn live(&mut self, wakes: usize) {
        let begin = self.now.moment;
        (0..wakes).for_each(|_| self.wake());
        let ended = self.node.poll_timeout() == Moment::NEVER;
        assert!(ended || self.now.moment.since(begin) > Duration::ZERO, "a node that never sleeps");
    }

    /// Takes all that the node has to say. It says nothing that is larger than allowed or that nobody can read.
    fn drain(&mut self) -> Said {
        let mut said = Said::default();
        while let Some(transmit) = self.node.poll_transmit() {
            match transmit {
                Transmit::Datagram { to, message } => {
                    let len = self.readable(&message, self.node.config().datagram);
                    *said.bytes.entry(to).or_default() += len;
                    if matches!(message.body, Body::Syn(_) | Body::Who(_)) {
                        self.begun.insert(to, message.exchange);
                    }
                }
                Transmit::Open { stream, .. } => self.opened = Some(stream),
                Transmit::Frame { stream, message } => {
                    self.readable(&message, self.node.config().longest_message());
                    said.streams.push(stream);
                }
                Transmit::Close { stream } => said.streams.retain(|other| *other != stream),
            }
        }
        while self.node.poll_event().is_some() {}
        while let Some(persist) = self.node.poll_persist() {
            self.node.handle_persisted(self.now, persist.mark);
        }
        said
    }

    fn readable(&self, message: &Message, most: usize) -> usize {
        let bytes = self.seal.encode(message);
        assert!(bytes.len() <= most, "{} bytes, and {most} are allowed: {message:?}", bytes.len());
        // Ages lose what is below a millisecond: what is compared are bytes.
        let again = self.seal.decode(&bytes).map(|message| self.seal.encode(&message));
        assert_eq!(again.as_ref(), Ok(&bytes), "said what nobody reads: {message:?}");
        bytes.len()
    }

    /// What is the node's own is as it was, and what it shows can be shown.
    pub(crate) fn is_unharmed(&self) {
        let own = self.node.value(&name("me"), "own").map(|(_, shown)| shown.value);
        assert_eq!(own, Some(Value::from("mine")), "strangers changed what is this node's own");
        let nodes = self.node.snapshot(self.now.moment).nodes.len();
        assert!(nodes <= self.node.config().max_nodes, "{nodes} nodes are remembered");
    }
}

/// A message of the friend.
pub(crate) fn from_friend(exchange: u32, body: Body) -> Message {
    let head = Head { generation: LIFE, heartbeat: Heartbeat(100) };
    Message { sender: Sender { id: name("carl").id(), head, max: Version(1) }, exchange, body }
}

/// A line of somebody who has come far.
pub(crate) fn far(owner: &str) -> Line {
    Line { id: name(owner).id(), generation: LIFE, max: Version(900) }
}

fn introduced((owner, address): (&str, SocketAddr)) -> Delta {
    let (owner, version) = (name(owner), Version(1));
    let entry = tidings_core::Entry::new(Some(Value::from("1")), version);
    Delta {
        owner: owner.id(),
        generation: LIFE,
        introduction: Some(Introduction {
            name: owner,
            address,
            heartbeat: Heartbeat(100),
            age: Duration::from_millis(10),
        }),
        span: Span::Reset,
        through: version,
        gc: Version(0),
        max: version,
        entries: vec![(key("a"), entry)],
    }
}

fn forgotten(owner: &str) -> Delta {
    let (name, entered) = (name(owner), Moment::default() - SECOND);
    let head = Head { generation: LIFE, heartbeat: Heartbeat(100) };
    Delta::forgotten(name.id(), Certificate { name, head, entered, until: entered + 600 * SECOND })
}

fn name(name: &str) -> NodeName {
    NodeName::new(name).expect("a proper name")
}

fn key(key: &str) -> Key {
    Key::new(key).expect("a proper key")
}
