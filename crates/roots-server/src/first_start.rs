//! The first start on an empty database: the operator account, and the file with its key.
//!
//! The key is shown once and stored nowhere else. So the file is synced to disk before the account
//! is committed: an account without a known key can't exist. A crash in between leaves a file whose
//! keys open nothing beside an empty database. The file names the installation, whose id the
//! database stores before the file is written. The next start replaces a file that names this
//! installation, and refuses to touch any other.
//!
//! Several processes may start on one empty database at once. Those that share a folder take turns
//! by a lock on it, which the system releases when a process dies. Of those in different folders
//! the store lets one found the account; the others remove their own files.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use roots_domain::model::Invalid;
use roots_domain::model::account::{AccountKind, ActorKind};
use roots_domain::model::id::Uid;
use roots_domain::model::text::Name;
use roots_domain::port::store::StoreError;
use roots_domain::service::accounts::{AccountDraft, Accounts, NewCredentials};
use roots_domain::service::{ReadError, WriteError};
use roots_persistence::DatabaseUrl;
use secrecy::ExposeSecret;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::zeroized;

/// How long a process waits for another one that founds an account in the same folder.
const WAIT_FOR_FOUNDER: Duration = Duration::from_secs(30);
/// How often it checks whether the other one is done.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Why there is no operator account.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FirstStartError {
    /// The file can't be written.
    #[error(
        "the operator's key can't be written to {} ({error}), so nothing was created: set \
         ROOTS_OPERATOR_FILE to a writable path", .path.display()
    )]
    Unwritable {
        /// Its path.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The file names another installation, and the database is empty.
    #[error(
        "the file {} holds the operator's key of another database than {database}, which is empty: \
         correct ROOTS_DATABASE_URL if the database was moved or renamed, or move the file away to \
         make a new installation", .path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The database.
        database: DatabaseUrl,
    },
    /// The file names no installation, and the database is empty.
    #[error(
        "the file {} does not say which database it belongs to, and {database} is empty: correct \
         ROOTS_DATABASE_URL if the database was moved or renamed; otherwise move the file away and \
         start again", .path.display()
    )]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The database.
        database: DatabaseUrl,
    },
    /// Another process holds the folder's lock.
    #[error(
        "another process has been making an operator account in the folder of {} for {} s: stop it, \
         then start again", .path.display(), WAIT_FOR_FOUNDER.as_secs()
    )]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The commit's outcome is not known.
    #[error(
        "the operator account may or may not exist ({error}): keep {} and start again", .path.display()
    )]
    OutcomeUnknown {
        /// The file with the account's key, if the account exists.
        path: PathBuf,
        /// The store's error.
        error: StoreError,
    },
    /// The operator account has a name that no account may have.
    #[error("the operator account's name {0}")]
    Name(Invalid),
    /// A database error.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The account was refused.
    #[error("the operator account was not made: {0}")]
    Write(#[from] WriteError),
}

/// Makes sure that the database has an account. Returns the operator's credentials, which are now
/// in the file at `path`, if this process founded it.
///
/// # Errors
/// See [`FirstStartError`]. Nothing was founded then, unless the outcome is unknown.
pub(crate) async fn found_operator(
    accounts: &Accounts,
    database: &DatabaseUrl,
    path: &Path,
    credits: i64,
) -> Result<Option<NewCredentials>, FirstStartError> {
    let deadline = Instant::now() + WAIT_FOR_FOUNDER;
    while !accounts.any().await? {
        // The lock is released when it is dropped, at the latest when the process ends.
        let lock = lock_folder(path)
            .map_err(|error| FirstStartError::Unwritable { path: path.to_owned(), error })?;
        if lock.is_some() {
            if let Some(founded) = found_alone(accounts, database, path, credits).await? {
                return Ok(Some(founded));
            }
        } else if Instant::now() >= deadline {
            return Err(FirstStartError::Busy { path: path.to_owned() });
        } else {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    Ok(None)
}

/// Founds the account while no other process does so in this folder. `None` if another one was
/// faster.
async fn found_alone(
    accounts: &Accounts,
    database: &DatabaseUrl,
    path: &Path,
    credits: i64,
) -> Result<Option<NewCredentials>, FirstStartError> {
    let installation = match accounts.name_installation().await {
        Ok(id) => id,
        Err(error) if error.is_account_exists() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    match FoundFile::at(path) {
        FoundFile::Nothing => {}
        FoundFile::Of(id) if id == installation => tracing::warn!(
            path = %path.display(),
            "a first start was interrupted: the file that it left is replaced, because its keys open nothing"
        ),
        FoundFile::Of(_) => {
            let (path, database) = (path.to_owned(), database.clone());
            return Err(FirstStartError::Foreign { path, database });
        }
        FoundFile::Unknown => {
            let (path, database) = (path.to_owned(), database.clone());
            return Err(FirstStartError::Unknown { path, database });
        }
    }
    let draft = operator(credits).map_err(FirstStartError::Name)?;
    let prepared = accounts.prepare_first(draft).await?;
    let file = OperatorFile::write(path, &text(installation, &prepared.credentials))
        .map_err(|error| FirstStartError::Unwritable { path: path.to_owned(), error })?;
    settle(accounts.found(prepared).await, file)
}

/// Keeps or removes the file after the attempt to found the account. `None` if another process was
/// faster.
fn settle(
    founded: Result<NewCredentials, WriteError>,
    file: OperatorFile,
) -> Result<Option<NewCredentials>, FirstStartError> {
    match founded {
        Ok(credentials) => Ok(Some(credentials)),
        Err(WriteError::Store(error @ StoreError::OutcomeUnknown(_))) => {
            Err(FirstStartError::OutcomeUnknown { path: file.path, error })
        }
        Err(error) => {
            // The keys in it open nothing.
            file.remove();
            if error.is_account_exists() { Ok(None) } else { Err(error.into()) }
        }
    }
}

/// The draft of the operator account.
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

/// The start of the file's line with the installation's id.
const INSTALLATION: &str = "# Installation ";

/// The text of the file. A shell can read it: `. ./roots-operator.txt` sets both variables.
fn text(installation: Uid, credentials: &NewCredentials) -> Zeroizing<String> {
    zeroized::text(format_args!(
        "{INSTALLATION}{installation}\n\
         # The operator account of Roots (account {}, actor {}). These are shown here and nowhere\n\
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

/// Whether the file is still where the first start puts it.
pub(crate) fn is_still_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// What is at the path of the file.
enum FoundFile {
    Nothing,
    /// The file of that installation.
    Of(Uid),
    /// Something without an installation's id, or unreadable.
    Unknown,
}

impl FoundFile {
    /// The longest file that is read. A complete one has about 500 bytes.
    const MAX_BYTES: u64 = 4096;

    fn at(path: &Path) -> Self {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::Nothing,
            Ok(found) if found.is_file() && found.len() <= Self::MAX_BYTES => {}
            _ => return Self::Unknown,
        }
        let text = fs::read_to_string(path).map(Zeroizing::new).unwrap_or_default();
        let id = text.lines().find_map(|line| line.strip_prefix(INSTALLATION));
        id.and_then(Uid::parse).map_or(Self::Unknown, Self::Of)
    }
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Locks the folder of the file against other processes that found an account. `None` while another
/// process has the lock.
fn lock_folder(path: &Path) -> io::Result<Option<File>> {
    let folder = File::open(folder_of(path))?;
    match folder.try_lock() {
        Ok(()) => Ok(Some(folder)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The file as this process made it.
struct OperatorFile {
    file: File,
    path: PathBuf,
}

impl OperatorFile {
    /// Writes the file, readable only by its owner, and syncs it. It gets its name when it is
    /// complete, and replaces an existing file.
    fn write(path: &Path, text: &str) -> io::Result<Self> {
        let mut unnamed = path.as_os_str().to_owned();
        unnamed.push(".new");
        // An interrupted start may have left its temporary file.
        match fs::remove_file(&unnamed) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unnamed)?;
        let mut made = Self { file, path: PathBuf::from(unnamed) };
        let named = made.fill(text).and_then(|()| fs::rename(&made.path, path));
        if let Err(error) = named {
            made.remove();
            return Err(error);
        }
        path.clone_into(&mut made.path);
        // The name is durable only after its folder is synced.
        match File::open(folder_of(path)).and_then(|folder| folder.sync_all()) {
            Ok(()) => Ok(made),
            Err(error) => {
                made.remove();
                Err(error)
            }
        }
    }

    fn fill(&self, text: &str) -> io::Result<()> {
        // The umask may have changed the mode of the open call.
        self.file.set_permissions(Permissions::from_mode(0o600))?;
        (&self.file).write_all(text.as_bytes())?;
        self.file.sync_all()
    }

    /// Removes the file, unless another one has replaced it.
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
    use roots_domain::command::{Action, Applied, AppliedRow, Refusal, SystemAction};
    use roots_domain::model::id::AccountId;
    use roots_domain::port::store::{ApplyError, MockAccountReader, MockCommandStore};
    use tempfile::TempDir;

    use super::*;
    use crate::ambient::{SystemClock, TimedUids};

    type ApplyResult = Result<Applied, ApplyError>;

    /// The installation of the database.
    const OURS: Uid = Uid::NIL;

    const FOUNDED: Applied =
        Applied { row: AppliedRow::Deleted, cost: 0, balance: 0, is_replay: false };

    /// Accounts of a database that answers `found` to the founding; `any` tells, look by look,
    /// whether there is an account.
    fn accounts(
        any: impl Fn(u32) -> bool + Send + Sync + 'static,
        found: impl Fn() -> ApplyResult + Send + Sync + 'static,
    ) -> Accounts {
        let (mut commands, mut reader) = (MockCommandStore::new(), MockAccountReader::new());
        commands.expect_apply().returning(move |command| match command.action {
            Action::System(SystemAction::NameInstallation(_)) => {
                Ok(Applied { row: AppliedRow::Installation(OURS), ..FOUNDED })
            }
            _ => found(),
        });
        let looks = std::sync::atomic::AtomicU32::new(0);
        reader
            .expect_has_accounts()
            .returning(move || Ok(any(looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed))));
        reader.expect_last_account().returning(|| Ok(None));
        Accounts {
            commands: Arc::new(commands),
            reader: Arc::new(reader),
            locksmith: Arc::new(RingLocksmith::default()),
            clock: Arc::new(SystemClock),
            uids: Arc::new(TimedUids),
        }
    }

    async fn start(
        accounts: &Accounts,
        path: &Path,
    ) -> Result<Option<NewCredentials>, FirstStartError> {
        let database = DatabaseUrl::parse("sqlite://data/roots.db").unwrap();
        found_operator(accounts, &database, path, 7).await
    }

    /// The names of what lies in a folder.
    fn names(folder: &TempDir) -> Vec<String> {
        let entries = fs::read_dir(folder.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn never() -> ApplyResult {
        panic!("nothing may be founded")
    }

    fn another_was_first() -> ApplyResult {
        Err(Refusal::AccountExists(AccountId(1)).into())
    }

    fn place() -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("operator.txt");
        (folder, path)
    }

    #[tokio::test]
    async fn the_operator_file_is_complete_and_private_before_the_account_is_founded() {
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
        let made = start(&accounts, &path).await.unwrap().unwrap();
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
        let made = start(&accounts(|_| true, never), &path).await.unwrap();
        assert!(made.is_none());
        assert!(!is_still_there(&path));
    }

    #[tokio::test]
    async fn the_operator_file_of_an_interrupted_first_start_is_replaced() {
        let (folder, path) = place();
        for left in [
            format!("{INSTALLATION}{OURS}\nROOTS_API_KEY=roots_1_old\n"),
            format!("# Anything.\n{INSTALLATION}{OURS}"),
        ] {
            fs::write(&path, left).unwrap();
            // It was cut off a second time, before the file had its name.
            fs::write(path.with_extension("txt.new"), "half").unwrap();
            let made = start(&accounts(|_| false, || Ok(FOUNDED)), &path).await.unwrap().unwrap();
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(made.api_key.expose_secret()), "{text}");
            assert!(!text.contains("roots_1_old"), "{text}");
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
            assert_eq!(names(&folder), ["operator.txt"]);
        }
    }

    #[tokio::test]
    async fn any_other_file_beside_an_empty_database_is_refused_and_left_alone() {
        let (folder, path) = place();
        let other = Uid::parse("01a22676-361b-74c0-8f1f-7b13a4a6efe2").unwrap();
        let foreign = format!("{INSTALLATION}{other}\nROOTS_API_KEY=roots_1_dear\n");
        let long = format!("{INSTALLATION}{OURS}\n{}", " ".repeat(5000));
        for (bytes, is_foreign) in [
            (foreign.as_bytes(), true),
            (b"ROOTS_API_KEY=roots_1_dear\n", false),
            (format!("{INSTALLATION}x").as_bytes(), false),
            (b"", false),
            (b"\xff", false),
            (long.as_bytes(), false),
        ] {
            fs::write(&path, bytes).unwrap();
            let error = start(&accounts(|_| false, never), &path).await.unwrap_err();
            assert_eq!(matches!(error, FirstStartError::Foreign { .. }), is_foreign, "{error}");
            assert_eq!(matches!(error, FirstStartError::Unknown { .. }), !is_foreign, "{error}");
            assert!(error.to_string().contains("sqlite://data/roots.db"), "{error}");
            assert_eq!(fs::read(&path).unwrap(), bytes);
            assert_eq!(names(&folder), ["operator.txt"]);
        }
        // Nor is a link followed, wherever it leads.
        let ours = folder.path().join("ours");
        fs::remove_file(&path).unwrap();
        fs::write(&ours, format!("{INSTALLATION}{OURS}")).unwrap();
        std::os::unix::fs::symlink(&ours, &path).unwrap();
        let error = start(&accounts(|_| false, never), &path).await.unwrap_err();
        assert!(matches!(error, FirstStartError::Unknown { .. }), "{error}");
        assert_eq!(fs::read_link(&path).unwrap(), ours);
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_start_waits_for_another_process_in_its_folder() {
        let (_folder, path) = place();
        let lock = lock_folder(&path).unwrap();
        assert!(start(&accounts(|look| look > 20, never), &path).await.unwrap().is_none());
        let error = start(&accounts(|_| false, never), &path).await.unwrap_err();
        assert!(matches!(error, FirstStartError::Busy { .. }), "{error}");
        assert!(!is_still_there(&path));
        drop(lock);
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_start_founds_the_account_if_the_other_process_gives_up() {
        let (_folder, path) = place();
        let lock = std::sync::Mutex::new(lock_folder(&path).unwrap());
        let any = move |look| {
            if look == 3 {
                lock.lock().unwrap().take();
            }
            false
        };
        let made = start(&accounts(any, || Ok(FOUNDED)), &path).await.unwrap();
        assert!(fs::read_to_string(&path).unwrap().contains(made.unwrap().api_key.expose_secret()));
    }

    #[tokio::test]
    async fn a_process_that_lost_the_race_removes_only_its_own_file() {
        let (_folder, path) = place();
        let lost = accounts(|look| look > 0, another_was_first);
        assert!(start(&lost, &path).await.unwrap().is_none());
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
        assert!(start(&lost, &path).await.unwrap().is_none());
        assert_eq!(fs::read_to_string(&path).unwrap(), "another's");
    }

    #[tokio::test]
    async fn an_id_reserved_by_a_process_that_founds_nothing_does_not_block_the_first_start() {
        let (_folder, path) = place();
        let tries = std::sync::atomic::AtomicU32::new(0);
        let found = move || match tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => another_was_first(),
            _ => Ok(FOUNDED),
        };
        let made = start(&accounts(|_| false, found), &path).await.unwrap().unwrap();
        assert!(fs::read_to_string(&path).unwrap().contains(made.api_key.expose_secret()));
    }

    #[tokio::test]
    async fn no_account_is_founded_if_the_operator_file_cannot_be_written() {
        let (folder, _) = place();
        let path = folder.path().join("missing/operator.txt");
        let error = start(&accounts(|_| false, never), &path).await.unwrap_err();
        assert!(matches!(error, FirstStartError::Unwritable { .. }), "{error}");
        assert!(error.to_string().contains("ROOTS_OPERATOR_FILE"), "{error}");
    }

    #[tokio::test]
    async fn a_failed_founding_removes_the_operator_file_unless_its_outcome_is_unknown() {
        let (_folder, path) = place();
        let away = || Err(StoreError::Unavailable("x".to_owned()).into());
        let error = start(&accounts(|_| false, away), &path).await.unwrap_err();
        assert!(matches!(error, FirstStartError::Write(_)), "{error}");
        assert!(!is_still_there(&path));

        let unknown = || Err(StoreError::OutcomeUnknown("x".to_owned()).into());
        let error = start(&accounts(|_| false, unknown), &path).await.unwrap_err();
        assert!(matches!(error, FirstStartError::OutcomeUnknown { .. }), "{error}");
        assert!(is_still_there(&path));
    }
}
