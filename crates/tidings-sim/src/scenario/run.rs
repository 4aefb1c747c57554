//! Runs a scenario.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tidings_core::{Mode, NodeId};

use super::{Action, Scenario, Shape, Step};
use crate::checker::{Broken, Checker, Expectation, Load, Promise, rounds};
use crate::network::RuleId;
use crate::node::{Disk, Place};
use crate::{Counts, Simulation};

/// What came of a scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The first promise that was broken, if one was. Nothing went on after that.
    pub broken: Option<Broken>,
    /// What went over the network.
    pub counts: Counts,
    /// How often what happened.
    pub coverage: BTreeMap<&'static str, u64>,
    /// The steps that did nothing: who was to do something was down, or up already, or refused it.
    pub idle: Vec<usize>,
    /// How much time passed, in the simulation.
    pub simulated: Duration,
    /// All that happened, in a word: see [`Simulation::trace_hash`].
    pub trace_hash: u64,
}

/// Runs `scenario`.
#[must_use]
pub fn run(scenario: &Scenario) -> Outcome {
    perform(scenario, false).0
}

/// Runs `scenario`, and keeps the [trace](Simulation::trace).
#[must_use]
pub fn run_with_trace(scenario: &Scenario) -> (Outcome, String) {
    perform(scenario, true)
}

fn perform(scenario: &Scenario, keep_trace: bool) -> (Outcome, String) {
    let mut stage = Stage::new(scenario);
    if keep_trace {
        stage.sim.keep_trace();
    }
    let panicked = quietly(|| catch_unwind(AssertUnwindSafe(|| stage.perform())));
    let broken = match panicked {
        Ok(()) => stage.sim.checker.as_ref().and_then(|checker| checker.broken().cloned()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
            let (promise, at, place) = (Promise::S10, stage.sim.now(), None);
            Some(Broken { promise, at, place, what: text.to_owned() })
        }
    };
    (stage.outcome(broken), stage.sim.trace().to_owned())
}

/// A scenario that is being run.
pub(super) struct Stage<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) sim: Simulation,
    /// What is to happen, in order of time and, at the same time, of when it was put in.
    agenda: BTreeMap<(Duration, usize), Turn>,
    /// Who stays down, and strangers: where they are, and whose address that is.
    pub(super) staying: BTreeSet<Place>,
    pub(super) strangers: BTreeMap<Place, Place>,
    done: BTreeMap<&'static str, u64>,
    idle: Vec<usize>,
}

/// One thing on the agenda.
#[derive(Debug)]
pub(super) enum Turn {
    Step(usize),
    Lift(RuleId),
    Resume(Place),
    Hurry(Place),
    MendDisk(Place),
    Start(Place, Disk),
}

/// By how many milliseconds clocks may differ for good: half of what the protocol allows.
const BELIEVABLE: u64 = 12 * 3_600_000;

/// Within what time all nodes start.
const STARTS: Duration = Duration::from_millis(500);

impl<'a> Stage<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        let mut sim = Simulation::new(scenario.seed);
        (sim.network.latency, sim.network.tail) = (scenario.latency, scenario.tail);
        sim.checker = Some(Box::new(Checker::new(expectation(scenario))));
        // After the chaos nothing happens but writes.
        let in_time = |step: &Step| step.at < scenario.chaos || step.action.is_write();
        let steps = scenario.steps.iter().enumerate().filter(|(_, step)| in_time(step));
        let agenda = steps.map(|(number, step)| ((step.at, number), Turn::Step(number))).collect();
        let (staying, strangers) = (BTreeSet::new(), BTreeMap::new());
        Self { scenario, sim, agenda, staying, strangers, done: BTreeMap::new(), idle: Vec::new() }
    }

    fn perform(&mut self) {
        self.start_all();
        self.act_until(self.scenario.chaos);
        self.heal();
        if !self.scenario.load.is_zero() {
            self.load();
        }
        let slowness = slowness(self.scenario);
        let down = self.down();
        self.sim.calm(&down, slowness);
    }

    fn outcome(&self, broken: Option<Broken>) -> Outcome {
        let (sim, counts) = (&self.sim, self.sim.counts());
        let mut coverage = self.done.clone();
        let counted = [
            ("lost datagrams", counts.lost),
            ("doubled datagrams", counts.twice),
            ("late datagrams", counts.late),
            ("damaged datagrams", counts.damaged),
            ("refused messages", counts.refused),
            ("streams", counts.streams),
            ("pieces", counts.pieces),
            ("pushes", counts.pushes),
            ("calls for help", counts.help),
            ("refusals", counts.refusals),
        ];
        coverage.extend(counted);
        if let Some(checker) = &sim.checker {
            coverage.extend(checker.coverage());
        }
        let (idle, simulated, trace_hash) = (self.idle.clone(), sim.now(), sim.trace_hash());
        Outcome { broken, counts, coverage, idle, simulated, trace_hash }
    }

    fn start_all(&mut self) {
        let seeds = self.seeds();
        for number in 0..self.scenario.nodes {
            let place = self.sim.add(&format!("node-{number}"), self.scenario.config(), &seeds);
            self.sim.drift(place, self.scenario.drift.get(number).copied().unwrap_or(0));
            if let Some(neighbours) = neighbours(self.scenario, number) {
                self.sim.nodes[place.0].neighbours = Some(neighbours);
            }
        }
        for number in 0..self.scenario.nodes {
            self.sim.boot(Place(number));
            self.sim.run(STARTS / u32::try_from(self.scenario.nodes).unwrap_or(u32::MAX));
        }
    }

    /// Everybody's seeds.
    pub(super) fn seeds(&self) -> Vec<Place> {
        (0..self.scenario.seeds).map(Place).collect()
    }

    /// Lets all happen that is to happen before `end`.
    fn act_until(&mut self, end: Duration) {
        let interval = self.scenario.interval;
        while self.sim.now() < end && self.is_well() {
            let next = self.agenda.first_key_value().map_or(end, |((at, _), _)| (*at).min(end));
            // Those that gave way, or left, end like processes do: soon.
            // The world counts in microseconds.
            let pause = next.saturating_sub(self.sim.now()).clamp(Duration::from_micros(1), interval);
            self.sim.run(pause);
            self.sim.end_the_superfluous();
            while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= self.sim.now())
            {
                if entry.key().0 >= end {
                    break;
                }
                let turn = entry.remove();
                self.take(turn);
            }
        }
    }

    fn is_well(&self) -> bool {
        self.sim.checker.as_ref().is_none_or(|checker| checker.broken().is_none())
    }

    /// Puts `turn` on the agenda, unless it comes at the end of the chaos anyway.
    pub(super) fn later(&mut self, after: Option<Duration>, turn: Turn) -> Option<()> {
        if let Some(after) = after {
            let number = self.scenario.steps.len() + self.agenda.len();
            let at = self.sim.now() + after;
            let number = (number..).find(|number| !self.agenda.contains_key(&(at, *number)));
            self.agenda.insert((at, number.unwrap_or_default()), turn);
        }
        Some(())
    }

    fn take(&mut self, turn: Turn) {
        match turn {
            Turn::Step(number) => {
                let step = &self.scenario.steps[number];
                if self.act(number, step) {
                    *self.done.entry(step.action.name()).or_default() += 1;
                } else {
                    self.idle.push(number);
                }
            }
            Turn::Lift(rule) => self.sim.network.lift(rule),
            Turn::Resume(place) => self.sim.resume(place),
            Turn::Hurry(place) => self.sim.slow(place, Duration::ZERO),
            Turn::MendDisk(place) => self.sim.break_disk(place, false),
            Turn::Start(place, disk) => {
                if !self.sim.is_up(place) {
                    self.sim.restart(place, disk);
                }
            }
        }
    }

    /// Ends all that goes wrong, sets clocks right, and starts who crashed.
    fn heal(&mut self) {
        self.sim.network.heal();
        self.sim.network.tail = Duration::ZERO;
        for (stranger, place) in std::mem::take(&mut self.strangers) {
            if self.sim.is_up(stranger) {
                self.sim.crash(stranger);
            }
            self.staying.insert(stranger);
            self.sim.reclaim(place);
        }
        let turns: Vec<_> = std::mem::take(&mut self.agenda).into_iter().collect();
        for (at, turn) in turns {
            if matches!(turn, Turn::Step(_)) && at.0 >= self.scenario.chaos {
                self.agenda.insert(at, turn);
            }
        }
        for place in self.sim.places() {
            self.sim.break_disk(place, false);
            self.sim.slow(place, Duration::ZERO);
            self.sim.resume(place);
            // A clock that is so wrong is set right: nobody would ever believe what it gives.
            if self.sim.nodes[place.0].skew.unsigned_abs() > BELIEVABLE {
                self.sim.skew(place, 0);
            }
            let lost = self.sim.nodes[place.0].has_given_way;
            if !self.sim.is_up(place) && !self.staying.contains(&place) && !lost {
                self.sim.restart(place, Disk::Kept);
            }
        }
        self.sim.places().into_iter().for_each(|place| self.sim.look_up(place));
    }

    /// Nothing goes wrong, and nodes write: who writes little must not wait for who writes much.
    fn load(&mut self) {
        let settle = self.scenario.interval * rounds(self.sim.nodes.len()) * slowness(self.scenario);
        let writes = std::mem::take(&mut self.agenda);
        self.act_until(self.sim.now() + settle);
        let offset = self.sim.now().saturating_sub(self.scenario.chaos);
        self.agenda = writes.into_iter().map(|((at, number), turn)| ((at + offset, number), turn)).collect();
        let places: BTreeSet<_> =
            self.sim.places().into_iter().filter(|&place| self.sim.is_up(place)).collect();
        // What somebody lacks of them from before, they may still wait for.
        let is_current = |place: &&Place| {
            let id = self.sim.id(**place);
            let at =
                |place: &Place| self.sim.core(*place).replica(id).map(tidings_core::Replica::max_version);
            places.iter().all(|other| at(other) == at(place))
        };
        let light = places.iter().filter(|place| self.written_by(**place) <= LITTLE).filter(is_current);
        let light = light.map(|&place| self.sim.id(place)).collect();
        // By push or pull alone, half of the messages carry nothing, and what is left of them fills up.
        let span = if self.scenario.mode == Mode::PushPull { settle } else { 2 * settle };
        let load = Load { span, places, light };
        if let Some(checker) = &mut self.sim.checker {
            checker.expect_load(Some(load));
        }
        self.act_until(offset + self.scenario.chaos + self.scenario.load);
        if let Some(checker) = &mut self.sim.checker {
            checker.expect_load(None);
        }
    }

    /// How many bytes a node writes in the load.
    fn written_by(&self, place: Place) -> usize {
        let steps = self.scenario.steps.iter().filter(|step| step.at >= self.scenario.chaos);
        steps.map(|step| step.action.writes(place)).sum()
    }

    /// The names of which nobody runs.
    fn down(&self) -> BTreeSet<NodeId> {
        let (up, down): (Vec<_>, Vec<_>) =
            self.sim.places().into_iter().partition(|&place| self.sim.is_up(place));
        let up: BTreeSet<_> = up.into_iter().map(|place| self.sim.id(place)).collect();
        down.into_iter().map(|place| self.sim.id(place)).filter(|id| !up.contains(id)).collect()
    }
}

/// How many bytes a node may write in the load, and still count as one that writes little.
const LITTLE: usize = 1_000;

/// With whom alone a node may gossip.
fn neighbours(scenario: &Scenario, number: usize) -> Option<Vec<Place>> {
    let n = scenario.nodes;
    let beside = [(number + n - 1) % n, (number + 1) % n];
    let beside = beside.into_iter().filter(|&other| other != number);
    match scenario.shape {
        Shape::Full => None,
        Shape::Ring => Some(beside.map(Place).collect()),
        Shape::Line => Some(beside.filter(|other| other.abs_diff(number) == 1).map(Place).collect()),
        Shape::Star if number == 0 => Some((1..n).map(Place).collect()),
        Shape::Star => Some(vec![Place(0)]),
    }
}

/// How much longer news takes than where everybody gossips with everybody: as the diameter grows.
fn slowness(scenario: &Scenario) -> u32 {
    let diameter = match scenario.shape {
        Shape::Full => 1,
        Shape::Ring => scenario.nodes / 2,
        Shape::Line => scenario.nodes.saturating_sub(1),
        Shape::Star if scenario.mode == Mode::PushPull => 2,
        // By push or pull alone, the first one turns to each of the others in its turn.
        Shape::Star => scenario.nodes / 2 + 1,
    };
    u32::try_from(diameter.max(1)).unwrap_or(u32::MAX)
}

/// What can be expected, given what befalls the cluster.
fn expectation(scenario: &Scenario) -> Expectation {
    let short = scenario.interval / 5;
    let is_calm = scenario.tail.is_zero() && scenario.latency.1 <= short && scenario.shape == Shape::Full;
    let mut actions = scenario.steps.iter().map(|step| &step.action);
    Expectation {
        no_false_conviction: is_calm && actions.clone().all(|action| action.is_harmless(short)),
        no_flapping: is_calm && actions.all(Action::is_one_way_or_write),
    }
}

/// Runs `something` that may panic, without a word on the terminal about it.
fn quietly<T>(something: impl FnOnce() -> T) -> T {
    use std::cell::Cell;
    use std::sync::Once;
    static HOOK: Once = Once::new();
    thread_local! {
        static QUIET: Cell<bool> = const { Cell::new(false) };
    }
    HOOK.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                loud(panic);
            }
        }));
    });
    QUIET.set(true);
    let result = something();
    QUIET.set(false);
    result
}
