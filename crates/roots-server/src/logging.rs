//! Log lines: to standard error, for people or for programs.

use std::io::{self, IsTerminal};

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, fmt};

use crate::settings::{LogFormat, Settings};

/// Starts logging as the settings say.
///
/// # Errors
/// It was started before.
pub(crate) fn start(settings: &Settings) -> Result<(), TryInitError> {
    // A reader of the log that goes away must not take the server with it, which a failure to
    // report that the log can't be written would.
    let lines = fmt::layer().with_writer(io::stderr).log_internal_errors(false);
    let lines = match settings.log_format {
        LogFormat::Text if io::stderr().is_terminal() => lines.boxed(),
        LogFormat::Text => lines.with_ansi(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // One filter for all, not a filter of the layer: that one remembers what it was asked, and where
    // a library only asks whether a line would be logged, the next line of another goes missing.
    tracing_subscriber::registry().with(settings.log.clone()).with(lines).try_init()?;
    std::panic::set_hook(Box::new(tell_panic));
    Ok(())
}

/// Tells where a panic was. What it says may quote a text, and is left out.
fn tell_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    tracing::error!(place, "a panic");
}
