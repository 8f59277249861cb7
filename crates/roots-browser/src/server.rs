//! Runs the compiled server in a temporary folder.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::api::Api;
use crate::patience::wait_for;

/// The settings of every server here: no limits, and sign-up for customers.
const SETTINGS: [(&str, &str); 14] = [
    ("ROOTS_BIND", "127.0.0.1:0"),
    ("ROOTS_LOG_FORMAT", "text"),
    ("ROOTS_SIGNUP", "open"),
    ("ROOTS_SIGNUP_CREDITS", "100000"),
    ("ROOTS_OPERATOR_CREDITS", "100000"),
    ("ROOTS_RATE_LIMIT_PER_MINUTE", "0"),
    ("ROOTS_ACCOUNT_RATE_LIMIT_PER_MINUTE", "0"),
    ("ROOTS_UNAUTHENTICATED_RATE_LIMIT_PER_MINUTE", "0"),
    ("ROOTS_KEY_CHANGES_PER_HOUR", "0"),
    ("ROOTS_SEARCHES_PER_MINUTE", "0"),
    ("ROOTS_SIGN_INS_PER_HOUR", "0"),
    ("ROOTS_SIGNUPS_PER_HOUR", "0"),
    ("ROOTS_RECOVERS_PER_HOUR", "0"),
    ("ROOTS_OPERATOR_FILE", "operator.txt"),
];

/// A running server. It is killed on drop.
pub struct Server {
    child: Child,
    folder: TempDir,
    /// Where it listens: `127.0.0.1:1234`.
    pub address: String,
}

impl Server {
    /// Starts the program on an empty SQLite file and waits until it listens. `more` are settings.
    pub async fn start(program: &Path, more: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let log = folder.path().join("log");
        let output = File::create(&log).expect("a log");
        let mut command = Command::new(program);
        command.current_dir(folder.path()).env_clear().envs(SETTINGS).envs(more.iter().copied());
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a log"))
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| panic!("{} did not start: {error}", program.display()));
        let mut server = Self { child, folder, address: String::new() };
        server.address = wait_for("the server to listen", async || {
            let said = fs::read_to_string(&log).unwrap_or_default();
            let has_ended = !matches!(server.child.try_wait(), Ok(None));
            assert!(!has_ended, "the server has ended: {said}");
            after("listening address=", &said)
        })
        .await;
        server
    }

    /// Its address as browsers call it. `localhost` has cookies of its own beside `127.0.0.1`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The API, with the key of the operator.
    #[must_use]
    pub fn operator(&self) -> Api {
        let file = fs::read_to_string(self.folder.path().join("operator.txt"));
        let key = after("ROOTS_API_KEY=", &file.expect("the operator's file"));
        Api::new(&self.url(), &key.expect("the operator's key"))
    }

    /// The URL of its SQLite file.
    #[must_use]
    pub fn database_url(&self) -> String {
        format!("sqlite://{}", self.folder.path().join("data/roots.db").display())
    }

    /// What the server has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The word that follows `what`, once the line with it is whole.
pub(crate) fn after(what: &str, text: &str) -> Option<String> {
    let (line, _) = text.split_once(what)?.1.split_once('\n')?;
    line.split_whitespace().next().map(str::to_owned)
}
