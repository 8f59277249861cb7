//! Table `accounts`: accounts.

use roots_domain::model::account::{Account, AccountKind, AccountStatus, LastIds};
use roots_domain::model::id::{AccountId, Uid};
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::{InvalidRow, at, epoch, known, name};

#[derive(Clone, Debug, Default, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[serde(default)]
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
    pub(crate) last_sign_in_id: i64,
    pub(crate) sign_in_epoch: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&Account> for Model {
    fn from(account: &Account) -> Self {
        let last_ids = account.last_ids;
        Self {
            account_id: account.id.0,
            uid: account.uid.0,
            name: account.name.as_str().to_owned(),
            kind: account.kind.name().to_owned(),
            status: account.status.name().to_owned(),
            balance: account.balance,
            auth_epoch: account.auth_epoch,
            key_epoch: account.key_epoch.0.into(),
            last_actor_id: last_ids.actor,
            last_key_id: last_ids.key,
            last_recovery_id: last_ids.recovery,
            last_session_id: last_ids.session,
            last_todo_id: last_ids.todo,
            last_activity_id: last_ids.activity,
            last_log_id: last_ids.log,
            last_ledger_id: last_ids.ledger,
            created_at: account.created_at.micros(),
            version: account.version,
            last_audit_id: last_ids.audit,
            keys: account.keys,
            last_sign_in_id: last_ids.sign_in,
            sign_in_epoch: account.sign_in_epoch,
        }
    }
}

impl TryFrom<Model> for Account {
    type Error = InvalidRow;

    fn try_from(row: Model) -> Result<Self, InvalidRow> {
        Ok(Self {
            id: AccountId(row.account_id),
            uid: Uid(row.uid),
            name: name(row.name, "accounts", "name")?,
            kind: known(AccountKind::from_name(&row.kind), "accounts", "kind")?,
            status: known(AccountStatus::from_name(&row.status), "accounts", "status")?,
            balance: row.balance,
            auth_epoch: row.auth_epoch,
            sign_in_epoch: row.sign_in_epoch,
            key_epoch: epoch(row.key_epoch, "accounts")?,
            last_ids: LastIds {
                actor: row.last_actor_id,
                key: row.last_key_id,
                recovery: row.last_recovery_id,
                sign_in: row.last_sign_in_id,
                session: row.last_session_id,
                todo: row.last_todo_id,
                activity: row.last_activity_id,
                log: row.last_log_id,
                ledger: row.last_ledger_id,
                audit: row.last_audit_id,
            },
            keys: row.keys,
            created_at: at(row.created_at),
            version: row.version,
        })
    }
}
