//! The command `roots`: what agents and people do with a Roots server, from a shell.
//!
//! - [`arguments`]: the commands; [`dispatch`] runs the one that was given.
//! - [`command`]: one file a group of commands, with its arguments.
//! - [`connection`]: the server and the key to call it with; [`credentials`] keeps the key, and
//!   [`private_file`] writes files that only their owner can read.
//! - [`work_tree`]: what is remembered for a work tree; [`session_link`] uses its session.
//!   [`state_file`]: how that is kept.
//! - [`dates`] and [`text_source`]: how times and texts are given; [`paging`]: which page of a
//!   list; [`values`]: what several commands take.
//! - [`question`]: asks before what can't be undone.
//! - [`progress`]: how far an export or an import is, and [`cuts`]: when it goes on after a cut.
//! - [`setup`]: the files of the programs in which agents work; [`hook`] is run by their hooks, and
//!   [`mcp_proxy`] is their MCP server.
//! - [`output`]: data on standard output, everything else on standard error.
//! - [`error`]: what goes wrong, and the exit codes.

mod arguments;
mod command;
mod connection;
mod credentials;
mod cuts;
mod dates;
mod dispatch;
mod error;
mod hook;
mod mcp_proxy;
mod output;
mod paging;
mod private_file;
mod progress;
mod question;
mod session_link;
mod setup;
mod state_file;
mod text_source;
mod values;
mod work_tree;

use std::env;
use std::process::ExitCode;

use clap::Parser;

use arguments::CommandLine;
use error::CliError;
use output::Output;

fn main() -> ExitCode {
    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) => return refuse(&error),
    };
    let output = Output::new(line.json);
    match dispatch::run(line.command, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output.report(&error);
            error.exit_code()
        }
    }
}

/// Arguments that are refused, or a request for help or the version.
fn refuse(error: &clap::Error) -> ExitCode {
    let wants_json = env::args_os()
        .any(|argument| argument.to_str().is_some_and(|text| text.starts_with("--json")));
    if error.use_stderr() && wants_json {
        let text = error.render().to_string();
        let text = text.trim_end().trim_start_matches("error: ");
        let usage = CliError::Usage(text.to_owned());
        Output::new(Some(Vec::new())).report(&usage);
        return usage.exit_code();
    }
    error.exit()
}
