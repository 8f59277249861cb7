//! Which keys end at the first use of another, and the indexes to find them.

use sea_orm_migration::prelude::*;

use crate::dialect::dialect;

pub(crate) struct KeySchema;

impl MigrationName for KeySchema {
    fn name(&self) -> &'static str {
        "m0002_keys"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for KeySchema {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = dialect(SCHEMA, manager.get_database_backend());
        manager.get_connection().execute_unprepared(&statements).await?;
        Ok(())
    }
}

// `succession` says how a key succeeds others. `replaces_key_id` and `grace_seconds` are set for a
// rotation. A recovery code refers to the key that was created with it, whose first use ends the
// other codes. Ended codes are deleted.
const SCHEMA: &str = r"
ALTER TABLE api_keys ADD COLUMN succession TEXT
    CHECK (succession = 'rotation' OR succession = 'recovery' OR succession = 'renewal');
CREATE INDEX api_keys_by_actor ON api_keys (account_id, actor_id, is_ended);
CREATE INDEX api_keys_by_replaced ON api_keys (account_id, replaces_key_id)
    WHERE replaces_key_id IS NOT NULL;

ALTER TABLE recovery_codes DROP COLUMN ends_at;
ALTER TABLE recovery_codes DROP COLUMN replaced_by_key_id;
ALTER TABLE recovery_codes ADD COLUMN comes_with_key_id {int};
";
