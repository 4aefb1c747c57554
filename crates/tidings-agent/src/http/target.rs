//! What a path speaks of: a node, or a key of an owner.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use percent_encoding::percent_decode_str;
use tidings::NodeName;

use crate::http::problem::{Kind, Problem};

/// A key of an owner: all that follows the owner in the path is the key, with `/` raw or as %2F.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The owner's name as asked for, perhaps [`SELF`].
    pub(crate) owner: String,
    /// The key; not empty.
    pub(crate) key: String,
}

/// The name of a node, perhaps [`SELF`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemberTarget(pub(crate) String);

/// Stands for the node that answers.
pub(crate) const SELF: &str = "@self";

impl Target {
    /// Reads the part of the path after `/v1/kv/`.
    fn parse(path: &str) -> Result<Self, Problem> {
        let (owner, key) = path.split_once('/').unwrap_or((path, ""));
        let (owner, key) = (decode(owner)?, decode(key)?);
        if key.is_empty() {
            let fix = "give a key of 1 to 256 bytes";
            return Err(Problem::new(Kind::BadKey, "the key is empty", fix));
        }
        Ok(Self { owner, key })
    }

    /// Whether the key belongs to the node `me`.
    pub(crate) fn is_owned_by(&self, me: &NodeName) -> bool {
        self.owner == SELF || self.owner == me.as_str()
    }
}

impl<S: Sync> FromRequestParts<S> for Target {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::parse(parts.uri.path().strip_prefix("/v1/kv/").unwrap_or_default())
    }
}

impl<S: Sync> FromRequestParts<S> for MemberTarget {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        decode(parts.uri.path().strip_prefix("/v1/members/").unwrap_or_default()).map(Self)
    }
}

fn decode(text: &str) -> Result<String, Problem> {
    percent_decode_str(text).decode_utf8().map(String::from).map_err(|_| {
        Problem::new(Kind::BadRequest, "the path is not UTF-8", "escape the bytes of UTF-8 text with %XX")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str) -> Result<(String, String), Kind> {
        Target::parse(path).map(|target| (target.owner, target.key)).map_err(|problem| problem.kind())
    }

    #[test]
    fn a_key_is_all_that_follows_the_owner() {
        let target = |owner: &str, key: &str| Ok((owner.to_owned(), key.to_owned()));
        assert_eq!(parse("api-1/a/b"), target("api-1", "a/b"));
        assert_eq!(parse("api-1/a%2Fb"), target("api-1", "a/b"));
        assert_eq!(parse("%40self//a%20b/"), target("@self", "/a b/"));
    }

    #[test]
    fn what_names_no_key_is_refused() {
        assert_eq!(parse("api-1"), Err(Kind::BadKey));
        assert_eq!(parse("api-1/"), Err(Kind::BadKey));
        assert_eq!(parse("api-1/%ff"), Err(Kind::BadRequest));
    }
}
