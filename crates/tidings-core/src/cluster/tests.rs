use super::*;
use crate::entry::{Entry, Key};
use crate::name::NodeName;
use crate::version::Heartbeat;

pub(super) const SECOND: Duration = Duration::from_secs(1);

pub(super) fn at(seconds: i64) -> Moment {
    Moment::from_micros(seconds * 1_000_000)
}

pub(super) fn id(name: &str) -> NodeId {
    NodeName::new(name).unwrap().id()
}

pub(super) fn head(generation: u64, heartbeat: u64) -> Head {
    Head { generation: Generation(generation), heartbeat: Heartbeat(heartbeat) }
}

/// A node that knows nobody, and has room for so many nodes.
pub(super) fn alone(name: &str, max_nodes: usize) -> Cluster {
    let name = NodeName::new(name).unwrap();
    let (id, now) = (name.id(), Moment::default());
    let record = Record { replica: Replica::new(Generation(1)), address: ([10, 0, 0, 1], 1).into(), name };
    let own = EndpointState::new(record, Heartbeat(0), now, Pulse::new(now, SECOND));
    Cluster::new(id, own, Limits { keys: 9, bytes: 9_999 }, max_nodes)
}

/// One write of a node, in its first life: it introduces the node if it is the first one.
pub(super) fn write(name: &str, version: u64) -> Delta {
    let name = NodeName::new(name).unwrap();
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

/// The first write of a node's life of `head`, which began its last round so many seconds before it is told.
pub(super) fn begin(name: &str, head: Head, seconds: u64) -> Delta {
    let mut delta = write(name, 1);
    delta.generation = head.generation;
    let introduction = delta.introduction.as_mut().expect("it is the first write");
    introduction.heartbeat = head.heartbeat;
    introduction.age = Duration::from_secs(seconds);
    delta
}

/// That a node was forgotten at `head`, so many seconds ago, and that this ends so many seconds from now.
pub(super) fn forgotten(name: &str, head: Head, ago: i64, left: i64) -> Delta {
    let name = NodeName::new(name).unwrap();
    Delta::forgotten(name.id(), Certificate { name, head, entered: at(-ago), until: at(left) })
}

/// The sums are those over all lines that are told, as if they had been added up just now.
pub(super) fn check_sums(cluster: &Cluster) {
    let (mut summary, mut sketch) = (Summary::default(), Sketch::new(CELLS));
    for line in cluster.lines_since(NodeId(0)) {
        let summand = Summary::of_line(&line).unwrap();
        summary = summary.plus(summand);
        sketch.add(&line, summand);
    }
    assert_eq!(cluster.summary(), summary);
    assert_eq!(cluster.sketch().map(Sketch::cells), Some(sketch.cells()));
}

pub(super) const CELLS: usize = 64;

/// Who changed last, as far as this one knows.
pub(super) fn newest(cluster: &Cluster) -> Option<NodeId> {
    cluster.recent().newest_first().next().map(|item| item.id)
}

#[test]
fn two_views_have_one_record_while_they_are_equal_and_neither_changes_the_other() {
    let interner = Interner::default();
    let (mut ann, mut bob) = (alone("ann", 9), alone("bob", 9));
    ann.share(interner.clone());
    bob.share(interner);
    let cid = id("cid");
    let apply =
        |view: &mut Cluster, version| drop(view.apply(&write("cid", version), Moment::default(), SECOND));
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

/// Those who begin to share when they know others already have one record of them, too.
#[test]
fn what_was_known_before_is_shared() {
    let interner = Interner::default();
    let views = ["ann", "bob"].map(|name| {
        let mut view = alone(name, 9);
        view.apply(&write("cid", 1), at(0), SECOND);
        view.share(interner.clone());
        view
    });
    let [ann, bob] = views.each_ref().map(|view| &view.endpoint(id("cid")).unwrap().record);
    assert!(Arc::ptr_eq(ann, bob));
}

#[test]
fn the_sums_are_over_all_lines_whatever_becomes_of_them() {
    let (mut ann, bob) = (alone("ann", 9), id("bob"));
    ann.keep_sketch(CELLS);
    check_sums(&ann);
    let certificate = || Certificate {
        name: NodeName::new("bob").unwrap(),
        head: head(2, 7),
        entered: at(0),
        until: at(100),
    };
    let steps: [&dyn Fn(&mut Cluster); 8] = [
        &|ann| drop(ann.apply(&write("bob", 1), at(0), SECOND)),
        &|ann| drop(ann.apply(&write("bob", 2), at(0), SECOND)),
        &|ann| drop(ann.apply(&begin("bob", head(2, 1), 0), at(0), SECOND)),
        &|ann| _ = ann.change_own(|own| own.write([])),
        &|ann| assert!(ann.forget(bob, certificate(), at(0))),
        &|ann| drop(ann.apply(&forgotten("bob", head(2, 8), 0, 100), at(0), SECOND)),
        &|ann| ann.expire_certificates(at(50)),
        &|ann| drop(ann.apply(&begin("bob", head(3, 1), 0), at(60), SECOND)),
    ];
    let mut summaries = BTreeSet::from([ann.summary()]);
    for (number, step) in steps.iter().enumerate() {
        step(&mut ann);
        check_sums(&ann);
        assert!(summaries.insert(ann.summary()), "step {number} changes nothing");
    }
}

/// What changes nothing is no news, and nodes stay equal for it.
#[test]
fn nodes_are_equal_until_a_difference_or_a_change() {
    let (mut ann, bob) = (alone("ann", 9), id("bob"));
    ann.apply(&write("bob", 1), at(0), SECOND);
    let equal = BTreeSet::from([bob]);
    ann.compared(bob, true);
    ann.compared(id("stranger"), true);
    assert_eq!(*ann.equals(), equal);
    ann.compared(id("stranger"), false);
    assert!(ann.equals().is_empty());
    ann.compared(bob, true);
    ann.change_own(|_| ());
    ann.apply(&write("bob", 1), at(0), SECOND);
    assert_eq!((ann.equals(), newest(&ann)), (&equal, Some(bob)));
    ann.change_own(|own| own.write([]));
    assert!(ann.equals().is_empty());
    assert_eq!(newest(&ann), Some(ann.me()));
}

/// Hearts beat all the time, and what two nodes hold is the same for it.
#[test]
fn a_beat_is_no_change() {
    let (mut ann, bob) = (alone("ann", 9), id("bob"));
    ann.apply(&write("bob", 1), at(0), SECOND);
    ann.compared(bob, true);
    let summary = ann.summary();
    ann.life_mut(bob).unwrap().heartbeat = Heartbeat(9);
    ann.own_mut().heartbeat = Heartbeat(9);
    assert_eq!((ann.endpoint(bob).unwrap().head(), ann.own().head()), (head(1, 9), head(1, 9)));
    assert_eq!((ann.summary(), ann.equals().len()), (summary, 1));
    assert!(ann.life_mut(id("stranger")).is_none());
}

#[test]
fn a_stranger_more_of_a_life_and_a_new_life_are_told_apart() {
    let (mut ann, cid) = (alone("ann", 9), id("cid"));
    let met = ann.apply(&begin("cid", head(1, 4), 3), at(10), SECOND);
    assert!(matches!(met, Learned::Newcomer(changes) if changes.len() == 1));
    assert!(
        matches!(ann.apply(&write("cid", 2), at(12), SECOND), Learned::News(changes) if changes.len() == 1)
    );
    assert!(matches!(ann.apply(&write("cid", 2), at(12), SECOND), Learned::Nothing));
    assert!(matches!(ann.apply(&write("cid", 4), at(12), SECOND), Learned::Gap));
    assert!(matches!(ann.apply(&write("dan", 2), at(12), SECOND), Learned::Gap));
    let known = ann.endpoint(cid).unwrap();
    assert_eq!((known.head(), known.authored, known.max_version()), (head(1, 4), at(7), Version(2)));

    let mut again = begin("cid", head(2, 1), 2);
    again.introduction.as_mut().unwrap().address = ([10, 0, 0, 4], 1).into();
    let restart = ann.apply(&again, at(20), SECOND);
    assert!(matches!(restart, Learned::Restart(changes) if changes.len() == 1));
    let known = ann.endpoint(cid).unwrap();
    assert_eq!((known.head(), known.authored, known.max_version()), (head(2, 1), at(18), Version(1)));
    assert_eq!(known.address(), ([10, 0, 0, 4], 1).into());
    assert!(matches!(ann.apply(&write("cid", 3), at(20), SECOND), Learned::Nothing), "that life is over");
}

#[test]
fn a_node_that_never_wrote_is_known_all_the_same() {
    let mut ann = alone("ann", 9);
    let nothing = Delta {
        span: Span::After(Version(0)),
        through: Version(0),
        max: Version(0),
        entries: Vec::new(),
        ..write("cid", 1)
    };
    assert!(matches!(ann.apply(&nothing, at(0), SECOND), Learned::Newcomer(changes) if changes.is_empty()));
    assert!(ann.endpoint(id("cid")).is_some());
}

#[test]
fn nobody_is_introduced_by_the_name_of_another() {
    let (mut ann, eve) = (alone("ann", 9), id("eve"));
    let introduced = Delta { owner: eve, ..write("cid", 1) };
    let buried = Delta { owner: eve, ..forgotten("cid", head(1, 1), 0, 9) };
    for forged in [introduced, buried] {
        assert!(matches!(ann.apply(&forged, at(0), SECOND), Learned::Refused("forged")));
    }
    assert_eq!(ann.line(eve), Line::unknown(eve));
}

#[test]
fn no_more_nodes_are_known_than_may_be() {
    let mut ann = alone("ann", 2);
    assert!(matches!(ann.apply(&write("bob", 1), at(0), SECOND), Learned::Newcomer(_)));
    assert!(matches!(ann.apply(&write("cid", 1), at(0), SECOND), Learned::Refused("full")));
    assert_eq!(ann.line(id("cid")), Line::unknown(id("cid")));
    assert!(matches!(ann.apply(&write("bob", 2), at(0), SECOND), Learned::News(_)));
}

#[test]
fn an_owner_says_where_it_is_in_the_life_that_is_known() {
    let (mut ann, cid) = (alone("ann", 9), id("cid"));
    ann.apply(&write("cid", 1), at(0), SECOND);
    let [before, after] = [3, 4].map(|number| SocketAddr::from(([10, 0, 0, number], 1)));
    for generation in [0, 2] {
        ann.correct_address(cid, Generation(generation), after);
        assert_eq!(ann.endpoint(cid).unwrap().address(), before, "{generation}");
    }
    ann.correct_address(cid, Generation(1), after);
    assert_eq!(ann.endpoint(cid).unwrap().address(), after);
}

#[test]
fn a_known_node_stands_on_one_roll_and_is_looked_at_when_it_is_time() {
    let (mut ann, bob) = (alone("ann", 9), id("bob"));
    ann.apply(&write("bob", 1), at(0), SECOND);
    assert_eq!(ann.standing(bob), None);
    assert!(ann.enter(bob, Standing::Live));
    assert!(!ann.enter(bob, Standing::Live));
    assert_eq!((ann.standing(bob), ann.live()), (Some(Standing::Live), &[bob][..]));
    ann.look(bob, |_| at(5));
    assert_eq!((ann.due(at(4)), ann.due(at(5)), ann.due(at(6))), (None, Some(bob), None));
    assert!(ann.enter(bob, Standing::Unreachable));
    assert_eq!((ann.live(), ann.roll(Standing::Unreachable)), (&[][..], &[bob][..]));
    assert!(!ann.enter(id("stranger"), Standing::Live));
}

#[test]
fn what_changed_is_recent_for_some_rounds() {
    let mut ann = alone("ann", 9);
    let rounds = recent::listed_for(1);
    for round in 0..rounds {
        assert_eq!((ann.round(), newest(&ann)), (round, Some(ann.me())));
        ann.begin_round();
    }
    assert_eq!((ann.round(), newest(&ann)), (rounds, None));
    ann.touch(ann.me(), Version(0));
    assert_eq!(newest(&ann), Some(ann.me()));
}

/// Strangers are known, live and looked at from then on, as far as there is room; those who are known, or forgotten, stay so.
#[test]
fn acquaintances_are_strangers_before() {
    let [bob, cid] = ["bob", "cid"].map(id);
    let others: Vec<_> = ["bob", "cid", "dan", "eve"]
        .map(|name| {
            let mut other = alone(name, 9);
            let lasting = Entry { expires: at(30), ..Entry::new(Some("value".into()), Version(0)) };
            for _ in 0..3 {
                other.change_own(|own| own.write([(Key::new("key").unwrap(), lasting.clone())]));
            }
            other
        })
        .into();
    let with = Acquaintances::new(others.iter().map(|other| (other.me(), other.own())));
    let mut strangers = ["dan", "eve"].map(id);
    strangers.sort_unstable();
    for (max_nodes, met) in [(9, 2), (3, 1), (2, 0)] {
        let mut ann = alone("ann", max_nodes);
        ann.apply(&write("bob", 1), at(0), SECOND);
        ann.apply(&forgotten("cid", head(1, 9), 0, 99), at(0), SECOND);
        ann.compared(bob, true);
        let mut pulse = Pulse::new(at(10), SECOND);
        pulse.look_at = at(20);
        ann.acquaint(&with, at(10), &pulse);
        ann.keep_sketch(CELLS);
        check_sums(&ann);
        assert_eq!(ann.live(), &strangers[..met]);
        assert_eq!(ann.endpoints().len(), 2 + met);
        assert_eq!((ann.line(bob).max, ann.endpoint(cid).is_some()), (Version(1), false));
        assert!(ann.equals().is_empty());
        assert_eq!(ann.next_expiry(), if met > 0 { at(30) } else { Moment::NEVER });
        let looks: Vec<_> = std::iter::from_fn(|| ann.due(at(20))).collect();
        assert_eq!(looks, &strangers[..met]);
    }
}
