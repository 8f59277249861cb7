//! Log lines: to standard error, for people or for programs.

use std::io::{self, IsTerminal, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::failure::Failure;
use crate::settings::{LogFormat, Settings};

/// For how long lines gather that can wait. To write one costs as much as a small request.
const GATHER: Duration = Duration::from_millis(20);
/// How many bytes of them wait at most.
const GATHERED_MAX_BYTES: usize = 16 * 1024;

/// Starts logging as the settings say.
///
/// # Errors
/// It was started before, or the system gives no thread.
pub(crate) fn start(settings: &Settings) -> Result<(), Failure> {
    thread::Builder::new()
        .name("roots-log".to_owned())
        .spawn(|| LINES.write_from_time_to_time())
        .map_err(Failure::System)?;
    // A reader of the log that goes away must not take the server with it, which a failure to
    // report that the log can't be written would.
    let lines = fmt::layer().with_writer(&LINES).log_internal_errors(false);
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

/// Writes what has gathered, before the process ends.
pub(crate) fn finish() {
    LINES.write();
}

/// Tells where a panic was. What it says may quote a text, and is left out.
fn tell_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    tracing::error!(place, "a panic");
}

static LINES: Lines = Lines { gathered: Mutex::new(Vec::new()), begun: Condvar::new() };

/// Lines that were not written yet. Warnings and errors are written at once, with those before them; the
/// rest soon.
struct Lines {
    gathered: Mutex<Vec<u8>>,
    begun: Condvar,
}

impl Lines {
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
    // Nobody is left to be told where it fails.
    let _ = io::stderr().write_all(gathered);
    gathered.clear();
}

impl MakeWriter<'_> for &'static Lines {
    type Writer = Line;

    fn make_writer(&self) -> Line {
        Line { lines: self, can_wait: false }
    }

    fn make_writer_for(&self, about: &Metadata<'_>) -> Line {
        Line { lines: self, can_wait: *about.level() >= Level::INFO }
    }
}

/// A line that is being logged. It comes whole.
struct Line {
    lines: &'static Lines,
    can_wait: bool,
}

impl Write for Line {
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
