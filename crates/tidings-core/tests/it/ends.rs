//! How values come to their end: their time to live, their owner's life, and what is left of them.

use std::time::Duration;

use tidings_core::wire::{Reader, Writer, read_entry};
use tidings_core::{
    Config, EventKind, Gossiper, Identity, Key, Lifetime, Moment, NodeName, Saved, Time, Value, Version,
    WallClock, WriteError,
};

const DAY: u64 = 24 * 3_600_000;
const WALL: u64 = 1_800_000_000_000;

/// So many milliseconds after the start, with a wall clock that is ahead by so many.
fn at(millis: i64, ahead: i64) -> Time {
    let wall = WallClock(WALL.saturating_add_signed(millis + ahead));
    Time { moment: Moment::from_micros(millis * 1_000), wall }
}

fn node(config: Config, saved: Option<Saved>, now: Time) -> Gossiper {
    let me = Identity { name: name(), address: ([10, 0, 0, 1], 1).into(), saved };
    Gossiper::new(config, me, 7, now).unwrap()
}

fn name() -> NodeName {
    NodeName::new("ann").unwrap()
}

fn pair(key: &str, value: &str) -> [(Key, Value); 1] {
    [(Key::new(key).unwrap(), Value::from(value))]
}

fn shows(node: &Gossiper, key: &str) -> bool {
    node.value(&name(), key).is_some()
}

/// Wakes the node whenever it wants to be, until that time.
fn pass(node: &mut Gossiper, until: i64, ahead: i64) {
    while node.poll_timeout() <= at(until, 0).moment {
        let millis = (node.poll_timeout().as_micros() + 999) / 1_000;
        node.handle_timeout(at(millis, ahead));
    }
    node.handle_timeout(at(until, ahead));
}

fn durable() -> Config {
    Config { durable: true, ..Config::new("test") }
}

/// All that the node wants saved is, at that time. Returns the last of it.
fn save(node: &mut Gossiper, now: Time) -> Option<Saved> {
    let mut last = None;
    while let Some(persist) = node.poll_persist() {
        node.handle_persisted(now, persist.mark);
        last = Some(persist.saved);
    }
    last
}

#[test]
fn a_value_is_there_for_its_time_to_live_and_no_longer() {
    let mut node = node(Config::new("test"), None, at(0, 0));
    let written = node.set_for(at(0, 0), pair("key", "v"), Lifetime::ttl(Duration::from_secs(5)));
    node.handle_timeout(at(4_000, 0));
    let (_, shown) = node.value(&name(), "key").unwrap();
    assert_eq!(shown.lifetime, Lifetime::ttl(Duration::from_secs(1)));
    pass(&mut node, 5_000, 0);
    assert!(!shows(&node, "key"));
    assert_eq!(node.own_version(), written.clone().unwrap(), "an end is no write");
    let mut told = std::iter::from_fn(|| node.poll_event()).map(|event| event.kind);
    assert!(matches!(told.next(), Some(EventKind::Set { .. })));
    let (key, version) = (Key::new("key").unwrap(), written.unwrap());
    assert_eq!(told.next(), Some(EventKind::Deleted { key, version }));
    assert_eq!(told.next(), None);
}

#[test]
fn whoever_writes_again_begins_another_life() {
    let mut node = node(Config::new("test"), None, at(0, 0));
    node.set_for(at(0, 0), pair("key", "v"), Lifetime::ttl(Duration::from_secs(5))).unwrap();
    node.set_for(at(4_000, 0), pair("key", "v"), Lifetime::ttl(Duration::from_secs(5))).unwrap();
    pass(&mut node, 8_000, 0);
    assert!(shows(&node, "key"));
    node.set(at(8_000, 0), pair("key", "v")).unwrap();
    pass(&mut node, 100_000, 0);
    assert!(shows(&node, "key"));
}

#[test]
fn a_time_to_live_is_from_a_millisecond_to_ten_years() {
    let mut node = node(Config::new("test"), None, at(0, 0));
    let mut set = |ttl| node.set_for(at(0, 0), pair("key", "v"), Lifetime::ttl(ttl));
    for ttl in [Duration::ZERO, Lifetime::LONGEST + Duration::from_millis(1), Duration::MAX] {
        assert_eq!(set(ttl), Err(WriteError::Lifetime { ttl }));
    }
    assert_eq!(set(Lifetime::SHORTEST), Ok(Version(1)));
    assert_eq!(set(Lifetime::LONGEST), Ok(Version(2)));
}

/// What is left after a restart is what was left when it was saved, or less: whatever became of the wall clock.
#[test]
fn r51_a_restart_prolongs_no_life() {
    let (day, year) = (Duration::from_millis(DAY), 365 * DAY.cast_signed());
    let mut first = node(durable(), None, at(0, 0));
    save(&mut first, at(0, 0));
    first.set_for(at(0, 0), pair("key", "v"), Lifetime::ttl(day)).unwrap();
    let saved = save(&mut first, at(2, 0)).unwrap();
    assert!(shows(&first, "key"));
    let hour = Duration::from_secs(3_600);
    let jumps = [(0, Some(day)), (3_600_000, Some(day - hour)), (-10 * year, Some(day)), (10 * year, None)];
    for (ahead, left) in jumps {
        let again = node(durable(), Some(saved.clone()), at(0, ahead));
        let found = again.value(&name(), "key").map(|(_, shown)| shown.lifetime.ttl.unwrap());
        assert_eq!(found, left, "{ahead}");
    }
}

/// While a node runs, its wall clock has no say.
#[test]
fn r51_a_wall_clock_that_jumps_ends_no_life_and_prolongs_none() {
    let year = 365 * DAY.cast_signed();
    for ahead in [-10 * year, 10 * year] {
        let mut node = node(Config::new("test"), None, at(0, 0));
        node.set_for(at(0, 0), pair("key", "v"), Lifetime::ttl(Duration::from_secs(60))).unwrap();
        pass(&mut node, 59_999, ahead);
        assert!(shows(&node, "key"), "{ahead}");
        pass(&mut node, 60_000, ahead);
        assert!(!shows(&node, "key"), "{ahead}");
    }
}

#[test]
fn what_is_ephemeral_is_never_on_disk() {
    let mut first = node(durable(), None, at(0, 0));
    save(&mut first, at(0, 0));
    first.set(at(0, 0), pair("key", "old")).unwrap();
    first.set_for(at(0, 0), pair("key", "new"), Lifetime::ephemeral()).unwrap();
    first.set(at(0, 0), pair("other", "v")).unwrap();
    let saved = save(&mut first, at(2, 0)).unwrap();
    assert!(shows(&first, "key") && shows(&first, "other"));
    let again = node(durable(), Some(saved), at(0, 10_000));
    assert!(!shows(&again, "key") && shows(&again, "other"));
}

/// A write that expires on its way to the disk is told, and goes, and deletes of it do no harm.
#[test]
fn what_expires_on_its_way_to_the_disk_goes_once() {
    let mut node = node(durable(), None, at(0, 0));
    save(&mut node, at(0, 0));
    node.set(at(0, 0), pair("key", "long")).unwrap();
    save(&mut node, at(1, 0));
    node.set_for(at(1, 0), pair("key", "short"), Lifetime::ttl(Duration::from_millis(5))).unwrap();
    let persist = node.poll_persist().unwrap();
    node.handle_persisted(at(4, 0), persist.mark);
    node.delete(at(5, 0), Key::new("key").unwrap()).unwrap();
    let persist = node.poll_persist().unwrap();
    node.handle_timeout(at(6, 0));
    assert!(!shows(&node, "key"));
    node.handle_persisted(at(7, 0), persist.mark);
    let told = std::iter::from_fn(|| node.poll_event());
    let deletes = told.filter(|event| matches!(event.kind, EventKind::Deleted { .. })).count();
    assert_eq!((deletes, node.own_version()), (1, Version(3)));
}

#[test]
fn tombstones_are_collected_once_they_are_older_than_the_grace() {
    let config = || Config { grace: Duration::from_secs(100), ..Config::new("test") };
    let mut node = node(config(), None, at(0, 0));
    node.set(at(0, 0), pair("key", "v")).unwrap();
    pass(&mut node, 500_000, 0);
    assert_eq!(node.own_version(), Version(1), "there is nothing to collect");
    node.delete(at(500_000, 0), Key::new("key").unwrap()).unwrap();
    pass(&mut node, 599_000, 0);
    let (id, replica) = (name().id(), |node: &Gossiper| node.replica(name().id()).unwrap().clone());
    assert_eq!(node.own_version(), Version(2));
    pass(&mut node, 602_000, 0);
    assert_eq!((replica(&node).max_version(), replica(&node).gc_version()), (Version(3), Version(2)));
    assert_eq!(node.replica(id).unwrap().entries().len(), 0);
    pass(&mut node, 2_000_000, 0);
    assert_eq!(node.own_version(), Version(3));
}

/// On disk it is safe like any write: before it shows.
#[test]
fn a_collection_goes_by_the_disk() {
    let config = Config { grace: Duration::from_secs(100), ..durable() };
    let mut node = node(config, None, at(0, 0));
    save(&mut node, at(0, 0));
    node.set(at(0, 0), pair("key", "v")).unwrap();
    save(&mut node, at(0, 0));
    node.delete(at(0, 0), Key::new("key").unwrap()).unwrap();
    save(&mut node, at(0, 0));
    pass(&mut node, 110_000, 0);
    assert_eq!(node.own_version(), Version(2));
    let persist = node.poll_persist().unwrap();
    assert_eq!((persist.saved.max, persist.saved.gc), (Version(3), Version(2)));
    node.handle_persisted(at(110_000, 0), persist.mark);
    assert_eq!(node.own_version(), Version(3));
}

/// An owner whose tombstones leave no room collects them early, though not each time.
#[test]
fn tombstones_make_room_for_writes() {
    let config = Config { max_keys: 4, ..Config::new("test") };
    let mut node = node(config, None, at(0, 0));
    for key in ["a", "b", "c", "d"] {
        node.set(at(0, 0), pair(key, "v")).unwrap();
    }
    let full = Err(WriteError::TooManyKeys { most: 4 });
    assert_eq!(node.set(at(0, 0), pair("e", "v")), full, "values make no room");
    let delete = |node: &mut Gossiper, key| node.delete(at(0, 0), Key::new(key).unwrap()).unwrap();
    delete(&mut node, "a");
    // Four writes, the delete, and the collection.
    assert_eq!(node.set(at(0, 0), pair("e", "v")), Ok(Version(7)));
    delete(&mut node, "b");
    assert_eq!(node.set(at(9_000, 0), pair("f", "v")), full, "it is too soon");
    assert_eq!(node.own_version(), Version(8), "nothing has moved");
    assert_eq!(node.set(at(10_000, 0), pair("f", "v")), Ok(Version(10)));
}

/// A tombstone has no life, and no life is longer than ten years, or none at all.
#[test]
fn a_life_on_the_wire_is_believed_within_its_bounds() {
    let ten_years = 10 * 365 * DAY;
    for (flags, life, is_one) in [
        (0b010, Some(1), true),
        (0b010, Some(ten_years), true),
        (0b110, Some(7), true),
        (0b100, None, true),
        (0b010, Some(0), false),
        (0b010, Some(ten_years + 1), false),
        (0b011, Some(7), false),
        (0b101, None, false),
        (0b1000, None, false),
    ] {
        let mut bytes = Writer::default();
        bytes.byte(flags);
        bytes.varint(1);
        life.into_iter().for_each(|life| bytes.varint(life));
        bytes.counted(b"key");
        if flags & 1 == 0 {
            bytes.counted(b"value");
        }
        let bytes = bytes.into_bytes();
        let read = read_entry(&mut Reader::new(&bytes), Version(0), Version(9));
        assert_eq!(read.is_ok(), is_one, "{flags:b} {life:?}");
    }
}
