//! The command line: its commands and the arguments that all of them take.

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::command::actors::ActorsCommand;
use crate::command::brief::BriefArguments;
use crate::command::credits::CreditsArguments;
use crate::command::events::EventsArguments;
use crate::command::export::ExportArguments;
use crate::command::import::ImportArguments;
use crate::command::keys::KeysCommand;
use crate::command::log::LogArguments;
use crate::command::login::{LoginArguments, LogoutArguments};
use crate::command::search::SearchArguments;
use crate::command::session::{EndArguments, NoteArguments, StartArguments};
use crate::command::setup::SetupArguments;
use crate::command::stats::StatsArguments;
use crate::command::todo::TodoCommand;

/// Keep account of your work in Roots: sessions, todos and activities
///
/// Run `roots login` first, or set `ROOTS_URL` and `ROOTS_API_KEY`.
#[derive(Debug, Parser)]
#[command(
    name = "roots",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    after_long_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not there, 4 no good key, \
                       5 conflict, 6 no credits, 7 try later."
)]
pub(crate) struct CommandLine {
    /// Print the whole answer as one JSON document, or only these fields of it
    ///
    /// In a list they are the fields of its rows. Errors are one JSON document on standard error.
    #[arg(
        long,
        global = true,
        value_name = "FIELD,…",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        value_delimiter = ','
    )]
    pub(crate) json: Option<Vec<String>>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Keep the API key for a server
    Login(LoginArguments),
    /// Delete the API key that is kept for a server
    Logout(LogoutArguments),
    /// Show the server, both versions, who you are, and the session of the work tree
    Status,
    /// Start a session and remember it for the work tree
    Start(StartArguments),
    /// End the session of the work tree
    End(EndArguments),
    /// Replace the notes of the session of the work tree
    Note(NoteArguments),
    /// Log an activity
    Log(LogArguments),
    /// Work with todos
    #[command(subcommand)]
    Todo(TodoCommand),
    /// Show what to know when you begin: what to do next, who waits, and what happened
    Brief(BriefArguments),
    /// Find words in all texts: notes, todos and activities
    Search(SearchArguments),
    /// Show what happens to the account, as it happens
    Events(EventsArguments),
    /// Count activities by type and by day
    Stats(StatsArguments),
    /// Show the balance, its changes, or how many calls there were
    Credits(CreditsArguments),
    /// Work with API keys and the recovery code
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Work with the actors of the account
    #[command(subcommand)]
    Actors(ActorsCommand),
    /// Export all data, decrypted, as lines of JSON
    Export(ExportArguments),
    /// Import an export of another account
    Import(ImportArguments),
    /// Set up a program so that its agents use Roots: hooks, the MCP server and instructions
    ///
    /// It shows the changes and asks. Entries of others stay as they are, and no key goes into a
    /// file. Twice is once, and --remove takes out exactly what was added.
    Setup(SetupArguments),
    /// Run by the hooks of programs: reads the event on standard input
    ///
    /// When a session of the program starts, it starts a session in Roots or finds it again, and
    /// answers with the brief. When the session ends, it ends that of Roots. It takes at most 2
    /// seconds and always exits with 0. `roots setup` adds it to a program.
    Hook {
        /// When it answers at the latest, in milliseconds; tests on busy machines need more
        #[arg(long, hide = true, default_value_t = 1_700)]
        deadline_ms: u64,
    },
    /// Serve MCP on standard input and output, by way of the server
    ///
    /// Each message goes to the server's /mcp. Tools that work in a session get that of the work
    /// tree, unless they name one. `roots setup` adds it to a program.
    Mcp {
        /// When a server counts as away, in milliseconds; tests on busy machines need more
        #[arg(long, hide = true, default_value_t = 800)]
        away_after_ms: u64,
    },
    /// Print a script that completes commands in your shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page of the program, or of one of its commands
    Man {
        /// The command, such as `todo add`
        command: Vec<String>,
    },
}
