//! Finds the remaining rows of erased accounts and links to deleted sessions.

use roots_domain::model::id::{AccountId, SessionId};
use roots_domain::port::store::{Leftover, LeftoverReader, StoreResult};
use sea_orm::{ColumnTrait, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect};

use crate::errors::of_read;
use crate::store::Store;
use crate::table::{erasures, session_deletions};

#[async_trait::async_trait]
impl LeftoverReader for Store {
    async fn left_over(&self, after: Option<AccountId>) -> StoreResult<Option<Leftover>> {
        // Ids count from 1.
        let after = after.map_or(0, |account| account.0);
        let erased = erasures::Entity::find()
            .filter(erasures::Column::AccountId.gt(after))
            .filter(erasures::Column::SweptAt.is_null())
            .order_by(erasures::Column::AccountId, Order::Asc)
            .limit(1)
            .one(self.readers_of_all())
            .await
            .map_err(of_read)?;
        let linked = session_deletions::Entity::find()
            .filter(session_deletions::Column::AccountId.gt(after))
            .order_by(session_deletions::Column::AccountId, Order::Asc)
            .order_by(session_deletions::Column::SessionId, Order::Asc)
            .limit(1)
            .one(self.readers_of_all())
            .await
            .map_err(of_read)?;
        let erased = erased.map(|row| Leftover::Erased(AccountId(row.account_id)));
        let linked = linked
            .map(|row| Leftover::Linked(AccountId(row.account_id), SessionId(row.session_id)));
        // If both are of one account, the first.
        Ok(erased.into_iter().chain(linked).min_by_key(|one| one.account()))
    }
}
