//! Heartbeats: when sessions were last active, sessions that were ended for their silence, and
//! claims of todos with their deadlines.

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
//
// `todos.claims` counts the claims of a todo; `claimed_at` and `lease_seconds` are set while one
// stands. Its deadline repeats what orders claims, so that the first lapsed one is found by an
// index. A todo without a due date comes last: in both databases the indexes replace NULL by the
// largest number.
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

ALTER TABLE todos ADD COLUMN claims {int} NOT NULL DEFAULT 0;
ALTER TABLE todos ADD COLUMN claim_session_id {int};
ALTER TABLE todos ADD COLUMN claimed_at {int};
ALTER TABLE todos ADD COLUMN lease_seconds {int};
CREATE INDEX todos_to_claim ON todos (account_id, actor_id, priority DESC,
    (COALESCE(due_at, 9223372036854775807)), created_at, todo_id) WHERE status = 'open';

CREATE TABLE claim_deadlines (
    account_id {int} NOT NULL,
    todo_id {int} NOT NULL,
    actor_id {int} NOT NULL,
    priority {small} NOT NULL,
    due_at {int},
    created_at {int} NOT NULL,
    session_id {int},
    lease_seconds {int} NOT NULL,
    until_at {int} NOT NULL,
    PRIMARY KEY (account_id, todo_id)
) {strict};
CREATE INDEX claim_deadlines_by_end ON claim_deadlines (account_id, actor_id, priority, until_at);
CREATE INDEX claim_deadlines_in_order ON claim_deadlines (account_id, actor_id, priority,
    (COALESCE(due_at, 9223372036854775807)), created_at, todo_id);
CREATE INDEX claim_deadlines_by_session ON claim_deadlines (account_id, session_id)
    WHERE session_id IS NOT NULL;
";
