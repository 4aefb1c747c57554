//! Numbers that nobody can have, and words in others' names. Nothing of it sticks.

use std::time::Duration;

use tidings_core::{
    Body, Config, Delta, Entry, EventKind, Evidence, Generation, Head, HeadLine, Heartbeat, Introduction,
    Key, Line, Message, News, NodeId, Seal, Sender, Span, Standing, Summary, Syn, Value, Version,
};
use tidings_sim::{Place, Simulation};

use crate::{MINUTE, SECOND, cluster, config, knows_all, standing, text};

/// A peer that lies about others, in a message with a proper checksum.
struct Liar<'a> {
    sim: &'a mut Simulation,
    to: Place,
}

impl Liar<'_> {
    fn tell(&mut self, body: Body) {
        let head = Head { generation: Generation(1), heartbeat: Heartbeat(1) };
        let sender = Sender { id: NodeId(99), head, max: Version(0) };
        self.tell_as(sender, body);
    }

    fn tell_as(&mut self, sender: Sender, body: Body) {
        let bytes = Seal::new("test").encode(&Message { sender, exchange: 7, body });
        self.sim.inject(self.to, Place(200).address(), &bytes);
    }

    /// Says everything that can be said of `subject` with these numbers.
    fn claim(&mut self, subject: Place, generation: u64, heartbeat: u64, version: u64) {
        let id = self.sim.name(subject).id();
        let (generation, heartbeat, max) = (Generation(generation), Heartbeat(heartbeat), Version(version));
        let heads = vec![HeadLine { id, generation, heartbeat, age: Duration::ZERO }];
        let lines = vec![Line { id, generation, max }];
        self.tell(Body::Syn(Syn { heads, lines, ..empty_syn() }));
        self.tell(Body::Ack2(news(self.delta(subject, generation, heartbeat, max, "forged"))));
        let head = Head { generation, heartbeat };
        self.tell_as(Sender { id, head, max }, Body::Syn(empty_syn()));
    }

    fn delta(
        &self,
        subject: Place,
        generation: Generation,
        heartbeat: Heartbeat,
        max: Version,
        key: &str,
    ) -> Delta {
        let name = self.sim.name(subject).clone();
        let who = Introduction { name, address: subject.address(), heartbeat, age: Duration::ZERO };
        let entry = Entry::new(Some(Value::from("forged")), max);
        let entries = if max == Version(0) { vec![] } else { vec![(Key::new(key).unwrap(), entry)] };
        let (owner, introduction, span) = (self.sim.name(subject).id(), Some(who), Span::After(Version(0)));
        Delta { owner, generation, introduction, span, through: max, gc: Version(0), max, entries }
    }
}

pub(crate) fn empty_syn() -> Syn {
    let (heads, evidence, lines, sketch) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    Syn {
        is_pull: false,
        summary: Summary(1),
        heads,
        evidence,
        lines,
        sketch,
        window: None,
        cookie: None,
        share: None,
    }
}

fn news(delta: Delta) -> News {
    News { deltas: vec![delta], ..News::default() }
}

/// All are live, all hold the same, and what they write still arrives, also what the slandered node writes.
fn all_is_well(sim: &mut Simulation, nodes: &[Place]) {
    for (turn, &node) in nodes.iter().enumerate() {
        sim.set(node, "after", &turn.to_string());
    }
    let arrived = |sim: &Simulation| {
        let told = |viewer| nodes.iter().all(|&owner| text(sim, viewer, owner, "after").is_some());
        nodes.iter().all(|&viewer| told(viewer)) && knows_all(sim, nodes) && sim.is_equal()
    };
    sim.until(2 * MINUTE, arrived).expect("everything still works");
    sim.run(2 * MINUTE);
    assert!(knows_all(sim, nodes));
    for &viewer in nodes {
        assert!(
            nodes.iter().all(|&owner| text(sim, viewer, owner, "forged").is_none()),
            "a forgery is shown"
        );
    }
}

/// Five nodes, one of which is slandered before all of them, in all forms, with numbers made from its own.
fn slander(seed: u64, numbers: impl Fn(Head, Version) -> (u64, u64, u64)) -> (Simulation, Vec<Place>) {
    let mut sim = Simulation::new(seed);
    let nodes = cluster(&mut sim, 5, &config());
    sim.set(nodes[2], "color", "green");
    sim.run(10 * SECOND);
    for &to in &nodes {
        let core = sim.core(nodes[2]);
        let head = Head { generation: core.generation(), heartbeat: core.heartbeat() };
        let (generation, heartbeat, version) = numbers(head, core.own_version());
        Liar { sim: &mut sim, to }.claim(nodes[2], generation, heartbeat, version);
    }
    (sim, nodes)
}

/// R01: a generation far in the future, told of a node by a peer with corrupt memory.
#[test]
fn r01_a_generation_from_the_future_is_not_believed() {
    let (mut sim, nodes) = slander(1, |head, max| (head.generation.0 + (1 << 30), 1, max.0));
    assert!(nodes.iter().all(|&node| sim.core(node).dropped().contains_key("unbelievable")));
    all_is_well(&mut sim, &nodes);
}

/// R01: a generation that could be: the node takes one above.
#[test]
fn r01_a_believable_lie_about_a_generation_is_refuted() {
    let (mut sim, nodes) = slander(2, |head, max| (head.generation.0 + 3_600_000, 1, max.0 + 1));
    let lie = sim.core(nodes[2]).generation().0;
    sim.run(MINUTE);
    all_is_well(&mut sim, &nodes);
    assert!(sim.core(nodes[2]).generation().0 >= lie);
}

/// R04: a peer pushes back an older, or stranger, state of the node itself.
#[test]
fn r04_a_nodes_own_keys_are_its_own() {
    let (mut sim, nodes) = slander(4, |head, max| (head.generation.0, head.heartbeat.0, max.0 + 7));
    let before = sim.member(nodes[2], nodes[2]).unwrap();
    assert_eq!(text(&sim, nodes[2], nodes[2], "forged"), None);
    assert_eq!(text(&sim, nodes[2], nodes[2], "color").as_deref(), Some("green"));
    all_is_well(&mut sim, &nodes);
    assert_eq!(before.keys, 1);
    assert_eq!(text(&sim, nodes[0], nodes[2], "color").as_deref(), Some("green"));
}

/// R05, R06, R07: counters at their maximum, or a little below: nothing wraps, nothing sticks, nobody is excluded.
#[test]
fn r05_r06_r07_counters_near_their_maximum_do_no_harm() {
    for below in 0..4 {
        let most = u64::MAX - below;
        for kind in ["generation", "version", "heartbeat", "all"] {
            let numbers = |head: Head, max: Version| match kind {
                "generation" => (most, 1, max.0),
                "version" => (head.generation.0, 1, most),
                "heartbeat" => (head.generation.0, most, max.0),
                _ => (most, most, most),
            };
            let (mut sim, nodes) = slander(50 + below, numbers);
            sim.set(nodes[2], "next", "write");
            sim.run(MINUTE);
            assert_eq!(standing(&sim, nodes[0], nodes[2]), Some(Standing::Live), "{kind}");
            assert_eq!(text(&sim, nodes[0], nodes[2], "next").as_deref(), Some("write"), "{kind}");
            all_is_well(&mut sim, &nodes);
        }
    }
}

/// R07: the highest heartbeat that could be. The node goes on above it.
#[test]
fn r07_a_believable_lie_about_a_heartbeat_is_outrun() {
    let (mut sim, nodes) = slander(70, |head, max| (head.generation.0, head.heartbeat.0 + 1_000_000, max.0));
    assert!(sim.core(nodes[2]).heartbeat().0 > 1_000_000);
    sim.run(MINUTE);
    all_is_well(&mut sim, &nodes);
}

/// R09: the announcement of an earlier life's departure, held up on its way.
#[test]
fn r09_a_late_departure_of_an_earlier_life_is_void() {
    let mut sim = Simulation::new(9);
    let nodes = cluster(&mut sim, 5, &config());
    let old = sim.core(nodes[2]).generation();
    sim.crash(nodes[2]);
    sim.run(SECOND);
    sim.restart(nodes[2], tidings_sim::Disk::Lost);
    sim.until(MINUTE, |sim| knows_all(sim, &nodes)).expect("the new life is known");
    sim.run(5 * SECOND);
    for &to in &nodes {
        let mut liar = Liar { sim: &mut sim, to };
        let late = liar.delta(nodes[2], old, Heartbeat(1_000), Version(3), "tidings/departed");
        liar.tell(Body::Ack2(news(late)));
    }
    assert!(knows_all(&sim, &nodes));
    all_is_well(&mut sim, &nodes);
}

/// A departure in another's name, of its present life: it says that it is still there.
#[test]
fn a_forged_departure_is_refuted() {
    let mut sim = Simulation::new(11);
    let nodes = cluster(&mut sim, 5, &config());
    let generation = sim.core(nodes[2]).generation();
    let mut liar = Liar { sim: &mut sim, to: nodes[0] };
    let forged = liar.delta(nodes[2], generation, Heartbeat(1_000), Version(3), "tidings/departed");
    liar.tell(Body::Ack2(news(forged)));
    assert_eq!(standing(&sim, nodes[0], nodes[2]), Some(Standing::Departed));
    sim.until(MINUTE, |sim| knows_all(sim, &nodes)).expect("it is still there");
    all_is_well(&mut sim, &nodes);
}

/// State in a live owner's name that is too large for any datagram: whoever was told can't show it to the owner, but
/// says how far it has come, and the owner goes on above that.
#[test]
fn a_forgery_too_large_to_relay_does_not_stick() {
    for reset in [true, false] {
        let mut sim = Simulation::new(12);
        let nodes = cluster(&mut sim, 4, &config());
        sim.set(nodes[2], "color", "green");
        sim.run(10 * SECOND);
        let (generation, own) = (sim.core(nodes[2]).generation(), sim.core(nodes[2]).own_version());
        let mut liar = Liar { sim: &mut sim, to: nodes[0] };
        let max = Version(own.0 + 1_000);
        let mut forged = liar.delta(nodes[2], generation, Heartbeat(1), max, "forged");
        forged.entries[0].1.value = Some(Value::from(vec![b'x'; 3_000]));
        if reset {
            (forged.span, forged.gc) = (Span::Reset, max);
        } else {
            (forged.span, forged.introduction) = (Span::After(own), None);
        }
        liar.tell(Body::Ack2(news(forged)));
        assert!(text(&sim, nodes[0], nodes[2], "forged").is_some(), "it is believed at first");
        sim.run(2 * MINUTE);
        all_is_well(&mut sim, &nodes);
        assert_eq!(text(&sim, nodes[0], nodes[2], "color").as_deref(), Some("green"));
    }
}

/// Evidence from somebody whom nobody knows convicts nobody, even where there is no patience. The same from a member is
/// believed for as long as it takes the accused to show that it runs.
#[test]
fn evidence_of_strangers_is_not_heard() {
    for from_a_member in [false, true] {
        let mut sim = Simulation::new(13);
        let nodes = cluster(&mut sim, 5, &Config { patience: 0, ..config() });
        sim.run(10 * SECOND);
        let mut convicted = false;
        for &to in nodes.iter().filter(|&&to| to != nodes[2]) {
            let core = sim.core(nodes[2]);
            let (id, generation, heartbeat) = (core.name().id(), core.generation(), core.heartbeat());
            let accusers: Vec<_> = nodes.iter().map(|&node| (sim.name(node).id(), 90)).collect();
            let head = HeadLine { id, generation, heartbeat, age: SECOND };
            let evidence = vec![Evidence { head, since: Duration::ZERO, until: Duration::ZERO, accusers }];
            let liar = nodes[if to == nodes[0] { 1 } else { 0 }];
            let (core, name) = (sim.core(liar), sim.name(liar).id());
            let head = Head { generation: core.generation(), heartbeat: core.heartbeat() };
            let member = Sender { id: name, head, max: core.own_version() };
            let syn = Syn { evidence, ..empty_syn() };
            let mut liar = Liar { sim: &mut sim, to };
            match from_a_member {
                true => liar.tell_as(member, Body::Syn(syn)),
                false => liar.tell(Body::Syn(syn)),
            }
            let refused = sim.core(to).dropped().contains_key("stranger");
            assert_eq!(refused, !from_a_member, "a stranger's evidence is counted, and not heard");
            sim.run(SECOND / 2);
            convicted |= standing(&sim, to, nodes[2]) != Some(Standing::Live);
        }
        let heard = nodes.iter().any(|&node| {
            let gone = |kind: &EventKind| matches!(kind, EventKind::Unreachable { .. });
            sim.events(node).iter().any(|(_, event)| gone(&event.kind))
        });
        assert!(from_a_member || (!convicted && !heard), "a stranger convicted a healthy node");
        sim.until(MINUTE, |sim| knows_all(sim, &nodes)).expect("a lie does not last");
    }
}
