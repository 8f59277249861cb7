//! Sign-ins: the browser keys of people who look at the pages.

use sea_orm_migration::prelude::*;

use crate::dialect::dialect;

pub(crate) struct SignIns;

impl MigrationName for SignIns {
    fn name(&self) -> &'static str {
        "m0017_sign_ins"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for SignIns {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = dialect(SCHEMA, manager.get_database_backend());
        manager.get_connection().execute_unprepared(&statements).await?;
        Ok(())
    }
}

// `opener_id` is the API key that was typed. `ended` says how that key ended, if it did; any other
// end deletes the row. A sign-in has at most two wraps, which are columns: so they are deleted with
// it, or with its opener by one statement. `ends_at` is its end if it is not used again.
//
// The indexes find the sign-ins of an actor, those that a key has opened, and those that are over.
const SCHEMA: &str = r"
CREATE TABLE sign_ins (
    account_id {int} NOT NULL,
    sign_in_id {int} NOT NULL,
    actor_id {int} NOT NULL,
    opener_id {int} NOT NULL,
    lookup {bytes} NOT NULL,
    label TEXT,
    stay TEXT NOT NULL CHECK (stay = 'usual' OR stay = 'long'),
    created_at {int} NOT NULL,
    last_used {int} NOT NULL,
    ends_at {int} NOT NULL,
    ended TEXT CHECK (ended = 'key_rotated' OR ended = 'key_ended'),
    actor_key_epoch {int},
    actor_key {bytes},
    account_key_epoch {int},
    account_key {bytes},
    PRIMARY KEY (account_id, sign_in_id),
    UNIQUE (account_id, lookup),
    CHECK (ended IS NULL OR (actor_key IS NULL AND account_key IS NULL))
) {by_key};
CREATE INDEX sign_ins_by_actor ON sign_ins (account_id, actor_id);
CREATE INDEX sign_ins_by_opener ON sign_ins (account_id, opener_id);
CREATE INDEX sign_ins_by_end ON sign_ins (account_id, ends_at);

ALTER TABLE accounts ADD COLUMN last_sign_in_id {int} NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN sign_in_epoch {int} NOT NULL DEFAULT 0;
";
