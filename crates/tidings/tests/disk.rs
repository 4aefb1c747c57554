//! What a node does while its disk takes nothing.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use tidings::{DiskHealth, Error, EventKind, Node, Notice};

fn builder(name: &str, seeds: &[SocketAddr]) -> tidings::Builder {
    let seeds = seeds.iter().map(ToString::to_string);
    Node::builder(name).listen((Ipv4Addr::LOCALHOST, 0)).seeds(seeds).interval(Duration::from_millis(20))
}

/// Lets nothing be saved in `dir`, or lets it again: a directory is where each slot was.
fn block(dir: &Path, is_blocked: bool) {
    for slot in ["state-0", "state-1"] {
        let (slot, kept) = (dir.join(slot), dir.join(format!("{slot}.kept")));
        if is_blocked {
            fs::rename(&slot, &kept).and_then(|()| fs::create_dir(&slot)).unwrap();
        } else {
            fs::remove_dir(&slot).and_then(|()| fs::rename(&kept, &slot)).unwrap();
        }
    }
}

async fn says(node: &Node, text: &str) -> bool {
    node.status().await.unwrap().warnings.iter().any(|warning| warning.contains(text))
}

/// R70: writes are refused and nothing else: the node gossips, says what is wrong, and takes writes again once it can.
#[tokio::test]
async fn r70_a_disk_that_takes_nothing_refuses_writes_until_it_does() {
    let dir = tempfile::tempdir().unwrap();
    let ann = builder("ann", &[]).data_dir(dir.path()).start().await.unwrap();
    let bob = builder("bob", &[ann.address()]).start().await.unwrap();
    ann.set("color", "green").await.unwrap();
    block(dir.path(), true);
    let refused = ann.set("color", "red").await.unwrap_err();
    assert!(matches!(refused, Error::Disk(_)), "{refused}");
    assert!(refused.to_string().starts_with("the write could not be saved: "));
    assert!(refused.fix().unwrap().starts_with("make room on the disk"));
    assert!(says(&ann, "the state cannot be saved (").await);
    assert_eq!(ann.status().await.unwrap().disk, DiskHealth::Failing);
    let mut events = ann.events();
    bob.set("shape", "round").await.unwrap();
    while ann.get("bob", "shape").await.unwrap().is_none() {
        events.next().await;
    }
    let color = async |node: &Node| node.get("ann", "color").await.unwrap().map(|found| found.value);
    assert_eq!(color(&ann).await.unwrap().as_str(), Some("green"), "what was refused does not show");

    block(dir.path(), false);
    // The disk is tried again in each interval, whether anybody writes or not.
    while says(&ann, "the state cannot be saved").await {}
    assert_eq!(ann.status().await.unwrap().disk, DiskHealth::Well);
    ann.set("color", "blue").await.unwrap();
    let mut events = bob.events();
    while color(&bob).await.is_none_or(|color| color.as_str() != Some("blue")) {
        match events.next().await {
            Some(Notice::Event(event)) => assert!(
                !matches!(&event.kind, EventKind::Set { value, .. } if value.as_str() == Some("red")),
                "a write that was refused is told"
            ),
            Some(Notice::Gap { .. }) => {}
            None => panic!("the node stopped"),
        }
    }
}

/// R70: a node that cannot save its generation does not start; once it can, it does, in a new one.
#[tokio::test]
async fn r70_a_node_does_not_start_on_a_disk_that_takes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let ann = builder("ann", &[]).data_dir(dir.path()).start().await.unwrap();
    let version = ann.set("color", "green").await.unwrap();
    let before = ann.status().await.unwrap().generation;
    ann.stop().await;
    block(dir.path(), true);
    let refused = builder("ann", &[]).data_dir(dir.path()).start().await.unwrap_err();
    assert!(matches!(refused, Error::DataDir { .. }), "{refused}");
    block(dir.path(), false);
    let ann = builder("ann", &[]).data_dir(dir.path()).start().await.unwrap();
    let found = ann.get("ann", "color").await.unwrap().unwrap();
    assert_eq!((found.value.as_str(), found.version), (Some("green"), version));
    assert!(found.generation > before);
}

/// R69: of two damaged copies one is enough; without both, the node begins as on an empty disk, in a new life, and says so.
#[tokio::test]
async fn r69_a_node_goes_on_from_a_damaged_disk_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (start, slots) =
        (async || builder("ann", &[]).data_dir(dir.path()).start().await.unwrap(), ["state-0", "state-1"]);
    let damage = |slot: &str| fs::write(dir.path().join(slot), "damage").unwrap();
    let ann = start().await;
    ann.set("color", "green").await.unwrap();
    ann.set("shape", "round").await.unwrap();
    let mut before = ann.status().await.unwrap();
    assert_eq!(before.disk, DiskHealth::Well);
    ann.stop().await;
    for (damaged, health, left) in [
        (&slots[..1], DiskHealth::Recovered, true),
        (&slots[1..], DiskHealth::Recovered, true),
        (&slots[..], DiskHealth::Damaged, false),
    ] {
        damaged.iter().copied().for_each(damage);
        let ann = start().await;
        let status = ann.status().await.unwrap();
        assert!(status.generation > before.generation);
        assert_eq!(status.disk, health);
        assert_eq!(status.warnings.len(), if left { 0 } else { 2 }, "{:?}", status.warnings);
        assert!(
            status.warnings.iter().all(|warning| warning.starts_with("a damaged file was set aside as "))
        );
        assert_eq!(ann.get("ann", "color").await.unwrap().is_some(), left);
        ann.stop().await;
        before = status;
    }
}
