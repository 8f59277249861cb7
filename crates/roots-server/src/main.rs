//! The Roots server: parse, wire, serve, drain.
//!
//! - [`cli`]: the command line, the settings and the commands other than `serve`.
//! - [`wiring`]: the domain with its adapters; [`ambient`] has the clock and the identities.
//! - [`serve`]: the server from start to end: [`first_start`], then [`net`], the connections and
//!   the threads that serve them, and [`metrics`] beside it, until [`stop`].
//! - [`background`]: the background tasks.
//! - [`log`]: log lines; those that can wait are gathered for 20 ms.
//! - [`zeroized`]: texts with keys in them.

mod ambient;
mod background;
mod cli;
mod first_start;
mod log;
mod metrics;
mod net;
mod program_error;
mod serve;
mod stop;
mod wiring;
mod zeroized;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use cli::arguments::{CliCommand, CommandLine};
use cli::commands;
use cli::settings::Settings;
use program_error::ProgramError;

/// With the system's allocator, reading a page takes a quarter longer (ADR 26).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let done = start(CommandLine::parse());
    log::finish();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If it can't be written, the exit code still tells.
            let _ = writeln!(io::stderr(), "roots-server: {}", error.sentence());
            error.exit_code()
        }
    }
}

fn start(asked: CommandLine) -> Result<(), ProgramError> {
    let settings = asked.settings.validate()?;
    log::start(&settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ProgramError::System)?;
    let done = runtime.block_on(perform(asked.command.unwrap_or(CliCommand::Serve), &settings));
    // Tasks that still run are not waited for.
    runtime.shutdown_background();
    done
}

async fn perform(command: CliCommand, settings: &Settings) -> Result<(), ProgramError> {
    match command {
        CliCommand::Serve => serve::run(settings).await,
        CliCommand::Migrate => commands::migrate(settings).await,
        CliCommand::Bootstrap(asked) => commands::bootstrap(settings, asked).await,
        CliCommand::Credits(asked) => commands::credits(settings, asked).await,
        CliCommand::Backup { file } => commands::backup(settings, file).await,
        CliCommand::Verify => commands::verify(settings).await,
        CliCommand::Distribute(asked) => commands::distribute(settings, asked).await,
        CliCommand::Openapi => commands::openapi(),
    }
}
