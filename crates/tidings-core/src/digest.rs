//! What the messages of an exchange say: the digest in a SYN, the answer in an ACK, the rest in an ACK2, each filled
//! to the size of a datagram and no further.

mod compare;
mod pack;

use crate::cluster::Cluster;
use crate::message::{Ack, Beats, Cell, Cookie, Evidence, HeadLine, Line, News, Push, Share, Syn, Window};
use crate::name::NodeId;
use crate::rng::Rng;
use crate::sketch::Sketch;
use crate::time::Moment;
use crate::wire::size;
use compare::{Found, Named, examine, young_news};
pub(crate) use compare::{besides, lacks};
use pack::{MUCH, Packed, Portion, Queue, take_lines};

/// What is told of nodes' lives, whatever else an exchange is about.
#[derive(Debug, Default)]
pub(crate) struct Signs {
    pub heads: Vec<HeadLine>,
    pub evidence: Vec<Evidence>,
    /// In the place of heads, for one who holds the same.
    pub beats: Option<Beats>,
    /// What this node may write, if that is limited.
    pub share: Option<Share>,
}

/// What a SYN is besides what it tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SynKind {
    pub is_pull: bool,
    pub cookie: Option<Cookie>,
    pub depth: Depth,
}

/// How far what a SYN says of what is held here goes beyond what changed lately.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Depth {
    /// Not at all.
    Recent,
    /// To a sketch, of so many cells at the most.
    Sketch(usize),
    /// To a window that begins there.
    Window(NodeId),
}

/// A SYN of at most `datagram` bytes.
pub(crate) fn syn(cluster: &Cluster, signs: Signs, kind: SynKind, datagram: usize) -> Syn {
    let SynKind { is_pull, cookie, depth } = kind;
    let of_cookie = if cookie.is_some() { size::COOKIE } else { 0 };
    let mut room = datagram.saturating_sub(size::GREETING + size::LIST + of_cookie);
    let Signs { heads, evidence, share, .. } = fitting(signs, &mut room);
    let (mut lines, mut sketch, mut window) = (Vec::new(), Vec::new(), None);
    let mut list = room;
    match depth {
        Depth::Recent => {}
        // Where it can be read, nothing else is needed.
        Depth::Sketch(most) => {
            sketch = self::sketch(cluster, most, room);
            list = list.saturating_sub(size::LIST + sketch.iter().map(size::cell).sum::<usize>());
        }
        Depth::Window(_) => list = room / 2,
    }
    for item in cluster.recent().newest_first().filter(|item| item.id != cluster.me()) {
        let line = cluster.line(item.id);
        let Some(left) = list.checked_sub(size::line(&line)) else { break };
        list = left;
        room -= size::line(&line);
        lines.push(line);
    }
    if let Depth::Window(first) = depth {
        window = self::window(cluster, first, room);
    }
    Syn { is_pull, summary: cluster.summary(), heads, evidence, lines, sketch, window, cookie, share }
}

/// The first cells of what is held here, `most` of them or as many as fit in `room`.
fn sketch(cluster: &Cluster, most: usize, room: usize) -> Vec<Cell> {
    let mut room = room.saturating_sub(size::LIST);
    let fits = |cell: &&Cell| {
        let left = room.checked_sub(size::cell(cell));
        left.inspect(|left| room = *left).is_some()
    };
    let cells = cluster.sketch().map_or(&[][..], Sketch::cells);
    cells.iter().take(most).take_while(fits).copied().collect()
}

/// How many lines the window of a push has: this many rounds bring all that a thousand nodes missed to light.
const PUSHED_LINES: usize = 8;

/// A push of at most `room` bytes of a datagram of `datagram`, with a window that begins at `window`.
pub(crate) fn push(
    cluster: &Cluster,
    signs: Signs,
    window: NodeId,
    now: Moment,
    (room, datagram): (usize, usize),
) -> Push {
    let mut room = room.saturating_sub(size::GREETING + 4 * size::LIST + size::WINDOW);
    let Signs { heads, evidence, .. } = fitting(signs, &mut room);
    let of_window = room.min(size::WINDOW + PUSHED_LINES * size::LONGEST_LINE);
    let window = self::window(cluster, window, of_window);
    room -= of_window;
    let news = young_news(cluster, &Named::new());
    let mut queue = Queue::new(cluster, &news, now, (room, datagram));
    let Packed { deltas, spent } = queue.fill(room, Portion::Half);
    let rest = queue.rest(&deltas);
    room -= spent;
    let (mut lines, mut large) = (Vec::new(), Vec::new());
    take_lines(&rest.large, &mut large, &mut room);
    take_lines(&rest.unsent, &mut lines, &mut room);
    Push { summary: cluster.summary(), heads, evidence, lines, window, deltas, large }
}

/// All owners from `first` on that fit in `room`, and the bounds between which these are all.
pub(crate) fn window(cluster: &Cluster, first: NodeId, room: usize) -> Option<Window> {
    let mut room = room.checked_sub(size::WINDOW)?;
    let mut lines = Vec::new();
    for line in cluster.lines_since(first) {
        match room.checked_sub(size::line(&line)) {
            Some(left) => room = left,
            None if lines.is_empty() => return None,
            None => return Some(Window { first, last: NodeId(line.id.0 - 1), lines }),
        }
        lines.push(line);
    }
    Some(Window { first, last: NodeId(u64::MAX), lines })
}

/// How much an answer may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// The bytes of the ACK.
    pub ack: usize,
    /// The bytes of a datagram.
    pub datagram: usize,
    /// How many datagrams of news may go before the ACK.
    pub before: usize,
}

/// An answer, and what it is about.
pub(crate) struct Answer {
    /// What goes before the ACK, so that what the ACK says of what is left is so when it comes.
    pub before: Vec<News>,
    pub ack: Ack,
    /// Whether the SYN shows this node to lack something.
    pub is_behind: bool,
    /// Whether something was left out for want of room.
    pub is_cut: bool,
    /// Whether much was left out in which the initiator said that it is behind, of owners in lives that it knows: so that it is
    /// late, and not new here.
    pub is_late: bool,
}

/// The answer to `syn` of a node that says `sender` of itself.
pub(crate) fn ack(
    cluster: &Cluster,
    sender: &Line,
    syn: &Syn,
    mut signs: Signs,
    rng: &mut Rng,
    now: Moment,
    room: Room,
) -> Answer {
    let Room { ack: room, datagram, before } = room;
    let room = if flaw!(Oversized) { room.saturating_add(400) } else { room };
    let summary = cluster.summary();
    let (large, has_much, cookie) = (Vec::new(), false, None);
    let (lines, deltas) = (Vec::new(), Vec::new());
    if summary == syn.summary {
        let mut room = room.saturating_sub(size::GREETING);
        let Signs { heads, evidence, beats, share } = fitting(signs, &mut room);
        let beats = beats.filter(|beats| size::beats(beats) <= room);
        let ack = Ack { summary, heads, beats, evidence, lines, deltas, large, has_much, cookie, share };
        return Answer { before: Vec::new(), ack, is_behind: false, is_cut: false, is_late: false };
    }
    let of_share = size::share(signs.share.as_ref());
    let all = room.saturating_sub(
        size::GREETING + 4 * size::LIST + size::VARINT + size::SECTION + size::COOKIE + of_share,
    );
    let Found { mut wants, lacks, is_certain, named } = examine(cluster, sender, syn, rng);
    let is_behind = !wants.is_empty();
    if syn.is_pull {
        wants.clear();
    }
    let reserved = wants.iter().map(size::line).sum::<usize>().min(all / 3);
    let mut queue = Queue::new(cluster, &lacks, now, (all - reserved, datagram));
    let before = if is_certain { before } else { 0 };
    let before = fill_before(&mut queue, before, all - reserved, datagram);
    let mut packed = queue.fill(all - reserved, Portion::Half);
    if packed.deltas.is_empty() {
        // What fills a datagram on its own must not wait for one in which nothing is wanted.
        packed = queue.fill(all, Portion::Half);
    }
    let Packed { deltas, spent } = packed;
    let rest = queue.rest(&deltas);
    let mut room = all - spent;
    let (mut lines, mut large) = (Vec::new(), Vec::new());
    take_lines(&rest.large, &mut large, &mut room);
    take_lines(&wants, &mut lines, &mut room);
    let share = signs.share.take();
    let Signs { heads, evidence, .. } = fitting(signs, &mut room);
    let is_cut = rest.left > 0 || lines.len() < wants.len();
    take_lines(&rest.unsent, &mut lines, &mut room);
    let has_much = rest.left > MUCH * datagram;
    let is_late = rest.is_late(|id| named.contains_key(&id), datagram);
    let beats = None;
    let ack = Ack { summary, heads, beats, evidence, lines, deltas, large, has_much, cookie, share };
    Answer { before, ack, is_behind, is_cut, is_late }
}

/// What goes before an ACK that has `room` for deltas, in `most` datagrams at the most.
fn fill_before(queue: &mut Queue<'_>, most: usize, room: usize, datagram: usize) -> Vec<News> {
    let mut before = Vec::new();
    while before.len() < most && queue.exceeds(room) {
        let Packed { deltas, .. } = queue.fill(room_of_ack2(datagram), Portion::All);
        if deltas.is_empty() {
            break;
        }
        before.push(News { deltas, ..News::default() });
    }
    before
}

fn room_of_ack2(datagram: usize) -> usize {
    datagram.saturating_sub(size::GREETING + 2 * size::LIST)
}

/// What those lack who are at `lines`, in at most so many datagrams of `datagram` bytes; and whether much is left, of owners
/// in lives that they know.
pub(crate) fn ack2s(
    cluster: &Cluster,
    lines: &[Line],
    now: Moment,
    datagram: usize,
    most: usize,
) -> (Vec<News>, bool) {
    let room = room_of_ack2(datagram);
    let mut queue = Queue::new(cluster, &behind(cluster, lines), now, (room, datagram));
    let (mut all, mut left) = (Vec::new(), room);
    while all.len() < most {
        let portion = if all.len() + 1 < most { Portion::All } else { Portion::Half };
        let Packed { deltas, spent } = queue.fill(room, portion);
        if deltas.is_empty() {
            break;
        }
        left = room - spent;
        all.push(News { deltas, ..News::default() });
    }
    let rest = queue.rest(&[]);
    let large = &rest.large;
    if all.is_empty() && !large.is_empty() {
        all.push(News::default());
    }
    if let Some(last) = all.last_mut() {
        last.has_much = rest.left > MUCH * datagram;
        take_lines(large, &mut last.large, &mut left);
    }
    let is_late = rest.is_late(|_| true, datagram);
    (all, is_late)
}

/// Those of whom more is known here than at `lines`.
fn behind(cluster: &Cluster, lines: &[Line]) -> Vec<Line> {
    lines.iter().filter(|line| cluster.compare(line).is_gt()).copied().collect()
}

/// What those lack who are at `lines`, in at most `room` bytes of a datagram of `datagram`; and the lines of which nothing
/// is in it.
pub(crate) fn news(
    cluster: &Cluster,
    lines: &[Line],
    now: Moment,
    (room, datagram): (usize, usize),
) -> (News, Vec<Line>) {
    let lacks = behind(cluster, lines);
    let mut queue = Queue::new(cluster, &lacks, now, (room, datagram));
    let Packed { deltas, spent } = queue.fill(room, Portion::Half);
    let (mut large, mut room) = (Vec::new(), room - spent);
    take_lines(&queue.rest(&deltas).large, &mut large, &mut room);
    let is_told = |line: &Line| deltas.iter().any(|delta| delta.owner == line.id);
    let left = lacks.into_iter().filter(|line| !is_told(line)).collect();
    (News { deltas, large, has_much: false }, left)
}

/// As much of `signs` as there is room for: the share, then evidence, then heads.
fn fitting(mut signs: Signs, room: &mut usize) -> Signs {
    let left = room.checked_sub(size::share(signs.share.as_ref()));
    signs.share.take_if(|_| left.is_none());
    *room = left.unwrap_or(*room);
    shorten(&mut signs.evidence, size::evidence, room);
    shorten(&mut signs.heads, size::head, room);
    signs
}

/// Drops the last of `items` until the rest fits, as a section, in `room`, and takes what that needs off `room`.
fn shorten<T>(items: &mut Vec<T>, size: impl Fn(&T) -> usize, room: &mut usize) {
    let mut sum = size::LIST + size::VARINT + items.iter().map(&size).sum::<usize>();
    while sum > *room {
        let Some(last) = items.pop() else { return };
        sum -= size(&last);
    }
    if !items.is_empty() {
        *room -= sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acquaintances::Acquaintances;
    use crate::detector::Pulse;
    use crate::endpoint::EndpointState;
    use crate::endpoints::tests::touched;
    use crate::entry::{Entry, Key, Value};
    use crate::name::NodeName;
    use crate::record::Record;
    use crate::replica::{Limits, Replica};
    use crate::version::{Generation, Heartbeat, Version};

    fn state(name: &str, generation: u64, writes: usize) -> (NodeId, EndpointState) {
        let (now, name) = (Moment::default(), NodeName::new(name).unwrap());
        let mut replica = Replica::new(Generation(generation));
        for _ in 0..writes {
            let entry = Entry::new(Some(Value::from("value")), Version(0));
            replica.write([(Key::new("key").unwrap(), entry)]);
        }
        let pulse = Pulse::new(now, std::time::Duration::from_secs(1));
        let id = name.id();
        let record = Record { replica, address: ([10, 0, 0, 1], 1).into(), name };
        (id, EndpointState::new(record, Heartbeat(1), now, pulse))
    }

    /// Someone who knows so many others, of whom the first `changed` wrote again; with a sketch.
    fn view(me: &str, known: u32, changed: u32) -> Cluster {
        let limits = Limits { keys: 99, bytes: 9_999 };
        let (id, own) = state(me, 1, 1);
        let mut view = Cluster::new(id, own, limits, 1 << 24);
        let other = |n: u32| {
            state(&format!("node-{n}"), 1_790_000_000_000 + u64::from(n), 1 + usize::from(n < changed))
        };
        let others: Vec<_> = (0..known).map(other).collect();
        let pulse = Pulse::new(Moment::default(), std::time::Duration::from_secs(1));
        let all = Acquaintances::new(others.iter().map(|(id, other)| (*id, other)));
        view.acquaint(&all, Moment::default(), &pulse);
        view.keep_sketch(Sketch::MOST);
        view
    }

    /// D9, D10: what an exchange does is about what differs, and not about who is known.
    #[test]
    fn d9_an_exchange_looks_at_as_many_nodes_as_differ() {
        for known in [1_000, 10_000, 100_000] {
            let (ours, theirs) = (view("ann", known, 10), view("ann", known, 0));
            for (depth, differ) in [(Depth::Recent, 0), (Depth::Sketch(Sketch::MOST), 10)] {
                let kind = SynKind { is_pull: false, cookie: None, depth };
                touched();
                let syn = syn(&theirs, Signs::default(), kind, 1_200);
                let (sender, rng) = (theirs.line(theirs.me()), &mut Rng::new(9));
                let responder = if differ == 0 { &theirs } else { &ours };
                let room = Room { ack: 1_200, datagram: 1_200, before: 0 };
                let answer = ack(responder, &sender, &syn, Signs::default(), rng, Moment::default(), room);
                assert_eq!(answer.ack.deltas.len(), differ);
                let most = 5 + 12 * differ;
                let touched = touched();
                assert!(touched <= most, "{touched} among {known}, {differ} of whom differ");
            }
        }
    }
}
