//! Files in which the program remembers things from one run to the next.

use std::fs;
use std::io;
use std::path::PathBuf;

use etcetera::BaseStrategy;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::CliError;
use crate::private_file::{folders, lock_of, write_private};

/// A file of JSON that only its owner can read.
#[derive(Debug)]
pub(crate) struct StateFile {
    path: PathBuf,
    /// What is lost with it.
    holds: &'static str,
}

/// The folder of all such files.
///
/// # Errors
///
/// If there is no home folder.
pub(crate) fn state_folder() -> Result<PathBuf, CliError> {
    let folders = folders()?;
    Ok(folders.state_dir().unwrap_or_else(|| folders.data_dir()).join("roots"))
}

impl StateFile {
    /// The file at the path. If it is damaged, the reader is told what it holds.
    pub(crate) const fn new(path: PathBuf, holds: &'static str) -> Self {
        Self { path, holds }
    }

    /// Where it is.
    #[cfg(test)]
    pub(crate) fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// What is remembered.
    ///
    /// # Errors
    ///
    /// If the file is damaged or can't be read.
    pub(crate) fn read<T: Default + DeserializeOwned>(&self) -> Result<T, CliError> {
        match fs::read(&self.path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|_| {
                let path = self.path.display();
                CliError::Failed(format!(
                    "{path} is damaged; delete it. It only remembers {}",
                    self.holds
                ))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(T::default()),
            Err(error) => Err(self.error("can't be read", error)),
        }
    }

    /// Changes what is remembered. Of changes at once none is lost: they wait for each other, and
    /// the file is replaced in one step.
    ///
    /// # Errors
    ///
    /// If the file can't be read or written.
    pub(crate) fn change<T, R>(&self, change: impl FnOnce(&mut T) -> R) -> Result<R, CliError>
    where
        T: Default + Clone + PartialEq + Serialize + DeserializeOwned,
    {
        let _lock = lock_of(&self.path)?;
        let before: T = self.read()?;
        let mut after = before.clone();
        let result = change(&mut after);
        if after == before {
            return Ok(result);
        }
        let text = serde_json::to_vec(&after)
            .map_err(|_| CliError::Failed("the state can't be written as JSON".to_owned()))?;
        write_private(&self.path, &text).map_err(|error| self.error("can't be written", error))?;
        Ok(result)
    }

    fn error(&self, what: &'static str, error: io::Error) -> CliError {
        CliError::file(&self.path, what, error)
    }
}
