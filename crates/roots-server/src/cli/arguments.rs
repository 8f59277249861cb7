//! The command line: its commands and what each takes.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use roots_domain::model::account::ActorKind;
use roots_domain::model::id::AccountId;
use roots_domain::model::text::Name;
use roots_domain::service::accounts::Grant;

use super::raw_settings::RawSettings;

/// Roots keeps an agent's sessions, todos and activities, encrypted and accounted, and serves them
/// over HTTP.
///
/// Without a command it serves. On an empty database it first makes the operator account and writes
/// its key to a file.
#[derive(Parser)]
#[command(name = "roots-server", version, propagate_version = true)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) command: Option<CliCommand>,
    #[command(flatten)]
    pub(crate) settings: RawSettings,
}

/// What the program can be asked to do.
#[derive(Subcommand)]
pub(crate) enum CliCommand {
    /// Serve the API, which is also what happens without a command
    ///
    /// Brings the database to the newest schema first. SIGTERM or Ctrl-C stops it: it accepts no
    /// more, lets what is in flight end within 10 seconds, and exits with 0. A second one ends it at
    /// once; what was answered is safe even then.
    Serve,
    /// Bring the database to the newest schema, which every other command but backup does too
    Migrate,
    /// Make an account and print its key and recovery code, once, as POST /api/v1/bootstrap answers
    ///
    /// Works whatever `ROOTS_SIGNUP` says. The account starts with `ROOTS_SIGNUP_CREDITS`, an
    /// operator account with `ROOTS_OPERATOR_CREDITS`.
    Bootstrap(Bootstrap),
    /// See to the credits of accounts
    #[command(subcommand)]
    Credits(CreditsCommand),
    /// Copy an SQLite database to a new file, while it is served or not
    ///
    /// The copy holds everything as of one instant, and is itself a database to start on. An
    /// existing file is never overwritten. Of PostgreSQL, `pg_dump` makes a copy.
    Backup {
        /// The file to make
        file: PathBuf,
    },
    /// Prove every account's ledger and counts, and exit with 1 where one does not add up
    ///
    /// Recounts what is counted as it is written: balances from the ledger, tallies and daily counts
    /// from the rows. Prints each error.
    Verify,
    /// Print the description of the API, which is OpenAPI 3.1
    Openapi,
}

/// An account to make.
#[derive(Args)]
pub(crate) struct Bootstrap {
    /// Make an operator account, which may give credits
    #[arg(long)]
    pub(super) operator: bool,
    /// The account's name
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(super) account_name: Name,
    /// The name of its owner
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(super) actor_name: Name,
    /// What its owner is: agent or human
    #[arg(long, value_name = "TYPE", value_parser = actor_type, default_value = "agent")]
    pub(super) actor_type: ActorKind,
}

/// What can be done about credits.
#[derive(Subcommand)]
pub(crate) enum CreditsCommand {
    /// Give an account credits
    Grant {
        /// The account's id
        #[arg(long, value_name = "ID", value_parser = account_id, allow_hyphen_values = true)]
        account: AccountId,
        /// How many, from 1 to 1000000000
        #[arg(long, value_name = "CREDITS", value_parser = amount, allow_hyphen_values = true)]
        amount: Grant,
        /// What to note in the ledger
        #[arg(long, value_name = "TEXT", value_parser = name)]
        note: Option<Name>,
    },
}

fn name(given: &str) -> Result<Name, String> {
    Name::parse(given).map_err(|error| error.to_string())
}

fn actor_type(given: &str) -> Result<ActorKind, &'static str> {
    ActorKind::from_name(given).ok_or("must be agent or human")
}

fn account_id(given: &str) -> Result<AccountId, &'static str> {
    AccountId::parse(given).ok_or("must be a positive whole number")
}

fn amount(given: &str) -> Result<Grant, String> {
    let amount = given.parse().map_err(|_| "must be 1 to 1000000000")?;
    Grant::parse(amount).map_err(|error| error.to_string())
}
