//! Table `todos`: todos.

use roots_domain::model::claim::{Claim, Claims};
use roots_domain::model::id::{AccountId, ActorId, SessionId, TodoId, Uid};
use roots_domain::model::sealed::Sealed;
use roots_domain::model::todo::{Priority, Todo, TodoContent, TodoStatus};
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::claim_deadlines::lease;
use super::{InvalidRow, at, known, micros};

#[derive(Clone, Debug, Default, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[serde(default)]
#[sea_orm(table_name = "todos")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    #[serde(skip)]
    pub(crate) account_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) todo_id: i64,
    pub(crate) uid: Uuid,
    pub(crate) actor_id: i64,
    pub(crate) session_id: Option<i64>,
    #[serde(with = "serde_bytes")]
    pub(crate) title: Vec<u8>,
    #[serde(with = "serde_bytes")]
    pub(crate) description: Option<Vec<u8>>,
    pub(crate) status: String,
    pub(crate) priority: i16,
    pub(crate) due_at: Option<i64>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    pub(crate) version: i64,
    pub(crate) claims: i64,
    pub(crate) claim_session_id: Option<i64>,
    pub(crate) claimed_at: Option<i64>,
    pub(crate) lease_seconds: Option<i64>,
    pub(crate) status_since: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&(AccountId, Todo<Sealed>)> for Model {
    fn from((account, todo): &(AccountId, Todo<Sealed>)) -> Self {
        let standing = todo.claims.standing;
        Self {
            account_id: account.0,
            todo_id: todo.id.0,
            uid: todo.uid.0,
            actor_id: todo.actor.0,
            session_id: todo.content.session.map(|id| id.0),
            title: todo.content.title.0.clone(),
            description: todo.content.description.as_ref().map(|text| text.0.clone()),
            status: todo.status.name().to_owned(),
            priority: todo.content.priority.level(),
            due_at: micros(todo.content.due_at),
            created_at: todo.created_at.micros(),
            updated_at: todo.updated_at.micros(),
            version: todo.version,
            claims: todo.claims.count,
            claim_session_id: standing.and_then(|claim| claim.session).map(|id| id.0),
            claimed_at: micros(standing.map(|claim| claim.claimed_at)),
            lease_seconds: standing.map(|claim| claim.lease.seconds()),
            status_since: todo.status_since.micros(),
        }
    }
}

impl TryFrom<Model> for Todo<Sealed> {
    type Error = InvalidRow;

    fn try_from(row: Model) -> Result<Self, InvalidRow> {
        let session = row.claim_session_id.map(SessionId);
        let standing = match (row.claimed_at, row.lease_seconds) {
            (Some(claimed_at), Some(seconds)) => {
                Some(Claim { session, claimed_at: at(claimed_at), lease: lease(seconds, "todos")? })
            }
            (None, None) => None,
            _ => return known(None, "todos", "claimed_at"),
        };
        Ok(Self {
            id: TodoId(row.todo_id),
            uid: Uid(row.uid),
            actor: ActorId(row.actor_id),
            content: TodoContent {
                title: Sealed(row.title),
                description: row.description.map(Sealed),
                session: row.session_id.map(SessionId),
                priority: known(Priority::parse(row.priority.into()).ok(), "todos", "priority")?,
                due_at: row.due_at.map(at),
            },
            status: status(&row.status)?,
            claims: Claims { count: row.claims, standing },
            created_at: at(row.created_at),
            updated_at: at(row.updated_at),
            status_since: at(row.status_since),
            version: row.version,
        })
    }
}

pub(super) fn status(text: &str) -> Result<TodoStatus, InvalidRow> {
    known(TodoStatus::from_name(text), "todos", "status")
}
