//! Refuses scenarios that ask for what cannot be.

use std::fmt;
use std::time::Duration;

use tidings_core::Key;

use super::{Action, Scenario, ScenarioError, Shape, Step};

/// The longest span.
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// The most bytes that a step writes under a key.
const MOST: usize = 8 << 20;
/// By how many seconds a clock jumps at most: a hundred years.
const CENTURY: u64 = 100 * 365 * 24 * 3_600;

/// What is wrong with a step: which number, what was given, and what can be.
type Wrong = (&'static str, String, String);

fn wrong<T>(what: &'static str, given: &dyn fmt::Display, bound: impl Into<String>) -> Result<T, Wrong> {
    Err((what, given.to_string(), bound.into()))
}

impl Scenario {
    pub(super) fn check(&self) -> Result<(), ScenarioError> {
        let range = |(what, given, bound): Wrong| ScenarioError::Range { what, given, bound };
        self.check_numbers().map_err(range)?;
        for (number, step) in (1..).zip(&self.steps) {
            self.check_step(step).map_err(|(what, given, bound)| {
                let (name, at) = (step.action.name(), humantime::format_duration(step.at).to_string());
                ScenarioError::Step { number, name, at, what, given, bound }
            })?;
        }
        self.config().check().map_err(|error| ScenarioError::Syntax(error.to_string()))
    }

    /// Leaves out the steps that cannot be.
    pub(crate) fn drop_impossible(&mut self) {
        let mut steps = std::mem::take(&mut self.steps);
        let places = self.nodes + steps.iter().filter(|step| step.action.adds_a_node()).count();
        steps.retain(|step| self.check_step_among(step, places).is_ok());
        self.steps = steps;
    }

    fn check_numbers(&self) -> Result<(), Wrong> {
        if !(1..=10_000).contains(&self.nodes) {
            return wrong("nodes", &self.nodes, "it must be from 1 to 10000");
        }
        if !(1..=self.nodes).contains(&self.seeds) {
            return wrong("seeds", &self.seeds, "it must be from 1 to the number of nodes");
        }
        for (what, span) in [("chaos", self.chaos), ("load", self.load), ("tail", self.tail)] {
            check_span(what, span)?;
        }
        if self.latency.0 > self.latency.1 || self.latency.1 > DAY {
            let given = humantime::format_duration(self.latency.1);
            return wrong("latency", &given, "the second must not be less than the first, and a day at most");
        }
        if let Some(drift) = self.drift.iter().find(|drift| drift.unsigned_abs() > 100_000) {
            return wrong("drift", drift, "it must be within 100000 millionths");
        }
        Ok(())
    }

    fn check_step(&self, step: &Step) -> Result<(), Wrong> {
        let added = self.steps.iter().filter(|step| step.action.adds_a_node()).count();
        self.check_step_among(step, self.nodes + added)
    }

    /// Checks a step of a scenario in which there are so many `places` for nodes.
    fn check_step_among(&self, step: &Step, places: usize) -> Result<(), Wrong> {
        let Step { at, lasts, action } = step;
        let when = humantime::format_duration(*at);
        if *at >= self.chaos && !action.is_write() {
            return wrong("at", &when, "after the chaos nothing happens but writes: make the chaos longer");
        }
        if *at >= self.chaos + self.load {
            return wrong("at", &when, "the chaos and the load are over by then: make one of them longer");
        }
        if let Some(lasts) = lasts {
            check_span("for", *lasts)?;
            if !action.lasts() {
                return wrong("for", &humantime::format_duration(*lasts), "it happens at once: leave it out");
            }
        }
        if self.shape != Shape::Full && action.may_sever() {
            let bound = "where nodes have neighbours, nobody joins, leaves, moves or stays down: others might lose their only way";
            return wrong("shape", &"no full one", bound);
        }
        if let Some(node) = action.nodes().into_iter().find(|node| *node >= places) {
            return wrong("node", &node, format!("there are {places}, numbered from 0"));
        }
        check_shares(action)?;
        check_spans(action)?;
        check_write(action)
    }
}

fn check_span(what: &'static str, span: Duration) -> Result<(), Wrong> {
    if span > DAY {
        return wrong(what, &humantime::format_duration(span), "it must be a day at most");
    }
    Ok(())
}

fn check_shares(action: &Action) -> Result<(), Wrong> {
    let shares = if let Action::Bursts { begins, ends, loss } = action {
        vec![("begins", *begins), ("ends", *ends), ("loss", *loss)]
    } else if let Action::Loss { share } | Action::Duplicates { share } = action {
        vec![("share", *share)]
    } else if let Action::Hold { share, .. } | Action::Damage { share } = action {
        vec![("share", *share)]
    } else {
        Vec::new()
    };
    match shares.iter().find(|(_, share)| !(0.0..=1.0).contains(share)) {
        Some((what, share)) => wrong(what, share, "a share must be from 0 to 1"),
        None => Ok(()),
    }
}

fn check_spans(action: &Action) -> Result<(), Wrong> {
    if let Action::Hold { most, .. } = action {
        check_span("most", *most)?;
    }
    if let Action::SetFor { ttl: Some(ttl), .. } | Action::Request { ttl: Some(ttl), .. } = action {
        if ttl.is_zero() {
            return wrong("ttl", &"0s", "it must be a millisecond at least");
        }
        check_span("ttl", *ttl)?;
    }
    if let Action::Request { wait, .. } = action {
        check_span("wait", *wait)?;
    }
    if let Action::MassRestart { within, .. } = action {
        check_span("within", *within)?;
    }
    if let Action::Slow { work, .. } = action {
        check_span("work", *work)?;
    }
    if let Action::Clock { by, .. } = action
        && by.unsigned_abs() > CENTURY
    {
        return wrong("by", by, "a clock jumps by a hundred years at most, in seconds");
    }
    Ok(())
}

fn check_write(action: &Action) -> Result<(), Wrong> {
    let (keys, value, bytes) = if let Action::Set { key, value, bytes, .. } = action {
        (std::slice::from_ref(key), value.as_deref(), *bytes)
    } else if let Action::SetMany { keys, bytes, .. } = action {
        (keys.as_slice(), None, *bytes)
    } else if let Action::Delete { key, .. } | Action::SetFor { key, .. } | Action::Request { key, .. } =
        action
    {
        (std::slice::from_ref(key), None, None)
    } else {
        return Ok(());
    };
    if let (Some(value), Some(_)) = (value, bytes) {
        return wrong("value", &format_args!("{value:?}"), "give it or bytes, not both");
    }
    let len = value.map(str::len).or(bytes).unwrap_or(0);
    if len > MOST {
        return wrong("bytes", &len, format!("it must be {MOST} at most"));
    }
    if keys.is_empty() {
        return wrong("keys", &"empty", "name one at least");
    }
    for (place, text) in keys.iter().enumerate() {
        let key =
            Key::new(text).or_else(|error| wrong("key", &format_args!("{text:?}"), error.to_string()))?;
        if key.as_str().starts_with(Key::RESERVED) {
            return wrong("key", &key, "it belongs to the protocol: take another one");
        }
        if keys[..place].contains(text) {
            return wrong("key", &key, "it is there twice: name it once");
        }
    }
    Ok(())
}
