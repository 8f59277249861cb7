//! Installs cargo commands that tasks need.

use std::error::Error;

use crate::run::RunError;

/// Adds the cargo command `name` if `probe` fails. If it can't be added, the error names `cure`,
/// the command to run by hand.
pub(crate) fn provide(
    name: &str,
    cure: &str,
    probe: impl Fn() -> Result<(), RunError>,
    add: impl FnOnce() -> Result<(), RunError>,
) -> Result<(), Box<dyn Error>> {
    match probe() {
        Ok(()) => return Ok(()),
        Err(RunError::Stopped) => return Err(RunError::Stopped.into()),
        Err(_) => println!("`cargo {name}` is missing: adding it"),
    }
    add().and_then(|()| probe()).map_err(|error| match error {
        RunError::Stopped => error.into(),
        _ => format!("`cargo {name}` is missing; run `{cure}` ({error})").into(),
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io;

    use super::*;

    const CURE: &str = "rustup component add rustfmt clippy";

    fn fails() -> Result<(), RunError> {
        let source = io::Error::from(io::ErrorKind::NotFound);
        Err(RunError::Start { line: "x".to_owned(), source })
    }

    #[test]
    fn an_installed_command_is_not_added() {
        provide("fmt", CURE, || Ok(()), || panic!("added")).unwrap();
    }

    #[test]
    fn a_missing_command_is_added() {
        let installed = Cell::new(false);
        let probe = || if installed.get() { Ok(()) } else { fails() };
        let add = || {
            installed.set(true);
            Ok(())
        };
        provide("fmt", CURE, probe, add).unwrap();
        assert!(installed.get());
    }

    #[test]
    fn a_command_that_cannot_be_added_is_an_error_with_the_cure() {
        for add in [fails, || Ok(())] {
            let error = provide("fmt", CURE, fails, add).unwrap_err().to_string();
            assert!(error.contains("run `rustup component add rustfmt clippy`"), "{error}");
        }
    }

    #[test]
    fn a_stopped_task_adds_nothing() {
        let probe = || Err(RunError::Stopped);
        let error = provide("fmt", CURE, probe, || panic!("added")).unwrap_err();
        assert_eq!(error.to_string(), "stopped");
    }
}
