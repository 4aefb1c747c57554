//! A network for chitchat: its own channel transport, with latency, loss and stalls put around it.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chitchat::transport::{ChannelTransport, RecvOutcome, SendOutcome, Socket, Transport};
use chitchat::{ChitchatEnvelope, ChitchatMessage};
use tidings_core::Rng;
use tokio::time::{Instant, sleep_until};

/// What goes wrong on the network, and how much went over it.
#[derive(Debug)]
pub(crate) struct Weather {
    /// How many of a thousand messages are lost.
    pub(crate) loss: u16,
    /// How long one is on its way, in microseconds: at least, and at most.
    pub(crate) latency: (u32, u32),
    /// Messages that were sent.
    pub(crate) messages: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// The value whose copies are counted, if any.
    pub(crate) marker: Option<String>,
    /// How often it was sent.
    pub(crate) copies: u64,
    /// Who stands still, and until when.
    pub(crate) stalled: Vec<(SocketAddr, Instant)>,
    rng: Rng,
}

impl Weather {
    /// Nothing is lost, and all arrives at once.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            loss: 0,
            latency: (0, 0),
            messages: 0,
            bytes: 0,
            marker: None,
            copies: 0,
            stalled: Vec::new(),
            rng: Rng::new(seed),
        }
    }

    /// When what arrives now is let through; `None` if it is lost.
    fn judge(&mut self) -> Option<Instant> {
        if self.loss > 0 && self.rng.chance(self.loss.into(), 1_000) {
            return None;
        }
        let (least, most) = self.latency;
        let more = self.rng.below((most - least) as usize + 1) as u64;
        Some(Instant::now() + Duration::from_micros(u64::from(least) + more))
    }

    fn stalls(&self, address: SocketAddr) -> Option<Instant> {
        let until = self.stalled.iter().filter(|(at, _)| *at == address).map(|&(_, until)| until).max();
        until.filter(|&until| until > Instant::now())
    }

    fn sent(&mut self, bytes: usize, copies: usize) {
        self.messages += 1;
        self.bytes += bytes as u64;
        self.copies += copies as u64;
    }

    /// How often the value that is looked for is in a message. Messages show what they hold to debuggers only.
    fn copies_in(&self, envelope: &ChitchatEnvelope) -> usize {
        match (&self.marker, &envelope.message) {
            (Some(marker), message @ (ChitchatMessage::SynAck { .. } | ChitchatMessage::Ack { .. })) => {
                format!("{message:?}").matches(marker.as_str()).count()
            }
            (_, ChitchatMessage::Syn { .. } | ChitchatMessage::BadCluster) => 0,
            (None, ChitchatMessage::SynAck { .. } | ChitchatMessage::Ack { .. }) => 0,
        }
    }
}

/// The transport of all nodes of a cluster.
#[derive(Clone)]
pub(crate) struct Lan {
    channel: ChannelTransport,
    /// What goes wrong, and how much goes over it.
    pub(crate) weather: Arc<Mutex<Weather>>,
}

impl Lan {
    /// Datagrams have `most` bytes at most, as UDP has it.
    pub(crate) fn new(most: usize, weather: Weather) -> Self {
        Self { channel: ChannelTransport::with_mtu(most), weather: Arc::new(Mutex::new(weather)) }
    }

    /// The weather, to look at and to change.
    pub(crate) fn weather(&self) -> std::sync::MutexGuard<'_, Weather> {
        self.weather.lock().expect("nobody failed")
    }
}

#[async_trait]
impl Transport for Lan {
    async fn open(&self, address: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        let socket = self.channel.open(address).await?;
        Ok(Box::new(LanSocket { lan: self.clone(), address, socket, waiting: BinaryHeap::new(), next: 0 }))
    }
}

struct LanSocket {
    lan: Lan,
    address: SocketAddr,
    socket: Box<dyn Socket>,
    /// What is on its way to this node, the first to arrive on top.
    waiting: BinaryHeap<Reverse<OnItsWay>>,
    next: u64,
}

struct OnItsWay {
    at: Instant,
    number: u64,
    what: RecvOutcome,
}

impl LanSocket {
    /// A node that stands still neither sends nor receives.
    async fn stand_still(&self) {
        let until = self.lan.weather().stalls(self.address);
        if let Some(until) = until {
            sleep_until(until).await;
        }
    }

    fn put(&mut self, what: RecvOutcome) {
        let Some(at) = self.lan.weather().judge() else { return };
        self.next += 1;
        self.waiting.push(Reverse(OnItsWay { at, number: self.next, what }));
    }

    fn due(&mut self) -> Option<RecvOutcome> {
        let Reverse(first) = self.waiting.peek()?;
        if first.at > Instant::now() {
            return None;
        }
        self.waiting.pop().map(|Reverse(first)| first.what)
    }
}

#[async_trait]
impl Socket for LanSocket {
    fn local_addr(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.address)
    }

    async fn send(&mut self, to: SocketAddr, envelope: ChitchatEnvelope) -> anyhow::Result<SendOutcome> {
        self.stand_still().await;
        let copies = self.lan.weather().copies_in(&envelope);
        let sent = self.socket.send(to, envelope).await?;
        self.lan.weather().sent(sent.num_bytes_sent, copies);
        Ok(sent)
    }

    /// All state is in the socket: whoever stops waiting loses nothing.
    async fn recv(&mut self) -> anyhow::Result<RecvOutcome> {
        loop {
            self.stand_still().await;
            if let Some(due) = self.due() {
                return Ok(due);
            }
            let next = self.waiting.peek().map(|Reverse(first)| first.at);
            let arrived = match next {
                None => Some(self.socket.recv().await?),
                Some(at) => tokio::select! {
                    arrived = self.socket.recv() => Some(arrived?),
                    () = sleep_until(at) => None,
                },
            };
            if let Some(arrived) = arrived {
                self.put(arrived);
            }
        }
    }
}

impl PartialEq for OnItsWay {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for OnItsWay {}

impl PartialOrd for OnItsWay {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OnItsWay {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}
