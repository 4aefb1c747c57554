//! Where nodes are, whatever is said of that.

use std::net::SocketAddr;

use super::Gossiper;
use crate::contacts::Astray;
use crate::message::Sender;
use crate::name::NodeId;

/// How often a node is missed at its address before another one is tried.
const MISSES: u8 = 2;

impl Gossiper {
    /// `sender` spoke from `from`: worth a try if it does not answer where it is said to be. Of an earlier life it is another
    /// process, and soon none.
    pub(super) fn see_at(&mut self, sender: Sender, from: SocketAddr) {
        let Sender { id, head, .. } = sender;
        let known = self.cluster.endpoint(id).filter(|known| known.generation() <= head.generation);
        let Some(endpoint) = known else { return };
        let seen_at = Some((from, head.generation)).filter(|(from, _)| *from != endpoint.address());
        if seen_at.is_none() {
            self.contacts.meet(from, id);
        }
        self.contacts.set_astray(id, Astray { seen_at, ..self.contacts.astray(id) });
    }

    /// `id` did not answer at `address`.
    pub(super) fn miss(&mut self, id: NodeId, address: SocketAddr) {
        if self.cluster.endpoint(id).is_some_and(|endpoint| endpoint.address() == address) {
            let Astray { seen_at, missed } = self.contacts.astray(id);
            self.contacts.set_astray(id, Astray { seen_at, missed: missed.saturating_add(1) });
        }
    }

    /// `id` answered at `address`. Where it was said to be it did not, of late: somebody else had said that.
    pub(super) fn find(&mut self, id: NodeId, address: SocketAddr) {
        let Some(endpoint) = self.cluster.endpoint(id) else { return };
        let Astray { seen_at, missed } = self.contacts.astray(id);
        let is_home = endpoint.address() == address;
        if !is_home && missed >= MISSES {
            self.cluster.move_to(id, address);
        }
        if is_home || missed >= MISSES {
            self.contacts.set_astray(id, Astray { seen_at, missed: 0 });
        }
    }

    /// Where to try `id`: where it was heard from, if it does not answer where it is said to be, and that again from time to
    /// time. `None` if it is not known.
    pub(super) fn address_to_try(&self, id: NodeId) -> Option<SocketAddr> {
        let endpoint = self.cluster.endpoint(id)?;
        let Astray { seen_at, missed } = self.contacts.astray(id);
        let elsewhere = seen_at.map(|(address, _)| address).filter(|_| missed >= MISSES);
        let turn = missed.wrapping_add(u8::from(self.cluster.round().is_multiple_of(2)));
        Some(elsewhere.filter(|_| turn.is_multiple_of(2)).unwrap_or(endpoint.address()))
    }

    /// `id` is in a new life: where it did not answer, or was heard from, in those before is forgotten.
    pub(super) fn look_where_it_is_now(&mut self, id: NodeId) {
        let Some(life) = self.cluster.endpoint(id).map(|endpoint| endpoint.generation()) else { return };
        let seen_at = self.contacts.astray(id).seen_at.filter(|(_, seen_in)| *seen_in >= life);
        self.contacts.set_astray(id, Astray { seen_at, missed: 0 });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Config;
    use crate::delta::{Delta, Introduction, Span};
    use crate::gossiper::Identity;
    use crate::name::NodeName;
    use crate::time::{Moment, Time, WallClock};
    use crate::version::{Generation, Head, Heartbeat, Version};

    const NOW: Time = Time { moment: Moment::from_micros(0), wall: WallClock(1_800_000_000_000) };

    fn place(last: u8) -> SocketAddr {
        ([10, 0, 0, last], 1).into()
    }

    /// Ann hears that bob lives in this life at that place.
    fn introduce(ann: &mut Gossiper, life: u64, last: u8) -> NodeId {
        let name = NodeName::new("bob").unwrap();
        let (owner, age) = (name.id(), Duration::ZERO);
        let introduction = Introduction { name, address: place(last), heartbeat: Heartbeat(1), age };
        let (generation, nothing) = (Generation(life), Version(0));
        let (span, introduction, entries) = (Span::Reset, Some(introduction), Vec::new());
        let delta = Delta {
            owner,
            generation,
            introduction,
            span,
            through: nothing,
            gc: nothing,
            max: nothing,
            entries,
        };
        ann.apply(NOW, owner, &[delta]);
        owner
    }

    /// Both places where ann tries bob: it takes turns where it misses him.
    fn tried(ann: &mut Gossiper, bob: NodeId) -> [SocketAddr; 2] {
        [(); 2].map(|()| {
            ann.cluster.begin_round();
            ann.address_to_try(bob).unwrap()
        })
    }

    fn hear(ann: &mut Gossiper, bob: NodeId, life: u64, last: u8) {
        let head = Head { generation: Generation(life), heartbeat: Heartbeat(2) };
        ann.see_at(Sender { id: bob, head, max: Version(0) }, place(last));
    }

    /// A3: of a life that is over, it does not count where it was, and the present one may have been heard before it is known.
    #[test]
    fn a_node_in_a_new_life_is_looked_for_where_that_one_is() {
        let me = Identity { name: NodeName::new("ann").unwrap(), address: place(1), saved: None };
        let mut ann = Gossiper::new(Config::new("test"), me, 7, NOW).unwrap();
        let bob = introduce(&mut ann, 1, 2);
        hear(&mut ann, bob, 1, 3);
        (0..MISSES).for_each(|_| ann.miss(bob, place(2)));
        let mut both = tried(&mut ann, bob);
        both.sort_unstable();
        assert_eq!(both, [place(2), place(3)]);

        introduce(&mut ann, 2, 4);
        hear(&mut ann, bob, 1, 3);
        (0..MISSES).for_each(|_| ann.miss(bob, place(4)));
        assert_eq!(tried(&mut ann, bob), [place(4); 2]);

        hear(&mut ann, bob, 3, 5);
        introduce(&mut ann, 3, 6);
        assert_eq!(tried(&mut ann, bob), [place(6); 2]);
        (0..MISSES).for_each(|_| ann.miss(bob, place(6)));
        assert!(tried(&mut ann, bob).contains(&place(5)));
    }
}
