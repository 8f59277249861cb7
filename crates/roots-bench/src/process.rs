//! The processes of a benchmark: servers, and programs that run to their end.

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

use crate::load::{LoadPattern, LoadReport, LoadRequest, LoadedServer};
use crate::usage::{self, ResidentMemory, UsageError};

/// A server must listen, and end after SIGTERM, within this time.
const SERVER_TIMEOUT: Duration = Duration::from_mins(1);
/// A timed load must end within this time after its window; a counted load may take an hour.
const LOAD_TIMEOUT: Duration = Duration::from_mins(1);
const COUNTED_LOAD_TIMEOUT: Duration = Duration::from_hours(1);
/// How often to look whether a process has ended or listens.
const POLL_INTERVAL: Duration = Duration::from_millis(1);
/// Servers print this, followed by their address, when they listen.
const ADDRESS: &str = "address=";

/// Why a process failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
    #[error("{what} does not listen; its output:\n{output}")]
    NotListening { what: String, output: String },
    #[error("{what} ended with {status}; its output:\n{output}")]
    Ended { what: String, status: ExitStatus, output: String },
    #[error("{what} did not end in time")]
    TimedOut { what: String },
    #[error("{what} printed an unreadable report: {output}")]
    Unreadable { what: String, output: String },
    #[error(transparent)]
    Usage(#[from] UsageError),
}

fn io(what: &str) -> impl Fn(io::Error) -> ProcessError {
    move |source| ProcessError::Io { what: what.to_owned(), source }
}

/// Runs a program to its end, and returns its standard output.
pub(crate) fn output(what: &str, command: &mut Command) -> Result<String, ProcessError> {
    let ended = command.stdin(Stdio::null()).output().map_err(io(what))?;
    let output = String::from_utf8_lossy(&ended.stdout).into_owned();
    if ended.status.success() {
        return Ok(output);
    }
    let output = output + &String::from_utf8_lossy(&ended.stderr);
    Err(ProcessError::Ended { what: what.to_owned(), status: ended.status, output })
}

/// A process that is killed when this is dropped.
struct ChildGuard(Child);

impl ChildGuard {
    /// Waits up to `within` for the process to end.
    fn wait(&mut self, within: Duration) -> io::Result<Option<ExitStatus>> {
        let begun = Instant::now();
        loop {
            match self.0.try_wait()? {
                None if begun.elapsed() < within => thread::sleep(POLL_INTERVAL),
                ended => return Ok(ended),
            }
        }
    }
}

impl Drop for ChildGuard {
    fn drop(&mut self) {
        // Killing fails if the process has already ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running server.
pub(crate) struct ServerProcess {
    name: String,
    child: ChildGuard,
    log: PathBuf,
    /// The address it listens on.
    pub(crate) address: SocketAddr,
}

impl ServerProcess {
    /// Starts a server that writes its output to the file `log`, and waits until it listens.
    pub(crate) fn start(
        name: &str,
        command: &mut Command,
        log: &Path,
    ) -> Result<Self, ProcessError> {
        let output = File::create(log).map_err(io(name))?;
        let errors = output.try_clone().map_err(io(name))?;
        let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn();
        let mut server = Self {
            name: name.to_owned(),
            child: ChildGuard(child.map_err(io(name))?),
            log: log.to_owned(),
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
        };
        let begun = Instant::now();
        while begun.elapsed() < SERVER_TIMEOUT {
            let output = server.output();
            if let Some(address) = address(&output) {
                server.address = address;
                return Ok(server);
            }
            if let Some(status) = server.child.0.try_wait().map_err(io(name))? {
                return Err(ProcessError::Ended { what: name.to_owned(), status, output });
            }
            thread::sleep(POLL_INTERVAL);
        }
        Err(ProcessError::NotListening { what: name.to_owned(), output: server.output() })
    }

    /// Stops the server with SIGTERM.
    ///
    /// # Errors
    /// It did not end in time, or not with success.
    pub(crate) fn stop(mut self) -> Result<(), ProcessError> {
        let id = i32::try_from(self.id()).unwrap_or_default();
        kill(Pid::from_raw(id), Signal::SIGTERM).map_err(|errno| io(&self.name)(errno.into()))?;
        match self.child.wait(SERVER_TIMEOUT).map_err(io(&self.name))? {
            Some(status) if status.success() => Ok(()),
            Some(status) => {
                let output = self.output();
                Err(ProcessError::Ended { what: self.name.clone(), status, output })
            }
            None => Err(ProcessError::TimedOut { what: self.name.clone() }),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.0.id()
    }

    /// This server as a load generator needs it.
    pub(crate) fn loaded(&self) -> LoadedServer {
        LoadedServer { address: self.address, id: self.id() }
    }

    pub(crate) fn memory(&self) -> Result<ResidentMemory, ProcessError> {
        Ok(usage::memory(self.id())?)
    }

    /// Makes the peak of the memory count anew.
    pub(crate) fn reset_peak_memory(&self) -> Result<(), ProcessError> {
        Ok(usage::reset_peak(self.id())?)
    }

    fn output(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// Reads the address from a server's output.
fn address(output: &str) -> Option<SocketAddr> {
    // An unfinished line may hold only half an address.
    let whole = &output[..=output.rfind('\n')?];
    whole.lines().find_map(|line| {
        let (_, address) = line.split_once(ADDRESS)?;
        address.split_whitespace().next()?.parse().ok()
    })
}

/// Generates a load in a separate process.
pub(crate) fn load(request: &LoadRequest) -> Result<LoadReport, ProcessError> {
    let timeout = match request.pattern {
        LoadPattern::ClosedLoop(window) | LoadPattern::OpenLoop { window, .. } => {
            window.warm_up + window.time + LOAD_TIMEOUT
        }
        LoadPattern::Count(_) | LoadPattern::Spread(_) => COUNTED_LOAD_TIMEOUT,
    };
    let program = std::env::current_exe().map_err(io("the load generator"))?;
    let mut command = Command::new(program);
    WorkerProcess::start("the load generator", command.arg("load"), request)?.report(timeout)
}

/// A process of this program, which reads a request from its standard input and prints a report. It
/// is killed when this is dropped.
pub(crate) struct WorkerProcess {
    what: &'static str,
    child: ChildGuard,
}

impl WorkerProcess {
    /// Starts the process and sends it the request.
    pub(crate) fn start(
        what: &'static str,
        command: &mut Command,
        request: &impl Serialize,
    ) -> Result<Self, ProcessError> {
        let child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = ChildGuard(child.map_err(io(what))?);
        let text = serde_json::to_vec(request).map_err(|error| io(what)(error.into()))?;
        if let Some(mut pipe) = child.0.stdin.take() {
            pipe.write_all(&text).map_err(io(what))?;
        }
        Ok(Self { what, child })
    }

    /// Waits up to `timeout` for the process to end, and returns its report.
    pub(crate) fn report<T: DeserializeOwned>(self, timeout: Duration) -> Result<T, ProcessError> {
        let Self { what, mut child } = self;
        // The report is short and fits into the pipe, so it can be read after the end.
        let ended = child.wait(timeout).map_err(io(what))?;
        let status = ended.ok_or_else(|| ProcessError::TimedOut { what: what.to_owned() })?;
        let [mut report, mut errors] = [String::new(), String::new()];
        if let Some(mut pipe) = child.0.stdout.take() {
            io::Read::read_to_string(&mut pipe, &mut report).map_err(io(what))?;
        }
        if let Some(mut pipe) = child.0.stderr.take() {
            io::Read::read_to_string(&mut pipe, &mut errors).map_err(io(what))?;
        }
        if !status.success() {
            return Err(ProcessError::Ended { what: what.to_owned(), status, output: errors });
        }
        serde_json::from_str(&report)
            .map_err(|_| ProcessError::Unreadable { what: what.to_owned(), output: report })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listening_address_is_read_once_its_line_is_complete() {
        let output = "a line\n2026 INFO roots: listening address=127.0.0.1:1234\n";
        assert_eq!(address(output), "127.0.0.1:1234".parse().ok());
        assert_eq!(address(&output[..output.len() - 2]), None);
    }

    #[test]
    fn a_server_that_ends_early_is_an_error_with_its_output() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo no room >&2; exit 3"]);
        let Err(error) = ServerProcess::start("it", &mut command, &folder.path().join("log"))
        else {
            panic!("it listens");
        };
        assert_eq!(error.to_string(), "it ended with exit status: 3; its output:\nno room\n");
    }

    #[test]
    fn stop_ends_a_server_with_sigterm() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        let script = "trap 'exit 0' TERM; echo address=127.0.0.1:9; while :; do sleep 0.01; done";
        command.args(["-c", script]);
        let server = ServerProcess::start("it", &mut command, &folder.path().join("log")).unwrap();
        assert_eq!(server.address, "127.0.0.1:9".parse().unwrap());
        server.reset_peak_memory().unwrap();
        let memory = server.memory().unwrap();
        assert!(memory.now > 0.0 && memory.peak >= memory.now, "{memory:?}");
        server.stop().unwrap();
    }
}
