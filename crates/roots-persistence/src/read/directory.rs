//! Reads the directory of accounts.

use roots_domain::model::id::AccountId;
use roots_domain::port::store::StoreResult;
use sea_orm::EntityTrait;

use crate::errors::of_read;
use crate::store::Store;
use crate::table::directory;

impl Store {
    /// The number of accounts.
    pub(super) async fn counted_accounts(&self) -> StoreResult<i64> {
        let row = directory::Entity::find().one(self.readers_of_all()).await.map_err(of_read)?;
        Ok(row.map_or(0, |row| row.accounts))
    }

    /// The last account id that was given, if any was.
    pub(super) async fn last_given_account(&self) -> StoreResult<Option<AccountId>> {
        let row = directory::Entity::find().one(self.readers_of_all()).await.map_err(of_read)?;
        Ok(row.and_then(|row| row.last_account_id).map(AccountId))
    }
}
