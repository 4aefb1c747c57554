//! What can go wrong, and what to do about it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tidings_core::{ConfigError, NameError, NodeName, RemoveError, RequestError, WriteError};

/// Why a node did not start, or did not do what it was asked to. [`fix`](Self::fix) says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The node's name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The configuration cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A seed that is not `host:port`.
    #[error("the seed {seed:?} is not host:port")]
    Seed {
        /// What was given.
        seed: String,
    },
    /// Both seeds and neighbours were given.
    #[error("a node has seeds or neighbours, and not both")]
    SeedsAndNeighbours,
    /// Another process has the node's name.
    #[error("the name {name} is taken: a process at {there} has it, and this one is at {here}")]
    NameTaken {
        /// The name.
        name: NodeName,
        /// Where this process is.
        here: SocketAddr,
        /// Where the other one is.
        there: SocketAddr,
    },
    /// Others cannot reach a node at this address.
    #[error("no other node can reach this one at {address}")]
    Advertise {
        /// The address.
        address: SocketAddr,
    },
    /// The socket could not be opened.
    #[error("cannot listen for gossip on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The data directory cannot be used.
    #[error("cannot use the data directory {}: {source}", path.display())]
    DataDir {
        /// The directory, or the file in it.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another process uses the data directory.
    #[error("another process uses the data directory {}", path.display())]
    DataDirInUse {
        /// The directory.
        path: PathBuf,
    },
    /// The data directory is another node's.
    #[error("the data directory {} belongs to the node {owner}", path.display())]
    DataDirOfAnother {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        owner: String,
    },
    /// A write was refused; nothing was written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// An owner could not be asked; nothing was asked then.
    #[error(transparent)]
    Request(RequestError),
    /// An owner that was asked for a change did not answer in time. The request is withdrawn.
    #[error("no answer of {owner} came within {} ms: the request is withdrawn, and may still be granted", wait.as_millis())]
    NoAnswer {
        /// The owner.
        owner: NodeName,
        /// How long this node waited.
        wait: Duration,
    },
    /// A node is not removed; nothing has changed then.
    #[error(transparent)]
    Remove(#[from] RemoveError),
    /// A write could not be saved. It does not show, and will not; but where the node crashes before its disk works again, the
    /// next life may find it there.
    #[error("the write could not be saved: {0}")]
    Disk(String),
    /// The node has stopped, or left. What was asked of it just before may have been done.
    #[error("the node has stopped")]
    Stopped,
}

impl Error {
    /// What to do about it, in a sentence; `None` where the error itself says it.
    #[must_use]
    pub fn fix(&self) -> Option<String> {
        match self {
            Self::Name(_) | Self::Config(_) | Self::Write(WriteError::Key(_)) => None,
            Self::Seed { .. } => {
                Some("give each seed as host:port, for example 10.0.0.7:8434 or [::1]:8434".into())
            }
            Self::SeedsAndNeighbours => Some(
                "give neighbours alone if this node may gossip with nobody else, and seeds alone if it may"
                    .into(),
            ),
            Self::NameTaken { there, .. } => {
                Some(format!("give this node another name, or stop the process at {there}"))
            }
            Self::Advertise { .. } => {
                Some("advertise an address of this machine that the other nodes can send to".into())
            }
            Self::Bind { address, source } if source.kind() == io::ErrorKind::AddrInUse => Some(format!(
                "stop what uses port {}, or listen on another port; 0 takes any",
                address.port()
            )),
            Self::Bind { .. } => Some("listen on an address that this machine has".into()),
            Self::DataDir { source, .. } if is_full(source) => {
                Some("make room on the disk of the data directory, and start again".into())
            }
            Self::DataDir { .. } => Some("give a directory that this process may write to".into()),
            Self::DataDirInUse { .. } | Self::DataDirOfAnother { .. } => {
                Some("give each node a data directory of its own".into())
            }
            Self::Write(refused) => fix_of_write(refused),
            Self::Request(RequestError::UnknownOwner { .. }) => Some("look at which nodes there are".into()),
            Self::Request(RequestError::TooMany) => Some("wait for answers before asking for more".into()),
            Self::Request(RequestError::Write(refused)) => fix_of_write(refused),
            Self::Remove(RemoveError::Unknown { .. }) => Some("look at which nodes there are".into()),
            Self::Remove(RemoveError::Myself { .. }) => {
                Some("let it leave, or remove it elsewhere once it stopped".into())
            }
            Self::Remove(RemoveError::Live { node }) => Some(format!("let {node} leave, or stop it first")),
            Self::NoAnswer { owner, .. } => {
                Some(format!("look at what {owner} shows, and whether it is live, before asking again"))
            }
            Self::Disk(_) => Some("make room on the disk of the data directory, and write again".into()),
            Self::Stopped => Some("start a node anew".into()),
        }
    }
}

impl From<RequestError> for Error {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Write(refused) => Self::Write(refused),
            RequestError::UnknownOwner { .. } | RequestError::TooMany => Self::Request(error),
        }
    }
}

/// Whether there is no room, or no more is allowed.
fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), FileTooLarge | QuotaExceeded | StorageFull)
}

fn fix_of_write(refused: &WriteError) -> Option<String> {
    let fix = match refused {
        WriteError::Key(_) | WriteError::Empty => return None,
        WriteError::Reserved { .. } => "choose a key that does not begin with `tidings/`",
        WriteError::Repeated { .. } => "give each key once",
        WriteError::ValueTooLong { .. } => "store the large value elsewhere, and gossip where it is",
        WriteError::TooManyKeys { .. } | WriteError::TooManyBytes { .. } => "keep less on this node",
        WriteError::Lifetime { .. } => "give a time to live as 500ms, 30s or 1h",
        WriteError::Absent { .. } => "look at the keys that there are",
        WriteError::Conflict { .. } => "look at what the key shows now, and decide again",
        WriteError::TooManyWrites => "check the clock of this machine",
        WriteError::Busy { .. } => {
            "write less, or later; or allow more with a larger datagram and a larger budget for rumors"
        }
        WriteError::Leaving => "write on another node",
    };
    Some(fix.into())
}
