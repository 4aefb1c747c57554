//! How much this node may write, where the cluster is told more than it takes in.
//!
//! Section 4 of van Renesse, Dumitriu, Gough and Thomas (2008). Nobody is limited until three rounds in a row left somebody
//! without much of what there was to tell, and no stream brought it. Then whoever sees that writes a quarter less than it did,
//! and more again while all fits; two that are limited and gossip share what both may write, and what one does not need, the other gets.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::Config;
use crate::message::Share;
use crate::name::NodeId;
use crate::time::Moment;

/// After so many rounds in a row that were all too full, less may be written; after so many that were not, more.
const STREAK: u32 = 3;
/// What is left of the limit when it was too much; and when it was, and the last one too.
const DECREASE: f64 = 0.75;
const AGAIN: f64 = 0.5;
/// After so many rounds in a row without too much, a node has no limit.
const CALM: u32 = 60;
/// Who was left without all for more rounds than this, and always the same one, is held up by something else.
const STUCK: u32 = 32;
/// One write, however large, makes the next ones wait for so many intervals at most.
const LONGEST_DEBT: f64 = 64.0;
/// For so many rounds, one stream that was served in time shows that streams bring what datagrams do not.
const SERVED: u32 = 8;
/// How many receivers of a round are remembered that did not get all.
const MOST_LEFT: usize = 64;

/// What a node may write. All amounts are bytes of keys and values; rates are for an interval.
#[derive(Debug)]
pub(crate) struct Flow {
    is_on: bool,
    interval: Duration,
    datagram: f64,
    /// The lowest limit.
    least: f64,
    limit: Option<Limit>,
    /// What was written since the round began, and in a busy round of late: an eighth less with each round that has less.
    written: f64,
    pace: f64,
    /// Who was told something in this round and not all, and for how many rounds in a row those of the last one were; for how
    /// many in a row there was somebody, or nobody.
    left: Vec<NodeId>,
    behind: BTreeMap<NodeId, u32>,
    full: u32,
    roomy: u32,
    /// For how many rounds more streams are known to bring what datagrams do not.
    served: u32,
}

/// What limits a node.
#[derive(Debug, Clone, Copy)]
struct Limit {
    rate: f64,
    /// The rate that was too much.
    knee: f64,
    /// What may be written at once, as of when; below zero after a large write.
    credit: f64,
    at: Moment,
    /// Whether a write had to wait, and none could go at the beginning of a round since.
    is_short: bool,
}

impl Flow {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            is_on: config.flow_control,
            interval: config.interval,
            datagram: config.datagram as f64,
            least: 1.0,
            limit: None,
            written: 0.0,
            pace: 0.0,
            left: Vec::new(),
            behind: BTreeMap::new(),
            full: 0,
            roomy: 0,
            served: 0,
        }
    }

    /// Whether a write had to wait of late.
    pub(crate) fn is_short(&self) -> bool {
        self.limit.is_some_and(|limit| limit.is_short)
    }

    /// Takes a write of `bytes`, or says how long it has to wait.
    pub(crate) fn admit(&mut self, bytes: usize, now: Moment) -> Result<(), Duration> {
        let bytes = bytes as f64;
        if let Some(limit) = &mut self.limit {
            limit.refill(self.interval, self.datagram, now);
            if limit.credit <= 0.0 {
                limit.is_short = true;
                let intervals = (-limit.credit / limit.rate).min(LONGEST_DEBT);
                return Err(self.interval.mul_f64(intervals) + Duration::from_millis(1));
            }
            limit.credit = (limit.credit - bytes).max(-LONGEST_DEBT * limit.rate);
        }
        self.written += bytes;
        Ok(())
    }

    /// `to` was told something in this round, and `is_left` says whether it still lacks of it.
    pub(crate) fn told(&mut self, to: NodeId, is_left: bool) {
        self.left.retain(|&other| other != to);
        if is_left && self.is_on && self.left.len() < MOST_LEFT {
            self.left.push(to);
        }
    }

    /// All that was asked for on a stream was told there, in such a time.
    pub(crate) fn served(&mut self, took: Duration) {
        if took <= self.interval {
            self.served = SERVED;
        }
    }

    /// A round begins, among so many nodes: what the last one was like counts.
    pub(crate) fn begin_round(&mut self, nodes: usize, now: Moment) {
        self.pace = std::mem::take(&mut self.written).max(self.pace * 7.0 / 8.0);
        let before = std::mem::take(&mut self.behind);
        let rounds = |to| before.get(&to).map_or(1, |rounds: &u32| rounds.saturating_add(1));
        self.behind = self.left.drain(..).map(|to| (to, rounds(to))).collect();
        let is_full = self.served == 0 && self.behind.values().any(|&rounds| rounds <= STUCK);
        self.served = self.served.saturating_sub(1);
        (self.full, self.roomy) =
            if is_full { (self.full.saturating_add(1), 0) } else { (0, self.roomy.saturating_add(1)) };
        self.least = self.datagram / 4.0 / nodes.max(1) as f64;
        if is_full && self.full.is_multiple_of(STREAK) {
            self.decrease(now);
        }
        self.limit.take_if(|_| self.roomy >= CALM);
        if let Some(limit) = &mut self.limit {
            if !is_full && self.roomy.is_multiple_of(STREAK) {
                // Ever more while all fits.
                let streaks = f64::from(self.roomy / STREAK);
                limit.rate = (limit.rate + streaks * limit.knee / 16.0).min(f64::from(Share::MOST));
            }
            limit.refill(self.interval, self.datagram, now);
            limit.is_short &= limit.credit <= 0.0;
        }
    }

    fn decrease(&mut self, now: Moment) {
        let start = self.unlimited(now);
        let limit = self.limit.get_or_insert(start);
        // What a node might write and does not was no part of what was too much.
        let rate = limit.rate.min(self.pace);
        if self.full == STREAK {
            limit.knee = rate.max(4.0 * self.least);
        }
        let left = if self.full > STREAK { AGAIN } else { DECREASE };
        limit.rate = (left * rate).max(self.least);
    }

    /// The limit of a node from `now` on that has had none.
    fn unlimited(&self, now: Moment) -> Limit {
        Limit { rate: f64::MAX, knee: 0.0, credit: self.datagram, at: now, is_short: false }
    }

    /// What to tell of it, if there is a limit.
    pub(crate) fn share(&self) -> Option<Share> {
        let Limit { rate, is_short, .. } = self.limit?;
        let wants = if is_short { f64::from(Share::MOST) } else { 1.25 * self.pace };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Bounded, and not below zero.
        let whole = |amount: f64| amount.clamp(0.0, f64::from(Share::MOST)).ceil() as u32;
        Some(Share { limit: whole(rate), wants: whole(wants) })
    }

    /// What to tell one that asks and says that its share is `theirs`, if it has one; then both share.
    pub(crate) fn share_with(&mut self, theirs: Option<Share>, now: Moment) -> Option<Share> {
        if theirs.is_some() {
            self.hold_back(now);
        }
        let ours = self.share();
        theirs.into_iter().for_each(|theirs| self.meet(theirs));
        ours
    }

    /// One that was asked says that its share is `theirs`. If this node is limited, it said so, and both share.
    pub(crate) fn hear_share(&mut self, theirs: Option<Share>, now: Moment) {
        match theirs {
            Some(theirs) if self.limit.is_some() => self.meet(theirs),
            Some(_) => self.hold_back(now),
            None => {}
        }
    }

    /// Another one holds back. If this node is free, and was not calm for long, it may write what it does from now on.
    fn hold_back(&mut self, now: Moment) {
        if self.limit.is_none() && self.is_on && self.roomy < CALM {
            let rate = self.pace.max(self.least);
            self.limit = Some(Limit { rate, knee: rate.max(4.0 * self.least), ..self.unlimited(now) });
        }
    }

    /// Shares with one that this node gossips with: both get what they want if that is there, with half of what is left; else
    /// whoever wants no more than half of all gets that, and the other one the rest.
    fn meet(&mut self, theirs: Share) {
        let (Some(mine), Some(limit)) = (self.share(), &mut self.limit) else { return };
        let wants = [mine.wants, theirs.wants].map(f64::from);
        let all = limit.rate + f64::from(theirs.limit);
        let spare = (all - wants[0] - wants[1]) / 2.0;
        let half = all / 2.0;
        limit.rate = if spare >= 0.0 {
            wants[0] + spare
        } else if wants[0] <= half {
            wants[0]
        } else if wants[1] <= half {
            all - wants[1]
        } else {
            half
        };
        limit.rate = limit.rate.clamp(self.least, f64::from(Share::MOST));
    }
}

impl Limit {
    /// Gives the credit of the time since it was given last: a datagram's worth at once, or what an interval brings.
    fn refill(&mut self, interval: Duration, datagram: f64, now: Moment) {
        let intervals = now.since(self.at).as_secs_f64() / interval.as_secs_f64();
        let most = datagram.max(self.rate);
        self.credit = (self.credit + self.rate * intervals).clamp(-LONGEST_DEBT * self.rate, most);
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn rate_of(flow: &Flow) -> Option<f64> {
        flow.limit.map(|limit| limit.rate)
    }

    fn at(second: u64) -> Moment {
        Moment::default() + SECOND * u32::try_from(second).unwrap()
    }

    /// A node that wrote 800 bytes in each of so many rounds, as far as it might, `full` of which were too full at the end.
    fn loaded(rounds: u64, full: u64) -> Flow {
        let mut flow = Flow::new(&Config::new("test"));
        for round in 0..rounds {
            let _ = flow.admit(800, at(round));
            flow.told(NodeId(1), round + full >= rounds);
            flow.begin_round(10, at(round));
        }
        flow
    }

    #[test]
    fn nothing_limits_a_node_before_three_rounds_in_a_row_were_too_full() {
        assert_eq!(rate_of(&loaded(50, 0)), None);
        assert_eq!(rate_of(&loaded(50, 2)), None);
        let rate = rate_of(&loaded(50, 3)).unwrap();
        assert!((590.0..=600.0).contains(&rate), "{rate}");
        let lower = rate_of(&loaded(50, 6)).unwrap();
        assert!((lower - rate / 2.0).abs() < 10.0, "{lower}");
    }

    #[test]
    fn who_gets_the_rest_in_another_message_lacks_nothing() {
        let mut flow = loaded(50, 2);
        flow.told(NodeId(1), true);
        flow.told(NodeId(1), false);
        flow.begin_round(10, at(50));
        assert_eq!(rate_of(&flow), None);
    }

    #[test]
    fn a_write_above_the_limit_waits_as_long_as_it_is_told() {
        let mut flow = loaded(50, 3);
        let rate = rate_of(&flow).unwrap();
        let now = at(50);
        let admitted = (0..100).take_while(|_| flow.admit(100, now).is_ok()).count();
        assert!((12..=13).contains(&admitted), "a datagram's worth: {admitted}");
        let wait = flow.admit(100, now).unwrap_err();
        assert!(wait <= SECOND.mul_f64(100.0 / rate) + Duration::from_millis(1), "{wait:?}");
        assert_eq!(flow.admit(100, now + wait), Ok(()));
        // A large write goes, and the next one waits for a minute at most.
        let later = now + 60 * SECOND;
        assert_eq!(flow.admit(8 << 20, later), Ok(()));
        let wait = flow.admit(1, later).unwrap_err();
        assert!(wait <= 64 * SECOND + Duration::from_millis(1), "{wait:?}");
    }

    #[test]
    fn the_limit_grows_while_all_fits_and_goes_when_nobody_needs_it() {
        let mut flow = loaded(50, 3);
        let before = rate_of(&flow).unwrap();
        (0..3).for_each(|round| flow.begin_round(10, at(51 + round)));
        assert!((rate_of(&flow).unwrap() - before - 50.0).abs() < 1.0, "a sixteenth of 800");
        (0..60).for_each(|round| flow.begin_round(10, at(54 + round)));
        assert_eq!(rate_of(&flow), None);
    }

    #[test]
    fn a_write_that_was_refused_and_not_tried_again_leaves_no_limit() {
        let mut flow = loaded(50, 3);
        while flow.admit(1_000, at(50)).is_ok() {}
        assert!(flow.is_short());
        (0..10).for_each(|round| flow.begin_round(10, at(51 + round)));
        assert!(!flow.is_short() && flow.limit.is_some(), "it could write again");
        (0..50).for_each(|round| flow.begin_round(10, at(61 + round)));
        assert!(flow.limit.is_none());
    }

    #[test]
    fn after_long_trouble_a_node_soon_writes_as_before() {
        let mut flow = loaded(80, 30);
        assert!(rate_of(&flow).unwrap() < 100.0);
        let rounds = (0..60).find(|round| {
            flow.begin_round(10, at(80 + round));
            rate_of(&flow).is_none_or(|rate| rate >= 800.0)
        });
        assert!(rounds.unwrap() < 20, "{rounds:?}");
    }

    /// In a cluster of two, one that cannot take something would hold up the other for ever.
    #[test]
    fn whoever_never_gets_all_is_held_up_by_something_else() {
        let mut flow = Flow::new(&Config::new("test"));
        for round in 0..200 {
            flow.told(NodeId(1), true);
            flow.begin_round(2, at(round));
        }
        assert_eq!(rate_of(&flow), None);
    }

    #[test]
    fn two_that_meet_share_and_the_sum_stays() {
        for (mine, theirs) in [((100, 10), (20, 90)), ((100, 10), (20, 900)), ((50, 900), (70, 900))] {
            let share = |(limit, wants)| Share { limit, wants };
            let after = |(limit, wants): (u32, u32), theirs| {
                let rate = f64::from(limit);
                let limit = Limit { rate, knee: rate, credit: 0.0, at: at(0), is_short: false };
                let pace = f64::from(wants) / 1.25;
                let mut flow = Flow { limit: Some(limit), pace, ..Flow::new(&Config::new("test")) };
                flow.meet(share(theirs));
                rate_of(&flow).unwrap()
            };
            let (one, other) = (after(mine, theirs), after(theirs, mine));
            assert!((one + other - f64::from(mine.0 + theirs.0)).abs() < 1e-6, "{one} {other}");
            assert!(one >= f64::from(mine.1.min((mine.0 + theirs.0) / 2)) - 1e-6, "{one}");
        }
    }
}
