//! Erased accounts.

use sea_orm_migration::prelude::*;

use crate::dialect::dialect;

pub(crate) struct ErasureSchema;

impl MigrationName for ErasureSchema {
    fn name(&self) -> &'static str {
        "m0008_erasures"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for ErasureSchema {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = dialect(SCHEMA, manager.get_database_backend());
        manager.get_connection().execute_unprepared(&statements).await?;
        Ok(())
    }
}

// This table keeps the id of an erased account, which is never assigned again, and the time of the
// erasure. Until `swept_at` is set, other rows of the account may remain, but no key can open them.
const SCHEMA: &str = r"
CREATE TABLE erasures (
    account_id {int} NOT NULL PRIMARY KEY,
    erased_at {int} NOT NULL,
    swept_at {int}
) {strict};
CREATE INDEX erasures_unswept ON erasures (account_id) WHERE swept_at IS NULL;
";
