//! One line of a result: what was measured, and what was expected.

use std::fmt;

use crate::lab::experiment::Experiment;
use crate::lab::figure::Figure;

/// What an experiment found.
#[derive(Debug, Clone)]
pub struct Findings {
    /// Which experiment.
    pub experiment: Experiment,
    /// Measured beside expected.
    pub rows: Vec<Row>,
    /// Pictures of it.
    pub figures: Vec<Figure>,
}

/// What was measured once, beside what was expected.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The experiment it belongs to.
    pub experiment: Experiment,
    /// What was set, by name.
    pub params: Vec<(&'static str, Param)>,
    /// What was measured.
    pub measured: f64,
    /// What was expected; `None` if nobody knows.
    pub expected: Option<f64>,
    /// The least that is accepted; `None` if nothing is too little.
    pub low: Option<f64>,
    /// The most that is accepted; `None` if nothing is too much.
    pub high: Option<f64>,
}

/// A setting of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Param {
    /// A word.
    Word(String),
    /// A whole number.
    Whole(u64),
    /// A share, or another number with a fraction.
    Real(f64),
}

impl Row {
    /// A row that is not judged yet.
    #[must_use]
    pub fn new(experiment: Experiment, params: Vec<(&'static str, Param)>, measured: f64) -> Self {
        Self { experiment, params, measured, expected: None, low: None, high: None }
    }

    /// The same, with another word set.
    #[must_use]
    pub fn with(mut self, name: &'static str, word: &str) -> Self {
        self.params.push((name, word.into()));
        self
    }

    /// The same, with what was expected. That alone judges nothing.
    #[must_use]
    pub fn expect(self, expected: f64) -> Self {
        Self { expected: Some(expected), ..self }
    }

    /// The same, accepted from `low` to `high`.
    #[must_use]
    pub fn within(self, low: f64, high: f64) -> Self {
        Self { low: Some(low), high: Some(high), ..self }
    }

    /// The same, accepted up to `margin` from what is expected.
    #[must_use]
    pub fn give_or_take(self, expected: f64, margin: f64) -> Self {
        self.expect(expected).within(expected - margin, expected + margin)
    }

    /// The same, accepted up to a `share` of what is expected from it.
    #[must_use]
    pub fn near(self, expected: f64, share: f64) -> Self {
        self.give_or_take(expected, expected * share)
    }

    /// The same, accepted up to `high`.
    #[must_use]
    pub fn at_most(self, high: f64) -> Self {
        Self { high: Some(high), ..self }
    }

    /// The same, accepted from `low` on.
    #[must_use]
    pub fn at_least(self, low: f64) -> Self {
        Self { low: Some(low), ..self }
    }

    /// Whether what was measured is within what is accepted. What nobody judges is.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.low.is_none_or(|low| low <= self.measured) && self.high.is_none_or(|high| self.measured <= high)
    }

    /// Whether anything could be wrong with it.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        self.low.is_some() || self.high.is_some()
    }

    /// The setting `name`.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&Param> {
        self.params.iter().find(|(other, _)| *other == name).map(|(_, param)| param)
    }

    /// Whether the setting `name` is the word `word`.
    #[must_use]
    pub fn is(&self, name: &str, word: &str) -> bool {
        matches!(self.param(name), Some(Param::Word(other)) if other == word)
    }

    /// The setting `name` as a number; zero if it is none.
    #[must_use]
    pub fn number(&self, name: &str) -> f64 {
        match self.param(name) {
            Some(Param::Whole(number)) => *number as f64,
            Some(Param::Real(number)) => *number,
            Some(Param::Word(_)) | None => 0.0,
        }
    }

    /// What is accepted, for people; empty if nothing is judged.
    #[must_use]
    pub fn band(&self) -> String {
        match (self.low, self.high) {
            (None, None) => String::new(),
            (Some(low), None) => format!("≥ {}", figure(low)),
            (None, Some(high)) => format!("≤ {}", figure(high)),
            (Some(low), Some(high)) => format!("{} – {}", figure(low), figure(high)),
        }
    }

    /// A word for how it went.
    #[must_use]
    pub fn mark(&self) -> &'static str {
        match (self.is_judged(), self.ok()) {
            (false, _) => "not judged",
            (true, true) => "ok",
            (true, false) => "NOT OK",
        }
    }
}

impl Findings {
    /// How many rows are not ok.
    #[must_use]
    pub fn failures(&self) -> usize {
        self.rows.iter().filter(|row| !row.ok()).count()
    }

    /// The names of all settings, in the order in which they appear but the metric last, and what goes beside them.
    #[must_use]
    pub fn columns(&self) -> Vec<&'static str> {
        let mut columns = Vec::new();
        for (name, _) in self.rows.iter().flat_map(|row| &row.params) {
            if !columns.contains(name) {
                columns.push(*name);
            }
        }
        columns.sort_by_key(|name| *name == "metric");
        columns.extend(["measured", "expected", "accepted", ""]);
        columns
    }

    /// Each row as words, in the order of the columns.
    #[must_use]
    pub fn lines(&self) -> Vec<Vec<String>> {
        let columns = self.columns();
        let settings = &columns[..columns.len() - 4];
        let line = |row: &Row| {
            let setting = |name: &&str| row.param(name).map_or(String::new(), Param::to_string);
            let mut line: Vec<String> = settings.iter().map(setting).collect();
            line.push(figure(row.measured));
            line.push(row.expected.map_or(String::new(), figure));
            line.extend([row.band(), row.mark().to_owned()]);
            line
        };
        self.rows.iter().map(line).collect()
    }
}

impl fmt::Display for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => f.write_str(word),
            Self::Whole(number) => number.fmt(f),
            Self::Real(number) => number.fmt(f),
        }
    }
}

impl From<&str> for Param {
    fn from(word: &str) -> Self {
        Self::Word(word.to_owned())
    }
}

impl From<usize> for Param {
    fn from(number: usize) -> Self {
        Self::Whole(number as u64)
    }
}

impl From<f64> for Param {
    fn from(number: f64) -> Self {
        Self::Real(number)
    }
}

/// A number for people: three figures that count, or two decimals if it has more before the point.
#[must_use]
pub(crate) fn figure(number: f64) -> String {
    let size = number.abs();
    if size == 0.0 {
        "0".to_owned()
    } else if size < 0.001 {
        format!("{number:.2e}")
    } else if size < 0.1 {
        format!("{number:.4}")
    } else if size < 1.0 {
        format!("{number:.3}")
    } else if size < 1_000.0 {
        format!("{number:.2}")
    } else {
        format!("{number:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(measured: f64) -> Row {
        Row::new(Experiment::Spread, vec![("nodes", 100.into()), ("mode", "push".into())], measured)
    }

    #[test]
    fn a_row_is_ok_within_its_band_alone() {
        assert!(row(5.0).ok() && !row(5.0).is_judged());
        assert!(row(5.2).give_or_take(5.0, 0.25).ok());
        assert!(!row(5.3).give_or_take(5.0, 0.25).ok());
        assert!(row(-9.0).at_most(5.0).ok() && !row(5.1).at_most(5.0).ok());
        assert!(row(5.1).at_least(5.0).ok() && !row(4.9).at_least(5.0).ok());
        assert!(!row(f64::NAN).near(5.0, 0.1).ok(), "what is no number is not ok");
    }

    #[test]
    fn people_see_each_row_as_words() {
        let other = Row::new(Experiment::Spread, vec![("k", 2.into())], 0.000_004);
        let rows = vec![row(5.2).give_or_take(5.0, 0.25), other, row(7.0).give_or_take(5.0, 0.25)];
        let findings = Findings { experiment: Experiment::Spread, rows, figures: Vec::new() };
        assert_eq!(findings.columns(), ["nodes", "mode", "k", "measured", "expected", "accepted", ""]);
        assert_eq!(findings.lines()[0], ["100", "push", "", "5.20", "5.00", "4.75 – 5.25", "ok"]);
        assert_eq!(findings.lines()[1], ["", "", "2", "4.00e-6", "", "", "not judged"]);
        assert_eq!(findings.lines()[2][6], "NOT OK");
        assert_eq!(findings.failures(), 1);
    }
}
