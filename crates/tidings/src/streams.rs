//! Streams over TCP: a task for each, which cuts bytes into messages and puts messages on the wire.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tidings_core::wire::{Frames, WireError, frame};
use tidings_core::{Message, Seal, StreamEnd, StreamId};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// The streams of a node.
#[derive(Debug)]
pub(crate) struct Streams {
    seal: Seal,
    /// How long a message may be that was asked for, and one that asks.
    longest: usize,
    writers: BTreeMap<StreamId, mpsc::Sender<Vec<u8>>>,
    news: mpsc::Sender<(StreamId, StreamNews)>,
}

/// What happens on a stream.
#[derive(Debug)]
pub(crate) enum StreamNews {
    /// A message came in, of so many bytes.
    Message(Box<Message>, usize),
    /// Bytes that are none came in, and the stream was closed.
    Refused(WireError),
    /// A message was written.
    Written,
    /// It ended.
    Closed(StreamEnd),
}

/// How many happenings wait for the node before the streams do.
const NEWS: usize = 64;
/// How many messages wait to be written: the core gives one at a time.
const WAITING: usize = 4;
/// The longest message that asks for something.
const LONGEST_REQUEST: usize = 1 << 20;
/// How long opening takes at most, and writing a message.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many bytes are read at a time.
const CHUNK: usize = 64 << 10;

impl Streams {
    pub(crate) fn new(seal: Seal, longest: usize) -> (Self, mpsc::Receiver<(StreamId, StreamNews)>) {
        let (news, inbox) = mpsc::channel(NEWS);
        (Self { seal, longest, writers: BTreeMap::new(), news }, inbox)
    }

    /// Opens a stream to `to`.
    pub(crate) fn open(&mut self, id: StreamId, to: SocketAddr) {
        let (task, news) = self.task(id, self.longest);
        tokio::spawn(async move {
            let opened = timeout(PATIENCE, TcpStream::connect(to)).await;
            match opened.map_err(io::Error::from).flatten() {
                Ok(stream) => task.run(stream).await,
                Err(error) => {
                    tracing::debug!(%to, %error, "a stream could not be opened");
                    // The node may have stopped meanwhile.
                    let _ = news.send((id, StreamNews::Closed(StreamEnd::Refused))).await;
                }
            }
        });
    }

    /// Takes a stream that another node opened.
    pub(crate) fn accept(&mut self, id: StreamId, stream: TcpStream) {
        let (task, _) = self.task(id, LONGEST_REQUEST);
        tokio::spawn(task.run(stream));
    }

    fn task(&mut self, id: StreamId, longest: usize) -> (Task, mpsc::Sender<(StreamId, StreamNews)>) {
        let (writer, messages) = mpsc::channel(WAITING);
        self.writers.insert(id, writer);
        let (seal, frames, news) = (self.seal.clone(), Frames::new(longest), self.news.clone());
        (Task { id, seal, frames, messages, news: news.clone() }, news)
    }

    /// Puts `message` on a stream. Returns how many bytes that takes.
    pub(crate) fn send(&mut self, id: StreamId, message: &Message) -> usize {
        let bytes = frame(&self.seal.encode(message));
        let len = bytes.len();
        // What does not fit, or comes too late, is of a stream that ends anyway.
        let _ = self.writers.get(&id).map(|writer| writer.try_send(bytes));
        len
    }

    /// Closes a stream, once everything on it is written; or forgets one that ended by itself.
    pub(crate) fn close(&mut self, id: StreamId) {
        self.writers.remove(&id);
    }
}

/// One stream's task. It ends with the stream, or when nobody wants to write on it any more.
struct Task {
    id: StreamId,
    seal: Seal,
    frames: Frames,
    messages: mpsc::Receiver<Vec<u8>>,
    news: mpsc::Sender<(StreamId, StreamNews)>,
}

impl Task {
    async fn run(mut self, mut stream: TcpStream) {
        let mut chunk = vec![0; CHUNK];
        loop {
            let happened = tokio::select! {
                message = self.messages.recv() => match message {
                    // Whoever does not read must not keep the stream for ever.
                    Some(bytes) => {
                        let written = timeout(PATIENCE, stream.write_all(&bytes)).await;
                        written.map_err(io::Error::from).flatten().map(|()| Some(StreamNews::Written))
                    }
                    None => return drop(timeout(PATIENCE, stream.shutdown()).await),
                },
                read = stream.read(&mut chunk) => match read {
                    Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(len) => self.take(chunk.get(..len).unwrap_or_default()).await,
                    Err(error) => Err(error),
                },
            };
            match happened {
                Ok(Some(news)) => self.say(news).await,
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(stream = self.id.0, %error, "a stream ended");
                    return self.say(StreamNews::Closed(StreamEnd::Broken)).await;
                }
            }
        }
    }

    /// Takes bytes that came in, and passes the messages among them on.
    async fn take(&mut self, bytes: &[u8]) -> io::Result<Option<StreamNews>> {
        self.frames.push(bytes);
        loop {
            let next = self.frames.next_message();
            let read = next.and_then(|bytes| {
                bytes.map(|bytes| Ok((self.seal.decode(&bytes)?, bytes.len()))).transpose()
            });
            match read {
                Ok(Some((message, len))) => self.say(StreamNews::Message(Box::new(message), len)).await,
                Ok(None) => return Ok(None),
                Err(error) => {
                    self.say(StreamNews::Refused(error)).await;
                    return Err(io::Error::new(io::ErrorKind::InvalidData, error));
                }
            }
        }
    }

    async fn say(&self, news: StreamNews) {
        // The node may have stopped meanwhile.
        let _ = self.news.send((self.id, news)).await;
    }
}
