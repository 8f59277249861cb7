//! `roots import`: the file of an export.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use clap::{Args, value_parser};
use futures_util::stream::{self, Stream};
use roots_client::model::{Import, ImportOptions};
use roots_client::{Client, Error};

use super::import_text;
use crate::connection::connect;
use crate::cuts::Cuts;
use crate::error::CliError;
use crate::output::{IMPORT, Output, View, one_line, tell};
use crate::progress::Progress;
use crate::question::ask;

/// How many bytes are read at once.
const PIECE_BYTES: usize = 64 << 10;

/// What to import, and how.
#[derive(Debug, Args)]
pub(crate) struct ImportArguments {
    /// The file of an export
    file: PathBuf,
    /// Only check the file and say what the import would cost
    #[arg(long)]
    dry_run: bool,
    /// Give all rows to this actor; without it, actors are matched by name
    #[arg(long, value_name = "ID")]
    actor: Option<i64>,
    /// Skip rows before this line, which an earlier import wrote
    #[arg(long, value_name = "LINE", value_parser = value_parser!(u64).range(1..))]
    from_line: Option<u64>,
    /// Delete rows here that an earlier import wrote and that are no longer in the file
    #[arg(long)]
    delete_missing: bool,
    /// Delete them without a question
    #[arg(long, short, requires = "delete_missing")]
    yes: bool,
}

/// Imports a file. After a cut it goes on where the import ended; nothing is written or paid twice.
///
/// # Errors
///
/// If the import ends early, or lines have errors. See [`CliError`].
pub(crate) async fn import(arguments: &ImportArguments, output: &Output) -> Result<(), CliError> {
    let view = View::new(output, IMPORT)?;
    let client = connect()?.client;
    let path = &arguments.file;
    let about = open(path)?
        .metadata()
        .map_err(|error| CliError::file(path, "the file can't be read", error))?;
    if !about.is_file() {
        return Err(CliError::Usage(format!(
            "{} is no file; an import may have to read it several times",
            path.display()
        )));
    }
    if arguments.delete_missing && !arguments.yes && !arguments.dry_run {
        let file = path.display();
        ask(
            &format!("Delete the rows that were imported before and are missing in {file}?"),
            &format!("roots import {file} --delete-missing --yes"),
        )?;
    }
    let options = ImportOptions {
        actor_id: arguments.actor,
        from_line: arguments.from_line,
        deletes_missing: arguments.delete_missing,
        is_dry_run: arguments.dry_run,
    };
    let what = if arguments.dry_run { "Checking" } else { "Importing" };
    let progress = Progress::of_bytes(what, about.len());
    let importer = Importer { client: &client, path, progress, output };
    let imported = importer.import(options).await;
    importer.progress.end();
    let (import, error) = match imported {
        Ok(import) => (import, None),
        Err(Ended { import: None, error }) => return Err(error),
        Err(Ended { import: Some(import), error }) => (import, Some(error)),
    };
    if let Some(error) = error {
        if !output.is_json() {
            tell(&import_text::ended(&import, path));
        }
        return Err(with_import(error, import));
    }
    view.show(&import, || import_text::whole(&import))?;
    match import.faulty {
        0 => Ok(()),
        1 => Err(CliError::Failed("1 line has errors and was not imported".to_owned())),
        n => Err(CliError::Failed(format!("{n} lines have errors and were not imported"))),
    }
}

/// An import of a file.
struct Importer<'a> {
    client: &'a Client,
    path: &'a Path,
    progress: Progress,
    output: &'a Output,
}

/// An import that ended early: what was done until then, and why it ended.
struct Ended {
    import: Option<Import>,
    error: CliError,
}

impl Importer<'_> {
    /// Sends the file until all of it is imported.
    async fn import(&self, mut options: ImportOptions) -> Result<Import, Ended> {
        let mut cuts = Cuts::default();
        let mut before: Option<Import> = None;
        loop {
            let from_line = options.from_line.unwrap_or(1);
            let mut error = match self.send(&options).await {
                Ok(last) => return Ok(joined(before, last, from_line)),
                Err(error) => error,
            };
            if let Some(part) = take_import(&mut error) {
                // A dry run remembers nothing, so it begins again.
                let is_further = part.from_line.is_some_and(|line| line > from_line);
                if is_further && !options.is_dry_run {
                    options.from_line = part.from_line;
                    cuts.end();
                }
                let before_part = before.take().filter(|_| !options.is_dry_run);
                before = Some(joined(before_part, part, from_line));
            }
            let wait = match cuts.next(error) {
                Ok(wait) => wait,
                Err(error) => return Err(Ended { import: before, error }),
            };
            if options.is_dry_run {
                before = None;
            }
            if !self.output.is_json() {
                self.progress.tell(&format!(
                    "The import was cut ({why}) and goes on from line {line}.",
                    why = one_line(&wait.why),
                    line = options.from_line.unwrap_or(1)
                ));
            }
            wait.pass().await;
            self.progress.restart();
        }
    }

    async fn send(&self, options: &ImportOptions) -> Result<Import, CliError> {
        let failure = Arc::new(Mutex::new(None));
        let pieces = pieces(open(self.path)?, self.progress.clone(), Arc::clone(&failure));
        let sent = self.client.import(options, pieces).await;
        // If the file can't be read, the connection breaks too.
        let unread = failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        match unread {
            Some(error) => Err(CliError::file(self.path, "the file can't be read", error)),
            None => Ok(sent?),
        }
    }
}

fn open(path: &Path) -> Result<File, CliError> {
    File::open(path).map_err(|error| CliError::file(path, "the file can't be opened", error))
}

/// A file in pieces. An error goes to `failure`.
fn pieces(
    file: File,
    progress: Progress,
    failure: Arc<Mutex<Option<io::Error>>>,
) -> impl Stream<Item = Result<Bytes, io::Error>> + Send + 'static {
    stream::iter(std::iter::from_fn({
        let mut file = file;
        let mut is_over = false;
        move || {
            if is_over {
                return None;
            }
            let mut piece = BytesMut::zeroed(PIECE_BYTES);
            match file.read(&mut piece) {
                Ok(0) => None,
                Ok(n) => {
                    progress.add(n as u64);
                    piece.truncate(n);
                    Some(Ok(piece.freeze()))
                }
                Err(error) => {
                    is_over = true;
                    let kind = error.kind();
                    *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    Some(Err(kind.into()))
                }
            }
        }
    }))
}

/// What an import did until it ended, out of the problem that ended it.
fn take_import(error: &mut CliError) -> Option<Import> {
    match error {
        CliError::Api(Error::Refused { problem, .. }) => problem.import.take().map(|part| *part),
        _ => None,
    }
}

/// The error with all that the import did, in place of what its last part did.
fn with_import(mut error: CliError, import: Import) -> CliError {
    if let CliError::Api(Error::Refused { problem, .. }) = &mut error {
        problem.import = Some(Box::new(import));
    }
    error
}

/// An import in two parts, the second of which began at `from_line`.
fn joined(before: Option<Import>, last: Import, from_line: u64) -> Import {
    let Some(before) = before else { return last };
    let mut joined = last;
    joined.imported.sessions += before.imported.sessions;
    joined.imported.todos += before.imported.todos;
    joined.imported.todo_logs += before.imported.todo_logs;
    joined.imported.activities += before.imported.activities;
    joined.already_imported += before.already_imported;
    joined.updated += before.updated;
    joined.unchanged += before.unchanged;
    joined.deleted += before.deleted;
    joined.cost += before.cost;
    joined.balance = joined.balance.or(before.balance);
    // Lines that can't be read at all are reported again, although they are before its first line.
    let listed = joined.faults.len();
    joined.faults.retain(|fault| fault.line >= from_line);
    joined.faulty = joined.faulty.saturating_sub((listed - joined.faults.len()) as u64);
    joined.faulty += before.faulty;
    joined.faults.splice(..0, before.faults);
    joined
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn part(sessions: u64, cost: i64, faults: &[u64]) -> Import {
        let faults: Vec<_> =
            faults.iter().map(|line| json!({"line": line, "errors": []})).collect();
        serde_json::from_value(json!({
            "dry_run": false, "lines": 9,
            "imported": {"sessions": sessions, "todos": 1, "todo_logs": 2, "activities": 3},
            "already_imported": 1, "updated": 1, "unchanged": 0, "deleted": 0,
            "faulty": faults.len(), "faults": faults, "is_whole": true, "cost": cost,
        }))
        .unwrap()
    }

    #[test]
    fn the_parts_of_an_import_add_up() {
        let before = Import { balance: Some(5), ..part(4, 10, &[2, 3]) };
        let joined = joined(Some(before), part(1, 7, &[2, 8]), 5);
        assert_eq!(joined.imported.sessions, 5);
        assert_eq!(joined.imported.activities, 6);
        assert_eq!((joined.already_imported, joined.updated, joined.cost), (2, 2, 17));
        assert_eq!(joined.balance, Some(5));
        let lines: Vec<_> = joined.faults.iter().map(|fault| fault.line).collect();
        assert_eq!((joined.faulty, lines), (3, vec![2, 3, 8]));
    }
}
