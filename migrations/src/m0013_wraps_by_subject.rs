//! Wraps are found by the key that they hold, and its epoch.

use sea_orm_migration::prelude::*;

pub(crate) struct WrapsBySubject;

impl MigrationName for WrapsBySubject {
    fn name(&self) -> &'static str {
        "m0013_wraps_by_subject"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for WrapsBySubject {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(INDEX).await?;
        Ok(())
    }
}

// The primary key leads from a holder to what it holds. This one leads from a key to its holders, an
// epoch or a range of epochs at a time, however many actors the account's key holds beside it.
const INDEX: &str = r"
CREATE INDEX key_wraps_by_subject
    ON key_wraps (account_id, subject_kind, subject_id, holder_kind, subject_epoch);
";
