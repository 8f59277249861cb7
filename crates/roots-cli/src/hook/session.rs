//! The Roots session of a program's session: started, found again, and ended.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use data_encoding::HEXLOWER;
use roots_client::model::{NewSession, SessionChange, SessionStatus};
use roots_client::{Client, Error, IdempotencyKey};
use sha2::{Digest, Sha256};

use crate::error::CliError;
use crate::hook::brief;
use crate::hook::known::KnownSessions;
use crate::hook::text::{self, OwnSession};
use crate::work_tree::{SESSION_VARIABLE, WorkTree};

/// After so many sessions that are gone, a start is named by chance.
const NAMED_STARTS_MAX: u8 = 4;

/// Where a program's session takes place.
#[derive(Debug)]
pub(crate) struct Place {
    /// The server.
    pub(crate) client: Client,
    /// The work tree.
    pub(crate) tree: WorkTree,
    /// The sessions of all programs' sessions.
    pub(crate) known: KnownSessions,
    /// A file whose lines the program runs before each command of the agent.
    pub(crate) environment_file: Option<PathBuf>,
}

impl Place {
    /// Finds or starts the session, and tells the agent what to know.
    ///
    /// # Errors
    ///
    /// If the server can't be reached or refuses the key, or the state can't be used.
    pub(crate) async fn start(&self, id: &str) -> Result<String, CliError> {
        let before = self.known.get(id)?;
        let own = self.find_or_start(id, before).await?;
        let session = match own {
            OwnSession::Started(session) | OwnSession::GoesOn(session) => Some(session),
            OwnSession::None(_) => None,
        };
        if let Some(session) = session {
            // The session is there, so the agent is told of it even if it can't be remembered.
            let _ = self.known.keep(id, session);
            let _ = self.name_in_environment(session);
        }
        // A work tree that can't be taken costs the agent nothing: its session is named to it.
        let (brief, _) =
            tokio::join!(brief::read(&self.client, session), self.take_tree(session, before));
        let brief = match brief {
            Ok(brief) => brief,
            Err(error) if session.is_none() => return Err(error.into()),
            Err(error) => Err(CliError::from(error).sentence()),
        };
        Ok(text::text(&own, brief.as_deref().map_err(String::as_str)))
    }

    /// Ends the session, if there is one.
    ///
    /// # Errors
    ///
    /// If the server does not end it, or the state can't be used.
    pub(crate) async fn end(&self, id: &str) -> Result<(), CliError> {
        let Some(session) = self.known.get(id)? else { return Ok(()) };
        // It stays known under its id: if the program resumes its session, another one follows it.
        let change =
            SessionChange { status: Some(SessionStatus::Ended), ..SessionChange::default() };
        let ended = self.client.update_session(session, &change).await;
        self.tree
            .change(|state| state.session_id = state.session_id.filter(|it| *it != session))?;
        ended?;
        Ok(())
    }

    /// The session that goes on, or a new one. A server may answer the name of a start with the
    /// session of a day ago, which is over: then the start gets another name.
    async fn find_or_start(&self, id: &str, known: Option<i64>) -> Result<OwnSession, CliError> {
        if let Some(session) = known
            && self.is_active(session).await?
        {
            return Ok(OwnSession::GoesOn(session));
        }
        let mut before = known;
        for attempt in 0..=NAMED_STARTS_MAX {
            let key =
                if attempt < NAMED_STARTS_MAX { key(id, before) } else { IdempotencyKey::unique() };
            let request = self.client.start_session(&NewSession::default());
            let started = match request.idempotency_key(&key).await {
                Ok(started) => started,
                Err(error @ Error::Refused { .. }) => {
                    return Ok(OwnSession::None(error.to_string()));
                }
                Err(error) => return Err(error.into()),
            };
            let session = started.value.session_id;
            if !started.is_replay {
                return Ok(OwnSession::Started(session));
            }
            if self.is_active(session).await? {
                return Ok(OwnSession::GoesOn(session));
            }
            before = Some(session);
        }
        Ok(OwnSession::None("none of its sessions goes on".to_owned()))
    }

    /// Makes the session that of the work tree, unless another agent's is, and goes on.
    async fn take_tree(&self, session: Option<i64>, before: Option<i64>) -> Result<(), CliError> {
        let Some(session) = session else { return Ok(()) };
        let remembered = self.tree.remembered()?.session_id;
        if let Some(other) = remembered.filter(|other| *other != session && Some(*other) != before)
            // If that can't be told, nothing is taken from the other.
            && self.is_active(other).await.unwrap_or(true)
        {
            return Ok(());
        }
        self.tree.change(|state| {
            if state.session_id == remembered {
                state.session_id = Some(session);
            }
        })
    }

    /// Whether the session takes writes.
    async fn is_active(&self, session: i64) -> Result<bool, Error> {
        match self.client.get_session(session).await {
            Ok(session) => Ok(session.value.status == SessionStatus::Active),
            Err(error) if error.code() == Some("not-found") => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Names the session to the commands that the agent runs. Other hooks write to the file too.
    fn name_in_environment(&self, session: i64) -> io::Result<()> {
        let Some(path) = &self.environment_file else { return Ok(()) };
        let mut file = File::options().create(true).append(true).open(path)?;
        file.write_all(format!("export {SESSION_VARIABLE}={session}\n").as_bytes())
    }
}

/// Names the start of the session that follows `before`. If the answer is lost, the next hook gets
/// the same session, and no second one.
fn key(id: &str, before: Option<i64>) -> IdempotencyKey {
    let digest = Sha256::digest(format!("{id}\n{}", before.unwrap_or_default()));
    let key = format!("hook-{}", HEXLOWER.encode(&digest[..16]));
    IdempotencyKey::try_from(key).unwrap_or_else(|_| IdempotencyKey::unique())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_follows_another_has_another_key() {
        assert_eq!(key("a", None), key("a", None));
        assert_ne!(key("a", None), key("a", Some(1)));
        assert_ne!(key("a", None), key("b", None));
        assert!(key(&"\u{1f331}\n".repeat(999), None).as_str().starts_with("hook-"));
    }
}
