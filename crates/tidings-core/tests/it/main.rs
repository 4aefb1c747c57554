//! Properties of the core that hold for all inputs.

mod deltas;
mod ends;
mod exchange;
mod golden;
mod requests;
mod wire;
