//! Runs the programs that a chore needs.
//!
//! Each runs in a process group of its own. Told to stop (Ctrl-C, SIGTERM, SIGHUP), xtask ends the whole group,
//! `cargo test` and the tests that it started alike, and then returns on the usual way, so that what the chore has set
//! up is put away.

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

/// How long a program may take to end after it was told to.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often we look whether a program has ended or we are to stop.
const PULSE: Duration = Duration::from_millis(20);

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

/// From here on Ctrl-C, SIGTERM and SIGHUP no longer end xtask where it stands: [`stop_asked`] tells of them.
pub(crate) fn heed_signals() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(|| STOP.store(true, Ordering::Relaxed))
}

/// Fails once we were told to stop.
pub(crate) fn stop_asked() -> Result<(), RunError> {
    if STOP.load(Ordering::Relaxed) { Err(RunError::Stopped) } else { Ok(()) }
}

/// Waits until told to stop or until `ended` says so.
pub(crate) fn wait_until(ended: impl Fn() -> bool) {
    while stop_asked().is_ok() && !ended() {
        thread::sleep(PULSE);
    }
}

/// The folder of the workspace.
pub(crate) fn workspace() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// A `cargo` in the folder of the workspace, as if the developer had typed it there.
pub(crate) fn cargo<const N: usize>(args: [&str; N]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(workspace());
    for (name, _) in std::env::vars_os().filter(|(name, _)| belongs_to_xtask(name)) {
        command.env_remove(name);
    }
    command
}

/// Whether `cargo run` has set this variable for xtask. Build scripts watch some of them (ring's does): passed on, each
/// turn from `cargo xtask test` to `cargo test` and back would build anew.
fn belongs_to_xtask(name: &OsString) -> bool {
    name.to_str()
        .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
}

/// Runs a program to its end, its output going where ours goes.
pub(crate) fn run(command: &mut Command) -> Result<(), RunError> {
    let child = spawn(command)?;
    succeed(command, child)
}

/// Runs a program to its end and returns what it wrote to its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String, RunError> {
    let mut child = spawn(command.stdout(Stdio::piped()))?;
    let pipe = child.stdout.take();
    // Read beside the waiting: a full pipe would hold the program up for good.
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

/// Waits for the program's end, and hastens it once we are told to stop.
fn wait(mut child: Child) -> io::Result<ExitStatus> {
    let mut told = None;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        match told {
            None if stop_asked().is_err() => {
                told = Some(Instant::now());
                signal_group(&child, Signal::SIGTERM);
            }
            Some(since) if since.elapsed() > PATIENCE => signal_group(&child, Signal::SIGKILL),
            _ => {}
        }
        thread::sleep(PULSE);
    }
}

fn signal_group(child: &Child, signal: Signal) {
    if let Ok(id) = i32::try_from(child.id()) {
        // The only fault there can be is that the group has just ended by itself, or is root's (a `sudo`): then it is
        // waited for.
        let _ = killpg(Pid::from_raw(id), signal);
    }
}

/// The program and its arguments as one would type them.
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
    fn a_failed_program_is_named_with_its_arguments() {
        let error = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err();
        assert_eq!(error.to_string(), "`sh -c exit 3` failed (exit status: 3)");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run(&mut Command::new("no-such-program")).unwrap_err();
        assert!(error.to_string().starts_with("`no-such-program` did not start"), "{error}");
    }

    #[test]
    fn output_longer_than_a_pipe_holds_is_read_whole() {
        let text = output(Command::new("sh").args(["-c", "head -c 300000 /dev/zero | tr '\\0' x"]))
            .unwrap();
        assert_eq!(text.len(), 300_000);
    }

    #[test]
    fn only_what_cargo_set_for_xtask_is_kept_from_the_next_cargo() {
        assert!(belongs_to_xtask(&"CARGO_PKG_NAME".into()));
        assert!(belongs_to_xtask(&"CARGO_MANIFEST_DIR".into()));
        assert!(!belongs_to_xtask(&"CARGO_TARGET_DIR".into()));
        assert!(!belongs_to_xtask(&"CARGO_TERM_COLOR".into()));
    }
}
