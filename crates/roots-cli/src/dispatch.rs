//! Runs the command that was given.

use std::time::Duration;

use clap::CommandFactory;
use tokio::runtime::Builder;

use crate::arguments::{Command, CommandLine};
use crate::command::{
    actors, brief, credits, events, export, import, keys, log, login, search, session, setup,
    shell, stats, status, todo,
};
use crate::error::CliError;
use crate::hook;
use crate::mcp_proxy;
use crate::output::Output;

/// Runs a command.
///
/// # Errors
///
/// See [`CliError`].
pub(crate) fn run(command: Command, output: &Output) -> Result<(), CliError> {
    match command {
        Command::Completions { shell } => shell::completions(&mut CommandLine::command(), shell),
        Command::Man { command } => shell::man(CommandLine::command(), &command),
        Command::Setup(arguments) => setup::setup(&arguments, output),
        Command::Hook { deadline_ms } => {
            hook::run(Duration::from_millis(deadline_ms));
            Ok(())
        }
        command => {
            // One request needs one thread.
            let runtime = Builder::new_current_thread().enable_all().build();
            let runtime = runtime
                .map_err(|source| CliError::System { what: "the program can't start", source })?;
            let done = runtime.block_on(perform(command, output));
            // What still runs, such as a look-up of a name, is not waited for.
            runtime.shutdown_background();
            done
        }
    }
}

async fn perform(command: Command, output: &Output) -> Result<(), CliError> {
    match command {
        Command::Login(arguments) => login::login(&arguments, output).await,
        Command::Logout(arguments) => login::logout(&arguments, output),
        Command::Status => status::status(output).await,
        Command::Start(arguments) => session::start(&arguments, output).await,
        Command::End(arguments) => session::end(&arguments, output).await,
        Command::Note(arguments) => session::note(&arguments, output).await,
        Command::Log(arguments) => log::log(&arguments, output).await,
        Command::Todo(command) => todo::run(&command, output).await,
        Command::Brief(arguments) => brief::brief(&arguments, output).await,
        Command::Search(arguments) => search::search(&arguments, output).await,
        Command::Events(arguments) => events::events(&arguments, output).await,
        Command::Stats(arguments) => stats::stats(&arguments, output).await,
        Command::Credits(arguments) => credits::credits(&arguments, output).await,
        Command::Keys(command) => keys::run(&command, output).await,
        Command::Actors(command) => actors::run(&command, output).await,
        Command::Export(arguments) => export::export(&arguments, output).await,
        Command::Import(arguments) => import::import(&arguments, output).await,
        Command::Mcp { away_after_ms } => {
            mcp_proxy::run(Duration::from_millis(away_after_ms)).await
        }
        Command::Completions { .. }
        | Command::Man { .. }
        | Command::Setup(_)
        | Command::Hook { .. } => Ok(()),
    }
}
