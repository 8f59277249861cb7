//! Table `actors`: actors.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "actors")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) account_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) actor_id: i64,
    pub(crate) uid: Uuid,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) role: String,
    pub(crate) is_active: i16,
    pub(crate) key_epoch: i64,
    pub(crate) created_at: i64,
    pub(crate) renewals_day: i64,
    pub(crate) renewals: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
