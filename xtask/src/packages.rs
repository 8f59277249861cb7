//! Installs programs with the system's package manager.

use std::env;
use std::process::{Command, Stdio};

use nix::unistd;

use crate::run::{self, RunError};

#[derive(Debug, thiserror::Error)]
pub(crate) enum InstallError {
    #[error("{0}")]
    NotInstalled(String),
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Runs the script of the first package manager that exists, as root or with a `sudo` that needs no
/// password.
pub(crate) fn install(what: &str, scripts: &[(&str, &str)]) -> Result<(), InstallError> {
    let not_installed = |reason: String| InstallError::NotInstalled(reason);
    let Some((manager, script)) = scripts.iter().find(|(manager, _)| on_path(manager)) else {
        let managers: Vec<_> = scripts.iter().map(|(manager, _)| *manager).collect();
        return Err(not_installed(format!("this machine has none of {}", managers.join(", "))));
    };
    let mut command = if unistd::geteuid().is_root() {
        Command::new("sh")
    } else if on_path("sudo") && may_sudo() {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "sh"]);
        sudo
    } else {
        return Err(not_installed(format!("{manager} needs root, or sudo without a password")));
    };
    println!("{what} is missing; installing it with {manager}");
    run::run(command.args(["-e", "-c", script])).map_err(|error| match error {
        RunError::Failed { status, .. } => not_installed(format!("{manager} failed ({status})")),
        other => other.into(),
    })
}

fn on_path(name: &str) -> bool {
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(name).is_file()))
}

fn may_sudo() -> bool {
    run::output(Command::new("sudo").args(["-n", "true"]).stderr(Stdio::null())).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_names_the_missing_package_managers() {
        let scripts = [("no-such-manager", "true"), ("nor-this-one", "true")];
        let error = install("A program", &scripts).unwrap_err().to_string();
        assert_eq!(error, "this machine has none of no-such-manager, nor-this-one");
    }
}
