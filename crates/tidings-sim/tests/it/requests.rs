//! Asking the owner: each request is granted once at most, whatever is lost and whoever restarts, and answered.

use std::time::Duration;

use tidings_core::{
    Config, EventKind, Key, Lifetime, Outcome, Policy, Request, RequestError, RequestId, Stamp, Unanswered,
    Value,
};
use tidings_sim::{Disk, Place, Share, Simulation};

use crate::{MINUTE, SECOND, cluster, config, durable, text};

fn open(config: Config) -> Config {
    Config { requests: Policy::Keys(vec!["config/*".to_owned()]), ..config }
}

fn change(key: &str, value: Option<&str>, expected: Option<Stamp>) -> Request {
    Request { expected, ..Request::new(Key::new(key).unwrap(), value.map(Value::from)) }
}

/// Asks `owner` to set `config/color`, for a minute.
fn ask(sim: &mut Simulation, requester: Place, owner: Place, value: &str) -> RequestId {
    sim.request(requester, owner, change("config/color", Some(value), None), MINUTE).expect("it asks")
}

/// A watched cluster of three whose last node grants requests, and the three: who asks, who stands between, who owns.
fn three(seed: u64, config: Config) -> (Simulation, [Place; 3]) {
    let mut sim = Simulation::new(seed);
    sim.check();
    let nodes = cluster(&mut sim, 3, &open(config));
    (sim, [nodes[0], nodes[1], nodes[2]])
}

fn until_answered(sim: &mut Simulation, requester: Place, count: usize) -> Duration {
    let took = sim.until(2 * MINUTE, |sim| sim.answers(requester).len() == count);
    took.unwrap_or_else(|| panic!("no answer: {:?} {:?}", sim.answers(requester), sim.broken()))
}

/// What the last request of `requester` led to.
fn outcome(sim: &Simulation, requester: Place) -> &Result<Outcome, Unanswered> {
    &sim.answers(requester).last().expect("an answer").1
}

fn is_applied(sim: &Simulation, requester: Place) -> bool {
    matches!(outcome(sim, requester), Ok(Outcome::Applied(_)))
}

/// How often `viewer` saw `config/color` of `owner` become `value`.
fn sights(sim: &Simulation, viewer: Place, owner: Place, shown: &str) -> usize {
    let is_it = |kind: &EventKind| matches!(kind, EventKind::Set { key, value, .. } if key.as_str() == "config/color" && value.as_str() == Some(shown));
    let of_owner = sim.events(viewer).iter().filter(|(_, event)| event.node == *sim.name(owner));
    of_owner.filter(|(_, event)| is_it(&event.kind)).count()
}

/// How many entries under `prefix` a node shows of its own.
fn kept(sim: &Simulation, place: Place, prefix: &str) -> usize {
    let own = sim.core(place).replica(sim.name(place).id()).expect("it knows itself");
    own.entries().filter(|(key, entry)| key.as_str().starts_with(prefix) && entry.value.is_some()).count()
}

/// All is over: nothing is asked for any more, and no promise was broken.
fn ends_well(sim: &mut Simulation, requester: Place) {
    sim.run(20 * SECOND);
    assert_eq!(sim.broken(), None);
    assert_eq!(kept(sim, requester, "tidings/req/"), 0);
    assert!(sim.is_equal());
}

#[test]
fn an_owner_that_can_be_reached_answers_within_a_few_round_trips() {
    let (mut sim, [requester, between, owner]) = three(1, config());
    ask(&mut sim, requester, owner, "green");
    let took = until_answered(&mut sim, requester, 1);
    assert!(took < SECOND / 10, "{took:?}");
    let Ok(Outcome::Applied((generation, version))) = outcome(&sim, requester).clone() else { panic!() };
    let shown = sim.value(owner, owner, "config/color").unwrap();
    assert_eq!((sim.core(owner).generation(), shown.version), (generation, version));
    assert_eq!(text(&sim, requester, owner, "config/color").as_deref(), Some("green"), "with the answer");
    ends_well(&mut sim, requester);
    assert_eq!(text(&sim, between, owner, "config/color").as_deref(), Some("green"));
}

#[test]
fn a_request_and_its_answer_go_through_a_third_node() {
    let (mut sim, [requester, _, owner]) = three(2, config());
    sim.network.part(&[requester], &[owner]);
    ask(&mut sim, requester, owner, "green");
    let took = until_answered(&mut sim, requester, 1);
    assert!(is_applied(&sim, requester) && took < 5 * SECOND, "{took:?}");
    sim.network.heal();
    ends_well(&mut sim, requester);
}

#[test]
fn neighbours_that_share_only_one_ask_through_it() {
    let mut sim = Simulation::new(3);
    sim.check();
    let nodes: Vec<_> = (0..3).map(|n| sim.start(&format!("node-{n}"), open(config()), &[])).collect();
    for (node, near) in [(0, vec![nodes[1]]), (1, vec![nodes[0], nodes[2]]), (2, vec![nodes[1]])] {
        sim.neighbours(nodes[node], &near);
    }
    sim.until(MINUTE, |sim| sim.is_equal()).expect("all know all");
    ask(&mut sim, nodes[0], nodes[2], "green");
    until_answered(&mut sim, nodes[0], 1);
    assert!(is_applied(&sim, nodes[0]));
    ends_well(&mut sim, nodes[0]);
}

/// A quarter of all datagrams is lost, and a quarter comes twice: each of two hundred requests is granted, once.
#[test]
fn every_request_is_granted_once_where_much_is_lost_and_doubled() {
    let (mut sim, [requester, between, owner]) = three(4, config());
    (sim.network.loss, sim.network.duplicates) = (Share(250), Share(250));
    for turn in 0..200 {
        let asking = if turn % 2 == 0 { requester } else { between };
        ask(&mut sim, asking, owner, &format!("{turn}"));
        sim.run(SECOND / 5);
    }
    until_answered(&mut sim, requester, 100);
    until_answered(&mut sim, between, 100);
    for asking in [requester, between] {
        assert!(sim.answers(asking).iter().all(|(_, answer)| matches!(answer, Ok(Outcome::Applied(_)))));
    }
    for turn in 0..200 {
        assert_eq!(sights(&sim, owner, owner, &format!("{turn}")), 1, "{turn}");
    }
    sim.network.loss = Share(0);
    ends_well(&mut sim, requester);
}

/// The requester is gone and back, with its disk, before the owner hears of the request: it is granted once all the same.
#[test]
fn a_requester_that_restarts_has_asked_once() {
    for (seed, pause) in [0, 1_000, 3_000, 6_000, 20_000, 40_000, 200_000].into_iter().enumerate() {
        let (mut sim, [requester, _, owner]) = three(50 + seed as u64, durable());
        ask(&mut sim, requester, owner, "green");
        sim.run(Duration::from_micros(pause));
        sim.crash(requester);
        sim.run(10 * SECOND);
        // What came through meanwhile must not come again.
        sim.set(owner, "config/color", "black");
        sim.run(SECOND);
        sim.restart(requester, Disk::Kept);
        sim.run(30 * SECOND);
        ends_well(&mut sim, requester);
        let was_saved = pause > 2_000;
        let granted = sights(&sim, owner, owner, "green");
        assert_eq!(granted, usize::from(was_saved), "a crash after {pause} us");
    }
}

/// The owner is gone and back, with its disk, at every moment between a request and its answer. It writes the same key itself
/// then: the request does not come again.
#[test]
fn an_owner_that_restarts_half_way_grants_once() {
    for step in 0..40_u32 {
        let (mut sim, [requester, between, owner]) = three(100 + u64::from(step), durable());
        ask(&mut sim, requester, owner, "green");
        sim.run(step * Duration::from_millis(1));
        sim.crash(owner);
        sim.run(SECOND);
        sim.restart(owner, Disk::Kept);
        until_answered(&mut sim, requester, 1);
        assert!(is_applied(&sim, requester), "step {step}: {:?}", sim.answers(requester));
        sim.run(5 * SECOND);
        sim.set(owner, "config/color", "black");
        sim.run(SECOND);
        sim.crash(owner);
        sim.restart(owner, Disk::Kept);
        sim.until(MINUTE, |sim| text(sim, between, owner, "config/color").as_deref() == Some("black"))
            .unwrap();
        ends_well(&mut sim, requester);
        assert_eq!(text(&sim, owner, owner, "config/color").as_deref(), Some("black"));
        assert_eq!(sights(&sim, between, owner, "green"), 1, "step {step}");
    }
}

/// Without a disk an owner remembers nothing of its earlier life: what still stands is granted again, once in this one.
#[test]
fn without_a_disk_an_owner_grants_once_in_each_life() {
    for step in 0..20_u32 {
        let (mut sim, [requester, _, owner]) = three(200 + u64::from(step), config());
        ask(&mut sim, requester, owner, "green");
        sim.run(step * Duration::from_millis(5));
        sim.crash(owner);
        sim.run(SECOND);
        sim.restart(owner, Disk::Lost);
        until_answered(&mut sim, requester, 1);
        sim.run(10 * SECOND);
        sim.set(owner, "config/color", "black");
        ends_well(&mut sim, requester);
        assert_eq!(text(&sim, owner, owner, "config/color").as_deref(), Some("black"), "step {step}");
    }
}

/// What a requester without a disk asked for goes with its life, and what its next one asks for is new: also where its clock
/// went back by an hour, so that the owner remembers requests of a later life.
#[test]
fn a_new_life_of_the_requester_asks_anew() {
    for skew in [0, -3_600_000] {
        let (mut sim, [requester, _, owner]) = three(300, config());
        for value in ["red", "green"] {
            ask(&mut sim, requester, owner, value);
        }
        until_answered(&mut sim, requester, 2);
        sim.crash(requester);
        sim.run(5 * SECOND);
        sim.skew(requester, skew);
        sim.restart(requester, Disk::Lost);
        sim.run(20 * SECOND);
        ask(&mut sim, requester, owner, "blue");
        until_answered(&mut sim, requester, 3);
        assert!(is_applied(&sim, requester), "{:?}", sim.answers(requester));
        ends_well(&mut sim, requester);
        assert_eq!(text(&sim, requester, owner, "config/color").as_deref(), Some("blue"));
    }
}

#[test]
fn who_expects_another_write_is_told_which_there_is() {
    let (mut sim, [requester, _, owner]) = three(5, config());
    let expect = |sim: &mut Simulation, value, expected| {
        let count = sim.answers(requester).len() + 1;
        sim.request(requester, owner, change("config/color", value, expected), MINUTE).unwrap();
        until_answered(sim, requester, count);
        outcome(sim, requester).clone().expect("an outcome")
    };
    let generation = sim.core(owner).generation();
    let never = (generation, sim.core(owner).own_version());
    assert_eq!(expect(&mut sim, Some("red"), Some(never)), Outcome::Conflict(None));
    let Outcome::Applied(first) = expect(&mut sim, Some("red"), None) else { panic!("it is granted") };
    let Outcome::Applied(second) = expect(&mut sim, Some("green"), Some(first)) else { panic!("it fits") };
    assert_eq!(expect(&mut sim, None, Some(first)), Outcome::Conflict(Some(second)));
    assert!(matches!(expect(&mut sim, None, Some(second)), Outcome::Applied(_)));
    assert_eq!(sim.value(owner, owner, "config/color"), None);
    ends_well(&mut sim, requester);
}

#[test]
fn a_refusal_says_why() {
    let (mut sim, [requester, _, owner]) = three(6, Config { max_value: 100, max_keys: 4, ..config() });
    let refused = |sim: &mut Simulation, key: &str, value: Option<&str>| {
        let count = sim.answers(requester).len() + 1;
        sim.request(requester, owner, change(key, value, None), MINUTE).unwrap();
        until_answered(sim, requester, count);
        match outcome(sim, requester) {
            Ok(Outcome::Refused(why)) => why.clone(),
            Ok(Outcome::NotAllowed) => "not allowed".to_owned(),
            Ok(Outcome::Absent) => "absent".to_owned(),
            other => panic!("{key}: {other:?}"),
        }
    };
    assert_eq!(refused(&mut sim, "secret", Some("x")), "not allowed");
    assert_eq!(refused(&mut sim, "config/none", None), "absent");
    let long = "x".repeat(101);
    let why = refused(&mut sim, "config/long", Some(&long));
    assert_eq!(why, "the value of config/long has 101 bytes: the limit is 100");
    for key in ["a", "b", "c"] {
        sim.set(owner, key, "full");
    }
    let why = refused(&mut sim, "config/more", Some("x"));
    assert_eq!(why, "this node would have more than 4 keys, deleted ones included");
    let reserved = sim.request(requester, owner, change("tidings/departed", Some(""), None), MINUTE);
    assert!(matches!(reserved, Err(RequestError::Write(_))));
    ends_well(&mut sim, requester);
}

/// By default nobody may ask for anything.
#[test]
fn nothing_is_granted_unless_that_is_said() {
    let mut sim = Simulation::new(7);
    let nodes = cluster(&mut sim, 2, &config());
    ask(&mut sim, nodes[0], nodes[1], "green");
    until_answered(&mut sim, nodes[0], 1);
    assert!(matches!(outcome(&sim, nodes[0]), Ok(Outcome::NotAllowed)));
    assert_eq!(sim.value(nodes[1], nodes[1], "config/color"), None);
}

/// What is not answered in time is withdrawn, and not granted to who comes back later.
#[test]
fn a_request_without_an_answer_is_withdrawn() {
    let (mut sim, [requester, between, owner]) = three(8, durable());
    sim.crash(owner);
    let request = change("config/color", Some("green"), None);
    sim.request(requester, owner, request, 3 * SECOND).unwrap();
    assert_eq!(until_answered(&mut sim, requester, 1), 3 * SECOND);
    assert_eq!(*outcome(&sim, requester), Err(Unanswered::Late));
    sim.run(10 * SECOND);
    sim.restart(owner, Disk::Kept);
    sim.run(30 * SECOND);
    ends_well(&mut sim, requester);
    assert_eq!(text(&sim, between, owner, "config/color"), None);
}

/// Sixty-four requests at a time, of one node to all others; and what the owner keeps of them is one entry, which is small again
/// once they are over.
#[test]
fn requests_are_bounded_and_leave_nothing_but_a_watermark() {
    let (mut sim, [requester, _, owner]) = three(9, config());
    sim.network.part(&[requester], &[owner]);
    for turn in 0..64 {
        ask(&mut sim, requester, owner, &format!("{turn}"));
    }
    let request = || change("config/color", Some("one too many"), None);
    assert_eq!(sim.request(requester, owner, request(), MINUTE), Err(RequestError::TooMany));
    until_answered(&mut sim, requester, 64);
    assert_eq!(text(&sim, owner, owner, "config/color").as_deref(), Some("63"), "in their order");
    sim.network.heal();
    ends_well(&mut sim, requester);
    assert_eq!(kept(&sim, owner, "tidings/ack/"), 1);
    let own = sim.core(owner).replica(sim.name(owner).id()).unwrap();
    let of_requester = own.entry("tidings/ack/node-0").and_then(|entry| entry.value.as_ref()).unwrap();
    assert!(of_requester.as_bytes().len() < 16, "{} bytes", of_requester.as_bytes().len());
}

/// A request that cannot be saved is never told to anybody; the next one can.
#[test]
fn a_request_that_cannot_be_saved_is_not_sent() {
    let (mut sim, [requester, _, owner]) = three(10, durable());
    sim.break_disk(requester, true);
    ask(&mut sim, requester, owner, "green");
    until_answered(&mut sim, requester, 1);
    assert_eq!(*outcome(&sim, requester), Err(Unanswered::Unsaved));
    sim.break_disk(requester, false);
    sim.run(5 * SECOND);
    ask(&mut sim, requester, owner, "blue");
    until_answered(&mut sim, requester, 2);
    assert!(is_applied(&sim, requester));
    ends_well(&mut sim, requester);
    assert_eq!(sights(&sim, owner, owner, "green"), 0);
}

/// An answer that cannot be saved is given once it can.
#[test]
fn an_owner_whose_disk_fails_answers_later() {
    let (mut sim, [requester, _, owner]) = three(11, durable());
    sim.break_disk(owner, true);
    ask(&mut sim, requester, owner, "green");
    sim.run(10 * SECOND);
    assert!(sim.answers(requester).is_empty());
    sim.break_disk(owner, false);
    until_answered(&mut sim, requester, 1);
    assert!(is_applied(&sim, requester));
    ends_well(&mut sim, requester);
    assert_eq!(sights(&sim, owner, owner, "green"), 1);
}

/// Who leaves waits for nothing any more, and nobody does later what it asked for.
#[test]
fn a_requester_that_leaves_withdraws_what_it_asked() {
    let (mut sim, [requester, between, owner]) = three(12, durable());
    sim.crash(owner);
    ask(&mut sim, requester, owner, "green");
    sim.run(SECOND);
    sim.leave(requester);
    assert_eq!(*outcome(&sim, requester), Err(Unanswered::Left));
    sim.until(10 * SECOND, |sim| sim.core(requester).has_left()).expect("it leaves");
    sim.crash(requester);
    sim.restart(owner, Disk::Kept);
    sim.until(MINUTE, |sim| sim.member(owner, requester).is_some()).expect("it hears of the other one");
    sim.run(MINUTE);
    assert_eq!(sim.broken(), None);
    assert_eq!(text(&sim, between, owner, "config/color"), None);
}

/// A request that is answered is over, whether its withdrawal can be saved or not.
#[test]
fn a_request_is_answered_once_though_its_withdrawal_is_lost() {
    let (mut sim, [requester, _, owner]) = three(13, durable());
    ask(&mut sim, requester, owner, "green");
    sim.until(SECOND, |sim| kept(sim, requester, "tidings/req/") == 1).expect("it is saved");
    sim.break_disk(requester, true);
    until_answered(&mut sim, requester, 1);
    sim.run(2 * MINUTE);
    assert!(is_applied(&sim, requester));
    assert_eq!(sim.answers(requester).len(), 1);
    sim.break_disk(requester, false);
    sim.run(5 * SECOND);
    ask(&mut sim, requester, owner, "blue");
    until_answered(&mut sim, requester, 2);
    ends_well(&mut sim, requester);
    assert_eq!(sights(&sim, owner, owner, "green"), 1);
}

/// A time to live begins when the owner grants it, however long the request was on its way, and what is ephemeral is gone with
/// the owner's life, though its disk knows that it was granted.
#[test]
fn what_was_asked_for_ends_as_it_was_asked() {
    let (mut sim, [requester, between, owner]) = three(14, durable());
    let ends = |lifetime| Request { lifetime, ..change("config/color", Some("green"), None) };
    sim.crash(owner);
    sim.request(requester, owner, ends(Lifetime::ttl(5 * SECOND)), MINUTE).unwrap();
    sim.run(10 * SECOND);
    sim.restart(owner, Disk::Kept);
    until_answered(&mut sim, requester, 1);
    assert!(is_applied(&sim, requester));
    sim.run(4 * SECOND);
    assert_eq!(text(&sim, between, owner, "config/color").as_deref(), Some("green"));
    sim.run(2 * SECOND);
    assert!([requester, between, owner].iter().all(|&at| text(&sim, at, owner, "config/color").is_none()));
    sim.request(requester, owner, ends(Lifetime::ephemeral()), MINUTE).unwrap();
    until_answered(&mut sim, requester, 2);
    assert!(is_applied(&sim, requester));
    sim.run(5 * SECOND);
    assert_eq!(text(&sim, between, owner, "config/color").as_deref(), Some("green"));
    sim.crash(owner);
    sim.restart(owner, Disk::Kept);
    ends_well(&mut sim, requester);
    assert_eq!(text(&sim, between, owner, "config/color"), None);
    assert_eq!(sim.answers(requester).len(), 2);
}

/// A request that expires before it is on disk is never told to anybody.
#[test]
fn a_request_that_expires_on_its_way_to_the_disk_is_not_sent() {
    let (mut sim, [requester, _, owner]) = three(15, durable());
    sim.request(requester, owner, change("config/color", Some("green"), None), SECOND / 1_000).unwrap();
    until_answered(&mut sim, requester, 1);
    assert_eq!(*outcome(&sim, requester), Err(Unanswered::Late));
    ends_well(&mut sim, requester);
    assert_eq!(sights(&sim, owner, owner, "green"), 0);
}
