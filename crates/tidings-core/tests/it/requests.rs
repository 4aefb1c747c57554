//! What bounds requests: how many there are, how large they are, and what strangers may say in them.

use std::time::Duration;

use tidings_core::wire::Writer;
use tidings_core::{
    Body, Config, Entry, Gossiper, Head, Heartbeat, Identity, Introduction, Key, Lifetime, Message, Moment,
    NOTHING, News, NodeName, Outcome, Peer, Policy, Request, RequestError, Saved, Sender, Time, Unanswered,
    Value, Version, WallClock, WriteError,
};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
/// How many requesters an owner remembers.
const REQUESTERS: usize = 1_024;

/// So many seconds after the start.
pub(crate) fn at(seconds: u64) -> Time {
    let moment = Moment::default() + Duration::from_secs(seconds);
    Time { moment, wall: WallClock(1_800_000_000_000 + 1_000 * seconds) }
}

pub(crate) fn node(name: &str, entries: Vec<(Key, Entry)>, requests: Policy) -> Gossiper {
    let config = Config { requests, ..Config::new("test") };
    begin(name, entries, config, at(0))
}

/// A life of that node, which begins with `entries`, at `now`.
pub(crate) fn begin(name: &str, entries: Vec<(Key, Entry)>, config: Config, now: Time) -> Gossiper {
    let saved = Saved { max: Version(1), entries, wall: now.wall, ..Saved::default() };
    let me = Identity {
        name: NodeName::new(name).unwrap(),
        address: ([10, 0, 0, 1], 1).into(),
        saved: Some(saved),
    };
    let mut node = Gossiper::new(config, me, 7, now).unwrap();
    node.handle_timeout(now);
    node
}

pub(crate) fn ann() -> Gossiper {
    node("ann", Vec::new(), Policy::Keys(Vec::new()))
}

pub(crate) fn owner(entries: Vec<(Key, Entry)>) -> Gossiper {
    node("owner", entries, Policy::Keys(vec!["*".to_owned()]))
}

/// What `node` has of its own is told to `to`.
pub(crate) fn tell(node: &Gossiper, to: &mut Gossiper, now: Time) {
    tell_part(node, to, now, 1 << 20);
}

/// As much of it as `room` bytes hold.
pub(crate) fn tell_part(node: &Gossiper, to: &mut Gossiper, now: Time, room: usize) {
    let (name, address, heartbeat) = (node.name().clone(), node.address(), Heartbeat(0));
    let id = name.id();
    let introduction = Introduction { name, address, heartbeat, age: Duration::ZERO };
    let replica = node.replica(id).unwrap();
    let theirs = to.replica(id).map(|known| (known.generation(), known.max_version()));
    let deltas = replica.cut(id, &introduction, theirs, now.moment, room).into_iter().collect();
    let head = Head { generation: node.generation(), heartbeat };
    let sender = Sender { id, head, max: replica.max_version() };
    let message = Message { sender, exchange: 0, body: Body::Ack2(News { deltas, ..News::default() }) };
    to.handle_message(now, Peer::Datagram { from: address, len: 100 }, message).unwrap();
}

pub(crate) fn key(key: &str) -> Key {
    Key::new(key).unwrap()
}

pub(crate) fn shown(node: &Gossiper, prefix: &str) -> usize {
    let own = node.replica(node.name().id()).unwrap();
    own.entries().filter(|(key, entry)| key.as_str().starts_with(prefix) && entry.value.is_some()).count()
}

/// What an owner remembers of these nodes.
fn remembered(names: impl Iterator<Item = String>) -> Vec<(Key, Entry)> {
    let (epoch, sequence, outcomes) = (1, 1, 0);
    let watermark = Value::from([epoch, sequence, outcomes]);
    names
        .map(|name| (key(&format!("tidings/ack/{name}")), Entry::new(Some(watermark.clone()), Version(1))))
        .collect()
}

/// Ann asks `owner` once, which hears of it.
fn ask(ann: &mut Gossiper, owner: &mut Gossiper) {
    tell(owner, ann, at(1));
    ann.request(at(1), owner.name(), Request::new(key("color"), Some("green".into())), MINUTE).unwrap();
    tell(ann, owner, at(1));
    tell(owner, ann, at(1));
}

#[test]
fn an_owner_that_remembers_enough_forgets_one_that_is_not_known_any_more() {
    let mut owner = owner(remembered((0..REQUESTERS).map(|number| format!("old-{number}"))));
    let mut ann = ann();
    ask(&mut ann, &mut owner);
    assert!(matches!(ann.poll_answer(), Some((_, Ok(Outcome::Applied(_))))));
    assert_eq!(shown(&owner, "tidings/ack/"), REQUESTERS);
    assert_eq!(shown(&owner, "tidings/ack/ann"), 1);
}

/// A sixteenth of what an owner may have: above that, room is made first.
#[test]
fn an_owner_that_remembers_too_many_bytes_forgets_one_that_is_not_known_any_more() {
    let old = || remembered((0..10).map(|number| format!("old-{number}")));
    let full = owner(old());
    let bytes = full.replica(full.name().id()).unwrap().bytes();
    for (max_bytes, left) in [(16 * bytes, 11), (16 * bytes - 1, 10)] {
        let requests = Policy::Keys(vec!["*".to_owned()]);
        let config = Config { requests, max_bytes, ..Config::new("test") };
        let (mut ann, mut owner) = (ann(), begin("owner", old(), config, at(0)));
        ask(&mut ann, &mut owner);
        assert!(matches!(ann.poll_answer(), Some((_, Ok(Outcome::Applied(_))))));
        assert_eq!(shown(&owner, "tidings/ack/"), left, "{max_bytes}");
    }
}

#[test]
fn a_requester_too_many_waits_where_all_the_others_are_known() {
    let names = || (0..REQUESTERS).map(|number| format!("old-{number}"));
    let mut owner = owner(remembered(names()));
    let others: Vec<_> = names().map(|name| node(&name, Vec::new(), Policy::Keys(Vec::new()))).collect();
    owner.acquaint(at(0), &Gossiper::acquaintances(&others));
    let mut ann = ann();
    ask(&mut ann, &mut owner);
    owner.handle_timeout(at(2));
    tell(&owner, &mut ann, at(3));
    assert_eq!(ann.poll_answer(), None);
    assert_eq!((shown(&owner, "tidings/ack/"), shown(&owner, "color")), (REQUESTERS, 0));
    ann.handle_timeout(at(61));
    assert!(matches!(ann.poll_answer(), Some((_, Err(Unanswered::Late)))));
}

#[test]
fn a_value_is_that_much_shorter_that_the_request_is_a_value_itself() {
    let (mut ann, mut owner) = (ann(), owner(Vec::new()));
    tell(&owner, &mut ann, at(1));
    let mut ask = |len| {
        let request = Request::new(key("color"), Some(Value::from(vec![7; len])));
        ann.request(at(1), owner.name(), request, MINUTE)
    };
    let refused = ask(Value::MAX_LEN).unwrap_err();
    let RequestError::Write(WriteError::ValueTooLong { most, .. }) = refused else { panic!("{refused}") };
    assert!(ask(most + 1).is_err());
    ask(most).unwrap();
    tell(&ann, &mut owner, at(1));
    let (_, found) = owner.value(owner.name(), "color").unwrap();
    assert_eq!(found.value.as_bytes().len(), most);
}

/// What nobody can have asked is no request, and what nobody would read is not granted. What can be, is.
#[test]
fn a_request_beyond_belief_is_not_granted() {
    let year: u64 = 365 * 24 * 3_600_000;
    let believable = at(0).wall.0 + 23 * 3_600_000;
    for (epoch, life, is_one) in [
        (believable, 1, true),
        (believable, 10 * year, true),
        (believable, 0, false),
        (believable, 10 * year + 1, false),
        (believable, u64::MAX, false),
        (at(0).wall.0 + year, 1, false),
        (u64::MAX, 1, false),
    ] {
        let mut owner = owner(Vec::new());
        let mut out = Writer::default();
        out.word(owner.name().id().0);
        out.varint(epoch);
        out.varint(1);
        let has_a_life = 8;
        out.byte(has_a_life);
        out.counted(b"color");
        out.counted(b"green");
        out.varint(life);
        let posted = (key("tidings/req/00"), Entry::new(Some(Value::from(out.into_bytes())), Version(1)));
        let mallory = node("mallory", vec![posted], Policy::Keys(Vec::new()));
        tell(&mallory, &mut owner, at(1));
        assert_eq!(shown(&owner, "color"), usize::from(is_one), "{epoch} {life}");
        assert_eq!(shown(&owner, "tidings/ack/"), usize::from(epoch == believable), "{epoch} {life}");
    }
}

/// A node that hears of itself what it cannot have asked goes on as if it had not heard.
#[test]
fn a_watermark_that_nobody_reaches_stops_nobody() {
    for sequence in [1 << 62, (1 << 61) + 1, u64::MAX] {
        let mut out = Writer::default();
        out.varint(at(0).wall.0);
        out.varint(sequence);
        out.varint(0);
        let watermark = Entry::new(Some(Value::from(out.into_bytes())), Version(1));
        let forger = node("forger", vec![(key("tidings/ack/ann"), watermark)], Policy::Keys(Vec::new()));
        let (mut ann, mut owner) = (ann(), owner(Vec::new()));
        tell(&forger, &mut ann, at(1));
        tell(&owner, &mut ann, at(1));
        let request = || Request::new(key("color"), Some("green".into()));
        ann.request(at(1), forger.name(), request(), MINUTE).unwrap();
        ask(&mut ann, &mut owner);
        assert!(matches!(ann.poll_answer(), Some((id, Ok(Outcome::Applied(_)))) if id.sequence == 2));
    }
}

/// A lease: one takes it, and the next one only once it shows nothing any more.
#[test]
fn a_key_may_be_expected_to_show_nothing() {
    let (mut ann, mut owner) = (ann(), owner(Vec::new()));
    tell(&owner, &mut ann, at(1));
    for (second, is_taken) in [(1, true), (2, false), (12, true)] {
        owner.handle_timeout(at(second));
        let request = Request {
            expected: Some(NOTHING),
            lifetime: Lifetime::ttl(Duration::from_secs(10)),
            ..Request::new(key("lease"), Some("ann".into()))
        };
        ann.request(at(second), owner.name(), request, MINUTE).unwrap();
        tell(&ann, &mut owner, at(second));
        tell(&owner, &mut ann, at(second));
        let (_, outcome) = ann.poll_answer().unwrap();
        assert_eq!(matches!(outcome, Ok(Outcome::Applied(_))), is_taken, "{second} s: {outcome:?}");
        assert_eq!(matches!(outcome, Ok(Outcome::Conflict(Some(_)))), !is_taken, "{second} s: {outcome:?}");
    }
}

#[test]
fn what_nobody_waits_for_is_withdrawn() {
    let (mut ann, owner) = (ann(), owner(Vec::new()));
    tell(&owner, &mut ann, at(1));
    let request = Request::new(key("color"), None);
    let id = ann.request(at(1), owner.name(), request, MINUTE).unwrap();
    assert_eq!(shown(&ann, "tidings/req/"), 1);
    ann.withdraw(at(2), id);
    ann.withdraw(at(2), id);
    assert_eq!((shown(&ann, "tidings/req/"), ann.poll_answer()), (0, Some((id, Err(Unanswered::Late)))));
    assert_eq!(ann.poll_answer(), None);
}

/// Strangers that ask for what nobody may have take a part of what an owner may have, and its own writes the rest.
#[test]
fn refusals_leave_an_owner_its_room() {
    let max_bytes = 64 << 10;
    let config = Config { max_bytes, ..Config::new("test") };
    let me =
        Identity { name: NodeName::new("owner").unwrap(), address: ([10, 0, 0, 1], 1).into(), saved: None };
    let mut owner = Gossiper::new(config, me, 7, at(0)).unwrap();
    owner.handle_timeout(at(0));
    for number in 0..600 {
        let mut stranger = node(&format!("stranger-{number}"), Vec::new(), Policy::Keys(Vec::new()));
        tell(&owner, &mut stranger, at(1));
        for _ in 0..8 {
            let request = Request::new(key("color"), Some("green".into()));
            stranger.request(at(1), owner.name(), request, MINUTE).unwrap();
        }
        tell(&stranger, &mut owner, at(1));
    }
    let own = owner.replica(owner.name().id()).unwrap();
    let most = max_bytes / 16 + 1_024;
    assert!((1_024..most).contains(&own.bytes()), "{} bytes", own.bytes());
}

/// The user decides after the key has expired, and before this node had anything else to do.
#[test]
fn what_expired_while_the_user_decided_is_not_what_was_expected() {
    let mut owner = node("owner", Vec::new(), Policy::Decided);
    let lifetime = Lifetime::ttl(Duration::from_secs(10));
    let version = owner.set_for(at(0), [(key("color"), Value::from("red"))], lifetime).unwrap();
    let mut ann = ann();
    tell(&owner, &mut ann, at(1));
    let expected = Some((owner.generation(), version));
    let request = Request { expected, ..Request::new(key("color"), Some("green".into())) };
    ann.request(at(1), owner.name(), request, MINUTE).unwrap();
    tell(&ann, &mut owner, at(9));
    let question = owner.poll_question().unwrap();
    owner.handle_decision(at(11), &question, Ok(()));
    tell(&owner, &mut ann, at(11));
    assert!(matches!(ann.poll_answer(), Some((_, Ok(Outcome::Conflict(None))))));
}

/// Each request is asked about once, also one after the other.
#[test]
fn the_user_decides_each_request_once() {
    let (mut ann, mut owner) = (ann(), node("owner", Vec::new(), Policy::Decided));
    tell(&owner, &mut ann, at(1));
    for value in ["red", "green"] {
        ann.request(at(1), owner.name(), Request::new(key("color"), Some(value.into())), MINUTE).unwrap();
    }
    tell(&ann, &mut owner, at(1));
    for value in ["red", "green"] {
        owner.handle_timeout(at(2));
        let question = owner.poll_question().unwrap();
        assert_eq!(question.request.value, Some(Value::from(value)));
        assert_eq!(owner.poll_question(), None);
        owner.handle_decision(at(2), &question, Ok(()));
        owner.handle_decision(at(2), &question, Err("too late".to_owned()));
    }
    tell(&owner, &mut ann, at(2));
    let answers: Vec<_> = std::iter::from_fn(|| ann.poll_answer()).map(|(_, answer)| answer).collect();
    assert!(answers.iter().all(|answer| matches!(answer, Ok(Outcome::Applied(_)))), "{answers:?}");
    assert_eq!(answers.len(), 2);
    assert_eq!(owner.poll_question(), None);
}
