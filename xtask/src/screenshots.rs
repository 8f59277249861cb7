//! `cargo xtask screenshots`: pictures of every page, to look at, and the time of the first paint.

use std::error::Error;
use std::process::Command;

use crate::built::{self, Profile};
use crate::{browser, run};

const PROGRAMS: [&str; 2] = ["roots-server", "roots-screenshots"];

pub(crate) fn perform(paint: bool) -> Result<(), Box<dyn Error>> {
    let variables = browser::variables()?;
    let mut screenshots = if paint { of_paint()? } else { of_pages()? };
    Ok(run::run(screenshots.envs(variables))?)
}

fn of_pages() -> Result<Command, Box<dyn Error>> {
    let [server, screenshots] = built::programs(Profile::Test, PROGRAMS)?;
    let mut command = Command::new(screenshots);
    command.arg("--server").arg(server);
    command.arg("--out").arg(run::builds().join("screenshots"));
    command.arg("--readme").arg(run::workspace().join("docs/screenshots"));
    Ok(command)
}

/// A release, as users start it.
fn of_paint() -> Result<Command, Box<dyn Error>> {
    let [server, screenshots] = built::programs(Profile::Release, PROGRAMS)?;
    let mut command = Command::new(screenshots);
    command.arg("--paint").arg("--server").arg(server);
    Ok(command)
}
