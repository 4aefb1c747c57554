//! What strangers' bytes must not do, as plain functions of those bytes: a fuzzer calls them with whatever it finds, the
//! smoke run with mutated seeds.
//!
//! Each function panics if a promise is broken, and returns whether the bytes were understood at all.

mod datagram;
mod mutate;
mod seeds;
mod state;
mod stream;
mod world;

/// The library's own code, which is nobody else's to call.
#[path = "../../crates/tidings/src/disk/format.rs"]
mod format;

use std::path::{Path, PathBuf};

pub use datagram::datagram;
pub use mutate::{Shape, mutate};
pub use seeds::seeds;
pub use state::state;
pub use stream::stream;

/// One kind of bytes, and what is done with them.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of the folder of its seeds.
    pub name: &'static str,
    /// How such bytes are made up.
    pub shape: Shape,
    /// What is done with them.
    pub run: fn(&[u8]) -> bool,
}

/// All of them.
pub const TARGETS: [Target; 3] = [
    Target { name: "datagram", shape: Shape::Message, run: datagram },
    Target { name: "stream", shape: Shape::Frames, run: stream },
    Target { name: "state", shape: Shape::Plain, run: state },
];

impl Target {
    /// Where its seeds are kept.
    #[must_use]
    pub fn seeds(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(self.name)
    }
}
