//! Table `ledger`: the ledger.

use roots_domain::model::credit::{LedgerEntry, Reason};
use roots_domain::model::id::{AccountId, ActorId, LedgerId};
use roots_domain::model::step::{Steps, Subject};
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
    pub(crate) subject_id: Option<i64>,
    pub(crate) subject_actor_id: Option<i64>,
    pub(crate) step: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&(AccountId, LedgerEntry)> for Model {
    fn from((account, entry): &(AccountId, LedgerEntry)) -> Self {
        let subject = entry.subject.and_then(|subject| subject.actor);
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
            subject_id: entry.subject.map(|subject| subject.id),
            subject_actor_id: subject.map(|id| id.0),
            step: entry.steps.text(subject, entry.created_at.quarter_hour()),
        }
    }
}

impl TryFrom<Model> for LedgerEntry {
    type Error = InvalidRow;

    fn try_from(row: Model) -> Result<Self, InvalidRow> {
        let (actor, created_at) = (row.subject_actor_id.map(ActorId), at(row.created_at));
        let steps = Steps::from_text(row.step.as_deref(), actor, created_at.quarter_hour());
        Ok(Self {
            id: LedgerId(row.ledger_id),
            delta: row.delta,
            balance_after: row.balance_after,
            reason: known(Reason::from_name(&row.reason), "ledger", "reason")?,
            endpoint: row.endpoint,
            actor: row.actor_id.map(ActorId),
            note: row.note,
            subject: row.subject_id.map(|id| Subject { id, actor }),
            steps: known(steps, "ledger", "step")?,
            created_at,
        })
    }
}
