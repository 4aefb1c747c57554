//! X3: whoever hears again what was said before, in any order, is none the wiser.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use tidings_core::{
    Config, Gossiper, Identity, Key, Lifetime, Moment, NodeName, Peer, Replica, Rng, Saved, Seal, Time,
    Transmit, Value, WallClock,
};

const SECOND: Duration = Duration::from_secs(1);
const COUNT: usize = 4;

fn at(seconds: u32) -> Time {
    let moment = Moment::default() + seconds * SECOND;
    Time { moment, wall: WallClock(1_800_000_000_000 + 1_000 * u64::from(seconds)) }
}

fn address(number: usize) -> SocketAddr {
    let [.., last] = number.to_be_bytes();
    SocketAddr::from(([10, 0, 0, last], 7_000))
}

fn start(number: usize, saved: Option<Saved>, seconds: u32) -> Gossiper {
    let name = NodeName::new(&format!("node-{number}")).unwrap();
    let me = Identity { name, address: address(number), saved };
    let config = Config { grace: 5 * SECOND, ..Config::new("test") };
    let mut node = Gossiper::new(config, me, number as u64, at(seconds)).unwrap();
    node.handle_seeds(at(seconds), vec![address(0), address(1)]);
    node
}

/// What goes over a network that loses nothing, and all that ever did.
struct World {
    nodes: Vec<Gossiper>,
    seal: Seal,
    seconds: u32,
    said: Vec<(usize, usize, Vec<u8>)>,
}

impl World {
    /// A second passes.
    fn pass(&mut self) {
        self.seconds += 1;
        let now = at(self.seconds);
        for number in 0..COUNT {
            self.nodes[number].handle_timeout(now);
            self.deliver(now);
        }
    }

    fn deliver(&mut self, now: Time) {
        let mut under_way: VecDeque<_> = self.drain();
        while let Some((from, to, bytes)) = under_way.pop_front() {
            self.hear(now, from, to, &bytes);
            self.said.push((from, to, bytes));
            under_way.extend(self.drain());
        }
    }

    fn hear(&mut self, now: Time, from: usize, to: usize, bytes: &[u8]) {
        let peer = Peer::Datagram { from: address(from), len: bytes.len() };
        // Some are refused: they answer nothing any more.
        let _ = self.nodes[to].handle_message(now, peer, self.seal.decode(bytes).unwrap());
    }

    /// All that the nodes have to say: from whom, to whom, what.
    fn drain(&mut self) -> VecDeque<(usize, usize, Vec<u8>)> {
        let mut all = VecDeque::new();
        for from in 0..COUNT {
            while let Some(transmit) = self.nodes[from].poll_transmit() {
                let Transmit::Datagram { to, message } = transmit else { continue };
                let to = (0..COUNT).find(|number| address(*number) == to).filter(|to| *to != from);
                all.extend(to.map(|to| (from, to, self.seal.encode(&message))));
            }
        }
        all
    }

    /// All that each node holds of each.
    fn held(&self) -> Vec<Vec<Replica>> {
        let of = |node: &Gossiper| node.ids().iter().filter_map(|&id| node.replica(id).cloned()).collect();
        self.nodes.iter().map(of).collect()
    }

    fn events(&mut self) -> Vec<String> {
        let told = |node: &mut Gossiper| std::iter::from_fn(|| node.poll_event()).collect::<Vec<_>>();
        self.nodes.iter_mut().flat_map(told).map(|event| format!("{} {:?}", event.node, event.kind)).collect()
    }
}

#[test]
fn x3_all_that_was_ever_said_changes_nothing_when_it_is_said_again() {
    let nodes = (0..COUNT).map(|number| start(number, None, 0)).collect();
    let mut world = World { nodes, seal: Seal::new("test"), seconds: 0, said: Vec::new() };
    let key = |key: u32| Key::new(&format!("key-{}", key % 5)).unwrap();
    for turn in 0..60 {
        let writer = &mut world.nodes[turn as usize % COUNT];
        let lifetime = if turn % 7 == 0 { Lifetime::ttl(3 * SECOND) } else { Lifetime::default() };
        let now = at(world.seconds);
        writer.set_for(now, [(key(turn), Value::from(turn.to_string()))], lifetime).unwrap();
        // Which it may not have.
        let _ = writer.delete(now, key(turn * 3));
        world.pass();
        if turn == 30 {
            // The next life begins with nothing of this one.
            world.nodes[2] = start(2, None, world.seconds);
        }
    }
    (0..40).for_each(|_| world.pass());
    let held = world.held();
    assert!(held.iter().all(|of_one| *of_one == held[0]), "all are equal");
    assert!(!world.events().is_empty());
    let mut rng = Rng::new(3);
    let mut said = std::mem::take(&mut world.said);
    assert!(said.len() > 1_000, "{}", said.len());
    for _ in 0..3 {
        rng.shuffle(&mut said);
        for (turn, (from, _, bytes)) in said.iter().enumerate() {
            // What is asked is heard within a budget: some in each interval.
            if turn % 20 == 0 {
                world.seconds += 1;
            }
            for to in (0..COUNT).filter(|to| to != from) {
                world.hear(at(world.seconds), *from, to, bytes);
            }
            world.drain();
        }
        assert_eq!(world.held(), held);
        assert_eq!(world.events(), [""; 0]);
    }
}
