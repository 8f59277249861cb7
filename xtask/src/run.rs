//! Runs the programs that a task needs.
//!
//! Each program runs in a process group of its own. On Ctrl-C, SIGTERM or SIGHUP, xtask ends the
//! whole group, for example `cargo test` and its tests. It then returns an error in the usual way,
//! so that temporary servers and folders are dropped.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

static STOP: AtomicBool = AtomicBool::new(false);

/// A program that has not ended this long after SIGTERM is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// How often to check whether a program has ended or xtask must stop.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error("stopped")]
    Stopped,
    #[error("`{line}` did not start: {source}")]
    Start { line: String, source: io::Error },
    #[error("`{line}` failed ({status})")]
    Failed { line: String, status: ExitStatus },
    #[error("`{line}`: {source}")]
    Io { line: String, source: io::Error },
}

/// From now on Ctrl-C, SIGTERM and SIGHUP do not end xtask at once: [`stop_asked`] fails instead.
pub(crate) fn handle_signals() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(|| STOP.store(true, Ordering::Relaxed))
}

/// Fails after Ctrl-C, SIGTERM or SIGHUP.
pub(crate) fn stop_asked() -> Result<(), RunError> {
    if STOP.load(Ordering::Relaxed) { Err(RunError::Stopped) } else { Ok(()) }
}

/// Waits until `ended` returns true, or xtask must stop.
pub(crate) fn wait_until(mut ended: impl FnMut() -> bool) {
    while stop_asked().is_ok() && !ended() {
        thread::sleep(POLL_INTERVAL);
    }
}

/// The root folder of the workspace.
pub(crate) fn workspace() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// Cargo's target folder.
pub(crate) fn builds() -> PathBuf {
    let named = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    workspace().join(named)
}

/// A cargo command in the root folder of the workspace, as if a developer had typed it there.
pub(crate) fn cargo<const N: usize>(args: [&str; N]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(workspace());
    for (name, _) in std::env::vars_os().filter(|(name, _)| belongs_to_xtask(name)) {
        command.env_remove(name);
    }
    command
}

/// Whether `cargo run` has set this variable for xtask. Build scripts watch some of them, for
/// example ring's. If they were passed on, `cargo test` would rebuild after `cargo xtask test`, and
/// vice versa.
fn belongs_to_xtask(name: &OsString) -> bool {
    name.to_str()
        .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
}

/// Runs a program to its end. Its output goes to the terminal.
pub(crate) fn run(command: &mut Command) -> Result<(), RunError> {
    let child = spawn(command)?;
    succeed(command, child)
}

/// Runs a program to its end and returns its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String, RunError> {
    let mut child = spawn(command.stdout(Stdio::piped()))?;
    let pipe = child.stdout.take();
    // A thread reads while this one waits: a program with a full pipe would never end.
    let reader = thread::spawn(move || {
        let mut text = String::new();
        pipe.map_or(Ok(0), |mut pipe| pipe.read_to_string(&mut text)).map(|_| text)
    });
    succeed(command, child)?;
    let text = reader
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("the reader of its output panicked")));
    text.map_err(|source| RunError::Io { line: line(command), source })
}

/// Starts a program that runs until the returned value is dropped.
pub(crate) fn start(command: &mut Command) -> Result<BackgroundProcess, RunError> {
    Ok(BackgroundProcess(spawn(command)?))
}

/// A program in the background, which is killed when this is dropped.
pub(crate) struct BackgroundProcess(Child);

impl BackgroundProcess {
    /// Whether the program has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for BackgroundProcess {
    fn drop(&mut self) {
        // Killed without SIGTERM, because none of its data is needed.
        if !self.has_ended() {
            signal_group(&self.0, Signal::SIGKILL);
            let _ = self.0.wait();
        }
    }
}

fn spawn(command: &mut Command) -> Result<Child, RunError> {
    stop_asked()?;
    command
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|source| RunError::Start { line: line(command), source })
}

fn succeed(command: &Command, child: Child) -> Result<(), RunError> {
    let status = wait(child).map_err(|source| RunError::Io { line: line(command), source })?;
    stop_asked()?;
    if status.success() { Ok(()) } else { Err(RunError::Failed { line: line(command), status }) }
}

/// Waits for the program to end, and stops it when xtask must stop.
fn wait(mut child: Child) -> io::Result<ExitStatus> {
    let mut stopping_since = None;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        match stopping_since {
            None if stop_asked().is_err() => {
                stopping_since = Some(Instant::now());
                signal_group(&child, Signal::SIGTERM);
            }
            Some(since) if since.elapsed() > STOP_TIMEOUT => signal_group(&child, Signal::SIGKILL),
            _ => {}
        }
        thread::sleep(POLL_INTERVAL);
    }
}

fn signal_group(child: &Child, signal: Signal) {
    if let Ok(id) = i32::try_from(child.id()) {
        // This fails if the group has just ended, or belongs to root (`sudo`): the caller then only
        // waits.
        let _ = killpg(Pid::from_raw(id), signal);
    }
}

/// The program and its arguments as a developer would type them.
fn line(command: &Command) -> String {
    let name = PathBuf::from(command.get_program());
    let name = name.file_name().unwrap_or(command.get_program());
    let words = std::iter::once(name).chain(command.get_args()).map(|word| word.to_string_lossy());
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_a_failed_program_shows_its_arguments_and_status() {
        let error = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err();
        assert_eq!(error.to_string(), "`sh -c exit 3` failed (exit status: 3)");
    }

    #[test]
    fn the_error_of_a_missing_program_shows_its_name() {
        let error = run(&mut Command::new("no-such-program")).unwrap_err();
        assert!(error.to_string().starts_with("`no-such-program` did not start"), "{error}");
    }

    #[test]
    fn a_program_in_the_background_ends_when_it_is_dropped() {
        let mut background = start(Command::new("sleep").arg("1000")).unwrap();
        assert!(!background.has_ended());
        let id = Pid::from_raw(i32::try_from(background.0.id()).unwrap());
        drop(background);
        assert_eq!(nix::sys::signal::kill(id, None), Err(nix::errno::Errno::ESRCH));
    }

    #[test]
    fn output_longer_than_a_pipe_is_read_completely() {
        let text = output(Command::new("sh").args(["-c", "head -c 300000 /dev/zero | tr '\\0' x"]))
            .unwrap();
        assert_eq!(text.len(), 300_000);
    }

    #[test]
    fn only_variables_that_cargo_set_for_xtask_are_removed() {
        assert!(belongs_to_xtask(&"CARGO_PKG_NAME".into()));
        assert!(belongs_to_xtask(&"CARGO_MANIFEST_DIR".into()));
        assert!(!belongs_to_xtask(&"CARGO_TARGET_DIR".into()));
        assert!(!belongs_to_xtask(&"CARGO_TERM_COLOR".into()));
    }
}
