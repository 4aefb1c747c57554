//! The exchanges that this node began and that are not over: what an ACK or a refusal is matched with.

use std::net::SocketAddr;
use std::time::Duration;

use crate::name::NodeId;
use crate::rng::Rng;
use crate::summary::Summary;
use crate::time::Moment;
use crate::version::Generation;

/// Exchanges under way, by their number. An ACK or a refusal that matches none is dropped.
///
/// Mostly there is one or none, so that a list costs less than a tree. Invariant: the numbers rise.
#[derive(Debug, Default)]
pub(crate) struct Exchanges(Vec<(u32, Exchange)>);

/// One exchange under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exchange {
    /// Where the SYN went.
    pub to: SocketAddr,
    /// Who was expected there; `None` where only the address was known.
    pub with: Option<NodeId>,
    /// When it was sent.
    pub sent: Moment,
    /// When it counts as a failed attempt; `None` once it does.
    pub fails: Option<Moment>,
    /// In which life it was begun.
    pub generation: Generation,
    /// The summary that it told.
    pub summary: Summary,
    /// The last owner that it listed of those that changed lately.
    pub listed: Option<NodeId>,
}

impl Exchanges {
    /// How many may be under way; the oldest make room.
    const MOST: usize = 256;

    /// Enters `exchange`, under a number that nobody can guess.
    pub(crate) fn begin(&mut self, rng: &mut Rng, exchange: Exchange) -> u32 {
        if self.0.len() >= Self::MOST && !flaw!(ExchangesKept) {
            let oldest = self.0.iter().min_by_key(|(_, exchange)| exchange.sent).map(|(number, _)| *number);
            oldest.and_then(|number| self.end(number));
        }
        loop {
            #[allow(clippy::cast_possible_truncation)] // The low half of a random word is as random.
            let number = rng.word() as u32;
            if let Err(place) = self.place(number) {
                self.0.insert(place, (number, exchange));
                return number;
            }
        }
    }

    /// The exchange of this number, over now.
    pub(crate) fn end(&mut self, number: u32) -> Option<Exchange> {
        let place = self.place(number).ok()?;
        Some(self.0.remove(place).1)
    }

    /// Where the exchange of this number is, or would be.
    fn place(&self, number: u32) -> Result<usize, usize> {
        self.0.binary_search_by_key(&number, |(number, _)| *number)
    }

    /// Marks those whose time ran out by `now` as failed, and returns them. A late answer still finds them.
    pub(crate) fn fail(&mut self, now: Moment) -> Vec<Exchange> {
        let mut failed = Vec::new();
        for (_, exchange) in &mut self.0 {
            if exchange.fails.is_some_and(|fails| fails <= now) {
                exchange.fails = None;
                failed.push(*exchange);
            }
        }
        failed
    }

    /// Forgets those that began longer than `age` before `now`.
    pub(crate) fn forget(&mut self, now: Moment, age: Duration) {
        if !flaw!(ExchangesKept) {
            self.0.retain(|(_, exchange)| now.since(exchange.sent) < age);
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// When the oldest of them began.
    pub(crate) fn oldest(&self) -> Option<Moment> {
        self.0.iter().map(|(_, exchange)| exchange.sent).min()
    }

    /// When the next one fails.
    pub(crate) fn next_failure(&self) -> Option<Moment> {
        self.0.iter().filter_map(|(_, exchange)| exchange.fails).min()
    }

    /// Gives all of them `span` more time: this node was asleep for so long.
    pub(crate) fn extend(&mut self, span: Duration) {
        for (_, exchange) in &mut self.0 {
            exchange.fails = exchange.fails.map(|fails| fails + span);
        }
    }
}
