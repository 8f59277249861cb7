//! The id of an installation, which is also in the file with the first operator's key.

use sea_orm_migration::prelude::*;

use crate::dialect::dialect;

pub(crate) struct Installation;

impl MigrationName for Installation {
    fn name(&self) -> &'static str {
        "m0014_installation"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Installation {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let (db, backend) = (manager.get_connection(), manager.get_database_backend());
        db.execute_unprepared(&dialect(COLUMN, backend)).await?;
        Ok(())
    }
}

// The first start sets the id, not this migration: each copy of a database that was only migrated
// becomes an installation of its own.
const COLUMN: &str = "ALTER TABLE directory ADD COLUMN installation {uid};";
