//! What a user knows of a node who was told its state once, and from then on what events tell, and nothing else: S11.

use std::collections::BTreeMap;

use tidings_core::{
    Event, EventKind, Generation, Gossiper, Key, Moment, NodeState, Replica, Standing, Value, Version,
};

use super::copies::visible;
use super::{Checker, Promise};
use crate::node::{Place, SimNode};

/// A node, as events paint it.
#[derive(Debug, Default)]
pub(super) struct Picture {
    /// The life that it is in; `None` as long as nothing was told of it.
    pub life: Option<Generation>,
    pub standing: Option<Standing>,
    /// What its keys show, and since which write of which life.
    pub shown: BTreeMap<Key, (Generation, Version, Value)>,
}

impl Picture {
    /// What a node knows of itself from the start.
    pub(super) fn of_own(replica: &Replica) -> Self {
        let generation = replica.generation();
        let of_key = |(key, version, value): (&Key, Version, &Value)| {
            (key.clone(), (generation, version, value.clone()))
        };
        let shown = visible(replica).map(of_key).collect();
        Self { life: Some(generation), standing: Some(Standing::Live), shown }
    }

    /// Takes in what `event` says of the node's life. Returns what is wrong with that: a life begins once, after the one before,
    /// and whatever else is told is of the life that was told last. A node may fall back to a lower generation of its own
    /// (G3).
    pub(super) fn live_on(&mut self, event: &Event, is_mine: bool) -> Option<String> {
        let (told, now) = (self.life, event.generation);
        match &event.kind {
            EventKind::Joined => {
                self.life = Some(now);
                told.map(|_| "joins twice".to_owned())
            }
            EventKind::Restarted => {
                self.life = Some(now);
                let follows = told.is_some_and(|told| told < now || is_mine && told != now);
                (!follows).then(|| format!("begins life {now} after {told:?}"))
            }
            EventKind::Live | EventKind::Unreachable { .. } | EventKind::Departed => {
                (told != Some(now)).then(|| format!("is told of in life {now}, and was in {told:?}"))
            }
            EventKind::Set { .. } | EventKind::Deleted { .. } => {
                (told != Some(now)).then(|| format!("changes in life {now}, and was in {told:?}"))
            }
            EventKind::Forgotten { .. } => {
                told.is_none().then(|| "is forgotten, and was not known".to_owned())
            }
            EventKind::StreamFailed { .. } => None,
        }
    }

    /// What differs from what `replica` has, if anything does.
    pub(super) fn differs(&self, replica: &Replica) -> Option<String> {
        if self.life != Some(replica.generation()) {
            return Some(format!("its life: {:?}, and it holds {}", self.life, replica.generation()));
        }
        let mut told = self.shown.iter();
        for (key, version, value) in visible(replica) {
            match told.next() {
                Some((k, (_, v, shown))) if (k, *v, shown) == (key, version, value) => {}
                Some((k, _)) if k < key => return Some(k.to_string()),
                Some(_) | None => return Some(key.to_string()),
            }
        }
        told.next().map(|(key, _)| key.to_string())
    }

    /// Whether it is what the core shows its user.
    fn is_of(&self, state: &NodeState) -> bool {
        let (life, standing) = (state.member.generation, state.member.standing);
        let keys = state.entries.iter().map(|(key, shown)| (key, shown.version, &shown.value));
        let told = self.shown.iter().map(|(key, (_, version, value))| (key, *version, value));
        (self.life, self.standing) == (Some(life), Some(standing)) && keys.eq(told)
    }
}

impl Checker {
    /// S11: whoever was told a state once and then the events has what a look at all would show.
    pub(crate) fn look_at_picture(&mut self, now: Moment, place: Place, node: &SimNode, core: &Gossiper) {
        let snapshot = core.snapshot(node.moment(now));
        let view = self.view(place);
        let known = view.seen.values().filter(|seen| seen.picture.life.is_some()).count();
        let is_told = |state: &NodeState| {
            let seen = view.seen.get(&state.member.name.id());
            seen.is_some_and(|seen| seen.picture.is_of(state))
        };
        let untold =
            snapshot.nodes.iter().find(|state| !is_told(state)).map(|state| state.member.name.clone());
        if let Some(name) = untold {
            let what = format_args!("its events of {name} do not lead to what it shows");
            self.break_promise(Promise::S11, now, place, what);
        } else if known != snapshot.nodes.len() {
            let shows = snapshot.nodes.len();
            let what = format_args!("its events tell of {known} nodes, and it shows {shows}");
            self.break_promise(Promise::S11, now, place, what);
        }
    }
}
