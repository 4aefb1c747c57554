//! What a reader of a node's state and its changes is told. Nothing here waits for time to pass.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tidings::{Event, EventKind, Node, Notice, Watch};

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
