//! `cargo xtask ci`: everything that must hold before a change lands, one step after the other.

use std::error::Error;
use std::process::Command;
use std::time::Instant;

use crate::run::{self, RunError};
use crate::{openapi, test, tidy};

type Outcome = Result<(), Box<dyn Error>>;
type Step = fn() -> Outcome;

/// The name of each step, and what it does.
const STEPS: [(&str, Step); 6] = [
    ("format", format),
    ("clippy", clippy),
    ("tidy", tidy::perform),
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

/// rustfmt and clippy are components of a Rust toolchain, and a minimal one comes without them.
fn component(name: &str) -> Outcome {
    let mut probe: Command = run::cargo([name, "--version"]);
    run::output(&mut probe).map_err(|error| match error {
        RunError::Stopped => error.to_string(),
        _ => format!("`cargo {name}` is missing; run `rustup component add rustfmt clippy`"),
    })?;
    Ok(())
}
