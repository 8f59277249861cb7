//! Where API keys are kept: in the system's keyring, or in a file that only its owner can read.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use etcetera::BaseStrategy;
use roots_client::ApiKey;
use serde::{Deserialize, Serialize};

use crate::error::CliError;
use crate::private_file::{folders, lock_of, write_private};

/// The name of the program in the keyring. The server's URL is the name of the user there.
const SERVICE: &str = "roots";
/// How long the keyring may take. It may ask a person for a password first.
const KEYRING_PATIENCE: Duration = Duration::from_secs(30);

/// Where a key is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeptIn {
    /// In the system's keyring.
    Keyring,
    /// In the file of logins.
    File,
}

/// The servers that somebody logged in to, by their URLs.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Logins {
    /// The server that is called where no other is named.
    current: Option<String>,
    servers: BTreeMap<String, Login>,
}

impl Logins {
    fn read(file: &Path) -> Result<Self, CliError> {
        match fs::read(file) {
            Ok(text) => serde_json::from_slice(&text).map_err(|_| {
                CliError::Failed(format!(
                    "{} is damaged; delete it and run `roots login`",
                    file.display()
                ))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(CliError::file(file, "the logins can't be read", error)),
        }
    }
}

/// A login at one server.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Login {
    kept_in: KeptIn,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    api_key: Option<ApiKey>,
}

/// The logins of the person or agent whose account of the system this is.
#[derive(Debug)]
pub(crate) struct Credentials {
    file: PathBuf,
    logins: Logins,
}

impl Credentials {
    /// Reads which logins there are. The keyring is not asked yet.
    ///
    /// # Errors
    ///
    /// If there is no home folder, or the file is damaged.
    pub(crate) fn read() -> Result<Self, CliError> {
        Self::read_from(folders()?.config_dir().join("roots").join("logins.json"))
    }

    fn read_from(file: PathBuf) -> Result<Self, CliError> {
        let logins = Logins::read(&file)?;
        Ok(Self { file, logins })
    }

    /// The server that is called where no other is named.
    pub(crate) fn current(&self) -> Option<&str> {
        self.logins.current.as_deref()
    }

    /// The file of logins.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// The key for a server, if somebody logged in there.
    ///
    /// # Errors
    ///
    /// If the keyring does not give it.
    pub(crate) fn key(&self, url: &str) -> Result<Option<(ApiKey, KeptIn)>, CliError> {
        let Some(login) = self.logins.servers.get(url) else { return Ok(None) };
        let key = match login.kept_in {
            KeptIn::File => login.api_key.clone(),
            KeptIn::Keyring => match ask_keyring(url, |entry| entry.get_password())? {
                Ok(key) => Some(ApiKey::from(key)),
                Err(keyring::Error::NoEntry) => None,
                Err(error) => return Err(CliError::Keyring(error)),
            },
        };
        Ok(key.map(|key| (key, login.kept_in)))
    }

    /// Keeps the key for a server, which becomes the current one. Without a keyring, or if it is
    /// not to be used, the key goes to the file. What other processes keep meanwhile stays.
    ///
    /// # Errors
    ///
    /// If the keyring does not answer, or the file can't be written.
    pub(crate) fn keep(
        &mut self,
        url: &str,
        key: &ApiKey,
        may_use_keyring: bool,
    ) -> Result<KeptIn, CliError> {
        let _lock = self.locked()?;
        let is_in_keyring = may_use_keyring && put_in_keyring(url, key)?.is_ok();
        let login = if is_in_keyring {
            Login { kept_in: KeptIn::Keyring, api_key: None }
        } else {
            Login { kept_in: KeptIn::File, api_key: Some(key.clone()) }
        };
        let kept_in = login.kept_in;
        let before = self.logins.servers.insert(url.to_owned(), login);
        self.logins.current = Some(url.to_owned());
        self.write()?;
        if kept_in == KeptIn::File && before.is_some_and(|login| login.kept_in == KeptIn::Keyring) {
            // An older key is of no more use. If the keyring is gone, so is that key.
            let _ = delete_from_keyring(url);
        }
        Ok(kept_in)
    }

    /// Deletes the key for a server. Tells whether there was one.
    ///
    /// # Errors
    ///
    /// If the keyring or the file can't be changed.
    pub(crate) fn forget(&mut self, url: &str) -> Result<bool, CliError> {
        let _lock = self.locked()?;
        let Some(login) = self.logins.servers.get(url) else { return Ok(false) };
        if login.kept_in == KeptIn::Keyring {
            delete_from_keyring(url)?;
        }
        self.logins.servers.remove(url);
        if self.logins.current.as_deref() == Some(url) {
            self.logins.current = self.logins.servers.keys().next().cloned();
        }
        self.write()?;
        Ok(true)
    }

    /// Waits for other processes that change the logins, and reads what they wrote.
    fn locked(&mut self) -> Result<File, CliError> {
        let lock = lock_of(&self.file)?;
        self.logins = Logins::read(&self.file)?;
        Ok(lock)
    }

    /// Writes the file whole, or not at all.
    fn write(&self) -> Result<(), CliError> {
        let text = serde_json::to_vec_pretty(&self.logins)
            .map_err(|_| CliError::Failed("the logins can't be written as JSON".to_owned()))?;
        write_private(&self.file, &text)
            .map_err(|error| CliError::file(&self.file, "the logins can't be written", error))
    }
}

/// Asks the keyring about the key for a server. The outer error says that it does not answer, and
/// the inner one is its answer.
fn ask_keyring<T: Send + 'static>(
    url: &str,
    question: impl FnOnce(keyring::Entry) -> Result<T, keyring::Error> + Send + 'static,
) -> Result<Result<T, keyring::Error>, CliError> {
    let url = url.to_owned();
    let asked = move || keyring::Entry::new(SERVICE, &url).and_then(question);
    within(KEYRING_PATIENCE, asked).ok_or_else(|| {
        CliError::Failed(format!(
            "the system's keyring did not answer within {} s, and may wait for its password: \
             unlock it, or set ROOTS_API_KEY, or keep the key in a file with `roots login \
             --in-file`",
            KEYRING_PATIENCE.as_secs()
        ))
    })
}

/// What the work gives, or nothing if it takes longer. Then its thread ends with the process.
fn within<T: Send + 'static>(
    time: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (sender, result) = mpsc::channel();
    let worker = thread::Builder::new().spawn(move || {
        // Nobody waits any more for what comes too late.
        let _ = sender.send(work());
    });
    worker.ok()?;
    result.recv_timeout(time).ok()
}

/// A keyring that does not give the key back is as good as none.
fn put_in_keyring(url: &str, key: &ApiKey) -> Result<Result<(), keyring::Error>, CliError> {
    let key = key.expose().to_owned();
    ask_keyring(url, move |entry| {
        entry.set_password(&key)?;
        match entry.get_password()? {
            kept if kept == key => Ok(()),
            _ => Err(keyring::Error::NoEntry),
        }
    })
}

fn delete_from_keyring(url: &str) -> Result<(), CliError> {
    match ask_keyring(url, |entry| entry.delete_credential())? {
        Ok(()) | Err(keyring::Error::NoEntry) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_in_a_file_is_readable_by_its_owner_alone() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("new").join("logins.json");
        let mut credentials = Credentials::read_from(file.clone()).unwrap();
        let kept_in = credentials.keep("http://h", &ApiKey::from("roots_1"), false).unwrap();
        assert_eq!(kept_in, KeptIn::File);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let folder = fs::metadata(file.parent().unwrap()).unwrap().permissions().mode();
        assert_eq!(folder & 0o777, 0o700);

        let again = Credentials::read_from(file).unwrap();
        assert_eq!(again.current(), Some("http://h"));
        let (key, _) = again.key("http://h").unwrap().unwrap();
        assert_eq!(key.expose(), "roots_1");
        assert!(again.key("http://other").unwrap().is_none(), "a key is for its server alone");
    }

    #[test]
    fn a_forgotten_key_is_gone() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("logins.json");
        let mut credentials = Credentials::read_from(file.clone()).unwrap();
        credentials.keep("http://a", &ApiKey::from("roots_a"), false).unwrap();
        credentials.keep("http://b", &ApiKey::from("roots_b"), false).unwrap();
        assert!(credentials.forget("http://b").unwrap());
        assert!(!credentials.forget("http://b").unwrap());
        assert_eq!(credentials.current(), Some("http://a"));
        assert!(!fs::read_to_string(file).unwrap().contains("roots_b"));
    }

    #[test]
    fn logins_that_were_read_before_another_one_was_kept_do_not_undo_it() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("logins.json");
        let [mut one, mut other] = [0, 1].map(|_| Credentials::read_from(file.clone()).unwrap());
        one.keep("http://a", &ApiKey::from("roots_a"), false).unwrap();
        other.keep("http://b", &ApiKey::from("roots_b"), false).unwrap();
        let both = Credentials::read_from(file.clone()).unwrap();
        assert!(both.key("http://a").unwrap().is_some() && both.key("http://b").unwrap().is_some());
        assert!(one.forget("http://b").unwrap());
        let rest = Credentials::read_from(file).unwrap();
        assert_eq!(rest.current(), Some("http://a"));
        assert!(rest.key("http://b").unwrap().is_none());
    }

    #[test]
    fn logins_kept_at_once_are_all_kept() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("logins.json");
        let workers: Vec<_> = (0..8)
            .map(|n| {
                let mut credentials = Credentials::read_from(file.clone()).unwrap();
                thread::spawn(move || {
                    credentials.keep(&format!("http://{n}"), &ApiKey::from("roots_1"), false)
                })
            })
            .collect();
        for worker in workers {
            worker.join().unwrap().unwrap();
        }
        assert_eq!(Credentials::read_from(file).unwrap().logins.servers.len(), 8);
    }

    #[test]
    fn what_does_not_answer_is_not_waited_for() {
        let (_holds, never) = mpsc::channel::<()>();
        assert_eq!(within(Duration::from_millis(1), move || never.recv()), None);
        assert_eq!(within(Duration::from_mins(1), || 7), Some(7));
    }

    #[test]
    fn a_damaged_file_is_told() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("logins.json");
        fs::write(&file, "{").unwrap();
        let error = Credentials::read_from(file).unwrap_err().to_string();
        assert!(error.contains("is damaged; delete it"), "{error}");
    }
}
