//! Table `todo_logs`: status changes of todos.

use sea_orm::entity::prelude::*;

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
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
