//! `roots setup`: hooks, the MCP entry and a section of instructions for a program.

use std::env;
use std::io::{self, IsTerminal};
use std::path::PathBuf;

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use dialoguer::Confirm;
use serde_json::json;

use crate::error::CliError;
use crate::output::{ANY, Output, View, one_line, printable, tell};
use crate::setup::{Action, Change, Places, Plan, Program, Scope, SetupError, State};

/// A program to set up.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct SetupArguments {
    /// The program whose agents are to use Roots
    program: Program,
    /// Set it up for you in all projects, not for all who work on this project
    #[arg(long)]
    user: bool,
    /// Change nothing; exit with 1 if something is missing or old, and tell what
    #[arg(long, conflicts_with = "remove")]
    check: bool,
    /// Take out what was added
    #[arg(long)]
    remove: bool,
    /// Do not ask before the files are written
    #[arg(long, short = 'y', conflicts_with = "check")]
    yes: bool,
}

/// Shows what would change, asks, and changes it.
///
/// # Errors
///
/// If a file can't be read or written, or nobody agrees.
pub(crate) fn setup(arguments: &SetupArguments, output: &Output) -> Result<(), CliError> {
    let view = View::new(output, ANY)?;
    let scope = if arguments.user { Scope::User } else { Scope::Project };
    let action = if arguments.remove { Action::Remove } else { Action::Add };
    let plan = Plan::new(arguments.program, scope, &places()?, action).map_err(failed)?;
    let changes: Vec<_> = plan.changes().iter().map(|change| shown(change, action)).collect();
    let report = |is_written: bool, text: &str| {
        view.show(&json!({"files": changes, "written": is_written}), || text.to_owned())
    };
    if plan.changes().is_empty() {
        return report(false, "Nothing to change.");
    }
    if arguments.check {
        let lines: Vec<_> = plan.changes().iter().map(line).collect();
        report(false, &lines.join("\n"))?;
        let value = arguments.program.to_possible_value();
        let name = value.as_ref().map(PossibleValue::get_name).unwrap_or_default();
        let user = if arguments.user { " --user" } else { "" };
        return Err(CliError::Failed(format!(
            "the setup is not complete: run `roots setup {name}{user}`"
        )));
    }
    if !arguments.yes {
        tell(&diff(&plan));
        agree(plan.changes().len())?;
    } else if !output.is_json() {
        tell(&diff(&plan));
    }
    plan.apply().map_err(failed)?;
    if let Some(note) = arguments.program.note(scope).filter(|_| action == Action::Add) {
        tell(note);
    }
    let lines: Vec<_> =
        plan.changes().iter().map(|change| format!("Wrote {}", path(change))).collect();
    report(true, &lines.join("\n"))
}

/// Asks whether to write the files.
fn agree(files: usize) -> Result<(), CliError> {
    if !io::stdin().is_terminal() {
        return Err(CliError::Usage(
            "nothing was written: repeat the command with --yes, since there is no terminal to ask \
             at"
                .to_owned(),
        ));
    }
    let prompt = format!("Write {files} {}?", if files == 1 { "file" } else { "files" });
    let answer = Confirm::new().with_prompt(prompt).default(false).interact();
    match answer {
        Ok(true) => Ok(()),
        Ok(false) => Err(CliError::Failed("nothing was written".to_owned())),
        Err(dialoguer::Error::IO(source)) => {
            Err(CliError::System { what: "the answer can't be read", source })
        }
    }
}

fn shown(change: &Change, action: Action) -> serde_json::Value {
    let state = match (action, change.state) {
        (Action::Remove, _) => "to_remove",
        (Action::Add, State::Missing) => "missing",
        (Action::Add, State::Old) => "old",
    };
    json!({"path": change.path, "state": state})
}

fn line(change: &Change) -> String {
    let state = match change.state {
        State::Missing => "missing in",
        State::Old => "old or incomplete in",
    };
    format!("{state} {}", path(change))
}

/// The difference, without what the files may hold to change the terminal.
fn diff(plan: &Plan) -> String {
    printable(&plan.diff().replace("\r\n", "\n"))
}

fn path(change: &Change) -> String {
    one_line(&change.path.to_string_lossy())
}

/// Where the files are: the project is the Git work tree, or else the current folder.
fn places() -> Result<Places, CliError> {
    let folder = env::current_dir()
        .map_err(|source| CliError::System { what: "the current folder can't be found", source })?;
    let project = folder.ancestors().find(|folder| folder.join(".git").exists());
    let home = etcetera::home_dir()
        .map_err(|_| CliError::Failed("there is no home folder: set HOME".to_owned()))?;
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    Ok(Places {
        project: project.unwrap_or(&folder).to_owned(),
        home,
        claude: variable("CLAUDE_CONFIG_DIR"),
        codex: variable("CODEX_HOME"),
    })
}

fn failed(error: SetupError) -> CliError {
    match error {
        SetupError::NoSuchScope(text) => CliError::Usage(text.to_owned()),
        error => CliError::Failed(error.to_string()),
    }
}
