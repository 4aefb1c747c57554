//! Keys, values, and what an owner's state holds under a key.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::owner::WriteError;
use crate::time::{Moment, millis};
use crate::version::Version;

/// The name of a value in its owner's state.
///
/// Invariant: 1 to 256 bytes of UTF-8 without control characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

/// Why a text is not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nothing was given.
    #[error("the key is empty: give it 1 to 256 bytes")]
    Empty,
    /// The key is longer than [`Key::MAX_LEN`].
    #[error("the key has {0} bytes: the limit is 256")]
    TooLong(usize),
    /// A control character.
    #[error("the key has the control character {0:?}: leave it out")]
    Control(char),
}

impl Key {
    /// How long a key may be, in bytes.
    pub const MAX_LEN: usize = 256;
    /// Keys with this beginning belong to the protocol; owners' applications can't write them.
    pub const RESERVED: &'static str = "tidings/";

    /// Takes `key` as a key.
    ///
    /// # Errors
    /// Says what is wrong with a text that is no key.
    pub fn new(key: &str) -> Result<Self, KeyError> {
        if key.is_empty() {
            return Err(KeyError::Empty);
        }
        if key.len() > Self::MAX_LEN {
            return Err(KeyError::TooLong(key.len()));
        }
        match key.chars().find(|c| c.is_control()) {
            Some(c) => Err(KeyError::Control(c)),
            None => Ok(Self(key.into())),
        }
    }

    /// The reserved key by which an owner says that it departed.
    pub(crate) const DEPARTED: &'static str = "tidings/departed";

    /// That key.
    pub(crate) fn departed() -> Self {
        Self(Self::DEPARTED.into())
    }

    /// The beginning of keys under which a node asks others, and of those under which it answers them.
    pub(crate) const REQUEST: &'static str = "tidings/req/";
    pub(crate) const ACKNOWLEDGED: &'static str = "tidings/ack/";

    /// A key of the protocol's own.
    pub(crate) fn of_protocol(key: &str) -> Self {
        debug_assert!(key.starts_with(Self::RESERVED) && key.len() <= Self::MAX_LEN);
        Self(key.into())
    }

    /// What sorts before every key. It is no key itself, and takes no memory.
    pub(crate) fn least() -> Self {
        Self(Arc::default())
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the key belongs to the protocol.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with(Self::RESERVED)
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// The bytes under a key. Cloning shares them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(Arc<[u8]>);

impl Value {
    /// How long a value may be at most, in bytes; [`Config`](crate::Config) can set less.
    pub const MAX_LEN: usize = 64 * 1024;

    /// The value's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The value as text, if it is UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl<T: AsRef<[u8]>> From<T> for Value {
    fn from(bytes: T) -> Self {
        Self(bytes.as_ref().into())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf8_lossy(&self.0), f)
    }
}

/// What is known of a key: the write that it shows, or that it was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The value; `None` is a tombstone.
    pub value: Option<Value>,
    /// The version of the write, or of the delete. Where the value expired, it is still that of the write.
    pub version: Version,
    /// When the value expires: by the monotonic clock of whoever holds it, and by one that began when it was told, or
    /// saved, in a delta and on disk. [`Moment::NEVER`] if it does not.
    pub expires: Moment,
    /// Whether the value ends with the life that wrote it: see [`Lifetime::is_ephemeral`].
    pub is_ephemeral: bool,
}

/// For how long a value is there. For ever, if nothing else is said: until it is written again, or deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Lifetime {
    /// Its time to live: after how long it expires everywhere, if it does.
    pub ttl: Option<Duration>,
    /// Whether it ends with the life of its owner. It is never on disk, so that it is gone after a restart. It is still shown
    /// while its owner is unreachable, and no longer once that departed.
    pub is_ephemeral: bool,
}

impl Lifetime {
    /// The shortest time to live.
    pub const SHORTEST: Duration = Duration::from_millis(1);
    /// The longest time to live: ten years. It bounds what strangers can say.
    pub const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);

    /// Until `ttl` has passed.
    #[must_use]
    pub fn ttl(ttl: Duration) -> Self {
        Self { ttl: Some(ttl), is_ephemeral: false }
    }

    /// As long as the life of the owner.
    #[must_use]
    pub fn ephemeral() -> Self {
        Self { ttl: None, is_ephemeral: true }
    }

    /// Refuses a time to live that is none.
    pub(crate) fn check(self) -> Result<(), WriteError> {
        let wrong = self.ttl.filter(|ttl| !(Self::SHORTEST..=Self::LONGEST).contains(ttl));
        wrong.map_or(Ok(()), |ttl| Err(WriteError::Lifetime { ttl }))
    }
}

impl Entry {
    /// What stays until it is written again, or deleted.
    #[must_use]
    pub fn new(value: Option<Value>, version: Version) -> Self {
        Self { value, version, expires: Moment::NEVER, is_ephemeral: false }
    }

    /// A delete, in a version that is known when it shows.
    pub(crate) fn delete() -> Self {
        Self::new(None, Version(0))
    }

    /// A write at `now`, in a version that is known when it shows: a value, or a delete.
    pub(crate) fn write(value: Option<Value>, lifetime: Lifetime, now: Moment) -> Self {
        let expires = lifetime.ttl.filter(|_| value.is_some()).map_or(Moment::NEVER, |ttl| now + ttl);
        let is_ephemeral = lifetime.is_ephemeral && value.is_some();
        Self { value, version: Version(0), expires, is_ephemeral }
    }

    /// The tombstone that is left where the value expired, or ended with its owner's life.
    #[must_use]
    pub(crate) fn buried(&self) -> Self {
        Self::new(None, self.version)
    }

    /// The entry as it is told or saved at `now`: by a clock that begins then, in whole milliseconds. What has expired is a
    /// tombstone.
    pub(crate) fn told(&self, now: Moment) -> Self {
        if self.expires == Moment::NEVER {
            return self.clone();
        }
        if self.expires <= now {
            return self.buried();
        }
        let left = millis(self.expires.since(now)).max(1);
        Self { expires: Moment::default() + Duration::from_millis(left), ..self.clone() }
    }

    /// The entry as it was told, if that was told again after `age`.
    pub(crate) fn aged(&self, age: Duration) -> Self {
        self.told(Moment::default() + age)
    }

    /// The entry as it is held, if it was told at `now`.
    pub(crate) fn heard(&self, now: Moment) -> Self {
        if self.expires == Moment::NEVER {
            return self.clone();
        }
        let left = self.expires.since(Moment::default());
        let left = if flaw!(Curtailed) { left / 2 } else { left };
        Self { expires: now + left, ..self.clone() }
    }

    /// For how long the value is there from `now` on.
    pub(crate) fn lifetime(&self, now: Moment) -> Lifetime {
        let ttl = (self.expires != Moment::NEVER).then(|| self.expires.since(now));
        Lifetime { ttl, is_ephemeral: self.is_ephemeral }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_bounded_text() {
        assert_eq!(Key::new("service/élan").unwrap().as_str(), "service/élan");
        assert_eq!(Key::new(""), Err(KeyError::Empty));
        assert_eq!(Key::new("a\nb"), Err(KeyError::Control('\n')));
        assert_eq!(Key::new(&"k".repeat(257)), Err(KeyError::TooLong(257)));
        assert!(Key::departed().is_reserved());
        assert_eq!(Key::new(Key::departed().as_str()).unwrap(), Key::departed());
    }
}
