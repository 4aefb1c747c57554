//! Does what a step says.

use std::time::Duration;

use tidings_core::{Config, Generation, Key, Lifetime, Request, Value, Version};

use super::run::{Stage, Turn};
use super::{Action, Expected, Step};
use crate::node::{Arrivals, Disk, Place};

impl Stage<'_> {
    /// Does what a step says, and says whether anything happened.
    pub(super) fn act(&mut self, number: usize, step: &Step) -> bool {
        let rules = step.action.rules(self.scenario.nodes);
        for rule in rules {
            let rule = self.sim.network.impose(rule);
            self.later(step.lasts, Turn::Lift(rule));
        }
        self.act_on_nodes(number, &step.action, step.lasts).is_some()
    }

    fn act_on_nodes(&mut self, number: usize, action: &Action, lasts: Option<Duration>) -> Option<()> {
        match action {
            Action::Set { node, key, value, bytes } => {
                let text = value.clone().unwrap_or_else(|| filling(number, bytes.unwrap_or(8)));
                self.set(*node, std::slice::from_ref(key), &text, Lifetime::default())
            }
            Action::SetMany { node, keys, bytes } => {
                self.set(*node, keys, &filling(number, bytes.unwrap_or(8)), Lifetime::default())
            }
            Action::SetFor { node, key, ttl, ephemeral } => {
                let lifetime = Lifetime { ttl: *ttl, is_ephemeral: *ephemeral };
                self.set(*node, std::slice::from_ref(key), &filling(number, 8), lifetime)
            }
            Action::Delete { node, key } => {
                let (place, key) = (self.up(*node)?, Key::new(key).ok()?);
                self.sim.try_delete(place, key).ok().map(drop)
            }
            Action::Request { .. } => self.request(number, action),
            Action::Leave { node } => {
                let place = self.up(*node)?;
                self.staying.insert(place);
                self.sim.leave(place);
                Some(())
            }
            Action::Crash { node, stays } => self.crash(*node, *stays),
            Action::Restart { node, disk } => {
                let place = self.down_at(*node)?;
                self.staying.remove(&place);
                self.sim.restart(place, *disk);
                Some(())
            }
            Action::MassRestart { disk, within } => self.restart_all(*disk, *within),
            Action::Pause { node, lossy } => {
                let place = self.up(*node)?;
                self.sim.pause(place, if *lossy { Arrivals::AreLost } else { Arrivals::Wait });
                self.later(lasts, Turn::Resume(place))
            }
            Action::Slow { node, work } => {
                let place = self.up(*node)?;
                self.sim.slow(place, *work);
                self.later(lasts, Turn::Hurry(place))
            }
            Action::Clock { node, by } => self.jump_clock(*node, *by),
            Action::BreakDisk { node } => {
                let place = self.up(*node)?;
                self.sim.break_disk(place, true);
                self.later(lasts, Turn::MendDisk(place))
            }
            Action::Join {} => self.join(),
            Action::Remove { node, by } => {
                // A process that stands still obeys nobody.
                let place = self.up(*by).filter(|place| self.sim.nodes[place.0].paused.is_none())?;
                let subject = Some(Place(*node)).filter(|_| *node < self.sim.nodes.len())?;
                self.sim.remove(place, subject).ok().map(drop)
            }
            Action::Namesake { node } => self.start_namesake(*node),
            Action::Swap { one, other } => self.swap(*one, *other),
            Action::Stranger { node } => self.let_stranger_in(*node),
            Action::Loss { .. } | Action::Bursts { .. } | Action::Duplicates { .. } => Some(()),
            Action::Hold { .. } | Action::Damage { .. } | Action::Largest { .. } => Some(()),
            Action::Split { .. } | Action::OneWay { .. } | Action::Ring { .. } => Some(()),
            Action::Streams { .. } => Some(()),
        }
    }

    /// The place of a node that runs.
    fn up(&self, node: usize) -> Option<Place> {
        Some(Place(node)).filter(|&place| node < self.sim.nodes.len() && self.sim.is_up(place))
    }

    /// The place of a node that is down, and may start.
    fn down_at(&self, node: usize) -> Option<Place> {
        let place = Place(node);
        let occupied = self.strangers.values().any(|&taken| taken == place);
        let is_down = node < self.sim.nodes.len() && !self.sim.is_up(place) && !occupied;
        Some(place).filter(|_| is_down && !self.strangers.contains_key(&place))
    }

    fn set(&mut self, node: usize, keys: &[String], text: &str, lifetime: Lifetime) -> Option<()> {
        let pair = |key: &String| Some((Key::new(key).ok()?, Value::from(text)));
        let pairs = keys.iter().map(pair).collect::<Option<_>>()?;
        self.sim.try_set_for(self.up(node)?, pairs, lifetime).ok().map(drop)
    }

    fn request(&mut self, number: usize, action: &Action) -> Option<()> {
        let Action::Request { node, owner, key, delete, expected, ttl, ephemeral, wait } = action else {
            return None;
        };
        let (place, owner) = (self.up(*node)?, Place(*owner));
        let seen = || {
            let (generation, shown) = self.sim.core(place).value(self.sim.name(owner), key)?;
            Some((generation, shown.version))
        };
        let expected = match expected {
            Expected::Any => None,
            Expected::Seen => seen(),
            Expected::Never => Some((Generation(1), Version(1))),
        };
        let value = (!delete).then(|| Value::from(filling(number, 8)));
        let lifetime = Lifetime { ttl: *ttl, is_ephemeral: *ephemeral };
        let request = Request { key: Key::new(key).ok()?, value, lifetime, expected };
        self.sim.request(place, owner, request, *wait).ok().map(drop)
    }

    fn crash(&mut self, node: usize, stays: bool) -> Option<()> {
        let place = self.up(node)?;
        self.sim.crash(place);
        if stays {
            self.staying.insert(place);
        }
        Some(())
    }

    fn jump_clock(&mut self, node: usize, seconds: i64) -> Option<()> {
        let place = self.up(node).or_else(|| self.down_at(node))?;
        let skew = self.sim.nodes[place.0].skew;
        self.sim.skew(place, skew.saturating_add(seconds.saturating_mul(1_000)));
        Some(())
    }

    fn restart_all(&mut self, disk: Disk, within: Duration) -> Option<()> {
        let up = (0..self.sim.nodes.len()).filter_map(|node| self.up(node));
        let mut running: Vec<_> = up.filter(|place| !self.strangers.contains_key(place)).collect();
        for &place in &running {
            self.sim.crash(place);
        }
        self.sim.rng.shuffle(&mut running);
        let count = u32::try_from(running.len()).ok().filter(|count| *count > 0)?;
        for (turn, place) in (1..).zip(running) {
            self.later(Some(within * turn / count), Turn::Start(place, disk));
        }
        Some(())
    }

    fn join(&mut self) -> Option<()> {
        let name = format!("node-{}", self.sim.nodes.len());
        let (config, seeds) = (self.scenario.config(), self.seeds());
        self.sim.start(&name, config, &seeds);
        Some(())
    }

    fn start_namesake(&mut self, node: usize) -> Option<()> {
        let name = self.sim.name(self.up(node)?).to_string();
        let (config, seeds) = (self.scenario.config(), self.seeds());
        self.sim.start(&name, config, &seeds);
        Some(())
    }

    fn swap(&mut self, one: usize, other: usize) -> Option<()> {
        let (one, other) = (self.up(one)?, self.up(other).filter(|_| one != other)?);
        self.sim.swap(one, other);
        Some(())
    }

    /// A node of another cluster starts at the address of one that crashes, and takes its peers for its own.
    fn let_stranger_in(&mut self, node: usize) -> Option<()> {
        let place = self.up(node)?;
        self.sim.crash(place);
        let config = Config { cluster: "another".to_owned(), ..self.scenario.config() };
        let all: Vec<_> = (0..self.scenario.nodes).map(Place).collect();
        let name = format!("stranger-{}", self.sim.nodes.len());
        let stranger = self.sim.occupy(place, &name, config, &all);
        self.strangers.insert(stranger, place);
        Some(())
    }
}

/// A value of so many bytes that is like no other step's.
fn filling(number: usize, bytes: usize) -> String {
    let mut text = format!("{number:x}-");
    while text.len() < bytes {
        text.push(char::from(b'a' + u8::try_from(text.len() % 26).unwrap_or_default()));
    }
    text.truncate(bytes.max(1));
    text
}
