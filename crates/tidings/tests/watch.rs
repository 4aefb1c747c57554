//! What a reader of a node's state and its changes is told. Nothing here waits for time to pass.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tidings::{Event, EventKind, Key, Node, Notice, Snapshot, Standing, Value, Version, Watch};

fn builder(name: &str, seeds: &[SocketAddr]) -> tidings::Builder {
    let seeds = seeds.iter().map(ToString::to_string);
    let any = (Ipv4Addr::LOCALHOST, 0);
    Node::builder(name).cluster("test").listen(any).seeds(seeds).interval(Duration::from_millis(20))
}

/// The next event, in brief.
async fn next(watch: &mut Watch) -> String {
    match watch.next().await {
        Some(Notice::Event(event)) => brief(&event),
        Some(Notice::Gap { .. }) => "gap".to_owned(),
        None => "the end".to_owned(),
    }
}

/// So many events, in brief.
async fn several(watch: &mut Watch, number: usize) -> Vec<String> {
    let mut told = Vec::new();
    for _ in 0..number {
        told.push(next(watch).await);
    }
    told
}

fn brief(event: &Event) -> String {
    let node = &event.node;
    match &event.kind {
        EventKind::Joined => format!("{node} joined"),
        EventKind::Live => format!("{node} live"),
        EventKind::Unreachable { .. } => format!("{node} unreachable"),
        EventKind::Departed => format!("{node} departed"),
        EventKind::Forgotten { .. } => format!("{node} forgotten"),
        EventKind::Restarted => format!("{node} restarted"),
        EventKind::StreamFailed { .. } => format!("no stream to {node}"),
        EventKind::Set { key, value, .. } => format!("{node} {key}={value}"),
        EventKind::Deleted { key, .. } => format!("{node} {key} deleted"),
    }
}

#[tokio::test]
async fn the_state_comes_first_and_then_the_changes() {
    let ann = builder("ann", &[]).start().await.unwrap();
    ann.set_many([("color", "green"), ("shape", "round")]).await.unwrap();
    let mut watch = ann.watch("").await.unwrap();
    ann.set("color", "blue").await.unwrap();
    ann.delete("shape").await.unwrap();
    let state = ["ann joined", "ann live", "ann color=green", "ann shape=round"];
    assert_eq!(several(&mut watch, 4).await, state);
    assert_eq!(several(&mut watch, 2).await, ["ann color=blue", "ann shape deleted"]);
    ann.stop().await;
    assert_eq!(next(&mut watch).await, "the end");
}

#[tokio::test]
async fn other_nodes_and_what_becomes_of_them_are_told() {
    let ann = builder("ann", &[]).start().await.unwrap();
    let mut watch = ann.watch("none/").await.unwrap();
    let bob = builder("bob", &[ann.address()]).start().await.unwrap();
    assert_eq!(several(&mut watch, 4).await, ["ann joined", "ann live", "bob joined", "bob live"]);
    let mut later = ann.watch("none/").await.unwrap();
    assert_eq!(several(&mut later, 4).await, ["ann joined", "ann live", "bob joined", "bob live"]);
    bob.leave().await.unwrap();
    for watch in [&mut watch, &mut later] {
        assert_eq!(next(watch).await, "bob departed");
    }
    let mut last = ann.watch("").await.unwrap();
    assert_eq!(several(&mut last, 4).await, ["ann joined", "ann live", "bob joined", "bob departed"]);
}

#[tokio::test]
async fn only_keys_with_the_prefix_are_told() {
    let ann = builder("ann", &[]).start().await.unwrap();
    ann.set_many([("a/1", "x"), ("b/1", "x")]).await.unwrap();
    let mut watch = ann.watch("a/").await.unwrap();
    ann.delete("b/1").await.unwrap();
    ann.set_many([("a", "y"), ("a/2", "y"), ("b/2", "y")]).await.unwrap();
    ann.delete("a/1").await.unwrap();
    let told = several(&mut watch, 5).await;
    assert_eq!(told, ["ann joined", "ann live", "ann a/1=x", "ann a/2=y", "ann a/1 deleted"]);
}

#[tokio::test]
async fn a_slow_reader_is_told_of_a_gap_and_then_the_state_again() {
    let ann = builder("ann", &[]).start().await.unwrap();
    let mut watch = ann.watch("").await.unwrap();
    let before = watch.position();
    for number in 0..4_099 {
        ann.set("count", number.to_string()).await.unwrap();
    }
    assert_eq!(several(&mut watch, 2).await, ["ann joined", "ann live"]);
    assert_eq!(watch.next().await, Some(Notice::Gap { missed: 3 }));
    assert_eq!(several(&mut watch, 3).await, ["ann joined", "ann live", "ann count=4098"]);
    assert_eq!(watch.position() - before, 4_099);
    ann.set("count", "last").await.unwrap();
    assert_eq!(next(&mut watch).await, "ann count=last");
    assert_eq!(watch.position() - before, 4_100);
}

#[tokio::test]
async fn the_state_can_be_taken_at_once() {
    let ann = builder("ann", &[]).start().await.unwrap();
    ann.set("color", "green").await.unwrap();
    let mut watch = ann.watch("").await.unwrap();
    let state: Vec<_> = watch.take_state().iter().map(brief).collect();
    assert_eq!(state, ["ann joined", "ann live", "ann color=green"]);
    ann.set("color", "blue").await.unwrap();
    assert_eq!(next(&mut watch).await, "ann color=blue");
}

/// What a reader makes of all that it is told: of each node, what is believed of it, and what its keys show.
#[derive(Debug, Default, PartialEq)]
struct Picture(BTreeMap<String, (Option<Standing>, Keys)>);

type Keys = BTreeMap<Key, (Version, Value)>;

impl Picture {
    fn of(snapshot: Snapshot) -> Self {
        let of_node = |node: tidings::NodeState| {
            let keys = node.entries.into_iter().map(|(key, shown)| (key, (shown.version, shown.value)));
            (node.member.name.to_string(), (Some(node.member.standing), keys.collect()))
        };
        Self(snapshot.nodes.into_iter().map(of_node).collect())
    }

    fn take(&mut self, event: &Event) {
        if let EventKind::Forgotten { .. } = event.kind {
            self.0.remove(event.node.as_str());
            return;
        }
        let (standing, keys) = self.0.entry(event.node.to_string()).or_default();
        match &event.kind {
            EventKind::Live => *standing = Some(Standing::Live),
            EventKind::Unreachable { .. } => *standing = Some(Standing::Unreachable),
            EventKind::Departed => *standing = Some(Standing::Departed),
            EventKind::Set { key, value, version } => {
                keys.insert(key.clone(), (*version, value.clone()));
            }
            EventKind::Deleted { key, .. } => drop(keys.remove(key)),
            EventKind::Joined
            | EventKind::Restarted
            | EventKind::Forgotten { .. }
            | EventKind::StreamFailed { .. } => {}
        }
    }
}

/// Whoever forgets all at a gap has, once the state is told again, what a look shows.
#[tokio::test]
async fn after_a_gap_the_picture_is_the_snapshot_again() {
    let ann = builder("ann", &[]).start().await.unwrap();
    let bob = builder("bob", &[ann.address()]).start().await.unwrap();
    bob.set("color", "green").await.unwrap();
    let mut watch = ann.watch("").await.unwrap();
    while next(&mut watch).await != "bob color=green" {}
    ann.set("early", "x").await.unwrap();
    assert_eq!(next(&mut watch).await, "ann early=x");
    for number in 0..4_200 {
        ann.set(format!("key-{}", number % 7), number.to_string()).await.unwrap();
    }
    for key in ["early", "key-3"] {
        ann.delete(key).await.unwrap();
    }
    assert!(matches!(watch.next().await, Some(Notice::Gap { .. })));
    let mut picture = Picture::default();
    let Some(Notice::Event(first)) = watch.next().await else { panic!("the state comes next") };
    picture.take(&first);
    watch.take_state().iter().for_each(|event| picture.take(event));
    assert_eq!(picture, Picture::of(ann.snapshot().await.unwrap()));
    ann.set("late", "x").await.unwrap();
    ann.delete("key-5").await.unwrap();
    for _ in 0..2 {
        let Some(Notice::Event(event)) = watch.next().await else { panic!("a change comes next") };
        picture.take(&event);
    }
    assert_eq!(picture, Picture::of(ann.snapshot().await.unwrap()));
}
