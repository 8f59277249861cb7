//! What a dashboard reads: the todos that have been in progress longest.

use sea_orm_migration::prelude::*;

pub(crate) struct Dashboard;

impl MigrationName for Dashboard {
    fn name(&self) -> &'static str {
        "m0021_dashboard"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Dashboard {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(INDEXES).await?;
        Ok(())
    }
}

// An index over an account leaves out the owner's rows, as those of its lists do.
const INDEXES: &str = r"
CREATE INDEX todos_in_progress ON todos (account_id, actor_id, status_since, todo_id)
    WHERE status = 'in_progress';
CREATE INDEX todos_in_progress_of_account ON todos (account_id, status_since, todo_id)
    WHERE status = 'in_progress' AND actor_id <> 1;
";
