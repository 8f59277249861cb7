//! Table `key_wraps`: key wraps.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "key_wraps")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) account_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) holder_kind: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) holder_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) holder_epoch: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) subject_kind: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) subject_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) subject_epoch: i64,
    pub(crate) sealed: Vec<u8>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
