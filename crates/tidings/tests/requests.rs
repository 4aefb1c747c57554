//! Asking the owner, from one real node to another.

use std::net::Ipv4Addr;
use std::time::Duration;

use tidings::{Builder, Error, Key, Node, Outcome, Request, WriteError};

fn builder(name: &str) -> Builder {
    Node::builder(name).cluster("test").listen((Ipv4Addr::LOCALHOST, 0)).interval(Duration::from_millis(20))
}

fn key(key: &str) -> Key {
    Key::new(key).unwrap()
}

/// The owner, and one that knows it.
async fn two(owner: Builder) -> (Node, Node) {
    let owner = owner.start().await.unwrap();
    let other = builder("other").seeds([owner.address().to_string()]).start().await.unwrap();
    let mut events = other.events();
    while other.members().await.unwrap().len() < 2 {
        events.next().await;
    }
    (owner, other)
}

#[tokio::test]
async fn the_user_decides_who_may_change_what() {
    let (owner, other) = two(builder("owner").decide_requests(|question| {
        let is_small = question.request.value.as_ref().is_none_or(|value| value.as_bytes().len() < 6);
        match question.requester.as_str() {
            "other" if is_small => Ok(()),
            requester => Err(format!("{requester} asks for too much")),
        }
    }))
    .await;
    let Outcome::Applied(first) = other.request("owner", "color", Some("green".into()), None).await.unwrap()
    else {
        panic!("it is granted")
    };
    let found = owner.get("owner", "color").await.unwrap().unwrap();
    assert_eq!(((found.generation, found.version), found.value.as_str()), (first, Some("green")));
    let refused = other.request("owner", "color", Some("vermilion".into()), None).await.unwrap();
    assert_eq!(refused, Outcome::Refused("other asks for too much".to_owned()));
    assert!(matches!(other.request("owner", "color", None, Some(first)).await, Ok(Outcome::Applied(_))));
    assert_eq!(other.request("owner", "color", None, Some(first)).await.unwrap(), Outcome::Conflict(None));
}

#[tokio::test]
async fn what_cannot_be_asked_is_said() {
    let (owner, other) = two(builder("owner")).await;
    let unknown = other.request("nobody", "color", None, None).await.unwrap_err();
    assert_eq!(unknown.to_string(), "no other node nobody is known");
    let reserved = other.request("owner", "tidings/x", None, None).await;
    assert!(matches!(reserved, Err(Error::Write(WriteError::Reserved { .. }))));
    let large = other.request("owner", "color", Some(vec![0; 65_536].into()), None).await;
    assert!(matches!(large, Err(Error::Write(WriteError::ValueTooLong { .. }))));
    assert!(matches!(other.request("owner", "color", None, None).await, Ok(Outcome::NotAllowed)));
    owner.stop().await;
    let wait = Duration::from_millis(100);
    let late = other.request_within(wait, "owner", Request::new(key("color"), None)).await.unwrap_err();
    let said = "no answer of owner came within 100 ms: the request is withdrawn, and may still be granted";
    assert_eq!(late.to_string(), said);
}

/// Who asks for what is its own, writes.
#[tokio::test]
async fn a_node_changes_its_own_keys_on_terms() {
    let node = builder("owner").start().await.unwrap();
    let Outcome::Applied(first) = node.request("owner", "color", Some("red".into()), None).await.unwrap()
    else {
        panic!("nobody else decides")
    };
    let change = |value| Request { expected: Some(first), ..Request::new(key("color"), value) };
    node.change(change(Some("green".into()))).await.unwrap();
    let conflict = node.change(change(None)).await.unwrap_err();
    assert!(matches!(&conflict, Error::Write(WriteError::Conflict { current: Some(_), .. })), "{conflict}");
    assert!(matches!(
        node.request("owner", "color", None, Some(first)).await.unwrap(),
        Outcome::Conflict(Some(now)) if now.1 > first.1
    ));
}
