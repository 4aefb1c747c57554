//! The commands about who belongs to the cluster.

use std::time::Duration;

use crate::body::{AnyMember, MemberBody, RemovedBody, State};
use crate::cli::To;
use crate::client::escape;
use crate::commands::{census, client};
use crate::failure::Failure;
use crate::output::{self, Column, count, paint};

/// `tidings members`.
pub(crate) fn list(all: bool, to: &To) -> Result<(), Failure> {
    let body = client(to).get(if all { "/v1/members?all=true" } else { "/v1/members" })?;
    output::list(to.print.output, &body, |members| Ok(table(&members, all, output::colours())))
}

/// `tidings remove`.
pub(crate) fn remove(node: &str, to: &To) -> Result<(), Failure> {
    let body = client(to).delete(&format!("/v1/members/{}", escape(node)), None)?;
    output::one(to.print.output, &body, |removed| Ok(removed_lines(&removed)))
}

fn table(members: &[AnyMember], all: bool, colours: bool) -> String {
    let mut columns = vec![
        Column::Left("STATE"),
        Column::Left("NAME"),
        Column::Left("ADDRESS"),
        Column::Right("PHI"),
        Column::Right("KEYS"),
        Column::Right("VERSION"),
        Column::Right("HEARTBEAT"),
        Column::Right("GENERATION"),
    ];
    columns.extend(all.then_some(Column::Left("FORGOTTEN")));
    let rows = members.iter().map(|member| {
        let mut row = row(member);
        row.truncate(columns.len());
        row
    });
    let table = output::table(&columns, rows);
    let known: Vec<_> = members.iter().filter_map(AnyMember::known).collect();
    let of = |state| known.iter().filter(|member| member.state == state).count();
    let me = known.iter().find(|member| member.is_self).map_or("an agent that is no member", |me| &me.name);
    let lines: Vec<_> = table.lines().map(|line| paint(line.trim_end(), colours)).collect();
    let forgotten =
        if all { format!(" · {} forgotten", members.len() - known.len()) } else { String::new() };
    format!(
        "{}\n{}{forgotten}, as seen by {me}",
        lines.join("\n"),
        census(of(State::Live), of(State::Unreachable), of(State::Departed)),
    )
}

fn row(member: &AnyMember) -> Vec<String> {
    let none = || "-".to_owned();
    match member {
        AnyMember::Known(known) => vec![
            known.state.as_str().to_owned(),
            known.name.clone(),
            known.address.to_string(),
            format!("{:.1}", known.phi),
            known.keys.to_string(),
            known.max_version.to_string(),
            known.heartbeat.to_string(),
            known.generation.to_string(),
            known.forgotten_in_ms.map_or_else(none, |ms| format!("in {}", span(ms))),
        ],
        AnyMember::Forgotten(gone) => {
            let (ago, left) = (span(gone.forgotten_for_ms), span(gone.remembered_for_ms));
            let heartbeat = gone.heartbeat.map_or_else(none, |heartbeat| heartbeat.to_string());
            let generation = gone.generation.to_string();
            let (state, name) = (gone.state.as_str().to_owned(), gone.name.clone());
            let when = format!("{ago} ago, remembered for {left}");
            vec![state, name, none(), none(), none(), none(), heartbeat, generation, when]
        }
    }
}

fn removed_lines(removed: &RemovedBody) -> String {
    let RemovedBody { name, was, quiet_ms, keys, remembered_for_ms } = removed;
    let (quiet, left) = (span(*quiet_ms), span(*remembered_for_ms));
    if *was == State::Forgotten {
        return format!(
            "{name} was forgotten {quiet} ago: there was nothing to do; that is remembered for {left}"
        );
    }
    let keys = count(*keys, "key");
    format!(
        "{name} is forgotten, everywhere soon: it was {}, silent for {quiet}, and {keys} of it are shared no longer\n\
         stale peers cannot bring it back for {left}; if it runs all the same, it will be back",
        was.as_str()
    )
}

/// A span to the second.
fn span(millis: u64) -> String {
    humantime::format_duration(Duration::from_secs(millis / 1_000)).to_string()
}

impl AnyMember {
    fn known(&self) -> Option<&MemberBody> {
        match self {
            Self::Known(known) => Some(known),
            Self::Forgotten(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::body::ForgottenBody;

    use super::*;

    fn member(name: &str, state: State, phi: f64, is_self: bool) -> AnyMember {
        AnyMember::Known(MemberBody {
            name: name.to_owned(),
            address: ([127, 0, 0, 1], 8434).into(),
            generation: 1_763_950_000_000,
            heartbeat: 42,
            state,
            phi,
            keys: 3,
            max_version: 12,
            is_self,
            forgotten_in_ms: (state != State::Live).then_some(86_300_000),
        })
    }

    #[test]
    fn members_end_with_a_census_and_whose_view_it_is() {
        let members =
            [member("api-1", State::Live, 0.3, true), member("db", State::Unreachable, 8.25, false)];
        expect![[r#"
            STATE        NAME   ADDRESS         PHI  KEYS  VERSION  HEARTBEAT     GENERATION
            live         api-1  127.0.0.1:8434  0.3     3       12         42  1763950000000
            unreachable  db     127.0.0.1:8434  8.2     3       12         42  1763950000000
            1 live · 1 unreachable · 0 departed, as seen by api-1"#]]
        .assert_eq(&table(&members, false, false));
    }

    #[test]
    fn all_members_are_those_that_are_remembered_too() {
        let forgotten = ForgottenBody {
            name: "old".to_owned(),
            generation: 1_763_950_000_000,
            heartbeat: Some(7),
            state: State::Forgotten,
            forgotten_for_ms: 61_000,
            remembered_for_ms: 172_739_000,
        };
        let members = [
            member("api-1", State::Live, 0.3, true),
            member("db", State::Unreachable, 8.25, false),
            AnyMember::Forgotten(forgotten),
        ];
        expect![[r#"
            STATE        NAME   ADDRESS         PHI  KEYS  VERSION  HEARTBEAT     GENERATION  FORGOTTEN
            live         api-1  127.0.0.1:8434  0.3     3       12         42  1763950000000  -
            unreachable  db     127.0.0.1:8434  8.2     3       12         42  1763950000000  in 23h 58m 20s
            forgotten    old    -                 -     -        -          7  1763950000000  1m 1s ago, remembered for 1day 23h 58m 59s
            1 live · 1 unreachable · 0 departed · 1 forgotten, as seen by api-1"#]]
        .assert_eq(&table(&members, true, false));
    }

    #[test]
    fn a_removal_says_what_it_did() {
        let removed = |was| RemovedBody {
            name: "db".to_owned(),
            was,
            quiet_ms: 95_200,
            keys: 3,
            remembered_for_ms: 172_800_000,
        };
        expect![[r#"
            db is forgotten, everywhere soon: it was unreachable, silent for 1m 35s, and 3 keys of it are shared no longer
            stale peers cannot bring it back for 2days; if it runs all the same, it will be back"#]]
        .assert_eq(&removed_lines(&removed(State::Unreachable)));
        expect!["db was forgotten 1m 35s ago: there was nothing to do; that is remembered for 2days"]
            .assert_eq(&removed_lines(&removed(State::Forgotten)));
    }
}
