//! Why a command did not succeed: the fact, what to do about it, and the exit code.

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::output::visible;

/// How a command ended without success.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nobody reads the output any more. That is how `| head` ends us, and no error.
    ReaderGone,
    /// Something to tell.
    Told {
        /// The kind of failure, as scripts see it.
        exit: Exit,
        /// What is so.
        fact: String,
        /// What to do.
        fix: String,
    },
}

/// The exit codes for failures; success is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Failed or refused.
    Refused = 1,
    /// Wrong usage.
    Usage = 2,
    /// The agent is not reachable.
    Unreachable = 3,
    /// A condition was not met, or an answer did not come, in time.
    Late = 4,
}

impl Failure {
    /// A failure with `exit`, a `fact` and its `fix`.
    pub(crate) fn new(exit: Exit, fact: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Told { exit, fact: fact.into(), fix: fix.into() }
    }

    /// Tells it on stderr, and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::ReaderGone => ExitCode::SUCCESS,
            Self::Told { exit, fact, fix } => {
                // With stderr closed there is nobody to tell; the exit code still says it.
                // Some of the text may come from other nodes.
                let lines = format!("error: {fact}\nfix: {fix}");
                let _ = lines.lines().try_for_each(|line| writeln!(io::stderr(), "{}", visible(line)));
                ExitCode::from(exit as u8)
            }
        }
    }
}

impl From<io::Error> for Failure {
    /// Takes the error of a write to stdout.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::ReaderGone;
        }
        Self::new(
            Exit::Refused,
            format!("the output can't be written: {error}"),
            "look at what stdout is connected to",
        )
    }
}
