//! The commands other than `serve`, for the program's operator.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use roots_domain::model::account::AccountKind;
use roots_domain::port::store::{AccountReader, StoreError, Verifier};
use roots_domain::service::accounts::{AccountDraft, NewCredentials};
use roots_http::Bootstrapped;
use roots_persistence::{DistributeError, Finding, Store, Threads};
use zeroize::Zeroizing;

use super::arguments::{Bootstrap, CreditsCommand, Distribute};
use super::settings::Settings;
use crate::ambient::SystemClock;
use crate::program_error::ProgramError;
use crate::wiring;

/// `migrate`.
pub(crate) async fn migrate(settings: &Settings) -> Result<(), ProgramError> {
    let store = wiring::open(&settings.database_url, &Threads::default()).await?;
    store.close().await;
    print("The database has the newest schema.\n")
}

/// More bytes than `bootstrap` ever prints.
const CREDENTIALS_ROOM: usize = 8 * 1024;

/// `bootstrap`.
pub(crate) async fn bootstrap(settings: &Settings, asked: Bootstrap) -> Result<(), ProgramError> {
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
    let store = wiring::open(&settings.database_url, &Threads::default()).await?;
    let made = wiring::services(&store).accounts.bootstrap(draft).await;
    store.close().await;
    print(credentials(&made?)?)
}

/// What `bootstrap` prints.
fn credentials(made: &NewCredentials) -> Result<Zeroizing<Vec<u8>>, ProgramError> {
    // With enough capacity: a growing buffer is moved, and would leave the secrets behind.
    let mut json = Zeroizing::new(Vec::with_capacity(CREDENTIALS_ROOM));
    serde_json::to_writer_pretty(&mut *json, &Bootstrapped::from(made))
        .map_err(ProgramError::Serialize)?;
    json.push(b'\n');
    Ok(json)
}

/// `credits grant`.
pub(crate) async fn credits(
    settings: &Settings,
    asked: CreditsCommand,
) -> Result<(), ProgramError> {
    let CreditsCommand::Grant { account, amount, note } = asked;
    let store =
        wiring::open(&settings.database_url.clone().existing(), &Threads::default()).await?;
    let granted = wiring::services(&store).accounts.grant(account, amount, note).await;
    store.close().await;
    print(format!("Account {account} has {} credits now.\n", granted?))
}

/// `backup`.
pub(crate) async fn backup(settings: &Settings, file: PathBuf) -> Result<(), ProgramError> {
    // Not migrated: a backup from before a migration must have the old schema.
    let store =
        Store::open(&settings.database_url.clone().existing(), Arc::new(SystemClock)).await?;
    // In the wrong folder, this would copy a database that was just created.
    let copied = match store.has_accounts().await {
        Ok(true) => store.backup(&file).await.map_err(ProgramError::from),
        Ok(false) | Err(StoreError::Broken(_)) => {
            Err(ProgramError::NothingToCopy(settings.database_url.clone()))
        }
        Err(error) => Err(error.into()),
    };
    store.close().await;
    copied?;
    print(format!("The database was copied to {}.\n", file.display()))
}

/// `verify`.
pub(crate) async fn verify(settings: &Settings) -> Result<(), ProgramError> {
    let store =
        wiring::open(&settings.database_url.clone().existing(), &Threads::default()).await?;
    let verified = store.verify().await;
    store.close().await;
    let (accounts, discrepancies) = verified?;
    for discrepancy in &discrepancies {
        let whose = match discrepancy.account {
            Some(account) => format!("Account {account}"),
            None => "All accounts".to_owned(),
        };
        print(format!("{whose}: {}.\n", discrepancy.mismatch))?;
    }
    let verified = match accounts {
        1 => "1 account was verified".to_owned(),
        many => format!("{many} accounts were verified"),
    };
    let found = match discrepancies.len() {
        0 => "no mismatch was found".to_owned(),
        1 => "1 mismatch was found".to_owned(),
        many => format!("{many} mismatches were found"),
    };
    print(format!("{verified}; {found}.\n"))?;
    if discrepancies.is_empty() { Ok(()) } else { Err(ProgramError::DoesNotAddUp) }
}

/// `distribute`.
pub(crate) async fn distribute(settings: &Settings, asked: Distribute) -> Result<(), ProgramError> {
    let url = &settings.database_url;
    if !asked.check {
        match roots_persistence::distribute(url, asked.shards).await {
            Ok(spread) => print(spread_tables(&spread))?,
            Err(error) => {
                if let DistributeError::NotReady(missing) = &error {
                    print(findings(missing))?;
                }
                return Err(error.into());
            }
        }
    }
    let found = roots_persistence::check_distribution(url).await?;
    print(findings(&found))?;
    if found.iter().all(Finding::is_advice) { Ok(()) } else { Err(ProgramError::NotSpread) }
}

/// What `distribute` prints of the tables that it has spread.
fn spread_tables(spread: &[String]) -> String {
    match spread {
        [] => "All tables were spread before.\n".to_owned(),
        [one] => format!("The table {one} was spread.\n"),
        many => format!("{} tables were spread: {}.\n", many.len(), many.join(", ")),
    }
}

/// What `distribute` prints of what is missing, and how much that is.
fn findings(found: &[Finding]) -> String {
    let line = |finding: &Finding| {
        let kind = if finding.is_advice() { "Advice: " } else { "" };
        format!("{kind}{finding}\n")
    };
    let lines: String = found.iter().map(line).collect();
    let missing = match found.iter().filter(|finding| !finding.is_advice()).count() {
        0 => "Nothing is missing.".to_owned(),
        1 => "1 thing is missing.".to_owned(),
        many => format!("{many} things are missing."),
    };
    format!("{lines}{missing}\n")
}

/// `openapi`.
pub(crate) fn openapi() -> Result<(), ProgramError> {
    let document = serde_json::to_string_pretty(&roots_http::openapi());
    print(document.map_err(ProgramError::Serialize)? + "\n")
}

/// Prints what was asked for.
fn print(text: impl AsRef<[u8]>) -> Result<(), ProgramError> {
    let mut out = io::stdout();
    out.write_all(text.as_ref()).and_then(|()| out.flush()).map_err(ProgramError::Print)
}

#[cfg(test)]
mod tests {
    use roots_domain::model::account::ActorKind;
    use roots_domain::model::id::{AccountId, ActorId};
    use roots_domain::model::text::Name;

    use super::*;

    #[test]
    fn the_longest_credentials_fit_into_their_buffer_without_growth() {
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
        let json = credentials(&made).unwrap();
        assert!(json.ends_with(b"}\n"));
        assert_eq!(json.capacity(), CREDENTIALS_ROOM, "it has grown");
    }
}
