//! `roots login` and `roots logout`.

use std::io::{self, IsTerminal, Read};

use clap::Args;
use dialoguer::Password;
use roots_client::ApiKey;
use serde_json::json;

use crate::connection::{
    KeySource, connection, has_key_in_environment, normal, require_encryption, url_by_default,
};
use crate::credentials::{Credentials, KeptIn};
use crate::error::CliError;
use crate::output::{ANY, Output, View, one_line, tell};

/// The most bytes that are read of a key or a code.
const SECRET_MAX_BYTES: u64 = 4096;

/// Where to log in.
#[derive(Debug, Args)]
pub(crate) struct LoginArguments {
    /// The server, such as `https://roots.example.com`: `ROOTS_URL` or the last one by default
    url: Option<String>,
    /// Keep the key in a file that only you can read, even if the system has a keyring
    #[arg(long)]
    in_file: bool,
    /// Send the key to a server on another machine without encryption, if its URL is `http://`
    #[arg(long)]
    plain_http: bool,
}

/// Where to log out.
#[derive(Debug, Args)]
pub(crate) struct LogoutArguments {
    /// The server: `ROOTS_URL` or the last one by default
    url: Option<String>,
}

/// Reads a key from standard input or a hidden prompt, checks it and keeps it.
///
/// # Errors
///
/// If the server refuses the key, or it can't be kept.
pub(crate) async fn login(arguments: &LoginArguments, output: &Output) -> Result<(), CliError> {
    let view = View::new(output, ANY)?;
    let mut credentials = Credentials::read()?;
    let url = chosen(arguments.url.as_deref(), &credentials);
    if !arguments.plain_http {
        require_encryption(&url)?;
    }
    let key = read_key(&url)?;
    let connection = connection(&url, key, KeySource::File)?;
    let whoami = connection.client.whoami().await?;
    let kept_in = credentials.keep(&url, &connection.api_key, !arguments.in_file)?;
    if kept_in == KeptIn::File {
        let why = if arguments.in_file { "" } else { "The system has no keyring that works. " };
        tell(&format!(
            "{why}The key is in {file}, which only you can read.",
            file = credentials.file().display()
        ));
    }
    if has_key_in_environment() {
        tell("ROOTS_API_KEY is set, and is used in place of this key.");
    }
    view.show(&json!({"url": url, "kept_in": kept_in, "whoami": whoami}), || {
        format!(
            "Logged in to {url} as {actor} ({role} of {account}); {credits} credits",
            actor = one_line(&whoami.actor_name),
            role = whoami.role,
            account = one_line(&whoami.account_name),
            credits = whoami.credits_remaining
        )
    })
}

/// Deletes the key that is kept for a server.
///
/// # Errors
///
/// If there is none, or it can't be deleted.
pub(crate) fn logout(arguments: &LogoutArguments, output: &Output) -> Result<(), CliError> {
    let view = View::new(output, ANY)?;
    let mut credentials = Credentials::read()?;
    let url = chosen(arguments.url.as_deref(), &credentials);
    if !credentials.forget(&url)? {
        return Err(CliError::NotThere(format!("no key is kept for {url}")));
    }
    tell("The key is still valid. If nobody needs it, revoke it: `roots keys revoke`.");
    view.show(&json!({"url": url}), || format!("Logged out of {url}"))
}

fn chosen(url: Option<&str>, credentials: &Credentials) -> String {
    url.map_or_else(|| url_by_default(credentials), normal)
}

/// The key from standard input, or from a prompt that shows nothing of it. Arguments are seen by
/// every user of the machine, so none takes a key.
fn read_key(url: &str) -> Result<ApiKey, CliError> {
    read_secret(&format!("API key for {url}"), "key").map(ApiKey::from)
}

/// A secret from standard input, or from a prompt that shows nothing of it.
///
/// # Errors
///
/// If there is none.
pub(super) fn read_secret(prompt: &str, what: &str) -> Result<String, CliError> {
    let failed = |source| CliError::System { what: "the secret can't be read", source };
    let secret = if io::stdin().is_terminal() {
        Password::new().with_prompt(prompt).interact().map_err(|error| match error {
            dialoguer::Error::IO(error) => failed(error),
        })?
    } else {
        let mut text = String::new();
        io::stdin().lock().take(SECRET_MAX_BYTES).read_to_string(&mut text).map_err(failed)?;
        text
    };
    match secret.trim() {
        "" => Err(CliError::Usage(format!(
            "no {what} was given: type it at the prompt, or pipe it into the command"
        ))),
        secret => Ok(secret.to_owned()),
    }
}
