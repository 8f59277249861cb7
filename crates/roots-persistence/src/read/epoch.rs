//! Whether a caller still has the auth epoch under which it was admitted.

use roots_domain::model::id::AccountId;
use roots_domain::port::store::{Admission, StoreError, StoreResult};
use sea_orm::sea_query::Expr;
use sea_orm::{EntityTrait, QuerySelect, Select};

use super::totals::number;
pub(super) use crate::connect::shard::AUTH_EPOCH;
use crate::errors::of_read;
use crate::store::Store;
use crate::table::accounts;

impl Store {
    /// Checks that the caller's account still has the auth epoch under which it was admitted.
    pub(super) async fn check_epoch(&self, by: Admission) -> StoreResult<()> {
        if by.auth_epoch.is_none() {
            return Ok(());
        }
        let epoch = auth_epoch_query(by.account).into_tuple::<i64>();
        expect_epoch(by, epoch.one(&self.readers(by.account)).await.map_err(of_read)?)
    }
}

/// The auth epoch of an account, as a part of a statement.
pub(super) fn auth_epoch_of(account: AccountId) -> Expr {
    number(auth_epoch_query(account))
}

fn auth_epoch_query(account: AccountId) -> Select<accounts::Entity> {
    accounts::Entity::find_by_id(account.0).select_only().column(accounts::Column::AuthEpoch)
}

/// Checks that the auth epoch that was read is the one under which a caller was admitted.
pub(super) fn expect_epoch(by: Admission, found: Option<i64>) -> StoreResult<()> {
    if by.auth_epoch.is_none() || by.auth_epoch == found {
        return Ok(());
    }
    Err(StoreError::EpochMoved)
}
