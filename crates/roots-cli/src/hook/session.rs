//! The Roots session of a program's session: started, found again, and ended.

use data_encoding::HEXLOWER;
use roots_client::model::{NewSession, SessionChange, SessionStatus};
use roots_client::{Client, Error, IdempotencyKey};
use sha2::{Digest, Sha256};

use crate::error::CliError;
use crate::hook::brief;
use crate::hook::text::{self, OwnSession};
use crate::work_tree::{TreeState, WorkTree};

/// How many sessions of programs a work tree remembers. Those that were never ended would add up.
const REMEMBERED_MAX: usize = 256;

/// Finds or starts the session, and tells the agent what to know.
///
/// # Errors
///
/// If the server can't be reached or refuses the key, or the state can't be used.
pub(crate) async fn start(client: &Client, tree: &WorkTree, id: &str) -> Result<String, CliError> {
    let known = tree.state()?.hook_sessions.get(id).copied();
    // The brief is read before a session starts. Afterwards it would tell of that one, and not of
    // the one before it.
    let (brief, goes_on) = tokio::join!(brief::read(client), goes_on(client, known));
    let brief = brief?;
    let own = if let (true, Some(session)) = (goes_on?, known) {
        OwnSession::GoesOn(session)
    } else {
        let request = client.start_session(&NewSession::default());
        match request.idempotency_key(&key(id, known)).await {
            Ok(session) => OwnSession::Started(session.value.session_id),
            Err(error @ Error::Refused { .. }) => OwnSession::None(error.to_string()),
            Err(error) => return Err(error.into()),
        }
    };
    if let OwnSession::Started(session) | OwnSession::GoesOn(session) = own {
        tree.change(|state| remember(state, id, session))?;
    }
    Ok(text::text(&own, brief.as_ref()))
}

/// Ends the session, if there is one.
///
/// # Errors
///
/// If the server does not end it, or the state can't be used.
pub(crate) async fn end(client: &Client, tree: &WorkTree, id: &str) -> Result<(), CliError> {
    let Some(session) = tree.state()?.hook_sessions.get(id).copied() else { return Ok(()) };
    // It stays known under its id: if the program resumes its session, another one follows it.
    tree.change(|state| state.session_id = state.session_id.filter(|own| *own != session))?;
    let change = SessionChange { status: Some(SessionStatus::Ended), ..SessionChange::default() };
    client.update_session(session, &change).await?;
    Ok(())
}

/// Whether the session takes writes.
async fn goes_on(client: &Client, session: Option<i64>) -> Result<bool, Error> {
    let Some(session) = session else { return Ok(false) };
    match client.get_session(session).await {
        Ok(session) => Ok(session.value.status == SessionStatus::Active),
        Err(error) if error.code() == Some("not-found") => Ok(false),
        Err(error) => Err(error),
    }
}

/// Names the start of the session that follows `before`. If the answer is lost, the next hook gets
/// the same session, and no second one.
fn key(id: &str, before: Option<i64>) -> IdempotencyKey {
    let digest = Sha256::digest(format!("{id}\n{}", before.unwrap_or_default()));
    let key = format!("hook-{}", HEXLOWER.encode(&digest[..16]));
    IdempotencyKey::try_from(key).unwrap_or_else(|_| IdempotencyKey::unique())
}

fn remember(state: &mut TreeState, id: &str, session: i64) {
    state.session_id = Some(session);
    state.hook_sessions.insert(id.to_owned(), session);
    while state.hook_sessions.len() > REMEMBERED_MAX {
        let oldest = state.hook_sessions.iter().min_by_key(|(_, session)| **session);
        let Some(oldest) = oldest.map(|(id, _)| id.clone()) else { return };
        state.hook_sessions.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_sessions_are_forgotten_first() {
        let mut state = TreeState::default();
        for session in (1..=300).rev() {
            remember(&mut state, &format!("id-{session}"), session);
        }
        assert_eq!(state.hook_sessions.len(), REMEMBERED_MAX);
        // The last one that was added is the oldest, and still the session of the work tree.
        assert_eq!(state.session_id, Some(1));
        assert!(state.hook_sessions.contains_key("id-300"));
    }

    #[test]
    fn a_session_that_follows_another_has_another_key() {
        assert_eq!(key("a", None), key("a", None));
        assert_ne!(key("a", None), key("a", Some(1)));
        assert_ne!(key("a", None), key("b", None));
        assert!(key(&"\u{1f331}\n".repeat(999), None).as_str().starts_with("hook-"));
    }
}
