//! Log lines on standard error, as text or JSON.

use std::io::{self, IsTerminal, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::cli::settings::{LogFormat, Settings};

/// How long lines that can wait are gathered. Writing one costs as much as a small request.
const GATHER: Duration = Duration::from_millis(20);
/// Most bytes that wait.
const GATHERED_MAX_BYTES: usize = 16 * 1024;

/// Why the log can't be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    /// The system can't start a thread.
    #[error(transparent)]
    Thread(#[from] io::Error),
    /// It was started before.
    #[error(transparent)]
    Started(#[from] TryInitError),
}

/// Starts the log with these settings.
///
/// # Errors
/// It was started before, or the system can't start a thread.
pub(crate) fn start(settings: &Settings) -> Result<(), LogError> {
    thread::Builder::new()
        .name("roots-log".to_owned())
        .spawn(|| LINES.write_from_time_to_time())?;
    // If the reader of the log goes away, the server must continue. The library would panic when it
    // fails to report that the log can't be written.
    let lines = tracing_subscriber::fmt::layer().with_writer(&LINES).log_internal_errors(false);
    let lines = match settings.log_format {
        LogFormat::Text if io::stderr().is_terminal() => lines.boxed(),
        LogFormat::Text => lines.with_ansi(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // One global filter instead of a filter of the layer: a layer's filter remembers its last
    // decision, and if a library only asks whether a line would be logged, the next line of another
    // one is lost.
    tracing_subscriber::registry().with(settings.log.clone()).with(lines).try_init()?;
    std::panic::set_hook(Box::new(tell_panic));
    Ok(())
}

/// Writes the gathered lines before the process ends.
pub(crate) fn finish() {
    LINES.write();
}

/// Logs the location of a panic. Its message may quote a text and is left out.
fn tell_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    tracing::error!(place, "a panic");
}

static LINES: LogBuffer = LogBuffer { gathered: Mutex::new(Vec::new()), begun: Condvar::new() };

/// Lines that were not written yet. Warnings and errors are written at once, together with earlier
/// lines; the others soon.
struct LogBuffer {
    gathered: Mutex<Vec<u8>>,
    begun: Condvar,
}

impl LogBuffer {
    fn gathered(&self) -> MutexGuard<'_, Vec<u8>> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) {
        write(&mut self.gathered());
    }

    fn write_from_time_to_time(&self) {
        loop {
            let begun = self.begun.wait_while(self.gathered(), |lines| lines.is_empty());
            drop(begun);
            thread::sleep(GATHER);
            self.write();
        }
    }
}

/// Under the lock, so that no line overtakes another.
fn write(gathered: &mut Vec<u8>) {
    // A failure can't be reported anywhere.
    let _ = io::stderr().write_all(gathered);
    gathered.clear();
}

impl MakeWriter<'_> for &'static LogBuffer {
    type Writer = LogLine;

    fn make_writer(&self) -> LogLine {
        LogLine { lines: self, can_wait: false }
    }

    fn make_writer_for(&self, about: &Metadata<'_>) -> LogLine {
        LogLine { lines: self, can_wait: *about.level() >= Level::INFO }
    }
}

/// A complete log line.
struct LogLine {
    lines: &'static LogBuffer,
    can_wait: bool,
}

impl Write for LogLine {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut gathered = self.lines.gathered();
        let is_first = gathered.is_empty();
        gathered.extend_from_slice(line);
        if !self.can_wait || gathered.len() > GATHERED_MAX_BYTES {
            write(&mut gathered);
        } else if is_first {
            self.lines.begun.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
