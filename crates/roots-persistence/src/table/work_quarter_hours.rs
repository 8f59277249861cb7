//! Table `work_quarter_hours`: todos made, done and cancelled, and credits spent and granted, by
//! quarter hour and actor.

use roots_domain::model::counter::{WorkCounter, WorkCounts};
use roots_domain::model::id::{AccountId, ActorId};
use roots_domain::model::time::QuarterHour;
use sea_orm::entity::prelude::*;

use super::counters::NO_ACTOR;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "work_quarter_hours")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) account_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) quarter: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) actor_id: i64,
    pub(crate) todos_made: i64,
    pub(crate) todos_done: i64,
    pub(crate) todos_cancelled: i64,
    pub(crate) credits_spent: i64,
    pub(crate) credits_granted: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<(&(AccountId, WorkCounter), &WorkCounts)> for Model {
    fn from(((account, counter), counts): (&(AccountId, WorkCounter), &WorkCounts)) -> Self {
        Self {
            account_id: account.0,
            quarter: counter.quarter_hour.0,
            actor_id: counter.actor.map_or(NO_ACTOR, |actor| actor.0),
            todos_made: counts.todos_made,
            todos_done: counts.todos_done,
            todos_cancelled: counts.todos_cancelled,
            credits_spent: counts.credits_spent,
            credits_granted: counts.credits_granted,
        }
    }
}

impl From<Model> for (WorkCounter, WorkCounts) {
    fn from(row: Model) -> Self {
        let actor = Some(row.actor_id).filter(|id| *id != NO_ACTOR).map(ActorId);
        let counts = WorkCounts {
            todos_made: row.todos_made,
            todos_done: row.todos_done,
            todos_cancelled: row.todos_cancelled,
            credits_spent: row.credits_spent,
            credits_granted: row.credits_granted,
        };
        (WorkCounter { quarter_hour: QuarterHour(row.quarter), actor }, counts)
    }
}
