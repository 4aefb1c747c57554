//! How much this node may write, where the cluster is told more than it takes in.
//!
//! Section 4 of van Renesse, Dumitriu, Gough and Thomas (2008). Nobody is limited until three rounds in a row left somebody
//! without a part of what there was to tell, and no stream brought it. Then whoever sees that writes a quarter less than it did, and a little more
//! again while all fits; two that are limited and gossip share what both may write, and what one does not need, the other gets.

use std::collections::BTreeSet;
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
/// After so many rounds without too much, a node that needs no limit has none.
const CALM: u32 = 60;
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
    limit: Option<Limit>,
    /// What was written since the round began, and in a busy round of late: an eighth less with each round that has less.
    written: f64,
    pace: f64,
    /// Who was told something in this round and not all, and for how many rounds in a row there was somebody, or nobody.
    left: BTreeSet<NodeId>,
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
    /// Whether a write had to wait since the last round but one began.
    is_short: bool,
}

impl Flow {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            is_on: config.flow_control,
            interval: config.interval,
            datagram: config.datagram as f64,
            limit: None,
            written: 0.0,
            pace: 0.0,
            left: BTreeSet::new(),
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
        if !is_left {
            self.left.remove(&to);
        } else if self.is_on && self.left.len() < MOST_LEFT {
            self.left.insert(to);
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
        let is_left = !std::mem::take(&mut self.left).is_empty();
        let is_full = is_left && self.served == 0;
        self.served = self.served.saturating_sub(1);
        (self.full, self.roomy) = if is_full { (self.full + 1, 0) } else { (0, self.roomy + 1) };
        let least = self.datagram / 4.0 / nodes.max(1) as f64;
        if is_full && self.full.is_multiple_of(STREAK) {
            self.decrease(least, now);
        }
        let is_calm = self.roomy >= CALM;
        self.limit.take_if(|limit| is_calm && !limit.is_short);
        if let Some(limit) = &mut self.limit {
            if !is_full && self.roomy.is_multiple_of(STREAK) {
                limit.rate += (limit.knee / 16.0).max(least);
            }
            limit.rate = limit.rate.max(least);
            limit.is_short &= limit.credit <= 0.0;
        }
    }

    fn decrease(&mut self, least: f64, now: Moment) {
        let start = self.unlimited(now);
        let limit = self.limit.get_or_insert(start);
        // What a node might write and does not was no part of what was too much.
        limit.knee = limit.rate.min(self.pace);
        let left = if self.full > STREAK { AGAIN } else { DECREASE };
        limit.rate = (left * limit.knee).max(least);
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

    /// Shares with one that this node gossips with: both get what they want if that is there, with half of what is left; else
    /// whoever wants no more than half of all gets that, and the other one the rest.
    ///
    /// A node that is free may write what it does: it was not calm for long, and the other one has reason to hold back.
    pub(crate) fn meet(&mut self, theirs: Share, now: Moment) {
        if self.limit.is_none() && self.is_on && self.roomy < CALM {
            self.limit = Some(Limit { rate: self.pace, knee: self.pace, ..self.unlimited(now) });
        }
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
        limit.rate = limit.rate.clamp(f64::MIN_POSITIVE, f64::from(Share::MOST));
    }
}

impl Limit {
    /// Gives the credit of the time since it was given last: a datagram's worth at once, or what an interval brings.
    fn refill(&mut self, interval: Duration, datagram: f64, now: Moment) {
        let intervals = now.since(self.at).as_secs_f64() / interval.as_secs_f64();
        self.credit = (self.credit + self.rate * intervals).min(datagram.max(self.rate));
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

    /// A node that wrote 800 bytes in each of so many rounds, `full` of which were too full at the end.
    fn loaded(rounds: u64, full: u64) -> Flow {
        let mut flow = Flow::new(&Config::new("test"));
        for round in 0..rounds {
            assert_eq!(flow.admit(800, at(round)), Ok(()));
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
    fn two_that_meet_share_and_the_sum_stays() {
        for (mine, theirs) in [((100, 10), (20, 90)), ((100, 10), (20, 900)), ((50, 900), (70, 900))] {
            let share = |(limit, wants)| Share { limit, wants };
            let after = |(limit, wants): (u32, u32), theirs| {
                let rate = f64::from(limit);
                let limit = Limit { rate, knee: rate, credit: 0.0, at: at(0), is_short: false };
                let pace = f64::from(wants) / 1.25;
                let mut flow = Flow { limit: Some(limit), pace, ..Flow::new(&Config::new("test")) };
                flow.meet(share(theirs), at(0));
                rate_of(&flow).unwrap()
            };
            let (one, other) = (after(mine, theirs), after(theirs, mine));
            assert!((one + other - f64::from(mine.0 + theirs.0)).abs() < 1e-6, "{one} {other}");
            assert!(one >= f64::from(mine.1.min((mine.0 + theirs.0) / 2)) - 1e-6, "{one}");
        }
    }
}
