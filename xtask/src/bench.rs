//! `cargo xtask bench`: builds a release of Roots and measures it with `roots-bench`.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::built::{self, Profile};
use crate::postgres::{Cluster, Programs};
use crate::run::{self, RunError};

/// The page that shows the results.
const PAGE: &str = "docs/performance.md";
/// The stored results. The plots are in the same folder.
const RESULTS: &str = "docs/performance/results.json";
/// The results of a smoke test, in cargo's target folder.
const SMOKE_TEST_RESULTS: &str = "bench.json";

/// The `PostgreSQL` programs that the benchmark needs besides those that the tests need.
const NEEDED: [&str; 5] = ["createdb", "dropdb", "vacuumdb", "psql", "pgbench"];
/// The databases that the benchmark uses.
const DATABASES: [&str; 3] = ["small", "large", "floor"];

#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct BenchOptions {
    /// Run a smoke test for a minute; its figures mean nothing
    #[arg(long)]
    quick: bool,
    /// Measure only the effect of neighbours. With a NAME, measure those whose name contains it,
    /// and store nothing
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "")]
    neighbours: Option<String>,
    /// Measure only what agents use: the brief, claims, search and MCP
    #[arg(long, conflicts_with = "neighbours")]
    agents: bool,
    /// Measure only what people who look at the dashboard use: its first page, streams and lists
    #[arg(long, conflicts_with_all = ["neighbours", "agents"])]
    dashboard: bool,
    /// Compare the writes with those of another build: the path of its `roots-server`
    #[arg(long, value_name = "PROGRAM", conflicts_with_all = ["neighbours", "agents", "dashboard"])]
    against: Option<PathBuf>,
    /// Compare a Citus cluster that you have started with one `PostgreSQL`: the URL of an empty
    /// database on its coordinator, which has the extension and knows the nodes
    #[arg(long, value_name = "URL",
        conflicts_with_all = ["neighbours", "agents", "dashboard", "against", "only"])]
    cluster: Option<String>,
    /// Measure on one database only: sqlite or postgres
    #[arg(long, value_name = "DATABASE")]
    only: Option<String>,
    /// Use this `PostgreSQL` server instead of a temporary one: the URL of any of its databases.
    /// The benchmark creates three databases there and drops them at the end
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Activities of one actor in the large database; with `--agents`, its open todos; with
    /// `--dashboard`, its sessions and todos too; 1,000,000 by default
    #[arg(long, value_name = "COUNT")]
    rows: Option<String>,
    /// Put the databases here, on the disk to measure; not a folder in memory
    #[arg(long, value_name = "FOLDER", default_value = "/var/tmp")]
    folder: PathBuf,
    /// Store the results in this file; docs/performance/results.json by default
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Measure nothing; write the stored results and plots into docs/performance.md
    #[arg(long)]
    report: bool,
}

pub(crate) fn perform(options: &BenchOptions) -> Result<(), Box<dyn Error>> {
    let [server, bench] = built::programs(Profile::Release, ["roots-server", "roots-bench"])?;
    let target = server.parent().and_then(Path::parent).ok_or("cargo has no target folder")?;
    let results = match &options.out {
        Some(file) => file.clone(),
        None if options.quick => target.join(SMOKE_TEST_RESULTS),
        None => run::workspace().join(RESULTS),
    };
    if options.report {
        let page = run::workspace().join(PAGE);
        let mut report = Command::new(bench);
        report.arg("report").arg("--results").arg(results).arg("--page").arg(page);
        return Ok(run::run(&mut report)?);
    }

    let folder = tempfile::Builder::new().prefix("roots-bench-").tempdir_in(&options.folder)?;
    if let Some(folder) = results.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut measure = Command::new(bench);
    measure.arg("measure").arg("--server").arg(&server).arg("--folder").arg(folder.path());
    measure.arg("--out").arg(results);
    if options.quick {
        measure.arg("--quick");
    }
    if options.agents {
        measure.arg("--agents");
    }
    if options.dashboard {
        measure.arg("--dashboard");
    }
    if let Some(other) = &options.against {
        measure.arg("--against").arg(other);
    }
    if let Ok(commit) = commit() {
        measure.args(["--commit", &commit]);
    }
    let more = [
        ("--rows", &options.rows),
        ("--only", &options.only),
        ("--neighbours", &options.neighbours),
        ("--cluster", &options.cluster),
    ];
    for (name, value) in more {
        if let Some(value) = value {
            measure.args([name, value]);
        }
    }
    let databases = match options.only.as_deref() {
        Some("sqlite") => None,
        _ => Some(BenchDatabases::create(options)?),
    };
    if let Some(databases) = &databases {
        measure.arg("--programs").arg(databases.programs.folder());
        measure.arg("--postgres").args(&databases.urls);
    }
    Ok(run::run(&mut measure)?)
}

/// The commit as `git describe` names it, with the suffix `-dirty` if there are changes.
fn commit() -> Result<String, RunError> {
    let mut git = Command::new("git");
    git.args(["describe", "--always", "--dirty", "--exclude=*"]).current_dir(run::workspace());
    Ok(run::output(&mut git)?.trim().to_owned())
}

/// The databases of the benchmark, which are dropped when this is dropped.
struct BenchDatabases {
    programs: Programs,
    /// The URL of another database of the same server.
    url: String,
    names: Vec<String>,
    urls: Vec<String>,
    /// The temporary server, unless the options name another one.
    _cluster: Option<Cluster>,
}

impl BenchDatabases {
    /// Creates empty databases.
    fn create(options: &BenchOptions) -> Result<Self, Box<dyn Error>> {
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
        let mut databases = Self { programs, url, names, urls, _cluster: cluster };
        for name in DATABASES {
            let name = format!("roots_bench_{}_{name}", std::process::id());
            let url =
                with_database(&databases.url, &name).ok_or("--database-url names no database")?;
            run::run(databases.program("createdb").arg(&name))?;
            databases.names.push(name);
            databases.urls.push(url);
        }
        Ok(databases)
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.folder().join(name));
        command.arg("--maintenance-db").arg(&self.url);
        command
    }
}

impl Drop for BenchDatabases {
    fn drop(&mut self) {
        for name in &self.names {
            // `run` would start nothing after Ctrl-C. If `dropdb` fails, it prints the error
            // itself.
            let _ = self.program("dropdb").arg(name).status();
        }
    }
}

/// Replaces the database in a URL.
fn with_database(url: &str, name: &str) -> Option<String> {
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
    fn with_database_replaces_only_the_database() {
        let replaced = |url| with_database(url, "x");
        assert_eq!(replaced("postgres://a:b@h:1/roots").as_deref(), Some("postgres://a:b@h:1/x"));
        assert_eq!(
            replaced("postgres://h/roots?sslmode=require").as_deref(),
            Some("postgres://h/x?sslmode=require")
        );
        assert_eq!(replaced("postgres://h"), None);
    }
}
