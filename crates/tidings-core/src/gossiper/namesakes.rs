//! One name, one process: the newcomer asks first, and of two that run, the lower one stops.

use std::net::SocketAddr;
use std::time::Duration;

use super::Gossiper;
use crate::bounds;
use crate::message::{Body, Instance, Namesake, Sender};
use crate::namesake::{Conflict, Stage};
use crate::peer::Rejected;
use crate::time::{Moment, Time};
use crate::version::{Generation, Heartbeat};

/// How many are asked before the start.
const ASKED: usize = 4;
/// How often each is asked, if it does not answer.
const TURNS: u32 = 4;
/// By how much a wake-up may be late on a machine that is busy.
const LATE: Duration = Duration::from_millis(100);

impl Gossiper {
    /// Whether another process has this node's name, so that this one gave way. It takes no part then, for good.
    #[must_use]
    pub fn conflict(&self) -> Option<Conflict> {
        match self.namesake.stage {
            Stage::Lost(conflict) => Some(conflict),
            Stage::New | Stage::Searching(_) | Stage::Settled => None,
        }
    }

    /// Whether this node has begun to take part: its generation is safe, and nobody else was found to use its name.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.owner.is_announced && self.namesake.stage == Stage::Settled
    }

    /// Looks for another process of this name before this one takes part. Whoever knows nobody to ask begins at once.
    pub(super) fn search(&mut self, now: Time) {
        match self.namesake.stage {
            Stage::New => {
                let contacts = self.contacts.seeds().iter().chain(self.contacts.remembered());
                let asked: Vec<_> = contacts.copied().take(ASKED).collect();
                self.namesake.stage = if asked.is_empty() {
                    Stage::Settled
                } else {
                    Stage::Searching(now.moment + self.span_of_search())
                };
                self.namesake.repeat = now.moment + self.span_of_search() / TURNS;
                asked.into_iter().for_each(|address| self.who_once(now, address));
            }
            // Woken too late, this node slept, and answers may wait.
            Stage::Searching(until) if now.moment.since(until) > LATE => {
                self.namesake.stage = Stage::Searching(now.moment + self.span_of_search() / TURNS);
            }
            Stage::Searching(until) if now.moment >= until => self.settle(now),
            Stage::Searching(_) if now.moment >= self.namesake.repeat => {
                self.namesake.repeat = now.moment + self.span_of_search() / TURNS;
                for (number, address) in self.namesake.open(now.moment) {
                    let instance = self.namesake.instance;
                    self.transmit(address, number, Body::Who(instance));
                }
            }
            Stage::Searching(_) | Stage::Settled | Stage::Lost(_) => {}
        }
    }

    pub(super) fn span_of_search(&self) -> Duration {
        self.config.interval.clamp(Duration::from_secs(1), Duration::from_secs(2))
    }

    /// When the search wants to go on.
    pub(super) fn search_timeout(&self) -> Moment {
        match self.namesake.stage {
            Stage::New => self.clock.now,
            Stage::Searching(until) => until.min(self.namesake.repeat),
            Stage::Settled | Stage::Lost(_) => Moment::NEVER,
        }
    }

    /// Asks `address`, unless this search did.
    fn who_once(&mut self, now: Time, address: SocketAddr) {
        if self.namesake.may_try(address) {
            self.who(now, address);
        }
    }

    /// Somebody knows of nobody else. Others that were asked may.
    fn hear_of_nobody(&mut self, now: Time) {
        let is_searching = matches!(self.namesake.stage, Stage::Searching(_));
        if is_searching && !self.namesake.is_asking(now.moment) {
            self.settle(now);
        }
    }

    fn settle(&mut self, now: Time) {
        self.namesake.stage = Stage::Settled;
        self.clock.next = now.moment;
    }

    fn who(&mut self, now: Time, address: SocketAddr) {
        let span = self.span_of_search();
        if let Some(number) = self.namesake.ask(&mut self.rng, address, now.moment, span) {
            let instance = self.namesake.instance;
            self.transmit(address, number, Body::Who(instance));
        }
    }

    /// This node's name was heard from another process at `address`, or of one there.
    pub(super) fn look_for_namesake(&mut self, now: Time, address: SocketAddr) {
        let is_due = self.namesake.stage == Stage::Settled && address != self.cluster.own().address();
        if is_due && self.namesake.may_ask(now.moment, self.config.interval / 2) {
            self.who(now, address);
        }
    }

    /// Somebody introduces this node's name as a life that began at `generation`, at `address`.
    pub(super) fn hear_of_namesake(&mut self, now: Time, generation: Generation, address: SocketAddr) {
        if generation >= self.cluster.own().generation() {
            self.look_for_namesake(now, address);
        }
    }

    pub(super) fn receive_who(
        &mut self,
        now: Time,
        from: SocketAddr,
        sender: Sender,
        exchange: u32,
        instance: Instance,
    ) -> Result<(), Rejected> {
        if !self.proofs.spend(from, 4, now.moment) {
            return Err(Rejected::Flood);
        }
        if !bounds::is_believable(now.wall, sender.head, sender.max) {
            return Err(Rejected::Unbelievable);
        }
        let answer = if sender.id == self.cluster.me() {
            if instance == self.namesake.instance {
                // Only what was asked there comes back from there.
                if self.namesake.answer(exchange, from) {
                    self.contacts.shun(from, now.moment + 30 * self.config.interval);
                    self.hear_of_nobody(now);
                }
                return Err(Rejected::Echo);
            }
            // It may be the one that stays, and know no other way to say so; unless it only asks whether it may begin.
            if sender.head.heartbeat > Heartbeat(0) {
                self.look_for_namesake(now, from);
            }
            match self.namesake.stage {
                Stage::Settled => Namesake::Me(self.namesake.instance),
                // Of two newcomers, the higher one takes the name.
                Stage::New | Stage::Searching(_) if self.rank() > (sender.head.generation, instance) => {
                    Namesake::Me(self.namesake.instance)
                }
                Stage::New | Stage::Searching(_) | Stage::Lost(_) => Namesake::Nobody,
            }
        } else {
            let known = self.cluster.endpoint(sender.id).filter(|known| !known.has_departed());
            known.map_or(Namesake::Nobody, |known| Namesake::At(known.address()))
        };
        if self.owner.is_announced {
            self.transmit(from, exchange, Body::Namesake(answer));
        }
        Ok(())
    }

    pub(super) fn receive_namesake(
        &mut self,
        now: Time,
        from: SocketAddr,
        sender: Sender,
        exchange: u32,
        namesake: Namesake,
    ) -> Result<(), Rejected> {
        if !bounds::is_believable(now.wall, sender.head, sender.max) {
            return Err(Rejected::Unbelievable);
        }
        if !self.namesake.answer(exchange, from) {
            return Err(Rejected::Unsolicited);
        }
        let is_searching = matches!(self.namesake.stage, Stage::Searching(_));
        match namesake {
            Namesake::Me(instance) if sender.id == self.cluster.me() => {
                let is_other = instance != self.namesake.instance;
                let gives_way = is_searching || self.rank() < (sender.head.generation, instance);
                if is_other && gives_way && self.conflict().is_none() {
                    let here = self.cluster.own().address();
                    let conflict = Conflict { here, there: from, at_start: is_searching };
                    self.namesake.stage = Stage::Lost(conflict);
                }
            }
            Namesake::At(address) if is_searching && address != self.cluster.own().address() => {
                if self.namesake.may_try(address) {
                    self.namesake.stage = Stage::Searching(now.moment + self.span_of_search());
                    self.who(now, address);
                } else {
                    self.hear_of_nobody(now);
                }
            }
            Namesake::At(_) | Namesake::Nobody if is_searching => self.hear_of_nobody(now),
            Namesake::Me(_) | Namesake::At(_) | Namesake::Nobody => {}
        }
        Ok(())
    }

    /// By what two processes of one name are told apart, and the one that stays.
    fn rank(&self) -> (Generation, Instance) {
        (self.cluster.own().generation(), self.namesake.instance)
    }
}
