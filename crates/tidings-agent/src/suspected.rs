//! What speaks against a node: the parts of phi, as JSON and as a table.

use serde::{Deserialize, Serialize};
use tidings::Suspected;

use crate::body::{StateBody, thousandths};
use crate::output::{self, Column, count, visible};

/// What phi is made of, and what it is held against.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SuspectedBody {
    /// The larger of the two parts.
    pub(crate) phi: f64,
    /// What the silence says.
    pub(crate) silence: f64,
    /// What the failed attempts say.
    pub(crate) attempts: f64,
    /// From which phi on the node is convicted, now.
    pub(crate) threshold: f64,
    pub(crate) quiet_ms: u64,
    pub(crate) accusers: Vec<AccuserBody>,
}

/// A node whose attempts failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AccuserBody {
    /// Its name, or its id in hex where the name is unknown.
    pub(crate) name: String,
    pub(crate) failed: u32,
}

impl From<&Suspected> for SuspectedBody {
    fn from(suspected: &Suspected) -> Self {
        let Suspected { silence, attempts, threshold, quiet, accusers } = suspected;
        let accuser = |(name, failed): (&String, &u32)| AccuserBody { name: name.clone(), failed: *failed };
        Self {
            phi: thousandths(silence.max(*attempts)),
            silence: thousandths(*silence),
            attempts: thousandths(*attempts),
            threshold: thousandths(*threshold),
            quiet_ms: u64::try_from(quiet.as_millis()).unwrap_or(u64::MAX),
            accusers: accusers.iter().map(accuser).collect(),
        }
    }
}

impl SuspectedBody {
    /// Whether it is worth a line where nobody asked: chance alone leaves one node in ten as silent as phi 1.
    fn is_notable(&self) -> bool {
        self.phi >= 1.0 || !self.accusers.is_empty()
    }
}

/// The table for those of `nodes` that something speaks against, or for `all` of them; `None` if it has no row.
pub(crate) fn table(nodes: &[StateBody], all: bool) -> Option<String> {
    let columns = [
        Column::Left("NODE"),
        Column::Right("PHI"),
        Column::Right("OF"),
        Column::Right("SILENCE"),
        Column::Right("ATTEMPTS"),
        Column::Right("QUIET"),
        Column::Left("ACCUSED BY"),
    ];
    let shown = |node: &StateBody| {
        let suspected = node.suspected.as_ref().filter(|suspected| all || suspected.is_notable())?;
        let accuser =
            |accuser: &AccuserBody| format!("{} ({} failed)", visible(&accuser.name), attempts(accuser));
        let accusers: Vec<_> = suspected.accusers.iter().map(accuser).collect();
        Some(vec![
            node.name.clone(),
            format!("{:.1}", suspected.phi),
            format!("{:.1}", suspected.threshold),
            format!("{:.1}", suspected.silence),
            format!("{:.1}", suspected.attempts),
            format!("{} ms", suspected.quiet_ms),
            if accusers.is_empty() { "nobody".to_owned() } else { accusers.join(", ") },
        ])
    };
    let rows: Vec<_> = nodes.iter().filter_map(shown).collect();
    (!rows.is_empty()).then(|| output::table(&columns, rows))
}

fn attempts(accuser: &AccuserBody) -> String {
    count(usize::try_from(accuser.failed).unwrap_or(usize::MAX), "attempt")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn node(name: &str, silence: f64, accusers: &[(&str, u32)]) -> StateBody {
        let accusers =
            accusers.iter().map(|&(name, failed)| AccuserBody { name: name.to_owned(), failed }).collect();
        let (attempts, threshold, quiet_ms) = (2.6_f64, 8.0, 1_250);
        let phi = attempts.max(silence);
        let suspected = Some(SuspectedBody { phi, silence, attempts, threshold, quiet_ms, accusers });
        StateBody { name: name.to_owned(), generation: 1, max_version: 1, suspected, entries: vec![] }
    }

    #[test]
    fn a_suspicion_shows_its_parts_and_who_accuses() {
        let nodes = [node("api-2", 0.5, &[("00000000000000ff", 1), ("api-1", 3)]), node("db", 9.25, &[])];
        expect![[r#"
            NODE   PHI   OF  SILENCE  ATTEMPTS    QUIET  ACCUSED BY
            api-2  2.6  8.0      0.5       2.6  1250 ms  00000000000000ff (1 attempt failed), api-1 (3 attempts failed)
            db     9.2  8.0      9.2       2.6  1250 ms  nobody"#]]
        .assert_eq(&table(&nodes, false).expect("two rows"));
    }

    #[test]
    fn who_is_well_has_a_row_only_where_it_was_asked_for() {
        let mut nodes = [node("api-2", 0.5, &[])];
        if let Some(suspected) = &mut nodes[0].suspected {
            (suspected.phi, suspected.attempts) = (0.5, 0.0);
        }
        assert_eq!(table(&nodes, false), None);
        assert!(table(&nodes, true).is_some());
        nodes[0].suspected = None;
        assert_eq!(table(&nodes, true), None, "nobody suspects itself");
    }
}
