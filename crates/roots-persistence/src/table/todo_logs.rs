//! Table `todo_logs`: status changes of todos.

use roots_domain::model::id::{AccountId, ActorId, LogId, TodoId, Uid};
use roots_domain::model::sealed::Sealed;
use roots_domain::model::todo::StatusChange;
use sea_orm::entity::prelude::*;

use super::{InvalidRow, at, todos};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "todo_logs")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) account_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) todo_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) log_id: i64,
    pub(crate) uid: Uuid,
    pub(crate) old_status: String,
    pub(crate) new_status: String,
    pub(crate) note: Option<Vec<u8>>,
    pub(crate) logged_at: i64,
    /// The actor of the todo.
    pub(crate) actor_id: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&(AccountId, ActorId, StatusChange<Sealed>)> for Model {
    fn from((account, actor, log): &(AccountId, ActorId, StatusChange<Sealed>)) -> Self {
        Self {
            account_id: account.0,
            todo_id: log.todo.0,
            log_id: log.id.0,
            uid: log.uid.0,
            old_status: log.old_status.name().to_owned(),
            new_status: log.new_status.name().to_owned(),
            note: log.note.as_ref().map(|note| note.0.clone()),
            logged_at: log.logged_at.micros(),
            actor_id: actor.0,
        }
    }
}

impl TryFrom<Model> for StatusChange<Sealed> {
    type Error = InvalidRow;

    fn try_from(row: Model) -> Result<Self, InvalidRow> {
        Ok(Self {
            id: LogId(row.log_id),
            uid: Uid(row.uid),
            todo: TodoId(row.todo_id),
            old_status: todos::status(&row.old_status)?,
            new_status: todos::status(&row.new_status)?,
            note: row.note.map(Sealed),
            logged_at: at(row.logged_at),
        })
    }
}
