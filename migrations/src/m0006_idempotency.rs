//! Kept answers to requests that their callers have named.

use sea_orm_migration::prelude::*;

use crate::dialect;

pub(crate) struct Idempotency;

impl MigrationName for Idempotency {
    fn name(&self) -> &'static str {
        "m0006_idempotency"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Idempotency {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = dialect(SCHEMA, manager.get_database_backend());
        manager.get_connection().execute_unprepared(&statements).await?;
        Ok(())
    }
}

// What a caller sends, its key and its request, stands here as HMACs alone. An answer is the row as it
// was left, its texts sealed as they were. The actor is the one that asked, which may differ from the
// row's.
const SCHEMA: &str = r"
CREATE TABLE idempotency (
    account_id {int} NOT NULL,
    actor_id {int} NOT NULL,
    key_mac {bytes} NOT NULL,
    request_mac {bytes} NOT NULL,
    answer {bytes} NOT NULL,
    cost {int} NOT NULL,
    created_at {int} NOT NULL,
    PRIMARY KEY (account_id, actor_id, key_mac)
) {strict};
CREATE INDEX idempotency_by_age ON idempotency (account_id, created_at);
";
