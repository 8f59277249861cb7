//! Table `actors`: actors.

use roots_domain::model::account::{Actor, ActorKind, Role};
use roots_domain::model::id::{AccountId, ActorId, Uid};
use roots_domain::model::quota::Renewals;
use roots_domain::model::time::Day;
use sea_orm::entity::prelude::*;

use super::{InvalidRow, at, epoch, known, name};

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

impl From<&(AccountId, Actor)> for Model {
    fn from((account, actor): &(AccountId, Actor)) -> Self {
        Self {
            account_id: account.0,
            actor_id: actor.id.0,
            uid: actor.uid.0,
            name: actor.name.as_str().to_owned(),
            kind: actor.kind.name().to_owned(),
            role: actor.role.name().to_owned(),
            is_active: actor.is_active.into(),
            key_epoch: actor.key_epoch.0.into(),
            created_at: actor.created_at.micros(),
            renewals_day: actor.renewals.day.0,
            renewals: actor.renewals.count,
        }
    }
}

impl TryFrom<Model> for Actor {
    type Error = InvalidRow;

    fn try_from(row: Model) -> Result<Self, InvalidRow> {
        Ok(Self {
            id: ActorId(row.actor_id),
            uid: Uid(row.uid),
            name: name(row.name, "actors", "name")?,
            kind: known(ActorKind::from_name(&row.kind), "actors", "kind")?,
            role: known(Role::from_name(&row.role), "actors", "role")?,
            is_active: row.is_active != 0,
            key_epoch: epoch(row.key_epoch, "actors")?,
            renewals: Renewals { day: Day(row.renewals_day), count: row.renewals },
            created_at: at(row.created_at),
        })
    }
}
