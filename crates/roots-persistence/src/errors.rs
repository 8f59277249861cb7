//! Classifies database errors by what they mean for commands.

use roots_domain::port::store::StoreError;
use sea_orm::{DbErr, RuntimeErr, SqlxError};

/// Why a batch failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BatchError {
    /// The connection or the disk: nothing was written.
    Away(String),
    /// Another writer was faster: nothing was written, and a retry helps.
    Contended(String),
    /// Another writer holds a lock: nothing was written, and commands that do not need the lock
    /// need not wait.
    Locked(String),
    /// The shard of the accounts was moved to another node: nothing was written.
    Moved,
    /// The data: nothing was written, and a retry does not help.
    Data(String),
    /// The connection was lost during COMMIT: the write may have been done or not.
    OutcomeUnknown(String),
}

impl From<BatchError> for StoreError {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::Away(cause) | BatchError::Contended(cause) | BatchError::Locked(cause) => {
                Self::Unavailable(cause)
            }
            BatchError::Moved => Self::Unavailable("the account was moved".to_owned()),
            BatchError::Data(cause) => Self::Broken(cause),
            BatchError::OutcomeUnknown(cause) => Self::OutcomeUnknown(cause),
        }
    }
}

impl From<DbErr> for BatchError {
    fn from(error: DbErr) -> Self {
        let connecting = matches!(error, DbErr::Conn(_));
        match classified(&error) {
            // Without a connection no statement was sent that could be at fault, whatever the code.
            Self::Data(cause) if connecting => Self::Away(cause),
            error => error,
        }
    }
}

/// The driver's message for a statement that binds more values than PostgreSQL allows. SQLite
/// returns an error code for this.
const TOO_MANY_VALUES: &str = "too many arguments for query";

/// The database's error code.
pub(crate) fn code(error: &DbErr) -> Option<String> {
    let (DbErr::Exec(RuntimeErr::SqlxError(cause))
    | DbErr::Query(RuntimeErr::SqlxError(cause))
    | DbErr::Conn(RuntimeErr::SqlxError(cause))) = error
    else {
        return None;
    };
    cause.as_database_error().map(|database| database.code().unwrap_or_default().into_owned())
}

/// The primary result code, if SQLite gave one.
pub(crate) fn sqlite_code(error: &DbErr) -> Option<i32> {
    // SQLite's codes have up to four digits, PostgreSQL's always five characters.
    let code = code(error).filter(|code| code.len() < 5)?;
    code.parse().ok().map(primary)
}

/// Classifies an error, whatever the statement was.
fn classified(error: &DbErr) -> BatchError {
    let (DbErr::Exec(RuntimeErr::SqlxError(cause))
    | DbErr::Query(RuntimeErr::SqlxError(cause))
    | DbErr::Conn(RuntimeErr::SqlxError(cause))) = error
    else {
        return match error {
            DbErr::ConnectionAcquire(_) => BatchError::Away(error.to_string()),
            DbErr::RecordNotUpdated => BatchError::Contended("rows were changed".to_owned()),
            _ => BatchError::Data(error.to_string()),
        };
    };
    let SqlxError::Database(database) = &**cause else {
        return match **cause {
            SqlxError::ColumnDecode { .. }
            | SqlxError::ColumnNotFound(_)
            | SqlxError::Decode(_)
            | SqlxError::Encode(_)
            | SqlxError::TypeNotFound { .. } => BatchError::Data(error.to_string()),
            // Nothing was sent. The full message would contain the statement.
            SqlxError::Protocol(ref message) if message.contains(TOO_MANY_VALUES) => {
                BatchError::Data(TOO_MANY_VALUES.to_owned())
            }
            _ => BatchError::Away(error.to_string()),
        };
    };
    let code = database.code().unwrap_or_default();
    // The message of a database may quote values; the code and the constraint do not.
    let message = match database.constraint() {
        Some(constraint) => format!("database error {code} ({constraint})"),
        None => format!("database error {code}"),
    };
    match code.parse::<i32>() {
        // SQLite's codes have up to four digits, PostgreSQL's always five characters.
        Ok(number) if code.len() < 5 => of_sqlite(number, message),
        _ => of_postgres(&code, message),
    }
}

/// SQLite's primary result code for a full disk.
const SQLITE_FULL: i32 = 13;

/// The primary result code of a SQLite result code.
fn primary(code: i32) -> i32 {
    code & 0xff
}

/// Result codes of SQLite.
fn of_sqlite(code: i32, message: String) -> BatchError {
    const BUSY: i32 = 5;
    const LOCKED: i32 = 6;
    const NOMEM: i32 = 7;
    const READONLY: i32 = 8;
    const INTERRUPT: i32 = 9;
    const IOERR: i32 = 10;
    const CORRUPT: i32 = 11;
    const CANTOPEN: i32 = 14;
    const PROTOCOL: i32 = 15;
    const NOTADB: i32 = 26;
    match primary(code) {
        BUSY | LOCKED => BatchError::Contended(message),
        SQLITE_FULL => BatchError::Away(format!("the disk is full ({message})")),
        NOMEM | READONLY | INTERRUPT | IOERR | CORRUPT | CANTOPEN | PROTOCOL | NOTADB => {
            BatchError::Away(message)
        }
        _ => BatchError::Data(message),
    }
}

/// SQLSTATEs of PostgreSQL (its manual, appendix A).
fn of_postgres(code: &str, message: String) -> BatchError {
    match code {
        // serialization_failure, deadlock_detected
        "40001" | "40P01" => BatchError::Contended(message),
        // lock_not_available
        "55P03" => BatchError::Locked(message),
        // query_canceled (a time-out), read_only_sql_transaction (a standby), the two time-outs
        // that end a connection within a transaction, the password
        "57014" | "25006" | "25P03" | "25P04" | "28P01" | "28000" => BatchError::Away(message),
        // connection, resources, operator intervention, system, internal
        _ if ["08", "53", "57P", "58", "XX"].iter().any(|class| code.starts_with(class)) => {
            BatchError::Away(message)
        }
        _ => BatchError::Data(message),
    }
}

/// Classifies the error of a failed COMMIT: it is certain that nothing was written only if the
/// database itself has refused it.
///
/// A full disk is such a refusal. SQLite appends the changes to its write-ahead log, and the page
/// with the COMMIT last. It reports "full" only if a page did not fit, so the log has no COMMIT.
/// Any other I/O error may come after that page was written.
pub(crate) fn of_commit(error: DbErr) -> BatchError {
    const STATEMENT_COMPLETION_UNKNOWN: &str = "40003";
    let sure = code(&error).is_some_and(|code| code != STATEMENT_COMPLETION_UNKNOWN);
    let is_full = sqlite_code(&error) == Some(SQLITE_FULL);
    let error = BatchError::from(error);
    if sure && (is_full || !matches!(error, BatchError::Away(_))) {
        return error;
    }
    match error {
        BatchError::Contended(cause)
        | BatchError::Away(cause)
        | BatchError::Locked(cause)
        | BatchError::Data(cause)
        | BatchError::OutcomeUnknown(cause) => BatchError::OutcomeUnknown(cause),
        BatchError::Moved => BatchError::Moved,
    }
}

/// Classifies the error of a read: everything but an error of the data means that the database is
/// unavailable.
pub(crate) fn of_read(error: DbErr) -> StoreError {
    BatchError::from(error).into()
}

#[cfg(test)]
mod tests {
    use sea_orm::ConnectionTrait;

    use super::*;
    use crate::connect::sqlite;

    #[test]
    fn error_codes_distinguish_data_contention_and_unavailability() {
        let message = || "x".to_owned();
        assert_eq!(of_sqlite(517, message()), BatchError::Contended(message()));
        assert_eq!(of_sqlite(778, message()), BatchError::Away(message()));
        let full = BatchError::Away("the disk is full (x)".to_owned());
        assert_eq!(of_sqlite(SQLITE_FULL, message()), full);
        assert_eq!(of_sqlite(1555, message()), BatchError::Data(message()));
        assert_eq!(of_postgres("40001", message()), BatchError::Contended(message()));
        assert_eq!(of_postgres("55P03", message()), BatchError::Locked(message()));
        assert_eq!(of_postgres("57P01", message()), BatchError::Away(message()));
        assert_eq!(of_postgres("08006", message()), BatchError::Away(message()));
        assert_eq!(of_postgres("23505", message()), BatchError::Data(message()));
        assert_eq!(of_postgres("22001", message()), BatchError::Data(message()));
        assert_eq!(of_postgres("25P03", message()), BatchError::Away(message()));
    }

    #[test]
    fn a_commit_without_a_clear_answer_has_an_unknown_outcome() {
        let broken = SqlxError::Decode("x".into());
        let error = DbErr::Exec(RuntimeErr::SqlxError(broken.into()));
        assert!(matches!(BatchError::from(error.clone()), BatchError::Data(_)));
        assert!(matches!(of_commit(error), BatchError::OutcomeUnknown(_)));
        let error = DbErr::Custom("x".to_owned());
        assert!(matches!(of_commit(error), BatchError::OutcomeUnknown(_)));
    }

    #[tokio::test]
    async fn a_full_disk_is_reported_as_not_applied_even_at_commit() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("roots.db");
        sqlite::make_file(&file).unwrap();
        let db = sqlite::writer(&file).await.unwrap();
        let statements = "CREATE TABLE t (x BLOB); PRAGMA max_page_count = 8; \
                    INSERT INTO t VALUES (zeroblob(100000))";
        let full = db.execute_unprepared(statements).await.unwrap_err();
        let nothing_done = BatchError::Away("the disk is full (database error 13)".to_owned());
        assert_eq!(BatchError::from(full.clone()), nothing_done);
        assert_eq!(of_commit(full), nothing_done);
    }

    #[test]
    fn a_pool_timeout_is_reported_as_unavailability() {
        let error = DbErr::ConnectionAcquire(sea_orm::ConnAcquireErr::Timeout);
        assert!(matches!(BatchError::from(error), BatchError::Away(_)));
    }
}
