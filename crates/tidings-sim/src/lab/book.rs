//! The book of results: the findings as a chapter of Markdown.

use std::fmt::Write as _;

use crate::lab::row::Findings;

/// The findings as Markdown. It shows the pictures `name-1.svg`, `name-2.svg` and so on of each experiment, in the folder
/// `pictures`.
#[must_use]
pub fn book(findings: &[Findings], seed: u64, pictures: &str) -> String {
    let rows: usize = findings.iter().map(|findings| findings.rows.len()).sum();
    let judged = findings.iter().flat_map(|findings| &findings.rows).filter(|row| row.is_judged()).count();
    let failures: usize = findings.iter().map(Findings::failures).sum();
    let mut book = format!(
        "# The book of results\n\n\
         What the theory lab measures, beside what was expected. This page is generated: `tidings sim lab all --docs \
         docs/lab.md` writes it anew, from seed {seed}, with the same numbers on every machine.\n\n\
         {rows} rows; {judged} are judged, and {failures} of these are not ok. What has no accepted range is told and \
         not judged, as there is nothing independent to hold it to; the notes below each table say why.\n"
    );
    for findings in findings {
        section(&mut book, findings, pictures);
    }
    book
}

fn section(book: &mut String, findings: &Findings, pictures: &str) {
    let text = findings.experiment.text();
    let _ = writeln!(book, "\n## {}\n\n{}\n\nExpected: {}", findings.experiment, text.what, text.source);
    for (number, figure) in findings.figures.iter().enumerate() {
        let name = picture(findings, number);
        let _ = writeln!(book, "\n![{}]({pictures}/{name})", figure.title);
    }
    let columns = findings.columns();
    let _ = writeln!(book, "\n| {} |\n|{}", columns.join(" | "), "---|".repeat(columns.len()));
    for line in findings.lines() {
        let _ = writeln!(book, "| {} |", line.join(" | "));
    }
    for note in text.notes {
        let _ = writeln!(book, "\n{note}");
    }
}

/// The file that picture `number` of the findings is in, counted from zero.
pub(crate) fn picture(findings: &Findings, number: usize) -> String {
    format!("{}-{}.svg", findings.experiment, number + 1)
}

impl Findings {
    /// The pictures, by the name of the file that each belongs in.
    #[must_use]
    pub fn pictures(&self) -> Vec<(String, String)> {
        let figures = self.figures.iter().enumerate();
        figures.map(|(number, figure)| (picture(self, number), figure.svg())).collect()
    }
}
