//! The commands other than `serve`, for whoever runs the program.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use roots_domain::model::account::{AccountKind, ActorKind};
use roots_domain::model::id::AccountId;
use roots_domain::model::text::Name;
use roots_domain::port::store::{AccountReader, Auditor, StoreFault};
use roots_domain::usecase::accounts::{AccountDraft, Grant, NewCredentials};
use roots_http::Bootstrapped;
use roots_persistence::{Store, Threads};
use zeroize::Zeroizing;

use crate::ambient::SystemClock;
use crate::app;
use crate::failure::Failure;
use crate::settings::Settings;

/// What the program can be asked to do.
#[derive(Subcommand)]
pub(crate) enum Command {
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
    Credits(Credits),
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
    /// from the rows. Prints each fault.
    Verify,
    /// Print the description of the API, which is OpenAPI 3.1
    Openapi,
}

/// An account to make.
#[derive(Args)]
pub(crate) struct Bootstrap {
    /// Make an operator account, which may give credits
    #[arg(long)]
    operator: bool,
    /// The account's name
    #[arg(long, value_name = "NAME", value_parser = name)]
    account_name: Name,
    /// The name of its owner
    #[arg(long, value_name = "NAME", value_parser = name)]
    actor_name: Name,
    /// What its owner is: agent or human
    #[arg(long, value_name = "TYPE", value_parser = actor_type, default_value = "agent")]
    actor_type: ActorKind,
}

/// What can be done about credits.
#[derive(Subcommand)]
pub(crate) enum Credits {
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
    Name::parse(given).map_err(|fault| fault.to_string())
}

fn actor_type(given: &str) -> Result<ActorKind, &'static str> {
    ActorKind::from_name(given).ok_or("must be agent or human")
}

fn account_id(given: &str) -> Result<AccountId, &'static str> {
    AccountId::parse(given).ok_or("must be a positive whole number")
}

fn amount(given: &str) -> Result<Grant, String> {
    let amount = given.parse().map_err(|_| "must be 1 to 1000000000")?;
    Grant::parse(amount).map_err(|fault| fault.to_string())
}

/// `migrate`.
pub(crate) async fn migrate(settings: &Settings) -> Result<(), Failure> {
    let store = app::open(&settings.database_url, &Threads::default()).await?;
    store.close().await;
    print("The database has the newest schema.\n")
}

/// More bytes than `bootstrap` ever prints.
const CREDENTIALS_ROOM: usize = 8 * 1024;

/// `bootstrap`.
pub(crate) async fn bootstrap(settings: &Settings, asked: Bootstrap) -> Result<(), Failure> {
    let (kind, credits) = if asked.operator {
        (AccountKind::Operator, settings.operator_credits)
    } else {
        (AccountKind::Customer, settings.signup_credits)
    };
    let draft = AccountDraft {
        name: asked.account_name,
        kind,
        owner_name: asked.actor_name,
        owner_kind: asked.actor_type,
        credits,
    };
    let store = app::open(&settings.database_url, &Threads::default()).await?;
    let made = app::services(&store).accounts.bootstrap(draft).await;
    store.close().await;
    print(credentials(&made?)?)
}

/// What `bootstrap` prints.
fn credentials(made: &NewCredentials) -> Result<Zeroizing<Vec<u8>>, Failure> {
    // With room for all: bytes that grow are moved, and leave the secrets behind where they were.
    let mut told = Zeroizing::new(Vec::with_capacity(CREDENTIALS_ROOM));
    serde_json::to_writer_pretty(&mut *told, &Bootstrapped::from(made)).map_err(Failure::Word)?;
    told.push(b'\n');
    Ok(told)
}

/// `credits grant`.
pub(crate) async fn credits(settings: &Settings, asked: Credits) -> Result<(), Failure> {
    let Credits::Grant { account, amount, note } = asked;
    let store = app::open(&settings.database_url.clone().existing(), &Threads::default()).await?;
    let granted = app::services(&store).accounts.grant(account, amount, note).await;
    store.close().await;
    print(format!("Account {account} has {} credits now.\n", granted?))
}

/// `backup`.
pub(crate) async fn backup(settings: &Settings, file: PathBuf) -> Result<(), Failure> {
    // Not migrated: the copy to keep from before a new schema has the old one.
    let store =
        Store::open(&settings.database_url.clone().existing(), Arc::new(SystemClock)).await?;
    // From the wrong folder, it would be a copy of a database that was made just now.
    let copied = match store.has_accounts().await {
        Ok(true) => store.backup(&file).await.map_err(Failure::from),
        Ok(false) | Err(StoreFault::Broken(_)) => {
            Err(Failure::NothingToCopy(settings.database_url.clone()))
        }
        Err(fault) => Err(fault.into()),
    };
    store.close().await;
    copied?;
    print(format!("The database was copied to {}.\n", file.display()))
}

/// `verify`.
pub(crate) async fn verify(settings: &Settings) -> Result<(), Failure> {
    let store = app::open(&settings.database_url.clone().existing(), &Threads::default()).await?;
    let audited = store.audit().await;
    store.close().await;
    let (accounts, faults) = audited?;
    for fault in &faults {
        let whose = match fault.account {
            Some(account) => format!("Account {account}"),
            None => "All accounts".to_owned(),
        };
        print(format!("{whose}: {}.\n", fault.fault))?;
    }
    let proved = match accounts {
        1 => "1 account was proved".to_owned(),
        many => format!("{many} accounts were proved"),
    };
    let found = match faults.len() {
        0 => "no fault was found".to_owned(),
        1 => "1 fault was found".to_owned(),
        many => format!("{many} faults were found"),
    };
    print(format!("{proved}; {found}.\n"))?;
    if faults.is_empty() { Ok(()) } else { Err(Failure::DoesNotAddUp) }
}

/// `openapi`.
pub(crate) fn openapi() -> Result<(), Failure> {
    let document = serde_json::to_string_pretty(&roots_http::openapi());
    print(document.map_err(Failure::Word)? + "\n")
}

/// Prints what was asked for.
fn print(text: impl AsRef<[u8]>) -> Result<(), Failure> {
    let mut out = io::stdout();
    out.write_all(text.as_ref()).and_then(|()| out.flush()).map_err(Failure::Print)
}

#[cfg(test)]
mod tests {
    use roots_domain::model::id::ActorId;

    use super::*;

    #[test]
    fn the_longest_credentials_have_their_room_from_the_start() {
        let longest = (1..)
            .map(|length| "\u{10ffff}".repeat(length))
            .map_while(|text| Name::parse(&text).ok());
        let made = NewCredentials {
            account: AccountId(i64::MAX),
            owner: ActorId(i64::MAX),
            owner_name: longest.last().unwrap(),
            owner_kind: ActorKind::Human,
            api_key: "k".repeat(200).into(),
            key_prefix: "k".repeat(20),
            recovery_code: "c".repeat(200).into(),
            credits: i64::MAX,
        };
        let told = credentials(&made).unwrap();
        assert!(told.ends_with(b"}\n"));
        assert_eq!(told.capacity(), CREDENTIALS_ROOM, "it has grown");
    }
}
