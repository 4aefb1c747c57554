//! The parts of messages as bytes. Reading is strict: what an honest sender can't have written is an error.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::certificate::{read_certificate, write_certificate};
use super::{Reader, WireError, Writer, size};
use crate::delta::{Delta, Introduction, Span};
use crate::entry::{Entry, Key, Lifetime, Value};
use crate::message::{
    Age, Beat, Beats, Cell, Cookie, Evidence, FetchPieces, HeadLine, Instance, Line, Namesake, Piece, Sender,
    Share, Window,
};
use crate::name::{NodeId, NodeName};
use crate::time::{Moment, millis};
use crate::version::{Generation, Head, Heartbeat, Version};

const RESET: u8 = 0b01;
const INTRODUCED: u8 = 0b10;
pub(super) const FORGOTTEN: u8 = 0b100;
const TOMBSTONE: u8 = 0b001;
const EXPIRES: u8 = 0b010;
const EPHEMERAL: u8 = 0b100;

pub(super) fn write_sender(out: &mut Writer, sender: &Sender) {
    out.word(sender.id.0);
    out.varint(sender.head.generation.0);
    out.varint(sender.head.heartbeat.0);
    out.varint(sender.max.0);
}

pub(super) fn read_sender(bytes: &mut Reader<'_>) -> Result<Sender, WireError> {
    let id = NodeId(bytes.word()?);
    let generation = known_generation(bytes.varint()?)?;
    let heartbeat = Heartbeat(bytes.varint()?);
    Ok(Sender { id, head: Head { generation, heartbeat }, max: Version(bytes.varint()?) })
}

/// In columns: ids, then generations above the lowest one, then heartbeats, then ages.
pub(super) fn write_heads(out: &mut Writer, heads: &[HeadLine]) {
    let lowest = heads.iter().map(|head| head.generation.0).min().unwrap_or(0);
    out.varint(heads.len() as u64);
    out.varint(lowest);
    heads.iter().for_each(|head| out.word(head.id.0));
    heads.iter().for_each(|head| out.varint(head.generation.0 - lowest));
    heads.iter().for_each(|head| out.varint(head.heartbeat.0));
    heads.iter().for_each(|head| out.varint(millis(head.age)));
}

pub(super) fn read_heads(bytes: &mut Reader<'_>) -> Result<Vec<HeadLine>, WireError> {
    let count = bytes.count(11)?;
    let lowest = bytes.varint()?;
    let blank =
        HeadLine { id: NodeId(0), generation: Generation(0), heartbeat: Heartbeat(0), age: Duration::ZERO };
    let mut heads = vec![blank; count];
    for head in &mut heads {
        head.id = NodeId(bytes.word()?);
    }
    for head in &mut heads {
        head.generation = Generation(bytes.varint()?);
    }
    for head in &mut heads {
        head.heartbeat = Heartbeat(bytes.varint()?);
    }
    for head in &mut heads {
        head.age = Duration::from_millis(bytes.varint()?);
    }
    if heads.iter().all(|head| head.generation > Generation(0)) {
        return Err(WireError::Malformed("a lowest generation that is none"));
    }
    for head in &mut heads {
        let generation = lowest.checked_add(head.generation.0);
        head.generation =
            known_generation(generation.ok_or(WireError::Malformed("a generation above 64 bits"))?)?;
    }
    Ok(heads)
}

/// At most one run of beats.
pub(super) fn write_beats(out: &mut Writer, runs: &[Beats]) {
    for Beats { first, beats } in runs {
        out.varint(u64::from(*first));
        out.varint(beats.len() as u64);
        for Beat { round, age } in beats {
            out.raw(&round.to_be_bytes());
            out.byte(age.0);
        }
    }
}

pub(super) fn read_beats(bytes: &mut Reader<'_>) -> Result<Beats, WireError> {
    let (first, count) = (read_half(bytes)?, bytes.count(3)?);
    let beats = list(count, || Ok(Beat { round: bytes.quarter()?, age: Age(bytes.byte()?) }))?;
    if beats.is_empty() { Err(WireError::Malformed("a run of no beats")) } else { Ok(Beats { first, beats }) }
}

pub(super) fn known_generation(number: u64) -> Result<Generation, WireError> {
    if number == 0 { Err(WireError::Malformed("a generation of zero")) } else { Ok(Generation(number)) }
}

pub(super) fn write_evidence(out: &mut Writer, evidence: &[Evidence]) {
    out.varint(evidence.len() as u64);
    for Evidence { head, since, until, accusers } in evidence {
        out.word(head.id.0);
        let numbers = [head.generation.0, head.heartbeat.0, millis(head.age), millis(*since), millis(*until)];
        numbers.into_iter().for_each(|number| out.varint(number));
        out.varint(accusers.len() as u64);
        for (accuser, failed) in accusers {
            out.word(accuser.0);
            out.varint(u64::from(*failed));
        }
    }
}

pub(super) fn read_evidence(bytes: &mut Reader<'_>) -> Result<Vec<Evidence>, WireError> {
    let count = bytes.count(14)?;
    let mut read = || {
        let id = NodeId(bytes.word()?);
        let (generation, heartbeat) = (known_generation(bytes.varint()?)?, Heartbeat(bytes.varint()?));
        let mut age = || bytes.varint().map(Duration::from_millis);
        let (age, since, until) = (age()?, age()?, age()?);
        let accusers = (0..bytes.count(9)?).map(|_| {
            let accuser = NodeId(bytes.word()?);
            Ok((accuser, read_half(bytes)?))
        });
        let accusers = accusers.collect::<Result<_, _>>()?;
        Ok(Evidence { head: HeadLine { id, generation, heartbeat, age }, since, until, accusers })
    };
    (0..count).map(|_| read()).collect()
}

pub(super) fn read_one_evidence(bytes: &mut Reader<'_>) -> Result<Evidence, WireError> {
    let mut evidence = read_evidence(bytes)?;
    let only = evidence.pop().filter(|_| evidence.is_empty());
    only.ok_or(WireError::Malformed("evidence against none, or several"))
}

pub(super) fn write_lines(out: &mut Writer, lines: &[Line]) {
    out.varint(lines.len() as u64);
    lines.iter().for_each(|line| write_line(out, line));
}

pub(super) fn read_lines(bytes: &mut Reader<'_>) -> Result<Vec<Line>, WireError> {
    let count = bytes.count(10)?;
    list(count, || read_line(bytes))
}

/// At most one window.
pub(super) fn write_windows(out: &mut Writer, windows: &[Window]) {
    for window in windows {
        out.word(window.first.0);
        out.word(window.last.0);
        write_lines(out, &window.lines);
    }
}

/// At most one cookie.
pub(super) fn write_cookies(out: &mut Writer, cookies: &[Cookie]) {
    cookies.iter().for_each(|cookie| out.word(cookie.0));
}

/// At most one share.
pub(super) fn write_shares(out: &mut Writer, shares: &[Share]) {
    for share in shares {
        out.varint(share.limit.into());
        out.varint(share.wants.into());
    }
}

pub(super) fn read_share(bytes: &mut Reader<'_>) -> Result<Share, WireError> {
    let share = Share { limit: read_half(bytes)?, wants: read_half(bytes)? };
    let is_told = share.limit <= Share::MOST && share.wants <= Share::MOST;
    if is_told { Ok(share) } else { Err(WireError::Malformed("a share above the most")) }
}

fn write_line(out: &mut Writer, line: &Line) {
    out.word(line.id.0);
    out.varint(line.generation.0);
    out.varint(line.max.0);
}

fn read_line(bytes: &mut Reader<'_>) -> Result<Line, WireError> {
    let id = NodeId(bytes.word()?);
    let line = Line { id, generation: Generation(bytes.varint()?), max: Version(bytes.varint()?) };
    let unknown = line.known().is_none() && line.max > Version(0);
    if unknown { Err(WireError::Malformed("a version of an unknown owner")) } else { Ok(line) }
}

pub(super) fn write_cells(out: &mut Writer, cells: &[Cell]) {
    out.varint(cells.len() as u64);
    for cell in cells {
        out.word(cell.id);
        out.varint(cell.generation);
        out.varint(cell.max);
        out.half(cell.check);
    }
}

pub(super) fn read_cells(bytes: &mut Reader<'_>) -> Result<Vec<Cell>, WireError> {
    let count = bytes.count(size::SMALLEST_CELL)?;
    list(count, || {
        let (id, generation, max) = (bytes.word()?, bytes.varint()?, bytes.varint()?);
        Ok(Cell { id, generation, max, check: bytes.half()? })
    })
}

/// So many items; the bytes at hand have paid for them.
fn list<T>(count: usize, mut read: impl FnMut() -> Result<T, WireError>) -> Result<Vec<T>, WireError> {
    let mut items = Vec::with_capacity(count);
    for _ in 0..count {
        items.push(read()?);
    }
    Ok(items)
}

/// A number of at most 32 bits.
fn read_half(bytes: &mut Reader<'_>) -> Result<u32, WireError> {
    u32::try_from(bytes.varint()?).map_err(|_| WireError::Malformed("a number above 32 bits"))
}

pub(super) fn write_fetch_pieces(out: &mut Writer, fetch: &FetchPieces) {
    write_line(out, &fetch.line);
    out.varint(fetch.offset.into());
    out.varint(fetch.count.into());
}

pub(super) fn read_fetch_pieces(bytes: &mut Reader<'_>) -> Result<FetchPieces, WireError> {
    Ok(FetchPieces { line: read_line(bytes)?, offset: read_half(bytes)?, count: read_half(bytes)? })
}

pub(super) fn write_piece(out: &mut Writer, piece: &Piece) {
    write_line(out, &piece.line);
    out.varint(piece.total.into());
    out.half(piece.checksum);
    out.varint(millis(piece.age));
    out.varint(piece.offset.into());
    out.counted(&piece.bytes);
}

pub(super) fn read_piece(bytes: &mut Reader<'_>) -> Result<Piece, WireError> {
    let (line, total, checksum) = (read_line(bytes)?, read_half(bytes)?, bytes.half()?);
    let (age, offset) = (Duration::from_millis(bytes.varint()?), read_half(bytes)?);
    let bytes = bytes.counted()?.to_vec();
    let end = u64::from(offset) + bytes.len() as u64;
    if bytes.is_empty() || end > total.into() {
        return Err(WireError::Malformed("a piece beyond the whole"));
    }
    Ok(Piece { line, total, checksum, age, offset, bytes })
}

pub(super) fn write_namesake(out: &mut Writer, namesake: &Namesake) {
    match namesake {
        Namesake::Nobody => out.byte(0),
        Namesake::Me(instance) => {
            out.byte(1);
            out.word(instance.0);
        }
        Namesake::At(address) => {
            out.byte(2);
            write_address(out, *address);
        }
    }
}

pub(super) fn read_namesake(bytes: &mut Reader<'_>) -> Result<Namesake, WireError> {
    match bytes.byte()? {
        0 => Ok(Namesake::Nobody),
        1 => bytes.word().map(|word| Namesake::Me(Instance(word))),
        2 => read_address(bytes).map(Namesake::At),
        _ => Err(WireError::Malformed("an unknown kind of namesake")),
    }
}

pub(super) fn read_window(bytes: &mut Reader<'_>) -> Result<Window, WireError> {
    let (first, last) = (NodeId(bytes.word()?), NodeId(bytes.word()?));
    let window = Window { first, last, lines: read_lines(bytes)? };
    let inside = window.lines.iter().all(|line| (first..=last).contains(&line.id) && line.known().is_some());
    let sorted = window.lines.is_sorted_by(|a, b| a.id < b.id);
    if first <= last && inside && sorted {
        Ok(window)
    } else {
        Err(WireError::Malformed("a window out of order"))
    }
}

pub(super) fn write_deltas(out: &mut Writer, deltas: &[Delta]) {
    out.varint(deltas.len() as u64);
    for delta in deltas {
        write_delta(out, delta);
    }
}

pub(super) fn read_deltas(bytes: &mut Reader<'_>) -> Result<Vec<Delta>, WireError> {
    let count = bytes.count(15)?;
    list(count, || read_delta(bytes))
}

/// A delta by itself, as bytes.
pub(crate) fn write_one_delta(delta: &Delta) -> Vec<u8> {
    let mut out = Writer::default();
    write_delta(&mut out, delta);
    out.into_bytes()
}

/// The delta that `bytes` are, and nothing else.
pub(crate) fn read_one_delta(bytes: &[u8]) -> Result<Delta, WireError> {
    let mut bytes = Reader::new(bytes);
    let delta = read_delta(&mut bytes)?;
    if bytes.is_empty() { Ok(delta) } else { Err(WireError::Malformed("a delta with a rest")) }
}

fn write_delta(out: &mut Writer, delta: &Delta) {
    out.word(delta.owner.0);
    if let Span::Forgotten(certificate) = &delta.span {
        return write_certificate(out, certificate);
    }
    let reset = if delta.span == Span::Reset { RESET } else { 0 };
    let introduced = if delta.introduction.is_some() { INTRODUCED } else { 0 };
    out.byte(reset | introduced);
    let numbers = [delta.generation.0, delta.after().0, delta.gc.0, delta.through.0, delta.max.0];
    numbers.into_iter().for_each(|number| out.varint(number));
    if let Some(who) = &delta.introduction {
        out.counted(who.name.as_str().as_bytes());
        write_address(out, who.address);
        out.varint(who.heartbeat.0);
        out.varint(millis(who.age));
    }
    out.varint(delta.entries.len() as u64);
    let mut before = delta.after();
    for (key, entry) in &delta.entries {
        write_entry(out, before, key, entry);
        before = entry.version;
    }
}

fn read_delta(bytes: &mut Reader<'_>) -> Result<Delta, WireError> {
    let owner = NodeId(bytes.word()?);
    let flags = bytes.byte()?;
    if flags == FORGOTTEN {
        return Ok(Delta::forgotten(owner, read_certificate(bytes)?));
    }
    if flags & !(RESET | INTRODUCED) != 0 {
        return Err(WireError::Malformed("an unknown kind of delta"));
    }
    let generation = known_generation(bytes.varint()?)?;
    let after = Version(bytes.varint()?);
    let span = if flags & RESET == 0 { Span::After(after) } else { Span::Reset };
    let (gc, through, max) = (Version(bytes.varint()?), Version(bytes.varint()?), Version(bytes.varint()?));
    let introduction = if flags & INTRODUCED == 0 { None } else { Some(read_introduction(bytes)?) };
    // A run begins above all that was collected; a reset goes all the way.
    let in_order = match &span {
        Span::After(after) => (gc <= *after || flaw!(StaleTaken)) && *after <= through && through <= max,
        Span::Forgotten(_) => false,
        Span::Reset => after == Version(0) && gc <= through && (through == max || flaw!(ResetCut)),
    };
    if !in_order || introduction.is_some() != (after == Version(0)) {
        return Err(WireError::Malformed("a delta whose versions are out of order"));
    }
    let count = bytes.count(4)?;
    let mut entries = Vec::with_capacity(count);
    let mut before = after;
    for _ in 0..count {
        let (key, entry) = read_entry(bytes, before, through)?;
        before = entry.version;
        entries.push((key, entry));
    }
    if repeats_a_key(&entries) {
        return Err(WireError::Malformed("a delta that names a key twice"));
    }
    Ok(Delta { owner, generation, introduction, span, through, gc, max, entries })
}

pub(super) fn read_name(bytes: &mut Reader<'_>) -> Result<NodeName, WireError> {
    let name = text(bytes.counted()?)?;
    NodeName::new(name).map_err(|_| WireError::Malformed("a node name out of bounds"))
}

fn repeats_a_key(entries: &[(Key, Entry)]) -> bool {
    let mut keys: Vec<&str> = entries.iter().map(|(key, _)| key.as_str()).collect();
    keys.sort_unstable();
    keys.windows(2).any(|pair| pair[0] == pair[1])
}

fn read_introduction(bytes: &mut Reader<'_>) -> Result<Introduction, WireError> {
    let name = read_name(bytes)?;
    let address = read_address(bytes)?;
    let heartbeat = Heartbeat(bytes.varint()?);
    Ok(Introduction { name, address, heartbeat, age: Duration::from_millis(bytes.varint()?) })
}

/// Writes an entry that follows one of version `before`.
pub fn write_entry(out: &mut Writer, before: Version, key: &Key, entry: &Entry) {
    let expires = entry.expires != Moment::NEVER;
    let flags = [(entry.value.is_none(), TOMBSTONE), (expires, EXPIRES), (entry.is_ephemeral, EPHEMERAL)];
    out.byte(flags.iter().filter(|(is_so, _)| *is_so).map(|(_, flag)| flag).sum());
    out.varint(entry.version.0 - before.0);
    if expires {
        out.varint(millis(entry.expires.since(Moment::default())));
    }
    out.counted(key.as_str().as_bytes());
    if let Some(value) = &entry.value {
        out.counted(value.as_bytes());
    }
}

/// Reads an entry that follows one of version `before`, and is not above `through`.
///
/// # Errors
/// The bytes are no such entry.
pub fn read_entry(
    bytes: &mut Reader<'_>,
    before: Version,
    through: Version,
) -> Result<(Key, Entry), WireError> {
    let flags = bytes.byte()?;
    let ends = flags & (EXPIRES | EPHEMERAL) != 0;
    if flags & !(TOMBSTONE | EXPIRES | EPHEMERAL) != 0 || (flags & TOMBSTONE != 0 && ends) {
        return Err(WireError::Malformed("an unknown kind of entry"));
    }
    let version = before.0.checked_add(bytes.varint()?).map(Version);
    let version = version.filter(|&version| version > Version(0) && version <= through);
    let version = version.ok_or(WireError::Malformed("an entry above its delta"))?;
    let expires = if flags & EXPIRES == 0 { Moment::NEVER } else { read_life(bytes)? };
    let key = text(bytes.counted()?)?;
    let key = Key::new(key).map_err(|_| WireError::Malformed("a key out of bounds"))?;
    let value = if flags & TOMBSTONE == 0 { Some(bytes.counted()?) } else { None };
    if value.is_some_and(|value| value.len() > Value::MAX_LEN) {
        return Err(WireError::Malformed("a value out of bounds"));
    }
    let (value, is_ephemeral) = (value.map(Value::from), flags & EPHEMERAL != 0);
    Ok((key, Entry { value, version, expires, is_ephemeral }))
}

/// The life that a value has left, as a deadline on a clock that begins now.
fn read_life(bytes: &mut Reader<'_>) -> Result<Moment, WireError> {
    let left = Duration::from_millis(bytes.varint()?);
    let is_possible = Lifetime::ttl(left).check().is_ok();
    if is_possible { Ok(Moment::default() + left) } else { Err(WireError::Malformed("a life out of bounds")) }
}

fn text(bytes: &[u8]) -> Result<&str, WireError> {
    std::str::from_utf8(bytes).map_err(|_| WireError::Malformed("text that is not UTF-8"))
}

/// Writes a count and so many addresses.
pub fn write_addresses(out: &mut Writer, addresses: &[SocketAddr]) {
    out.varint(addresses.len() as u64);
    addresses.iter().for_each(|&address| write_address(out, address));
}

/// Reads a count and so many addresses.
///
/// # Errors
/// The bytes are no such list, or one of them is no address that a node can be reached at.
pub fn read_addresses(bytes: &mut Reader<'_>) -> Result<Vec<SocketAddr>, WireError> {
    let count = bytes.count(7)?;
    (0..count).map(|_| read_address(bytes)).collect()
}

/// Writes an address: 4 or 6, its bytes, its port.
fn write_address(out: &mut Writer, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => {
            out.byte(4);
            out.raw(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out.byte(6);
            out.raw(&ip.octets());
        }
    }
    out.raw(&address.port().to_be_bytes());
}

fn read_address(bytes: &mut Reader<'_>) -> Result<SocketAddr, WireError> {
    let ip: IpAddr = match bytes.byte()? {
        4 => Ipv4Addr::from(bytes.half()?).into(),
        6 => {
            let (high, low) = (bytes.word()?, bytes.word()?);
            Ipv6Addr::from(u128::from(high) << 64 | u128::from(low)).into()
        }
        _ => return Err(WireError::Malformed("an unknown kind of address")),
    };
    let port = bytes.quarter()?;
    if port == 0 || ip.is_unspecified() || ip.is_multicast() {
        return Err(WireError::Malformed("an address that no node can have"));
    }
    Ok(SocketAddr::new(ip, port))
}
