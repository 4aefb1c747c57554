//! What an exchange costs two nodes that know many, by how much they differ.

use std::net::SocketAddr;
use std::time::Duration;

use tidings_core::{
    Acquaintances, Body, Config, Gossiper, Head, Heartbeat, Identity, Introduction, Key, Message, Moment,
    Mongering, News, NodeName, Peer, Rng, Seal, Sender, Time, Transmit, Value, Version, WallClock,
};

const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: u32) -> Time {
    let moment = Moment::default() + seconds * SECOND;
    Time { moment, wall: WallClock(1_800_000_000_000 + 1_000 * u64::from(seconds)) }
}

fn node(name: &str, address: SocketAddr, config: Config) -> Gossiper {
    let me = Identity { name: NodeName::new(name).unwrap(), address, saved: None };
    // Each in a life of its own, begun some time in the last two years.
    let age = name.bytes().fold(7, |hash: u64, byte| hash.wrapping_mul(0x0100_0000_01b3) ^ u64::from(byte));
    let born = Time { wall: WallClock(at(0).wall.0 - age % (63 << 30)), ..at(0) };
    Gossiper::new(config, me, age, born).unwrap()
}

fn address(number: usize) -> SocketAddr {
    let [.., a, b, c] = u32::try_from(number).unwrap().to_be_bytes();
    SocketAddr::from(([10, a, b, c], 7_000))
}

/// Nodes that hold one short key each.
fn crowd(count: usize) -> Vec<Gossiper> {
    crowd_of(count, &Config::new("test"))
}

fn crowd_of(count: usize, config: &Config) -> Vec<Gossiper> {
    let mut all: Vec<_> =
        (0..count).map(|number| node(&format!("node-{number}"), address(number), config.clone())).collect();
    all.iter_mut().for_each(|node| write(node, "old"));
    all
}

fn write(node: &mut Gossiper, value: &str) {
    node.set(at(0), [(Key::new("key").unwrap(), Value::from(value))]).unwrap();
}

/// Two nodes that gossip with each other alone, and know many.
struct Pair {
    nodes: [Gossiper; 2],
    seal: Seal,
    seconds: u32,
    /// The length of each message, in order.
    sent: Vec<usize>,
    /// By this chance, a quarter of all messages is lost.
    loses: Option<Rng>,
}

const ADDRESSES: [([u8; 4], u16); 2] = [([10, 255, 0, 1], 1), ([10, 255, 0, 2], 1)];

impl Pair {
    /// The first one knows what is in `first`, the other one what is in `second`.
    fn new(first: &Acquaintances, second: &Acquaintances, config: &Config) -> Self {
        let [one, other] = ADDRESSES.map(SocketAddr::from);
        let mut nodes = [node("one", one, config.clone()), node("other", other, config.clone())];
        for (node, neighbour) in nodes.iter_mut().zip([other, one]) {
            node.handle_timeout(at(0));
            while node.poll_transmit().is_some() {}
            node.handle_neighbours(at(0), vec![neighbour]);
        }
        let mut pair = Self { nodes, seal: Seal::new("test"), seconds: 0, sent: Vec::new(), loses: None };
        // They meet, and hear of the others when their news of each other is long settled.
        pair.rounds(40);
        let now = at(pair.seconds);
        for (node, known) in pair.nodes.iter_mut().zip([first, second]) {
            node.acquaint(now, known);
        }
        pair.sent.clear();
        pair
    }

    /// Both begin so many rounds, one after the other.
    fn rounds(&mut self, count: u32) {
        for _ in 0..count {
            self.round_of(0);
            self.round_of(1);
        }
    }

    /// A second passes, in which one node begins what it has to, and the other one only answers.
    fn round_of(&mut self, first: usize) {
        self.seconds += 1;
        let now = at(self.seconds);
        self.nodes[first].handle_timeout(now);
        loop {
            let from = [first, 1 - first].into_iter().find_map(|from| {
                let transmit = self.nodes[from].poll_transmit()?;
                Some((from, transmit))
            });
            let Some((from, transmit)) = from else { return };
            let Transmit::Datagram { message, .. } = transmit else { continue };
            let bytes = self.seal.encode(&message);
            self.sent.push(bytes.len());
            if self.loses.as_mut().is_some_and(|chance| chance.chance(1, 4)) {
                continue;
            }
            let message = self.seal.decode(&bytes).unwrap();
            let peer = Peer::Datagram { from: ADDRESSES[from].into(), len: bytes.len() };
            self.nodes[1 - from].handle_message(now, peer, message).unwrap();
        }
    }

    /// One of the two hears from `owner` what it wrote after version `after`.
    fn tell(&mut self, to: usize, owner: &Gossiper, after: u64) {
        let (name, address, heartbeat) = (owner.name().clone(), owner.address(), Heartbeat(0));
        let id = name.id();
        let introduction = Introduction { name, address, heartbeat, age: Duration::ZERO };
        let replica = owner.replica(id).unwrap();
        let theirs = Some((replica.generation(), Version(after)));
        let deltas = vec![replica.cut(id, &introduction, theirs, at(self.seconds).moment, 60_000).unwrap()];
        let head = Head { generation: owner.generation(), heartbeat };
        let sender = Sender { id, head, max: replica.max_version() };
        let message = Message { sender, exchange: 0, body: Body::Ack2(News { deltas, ..News::default() }) };
        let (now, peer) = (at(self.seconds), Peer::Datagram { from: address, len: 100 });
        self.nodes[to].handle_message(now, peer, message).unwrap();
    }

    fn is_equal(&self) -> bool {
        let [one, other] = &self.nodes;
        one.ids() == other.ids()
            && one.ids().iter().all(|&id| {
                one.replica(id).map(|replica| (replica.generation(), replica.max_version()))
                    == other.replica(id).map(|replica| (replica.generation(), replica.max_version()))
            })
    }

    /// How many bytes it takes until both hold the same.
    fn bytes_until_equal(&mut self, rounds: u32) -> usize {
        for _ in 0..rounds {
            self.round_of(0);
            if self.is_equal() {
                return self.sent.iter().sum();
            }
        }
        panic!("not equal after {:?}", self.sent);
    }
}

/// Two that know `known` others, of whom `changed` wrote again: of half of them one knows it, of the others the other one.
fn differing(known: usize, changed: usize, config: &Config) -> Pair {
    let (mut crowd, mut others) = (crowd(known), crowd(known));
    let step = known / changed.max(1);
    let half = |crowd: &mut [Gossiper], from: usize, value: &str| {
        (0..changed).filter(|n| n % 2 == from).for_each(|n| write(&mut crowd[n * step], value));
    };
    half(&mut crowd, 0, "new");
    let first = Gossiper::acquaintances(&crowd);
    half(&mut others, 1, "new");
    let second = Gossiper::acquaintances(&others);
    Pair::new(&first, &second, config)
}

/// D4: what ten owners of ten thousand changed long ago takes two kilobytes to settle, whoever knows of it.
#[test]
fn d4_ten_changed_owners_among_ten_thousand_take_two_kilobytes() {
    let mut pair = differing(10_000, 10, &Config::new("test"));
    assert!(!pair.is_equal());
    let bytes = pair.bytes_until_equal(6);
    println!("{:?}", pair.sent);
    assert!(bytes <= 2_000, "{bytes}: {:?}", pair.sent);
}

/// Two that hold the same of a thousand others, until each of the first `owners` wrote `keys` keys, and those who hear of them
/// did so.
fn hearing(owners: usize, keys: usize, hears: impl Fn(usize, usize) -> bool) -> Pair {
    // What is looked at is what exchanges cost, without what rumors tell before them.
    let config = Config { mongering: Mongering::Off, ..Config::new("test") };
    let mut crowd = crowd_of(1_000, &config);
    let all = Gossiper::acquaintances(&crowd);
    let mut pair = Pair::new(&all, &all, &config);
    for (number, owner) in crowd[..owners].iter_mut().enumerate() {
        for key in 0..keys {
            let key = Key::new(&format!("key-{key}")).unwrap();
            owner.set(at(0), [(key, Value::from("x".repeat(32).as_str()))]).unwrap();
        }
        (0..2).filter(|&node| hears(node, number)).for_each(|node| pair.tell(node, owner, 1));
    }
    pair
}

/// The same, where only one hears of them.
fn one_ahead(knows: usize, owners: usize, keys: usize) -> Pair {
    hearing(owners, keys, |node, _| node == knows)
}

/// What a hundred of a thousand owners wrote comes in one exchange if the one that is asked knows of it: in some datagrams, and
/// without a stream. If the one that asks knows, it takes a second exchange: not all lines fit the first.
#[test]
fn many_changed_owners_take_few_messages_whoever_knows_of_them() {
    for (knows, owners, keys, most) in
        [(1, 100, 1, 8_000), (0, 100, 1, 10_500), (1, 10, 10, 6_000), (0, 10, 10, 6_000)]
    {
        let mut pair = one_ahead(knows, owners, keys);
        let bytes = pair.bytes_until_equal(4);
        assert!(bytes <= most, "{knows} knows of {owners} owners: {bytes} bytes: {:?}", pair.sent);
    }
}

/// Both heard lately of more than a list holds, and of one owner only the one that is asked: that one alone is told.
#[test]
fn what_a_list_has_no_room_for_is_not_told_to_who_has_it() {
    let mut pair = hearing(150, 1, |node, owner| node == 1 || owner != 20);
    pair.bytes_until_equal(1);
    assert!(pair.sent.len() == 2 && pair.sent[1] < 400, "{:?}", pair.sent);
}

/// Whichever of these datagrams are lost, later exchanges bring what was in them.
#[test]
fn what_was_lost_of_many_datagrams_comes_with_the_next_exchanges() {
    for seed in 0..20 {
        let mut pair = one_ahead(usize::from(seed % 2 == 0), 100, 1);
        pair.loses = Some(Rng::new(seed));
        let rounds = (0..8).find(|_| {
            pair.rounds(1);
            pair.is_equal()
        });
        assert!(rounds.is_some(), "not equal after {:?}", pair.sent);
    }
}

/// The bytes of an exchange in which a node that knows so many others has nothing to tell, nor has the one that answers.
fn idle(known: usize) -> Vec<usize> {
    let (mut crowd, seal) = (crowd(known), Seal::new("test"));
    let all = Gossiper::acquaintances(&crowd);
    let mut sent = Vec::new();
    // Not for long: what the others send goes nowhere, and soon they suspect each other.
    for seconds in 1..4 {
        let now = at(seconds);
        crowd.iter_mut().for_each(|node| node.handle_timeout(now));
        crowd[1..].iter_mut().for_each(|node| while node.poll_transmit().is_some() {});
        crowd[0].acquaint(now, &all);
        sent.clear();
        while let Some(Transmit::Datagram { to, message }) = crowd[0].poll_transmit() {
            sent.push(seal.encode(&message).len());
            let partner = (0..known).find(|&number| address(number) == to).expect("somebody known");
            let (from, len) = (address(0), sent[0]);
            crowd[partner].acquaint(now, &all);
            crowd[partner].handle_message(now, Peer::Datagram { from, len }, message).unwrap();
            while let Some(Transmit::Datagram { message, .. }) = crowd[partner].poll_transmit() {
                let len = seal.encode(&message).len();
                sent.push(len);
                crowd[0].handle_message(now, Peer::Datagram { from: to, len }, message).unwrap();
            }
        }
    }
    sent
}

/// D3: what two nodes exchange that hold the same is as long among ten thousand as among a hundred.
#[test]
fn d3_an_idle_exchange_is_as_short_however_many_are_known() {
    for known in [100, 1_000, 10_000] {
        let sent = idle(known);
        println!("{known}: {sent:?}");
        assert_eq!(sent.len(), 2);
        // Once rounds are counted in three bytes: that of the sender, twice.
        assert!(sent.iter().sum::<usize>() + 2 * 2 <= 128, "{sent:?} among {known}");
    }
}

/// R59: while one owner has far more to tell than a datagram holds, those who have little come through in the first
/// answers, each with half of it, and the bulky one goes on in the other half.
#[test]
fn r59_a_bulky_owner_leaves_half_of_each_answer_to_the_small() {
    let mut crowd = crowd(60);
    let first = Gossiper::acquaintances(&crowd);
    let key = |number: usize| Key::new(&format!("key-{number}")).unwrap();
    for number in 0..1_000 {
        crowd[0].set(at(0), [(key(number), Value::from("x".repeat(100).as_str()))]).unwrap();
    }
    crowd[1..41].iter_mut().for_each(|node| write(node, "new"));
    let second = Gossiper::acquaintances(&crowd);
    let mut pair = Pair::new(&first, &second, &Config::new("test"));
    let max = |pair: &Pair, node: &Gossiper| {
        let id = NodeName::new(node.name().as_str()).unwrap().id();
        pair.nodes[0].replica(id).unwrap().max_version().0
    };
    let mut exchanges = 0;
    while crowd[1..41].iter().any(|node| max(&pair, node) < 2) {
        let before = max(&pair, &crowd[0]);
        pair.round_of(0);
        exchanges += 1;
        assert!(exchanges < 20, "the small wait");
        let is_asked = pair.sent.len() > 2;
        assert!(!is_asked || max(&pair, &crowd[0]) > before, "the bulky one goes on");
    }
    println!("{exchanges}: {:?}", pair.sent);
}

/// D10: among a hundred thousand nodes no message outgrows a datagram, whether little differs or all of it.
#[test]
fn d10_no_message_outgrows_a_datagram_among_a_hundred_thousand() {
    let mut crowd = crowd(100_000);
    let first = Gossiper::acquaintances(&crowd);
    crowd[..1_000].iter_mut().for_each(|node| write(node, "new"));
    let (second, nobody) = (Gossiper::acquaintances(&crowd), Gossiper::acquaintances([]));
    drop(crowd);
    for first in [&first, &nobody] {
        let mut pair = Pair::new(first, &second, &Config::new("test"));
        pair.rounds(20);
        let largest = pair.sent.iter().max().unwrap();
        assert!((1_000..=1_200).contains(largest), "{largest}");
    }
}
