//! Table `key_wraps`: key wraps.

use roots_domain::model::api_key::{Wrap, WrapHolder, WrapSubject};
use roots_domain::model::id::{AccountId, ActorId, KeyId, RecoveryId};
use roots_domain::model::sealed::Sealed;
use sea_orm::entity::prelude::*;

use super::{InvalidRow, epoch, known};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "key_wraps")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) account_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) holder_kind: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) holder_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) holder_epoch: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) subject_kind: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) subject_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) subject_epoch: i64,
    pub(crate) sealed: Vec<u8>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// How the parties of a wrap are stored: kind, id, epoch.
pub(crate) const HOLDER_API_KEY: &str = "api_key";
pub(crate) const HOLDER_RECOVERY: &str = "recovery";
pub(crate) const PARTY_ACCOUNT: &str = "account";
pub(crate) const PARTY_ACTOR: &str = "actor";

/// A holder as it is stored. The wraps of browser keys are columns of their sign-ins instead: this
/// table does not take them.
pub(crate) const fn holder(holder: WrapHolder) -> (&'static str, i64, i32) {
    match holder {
        WrapHolder::ApiKey(id) => (HOLDER_API_KEY, id.0, 0),
        WrapHolder::Browser(id) => ("browser", id.0, 0),
        WrapHolder::Recovery(id) => (HOLDER_RECOVERY, id.0, 0),
        WrapHolder::Account(epoch) => (PARTY_ACCOUNT, 0, epoch.0),
        WrapHolder::Actor(id, epoch) => (PARTY_ACTOR, id.0, epoch.0),
    }
}

impl From<&(AccountId, Wrap)> for Model {
    fn from((account, wrap): &(AccountId, Wrap)) -> Self {
        let (holder_kind, holder_id, holder_epoch) = holder(wrap.holder);
        let (subject_kind, subject_id, subject_epoch) = match wrap.subject {
            WrapSubject::Account(epoch) => (PARTY_ACCOUNT, 0, epoch.0),
            WrapSubject::Actor(id, epoch) => (PARTY_ACTOR, id.0, epoch.0),
        };
        Self {
            account_id: account.0,
            holder_kind: holder_kind.to_owned(),
            holder_id,
            holder_epoch: holder_epoch.into(),
            subject_kind: subject_kind.to_owned(),
            subject_id,
            subject_epoch: subject_epoch.into(),
            sealed: wrap.sealed.0.clone(),
        }
    }
}

impl TryFrom<Model> for Wrap {
    type Error = InvalidRow;

    fn try_from(row: Model) -> Result<Self, InvalidRow> {
        let holder_epoch = epoch(row.holder_epoch, "key_wraps")?;
        let subject_epoch = epoch(row.subject_epoch, "key_wraps")?;
        let holder = match row.holder_kind.as_str() {
            HOLDER_API_KEY => Some(WrapHolder::ApiKey(KeyId(row.holder_id))),
            HOLDER_RECOVERY => Some(WrapHolder::Recovery(RecoveryId(row.holder_id))),
            PARTY_ACCOUNT => Some(WrapHolder::Account(holder_epoch)),
            PARTY_ACTOR => Some(WrapHolder::Actor(ActorId(row.holder_id), holder_epoch)),
            _ => None,
        };
        let subject = match row.subject_kind.as_str() {
            PARTY_ACCOUNT => Some(WrapSubject::Account(subject_epoch)),
            PARTY_ACTOR => Some(WrapSubject::Actor(ActorId(row.subject_id), subject_epoch)),
            _ => None,
        };
        Ok(Self {
            holder: known(holder, "key_wraps", "holder_kind")?,
            subject: known(subject, "key_wraps", "subject_kind")?,
            sealed: Sealed(row.sealed),
        })
    }
}
