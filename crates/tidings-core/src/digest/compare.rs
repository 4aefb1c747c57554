//! In what two nodes differ, as far as the messages of an exchange tell: who lacks what.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::cluster::Cluster;
use crate::delta::Delta;
use crate::message::{Ack, Line, Syn, Window};
use crate::name::NodeId;
use crate::recent::{self, Item};
use crate::rng::Rng;
use crate::sketch::Difference;
use crate::summary::Summary;
use crate::version::Version;

/// The owners of whom one lacks something that shows this to be all there is in `window`, and who is at `lines`: as the
/// asker has them, in the order in which to tell them.
pub(crate) fn lacks(cluster: &Cluster, lines: &[Line], window: Option<&Window>, rng: &mut Rng) -> Vec<Line> {
    let (mut wants, mut lacks, mut far) = (Vec::new(), Vec::new(), Vec::new());
    let mut named = Named::new();
    for theirs in lines {
        if name(&mut named, *theirs) {
            sort_out(cluster, theirs, &mut wants, &mut lacks);
        }
    }
    if let Some(window) = window {
        examine_window(cluster, window, &mut named, &mut wants, &mut far);
    }
    rng.shuffle(&mut far);
    lacks.append(&mut far);
    lacks
}

/// Where the peer is with owners that were named, by their ids.
pub(super) type Named = BTreeMap<NodeId, Line>;

/// Notes where the peer is with an owner. Returns whether that was not known before.
fn name(named: &mut Named, theirs: Line) -> bool {
    let entry = named.entry(theirs.id);
    let is_new = matches!(entry, Entry::Vacant(_));
    entry.or_insert(theirs);
    is_new
}

/// Where the sender of `ack` is with what it lacks besides all that the ACK names: if anything, then owners that changed here
/// lately and that the SYN had no room for, which listed others up to `listed`. `None` if that does not explain why both differ.
pub(crate) fn besides(
    cluster: &Cluster,
    sender: &Line,
    ack: &Ack,
    listed: Option<NodeId>,
) -> Option<Vec<Line>> {
    let of_delta = |delta: &Delta| Line { id: delta.owner, generation: delta.generation, max: delta.max };
    let lines = ack.lines.iter().chain(&ack.large).copied().chain(ack.deltas.iter().map(of_delta));
    let mut named = Named::new();
    for theirs in std::iter::once(*sender).chain(lines) {
        name(&mut named, theirs);
    }
    let left = left_by(cluster, ack.summary, &named);
    let older = listed.into_iter().flat_map(|listed| cluster.recent().before(listed));
    let others = older.filter(|item| item.id != cluster.me() && !named.contains_key(&item.id));
    run_that_explains(cluster, left, others.map(|item| before(cluster, item)))
}

/// By what this node differs from one who holds what comes to `summary`, once what is `named` is settled.
fn left_by(cluster: &Cluster, summary: Summary, named: &Named) -> Summary {
    let all = cluster.summary().minus(summary);
    named.values().fold(all, |left, theirs| left.minus(part(cluster, theirs)))
}

/// What being at `theirs` makes of the difference between this node and the peer.
fn part(cluster: &Cluster, theirs: &Line) -> Summary {
    let ours = cluster.line(theirs.id);
    if ours == *theirs { Summary::default() } else { summand(&ours).minus(summand(theirs)) }
}

/// Those of `lines`, one after the other, that explain what is `left` of a difference.
fn run_that_explains(
    cluster: &Cluster,
    left: Summary,
    lines: impl Iterator<Item = Line>,
) -> Option<Vec<Line>> {
    let (mut sum, mut run) = (Summary::default(), Vec::new());
    // What all up to there make of it, by how many these are.
    let mut sums = BTreeMap::from([(sum, 0)]);
    let mut lines = lines.take(LONGEST_RUN);
    loop {
        if let Some(&start) = sums.get(&sum.minus(left)) {
            return Some(run.split_off(start));
        }
        let theirs = lines.next()?;
        sum = sum.plus(part(cluster, &theirs));
        run.push(theirs);
        sums.insert(sum, run.len());
    }
}

/// Of more, a stream tells.
const LONGEST_RUN: usize = 512;

fn summand(line: &Line) -> Summary {
    Summary::of_line(line).unwrap_or_default()
}

/// What an exchange found: the lines of owners that are wanted here, and the lines of the peer where it lacks
/// something, in the order in which to settle them.
pub(super) struct Found {
    pub wants: Vec<Line>,
    pub lacks: Vec<Line>,
    /// Whether the peer lacks these for sure: what changed lately it may have, and had no room to list.
    pub is_certain: bool,
    /// What the peer said of owners, or showed by leaving them out.
    pub named: Named,
}

pub(super) fn examine(cluster: &Cluster, sender: &Line, syn: &Syn, rng: &mut Rng) -> Found {
    let (mut wants, mut lacks, mut far) = (Vec::new(), Vec::new(), Vec::new());
    let mut named = Named::new();
    for theirs in std::iter::once(sender).chain(&syn.lines) {
        if name(&mut named, *theirs) {
            sort_out(cluster, theirs, &mut wants, &mut lacks);
        }
    }
    if let Some(sketch) = cluster.sketch().filter(|_| !syn.sketch.is_empty()) {
        examine_sketch(cluster, &sketch.difference(&syn.sketch), &mut named, &mut wants, &mut far);
    }
    if let Some(window) = &syn.window {
        examine_window(cluster, window, &mut named, &mut wants, &mut far);
    }
    let left = left_by(cluster, syn.summary, &named);
    let mut young = young_news(cluster, &named);
    let certain = run_that_explains(cluster, left, young.iter().copied());
    let is_certain = certain.is_some();
    // Where there is more than fits a list, and than fits the answer, each comes to its turn.
    rng.shuffle(&mut young);
    lacks.extend(certain.unwrap_or(young));
    rng.shuffle(&mut far);
    lacks.append(&mut far);
    Found { wants, lacks, is_certain, named }
}

/// Sorts out what is between the bounds of `window` and was not `named` before: whom it leaves out, its sender lacks.
fn examine_window(
    cluster: &Cluster,
    window: &Window,
    named: &mut Named,
    wants: &mut Vec<Line>,
    lacks: &mut Vec<Line>,
) {
    for theirs in &window.lines {
        if name(named, *theirs) {
            sort_out(cluster, theirs, wants, lacks);
        }
    }
    for id in cluster.ids_between(window.first..=window.last) {
        if name(named, Line::unknown(id)) {
            lacks.push(Line::unknown(id));
        }
    }
}

/// Sorts out what a sketch tells of owners that were not `named` before: whom it shows to be held here alone, its sender
/// does not know.
fn examine_sketch(
    cluster: &Cluster,
    difference: &Difference,
    named: &mut Named,
    wants: &mut Vec<Line>,
    lacks: &mut Vec<Line>,
) {
    for theirs in &difference.theirs {
        if name(named, *theirs) {
            sort_out(cluster, theirs, wants, lacks);
        }
    }
    for ours in &difference.ours {
        if difference.is_whole && name(named, Line::unknown(ours.id)) {
            lacks.push(Line::unknown(ours.id));
        }
    }
}

fn sort_out(cluster: &Cluster, theirs: &Line, wants: &mut Vec<Line>, lacks: &mut Vec<Line>) {
    match cluster.compare(theirs) {
        Ordering::Less => wants.push(cluster.line(theirs.id)),
        Ordering::Greater => lacks.push(*theirs),
        Ordering::Equal => {}
    }
}

/// The runs that began here a short while ago, of owners that the peer has not `named`: whoever has them already
/// would have listed them, so the peer most likely stands where the run began.
pub(super) fn young_news(cluster: &Cluster, named: &Named) -> Vec<Line> {
    let young = recent::young_for(cluster.endpoints().len());
    let news = cluster.recent().newest_first().take_while(|item| item.round + young > cluster.round());
    let unnamed = news.filter(|item| !named.contains_key(&item.id));
    let lines = unnamed.map(|item| before(cluster, item));
    lines.filter(|line| cluster.compare(line) == Ordering::Greater).collect()
}

/// Where one is with an owner whose latest run of changes it lacks.
fn before(cluster: &Cluster, item: &Item) -> Line {
    match item.since {
        Version(0) => Line::unknown(item.id),
        since => Line { max: since, ..cluster.line(item.id) },
    }
}
