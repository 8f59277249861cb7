//! Table `api_keys`: API keys.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_keys")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) account_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) key_id: i64,
    pub(crate) actor_id: i64,
    pub(crate) lookup: Vec<u8>,
    pub(crate) prefix: String,
    pub(crate) label: Option<String>,
    pub(crate) created_at: i64,
    pub(crate) last_used: Option<i64>,
    pub(crate) expires_at: Option<i64>,
    pub(crate) ends_at: Option<i64>,
    pub(crate) succession: Option<String>,
    pub(crate) replaces_key_id: Option<i64>,
    pub(crate) grace_seconds: Option<i64>,
    pub(crate) first_used_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
