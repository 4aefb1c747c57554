//! What an owner remembers of a requester, and tells it.

use std::collections::BTreeMap;

use super::{OUTSTANDING, Outcome, RequestId, read_stamp, text, whole, write_stamp};
use crate::entry::{Entry, Key, Value};
use crate::name::NodeName;
use crate::replica::Replica;
use crate::version::Version;
use crate::wire::{Reader, WireError, Writer};

/// How many bytes of the reason for a refusal travel.
const REASON: usize = 256;

/// What an owner remembers of a requester, as an entry of its own state.
///
/// Invariant: `outcomes` are of ids up to `through`, 64 at most.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Acknowledged {
    /// All requests up to this one were answered, or will never be.
    pub through: RequestId,
    /// What became of those that the requester still shows.
    outcomes: BTreeMap<RequestId, Outcome>,
}

const APPLIED: u8 = 0;
const REFUSED: u8 = 1;
const CONFLICT: u8 = 2;
const SHOWS_NOTHING: u8 = 3;
const NOT_ALLOWED: u8 = 4;
const ABSENT: u8 = 5;

impl Acknowledged {
    /// The key of the entry for `requester`.
    pub(crate) fn key(requester: &NodeName) -> Key {
        Key::of_protocol(&format!("{}{requester}", Key::ACKNOWLEDGED))
    }

    /// What `owner` acknowledges to `requester`, if anything.
    pub(crate) fn find(owner: &Replica, requester: &NodeName) -> Option<Self> {
        let value = owner.entry(Self::key(requester).as_str())?.value.as_ref()?;
        Self::decode(value).ok()
    }

    /// Whether outcomes are still told.
    pub(crate) fn is_telling(&self) -> bool {
        !self.outcomes.is_empty()
    }

    /// What became of `id`, if that is still told.
    pub(crate) fn outcome(&self, id: RequestId) -> Option<&Outcome> {
        self.outcomes.get(&id)
    }

    /// Adds the outcome of `id`, the lowest of those that are not answered.
    pub(crate) fn answer(&mut self, id: RequestId, outcome: Outcome) {
        self.through = self.through.max(id);
        self.outcomes.insert(id, outcome);
        if self.outcomes.len() > OUTSTANDING {
            self.outcomes.pop_first();
        }
    }

    /// Keeps the outcomes of those alone that the requester still shows. Returns whether any went.
    pub(crate) fn keep(&mut self, is_shown: impl Fn(RequestId) -> bool) -> bool {
        let before = self.outcomes.len();
        self.outcomes.retain(|id, _| is_shown(*id));
        self.outcomes.len() < before
    }

    /// What the entry shows.
    pub(crate) fn encode(&self) -> Value {
        let mut out = Writer::default();
        self.through.write(&mut out);
        out.varint(self.outcomes.len() as u64);
        for (id, outcome) in &self.outcomes {
            id.write(&mut out);
            match outcome {
                Outcome::Applied(stamp) => {
                    out.byte(APPLIED);
                    write_stamp(&mut out, *stamp);
                }
                Outcome::Refused(reason) => {
                    out.byte(REFUSED);
                    out.counted(told(reason).as_bytes());
                }
                Outcome::Conflict(Some(stamp)) => {
                    out.byte(CONFLICT);
                    write_stamp(&mut out, *stamp);
                }
                Outcome::Conflict(None) => out.byte(SHOWS_NOTHING),
                Outcome::NotAllowed => out.byte(NOT_ALLOWED),
                Outcome::Absent => out.byte(ABSENT),
            }
        }
        Value::from(out.into_bytes())
    }

    /// The entry itself.
    pub(crate) fn entry(&self, requester: &NodeName) -> (Key, Entry) {
        (Self::key(requester), Entry::new(Some(self.encode()), Version(0)))
    }

    pub(crate) fn decode(value: &Value) -> Result<Self, WireError> {
        let bytes = &mut Reader::new(value.as_bytes());
        let (through, count) = (RequestId::read(bytes)?, bytes.count(3)?);
        let mut outcomes = BTreeMap::new();
        for _ in 0..count {
            let id = RequestId::read(bytes)?;
            let outcome = match bytes.byte()? {
                APPLIED => Outcome::Applied(read_stamp(bytes)?),
                REFUSED => Outcome::Refused(read_reason(bytes)?),
                CONFLICT => Outcome::Conflict(Some(read_stamp(bytes)?)),
                SHOWS_NOTHING => Outcome::Conflict(None),
                NOT_ALLOWED => Outcome::NotAllowed,
                ABSENT => Outcome::Absent,
                _ => return Err(WireError::Malformed("an unknown outcome")),
            };
            let is_in_order = id <= through && outcomes.last_key_value().is_none_or(|(last, _)| *last < id);
            if !is_in_order || outcomes.len() == OUTSTANDING {
                return Err(WireError::Malformed("outcomes out of order"));
            }
            outcomes.insert(id, outcome);
        }
        whole(bytes, Self { through, outcomes })
    }
}

/// `reason` as it travels: no longer than [`REASON`], and such that it can be printed.
fn told(reason: &str) -> String {
    let printed: String = reason.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let end = (0..=REASON.min(printed.len())).rev().find(|&end| printed.is_char_boundary(end));
    printed[..end.unwrap_or(0)].to_owned()
}

fn read_reason(bytes: &mut Reader<'_>) -> Result<String, WireError> {
    let reason = text(bytes.counted()?)?;
    if reason.len() > REASON || reason.chars().any(char::is_control) {
        return Err(WireError::Malformed("a reason out of bounds"));
    }
    Ok(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{are_strict, id};
    use super::*;
    use crate::version::Generation;

    #[test]
    fn an_acknowledgement_is_read_as_it_was_written_or_not_at_all() {
        let mut acknowledged = Acknowledged::default();
        for (sequence, outcome) in [
            (1, Outcome::Applied((Generation(8), Version(2)))),
            (2, Outcome::Refused("no".to_owned())),
            (3, Outcome::Conflict(Some((Generation(8), Version(1))))),
            (4, Outcome::Conflict(None)),
            (5, Outcome::NotAllowed),
            (6, Outcome::Absent),
        ] {
            acknowledged.answer(id(9, sequence), outcome);
        }
        let bytes = acknowledged.encode();
        assert_eq!(Acknowledged::decode(&bytes).as_ref(), Ok(&acknowledged));
        are_strict(bytes.as_bytes(), |value| Acknowledged::decode(value).is_ok());
        assert!(acknowledged.keep(|id| id.sequence > 2));
        assert!(!acknowledged.keep(|id| id.sequence > 2));
        assert_eq!(acknowledged.outcome(id(9, 2)), None);
        assert_eq!(acknowledged.through, id(9, 6));
    }

    #[test]
    fn a_reason_can_be_printed_and_is_cut_between_characters() {
        let mut acknowledged = Acknowledged::default();
        acknowledged.answer(id(1, 1), Outcome::Refused(format!("\u{1b}{}", "é".repeat(200))));
        let read = Acknowledged::decode(&acknowledged.encode()).unwrap();
        assert_eq!(read.outcome(id(1, 1)), Some(&Outcome::Refused(format!(" {}", "é".repeat(127)))));
    }

    /// As many as a requester can wait for; those that were answered first go.
    #[test]
    fn so_many_outcomes_are_told_as_a_node_may_ask_for() {
        let most = OUTSTANDING as u64;
        let mut acknowledged = Acknowledged::default();
        assert!(!acknowledged.is_telling());
        (1..=most).for_each(|number| acknowledged.answer(id(9, number), Outcome::Absent));
        assert!(acknowledged.is_telling());
        assert_eq!(acknowledged.outcome(id(9, 1)), Some(&Outcome::Absent));
        assert_eq!(Acknowledged::decode(&acknowledged.encode()).as_ref(), Ok(&acknowledged));
        acknowledged.answer(id(9, most + 1), Outcome::NotAllowed);
        assert_eq!((acknowledged.outcome(id(9, 1)), acknowledged.through), (None, id(9, most + 1)));
        assert_eq!(acknowledged.outcome(id(9, 2)), Some(&Outcome::Absent));
        assert_eq!(Acknowledged::decode(&acknowledged.encode()).as_ref(), Ok(&acknowledged));
        assert!(!acknowledged.keep(|_| true));
        assert!(acknowledged.keep(|_| false));
        assert!(!acknowledged.is_telling());
    }

    /// An acknowledgement up to `through`, of these requests, each refused for that reason.
    fn refusals(through: u64, of: &[u64], reason: &str) -> Value {
        let mut out = Writer::default();
        id(9, through).write(&mut out);
        out.varint(of.len() as u64);
        for number in of {
            id(9, *number).write(&mut out);
            out.byte(REFUSED);
            out.counted(reason.as_bytes());
        }
        Value::from(out.into_bytes())
    }

    #[test]
    fn outcomes_are_read_in_order_and_within_their_bounds() {
        let (many, longest) = ((1..=OUTSTANDING as u64 + 1).collect::<Vec<_>>(), "x".repeat(REASON));
        for (through, of, reason, is_one) in [
            (3, &[][..], "no", true),
            (3, &[1, 3], "no", true),
            (3, &[1, 4], "no", false),
            (3, &[2, 2], "no", false),
            (3, &[3, 1], "no", false),
            (99, &many[1..], "no", true),
            (99, &many, "no", false),
            (3, &[1], "", true),
            (3, &[1], &longest, true),
            (3, &[1], &format!("{longest}x"), false),
            (3, &[1], "a\nb", false),
        ] {
            let read = Acknowledged::decode(&refusals(through, of, reason));
            assert_eq!(read.is_ok(), is_one, "{through} {of:?} {reason}");
            let told = read.ok().and_then(|known| known.outcome(id(9, 1)).cloned());
            let expected = (is_one && of.contains(&1)).then(|| Outcome::Refused(reason.to_owned()));
            assert_eq!(told, expected, "{through} {of:?} {reason}");
        }
    }

    #[test]
    fn an_owner_acknowledges_to_each_requester_by_name() {
        let [ann, bob] = ["ann", "bob"].map(|name| NodeName::new(name).unwrap());
        let mut acknowledged = Acknowledged::default();
        acknowledged.answer(id(9, 1), Outcome::Absent);
        let mut owner = Replica::new(Generation(1));
        assert_eq!(Acknowledged::find(&owner, &ann), None);
        owner.write([acknowledged.entry(&ann)]);
        assert_eq!(Acknowledged::find(&owner, &ann), Some(acknowledged));
        assert_eq!(Acknowledged::find(&owner, &bob), None);
    }
}
