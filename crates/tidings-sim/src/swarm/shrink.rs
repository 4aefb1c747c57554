//! Makes a failing scenario smaller, as long as it still fails.

use std::time::Duration;

use crate::scenario::{Scenario, Shape};

/// How often a smaller one is tried, at most.
const TRIES: usize = 800;

/// The smallest scenario found that `breaks` as well: delta debugging (Zeller and Hildebrandt 2002) over the steps, then
/// fewer nodes and plainer settings, then the steps again.
#[must_use]
pub fn shrink(scenario: Scenario, breaks: &dyn Fn(&Scenario) -> bool) -> Scenario {
    let mut smallest = Smallest { scenario, breaks, tries: TRIES };
    smallest.drop_steps();
    smallest.drop_nodes();
    smallest.simplify();
    smallest.drop_steps();
    smallest.shorten();
    smallest.scenario
}

struct Smallest<'a> {
    scenario: Scenario,
    breaks: &'a dyn Fn(&Scenario) -> bool,
    tries: usize,
}

impl Smallest<'_> {
    /// Takes the scenario that `change` makes, if it still breaks. Returns whether it does.
    fn try_to(&mut self, change: impl FnOnce(&mut Scenario)) -> bool {
        let mut smaller = self.scenario.clone();
        change(&mut smaller);
        smaller.drop_impossible();
        if smaller == self.scenario || self.tries == 0 {
            return false;
        }
        self.tries -= 1;
        let does = (self.breaks)(&smaller);
        if does {
            self.scenario = smaller;
        }
        does
    }

    /// Drops steps, many at once at first.
    fn drop_steps(&mut self) {
        let mut size = self.scenario.steps.len();
        while size > 0 {
            let mut at = 0;
            while at < self.scenario.steps.len() {
                let end = (at + size).min(self.scenario.steps.len());
                if !self.try_to(|scenario| drop(scenario.steps.drain(at..end))) {
                    at = end;
                }
            }
            size /= 2;
        }
    }

    fn drop_nodes(&mut self) {
        let fewer = |scenario: &mut Scenario, nodes: usize| {
            (scenario.nodes, scenario.seeds) = (nodes, scenario.seeds.min(nodes));
        };
        while self.scenario.nodes > 3 && self.try_to(|scenario| fewer(scenario, scenario.nodes / 2)) {}
        while self.scenario.nodes > 2 && self.try_to(|scenario| fewer(scenario, scenario.nodes - 1)) {}
    }

    fn simplify(&mut self) {
        self.try_to(|scenario| scenario.load = Duration::ZERO);
        self.try_to(|scenario| scenario.drift.clear());
        self.try_to(|scenario| scenario.tail = Duration::ZERO);
        self.try_to(|scenario| scenario.shape = Shape::Full);
        self.try_to(|scenario| scenario.mode = tidings_core::Mode::PushPull);
        self.try_to(|scenario| scenario.mongering = tidings_core::Mongering::default());
        self.try_to(|scenario| scenario.fanout = 1);
        self.try_to(|scenario| scenario.datagram = 1_200);
        self.try_to(|scenario| scenario.disk = false);
        self.try_to(|scenario| scenario.grace = crate::scenario::defaults::grace());
        self.try_to(|scenario| scenario.latency = (Duration::from_millis(1), Duration::from_millis(10)));
    }

    /// Ends the chaos sooner, and what lasts.
    fn shorten(&mut self) {
        let last = self.scenario.steps.iter().map(|step| step.at).max().unwrap_or_default();
        let second = Duration::from_secs(1);
        while self.scenario.chaos / 2 > last + second && self.try_to(|scenario| scenario.chaos /= 2) {}
        for step in 0..self.scenario.steps.len() {
            self.try_to(|scenario| scenario.steps[step].lasts = None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Action;
    use crate::swarm::draw;

    #[test]
    fn what_matters_is_left() {
        let crashed = |scenario: &Scenario| {
            let node = |step: &crate::scenario::Step| {
                if let Action::Crash { node, .. } = step.action { Some(node) } else { None }
            };
            scenario.steps.iter().find_map(node)
        };
        let has_crash = |scenario: &Scenario| crashed(scenario).is_some();
        let scenario = (0..).map(draw).find(|scenario| has_crash(scenario)).expect("some seed has one");
        let small = shrink(scenario, &|scenario| has_crash(scenario) && scenario.nodes >= 2);
        let node = crashed(&small).expect("the crash is left");
        assert_eq!((small.steps.len(), small.nodes, small.fanout), (1, (node + 1).max(2), 1));
    }

    #[test]
    fn it_comes_to_an_end() {
        let tries = std::cell::Cell::new(0);
        let never = |_: &Scenario| {
            tries.set(tries.get() + 1);
            false
        };
        assert_eq!(shrink(draw(3), &never), draw(3));
        assert!(tries.get() <= TRIES);
    }
}
