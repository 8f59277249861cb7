//! When sessions were last active, and sessions that were ended for their silence.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::dialect::dialect;

pub(crate) struct Heartbeats;

impl MigrationName for Heartbeats {
    fn name(&self) -> &'static str {
        "m0015_heartbeats"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Heartbeats {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let (db, backend) = (manager.get_connection(), manager.get_database_backend());
        let now = match backend {
            DbBackend::Postgres => {
                "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)"
            }
            _ => "CAST(strftime('%s', 'now') AS INTEGER) * 1000000",
        };
        db.execute_unprepared(&dialect(SCHEMA, backend).replace("{now}", now)).await?;
        Ok(())
    }
}

// A heartbeat changes no version and no row with a text, so it has a table of its own. Each session
// has a row. `is_open` repeats that the session is active, for the index that finds silent ones.
// Sessions that are active now count as silent from now on.
const SCHEMA: &str = r"
ALTER TABLE sessions ADD COLUMN is_idle {small} NOT NULL DEFAULT 0 CHECK (is_idle IN (0, 1));

CREATE TABLE session_activity (
    account_id {int} NOT NULL,
    session_id {int} NOT NULL,
    last_active_at {int} NOT NULL,
    is_open {small} NOT NULL CHECK (is_open IN (0, 1)),
    PRIMARY KEY (account_id, session_id)
) {by_key};
INSERT INTO session_activity (account_id, session_id, last_active_at, is_open)
SELECT account_id, session_id, COALESCE(ended_at, {now}), CASE WHEN ended_at IS NULL THEN 1 ELSE 0 END
FROM sessions;
CREATE INDEX session_activity_open ON session_activity (account_id, last_active_at, session_id)
    WHERE is_open = 1;
";
