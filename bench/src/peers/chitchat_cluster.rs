//! A cluster of whole chitchat nodes over its own channel transport, on a clock that stands still until all wait for it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chitchat::{ChitchatHandle, ProtocolVersion, spawn_chitchat};
use tidings_core::Rng;
use tokio::runtime::Runtime;
use tokio::time::{Instant, sleep, sleep_until};

use crate::cluster::{Cluster, Conviction, Heard, LATENCY, ROUND, Setup, Traffic};
use crate::data;
use crate::peers::chitchat_pair::{MOST, config, runtime};
use crate::peers::lan::{Lan, Weather};

/// A cluster of chitchat nodes that speak its first format.
pub(crate) struct ChitchatCluster {
    runtime: Runtime,
    begun: Instant,
    lan: Lan,
    handles: Vec<Option<ChitchatHandle>>,
    heard: Arc<Mutex<Vec<Heard>>>,
    convictions: Vec<Conviction>,
    /// Whom each believed to run when that was looked at.
    live: Vec<Vec<bool>>,
    watches: bool,
    counts_copies: bool,
}

/// The key of all updates.
const KEY: &str = "update";
/// How often it is looked who believes what: nothing tells when that changes.
const LOOK: Duration = Duration::from_millis(50);
/// Its recent intervals of each node take 8 kB for each pair of nodes. So many are kept in large clusters, where the
/// default of a thousand would take 8 GB.
const FEW: usize = 16;

impl ChitchatCluster {
    /// A cluster in which all speak `wire`.
    pub(crate) fn speaking(wire: ProtocolVersion, setup: &Setup) -> Self {
        let runtime = runtime();
        let begun = runtime.block_on(async { Instant::now() });
        let lan = Lan::new(MOST, Weather::new(setup.seed));
        lan.weather().latency = LATENCY;
        let mut cluster = Self {
            runtime,
            begun,
            lan,
            handles: Vec::new(),
            heard: Arc::default(),
            convictions: Vec::new(),
            live: vec![vec![false; setup.nodes]; setup.nodes],
            watches: setup.watches,
            counts_copies: setup.counts_copies,
        };
        cluster.start(wire, setup);
        if setup.is_warm {
            // All are live for all after some rounds.
            let mut rounds = 0;
            while !cluster.is_complete() && rounds < 60 {
                cluster.run(ROUND);
                rounds += 1;
            }
        }
        cluster.convictions.clear();
        cluster.lan.weather().loss = setup.loss;
        cluster
    }

    fn start(&mut self, wire: ProtocolVersion, setup: &Setup) {
        let mut rng = Rng::new(setup.seed);
        let micros = usize::try_from(ROUND.as_micros()).expect("a short span");
        let mut starts: Vec<_> = (0..setup.nodes).map(|number| (rng.below(micros) as u64, number)).collect();
        if !setup.is_warm {
            starts.iter_mut().for_each(|start| start.0 = 0);
        }
        starts.sort_unstable();
        self.handles = self.runtime.block_on(async {
            let mut handles: Vec<Option<ChitchatHandle>> = (0..setup.nodes).map(|_| None).collect();
            for (after, number) in starts {
                sleep_until(self.begun + Duration::from_micros(after)).await;
                let mut config = config(number, wire, ROUND);
                config.seed_nodes = vec![data::address(0).to_string()];
                let detector = &mut config.failure_detector_config;
                if let Some(patience) = setup.patience {
                    detector.phi_threshold = patience.as_secs_f64() / ROUND.as_secs_f64();
                    detector.initial_interval = ROUND;
                }
                if setup.nodes >= 500 {
                    detector.sampling_window_size = FEW;
                }
                let handle = spawn_chitchat(config, Vec::new(), &self.lan).await.expect("it starts");
                self.listen(&handle).await;
                handles[number] = Some(handle);
            }
            handles
        });
    }

    /// Notes which updates a node comes to hold.
    async fn listen(&self, handle: &ChitchatHandle) {
        let (heard, begun) = (Arc::clone(&self.heard), self.begun);
        let note = move |event: chitchat::KeyChangeEvent<'_>| {
            if let Some(update) = data::number_of(event.value) {
                let at = Instant::now().duration_since(begun);
                heard.lock().expect("nobody failed").push(Heard { update, at });
            }
        };
        handle.with_chitchat(|chitchat| chitchat.subscribe_event(KEY, note.clone()).forever()).await;
    }

    /// Looks at whom each believes to run.
    fn look(&mut self) {
        let at = self.now();
        for by in 0..self.handles.len() {
            let Some(handle) = &self.handles[by] else { continue };
            let mut live = vec![false; self.live.len()];
            self.runtime.block_on(handle.with_chitchat(|chitchat| {
                for id in chitchat.live_nodes() {
                    if let Some(seat) =
                        data::number_at(id.gossip_advertise_addr).and_then(|of| live.get_mut(of))
                    {
                        *seat = true;
                    }
                }
            }));
            let was = std::mem::replace(&mut self.live[by], live);
            for (of, (was, is)) in was.into_iter().zip(&self.live[by]).enumerate() {
                if was && !is {
                    self.convictions.push(Conviction { by, of, at });
                }
            }
        }
    }
}

impl Cluster for ChitchatCluster {
    fn begin(setup: &Setup) -> Self {
        Self::speaking(ProtocolVersion::V0, setup)
    }

    fn run(&mut self, span: Duration) {
        let end = self.now() + span;
        while self.now() < end {
            let left = end - self.now();
            let step = if self.watches { left.min(LOOK) } else { left };
            self.runtime.block_on(async { sleep(step).await });
            if self.watches {
                self.look();
            }
        }
    }

    fn now(&self) -> Duration {
        self.runtime.block_on(async { Instant::now() }).duration_since(self.begun)
    }

    fn write(&mut self, node: usize, update: u64) {
        let value = data::update(update);
        if self.counts_copies {
            self.lan.weather().marker = Some(value.clone());
        }
        let handle = self.handles[node].as_ref().expect("the node is up");
        self.runtime.block_on(handle.with_chitchat(|chitchat| chitchat.self_node_state().set(KEY, &value)));
        self.heard.lock().expect("nobody failed").retain(|heard| heard.update != update);
    }

    fn heard(&mut self) -> Vec<Heard> {
        std::mem::take(&mut *self.heard.lock().expect("nobody failed"))
    }

    fn crash(&mut self, node: usize) {
        if let Some(handle) = self.handles[node].take() {
            handle.abort();
        }
    }

    fn stall(&mut self, node: usize, span: Duration) {
        let until = self.begun + self.now() + span;
        self.lan.weather().stalled.push((data::address(node), until));
    }

    fn convictions(&mut self) -> Vec<Conviction> {
        std::mem::take(&mut self.convictions)
    }

    fn traffic(&self) -> Traffic {
        let weather = self.lan.weather();
        Traffic { bytes: weather.bytes, copies: weather.copies }
    }

    fn is_complete(&mut self) -> bool {
        self.look();
        let up: Vec<_> = self.handles.iter().map(Option::is_some).collect();
        let holds = |by: usize| (0..up.len()).all(|of| of == by || !up[of] || self.live[by][of]);
        (0..up.len()).filter(|&by| up[by]).all(holds)
    }
}
