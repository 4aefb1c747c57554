//! What no datagram carries, in pieces: the way round where no stream can be had.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use crate::delta::Delta;
use crate::message::{FetchPieces, Line, Piece};
use crate::name::NodeId;
use crate::time::Moment;
use crate::wire;

/// How many pieces are asked for at a time.
const BURST: u32 = 16;
/// How many bytes a piece has at the least, unless it is the last one: less than the smallest datagram gives.
const LEAST: usize = 256;
/// For how long pieces of something are awaited, and at how many bytes in a second beyond that.
const PATIENCE: Duration = Duration::from_secs(15);
const LEAST_RATE: u32 = 32 << 10;

/// Deltas that are put together, by their owners.
///
/// Invariant: at most [`Self::MOST`], each of at most `longest` bytes.
#[derive(Debug)]
pub(crate) struct Assemblies {
    parts: BTreeMap<NodeId, Assembly>,
    longest: usize,
}

/// A delta of which some pieces came in.
#[derive(Debug)]
struct Assembly {
    line: Line,
    to: SocketAddr,
    number: u32,
    /// When it is given up: later, the more there is.
    ends: Moment,
    retry_at: Moment,
    tries: u32,
    /// The length and the checksum of the whole, once a piece came in.
    whole: Option<(u32, u32)>,
    /// What came in without a hole, and what came in beyond one.
    bytes: Vec<u8>,
    ahead: BTreeMap<u32, Vec<u8>>,
    /// How many more pieces of the last burst may come.
    awaited: u32,
}

/// What is to be asked of whom.
pub(crate) struct Request {
    pub to: SocketAddr,
    pub number: u32,
    pub fetch: FetchPieces,
}

/// What a piece led to.
pub(crate) enum Put {
    /// Nobody asked for it.
    Unasked,
    /// More is to come.
    Wait,
    /// More is to be asked for.
    Ask(Request),
    /// It was the last one.
    Whole(Box<Delta>),
    /// The whole is none, or too large.
    Bad(&'static str),
}

impl Assembly {
    fn request(&mut self, retry_at: Moment) -> Request {
        (self.retry_at, self.awaited) = (retry_at, BURST);
        let offset = u32::try_from(self.bytes.len()).expect("no more than a whole");
        Request {
            to: self.to,
            number: self.number,
            fetch: FetchPieces { line: self.line, offset, count: BURST },
        }
    }

    /// Takes `piece`, in whatever order it comes.
    fn take(&mut self, piece: &Piece) {
        let whole = (piece.total, piece.checksum);
        if self.whole.is_none() {
            self.ends = self.ends + Duration::from_secs(u64::from(piece.total / LEAST_RATE));
        }
        if self.whole.replace(whole) != Some(whole) {
            // The owner wrote again: what was cut before is of no use.
            self.bytes.clear();
            self.ahead.clear();
        }
        self.awaited = self.awaited.saturating_sub(1);
        if self.ahead.len() < BURST as usize && piece.offset as usize >= self.bytes.len() {
            self.ahead.insert(piece.offset, piece.bytes.clone());
        }
        while let Some(next) = u32::try_from(self.bytes.len()).ok().and_then(|end| self.ahead.remove(&end)) {
            self.bytes.extend_from_slice(&next);
            self.tries = 0;
        }
    }
}

impl Assemblies {
    const MOST: usize = 4;
    /// How often something is asked for again without an answer.
    const TRIES: u32 = 8;

    pub(crate) fn new(longest: usize) -> Self {
        Self { parts: BTreeMap::new(), longest }
    }

    pub(crate) fn is_fetching(&self, owner: NodeId) -> bool {
        self.parts.contains_key(&owner)
    }

    /// Begins to fetch what comes after `line` from `to`, under `number`; `None` if enough is being fetched.
    pub(crate) fn begin(
        &mut self,
        line: Line,
        to: SocketAddr,
        number: u32,
        now: Moment,
        retry_at: Moment,
    ) -> Option<Request> {
        if self.parts.len() >= Self::MOST || self.is_fetching(line.id) {
            return None;
        }
        let mut assembly = Assembly {
            line,
            to,
            number,
            ends: now + PATIENCE,
            retry_at,
            tries: 0,
            whole: None,
            bytes: Vec::new(),
            ahead: BTreeMap::new(),
            awaited: 0,
        };
        let request = assembly.request(retry_at);
        self.parts.insert(line.id, assembly);
        Some(request)
    }

    /// Takes a piece that came from `from`, under `number`.
    pub(crate) fn put(&mut self, from: SocketAddr, number: u32, piece: &Piece, retry_at: Moment) -> Put {
        let owner = piece.line.id;
        let asked = |assembly: &&mut Assembly| {
            (assembly.to, assembly.number, assembly.line) == (from, number, piece.line)
        };
        let Some(assembly) = self.parts.get_mut(&owner).filter(asked) else { return Put::Unasked };
        let is_last = piece.offset as usize + piece.bytes.len() == piece.total as usize;
        if piece.total as usize > self.longest || (piece.bytes.len() < LEAST && !is_last) {
            self.parts.remove(&owner);
            return Put::Bad("too_large");
        }
        assembly.take(piece);
        if assembly.bytes.len() < piece.total as usize {
            return if assembly.awaited == 0 { Put::Ask(assembly.request(retry_at)) } else { Put::Wait };
        }
        let Some(assembly) = self.parts.remove(&owner) else { return Put::Unasked };
        if crc32fast::hash(&assembly.bytes) != piece.checksum {
            return Put::Bad("checksum");
        }
        match wire::read_one_delta(&assembly.bytes) {
            Ok(mut delta) if delta.owner == owner => {
                delta.entries.iter_mut().for_each(|(_, entry)| *entry = entry.aged(piece.age));
                Put::Whole(Box::new(delta))
            }
            Ok(_) | Err(_) => Put::Bad("malformed"),
        }
    }

    /// What is to be asked for again at `now`. What was asked for too often is given up.
    pub(crate) fn retry(&mut self, now: Moment, retry_at: Moment) -> Vec<Request> {
        for assembly in self.parts.values_mut().filter(|assembly| assembly.retry_at <= now) {
            assembly.tries += 1;
        }
        self.parts.retain(|_, assembly| assembly.tries <= Self::TRIES && assembly.ends > now);
        let due = self.parts.values_mut().filter(|assembly| assembly.retry_at <= now);
        due.map(|assembly| assembly.request(retry_at)).collect()
    }

    pub(crate) fn next_retry(&self) -> Option<Moment> {
        self.parts.values().map(|assembly| assembly.retry_at.min(assembly.ends)).min()
    }
}

/// Deltas as bytes, kept while others ask for their pieces: one after the other, all must be of the same whole.
#[derive(Debug, Default)]
pub(crate) struct Cuts(VecDeque<Cut>);

#[derive(Debug)]
struct Cut {
    line: Line,
    made: Moment,
    used: Moment,
    checksum: u32,
    bytes: Vec<u8>,
}

impl Cuts {
    /// How many are kept, how many bytes of them together, beside the newest, and for how long unused.
    const MOST: usize = 16;
    const MOST_BYTES: usize = 16 << 20;
    const KEPT: Duration = Duration::from_secs(10);

    /// The pieces that `fetch` asks for, of at most `room` bytes each, out of what `cut` gives.
    pub(crate) fn pieces(
        &mut self,
        fetch: &FetchPieces,
        room: usize,
        now: Moment,
        cut: impl FnOnce() -> Option<Delta>,
    ) -> Vec<Piece> {
        self.0.retain(|cut| now.since(cut.used) < Self::KEPT);
        if !self.0.iter().any(|cut| cut.line == fetch.line) {
            let Some(delta) = cut() else { return Vec::new() };
            let bytes = wire::write_one_delta(&delta);
            let checksum = crc32fast::hash(&bytes);
            self.0.push_front(Cut { line: fetch.line, made: now, used: now, checksum, bytes });
            let mut sum = 0;
            let most = |(place, cut): (usize, &Cut)| {
                sum += cut.bytes.len();
                place == 0 || (place < Self::MOST && sum <= Self::MOST_BYTES)
            };
            let kept = self.0.iter().enumerate().map(most).take_while(|kept| *kept).count();
            self.0.truncate(kept);
        }
        let Some(cut) = self.0.iter_mut().find(|cut| cut.line == fetch.line) else { return Vec::new() };
        cut.used = now;
        let Ok(total) = u32::try_from(cut.bytes.len()) else { return Vec::new() };
        let rest = cut.bytes.get(fetch.offset as usize..).unwrap_or_default();
        let parts = rest.chunks(room).take(fetch.count.min(BURST) as usize);
        let offsets = (0..).map(|part| fetch.offset + part * u32::try_from(room).unwrap_or(u32::MAX));
        let piece = |(offset, bytes): (u32, &[u8])| {
            let (line, checksum, age) = (cut.line, cut.checksum, now.since(cut.made));
            Piece { line, total, checksum, age, offset, bytes: bytes.to_vec() }
        };
        offsets.zip(parts).map(piece).collect()
    }
}
