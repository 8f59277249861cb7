//! Table `directory`: one row, which assigns the ids of accounts and counts the accounts.

use roots_domain::decide::Directory;
use roots_domain::model::id::{AccountId, Uid};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "directory")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) one: i64,
    pub(crate) last_account_id: Option<i64>,
    pub(crate) accounts: i64,
    pub(crate) installation: Option<Uuid>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<Model> for Directory {
    fn from(row: Model) -> Self {
        Self {
            last_account: row.last_account_id.map(AccountId),
            accounts: row.accounts,
            installation: row.installation.map(Uid),
        }
    }
}
