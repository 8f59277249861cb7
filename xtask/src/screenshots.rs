//! `cargo xtask screenshots`: pictures of every page, to look at.

use std::error::Error;
use std::process::Command;

use crate::openapi::build_program;
use crate::{browser, run};

pub(crate) fn perform() -> Result<(), Box<dyn Error>> {
    let variables = browser::variables()?;
    let server = build_program("roots-server")?;
    let mut screenshots = Command::new(build_program("roots-screenshots")?);
    screenshots.arg("--server").arg(server);
    screenshots.arg("--out").arg(run::builds().join("screenshots"));
    screenshots.arg("--readme").arg(run::workspace().join("docs/screenshots"));
    Ok(run::run(screenshots.envs(variables))?)
}
