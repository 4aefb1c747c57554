//! What a node holds as a few sums over its lines: two nodes' sums, one taken off the other, tell on which lines they
//! differ, in about as many sums as there are such lines, however many the two have in common.
//!
//! A rateless invertible Bloom lookup table (Yang, Gilad and Alizadeh 2024, arXiv 2402.02668): sum n is over a share of
//! 1 / (1 + n/2) of all lines. Where the difference of two sums is a single line, that line is known, and is taken off all
//! sums that it is in, which lays the next one bare.
//!
//! The sums are kept as lines change, so they are the same for whoever asks, and no secret goes into them. Whoever makes up
//! lines that clash makes a sketch useless, and windows take its place; what comes out of one is a hint, as any line is.

use crate::message::{Cell, Line};
use crate::name::NodeId;
use crate::summary::Summary;
use crate::version::{Generation, Version};

/// The first sums over all lines of a node.
#[derive(Debug)]
pub(crate) struct Sketch(Vec<Cell>);

/// On which lines two nodes differ, as far as their sketches tell.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    /// What the other one holds, and this one does not hold so.
    pub theirs: Vec<Line>,
    /// What this one holds, and the other one does not hold so.
    pub ours: Vec<Line>,
    /// Whether that is all.
    pub is_whole: bool,
}

impl Sketch {
    /// The most cells that are worth while: for more of a difference, a stream is better.
    pub(crate) const MOST: usize = 512;

    /// So many cells over nothing.
    pub(crate) fn new(cells: usize) -> Self {
        Self(vec![Cell::default(); cells.min(Self::MOST)])
    }

    /// The cells, the densest first.
    pub(crate) fn cells(&self) -> &[Cell] {
        &self.0
    }

    /// Says that a line is held from now on.
    pub(crate) fn add(&mut self, line: &Line, summand: Summary) {
        for place in Places::of(summand, self.0.len()) {
            self.0[place].add(line, summand);
        }
    }

    /// Says that a line is no longer held.
    pub(crate) fn remove(&mut self, line: &Line, summand: Summary) {
        for place in Places::of(summand, self.0.len()) {
            self.0[place].remove(line, summand);
        }
    }

    /// What makes `theirs` differ from this sketch, as far as both go. Whatever the cells are, the work is bound by their
    /// number.
    pub(crate) fn difference(&self, theirs: &[Cell]) -> Difference {
        let pairs = theirs.iter().zip(&self.0);
        let mut cells: Vec<Cell> = pairs.map(|(theirs, ours)| theirs.minus(ours)).collect();
        let mut difference = Difference::default();
        let mut places: Vec<usize> = (0..cells.len()).rev().collect();
        // So many lines at the most can be told by so many cells: beyond that, they were made up.
        let mut left = cells.len();
        while let Some(place) = places.pop() {
            let Some((line, summand, is_theirs)) = cells[place].only() else { continue };
            let Some(one_less) = left.checked_sub(1) else { break };
            left = one_less;
            for place in Places::of(summand, cells.len()) {
                if is_theirs {
                    cells[place].remove(&line, summand);
                } else {
                    cells[place].add(&line, summand);
                }
                places.push(place);
            }
            if is_theirs { &mut difference.theirs } else { &mut difference.ours }.push(line);
        }
        difference.is_whole = !cells.is_empty() && cells.iter().all(|cell| *cell == Cell::default());
        difference
    }
}

impl Cell {
    fn add(&mut self, line: &Line, summand: Summary) {
        self.mix(line);
        self.check = self.check.wrapping_add(check(summand));
    }

    fn remove(&mut self, line: &Line, summand: Summary) {
        self.mix(line);
        self.check = self.check.wrapping_sub(check(summand));
    }

    fn mix(&mut self, line: &Line) {
        self.id ^= line.id.0;
        self.generation ^= line.generation.0;
        self.max ^= line.max.0;
    }

    fn minus(&self, other: &Self) -> Self {
        Self {
            id: self.id ^ other.id,
            generation: self.generation ^ other.generation,
            max: self.max ^ other.max,
            check: self.check.wrapping_sub(other.check),
        }
    }

    /// The line that this is, if it is just one, its summand, and whether it was added rather than taken off.
    fn only(&self) -> Option<(Line, Summary, bool)> {
        if *self == Self::default() {
            return None;
        }
        let line =
            Line { id: NodeId(self.id), generation: Generation(self.generation), max: Version(self.max) };
        let summand = Summary::of_line(&line)?;
        let is_added = self.check == check(summand);
        let is_taken_off = self.check == check(summand).wrapping_neg();
        (is_added || is_taken_off).then_some((line, summand, is_added))
    }
}

/// Half of a line's hash is enough to know that it is one.
#[allow(clippy::cast_possible_truncation)] // That is what is wanted.
fn check(summand: Summary) -> u32 {
    summand.0 as u32
}

/// In which cells a line is: in the first, and then ever more rarely. The square root is exact by the standard of floating
/// point, so that the same places come out everywhere.
struct Places {
    random: u64,
    next: usize,
    end: usize,
}

impl Places {
    fn of(summand: Summary, end: usize) -> Self {
        Self { random: summand.0, next: 0, end }
    }
}

impl Iterator for Places {
    type Item = usize;

    #[allow(clippy::cast_precision_loss, clippy::cast_sign_loss, clippy::cast_possible_truncation)]
    // A step is above zero, and one beyond all cells may be any.
    fn next(&mut self) -> Option<usize> {
        const MULTIPLIER: u64 = 0xda94_2042_e4dd_58b5;
        const SCALE: f64 = 4_294_967_296.0;
        let place = (self.next < self.end).then_some(self.next)?;
        self.random = self.random.wrapping_mul(MULTIPLIER);
        let step = (place as f64 + 1.5) * (SCALE / (self.random as f64 + 1.0).sqrt() - 1.0);
        self.next = place.saturating_add((step.ceil() as usize).max(1));
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use crate::wire::size;

    const LIFE: u64 = 1_790_000_000_000;

    fn line(rng: &mut Rng) -> Line {
        Line { id: NodeId(rng.word()), generation: Generation(LIFE), max: Version(1 + rng.word() % 1_000) }
    }

    fn summand(line: &Line) -> Summary {
        Summary::of_line(line).unwrap()
    }

    fn of(cells: usize, lines: &[Line]) -> Sketch {
        let mut sketch = Sketch::new(cells);
        lines.iter().for_each(|line| sketch.add(line, summand(line)));
        sketch
    }

    /// How many cells it takes until a difference of so many lines is told in whole.
    fn cells_for(lines: usize, rng: &mut Rng) -> usize {
        let lines: Vec<Line> = (0..lines).map(|_| line(rng)).collect();
        let (ours, theirs) = lines.split_at(lines.len() / 2);
        let (ours, theirs) = (of(Sketch::MOST, ours), of(Sketch::MOST, theirs));
        let tells = |cells: &usize| ours.difference(&theirs.cells()[..*cells]).is_whole;
        (1..=Sketch::MOST).find(tells).expect("so many tell of any such difference")
    }

    #[test]
    fn what_two_nodes_have_in_common_costs_nothing() {
        let mut rng = Rng::new(1);
        let mut lines: Vec<Line> = (0..3_000).map(|_| line(&mut rng)).collect();
        let ours = of(64, &lines);
        assert!(ours.difference(ours.cells()).is_whole);
        let old = lines.split_off(2_990);
        let new = old.iter().map(|line| Line { max: Version(line.max.0 + 1), ..*line });
        lines.extend(new.clone());
        let Difference { mut theirs, ours, is_whole } = ours.difference(of(64, &lines).cells());
        assert!(is_whole);
        theirs.sort_by_key(|line| line.id);
        let mut expected: Vec<Line> = new.collect();
        expected.sort_by_key(|line| line.id);
        assert_eq!((theirs, ours.len()), (expected, 10));
    }

    /// D6: the share of lines in each cell is as in the paper, and so is what a difference costs.
    #[test]
    fn d6_a_difference_takes_as_many_cells_as_the_paper_says() {
        for (lines, runs, expected) in [(1, 100, 1.0), (4, 4_000, 1.78), (64, 200, 1.49)] {
            let mut rng = Rng::new(6);
            let cells: usize = (0..runs).map(|_| cells_for(lines, &mut rng)).sum();
            #[allow(clippy::cast_precision_loss)] // Small counts.
            let overhead = cells as f64 / (runs * lines) as f64;
            assert!((overhead / expected - 1.0).abs() < 0.03, "{lines} lines: {overhead}");
        }
    }

    /// D5: what a hundred changed owners of a million take, in three messages: a sketch, a line or a delta's head for each
    /// owner, and the same back.
    #[test]
    fn d5_a_hundred_changed_owners_among_a_million_take_fifteen_kilobytes() {
        let mut rng = Rng::new(5);
        let mut ours = Sketch::new(Sketch::MOST);
        // What both have goes, whatever its hash is.
        (0..1_000_000).for_each(|_| ours.add(&line(&mut rng), Summary(rng.word())));
        let mut theirs = Sketch(ours.0.clone());
        for _ in 0..100 {
            let old = line(&mut rng);
            let new = Line { max: Version(old.max.0 + 1), ..old };
            ours.add(&old, summand(&old));
            theirs.add(&new, summand(&new));
        }
        let tells = |cells: &usize| ours.difference(&theirs.cells()[..*cells]).is_whole;
        let cells = (200..=Sketch::MOST).find(tells).expect("so many tell");
        let of_sketch: usize = theirs.cells()[..cells].iter().map(size::cell).sum();
        let of_lines = 100 * 2 * size::LONGEST_LINE;
        let bytes = of_sketch + of_lines + 3 * size::GREETING;
        assert!(bytes <= 15_000, "{bytes}: {cells} cells of {of_sketch} bytes");
    }

    #[test]
    fn what_is_taken_off_leaves_no_trace() {
        let mut rng = Rng::new(2);
        let lines: Vec<Line> = (0..50).map(|_| line(&mut rng)).collect();
        let mut sketch = of(64, &lines);
        lines.iter().rev().for_each(|line| sketch.remove(line, summand(line)));
        assert!(sketch.cells().iter().all(|cell| *cell == Cell::default()));
    }

    /// Cells that nobody can have made of lines end the search, and tell no more than they are many.
    #[test]
    fn made_up_cells_tell_little_and_end() {
        let mut rng = Rng::new(3);
        let ours = of(64, &[line(&mut rng)]);
        for _ in 0..200 {
            // A line of its own in each cell, as if it were in no other one: each is told, and none is ever gone.
            let cell = |rng: &mut Rng| of(1, &[line(rng)]).cells()[0];
            let cells: Vec<Cell> = (0..64).map(|_| cell(&mut rng)).collect();
            let difference = ours.difference(&cells);
            assert!(difference.theirs.len() + difference.ours.len() <= 64);
            assert!(!difference.is_whole);
        }
    }
}
