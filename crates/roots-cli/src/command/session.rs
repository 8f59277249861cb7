//! `roots start`, `roots end` and `roots note`: the session of the work tree.

use clap::Args;
use roots_client::Patch;
use roots_client::model::{NewSession, Session, SessionChange, SessionStatus};

use crate::connection::{Connection, connect};
use crate::dates;
use crate::error::CliError;
use crate::output::{Output, SESSION, View, printable};
use crate::session_link::SessionLink;
use crate::text_source;
use crate::work_tree::WorkTree;

/// A session to start.
#[derive(Debug, Args)]
pub(crate) struct StartArguments {
    /// Notes, such as what you are going to do; `-` reads them from standard input
    notes: Option<String>,
    /// Start another session, even if that of the work tree goes on
    #[arg(long)]
    another: bool,
    /// The actor that it will belong to; only an owner may name another
    #[arg(long, value_name = "ID")]
    actor: Option<i64>,
}

/// A session to end.
#[derive(Debug, Args)]
pub(crate) struct EndArguments {
    /// Notes, which replace those that it has; `-` reads them from standard input
    notes: Option<String>,
    /// End this session, not that of the work tree
    #[arg(long, value_name = "ID")]
    session: Option<i64>,
}

/// Notes of a session.
#[derive(Debug, Args)]
pub(crate) struct NoteArguments {
    /// The notes, which replace those that it has; `-` reads them from standard input, and without
    /// them your editor opens
    notes: Option<String>,
    /// Add the notes to those that it has, as lines of their own
    #[arg(long, short = 'a')]
    append: bool,
    /// Change this session, not that of the work tree
    #[arg(long, value_name = "ID")]
    session: Option<i64>,
}

/// Starts a session and remembers it.
///
/// # Errors
///
/// If the session of the work tree goes on. See [`CliError`].
pub(crate) async fn start(arguments: &StartArguments, output: &Output) -> Result<(), CliError> {
    let view = View::new(output, SESSION)?;
    let connection = connect()?;
    let tree = WorkTree::current(&connection)?;
    let link = SessionLink { connection: &connection, tree: &tree };
    if let Some(session) = tree.state()?.session_id.filter(|_| !arguments.another)
        && link.active(session).await?.is_some()
    {
        return Err(CliError::Conflict(format!(
            "session {session} of this work tree goes on: work in it, end it with `roots end`, or \
             start another with `roots start --another`"
        )));
    }
    let notes = text_source::optional(arguments.notes.as_deref())?;
    let new = NewSession { notes, actor_id: arguments.actor };
    let session = connection.client.start_session(&new).await?.value;
    // The session is there, so it is shown even if it can't be remembered.
    let remembered = tree.change(|state| state.session_id = Some(session.session_id));
    view.show(&session, || {
        format!(
            "Started session {id} for {root}",
            id = session.session_id,
            root = printable(&tree.root().to_string_lossy())
        )
    })?;
    remembered
}

/// Ends a session, and forgets it if it is that of the work tree.
///
/// # Errors
///
/// If there is none, or it has ended before. See [`CliError`].
pub(crate) async fn end(arguments: &EndArguments, output: &Output) -> Result<(), CliError> {
    let view = View::new(output, SESSION)?;
    let connection = connect()?;
    let tree = WorkTree::current(&connection)?;
    let id = chosen(arguments.session, &tree)?;
    let notes = text_source::optional(arguments.notes.as_deref())?;
    let change = SessionChange {
        status: Some(SessionStatus::Ended),
        notes: notes.map_or(Patch::Keep, Patch::Set),
    };
    let session = changed(id, &change, &connection, &tree).await?;
    let forgotten = tree.change(|state| {
        if state.session_id == Some(id) {
            state.session_id = None;
        }
    });
    view.show(&session, || match session.duration_seconds {
        Some(seconds) => format!("Ended session {id} after {}", duration(seconds)),
        None => format!("Ended session {id}"),
    })?;
    forgotten
}

/// Replaces the notes of a session, or adds to them.
///
/// # Errors
///
/// If there is none. See [`CliError`].
pub(crate) async fn note(arguments: &NoteArguments, output: &Output) -> Result<(), CliError> {
    let view = View::new(output, SESSION)?;
    let connection = connect()?;
    let tree = WorkTree::current(&connection)?;
    let id = chosen(arguments.session, &tree)?;
    let is_edited = arguments.notes.is_none() && text_source::has_terminal();
    let session = if arguments.append || is_edited {
        // Both start from the notes as they are now, so a change in between must not be lost.
        let before = connection.client.get_session(id).await?;
        let old = before.value.notes.unwrap_or_default();
        let notes = if arguments.append {
            let added = text_source::required(arguments.notes.as_deref(), "")?;
            if old.is_empty() { added } else { format!("{old}\n{added}") }
        } else {
            text_source::required(None, &old)?
        };
        let change = SessionChange { notes: Patch::Set(notes), ..SessionChange::default() };
        let request = connection.client.update_session(id, &change);
        match &before.etag {
            Some(etag) => request.if_match(etag).await?.value,
            None => request.await?.value,
        }
    } else {
        let notes = text_source::required(arguments.notes.as_deref(), "")?;
        let change = SessionChange { notes: Patch::Set(notes), ..SessionChange::default() };
        changed(id, &change, &connection, &tree).await?
    };
    view.show(&session, || format!("Noted in session {id}"))
}

/// Changes a session. One that was remembered and takes no more writes is forgotten.
async fn changed(
    id: i64,
    change: &SessionChange,
    connection: &Connection,
    tree: &WorkTree,
) -> Result<Session, CliError> {
    let error = match connection.client.update_session(id, change).await {
        Ok(session) => return Ok(session.value),
        Err(error) => error,
    };
    let is_over = matches!(error.code(), Some("conflict" | "not-found"));
    if is_over && tree.state()?.session_id == Some(id) {
        let link = SessionLink { connection, tree };
        link.active(id).await?;
    }
    Err(error.into())
}

fn chosen(session: Option<i64>, tree: &WorkTree) -> Result<i64, CliError> {
    match session {
        Some(session) => Ok(session),
        None => tree.state()?.session_id.ok_or_else(|| {
            CliError::NotThere(
                "this work tree has no session: run `roots start`, or name one with --session"
                    .to_owned(),
            )
        }),
    }
}

/// A time span for people.
fn duration(seconds: u64) -> String {
    let (hours, minutes) = (seconds / 3600, seconds % 3600 / 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds} s"),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// A session in a sentence.
pub(crate) fn described(session: &Session) -> String {
    let started = dates::shown(session.started_at);
    match session.ended_at {
        Some(ended) => format!("started {started}, ended {}", dates::shown(ended)),
        None => format!("started {started}, goes on"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_told_in_its_largest_units() {
        for (seconds, text) in
            [(5, "5 s"), (65, "1 min"), (3_600, "1 h 0 min"), (9_000, "2 h 30 min")]
        {
            assert_eq!(duration(seconds), text);
        }
    }
}
