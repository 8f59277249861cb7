//! Table `activities`: activities.

use roots_domain::model::activity::Activity;
use roots_domain::model::id::{AccountId, ActivityId, ActorId, SessionId, Uid};
use roots_domain::model::sealed::Sealed;
use roots_domain::model::text::ActivityType;
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::{InvalidRow, at, known};

#[derive(Clone, Debug, Default, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[serde(default)]
#[sea_orm(table_name = "activities")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    #[serde(skip)]
    pub(crate) account_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) activity_id: i64,
    pub(crate) uid: Uuid,
    pub(crate) actor_id: i64,
    pub(crate) session_id: Option<i64>,
    pub(crate) activity_type: String,
    #[serde(with = "serde_bytes")]
    pub(crate) description: Vec<u8>,
    pub(crate) logged_at: i64,
    pub(crate) created_at: i64,
    pub(crate) version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&(AccountId, Activity<Sealed>)> for Model {
    fn from((account, activity): &(AccountId, Activity<Sealed>)) -> Self {
        Self {
            account_id: account.0,
            activity_id: activity.id.0,
            uid: activity.uid.0,
            actor_id: activity.actor.0,
            session_id: activity.session.map(|id| id.0),
            activity_type: activity.activity_type.as_str().to_owned(),
            description: activity.description.0.clone(),
            logged_at: activity.logged_at.micros(),
            created_at: activity.created_at.micros(),
            version: activity.version,
        }
    }
}

impl TryFrom<Model> for Activity<Sealed> {
    type Error = InvalidRow;

    fn try_from(row: Model) -> Result<Self, InvalidRow> {
        Ok(Self {
            id: ActivityId(row.activity_id),
            uid: Uid(row.uid),
            actor: ActorId(row.actor_id),
            session: row.session_id.map(SessionId),
            activity_type: activity_type(row.activity_type)?,
            description: Sealed(row.description),
            logged_at: at(row.logged_at),
            created_at: at(row.created_at),
            version: row.version,
        })
    }
}

pub(crate) fn activity_type(text: String) -> Result<ActivityType, InvalidRow> {
    known(ActivityType::parse(text).ok(), "activities", "activity_type")
}
