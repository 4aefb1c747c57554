//! Properties of the core that hold for all inputs.

mod deltas;
mod golden;
mod wire;
