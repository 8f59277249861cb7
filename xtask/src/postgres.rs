//! A temporary `PostgreSQL` for the tests: a cluster in a temporary folder, which listens on
//! loopback only and is removed when it is dropped.

mod programs;

use std::env;
use std::error::Error;
use std::fs::{self, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, IsTerminal, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

use nix::unistd;
use tempfile::TempDir;

pub(crate) use self::programs::Programs;
use self::programs::ProgramsError;
use crate::run::{self, RunError};

/// The ports to choose from. The system uses higher ports for outgoing connections, which would
/// collide under load.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// How many ports to try: another process may take a free port before the server does.
const ATTEMPTS: usize = 4;

/// Added to the configuration that `initdb` writes. There is no Unix socket: its path could be too
/// long in a deep temporary folder.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
";

/// Test data need not survive a crash, so no write waits for the disk. As many tests run at once as
/// there are processors, and each may have several stores.
const FOR_TESTS: &str = "
fsync = off
full_page_writes = off
max_connections = 1000
";

#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    #[error(transparent)]
    Programs(#[from] ProgramsError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("the temporary PostgreSQL: {0}")]
    Io(#[from] io::Error),
    #[error(
        "PostgreSQL does not run as root, and there is no user `postgres` or `nobody`; create one of them"
    )]
    NoUser,
    #[error("initdb failed: {output}")]
    InitdbFailed { output: String },
    #[error("PostgreSQL did not start: {output}\n{log}")]
    NotStarted { output: String, log: String },
}

/// `cargo xtask postgres`.
pub(crate) fn perform() -> Result<(), Box<dyn Error>> {
    let cluster = Cluster::start()?;
    for (name, value) in cluster.variables() {
        println!("export {name}={value}");
    }
    let input = io::stdin();
    if input.is_terminal() {
        eprintln!("PostgreSQL is ready; Ctrl-C stops it and deletes its data");
        run::wait_until(|| false);
    } else {
        let rest = thread::spawn(move || input.lock().read_to_end(&mut Vec::new()));
        run::wait_until(|| rest.is_finished());
    }
    Ok(())
}

/// A running server. Dropping it stops the server and deletes its folder.
pub(crate) struct Cluster {
    programs: Programs,
    folder: TempDir,
    user: Option<UnixUser>,
    port: u16,
}

impl Cluster {
    /// Creates and starts a cluster. Installs the programs if they are missing.
    pub(crate) fn start() -> Result<Self, ClusterError> {
        let user = UnixUser::to_switch_to()?;
        // The user that root switches to may have no access to root's TMPDIR.
        let parent = if user.is_some() { "/tmp".into() } else { env::temp_dir() };
        Self::start_in(&parent, user, &[SETTINGS, FOR_TESTS].concat())
    }

    /// Creates and starts a cluster with durable writes, in a folder below `parent`.
    pub(crate) fn start_durable(parent: &Path) -> Result<Self, ClusterError> {
        Self::start_in(parent, UnixUser::to_switch_to()?, SETTINGS)
    }

    fn start_in(
        parent: &Path,
        user: Option<UnixUser>,
        settings: &str,
    ) -> Result<Self, ClusterError> {
        let programs = Programs::find_or_install()?;
        let folder = tempfile::Builder::new().prefix("roots-postgres-").tempdir_in(parent)?;
        let mut cluster = Self { programs, folder, user, port: 0 };
        cluster.initialize(settings)?;
        cluster.serve()?;
        Ok(cluster)
    }

    /// The environment variables that the tests read.
    pub(crate) fn variables(&self) -> [(&'static str, String); 2] {
        [
            ("ROOTS_TEST_POSTGRES", self.url()),
            ("ROOTS_TEST_POSTGRES_BIN", self.programs.folder().display().to_string()),
        ]
    }

    /// The URL of the database `postgres`.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    fn initialize(&self, settings: &str) -> Result<(), ClusterError> {
        if let Some(user) = self.user {
            chown(self.folder.path(), Some(user.uid), Some(user.gid))?;
        }
        // No password: the server listens on loopback only, holds test data, and ends with the
        // tests.
        let mut initdb = self.program("initdb");
        initdb.args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C"]);
        initdb.args(["--no-sync", "--pgdata"]).arg(self.data());
        let created = run_uninterrupted(&mut initdb)?;
        if !created.status.success() {
            return Err(ClusterError::InitdbFailed { output: errors(&created) });
        }
        let mut file = OpenOptions::new().append(true).open(self.data().join("postgresql.conf"))?;
        Ok(file.write_all(settings.as_bytes())?)
    }

    fn serve(&mut self) -> Result<(), ClusterError> {
        let mut last_errors = String::new();
        for port in free_ports().take(ATTEMPTS) {
            run::stop_asked()?;
            self.port = port;
            // With --wait, pg_ctl returns when the server accepts connections.
            let mut start = self.pg_ctl("start");
            start.args(["--wait", "--options", &format!("-p {port}"), "--log"]).arg(self.log());
            let started = run_uninterrupted(&mut start)?;
            if started.status.success() {
                return Ok(run::stop_asked()?);
            }
            last_errors = errors(&started);
        }
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        Err(ClusterError::NotStarted { output: last_errors, log })
    }

    fn pg_ctl(&self, action: &str) -> Command {
        let mut command = self.program("pg_ctl");
        command.arg(action).arg("--pgdata").arg(self.data());
        command
    }

    /// A command that runs a program as an unprivileged user, in a folder that the user can open.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.folder().join(name));
        command.current_dir(self.folder.path());
        if let Some(user) = self.user {
            command.uid(user.uid).gid(user.gid);
        }
        command
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !self.data().join("postmaster.pid").exists() {
            return;
        }
        let stopped =
            run_uninterrupted(self.pg_ctl("stop").args(["--wait", "--mode", "immediate"]));
        if !stopped.is_ok_and(|output| output.status.success()) {
            // `eprintln!` panics if the terminal is gone, and the folder would not be deleted.
            let _ = writeln!(io::stderr(), "PostgreSQL in {} did not stop", self.data().display());
        }
    }
}

/// Runs a program to its end, even after Ctrl-C. An interrupted `initdb` leaves shared memory
/// behind, and an interrupted `pg_ctl` leaves a server running. Both take about a second.
fn run_uninterrupted(command: &mut Command) -> io::Result<Output> {
    // The terminal sends Ctrl-C only to its own process group.
    command.stdin(Stdio::null()).process_group(0).output()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

/// The unprivileged user that root runs `PostgreSQL` as.
#[derive(Clone, Copy)]
struct UnixUser {
    uid: u32,
    gid: u32,
}

impl UnixUser {
    fn to_switch_to() -> Result<Option<Self>, ClusterError> {
        if !unistd::geteuid().is_root() {
            return Ok(None);
        }
        for name in ["postgres", "nobody"] {
            if let Some(user) = unistd::User::from_name(name).map_err(io::Error::from)? {
                return Ok(Some(Self { uid: user.uid.as_raw(), gid: user.gid.as_raw() }));
            }
        }
        Err(ClusterError::NoUser)
    }
}

/// Free ports, starting at a random one so that two runs at the same time rarely choose the same.
fn free_ports() -> impl Iterator<Item = u16> {
    let count = PORTS.end - PORTS.start;
    let random = RandomState::new().hash_one(()) % u64::from(count);
    let first = u16::try_from(random).unwrap_or_default();
    let ports = (0..count).map(move |step| PORTS.start + (first + step) % count);
    ports.filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_not_chosen() {
        // Another process may take the first one meanwhile.
        let take = |port| Some((port, TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?));
        let (port, taken) = free_ports().find_map(take).unwrap();
        assert!(free_ports().all(|port| PORTS.contains(&port)));
        assert!(free_ports().all(|free| free != port));
        drop(taken);
    }
}
