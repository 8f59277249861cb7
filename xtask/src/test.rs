//! `cargo xtask test`: runs the tests of the workspace, on `SQLite` and on a temporary
//! `PostgreSQL`, and in a browser.

use std::error::Error;

use crate::browser;
use crate::postgres::Cluster;
use crate::run;

pub(crate) fn perform(args: &[String]) -> Result<(), Box<dyn Error>> {
    let browser = browser::variables()?;
    let cluster = Cluster::start()?;
    // All tasks select the same crates and features: another selection would rebuild the database
    // libraries.
    let mut cargo = run::cargo(["test", "--workspace", "--all-features", "--locked"]);
    run::run(cargo.args(args).envs(cluster.variables()).envs(browser))?;
    Ok(())
}
