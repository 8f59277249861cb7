//! Table `usage`: calls by day and endpoint.

use roots_domain::model::usage::Calls;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "usage")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) account_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) day: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) route: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) method: String,
    pub(crate) calls: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<(&Calls, &i64)> for Model {
    fn from((calls, count): (&Calls, &i64)) -> Self {
        Self {
            account_id: calls.account.0,
            day: calls.day.0,
            route: calls.endpoint.route.clone(),
            method: calls.endpoint.method.clone(),
            calls: *count,
        }
    }
}
