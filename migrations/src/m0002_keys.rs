//! What the first use of a key puts an end to, and how keys are found by it.

use sea_orm_migration::prelude::*;

use crate::dialect;

pub(crate) struct Keys;

impl MigrationName for Keys {
    fn name(&self) -> &'static str {
        "m0002_keys"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Keys {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = dialect(SCHEMA, manager.get_database_backend());
        manager.get_connection().execute_unprepared(&statements).await?;
        Ok(())
    }
}

// A key that succeeds others says how in `succession`; `replaces_key_id` and `grace_seconds` are a
// rotation's. `ends_at` is 0 once a key has ended for good. A recovery code names the key that it was
// made with, whose first use ends the other codes; one that has ended is deleted.
const SCHEMA: &str = r"
ALTER TABLE api_keys ADD COLUMN succession TEXT
    CHECK (succession = 'rotation' OR succession = 'recovery' OR succession = 'renewal');
CREATE INDEX api_keys_by_actor ON api_keys (account_id, actor_id, ends_at);
CREATE INDEX api_keys_by_replaced ON api_keys (account_id, replaces_key_id)
    WHERE replaces_key_id IS NOT NULL;

ALTER TABLE recovery_codes DROP COLUMN ends_at;
ALTER TABLE recovery_codes DROP COLUMN replaced_by_key_id;
ALTER TABLE recovery_codes ADD COLUMN comes_with_key_id {int};
";
