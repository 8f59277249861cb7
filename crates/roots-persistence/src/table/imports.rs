//! Table `imports`: imported rows, by their source.

use roots_domain::decide::ImportKey;
use roots_domain::model::id::{AccountId, Uid};
use roots_domain::model::import::OriginKind;
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

impl Model {
    /// The source of the row, and its id here.
    pub(crate) fn key(&self) -> Result<(ImportKey, i64), InvalidRow> {
        let kind = known(OriginKind::from_name(&self.kind), "imports", "kind")?;
        let origin = kind.row(self.source_id);
        Ok(((AccountId(self.account_id), Uid(self.source), origin), self.id))
    }
}
