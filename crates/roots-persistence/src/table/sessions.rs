//! Table `sessions`: sessions.

use roots_domain::model::id::{AccountId, ActorId, SessionId, Uid};
use roots_domain::model::sealed::Sealed;
use roots_domain::model::session::{EndReason, Session, SessionStatus, SessionStatusKind};
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::{InvalidRow, at, known, micros};

#[derive(Clone, Debug, Default, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[serde(default)]
#[sea_orm(table_name = "sessions")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    #[serde(skip)]
    pub(crate) account_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) session_id: i64,
    pub(crate) uid: Uuid,
    pub(crate) actor_id: i64,
    pub(crate) status: String,
    #[serde(with = "serde_bytes")]
    pub(crate) notes: Option<Vec<u8>>,
    pub(crate) started_at: i64,
    pub(crate) ended_at: Option<i64>,
    pub(crate) version: i64,
    pub(crate) is_idle: i16,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&(AccountId, Session<Sealed>)> for Model {
    fn from((account, session): &(AccountId, Session<Sealed>)) -> Self {
        Self {
            account_id: account.0,
            session_id: session.id.0,
            uid: session.uid.0,
            actor_id: session.actor.0,
            status: session.status.kind().name().to_owned(),
            notes: session.notes.as_ref().map(|notes| notes.0.clone()),
            started_at: session.started_at.micros(),
            ended_at: micros(session.status.ended_at()),
            version: session.version,
            is_idle: i16::from(session.status.end_reason() == Some(EndReason::Idle)),
        }
    }
}

impl TryFrom<Model> for Session<Sealed> {
    type Error = InvalidRow;

    fn try_from(row: Model) -> Result<Self, InvalidRow> {
        let kind = SessionStatusKind::from_name(&row.status);
        let reason = if row.is_idle == 0 { EndReason::Ended } else { EndReason::Idle };
        let end = row.ended_at.map(|ended_at| (at(ended_at), reason));
        let status = kind.and_then(|kind| SessionStatus::new(kind, end));
        Ok(Self {
            id: SessionId(row.session_id),
            uid: Uid(row.uid),
            actor: ActorId(row.actor_id),
            status: known(status, "sessions", "status")?,
            notes: row.notes.map(Sealed),
            started_at: at(row.started_at),
            version: row.version,
        })
    }
}
