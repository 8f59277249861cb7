//! What is remembered for a work tree: its session, and the claims of its todos.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::connection::Connection;
use crate::error::CliError;
use crate::state_file::{StateFile, state_folder};

/// The variable that names the session to work in, before the one that is remembered.
pub(crate) const SESSION_VARIABLE: &str = "ROOTS_SESSION";

/// What one caller has in a work tree. Another server or another key is another caller.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TreeState {
    /// The session that was started here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) session_id: Option<i64>,
    /// The tokens of the claims that were made here, by todo. That of a lost claim stays, so that
    /// a repeated command does not touch the claim of another worker.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) claims: BTreeMap<i64, i64>,
}

/// The file of a work tree.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct TreeFile {
    /// The folder, for people who look.
    work_tree: String,
    callers: BTreeMap<String, TreeState>,
}

/// The state of a work tree, for one caller.
#[derive(Debug)]
pub(crate) struct WorkTree {
    root: PathBuf,
    file: StateFile,
    caller: String,
    /// What [`SESSION_VARIABLE`] says.
    named_session: Option<String>,
}

impl WorkTree {
    /// The work tree of the current folder: the one of Git that it is in, or else the folder
    /// itself.
    ///
    /// # Errors
    ///
    /// If there is no current folder or no home folder.
    pub(crate) fn current(connection: &Connection) -> Result<Self, CliError> {
        let folder = env::current_dir().map_err(|source| CliError::System {
            what: "the current folder can't be found",
            source,
        })?;
        Self::of(&folder, connection)
    }

    /// The work tree of a folder.
    ///
    /// # Errors
    ///
    /// If there is no such folder, or no home folder.
    pub(crate) fn of(folder: &Path, connection: &Connection) -> Result<Self, CliError> {
        let tree = Self::at(folder, &state_folder()?.join("trees"), connection.caller())?;
        let named = env::var(SESSION_VARIABLE).ok().map(|value| value.trim().to_owned());
        Ok(Self { named_session: named.filter(|value| !value.is_empty()), ..tree })
    }

    fn at(folder: &Path, states: &Path, caller: String) -> Result<Self, CliError> {
        let folder = folder
            .canonicalize()
            .map_err(|error| CliError::file(folder, "the folder can't be found", error))?;
        let root = folder.ancestors().find(|folder| folder.join(".git").exists());
        let root = root.unwrap_or(&folder).to_owned();
        let digest = Sha256::digest(root.as_os_str().as_encoded_bytes());
        let path = states.join(format!("{name}.json", name = HEXLOWER.encode(&digest[..8])));
        let file = StateFile::new(path, "the session and the claims of a work tree");
        Ok(Self { root, file, caller, named_session: None })
    }

    /// Its folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The state to work with: what is remembered, with the session that [`SESSION_VARIABLE`]
    /// names in place of the one of the tree.
    ///
    /// # Errors
    ///
    /// If the file is damaged or can't be read, or the variable names no session.
    pub(crate) fn state(&self) -> Result<TreeState, CliError> {
        let state = self.remembered()?;
        let named = self.named_session()?;
        Ok(TreeState { session_id: named.or(state.session_id), ..state })
    }

    /// The session that [`SESSION_VARIABLE`] names.
    ///
    /// # Errors
    ///
    /// If it is no id.
    pub(crate) fn named_session(&self) -> Result<Option<i64>, CliError> {
        let Some(named) = &self.named_session else { return Ok(None) };
        named.parse().map(Some).map_err(|_| {
            CliError::Usage(format!(
                "{SESSION_VARIABLE} has to be the id of a session, such as 42: correct it or \
                 unset it"
            ))
        })
    }

    /// What is remembered.
    ///
    /// # Errors
    ///
    /// If the file is damaged or can't be read.
    pub(crate) fn remembered(&self) -> Result<TreeState, CliError> {
        let mut file: TreeFile = self.file.read()?;
        Ok(file.callers.remove(&self.caller).unwrap_or_default())
    }

    /// Changes what is remembered. Of changes at once none is lost.
    ///
    /// # Errors
    ///
    /// If the file can't be read or written.
    pub(crate) fn change<T>(
        &self,
        change: impl FnOnce(&mut TreeState) -> T,
    ) -> Result<T, CliError> {
        self.file.change(|file: &mut TreeFile| {
            let mut state = file.callers.remove(&self.caller).unwrap_or_default();
            let result = change(&mut state);
            if state != TreeState::default() {
                file.callers.insert(self.caller.clone(), state);
                file.work_tree = self.root.to_string_lossy().into_owned();
            }
            result
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, thread};

    use super::*;

    fn tree(home: &Path, folder: &Path, caller: &str) -> WorkTree {
        WorkTree::at(folder, &home.join("states"), caller.to_owned()).unwrap()
    }

    #[test]
    fn folders_of_a_git_work_tree_share_a_state() {
        let home = tempfile::tempdir().unwrap();
        let inner = home.path().join("repository").join("a").join("b");
        fs::create_dir_all(&inner).unwrap();
        fs::create_dir(home.path().join("repository").join(".git")).unwrap();
        let [outer, inner] =
            [home.path().join("repository"), inner].map(|folder| tree(home.path(), &folder, "c"));
        outer.change(|state| state.session_id = Some(5)).unwrap();
        assert_eq!(inner.state().unwrap().session_id, Some(5));
        let elsewhere = tree(home.path(), home.path(), "c");
        assert_eq!(elsewhere.state().unwrap(), TreeState::default());
    }

    #[test]
    fn another_caller_has_a_state_of_its_own() {
        let home = tempfile::tempdir().unwrap();
        let [one, other] = ["one", "other"].map(|caller| tree(home.path(), home.path(), caller));
        one.change(|state| state.session_id = Some(1)).unwrap();
        other.change(|state| state.session_id = Some(2)).unwrap();
        assert_eq!(one.state().unwrap().session_id, Some(1));
        one.change(|state| state.session_id = None).unwrap();
        assert_eq!(other.state().unwrap().session_id, Some(2));
    }

    #[test]
    fn changes_at_once_are_all_kept() {
        let home = tempfile::tempdir().unwrap();
        let workers: Vec<_> = (0..8)
            .map(|worker| {
                let tree = tree(home.path(), home.path(), "c");
                thread::spawn(move || {
                    for n in 0..25 {
                        tree.change(|state| state.claims.insert(worker * 25 + n, 1)).unwrap();
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.join().unwrap();
        }
        let state = tree(home.path(), home.path(), "c").state().unwrap();
        assert_eq!(state.claims.len(), 200);
    }

    #[test]
    fn a_damaged_state_is_told() {
        let home = tempfile::tempdir().unwrap();
        let tree = tree(home.path(), home.path(), "c");
        tree.change(|state| state.session_id = Some(1)).unwrap();
        fs::write(tree.file.path(), "{").unwrap();
        assert!(tree.state().unwrap_err().to_string().contains("damaged; delete it"));
        assert!(tree.change(|_| ()).is_err());
    }

    #[test]
    fn a_named_session_goes_before_the_remembered_one_and_is_not_kept() {
        let home = tempfile::tempdir().unwrap();
        let named = |session: &str| WorkTree {
            named_session: Some(session.to_owned()),
            ..tree(home.path(), home.path(), "c")
        };
        tree(home.path(), home.path(), "c").change(|state| state.session_id = Some(1)).unwrap();
        named("42").change(|state| state.claims.insert(7, 1)).unwrap();
        assert_eq!(named("42").state().unwrap().session_id, Some(42));
        assert_eq!(named("42").state().unwrap().claims, BTreeMap::from([(7, 1)]));
        assert_eq!(named("42").remembered().unwrap().session_id, Some(1));
        for wrong in ["x", "1.5", "4 2"] {
            let error = named(wrong).state().unwrap_err().to_string();
            assert!(error.contains("ROOTS_SESSION has to be the id"), "{error}");
        }
    }
}
