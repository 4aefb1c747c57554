//! How nodes are forgotten, and what keeps them so.

use std::cmp::Ordering;
use std::ops::RangeInclusive;

use super::{Cluster, Learned};
use crate::certificate::{Certificate, Certificates, Held};
use crate::message::Line;
use crate::name::NodeId;
use crate::snapshot::Standing;
use crate::time::Moment;
use crate::version::{Head, Version};

impl Cluster {
    /// What stays of those that were forgotten.
    pub(crate) fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// Forgets `id`, which is known, by `certificate`. Returns whether there was room for that.
    pub(crate) fn forget(&mut self, id: NodeId, certificate: Certificate, now: Moment) -> bool {
        if self.certificates.len() >= self.max_nodes && !flaw!(NodesUncounted) {
            return false;
        }
        let before = self.line(id);
        let expiry = self.endpoint(id).map_or(Moment::NEVER, |endpoint| endpoint.replica().next_expiry());
        self.await_expiry(id, expiry, Moment::NEVER);
        self.liveness.remove(&mut self.endpoints, id);
        self.endpoints.remove(id);
        self.certificates.hold(id, certificate, false, now);
        self.changed(&before, before.max);
        true
    }

    /// Takes what a certificate of another node says, which came in at `now`.
    pub(super) fn learn_of_the_forgotten(&mut self, id: NodeId, told: &Certificate, now: Moment) -> Learned {
        let told = told.heard(now);
        if let Some(held) = self.certificates.get(id) {
            let merged = held.certificate.merged(&told);
            let is_refuted = held.is_refuted && merged.head == held.certificate.head;
            if merged == held.certificate {
                return Learned::Nothing;
            }
            let (before, grows) = (self.line(id), merged.head > held.certificate.head);
            self.certificates.hold(id, merged, is_refuted, now);
            self.count_again(&before);
            if grows {
                self.touch(id, Version(0));
            }
            return Learned::Nothing;
        }
        // Whoever is believed to run is not dropped for a word: it refutes that, or is convicted first.
        let stays = self.endpoint(id).is_some_and(|endpoint| {
            let is_live = endpoint.seat.standing() == Some(Standing::Live) && !flaw!(Silenced);
            is_live || !told.covers(endpoint.head(), endpoint.authored)
        });
        match (stays, self.endpoints.contains(id)) {
            (true, _) => Learned::Nothing,
            (false, true) => Learned::Forgotten(told),
            (false, false) if self.forget(id, told, now) => Learned::Nothing,
            (false, false) => Learned::Refused("full"),
        }
    }

    /// A head of a node that is not known was authored at `authored`: if it is beyond what its certificate covers, the node is
    /// back, and is asked for. Returns whether it is, and was not before.
    pub(crate) fn hear_of_forgotten(&mut self, id: NodeId, head: Head, authored: Moment) -> bool {
        let before = self.line(id);
        let is_back = |held: &Held| !held.is_refuted && !held.certificate.covers(head, authored);
        let returns = self.certificates.get(id).is_some_and(is_back) && self.certificates.refute(id);
        if returns {
            self.count_again(&before);
            self.touch(id, Version(0));
        }
        returns
    }

    /// Whether a node that is introduced with this head is one that was forgotten, and is not back.
    pub(super) fn is_forgotten(&self, id: NodeId, head: Head, authored: Moment) -> bool {
        // How old what comes in pieces is, nobody knows: once the node was heard of, its head alone counts.
        let covers = |held: &Held| {
            let Held { certificate, is_refuted, .. } = held;
            if *is_refuted { head <= certificate.head } else { certificate.covers(head, authored) }
        };
        self.certificates.get(id).is_some_and(covers) && !flaw!(Haunted)
    }

    /// Ends certificates, and the telling of them, when it is time.
    pub(crate) fn expire_certificates(&mut self, now: Moment) {
        for line in self.certificates.expire(now) {
            self.count_again(&line);
        }
    }

    /// All that stands in the summary, from `first` on, by id.
    pub(crate) fn lines_since(&self, first: NodeId) -> impl Iterator<Item = Line> {
        let mut known = self.endpoints.since(first).map(|(id, endpoint)| endpoint.line(id)).peekable();
        let mut forgotten = self.certificates.lines_since(first).peekable();
        std::iter::from_fn(move || match (known.peek(), forgotten.peek()) {
            (Some(one), Some(other)) if other.id < one.id => forgotten.next(),
            (Some(_), _) => known.next(),
            (None, _) => forgotten.next(),
        })
    }

    /// The ids of all that stands in the summary between two, both included.
    pub(crate) fn ids_between(&self, bounds: RangeInclusive<NodeId>) -> impl Iterator<Item = NodeId> {
        let known = self.endpoints.between(bounds.clone()).iter().copied();
        known.chain(self.certificates.lines_between(bounds).map(|line| line.id))
    }

    /// How what is known here of a node that one of both has forgotten compares with `theirs`; `None` if neither did.
    pub(super) fn compare_forgotten(&self, theirs: &Line) -> Option<Ordering> {
        let end = theirs.certificate();
        let Some(Held { certificate, is_refuted, is_told }) = self.certificates.get(theirs.id) else {
            let known = self.endpoint(theirs.id)?;
            // Of one that is believed to run, that is not taken, and not asked for.
            let is_live = known.seat.standing() == Some(Standing::Live) && !flaw!(Silenced);
            let unless_ahead = if is_live { Ordering::Equal } else { Ordering::Less };
            return end.map(|end| if known.head() > end { Ordering::Greater } else { unless_ahead });
        };
        let ours = certificate.head;
        Some(match (theirs.known(), end) {
            (None, _) if *is_told => Ordering::Greater,
            (None, _) => Ordering::Equal,
            // Whoever tells it longer than this node does lacks when it ends.
            (Some(_), Some(end)) if ours == end && !is_told && !is_refuted => Ordering::Greater,
            (Some(_), Some(end)) => ours.cmp(&end),
            (Some((generation, _)), None) => {
                let is_back = generation > ours.generation || *is_refuted && generation == ours.generation;
                if is_back { Ordering::Less } else { Ordering::Greater }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{
        CELLS, SECOND, alone, at, begin, check_sums, forgotten, head, id, newest, write,
    };
    use super::*;
    use crate::delta::Delta;
    use crate::version::Generation;

    fn hear(cluster: &mut Cluster, delta: &Delta) -> Learned {
        cluster.apply(delta, at(0), SECOND)
    }

    /// Ann, who knows bob as `standing`, in the round `head(1, 1)` that he began just now.
    fn knowing_bob(standing: Standing) -> Cluster {
        let mut ann = alone("ann", 9);
        hear(&mut ann, &write("bob", 1));
        ann.enter(id("bob"), standing);
        ann
    }

    /// Ann, who holds a certificate of bob up to `head(2, 5)`, which was entered just now and lasts for a hundred seconds.
    fn without_bob() -> Cluster {
        let mut ann = alone("ann", 9);
        ann.keep_sketch(CELLS);
        assert!(matches!(hear(&mut ann, &forgotten("bob", head(2, 5), 0, 100)), Learned::Nothing));
        assert_eq!(newest(&ann), Some(id("bob")));
        ann.touch(ann.me(), Version(0));
        ann
    }

    fn held(cluster: &Cluster) -> &Held {
        cluster.certificates().get(id("bob")).unwrap()
    }

    #[test]
    fn whoever_is_believed_to_run_is_not_forgotten_for_a_word() {
        let (bob, word) = (id("bob"), forgotten("bob", head(1, 1), 0, 100));
        let mut ann = knowing_bob(Standing::Live);
        assert!(matches!(hear(&mut ann, &word), Learned::Nothing));
        for standing in [Standing::Unreachable, Standing::Departed] {
            let mut ann = knowing_bob(standing);
            assert!(matches!(hear(&mut ann, &word), Learned::Forgotten(told) if told.head == head(1, 1)));
            let outdated = forgotten("bob", head(1, 0), 9, 100);
            assert!(matches!(hear(&mut ann, &outdated), Learned::Nothing), "he was heard of since");
            assert_eq!(
                (ann.endpoint(bob).is_some(), ann.certificates().len()),
                (true, 0),
                "nothing has moved"
            );
        }
    }

    #[test]
    fn whoever_is_forgotten_leaves_a_certificate_while_there_is_room_for_one() {
        let (bob, mut ann) = (id("bob"), alone("ann", 2));
        hear(&mut ann, &write("bob", 1));
        ann.enter(bob, Standing::Unreachable);
        for name in ["cid", "dan"] {
            assert!(matches!(hear(&mut ann, &forgotten(name, head(1, 1), 0, 100)), Learned::Nothing));
            assert!(ann.certificates().get(id(name)).is_some());
        }
        assert!(matches!(hear(&mut ann, &forgotten("eve", head(1, 1), 0, 100)), Learned::Refused("full")));
        let Learned::Forgotten(told) = hear(&mut ann, &forgotten("bob", head(1, 1), 0, 100)) else {
            panic!("bob may be forgotten");
        };
        assert!(!ann.forget(bob, told.clone(), at(0)), "there is no room");
        assert_eq!((ann.endpoint(bob).is_some(), ann.roll(Standing::Unreachable)), (true, &[bob][..]));
        ann.expire_certificates(at(100));
        assert!(ann.forget(bob, told, at(0)));
        assert_eq!((ann.endpoint(bob).is_some(), ann.roll(Standing::Unreachable)), (false, &[][..]));
        assert_eq!((ann.line(bob), newest(&ann)), (Line::certified(bob, head(1, 1)), Some(bob)));
    }

    /// What is newer in a certificate is news; that it ends sooner is none.
    #[test]
    fn of_two_certificates_the_greater_head_is_passed_on() {
        for (told, line, is_news, left) in [
            (forgotten("bob", head(2, 5), 0, 100), head(2, 5), false, 100),
            (forgotten("bob", head(2, 5), 0, 60), head(2, 5), false, 60),
            (forgotten("bob", head(2, 4), 0, 60), head(2, 5), false, 100),
            (forgotten("bob", head(2, 6), 0, 60), head(2, 6), true, 60),
        ] {
            let mut ann = without_bob();
            assert!(matches!(hear(&mut ann, &told), Learned::Nothing));
            assert_eq!(ann.line(id("bob")), Line::certified(id("bob"), line), "{told:?}");
            assert_eq!(newest(&ann) == Some(id("bob")), is_news, "{told:?}");
            assert_eq!(held(&ann).certificate.until, at(left), "{told:?}");
            check_sums(&ann);
        }
    }

    /// What a certificate covers refutes it not. What is beyond does, once: then it is told to nobody, until one says more.
    #[test]
    fn a_node_that_is_heard_of_again_refutes_its_certificate() {
        let (mut ann, bob) = (without_bob(), id("bob"));
        for (covered, authored) in [(head(2, 5), 9), (head(2, 6), 0)] {
            assert!(!ann.hear_of_forgotten(bob, covered, at(authored)));
            assert_eq!(ann.line(bob), Line::certified(bob, head(2, 5)));
        }
        for is_news in [true, false] {
            assert_eq!(ann.hear_of_forgotten(bob, head(2, 6), at(1)), is_news);
            assert_eq!((ann.line(bob), newest(&ann) == Some(bob)), (Line::unknown(bob), is_news));
            ann.touch(ann.me(), Version(0));
            check_sums(&ann);
        }
        hear(&mut ann, &forgotten("bob", head(2, 5), 0, 60));
        assert!(held(&ann).is_refuted, "it is the same one");
        hear(&mut ann, &forgotten("bob", head(2, 7), 0, 60));
        assert_eq!((held(&ann).is_refuted, ann.line(bob)), (false, Line::certified(bob, head(2, 7))));
        check_sums(&ann);
        ann.hear_of_forgotten(id("stranger"), head(2, 6), at(1));
        assert_eq!(newest(&ann), Some(bob));
    }

    /// Once a node was heard of again, its head alone says whether an introduction is older than its end.
    #[test]
    fn whoever_was_forgotten_is_not_introduced_by_what_is_older() {
        for (told, seconds, is_refuted, is_met) in [
            (head(2, 5), 0, false, false),
            (head(2, 6), 9, false, false),
            (head(2, 6), 0, false, true),
            (head(3, 0), 9, false, true),
            (head(2, 5), 0, true, false),
            (head(2, 6), 9, true, true),
        ] {
            let (mut ann, bob) = (without_bob(), id("bob"));
            if is_refuted {
                ann.hear_of_forgotten(bob, head(2, 6), at(1));
            }
            let learned = ann.apply(&begin("bob", told, seconds), at(5), SECOND);
            let is_refused = matches!(learned, Learned::Refused("forgotten"));
            let why = format!("{told:?} of {seconds}, {is_refuted}: {learned:?}");
            assert_eq!((matches!(learned, Learned::Newcomer(_)), is_refused), (is_met, !is_met), "{why}");
            assert_eq!(
                (ann.endpoint(bob).is_some(), ann.certificates().len()),
                (is_met, usize::from(!is_met))
            );
        }
    }

    #[test]
    fn a_certificate_stands_in_the_sums_for_half_its_life() {
        let (mut ann, bob) = (without_bob(), id("bob"));
        ann.expire_certificates(at(49));
        assert_eq!(ann.line(bob), Line::certified(bob, head(2, 5)));
        ann.expire_certificates(at(50));
        assert_eq!((ann.line(bob), ann.certificates().len()), (Line::unknown(bob), 1));
        check_sums(&ann);
    }

    #[test]
    fn the_known_and_the_forgotten_are_listed_together_by_id() {
        let names = ["ann", "bob", "cid", "dan", "eve", "fay", "gus", "hal"];
        let mut ids = names.map(id);
        ids.sort_unstable();
        // They take turns, and either is the last.
        for last_is_known in [true, false] {
            let mut ann = alone("ann", 9);
            for name in &names[1..] {
                let place = ids.iter().position(|&one| one == id(name)).unwrap();
                if (place % 2 == 1) == last_is_known {
                    hear(&mut ann, &write(name, 1));
                } else {
                    hear(&mut ann, &forgotten(name, head(1, 1), 0, 100));
                }
            }
            let lines: Vec<_> = ann.lines_since(NodeId(0)).collect();
            assert_eq!(lines.iter().map(|line| line.id).collect::<Vec<_>>(), ids);
            assert!(lines.iter().all(|line| *line == ann.line(line.id)));
            assert!(ann.lines_since(ids[3]).eq(lines[3..].iter().copied()));
            let mut between: Vec<_> = ann.ids_between(ids[2]..=ids[5]).collect();
            between.sort_unstable();
            assert_eq!(between, ids[2..=5]);
        }
    }

    /// Greater: this node tells the other one. Less: it asks. Equal: neither.
    #[test]
    fn nodes_that_only_one_of_two_has_forgotten_are_compared_by_how_far_they_came() {
        let bob = id("bob");
        let certified = |generation, heartbeat| Line::certified(bob, head(generation, heartbeat));
        let state = |generation, max| Line { id: bob, generation: Generation(generation), max: Version(max) };
        let check = |ann: &Cluster, theirs: Line, expected: Ordering, why: &str| {
            assert_eq!(ann.compare(&theirs), expected, "{why}: {theirs:?}");
        };
        use Ordering::{Equal, Greater, Less};

        let stranger = alone("ann", 9);
        check(&stranger, certified(1, 1), Less, "this one knows nothing");
        check(&stranger, Line::unknown(bob), Equal, "neither knows anything");
        for (standing, unless_ahead) in [(Standing::Live, Equal), (Standing::Unreachable, Less)] {
            let ann = knowing_bob(standing);
            check(&ann, certified(1, 0), Greater, "he came further");
            check(&ann, certified(1, 1), unless_ahead, "he came so far");
            check(&ann, certified(2, 0), unless_ahead, "he came further there");
            check(&ann, state(1, 0), Greater, "neither has forgotten him");
            check(&ann, state(1, 2), Less, "neither has forgotten him");
        }

        let mut ann = without_bob();
        check(&ann, Line::unknown(bob), Greater, "it is told");
        check(&ann, certified(2, 5), Equal, "both tell it");
        check(&ann, certified(2, 4), Greater, "he came further");
        check(&ann, certified(2, 6), Less, "he came further there");
        check(&ann, state(2, 9), Greater, "he is forgotten here");
        check(&ann, state(1, 9), Greater, "he is forgotten here");
        check(&ann, state(3, 0), Less, "he is back");
        ann.expire_certificates(at(50));
        check(&ann, Line::unknown(bob), Equal, "it is not told any more");
        check(&ann, certified(2, 5), Greater, "the other one tells it for too long");
        check(&ann, certified(2, 4), Greater, "he came further");
        check(&ann, certified(2, 6), Less, "he came further there");
        check(&ann, state(2, 9), Greater, "he is forgotten here");

        let mut ann = without_bob();
        ann.hear_of_forgotten(bob, head(2, 6), at(1));
        check(&ann, Line::unknown(bob), Equal, "it is refuted");
        check(&ann, certified(2, 5), Equal, "what is refuted is not told");
        check(&ann, state(2, 9), Less, "he is back");
        check(&ann, state(3, 0), Less, "he is back");
        check(&ann, state(1, 9), Greater, "he is not back by that");
    }
}
