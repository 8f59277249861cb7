//! Table `accounts`: accounts.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "accounts")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) account_id: i64,
    pub(crate) uid: Uuid,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) status: String,
    pub(crate) balance: i64,
    pub(crate) auth_epoch: i64,
    pub(crate) key_epoch: i64,
    pub(crate) last_actor_id: i64,
    pub(crate) last_key_id: i64,
    pub(crate) last_recovery_id: i64,
    pub(crate) last_session_id: i64,
    pub(crate) last_todo_id: i64,
    pub(crate) last_activity_id: i64,
    pub(crate) last_log_id: i64,
    pub(crate) last_ledger_id: i64,
    pub(crate) created_at: i64,
    pub(crate) version: i64,
    pub(crate) last_audit_id: i64,
    pub(crate) keys: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
