//! Which session in Roots belongs to a program's session. This is kept for a caller and not for a
//! work tree, since a program may resume its session in another folder.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::connection::Connection;
use crate::error::CliError;
use crate::state_file::{StateFile, state_folder};

/// How many are remembered. Those that were never ended would add up.
const REMEMBERED_MAX: usize = 256;

/// The sessions in Roots, by the id that the program gave its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct Sessions(BTreeMap<String, i64>);

/// What one caller's programs have.
#[derive(Debug)]
pub(crate) struct KnownSessions(StateFile);

impl KnownSessions {
    /// Those of the connection's caller.
    ///
    /// # Errors
    ///
    /// If there is no home folder.
    pub(crate) fn of(connection: &Connection) -> Result<Self, CliError> {
        Ok(Self::at(&state_folder()?.join("hooks"), &connection.caller()))
    }

    fn at(folder: &Path, caller: &str) -> Self {
        let path = folder.join(format!("{caller}.json"));
        Self(StateFile::new(path, "which session belongs to which session of a program"))
    }

    /// The last session of the program's session.
    ///
    /// # Errors
    ///
    /// If the file is damaged or can't be read.
    pub(crate) fn get(&self, id: &str) -> Result<Option<i64>, CliError> {
        Ok(self.0.read::<Sessions>()?.0.get(id).copied())
    }

    /// Remembers the session of the program's session.
    ///
    /// # Errors
    ///
    /// If the file can't be read or written.
    pub(crate) fn keep(&self, id: &str, session: i64) -> Result<(), CliError> {
        self.0.change(|Sessions(sessions): &mut Sessions| {
            sessions.insert(id.to_owned(), session);
            while sessions.len() > REMEMBERED_MAX {
                let oldest = sessions.iter().filter(|(one, _)| *one != id);
                let oldest = oldest.min_by_key(|(_, session)| **session);
                let Some(oldest) = oldest.map(|(id, _)| id.clone()) else { return };
                sessions.remove(&oldest);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_sessions_are_forgotten_first() {
        let home = tempfile::tempdir().unwrap();
        let known = KnownSessions::at(home.path(), "c");
        for session in (1..=i64::try_from(REMEMBERED_MAX).unwrap() + 2).rev() {
            known.keep(&format!("id-{session}"), session).unwrap();
        }
        assert_eq!(known.get("id-1").unwrap(), Some(1), "the last one that was added");
        assert_eq!(known.get("id-2").unwrap(), None);
        assert_eq!(known.get("id-200").unwrap(), Some(200));
        assert_eq!(KnownSessions::at(home.path(), "d").get("id-1").unwrap(), None);
    }
}
