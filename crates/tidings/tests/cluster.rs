//! Real nodes over real UDP on loopback, in one process. They wait for what happens, never for time to pass.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tidings::{Error, Event, EventKind, Events, Mode, Node, Notice};

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
async fn events_end_with_the_node_also_while_it_is_held() {
    let ann = builder("ann", &[]).start().await.unwrap();
    let mut events = ann.events();
    ann.stop().await;
    while events.next().await.is_some() {}
    assert_eq!(ann.events().next().await, None);
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
    let (error, _) = refused(builder("bob", &[]).loss(2.0).start().await).unwrap();
    assert_eq!(error, "the share of datagrams to lose is 2: it must be from 0 to 0.9");
    let huge = ann.set("k", vec![0; 65_537]).await.unwrap_err();
    assert_eq!(huge.to_string(), "the value of k has 65537 bytes: the limit is 65536");
    assert!(ann.delete("k").await.unwrap_err().to_string().contains("no key k"));
    assert_eq!(
        ann.set("tidings/x", "").await.unwrap_err().fix().unwrap(),
        "choose a key that does not begin with `tidings/`"
    );
}

#[tokio::test]
async fn the_largest_value_goes_by_stream_and_many_keys_to_a_newcomer_too() {
    let ann = builder("ann", &[]).start().await.unwrap();
    let large = vec![7; 64 << 10];
    ann.set("large", &large).await.unwrap();
    for part in 0..30 {
        let keys = (0..100).map(|key| (format!("{part}/{key}"), "x".repeat(50)));
        ann.set_many(keys).await.unwrap();
    }
    let bob = builder("bob", &[ann.address()]).start().await.unwrap();
    let mut events = bob.events();
    let has_all = async || {
        let state = bob.state("ann").await.unwrap();
        state.is_some_and(|state| state.entries.len() == 3_001)
    };
    while !has_all().await {
        events.next().await;
    }
    assert_eq!(bob.get("ann", "large").await.unwrap().unwrap().value.as_bytes(), large);
    let (sent, received) = (ann.status().await.unwrap().received, bob.status().await.unwrap().sent);
    assert!(sent.streams >= 1 && received.streams >= 1, "{sent:?} {received:?}");
}

#[tokio::test]
async fn a_name_that_is_taken_is_refused_with_both_addresses() {
    let ann = builder("ann", &[]).start().await.unwrap();
    let bob = builder("bob", &[ann.address()]).start().await.unwrap();
    let mut events = ann.events();
    while ann.members().await.unwrap().len() < 2 {
        events.next().await;
    }
    let taken = builder("bob", &[ann.address()]).start().await.unwrap_err();
    assert!(matches!(&taken, Error::NameTaken { there, .. } if *there == bob.address()), "{taken}");
    assert!(taken.fix().unwrap().contains(&bob.address().to_string()));
    assert!(bob.conflict().is_none() && bob.status().await.is_ok());
}

#[tokio::test]
async fn nodes_in_a_line_know_all() {
    let names = ["ann", "bob", "cyd"];
    let port = |address: SocketAddr| address.to_string();
    let ann = builder(names[0], &[]).start().await.unwrap();
    let bob = builder(names[1], &[]).neighbours([port(ann.address())]).mode(Mode::Push);
    let bob = bob.start().await.unwrap();
    let cyd = builder(names[2], &[]).neighbours([port(bob.address())]).mode(Mode::Pull);
    let cyd = cyd.start().await.unwrap();
    let mut events = cyd.events();
    ann.set("color", "green").await.unwrap();
    while cyd.get("ann", "color").await.unwrap().is_none() {
        events.next().await;
    }
    let both = builder("dan", &[ann.address()]).neighbours([port(bob.address())]).start().await;
    assert!(matches!(both, Err(Error::SeedsAndNeighbours)));
}

/// R41: IPv6, and an address to be told that is not the one listened on.
#[tokio::test]
async fn r41_nodes_meet_over_ipv6_and_behind_other_addresses() {
    let ann = builder("ann", &[]).listen((Ipv6Addr::UNSPECIFIED, 0)).advertise((Ipv6Addr::LOCALHOST, 0));
    let Ok(ann) = ann.start().await else { return println!("this machine has no IPv6: nothing to see") };
    let bob = builder("bob", &[ann.address()]).listen((Ipv6Addr::LOCALHOST, 0)).start().await.unwrap();
    let mut events = bob.events();
    ann.set("color", "green").await.unwrap();
    while bob.get("ann", "color").await.unwrap().is_none() {
        events.next().await;
    }
    let members = bob.members().await.unwrap();
    assert_eq!(members[0].address, ann.address());
    assert!(members[0].address.to_string().starts_with("[::1]:"), "{}", members[0].address);
}
