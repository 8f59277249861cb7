//! The development tasks of the workspace, as `cargo xtask NAME`: the checks of CI, the tests with
//! a temporary `PostgreSQL`, the benchmark, the tidy rules and the committed `OpenAPI` document.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the developer at the terminal reads the progress of a task"
)]

mod bench;
mod browser;
mod built;
mod ci;
mod cluster;
mod conformance;
mod deny;
mod openapi;
mod packages;
mod postgres;
mod provide;
mod run;
mod screenshots;
mod test;
mod tidy;
mod tools;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(bin_name = "cargo xtask", about = "Development tasks of Roots")]
enum Task {
    /// Run all checks of CI: format, clippy, tidy, licences, tests on both databases, docs,
    /// `OpenAPI`
    Ci,
    /// Run the tests of the workspace on both databases, or those of the database and the API on a
    /// cluster
    Test {
        #[command(flatten)]
        cluster: cluster::ClusterOptions,
        /// Arguments for `cargo test --workspace`: part of a test's name, `--test NAME`,
        /// `-- --nocapture` … (`-p` has no effect with `--workspace`)
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Start a temporary `PostgreSQL` for tests, print its URL, and keep it until Ctrl-C or the end
    /// of the input
    Postgres,
    /// Build a release and measure it against the floors of this machine (docs/performance.md)
    Bench(bench::BenchOptions),
    /// Check licences, bans and sources of dependencies with cargo-deny, which is installed if
    /// missing (advisories need the network: `cargo deny check advisories`)
    Deny,
    /// Check the rules that the compiler doesn't
    Tidy,
    /// Check the `OpenAPI` document, and a running server on each database, with external tools for
    /// clients and tests, which are installed if missing
    Conformance,
    /// Write pictures of every page to target/screenshots, and those of the README to
    /// docs/screenshots
    Screenshots {
        /// Write none; measure the first paint of Now on a slow line, against a release
        /// (docs/performance.md)
        #[arg(long)]
        paint: bool,
    },
    /// Write the `OpenAPI` document to docs/openapi.json, and from it the reference of docs/api.md
    Openapi {
        /// Write nothing; fail if one of them differs from the code
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    match perform(Task::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a task. Temporary servers and folders are dropped before this returns, even after Ctrl-C.
fn perform(task: Task) -> Result<(), Box<dyn Error>> {
    run::handle_signals()?;
    match task {
        Task::Ci => ci::perform(),
        Task::Test { cluster, args } => {
            cluster::perform(&cluster, &args).unwrap_or_else(|| test::perform(&args))
        }
        Task::Postgres => postgres::perform(),
        Task::Bench(options) => bench::perform(&options),
        Task::Deny => deny::perform(),
        Task::Tidy => tidy::perform(),
        Task::Conformance => conformance::perform(),
        Task::Screenshots { paint } => screenshots::perform(paint),
        Task::Openapi { check } => openapi::perform(check),
    }
}
