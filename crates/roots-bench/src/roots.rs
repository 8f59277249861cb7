//! A `roots-server` with a database of its own, running or not.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::asks::Owner;
use crate::process::{self, ProcessError, Server};

/// What an account may spend: as much as can be given at once.
const CREDITS: &str = "1000000000";
/// The file of an SQLite database, in its folder.
const FILE: &str = "roots.db";

/// Why a server has no key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RootsError {
    #[error("{file}: {source}", file = file.display())]
    Io { file: PathBuf, source: io::Error },
    #[error("{file} holds no key", file = .0.display())]
    NoKey(PathBuf),
    #[error(transparent)]
    Process(#[from] ProcessError),
}

/// Which limits a server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limits {
    /// None.
    Lifted,
    /// Those that it has by default.
    Default,
}

/// Settings of limits, each of which `0` lifts.
const LIMITS: [&str; 4] = [
    "ROOTS_RATE_LIMIT_PER_MINUTE",
    "ROOTS_ACCOUNT_RATE_LIMIT_PER_MINUTE",
    "ROOTS_KEY_CHANGES_PER_HOUR",
    "ROOTS_SIGNUPS_PER_HOUR",
];

/// A server and its database.
pub(crate) struct Roots {
    name: String,
    program: PathBuf,
    folder: PathBuf,
    database_url: String,
}

impl Roots {
    /// One with an empty database: a file in `folder`, which is made, where no URL is given.
    pub(crate) fn new(
        name: String,
        program: &Path,
        folder: PathBuf,
        database_url: Option<String>,
    ) -> Result<Self, RootsError> {
        fs::create_dir(&folder)
            .map_err(|source| RootsError::Io { file: folder.clone(), source })?;
        let own = || format!("sqlite://{}?mode=rwc", folder.join(FILE).display());
        let database_url = database_url.unwrap_or_else(own);
        Ok(Self { name, program: program.to_owned(), folder, database_url })
    }

    /// Starts it with the settings that it has by default but for its limits, and waits until it
    /// listens.
    pub(crate) fn start(&self) -> Result<Server, ProcessError> {
        self.start_with(Limits::Lifted)
    }

    /// As [`Self::start`], with these limits.
    pub(crate) fn start_with(&self, limits: Limits) -> Result<Server, ProcessError> {
        Server::start(&self.name, &mut self.command(limits), &self.folder.join("log"))
    }

    /// Makes the schema and an account, as the first start does.
    pub(crate) fn found(&self) -> Result<(), RootsError> {
        Ok(self.start()?.stop()?)
    }

    /// Has it prove that everything adds up.
    pub(crate) fn verify(&self) -> Result<(), ProcessError> {
        process::output(&self.name, self.command(Limits::Lifted).arg("verify")).map(drop)
    }

    /// The owner of the account that the first start makes.
    pub(crate) fn owner(&self) -> Result<Owner, RootsError> {
        let file = self.operator_file();
        let text = fs::read_to_string(&file);
        let text = text.map_err(|source| RootsError::Io { file: file.clone(), source })?;
        let key = text.lines().find_map(|line| line.strip_prefix("ROOTS_API_KEY="));
        key.map(|key| Owner::new(key.to_owned())).ok_or(RootsError::NoKey(file))
    }

    /// Where its database is, if it is a file.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    fn operator_file(&self) -> PathBuf {
        self.folder.join("operator.txt")
    }

    fn command(&self, limits: Limits) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .env("ROOTS_BIND", "127.0.0.1:0")
            .env("ROOTS_DATABASE_URL", &self.database_url)
            .env("ROOTS_OPERATOR_FILE", self.operator_file())
            .env("ROOTS_OPERATOR_CREDITS", CREDITS)
            .env("ROOTS_SIGNUP", "open")
            .env("ROOTS_SIGNUP_CREDITS", CREDITS);
        if limits == Limits::Lifted {
            command.envs(LIMITS.map(|name| (name, "0")));
        }
        command
    }
}
