//! The processes of a benchmark: servers that listen, and programs that run to their end.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::load::{Order, Pace, Told};
use crate::usage::{self, Memory, Untold};

/// How long a process may take to listen, and to end after it was told to.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long a load may take beyond its time, and one that is counted in all.
const LOAD_PATIENCE: Duration = Duration::from_mins(1);
const COUNTED_LOAD_PATIENCE: Duration = Duration::from_hours(1);
/// How often we look.
const PULSE: Duration = Duration::from_millis(1);
/// What processes say when they listen; the address follows.
const ADDRESS: &str = "address=";

/// Why a process did not do its part.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
    #[error("{what} does not listen; it said:\n{said}")]
    Silent { what: String, said: String },
    #[error("{what} ended with {status}; it said:\n{said}")]
    Ended { what: String, status: ExitStatus, said: String },
    #[error("{what} did not end")]
    Endless { what: String },
    #[error("{what} said what was not asked: {said}")]
    Unreadable { what: String, said: String },
    #[error(transparent)]
    Untold(#[from] Untold),
}

fn io(what: &str) -> impl Fn(io::Error) -> ProcessError {
    move |source| ProcessError::Io { what: what.to_owned(), source }
}

/// Runs a program to its end, and answers what it wrote to its standard output.
pub(crate) fn output(what: &str, command: &mut Command) -> Result<String, ProcessError> {
    let ended = command.stdin(Stdio::null()).output().map_err(io(what))?;
    let told = String::from_utf8_lossy(&ended.stdout).into_owned();
    if ended.status.success() {
        return Ok(told);
    }
    let said = told + &String::from_utf8_lossy(&ended.stderr);
    Err(ProcessError::Ended { what: what.to_owned(), status: ended.status, said })
}

/// A process that ends when this is dropped, at the latest.
struct Ward(Child);

impl Ward {
    /// Waits for its end, for so long.
    fn end(&mut self, within: Duration) -> io::Result<Option<ExitStatus>> {
        let begun = Instant::now();
        loop {
            match self.0.try_wait()? {
                None if begun.elapsed() < within => thread::sleep(PULSE),
                ended => return Ok(ended),
            }
        }
    }
}

impl Drop for Ward {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running server.
pub(crate) struct Server {
    name: String,
    ward: Ward,
    log: PathBuf,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts one, whose words go to the file `log`, and waits until it listens.
    pub(crate) fn start(
        name: &str,
        command: &mut Command,
        log: &Path,
    ) -> Result<Self, ProcessError> {
        let said = File::create(log).map_err(io(name))?;
        let also = said.try_clone().map_err(io(name))?;
        let child = command.stdin(Stdio::null()).stdout(said).stderr(also).spawn();
        let mut server = Self {
            name: name.to_owned(),
            ward: Ward(child.map_err(io(name))?),
            log: log.to_owned(),
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
        };
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let said = server.said();
            if let Some(address) = address(&said) {
                server.address = address;
                return Ok(server);
            }
            if let Some(status) = server.ward.0.try_wait().map_err(io(name))? {
                return Err(ProcessError::Ended { what: name.to_owned(), status, said });
            }
            thread::sleep(PULSE);
        }
        Err(ProcessError::Silent { what: name.to_owned(), said: server.said() })
    }

    /// Ends it as it should be ended, and demands that it ends well.
    pub(crate) fn stop(mut self) -> Result<(), ProcessError> {
        let id = i32::try_from(self.id()).unwrap_or_default();
        kill(Pid::from_raw(id), Signal::SIGTERM).map_err(|errno| io(&self.name)(errno.into()))?;
        match self.ward.end(PATIENCE).map_err(io(&self.name))? {
            Some(status) if status.success() => Ok(()),
            Some(status) => {
                let said = self.said();
                Err(ProcessError::Ended { what: self.name.clone(), status, said })
            }
            None => Err(ProcessError::Endless { what: self.name.clone() }),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.ward.0.id()
    }

    pub(crate) fn memory(&self) -> Result<Memory, ProcessError> {
        Ok(usage::memory(self.id())?)
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// Where a process says that it listens.
fn address(said: &str) -> Option<SocketAddr> {
    // A line that is not whole may hold half an address.
    let whole = &said[..=said.rfind('\n')?];
    whole.lines().find_map(|line| {
        let (_, address) = line.split_once(ADDRESS)?;
        address.split_whitespace().next()?.parse().ok()
    })
}

/// Has a load carried out, by a process of its own.
pub(crate) fn load(order: &Order) -> Result<Told, ProcessError> {
    let patience = match order.pace {
        Pace::Steady(window) | Pace::Rate { window, .. } => {
            window.warm_up + window.time + LOAD_PATIENCE
        }
        Pace::Count(_) | Pace::Spread(_) => COUNTED_LOAD_PATIENCE,
    };
    let program = std::env::current_exe().map_err(io("the load"))?;
    Helper::start("the load", Command::new(program).arg("load"), order)?.told(patience)
}

/// A process of ours that carries out an order. It ends when this is dropped, at the latest.
pub(crate) struct Helper {
    what: &'static str,
    ward: Ward,
}

impl Helper {
    /// Starts it, and hands it its order.
    pub(crate) fn start(
        what: &'static str,
        command: &mut Command,
        order: &impl Serialize,
    ) -> Result<Self, ProcessError> {
        let child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut ward = Ward(child.map_err(io(what))?);
        let text = serde_json::to_vec(order).map_err(|error| io(what)(error.into()))?;
        if let Some(mut pipe) = ward.0.stdin.take() {
            pipe.write_all(&text).map_err(io(what))?;
        }
        Ok(Self { what, ward })
    }

    /// Waits for its end, for so long, and answers what it told.
    pub(crate) fn told<T: DeserializeOwned>(self, patience: Duration) -> Result<T, ProcessError> {
        let Self { what, mut ward } = self;
        // What it says is short, and fits a pipe.
        let ended = ward.end(patience).map_err(io(what))?;
        let status = ended.ok_or_else(|| ProcessError::Endless { what: what.to_owned() })?;
        let [mut told, mut said] = [String::new(), String::new()];
        if let Some(mut pipe) = ward.0.stdout.take() {
            io::Read::read_to_string(&mut pipe, &mut told).map_err(io(what))?;
        }
        if let Some(mut pipe) = ward.0.stderr.take() {
            io::Read::read_to_string(&mut pipe, &mut said).map_err(io(what))?;
        }
        if !status.success() {
            return Err(ProcessError::Ended { what: what.to_owned(), status, said });
        }
        serde_json::from_str(&told)
            .map_err(|_| ProcessError::Unreadable { what: what.to_owned(), said: told })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_once_its_line_is_whole() {
        let said = "a line\n2026 INFO roots: listening address=127.0.0.1:1234\n";
        assert_eq!(address(said), "127.0.0.1:1234".parse().ok());
        assert_eq!(address(&said[..said.len() - 2]), None);
    }

    #[test]
    fn a_server_that_ends_is_told_with_its_words() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo no room >&2; exit 3"]);
        let Err(error) = Server::start("it", &mut command, &folder.path().join("log")) else {
            panic!("it listens");
        };
        assert_eq!(error.to_string(), "it ended with exit status: 3; it said:\nno room\n");
    }

    #[test]
    fn a_server_is_told_to_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        let script = "trap 'exit 0' TERM; echo address=127.0.0.1:9; while :; do sleep 0.01; done";
        command.args(["-c", script]);
        let server = Server::start("it", &mut command, &folder.path().join("log")).unwrap();
        assert_eq!(server.address, "127.0.0.1:9".parse().unwrap());
        assert!(server.memory().unwrap().now > 0.0);
        server.stop().unwrap();
    }
}
