//! What happened: a word that two runs can be compared by, and the story for the eye.

use std::fmt::{self, Write};

use tidings_core::Moment;

use crate::node::Place;

/// What happened in a run.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    /// All of it in a word.
    hash: u64,
    /// A line for each happening, if anybody wants it.
    pub(crate) text: Option<String>,
}

impl Trace {
    /// All that happened, in a word: equal for two runs, they were the same.
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// Something that happened often: numbers say what it was, and `line` tells it to people.
    pub(crate) fn note<const N: usize>(
        &mut self,
        now: Moment,
        place: Place,
        what: [u64; N],
        line: fmt::Arguments<'_>,
    ) {
        self.fold(now.as_micros().cast_unsigned());
        self.fold(place.0 as u64);
        what.into_iter().for_each(|word| self.fold(word));
        self.tell(now, place, line);
    }

    /// Something that happens rarely: its line says all.
    pub(crate) fn line(&mut self, now: Moment, place: Place, line: fmt::Arguments<'_>) {
        self.fold(now.as_micros().cast_unsigned());
        self.fold(place.0 as u64);
        let mut fold = Fold(self);
        fold.write_fmt(line).expect("nothing is written anywhere");
        self.tell(now, place, line);
    }

    fn tell(&mut self, now: Moment, place: Place, line: fmt::Arguments<'_>) {
        if let Some(text) = &mut self.text {
            writeln!(text, "{:>12} {:>4} {line}", now.as_micros(), place.0).expect("a string takes all");
        }
    }

    /// An odd multiplier spreads every bit upwards, the rotation brings it down again.
    fn fold(&mut self, word: u64) {
        self.hash = (self.hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
}

/// Folds what is written into a trace.
struct Fold<'a>(&'a mut Trace);

impl Write for Fold<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for chunk in part.as_bytes().chunks(8) {
            let word = chunk.iter().fold(chunk.len() as u64, |word, &byte| word << 8 | u64::from(byte));
            self.0.fold(word);
        }
        Ok(())
    }
}
