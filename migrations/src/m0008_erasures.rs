//! Accounts that were erased.

use sea_orm_migration::prelude::*;

use crate::dialect;

pub(crate) struct Erasures;

impl MigrationName for Erasures {
    fn name(&self) -> &'static str {
        "m0008_erasures"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Erasures {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = dialect(SCHEMA, manager.get_database_backend());
        manager.get_connection().execute_unprepared(&statements).await?;
        Ok(())
    }
}

// All that is kept of an account that was erased: its id, which is not given again, and when. Until
// `swept_at` is set, rows of it may be left, which nothing opens any more.
const SCHEMA: &str = r"
CREATE TABLE erasures (
    account_id {int} NOT NULL PRIMARY KEY,
    erased_at {int} NOT NULL,
    swept_at {int}
) {strict};
CREATE INDEX erasures_unswept ON erasures (account_id) WHERE swept_at IS NULL;
";
