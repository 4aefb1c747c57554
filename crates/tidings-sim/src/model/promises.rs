//! What must hold in every state, and over every step, given what the owner really wrote.

use super::Promise;
use super::owner::{KEYS, Life, Owner};
use super::real::{Held, View};

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub promise: Promise,
    pub what: String,
}

impl Fault {
    /// What the real code did wrong in a step, whatever the owner wrote.
    pub(super) fn of_code(promise: Promise) -> Self {
        let what = match promise {
            Promise::NoPanic => "the code panics",
            Promise::Growth => "something fell, or moved when nothing was taken",
            Promise::Told => "other changes are told than those that were made",
            Promise::NoInvention
            | Promise::OneMeaning
            | Promise::NoResurrection
            | Promise::Kept
            | Promise::OnlyDeleted
            | Promise::Together
            | Promise::Settles => "the code is wrong",
        };
        fault(promise, format!("in the last step, {what}"))
    }
}

fn fault(promise: Promise, what: String) -> Fault {
    Fault { promise, what }
}

/// Holds one replica against what `owner` wrote.
pub(super) fn check_replica(owner: &Owner, view: &View) -> Result<(), Fault> {
    if *view == View::default() {
        return Ok(());
    }
    let Some(life) = owner.life(view.generation) else {
        return Err(fault(Promise::NoInvention, format!("there was no life {}", view.generation)));
    };
    for (place, name) in KEYS.iter().enumerate() {
        was_written(life, place, view)
            .map_err(|what| fault(Promise::NoInvention, format!("{name} is {what}")))?;
    }
    is_together(life, view)?;
    for (place, name) in KEYS.iter().enumerate() {
        is_newest(life, place, view).map_err(|(promise, what)| fault(promise, format!("{name} {what}")))?;
    }
    Ok(())
}

fn was_written(life: &Life, place: usize, view: &View) -> Result<(), &'static str> {
    let held = view.keys[place];
    match held {
        Held::Nothing => Ok(()),
        Held::Tombstone(version) if life.keys[place].was_deleted_at(version) => Ok(()),
        Held::Tombstone(version) if life.keys[place].is_mortal_at(version) => Ok(()),
        Held::Tombstone(_) => Err("a tombstone of a delete that never was"),
        Held::Write(version, mark) => {
            let is_true = mark.era == life.era
                && mark.version == version
                && usize::from(mark.key) == place
                && mark.is_mortal == life.keys[place].is_mortal_at(version)
                && version <= life.max;
            if is_true { Ok(()) } else { Err("a write that never was") }
        }
    }
}

fn is_newest(life: &Life, place: usize, view: &View) -> Result<(), (Promise, &'static str)> {
    let (held, written) = (view.keys[place], life.keys[place]);
    if held.version().is_some_and(|version| version > view.max) {
        return Err((Promise::Kept, "is of a version that is not known yet"));
    }
    if written.newest == 0 || written.newest > view.max {
        return Ok(());
    }
    if written.was_deleted_at(written.newest) {
        let shown = held.shown().is_some();
        return if shown { Err((Promise::NoResurrection, "is shown, and was deleted")) } else { Ok(()) };
    }
    let is_over = written.is_mortal_at(written.newest)
        && match held {
            Held::Nothing => written.newest <= view.gc,
            Held::Tombstone(version) => version == written.newest,
            Held::Write(..) => false,
        };
    let is_kept = held.shown() == Some(written.newest) || is_over;
    if is_kept { Ok(()) } else { Err((Promise::Kept, "is not its newest write, which is known")) }
}

/// If one of two keys shows what was written with the other, that one shows it too, or was written again.
fn is_together(life: &Life, view: &View) -> Result<(), Fault> {
    for (place, held) in view.keys.iter().enumerate() {
        let Some(version) = held.version().filter(|version| life.wrote_together(*version)) else { continue };
        let (written, other) = (life.keys[1 - place], view.keys[1 - place]);
        let may_go = written.was_deleted_at(version) || written.is_mortal_at(version);
        let is_gone = may_go && other == Held::Nothing;
        if written.newest == version && other.version() != Some(version) && !is_gone {
            let what = format!("{} is there of {version}, {} is not", KEYS[place], KEYS[1 - place]);
            return Err(fault(Promise::Together, what));
        }
    }
    Ok(())
}

/// Holds two replicas against each other.
pub(super) fn check_pair(one: &View, other: &View) -> Result<(), Fault> {
    if one.generation != other.generation {
        return Ok(());
    }
    for (place, name) in KEYS.iter().enumerate() {
        let (one, other) = (one.keys[place], other.keys[place]);
        let is_mortal = |held: Held| matches!(held, Held::Write(_, mark) if mark.is_mortal);
        let has_expired =
            one.shown().is_none() && is_mortal(other) || other.shown().is_none() && is_mortal(one);
        if one.version().is_some() && one.version() == other.version() && one != other && !has_expired {
            let what = format!("{name} is two things at the same version");
            return Err(fault(Promise::OneMeaning, what));
        }
    }
    Ok(())
}

/// Holds a step of one replica against what `owner` wrote. If it `may_hide` keys, those written again can go.
pub(super) fn check_step(owner: &Owner, old: &View, new: &View, may_hide: bool) -> Result<(), Fault> {
    let Some(life) = owner.life(old.generation).filter(|_| old.generation == new.generation) else {
        return Ok(());
    };
    for (place, name) in KEYS.iter().enumerate() {
        let (Some(before), now) = (old.keys[place].shown(), new.keys[place].shown()) else { continue };
        let is_hidden = may_hide && life.keys[place].newest > new.max;
        if now.is_none() && !is_hidden && !life.keys[place].may_be_gone(before, new.max) {
            let what = format!("{name} was shown, and went without a delete");
            return Err(fault(Promise::OnlyDeleted, what));
        }
    }
    Ok(())
}
