//! Draws a scenario from a seed.

use std::time::Duration;

use tidings_core::{Mode, Mongering, Rng, Stop};

use crate::node::Disk;
use crate::scenario::{Action, Scenario, Shape, Step, Streams, defaults};

/// The scenario of `seed`.
#[must_use]
pub fn draw(seed: u64) -> Scenario {
    let mut rng = Rng::new(seed);
    let mut scenario = cluster(&mut rng, seed);
    let mut draw = Draw { rng: &mut rng, scenario: &mut scenario };
    draw.writes();
    match draw.rng.below(100) {
        0..8 => {}
        8..20 => draw.some_losses(),
        20..28 => draw.one_way(),
        _ => draw.chaos(),
    }
    if draw.one_in(3) {
        draw.load();
    }
    let mut draw = Draw { rng: &mut rng, scenario: &mut scenario };
    if draw.one_in(3) {
        draw.ends();
    }
    let mut draw = Draw { rng: &mut rng, scenario: &mut scenario };
    if draw.one_in(3) {
        draw.forgetting();
    }
    spare_what_cannot_be_told_apart(&mut scenario);
    scenario.steps.sort_by_key(|step| step.at);
    scenario
}

/// An old copy of a disk and a clock that went back make the same generation twice, and nothing tells the two apart.
fn spare_what_cannot_be_told_apart(scenario: &mut Scenario) {
    let goes_back = |step: &Step| matches!(step.action, Action::Clock { by, .. } if by < 0);
    if scenario.steps.iter().any(goes_back) {
        for step in &mut scenario.steps {
            if let Action::Restart { disk: disk @ (Disk::Stale | Disk::Torn), .. } = &mut step.action {
                *disk = Disk::Kept;
            }
        }
    }
}

fn cluster(rng: &mut Rng, seed: u64) -> Scenario {
    let (least, most) = match rng.below(100) {
        0..60 => (2, 8),
        60..87 => (9, 16),
        87..98 => (17, 32),
        _ => (33, 64),
    };
    let nodes = between(rng, least, most);
    let interval = pick(rng, &[1_000, 1_000, 1_000, 1_000, 200, 3_000]);
    let interval = Duration::from_millis(interval);
    let shape = pick(rng, &[Shape::Full; 5]);
    let shape = if nodes <= 16 && rng.chance(1, 6) {
        pick(rng, &[Shape::Ring, Shape::Line, Shape::Star])
    } else {
        shape
    };
    let latest = pick(rng, &[interval / 100, interval / 20, interval / 5]);
    let mode =
        pick(rng, &[Mode::PushPull, Mode::PushPull, Mode::PushPull, Mode::PushPull, Mode::Push, Mode::Pull]);
    let chaos = interval * u32::try_from(between(rng, 30, 90)).unwrap_or(30);
    Scenario {
        name: format!("seed {seed}"),
        seed,
        nodes,
        seeds: between(rng, 1, nodes.min(3)),
        shape,
        mode,
        mongering: mongering(rng),
        interval,
        fanout: pick(rng, &[1, 1, 1, 2, 3]),
        datagram: pick(rng, &[1_200, 1_200, 1_200, 512, 1_400]),
        max_bytes: pick(rng, &[64 << 10, 256 << 10]),
        max_nodes: defaults::max_nodes(),
        grace: defaults::grace(),
        forget_after: defaults::forget_after(),
        disk: rng.chance(1, 2),
        drift: Vec::new(),
        latency: (Duration::from_millis(1), latest.max(Duration::from_millis(2))),
        tail: Duration::ZERO,
        chaos,
        load: Duration::ZERO,
        steps: Vec::new(),
    }
}

fn mongering(rng: &mut Rng) -> Mongering {
    let stop = pick(rng, &[Stop::Counter(1), Stop::Counter(3), Stop::Coin(2)]);
    let random = Mongering::Random { partners: between(rng, 1, 3), feedback: rng.chance(1, 2), stop };
    let ring = Mongering::Ring { eager: 0 };
    pick(rng, &[ring, ring, ring, ring, Mongering::Ring { eager: 2 }, Mongering::Off, Mongering::Off, random])
}

/// A scenario that is being drawn.
struct Draw<'a> {
    rng: &'a mut Rng,
    scenario: &'a mut Scenario,
}

/// A group of faults.
type Group<'a> = fn(&mut Draw<'a>);

impl<'a> Draw<'a> {
    fn one_in(&mut self, many: usize) -> bool {
        self.rng.chance(1, many)
    }

    fn number(&mut self, least: usize, most: usize) -> usize {
        between(self.rng, least, most)
    }

    fn node(&mut self) -> usize {
        self.rng.below(self.scenario.nodes)
    }

    /// A share between two, in hundredths.
    fn share(&mut self, least: usize, most: usize) -> f64 {
        let hundredths = u32::try_from(self.number(least, most)).unwrap_or_default();
        f64::from(hundredths) / 100.0
    }

    /// So many intervals, or a part of one.
    fn intervals(&mut self, least: usize, most: usize) -> Duration {
        let tenths = u32::try_from(self.number(10 * least, 10 * most)).unwrap_or_default();
        self.scenario.interval * tenths / 10
    }

    /// A moment of the chaos.
    fn moment(&mut self) -> Duration {
        self.scenario.chaos * u32::try_from(self.rng.below(1_000)).unwrap_or_default() / 1_000
    }

    fn at(&mut self, at: Duration, lasts: Option<Duration>, action: Action) {
        let may = self.scenario.shape == Shape::Full || !action.may_sever();
        if may && (at < self.scenario.chaos || action.is_write()) {
            self.scenario.steps.push(Step { at, lasts, action });
        }
    }

    fn sometime(&mut self, action: Action) {
        let at = self.moment();
        self.at(at, None, action);
    }

    fn for_a_while(&mut self, action: Action) {
        let (at, lasts) = (self.moment(), self.intervals(1, 40));
        self.at(at, Some(lasts), action);
    }

    fn writes(&mut self) {
        let count = self.number(5, 50);
        let are_large = self.one_in(4);
        for _ in 0..count {
            let (node, key) = (self.node(), format!("k{}", self.rng.below(6)));
            let bytes = match self.rng.below(100) {
                0..5 if are_large => self.number(10_000, 60_000),
                0..30 if are_large => self.number(1_000, 4_000),
                _ => self.number(2, 120),
            };
            let action = match self.rng.below(10) {
                0..6 => Action::Set { node, key, value: None, bytes: Some(bytes) },
                6..8 => {
                    let keys = (0..3).map(|n| format!("m{n}")).collect();
                    Action::SetMany { node, keys, bytes: Some(bytes) }
                }
                _ => Action::Delete { node, key },
            };
            self.sometime(action);
        }
    }

    /// Keys that end by themselves, and tombstones that are collected: all of it long before the end of the calm.
    fn ends(&mut self) {
        if self.one_in(2) {
            self.scenario.grace = self.intervals(1, 10);
        }
        for _ in 0..self.number(1, 20) {
            let (node, key) = (self.node(), format!("k{}", self.rng.below(6)));
            let ephemeral = self.one_in(3);
            let ttl = Some(self.intervals(0, 10).max(Duration::from_millis(1)))
                .filter(|_| !ephemeral || self.one_in(2));
            self.sometime(Action::SetFor { node, key, ttl, ephemeral });
            if self.one_in(2) {
                let (node, key) = (self.node(), format!("k{}", self.rng.below(6)));
                self.sometime(Action::Delete { node, key });
            }
        }
        let (node, at, after) = (self.node(), self.moment(), self.intervals(1, 10));
        if self.one_in(3) && node >= self.scenario.seeds {
            // What ends with a departure.
            self.at(at, None, Action::SetFor { node, key: "k0".to_owned(), ttl: None, ephemeral: true });
            self.at(at + after, None, Action::Leave { node });
        }
    }

    /// Nodes go for good, or for long, and are forgotten: by themselves in the calm at the latest, or because somebody removes
    /// them; those that only seemed to be gone come back.
    fn forgetting(&mut self) {
        self.scenario.forget_after = self.intervals(60, 90);
        if self.one_in(4) {
            // So long that each side forgets the other one.
            self.last_long();
            let action = self.some_partition();
            let (at, lasts) = (self.intervals(2, 10), self.intervals(80, 110));
            self.at(at, Some(lasts), action);
        }
        for _ in 0..self.number(1, 3) {
            let (node, by, at) = (self.node(), self.node(), self.moment());
            let after = self.intervals(3, 20);
            match self.rng.below(3) {
                0 => self.at(at, Some(after * 2), Action::Pause { node, lossy: true }),
                1 if node >= self.scenario.seeds => self.at(at, None, Action::Leave { node }),
                _ => {
                    let stays = node >= self.scenario.seeds;
                    self.at(at, None, Action::Crash { node, stays });
                }
            }
            self.at(at + after, None, Action::Remove { node, by });
            if self.one_in(3) {
                let again = self.intervals(1, 30);
                self.at(at + after + again, None, Action::Restart { node, disk: Disk::Kept });
            }
        }
    }

    /// Long enough that what is counted in sixty intervals can go wrong.
    fn last_long(&mut self) {
        self.scenario.chaos = self.scenario.interval * 120;
    }

    fn some_losses(&mut self) {
        self.last_long();
        let (share, most) = (self.share(1, 10), self.scenario.interval / 5);
        self.at(Duration::ZERO, None, Action::Loss { share });
        let (twice, held) = (self.share(0, 10), self.share(0, 10));
        self.at(Duration::ZERO, None, Action::Duplicates { share: twice });
        self.at(Duration::ZERO, None, Action::Hold { share: held, most });
    }

    fn one_way(&mut self) {
        self.last_long();
        let one = self.node();
        let other = (one + self.number(1, self.scenario.nodes - 1)) % self.scenario.nodes;
        let action = Action::OneWay { from: vec![one], to: vec![other] };
        let at = self.intervals(5, 10);
        self.at(at, None, action);
    }

    /// A few groups of faults, each more than once at times.
    fn chaos(&mut self) {
        let mut groups: [Group<'a>; 14] = [
            Self::losses,
            Self::disorder,
            Self::damage,
            Self::streams,
            Self::partition,
            Self::flapping,
            Self::crashes,
            Self::crashes,
            Self::disks,
            Self::pauses,
            Self::clocks,
            Self::churn,
            Self::names,
            Self::addresses,
        ];

        self.rng.shuffle(&mut groups);
        let count = self.number(1, 5);
        for group in groups.into_iter().take(count) {
            for _ in 0..self.number(1, 3) {
                group(self);
            }
        }
        if self.one_in(4) {
            self.scenario.tail = self.scenario.interval / 10;
        }
    }

    fn losses(&mut self) {
        let share = self.share(5, 50);
        let bursts =
            Action::Bursts { begins: self.share(1, 5), ends: self.share(5, 30), loss: self.share(50, 100) };
        let action = if self.one_in(3) { bursts } else { Action::Loss { share } };
        self.for_a_while(action);
    }

    fn disorder(&mut self) {
        let (share, most) = (self.share(5, 30), self.intervals(0, 5));
        self.for_a_while(Action::Hold { share, most });
        let share = self.share(2, 15);
        self.for_a_while(Action::Duplicates { share });
    }

    fn damage(&mut self) {
        let share = self.share(1, 5);
        self.for_a_while(Action::Damage { share });
        if self.one_in(2) {
            let bytes = self.number(300, 1_100);
            self.for_a_while(Action::Largest { bytes });
        }
    }

    fn streams(&mut self) {
        let fault = pick(self.rng, &[Streams::Refused, Streams::Stalled, Streams::Slow, Streams::Cut]);
        self.for_a_while(Action::Streams { fault });
        // Something that no datagram carries.
        let (node, bytes) = (self.node(), self.number(2_000, 30_000));
        self.sometime(Action::Set { node, key: "large".to_owned(), value: None, bytes: Some(bytes) });
    }

    fn partition(&mut self) {
        let action = self.some_partition();
        self.for_a_while(action);
    }

    fn some_partition(&mut self) -> Action {
        let mut all: Vec<usize> = (0..self.scenario.nodes).collect();
        self.rng.shuffle(&mut all);
        let half = all.len().div_ceil(2);
        match self.rng.below(6) {
            // Halves, a lonely one, several sides.
            0 => Action::Split { sides: vec![all[..half].to_vec(), all[half..].to_vec()] },
            1 => Action::Split { sides: vec![vec![all[0]], all[1..].to_vec()] },
            2 => Action::Split { sides: all.chunks(2).map(<[usize]>::to_vec).collect() },
            // A bridge that sees both halves.
            3 => Action::Split { sides: vec![all[1..half].to_vec(), all[half..].to_vec()] },
            4 => Action::OneWay { from: all[..half].to_vec(), to: all[half..].to_vec() },
            _ => Action::Ring { reach: self.scenario.nodes / 4 + 1 },
        }
    }

    fn flapping(&mut self) {
        let action = self.some_partition();
        let (mut at, span) = (self.moment(), self.intervals(1, 8));
        for _ in 0..4 {
            self.at(at, Some(span), action.clone());
            at += 2 * span;
        }
    }

    fn crashes(&mut self) {
        let (node, at) = (self.node(), self.moment());
        let stays = self.one_in(3) && node >= self.scenario.seeds;
        self.at(at, None, Action::Crash { node, stays });
        if !stays && self.one_in(2) {
            let disk = pick(self.rng, &[Disk::Kept, Disk::Kept, Disk::Lost]);
            let after = self.intervals(0, 30);
            self.at(at + after, None, Action::Restart { node, disk });
        }
        if self.one_in(6) {
            let (disk, within) = (pick(self.rng, &[Disk::Kept, Disk::Lost]), self.intervals(1, 5));
            self.sometime(Action::MassRestart { disk, within });
        }
    }

    fn disks(&mut self) {
        self.scenario.disk = true;
        let (node, at, after) = (self.node(), self.moment(), self.intervals(0, 10));
        if self.one_in(4) {
            return self.for_a_while(Action::BreakDisk { node });
        }
        let disk = pick(self.rng, &[Disk::Torn, Disk::Stale, Disk::Collected]);
        self.at(at, None, Action::Crash { node, stays: false });
        self.at(at + after, None, Action::Restart { node, disk });
    }

    fn pauses(&mut self) {
        let (node, lossy) = (self.node(), self.one_in(2));
        let (at, lasts) = (self.moment(), self.intervals(1, 60));
        self.at(at, Some(lasts), Action::Pause { node, lossy });
        if self.one_in(2) {
            let (node, tenths) = (self.node(), u32::try_from(self.number(1, 5)).unwrap_or(1));
            let work = self.scenario.interval * tenths / 20;
            self.for_a_while(Action::Slow { node, work });
        }
    }

    fn clocks(&mut self) {
        const YEAR: i64 = 365 * 24 * 3_600;
        let (node, at) = (self.node(), self.moment());
        // One clock at most is wrong by years: a node whose own is would believe what another one like it says.
        let is_wrong = |step: &Step| matches!(step.action, Action::Clock { by, .. } if by.abs() >= YEAR);
        let choices = [10, -10, 3_600, -3_600, -YEAR, YEAR, 10 * YEAR, -10 * YEAR];
        let few = if self.scenario.steps.iter().any(is_wrong) { 4 } else { choices.len() };
        let by = pick(self.rng, &choices[..few]);
        self.at(at, None, Action::Clock { node, by });
        if self.one_in(2) {
            let (disk, after) = (pick(self.rng, &[Disk::Kept, Disk::Lost]), self.intervals(1, 5));
            self.at(at, None, Action::Crash { node, stays: false });
            self.at(at + after, None, Action::Restart { node, disk });
        }
        if self.one_in(2) {
            let drift = pick(self.rng, &[10_000, -10_000, 2_000, -2_000]);
            self.scenario.drift = vec![drift, -drift, 0, drift];
        }
    }

    fn churn(&mut self) {
        for _ in 0..self.number(1, 3) {
            self.sometime(Action::Join {});
            let node = self.node();
            if node >= self.scenario.seeds {
                self.sometime(Action::Leave { node });
            }
        }
    }

    fn names(&mut self) {
        // Not of a seed: the newcomer might have no other one to ask.
        let node = self.node();
        if node >= self.scenario.seeds {
            self.sometime(Action::Namesake { node });
        }
    }

    fn addresses(&mut self) {
        let (one, other) = (self.node(), self.node());
        if self.one_in(2) && one >= self.scenario.seeds {
            return self.sometime(Action::Stranger { node: one });
        }
        self.sometime(Action::Swap { one, other });
    }

    /// One node writes much for a while, and others a little.
    fn load(&mut self) {
        self.scenario.load = self.scenario.interval * 30;
        let (writer, begin) = (self.node(), self.scenario.chaos);
        // Little, about as much as exchanges carry, or more than that.
        let each_time = pick(self.rng, &[200, 500, 1_000]);
        for turn in 0..90_u32 {
            let at = begin + self.scenario.load * turn / 90;
            let (key, bytes) = (format!("load{turn}"), self.number(each_time / 2, each_time));
            self.at(at, None, Action::Set { node: writer, key, value: None, bytes: Some(bytes) });
        }
        for turn in 0..4_u32 {
            let (node, at) = (self.node(), begin + self.scenario.load * (turn + 1) / 12);
            self.at(at, None, Action::Set { node, key: "light".to_owned(), value: None, bytes: Some(20) });
        }
    }
}

fn between(rng: &mut Rng, least: usize, most: usize) -> usize {
    least + rng.below(most.saturating_sub(least) + 1)
}

fn pick<T: Copy>(rng: &mut Rng, items: &[T]) -> T {
    items[rng.below(items.len())]
}
