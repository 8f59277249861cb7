//! Imported rows.

use sea_orm_migration::prelude::*;

use crate::dialect::dialect;

pub(crate) struct ImportSchema;

impl MigrationName for ImportSchema {
    fn name(&self) -> &'static str {
        "m0009_imports"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for ImportSchema {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = dialect(SCHEMA, manager.get_database_backend());
        manager.get_connection().execute_unprepared(&statements).await?;
        Ok(())
    }
}

// `source` is the account that a row was exported from, and `source_id` its id there. Together they
// identify the row permanently. `id` is its id in this account.
const SCHEMA: &str = r"
CREATE TABLE imports (
    account_id {int} NOT NULL,
    source {uid} NOT NULL,
    kind TEXT NOT NULL CHECK (kind = 'actor' OR kind = 'session' OR kind = 'todo'
        OR kind = 'log' OR kind = 'activity'),
    source_id {int} NOT NULL,
    id {int} NOT NULL,
    PRIMARY KEY (account_id, source, kind, source_id)
) {by_key};
";
