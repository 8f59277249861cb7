//! Deletions in steps: sessions that are being deleted, without the foreign keys that such a
//! deletion would violate, and indexes to find ended keys.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::dialect::dialect;

pub(crate) struct Deletions;

impl MigrationName for Deletions {
    fn name(&self) -> &'static str {
        "m0012_deletions"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Deletions {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let (db, backend) = (manager.get_connection(), manager.get_database_backend());
        db.execute_unprepared(&dialect(SCHEMA, backend)).await?;
        if backend == DbBackend::Postgres {
            db.execute_unprepared(DROP_CONSTRAINTS).await?;
            return Ok(());
        }
        // SQLite documents this procedure for dropping constraints. It copies no rows.
        db.execute_unprepared("PRAGMA writable_schema = ON").await?;
        for (tables, clause) in CLAUSES {
            let edited = db
                .execute_unprepared(&format!(
                    "UPDATE sqlite_master SET sql = replace(sql, '{clause}', '') \
                     WHERE type = 'table' AND name IN ({tables}) AND instr(sql, '{clause}') > 0"
                ))
                .await?;
            let expected = tables.split(',').count();
            if usize::try_from(edited.rows_affected()) != Ok(expected) {
                let error = format!("one of the tables {tables} lacks the constraint{clause}");
                return Err(DbErr::Custom(error));
            }
        }
        // Reads the schema again. The new table has changed the schema's version, so other
        // connections read it again too.
        db.execute_unprepared("PRAGMA writable_schema = RESET").await?;
        Ok(())
    }
}

// A row of `session_deletions` marks a session whose own row is deleted, but to which other rows
// may still be linked. All reads treat those rows as unlinked.
const SCHEMA: &str = r"
CREATE TABLE session_deletions (
    account_id {int} NOT NULL,
    session_id {int} NOT NULL,
    PRIMARY KEY (account_id, session_id)
) {by_key};

CREATE INDEX api_keys_by_expiry ON api_keys (account_id, expires_at)
    WHERE expires_at IS NOT NULL AND is_ended = 0;
CREATE INDEX api_keys_by_end ON api_keys (account_id, ends_at) WHERE ends_at IS NOT NULL;
";

/// Until a deletion has finished, links may refer to a deleted session, and keys and actors to a
/// deleted account.
const DROP_CONSTRAINTS: &str = r"
ALTER TABLE todos DROP CONSTRAINT todos_account_id_session_id_fkey;
ALTER TABLE activities DROP CONSTRAINT activities_account_id_session_id_fkey;
ALTER TABLE actors DROP CONSTRAINT actors_account_id_fkey;
ALTER TABLE key_wraps DROP CONSTRAINT key_wraps_account_id_fkey;
";

/// The same for SQLite: tables, and the constraint that is removed from their definitions.
const CLAUSES: [(&str, &str); 2] = [
    (
        "'todos', 'activities'",
        ",\n    FOREIGN KEY (account_id, session_id) REFERENCES sessions DEFERRABLE INITIALLY DEFERRED",
    ),
    ("'actors', 'key_wraps'", " REFERENCES accounts"),
];
