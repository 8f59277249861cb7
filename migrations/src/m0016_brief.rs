//! What a brief reads: the newest status changes of an actor, the first todos of all actors in the
//! order of claims, todos in progress that nobody has claimed, todos that are due, the session that
//! ended last, and activities that were logged for another time.

use sea_orm_migration::prelude::*;

use crate::dialect::dialect;

pub(crate) struct Brief;

impl MigrationName for Brief {
    fn name(&self) -> &'static str {
        "m0016_brief"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Brief {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let (db, backend) = (manager.get_connection(), manager.get_database_backend());
        db.execute_unprepared(&dialect(SCHEMA, backend)).await?;
        Ok(())
    }
}

// A status change repeats the actor of its todo, for the index. Indexes over an account leave out
// the owner's rows, as those of its lists do. The deadlines of claims are few, so their index over
// an account has them all.
//
// An index over todos that are not finished names the statuses that it leaves out: both databases
// then see that a query with the same conditions can use it.
//
// An activity ends the wait of its session, whatever time it was logged for. Most are logged for
// the time at which they are created, and are found by that. So only the others are in this index.
const SCHEMA: &str = r"
ALTER TABLE todo_logs ADD COLUMN actor_id {int} NOT NULL DEFAULT 0;
UPDATE todo_logs SET actor_id = COALESCE((SELECT t.actor_id FROM todos AS t
    WHERE t.account_id = todo_logs.account_id AND t.todo_id = todo_logs.todo_id), 0);
CREATE INDEX todo_logs_by_time ON todo_logs (account_id, actor_id, logged_at, log_id);
CREATE INDEX todo_logs_of_account ON todo_logs (account_id, logged_at, log_id)
    WHERE actor_id <> 1;

CREATE INDEX todos_to_claim_of_account ON todos (account_id, priority DESC,
    (COALESCE(due_at, 9223372036854775807)), created_at, todo_id)
    WHERE status = 'open' AND actor_id <> 1;
CREATE INDEX todos_unclaimed ON todos (account_id, actor_id, priority DESC,
    (COALESCE(due_at, 9223372036854775807)), created_at, todo_id)
    WHERE status = 'in_progress' AND claimed_at IS NULL;
CREATE INDEX todos_unclaimed_of_account ON todos (account_id, priority DESC,
    (COALESCE(due_at, 9223372036854775807)), created_at, todo_id)
    WHERE status = 'in_progress' AND claimed_at IS NULL AND actor_id <> 1;
CREATE INDEX todos_due ON todos (account_id, actor_id, due_at, status)
    WHERE due_at IS NOT NULL AND status <> 'done' AND status <> 'cancelled';
CREATE INDEX todos_due_of_account ON todos (account_id, due_at, status)
    WHERE due_at IS NOT NULL AND status <> 'done' AND status <> 'cancelled' AND actor_id <> 1;

CREATE INDEX sessions_by_end ON sessions (account_id, actor_id, ended_at, session_id)
    WHERE ended_at IS NOT NULL;
CREATE INDEX sessions_of_account_by_end ON sessions (account_id, ended_at, session_id)
    WHERE ended_at IS NOT NULL AND actor_id <> 1;
CREATE INDEX activities_of_other_times ON activities (account_id, session_id, activity_id)
    WHERE session_id IS NOT NULL AND logged_at <> created_at;

CREATE INDEX claim_deadlines_of_account ON claim_deadlines (account_id, priority, until_at);
";
