//! Tools of others, at the versions that a folder of `xtask` pins, in a folder of the same name
//! below the build folder.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::packages::{self, InstallError};
use crate::run;

/// Where the folders are that pin them.
const SOURCES: &str = "xtask";

/// Python runs most of them and installs Node, which runs the rest.
const PYTHON: &str = "python3";

/// Checks that Python is new enough and can make environments: Debian leaves `ensurepip` out.
const PROBE: &str = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))";

/// The command of each package manager that installs Python.
const MANAGERS: [(&str, &str); 3] = [
    (
        "apt-get",
        "export DEBIAN_FRONTEND=noninteractive
        apt-get --quiet update
        apt-get --quiet install --yes --no-install-recommends -o DPkg::Lock::Timeout=120 python3-venv",
    ),
    ("dnf", "dnf install --assumeyes python3"),
    ("apk", "apk add python3"),
];

/// Each file that pins versions, and the command that installs them.
const INSTALLERS: [(&str, &[&str]); 2] = [
    (
        "requirements.txt",
        &[
            "python",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--requirement",
            "requirements.txt",
        ],
    ),
    (
        "package-lock.json",
        &["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"],
    ),
];

#[derive(Debug, thiserror::Error)]
#[error(
    "tools of others need Python 3.11 or newer with its module `venv`, and it \
     could not be installed here: {reason}. Install it, and run this again:
  Debian, Ubuntu: apt-get install python3-venv
  Fedora:         dnf install python3
  Alpine:         apk add python3
  Arch:           pacman -S python
  macOS:          brew install python"
)]
struct PythonMissing {
    reason: String,
}

/// The installed tools.
pub(crate) struct Tools {
    folder: PathBuf,
}

impl Tools {
    /// Installs the versions that the folder `name` of `xtask` pins and that are not installed yet.
    pub(crate) fn provide(name: &str) -> Result<Self, Box<dyn Error>> {
        let tools = Self { folder: run::builds().join(name) };
        fs::create_dir_all(&tools.folder)?;
        for entry in fs::read_dir(run::workspace().join(SOURCES).join(name))? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                fs::copy(entry.path(), tools.folder.join(entry.file_name()))?;
            }
        }
        tools.provide_environment()?;
        for (pinned, words) in INSTALLERS {
            tools.install(pinned, words)?;
        }
        Ok(tools)
    }

    /// Where they run, and find each other's files.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> io::Result<()> {
        fs::write(self.path(name), text)
    }

    /// A command of that program and its arguments, found among the tools first.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let (program, arguments) = words.split_first().unwrap_or((&"", &[]));
        let folders = [self.path("node_modules/.bin"), self.path("venv/bin")];
        let found = folders.iter().map(|folder| folder.join(program)).find(|path| path.is_file());
        let mut command = Command::new(found.unwrap_or_else(|| program.into()));
        command.args(arguments).current_dir(&self.folder).env("PATH", path_from(&folders));
        // Nothing of the developer's own, nothing that is sent home, no proxy on the way to a local
        // server.
        command.env_remove("PYTHONPATH").env_remove("PYTHONHOME").env_remove("NODE_OPTIONS");
        command.envs([("REDOCLY_TELEMETRY", "off"), ("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true")]);
        command.envs([("NO_PROXY", "127.0.0.1"), ("no_proxy", "127.0.0.1")]);
        command
    }

    /// Makes the virtual environment for Python's packages.
    fn provide_environment(&self) -> Result<(), Box<dyn Error>> {
        let probe = |python: &Path| {
            let mut probe = Command::new(python);
            run::output(probe.args(["-c", PROBE]).stderr(Stdio::null())).map(drop)
        };
        // One whose Python has gone since is made anew.
        if probe(&self.path("venv/bin/python")).is_ok() {
            return Ok(());
        }
        let python = Path::new(PYTHON);
        if probe(python).is_err() {
            run::stop_asked()?;
            packages::install("Python's venv", &MANAGERS).map_err(missing)?;
            probe(python).map_err(|error| PythonMissing { reason: error.to_string() })?;
        }
        for pinned in INSTALLERS.map(|(pinned, _)| self.installed(pinned)) {
            remove(&pinned)?;
        }
        let mut make = Command::new(PYTHON);
        Ok(run::run(make.args(["-m", "venv", "--clear"]).arg(self.path("venv")))?)
    }

    /// Installs the versions that the file pins, unless they are installed and the file is
    /// unchanged.
    fn install(&self, pinned: &str, words: &[&str]) -> Result<(), Box<dyn Error>> {
        let (wanted, installed) = (fs::read(self.path(pinned))?, self.installed(pinned));
        if fs::read(&installed).is_ok_and(|before| before == wanted) {
            return Ok(());
        }
        remove(&installed)?;
        println!("--> the tools: {}", words.join(" "));
        run::run(&mut self.command(words))?;
        Ok(fs::write(installed, wanted)?)
    }

    /// The path of a copy of the file, made after its versions were installed.
    fn installed(&self, pinned: &str) -> PathBuf {
        self.path(&format!("{pinned}.installed"))
    }
}

fn missing(error: InstallError) -> Box<dyn Error> {
    match error {
        InstallError::NotInstalled(reason) => PythonMissing { reason }.into(),
        InstallError::Run(error) => error.into(),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Our PATH, behind those folders.
fn path_from(folders: &[PathBuf]) -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let all = folders.iter().cloned().chain(env::split_paths(&path));
    env::join_paths(all).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_a_missing_python_names_the_package_to_install() {
        let message = PythonMissing { reason: "no luck".into() }.to_string();
        assert!(
            message.contains("no luck") && message.contains("apt-get install python3-venv"),
            "{message}"
        );
    }

    #[test]
    fn a_tool_is_taken_from_the_folder_before_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let tools = Tools { folder: folder.path().to_owned() };
        let programs = folder.path().join("venv/bin");
        fs::create_dir_all(&programs).unwrap();
        fs::write(programs.join("sh"), "").unwrap();
        assert_eq!(tools.command(&["sh", "-c", "exit"]).get_program(), programs.join("sh"));
        assert_eq!(tools.command(&["ls"]).get_program(), "ls");
    }
}
