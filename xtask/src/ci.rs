//! `cargo xtask ci`: all checks that must pass before a change lands.

use std::error::Error;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::provide::provide;
use crate::run::{self, RunError};
use crate::{conformance, deny, openapi, test, tidy};

type CiResult = Result<(), Box<dyn Error>>;
type CiStep = fn() -> CiResult;

/// The steps, with their names.
const STEPS: [(&str, CiStep); 8] = [
    ("format", format),
    ("clippy", clippy),
    ("tidy", tidy::perform),
    ("licences, bans and sources", deny::perform),
    ("tests on SQLite and PostgreSQL", tests),
    ("docs", docs),
    ("OpenAPI", || openapi::perform(true)),
    ("conformance", conformance::perform),
];

pub(crate) fn perform() -> CiResult {
    let mut done = Vec::new();
    for (name, step) in STEPS {
        println!("==> {name}");
        let begun = Instant::now();
        step().map_err(|error| format!("{name}: {error}"))?;
        done.push(format!("{name} {} s", begun.elapsed().as_secs()));
    }
    println!("==> all checks passed: {}", done.join(", "));
    Ok(())
}

fn format() -> CiResult {
    component("fmt")?;
    run::run(&mut run::cargo(["fmt", "--all", "--check"])).map_err(|error| match error {
        failed @ RunError::Failed { .. } => format!("{failed}; run `cargo fmt --all`").into(),
        other => other.into(),
    })
}

fn clippy() -> CiResult {
    component("clippy")?;
    let mut cargo =
        run::cargo(["clippy", "--workspace", "--all-targets", "--all-features", "--locked"]);
    // `--all-targets` leaves out the tests that need a cluster.
    Ok(run::run(cargo.args(["--test", "cluster", "--", "-D", "warnings"]))?)
}

fn tests() -> CiResult {
    test::perform(&[])
}

fn docs() -> CiResult {
    let mut cargo = run::cargo(["doc", "--workspace", "--no-deps", "--all-features", "--locked"]);
    Ok(run::run(cargo.env("RUSTDOCFLAGS", "-D warnings"))?)
}

/// The command that adds both components.
const COMPONENTS: &str = "rustup component add rustfmt clippy";

/// Adds a component if it is missing: a minimal Rust toolchain has neither rustfmt nor clippy.
fn component(name: &str) -> CiResult {
    let probe = || run::output(run::cargo([name, "--version"]).stderr(Stdio::null())).map(drop);
    let add = || {
        let mut rustup = Command::new("rustup");
        run::run(
            rustup.args(["component", "add", "rustfmt", "clippy"]).current_dir(run::workspace()),
        )
    };
    provide(name, COMPONENTS, probe, add)
}
