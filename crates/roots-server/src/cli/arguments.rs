//! The command line: its commands and their arguments.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use roots_domain::model::account::ActorKind;
use roots_domain::model::id::AccountId;
use roots_domain::model::text::Name;
use roots_domain::service::accounts::Grant;

use super::raw_settings::RawSettings;

/// Roots stores sessions, todos and activities of AI agents, encrypted and accounted for, and
/// serves them over HTTP.
///
/// Without a command it serves. On an empty database it first creates the operator account and
/// writes its key to a file.
#[derive(Parser)]
#[command(name = "roots-server", version, propagate_version = true)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) command: Option<CliCommand>,
    #[command(flatten)]
    pub(crate) settings: RawSettings,
}

/// The commands of the program.
#[derive(Subcommand)]
pub(crate) enum CliCommand {
    /// Serve the API (the default)
    ///
    /// Migrates the database first. SIGTERM or Ctrl-C stops it: it accepts no more requests, lets
    /// running ones finish within 10 seconds, and exits with 0. A second signal ends it at once;
    /// answered writes are durable even then.
    Serve,
    /// Migrate the database to the newest schema
    ///
    /// Serve, bootstrap, credits and verify migrate it too before they begin. On a cluster, tables
    /// that are new are spread as the others are.
    Migrate,
    /// Create an account and print its key and recovery code, once, as POST /api/v1/bootstrap
    /// answers
    ///
    /// Works for any `ROOTS_SIGNUP`. The account starts with `ROOTS_SIGNUP_CREDITS`, an operator
    /// account with `ROOTS_OPERATOR_CREDITS`.
    Bootstrap(Bootstrap),
    /// Manage accounts' credits
    #[command(subcommand)]
    Credits(CreditsCommand),
    /// Copy a SQLite database to a new file, even while it is served
    ///
    /// The copy is a consistent snapshot and a usable database. An existing file is never
    /// overwritten. For PostgreSQL, use `pg_dump`.
    Backup {
        /// The file to create
        file: PathBuf,
    },
    /// Verify every account's ledger and counts, and exit with 1 if one is wrong
    ///
    /// Recounts balances from the ledger, and counters and daily counts from the rows. Prints each
    /// mismatch.
    Verify,
    /// Spread the tables over the machines of a Citus cluster, by account
    ///
    /// Stop all Roots processes first, and start them after: each reads at its start whether the
    /// tables are spread. Migrates the database and moves the rows that it has. May be run again,
    /// and does only what is missing. Says what it may not do, and what to type as a superuser.
    Distribute(Distribute),
    /// Print the OpenAPI 3.1 document of the API
    Openapi,
}

/// How to spread the tables.
#[derive(Args)]
pub(crate) struct Distribute {
    /// The number of parts that the accounts are divided into: the most machines that they can ever
    /// be on
    #[arg(long, value_name = "NUMBER", default_value_t = 32,
        value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(super) shards: u32,
    /// Change nothing; print what is missing, and exit with 1 if something is
    #[arg(long, conflicts_with = "shards")]
    pub(super) check: bool,
}

/// An account to make.
#[derive(Args)]
pub(crate) struct Bootstrap {
    /// Create an operator account, which may grant credits
    #[arg(long)]
    pub(super) operator: bool,
    /// The account's name
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(super) account_name: Name,
    /// The name of its owner
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(super) actor_name: Name,
    /// The kind of its owner: agent or human
    #[arg(long, value_name = "TYPE", value_parser = actor_type, default_value = "agent")]
    pub(super) actor_type: ActorKind,
}

/// The commands on credits.
#[derive(Subcommand)]
pub(crate) enum CreditsCommand {
    /// Grant credits to an account
    Grant {
        /// The account's id
        #[arg(long, value_name = "ID", value_parser = account_id, allow_hyphen_values = true)]
        account: AccountId,
        /// The number of credits, from 1 to 1000000000
        #[arg(long, value_name = "CREDITS", value_parser = amount, allow_hyphen_values = true)]
        amount: Grant,
        /// A note for the ledger
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
