//! When the status of each todo last changed, and indexes for lists: finished todos by that time,
//! todos that are overdue, and sessions by their end.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::dialect::dialect;

pub(crate) struct StatusSince;

impl MigrationName for StatusSince {
    fn name(&self) -> &'static str {
        "m0018_status_since"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for StatusSince {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let (db, backend) = (manager.get_connection(), manager.get_database_backend());
        // SQLite adds only virtual columns to a table, and PostgreSQL knows only stored ones.
        let kept = if backend == DbBackend::Postgres { "STORED" } else { "VIRTUAL" };
        db.execute_unprepared(&dialect(SCHEMA, backend).replace("{kept}", kept)).await?;
        Ok(())
    }
}

// The column repeats the time of the last entry of a todo's log, for the index. Only finished todos
// are listed by it, so only they are in the index, and most writes do not touch it.
//
// The indexes of overdue todos get the id, which orders todos that were due at the same time.
//
// The end of an active session is still to come: its `end_at` is the largest number, so that one
// range has the active sessions and those that ended since a time. It is a column because SQLite
// does not use an index over an expression to compare several columns at once.
const SCHEMA: &str = r"
ALTER TABLE todos ADD COLUMN status_since {int} NOT NULL DEFAULT 0;
UPDATE todos SET status_since = COALESCE((SELECT l.logged_at FROM todo_logs AS l
    WHERE l.account_id = todos.account_id AND l.todo_id = todos.todo_id
    ORDER BY l.log_id DESC LIMIT 1), created_at);
CREATE INDEX todos_finished ON todos (account_id, actor_id, status, status_since, todo_id)
    WHERE status = 'done' OR status = 'cancelled';
CREATE INDEX todos_finished_of_account ON todos (account_id, status, status_since, todo_id)
    WHERE (status = 'done' OR status = 'cancelled') AND actor_id <> 1;
CREATE INDEX todos_finished_of_priority
    ON todos (account_id, actor_id, status, priority, status_since, todo_id)
    WHERE status = 'done' OR status = 'cancelled';
CREATE INDEX todos_finished_of_priority_of_account
    ON todos (account_id, status, priority, status_since, todo_id)
    WHERE (status = 'done' OR status = 'cancelled') AND actor_id <> 1;

DROP INDEX todos_due;
DROP INDEX todos_due_of_account;
CREATE INDEX todos_due ON todos (account_id, actor_id, due_at, todo_id, status)
    WHERE due_at IS NOT NULL AND status <> 'done' AND status <> 'cancelled';
CREATE INDEX todos_due_of_account ON todos (account_id, due_at, todo_id, status)
    WHERE due_at IS NOT NULL AND status <> 'done' AND status <> 'cancelled' AND actor_id <> 1;

ALTER TABLE sessions ADD COLUMN end_at {int}
    GENERATED ALWAYS AS (COALESCE(ended_at, 9223372036854775807)) {kept};
CREATE INDEX sessions_by_window ON sessions (account_id, actor_id, end_at, started_at, session_id);
CREATE INDEX sessions_of_account_by_window ON sessions (account_id, end_at, started_at, session_id)
    WHERE actor_id <> 1;
";
