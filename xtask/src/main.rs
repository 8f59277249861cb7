//! The chores of the workspace, as `cargo xtask NAME`: what CI runs, the tests with a throw-away `PostgreSQL`, the
//! benchmark, the rules of the house and the committed `OpenAPI` document.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a chore tells the developer at the terminal how it went"
)]

mod bench;
mod ci;
mod deny;
mod openapi;
mod postgres;
mod run;
mod test;
mod tidy;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(bin_name = "cargo xtask", about = "The chores of Roots")]
enum Chore {
    /// All that CI runs: format, clippy, tidy, licences, the tests on both databases, docs, the API's document
    Ci,
    /// Run the tests of the whole workspace, on both databases
    Test {
        /// Passed on to `cargo test --workspace`: a part of a test's name, `--test NAME`, `-- --nocapture`, … (`-p`
        /// does nothing beside `--workspace`)
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Start the tests' throw-away database server, print its URL, keep it until Ctrl-C or the end of the input
    Postgres,
    /// Build a release and measure it against what this machine can do at best (docs/performance.md)
    Bench(bench::Options),
    /// Check licences, bans and sources of what we depend on, by cargo-deny, which is installed where it is missing
    /// (advisories, which need the net: `cargo deny check advisories`)
    Deny,
    /// Check the rules of the house that the compiler doesn't know
    Tidy,
    /// Write the API's document, as the code has it, to docs/openapi.json
    Openapi {
        /// Only compare, and fail where they differ
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    match perform(Chore::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Everything that must be put away when the chore ends, however it ends, is dropped on the way out of here.
fn perform(chore: Chore) -> Result<(), Box<dyn Error>> {
    run::heed_signals()?;
    match chore {
        Chore::Ci => ci::perform(),
        Chore::Test { args } => test::perform(&args),
        Chore::Postgres => postgres::perform(),
        Chore::Bench(options) => bench::perform(&options),
        Chore::Deny => deny::perform(),
        Chore::Tidy => tidy::perform(),
        Chore::Openapi { check } => openapi::perform(check),
    }
}
