//! Log lines on standard error, as text or JSON.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::{Level, Metadata};
use tracing_subscriber::Layer;
use tracing_subscriber::field::{RecordFields, VisitOutput};
use tracing_subscriber::fmt::format::{DefaultVisitor, Writer};
use tracing_subscriber::fmt::{FormatFields, MakeWriter};
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
        LogFormat::Text => lines.with_ansi(false).fmt_fields(PlainFields).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // One global filter instead of a filter of the layer: a layer's filter remembers its last
    // decision, and if a library only asks whether a line would be logged, the next line of another
    // one is lost.
    tracing_subscriber::registry().with(settings.log.clone()).with(lines).try_init()?;
    std::panic::set_hook(Box::new(tell_panic));
    Ok(())
}

/// Fields as the library writes them as text without colours. Each request logs some that need no
/// care, and the library takes its time over those too.
struct PlainFields;

impl<'writer> FormatFields<'writer> for PlainFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut told = Told { writer, is_first: true, result: Ok(()) };
        fields.record(&mut told);
        told.result
    }
}

/// What was written of the fields so far.
struct Told<'writer> {
    writer: Writer<'writer>,
    is_first: bool,
    result: fmt::Result,
}

impl Told<'_> {
    fn put(&mut self, field: &Field, value: [&str; 3]) {
        let space = if self.is_first { "" } else { " " };
        for part in [space, field.name(), "="].into_iter().chain(value) {
            self.result = self.result.and_then(|()| self.writer.write_str(part));
        }
        self.is_first = false;
    }

    fn by_library(&mut self, field: &Field, record: impl FnOnce(&mut DefaultVisitor<'_>)) {
        let mut library = DefaultVisitor::new(self.writer.by_ref(), self.is_first);
        record(&mut library);
        self.result = self.result.and(library.finish());
        // Those it leaves out.
        self.is_first &= field.name().starts_with("log.");
    }
}

/// Whether a field's name is written as it is: the line's own text has none, and some of the
/// library's are left out or shortened.
fn is_plain_name(field: &Field) -> bool {
    field.name().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && field.name() != "message"
}

impl Visit for Told<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
        if is_plain_name(field) && value.bytes().all(is_plain) {
            self.put(field, ["\"", value, "\""]);
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if is_plain_name(field) {
            self.put(field, ["", &value.to_string(), ""]);
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.by_library(field, |library| library.record_error(field, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.by_library(field, |library| library.record_debug(field, value));
    }
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

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};
    use std::sync::Arc;

    use tracing_subscriber::fmt::layer as fmt_layer;

    use super::*;

    #[test]
    fn log_fields_are_formatted_as_the_tracing_library_formats_them() {
        let written =
            [tempfile::tempfile(), tempfile::tempfile()].map(|file| Arc::new(file.unwrap()));
        let [theirs, ours] = written.clone();
        let theirs = fmt_layer().with_ansi(false).without_time().with_writer(theirs);
        let ours = fmt_layer().with_ansi(false).without_time().with_writer(ours);
        let subscriber =
            tracing_subscriber::registry().with(theirs).with(ours.fmt_fields(PlainFields));
        tracing::subscriber::with_default(subscriber, || {
            let id = "01a202b4";
            let span = tracing::info_span!("request", request_id = %id, more = "a b");
            tracing::info!(request_id = %id, method = "GET", status = 200_u16, took = 7, "request");
            let _entered = span.enter();
            tracing::error!(cause = "a \"quote\", a \\ and\na line", is_first = true, "it failed");
            tracing::warn!(error = %"\u{1b}[31mred", ratio = 0.5, none = Option::<&str>::None);
            let error = std::io::Error::other("\u{1b}[31mred");
            let error: &(dyn std::error::Error + 'static) = &error;
            tracing::warn!(log.line = 3_u64, log.target = "sqlx", r#type = "a", error, "hidden");
            tracing::info!(name = "grün", below = -3, empty = "", "");
        });
        let [theirs, ours] = written.map(|file| {
            let mut lines = String::new();
            (&*file).rewind().unwrap();
            (&*file).read_to_string(&mut lines).unwrap();
            lines
        });
        assert_eq!(theirs.lines().count(), 5);
        assert!(theirs.contains(r#"request request_id=01a202b4 method="GET" status=200 took=7"#));
        assert_eq!(ours, theirs);
    }
}
