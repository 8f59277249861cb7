//! The statement that admits the bearer of an API key, and its row.

use std::sync::LazyLock;

use roots_domain::model::account::{AccountKind, Actor};
use roots_domain::model::id::{AccountId, ActorId, KeyId, Uid};
use roots_domain::model::key::{KeyValidity, Wrap, WrapHolder, WrapSubject};
use roots_domain::model::sealed::Sealed;
use roots_domain::port::keys::Lookup;
use roots_domain::port::store::{Credentials, KeyAccount};
use sea_orm::prelude::Uuid;
use sea_orm::{DbBackend, DbErr, QueryResult, Statement, TryGetable};

use crate::entity::actors;
use crate::row::{self, Corrupt};

/// What is selected, in the order in which [`AdmissionRow::read`] reads it.
const COLUMNS: &str = "a.uid, a.name, a.kind, a.auth_epoch, a.key_epoch, \
    k.key_id, k.expires_at, k.ends_at, k.succession, k.replaces_key_id, k.grace_seconds, \
    k.first_used_at, o.actor_id, o.uid, o.name, o.kind, o.role, o.is_active, o.key_epoch, \
    o.created_at, o.renewals_day, o.renewals, \
    wa.subject_epoch, wa.sealed, wo.subject_epoch, wo.sealed";

/// The row of a key, with its account, its actor, and what it holds of their keys.
pub(crate) struct AdmissionRow {
    account_uid: Uuid,
    account_name: String,
    account_kind: String,
    auth_epoch: i64,
    account_key_epoch: i64,
    key_id: i64,
    expires_at: Option<i64>,
    ends_at: Option<i64>,
    succession: Option<String>,
    replaces_key_id: Option<i64>,
    grace_seconds: Option<i64>,
    first_used_at: Option<i64>,
    actor_id: i64,
    actor_uid: Uuid,
    actor_name: String,
    actor_kind: String,
    role: String,
    is_active: i16,
    actor_key_epoch: i64,
    actor_created_at: i64,
    renewals_day: i64,
    renewals: i64,
    held_account_epoch: Option<i64>,
    held_account_key: Option<Vec<u8>>,
    held_actor_epoch: Option<i64>,
    held_actor_key: Option<Vec<u8>>,
}

/// The columns of a row, one after the other: to find each by its name takes as long as to read it.
struct Columns<'a> {
    row: &'a QueryResult,
    next: usize,
}

impl Columns<'_> {
    fn next<T: TryGetable>(&mut self) -> Result<T, DbErr> {
        let column = self.next;
        self.next += 1;
        self.row.try_get_by_index(column)
    }
}

impl AdmissionRow {
    /// Reads a row that [`statement`] found.
    pub(crate) fn read(row: &QueryResult) -> Result<Self, DbErr> {
        let mut columns = Columns { row, next: 0 };
        Ok(Self {
            account_uid: columns.next()?,
            account_name: columns.next()?,
            account_kind: columns.next()?,
            auth_epoch: columns.next()?,
            account_key_epoch: columns.next()?,
            key_id: columns.next()?,
            expires_at: columns.next()?,
            ends_at: columns.next()?,
            succession: columns.next()?,
            replaces_key_id: columns.next()?,
            grace_seconds: columns.next()?,
            first_used_at: columns.next()?,
            actor_id: columns.next()?,
            actor_uid: columns.next()?,
            actor_name: columns.next()?,
            actor_kind: columns.next()?,
            role: columns.next()?,
            is_active: columns.next()?,
            actor_key_epoch: columns.next()?,
            actor_created_at: columns.next()?,
            renewals_day: columns.next()?,
            renewals: columns.next()?,
            held_account_epoch: columns.next()?,
            held_account_key: columns.next()?,
            held_actor_epoch: columns.next()?,
            held_actor_key: columns.next()?,
        })
    }

    /// What was found.
    pub(crate) fn credentials(self, account: AccountId) -> Result<Credentials, Corrupt> {
        let actor = ActorId(self.actor_id);
        let wraps = [
            held(self.held_account_epoch.zip(self.held_account_key), self.key_id, None)?,
            held(self.held_actor_epoch.zip(self.held_actor_key), self.key_id, Some(actor))?,
        ];
        let wraps = wraps.into_iter().flatten().collect();
        let account_kind = AccountKind::from_name(&self.account_kind);
        let account = KeyAccount {
            id: account,
            uid: Uid(self.account_uid),
            name: row::name(self.account_name, "accounts", "name")?,
            kind: row::known(account_kind, "accounts", "kind")?,
            auth_epoch: self.auth_epoch,
            key_epoch: row::epoch(self.account_key_epoch, "accounts")?,
        };
        let kind = self.succession.as_deref();
        let succession = row::succession(kind, self.replaces_key_id, self.grace_seconds)?;
        let key = KeyValidity {
            id: KeyId(self.key_id),
            expires_at: self.expires_at.map(row::at),
            ends_at: self.ends_at.map(row::at),
            succession,
            first_used_at: self.first_used_at.map(row::at),
        };
        let actor = Actor::try_from(actors::Model {
            account_id: account.id.0,
            actor_id: self.actor_id,
            uid: self.actor_uid,
            name: self.actor_name,
            kind: self.actor_kind,
            role: self.role,
            is_active: self.is_active,
            key_epoch: self.actor_key_epoch,
            created_at: self.actor_created_at,
            renewals_day: self.renewals_day,
            renewals: self.renewals,
        })?;
        Ok(Credentials { account, actor, key, wraps })
    }
}

/// What a key holds of that actor's key, or else of the account's.
fn held(
    wrap: Option<(i64, Vec<u8>)>,
    key: i64,
    actor: Option<ActorId>,
) -> Result<Option<Wrap>, Corrupt> {
    let Some((epoch, sealed)) = wrap else { return Ok(None) };
    let epoch = row::epoch(epoch, "key_wraps")?;
    let subject =
        actor.map_or(WrapSubject::Account(epoch), |actor| WrapSubject::Actor(actor, epoch));
    let (holder, sealed) = (WrapHolder::ApiKey(KeyId(key)), Sealed(sealed));
    Ok(Some(Wrap { subject, holder, sealed }))
}

/// Looks a key up. A key holds one epoch of its account's key and one of its actor's at most; one that
/// has ended holds none.
pub(crate) fn statement(backend: DbBackend, lookup: Lookup) -> Statement {
    let [on_postgres, on_sqlite] = &*STATEMENTS;
    let sql = if backend == DbBackend::Postgres { on_postgres } else { on_sqlite };
    let values = [lookup.account.0.into(), lookup.hash.0.to_vec().into()];
    Statement::from_sql_and_values(backend, sql, values)
}

/// On PostgreSQL and on SQLite.
static STATEMENTS: LazyLock<[String; 2]> = LazyLock::new(|| {
    let selected = format!(
        "SELECT {COLUMNS} FROM api_keys AS k JOIN accounts AS a ON a.account_id = k.account_id"
    );
    let actor = "o.account_id = k.account_id AND o.actor_id = k.actor_id";
    // By all of the primary key but the epoch of what is held.
    let held = |table: &str, kind, id| {
        format!(
            "{table}.account_id = k.account_id AND {table}.holder_kind = '{}' \
             AND {table}.holder_id = k.key_id AND {table}.holder_epoch = 0 \
             AND {table}.subject_kind = '{kind}' AND {table}.subject_id = {id}",
            row::HOLDER_API_KEY
        )
    };
    let of_account = held("wa", row::PARTY_ACCOUNT, "0");
    let of_actor = held("wo", row::PARTY_ACTOR, "k.actor_id");
    let wanted = "WHERE k.account_id = $1 AND k.lookup = $2";
    // `OFFSET 0` keeps the planner, who may know nothing of a table yet, from another order.
    let lateral = |table, name, on: &str| {
        format!("LATERAL (SELECT * FROM {table} AS {name} WHERE {on} OFFSET 0) AS {name}")
    };
    [
        format!(
            "{selected} CROSS JOIN {} LEFT JOIN {} ON TRUE LEFT JOIN {} ON TRUE {wanted}",
            lateral("actors", "o", actor),
            lateral("key_wraps", "wa", &of_account),
            lateral("key_wraps", "wo", &of_actor),
        ),
        format!(
            "{selected} JOIN actors AS o ON {actor} LEFT JOIN key_wraps AS wa ON {of_account} \
             LEFT JOIN key_wraps AS wo ON {of_actor} {wanted}"
        ),
    ]
});
