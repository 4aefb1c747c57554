//! The peers: chitchat as whole nodes over its own transport, foca as its bare state machine.

pub(crate) mod chitchat_cluster;
pub(crate) mod chitchat_pair;
pub(crate) mod foca_cluster;
pub(crate) mod foca_node;
pub(crate) mod lan;
