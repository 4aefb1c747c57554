//! Messages as they are on the wire, byte for byte: one file in `tests/golden` for each kind.
//!
//! Nodes of the last release read what this one writes, and the other way round: a change of these bytes breaks rolling
//! upgrades. Where that is meant, `UPDATE_EXPECT=1 cargo test -p tidings-core golden` writes the files anew.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use expect_test::expect_file;
use tidings_core::wire::{PROTOCOL_VERSION, Reader, WireError};
use tidings_core::{
    Ack, Age, Beat, Beats, Body, Cell, Certificate, Cookie, Delta, Entry, Evidence, Fetch, FetchPieces,
    Generation, Head, HeadLine, Heartbeat, Instance, Introduction, Key, Line, Message, Moment, Namesake,
    News, NodeId, NodeName, Piece, Push, Refusal, Rumor, Seal, Sender, Share, Span, Summary, Syn, Value,
    Version, WallClock, Window,
};

const LIFE: u64 = 1_799_999_000_000;

fn id(name: &str) -> NodeId {
    NodeName::new(name).unwrap().id()
}

fn v4() -> SocketAddr {
    "10.0.0.7:8434".parse().unwrap()
}

fn v6() -> SocketAddr {
    "[fd00::1:7]:8435".parse().unwrap()
}

fn line(name: &str, max: u64) -> Line {
    Line { id: id(name), generation: Generation(LIFE), max: Version(max) }
}

fn lines() -> Vec<Line> {
    vec![line("ann", 300), line("bob", 0), Line::unknown(id("eve"))]
}

fn head(name: &str, later: u64, heartbeat: u64, age: u64) -> HeadLine {
    let (generation, heartbeat) = (Generation(LIFE + later), Heartbeat(heartbeat));
    HeadLine { id: id(name), generation, heartbeat, age: Duration::from_millis(age) }
}

fn heads() -> Vec<HeadLine> {
    vec![head("ann", 0, 127, 0), head("bob", 5_000, 128, 70_000)]
}

fn evidence() -> Evidence {
    Evidence {
        head: head("ann", 0, 100, 9_000),
        since: Duration::from_millis(4_000),
        until: Duration::from_millis(150),
        accusers: vec![(id("bob"), 2), (id("carl"), 130)],
    }
}

fn acquittal() -> Evidence {
    let since = Duration::ZERO;
    Evidence { head: head("bob", 0, 12, 1), since, until: since, accusers: vec![] }
}

fn sketch() -> Vec<Cell> {
    vec![
        Cell { id: id("ann").0, generation: LIFE, max: 300, check: 0x89ab_cdef },
        Cell { id: id("ann").0 ^ id("bob").0, generation: 0, max: 7, check: 1 },
    ]
}

fn window() -> Window {
    let mut lines = vec![line("ann", 300), line("bob", 0)];
    lines.sort_by_key(|line| line.id);
    Window { first: NodeId(0), last: NodeId(u64::MAX), lines }
}

fn introduction(name: &str, address: SocketAddr) -> Introduction {
    let (heartbeat, age) = (Heartbeat(200), Duration::from_millis(1_500));
    Introduction { name: NodeName::new(name).unwrap(), address, heartbeat, age }
}

fn entry(key: &str, value: Option<&str>, version: u64) -> (Key, Entry) {
    (Key::new(key).unwrap(), Entry::new(value.map(Value::from), Version(version)))
}

/// A reset with an IPv4 address and a tombstone, a run from the middle, and the first run of a newcomer with an IPv6
/// address and two entries of one version.
fn deltas() -> Vec<Delta> {
    let delta = |name, introduction, span, [through, gc, max]: [u64; 3], entries| Delta {
        owner: id(name),
        generation: Generation(LIFE),
        introduction,
        span,
        through: Version(through),
        gc: Version(gc),
        max: Version(max),
        entries,
    };
    let whole = vec![entry("colour", Some("green"), 7), entry("gone", None, 150)];
    let next = vec![entry("é/load", Some(""), 301)];
    let first = vec![entry("a", Some("1"), 1), entry("b", Some("2"), 1)];
    vec![
        delta("ann", Some(introduction("ann", v4())), Span::Reset, [150, 6, 150], whole),
        delta("bob", None, Span::After(Version(300)), [301, 20, 400], next),
        delta("dora", Some(introduction("dora", v6())), Span::After(Version(0)), [1, 0, 1], first),
    ]
}

/// A value with three seconds to live, an ephemeral one, and one that is both.
fn lives() -> Delta {
    let mut delta = deltas().swap_remove(2);
    delta.entries = vec![entry("a", Some("1"), 1), entry("b", Some("2"), 1), entry("c", Some("3"), 1)];
    for (place, expires, is_ephemeral) in [(0, true, false), (1, false, true), (2, true, true)] {
        let entry = &mut delta.entries[place].1;
        entry.is_ephemeral = is_ephemeral;
        entry.expires = if expires { Moment::from_micros(3_000_000) } else { Moment::NEVER };
    }
    delta
}

/// That a node was forgotten an hour ago, which is remembered for two.
fn forgotten() -> Delta {
    let head = Head { generation: Generation(LIFE), heartbeat: Heartbeat(1_000) };
    let (entered, until) = (Moment::from_micros(-3_600_000_000), Moment::from_micros(7_200_000_000));
    Delta::forgotten(id("bob"), Certificate { name: NodeName::new("bob").unwrap(), head, entered, until })
}

fn bodies() -> Vec<(&'static str, Body)> {
    let (summary, cookie) = (Summary(0x0123_4567_89ab_cdef), Some(Cookie(0xfedc_ba98_7654_3210)));
    let (heads, lines, deltas, large) = (heads(), lines(), deltas(), vec![line("carl", 9)]);
    let (some, window) = (vec![evidence(), acquittal()], Some(window()));
    let share = Some(Share { limit: 900, wants: Share::MOST });
    let syn = |is_pull| Syn {
        is_pull,
        summary,
        heads: heads.clone(),
        evidence: some.clone(),
        lines: lines.clone(),
        sketch: sketch(),
        window: window.clone(),
        cookie,
        share,
    };
    let ack = Ack {
        summary,
        heads: heads.clone(),
        beats: Some(Beats {
            first: 300,
            beats: vec![Beat { round: 40_000, age: Age::of(Duration::from_millis(1_500)) }],
        }),
        evidence: some.clone(),
        lines: lines.clone(),
        deltas: deltas.clone(),
        large: large.clone(),
        has_much: true,
        cookie,
        share,
    };
    let push = Push {
        summary,
        heads: heads.clone(),
        evidence: some.clone(),
        lines: lines.clone(),
        window: window.clone(),
        deltas: deltas.clone(),
        large: large.clone(),
    };
    let rumor =
        Rumor { evidence: some.clone(), lines: lines.clone(), deltas: deltas.clone(), wants_feedback: true };
    let (offset, checksum, bytes) = (900, 0xdead_beef, b"the middle".to_vec());
    let age = Duration::from_millis(1_500);
    let piece = Piece { line: line("ann", 300), total: 70_000, checksum, age, offset, bytes };
    vec![
        ("syn", Body::Syn(syn(false))),
        ("pull", Body::Syn(syn(true))),
        ("ack", Body::Ack(ack)),
        ("ack2", Body::Ack2(News { deltas, large, has_much: true })),
        ("ack2_lives", Body::Ack2(News { deltas: vec![lives()], ..News::default() })),
        ("ack2_forgotten", Body::Ack2(News { deltas: vec![forgotten()], ..News::default() })),
        ("refusal", Body::Refusal(Refusal { clock: WallClock(LIFE), others: vec![v4(), v6()] })),
        ("help", Body::Help(evidence())),
        ("report", Body::Report(acquittal())),
        ("push", Body::Push(push)),
        ("rumor", Body::Rumor(rumor)),
        ("ask", Body::Ask(lines.clone())),
        ("fetch", Body::Fetch(Fetch { lines, window })),
        ("fetch_pieces", Body::FetchPieces(FetchPieces { line: line("ann", 300), offset, count: 16 })),
        ("piece", Body::Piece(piece)),
        ("who", Body::Who(Instance(0x1122_3344_5566_7788))),
        ("namesake_nobody", Body::Namesake(Namesake::Nobody)),
        ("namesake_me", Body::Namesake(Namesake::Me(Instance(0x8877_6655_4433_2211)))),
        ("namesake_at", Body::Namesake(Namesake::At(v6()))),
    ]
}

fn messages() -> impl Iterator<Item = (&'static str, Message)> {
    let head = Head { generation: Generation(LIFE), heartbeat: Heartbeat(1_000) };
    let sender = Sender { id: id("carl"), head, max: Version(9) };
    bodies().into_iter().map(move |(name, body)| (name, Message { sender, exchange: 0x0a0b_0c0d, body }))
}

/// `bytes` with the frame and each section on a line of its own.
fn picture(name: &str, bytes: &[u8]) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    let mut text = format!("# {name}\n{} # 'T', version, highest version, kind\n", hex(&bytes[..4]));
    writeln!(text, "{} # cluster tag\n{} # checksum", hex(&bytes[4..8]), hex(&bytes[8..12])).unwrap();
    let mut rest = Reader::new(&bytes[12..]);
    let mut at = 12;
    while !rest.is_empty() {
        let tag = rest.byte().unwrap();
        let content = rest.counted().unwrap();
        let start = at;
        at = content.as_ptr() as usize - bytes.as_ptr() as usize + content.len();
        writeln!(text, "{} # {}", hex(&bytes[start..at]), section(tag)).unwrap();
    }
    text
}

fn section(tag: u8) -> &'static str {
    const NAMES: [&str; 19] = [
        "sender", "exchange", "summary", "heads", "lines", "window", "deltas", "clock", "others", "evidence",
        "large", "much", "cookie", "pieces", "whose", "sketch", "beats", "feedback", "share",
    ];
    NAMES[usize::from(tag) - 1]
}

/// What such a picture shows.
fn bytes_of(picture: &str) -> Vec<u8> {
    let code = picture.lines().flat_map(|line| line.split('#').next());
    code.flat_map(str::split_whitespace).map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

#[test]
fn r43_golden_messages_are_written_and_read_byte_for_byte() {
    let seal = Seal::new("golden");
    for (name, message) in messages() {
        let golden = expect_file![format!("../golden/{name}.hex")];
        golden.assert_eq(&picture(name, &seal.encode(&message)));
        assert_eq!(seal.decode(&bytes_of(&golden.data())), Ok(message), "{name}");
    }
}

/// A later release speaks the version that both know, says that it reads a higher one, and adds sections.
#[test]
fn r43_golden_messages_of_a_later_release_are_understood() {
    let seal = Seal::new("golden");
    for (name, message) in messages() {
        let mut bytes = seal.encode(&message);
        bytes[2] = PROTOCOL_VERSION + 1;
        bytes.extend([20, 3, 1, 2, 3, 21, 0, 200, 1, 9]);
        seal.reseal(&mut bytes);
        assert_eq!(seal.decode(&bytes), Ok(message), "{name}");
    }
}

#[test]
fn r43_golden_messages_in_a_later_version_are_refused_as_such() {
    let seal = Seal::new("golden");
    for (name, message) in messages() {
        let mut bytes = seal.encode(&message);
        (bytes[1], bytes[2]) = (PROTOCOL_VERSION + 1, PROTOCOL_VERSION + 1);
        seal.reseal(&mut bytes);
        let refused = seal.decode(&bytes).unwrap_err();
        assert_eq!(refused, WireError::Version(PROTOCOL_VERSION + 1), "{name}");
        assert_eq!(refused.reason(), "version");
    }
}
