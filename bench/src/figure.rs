//! The picture: how soon a crash is seen, and how often the living are convicted for that.

use std::collections::BTreeMap;

use serde_json::Value;
use tidings_sim::lab::{Axis, Figure, Marks, Series};

use crate::row::Row;
use crate::work::Work;

/// What the picture is called, in the folder beside the page.
pub(crate) const NAME: &str = "false-convictions.svg";

/// What it shows, in words.
pub(crate) const ABOUT: &str = "False convictions beside the time in which the median observer sees a crash, each without loss \
     and with a quarter lost, with two seconds of patience for all and with each one's default. What is too seldom to be seen is \
     drawn as one in the hours that were watched.";

/// Draws it, if both works that it is of were done at their full size.
pub(crate) fn of(done: &[(Work, Vec<Row>)]) -> Option<Figure> {
    let rows: Vec<_> = done.iter().flat_map(|(_, rows)| rows).collect();
    let mut points: BTreeMap<(String, String), Vec<(f64, f64)>> = BTreeMap::new();
    for crash in rows.iter().filter(|row| row.work == "crash/median" && row.is("nodes", 128)) {
        let same = |row: &&&Row| {
            let alike = |name| row.params.get(name) == crash.params.get(name);
            row.work == "false-convictions"
                && row.is("stalls", false)
                && alike("loss")
                && alike("patience")
                && row.peer == crash.peer
        };
        let (Some(wrong), Some(peer)) = (rows.iter().find(same), &crash.peer) else { continue };
        let patience = crash.params.get("patience").and_then(Value::as_str).unwrap_or_default();
        let both = [
            ("tidings", crash.ours, wrong.ours, "our node-hours"),
            (peer.as_str(), crash.theirs, wrong.theirs, "their node-hours"),
        ];
        for (who, seen, rate, hours) in both {
            let hours = wrong.params.get(hours).and_then(Value::as_f64);
            let (Some(seen), Some(rate), Some(hours)) = (seen, rate, hours) else { continue };
            let point = (seen, rate.max(1.0 / hours));
            let all = points.entry((who.to_owned(), patience.to_owned())).or_default();
            // Ours stands beside each peer, and is one.
            if !all.contains(&point) {
                all.push(point);
            }
        }
    }
    let mut series = Vec::new();
    for (colour, ((who, patience), points)) in points.into_iter().enumerate() {
        series.push(Series::new(format!("{who}, patience {patience}"), colour, Marks::Points, points));
    }
    let figure = Figure {
        title: "False convictions and the time to see a crash".to_owned(),
        x: Axis::linear("seconds until the median observer sees a crash"),
        y: Axis::log("false convictions per node-hour"),
        series,
    };
    (!figure.series.is_empty()).then_some(figure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Better;
    use crate::work;

    #[test]
    fn each_has_a_point_where_both_were_measured() {
        let row = |work, ours, theirs| {
            let row =
                Row::new(work, "s", Better::Less, Some(ours)).with("loss", 0.25).with("patience", "2 s");
            row.beside("peer 1".to_owned(), Some(theirs), 1.0)
        };
        let crash = row("crash/median", 2.5, 4.0).with("nodes", 128);
        let wrong = row("false-convictions", 0.0, 7.0).with("stalls", false);
        let wrong = wrong.with("our node-hours", 50.0).with("their node-hours", 10.0);
        let work = work::ALL[0];
        let figure = of(&[(work, vec![crash.clone(), wrong])]).expect("something to draw");
        let drawn: Vec<_> =
            figure.series.iter().map(|series| (series.name.as_str(), &series.points[..])).collect();
        let peer = ("peer 1, patience 2 s", &[(4.0, 7.0)][..]);
        assert_eq!(drawn, [peer, ("tidings, patience 2 s", &[(2.5, 0.02)][..])]);
        assert!(of(&[(work, vec![crash])]).is_none());
    }
}
