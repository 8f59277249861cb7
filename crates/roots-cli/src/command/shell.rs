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

/// Prints the manual page of the program, or of the command with this name.
///
/// # Errors
///
/// If there is no such command, or the page can't be written.
pub(crate) fn man(mut program: Command, name: &[String]) -> Result<(), CliError> {
    // So each command knows the whole name that it is called by.
    program.build();
    let mut command = &program;
    for word in name {
        command = command.find_subcommand(word).ok_or_else(|| {
            CliError::NotThere(format!("there is no command `{}`", name.join(" ")))
        })?;
    }
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page).map_err(CliError::Output)?;
    line(&String::from_utf8_lossy(&page))
}
