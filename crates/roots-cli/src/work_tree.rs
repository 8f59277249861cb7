//! What is remembered for a work tree: its session, and the claims of its todos.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use etcetera::BaseStrategy;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::connection::Connection;
use crate::error::CliError;
use crate::private_file::{folders, lock_of, write_private};

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
    /// The sessions of other programs' sessions, by the id that the program gave.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) hook_sessions: BTreeMap<String, i64>,
}

/// The file of a work tree.
#[derive(Debug, Default, Serialize, Deserialize)]
struct TreeFile {
    /// The folder, for people who look.
    work_tree: String,
    callers: BTreeMap<String, TreeState>,
}

/// The state of a work tree, for one caller.
#[derive(Debug)]
pub(crate) struct WorkTree {
    root: PathBuf,
    file: PathBuf,
    caller: String,
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
        let folders = folders()?;
        let states = folders.state_dir().unwrap_or_else(|| folders.data_dir());
        Self::at(folder, &states.join("roots").join("trees"), connection.caller())
    }

    fn at(folder: &Path, states: &Path, caller: String) -> Result<Self, CliError> {
        let folder = folder
            .canonicalize()
            .map_err(|error| CliError::file(folder, "the folder can't be found", error))?;
        let root = folder.ancestors().find(|folder| folder.join(".git").exists());
        let root = root.unwrap_or(&folder).to_owned();
        let digest = Sha256::digest(root.as_os_str().as_encoded_bytes());
        let file = states.join(format!("{name}.json", name = HEXLOWER.encode(&digest[..8])));
        Ok(Self { root, file, caller })
    }

    /// Its folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What is remembered.
    ///
    /// # Errors
    ///
    /// If the file is damaged or can't be read.
    pub(crate) fn state(&self) -> Result<TreeState, CliError> {
        Ok(self.read()?.callers.remove(&self.caller).unwrap_or_default())
    }

    /// Changes what is remembered. Of changes at once none is lost: they wait for each other, and
    /// the file is replaced in one step.
    ///
    /// # Errors
    ///
    /// If the file can't be read or written.
    pub(crate) fn change<T>(
        &self,
        change: impl FnOnce(&mut TreeState) -> T,
    ) -> Result<T, CliError> {
        let _lock = lock_of(&self.file)?;
        let mut file = self.read()?;
        let mut state = file.callers.remove(&self.caller).unwrap_or_default();
        let before = state.clone();
        let result = change(&mut state);
        if state == before {
            return Ok(result);
        }
        file.work_tree = self.root.to_string_lossy().into_owned();
        if state != TreeState::default() {
            file.callers.insert(self.caller.clone(), state);
        }
        let text = serde_json::to_vec(&file)
            .map_err(|_| CliError::Failed("the state can't be written as JSON".to_owned()))?;
        write_private(&self.file, &text).map_err(|error| self.error("can't be written", error))?;
        Ok(result)
    }

    fn read(&self) -> Result<TreeFile, CliError> {
        match fs::read(&self.file) {
            Ok(text) => serde_json::from_slice(&text).map_err(|_| {
                CliError::Failed(format!(
                    "{} is damaged; delete it. It only remembers the session and the claims of \
                     this work tree",
                    self.file.display()
                ))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(TreeFile::default()),
            Err(error) => Err(self.error("can't be read", error)),
        }
    }

    fn error(&self, what: &'static str, error: io::Error) -> CliError {
        CliError::file(&self.file, what, error)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

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
        fs::write(&tree.file, "{").unwrap();
        assert!(tree.state().unwrap_err().to_string().contains("damaged; delete it"));
        assert!(tree.change(|_| ()).is_err());
    }
}
