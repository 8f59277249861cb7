//! Activities counted by quarter hours, which add up to the days of nearly every time zone.

use sea_orm_migration::prelude::*;

use crate::dialect::dialect;

pub(crate) struct QuarterHours;

impl MigrationName for QuarterHours {
    fn name(&self) -> &'static str {
        "m0005_quarter_hours"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for QuarterHours {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = dialect(SCHEMA, manager.get_database_backend());
        manager.get_connection().execute_unprepared(&statements).await?;
        Ok(())
    }
}

// Quarter hours are numbered from 1970, like the days in `activity_daily`.
const SCHEMA: &str = r"
CREATE TABLE activity_quarter_hours (
    account_id {int} NOT NULL,
    actor_id {int} NOT NULL,
    quarter {int} NOT NULL,
    activity_type TEXT NOT NULL,
    count {int} NOT NULL,
    PRIMARY KEY (account_id, actor_id, quarter, activity_type)
) {by_key};
INSERT INTO activity_quarter_hours
    SELECT account_id, actor_id, logged_at / 900000000, activity_type, COUNT(*)
    FROM activities GROUP BY 1, 2, 3, 4;
";
