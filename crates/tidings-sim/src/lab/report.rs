//! The report: one page that needs nothing else, in light and in dark.

use std::fmt::Write as _;

use crate::lab::row::Findings;

/// The findings as an HTML page that refers to nothing outside of it.
#[must_use]
pub fn report(findings: &[Findings], seed: u64) -> String {
    let mut page = String::from(HEAD);
    let rows: usize = findings.iter().map(|findings| findings.rows.len()).sum();
    let failures: usize = findings.iter().map(Findings::failures).sum();
    let _ = writeln!(
        page,
        "<p>Measured beside expected: {rows} rows, {failures} of them not ok. Seed {seed}, tidings {}.</p>",
        env!("CARGO_PKG_VERSION")
    );
    for findings in findings {
        section(&mut page, findings);
    }
    page.push_str("</main></body></html>\n");
    page
}

fn section(page: &mut String, findings: &Findings) {
    let text = findings.experiment.text();
    let _ = writeln!(page, "<section><h2>{}</h2><p>{}</p>", findings.experiment, prose(text.what));
    let _ = writeln!(page, "<p><b>Expected</b>: {}</p>", prose(text.source));
    for figure in &findings.figures {
        let _ = writeln!(page, "<figure>{}</figure>", figure.svg());
    }
    page.push_str("<div class=\"wide\"><table><thead><tr>");
    for column in findings.columns() {
        let _ = write!(page, "<th>{column}</th>");
    }
    page.push_str("</tr></thead><tbody>\n");
    for (row, line) in findings.rows.iter().zip(findings.lines()) {
        let class = match (row.is_judged(), row.ok()) {
            (false, _) => "told",
            (true, true) => "ok",
            (true, false) => "bad",
        };
        let _ = write!(page, "<tr class=\"{class}\">");
        for word in line {
            let _ = write!(page, "<td>{}</td>", escape(&word));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div>\n");
    for note in text.notes {
        let _ = writeln!(page, "<p>{}</p>", prose(note));
    }
    page.push_str("</section>\n");
}

/// Text with what stands between backticks as code.
fn prose(text: &str) -> String {
    let parts = escape(text);
    let part = |(place, part): (usize, &str)| {
        if place % 2 == 0 { part.to_owned() } else { format!("<code>{part}</code>") }
    };
    parts.split('`').enumerate().map(part).collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Up to the first words.
const HEAD: &str = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>tidings sim lab</title>
<style>
:root { color-scheme: light dark; --ink: #1c2330; --paper: #fff; --line: #d4d9e2; --ok: #1a7f45; --bad: #c02b2b; --soft: #667080; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #dde3ec; --paper: #14181f; --line: #333b48; --ok: #4cc583; --bad: #ff7b72; --soft: #98a3b3; }
}
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1rem; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
figure { margin: 1rem 0; }
figure svg { max-width: 100%; height: auto; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.875rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.15rem 0.75rem 0.15rem 0; text-align: left; white-space: nowrap; border-bottom: 1px solid var(--line); }
td:last-child { font-weight: 600; }
.ok td:last-child { color: var(--ok); }
.bad td:last-child { color: var(--bad); }
.told td:last-child { color: var(--soft); font-weight: normal; }
</style></head><body><main>
<h1>The theory lab</h1>
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::experiment::Experiment;
    use crate::lab::figure::{Axis, Figure, Marks, Series};
    use crate::lab::row::Row;

    #[test]
    fn the_page_refers_to_nothing_outside() {
        let row =
            |measured| Row::new(Experiment::Heal, vec![("mode", "<pull>".into())], measured).near(5.0, 0.1);
        let series = vec![Series::new("a", 0, Marks::Points, vec![(1.0, 2.0)])];
        let figure =
            Figure { title: "A title".to_owned(), x: Axis::linear("x"), y: Axis::linear("y"), series };
        let rows = vec![row(5.0), row(9.0)];
        let page = report(&[Findings { experiment: Experiment::Heal, rows, figures: vec![figure] }], 7);
        for outside in ["src=", "href", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(page.contains("2 rows, 1 of them not ok. Seed 7"), "{page}");
        assert!(page.contains("<td>&lt;pull&gt;</td>") && page.contains("A title"), "{page}");
        assert!(page.contains("<tr class=\"bad\">") && page.contains("prefers-color-scheme: dark"));
    }
}
