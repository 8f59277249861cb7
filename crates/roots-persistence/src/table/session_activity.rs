//! Table `session_activity`: when sessions were last active.

use roots_domain::model::id::{AccountId, SessionId};
use roots_domain::model::session::SessionActivity;
use sea_orm::entity::prelude::*;

use super::at;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "session_activity")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) account_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) session_id: i64,
    pub(crate) last_active_at: i64,
    pub(crate) is_open: i16,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&(AccountId, SessionActivity)> for Model {
    fn from((account, activity): &(AccountId, SessionActivity)) -> Self {
        Self {
            account_id: account.0,
            session_id: activity.session.0,
            last_active_at: activity.last_active_at.micros(),
            is_open: activity.is_open.into(),
        }
    }
}

impl From<Model> for SessionActivity {
    fn from(row: Model) -> Self {
        Self {
            session: SessionId(row.session_id),
            last_active_at: at(row.last_active_at),
            is_open: row.is_open != 0,
        }
    }
}
