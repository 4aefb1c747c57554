//! What decides which requests of other nodes are granted, where patterns of keys don't.

use std::fmt;
use std::sync::Arc;

use tidings_core::Question;

/// The user's own policy.
#[derive(Clone)]
pub(crate) struct Decider(Arc<Decide>);

type Decide = dyn Fn(&Question) -> Result<(), String> + Send + Sync;

impl Decider {
    pub(crate) fn new(decide: impl Fn(&Question) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(decide))
    }

    pub(crate) fn decide(&self, question: &Question) -> Result<(), String> {
        (self.0)(question)
    }
}

impl fmt::Debug for Decider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decider")
    }
}
