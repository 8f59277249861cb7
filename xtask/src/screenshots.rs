//! `cargo xtask screenshots`: pictures of every page, to look at, and the time of the first paint.

use std::error::Error;
use std::process::Command;

use crate::openapi::{build_program, executable};
use crate::{browser, run};

pub(crate) fn perform(paint: bool) -> Result<(), Box<dyn Error>> {
    let variables = browser::variables()?;
    let mut screenshots = if paint { of_paint()? } else { of_pages()? };
    Ok(run::run(screenshots.envs(variables))?)
}

fn of_pages() -> Result<Command, Box<dyn Error>> {
    let server = build_program("roots-server")?;
    let mut command = Command::new(build_program("roots-screenshots")?);
    command.arg("--server").arg(server);
    command.arg("--out").arg(run::builds().join("screenshots"));
    command.arg("--readme").arg(run::workspace().join("docs/screenshots"));
    Ok(command)
}

/// A release, as users start it.
fn of_paint() -> Result<Command, Box<dyn Error>> {
    let messages = run::output(&mut run::cargo([
        "build",
        "--release",
        "--workspace",
        "--all-features",
        "--locked",
        "--message-format=json-render-diagnostics",
    ]))?;
    let built = |name| executable(&messages, name).ok_or(format!("cargo built no {name}"));
    let mut command = Command::new(built("roots-screenshots")?);
    command.arg("--paint").arg("--server").arg(built("roots-server")?);
    Ok(command)
}
