//! How often each account calls each endpoint.

use sea_orm_migration::prelude::*;

use crate::dialect::dialect;

pub(crate) struct UsageSchema;

impl MigrationName for UsageSchema {
    fn name(&self) -> &'static str {
        "m0003_usage"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for UsageSchema {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = dialect(SCHEMA, manager.get_database_backend());
        manager.get_connection().execute_unprepared(&statements).await?;
        Ok(())
    }
}

const SCHEMA: &str = r"
CREATE TABLE usage (
    account_id {int} NOT NULL,
    day {int} NOT NULL,
    route TEXT NOT NULL,
    method TEXT NOT NULL,
    calls {int} NOT NULL,
    PRIMARY KEY (account_id, day, route, method)
) {by_key};
";
