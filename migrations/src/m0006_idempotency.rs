//! Records of idempotent requests and their responses.

use sea_orm_migration::prelude::*;

use crate::dialect::dialect;

pub(crate) struct IdempotencySchema;

impl MigrationName for IdempotencySchema {
    fn name(&self) -> &'static str {
        "m0006_idempotency"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for IdempotencySchema {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = dialect(SCHEMA, manager.get_database_backend());
        manager.get_connection().execute_unprepared(&statements).await?;
        Ok(())
    }
}

// The idempotency key and the request are stored only as HMACs. A response is the row as the write
// left it, with its texts sealed. The actor is the author of the request, who may differ from the
// actor of the row.
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
