//! The search: every state that can be reached, the nearest first.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::owner::{Deed, MOST_LIVES, Owner};
use super::promises::{Fault, check_pair, check_replica, check_step};
use super::real::{DeltaId, Fixed, Heard, Outcome, Real, ReplicaId, number};
use super::story::{Happening, Place};
use super::{Bounds, Broken, Explored, Promise, Tally};

/// Goes through all states within `bounds`, and ends early only with a broken promise.
///
/// # Panics
/// If the bounds are beyond what they say.
#[must_use]
pub fn explore(bounds: Bounds) -> Explored {
    assert!(bounds.versions < 16 && bounds.delayed <= 2, "these bounds are too wide: {bounds:?}");
    assert!((1..=MOST_OTHERS).contains(&bounds.others), "these bounds are too wide: {bounds:?}");
    assert!((1..=MOST_LIVES).contains(&usize::from(bounds.lives)), "these bounds are too wide: {bounds:?}");
    let mut search = Search::new(bounds);
    let broken = search.run();
    let (replicas, deltas) = search.real.counts();
    let unreadable = search.real.unreadable;
    let tally = Tally { replicas: replicas as u64, deltas: deltas as u64, unreadable, ..search.tally };
    let depth = search.way_to(search.states.len() - 1).len() - 1;
    Explored { states: search.states.len(), depth, tally, broken }
}

/// The most nodes there are beside the owner.
pub(super) const MOST_OTHERS: usize = 3;

/// Names an owner with its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct OwnerId(u32);

/// Where everything stands. The two others are in order, and so is what is on its way: order makes no difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct State {
    owner: OwnerId,
    others: [ReplicaId; MOST_OTHERS],
    delayed: [DeltaId; 2],
}

/// What can happen in a state, and where it leads.
struct Step {
    happening: Happening,
    next: State,
    fault: Option<Fault>,
}

struct Search {
    bounds: Bounds,
    real: Real,
    owners: Vec<Owner>,
    by_owner: HashMap<Owner, OwnerId, Fixed>,
    deeds: HashMap<OwnerId, Rc<[(Deed, OwnerId)]>, Fixed>,
    remembered: HashMap<(OwnerId, u8), OwnerId, Fixed>,
    states: Vec<State>,
    /// From which state each was first reached.
    parents: Vec<u32>,
    seen: HashSet<State, Fixed>,
    settled: HashSet<(ReplicaId, [ReplicaId; MOST_OTHERS]), Fixed>,
    /// Where not all settle. It is told if nothing worse is found.
    unsettled: Option<Broken>,
    tally: Tally,
}

impl Search {
    fn new(bounds: Bounds) -> Self {
        let mut real = Real::new(bounds);
        let owner = Owner::new(&mut real);
        let mut search = Self {
            bounds,
            real,
            owners: Vec::new(),
            by_owner: HashMap::default(),
            deeds: HashMap::default(),
            remembered: HashMap::default(),
            states: Vec::new(),
            parents: Vec::new(),
            seen: HashSet::default(),
            settled: HashSet::default(),
            unsettled: None,
            tally: Tally::default(),
        };
        let owner = search.keep(owner);
        let start = State { owner, others: [ReplicaId(0); MOST_OTHERS], delayed: [DeltaId(0); 2] };
        search.states.push(start);
        search.parents.push(0);
        search.seen.insert(start);
        search
    }

    fn run(&mut self) -> Option<Broken> {
        let mut steps = Vec::new();
        let mut at = 0;
        while at < self.states.len() {
            let state = self.states[at];
            self.steps_from(state, &mut steps);
            for step in steps.drain(..) {
                self.count(state, &step);
                if let Some(fault) = step.fault {
                    return Some(self.broken(at, vec![step.happening], fault));
                }
                if step.next == state {
                    continue;
                }
                let next = self.in_order(step.next);
                if !self.seen.insert(next) {
                    continue;
                }
                self.states.push(next);
                self.parents.push(number(at));
                if let Err((happenings, fault)) = self.check(next) {
                    let is_worst = fault.promise != Promise::Settles;
                    let broken = self.broken(self.states.len() - 1, happenings, fault);
                    if is_worst {
                        return Some(broken);
                    }
                    self.unsettled = Some(broken);
                }
            }
            at += 1;
        }
        self.unsettled.take()
    }

    /// All that can happen in `state`.
    fn steps_from(&mut self, state: State, steps: &mut Vec<Step>) {
        for &(deed, owner) in &*self.deeds_of(state.owner) {
            steps.push(Step {
                happening: Happening::Deed(deed),
                next: State { owner, ..state },
                fault: None,
            });
        }
        for from in std::iter::once(Place::Owner).chain(self.others()) {
            let tellings = self.real.tellings(self.replica_at(state, from));
            for &delta in &*tellings {
                for to in (0..self.bounds.others).filter(|to| from != Place::Other(*to)) {
                    let heard = self.real.hear(state.others[to], delta);
                    let happening = Happening::Tells { from, to, delta, heard };
                    steps.push(self.hearing(state, to, heard, happening));
                }
                if state.has_room(self.bounds.delayed) && !state.delayed.contains(&delta) {
                    let happening = Happening::Sends { from, delta };
                    steps.push(Step { happening, next: state.replaced(DeltaId(0), delta), fault: None });
                }
            }
        }
        for delta in state.delayed.into_iter().filter(|delta| *delta != DeltaId(0)) {
            for to in 0..self.bounds.others {
                let heard = self.real.hear(state.others[to], delta);
                steps.push(self.hearing(state, to, heard, Happening::Arrives { to, delta, heard }));
            }
            let next = state.replaced(delta, DeltaId(0));
            steps.push(Step { happening: Happening::Lost { delta }, next, fault: None });
        }
        for who in 0..self.bounds.others {
            let heard = self.real.expire(state.others[who]);
            if heard.then != state.others[who] {
                steps.push(self.hearing(state, who, heard, Happening::Expires { who }));
            }
            let next = state.with(who, ReplicaId(0));
            steps.push(Step { happening: Happening::Forgets { who }, next, fault: None });
        }
    }

    fn hearing(&self, state: State, to: usize, heard: Heard, happening: Happening) -> Step {
        let fault = self.judge(self.owner(state.owner), state.others[to], heard);
        Step { happening, next: state.with(to, heard.then), fault }
    }

    /// What must hold in `state`; with what has to happen first to see that it does not.
    fn check(&mut self, state: State) -> Result<(), (Vec<Happening>, Fault)> {
        let owner = *self.owner(state.owner);
        let others = state.others.iter().take(self.bounds.others);
        let views: Vec<_> =
            std::iter::once(&owner.replica).chain(others).map(|id| self.real.view(*id)).collect();
        for (place, one) in views.iter().enumerate() {
            check_replica(&owner, one).map_err(|fault| (Vec::new(), fault))?;
            for other in &views[..place] {
                check_pair(one, other).map_err(|fault| (Vec::new(), fault))?;
            }
        }
        if self.unsettled.is_some() || !self.settled.insert((owner.replica, state.others)) {
            return Ok(());
        }
        let mut happenings = Vec::new();
        self.settles(&owner, state.others, &mut happenings).map_err(|fault| (happenings, fault))
    }

    /// Lets everybody tell everybody everything until nothing moves: all hold what the owner does then.
    fn settles(
        &mut self,
        owner: &Owner,
        others: [ReplicaId; MOST_OTHERS],
        happenings: &mut Vec<Happening>,
    ) -> Result<(), Fault> {
        let fault = |what: &str| Err(Fault { promise: Promise::Settles, what: what.to_owned() });
        let mut others = others[..self.bounds.others].to_vec();
        let mut moved = true;
        while moved {
            moved = false;
            // The owner comes last: what can be had from others is had from them.
            for from in self.others().chain([Place::Owner]) {
                for to in (0..others.len()).filter(|to| from != Place::Other(*to)) {
                    let teller = match from {
                        Place::Owner => owner.replica,
                        Place::Other(other) => others[other],
                    };
                    let Some((delta, heard)) = self.real.meet(teller, others[to]) else { continue };
                    happenings.push(Happening::Tells { from, to, delta, heard });
                    self.judge(owner, others[to], heard).map_or(Ok(()), Err)?;
                    check_replica(owner, &self.real.view(heard.then))?;
                    if heard.outcome == Outcome::Gap {
                        return fault("one is told what is of no use to it");
                    }
                    moved |= heard.then != others[to];
                    others[to] = heard.then;
                }
            }
        }
        let own = self.real.expire(owner.replica).then;
        let equal = others.iter().all(|id| self.real.expire(*id).then == own);
        if equal { Ok(()) } else { fault("all told each other everything, and they differ") }
    }

    /// What is wrong with what a replica of this owner heard.
    fn judge(&self, owner: &Owner, hearer: ReplicaId, heard: Heard) -> Option<Fault> {
        let (old, new) = (self.real.view(hearer), self.real.view(heard.then));
        let of_owner = || check_step(owner, &old, &new, self.bounds.may_hide).err();
        heard.broken.map(Fault::of_code).or_else(of_owner)
    }

    fn others(&self) -> impl Iterator<Item = Place> + use<> {
        (0..self.bounds.others).map(Place::Other)
    }

    /// `state` with what makes no difference left out.
    fn in_order(&mut self, mut state: State) -> State {
        let mut lives = 0_u8;
        for id in state.others {
            lives |= 1 << self.real.view(id).generation;
        }
        for id in state.delayed.into_iter().filter(|id| *id != DeltaId(0)) {
            lives |= 1 << self.real.delta(id).generation.0;
        }
        state.owner = self.remembering(state.owner, lives);
        state.others[..self.bounds.others].sort_unstable();
        state.delayed.sort_unstable();
        state
    }

    /// The owner with the memory of these lives alone, and of the present one.
    fn remembering(&mut self, owner: OwnerId, lives: u8) -> OwnerId {
        if let Some(&known) = self.remembered.get(&(owner, lives)) {
            return known;
        }
        let rest = self.owner(owner).forget_all_but(|generation| lives >> generation & 1 == 1);
        let rest = self.keep(rest);
        self.remembered.insert((owner, lives), rest);
        rest
    }

    fn deeds_of(&mut self, owner: OwnerId) -> Rc<[(Deed, OwnerId)]> {
        if let Some(known) = self.deeds.get(&owner) {
            return Rc::clone(known);
        }
        let deeds = self.owners[owner.0 as usize].deeds(&mut self.real, self.bounds);
        let deeds: Rc<[_]> = deeds.into_iter().map(|(deed, next)| (deed, self.keep(next))).collect();
        self.deeds.insert(owner, Rc::clone(&deeds));
        deeds
    }

    fn keep(&mut self, owner: Owner) -> OwnerId {
        let next = OwnerId(number(self.owners.len()));
        let id = *self.by_owner.entry(owner).or_insert(next);
        if id == next {
            self.owners.push(owner);
        }
        id
    }

    fn owner(&self, id: OwnerId) -> &Owner {
        &self.owners[id.0 as usize]
    }

    fn replica_at(&self, state: State, place: Place) -> ReplicaId {
        match place {
            Place::Owner => self.owner(state.owner).replica,
            Place::Other(other) => state.others[other],
        }
    }

    /// The states from the start to the one at `place`.
    fn way_to(&self, place: usize) -> Vec<usize> {
        let mut way = vec![place];
        while let Some(&last) = way.last().filter(|last| **last != 0) {
            way.push(self.parents[last] as usize);
        }
        way.reverse();
        way
    }

    /// Tells how it came to the state at `place`, and what happened there.
    fn broken(&mut self, place: usize, last: Vec<Happening>, Fault { promise, what }: Fault) -> Broken {
        let mut names = ["x", "y", "z"];
        let mut story = Vec::new();
        let mut steps = Vec::new();
        for pair in self.way_to(place).windows(2) {
            self.steps_from(self.states[pair[0]], &mut steps);
            let goal = self.states[pair[1]];
            let step = steps.drain(..).find(|step| self.in_order(step.next) == goal);
            let Step { happening, next, .. } = step.expect("there is a step to each state");
            story.push(happening.tell(&self.real, names));
            // Whoever holds what is told first goes first: names follow.
            let mut places = [0, 1, 2];
            places[..self.bounds.others].sort_by_key(|place| next.others[*place]);
            names = places.map(|place| names[place]);
        }
        story.extend(last.iter().map(|last| last.tell(&self.real, names)));
        Broken { promise, what, story }
    }

    fn count(&mut self, state: State, step: &Step) {
        self.tally.steps += 1;
        let (delta, to, heard, is_late) = match step.happening {
            Happening::Deed(deed) => return self.tally.count_deed(deed),
            Happening::Tells { delta, to, heard, .. } => (delta, to, heard, false),
            Happening::Arrives { delta, to, heard } => (delta, to, heard, true),
            Happening::Expires { .. } => return self.tally.expiries += 1,
            Happening::Sends { .. } | Happening::Lost { .. } | Happening::Forgets { .. } => return,
        };
        let (old, new) = (self.real.view(state.others[to]), self.real.view(heard.then));
        self.tally.count_delta(self.real.delta(delta), is_late, heard.outcome, old, new);
    }
}

impl State {
    fn with(mut self, other: usize, replica: ReplicaId) -> Self {
        self.others[other] = replica;
        self
    }

    /// Whether another delta can be on its way, of `most`.
    fn has_room(&self, most: usize) -> bool {
        self.delayed.iter().filter(|delta| **delta != DeltaId(0)).count() < most
    }

    /// With `new` on its way in the place of `old`.
    fn replaced(mut self, old: DeltaId, new: DeltaId) -> Self {
        let place = self.delayed.iter().position(|delta| *delta == old).expect("it is on its way");
        self.delayed[place] = new;
        self
    }
}
