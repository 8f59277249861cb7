//! The first start on an empty database: the operator account, and the file with its key.
//!
//! The key is shown once and kept nowhere else, so the file is on the disk, synced, before the
//! account is committed: an account whose key nobody has can't come about. The other way round, a
//! crash in between leaves a file whose keys open nothing; the next start sees it beside an empty
//! database and refuses rather than overwrite it.
//!
//! Several processes may start on one empty database at once. The store lets one of them found the
//! account. A loser with a file of its own removes that one; a loser that finds the file of another
//! waits for the account to appear.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use roots_domain::model::Invalid;
use roots_domain::model::account::{AccountKind, ActorKind};
use roots_domain::model::text::Name;
use roots_domain::port::store::StoreFault;
use roots_domain::usecase::accounts::{AccountDraft, Accounts, NewCredentials};
use roots_domain::usecase::{ReadError, WriteError};
use secrecy::ExposeSecret;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::wiped;

/// How long a process waits for the account whose file another has just written.
const WAIT_FOR_FOUNDER: Duration = Duration::from_secs(5);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Why there is no operator account.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FirstStartError {
    /// The file can't be written.
    #[error(
        "the operator's key can't be written to {} ({error}), so nothing was created: set \
         ROOTS_OPERATOR_FILE to where it can", .path.display()
    )]
    Unwritable {
        /// Where it was to be.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file exists, and the database is empty.
    #[error(
        "{} exists, but the database holds no account, so the keys in it were never put in force: \
         move the file away and start again", .path.display()
    )]
    NeverFounded {
        /// The file.
        path: PathBuf,
    },
    /// The commit's outcome is not known.
    #[error(
        "the operator account may stand or not ({fault}): keep {} and start again", .path.display()
    )]
    OutcomeUnknown {
        /// The file that holds the account's key, if it stands.
        path: PathBuf,
        /// What the store said.
        fault: StoreFault,
    },
    /// The operator account has a name that no account may have.
    #[error("the operator account's name {0}")]
    Name(Invalid),
    /// The database did not do its part.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The account was refused.
    #[error("the operator account was not made: {0}")]
    Write(#[from] WriteError),
}

/// Sees to it that the database has an account. Answers the operator's credentials, which `path`
/// now holds, if it was this process that founded it.
///
/// # Errors
/// See [`FirstStartError`]. Nothing was founded then, but where the outcome is unknown.
pub(crate) async fn found_operator(
    accounts: &Accounts,
    path: &Path,
    credits: i64,
) -> Result<Option<NewCredentials>, FirstStartError> {
    let deadline = Instant::now() + WAIT_FOR_FOUNDER;
    let mut made = None;
    while !accounts.any().await? {
        let prepared = if let Some(prepared) = made.take() {
            prepared
        } else {
            let draft = operator(credits).map_err(FirstStartError::Name)?;
            accounts.prepare_first(draft).await?
        };
        match OperatorFile::write(path, &text(&prepared.credentials)) {
            Ok(file) => {
                let founded = settle(accounts.found(prepared).await, file)?;
                if founded.is_some() {
                    return Ok(founded);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // Another process is between the file and the account, or was stopped there.
                if Instant::now() >= deadline {
                    return Err(FirstStartError::NeverFounded { path: path.to_owned() });
                }
                made = Some(prepared);
                tokio::time::sleep(LOOK_EVERY).await;
            }
            Err(error) => return Err(FirstStartError::Unwritable { path: path.to_owned(), error }),
        }
    }
    Ok(None)
}

/// What becomes of the file once the founding has ended. None where another was faster.
fn settle(
    founded: Result<NewCredentials, WriteError>,
    file: OperatorFile,
) -> Result<Option<NewCredentials>, FirstStartError> {
    match founded {
        Ok(credentials) => Ok(Some(credentials)),
        Err(WriteError::Store(fault @ StoreFault::OutcomeUnknown(_))) => {
            Err(FirstStartError::OutcomeUnknown { path: file.path, fault })
        }
        Err(error) => {
            // The keys in it open nothing.
            file.remove();
            if error.is_account_exists() { Ok(None) } else { Err(error.into()) }
        }
    }
}

/// The draft of an operator account of that name.
///
/// # Errors
/// None of its names breaks a rule.
fn operator(credits: i64) -> Result<AccountDraft, Invalid> {
    Ok(AccountDraft {
        name: Name::parse("Operator")?,
        kind: AccountKind::Operator,
        owner_name: Name::parse("operator")?,
        owner_kind: ActorKind::Human,
        credits,
    })
}

/// What the file says. A shell can read it: `. ./roots-operator.txt` sets both variables.
fn text(credentials: &NewCredentials) -> Zeroizing<String> {
    wiped::text(format_args!(
        "# The operator account of Roots (account {}, actor {}). These are shown here and nowhere\n\
         # else: put both away in a safe place, then delete this file.\n\
         ROOTS_API_KEY={}\n\
         # If the key is lost: POST /api/v1/recover with this code makes a new one.\n\
         ROOTS_RECOVERY_CODE={}\n",
        credentials.account,
        credentials.owner,
        credentials.api_key.expose_secret(),
        credentials.recovery_code.expose_secret(),
    ))
}

/// Whether the file still lies where the first start puts it.
pub(crate) fn is_still_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// The file as this process made it.
struct OperatorFile {
    file: File,
    path: PathBuf,
}

impl OperatorFile {
    /// Writes a file that was not there, for its owner's eyes only, and has the disk hold it.
    fn write(path: &Path, text: &str) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let made = Self { file, path: path.to_owned() };
        match made.fill(text) {
            Ok(()) => Ok(made),
            Err(error) => {
                made.remove();
                Err(error)
            }
        }
    }

    fn fill(&self, text: &str) -> io::Result<()> {
        // The mode that it was opened with went through the umask.
        self.file.set_permissions(Permissions::from_mode(0o600))?;
        (&self.file).write_all(text.as_bytes())?;
        self.file.sync_all()?;
        // The name is durable only once its folder is.
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }

    /// Removes the file, unless another has taken its place.
    fn remove(self) {
        let id = |of: fs::Metadata| (of.dev(), of.ino());
        let is_ours = match (self.file.metadata(), fs::symlink_metadata(&self.path)) {
            (Ok(ours), Ok(there)) => id(ours) == id(there),
            _ => false,
        };
        if is_ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(
                path = %self.path.display(), %error,
                "the file with keys that open nothing could not be removed"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use roots_crypto::RingLocksmith;
    use roots_domain::model::id::AccountId;
    use roots_domain::model::unit::{Applied, AppliedRow, Refusal};
    use roots_domain::port::store::{ApplyError, MockAccountReader, MockUnitStore};
    use tempfile::TempDir;

    use super::*;
    use crate::ambient::{SystemClock, TimedUids};

    type Outcome = Result<Applied, ApplyError>;

    const FOUNDED: Applied =
        Applied { row: AppliedRow::Deleted, cost: 0, balance: 0, is_replay: false };

    /// Accounts of a database that answers `found` to the founding; `any` tells, look by look,
    /// whether there is an account.
    fn accounts(
        any: impl Fn(u32) -> bool + Send + Sync + 'static,
        found: impl Fn() -> Outcome + Send + Sync + 'static,
    ) -> Accounts {
        let (mut units, mut reader) = (MockUnitStore::new(), MockAccountReader::new());
        units.expect_apply().returning(move |_| found());
        let looks = std::sync::atomic::AtomicU32::new(0);
        reader
            .expect_has_accounts()
            .returning(move || Ok(any(looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed))));
        reader.expect_last_account().returning(|| Ok(AccountId(0)));
        Accounts {
            units: Arc::new(units),
            reader: Arc::new(reader),
            locksmith: Arc::new(RingLocksmith::default()),
            clock: Arc::new(SystemClock),
            uids: Arc::new(TimedUids),
        }
    }

    fn never() -> Outcome {
        panic!("nothing may be founded")
    }

    fn another_was_first() -> Outcome {
        Err(Refusal::AccountExists(AccountId(1)).into())
    }

    fn place() -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("operator.txt");
        (folder, path)
    }

    #[tokio::test]
    async fn the_file_is_complete_and_private_before_the_account_is_founded() {
        let (_folder, path) = place();
        let seen = path.clone();
        let accounts = accounts(
            |_| false,
            move || {
                let text = fs::read_to_string(&seen).unwrap();
                assert!(text.contains("\nROOTS_API_KEY=roots_1_"), "{text}");
                assert!(text.contains("\nROOTS_RECOVERY_CODE="), "{text}");
                Ok(FOUNDED)
            },
        );
        let made = found_operator(&accounts, &path, 7).await.unwrap().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(made.api_key.expose_secret()));
        assert!(text.contains(made.recovery_code.expose_secret()));
        assert!(text.contains("\n# If the key is lost: POST /api/v1/recover with this code"));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(made.credits, 7);
    }

    #[tokio::test]
    async fn a_database_with_an_account_is_left_alone() {
        let (_folder, path) = place();
        let made = found_operator(&accounts(|_| true, never), &path, 7).await.unwrap();
        assert!(made.is_none());
        assert!(!is_still_there(&path));
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_beside_an_empty_database_is_refused_and_left_alone() {
        let (_folder, path) = place();
        fs::write(&path, "another's").unwrap();
        let error = found_operator(&accounts(|_| false, never), &path, 7).await.unwrap_err();
        assert!(matches!(error, FirstStartError::NeverFounded { .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "another's");
    }

    #[tokio::test(start_paused = true)]
    async fn the_account_of_another_process_is_waited_for() {
        let (_folder, path) = place();
        fs::write(&path, "another's").unwrap();
        let made = found_operator(&accounts(|look| look > 20, never), &path, 7).await.unwrap();
        assert!(made.is_none());
        assert_eq!(fs::read_to_string(&path).unwrap(), "another's");
    }

    #[tokio::test(start_paused = true)]
    async fn where_the_other_process_gives_up_this_one_founds() {
        let (_folder, path) = place();
        fs::write(&path, "another's").unwrap();
        let gone = path.clone();
        let any = move |look| {
            if look == 3 {
                fs::remove_file(&gone).unwrap();
            }
            false
        };
        let made = found_operator(&accounts(any, || Ok(FOUNDED)), &path, 7).await.unwrap();
        assert!(fs::read_to_string(&path).unwrap().contains(made.unwrap().api_key.expose_secret()));
    }

    #[tokio::test]
    async fn a_loser_removes_its_own_file_only() {
        let (_folder, path) = place();
        let lost = accounts(|look| look > 0, another_was_first);
        assert!(found_operator(&lost, &path, 7).await.unwrap().is_none());
        assert!(!is_still_there(&path));

        let theirs = path.clone();
        let lost = accounts(
            |look| look > 0,
            move || {
                fs::rename(&theirs, theirs.with_extension("moved")).unwrap();
                fs::write(&theirs, "another's").unwrap();
                another_was_first()
            },
        );
        assert!(found_operator(&lost, &path, 7).await.unwrap().is_none());
        assert_eq!(fs::read_to_string(&path).unwrap(), "another's");
    }

    #[tokio::test]
    async fn whoever_took_the_id_and_founded_nothing_is_not_waited_for() {
        let (_folder, path) = place();
        let tries = std::sync::atomic::AtomicU32::new(0);
        let found = move || match tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => another_was_first(),
            _ => Ok(FOUNDED),
        };
        let made = found_operator(&accounts(|_| false, found), &path, 7).await.unwrap().unwrap();
        assert!(fs::read_to_string(&path).unwrap().contains(made.api_key.expose_secret()));
    }

    #[tokio::test]
    async fn where_the_file_cannot_be_written_nothing_is_founded() {
        let (folder, _) = place();
        let path = folder.path().join("missing/operator.txt");
        let error = found_operator(&accounts(|_| false, never), &path, 7).await.unwrap_err();
        assert!(matches!(error, FirstStartError::Unwritable { .. }), "{error}");
        assert!(error.to_string().contains("ROOTS_OPERATOR_FILE"), "{error}");
    }

    #[tokio::test]
    async fn a_fault_takes_the_file_away_unless_the_account_may_stand() {
        let (_folder, path) = place();
        let away = || Err(StoreFault::Unavailable("x".to_owned()).into());
        let error = found_operator(&accounts(|_| false, away), &path, 7).await.unwrap_err();
        assert!(matches!(error, FirstStartError::Write(_)), "{error}");
        assert!(!is_still_there(&path));

        let unknown = || Err(StoreFault::OutcomeUnknown("x".to_owned()).into());
        let error = found_operator(&accounts(|_| false, unknown), &path, 7).await.unwrap_err();
        assert!(matches!(error, FirstStartError::OutcomeUnknown { .. }), "{error}");
        assert!(is_still_there(&path));
    }
}
