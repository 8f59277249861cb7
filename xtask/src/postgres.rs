//! A throw-away `PostgreSQL` for the tests: a cluster in a temporary folder, reached over loopback alone, gone when
//! dropped.

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

/// Its ports. Above them lies what the system hands out for outgoing connections, which would collide under load.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// How many ports are tried: another process may take a free one before the server does.
const ATTEMPTS: usize = 4;

/// Added to the configuration that `initdb` makes. It has no socket file, whose path could become too long in a deep
/// temporary folder.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
";

/// What tests hold is thrown away and need not survive a crash: nothing waits for the disk.
const NOT_DURABLE: &str = "
fsync = off
full_page_writes = off
";

#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    #[error(transparent)]
    Programs(#[from] ProgramsError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("the throw-away PostgreSQL: {0}")]
    Io(#[from] io::Error),
    #[error(
        "PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody` to run it as"
    )]
    NoUser,
    #[error("initdb failed: {said}")]
    NotMade { said: String },
    #[error("PostgreSQL did not start: {said}\n{log}")]
    NotStarted { said: String, log: String },
}

/// `cargo xtask postgres`.
pub(crate) fn perform() -> Result<(), Box<dyn Error>> {
    let cluster = Cluster::start()?;
    for (name, value) in cluster.variables() {
        println!("export {name}={value}");
    }
    let input = io::stdin();
    if input.is_terminal() {
        eprintln!("PostgreSQL is ready; Ctrl-C ends it and removes all that is in it");
        run::wait_until(|| false);
    } else {
        let rest = thread::spawn(move || input.lock().read_to_end(&mut Vec::new()));
        run::wait_until(|| rest.is_finished());
    }
    Ok(())
}

/// A running server. Dropped, it stops and leaves nothing behind.
pub(crate) struct Cluster {
    programs: Programs,
    folder: TempDir,
    user: Option<User>,
    port: u16,
}

impl Cluster {
    /// Makes and starts one, once the programs for it are there.
    pub(crate) fn start() -> Result<Self, ClusterError> {
        let user = User::to_switch_to()?;
        // Root's own TMPDIR may be closed to that user.
        let parent = if user.is_some() { "/tmp".into() } else { env::temp_dir() };
        Self::start_in(&parent, user, &[SETTINGS, NOT_DURABLE].concat())
    }

    /// Makes and starts one in a folder below `parent` that makes every write durable, as one in earnest does.
    pub(crate) fn start_durable(parent: &Path) -> Result<Self, ClusterError> {
        Self::start_in(parent, User::to_switch_to()?, SETTINGS)
    }

    fn start_in(parent: &Path, user: Option<User>, settings: &str) -> Result<Self, ClusterError> {
        let programs = Programs::find_or_install()?;
        let folder = tempfile::Builder::new().prefix("roots-postgres-").tempdir_in(parent)?;
        let mut cluster = Self { programs, folder, user, port: 0 };
        cluster.initialize(settings)?;
        cluster.serve()?;
        Ok(cluster)
    }

    /// What the tests look for in their environment.
    pub(crate) fn variables(&self) -> [(&'static str, String); 2] {
        [
            ("ROOTS_TEST_POSTGRES", self.url()),
            ("ROOTS_TEST_POSTGRES_BIN", self.programs.folder().display().to_string()),
        ]
    }

    /// The URL of the database that it has from the start.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    fn initialize(&self, settings: &str) -> Result<(), ClusterError> {
        if let Some(user) = self.user {
            chown(self.folder.path(), Some(user.uid), Some(user.gid))?;
        }
        // Whoever can reach the loopback of this machine is trusted: it holds nothing, and lives as long as the tests.
        let mut initdb = self.program("initdb");
        initdb.args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C"]);
        initdb.args(["--no-sync", "--pgdata"]).arg(self.data());
        let made = to_its_end(&mut initdb)?;
        if !made.status.success() {
            return Err(ClusterError::NotMade { said: said(&made) });
        }
        let mut file = OpenOptions::new().append(true).open(self.data().join("postgresql.conf"))?;
        Ok(file.write_all(settings.as_bytes())?)
    }

    fn serve(&mut self) -> Result<(), ClusterError> {
        let mut said_last = String::new();
        for port in free_ports().take(ATTEMPTS) {
            run::stop_asked()?;
            self.port = port;
            // It returns once the server answers.
            let mut start = self.pg_ctl("start");
            start.args(["--wait", "--options", &format!("-p {port}"), "--log"]).arg(self.log());
            let started = to_its_end(&mut start)?;
            if started.status.success() {
                return Ok(run::stop_asked()?);
            }
            said_last = said(&started);
        }
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        Err(ClusterError::NotStarted { said: said_last, log })
    }

    fn pg_ctl(&self, action: &str) -> Command {
        let mut command = self.program("pg_ctl");
        command.arg(action).arg("--pgdata").arg(self.data());
        command
    }

    /// One of the programs, as a user that it agrees to run as, in a folder where that user may be.
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
        let stopped = to_its_end(self.pg_ctl("stop").args(["--wait", "--mode", "immediate"]));
        if !stopped.is_ok_and(|output| output.status.success()) {
            // Not `eprintln!`, which panics when the terminal is gone, and would leave the folder behind as well.
            let _ = writeln!(io::stderr(), "PostgreSQL in {} did not stop", self.data().display());
        }
    }
}

/// Runs one of the programs to its end, even where we are told to stop meanwhile: ended half-way, `initdb` leaves
/// shared memory behind, and `pg_ctl` a server out of our sight. Both take a second.
fn to_its_end(command: &mut Command) -> io::Result<Output> {
    // In a group of its own, away from the terminal's Ctrl-C.
    command.stdin(Stdio::null()).process_group(0).output()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

/// The unprivileged user that root runs `PostgreSQL` as.
#[derive(Clone, Copy)]
struct User {
    uid: u32,
    gid: u32,
}

impl User {
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

/// Ports that nobody listens on, from a random one on, so that two runs at once seldom meet.
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
    fn a_port_that_is_taken_is_not_offered() {
        let port = free_ports().next().unwrap();
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert!(free_ports().all(|port| PORTS.contains(&port)));
        assert!(free_ports().all(|free| free != port));
        drop(taken);
    }
}
