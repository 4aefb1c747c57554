//! `GET /v1/events`: what there is and what changes, as server-sent events (SSE).
//!
//! One task puts each change, written out once, into a ring that all readers share. A reader holds its place in it and
//! nothing else, so that one who does not read costs little, and nobody waits for it.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Uri, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use tidings::{Event, Node, Notice, WallClock, Watch};
use tokio::sync::watch;

use crate::event::EventBody;
use crate::http::Desk;
use crate::http::events::ring::{Entry, Read, Ring};
use crate::http::problem::{Kind, Problem};

mod ring;

/// What happens at a node, kept for whoever reads it.
pub(crate) struct News {
    node: Node,
    /// Tells the ids of this run of the agent from those of another.
    start: String,
    ring: Mutex<Ring>,
    /// The number of the last change in the ring. It ends with the node.
    last: watch::Receiver<u64>,
    /// What was so when somebody began to read last, as long as anybody still reads that.
    scene: Mutex<Weak<Scene>>,
}

/// What was so at one moment, written out. Readers that begin at the same moment share it.
struct Scene {
    /// The number of the last change in it.
    seq: u64,
    at: WallClock,
    generation: u64,
    entries: Vec<Entry>,
}

impl News {
    /// Gathers the news of `node`, until it stops.
    pub(crate) async fn gather(node: &Node) -> Result<Arc<Self>, tidings::Error> {
        let mut watch = node.watch("").await?;
        watch.take_state();
        let (told, last) = watch::channel(watch.position());
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let news = Arc::new(Self {
            node: node.clone(),
            start: format!("{nanos:x}"),
            ring: Mutex::new(Ring::new(watch.position())),
            last,
            scene: Mutex::default(),
        });
        // The agent's end is the node's end: this task needs no other.
        tokio::spawn(Arc::clone(&news).fill(watch, told));
        Ok(news)
    }

    async fn fill(self: Arc<Self>, mut watch: Watch, told: watch::Sender<u64>) {
        while let Some(notice) = watch.next().await {
            match notice {
                Notice::Event(event) => {
                    let last = self.ring().last();
                    let seq = watch.position();
                    if seq == last + 1 {
                        let entry = self.entry(seq, &event, true);
                        self.ring().push(entry);
                    } else {
                        // The state after a gap: what lies before it is lost for all.
                        watch.take_state();
                        self.ring().restart(seq);
                    }
                    told.send_replace(seq);
                }
                Notice::Gap { missed } => {
                    tracing::warn!(missed, "events were missed: the agent is overloaded");
                }
            }
        }
    }

    /// What is so now, for a reader that begins.
    async fn scene(&self) -> Result<Arc<Scene>, tidings::Error> {
        let mut watch = self.node.watch("").await?;
        let (seq, state) = (watch.position(), watch.take_state());
        let generation = self.node.generation().await?.0;
        let mut shared = lock(&self.scene);
        if let Some(scene) = shared.upgrade().filter(|scene| scene.seq == seq) {
            return Ok(scene);
        }
        let at = state.first().map_or(WallClock::default(), |event| event.at);
        let entries = state.iter().map(|event| self.entry(seq, event, false)).collect();
        let scene = Arc::new(Scene { seq, at, generation, entries });
        *shared = Arc::downgrade(&scene);
        Ok(scene)
    }

    fn entry(&self, seq: u64, event: &Event, has_id: bool) -> Entry {
        let body = EventBody::new(seq, event);
        let id = if has_id { format!("id: {}\n", self.id(seq)) } else { String::new() };
        let frame = format!("{id}{}", data(&body));
        Entry { key: body.key, frame: frame.into() }
    }

    fn id(&self, seq: u64) -> String {
        format!("{}-{seq}", self.start)
    }

    /// The number in an id, if this run of the agent gave it.
    fn seq(&self, id: &str) -> Option<u64> {
        let (start, seq) = id.rsplit_once('-')?;
        let seq = seq.parse().ok()?;
        (start == self.start && seq <= *self.last.borrow()).then_some(seq)
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        lock(&self.ring)
    }
}

/// What to read.
#[derive(Deserialize)]
struct Which {
    #[serde(default)]
    prefix: String,
}

/// The route.
pub(crate) async fn follow(
    State(desk): State<Arc<Desk>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Query(Which { prefix }) = Query::try_from_uri(&uri).map_err(|error| {
        Problem::new(Kind::BadRequest, error.body_text(), "ask with ?prefix=TEXT, or without")
    })?;
    let reader = Reader::new(Arc::clone(&desk.news), prefix, headers.get("last-event-id")).await?;
    let frames = stream::unfold(reader, |mut reader| async {
        let frame = reader.next().await?;
        Some((Ok::<_, Infallible>(frame), reader))
    });
    let kind = [(header::CONTENT_TYPE, "text/event-stream")];
    Ok((kind, Body::from_stream(frames)).into_response())
}

/// One reader's place.
struct Reader {
    news: Arc<News>,
    prefix: String,
    /// The number of the last change that it was told, or passed over.
    seq: u64,
    /// What is told before it reads on in the ring.
    prelude: Option<Prelude>,
}

/// What is so, for a reader that does not know yet.
struct Prelude {
    gap: Option<Bytes>,
    scene: Arc<Scene>,
    told: usize,
}

impl Reader {
    /// A reader that goes on after the id `after`, if there is one.
    async fn new(
        news: Arc<News>,
        prefix: String,
        after: Option<&axum::http::HeaderValue>,
    ) -> Result<Self, Problem> {
        let seq = after.and_then(|id| news.seq(id.to_str().ok()?));
        let mut reader = Self { news, prefix, seq: seq.unwrap_or_default(), prelude: None };
        match (after, seq) {
            (None, _) => reader.begin(None).await?,
            (Some(_), None) => reader.begin(Some(None)).await?,
            // Whether that is still in the ring will show.
            (Some(_), Some(_)) => {}
        }
        Ok(reader)
    }

    /// Begins with what is so now; after a gap, if there is one, of so many changes, if that is known.
    async fn begin(&mut self, gap: Option<Option<u64>>) -> Result<(), tidings::Error> {
        let scene = self.news.scene().await?;
        let gap = gap.map(|from| {
            let missed = from.map(|from| scene.seq.saturating_sub(from));
            let node = self.news.node.name().as_str();
            data(&EventBody::gap(scene.seq, scene.at, node, scene.generation, missed)).into()
        });
        self.prelude = Some(Prelude { gap, scene, told: 0 });
        Ok(())
    }

    /// The next piece of the answer; `None` when the node has stopped.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = self.next_of_prelude() {
                return Some(frame);
            }
            let read = self.news.ring().read(&mut self.seq, &self.prefix);
            match read {
                Read::Frame(frame) => return Some(frame),
                Read::Lost => self.begin(Some(Some(self.seq))).await.ok()?,
                Read::Nothing => {
                    let seq = self.seq;
                    let mut last = self.news.last.clone();
                    let more = last.wait_for(|last| *last > seq);
                    match tokio::time::timeout(KEEP_ALIVE, more).await {
                        Ok(more) => drop(more.ok()?),
                        Err(_) => return Some(self.bookmark()),
                    }
                }
            }
        }
    }

    fn next_of_prelude(&mut self) -> Option<Bytes> {
        let prelude = self.prelude.as_mut()?;
        if let Some(gap) = prelude.gap.take() {
            return Some(gap);
        }
        while let Some(entry) = prelude.scene.entries.get(prelude.told) {
            prelude.told += 1;
            if entry.is_wanted(&self.prefix) {
                return Some(entry.frame.clone());
            }
        }
        self.seq = prelude.scene.seq;
        self.prelude = None;
        // Only now: whoever saw a part of the state has to begin again.
        Some(self.bookmark())
    }

    /// A comment that says how far this is, and that the connection stands. It is no event.
    fn bookmark(&self) -> Bytes {
        format!(": here\nid: {}\n\n", self.news.id(self.seq)).into()
    }
}

fn data(body: &EventBody) -> String {
    let json = serde_json::to_string(body).expect("text and numbers are JSON");
    format!("data: {json}\n\n")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics while holding it")
}

/// How long a connection may be silent: what stands between agent and reader drops those that are silent for a minute.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(10);
