//! Table `ledger`: the ledger.

use roots_domain::model::credit::{LedgerEntry, Reason};
use roots_domain::model::id::{AccountId, ActorId, LedgerId};
use sea_orm::entity::prelude::*;

use super::{InvalidRow, at, known};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "ledger")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) account_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) ledger_id: i64,
    pub(crate) delta: i64,
    pub(crate) balance_after: i64,
    pub(crate) reason: String,
    pub(crate) endpoint: Option<String>,
    pub(crate) actor_id: Option<i64>,
    pub(crate) note: Option<String>,
    pub(crate) created_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&(AccountId, LedgerEntry)> for Model {
    fn from((account, entry): &(AccountId, LedgerEntry)) -> Self {
        Self {
            account_id: account.0,
            ledger_id: entry.id.0,
            delta: entry.delta,
            balance_after: entry.balance_after,
            reason: entry.reason.name().to_owned(),
            endpoint: entry.endpoint.clone(),
            actor_id: entry.actor.map(|id| id.0),
            note: entry.note.clone(),
            created_at: entry.created_at.micros(),
        }
    }
}

impl TryFrom<Model> for LedgerEntry {
    type Error = InvalidRow;

    fn try_from(row: Model) -> Result<Self, InvalidRow> {
        Ok(Self {
            id: LedgerId(row.ledger_id),
            delta: row.delta,
            balance_after: row.balance_after,
            reason: known(Reason::from_name(&row.reason), "ledger", "reason")?,
            endpoint: row.endpoint,
            actor: row.actor_id.map(ActorId),
            note: row.note,
            created_at: at(row.created_at),
        })
    }
}
