//! Table `recovery_codes`: recovery codes.

use roots_domain::model::api_key::RecoveryCode;
use roots_domain::model::id::{AccountId, KeyId, RecoveryId};
use sea_orm::entity::prelude::*;

use super::{InvalidRow, at, lookup};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "recovery_codes")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) account_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) recovery_id: i64,
    pub(crate) lookup: Vec<u8>,
    pub(crate) created_at: i64,
    pub(crate) comes_with_key_id: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&(AccountId, RecoveryCode)> for Model {
    fn from((account, code): &(AccountId, RecoveryCode)) -> Self {
        Self {
            account_id: account.0,
            recovery_id: code.id.0,
            lookup: code.lookup.0.to_vec(),
            created_at: code.created_at.micros(),
            comes_with_key_id: code.comes_with.map(|key| key.0),
        }
    }
}

impl TryFrom<Model> for RecoveryCode {
    type Error = InvalidRow;

    fn try_from(row: Model) -> Result<Self, InvalidRow> {
        Ok(Self {
            id: RecoveryId(row.recovery_id),
            lookup: lookup(row.lookup, "recovery_codes")?,
            created_at: at(row.created_at),
            comes_with: row.comes_with_key_id.map(KeyId),
        })
    }
}
