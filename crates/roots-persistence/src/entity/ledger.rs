//! Table `ledger`: the ledger.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "ledger")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) account_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) ledger_id: i64,
    pub(crate) delta: i64,
    pub(crate) balance_after: i64,
    pub(crate) reason: String,
    pub(crate) endpoint: Option<String>,
    pub(crate) actor_id: Option<i64>,
    pub(crate) note: Option<String>,
    pub(crate) created_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
