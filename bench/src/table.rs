//! The table for people, and as a page of the documentation.

use std::fmt::Write;

use comfy_table::{CellAlignment, Table, presets};

use crate::figure;
use crate::row::Row;
use crate::work::{self, Work};

const HEADINGS: [&str; 9] = ["work", "with", "peer", "theirs", "ours", "unit", "ratio", "goal", "reached"];

/// The table for a terminal.
pub(crate) fn for_people(done: &[(Work, Vec<Row>)]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(HEADINGS);
    let mut notes = Notes::default();
    for row in done.iter().flat_map(|(_, rows)| rows) {
        table.add_row(cells(row, &mut notes));
    }
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if [3, 4, 6, 7].contains(&at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{}\n\n{LEGEND}\n{}", table.trim_fmt(), notes.text())
}

/// The page of the documentation, with the picture where it belongs, if there is one.
pub(crate) fn page(done: &[(Work, Vec<Row>)], picture: Option<&str>) -> String {
    let mut page = HEAD.to_owned();
    let mut notes = Notes::default();
    for (work, rows) in done {
        let _ = write!(page, "\n## {}\n\n{}\n\n| {} |\n", work.name, work.about, HEADINGS.join(" | "));
        let _ = writeln!(page, "|{}", "---|".repeat(HEADINGS.len()));
        for row in rows {
            let _ = writeln!(page, "| {} |", cells(row, &mut notes).join(" | "));
        }
        if !work.losses.is_empty() {
            let _ = write!(page, "\n{}\n", work.losses);
        }
        if let Some(picture) = picture.filter(|_| work.name == work::CONVICTIONS.name) {
            let _ = write!(page, "\n{picture}\n\n{}\n", figure::ABOUT);
        }
    }
    let _ = write!(page, "\n## Notes\n\n{}", notes.list());
    page
}

const LEGEND: &str =
    "A ratio above 1 says that we lose, whichever way is better. (..) the peer does less: see docs/bench.md.";

const HEAD: &str = "# Beside the peers

What Tidings and its peers cost at the same work, in the same run. This page is generated: `cargo run --release \
--manifest-path bench/Cargo.toml -- --docs` writes it anew. Figures of processor time are those of one machine: trust the \
ratios.

A ratio above 1 says that we lose, whichever way is better: it is ours over theirs where less is better, and theirs over \
ours where more is. A ratio in brackets is of a peer that does less at this work; what it does not do is said above each \
table. Where a peer has no figure it cannot do the work, or the note says why there is none.
";

fn cells(row: &Row, notes: &mut Notes) -> Vec<String> {
    let ratio = row.ratio.map_or_else(|| "-".to_owned(), number);
    let note = row.note.as_deref().map(|note| format!(" [{}]", notes.number(note))).unwrap_or_default();
    vec![
        row.work.clone(),
        row.params(),
        row.peer.clone().unwrap_or_else(|| "-".to_owned()),
        row.theirs.map_or_else(|| format!("-{note}"), |theirs| number(theirs) + &note),
        row.ours.map_or_else(|| "-".to_owned(), number),
        row.unit.to_owned(),
        if row.comparable || row.ratio.is_none() { ratio } else { format!("({ratio})") },
        row.goal.map_or_else(String::new, number),
        match row.is_reached() {
            Some(true) => "yes".to_owned(),
            Some(false) => "no".to_owned(),
            None => String::new(),
        },
    ]
}

/// A figure with three digits that count, and commas.
fn number(figure: f64) -> String {
    let size = figure.abs();
    if size >= 1_000.0 {
        return with_commas(&format!("{figure:.0}"));
    }
    let digits = match size {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        0.0 => 0,
        _ => 4,
    };
    format!("{figure:.digits$}")
}

fn with_commas(digits: &str) -> String {
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What is said below a table, once.
#[derive(Debug, Default)]
struct Notes(Vec<String>);

impl Notes {
    fn number(&mut self, note: &str) -> usize {
        if let Some(at) = self.0.iter().position(|other| other == note) {
            return at + 1;
        }
        self.0.push(note.to_owned());
        self.0.len()
    }

    fn text(&self) -> String {
        self.0.iter().enumerate().map(|(at, note)| format!("[{}] {note}\n", at + 1)).collect()
    }

    fn list(&self) -> String {
        self.0.iter().enumerate().map(|(at, note)| format!("{}. {note}\n", at + 1)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        let of = |figure| number(figure);
        assert_eq!(
            [of(0.0), of(0.01234), of(1.2345), of(12.345), of(123.45)],
            ["0", "0.0123", "1.23", "12.3", "123"]
        );
        assert_eq!([of(1_234.5), of(1_234_567.0)], ["1,234", "1,234,567"]);
    }

    #[test]
    fn a_note_is_said_once() {
        let mut notes = Notes::default();
        assert_eq!([notes.number("a"), notes.number("b"), notes.number("a")], [1, 2, 1]);
        assert_eq!(notes.text(), "[1] a\n[2] b\n");
    }
}
