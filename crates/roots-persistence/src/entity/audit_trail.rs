//! Table `audit_trail`: what owners and operators did.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_trail")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) account_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) audit_id: i64,
    pub(crate) action: String,
    pub(crate) actor_id: Option<i64>,
    pub(crate) key_id: Option<i64>,
    pub(crate) by_account_id: Option<i64>,
    pub(crate) subject_account_id: Option<i64>,
    pub(crate) subject_actor_id: Option<i64>,
    pub(crate) subject_key_id: Option<i64>,
    pub(crate) created_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
