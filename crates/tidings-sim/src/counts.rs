//! How much went over the simulated network.

use tidings_core::{Body, Delta, Message};

use crate::network::Verdict;

/// How much went over the simulated network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Messages that began an exchange.
    pub syns: u64,
    /// Messages that answered one.
    pub acks: u64,
    /// Messages that ended one.
    pub ack2s: u64,
    /// Messages that refused one.
    pub refusals: u64,
    /// Messages that asked for help with a suspect, or answered that.
    pub help: u64,
    /// Messages that told what is new, unasked.
    pub pushes: u64,
    /// Messages that offered what is new, or brought it.
    pub rumors: u64,
    /// Messages that asked for what was offered.
    pub asks: u64,
    /// Messages about pieces of what no datagram carries.
    pub pieces: u64,
    /// Messages that asked who uses a name, or answered that.
    pub whos: u64,
    /// Streams opened, messages on them, and the bytes of these.
    pub streams: u64,
    /// See `streams`.
    pub frames: u64,
    /// See `streams`.
    pub stream_bytes: u64,
    /// The bytes of all datagrams.
    pub bytes: u64,
    /// The entries in their deltas: the copies of values.
    pub entries: u64,
    /// The size of the largest.
    pub largest: usize,
    /// Messages that a decoder or a core refused.
    pub refused: u64,
    /// Datagrams that were lost, by chance or since a link was cut.
    pub lost: u64,
    /// Datagrams that arrived twice.
    pub twice: u64,
    /// Datagrams that were held back.
    pub late: u64,
    /// Datagrams that were damaged.
    pub damaged: u64,
}

impl Counts {
    /// All datagrams.
    #[must_use]
    pub fn messages(&self) -> u64 {
        let exchanges = self.syns + self.acks + self.ack2s + self.refusals;
        exchanges + self.pushes + self.rumors + self.asks + self.help + self.pieces + self.whos
    }

    /// Counts what befell a datagram.
    pub(crate) fn met(&mut self, verdict: Verdict) {
        self.lost += u64::from(verdict.lost);
        self.twice += u64::from(verdict.twice && !verdict.lost);
        self.late += u64::from(!verdict.late.is_zero() && !verdict.lost);
        self.damaged += u64::from(verdict.damaged && !verdict.lost);
    }

    pub(crate) fn sent(&mut self, message: &Message, bytes: usize) {
        let deltas = match &message.body {
            Body::Syn(_) => {
                self.syns += 1;
                &[][..]
            }
            Body::Ack(ack) => {
                self.acks += 1;
                &ack.deltas
            }
            Body::Ack2(news) => {
                self.ack2s += 1;
                &news.deltas
            }
            Body::Push(push) => {
                self.pushes += 1;
                &push.deltas
            }
            Body::Rumor(rumor) => {
                self.rumors += 1;
                &rumor.deltas
            }
            Body::Ask(_) => {
                self.asks += 1;
                &[]
            }
            Body::Fetch(_) => &[],
            Body::FetchPieces(_) | Body::Piece(_) => {
                self.pieces += 1;
                &[]
            }
            Body::Who(_) | Body::Namesake(_) => {
                self.whos += 1;
                &[]
            }
            Body::Refusal(_) => {
                self.refusals += 1;
                &[]
            }
            Body::Help(_) | Body::Report(_) => {
                self.help += 1;
                &[]
            }
        };
        self.entries += entries(deltas);
        self.bytes += bytes as u64;
        self.largest = self.largest.max(bytes);
    }
}

impl std::ops::Sub for Counts {
    type Output = Self;

    /// What came after `before`; the largest of all stays.
    fn sub(self, before: Self) -> Self {
        Self {
            syns: self.syns - before.syns,
            acks: self.acks - before.acks,
            ack2s: self.ack2s - before.ack2s,
            refusals: self.refusals - before.refusals,
            help: self.help - before.help,
            pushes: self.pushes - before.pushes,
            rumors: self.rumors - before.rumors,
            asks: self.asks - before.asks,
            pieces: self.pieces - before.pieces,
            whos: self.whos - before.whos,
            streams: self.streams - before.streams,
            frames: self.frames - before.frames,
            stream_bytes: self.stream_bytes - before.stream_bytes,
            bytes: self.bytes - before.bytes,
            entries: self.entries - before.entries,
            largest: self.largest,
            refused: self.refused - before.refused,
            lost: self.lost - before.lost,
            twice: self.twice - before.twice,
            late: self.late - before.late,
            damaged: self.damaged - before.damaged,
        }
    }
}

impl Counts {
    pub(crate) fn frame(&mut self, message: &Message, bytes: usize) {
        self.frames += 1;
        self.stream_bytes += bytes as u64;
        if let Body::Ack2(news) = &message.body {
            self.entries += entries(&news.deltas);
        }
    }
}

fn entries(deltas: &[Delta]) -> u64 {
    deltas.iter().map(|delta| delta.entries.len() as u64).sum()
}

/// What a message is called in a trace.
pub(crate) fn name(message: &Message) -> &'static str {
    match &message.body {
        Body::Syn(syn) if syn.is_pull => "PULL",
        Body::Syn(_) => "SYN",
        Body::Ack(_) => "ACK",
        Body::Ack2(_) => "ACK2",
        Body::Push(_) => "PUSH",
        Body::Rumor(_) => "rumor",
        Body::Ask(_) => "ask",
        Body::Fetch(_) => "FETCH",
        Body::FetchPieces(_) => "FETCH_PIECES",
        Body::Piece(_) => "PIECE",
        Body::Who(_) => "WHO",
        Body::Namesake(_) => "namesake",
        Body::Refusal(_) => "refusal",
        Body::Help(_) => "help",
        Body::Report(_) => "report",
    }
}
