use super::*;
use crate::delta::Span;
use crate::entry::{Entry, Key};
use crate::name::NodeName;
use crate::version::Heartbeat;

const SECOND: Duration = Duration::from_secs(1);

fn cluster(name: &str, interner: &Interner) -> Cluster {
    let name = NodeName::new(name).unwrap();
    let (id, now) = (name.id(), Moment::default());
    let record = Record { replica: Replica::new(Generation(1)), address: ([10, 0, 0, 1], 1).into(), name };
    let own = EndpointState::new(record, Heartbeat(0), now, Pulse::new(now, SECOND));
    let mut cluster = Cluster::new(id, own, Limits { keys: 9, bytes: 999 }, 9);
    cluster.share(interner.clone());
    cluster
}

/// Cid's first write, or its second one.
fn write(version: u64) -> Delta {
    let name = NodeName::new("cid").unwrap();
    let owner = name.id();
    let introduction = Introduction {
        name,
        address: ([10, 0, 0, 3], 1).into(),
        heartbeat: Heartbeat(1),
        age: Duration::ZERO,
    };
    let key = (Key::new("key").unwrap(), Entry::new(Some("value".into()), Version(version)));
    Delta {
        owner,
        generation: Generation(1),
        introduction: (version == 1).then_some(introduction),
        span: Span::After(Version(version - 1)),
        through: Version(version),
        gc: Version(0),
        max: Version(version),
        entries: vec![key],
    }
}

#[test]
fn two_views_have_one_record_while_they_are_equal_and_neither_changes_the_other() {
    let interner = Interner::default();
    let (mut ann, mut bob) = (cluster("ann", &interner), cluster("bob", &interner));
    let cid = write(1).owner;
    let apply = |view: &mut Cluster, version| drop(view.apply(&write(version), Moment::default(), SECOND));
    let is_one = |ann: &Cluster, bob: &Cluster| {
        Arc::ptr_eq(&ann.endpoint(cid).unwrap().record, &bob.endpoint(cid).unwrap().record)
    };
    apply(&mut ann, 1);
    apply(&mut bob, 1);
    assert!(is_one(&ann, &bob));
    apply(&mut ann, 2);
    assert_eq!(ann.line(cid).max, Version(2));
    assert_eq!(bob.line(cid).max, Version(1));
    apply(&mut bob, 2);
    assert!(is_one(&ann, &bob));
    ann.move_to(cid, ([10, 0, 0, 4], 1).into());
    assert_eq!(bob.endpoint(cid).unwrap().address(), ([10, 0, 0, 3], 1).into());
}
