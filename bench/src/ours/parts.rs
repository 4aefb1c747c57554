//! Two nodes that stand for a whole cluster.

use tidings_core::{Message, Rng};

use crate::ours::world;

/// To each other, two nodes play the parts of all: whoever one of them turns to, the other one answers in that name, and
/// begins exchanges in the name of anybody. So all hearts beat at the pace of these two, and each of the two hears of as many
/// heads as in a cluster of so many. All other nodes' generation, heartbeat and version are those of these two.
#[derive(Debug)]
pub(crate) struct Parts {
    nodes: usize,
    /// As whom each of the two speaks in this exchange.
    speaks_as: [usize; 2],
    rng: Rng,
}

impl Parts {
    /// Nodes 0 and 1 of a cluster of so many.
    pub(crate) fn new(nodes: usize) -> Self {
        Self { nodes, speaks_as: [0, 1], rng: Rng::new(1) }
    }

    /// Puts a message that one of the two sends to node `to` in the name of whom it plays. Returns who that is, and which
    /// of the two hears it.
    pub(crate) fn play(
        &mut self,
        from: usize,
        to: usize,
        is_syn: bool,
        message: &mut Message,
    ) -> (usize, usize) {
        let other = 1 - from;
        if is_syn {
            self.speaks_as[other] = to;
            self.speaks_as[from] = 2 + self.rng.below(self.nodes - 2);
        }
        let name = self.speaks_as[from];
        message.sender.id = world::name(name).id();
        (name, other)
    }
}
