//! What a database's error means for the units that met it.

use roots_domain::port::store::StoreFault;
use sea_orm::{DbErr, RuntimeErr, SqlxError};

/// What becomes of a batch that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The connection or the disk: nothing was written.
    Away(String),
    /// Someone else was faster: nothing was written, and trying again helps.
    Contended(String),
    /// Someone else keeps a lock: nothing was written, and who wants nothing of it need not wait.
    Locked(String),
    /// The data: nothing was written, and trying again does not help.
    Data(String),
    /// The connection went during COMMIT: what was written stands or not.
    OutcomeUnknown(String),
}

impl From<Failure> for StoreFault {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Away(cause) | Failure::Contended(cause) | Failure::Locked(cause) => {
                Self::Unavailable(cause)
            }
            Failure::Data(cause) => Self::Broken(cause),
            Failure::OutcomeUnknown(cause) => Self::OutcomeUnknown(cause),
        }
    }
}

impl From<DbErr> for Failure {
    fn from(error: DbErr) -> Self {
        let connecting = matches!(error, DbErr::Conn(_));
        match classified(&error) {
            // Whoever can't connect has asked for nothing yet that could be at fault, whatever the code.
            Self::Data(cause) if connecting => Self::Away(cause),
            failure => failure,
        }
    }
}

/// What the driver says of a statement that binds more values than PostgreSQL takes. SQLite answers a
/// code that says so.
const TOO_MANY_VALUES: &str = "too many arguments for query";

/// What the error says by itself.
fn classified(error: &DbErr) -> Failure {
    let (DbErr::Exec(RuntimeErr::SqlxError(cause))
    | DbErr::Query(RuntimeErr::SqlxError(cause))
    | DbErr::Conn(RuntimeErr::SqlxError(cause))) = error
    else {
        return match error {
            DbErr::ConnectionAcquire(_) => Failure::Away(error.to_string()),
            _ => Failure::Data(error.to_string()),
        };
    };
    let SqlxError::Database(database) = &**cause else {
        return match **cause {
            SqlxError::ColumnDecode { .. }
            | SqlxError::ColumnNotFound(_)
            | SqlxError::Decode(_)
            | SqlxError::Encode(_)
            | SqlxError::TypeNotFound { .. } => Failure::Data(error.to_string()),
            // Nothing was sent. The whole text would hold the statement.
            SqlxError::Protocol(ref told) if told.contains(TOO_MANY_VALUES) => {
                Failure::Data(TOO_MANY_VALUES.to_owned())
            }
            _ => Failure::Away(error.to_string()),
        };
    };
    let code = database.code().unwrap_or_default();
    // The message of a database may quote values; the code and the constraint do not.
    let told = match database.constraint() {
        Some(constraint) => format!("database error {code} ({constraint})"),
        None => format!("database error {code}"),
    };
    match code.parse::<i32>() {
        // SQLite's codes have up to four digits, PostgreSQL's always five characters.
        Ok(number) if code.len() < 5 => of_sqlite(number, told),
        _ => of_postgres(&code, told),
    }
}

/// Result codes of SQLite; the low byte is the primary one.
fn of_sqlite(code: i32, told: String) -> Failure {
    const BUSY: i32 = 5;
    const LOCKED: i32 = 6;
    const NOMEM: i32 = 7;
    const READONLY: i32 = 8;
    const INTERRUPT: i32 = 9;
    const IOERR: i32 = 10;
    const CORRUPT: i32 = 11;
    const FULL: i32 = 13;
    const CANTOPEN: i32 = 14;
    const PROTOCOL: i32 = 15;
    const NOTADB: i32 = 26;
    match code & 0xff {
        BUSY | LOCKED => Failure::Contended(told),
        NOMEM | READONLY | INTERRUPT | IOERR | CORRUPT | FULL | CANTOPEN | PROTOCOL | NOTADB => {
            Failure::Away(told)
        }
        _ => Failure::Data(told),
    }
}

/// SQLSTATEs of PostgreSQL (its manual, appendix A).
fn of_postgres(code: &str, told: String) -> Failure {
    match code {
        // serialization_failure, deadlock_detected
        "40001" | "40P01" => Failure::Contended(told),
        // lock_not_available
        "55P03" => Failure::Locked(told),
        // query_canceled (a time-out), read_only_sql_transaction (a standby), the two time-outs that
        // end a connection within a transaction, the password
        "57014" | "25006" | "25P03" | "25P04" | "28P01" | "28000" => Failure::Away(told),
        // connection, resources, operator intervention, system, internal
        _ if ["08", "53", "57P", "58", "XX"].iter().any(|class| code.starts_with(class)) => {
            Failure::Away(told)
        }
        _ => Failure::Data(told),
    }
}

/// What a failed COMMIT leaves: only where the database itself has answered that it refuses is it
/// sure that nothing stands.
pub(crate) fn of_commit(error: DbErr) -> Failure {
    const STATEMENT_COMPLETION_UNKNOWN: &str = "40003";
    let told = match &error {
        DbErr::Exec(RuntimeErr::SqlxError(cause))
        | DbErr::Query(RuntimeErr::SqlxError(cause))
        | DbErr::Conn(RuntimeErr::SqlxError(cause)) => cause.as_database_error(),
        _ => None,
    };
    let sure =
        told.is_some_and(|told| told.code().as_deref() != Some(STATEMENT_COMPLETION_UNKNOWN));
    match Failure::from(error) {
        Failure::Away(cause) => Failure::OutcomeUnknown(cause),
        failure if sure => failure,
        Failure::Contended(cause)
        | Failure::Locked(cause)
        | Failure::Data(cause)
        | Failure::OutcomeUnknown(cause) => Failure::OutcomeUnknown(cause),
    }
}

/// A read has no units to tell apart: whatever is not the data is the database being away.
pub(crate) fn of_read(error: DbErr) -> StoreFault {
    Failure::from(error).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_tell_the_disk_from_the_data() {
        let told = || "x".to_owned();
        assert_eq!(of_sqlite(517, told()), Failure::Contended(told()));
        assert_eq!(of_sqlite(778, told()), Failure::Away(told()));
        assert_eq!(of_sqlite(13, told()), Failure::Away(told()));
        assert_eq!(of_sqlite(1555, told()), Failure::Data(told()));
        assert_eq!(of_postgres("40001", told()), Failure::Contended(told()));
        assert_eq!(of_postgres("55P03", told()), Failure::Locked(told()));
        assert_eq!(of_postgres("57P01", told()), Failure::Away(told()));
        assert_eq!(of_postgres("08006", told()), Failure::Away(told()));
        assert_eq!(of_postgres("23505", told()), Failure::Data(told()));
        assert_eq!(of_postgres("22001", told()), Failure::Data(told()));
        assert_eq!(of_postgres("25P03", told()), Failure::Away(told()));
    }

    #[test]
    fn a_commit_without_a_clear_answer_may_stand() {
        let broken = SqlxError::Decode("x".into());
        let error = DbErr::Exec(RuntimeErr::SqlxError(broken.into()));
        assert!(matches!(Failure::from(error.clone()), Failure::Data(_)));
        assert!(matches!(of_commit(error), Failure::OutcomeUnknown(_)));
        let error = DbErr::Custom("x".to_owned());
        assert!(matches!(of_commit(error), Failure::OutcomeUnknown(_)));
    }

    #[test]
    fn a_pool_that_times_out_is_away() {
        let error = DbErr::ConnectionAcquire(sea_orm::ConnAcquireErr::Timeout);
        assert!(matches!(Failure::from(error), Failure::Away(_)));
    }
}
