//! What shells and manuals need of the program.

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::error::CliError;
use crate::output::line;

/// Prints the script that completes commands in a shell.
///
/// # Errors
///
/// If it can't be written.
pub(crate) fn completions(command: &mut Command, shell: Shell) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, command, "roots", &mut script);
    line(&String::from_utf8_lossy(&script))
}

/// Prints the manual page, with all commands on it.
///
/// # Errors
///
/// If it can't be written.
pub(crate) fn man(command: Command) -> Result<(), CliError> {
    let mut page = Vec::new();
    Man::new(command).render(&mut page).map_err(CliError::Output)?;
    line(&String::from_utf8_lossy(&page))
}
