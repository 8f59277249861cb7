//! Indexes for the lists of a whole account, in the order of an actor's lists.

use sea_orm_migration::prelude::*;

pub(crate) struct AccountLists;

impl MigrationName for AccountLists {
    fn name(&self) -> &'static str {
        "m0007_account_lists"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for AccountLists {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(INDEXES).await?;
        Ok(())
    }
}

// Other indexes already order the rows of each actor. These leave out the owner's rows: most
// accounts have no other actor and need no second index. A read of a whole account merges both.
//
// SQLite has no statistics here. Of two equally good indexes it takes the one that was created
// first, so the narrower one comes first.
const INDEXES: &str = r"
CREATE INDEX sessions_of_account_by_status
    ON sessions (account_id, status, started_at, session_id) WHERE actor_id <> 1;
CREATE INDEX sessions_of_account ON sessions (account_id, started_at, session_id)
    WHERE actor_id <> 1;
CREATE INDEX todos_of_account_by_status
    ON todos (account_id, status, priority, created_at, todo_id) WHERE actor_id <> 1;
CREATE INDEX todos_of_account ON todos (account_id, priority, created_at, todo_id)
    WHERE actor_id <> 1;
CREATE INDEX activities_of_account_by_type
    ON activities (account_id, activity_type, logged_at, activity_id) WHERE actor_id <> 1;
CREATE INDEX activities_of_account ON activities (account_id, logged_at, activity_id)
    WHERE actor_id <> 1;
";
