//! Table `todos`: todos.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

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
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
