//! A server for the conformance tests, with rate limits off.

use std::error::Error;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::run::{self, BackgroundProcess};

/// Rate limits are off, and every account has enough credits.
const SETTINGS: [(&str, &str); 11] = [
    ("ROOTS_BIND", "127.0.0.1:0"),
    ("ROOTS_SIGNUP", "open"),
    ("ROOTS_SIGNUP_CREDITS", "1000000"),
    ("ROOTS_OPERATOR_CREDITS", "100000000"),
    ("ROOTS_RATE_LIMIT_PER_MINUTE", "0"),
    ("ROOTS_ACCOUNT_RATE_LIMIT_PER_MINUTE", "0"),
    ("ROOTS_KEY_CHANGES_PER_HOUR", "0"),
    ("ROOTS_SEARCHES_PER_MINUTE", "0"),
    ("ROOTS_SIGN_INS_PER_HOUR", "0"),
    ("ROOTS_SIGNUPS_PER_HOUR", "0"),
    ("ROOTS_RECOVERS_PER_HOUR", "0"),
];

/// The text before the address in its log.
const LISTENING: &str = "listening address=";
/// The text before the operator's key in its file.
const API_KEY: &str = "ROOTS_API_KEY=";

/// A running server. It stops on drop.
pub(super) struct Service {
    address: String,
    operator_key: String,
    _process: BackgroundProcess,
    _folder: TempDir,
}

impl Service {
    /// Starts a server on an empty database and waits until it listens. Its output goes to `log`.
    pub(super) fn start(server: &Path, url: &str, log: &Path) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let operator_file = folder.path().join("operator.txt");
        let output = File::create(log)?;
        let mut command = Command::new(server);
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_ours(name)) {
            command.env_remove(name);
        }
        command.current_dir(folder.path()).envs(SETTINGS).env("ROOTS_DATABASE_URL", url);
        command.env("ROOTS_OPERATOR_FILE", &operator_file);
        command.stdout(output.try_clone()?).stderr(output);
        let mut process = run::start(&mut command)?;
        let address = || {
            let said = fs::read_to_string(log).unwrap_or_default();
            after(LISTENING, &said).map(str::to_owned)
        };
        run::wait_until(|| address().is_some() || process.has_ended());
        run::stop_asked()?;
        let address =
            address().ok_or(format!("the server did not start: see {}", log.display()))?;
        let written = fs::read_to_string(operator_file)?;
        let operator_key = after(API_KEY, &written).ok_or("the operator's file has no key")?;
        let operator_key = operator_key.to_owned();
        Ok(Self { address, operator_key, _process: process, _folder: folder })
    }

    /// The environment variables that give its address and key to the clients.
    pub(super) fn variables(&self) -> [(&'static str, String); 2] {
        [
            ("ROOTS_URL", format!("http://{}", self.address)),
            ("ROOTS_API_KEY", self.operator_key.clone()),
        ]
    }
}

/// Whether it is a setting of the server, which the developer may have set.
fn is_ours(name: &std::ffi::OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with("ROOTS_"))
}

/// The word that follows `what`, once the line with it is whole.
fn after<'a>(what: &str, text: &'a str) -> Option<&'a str> {
    let (line, _) = text.split_once(what)?.1.split_once('\n')?;
    line.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_once_its_line_is_complete() {
        assert_eq!(after(LISTENING, "INFO roots: listening address=127.0.0.1:12"), None);
        let said = "a line\nINFO roots: listening address=127.0.0.1:1234 more\nb\n";
        assert_eq!(after(LISTENING, said), Some("127.0.0.1:1234"));
        assert_eq!(after(API_KEY, "# text\nROOTS_API_KEY=roots_1_x\n"), Some("roots_1_x"));
    }
}
