//! What the node's users wait for: that writes show, what became of requests, and what they decide themselves.

use std::time::Duration;

use tidings_core::{NodeName, RequestId, Unanswered, Version, WriteError};

use super::{Answer, Driver, Reply};
use crate::error::Error;

impl Driver {
    pub(super) fn await_write(&mut self, written: Result<Version, WriteError>, reply: Reply) {
        match written {
            Ok(version) => self.writers.push((version, reply)),
            Err(refused) => {
                // Whoever wrote may have gone.
                let _ = reply.send(Err(refused.into()));
            }
        }
    }

    /// Answers those whose writes show by now.
    pub(super) fn answer_writers(&mut self) {
        let (generation, shown) = (self.core.generation(), self.core.own_version());
        for (version, reply) in self.writers.extract_if(.., |(version, _)| *version <= shown) {
            let _ = reply.send(Ok((generation, version)));
        }
    }

    /// Answers what others ask for, where the user decides.
    pub(super) fn decide(&mut self) {
        let Some(decider) = &self.decider else { return };
        while let Some(question) = self.core.poll_question() {
            let decision = decider.decide(&question);
            self.core.handle_decision(self.clock.now(), &question, decision);
        }
    }

    /// Answers those who asked an owner, and withdraws what nobody waits for any more.
    pub(super) fn answer_requesters(&mut self) {
        let is_over =
            |(id, (.., reply)): (&RequestId, &(NodeName, Duration, Answer))| reply.is_closed().then_some(*id);
        for id in self.requesters.iter().filter_map(is_over).collect::<Vec<_>>() {
            self.requesters.remove(&id);
            self.core.withdraw(self.clock.now(), id);
        }
        while let Some((id, answer)) = self.core.poll_answer() {
            let Some((owner, wait, reply)) = self.requesters.remove(&id) else { continue };
            let answer = answer.map_err(|none| match none {
                Unanswered::Late => Error::NoAnswer { owner, wait },
                Unanswered::Left => Error::Stopped,
                Unanswered::Unsaved => {
                    Error::Disk(self.books.unsaved.clone().unwrap_or_else(|| "the disk failed".into()))
                }
            });
            let _ = reply.send(answer);
        }
    }
}
