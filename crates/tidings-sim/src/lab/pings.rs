//! A cluster of plain SWIM (Das, Gupta and Motivala 2002), with memberlist's settings for a local network: what others measure
//! themselves by.
//!
//! Each member pings one other in each period, in a random order. Who does not answer, not even to helpers, is suspected, and
//! dead for whoever hears of no refutation in time. Words of it go with all messages, and by gossip of their own.

use std::collections::BTreeMap;

use crate::lab::chance::Chance;

/// Spans in microseconds.
pub(crate) const SECOND: u64 = 1_000_000;
const PERIOD: u64 = SECOND;
/// How long a ping may be unanswered before helpers are asked.
const PATIENCE: u64 = SECOND / 2;
const HELPERS: usize = 3;
const GOSSIP: u64 = SECOND / 5;
/// How many are told in a gossip.
const FANOUT: usize = 3;
/// How many words go into a message.
const WORDS: usize = 20;
/// A message takes as long on average on the local network of the full protocol.
const LATENCY: u64 = SECOND / 1_000;

/// A cluster of plain SWIM.
pub(crate) struct Pings<'a> {
    /// How long a suspect has to refute.
    suspicion: u64,
    /// How often a word is told: four times the digits of the number of members.
    times: u32,
    members: Vec<Member>,
    queue: BTreeMap<(u64, u64), (usize, What)>,
    number: u64,
    now: u64,
    chance: &'a mut Chance,
    /// How many messages were sent.
    pub(crate) messages: u64,
    /// Who came to believe when of whom that it is dead: time, observer, subject.
    pub(crate) convictions: Vec<(u64, usize, usize)>,
}

struct Member {
    views: Vec<View>,
    /// Whom it pings, in which order, and who is next.
    order: Vec<usize>,
    next: usize,
    probe: u64,
    is_answered: bool,
    to_tell: Vec<(Word, u32)>,
    /// Until when its messages wait, both ways; its clocks run on.
    mute_until: u64,
    has_crashed: bool,
}

/// What is believed of a member. The later incarnation counts, and of one incarnation the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct View {
    incarnation: u32,
    standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Alive,
    Suspect,
    Dead,
}

/// What is said of a member.
#[derive(Debug, Clone, Copy)]
struct Word {
    of: usize,
    view: View,
}

enum What {
    Period,
    Gossip,
    Unanswered { probe: u64, target: usize },
    Overdue { probe: u64, target: usize },
    Verdict { of: usize, incarnation: u32 },
    Arrival { from: usize, body: Body, words: Vec<Word> },
}

#[derive(Clone, Copy)]
enum Body {
    Ping { prober: usize, probe: u64 },
    Ask { probe: u64, target: usize },
    Answer { prober: usize, probe: u64 },
    Gossip,
}

impl<'a> Pings<'a> {
    /// So many members that know each other, and give a suspect so many microseconds.
    pub(crate) fn new(members: usize, suspicion: u64, chance: &'a mut Chance) -> Self {
        let alive = View { incarnation: 0, standing: Standing::Alive };
        let member = |me| Member {
            views: vec![alive; members],
            order: (0..members).filter(|&other| other != me).collect(),
            next: members,
            probe: 0,
            is_answered: false,
            to_tell: Vec::new(),
            mute_until: 0,
            has_crashed: false,
        };
        let digits = (members + 1).checked_ilog10().unwrap_or(0) + 1;
        let mut pings = Self {
            suspicion,
            times: 4 * digits,
            members: (0..members).map(member).collect(),
            queue: BTreeMap::new(),
            number: 0,
            now: 0,
            chance,
            messages: 0,
            convictions: Vec::new(),
        };
        for me in 0..members {
            let (period, gossip) = (pings.chance.word() % PERIOD, pings.chance.word() % GOSSIP);
            pings.put(period, me, What::Period);
            pings.put(gossip, me, What::Gossip);
        }
        pings
    }

    /// Lets all happen that does by `end`.
    pub(crate) fn run(&mut self, end: u64) {
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= end) {
            let ((at, _), (me, what)) = entry.remove_entry();
            self.now = at;
            if !self.members[me].has_crashed {
                self.step(me, what);
            }
        }
        self.now = end;
    }

    /// Lets the messages of a member wait until then.
    pub(crate) fn mute(&mut self, member: usize, until: u64) {
        self.members[member].mute_until = until;
    }

    /// A member is no more.
    pub(crate) fn crash(&mut self, member: usize) {
        self.members[member].has_crashed = true;
    }

    fn put(&mut self, at: u64, to: usize, what: What) {
        self.number += 1;
        self.queue.insert((at, self.number), (to, what));
    }

    fn step(&mut self, me: usize, what: What) {
        match what {
            What::Period => self.begin(me),
            What::Gossip => {
                if !self.members[me].to_tell.is_empty() {
                    for _ in 0..FANOUT {
                        let to = self.chance.other(me, self.members.len());
                        self.send(me, to, Body::Gossip);
                    }
                }
                self.put(self.now + GOSSIP, me, What::Gossip);
            }
            What::Unanswered { probe, target } if self.waits(me, probe) => {
                for _ in 0..HELPERS {
                    let helper = self.chance.other(me, self.members.len());
                    if helper != target {
                        self.send(me, helper, Body::Ask { probe, target });
                    }
                }
            }
            What::Overdue { probe, target } if self.waits(me, probe) => {
                let incarnation = self.members[me].views[target].incarnation;
                let view = View { incarnation, standing: Standing::Suspect };
                self.hear(me, Word { of: target, view });
            }
            What::Verdict { of, incarnation } => {
                if self.members[me].views[of] == (View { incarnation, standing: Standing::Suspect }) {
                    let view = View { incarnation, standing: Standing::Dead };
                    self.hear(me, Word { of, view });
                }
            }
            What::Arrival { from, body, words } => {
                let until = self.members[me].mute_until;
                if until > self.now {
                    return self.put(until, me, What::Arrival { from, body, words });
                }
                words.into_iter().for_each(|word| self.hear(me, word));
                self.arrive(me, from, body);
            }
            What::Unanswered { .. } | What::Overdue { .. } => {}
        }
    }

    fn waits(&self, me: usize, probe: u64) -> bool {
        self.members[me].probe == probe && !self.members[me].is_answered
    }

    /// A period begins with a ping.
    fn begin(&mut self, me: usize) {
        self.put(self.now + PERIOD, me, What::Period);
        for _ in 0..self.members.len() {
            let member = &mut self.members[me];
            if member.next >= member.order.len() {
                member.next = 0;
                self.chance.shuffle(&mut member.order);
            }
            let target = member.order[member.next];
            member.next += 1;
            if member.views[target].standing == Standing::Dead {
                continue;
            }
            member.probe += 1;
            member.is_answered = false;
            let probe = member.probe;
            self.send(me, target, Body::Ping { prober: me, probe });
            self.put(self.now + PATIENCE, me, What::Unanswered { probe, target });
            // Before the next period begins.
            self.put(self.now + PERIOD - 1, me, What::Overdue { probe, target });
            return;
        }
    }

    fn arrive(&mut self, me: usize, from: usize, body: Body) {
        match body {
            Body::Ping { prober, probe } => self.send(me, from, Body::Answer { prober, probe }),
            Body::Ask { probe, target } => self.send(me, target, Body::Ping { prober: from, probe }),
            Body::Answer { prober, probe } if prober == me => {
                self.members[me].is_answered |= self.members[me].probe == probe;
            }
            Body::Answer { prober, probe } => self.send(me, prober, Body::Answer { prober, probe }),
            Body::Gossip => {}
        }
    }

    fn send(&mut self, me: usize, to: usize, body: Body) {
        let member = &mut self.members[me];
        // The youngest words come first.
        member.to_tell.sort_by_key(|&(_, left)| std::cmp::Reverse(left));
        let words = member.to_tell.iter_mut().take(WORDS).map(|(word, left)| {
            *left -= 1;
            *word
        });
        let words = words.collect();
        member.to_tell.retain(|&(_, left)| left > 0);
        self.messages += 1;
        let leaves = self.now.max(member.mute_until);
        self.put(leaves + LATENCY, to, What::Arrival { from: me, body, words });
    }

    fn hear(&mut self, me: usize, word: Word) {
        let Word { of, mut view } = word;
        let known = self.members[me].views[of];
        if of == me {
            if view.standing == Standing::Alive || view.incarnation < known.incarnation {
                return;
            }
            // It refutes what is said of it.
            view = View { incarnation: view.incarnation + 1, standing: Standing::Alive };
        } else if view <= known {
            return;
        }
        self.members[me].views[of] = view;
        self.members[me].to_tell.retain(|(other, _)| other.of != of);
        self.members[me].to_tell.push((Word { of, view }, self.times));
        match view.standing {
            Standing::Alive => {}
            Standing::Suspect => {
                let incarnation = view.incarnation;
                self.put(self.now + self.suspicion, me, What::Verdict { of, incarnation });
            }
            Standing::Dead => self.convictions.push((self.now, me, of)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_convicted_but_the_crashed() {
        let chance = &mut Chance::new(1, "pings", 0);
        let mut pings = Pings::new(32, 2 * SECOND, chance);
        pings.run(100 * SECOND);
        assert!(pings.convictions.is_empty());
        assert_eq!(pings.messages / 32, 200, "a ping and an answer in each period");
        pings.crash(7);
        pings.run(120 * SECOND);
        let mut times: Vec<_> = pings.convictions.iter().map(|&(at, _, of)| (at, of)).collect();
        times.sort_unstable();
        assert!(times.len() == 31 && times.iter().all(|&(_, of)| of == 7), "{times:?}");
        assert!(times[0].0 >= 103 * SECOND && times[30].0 < 110 * SECOND, "{times:?}");
    }

    #[test]
    fn whoever_is_mute_for_long_convicts_the_living() {
        let chance = &mut Chance::new(1, "mute", 0);
        let mut pings = Pings::new(32, 2 * SECOND, chance);
        pings.mute(0, 20 * SECOND);
        pings.run(40 * SECOND);
        let by_the_mute = pings.convictions.iter().filter(|&&(_, by, of)| by == 0 && of != 0).count();
        let of_the_mute = pings.convictions.iter().filter(|&&(_, _, of)| of == 0).count();
        assert!(by_the_mute > 0 && of_the_mute == 31, "{by_the_mute} {of_the_mute}");
    }
}
