//! What nodes hold of others, and what they tell of it: S1, S2, S4, S7, S8, S11.

use std::time::Duration;

use tidings_core::{
    Body, Event, EventKind, Generation, Gossiper, Head, Key, Message, Moment, NodeId, Replica, Span, Value,
    Version,
};

use super::ghost::Life;
use super::picture::Picture;
use super::{Checker, Promise};
use crate::node::Place;

/// What a node was seen to hold and to say of another one, or of itself.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// How far its copy had come.
    at: (Generation, Version),
    /// What its events say of it.
    pub picture: Picture,
    /// Where the other one was when it was convicted, and whether it was heard of since, by its own word or an answer.
    pub convicted_at: Option<Head>,
    pub was_heard: bool,
    /// When it was convicted of late.
    pub convictions: Vec<Moment>,
    /// The life in which it departed.
    pub departed: Option<Generation>,
    /// Where it was when it was forgotten, when that was, and until when it is remembered.
    pub forgotten: Option<(Head, Moment, Moment)>,
}

impl Seen {
    /// It was forgotten: nothing is shown of it any more.
    pub(super) fn forgotten(&self, head: Head, now: Moment, until: Moment) -> Self {
        Self { departed: self.departed, forgotten: Some((head, now, until)), ..Self::default() }
    }
}

impl Checker {
    /// A node is about to be told `message`.
    pub(crate) fn hears(&mut self, now: Moment, place: Place, message: &Message) {
        self.hears_of_itself(now, place, message);
        let answered = match &message.body {
            Body::Syn(syn) => syn.evidence.as_slice(),
            Body::Ack(ack) => &ack.evidence,
            Body::Push(push) => &push.evidence,
            Body::Rumor(rumor) => &rumor.evidence,
            Body::Report(evidence) | Body::Help(evidence) => std::slice::from_ref(evidence),
            Body::Ack2(_) | Body::Fetch(_) | Body::FetchPieces(_) | Body::Piece(_) => &[],
            Body::Who(_) | Body::Namesake(_) | Body::Refusal(_) | Body::Ask(_) => &[],
        };
        let deltas = match &message.body {
            Body::Ack(ack) => ack.deltas.as_slice(),
            Body::Ack2(news) => &news.deltas,
            Body::Push(push) => &push.deltas,
            Body::Rumor(rumor) => &rumor.deltas,
            Body::Syn(_) | Body::Report(_) | Body::Help(_) | Body::Fetch(_) | Body::FetchPieces(_) => &[],
            Body::Piece(_) | Body::Who(_) | Body::Namesake(_) | Body::Refusal(_) | Body::Ask(_) => &[],
        };
        for delta in deltas {
            self.count_if("cuts", delta.through < delta.max);
            self.count_if("resets", delta.span == Span::Reset);
        }
        let view = self.view(place);
        let answered = answered.iter().filter(|evidence| evidence.accusers.is_empty());
        for id in answered.map(|evidence| evidence.head.id).chain([message.sender.id]) {
            if let Some(seen) = view.seen.get_mut(&id).filter(|seen| seen.convicted_at.is_some()) {
                seen.was_heard = true;
            }
        }
        view.touched.extend(deltas.iter().map(|delta| delta.owner));
        if let Body::Piece(piece) = &message.body {
            view.touched.push(piece.line.id);
        }
        view.own_touched |= deltas.iter().any(|delta| Some(delta.owner) == view.me);
    }

    fn count_if(&mut self, what: &'static str, happened: bool) {
        if happened {
            self.count(what);
        }
    }

    /// A node holds something of `id`, and may hold more than before.
    pub(super) fn look_at_copy(&mut self, now: Moment, place: Place, core: &Gossiper, id: NodeId) {
        let Some(replica) = core.replica(id) else { return };
        let at = (replica.generation(), replica.max_version());
        let me = self.view(place).me;
        let cluster = me.and_then(|me| self.ghost(me)).map(|ghost| &ghost.cluster);
        let ghost = self.ghost(id).filter(|ghost| Some(&ghost.cluster) == cluster);
        let found = match ghost.map(|ghost| ghost.lives.get(&at.0)) {
            None => Some((Promise::S8, "is of no node of this cluster".to_owned())),
            Some(None) => Some((Promise::S1, format!("is of generation {}, which never was", at.0))),
            Some(Some(life)) => against(life, now, replica, me == Some(id)),
        };
        if let Some((promise, what)) = found {
            let name = self.name(id);
            self.break_promise(promise, now, place, format_args!("what it holds of {name} {what}"));
        }
        let most = 2 * core.config().max_bytes;
        if replica.bytes() > most {
            let what = format_args!("holds {} bytes of one node: {most} are allowed", replica.bytes());
            self.break_promise(Promise::B1, now, place, what);
        }
        self.arrived(place, id, at.1);
        let seen = self.view(place).seen.entry(id).or_default();
        let before = std::mem::replace(&mut seen.at, at);
        let untrue = seen.picture.differs(replica);
        let (said, held) = (seen.picture.standing, core.standing(id));
        let is_mine = me == Some(id);
        if at < before && !is_mine {
            let (name, (g, v)) = (self.name(id), before);
            let what = format_args!("what it holds of {name} falls from {g}/{v} to {}/{}", at.0, at.1);
            self.break_promise(Promise::S2, now, place, what);
        }
        if said != held && !is_mine {
            let name = self.name(id);
            let what = format_args!("its events say that {name} is {said:?}, and it takes it for {held:?}");
            self.break_promise(Promise::S11, now, place, what);
        }
        if let Some(what) = untrue {
            let name = self.name(id);
            let what = format_args!("its events of {name} do not lead to what it holds: {what}");
            self.break_promise(Promise::S11, now, place, what);
        }
    }

    /// S4: in the calm, what is over for its owner is over for all. Whoever was paused may have heard of it late, and so may
    /// those that heard of it there.
    pub(super) fn look_for_the_undying(&mut self, now: Moment, place: Place, core: &Gossiper, id: NodeId) {
        let late = 60 * self.view(place).interval + Duration::from_secs(20);
        let Some(replica) = core.replica(id) else { return };
        let Some(life) = self.ghost(id).and_then(|ghost| ghost.lives.get(&replica.generation())) else {
            return;
        };
        let has_departed = replica.entry("tidings/departed").is_some();
        let undying = visible(replica).find(|&(key, version, _)| {
            life.over_for(now, version, key) > late || has_departed && life.is_ephemeral(version, key)
        });
        if let Some((key, version, _)) = undying {
            let (key, name) = (key.clone(), self.name(id));
            let what = format_args!("shows {key} of {name}, whose life as version {version} is over");
            self.break_promise(Promise::S4, now, place, what);
        }
    }

    /// A node told that a key changed.
    pub(super) fn says_change(&mut self, now: Moment, place: Place, id: NodeId, event: &Event) {
        let (key, version, value) = match &event.kind {
            EventKind::Set { key, value, version } => (key, *version, Some(value)),
            EventKind::Deleted { key, version } => (key, *version, None),
            EventKind::Joined | EventKind::Live | EventKind::Unreachable { .. } | EventKind::Departed => {
                return;
            }
            EventKind::Restarted | EventKind::StreamFailed { .. } | EventKind::Forgotten { .. } => return,
        };
        let generation = event.generation;
        let shown = &mut self.view(place).seen.entry(id).or_default().picture.shown;
        let before = match value {
            Some(value) => shown.insert(key.clone(), (generation, version, value.clone())),
            None => shown.remove(key),
        };
        // A node may fall back to a lower generation of its own that others believe (G3).
        let is_mine = self.view(place).me == Some(id);
        let falls = before.as_ref().is_some_and(|(g, v, _)| {
            if *g == generation { *v > version } else { *g > generation && !is_mine }
        });
        let vain = before.is_none() && value.is_none();
        // What ends by itself is told as the version that it was.
        let again =
            value.is_some() && before.as_ref().is_some_and(|(g, v, _)| (*g, *v) == (generation, version));
        // Its own deletes it tells before they show.
        let deleted = value.is_some()
            || is_mine
            || self.ghost(id).is_none_or(|ghost| {
                let life = ghost.lives.get(&generation);
                let is_new_life = before.as_ref().is_some_and(|(g, ..)| *g < generation);
                life.is_none_or(|life| was_deleted(life, now, key, version, is_new_life))
            });
        let name = self.name(id);
        if falls {
            let before = before.map(|(g, v, _)| (g, v));
            let what = format_args!("tells of {key} of {name} as version {version}, after {before:?}");
            self.break_promise(Promise::S2, now, place, what);
        } else if again {
            let what = format_args!("tells twice of {key} of {name} as version {version}");
            self.break_promise(Promise::S11, now, place, what);
        } else if vain {
            let what = format_args!("tells that {key} of {name} goes, and never told that it was there");
            self.break_promise(Promise::S11, now, place, what);
        } else if !deleted {
            let what = format_args!("loses {key} of {name}, which was not deleted");
            self.break_promise(Promise::S7, now, place, what);
        }
    }

    /// What a node shows of itself from the start, it tells nobody.
    pub(super) fn knows_itself(&mut self, place: Place, replica: &Replica) {
        let Some(me) = self.view(place).me else { return };
        let seen = self.view(place).seen.entry(me).or_default();
        seen.at = (replica.generation(), replica.max_version());
        seen.picture = Picture::of_own(replica);
    }
}

/// Whether, in that life, a delete of `key` is known by `version`, or an end of its life, or it was not there at all. A new life begins with what a
/// delta tells of it: a key that was written again since may be missing until the rest has come.
fn was_deleted(life: &Life, now: Moment, key: &Key, version: Version, is_new_life: bool) -> bool {
    let of_key = life.written.iter().filter(|((v, k), _)| k == key && *v <= version);
    let is_gone =
        |((v, k), value): (&(Version, Key), &Option<Value>)| value.is_none() || life.may_be_over(now, *v, k);
    let mut of_key = of_key.map(is_gone).peekable();
    // A tombstone of an earlier life may not even be on its way: the new one begins without.
    let is_on_its_way = is_new_life && life.written.keys().any(|(v, k)| k == key && *v > version);
    of_key.peek().is_none() || of_key.any(|is_gone| is_gone) || is_on_its_way
}

/// The keys that users see.
pub(super) fn visible(replica: &Replica) -> impl Iterator<Item = (&Key, Version, &Value)> {
    let entries = replica.entries().filter(|(key, _)| !key.as_str().starts_with(Key::RESERVED));
    entries.filter_map(|(key, entry)| Some((key, entry.version, entry.value.as_ref()?)))
}

/// Holds a copy against the life that it is of.
fn against(life: &Life, now: Moment, replica: &Replica, is_own: bool) -> Option<(Promise, String)> {
    let max = replica.max_version();
    if max > life.max {
        return Some((Promise::S1, format!("is at version {max}, and the owner at {}", life.max)));
    }
    for (key, entry) in replica.entries() {
        // One after the other, so that what looks like several failures is called by the first.
        match life.written.get(&(entry.version, key.clone())) {
            Some(written) if life.is_left(now, key, entry, written) => {}
            Some(_) => {
                return Some((Promise::S3, format!("shows another write of {key} as {}", entry.version)));
            }
            None => {
                return Some((Promise::S1, format!("has {key} as version {}, never written", entry.version)));
            }
        }
    }
    if is_own {
        return None;
    }
    for (key, (version, value)) in &life.newest {
        if *version > max {
            continue;
        }
        let entry = replica.entry(key.as_str());
        let is_collected = entry.is_none() && life.may_be_collected(now, key, replica.gc_version());
        let is_exact = entry.is_some_and(|entry| entry.version == *version);
        if is_exact || is_collected {
            continue;
        }
        let is_shown = entry.is_some_and(|entry| entry.value.is_some());
        if value.is_none() && is_shown {
            return Some((Promise::S4, format!("shows {key}, deleted as version {version}, at {max}")));
        }
        // A tombstone that is not there does no harm by itself, but it was to be there.
        return Some((Promise::S7, format!("is at version {max} without {key} of version {version}")));
    }
    None
}
