//! What events tell: the session that was ended because it was silent.

use sea_orm_migration::prelude::*;

use crate::dialect::dialect;

pub(crate) struct Events;

impl MigrationName for Events {
    fn name(&self) -> &'static str {
        "m0020_events"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Events {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let (db, backend) = (manager.get_connection(), manager.get_database_backend());
        db.execute_unprepared(&dialect(SCHEMA, backend)).await?;
        Ok(())
    }
}

// Entries from before name only the session's actor.
const SCHEMA: &str = r"
ALTER TABLE audit_log ADD COLUMN subject_session_id {int};
";
