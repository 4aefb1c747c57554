//! Real nodes over real UDP on loopback, in one process. They wait for what happens, never for time to pass.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tidings::{Error, Event, EventKind, Events, Node, Notice};

const ANY: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

fn builder(name: &str, seeds: &[SocketAddr]) -> tidings::Builder {
    let seeds = seeds.iter().map(ToString::to_string);
    Node::builder(name).cluster("test").listen(ANY).seeds(seeds).interval(Duration::from_millis(20))
}

/// The first event that `wanted` holds of.
async fn until(events: &mut Events, wanted: impl Fn(&Event) -> bool) -> Event {
    loop {
        match events.next().await {
            Some(Notice::Event(event)) if wanted(&event) => return event,
            Some(Notice::Event(_) | Notice::Gap { .. }) => {}
            None => panic!("the node stopped"),
        }
    }
}

#[tokio::test]
async fn a_write_reaches_the_others_and_a_departure_too() {
    let ann = builder("ann", &[]).start().await.unwrap();
    let mut bobs = Vec::new();
    for name in ["bob", "cyd"] {
        bobs.push(builder(name, &[ann.address()]).start().await.unwrap());
    }
    let mut heard: Vec<_> = bobs.iter().map(Node::events).collect();
    let version = ann.set_many([("color", "green"), ("shape", "round")]).await.unwrap();
    for (bob, heard) in bobs.iter().zip(&mut heard) {
        let shape =
            |event: &Event| matches!(&event.kind, EventKind::Set { key, .. } if key.as_str() == "shape");
        until(heard, shape).await;
        let found = bob.get("ann", "color").await.unwrap().unwrap();
        assert_eq!((found.value.as_bytes(), found.version), (b"green".as_slice(), version));
    }
    ann.leave().await.unwrap();
    assert!(matches!(ann.set("late", "1").await, Err(Error::Stopped)));
    for heard in &mut heard {
        until(heard, |event| event.kind == EventKind::Departed && event.node.as_str() == "ann").await;
    }
}

#[tokio::test]
async fn what_is_on_disk_survives_and_the_generation_rises() {
    let dir = tempfile::tempdir().unwrap();
    let ann = builder("ann", &[]).data_dir(dir.path()).start().await.unwrap();
    let version = ann.set("color", "green").await.unwrap();
    let before = ann.status().await.unwrap().generation;
    assert!(matches!(
        builder("ann", &[]).data_dir(dir.path()).start().await,
        Err(Error::DataDirInUse { .. })
    ));
    ann.stop().await;
    let ann = builder("ann", &[]).data_dir(dir.path()).start().await.unwrap();
    let found = ann.get("ann", "color").await.unwrap().unwrap();
    assert_eq!((found.value.as_str(), found.version), (Some("green"), version));
    assert!(found.generation > before);
}

/// Without its seed, a restarted node finds the others where it left them.
#[tokio::test]
async fn a_node_remembers_its_peers() {
    let dir = tempfile::tempdir().unwrap();
    let ann = builder("ann", &[]).start().await.unwrap();
    let bob = builder("bob", &[ann.address()]).data_dir(dir.path()).start().await.unwrap();
    let mut heard = bob.events();
    if bob.members().await.unwrap().len() < 2 {
        until(&mut heard, |event| event.kind == EventKind::Live).await;
    }
    bob.stop().await;
    let bob = builder("bob", &[]).data_dir(dir.path()).start().await.unwrap();
    let mut heard = bob.events();
    if bob.members().await.unwrap().len() < 2 {
        until(&mut heard, |event| event.kind == EventKind::Live).await;
    }
}

#[tokio::test]
async fn what_cannot_work_is_refused_with_its_reason() {
    let refused = |result: Result<Node, Error>| result.err().map(|error| (error.to_string(), error.fix()));
    let any = (Ipv4Addr::UNSPECIFIED, 0);
    let (error, fix) = refused(builder("ann", &[]).listen(any).start().await).unwrap();
    assert!(error.starts_with("no other node can reach this one at 0.0.0.0:"), "{error}");
    assert!(fix.unwrap().starts_with("advertise an address"));
    let ann = builder("ann", &[]).start().await.unwrap();
    let (error, fix) = refused(builder("bob", &[]).listen(ann.address()).start().await).unwrap();
    assert!(error.starts_with("cannot listen for gossip on 127.0.0.1:"), "{error}");
    assert!(fix.unwrap().starts_with("stop what uses port"));
    assert!(refused(builder("a b", &[]).start().await).unwrap().0.contains("' '"));
    let bad = Node::builder("bob").listen(ANY).seeds(["nowhere"]).start().await;
    assert_eq!(refused(bad).unwrap().0, "the seed \"nowhere\" is not host:port");
    let huge = ann.set("k", vec![0; 65_537]).await.unwrap_err();
    assert_eq!(huge.to_string(), "the value of k has 65537 bytes: the limit is 65536");
    assert!(ann.delete("k").await.unwrap_err().to_string().contains("no key k"));
    assert_eq!(
        ann.set("tidings/x", "").await.unwrap_err().fix().unwrap(),
        "choose a key that does not begin with `tidings/`"
    );
}
