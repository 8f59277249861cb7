//! An index to find wraps by the wrapped key and its epoch.

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

// The primary key finds the keys that a holder wraps. This index finds the holders of a key for an
// epoch or a range of epochs, without reading the wraps of other actors.
const INDEX: &str = r"
CREATE INDEX key_wraps_by_subject
    ON key_wraps (account_id, subject_kind, subject_id, holder_kind, subject_epoch);
";
