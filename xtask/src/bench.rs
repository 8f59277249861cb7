//! `cargo xtask bench`: builds a release of Roots and has `roots-bench` measure it.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::openapi::executable;
use crate::postgres::{Cluster, Programs};
use crate::run::{self, RunError};

/// The page that shows what was measured, and the folder beside it with what was kept and the plots.
const PAGE: &str = "docs/performance.md";
const KEPT: &str = "docs/performance/results.json";
/// Where a smoke run keeps what it measured, below the folder of the builds.
const KEPT_OF_SMOKE: &str = "bench.json";

/// What is needed of `PostgreSQL` beyond what the tests need.
const NEEDED: [&str; 5] = ["createdb", "dropdb", "vacuumdb", "psql", "pgbench"];
/// The databases that are measured on.
const DATABASES: [&str; 3] = ["small", "large", "floor"];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// See whether it runs at all: a minute, and figures that mean nothing
    #[arg(long)]
    quick: bool,
    /// Measure what a quiet account feels of its neighbours, and nothing else. With a name, of those whose name contains
    /// it, and print it alone
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "")]
    neighbours: Option<String>,
    /// Measure on one database alone: sqlite or postgres
    #[arg(long, value_name = "DATABASE")]
    only: Option<String>,
    /// The `PostgreSQL` to measure on, instead of a throw-away one: the URL of any database of it. Three of our own are
    /// made beside it and dropped at the end
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Activities of one actor in the large database, instead of 1,000,000
    #[arg(long, value_name = "COUNT")]
    rows: Option<String>,
    /// Where databases are made: on the disk to measure, which must not be memory
    #[arg(long, value_name = "FOLDER", default_value = "/var/tmp")]
    folder: PathBuf,
    /// The file to keep what was measured in, docs/performance/results.json if not given
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Measure nothing: write what was kept into docs/performance.md, and the plots beside it
    #[arg(long)]
    report: bool,
}

pub(crate) fn perform(options: &Options) -> Result<(), Box<dyn Error>> {
    let messages = run::output(&mut run::cargo([
        "build",
        "--release",
        "--workspace",
        "--all-features",
        "--locked",
        "--message-format=json-render-diagnostics",
    ]))?;
    let built = |name| executable(&messages, name).ok_or(format!("cargo built no {name}"));
    let (server, bench) = (built("roots-server")?, built("roots-bench")?);
    let builds = server.parent().and_then(Path::parent).ok_or("the build is in no folder")?;
    let kept = match &options.out {
        Some(file) => file.clone(),
        None if options.quick => builds.join(KEPT_OF_SMOKE),
        None => run::workspace().join(KEPT),
    };
    if options.report {
        let page = run::workspace().join(PAGE);
        let mut report = Command::new(bench);
        report.arg("report").arg("--results").arg(kept).arg("--page").arg(page);
        return Ok(run::run(&mut report)?);
    }

    let folder = tempfile::Builder::new().prefix("roots-bench-").tempdir_in(&options.folder)?;
    if let Some(folder) = kept.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut measure = Command::new(bench);
    measure.arg("measure").arg("--server").arg(&server).arg("--folder").arg(folder.path());
    measure.arg("--out").arg(kept);
    if options.quick {
        measure.arg("--quick");
    }
    if let Ok(commit) = commit() {
        measure.args(["--commit", &commit]);
    }
    let more = [
        ("--rows", &options.rows),
        ("--only", &options.only),
        ("--neighbours", &options.neighbours),
    ];
    for (name, value) in more {
        if let Some(value) = value {
            measure.args([name, value]);
        }
    }
    let databases = match options.only.as_deref() {
        Some("sqlite") => None,
        _ => Some(Databases::make(options)?),
    };
    if let Some(databases) = &databases {
        measure.arg("--programs").arg(databases.programs.folder());
        measure.arg("--postgres").args(&databases.urls);
    }
    Ok(run::run(&mut measure)?)
}

/// What is measured, as git names it; marked where it is not what was committed.
fn commit() -> Result<String, RunError> {
    let mut git = Command::new("git");
    git.args(["describe", "--always", "--dirty", "--exclude=*"]).current_dir(run::workspace());
    Ok(run::output(&mut git)?.trim().to_owned())
}

/// Databases of our own. Dropped, they are gone.
struct Databases {
    programs: Programs,
    /// A database beside them.
    url: String,
    names: Vec<String>,
    urls: Vec<String>,
    /// What they are in, unless it was given.
    _cluster: Option<Cluster>,
}

impl Databases {
    /// Makes them, empty.
    fn make(options: &Options) -> Result<Self, Box<dyn Error>> {
        let programs = Programs::find_or_install()?;
        if let Some(name) = NEEDED.iter().find(|name| !programs.folder().join(name).is_file()) {
            return Err(format!("{} has no {name}", programs.folder().display()).into());
        }
        let cluster = match &options.database_url {
            Some(_) => None,
            None => Some(Cluster::start_durable(&options.folder)?),
        };
        let url = cluster.as_ref().map(Cluster::url).or_else(|| options.database_url.clone());
        let url = url.unwrap_or_default();
        let (names, urls) = (Vec::new(), Vec::new());
        let mut made = Self { programs, url, names, urls, _cluster: cluster };
        for name in DATABASES {
            let name = format!("roots_bench_{}_{name}", std::process::id());
            let beside = beside(&made.url, &name).ok_or("--database-url names no database")?;
            run::run(made.program("createdb").arg(&name))?;
            made.names.push(name);
            made.urls.push(beside);
        }
        Ok(made)
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.folder().join(name));
        command.arg("--maintenance-db").arg(&self.url);
        command
    }
}

impl Drop for Databases {
    fn drop(&mut self) {
        for name in &self.names {
            // Not by `run`, which does nothing more once we were told to stop. Where it fails, it says so itself.
            let _ = self.program("dropdb").arg(name).status();
        }
    }
}

/// The URL of another database of the same server.
fn beside(url: &str, name: &str) -> Option<String> {
    let (path, query) =
        url.split_once('?').map_or((url, None), |(path, query)| (path, Some(query)));
    let (server, _) = path.rsplit_once('/').filter(|(server, _)| !server.ends_with('/'))?;
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    Some(format!("{server}/{name}{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_beside_another_is_of_the_same_server() {
        let beside = |url| beside(url, "x");
        assert_eq!(beside("postgres://a:b@h:1/roots").as_deref(), Some("postgres://a:b@h:1/x"));
        assert_eq!(
            beside("postgres://h/roots?sslmode=require").as_deref(),
            Some("postgres://h/x?sslmode=require")
        );
        assert_eq!(beside("postgres://h"), None);
    }
}
