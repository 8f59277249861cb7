//! Table `activity_quarter_hours`: activities by quarter hour and type.

use roots_domain::model::counter::QuarterHourCounter;
use roots_domain::model::id::AccountId;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "activity_quarter_hours")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) account_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) actor_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) quarter: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) activity_type: String,
    pub(crate) count: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    pub(crate) fn of(account: AccountId, of: &QuarterHourCounter, count: i64) -> Self {
        Self {
            account_id: account.0,
            actor_id: of.actor.0,
            quarter: of.quarter_hour.0,
            activity_type: of.activity_type.as_str().to_owned(),
            count,
        }
    }
}
