//! Nodes that all know each other, made one by one: what two of them know when they begin to exchange.

use std::time::Duration;

use tidings_core::{
    Acquaintances, Body, Config, Delta, Entry, Generation, Gossiper, Head, Heartbeat, Identity, Introduction,
    Key, Message, Moment, News, NodeId, NodeName, Seal, Sender, Shown, Span, Time, Value, Version, WallClock,
};

use crate::data;

/// So many nodes, each with the same number of keys.
#[derive(Debug)]
pub(crate) struct World {
    /// How many nodes there are.
    pub(crate) nodes: usize,
    keys: usize,
    config: Config,
    all: Acquaintances,
}

impl World {
    /// So many nodes with so many keys each.
    pub(crate) fn new(nodes: usize, keys: usize) -> Self {
        let config = Config { max_nodes: (2 * nodes).max(65_536), ..Config::new("bench") };
        let cores: Vec<_> = (0..nodes).map(|number| alone(&config, number, keys)).collect();
        let all = Gossiper::acquaintances(&cores);
        Self { nodes, keys, config, all }
    }

    /// Node `number`, as it is when it knows nobody.
    pub(crate) fn stranger(&self, number: usize) -> Gossiper {
        alone(&self.config, number, self.keys)
    }

    /// Node `number`, which knows everybody.
    pub(crate) fn member(&self, number: usize) -> Gossiper {
        let mut core = self.stranger(number);
        core.acquaint(begin(), &self.all);
        core
    }

    /// Node `number`, which knows everybody and gossips with `other` alone.
    pub(crate) fn node(&self, number: usize, other: usize) -> Gossiper {
        let mut core = self.member(number);
        core.handle_neighbours(begin(), vec![data::address(other)]);
        core
    }

    /// How many bytes everything that a node knows takes in one message: who all are, and all that they wrote.
    pub(crate) fn encoded(&self) -> usize {
        let deltas = (0..self.nodes).map(|number| whole(&self.stranger(number))).collect();
        let body = Body::Ack2(News { deltas, ..News::default() });
        let head = Head { generation: Generation(1), heartbeat: Heartbeat(0) };
        let sender = Sender { id: NodeId(0), head, max: Version(0) };
        Seal::new("bench").encode(&Message { sender, exchange: 0, body }).len()
    }
}

/// All that a node has to say of itself.
fn whole(core: &Gossiper) -> Delta {
    let state = core.state(core.name(), begin().moment).expect("it knows itself");
    let mut entries: Vec<_> = state.entries.into_iter().collect();
    entries.sort_by_key(|(_, shown)| shown.version);
    let entry = |(key, shown): (Key, Shown)| (key, Entry::new(Some(shown.value), shown.version));
    let introduction = Introduction {
        name: core.name().clone(),
        address: core.address(),
        heartbeat: core.heartbeat(),
        age: Duration::ZERO,
    };
    Delta {
        owner: core.name().id(),
        generation: core.generation(),
        introduction: Some(introduction),
        span: Span::After(Version(0)),
        through: core.own_version(),
        gc: Version(0),
        max: core.own_version(),
        entries: entries.into_iter().map(entry).collect(),
    }
}

/// Node `number` with its keys, in a life that has begun.
fn alone(config: &Config, number: usize, keys: usize) -> Gossiper {
    let me = Identity { name: name(number), address: data::address(number), saved: None };
    let mut core =
        Gossiper::new(config.clone(), me, number as u64 + 1, at(0)).expect("the configuration works");
    // It finds out that nobody else has its name, and its first round comes.
    for moment in 1..=FIRST {
        core.handle_timeout(at(moment * 100_000));
        while core.poll_event().is_some() || core.poll_transmit().is_some() {}
    }
    assert!(core.has_begun(), "a node that nobody answers begins");
    for key in 0..keys {
        write(&mut core, begin(), number, key, 0);
    }
    core
}

/// Writes the value of `round` under key number `key` of node `number`.
pub(crate) fn write(core: &mut Gossiper, now: Time, number: usize, key: usize, round: u64) {
    let value = data::value(number, key, round);
    let pair = (Key::new(&data::key(key)).expect("a proper key"), Value::from(value.as_str()));
    core.set(now, [pair]).expect("the write is accepted");
}

/// What node `number` is called.
pub(crate) fn name(number: usize) -> NodeName {
    NodeName::new(&data::node(number)).expect("a proper name")
}

/// When two begin to exchange: all had their first round.
pub(crate) fn begin() -> Time {
    at(FIRST * 100_000)
}

/// So many tenths of a second are enough for that.
const FIRST: i64 = 20;

fn at(micros: i64) -> Time {
    Time { moment: Moment::from_micros(micros), wall: WallClock(1_800_000_000_000) }
}
