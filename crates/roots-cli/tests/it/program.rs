//! Runs the program as a shell does: with a home, a work tree and variables of its own.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use roots_testkit::app::TestApp;
use roots_testkit::database::TestDatabase;
use serde_json::Value;
use tempfile::TempDir;

/// Somebody who runs the program.
pub(crate) struct User {
    home: TempDir,
    /// The folder that the program is run in.
    pub(crate) folder: PathBuf,
    /// The variables that are set, beside those that every user has.
    pub(crate) variables: Vec<(&'static str, String)>,
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// An API with an account of `credits` credits, and a user who calls it by variables.
pub(crate) async fn user_of_api(credits: i64) -> (TestApp, User) {
    let app = TestApp::start(TestDatabase::sqlite().await, credits).await;
    let user = User::of(&app);
    (app, user)
}

impl User {
    /// A user without a key.
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("work");
        fs::create_dir(&folder).unwrap();
        Self { home, folder, variables: Vec::new() }
    }

    /// A user who calls the API with its key.
    pub(crate) fn of(app: &TestApp) -> Self {
        let mut user = Self::new();
        user.set("ROOTS_URL", &app.address);
        user.set("ROOTS_API_KEY", app.key());
        user
    }

    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.variables.retain(|(other, _)| *other != name);
        self.variables.push((name, value.to_owned()));
    }

    pub(crate) fn unset(&mut self, name: &'static str) {
        self.variables.retain(|(other, _)| *other != name);
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// The program, with nothing of the environment of the tests.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_roots"));
        command
            .args(arguments)
            .current_dir(&self.folder)
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", "/usr/bin:/bin")
            .env("TZ", "Europe/Vienna")
            // No test may touch the keyring of the person who runs it.
            .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
            .envs(self.variables.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Run {
        self.run_with(arguments, "").await
    }

    /// Runs the program with this on its standard input. The API runs on the thread of the test, so
    /// another one waits.
    pub(crate) async fn run_with(&self, arguments: &[&str], input: &str) -> Run {
        let mut command = self.command(arguments);
        let input = input.to_owned();
        let run = tokio::task::spawn_blocking(move || {
            let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
            let mut stdin = child.stdin.take().unwrap();
            // A program that refuses its arguments may end before it has read anything.
            let _ = stdin.write_all(input.as_bytes());
            drop(stdin);
            child.wait_with_output().unwrap()
        });
        run.await.unwrap().into()
    }

    /// Runs the program, which has to be done. Its data.
    pub(crate) async fn done(&self, arguments: &[&str]) -> String {
        let run = self.run(arguments).await;
        assert_eq!(run.code, 0, "{arguments:?}: {run:?}");
        run.stdout
    }

    /// The same, with `--json`.
    pub(crate) async fn json(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["--json"]].concat();
        serde_json::from_str(&self.done(&arguments).await).unwrap()
    }

    /// Runs the program, which has to fail with this code and without data. What it tells.
    pub(crate) async fn refused(&self, code: i32, arguments: &[&str]) -> String {
        let run = self.run(arguments).await;
        assert_eq!((run.code, run.stdout.as_str()), (code, ""), "{arguments:?}: {run:?}");
        run.stderr
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// The credits of the account.
pub(crate) async fn credits(app: &TestApp) -> i64 {
    app.get("/credits").await.json()["balance"].as_i64().unwrap()
}
