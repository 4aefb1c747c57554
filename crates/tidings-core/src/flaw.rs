//! Faults put into the protocol on purpose: a checker that finds nothing says something only if it finds these.
//!
//! Which one is there is said at run time, for a thread. Without the feature there are none, and no trace of them.

#[cfg(feature = "planted")]
macro_rules! flaw {
    ($flaw:ident) => {
        $crate::flaw::is_planted($crate::flaw::Flaw::$flaw)
    };
}

#[cfg(not(feature = "planted"))]
macro_rules! flaw {
    ($flaw:ident) => {
        false
    };
}

#[cfg(feature = "planted")]
pub(crate) use planted::is_planted;
#[cfg(feature = "planted")]
pub use planted::{Flaw, plant};

#[cfg(feature = "planted")]
mod planted {
    use std::cell::Cell;

    thread_local! {
        static PLANTED: Cell<Option<Flaw>> = const { Cell::new(None) };
    }

    /// A fault in the protocol, named by what it breaks.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Flaw {
        /// S1: a relay stamps all that it passes on with the version that it tells up to.
        Relabelled,
        /// S1: who holds a key that a reset lacks, makes a tombstone of it.
        Forged,
        /// S2: a delta is taken also if it ends below what is known.
        Backwards,
        /// S2: a reset replaces also what has come too far to need it.
        LateReset,
        /// S3: an owner gives two of its writes the same version.
        VersionReused,
        /// S4: a tombstone is not passed on.
        DeleteUntold,
        /// S4: who is below an owner's `gc_version` is told of it, and takes it, like anybody.
        StaleTaken,
        /// S4: a delta does not say up to where tombstones were dropped.
        GcUntold,
        /// S4: all tombstones are dropped once one may be.
        DroppedEarly,
        /// S4: a value is told without its deadline.
        Undying,
        /// S4: what was to end with the life of an owner that departed stays.
        Outlived,
        /// S5: whoever departed is live again with any sign of life.
        Returned,
        /// S5: whoever was forgotten comes back with any introduction.
        Haunted,
        /// S5: a certificate does not cover what was known of the node that it is of.
        Shortsighted,
        /// S6: an owner takes what others say of its own state.
        Overwritten,
        /// S6: the heart beats twice in a round.
        HeartRaces,
        /// S6: the heart falls back now and then.
        HeartFalls,
        /// S6: a life begins that nobody's claim called for.
        Unclaimed,
        /// S6: an owner grants all that a node asks again whenever it looks at it.
        WatermarkForgotten,
        /// S6: an owner says in one write that it makes a change, and makes it in the next.
        AnsweredApart,
        /// S7: a delta is taken also if what it builds upon is missing.
        GapSkipped,
        /// S7: a reset is cut like any delta.
        ResetCut,
        /// S7: a delta is made for a version of another life, and taken.
        LivesMixed,
        /// S7: a delta is cut inside a version.
        VersionSplit,
        /// S7: whoever hears of a value takes off half of the life that it has left.
        Curtailed,
        /// S8: a message of another cluster is read like any.
        AnyCluster,
        /// S9: a generation is told before it is on disk, and is the saved one.
        GenerationReused,
        /// S9: what is ephemeral is saved like anything.
        EphemeralSaved,
        /// S10: an unexpected end of an exchange is fatal.
        Fatal,
        /// S11: a change that a reset brings is not told.
        ChangeUntold,
        /// S11: a conviction is not told.
        ConvictionUntold,
        /// S11: another life of a node is not told.
        RestartUntold,
        /// S11: what a reset tells is told, whether it is shown already or not.
        ToldAgain,
        /// S11: the answer to a request tells the version before the one of the change.
        Misreported,
        /// L1: one owner in four is never passed on by others.
        Withheld,
        /// L1: a sketch is not kept up to date, and no windows come after it.
        Unsketched,
        /// L2: whoever knows somebody never turns to a seed.
        SeedsForgotten,
        /// L3: whoever was convicted stays so.
        Unforgiven,
        /// L4: an owner of whom little is to be told waits until nobody else changes.
        SmallWaits,
        /// L5: what speaks against a node is kept after it answered.
        Unforgotten,
        /// F1: one node in three is never convicted.
        Unconvicted,
        /// F2: one unanswered attempt is as good as all.
        Hasty,
        /// F2: whoever is believed to run is forgotten for a word of others.
        Silenced,
        /// F3: a node that slept does not notice.
        SleepUnnoticed,
        /// F4: a lone accuser is enough, at once, whoever else gets an answer.
        LoneAccuser,
        /// F5: a relayed head that is known is a sign of life.
        OldHeadsCount,
        /// B1: changes of an owner are put down anew each time.
        RecentUnbounded,
        /// B1: an owner writes as much as it likes.
        BytesUncounted,
        /// B1: everybody is remembered.
        NodesUncounted,
        /// B2: datagrams are filled beyond their size.
        Oversized,
        /// B3: a suspect is tried without end, as often at last as at first.
        Obstinate,
        /// B3: rumors are told whatever they cost.
        Spendthrift,
        /// B5: exchanges are never forgotten.
        ExchangesKept,
    }

    /// Puts `flaw` into all that this thread does from now on, and takes out what was there.
    pub fn plant(flaw: Option<Flaw>) {
        PLANTED.set(flaw);
    }

    /// Whether `flaw` is there.
    #[must_use]
    pub(crate) fn is_planted(flaw: Flaw) -> bool {
        PLANTED.get() == Some(flaw)
    }
}
