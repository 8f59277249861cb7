//! Reads sign-ins: by their browser keys, those of an account or an actor, and those that are over.

use std::sync::LazyLock;

use roots_domain::model::account::{AccountKind, Actor};
use roots_domain::model::api_key::ApiKey;
use roots_domain::model::id::{AccountId, Uid};
use roots_domain::model::sign_in::SignIn;
use roots_domain::port::crypto::Lookup;
use roots_domain::port::store::{
    Credentials, KeyAccount, ListedSignIn, SignInQuery, StoreError, StoreResult,
};
use sea_orm::{
    ConnectionTrait, DbErr, EntityTrait, FromQueryResult, IdenStatic, Iterable, QueryResult,
    Statement,
};

use super::epoch::{AUTH_EPOCH, expect_epoch};
use crate::errors::of_read;
use crate::store::Store;
use crate::table::{self, InvalidRow, accounts, actors, api_keys, sign_ins};

/// The prefixes of the columns of each table.
const SIGN_IN: &str = "s_";
const ACCOUNT: &str = "a_";
const ACTOR: &str = "o_";
const OPENER: &str = "k_";

/// A sign-in with its actor and its opener, each found by a unique index.
static JOINED: LazyLock<String> = LazyLock::new(|| {
    let columns = [
        columns::<sign_ins::Entity>("s", SIGN_IN),
        columns::<actors::Entity>("o", ACTOR),
        columns::<api_keys::Entity>("k", OPENER),
    ];
    format!(
        "{} FROM sign_ins AS s \
         INNER JOIN actors AS o ON o.account_id = $1 AND o.actor_id = s.actor_id \
         INNER JOIN api_keys AS k ON k.account_id = $1 AND k.key_id = s.opener_id",
        columns.join(", ")
    )
});

/// The statement that looks a browser key up.
static BY_KEY: LazyLock<String> = LazyLock::new(|| {
    let account = columns::<accounts::Entity>("a", ACCOUNT);
    let joined = &*JOINED;
    format!(
        "SELECT {account}, {joined} INNER JOIN accounts AS a ON a.account_id = $1 \
         WHERE s.account_id = $1 AND s.lookup = $2"
    )
});

/// The columns of a table, each with that prefix.
fn columns<E: EntityTrait>(table: &str, prefix: &str) -> String {
    let columns = E::Column::iter().map(|column| {
        let column = column.as_str();
        format!("{table}.{column} AS {prefix}{column}")
    });
    columns.collect::<Vec<_>>().join(", ")
}

fn invalid(error: InvalidRow) -> StoreError {
    error.into()
}

fn sign_in(row: &QueryResult) -> Result<(SignIn, Actor, ApiKey), StoreError> {
    let read = |error: DbErr| of_read(error);
    let sign_in = sign_ins::Model::from_query_result(row, SIGN_IN).map_err(read)?;
    let actor = actors::Model::from_query_result(row, ACTOR).map_err(read)?;
    let opener = api_keys::Model::from_query_result(row, OPENER).map_err(read)?;
    Ok((
        SignIn::try_from(sign_in).map_err(invalid)?,
        Actor::try_from(actor).map_err(invalid)?,
        ApiKey::try_from(opener).map_err(invalid)?,
    ))
}

impl Store {
    /// The sign-in whose browser key that is.
    pub(super) async fn browser_credentials(
        &self,
        lookup: Lookup,
    ) -> StoreResult<Option<Credentials>> {
        let db = &self.readers(lookup.account);
        let values = [lookup.account.0.into(), lookup.hash.0.to_vec().into()];
        let asked = Statement::from_sql_and_values(db.get_database_backend(), &*BY_KEY, values);
        let Some(row) = db.query_one_raw(asked).await.map_err(of_read)? else { return Ok(None) };
        let (sign_in, actor, opener) = sign_in(&row)?;
        let account = accounts::Model::from_query_result(&row, ACCOUNT).map_err(of_read)?;
        let kind = AccountKind::from_name(&account.kind);
        let account = KeyAccount {
            id: AccountId(account.account_id),
            uid: Uid(account.uid),
            name: table::name(account.name, "accounts", "name")?,
            kind: table::known(kind, "accounts", "kind")?,
            auth_epoch: account.auth_epoch,
            key_epoch: table::epoch(account.key_epoch, "accounts")?,
        };
        let wraps = sign_in.wraps.clone();
        let key = opener.validity();
        Ok(Some(Credentials { account, actor, key, sign_in: Some(sign_in), wraps }))
    }

    /// The sign-ins that have not ended with their openers, the latest first.
    pub(super) async fn listed_sign_ins(
        &self,
        query: &SignInQuery,
    ) -> StoreResult<Vec<ListedSignIn>> {
        let db = &self.readers(query.by.account);
        let joined = &*JOINED;
        let of_actor = if query.actor.is_some() { "AND s.actor_id = $4" } else { "" };
        let text = format!(
            "SELECT (SELECT a.auth_epoch FROM accounts AS a WHERE a.account_id = $1) \
             AS {AUTH_EPOCH}, {joined} WHERE s.account_id = $1 AND s.ended IS NULL \
             AND s.sign_in_id < $3 {of_actor} ORDER BY s.sign_in_id DESC LIMIT $2"
        );
        let actor = query.actor.map(|actor| actor.0.into());
        let before = query.before.map_or(i64::MAX, |id| id.0);
        let values = [query.by.account.0.into(), i64::from(query.most).into(), before.into()];
        let values = values.into_iter().chain(actor);
        let asked = Statement::from_sql_and_values(db.get_database_backend(), text, values);
        let rows = db.query_all_raw(asked).await.map_err(of_read)?;
        if rows.is_empty() {
            self.check_epoch(query.by).await?;
        }
        let listed = rows.iter().map(|row| {
            expect_epoch(query.by, row.try_get("", AUTH_EPOCH).map_err(of_read)?)?;
            let (sign_in, actor, opener) = sign_in(row)?;
            Ok(ListedSignIn { sign_in, opener, actor_name: actor.name })
        });
        listed.collect()
    }
}
