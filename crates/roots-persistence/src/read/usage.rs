//! Reads how many calls an account made.

use async_trait::async_trait;
use roots_domain::model::time::Day;
use roots_domain::model::usage::Endpoint;
use roots_domain::port::store::{Admission, StoreResult, UsageReader};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use crate::errors::of_read;
use crate::store::Store;
use crate::table::usage;

#[async_trait]
impl UsageReader for Store {
    async fn calls(
        &self,
        by: Admission,
        first: Day,
        last: Day,
    ) -> StoreResult<Vec<(Day, Endpoint, i64)>> {
        self.check_epoch(by).await?;
        let rows = usage::Entity::find()
            .filter(usage::Column::AccountId.eq(by.account.0))
            .filter(usage::Column::Day.between(first.0, last.0));
        let rows = rows.all(&self.readers(by.account)).await.map_err(of_read)?;
        let calls = rows.into_iter().map(|row| {
            (Day(row.day), Endpoint { route: row.route, method: row.method }, row.calls)
        });
        Ok(calls.collect())
    }
}
