//! How many instructions the hot paths take.

use std::process::Command;

use chitchat::ProtocolVersion;

use crate::data;
use crate::ours::group::Group;
use crate::ours::world::World;
use crate::peers::chitchat_pair::ChitchatPair;
use crate::row::{Better, Row};
use crate::versions;
use crate::work::{Bench, Work};

pub(crate) const WORK: Work = Work {
    name: "instructions",
    about: "Instructions that an idle exchange takes, as in `idle-exchange`: this program is run under valgrind with few \
            exchanges and with more, and the difference is divided. Unlike times, that is the same on a busy machine. \
            Where there is no valgrind there is no figure.",
    losses: "",
    run,
};

fn run(bench: &Bench<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    for nodes in bench.size(vec![100, 1_000], vec![20]) {
        bench.tell(&format!("instructions, {nodes} nodes"));
        let [ours, theirs] = ["ours", "chitchat"].map(|who| each(who, nodes));
        let row =
            Row::new("instructions/idle-exchange", "instructions", Better::Less, ours.as_ref().ok().copied());
        let row = row.with("nodes", nodes).with("keys", 10).with("wire", "V0");
        let row = row.beside(versions::chitchat(), theirs.as_ref().ok().copied(), 0.0);
        rows.push(match ours.and(theirs) {
            Ok(_) => row,
            Err(why) => row.note(why),
        });
    }
    rows
}

/// Instructions for each exchange, or why nobody knows.
fn each(who: &str, nodes: usize) -> Result<f64, String> {
    let (few, many) = (4, 12);
    let all = [few, many].map(|exchanges| count(who, nodes, exchanges));
    let [Ok(less), Ok(more)] = all else {
        return Err(all.into_iter().find_map(Result::err).unwrap_or_default());
    };
    Ok((more - less) / f64::from(many - few))
}

fn count(who: &str, nodes: usize, exchanges: u32) -> Result<f64, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]).arg(program);
    let done = valgrind.args(["--exchanges", who, &nodes.to_string(), &exchanges.to_string()]).output();
    let done = done.map_err(|_| "there is no valgrind here to count instructions".to_owned())?;
    let said = String::from_utf8_lossy(&done.stderr);
    let refs =
        said.lines().find_map(|line| line.split_once("I refs:").or_else(|| line.split_once("I   refs:")));
    let digits: String = refs.map_or_else(String::new, |(_, number)| number.replace(',', ""));
    digits.trim().parse().map_err(|_| "valgrind does not say how many instructions there were".to_owned())
}

/// Does so many exchanges and nothing else. Returns whether it knows how.
pub(crate) fn exchange(who: &str, nodes: usize, exchanges: u64) -> bool {
    match who {
        "ours" => {
            let world = World::new(nodes, 10);
            // The first ones are not idle: what the two know of each other comes with them.
            Group::living_pair(&world).exchange(20 + exchanges);
        }
        "chitchat" => {
            let pair = ChitchatPair::new(ProtocolVersion::V0);
            for side in 0..2 {
                pair.teach(side, nodes, 10, |owner, _| data::rounds(owner));
            }
            (0..exchanges).for_each(|_| {
                pair.exchange();
            });
        }
        _ => return false,
    }
    true
}
