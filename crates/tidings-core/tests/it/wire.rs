//! Every message survives the wire, nothing else is one, and no message is larger than allowed.

use std::net::SocketAddr;
use std::time::Duration;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use tidings_core::wire::{Frames, WireError, frame};
use tidings_core::{
    Ack, Age, Beat, Beats, Body, Cell, Certificate, Config, Cookie, Delta, Entry, Evidence, Fetch,
    FetchPieces, Generation, Gossiper, Head, HeadLine, Heartbeat, Identity, Instance, Introduction, Key,
    Line, Message, Mode, Moment, Namesake, News, NodeId, NodeName, Peer, Piece, Push, Refusal, Rumor, Seal,
    Sender, Share, Span, Summary, Syn, Time, Transmit, Value, Version, WallClock, Window,
};

fn line() -> impl Strategy<Value = Line> {
    let known = (any::<u64>(), 1..u64::MAX, any::<u64>());
    let known =
        known.prop_map(|(id, g, max)| Line { id: NodeId(id), generation: Generation(g), max: Version(max) });
    prop_oneof![4 => known, 1 => any::<u64>().prop_map(|id| Line::unknown(NodeId(id)))]
}

fn head() -> impl Strategy<Value = Head> {
    (1..u64::MAX, any::<u64>()).prop_map(|(g, h)| Head { generation: Generation(g), heartbeat: Heartbeat(h) })
}

fn head_line() -> impl Strategy<Value = HeadLine> {
    (any::<u64>(), head(), any::<u32>()).prop_map(|(id, head, age)| HeadLine {
        id: NodeId(id),
        generation: head.generation,
        heartbeat: head.heartbeat,
        age: Duration::from_millis(age.into()),
    })
}

fn evidence() -> impl Strategy<Value = Evidence> {
    let accusers = vec((any::<u64>().prop_map(NodeId), any::<u32>()), 0..20);
    (head_line(), any::<[u32; 2]>(), accusers).prop_map(|(head, [since, until], accusers)| Evidence {
        head,
        since: Duration::from_millis(since.into()),
        until: Duration::from_millis(until.into()),
        accusers,
    })
}

fn cells() -> impl Strategy<Value = Vec<Cell>> {
    let cell = (any::<u64>(), any::<u64>(), any::<u64>(), any::<u32>());
    vec(cell.prop_map(|(id, generation, max, check)| Cell { id, generation, max, check }), 0..9)
}

fn window() -> impl Strategy<Value = Window> {
    btree_map(any::<u64>(), (1..u64::MAX, any::<u64>()), 0..9).prop_map(|lines| Window {
        first: NodeId(lines.keys().next().copied().unwrap_or(3)),
        last: NodeId(lines.keys().next_back().copied().unwrap_or(4)),
        lines: lines
            .into_iter()
            .map(|(id, (g, max))| Line { id: NodeId(id), generation: Generation(g), max: Version(max) })
            .collect(),
    })
}

fn address() -> impl Strategy<Value = SocketAddr> {
    let v4 = (1..=223_u8, any::<[u8; 3]>()).prop_map(|(a, [b, c, d])| [a, b, c, d].into());
    let v6 = any::<[u16; 7]>().prop_map(|[b, c, d, e, f, g, h]| [0xfd00, b, c, d, e, f, g, h].into());
    (prop_oneof![v4, v6], 1..=u16::MAX)
        .prop_map(|(ip, port): (std::net::IpAddr, u16)| SocketAddr::new(ip, port))
}

fn introduction() -> impl Strategy<Value = Introduction> {
    ("[A-Za-z0-9._-]{1,64}", address(), any::<u64>(), any::<u32>()).prop_map(|(name, address, h, age)| {
        Introduction {
            name: NodeName::new(&name).unwrap(),
            address,
            heartbeat: Heartbeat(h),
            age: Duration::from_millis(age.into()),
        }
    })
}

/// Ten years, in milliseconds.
const LONGEST: i64 = 10 * 365 * 24 * 3_600 * 1_000;

fn forgotten() -> impl Strategy<Value = Delta> {
    let numbers = (any::<u64>(), 1..u64::MAX, 0..1_u64 << 63, 0..=LONGEST, 0..=LONGEST);
    ("[A-Za-z0-9._-]{1,64}", numbers).prop_map(|(name, (owner, generation, heartbeat, age, left))| {
        let name = NodeName::new(&name).unwrap();
        let head = Head { generation: Generation(generation), heartbeat: Heartbeat(heartbeat) };
        let (entered, until) = (Moment::from_micros(-1_000 * age), Moment::from_micros(1_000 * left));
        Delta::forgotten(NodeId(owner), Certificate { name, head, entered, until })
    })
}

fn delta() -> impl Strategy<Value = Delta> {
    prop_oneof![5 => replicated(), 1 => forgotten()]
}

fn replicated() -> impl Strategy<Value = Delta> {
    let entries = btree_set("[a-zé/]{1,12}", 0..5);
    let value = (option::of(vec(any::<u8>(), 0..40)), option::of(1..=LONGEST), any::<bool>());
    let values = vec((0..3_u64, value), 5);
    let numbers = (any::<u64>(), 1..u64::MAX, 0..1_000_u64, 0..1_000_u64, any::<bool>());
    (introduction(), entries, values, numbers).prop_map(
        |(who, keys, values, (owner, g, base, more, reset))| {
            let after = if reset { 0 } else { base };
            let mut version = after;
            let mut entries = Vec::new();
            for (key, (step, (value, life, is_ephemeral))) in keys.iter().zip(values) {
                version += step.max(u64::from(version == 0));
                let entry = Entry::new(value.map(Value::from), Version(version));
                let expires = life.map_or(Moment::NEVER, |life| Moment::from_micros(life * 1_000));
                let is_tombstone = entry.value.is_none();
                let entry = if is_tombstone { entry } else { Entry { expires, is_ephemeral, ..entry } };
                entries.push((Key::new(key).unwrap(), entry));
            }
            Delta {
                owner: NodeId(owner),
                generation: Generation(g),
                introduction: (after == 0).then_some(who),
                span: if reset { Span::Reset } else { Span::After(Version(after)) },
                through: Version(version + more),
                gc: Version(if reset { more } else { more.min(after) }),
                max: Version(version + if reset { more } else { 2 * more }),
                entries,
            }
        },
    )
}

fn message() -> impl Strategy<Value = Message> {
    let sender = (any::<u64>(), head(), any::<u64>());
    let sender = sender.prop_map(|(id, head, max)| Sender { id: NodeId(id), head, max: Version(max) });
    let signs = || (vec(head_line(), 0..9), vec(evidence(), 0..3));
    let lines = || vec(line(), 0..9);
    let cookie = || option::of(any::<u64>().prop_map(Cookie));
    let share =
        || option::of((0..=Share::MOST, 0..=Share::MOST).prop_map(|(limit, wants)| Share { limit, wants }));
    let syn =
        (any::<bool>(), any::<u64>(), signs(), lines(), cells(), option::of(window()), (cookie(), share()));
    let syn = syn.prop_map(|(is_pull, s, (heads, evidence), lines, sketch, window, (cookie, share))| {
        Body::Syn(Syn { is_pull, summary: Summary(s), heads, evidence, lines, sketch, window, cookie, share })
    });
    let ack =
        (any::<u64>(), signs(), lines(), vec(delta(), 0..4), lines(), any::<bool>(), (cookie(), share()));
    let ack = ack.prop_map(|(s, (heads, evidence), lines, deltas, large, has_much, (cookie, share))| {
        let beats = Some(Beats {
            first: 3,
            beats: s.to_be_bytes().map(|byte| Beat { round: u16::from(byte) << 7, age: Age(byte) }).to_vec(),
        })
        .filter(|_| heads.is_empty());
        let summary = Summary(s);
        Body::Ack(Ack { summary, heads, beats, evidence, lines, deltas, large, has_much, cookie, share })
    });
    let ack2 = (vec(delta(), 0..4), lines(), any::<bool>())
        .prop_map(|(deltas, large, has_much)| Body::Ack2(News { deltas, large, has_much }));
    let push = (any::<u64>(), signs(), lines(), option::of(window()), vec(delta(), 0..4), lines());
    let push = push.prop_map(|(s, (heads, evidence), lines, window, deltas, large)| {
        Body::Push(Push { summary: Summary(s), heads, evidence, lines, window, deltas, large })
    });
    let rumor = (vec(evidence(), 0..3), lines(), vec(delta(), 0..4), any::<bool>());
    let rumor = rumor.prop_map(|(evidence, lines, deltas, wants_feedback)| {
        Body::Rumor(Rumor { evidence, lines, deltas, wants_feedback })
    });
    let rumors = prop_oneof![rumor, vec(line(), 1..9).prop_map(Body::Ask)];
    let fetch = (lines(), option::of(window()));
    let fetch = fetch.prop_map(|(lines, window)| Body::Fetch(Fetch { lines, window }));
    let fetch_pieces = (line(), any::<u32>(), any::<u32>());
    let fetch_pieces =
        fetch_pieces.prop_map(|(line, offset, count)| Body::FetchPieces(FetchPieces { line, offset, count }));
    let piece = (line(), any::<u32>(), 0..100_000_u64, 0..1_000_u32, 0..1_000_u32, vec(any::<u8>(), 1..40));
    let piece = piece.prop_map(|(line, checksum, age, offset, more, bytes)| {
        let total = offset + u32::try_from(bytes.len()).unwrap() + more;
        let age = Duration::from_millis(age);
        Body::Piece(Piece { line, total, checksum, age, offset, bytes })
    });
    let who = any::<u64>().prop_map(|word| Body::Who(Instance(word)));
    let namesake = prop_oneof![
        any::<u64>().prop_map(|word| Namesake::Me(Instance(word))),
        address().prop_map(Namesake::At),
        Just(Namesake::Nobody),
    ];
    let streams = prop_oneof![fetch, fetch_pieces, piece];
    let names = prop_oneof![who, namesake.prop_map(Body::Namesake)];
    let refusal = (any::<u64>(), vec(address(), 0..4))
        .prop_map(|(clock, others)| Body::Refusal(Refusal { clock: WallClock(clock), others }));
    let (help, report) = (evidence().prop_map(Body::Help), evidence().prop_map(Body::Report));
    (sender, any::<u32>(), prop_oneof![syn, ack, ack2, push, refusal, help, report, rumors, streams, names])
        .prop_map(|(sender, exchange, body)| Message { sender, exchange, body })
}

fn now() -> Time {
    Time { moment: Moment::from_micros(5_000_000), wall: WallClock(1_800_000_000_000) }
}

fn gossiper(datagram: usize, mode: Mode) -> Gossiper {
    let me = Identity { name: NodeName::new("me").unwrap(), address: ([10, 0, 0, 1], 1).into(), saved: None };
    let mut node = Gossiper::new(Config { datagram, mode, ..Config::new("test") }, me, 1, now()).unwrap();
    node.handle_timeout(now());
    assert!(node.has_begun());
    node
}

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::PushPull), Just(Mode::Push), Just(Mode::Pull)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn every_message_survives_the_wire(message in message()) {
        let seal = Seal::new("test");
        prop_assert_eq!(seal.decode(&seal.encode(&message)), Ok(message));
    }

    #[test]
    fn another_cluster_reads_nothing(message in message()) {
        let bytes = Seal::new("test").encode(&message);
        prop_assert_eq!(Seal::new("other").decode(&bytes), Err(WireError::Cluster));
    }

    #[test]
    fn a_flipped_bit_is_seen(message in message(), at in any::<prop::sample::Index>()) {
        let seal = Seal::new("test");
        let mut bytes = seal.encode(&message);
        let bit = at.index(8 * bytes.len());
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(seal.decode(&bytes).is_err(), "bit {}", bit);
    }

    #[test]
    fn a_message_cut_short_is_none(message in message(), at in any::<prop::sample::Index>()) {
        let seal = Seal::new("test");
        let bytes = seal.encode(&message);
        prop_assert!(seal.decode(&bytes[..at.index(bytes.len())]).is_err());
    }

    /// Bytes with a proper checksum, but changed before it was made: they are refused, or harmless.
    #[test]
    fn no_bytes_make_decoding_or_hearing_panic(
        message in message(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        tail in vec(any::<u8>(), 0..6),
        mode in mode(),
    ) {
        let seal = Seal::new("test");
        let mut bytes = seal.encode(&message);
        bytes.extend(tail);
        for (at, byte) in changes {
            let at = 12 + at.index(bytes.len() - 12);
            bytes[at] = byte;
        }
        seal.reseal(&mut bytes);
        if let Ok(message) = seal.decode(&bytes) {
            let mut node = gossiper(1_200, mode);
            let from = ([10, 0, 0, 9], 9).into();
            let _ = node.handle_message(now(), Peer::Datagram { from, len: bytes.len() }, message.clone());
            let mut paid = 0;
            while let Some(answer) = node.poll_transmit() {
                let Transmit::Datagram { to, message } = answer else { continue };
                prop_assert!(seal.encode(&message).len() <= 1_200);
                paid += if to == from { seal.encode(&message).len() } else { 0 };
            }
            prop_assert!(paid <= 3 * bytes.len(), "{} for {} bytes of {:?}", paid, bytes.len(), message);
            let stream = node.handle_stream(now()).unwrap();
            let _ = node.handle_message(now(), Peer::Stream { stream, len: bytes.len() }, message);
        }
    }

    /// R58: whatever a node holds and whatever it is asked, no datagram is larger than configured.
    #[test]
    fn no_datagram_is_larger_than_configured(
        told in vec(delta(), 0..60),
        asked in vec(message(), 1..6),
        datagram in 512..1_500_usize,
        mode in mode(),
    ) {
        let (seal, from) = (Seal::new("test"), SocketAddr::from(([10, 0, 0, 9], 9)));
        let peer = Peer::Datagram { from, len: 65_000 };
        let mut node = gossiper(datagram, mode);
        let believable = |mut message: Message| {
            message.sender.head = Head { generation: Generation(1_799_999_999_999), heartbeat: Heartbeat(1) };
            message.sender.max = Version(9);
            message
        };
        for mut delta in told {
            delta.generation = Generation(1_799_999_999_000);
            if let Some(who) = &mut delta.introduction {
                delta.owner = who.name.id();
                who.heartbeat = Heartbeat(7);
            }
            let message = Message { sender: asked[0].sender, exchange: 1, body: Body::Ack2(News { deltas: vec![delta], ..News::default() }) };
            let _ = node.handle_message(now(), peer, believable(message));
        }
        for message in asked {
            let _ = node.handle_message(now(), peer, believable(message));
        }
        node.handle_seeds(now(), vec![from]);
        // It begins a round, whether it was asked for anything or not.
        for seconds in 0..3 {
            let moment = now().moment + Duration::from_secs(seconds);
            node.handle_timeout(Time { moment, ..now() });
        }
        let mut answers = 0;
        while let Some(answer) = node.poll_transmit() {
            let Transmit::Datagram { message, .. } = answer else { continue };
            let len = seal.encode(&message).len();
            prop_assert!(len <= datagram, "{} of {} bytes: {:?}", len, datagram, message);
            answers += 1;
        }
        prop_assert!(answers > 0);
    }
}

/// All messages that come off a stream whose bytes come in as `parts`.
fn messages_of<'a>(
    seal: &Seal,
    longest: usize,
    parts: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<Message>, WireError> {
    let (mut frames, mut messages) = (Frames::new(longest), Vec::new());
    for part in parts {
        frames.push(part);
        while let Some(bytes) = frames.next_message()? {
            messages.push(seal.decode(&bytes)?);
        }
    }
    if frames.is_mid_message() { Err(WireError::Truncated) } else { Ok(messages) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_stream_cut_anywhere_brings_the_same_messages(
        messages in vec(message(), 0..5),
        cuts in vec(any::<prop::sample::Index>(), 0..9),
    ) {
        let seal = Seal::new("test");
        let stream: Vec<u8> = messages.iter().flat_map(|message| frame(&seal.encode(message))).collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let parts = cuts.windows(2).map(|ends| &stream[ends[0]..ends[1]]);
        prop_assert_eq!(messages_of(&seal, stream.len(), parts), Ok(messages.clone()));
        prop_assert_eq!(messages_of(&seal, stream.len(), stream.chunks(1)), Ok(messages));
    }

    #[test]
    fn a_message_beyond_the_limit_of_its_stream_is_refused(
        before in message(),
        message in message(),
        tail in any::<bool>(),
    ) {
        let seal = Seal::new("test");
        let (first, last) = (seal.encode(&before), seal.encode(&message));
        let longest = first.len().max(last.len());
        // A length alone is enough: nothing of the message has to come in.
        let mut stream = frame(&first);
        stream.extend(u32::try_from(longest + 1).unwrap().to_be_bytes());
        stream.extend(if tail { &last[..] } else { &[] });
        let mut frames = Frames::new(longest);
        frames.push(&stream);
        prop_assert_eq!(frames.next_message(), Ok(Some(first)));
        prop_assert_eq!(frames.next_message(), Err(WireError::TooLong));
        prop_assert_eq!(messages_of(&seal, longest, [&frame(&last)[..]]), Ok(vec![message]));
    }

    #[test]
    fn a_bit_flipped_on_a_stream_is_seen(
        messages in vec(message(), 1..4),
        at in any::<prop::sample::Index>(),
    ) {
        let seal = Seal::new("test");
        let mut stream: Vec<u8> = messages.iter().flat_map(|message| frame(&seal.encode(message))).collect();
        let bit = at.index(8 * stream.len());
        stream[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(messages_of(&seal, 1 << 20, [&stream[..]]).is_err(), "bit {}", bit);
    }
}

/// A later release adds sections: this one skips them.
#[test]
fn sections_that_are_not_known_are_skipped() {
    let seal = Seal::new("test");
    let sender = Sender {
        id: NodeId(1),
        head: Head { generation: Generation(2), heartbeat: Heartbeat(3) },
        max: Version(4),
    };
    let message = Message { sender, exchange: 5, body: Body::Ack2(News::default()) };
    let mut bytes = seal.encode(&message);
    bytes.extend([200, 2, 7, 7]);
    seal.reseal(&mut bytes);
    assert_eq!(seal.decode(&bytes), Ok(message));
}
