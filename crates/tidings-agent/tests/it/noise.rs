//! Datagrams that nobody meant: counted, and without effect.

use std::net::UdpSocket;

use serde_json::{Value, json};

use crate::harness::Agent;

/// How many datagrams of each kind an agent is sent.
const MANY: usize = 10_000;

/// How many at once: fewer than a socket keeps while its agent is busy.
const BATCH: usize = 40;

#[test]
fn noise_and_damaged_datagrams_are_counted_and_change_nothing() {
    // It poses as the one seed of an agent: whatever else that agent receives is noise.
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let pose = socket.local_addr().expect("an address").to_string();
    let lonely = Agent::start("lonely", &["--seed", &pose]);
    // Two that gossip, and give each other time, however busy this machine is.
    let target = Agent::start("target", &["--patience", "100"]);
    let friend = Agent::join("friend", &target, &["--patience", "100"]);
    lonely.ok(&["set", "k", "v"]);
    target.ok(&["set", "k", "v"]);
    friend.wait_for_key("target/k=v");
    target.wait_for_members(2);
    friend.wait_for_members(2);
    let valid: Vec<_> = (0..4).map(|_| overhear(&socket, &lonely)).collect();

    let mut chance = Chance(7);
    for agent in [&lonely, &target] {
        let before = contents(agent);
        shower(&socket, agent, || (0..chance.below(1_500)).map(|_| chance.byte()).collect());
        shower(&socket, agent, || {
            let mut bytes = valid[chance.below(valid.len())].clone();
            let bit = chance.below(8 * bytes.len());
            bytes[bit / 8] ^= 1 << (bit % 8);
            bytes
        });
        agent.fetch_until("/v1/status", |_| contents(agent) == before);
    }
    let status = lonely.fetch("/v1/status");
    assert_eq!(dropped(&status), received(&status), "{status}");
    assert_eq!(status["dropped"].as_object().map(|reasons| reasons.contains_key("checksum")), Some(true));
    target.ok(&["set", "k", "goes on"]);
    friend.wait_for_key("target/k=goes on");
}

/// A datagram that `agent` sent to its seed.
fn overhear(socket: &UdpSocket, agent: &Agent) -> Vec<u8> {
    let mut bytes = vec![0; 65_536];
    let (len, from) = socket.recv_from(&mut bytes).expect("an agent goes on asking its seed");
    assert_eq!(from, agent.gossip);
    bytes.truncate(len);
    bytes
}

/// Sends many datagrams to `agent`, no faster than it takes them; the network may lose some of them.
fn shower(socket: &UdpSocket, agent: &Agent, mut datagram: impl FnMut() -> Vec<u8>) {
    let mut status = agent.fetch("/v1/status");
    for _ in 0..MANY / BATCH {
        for _ in 0..BATCH {
            socket.send_to(&datagram(), agent.gossip).expect("loopback takes it");
        }
        let (taken, refused) = (received(&status), dropped(&status));
        status =
            agent.fetch_until("/v1/status", |status| received(status) > taken && dropped(status) > refused);
    }
}

fn received(status: &Value) -> u64 {
    status["received"]["datagrams"].as_u64().expect("a number")
}

fn dropped(status: &Value) -> u64 {
    let reasons = status["dropped"].as_object().expect("an object");
    reasons.values().map(|number| number.as_u64().expect("a number")).sum()
}

/// What an agent knows, without what time changes.
fn contents(agent: &Agent) -> (Value, Vec<Value>) {
    let members = agent.fetch("/v1/members");
    let lasting = |member: &Value| {
        let fields = ["name", "address", "generation", "state", "keys", "max_version", "self"];
        json!(fields.map(|field| &member[field]))
    };
    let members = members.as_array().expect("an array").iter().map(lasting).collect();
    (agent.fetch("/v1/status")["digest"].clone(), members)
}

/// Numbers without a pattern, the same in each run: a xorshift.
struct Chance(u64);

impl Chance {
    fn word(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn byte(&mut self) -> u8 {
        self.word().to_le_bytes()[3]
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.word() % bound as u64).expect("below a usize")
    }
}
