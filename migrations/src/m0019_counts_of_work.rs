//! The ledger tells which row a write wrote and which steps todos took. Todos made, done and
//! cancelled, and credits spent and granted, are counted by quarter hours.

use sea_orm_migration::prelude::*;

use crate::dialect::dialect;

pub(crate) struct CountsOfWork;

impl MigrationName for CountsOfWork {
    fn name(&self) -> &'static str {
        "m0019_counts_of_work"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CountsOfWork {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = dialect(SCHEMA, manager.get_database_backend());
        manager.get_connection().execute_unprepared(&statements).await?;
        Ok(())
    }
}

// `actor_id` of the ledger is the actor that paid, `subject_actor_id` the one that the row belongs
// to. Rows from before have no subject and no step, so todos are counted from now on.
//
// The quarter hour comes before the actor: writes of all actors of an account change one place of
// the table, whatever its size. Credits that are granted belong to actor 0, the account itself.
const SCHEMA: &str = r"
ALTER TABLE ledger ADD COLUMN subject_id {int};
ALTER TABLE ledger ADD COLUMN subject_actor_id {int};
ALTER TABLE ledger ADD COLUMN step TEXT;

CREATE TABLE work_quarter_hours (
    account_id {int} NOT NULL,
    quarter {int} NOT NULL,
    actor_id {int} NOT NULL,
    todos_made {int} NOT NULL,
    todos_done {int} NOT NULL,
    todos_cancelled {int} NOT NULL,
    credits_spent {int} NOT NULL,
    credits_granted {int} NOT NULL,
    PRIMARY KEY (account_id, quarter, actor_id)
) {by_key};
INSERT INTO work_quarter_hours
    SELECT account_id, created_at / 900000000, CASE WHEN delta > 0 THEN 0
            ELSE COALESCE(actor_id, 0) END, 0, 0, 0,
        CAST(SUM(CASE WHEN delta < 0 THEN -delta ELSE 0 END) AS BIGINT),
        CAST(SUM(CASE WHEN delta > 0 THEN delta ELSE 0 END) AS BIGINT)
    FROM ledger WHERE delta <> 0 GROUP BY 1, 2, 3;
";
