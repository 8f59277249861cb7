//! `roots export`: all data, decrypted, as lines of JSON.

use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::pin::pin;

use clap::Args;
use futures_util::TryStreamExt;
use futures_util::future::try_join3;
use indicatif::BinaryBytes;
use roots_client::model::{
    ActivityFilter, ActorFilter, Counts, EndLine, ExportLine, Paging, Role, SessionFilter,
    StatsFilter, TodoFilter,
};
use roots_client::{Client, Error};
use serde::Serialize;
use tempfile::{Builder, NamedTempFile};
use tokio::signal::unix::{SignalKind, signal};

use crate::connection::connect;
use crate::cuts::Cuts;
use crate::error::CliError;
use crate::output::{Output, Shape, View, harmless_json, one_line, shows_data, tell};
use crate::progress::Progress;

/// What to export, and where to.
#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    /// The file, which only you can read: standard output by default
    ///
    /// It is written next to its place under another name, and put there once the export is
    /// complete. A cut export starts anew. The texts in it are decrypted.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Export only this actor's rows; only an owner may name another
    #[arg(long, value_name = "ID")]
    actor: Option<i64>,
}

/// A file that an export went to.
#[derive(Debug, Serialize)]
struct Exported {
    file: PathBuf,
    bytes: u64,
    counts: Counts,
    total: u64,
    unreadable: u64,
}

const EXPORTED: Shape = Shape::of(&["file", "bytes", "counts", "total", "unreadable"]);

/// Exports.
///
/// # Errors
///
/// If the export is not complete. See [`CliError`].
pub(crate) async fn export(arguments: &ExportArguments, output: &Output) -> Result<(), CliError> {
    let view = View::new(output, EXPORTED)?;
    let client = connect()?.client;
    let goes_to_stdout = arguments.output.as_deref().is_none_or(|file| file == Path::new("-"));
    // A bar between the lines would be a mess.
    let is_seen = !goes_to_stdout || !shows_data();
    let progress = Progress::of_rows("Exporting", is_seen);
    let exporter = Exporter { client: &client, actor: arguments.actor, progress, output };
    match &arguments.output {
        Some(file) if !goes_to_stdout => {
            let whole = exporter.to_file(file).await?;
            view.show(&whole, || text(&whole))
        }
        _ => exporter.to_stdout().await,
    }
}

/// An export, before it is complete.
struct Exporter<'a> {
    client: &'a Client,
    actor: Option<i64>,
    progress: Progress,
    output: &'a Output,
}

/// Lines that were written.
struct Written {
    bytes: u64,
    end: EndLine,
}

impl Exporter<'_> {
    /// Exports to standard output. What is written there can't be taken back, so a cut export is
    /// not started anew.
    async fn to_stdout(&self) -> Result<(), CliError> {
        self.expect_rows().await;
        let mut stdout = io::stdout().lock();
        let written = self.write_lines(&mut stdout, shows_data(), |error| match error.kind() {
            ErrorKind::BrokenPipe => CliError::OutputClosed,
            _ => CliError::Output(error),
        });
        let written = written.await;
        self.progress.end();
        let Written { bytes, end } = written?;
        if !self.output.is_json() {
            tell(&summary(&end.counts, end.unreadable, "", bytes));
        }
        Ok(())
    }

    /// Exports to a file, which has this name only once it is complete.
    async fn to_file(&self, file: &Path) -> Result<Exported, CliError> {
        // A link stays, and leads to the export.
        let target = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
        if fs::metadata(&target).is_ok_and(|about| !about.is_file()) {
            return Err(CliError::Usage(format!(
                "{} is no file; name one, or leave --output out to export to standard output",
                file.display()
            )));
        }
        self.expect_rows().await;
        let written = tokio::select! {
            written = self.write_file(&target) => written,
            () = interruption() => Err(CliError::Failed(
                "the export was interrupted, and nothing of it is kept".to_owned(),
            )),
        };
        self.progress.end();
        let Written { bytes, end } = written?;
        let EndLine { counts, total, unreadable } = end;
        Ok(Exported { file: file.to_owned(), bytes, counts, total, unreadable })
    }

    async fn write_file(&self, file: &Path) -> Result<Written, CliError> {
        let failed = |error| CliError::file(file, "the export can't be written", error);
        let folder = match file.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let mut cuts = Cuts::default();
        let mut has_begun = false;
        loop {
            // Only its owner can read a temporary file, and it is deleted unless it is complete.
            let mut part = Builder::new()
                .prefix(".roots-export-")
                .suffix(".part")
                .tempfile_in(folder)
                .map_err(failed)?;
            let error = match self.write_lines(part.as_file_mut(), false, failed).await {
                Ok(written) => {
                    put(part, file, folder).map_err(failed)?;
                    return Ok(written);
                }
                Err(error) => error,
            };
            has_begun |= part.as_file().metadata().is_ok_and(|about| about.len() > 0);
            if !has_begun {
                return Err(error);
            }
            let wait = match cuts.next(error) {
                Ok(wait) => wait,
                Err(error) => {
                    self.keep_failed(&error, part, file, folder)?;
                    return Err(error);
                }
            };
            if !self.output.is_json() {
                let why = one_line(&wait.why);
                self.progress.tell(&format!("The export was cut ({why}) and starts anew."));
            }
            drop(part);
            wait.pass().await;
            self.progress.restart();
        }
    }

    /// Keeps what came of an export that the server ended for a reason that stays, such as keys
    /// that can't be opened: it is all that there is to get. Its last line is the error.
    fn keep_failed(
        &self,
        error: &CliError,
        mut part: NamedTempFile,
        file: &Path,
        folder: &Path,
    ) -> Result<(), CliError> {
        let CliError::Api(Error::ExportFailed(failure)) = error else { return Ok(()) };
        if error.may_pass() {
            return Ok(());
        }
        let mut name = file.as_os_str().to_owned();
        name.push(".incomplete");
        let kept = PathBuf::from(name);
        let last = serde_json::to_vec(&ExportLine::Error(failure.clone())).unwrap_or_default();
        let added = part.write_all(&last).and_then(|()| part.write_all(b"\n"));
        added
            .and_then(|()| put(part, &kept, folder))
            .map_err(|error| CliError::file(&kept, "the export can't be written", error))?;
        if !self.output.is_json() {
            self.progress.tell(&format!(
                "What could be exported is in {kept}, which only you can read.",
                kept = kept.display()
            ));
        }
        Ok(())
    }

    /// Writes the lines of an export as they come, without what could control a terminal.
    async fn write_lines(
        &self,
        sink: &mut impl Write,
        is_terminal: bool,
        failed: impl Fn(io::Error) -> CliError,
    ) -> Result<Written, CliError> {
        let mut sink = BufWriter::new(sink);
        let mut lines = pin!(self.client.export(self.actor).await?);
        let (mut bytes, mut end) = (0, None);
        let ended = loop {
            match lines.try_next().await {
                Ok(Some(line)) => {
                    let written = if is_terminal {
                        let text = String::from_utf8_lossy(&line.raw);
                        sink.write_all(harmless_json(&text).as_bytes())
                    } else {
                        sink.write_all(&line.raw)
                    };
                    written.map_err(&failed)?;
                    bytes += line.raw.len() as u64;
                    match line.line {
                        ExportLine::Session(_) | ExportLine::Todo(_) | ExportLine::Activity(_) => {
                            self.progress.add(1);
                        }
                        ExportLine::End(line) => end = Some(line),
                        _ => {}
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        sink.flush().map_err(&failed)?;
        ended?;
        let end = end.ok_or(Error::ExportCutOff)?;
        Ok(Written { bytes, end })
    }

    /// Asks for the number of rows, if a bar shows it. It can be wrong, and the export goes on
    /// without it.
    async fn expect_rows(&self) {
        if self.progress.is_seen()
            && let Ok(rows) = self.rows().await
        {
            self.progress.expect_rows(rows);
        }
    }

    async fn rows(&self) -> Result<u64, Error> {
        let actor = match self.actor {
            Some(id) => Some(ActorFilter::One(id)),
            None if self.client.whoami().await?.role == Role::Owner => Some(ActorFilter::All),
            None => None,
        };
        let sessions = SessionFilter { actor, ..SessionFilter::default() };
        let todos = TodoFilter { actor, ..TodoFilter::default() };
        let range = StatsFilter { actor, ..StatsFilter::default() };
        let activities = ActivityFilter { range, ..ActivityFilter::default() };
        let one = Paging { limit: Some(1), ..Paging::default() };
        let (sessions, todos, activities) = try_join3(
            self.client.list_sessions(&sessions, &one),
            self.client.list_todos(&todos, &one),
            self.client.list_activities(&activities, &one),
        )
        .await?;
        let rows = sessions.total + todos.total + activities.total;
        Ok(u64::try_from(rows).unwrap_or_default())
    }
}

/// Gives a complete file its name.
fn put(part: NamedTempFile, file: &Path, folder: &Path) -> io::Result<()> {
    part.as_file().sync_all()?;
    part.persist(file)?;
    File::open(folder)?.sync_all()
}

/// Comes when somebody ends the program, which then still deletes what is half done.
async fn interruption() {
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

fn text(exported: &Exported) -> String {
    let file = format!(" to {}", exported.file.display());
    summary(&exported.counts, exported.unreadable, &file, exported.bytes)
}

fn summary(counts: &Counts, unreadable: u64, file: &str, bytes: u64) -> String {
    let Counts { actors, sessions, todos, todo_logs, activities } = counts;
    let text = format!(
        "Exported{file} ({size})\nactors {actors}, sessions {sessions}, todos {todos}, entries of \
         their logs {todo_logs}, activities {activities}",
        size = BinaryBytes(bytes)
    );
    if unreadable == 0 {
        return text;
    }
    format!(
        "{text}\n{unreadable} rows have texts that can't be read; `unreadable` names them in their \
         lines."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_ends_with_its_counts() {
        let counts = Counts { actors: 2, sessions: 12, todos: 30, todo_logs: 41, activities: 1200 };
        let file = PathBuf::from("roots.jsonl");
        let exported = Exported { file, bytes: 3 << 20, counts, total: 1285, unreadable: 3 };
        insta::assert_snapshot!(text(&exported), @"
        Exported to roots.jsonl (3.00 MiB)
        actors 2, sessions 12, todos 30, entries of their logs 41, activities 1200
        3 rows have texts that can't be read; `unreadable` names them in their lines.
        ");
    }
}
