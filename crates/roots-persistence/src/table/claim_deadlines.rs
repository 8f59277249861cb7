//! Table `claim_deadlines`: until when the claims of todos live.

use roots_domain::model::claim::LeaseSeconds;
use roots_domain::model::deadline::Deadline;
use roots_domain::model::id::{AccountId, ActorId, SessionId, TodoId};
use roots_domain::model::todo::Priority;
use sea_orm::entity::prelude::*;

use super::{InvalidRow, at, known, micros};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "claim_deadlines")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) account_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) todo_id: i64,
    pub(crate) actor_id: i64,
    pub(crate) priority: i16,
    pub(crate) due_at: Option<i64>,
    pub(crate) created_at: i64,
    pub(crate) session_id: Option<i64>,
    pub(crate) lease_seconds: i64,
    pub(crate) until_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&(AccountId, Deadline)> for Model {
    fn from((account, deadline): &(AccountId, Deadline)) -> Self {
        Self {
            account_id: account.0,
            todo_id: deadline.todo.0,
            actor_id: deadline.actor.0,
            priority: deadline.priority.level(),
            due_at: micros(deadline.due_at),
            created_at: deadline.created_at.micros(),
            session_id: deadline.session.map(|id| id.0),
            lease_seconds: deadline.lease.seconds(),
            until_at: deadline.until.micros(),
        }
    }
}

impl TryFrom<Model> for Deadline {
    type Error = InvalidRow;

    fn try_from(row: Model) -> Result<Self, InvalidRow> {
        let priority = Priority::parse(row.priority.into()).ok();
        Ok(Self {
            todo: TodoId(row.todo_id),
            actor: ActorId(row.actor_id),
            priority: known(priority, "claim_deadlines", "priority")?,
            due_at: row.due_at.map(at),
            created_at: at(row.created_at),
            session: row.session_id.map(SessionId),
            lease: lease(row.lease_seconds, "claim_deadlines")?,
            until: at(row.until_at),
        })
    }
}

pub(super) fn lease(seconds: i64, table: &'static str) -> Result<LeaseSeconds, InvalidRow> {
    known(LeaseSeconds::parse(seconds).ok(), table, "lease_seconds")
}
