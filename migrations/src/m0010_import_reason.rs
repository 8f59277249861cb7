//! A new reason in the ledger: rows that an import wrote.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::dialect::dialect;

pub(crate) struct ImportReason;

impl MigrationName for ImportReason {
    fn name(&self) -> &'static str {
        "m0010_import_reason"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for ImportReason {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        let statements = if backend == DbBackend::Postgres { POSTGRES } else { SQLITE };
        manager.get_connection().execute_unprepared(&dialect(statements, backend)).await?;
        Ok(())
    }
}

const POSTGRES: &str = r"
ALTER TABLE ledger DROP CONSTRAINT ledger_reason_check;
ALTER TABLE ledger ADD CONSTRAINT ledger_reason_check CHECK (reason = 'bootstrap_grant'
    OR reason = 'operator_grant' OR reason = 'api_write' OR reason = 'import');
";

// SQLite can't change a CHECK, so the table and its index are created anew.
const SQLITE: &str = r"
CREATE TABLE new_ledger (
    account_id {int} NOT NULL,
    ledger_id {int} NOT NULL,
    delta {int} NOT NULL,
    balance_after {int} NOT NULL CHECK (balance_after >= 0),
    reason TEXT NOT NULL CHECK (reason = 'bootstrap_grant' OR reason = 'operator_grant'
        OR reason = 'api_write' OR reason = 'import'),
    endpoint TEXT,
    actor_id {int},
    note TEXT,
    created_at {int} NOT NULL,
    PRIMARY KEY (account_id, ledger_id)
) {by_key};
INSERT INTO new_ledger (account_id, ledger_id, delta, balance_after, reason, endpoint, actor_id,
        note, created_at)
    SELECT account_id, ledger_id, delta, balance_after, reason, endpoint, actor_id, note, created_at
    FROM ledger ORDER BY account_id, ledger_id;
DROP TABLE ledger;
ALTER TABLE new_ledger RENAME TO ledger;
CREATE INDEX ledger_by_reason ON ledger (account_id, reason, ledger_id)
    WHERE reason <> 'api_write';
";
