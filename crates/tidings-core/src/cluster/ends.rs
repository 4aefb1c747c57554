//! How what is shown of nodes comes to its end by itself.

use std::sync::Arc;

use super::Cluster;
use crate::endpoint::EndpointState;
use crate::name::NodeId;
use crate::replica::{Change, Replica};
use crate::time::Moment;

impl Cluster {
    /// When the first value expires that is held; [`Moment::NEVER`] if none does.
    pub(crate) fn next_expiry(&self) -> Moment {
        self.expiries.first().map_or(Moment::NEVER, |(at, _)| *at)
    }

    /// Lets go what has expired by `now`. Returns what that is, of whom, in the order of time.
    pub(crate) fn expire(&mut self, now: Moment) -> Vec<(NodeId, Vec<Change>)> {
        let mut gone = Vec::new();
        while self.expiries.first().is_some_and(|(at, _)| *at <= now) {
            let (_, id) = self.expiries.pop_first().expect("it was just seen");
            gone.push((id, self.let_go(id, |replica| replica.expire(now))));
        }
        gone
    }

    /// Lets go what was to last as long as the life of `id`, which is over. Returns what that is.
    pub(crate) fn end_ephemeral(&mut self, id: NodeId) -> Vec<Change> {
        let is_mortal = |endpoint: &EndpointState| endpoint.replica().has_ephemeral();
        if !self.endpoint(id).is_some_and(is_mortal) {
            return Vec::new();
        }
        self.let_go(id, Replica::end_ephemeral)
    }

    /// Changes what is shown of `id`, and no version of it.
    fn let_go(&mut self, id: NodeId, change: impl FnOnce(&mut Replica) -> Vec<Change>) -> Vec<Change> {
        let endpoint = self.endpoints.get_mut(id).expect("it is known");
        let expiry = endpoint.replica().next_expiry();
        let gone = change(&mut Arc::make_mut(&mut endpoint.record).replica);
        let next = endpoint.replica().next_expiry();
        self.await_expiry(id, expiry, next);
        self.share_record(id);
        gone
    }

    /// The first value that is held of `id` expires at `next`, and not at `before`.
    pub(super) fn await_expiry(&mut self, id: NodeId, before: Moment, next: Moment) {
        if before != next {
            self.expiries.remove(&(before, id));
            self.expiries.extend((next != Moment::NEVER).then_some((next, id)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{SECOND, alone, at, id, write};
    use super::*;
    use crate::delta::Delta;
    use crate::entry::{Entry, Key};
    use crate::version::Version;

    /// The first write of a node: its keys, and when each of them expires.
    fn lasting(name: &str, keys: &[(&str, i64)]) -> Delta {
        let entry = |&(key, seconds): &(&str, i64)| {
            let entry = Entry::new(Some("value".into()), Version(1));
            (Key::new(key).unwrap(), Entry { expires: at(seconds), ..entry })
        };
        Delta { entries: keys.iter().map(entry).collect(), ..write(name, 1) }
    }

    /// The owners and keys of what is gone.
    fn names(gone: &[(NodeId, Vec<Change>)]) -> Vec<(NodeId, Vec<&str>)> {
        gone.iter().map(|(id, gone)| (*id, gone.iter().map(|(key, ..)| key.as_str()).collect())).collect()
    }

    #[test]
    fn what_expires_goes_in_the_order_of_time_whosever_it_is() {
        let (mut ann, [bob, cid]) = (alone("ann", 9), ["bob", "cid"].map(id));
        assert_eq!(ann.next_expiry(), Moment::NEVER);
        ann.apply(&lasting("bob", &[("a", 5), ("b", 9)]), at(0), SECOND);
        ann.apply(&lasting("cid", &[("c", 3)]), at(0), SECOND);
        let own = Entry { expires: at(4), ..Entry::new(Some("value".into()), Version(0)) };
        ann.change_own(|replica| replica.write([(Key::new("own").unwrap(), own)]));
        let summary = ann.summary();
        assert_eq!((ann.next_expiry(), ann.expire(at(2))), (at(3), Vec::new()));
        let gone = ann.expire(at(5));
        assert_eq!(names(&gone), [(cid, vec!["c"]), (ann.me(), vec!["own"]), (bob, vec!["a"])]);
        assert_eq!(ann.next_expiry(), at(9));
        assert!(!ann.endpoint(bob).unwrap().replica().shows(&Key::new("a").unwrap()));
        assert_eq!(names(&ann.expire(at(9))), [(bob, vec!["b"])]);
        assert_eq!((ann.next_expiry(), ann.summary()), (Moment::NEVER, summary));
    }

    /// What is written again, or is of a life that is over, does not expire any more.
    #[test]
    fn whatever_takes_the_place_of_a_value_takes_its_end() {
        let mut ann = alone("ann", 9);
        ann.apply(&lasting("bob", &[("key", 5)]), at(0), SECOND);
        ann.apply(&write("bob", 2), at(0), SECOND);
        assert_eq!((ann.next_expiry(), ann.expire(at(9))), (Moment::NEVER, Vec::new()));
    }

    #[test]
    fn what_is_ephemeral_ends_with_a_life_and_the_rest_stays() {
        let (mut ann, bob) = (alone("ann", 9), id("bob"));
        let mut first = lasting("bob", &[("a", 5), ("b", 9)]);
        first.entries[0].1.is_ephemeral = true;
        ann.apply(&first, at(0), SECOND);
        let gone = ann.end_ephemeral(bob);
        assert_eq!(names(&[(bob, gone)]), [(bob, vec!["a"])]);
        assert_eq!((ann.next_expiry(), ann.line(bob).max), (at(9), Version(1)));
        assert_eq!(ann.end_ephemeral(bob), []);
        assert_eq!(ann.end_ephemeral(id("stranger")), []);
    }
}
