//! A line of the table: one measure of one work, a peer's figure beside ours.

use serde::Serialize;
use serde_json::{Map, Value};

/// A line of the table.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    /// The work, and what of it was measured.
    pub(crate) work: String,
    /// What the work was done with.
    pub(crate) params: Map<String, Value>,
    /// The peer with its version; none where ours stands alone.
    pub(crate) peer: Option<String>,
    /// The peer's figure; none where it cannot do the work.
    pub(crate) theirs: Option<f64>,
    /// Our figure.
    pub(crate) ours: Option<f64>,
    /// Above 1 we lose, whichever way is better.
    pub(crate) ratio: Option<f64>,
    /// What the figures count.
    pub(crate) unit: &'static str,
    /// Which way is better.
    pub(crate) better: Better,
    /// What we want to reach.
    pub(crate) goal: Option<f64>,
    /// Whether the peer does as much as we do.
    pub(crate) comparable: bool,
    /// Why a figure is missing, or not to be compared.
    #[serde(skip)]
    pub(crate) note: Option<String>,
}

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    /// Less is.
    Less,
    /// More is.
    More,
}

impl Row {
    /// Our figure for a measure of a work, without a peer beside it.
    pub(crate) fn new(work: &str, unit: &'static str, better: Better, ours: Option<f64>) -> Self {
        Self {
            work: work.to_owned(),
            params: Map::new(),
            peer: None,
            theirs: None,
            ours: ours.map(rounded),
            ratio: None,
            unit,
            better,
            goal: None,
            comparable: true,
            note: None,
        }
    }

    /// With such a parameter.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.params.insert(name.to_owned(), value.into());
        self
    }

    /// Whether it has such a parameter.
    pub(crate) fn is(&self, name: &str, value: impl Into<Value>) -> bool {
        self.params.get(name) == Some(&value.into())
    }

    /// Beside a peer's figure. `least` is the least that can be told apart from nothing: two figures below it are equal.
    pub(crate) fn beside(mut self, peer: String, theirs: Option<f64>, least: f64) -> Self {
        self.peer = Some(peer);
        self.theirs = theirs.map(rounded);
        self.ratio = self.theirs.zip(self.ours).map(|(theirs, ours)| {
            let (theirs, ours) = (theirs.max(least), ours.max(least));
            rounded(match self.better {
                Better::Less => ours / theirs,
                Better::More => theirs / ours,
            })
        });
        self
    }

    /// With the figure that we want to reach.
    pub(crate) fn goal(mut self, goal: Option<f64>) -> Self {
        self.goal = goal;
        self
    }

    /// The peer does less than we do here.
    pub(crate) fn less_work(mut self) -> Self {
        self.comparable = false;
        self
    }

    /// Says why a figure is missing or how it came about.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// Whether we reach what we want; `None` where there is no goal, or no figure.
    pub(crate) fn is_reached(&self) -> Option<bool> {
        let (ours, goal) = (self.ours?, self.goal?);
        Some(match self.better {
            Better::Less => ours <= goal,
            Better::More => ours >= goal,
        })
    }

    /// The parameters on one line.
    pub(crate) fn params(&self) -> String {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let words: Vec<_> =
            self.params.iter().map(|(name, value)| format!("{name} {}", text(value))).collect();
        words.join(", ")
    }
}

/// Four digits: more than any of these measurements has.
fn rounded(figure: f64) -> f64 {
    if figure == 0.0 || !figure.is_finite() {
        return figure;
    }
    format!("{figure:.3e}").parse().unwrap_or(figure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(better: Better, ours: f64, theirs: f64) -> Row {
        Row::new("w", "s", better, Some(ours)).beside("peer 1".to_owned(), Some(theirs), 0.5)
    }

    #[test]
    fn above_one_we_lose_whichever_way_is_better() {
        assert_eq!(row(Better::Less, 4.0, 2.0).ratio, Some(2.0));
        assert_eq!(row(Better::More, 4.0, 2.0).ratio, Some(0.5));
    }

    #[test]
    fn what_cannot_be_told_from_nothing_is_equal() {
        assert_eq!(row(Better::Less, 0.0, 0.0).ratio, Some(1.0));
        assert_eq!(row(Better::Less, 1.0, 0.0).ratio, Some(2.0));
    }

    #[test]
    fn a_peer_that_cannot_has_no_ratio() {
        let row = Row::new("w", "s", Better::Less, Some(1.0)).beside("peer 1".to_owned(), None, 0.0);
        assert_eq!((row.theirs, row.ratio), (None, None));
    }

    #[test]
    fn a_goal_is_held_the_way_that_is_better() {
        assert_eq!(row(Better::Less, 4.0, 2.0).goal(Some(4.0)).is_reached(), Some(true));
        assert_eq!(row(Better::More, 3.0, 2.0).goal(Some(4.0)).is_reached(), Some(false));
        assert_eq!(row(Better::More, 3.0, 2.0).is_reached(), None);
    }
}
