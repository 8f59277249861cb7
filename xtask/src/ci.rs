//! `cargo xtask ci`: everything that must hold before a change lands, one step after the other.

use std::error::Error;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::run::{self, RunError};
use crate::{deny, openapi, test, tidy};

type Outcome = Result<(), Box<dyn Error>>;
type Step = fn() -> Outcome;

/// The name of each step, and what it does.
const STEPS: [(&str, Step); 7] = [
    ("format", format),
    ("clippy", clippy),
    ("tidy", tidy::perform),
    ("licences, bans and sources", deny::perform),
    ("tests on SQLite and PostgreSQL", tests),
    ("docs", docs),
    ("OpenAPI", || openapi::perform(true)),
];

pub(crate) fn perform() -> Outcome {
    let mut done = Vec::new();
    for (name, step) in STEPS {
        println!("==> {name}");
        let begun = Instant::now();
        step().map_err(|error| format!("{name}: {error}"))?;
        done.push(format!("{name} {} s", begun.elapsed().as_secs()));
    }
    println!("==> all is well: {}", done.join(", "));
    Ok(())
}

fn format() -> Outcome {
    component("fmt")?;
    run::run(&mut run::cargo(["fmt", "--all", "--check"])).map_err(|error| match error {
        failed @ RunError::Failed { .. } => {
            format!("{failed}; `cargo fmt --all` puts it right").into()
        }
        other => other.into(),
    })
}

fn clippy() -> Outcome {
    component("clippy")?;
    let mut cargo =
        run::cargo(["clippy", "--workspace", "--all-targets", "--all-features", "--locked"]);
    Ok(run::run(cargo.args(["--", "-D", "warnings"]))?)
}

fn tests() -> Outcome {
    test::perform(&[])
}

fn docs() -> Outcome {
    let mut cargo = run::cargo(["doc", "--workspace", "--no-deps", "--all-features", "--locked"]);
    Ok(run::run(cargo.env("RUSTDOCFLAGS", "-D warnings"))?)
}

/// Adds both.
const COMPONENTS: &str = "rustup component add rustfmt clippy";

/// rustfmt and clippy are components of a Rust toolchain, and a minimal one comes without them.
fn component(name: &str) -> Outcome {
    let probe = || run::output(run::cargo([name, "--version"]).stderr(Stdio::null())).map(drop);
    let add = || {
        let mut rustup = Command::new("rustup");
        run::run(
            rustup.args(["component", "add", "rustfmt", "clippy"]).current_dir(run::workspace()),
        )
    };
    provide(name, COMPONENTS, probe, add)
}

/// Adds the cargo command that `probe` misses. What can't be added is told with the cure to run by hand.
pub(crate) fn provide(
    name: &str,
    cure: &str,
    probe: impl Fn() -> Result<(), RunError>,
    add: impl FnOnce() -> Result<(), RunError>,
) -> Outcome {
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

    fn fails() -> Result<(), RunError> {
        let source = io::Error::from(io::ErrorKind::NotFound);
        Err(RunError::Start { line: "x".to_owned(), source })
    }

    #[test]
    fn what_is_there_is_not_added() {
        provide("fmt", COMPONENTS, || Ok(()), || panic!("added")).unwrap();
    }

    #[test]
    fn what_is_missing_is_added() {
        let there = Cell::new(false);
        let probe = || if there.get() { Ok(()) } else { fails() };
        let add = || {
            there.set(true);
            Ok(())
        };
        provide("fmt", COMPONENTS, probe, add).unwrap();
        assert!(there.get());
    }

    #[test]
    fn what_cannot_be_added_is_told_with_what_to_run() {
        for add in [fails, || Ok(())] {
            let told = provide("fmt", COMPONENTS, fails, add).unwrap_err().to_string();
            assert!(told.contains("run `rustup component add rustfmt clippy`"), "{told}");
        }
    }

    #[test]
    fn who_is_told_to_stop_adds_nothing() {
        let told =
            provide("fmt", COMPONENTS, || Err(RunError::Stopped), || panic!("added")).unwrap_err();
        assert_eq!(told.to_string(), "stopped");
    }
}
