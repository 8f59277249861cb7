//! What owners and operators did, and how many accounts there are.

use sea_orm_migration::prelude::*;

use crate::dialect;

pub(crate) struct AuditTrail;

impl MigrationName for AuditTrail {
    fn name(&self) -> &'static str {
        "m0004_audit_trail"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for AuditTrail {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = dialect(SCHEMA, manager.get_database_backend());
        manager.get_connection().execute_unprepared(&statements).await?;
        Ok(())
    }
}

// Ids and actions only. `actor_id` and `key_id` did it, and are of the account whose trail it is;
// what another account did names that account alone.
const SCHEMA: &str = r"
CREATE TABLE audit_trail (
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
