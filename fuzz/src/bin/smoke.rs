//! Some seconds of mutated seeds over all targets, from one seed, on a stable toolchain.
//!
//! `smoke [--seconds N] [--seed N] [--target NAME]`. What breaks a promise is shown as hex: kept as a file among the
//! seeds, it is tried first from then on.

use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, fs, io};

use tidings_core::Rng;
use tidings_fuzz::{TARGETS, Target, mutate};

/// How many inputs that were understood are kept to be changed further.
const POOL: usize = 2_000;

struct Options {
    seconds: u64,
    seed: u64,
    target: Option<String>,
}

fn main() -> Result<ExitCode, String> {
    let options = options(env::args().skip(1))?;
    let wanted = |target: &&Target| options.target.as_deref().is_none_or(|name| name == target.name);
    let targets: Vec<_> = TARGETS.iter().filter(wanted).collect();
    let Some(each) = Duration::from_secs(options.seconds).checked_div(targets.len().try_into().unwrap_or(0))
    else {
        return Err("there is no such target".to_owned());
    };
    for target in targets {
        let seeds = seeds(target).map_err(|error| format!("the seeds of {}: {error}", target.name))?;
        if let Err(bytes) = smoke(target, seeds, options.seed, each) {
            println!("{} breaks on {}", target.name, hex(&bytes));
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn options(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options { seconds: 10, seed: 1, target: None };
    while let Some(flag) = words.next() {
        let value = words.next().ok_or_else(|| format!("{flag} wants a value"))?;
        let number = value.parse().map_err(|_| format!("{value} is no number"));
        match flag.as_str() {
            "--seconds" => options.seconds = number?,
            "--seed" => options.seed = number?,
            "--target" => options.target = Some(value),
            _ => return Err(format!("{flag} is not known here")),
        }
    }
    Ok(options)
}

/// All seeds that are kept, by name.
fn seeds(target: &Target) -> io::Result<Vec<Vec<u8>>> {
    let mut paths =
        target.seeds().read_dir()?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    paths.into_iter().map(fs::read).collect()
}

/// Runs the seeds, and then changed ones until the time is over. The error is the input that breaks a promise.
fn smoke(target: &Target, seeds: Vec<Vec<u8>>, seed: u64, span: Duration) -> Result<(), Vec<u8>> {
    let end = Instant::now() + span;
    let (mut rng, mut pool) = (Rng::new(seed), seeds.clone());
    let (mut tried, mut understood) = (0_u64, 0_u64);
    for bytes in seeds {
        attempt(target, bytes)?;
    }
    while Instant::now() < end {
        let (bytes, is_understood) = attempt(target, mutate(&mut rng, target.shape, &pool))?;
        tried += 1;
        understood += u64::from(is_understood);
        if is_understood && pool.len() < POOL {
            pool.push(bytes);
        } else if is_understood {
            let at = rng.below(POOL);
            pool[at] = bytes;
        }
    }
    println!("{}: {tried} tried, {understood} understood", target.name);
    Ok(())
}

fn attempt(target: &Target, bytes: Vec<u8>) -> Result<(Vec<u8>, bool), Vec<u8>> {
    match panic::catch_unwind(AssertUnwindSafe(|| (target.run)(&bytes))) {
        Ok(understood) => Ok((bytes, understood)),
        Err(_) => Err(bytes),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
