//! Who a node is: its name, chosen by the operator, and the id derived from it.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

/// A node's name. It survives restarts and changes of address.
///
/// Invariant: 1 to 64 characters out of `A-Z a-z 0-9 . _ -`, so that it is safe in logs, paths and tables.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName(Arc<str>);

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("the name is empty: use 1 to 64 of A-Z a-z 0-9 . _ -")]
    Empty,
    /// The name is longer than [`NodeName::MAX_LEN`].
    #[error("the name has {0} bytes: use 1 to 64 of A-Z a-z 0-9 . _ -")]
    TooLong(usize),
    /// A character that no name may have.
    #[error("the name has the character {0:?}: use 1 to 64 of A-Z a-z 0-9 . _ -")]
    Character(char),
}

impl NodeName {
    /// How long a name may be, in bytes.
    pub const MAX_LEN: usize = 64;

    /// Takes `name` as a node's name.
    ///
    /// # Errors
    /// Says what is wrong with a text that is no name.
    pub fn new(name: &str) -> Result<Self, NameError> {
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.len() > Self::MAX_LEN {
            return Err(NameError::TooLong(name.len()));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        match name.chars().find(|&c| !allowed(c)) {
            Some(c) => Err(NameError::Character(c)),
            None => Ok(Self(name.into())),
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id that goes with this name: the first 64 bits of its SHA-256.
    #[must_use]
    pub fn id(&self) -> NodeId {
        NodeId(first_word(&[b"tidings node ", self.0.as_bytes()]))
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A node's short name on the wire; [`NodeName::id`] derives it.
///
/// Two names share an id once in about 2^64 pairs; a node refuses a second name for an id that it knows, as `forged`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The first 64 bits of the SHA-256 over `parts`, one after the other.
pub(crate) fn first_word(parts: &[&[u8]]) -> u64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    let digest: [u8; 32] = hash.finalize().into();
    u64::from_be_bytes(*digest.first_chunk().expect("32 bytes hold 8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        assert_eq!(NodeName::new("api-1.eu_west").unwrap().as_str(), "api-1.eu_west");
        assert_eq!(NodeName::new(""), Err(NameError::Empty));
        assert_eq!(NodeName::new("a b"), Err(NameError::Character(' ')));
        assert_eq!(NodeName::new("a\u{1b}[31m"), Err(NameError::Character('\u{1b}')));
        assert_eq!(NodeName::new(&"x".repeat(65)), Err(NameError::TooLong(65)));
    }

    #[test]
    fn an_id_never_changes_between_releases() {
        assert_eq!(format!("{:?}", NodeName::new("api-1").unwrap().id()), "76cafdc3c4396d04");
    }
}
