//! Counters for limits that outlast a restart: the keys of an account, and the renewals of an
//! actor.

use sea_orm_migration::prelude::*;

use crate::dialect::dialect;

pub(crate) struct Quotas;

impl MigrationName for Quotas {
    fn name(&self) -> &'static str {
        "m0011_quotas"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Quotas {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = dialect(SCHEMA, manager.get_database_backend());
        manager.get_connection().execute_unprepared(&statements).await?;
        Ok(())
    }
}

// `keys` counts the rows of `api_keys`, including ended keys. `renewals` counts the renewals on the
// UTC day `renewals_day`. The index finds the ended keys with the lowest ids.
const SCHEMA: &str = r"
ALTER TABLE accounts ADD COLUMN keys {int} NOT NULL DEFAULT 0;
UPDATE accounts SET keys =
    (SELECT COUNT(*) FROM api_keys WHERE api_keys.account_id = accounts.account_id);
ALTER TABLE actors ADD COLUMN renewals_day {int} NOT NULL DEFAULT 0;
ALTER TABLE actors ADD COLUMN renewals {int} NOT NULL DEFAULT 0;
CREATE INDEX api_keys_ended ON api_keys (account_id, key_id) WHERE is_ended = 1;
";
