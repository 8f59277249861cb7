//! The audit log, and the number of accounts.

use sea_orm_migration::prelude::*;

use crate::dialect::dialect;

pub(crate) struct AuditLog;

impl MigrationName for AuditLog {
    fn name(&self) -> &'static str {
        "m0004_audit_log"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for AuditLog {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = dialect(SCHEMA, manager.get_database_backend());
        manager.get_connection().execute_unprepared(&statements).await?;
        Ok(())
    }
}

// The audit log holds only ids and actions. `actor_id` and `key_id` name the author, if it belongs
// to the account of the log. For actions of another account, only that account is named.
const SCHEMA: &str = r"
CREATE TABLE audit_log (
    account_id {int} NOT NULL,
    audit_id {int} NOT NULL,
    action TEXT NOT NULL,
    actor_id {int},
    key_id {int},
    by_account_id {int},
    subject_account_id {int},
    subject_actor_id {int},
    subject_key_id {int},
    created_at {int} NOT NULL,
    PRIMARY KEY (account_id, audit_id)
) {by_key};

ALTER TABLE accounts ADD COLUMN last_audit_id {int} NOT NULL DEFAULT 0;

ALTER TABLE directory ADD COLUMN accounts {int} NOT NULL DEFAULT 0;
UPDATE directory SET accounts = (SELECT COUNT(*) FROM accounts);
";
