//! Table `audit_log`: what owners and operators did.

use roots_domain::model::audit::{AuditAction, AuditEntry, AuditEvent};
use roots_domain::model::id::{AccountId, ActorId, AuditId, KeyId, SessionId};
use sea_orm::entity::prelude::*;

use super::{InvalidRow, at, known};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_log")]
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
    pub(crate) subject_session_id: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&(AccountId, AuditEntry)> for Model {
    fn from((account, entry): &(AccountId, AuditEntry)) -> Self {
        let event = entry.event;
        Self {
            account_id: account.0,
            audit_id: entry.id.0,
            action: event.action.name().to_owned(),
            actor_id: event.actor.map(|id| id.0),
            key_id: event.key.map(|id| id.0),
            by_account_id: event.by_account.map(|id| id.0),
            subject_account_id: event.subject_account.map(|id| id.0),
            subject_actor_id: event.subject_actor.map(|id| id.0),
            subject_key_id: event.subject_key.map(|id| id.0),
            created_at: entry.created_at.micros(),
            subject_session_id: event.subject_session.map(|id| id.0),
        }
    }
}

impl TryFrom<Model> for AuditEntry {
    type Error = InvalidRow;

    fn try_from(row: Model) -> Result<Self, InvalidRow> {
        Ok(Self {
            id: AuditId(row.audit_id),
            event: AuditEvent {
                action: known(AuditAction::from_name(&row.action), "audit_log", "action")?,
                actor: row.actor_id.map(ActorId),
                key: row.key_id.map(KeyId),
                by_account: row.by_account_id.map(AccountId),
                subject_account: row.subject_account_id.map(AccountId),
                subject_actor: row.subject_actor_id.map(ActorId),
                subject_key: row.subject_key_id.map(KeyId),
                subject_session: row.subject_session_id.map(SessionId),
            },
            created_at: at(row.created_at),
        })
    }
}
