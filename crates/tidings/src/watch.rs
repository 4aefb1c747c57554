//! What a node holds, and then how it changes, with nothing in between.

use std::collections::VecDeque;

use tidings_core::{Cause, Event, EventKind, Member, NodeState, Shown, Standing};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::driver::Command;
use crate::error::Error;
use crate::events::Notice;
use crate::view::View;

/// A reader of what a node holds: first the state, then the changes. See [`Node::watch`](crate::Node::watch).
///
/// It does not keep the node alive.
#[derive(Debug)]
pub struct Watch {
    prefix: String,
    /// What is still to be told of the state.
    state: VecDeque<Event>,
    changes: broadcast::Receiver<Event>,
    position: u64,
    /// Changes were missed, and that was told: the state comes next.
    is_behind: bool,
    node: mpsc::WeakSender<Command>,
}

/// The state at one moment, and what changes it from then on.
pub(crate) struct Scene {
    state: VecDeque<Event>,
    changes: broadcast::Receiver<Event>,
    position: u64,
}

impl Watch {
    /// A reader of the node that takes `node`'s commands.
    pub(crate) async fn new(node: mpsc::WeakSender<Command>, prefix: String) -> Result<Self, Error> {
        let Scene { state, changes, position } = look(&node, prefix.clone()).await?;
        Ok(Self { prefix, state, changes, position, is_behind: false, node })
    }

    /// The next thing to know; `None` once the node has stopped and everything was told.
    ///
    /// A reader that is 4,096 changes behind is told of a gap, and then the state again. Nothing is lost if this future
    /// is dropped.
    pub async fn next(&mut self) -> Option<Notice> {
        loop {
            if self.is_behind {
                let scene = look(&self.node, self.prefix.clone()).await.ok()?;
                (self.state, self.changes, self.position) = (scene.state, scene.changes, scene.position);
                self.is_behind = false;
            }
            if let Some(event) = self.state.pop_front() {
                return Some(Notice::Event(event));
            }
            match self.changes.recv().await {
                Ok(event) => {
                    self.position += 1;
                    if is_wanted(&event, &self.prefix) {
                        return Some(Notice::Event(event));
                    }
                }
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    self.is_behind = true;
                    return Some(Notice::Gap { missed });
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    /// What is still to be told of the state, at once. The next thing is a change then.
    pub fn take_state(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.state).into()
    }

    /// How many changes the node has seen since it started, of all keys, up to what was told last. All readers of a
    /// node count alike; the state counts as the last change that is in it.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }
}

/// Looks at the node. The driver answers between two changes, so that the state and the receiver fit.
async fn look(node: &mpsc::WeakSender<Command>, prefix: String) -> Result<Scene, Error> {
    let (reply, answer) = oneshot::channel();
    let question = Command::Ask(Box::new(move |view| {
        // Whoever asked may have gone.
        let _ = reply.send(view.scene(&prefix));
    }));
    let commands = node.upgrade().ok_or(Error::Stopped)?;
    commands.send(question).await.map_err(|_| Error::Stopped)?;
    drop(commands);
    answer.await.map_err(|_| Error::Stopped)
}

impl View<'_> {
    fn scene(&self, prefix: &str) -> Scene {
        let nodes = self.core.snapshot(self.now.moment).nodes;
        let state = nodes.into_iter().flat_map(|node| self.introduce(node, prefix)).collect();
        Scene { state, changes: self.events.subscribe(), position: self.books.told }
    }

    /// The events that lead to `node` as it is.
    fn introduce(&self, node: NodeState, prefix: &str) -> Vec<Event> {
        let NodeState { member, entries, .. } = node;
        let mut kinds = vec![EventKind::Joined, standing(&member)];
        let wanted = entries.into_iter().filter(|(key, _)| key.as_str().starts_with(prefix));
        kinds.extend(wanted.map(|(key, Shown { value, version, .. })| EventKind::Set {
            key,
            value,
            version,
        }));
        let event = |kind| {
            let (node, generation) = (member.name.clone(), member.generation);
            Event { at: self.now.wall, node, generation, kind }
        };
        kinds.into_iter().map(event).collect()
    }
}

fn standing(member: &Member) -> EventKind {
    match member.standing {
        Standing::Live => EventKind::Live,
        // What convicted it is not kept, and by now it is silent in any case.
        Standing::Unreachable => EventKind::Unreachable { phi: member.phi, cause: Cause::Silence },
        Standing::Departed => EventKind::Departed,
    }
}

fn is_wanted(event: &Event, prefix: &str) -> bool {
    match &event.kind {
        EventKind::Set { key, .. } | EventKind::Deleted { key, .. } => key.as_str().starts_with(prefix),
        EventKind::Joined
        | EventKind::Live
        | EventKind::Unreachable { .. }
        | EventKind::Departed
        | EventKind::Forgotten { .. }
        | EventKind::Restarted
        | EventKind::StreamFailed { .. } => true,
    }
}
