//! Table `imports`: imported rows, by their source.

use roots_domain::decide::ImportKey;
use roots_domain::model::id::{AccountId, Uid};
use roots_domain::model::import::OriginKind;
use sea_orm::Value;
use sea_orm::entity::prelude::*;

use super::{InvalidRow, known};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "imports")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) account_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) source: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) kind: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) source_id: i64,
    pub(crate) id: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&(ImportKey, i64)> for Model {
    fn from(((account, source, origin), id): &(ImportKey, i64)) -> Self {
        Self {
            account_id: account.0,
            source: source.0,
            kind: origin.kind().name().to_owned(),
            source_id: origin.id(),
            id: *id,
        }
    }
}

impl TryFrom<Model> for (ImportKey, i64) {
    type Error = InvalidRow;

    /// The source of the row, and its id here.
    fn try_from(row: Model) -> Result<Self, InvalidRow> {
        let kind = known(OriginKind::from_name(&row.kind), "imports", "kind")?;
        let origin = kind.row(row.source_id);
        Ok(((AccountId(row.account_id), Uid(row.source), origin), row.id))
    }
}

/// The columns of the key.
pub(crate) const KEY: [Column; 4] =
    [Column::AccountId, Column::Source, Column::Kind, Column::SourceId];

/// The values of the key's columns.
pub(crate) fn values((account, source, origin): &ImportKey) -> [Value; 4] {
    [account.0.into(), source.0.into(), origin.kind().name().into(), origin.id().into()]
}
