//! Properties of the core that hold for all inputs.

mod deltas;
mod exchange;
mod golden;
mod wire;
