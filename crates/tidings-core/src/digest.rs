//! What the messages of an exchange say: the digest in a SYN, the answer in an ACK, the rest in an ACK2, each filled
//! to the size of a datagram and no further.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use crate::cluster::Cluster;
use crate::delta::Delta;
use crate::message::{Ack, Evidence, HeadLine, Line, Syn, Window};
use crate::name::NodeId;
use crate::recent::{self, Item};
use crate::rng::Rng;
use crate::summary::Summary;
use crate::time::Moment;
use crate::version::Version;
use crate::wire::size;

/// Hardly a delta is smaller than this: with less room left, one need not look for one that fits.
const SMALLEST_DELTA: usize = 32;

/// What is told of nodes' lives, whatever else an exchange is about.
#[derive(Debug, Default)]
pub(crate) struct Signs {
    pub heads: Vec<HeadLine>,
    pub evidence: Vec<Evidence>,
}

/// A SYN of at most `datagram` bytes. With `window`, part of it is a window that begins at that id.
pub(crate) fn syn(cluster: &Cluster, signs: Signs, window: Option<NodeId>, datagram: usize) -> Syn {
    let mut room = datagram.saturating_sub(size::GREETING + size::LIST);
    let Signs { heads, evidence } = fitting(signs, &mut room);
    let share = if window.is_some() { room / 2 } else { room };
    let mut lines = Vec::new();
    let mut spent = 0;
    for item in cluster.recent().newest_first().filter(|item| item.id != cluster.me()) {
        let line = cluster.line(item.id);
        spent += size::line(&line);
        if spent > share {
            break;
        }
        lines.push(line);
        room -= size::line(&line);
    }
    let window = window.and_then(|first| self::window(cluster, first, room));
    Syn { summary: cluster.summary(), heads, evidence, lines, window }
}

/// All owners from `first` on that fit in `room`, and the bounds between which these are all.
fn window(cluster: &Cluster, first: NodeId, room: usize) -> Option<Window> {
    let mut room = room.checked_sub(size::WINDOW)?;
    let mut lines = Vec::new();
    for (&id, endpoint) in cluster.endpoints().range(first..) {
        let line = endpoint.line(id);
        match room.checked_sub(size::line(&line)) {
            Some(left) => room = left,
            None if lines.is_empty() => return None,
            None => return Some(Window { first, last: NodeId(id.0 - 1), lines }),
        }
        lines.push(line);
    }
    Some(Window { first, last: NodeId(u64::MAX), lines })
}

/// The answer to `syn` of a node that says `sender` of itself.
pub(crate) fn ack(
    cluster: &Cluster,
    sender: &Line,
    syn: &Syn,
    signs: Signs,
    rng: &mut Rng,
    now: Moment,
    datagram: usize,
) -> Ack {
    let summary = cluster.summary();
    if summary == syn.summary {
        let Signs { heads, evidence } = signs;
        return Ack { summary, heads, evidence, lines: Vec::new(), deltas: Vec::new() };
    }
    let Found { wants, lacks } = examine(cluster, sender, syn, rng);
    let all = datagram.saturating_sub(size::GREETING + 3 * size::LIST + size::VARINT);
    let reserved = wants.iter().map(size::line).sum::<usize>().min(all / 3);
    let mut packed = pack(cluster, &lacks, now, all - reserved);
    if packed.deltas.is_empty() {
        // What fills a datagram on its own must not wait for one in which nothing is wanted.
        packed = pack(cluster, &lacks, now, all);
    }
    let mut room = all - packed.spent;
    let mut lines = Vec::new();
    take_lines(&wants, &mut lines, &mut room);
    let Signs { heads, evidence } = fitting(signs, &mut room);
    take_lines(&packed.unsent, &mut lines, &mut room);
    Ack { summary, heads, evidence, lines, deltas: packed.deltas }
}

/// What the initiator lacks of all that `ack` shows it to lack.
pub(crate) fn ack2(cluster: &Cluster, ack: &Ack, now: Moment, datagram: usize) -> Vec<Delta> {
    let behind = |line: &&Line| cluster.compare(line) == Ordering::Greater;
    let lacks: Vec<Line> = ack.lines.iter().filter(behind).copied().collect();
    pack(cluster, &lacks, now, datagram.saturating_sub(size::GREETING + size::LIST)).deltas
}

/// Whether this node and the sender of `ack` still differ once all that the ACK names is settled.
pub(crate) fn is_unexplained(cluster: &Cluster, sender: &Line, ack: &Ack) -> bool {
    let of_delta = |delta: &Delta| Line { id: delta.owner, generation: delta.generation, max: delta.max };
    let mut named = BTreeSet::new();
    let mut left = cluster.summary().minus(ack.summary);
    let lines = ack.lines.iter().copied().chain(ack.deltas.iter().map(of_delta));
    for theirs in std::iter::once(*sender).chain(lines) {
        if named.insert(theirs.id) {
            left = left.minus(summand(&cluster.line(theirs.id))).plus(summand(&theirs));
        }
    }
    left != Summary::default()
}

fn summand(line: &Line) -> Summary {
    line.known().map_or_else(Summary::default, |(generation, max)| Summary::of(line.id, generation, max))
}

/// What an exchange found: the lines of owners that are wanted here, and the lines of the peer where it lacks
/// something, in the order in which to settle them.
struct Found {
    wants: Vec<Line>,
    lacks: Vec<Line>,
}

fn examine(cluster: &Cluster, sender: &Line, syn: &Syn, rng: &mut Rng) -> Found {
    let (mut wants, mut lacks, mut far) = (Vec::new(), Vec::new(), Vec::new());
    let mut named = BTreeSet::new();
    for theirs in std::iter::once(sender).chain(&syn.lines) {
        if named.insert(theirs.id) {
            sort_out(cluster, theirs, &mut wants, &mut lacks);
        }
    }
    if let Some(window) = &syn.window {
        for theirs in &window.lines {
            if named.insert(theirs.id) {
                sort_out(cluster, theirs, &mut wants, &mut far);
            }
        }
        for &id in cluster.endpoints().range(window.first..=window.last).map(|(id, _)| id) {
            if named.insert(id) {
                far.push(Line::unknown(id));
            }
        }
    }
    lacks.extend(young_news(cluster, &named));
    rng.shuffle(&mut far);
    lacks.append(&mut far);
    Found { wants, lacks }
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
fn young_news(cluster: &Cluster, named: &BTreeSet<NodeId>) -> Vec<Line> {
    let young = recent::young_for(cluster.endpoints().len());
    let news = cluster.recent().newest_first().take_while(|item| item.round + young > cluster.round());
    let before = |item: &Item| match item.since {
        Version(0) => Line::unknown(item.id),
        since => Line { max: since, ..cluster.line(item.id) },
    };
    let unnamed = news.filter(|item| !named.contains(&item.id));
    unnamed.map(before).filter(|line| cluster.compare(line) == Ordering::Greater).collect()
}

/// Deltas for those who are at `lacks`, as far as `room` goes, and the lines that got none.
struct Packed {
    deltas: Vec<Delta>,
    spent: usize,
    unsent: Vec<Line>,
}

fn pack(cluster: &Cluster, lacks: &[Line], now: Moment, room: usize) -> Packed {
    let mut packed = Packed { deltas: Vec::new(), spent: 0, unsent: Vec::new() };
    for theirs in lacks {
        let left = room - packed.spent;
        let delta = if left < SMALLEST_DELTA { None } else { cluster.delta(theirs, now, left) };
        match delta {
            Some(delta) => {
                packed.spent += size::delta(&delta);
                packed.deltas.push(delta);
            }
            None if theirs.known().is_some() => packed.unsent.push(cluster.line(theirs.id)),
            None => {}
        }
    }
    packed
}

fn take_lines(from: &[Line], to: &mut Vec<Line>, room: &mut usize) {
    for line in from {
        let Some(left) = room.checked_sub(size::line(line)) else { return };
        *room = left;
        to.push(*line);
    }
}

/// As much of `signs` as there is room for: evidence before heads.
fn fitting(mut signs: Signs, room: &mut usize) -> Signs {
    let section = |len: usize| if len == 0 { 0 } else { size::LIST + size::VARINT + len };
    let of_evidence = |signs: &Signs| section(signs.evidence.iter().map(size::evidence).sum());
    let of_heads = |signs: &Signs| section(signs.heads.iter().map(size::head).sum());
    while of_evidence(&signs) > *room {
        signs.evidence.pop();
    }
    *room -= of_evidence(&signs);
    while of_heads(&signs) > *room {
        signs.heads.pop();
    }
    *room -= of_heads(&signs);
    signs
}
