//! The Roots server: parse, wire, serve, drain.
//!
//! - [`settings`]: the command line and the environment.
//! - [`app`]: the core on its adapters; [`ambient`] is the time and the identities.
//! - [`serve`]: the server from start to end: [`first_start`], then [`listen`] with its
//!   [`connections`] and their [`write_limit`], and [`prometheus`] beside it. [`files`] is how many the
//!   system has to let it open.
//! - [`threads`]: those that serve, one a processor, and where SQLite is written.
//! - [`upkeep`]: what the server does from time to time.
//! - [`logging`]: log lines, of which those that can wait gather for a moment.
//! - [`commands`]: everything else that the program can be asked to do.
//! - [`wiped`]: how what holds a key is worded.

mod ambient;
mod app;
mod commands;
mod connections;
mod failure;
mod files;
mod first_start;
mod listen;
mod logging;
mod prometheus;
mod serve;
mod settings;
mod threads;
mod upkeep;
mod wiped;
mod write_limit;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use commands::Command;
use failure::Failure;
use settings::{CommandLine, Settings};

/// The system's own takes a quarter longer to read a page (ADR 26).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let done = start(CommandLine::parse());
    logging::finish();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Where nobody can read it, the exit code tells.
            let _ = writeln!(io::stderr(), "roots-server: {}", failure.sentence());
            failure.exit_code()
        }
    }
}

fn start(asked: CommandLine) -> Result<(), Failure> {
    let settings = asked.settings.judge()?;
    logging::start(&settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::System)?;
    let done = runtime.block_on(perform(asked.command.unwrap_or(Command::Serve), &settings));
    // What has not ended by now is not waited for.
    runtime.shutdown_background();
    done
}

async fn perform(command: Command, settings: &Settings) -> Result<(), Failure> {
    match command {
        Command::Serve => serve::run(settings).await,
        Command::Migrate => commands::migrate(settings).await,
        Command::Bootstrap(asked) => commands::bootstrap(settings, asked).await,
        Command::Credits(asked) => commands::credits(settings, asked).await,
        Command::Backup { file } => commands::backup(settings, file).await,
        Command::Verify => commands::verify(settings).await,
        Command::Openapi => commands::openapi(),
    }
}
