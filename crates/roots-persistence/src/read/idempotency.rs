//! Finds idempotency records that have expired.

use async_trait::async_trait;
use roots_domain::model::id::AccountId;
use roots_domain::model::time::Timestamp;
use roots_domain::port::store::{IdempotencyReader, StoreResult};
use sea_orm::{ConnectionTrait, Statement};

use crate::errors::of_read;
use crate::store::Store;

#[async_trait]
impl IdempotencyReader for Store {
    async fn account_with_idempotency_records(
        &self,
        before: Timestamp,
        after: Option<AccountId>,
    ) -> StoreResult<Option<AccountId>> {
        // One look at the index by age for each account.
        let sql = "SELECT account_id FROM accounts WHERE account_id > $1 AND EXISTS \
                   (SELECT 1 FROM idempotency WHERE idempotency.account_id = accounts.account_id \
                   AND idempotency.created_at < $2) ORDER BY account_id LIMIT 1";
        let db = self.readers_of_all();
        // Ids count from 1.
        let after = after.map_or(0, |account| account.0);
        let values = [after.into(), before.micros().into()];
        let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
        let found = db.query_one_raw(statement).await.map_err(of_read)?;
        let id = found.map(|row| row.try_get_by_index(0)).transpose().map_err(of_read)?;
        Ok(id.map(AccountId))
    }
}
