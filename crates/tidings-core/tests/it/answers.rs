//! How requests come to their answers, whatever becomes of those who ask, of those who are asked, and of their disks.

use std::time::Duration;

use tidings_core::wire::{Reader, Writer};
use tidings_core::{
    Config, Entry, Gossiper, Key, Outcome, Policy, Request, RequestError, RequestId, Time, Transmit,
    Unanswered, Value, Version, WriteError,
};

use crate::requests::{MINUTE, ann, at, begin, key, node, owner, shown, tell, tell_part};

const HOUR: Duration = Duration::from_secs(3_600);

fn green() -> Request {
    Request::new(key("color"), Some("green".into()))
}

fn request(requester: &mut Gossiper, owner: &Gossiper, now: Time) -> RequestId {
    requester.request(now, owner.name(), green(), HOUR).unwrap()
}

/// A node that grants everything, and has a disk.
fn with_disk(name: &str) -> Gossiper {
    let requests = Policy::Keys(vec!["*".to_owned()]);
    let mut node = begin(name, Vec::new(), Config { durable: true, requests, ..Config::new("test") }, at(0));
    save(&mut node, at(0));
    node.handle_timeout(at(0));
    assert!(node.has_begun());
    node
}

/// All that the node wants saved is.
fn save(node: &mut Gossiper, now: Time) {
    while let Some(persist) = node.poll_persist() {
        node.handle_persisted(now, persist.mark);
    }
}

/// What the node wants saved is not.
fn fail_to_save(node: &mut Gossiper, now: Time) {
    let persist = node.poll_persist().expect("something is to be saved");
    node.handle_persist_failed(now, persist.mark);
}

/// All that `node` has of its own, as another life of it may find it.
fn entries(node: &Gossiper) -> Vec<(Key, Entry)> {
    node.replica(node.name().id())
        .unwrap()
        .entries()
        .map(|(key, entry)| (key.clone(), entry.clone()))
        .collect()
}

/// How many outcomes the owner tells that requester.
fn outcomes(owner: &Gossiper, requester: &str) -> u64 {
    let own = owner.replica(owner.name().id()).unwrap();
    let value = own.entry(&format!("tidings/ack/{requester}")).and_then(|entry| entry.value.as_ref());
    let bytes = &mut Reader::new(value.expect("the requester is remembered").as_bytes());
    let [_epoch, _sequence, outcomes] = [(); 3].map(|()| bytes.varint().unwrap());
    outcomes
}

/// An acknowledgement to ann of all up to `through`, without a word of what became of it.
fn watermark(through: RequestId) -> (Key, Entry) {
    let mut out = Writer::default();
    out.varint(through.epoch.0);
    out.varint(through.sequence);
    out.varint(0);
    (key("tidings/ack/ann"), Entry::new(Some(Value::from(out.into_bytes())), Version(1)))
}

/// How many datagrams the node sends.
fn sent(node: &mut Gossiper) -> usize {
    std::iter::from_fn(|| node.poll_transmit())
        .filter(|sent| matches!(sent, Transmit::Datagram { .. }))
        .count()
}

#[test]
fn only_another_node_that_is_known_is_asked() {
    let (mut ann, owner) = (ann(), owner(Vec::new()));
    for name in [ann.name().clone(), owner.name().clone()] {
        let refused = ann.request(at(1), &name, green(), MINUTE);
        assert_eq!(refused, Err(RequestError::UnknownOwner { owner: name }));
    }
    tell(&owner, &mut ann, at(1));
    let reserved = Request { key: key("tidings/departed"), ..green() };
    let refused = ann.request(at(1), owner.name(), reserved, MINUTE);
    assert!(matches!(refused, Err(RequestError::Write(WriteError::Reserved { .. }))));
    (0..64).for_each(|_| _ = request(&mut ann, &owner, at(1)));
    assert_eq!(ann.request(at(1), owner.name(), green(), MINUTE), Err(RequestError::TooMany));
    assert_eq!((ann.load(at(1).moment).requests, shown(&ann, "tidings/req/")), (64, 64));
}

#[test]
fn an_outcome_is_told_until_the_requester_has_seen_it() {
    let (mut ann, mut owner) = (ann(), owner(Vec::new()));
    tell(&owner, &mut ann, at(1));
    let ids = [(); 2].map(|()| request(&mut ann, &owner, at(1)));
    tell(&ann, &mut owner, at(1));
    owner.handle_timeout(at(3));
    assert_eq!(outcomes(&owner, "ann"), 2);
    tell(&owner, &mut ann, at(3));
    assert_eq!(ids.map(|_| ann.poll_answer().map(|(id, _)| id)), ids.map(Some));
    assert_eq!((ann.poll_answer(), shown(&ann, "tidings/req/")), (None, 0));
    tell(&ann, &mut owner, at(4));
    owner.handle_timeout(at(6));
    assert_eq!(outcomes(&owner, "ann"), 0);
}

/// An owner that begins another life knows nothing of its requesters, and keeps what it had told them until it does.
#[test]
fn outcomes_are_kept_while_the_requester_is_known_in_part() {
    let (mut ann, mut first) = (ann(), owner(Vec::new()));
    tell(&first, &mut ann, at(1));
    ann.set(at(1), [(key("other"), Value::from("x"))]).unwrap();
    let large = Request { value: Some(Value::from(vec![7; 1_000])), ..green() };
    let id = ann.request(at(1), first.name(), large, HOUR).unwrap();
    tell(&ann, &mut first, at(1));
    let mut owner = owner(entries(&first));
    tell_part(&ann, &mut owner, at(2), 600);
    let known = owner.replica(ann.name().id()).unwrap().max_version();
    assert!(known < ann.own_version(), "the request has not come yet");
    for seconds in 3..9 {
        owner.handle_timeout(at(seconds));
        assert_eq!(outcomes(&owner, "ann"), 1, "after {seconds} seconds");
    }
    tell(&ann, &mut owner, at(9));
    owner.handle_timeout(at(10));
    assert_eq!(outcomes(&owner, "ann"), 1, "it is shown");
    ann.withdraw(at(10), id);
    tell(&ann, &mut owner, at(10));
    owner.handle_timeout(at(12));
    assert_eq!(outcomes(&owner, "ann"), 0);
}

#[test]
fn outcomes_are_dropped_when_the_requester_turns_out_to_have_seen_them() {
    let (mut ann, mut first) = (ann(), owner(Vec::new()));
    tell(&first, &mut ann, at(1));
    let id = request(&mut ann, &first, at(1));
    tell(&ann, &mut first, at(1));
    let mut owner = owner(entries(&first));
    ann.withdraw(at(2), id);
    tell(&ann, &mut owner, at(2));
    owner.handle_timeout(at(4));
    assert_eq!(outcomes(&owner, "ann"), 0);
}

#[test]
fn what_is_asked_of_another_owner_is_left_to_it() {
    let (mut ann, other, mut owner) = (ann(), node("other", Vec::new(), Policy::Decided), owner(Vec::new()));
    tell(&other, &mut ann, at(1));
    request(&mut ann, &other, at(1));
    tell(&ann, &mut owner, at(1));
    owner.handle_timeout(at(3));
    assert_eq!((shown(&owner, "color"), shown(&owner, "tidings/ack/")), (0, 0));
}

/// Another owner answers other requests, and says nothing of this one, whatever it acknowledges.
#[test]
fn only_the_owner_that_was_asked_answers() {
    let (mut ann, mut asked) = (ann(), owner(Vec::new()));
    tell(&asked, &mut ann, at(1));
    let id = request(&mut ann, &asked, at(1));
    let other = node("other", vec![watermark(id)], Policy::Decided);
    tell(&other, &mut ann, at(1));
    assert_eq!(ann.poll_answer(), None);
    tell(&ann, &mut asked, at(1));
    tell(&asked, &mut ann, at(1));
    assert!(matches!(ann.poll_answer(), Some((answered, Ok(Outcome::Applied(_)))) if answered == id));
}

/// What became of it is not known any more: nobody waits in vain.
#[test]
fn a_request_that_was_passed_over_is_late_at_once() {
    let (mut ann, first) = (ann(), owner(Vec::new()));
    tell(&first, &mut ann, at(1));
    let ids = [(); 2].map(|()| request(&mut ann, &first, at(1)));
    let config = Config { requests: Policy::Decided, ..Config::new("test") };
    let again = begin("owner", vec![watermark(ids[0])], config, at(2));
    tell(&again, &mut ann, at(2));
    assert_eq!(ann.poll_answer(), Some((ids[0], Err(Unanswered::Late))));
    assert_eq!((ann.poll_answer(), ann.load(at(2).moment).requests), (None, 1));
}

#[test]
fn a_request_is_withdrawn_to_the_moment() {
    let (mut ann, owner) = (ann(), owner(Vec::new()));
    tell(&owner, &mut ann, at(1));
    let wait = Duration::from_micros(7_654_321);
    let id = ann.request(at(1), owner.name(), green(), wait).unwrap();
    let until = at(1).moment + wait;
    while ann.poll_timeout() < until {
        ann.handle_timeout(Time { moment: ann.poll_timeout(), ..at(1) });
        assert_eq!(ann.poll_answer(), None);
    }
    assert_eq!(ann.poll_timeout(), until);
    let now = Time { moment: until, ..at(9) };
    ann.set(now, [(key("other"), Value::from("x"))]).unwrap();
    assert_eq!(shown(&ann, "tidings/req/"), 0, "it has expired");
    assert_eq!(ann.poll_timeout(), until, "and is still to be withdrawn");
    ann.handle_timeout(now);
    assert_eq!(ann.poll_answer(), Some((id, Err(Unanswered::Late))));
}

#[test]
fn whoever_leaves_waits_for_nothing() {
    let (mut ann, owner) = (ann(), owner(Vec::new()));
    tell(&owner, &mut ann, at(1));
    let id = request(&mut ann, &owner, at(1));
    ann.leave(at(2));
    assert_eq!(ann.poll_answer(), Some((id, Err(Unanswered::Left))));
    assert_eq!((shown(&ann, "tidings/req/"), ann.load(at(2).moment).requests), (0, 0));
    let refused = ann.request(at(2), owner.name(), green(), MINUTE);
    assert_eq!(refused, Err(RequestError::Write(WriteError::Leaving)));
}

#[test]
fn a_requester_that_begins_another_life_still_gets_its_answer() {
    let (mut first, mut owner) = (ann(), owner(Vec::new()));
    tell(&owner, &mut first, at(1));
    let id = request(&mut first, &owner, at(1));
    let mut ann = begin("ann", entries(&first), Config::new("test"), at(2));
    tell(&ann, &mut owner, at(2));
    tell(&owner, &mut ann, at(2));
    assert!(matches!(ann.poll_answer(), Some((answered, Ok(Outcome::Applied(_)))) if answered == id));
    assert!(request(&mut ann, &owner, at(3)) > id);
}

/// What cannot be told is not done: who asks is answered once it can be saved, in the order of turns.
#[test]
fn what_an_owner_cannot_save_is_answered_later_beginning_after_who_was_served_last() {
    let mut owner = with_disk("owner");
    let mut names = ["ann", "bob", "cid"].map(|name| node(name, Vec::new(), Policy::Decided));
    names.sort_by_key(|node| node.name().id());
    for requester in &mut names {
        tell(&owner, requester, at(1));
        request(requester, &owner, at(1));
    }
    for place in [0, 2, 1] {
        tell(&names[place], &mut owner, at(1));
    }
    fail_to_save(&mut owner, at(1));
    assert_eq!((shown(&owner, "color"), shown(&owner, "tidings/ack/")), (0, 0));
    owner.handle_timeout(at(3));
    save(&mut owner, at(3));
    let own = owner.replica(owner.name().id()).unwrap();
    let version =
        |requester: &Gossiper| own.entry(&format!("tidings/ack/{}", requester.name())).unwrap().version;
    let [low, middle, high] = names.each_ref().map(version);
    assert!(high < low && low < middle, "{high}, {low}, {middle}");
    assert_eq!(own.entries().filter(|(key, _)| key.is_reserved()).count(), 3, "nobody else was answered");
    for requester in &mut names {
        tell(&owner, requester, at(4));
        assert!(matches!(requester.poll_answer(), Some((_, Ok(Outcome::Applied(_))))));
    }
}

#[test]
fn a_request_that_cannot_be_saved_was_never_sent() {
    let (mut ann, owner) = (with_disk("ann"), owner(Vec::new()));
    tell(&owner, &mut ann, at(1));
    let kept = request(&mut ann, &owner, at(1));
    save(&mut ann, at(1));
    let lost = request(&mut ann, &owner, at(2));
    fail_to_save(&mut ann, at(2));
    assert_eq!(ann.poll_answer(), Some((lost, Err(Unanswered::Unsaved))));
    assert_eq!((ann.poll_answer(), ann.load(at(2).moment).requests), (None, 1));
    ann.withdraw(at(3), kept);
    assert_eq!(ann.poll_answer(), Some((kept, Err(Unanswered::Late))));
}

/// It was saved, and may have been told: that it is over already does not mean that nobody heard of it.
#[test]
fn a_request_that_expires_when_the_disk_fails_is_late() {
    let (mut ann, owner) = (with_disk("ann"), owner(Vec::new()));
    tell(&owner, &mut ann, at(1));
    let id = ann.request(at(1), owner.name(), green(), MINUTE).unwrap();
    save(&mut ann, at(1));
    ann.set(at(61), [(key("other"), Value::from("x"))]).unwrap();
    fail_to_save(&mut ann, at(61));
    assert_eq!(ann.poll_answer(), None);
    ann.handle_timeout(at(62));
    assert_eq!(ann.poll_answer(), Some((id, Err(Unanswered::Late))));
}

/// Whom it concerns is told at once, though not more often than exchanges may be repeated in a round.
#[test]
fn requests_and_answers_are_told_at_once() {
    let (mut ann, mut owner) = (ann(), owner(Vec::new()));
    tell(&owner, &mut ann, at(1));
    sent(&mut ann);
    let mut ask = || {
        request(&mut ann, &owner, at(1));
        sent(&mut ann)
    };
    assert_eq!([(); 6].map(|()| ask()), [1, 1, 1, 1, 0, 0]);
    ann.handle_timeout(at(3));
    sent(&mut ann);
    request(&mut ann, &owner, at(3));
    assert_eq!(sent(&mut ann), 1);
    sent(&mut owner);
    tell(&ann, &mut owner, at(3));
    assert!(sent(&mut owner) > 0, "ann is told");
    tell(&ann, &mut owner, at(3));
    assert_eq!(sent(&mut owner), 0, "there is nothing new");
}

#[test]
fn the_change_and_what_is_told_of_it_are_one_version() {
    let (mut ann, mut owner) = (ann(), owner(Vec::new()));
    tell(&owner, &mut ann, at(1));
    request(&mut ann, &owner, at(1));
    tell(&ann, &mut owner, at(1));
    let own = owner.replica(owner.name().id()).unwrap();
    let [change, told] = ["color", "tidings/ack/ann"].map(|key| own.entry(key).unwrap().version);
    assert_eq!((change, told), (owner.own_version(), owner.own_version()));
    tell(&owner, &mut ann, at(1));
    let stamp = (owner.generation(), change);
    assert!(matches!(ann.poll_answer(), Some((_, Ok(Outcome::Applied(applied)))) if applied == stamp));
}

/// What the owner may not write itself it refuses, and says why.
#[test]
fn what_an_owner_has_no_room_for_is_refused() {
    let requests = Policy::Keys(vec!["*".to_owned()]);
    let config = Config { requests, max_value: 9, ..Config::new("test") };
    let (mut ann, mut owner) = (ann(), begin("owner", Vec::new(), config, at(0)));
    tell(&owner, &mut ann, at(1));
    let request = Request { value: Some(Value::from(vec![7; 10])), ..green() };
    ann.request(at(1), owner.name(), request, MINUTE).unwrap();
    tell(&ann, &mut owner, at(1));
    tell(&owner, &mut ann, at(1));
    let (_, outcome) = ann.poll_answer().unwrap();
    let reason = "the value of color has 10 bytes: the limit is 9".to_owned();
    assert_eq!(outcome, Ok(Outcome::Refused(reason)));
}

#[test]
fn the_user_may_say_why_not() {
    let (mut ann, mut owner) = (ann(), node("owner", Vec::new(), Policy::Decided));
    tell(&owner, &mut ann, at(1));
    for _ in 0..2 {
        request(&mut ann, &owner, at(1));
    }
    tell(&ann, &mut owner, at(1));
    let first = owner.poll_question().unwrap();
    owner.handle_decision(at(2), &first, Err("not today".to_owned()));
    let second = owner.poll_question().unwrap();
    owner.handle_decision(at(3), &first, Ok(()));
    tell(&owner, &mut ann, at(3));
    let refused = Ok(Outcome::Refused("not today".to_owned()));
    assert_eq!((ann.poll_answer(), ann.poll_answer()), (Some((first.id, refused)), None));
    owner.handle_decision(at(4), &second, Ok(()));
    tell(&owner, &mut ann, at(4));
    assert!(matches!(ann.poll_answer(), Some((id, Ok(Outcome::Applied(_)))) if id == second.id));
}

/// Nobody decides what was withdrawn.
#[test]
fn a_question_is_over_when_its_request_is_withdrawn() {
    let (mut ann, mut owner) = (ann(), node("owner", Vec::new(), Policy::Decided));
    tell(&owner, &mut ann, at(1));
    let id = request(&mut ann, &owner, at(1));
    tell(&ann, &mut owner, at(1));
    let question = owner.poll_question().unwrap();
    ann.withdraw(at(2), id);
    tell(&ann, &mut owner, at(2));
    owner.handle_decision(at(3), &question, Ok(()));
    assert_eq!((shown(&owner, "color"), shown(&owner, "tidings/ack/")), (0, 0));
}

/// What a node that was forgotten had asked is asked anew, should it be back and still want it.
#[test]
fn whoever_was_forgotten_is_asked_about_anew() {
    let requests = Policy::Decided;
    let config = Config { requests, forget_after: Duration::from_secs(60), ..Config::new("test") };
    let (mut first, mut owner) = (ann(), begin("owner", Vec::new(), config, at(0)));
    tell(&owner, &mut first, at(1));
    let id = request(&mut first, &owner, at(1));
    tell(&first, &mut owner, at(1));
    assert_eq!(owner.poll_question().map(|question| question.id), Some(id));
    let mut seconds = 1;
    while owner.forgotten(at(seconds).moment).is_empty() {
        seconds += 1;
        assert!(seconds < 600, "ann is not forgotten");
        owner.handle_timeout(at(seconds));
    }
    let again = begin("ann", entries(&first), Config::new("test"), at(seconds));
    tell(&again, &mut owner, at(seconds));
    assert_eq!(owner.poll_question().map(|question| question.id), Some(id));
}

#[test]
fn answers_and_questions_count_as_queued_until_they_are_polled() {
    let (mut owner, other) =
        (node("owner", Vec::new(), Policy::Decided), node("other", Vec::new(), Policy::Decided));
    let mut ann = ann();
    tell(&owner, &mut ann, at(1));
    request(&mut ann, &owner, at(1));
    tell(&ann, &mut owner, at(1));
    tell(&other, &mut owner, at(1));
    for _ in 0..2 {
        let id = request(&mut owner, &other, at(1));
        owner.withdraw(at(1), id);
    }
    while owner.poll_transmit().is_some() || owner.poll_event().is_some() {}
    assert_eq!(owner.load(at(1).moment).queued, 3);
    assert!(owner.poll_question().is_some() && owner.poll_answer().is_some());
    assert_eq!(owner.load(at(1).moment).queued, 1);
}
