//! `cargo xtask test --cluster URL`: runs the tests of the database and of the API on a Citus
//! cluster that the caller has started, and those that stop its nodes.

use std::error::Error;
use std::process::Command;

use clap::Args;

use crate::postgres::Cluster;
use crate::run;

/// The cluster to test on, instead of a temporary `PostgreSQL`.
#[derive(Args)]
pub(crate) struct ClusterOptions {
    /// Run the tests on a Citus cluster: the URL of a database on its coordinator, as a superuser,
    /// that has the extension and knows the nodes. Each test makes databases of its own on all
    /// nodes, and drops them
    #[arg(long, value_name = "URL")]
    cluster: Option<String>,
    /// A shell command that kills the node `$ROOTS_NODE_HOST:$ROOTS_NODE_PORT` and returns when it
    /// has ended
    #[arg(long, value_name = "COMMAND", requires = "cluster", requires = "start")]
    stop: Option<String>,
    /// A shell command that starts that node and returns when it accepts connections
    #[arg(long, value_name = "COMMAND", requires = "cluster", requires = "stop")]
    start: Option<String>,
}

/// The suites, each a crate and a test target.
const SUITES: [(&str, &str); 2] = [("roots-persistence", "it"), ("roots-server", "api")];
/// Parts of the names of tests that a cluster has no place for: those on `SQLite`, one that adds a
/// trigger to a table of tenants, one that drops the schema, one that finds the triggers of Citus
/// itself, and one that finds all statements over all accounts at one server.
const NOT_ON_CLUSTERS: [&str; 5] = [
    "sqlite::",
    "a_commit_refused_by_a_constraint_fails_only_the_command_that_broke_it",
    "repeated_and_concurrent_migrations_change_nothing",
    "the_schema_has_no_sequences_triggers_functions_or_computed_defaults",
    "every_statement_allowed_over_all_tenants_is_in_use",
];
/// The suite that stops nodes: its tests run one after another, and tell what they measured.
const NODES: (&str, &str) = ("roots-server", "cluster");

/// Runs the tests, if there is a cluster to run them on.
pub(crate) fn perform(
    options: &ClusterOptions,
    args: &[String],
) -> Option<Result<(), Box<dyn Error>>> {
    let url = options.cluster.as_ref()?;
    Some(perform_on(url, options, args))
}

fn perform_on(url: &str, options: &ClusterOptions, args: &[String]) -> Result<(), Box<dyn Error>> {
    // For the tests that need a server of their own.
    let server = Cluster::start()?;
    let test = |(package, target)| {
        let mut cargo = run::cargo(["test", "--all-features", "--locked", "--no-fail-fast"]);
        cargo.args(["--package", package, "--test", target]);
        cargo.args(args);
        cargo.env("ROOTS_TEST_CLUSTER", url).envs(server.variables());
        cargo
    };
    let mut failed = Vec::new();
    let mut note = |mut cargo: Command| match run::run(&mut cargo) {
        Ok(()) => run::stop_asked().map_err(Box::<dyn Error>::from),
        Err(run::RunError::Stopped) => Err(run::RunError::Stopped.into()),
        Err(error) => {
            failed.push(error.to_string());
            Ok(())
        }
    };
    for suite in SUITES {
        let mut cargo = test(suite);
        cargo.arg("--").args(NOT_ON_CLUSTERS.iter().flat_map(|name| ["--skip", name]));
        note(cargo)?;
    }
    match (&options.stop, &options.start) {
        (Some(stop), Some(start)) => {
            let mut cargo = test(NODES);
            cargo.args(["--", "--test-threads=1", "--nocapture"]);
            cargo.env("ROOTS_TEST_CLUSTER_STOP", stop).env("ROOTS_TEST_CLUSTER_START", start);
            note(cargo)?;
        }
        _ => println!("No node was stopped: that takes --stop COMMAND and --start COMMAND."),
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("; ").into()) }
}
