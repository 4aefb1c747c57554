//! Properties of the core that hold for all inputs.

mod answers;
mod deltas;
mod ends;
mod exchange;
mod golden;
mod replay;
mod requests;
mod wire;
