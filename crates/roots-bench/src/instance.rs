//! An instance of Roots: the program and its database, running or not.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{self, ProcessError, ServerProcess};
use crate::requests::ApiUser;

/// The credits of each account: the most that one grant can give.
const CREDITS: &str = "1000000000";
/// The name of the SQLite database.
const FILE: &str = "roots.db";

/// Why an instance can't be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InstanceError {
    #[error("{file}: {source}", file = file.display())]
    Io { file: PathBuf, source: io::Error },
    #[error("{file} has no line ROOTS_API_KEY=…", file = .0.display())]
    NoKey(PathBuf),
    #[error(transparent)]
    Process(#[from] ProcessError),
}

/// Which rate limits a server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RateLimiting {
    /// None.
    Lifted,
    /// The server's default limits.
    Default,
}

/// The settings of the limits. `0` lifts a limit.
const LIMITS: [&str; 6] = [
    "ROOTS_RATE_LIMIT_PER_MINUTE",
    "ROOTS_ACCOUNT_RATE_LIMIT_PER_MINUTE",
    "ROOTS_KEY_CHANGES_PER_HOUR",
    "ROOTS_SEARCHES_PER_MINUTE",
    "ROOTS_SIGN_INS_PER_HOUR",
    "ROOTS_SIGNUPS_PER_HOUR",
];

/// An instance of Roots.
pub(crate) struct RootsInstance {
    name: String,
    program: PathBuf,
    folder: PathBuf,
    database_url: String,
}

impl RootsInstance {
    /// An instance with an empty database. `folder` must not exist; without a URL, it holds a
    /// SQLite database.
    pub(crate) fn new(
        name: String,
        program: &Path,
        folder: PathBuf,
        database_url: Option<String>,
    ) -> Result<Self, InstanceError> {
        fs::create_dir(&folder)
            .map_err(|source| InstanceError::Io { file: folder.clone(), source })?;
        let own = || format!("sqlite://{}?mode=rwc", folder.join(FILE).display());
        let database_url = database_url.unwrap_or_else(own);
        Ok(Self { name, program: program.to_owned(), folder, database_url })
    }

    /// Starts the server with default settings but without rate limits, and waits until it listens.
    pub(crate) fn start(&self) -> Result<ServerProcess, ProcessError> {
        self.start_with(RateLimiting::Lifted)
    }

    /// As [`Self::start`], with these rate limits.
    pub(crate) fn start_with(&self, limits: RateLimiting) -> Result<ServerProcess, ProcessError> {
        ServerProcess::start(&self.name, &mut self.command(limits), &self.folder.join("log"))
    }

    /// Starts another process on the same database, while the first one runs.
    pub(crate) fn start_second(&self) -> Result<ServerProcess, ProcessError> {
        let (name, log) =
            (format!("{}, second process", self.name), self.folder.join("log second"));
        ServerProcess::start(&name, &mut self.command(RateLimiting::Lifted), &log)
    }

    /// Creates the schema and an account by starting the server once.
    pub(crate) fn initialize(&self) -> Result<(), InstanceError> {
        Ok(self.start()?.stop()?)
    }

    /// Runs `roots-server verify`.
    pub(crate) fn verify(&self) -> Result<(), ProcessError> {
        self.run(&["verify"])
    }

    /// Runs a command of `roots-server` to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Result<(), ProcessError> {
        process::output(&self.name, self.command(RateLimiting::Lifted).args(args)).map(drop)
    }

    /// The owner of the account that the first start creates.
    pub(crate) fn owner(&self) -> Result<ApiUser, InstanceError> {
        let file = self.operator_file();
        let text = fs::read_to_string(&file);
        let text = text.map_err(|source| InstanceError::Io { file: file.clone(), source })?;
        let key = text.lines().find_map(|line| line.strip_prefix("ROOTS_API_KEY="));
        key.map(|key| ApiUser::new(key.to_owned())).ok_or(InstanceError::NoKey(file))
    }

    /// The file of the database, if it is SQLite.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    fn operator_file(&self) -> PathBuf {
        self.folder.join("operator.txt")
    }

    fn command(&self, limits: RateLimiting) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .env("ROOTS_BIND", "127.0.0.1:0")
            .env("ROOTS_DATABASE_URL", &self.database_url)
            .env("ROOTS_OPERATOR_FILE", self.operator_file())
            .env("ROOTS_OPERATOR_CREDITS", CREDITS)
            .env("ROOTS_SIGNUP", "open")
            .env("ROOTS_SIGNUP_CREDITS", CREDITS);
        if limits == RateLimiting::Lifted {
            command.envs(LIMITS.map(|name| (name, "0")));
        }
        command
    }
}
