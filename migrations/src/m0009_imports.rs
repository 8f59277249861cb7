//! Rows that came in from elsewhere.

use sea_orm_migration::prelude::*;

use crate::dialect;

pub(crate) struct Imports;

impl MigrationName for Imports {
    fn name(&self) -> &'static str {
        "m0009_imports"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Imports {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = dialect(SCHEMA, manager.get_database_backend());
        manager.get_connection().execute_unprepared(&statements).await?;
        Ok(())
    }
}

// `source` is the account that a row was exported from, and `source_id` its id there: together they
// name it for good. `id` is the one that it was given here.
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
