//! Which write a key shows, as text: `GENERATION:VERSION`. In HTTP it is the entity tag, in quotes.

use std::fmt;
use std::str::FromStr;

use axum::http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use tidings::{Generation, NOTHING, Stamp, Version};

/// A write of a key: versions alone begin anew with some lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag(pub(crate) Stamp);

impl Tag {
    /// The entity tag of HTTP.
    pub(crate) fn quoted(self) -> String {
        format!("\"{self}\"")
    }

    /// The header, and its content, by which it is expected over HTTP.
    pub(crate) fn condition(self) -> (HeaderName, String) {
        if self.0 == NOTHING { (IF_NONE_MATCH, "*".to_owned()) } else { (IF_MATCH, self.quoted()) }
    }

    /// Reads an entity tag of HTTP.
    pub(crate) fn unquoted(text: &str) -> Option<Self> {
        text.strip_prefix('"')?.strip_suffix('"')?.parse().ok()
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (generation, version) = self.0;
        write!(f, "{generation}:{version}")
    }
}

impl FromStr for Tag {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers = text.split_once(':').and_then(|(generation, version)| {
            Some(Self((Generation(generation.parse().ok()?), Version(version.parse().ok()?))))
        });
        numbers.ok_or("give GENERATION:VERSION, as `get -o json` tells them")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_two_numbers() {
        let tag = Tag((Generation(1_795_493_770_603), Version(7)));
        assert_eq!(Tag::unquoted(&tag.quoted()), Some(tag));
        assert_eq!(tag.to_string().parse(), Ok(tag));
        for text in ["", "7", "1:", ":1", "a:1", "*", "1:2"] {
            assert_eq!(Tag::unquoted(text), None, "{text}");
        }
    }
}
