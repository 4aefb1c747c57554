//! What goes to stdout: tables for people, JSON for programs.

use std::io::{self, IsTerminal as _, Write as _};

use clap::ValueEnum;
use comfy_table::{CellAlignment, Table, presets};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::body::State;
use crate::failure::{Exit, Failure};

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// One JSON document: the body of the HTTP route
    Json,
    /// One JSON document a line: each element, where the answer is an array
    Jsonl,
}

/// Which way a column leans: words to the left, numbers to the right.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Column {
    /// Words.
    Left(&'static str),
    /// Numbers.
    Right(&'static str),
}

/// Prints a line, at once.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    bytes(format!("{text}\n").as_bytes())
}

/// Prints bytes as they are, at once.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()?;
    Ok(())
}

/// Prints an agent's answer that is one object.
pub(crate) fn one<T: DeserializeOwned>(
    format: Format,
    body: &str,
    table: impl FnOnce(T) -> Result<String, Failure>,
) -> Result<(), Failure> {
    match format {
        Format::Table => line(&table(understand(body)?)?),
        Format::Json | Format::Jsonl => line(body),
    }
}

/// Prints an agent's answer that is an array.
pub(crate) fn list<T: DeserializeOwned>(
    format: Format,
    body: &str,
    table: impl FnOnce(Vec<T>) -> Result<String, Failure>,
) -> Result<(), Failure> {
    match format {
        Format::Table => line(&table(understand(body)?)?),
        Format::Json => line(body),
        Format::Jsonl => {
            understand::<Vec<&RawValue>>(body)?.into_iter().try_for_each(|element| line(element.get()))
        }
    }
}

/// Reads an agent's answer.
pub(crate) fn understand<'a, T: serde::Deserialize<'a>>(body: &'a str) -> Result<T, Failure> {
    serde_json::from_str(body).map_err(|error| {
        Failure::new(
            Exit::Refused,
            format!("the agent's answer is not understood: {error}"),
            "check that --api is a tidings agent, and that it has the version of this command",
        )
    })
}

/// Lays out a table: a header, no borders, two spaces between columns.
pub(crate) fn table(columns: &[Column], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(columns.iter().map(|column| match column {
        Column::Left(title) | Column::Right(title) => *title,
    }));
    table.add_rows(rows);
    for (column, layout) in columns.iter().zip(table.column_iter_mut()) {
        layout.set_padding((0, 2));
        layout.set_cell_alignment(match column {
            Column::Left(_) => CellAlignment::Left,
            Column::Right(_) => CellAlignment::Right,
        });
    }
    table.trim_fmt()
}

/// Colours the state that a line of a table begins with, if `colours`.
pub(crate) fn paint(line: &str, colours: bool) -> String {
    if !colours {
        return line.to_owned();
    }
    let painted =
        [(State::Live, 32), (State::Unreachable, 31), (State::Departed, 90), (State::Forgotten, 90)];
    for (state, colour) in painted {
        let word = state.as_str();
        if let Some(rest) = line.strip_prefix(word).filter(|rest| rest.starts_with(' ')) {
            return format!("\u{1b}[{colour}m{word}\u{1b}[0m{rest}");
        }
    }
    line.to_owned()
}

/// Whether stdout takes colours: it is a terminal, and `NO_COLOR` does not forbid them.
pub(crate) fn colours() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty())
}

/// `text` with what could command a terminal, or turn its lines around, made visible.
pub(crate) fn visible(text: &str) -> String {
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || turns(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// `number` of `noun`, in the plural where it takes one.
pub(crate) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn tables_have_a_header_and_no_borders() {
        let columns = [Column::Left("STATE"), Column::Left("NAME"), Column::Right("KEYS")];
        let rows = [["live", "api-1", "7"], ["unreachable", "a", "1200"]];
        let table = table(&columns, rows.map(|row| row.map(str::to_owned).to_vec()));
        expect![[r#"
            STATE        NAME   KEYS
            live         api-1     7
            unreachable  a      1200"#]]
        .assert_eq(&table);
    }

    #[test]
    fn only_the_state_at_the_beginning_is_coloured() {
        assert_eq!(paint("live  live-1", true), "\u{1b}[32mlive\u{1b}[0m  live-1");
        assert_eq!(paint("lively  x", true), "lively  x");
        assert_eq!(paint("live  live-1", false), "live  live-1");
    }

    #[test]
    fn values_cannot_command_the_terminal() {
        assert_eq!(visible("é\u{1b}[31m\n\u{202e}"), "é\\u{1b}[31m\\n\\u{202e}");
    }
}
