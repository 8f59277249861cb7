//! Table `counters`: what is counted as it is written.

use roots_domain::model::counter::Counter;
use roots_domain::model::id::AccountId;
use roots_domain::model::todo::{Priority, TodoStatus};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "counters")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) account_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) actor_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) subject: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) label: String,
    pub(crate) count: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// The subject of a counter, as stored in the column `subject`.
pub(crate) const SUBJECT_SESSIONS: &str = "sessions";
pub(crate) const SUBJECT_TODOS: &str = "todos";
pub(crate) const SUBJECT_ACTIVITIES: &str = "activities";
pub(crate) const SUBJECT_LEDGER: &str = "ledger";

/// The actor of counters of the whole account.
pub(crate) const NO_ACTOR: i64 = 0;

impl Model {
    pub(crate) fn of(account: AccountId, counter: &Counter, count: i64) -> Self {
        let (actor, subject, label) = match counter {
            Counter::Sessions(actor, status) => {
                (actor.0, SUBJECT_SESSIONS, status.name().to_owned())
            }
            Counter::Todos(actor, status, priority) => {
                (actor.0, SUBJECT_TODOS, todo_label(*status, *priority))
            }
            Counter::Activities(actor, activity_type) => {
                (actor.0, SUBJECT_ACTIVITIES, activity_type.as_str().to_owned())
            }
            Counter::Ledger(reason) => (NO_ACTOR, SUBJECT_LEDGER, reason.name().to_owned()),
        };
        Self { account_id: account.0, actor_id: actor, subject: subject.to_owned(), label, count }
    }
}

/// `open/2`
pub(crate) fn todo_label(status: TodoStatus, priority: Priority) -> String {
    format!("{}/{}", status.name(), priority.level())
}
