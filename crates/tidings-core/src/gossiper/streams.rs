//! What goes by stream, or in pieces where no stream can be had.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use super::Gossiper;
use crate::bounds;
use crate::digest;
use crate::event::EventKind;
use crate::message::{Body, Fetch, FetchPieces, Line, Message, News, Piece, Sender};
use crate::name::NodeId;
use crate::peer::{Rejected, StreamEnd, StreamId, Transmit};
use crate::pieces::{Put, Request};
use crate::stream::{Fetching, Scope, Streams};
use crate::time::{Moment, Time};
use crate::version::{Head, Heartbeat};
use crate::wire::size;

/// How many bytes of deltas a frame has, unless one version takes more.
const FRAME: usize = 64 << 10;
/// How old a head is at least that comes in pieces, unless it would be forgotten for that.
const LONG_AGO: Duration = Duration::from_secs(3_600);
/// How many bytes a request on a stream has at most.
const REQUEST: usize = 256 << 10;

impl Gossiper {
    /// Another node opened a stream. Returns what to call it; `None` if it is to be closed, since there are enough.
    pub fn handle_stream(&mut self, now: Time) -> Option<StreamId> {
        self.notice_pause(now);
        let accepted = if self.is_present() { self.streams.accept(now.moment) } else { None };
        if accepted.is_none() {
            self.drop_for("stream_refused");
        }
        accepted
    }

    /// All that was to be sent on `stream` was written: there is room for more.
    pub fn handle_stream_written(&mut self, now: Time, stream: StreamId) {
        self.notice_pause(now);
        self.expire(now);
        self.streams.advance(stream, now.moment);
        self.serve(now, stream);
    }

    /// `stream` came to an end by itself.
    pub fn handle_stream_closed(&mut self, now: Time, stream: StreamId, end: StreamEnd) {
        self.notice_pause(now);
        self.streams.serving.remove(&stream);
        if let Some(fetching) = self.streams.fetching.remove(&stream) {
            self.stream_failed(now, fetching, end);
        }
    }

    /// Where no stream could be had of late, and why. What is large comes from there in pieces.
    #[must_use]
    pub fn blocked_streams(&self, now: Moment) -> Vec<(SocketAddr, StreamEnd)> {
        self.streams.blocked(now).collect()
    }

    /// Fetches `large` owners, and everything if `id` says that it has much. Returns whether everything is being fetched.
    pub(super) fn fetch(
        &mut self,
        now: Time,
        from: SocketAddr,
        id: NodeId,
        large: &[Line],
        has_much: bool,
    ) -> bool {
        let wanted = |line: &&Line| self.wants(now, line);
        let lines: Vec<Line> = large.iter().filter(wanted).map(|line| self.cluster.line(line.id)).collect();
        let is_futile = self.streams.is_futile((id, Scope::Everything), now.moment);
        let has_much = has_much && !is_futile && !self.streams.is_fetching_much();
        if lines.is_empty() && !has_much {
            return self.streams.is_fetching_much();
        }
        let to = self.cluster.endpoint(id).map_or(from, |endpoint| endpoint.address());
        if self.streams.is_blocked(to, now.moment) {
            lines.into_iter().for_each(|line| self.fetch_in_pieces(now, from, line));
            return false;
        }
        let owners: BTreeSet<_> = lines.iter().map(|line| line.id).collect();
        let opened = self.streams.open(to, id, owners, has_much, now.moment);
        if let Some(stream) = opened {
            let window = has_much.then(|| digest::window(&self.cluster, NodeId(0), REQUEST)).flatten();
            self.transmits.push_back(Transmit::Open { stream, to });
            self.send(stream, Body::Fetch(Fetch { lines, window }));
        }
        self.streams.is_fetching_much()
    }

    /// Whether this node would fetch what `line` names.
    pub(super) fn wants(&self, now: Time, line: &Line) -> bool {
        let head = Head { generation: line.generation, heartbeat: Heartbeat(0) };
        line.id != self.cluster.me()
            && bounds::is_believable(now.wall, head, line.max)
            && self.cluster.compare(line).is_lt()
            && !self.streams.is_fetching(line.id)
            && !self.streams.is_futile((line.id, Scope::Owner), now.moment)
    }

    fn send(&mut self, stream: StreamId, body: Body) {
        let message = self.message(0, body);
        self.transmits.push_back(Transmit::Frame { stream, message });
    }

    fn close(&mut self, stream: StreamId) {
        self.streams.fetching.remove(&stream);
        self.streams.serving.remove(&stream);
        self.transmits.push_back(Transmit::Close { stream });
    }

    /// `message` came on `stream`. Whatever is not expected there ends it.
    pub(super) fn receive_frame(
        &mut self,
        now: Time,
        stream: StreamId,
        len: usize,
        message: Message,
    ) -> Result<(), Rejected> {
        let Message { sender, body, .. } = message;
        let refused = if !self.is_present() {
            Some(Rejected::Absent)
        } else if sender.id == self.cluster.me() {
            Some(Rejected::OwnName)
        } else if !bounds::is_believable(now.wall, sender.head, sender.max) {
            Some(Rejected::Unbelievable)
        } else {
            None
        };
        if let Some(rejected) = refused {
            self.close(stream);
            return Err(rejected);
        }
        let may_ask = self.streams.serving.get(&stream).is_some_and(|serving| serving.lacks.is_none());
        let may_tell = self.streams.fetching.contains_key(&stream);
        if let (true, Body::Fetch(fetch)) = (may_ask, &body) {
            self.receive_fetch(now, stream, sender, fetch);
        } else if let (true, Body::Ack2(news)) = (may_tell, &body) {
            self.receive_fetched(now, stream, len, sender, news);
        } else {
            self.close(stream);
            return Err(Rejected::Unsolicited);
        }
        Ok(())
    }

    fn receive_fetch(&mut self, now: Time, stream: StreamId, sender: Sender, fetch: &Fetch) {
        self.hear(now, sender);
        let lacks = digest::lacks(&self.cluster, &fetch.lines, fetch.window.as_ref(), &mut self.rng);
        if let Some(serving) = self.streams.serving.get_mut(&stream) {
            serving.lacks = Some(lacks.into());
        }
        self.serve(now, stream);
    }

    /// Sends the next part of what was asked for on `stream`; an empty one ends it.
    fn serve(&mut self, now: Time, stream: StreamId) {
        let Some(lacks) = self.streams.serving.get_mut(&stream).and_then(|serving| serving.lacks.as_mut())
        else {
            return;
        };
        let (mut deltas, mut room) = (Vec::new(), FRAME);
        while let Some(theirs) = lacks.front_mut() {
            let least = if deltas.is_empty() { self.cluster.next_room(theirs) } else { 0 };
            match self.cluster.delta(theirs, now.moment, room.max(least)) {
                Some(delta) => {
                    room = room.saturating_sub(size::delta(&delta));
                    *theirs = Line { id: delta.owner, generation: delta.generation, max: delta.through };
                    deltas.push(delta);
                    if self.cluster.compare(theirs).is_gt() {
                        continue;
                    }
                }
                None if !deltas.is_empty() && self.cluster.compare(theirs).is_gt() => break,
                None => {}
            }
            lacks.pop_front();
        }
        let is_over = deltas.is_empty();
        self.send(stream, Body::Ack2(News { deltas, ..News::default() }));
        if is_over {
            let told = self.streams.serving.get(&stream).and_then(|serving| serving.told);
            told.into_iter().for_each(|first| self.flow.served(now.moment.since(first)));
            self.close(stream);
        } else if let Some(serving) = self.streams.serving.get_mut(&stream) {
            serving.told.get_or_insert(now.moment);
        }
    }

    fn receive_fetched(&mut self, now: Time, stream: StreamId, len: usize, sender: Sender, news: &News) {
        self.hear(now, sender);
        self.streams.advance(stream, now.moment);
        if news.deltas.iter().any(|delta| self.cluster.endpoint(delta.owner).is_none()) {
            self.expect_strangers(now);
        }
        let before: Vec<Line> = news.deltas.iter().map(|delta| self.cluster.line(delta.owner)).collect();
        self.apply(now, sender.id, &news.deltas);
        let brought = before.iter().filter(|line| self.cluster.compare(line).is_gt()).map(|line| line.id);
        let brought: Vec<_> = brought.collect();
        let Some(fetching) = self.streams.fetching.get_mut(&stream) else { return };
        fetching.brought.extend(brought);
        fetching.bytes += len;
        if news.deltas.is_empty() {
            let Fetching { to, with, owners, brought, has_much, .. } = fetching;
            let (to, with, is_futile) = (*to, *with, *has_much && brought.is_empty());
            let futile: Vec<_> = owners.difference(brought).map(|&owner| (owner, Scope::Owner)).collect();
            let everything = is_futile.then_some((with, Scope::Everything));
            futile.into_iter().chain(everything).for_each(|what| self.streams.give_up(what, now.moment));
            self.streams.succeed(to);
            self.close(stream);
        } else if fetching.bytes > Streams::MOST_BYTES {
            self.close(stream);
        }
    }

    /// Ends the streams whose time has run out, and asks again for pieces that did not come.
    pub(super) fn expire_streams(&mut self, now: Time) {
        if self.streams.next_deadline().is_none_or(|next| next > now.moment) {
            return;
        }
        for stream in self.streams.overdue(now.moment) {
            let fetching = self.streams.fetching.remove(&stream);
            self.close(stream);
            if let Some(fetching) = fetching.filter(|fetching| Streams::has_stalled(fetching, now.moment)) {
                self.stream_failed(now, fetching, StreamEnd::Stalled);
            }
        }
        let retry_at = now.moment + self.patience_for_an_answer();
        for request in self.streams.assemblies.retry(now.moment, retry_at) {
            self.ask_for_pieces(request);
        }
    }

    /// A stream failed. If there is none to be had, what it was for comes in pieces.
    fn stream_failed(&mut self, now: Time, fetching: Fetching, end: StreamEnd) {
        let Fetching { to, with, owners, .. } = fetching;
        self.drop_for("stream_failed");
        if self.streams.fail(to, end, now.moment) {
            self.say(now, with, EventKind::StreamFailed { address: to, end });
            for owner in owners {
                let line = self.cluster.line(owner);
                self.fetch_in_pieces(now, to, line);
            }
        }
    }

    fn fetch_in_pieces(&mut self, now: Time, to: SocketAddr, line: Line) {
        #[allow(clippy::cast_possible_truncation)] // The low half of a random word is as random.
        let number = self.rng.word() as u32;
        let retry_at = now.moment + self.patience_for_an_answer();
        let request = self.streams.assemblies.begin(line, to, number, now.moment, retry_at);
        if let Some(request) = request {
            self.ask_for_pieces(request);
        }
    }

    fn ask_for_pieces(&mut self, request: Request) {
        self.transmit(request.to, request.number, Body::FetchPieces(request.fetch));
    }

    /// Somebody asks for pieces of what comes after a line: many bytes for few, so only an address that was proved gets
    /// them.
    pub(super) fn receive_fetch_pieces(
        &mut self,
        now: Time,
        from: SocketAddr,
        exchange: u32,
        fetch: FetchPieces,
    ) -> Result<(), Rejected> {
        if !self.proofs.is_proved(from, now.moment) {
            return Err(Rejected::Unproved);
        }
        let room = self.config.datagram - size::GREETING - size::PIECE;
        let cluster = &self.cluster;
        let cut = || {
            let mut delta = cluster.delta(&fetch.line, now.moment, cluster.next_room(&fetch.line))?;
            if let Some(who) = &mut delta.introduction {
                // However long the pieces are on their way, they make nobody look alive.
                who.age = who.age.max(LONG_AGO.min(self.config.forgets_after() / 2));
            }
            Some(delta)
        };
        for piece in self.streams.cuts.pieces(&fetch, room, now.moment, cut) {
            self.transmit(from, exchange, Body::Piece(piece));
        }
        Ok(())
    }

    pub(super) fn receive_piece(
        &mut self,
        now: Time,
        from: SocketAddr,
        sender: Sender,
        exchange: u32,
        piece: &Piece,
    ) -> Result<(), Rejected> {
        let retry_at = now.moment + self.patience_for_an_answer();
        match self.streams.assemblies.put(from, exchange, piece, retry_at) {
            Put::Unasked => return Err(Rejected::Unsolicited),
            Put::Wait => {}
            Put::Ask(request) => self.ask_for_pieces(request),
            Put::Whole(delta) => {
                self.hear(now, sender);
                self.apply(now, sender.id, &[*delta]);
            }
            Put::Bad(reason) => self.drop_for(reason),
        }
        Ok(())
    }
}
