//! `cargo xtask test`: the tests of the whole workspace, on `SQLite` and on a throw-away `PostgreSQL`.

use std::error::Error;

use crate::postgres::Cluster;
use crate::run;

pub(crate) fn perform(args: &[String]) -> Result<(), Box<dyn Error>> {
    let cluster = Cluster::start()?;
    // One form of cargo command everywhere: another selection of crates or features builds the database layers anew.
    let mut cargo = run::cargo(["test", "--workspace", "--all-features", "--locked"]);
    run::run(cargo.args(args).envs(cluster.variables()))?;
    Ok(())
}
