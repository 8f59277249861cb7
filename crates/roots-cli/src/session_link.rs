//! Writes that are linked to the session of the work tree.

use clap::Args;
use roots_client::Error;
use roots_client::model::{Session, SessionStatus};

use crate::connection::Connection;
use crate::error::CliError;
use crate::output::tell;
use crate::work_tree::{SESSION_VARIABLE, WorkTree};

/// The session to link to.
#[derive(Debug, Args)]
pub(crate) struct SessionChoice {
    /// Link to this session, not to that of the work tree
    #[arg(long, value_name = "ID", conflicts_with = "no_session")]
    session: Option<i64>,
    /// Link to no session
    #[arg(long)]
    no_session: bool,
}

/// Where linked writes go.
pub(crate) struct SessionLink<'a> {
    /// The server.
    pub(crate) connection: &'a Connection,
    /// The work tree.
    pub(crate) tree: &'a WorkTree,
}

impl SessionLink<'_> {
    /// Writes with the chosen session, or else with that of `ROOTS_SESSION` or of the work tree. If
    /// that one has ended or is gone, this is told, it is forgotten, and the write is done without
    /// a session.
    ///
    /// # Errors
    ///
    /// If the write fails for another reason.
    pub(crate) async fn write_linked<T>(
        &self,
        choice: &SessionChoice,
        write: impl AsyncFn(Option<i64>) -> Result<T, Error>,
    ) -> Result<T, CliError> {
        let remembered = match choice {
            SessionChoice { session: Some(session), .. } => {
                return Ok(write(Some(*session)).await?);
            }
            SessionChoice { no_session: true, .. } => None,
            _ => self.tree.state()?.session_id,
        };
        let error = match write(remembered).await {
            Ok(written) => return Ok(written),
            Err(error) => error,
        };
        let Some(session) = remembered.filter(|_| may_be_about_its_session(&error)) else {
            return Err(error.into());
        };
        match self.active(session).await? {
            Some(_) => Err(error.into()),
            None => Ok(write(None).await?),
        }
    }

    /// A session of the work tree, if it goes on. Otherwise this is told, and it is forgotten.
    ///
    /// # Errors
    ///
    /// If it can't be read, or the state can't be written.
    pub(crate) async fn active(&self, session: i64) -> Result<Option<Session>, CliError> {
        let end = match self.connection.client.get_session(session).await {
            Ok(session) if session.value.status == SessionStatus::Active => {
                return Ok(Some(session.value));
            }
            Ok(_) => "has ended",
            Err(error) if error.code() == Some("not-found") => "is gone",
            Err(error) => return Err(error.into()),
        };
        self.forget_session(session, end)?;
        Ok(None)
    }

    fn forget_session(&self, session: i64, end: &str) -> Result<(), CliError> {
        self.tree.change(|state| {
            if state.session_id == Some(session) {
                state.session_id = None;
            }
        })?;
        tell(&if self.tree.named_session()? == Some(session) {
            format!(
                "Session {session}, which {SESSION_VARIABLE} names, {end}, so nothing is linked to \
                 it. Start another with `roots start`, and set {SESSION_VARIABLE} to its id."
            )
        } else {
            format!(
                "Session {session} of this work tree {end}, so it is forgotten and nothing is \
                 linked to it. Start another with `roots start`."
            )
        });
        Ok(())
    }
}

/// Whether the refusal may come from the session that the write names.
fn may_be_about_its_session(error: &Error) -> bool {
    matches!(error.code(), Some("conflict" | "not-found" | "invalid-body"))
}
