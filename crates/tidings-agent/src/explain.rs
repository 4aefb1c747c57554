//! `tidings completions` and `tidings man`: the command line, told to shells and to `man`.

use clap::CommandFactory as _;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::Cli;
use crate::failure::{Exit, Failure};
use crate::output;

/// `tidings completions`.
pub(crate) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tidings", &mut script);
    output::bytes(&script)
}

/// `tidings man`: the page of `tidings`, or of the command that `path` leads to.
pub(crate) fn man(path: &[String]) -> Result<(), Failure> {
    let mut command = Cli::command();
    command.build();
    let mut page = &command;
    for name in path {
        page = page.find_subcommand(name).ok_or_else(|| {
            Failure::new(
                Exit::Usage,
                format!("there is no command `tidings {}`", path.join(" ")),
                "see which there are with `tidings --help`",
            )
        })?;
    }
    let mut roff = Vec::new();
    Man::new(page.clone()).source(concat!("tidings ", env!("CARGO_PKG_VERSION"))).render(&mut roff)?;
    output::bytes(&roff)
}
