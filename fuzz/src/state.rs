//! The files of the data directory.

use tidings_core::{
    Config, Generation, Gossiper, Identity, Key, Moment, NodeName, Saved, Time, Value, WallClock,
};

use crate::format;
use crate::world::{CLUSTER, FRIEND, ME};

/// How many bytes stand before the content of a file, and after it.
const BEFORE: usize = 8;
const AFTER: usize = 4;

/// `bytes` are a file, but for its mark and its checksum, which are made to fit. If it is a state, it is the one that
/// would be written, and a node can go on from it; if it is a list of addresses, likewise.
pub fn state(bytes: &[u8]) -> bool {
    let _ = (format::opened(bytes), format::open_slot(bytes));
    let Some(content) = bytes.len().checked_sub(AFTER).and_then(|end| bytes.get(BEFORE..end)) else {
        return false;
    };
    let file = format::sealed(content);
    let content = format::opened(&file).expect("it was just sealed");
    let peers = format::read_peers(content);
    if let Some(peers) = &peers {
        assert_eq!(format::write_peers(peers), content, "addresses have one form");
    }
    let state = format::read_state(content);
    if let Some((name, saved)) = &state {
        assert_eq!(format::write_state(name, saved), content, "a state has one form");
        go_on(name, saved);
    }
    peers.is_some() || state.is_some()
}

/// A node of this name begins its next life with what was saved.
fn go_on(name: &NodeName, saved: &Saved) {
    let now = Time { moment: Moment::from_micros(5_000_000), wall: WallClock(1_799_999_100_000) };
    let me = Identity { name: name.clone(), address: ME, saved: Some(saved.clone()) };
    let config = Config { durable: true, ..Config::new(CLUSTER) };
    let mut node = Gossiper::new(config, me, 1, now).expect("this configuration works");
    save(&mut node, now, name);
    node.handle_seeds(now, vec![FRIEND]);
    node.handle_timeout(now);
    let is_last = saved.generation == Generation(u64::MAX);
    assert!(is_last || node.generation() > saved.generation, "a life was begun twice");
    if let Ok(version) = node.set(now, [(Key::new("new").expect("a key"), Value::from("1"))]) {
        assert!(version > saved.max, "a version was given twice");
    }
    for (key, entry) in saved.entries.iter().filter(|(key, _)| !key.is_reserved()) {
        let deleted = node.delete(now, key.clone());
        assert!(entry.value.is_some() || deleted.is_err() || saved.entries.len() > 1);
    }
    save(&mut node, now, name);
    let _ = node.snapshot(now.moment);
    node.leave(now);
    save(&mut node, now, name);
    while node.poll_transmit().is_some() {}
    while node.poll_event().is_some() {}
}

/// Saves all that the node wants to be saved, and finds it again.
fn save(node: &mut Gossiper, now: Time, name: &NodeName) {
    while let Some(persist) = node.poll_persist() {
        let slot = format::slot(7, &format::write_state(name, &persist.saved));
        let found = format::open_slot(&slot).and_then(|(_, content)| format::read_state(content));
        // When it was saved does not matter where nothing ends by itself.
        let ends = persist.saved.entries.iter().any(|(_, entry)| entry.expires != Moment::NEVER);
        let wall = if ends { persist.saved.wall } else { WallClock::default() };
        let saved = Saved { wall, ..persist.saved };
        assert_eq!(found, Some((name.clone(), saved)), "what was saved is not found");
        node.handle_persisted(now, persist.mark);
    }
}
