//! Table `sign_ins`: sign-ins, with the wraps that their browser keys open.

use roots_domain::model::api_key::{KeyEpoch, Wrap, WrapHolder, WrapSubject};
use roots_domain::model::id::{AccountId, ActorId, KeyId, SignInId};
use roots_domain::model::sealed::Sealed;
use roots_domain::model::sign_in::{OpenerEnd, SignIn, Stay};
use sea_orm::UpdateMany;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Expr;

use super::{InvalidRow, at, epoch, known, lookup, name};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sign_ins")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) account_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) sign_in_id: i64,
    pub(crate) actor_id: i64,
    pub(crate) opener_id: i64,
    pub(crate) lookup: Vec<u8>,
    pub(crate) label: Option<String>,
    pub(crate) stay: String,
    pub(crate) created_at: i64,
    pub(crate) last_used: i64,
    pub(crate) ends_at: i64,
    pub(crate) ended: Option<String>,
    pub(crate) actor_key_epoch: Option<i64>,
    pub(crate) actor_key: Option<Vec<u8>>,
    pub(crate) account_key_epoch: Option<i64>,
    pub(crate) account_key: Option<Vec<u8>>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

const fn stay_name(stay: Stay) -> &'static str {
    match stay {
        Stay::Usual => "usual",
        Stay::Long => "long",
    }
}

const fn end_name(end: OpenerEnd) -> &'static str {
    match end {
        OpenerEnd::Rotated => "key_rotated",
        OpenerEnd::Ended => "key_ended",
    }
}

/// Ends sign-ins, and deletes their wraps, as [`SignIn::ended_by`] does.
pub(crate) fn ended_by(end: OpenerEnd) -> UpdateMany<Entity> {
    Entity::update_many()
        .col_expr(Column::Ended, Expr::value(end_name(end)))
        .col_expr(Column::ActorKeyEpoch, Expr::value(None::<i64>))
        .col_expr(Column::ActorKey, Expr::value(None::<Vec<u8>>))
        .col_expr(Column::AccountKeyEpoch, Expr::value(None::<i64>))
        .col_expr(Column::AccountKey, Expr::value(None::<Vec<u8>>))
}

impl From<&(AccountId, SignIn)> for Model {
    fn from((account, sign_in): &(AccountId, SignIn)) -> Self {
        let held = |is_wanted: fn(WrapSubject) -> Option<KeyEpoch>| {
            let mut wraps = sign_in.wraps.iter();
            let found = wraps.find_map(|wrap| Some((is_wanted(wrap.subject)?, &wrap.sealed)));
            found.map(|(epoch, sealed)| (i64::from(epoch.0), sealed.0.clone())).unzip()
        };
        let (actor_key_epoch, actor_key) = held(|subject| match subject {
            WrapSubject::Actor(_, epoch) => Some(epoch),
            WrapSubject::Account(_) => None,
        });
        let (account_key_epoch, account_key) = held(|subject| match subject {
            WrapSubject::Account(epoch) => Some(epoch),
            WrapSubject::Actor(..) => None,
        });
        Self {
            account_id: account.0,
            sign_in_id: sign_in.id.0,
            actor_id: sign_in.actor.0,
            opener_id: sign_in.opener.0,
            lookup: sign_in.lookup.0.to_vec(),
            label: sign_in.label.as_ref().map(|label| label.as_str().to_owned()),
            stay: stay_name(sign_in.stay).to_owned(),
            created_at: sign_in.created_at.micros(),
            last_used: sign_in.last_used.micros(),
            ends_at: sign_in.ends_at().micros(),
            ended: sign_in.ended.map(|end| end_name(end).to_owned()),
            actor_key_epoch,
            actor_key,
            account_key_epoch,
            account_key,
        }
    }
}

impl TryFrom<Model> for SignIn {
    type Error = InvalidRow;

    fn try_from(row: Model) -> Result<Self, InvalidRow> {
        let (id, actor) = (SignInId(row.sign_in_id), ActorId(row.actor_id));
        let holder = WrapHolder::Browser(id);
        let mut wraps = Vec::new();
        if let Some((of, sealed)) = row.actor_key_epoch.zip(row.actor_key) {
            let subject = WrapSubject::Actor(actor, epoch(of, "sign_ins")?);
            wraps.push(Wrap { subject, holder, sealed: Sealed(sealed) });
        }
        if let Some((of, sealed)) = row.account_key_epoch.zip(row.account_key) {
            let subject = WrapSubject::Account(epoch(of, "sign_ins")?);
            wraps.push(Wrap { subject, holder, sealed: Sealed(sealed) });
        }
        let stay = [Stay::Usual, Stay::Long].into_iter().find(|it| stay_name(*it) == row.stay);
        let end = |name: String| {
            let all = [OpenerEnd::Rotated, OpenerEnd::Ended];
            known(all.into_iter().find(|end| end_name(*end) == name), "sign_ins", "ended")
        };
        Ok(Self {
            id,
            actor,
            opener: KeyId(row.opener_id),
            lookup: lookup(row.lookup, "sign_ins")?,
            label: row.label.map(|label| name(label, "sign_ins", "label")).transpose()?,
            stay: known(stay, "sign_ins", "stay")?,
            created_at: at(row.created_at),
            last_used: at(row.last_used),
            ended: row.ended.map(end).transpose()?,
            wraps,
        })
    }
}
