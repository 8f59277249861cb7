//! The server, and the key to call it with.

use std::env;
use std::time::Duration;

use data_encoding::HEXLOWER;
use roots_client::{ApiKey, Client};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::credentials::{Credentials, KeptIn};
use crate::error::CliError;
use crate::output::tell;

/// Where a server on this machine listens by default.
const DEFAULT_URL: &str = "http://127.0.0.1:8080";
/// How long a server may say nothing at all before an impatient client gives its connection up.
const VANISHED_AFTER: Duration = Duration::from_secs(5);
/// How the program calls itself.
const PROGRAM: &str = concat!("roots/", env!("CARGO_PKG_VERSION"));

/// Where the key comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeySource {
    /// From `ROOTS_API_KEY`.
    Environment,
    /// From the system's keyring.
    Keyring,
    /// From the file of logins.
    File,
}

impl KeySource {
    /// Its name, for people.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Environment => "ROOTS_API_KEY",
            Self::Keyring => "the system's keyring",
            Self::File => "a file that only you can read",
        }
    }
}

/// A server to call, with a key.
#[derive(Debug)]
pub(crate) struct Connection {
    /// The client.
    pub(crate) client: Client,
    /// The URL of the server.
    pub(crate) url: String,
    /// The key.
    pub(crate) api_key: ApiKey,
    /// Where the key comes from.
    pub(crate) key_source: KeySource,
}

impl Connection {
    /// Names the server and the key, without telling either: what is remembered under it is of no
    /// use with another key.
    pub(crate) fn caller(&self) -> String {
        let digest = Sha256::new()
            .chain_update(self.url.as_bytes())
            .chain_update(b"\n")
            .chain_update(self.api_key.expose().as_bytes())
            .finalize();
        HEXLOWER.encode(&digest[..8])
    }

    /// The same with a client that waits so long to be connected and for an answer, notices soon
    /// that a server has vanished, and repeats nothing.
    ///
    /// # Errors
    ///
    /// If the client can't be made.
    pub(crate) fn impatient(&self, connect: Duration, answer: Duration) -> Result<Self, CliError> {
        let client = Client::builder(&self.url).user_agent(PROGRAM).api_key(self.api_key.clone());
        let client = client.connect_timeout(connect).timeout(answer).retry_within(Duration::ZERO);
        let client = client.vanished_after(VANISHED_AFTER).build()?;
        let (url, api_key) = (self.url.clone(), self.api_key.clone());
        Ok(Self { client, url, api_key, key_source: self.key_source })
    }
}

/// The server and the key of `ROOTS_URL` and `ROOTS_API_KEY`, or else of the login. A stored key is
/// sent to no other server than that which it was stored for. The keyring is asked only if no other
/// key is set.
///
/// # Errors
///
/// If there is no key, or it can't be used.
pub(crate) fn connect() -> Result<Connection, CliError> {
    let key = variable("ROOTS_API_KEY").map(ApiKey::from);
    let url = url_of_environment();
    if let (Some(key), Some(url)) = (&key, &url) {
        let connection = connection(url, key.clone(), KeySource::Environment)?;
        // For the server of a login, `roots login` has asked.
        if connection.client.is_unencrypted() {
            tell(&format!("Warning: ROOTS_URL: {}.", unencrypted(url)));
        }
        return Ok(connection);
    }
    let credentials = Credentials::read()?;
    let url = url.as_deref().or(credentials.current()).unwrap_or(DEFAULT_URL);
    if let Some(key) = key {
        return connection(url, key, KeySource::Environment);
    }
    match credentials.key(url)? {
        Some((key, KeptIn::Keyring)) => connection(url, key, KeySource::Keyring),
        Some((key, KeptIn::File)) => connection(url, key, KeySource::File),
        None => Err(CliError::NoKey(format!(
            "there is no API key for {url}: run `roots login {url}`, or set ROOTS_API_KEY"
        ))),
    }
}

/// Refuses a URL by which a key would go to another machine without encryption.
///
/// # Errors
///
/// If it is such a URL.
pub(crate) fn require_encryption(url: &str) -> Result<(), CliError> {
    // A URL that makes no client is refused where it is used.
    if Client::builder(url).build().is_ok_and(|client| client.is_unencrypted()) {
        return Err(CliError::Usage(format!(
            "{}: use https://, or give --plain-http if you trust each machine on the way",
            unencrypted(url)
        )));
    }
    Ok(())
}

/// What a URL without encryption means.
fn unencrypted(url: &str) -> String {
    format!("{url} sends the key and all texts to another machine without encryption")
}

/// The URL of `ROOTS_URL`, as [`normal`] writes it.
pub(crate) fn url_of_environment() -> Option<String> {
    variable("ROOTS_URL").map(|url| normal(&url))
}

/// The URL to log in to where none is named: the last one, or else that of this machine.
pub(crate) fn url_by_default(credentials: &Credentials) -> String {
    url_of_environment()
        .or_else(|| credentials.current().map(str::to_owned))
        .unwrap_or_else(|| DEFAULT_URL.to_owned())
}

/// The URL as logins are stored under it.
pub(crate) fn normal(url: &str) -> String {
    url.trim().trim_end_matches('/').to_owned()
}

/// Whether `ROOTS_API_KEY` is set, and wins over any login.
pub(crate) fn has_key_in_environment() -> bool {
    variable("ROOTS_API_KEY").is_some()
}

/// A connection with this key.
///
/// # Errors
///
/// If the URL or the key can't be used.
pub(crate) fn connection(
    url: &str,
    api_key: ApiKey,
    key_source: KeySource,
) -> Result<Connection, CliError> {
    let client = Client::builder(url).user_agent(PROGRAM).api_key(api_key.clone()).build()?;
    Ok(Connection { client, url: url.to_owned(), api_key, key_source })
}

/// A variable that is set to something.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_server_or_key_is_another_caller() {
        let caller =
            |url, key: &str| connection(url, ApiKey::from(key), KeySource::File).unwrap().caller();
        let one = caller("http://h", "roots_1");
        assert_eq!(one, caller("http://h", "roots_1"));
        assert_ne!(one, caller("http://h", "roots_2"));
        assert_ne!(one, caller("http://i", "roots_1"));
        assert_eq!(one.len(), 16);
    }

    #[test]
    fn a_url_is_the_same_with_a_slash_at_its_end() {
        assert_eq!(normal(" http://h:1/ "), "http://h:1");
        assert_eq!(normal("https://h/roots/"), "https://h/roots");
    }
}
