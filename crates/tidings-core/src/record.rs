//! What all who know a node hold alike of it: who it is, where it is, and its state.

use std::net::SocketAddr;

use crate::name::NodeName;
use crate::replica::Replica;

/// A node, apart from when it was heard of.
///
/// It changes seldom, and most nodes that know a node have the same record of it. So it is kept behind an
/// [`Arc`](std::sync::Arc), is copied when it changes, and many cores in one process can have one in common: see
/// [`Interner`](crate::Interner).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// Its state. The first field, so that records of different versions are told apart at once.
    pub replica: Replica,
    /// Where it gossips in this life.
    pub address: SocketAddr,
    /// Its name.
    pub name: NodeName,
}
