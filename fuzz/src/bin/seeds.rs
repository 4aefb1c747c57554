//! Writes the seeds of all targets anew: `cargo run --manifest-path fuzz/Cargo.toml --bin seeds`.

use std::{fs, io};

use tidings_fuzz::{TARGETS, seeds};

fn main() -> io::Result<()> {
    for target in TARGETS {
        fs::create_dir_all(target.seeds())?;
        for (name, bytes) in seeds(target.name)? {
            fs::write(target.seeds().join(name), bytes)?;
        }
    }
    Ok(())
}
