//! Looks API keys up.
//!
//! After a start no key is cached, and all clients ask at once. A round trip to the database costs
//! more than the look-up of one key. So keys that arrive while a look-up runs wait for its end, and
//! then one statement looks all of them up.

use std::mem;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use roots_domain::model::account::{AccountKind, Actor};
use roots_domain::model::api_key::{KeyValidity, Wrap, WrapHolder, WrapSubject};
use roots_domain::model::id::{AccountId, ActorId, KeyId, Uid};
use roots_domain::model::sealed::Sealed;
use roots_domain::port::crypto::Lookup;
use roots_domain::port::store::{Credentials, KeyAccount, StoreError, StoreResult};
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::ArrayType;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement, TryGetable, Value};
use tokio::sync::oneshot;

use crate::connect::readers::Readers;
use crate::connect::source::Dialect;
use crate::errors::of_read;
use crate::table::{self, InvalidRow, actors, api_keys, key_wraps};

/// Most keys that one statement looks up.
const TOGETHER_MAX: usize = 64;

/// The look-ups of one thread.
#[derive(Default)]
struct LookupQueue(Mutex<WaitingKeys>);

#[derive(Default)]
struct WaitingKeys {
    asked: Vec<AskedKey>,
    /// Whether a [`LookupTask`] runs.
    is_served: bool,
}

struct AskedKey {
    lookup: Lookup,
    reply: oneshot::Sender<StoreResult<Option<Credentials>>>,
}

impl LookupQueue {
    fn waiting(&self) -> MutexGuard<'_, WaitingKeys> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next keys to look up. If there are none, the calling task must end: the next key starts
    /// another one.
    fn next(&self) -> Vec<AskedKey> {
        let mut waiting = self.waiting();
        let next = waiting.asked.len().min(TOGETHER_MAX);
        waiting.is_served = next > 0;
        waiting.asked.drain(..next).collect()
    }
}

/// The task that looks up the keys of a thread until none waits. If its runtime drops it earlier,
/// the keys that wait get an error, and the next key starts another task.
struct LookupTask {
    queue: Arc<LookupQueue>,
    has_ended: bool,
}

impl Drop for LookupTask {
    fn drop(&mut self) {
        // After its end another task may serve these keys.
        if !self.has_ended {
            let left = mem::take(&mut *self.queue.waiting());
            drop(left);
        }
    }
}

/// The look-ups of a store.
pub(crate) struct KeyLookups {
    readers: Arc<Readers>,
    dialect: Dialect,
    /// One for each pool of readers.
    queues: Vec<Arc<LookupQueue>>,
}

impl KeyLookups {
    /// Look-ups by these readers.
    pub(crate) fn new(readers: Arc<Readers>, dialect: Dialect) -> Self {
        let queues = (0..readers.pools()).map(|_| Arc::default()).collect();
        Self { readers, dialect, queues }
    }

    /// Looks a key up, together with the others that wait on this thread.
    pub(crate) async fn find(&self, lookup: Lookup) -> StoreResult<Option<Credentials>> {
        let queue = &self.queues[self.readers.number()];
        let (reply, found) = oneshot::channel();
        let is_first = {
            let mut waiting = queue.waiting();
            waiting.asked.push(AskedKey { lookup, reply });
            !mem::replace(&mut waiting.is_served, true)
        };
        if is_first {
            tokio::spawn(serve(Arc::clone(&self.readers), self.dialect, Arc::clone(queue)));
        }
        let dropped = |_| Err(StoreError::Broken("the look-up of a key was abandoned".to_owned()));
        found.await.unwrap_or_else(dropped)
    }
}

async fn serve(readers: Arc<Readers>, dialect: Dialect, queue: Arc<LookupQueue>) {
    let mut task = LookupTask { queue, has_ended: false };
    loop {
        let asked = task.queue.next();
        if asked.is_empty() {
            task.has_ended = true;
            return;
        }
        let lookups = asked.iter().map(|asked| asked.lookup).collect::<Vec<_>>();
        let mut found = read(&readers, dialect, &lookups).await;
        for (position, asked) in asked.into_iter().enumerate() {
            let found = found.as_mut().map_err(|error| error.clone());
            let found = found.and_then(|found| found[position].take().transpose());
            // The caller may have gone.
            let _ = asked.reply.send(found);
        }
    }
}

/// The result for each key. A damaged row fails only the look-up of its own key.
async fn read(
    readers: &Readers,
    dialect: Dialect,
    lookups: &[Lookup],
) -> StoreResult<Vec<Option<StoreResult<Credentials>>>> {
    let db = readers.here();
    let mut rows = Vec::new();
    if dialect.is_citus() {
        // It answers one statement for keys of several shards more slowly than one for each key.
        for (position, lookup) in (0_i64..).zip(lookups) {
            rows.extend(db.query_all_raw(on_citus(position, lookup)).await.map_err(of_read)?);
        }
    } else {
        rows = db.query_all_raw(statement(dialect.backend(), lookups)).await.map_err(of_read)?;
    }
    let mut found = lookups.iter().map(|_| None).collect::<Vec<_>>();
    for row in rows {
        let position = row.try_get_by_index::<i64>(0).map_err(of_read)?;
        let position = usize::try_from(position).unwrap_or(usize::MAX);
        let Some((lookup, found)) = lookups.get(position).zip(found.get_mut(position)) else {
            return Err(StoreError::Broken("a key was found that nobody asked for".to_owned()));
        };
        let row = AdmissionRow::read(&row).map_err(of_read);
        *found = Some(row.and_then(|row| Ok(row.credentials(lookup.account)?)));
    }
    Ok(found)
}

/// What is selected, in the order in which it is read.
const COLUMNS: &str = "given.position, a.uid, a.name, a.kind, a.auth_epoch, a.key_epoch, \
    k.key_id, k.expires_at, k.ends_at, k.is_ended, k.succession, k.replaces_key_id, \
    k.grace_seconds, k.first_used_at, o.actor_id, o.uid, o.name, o.kind, o.role, o.is_active, \
    o.key_epoch, o.created_at, o.renewals_day, o.renewals, \
    wa.subject_epoch, wa.sealed, wo.subject_epoch, wo.sealed";

/// The row of a key, with its account, its actor, and the wraps of their keys.
struct AdmissionRow {
    account_uid: Uuid,
    account_name: String,
    account_kind: String,
    auth_epoch: i64,
    account_key_epoch: i64,
    key_id: i64,
    expires_at: Option<i64>,
    ends_at: Option<i64>,
    is_ended: i16,
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

/// Reads the columns of a row in order: finding one by its name takes as long as reading it.
struct RowCursor<'a> {
    row: &'a QueryResult,
    next: usize,
}

impl RowCursor<'_> {
    fn next<T: TryGetable>(&mut self) -> Result<T, DbErr> {
        let column = self.next;
        self.next += 1;
        self.row.try_get_by_index(column)
    }
}

impl AdmissionRow {
    /// Reads a row that [`statement`] found, behind its position.
    fn read(row: &QueryResult) -> Result<Self, DbErr> {
        let mut columns = RowCursor { row, next: 1 };
        Ok(Self {
            account_uid: columns.next()?,
            account_name: columns.next()?,
            account_kind: columns.next()?,
            auth_epoch: columns.next()?,
            account_key_epoch: columns.next()?,
            key_id: columns.next()?,
            expires_at: columns.next()?,
            ends_at: columns.next()?,
            is_ended: columns.next()?,
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

    /// The result.
    fn credentials(self, account: AccountId) -> Result<Credentials, InvalidRow> {
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
            name: table::name(self.account_name, "accounts", "name")?,
            kind: table::known(account_kind, "accounts", "kind")?,
            auth_epoch: self.auth_epoch,
            key_epoch: table::epoch(self.account_key_epoch, "accounts")?,
        };
        let kind = self.succession.as_deref();
        let succession = api_keys::succession(kind, self.replaces_key_id, self.grace_seconds)?;
        let key = KeyValidity {
            id: KeyId(self.key_id),
            expires_at: self.expires_at.map(table::at),
            status: api_keys::key_status(self.is_ended, self.ends_at)?,
            succession,
            first_used_at: self.first_used_at.map(table::at),
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
        Ok(Credentials { account, actor, key, sign_in: None, wraps })
    }
}

/// The wrap of that actor's key under an API key, or of the account's.
fn held(
    wrap: Option<(i64, Vec<u8>)>,
    key: i64,
    actor: Option<ActorId>,
) -> Result<Option<Wrap>, InvalidRow> {
    let Some((epoch, sealed)) = wrap else { return Ok(None) };
    let epoch = table::epoch(epoch, "key_wraps")?;
    let subject =
        actor.map_or(WrapSubject::Account(epoch), |actor| WrapSubject::Actor(actor, epoch));
    let (holder, sealed) = (WrapHolder::ApiKey(KeyId(key)), Sealed(sealed));
    Ok(Some(Wrap { subject, holder, sealed }))
}

/// Looks keys up, each by itself, in the order of the given ones.
fn statement(backend: DbBackend, lookups: &[Lookup]) -> Statement {
    let rows = (0_i64..).zip(lookups).map(|(position, lookup)| {
        [position.into(), lookup.account.0.into(), lookup.hash.0.to_vec().into()]
    });
    if backend == DbBackend::Postgres {
        let mut arrays = [const { Vec::new() }; 3];
        for row in rows {
            for (array, value) in arrays.iter_mut().zip(row) {
                array.push(value);
            }
        }
        let types = [ArrayType::BigInt, ArrayType::BigInt, ArrayType::Bytes];
        let array = |(of, array)| Value::Array(of, Some(Box::new(array)));
        let arrays = types.into_iter().zip(arrays).map(array);
        return Statement::from_sql_and_values(backend, &TEXTS.postgres, arrays);
    }
    let mut rows: Vec<[Value; 3]> = rows.collect();
    let size = lookups.len().next_power_of_two();
    // NULL equals nothing.
    let nothing = || [Value::BigInt(None), Value::BigInt(None), Value::Bytes(None)];
    rows.resize_with(size, nothing);
    let text = &TEXTS.sqlite[size.ilog2() as usize];
    Statement::from_sql_and_values(backend, text, rows.into_iter().flatten())
}

/// Looks a key up, by a statement that names its account: Citus sends it to one shard.
fn on_citus(position: i64, lookup: &Lookup) -> Statement {
    let values = [position.into(), lookup.account.0.into(), lookup.hash.0.to_vec().into()];
    Statement::from_sql_and_values(DbBackend::Postgres, &TEXTS.citus, values)
}

/// The statements that look keys up. A key wraps at most one epoch of its account's key and one of
/// its actor's; an ended key wraps none.
struct Texts {
    /// With one array for each column.
    postgres: String,
    /// For one key.
    citus: String,
    /// For 1, 2, 4 keys and so on.
    sqlite: [String; TOGETHER_MAX.ilog2() as usize + 1],
}

static TEXTS: LazyLock<Texts> = LazyLock::new(|| {
    let key = "k.account_id = given.account_id AND k.lookup = given.lookup";
    let account = "a.account_id = given.account_id";
    let actor = "o.account_id = given.account_id AND o.actor_id = k.actor_id";
    // By the primary key without its last column, the epoch.
    let held = |table: &str, kind, id| {
        format!(
            "{table}.account_id = given.account_id AND {table}.holder_kind = '{}' \
             AND {table}.holder_id = k.key_id AND {table}.holder_epoch = 0 \
             AND {table}.subject_kind = '{kind}' AND {table}.subject_id = {id}",
            key_wraps::HOLDER_API_KEY
        )
    };
    let of_account = held("wa", key_wraps::PARTY_ACCOUNT, "0");
    let of_actor = held("wo", key_wraps::PARTY_ACTOR, "k.actor_id");
    // `OFFSET 0` fixes the order, since the planner may have no statistics of a table yet.
    let lateral = |table, name, on: &str| {
        format!("LATERAL (SELECT * FROM {table} AS {name} WHERE {on} OFFSET 0) AS {name}")
    };
    let postgres = format!(
        "SELECT {COLUMNS} FROM (SELECT UNNEST($1::bigint[]) AS position, \
         UNNEST($2::bigint[]) AS account_id, UNNEST($3::bytea[]) AS lookup) AS given \
         CROSS JOIN {} CROSS JOIN {} CROSS JOIN {} LEFT JOIN {} ON TRUE LEFT JOIN {} ON TRUE",
        lateral("api_keys", "k", key),
        lateral("accounts", "a", account),
        lateral("actors", "o", actor),
        lateral("key_wraps", "wa", &of_account),
        lateral("key_wraps", "wo", &of_actor),
    );
    let sqlite = std::array::from_fn(|power| {
        let places = vec!["(?, ?, ?)"; 1 << power].join(", ");
        // In SQLite, CROSS JOIN fixes the order: the given values come first.
        format!(
            "WITH given (position, account_id, lookup) AS (VALUES {places}) SELECT {COLUMNS} \
             FROM given CROSS JOIN api_keys AS k ON {key} CROSS JOIN accounts AS a ON {account} \
             CROSS JOIN actors AS o ON {actor} LEFT JOIN key_wraps AS wa ON {of_account} \
             LEFT JOIN key_wraps AS wo ON {of_actor}"
        )
    });
    let named = |on: &str| on.replace("given.account_id", "$2").replace("given.lookup", "$3");
    let citus = format!(
        "SELECT {COLUMNS} FROM (SELECT CAST($1 AS BIGINT) AS position) AS given \
         CROSS JOIN api_keys AS k INNER JOIN accounts AS a ON {} INNER JOIN actors AS o ON {} \
         LEFT JOIN key_wraps AS wa ON {} LEFT JOIN key_wraps AS wo ON {} WHERE {}",
        named(account),
        named(actor),
        named(&of_account),
        named(&of_actor),
        named(key),
    );
    Texts { postgres, citus, sqlite }
});

#[cfg(test)]
mod tests {
    use super::*;
    use roots_domain::model::api_key::LookupHash;
    use roots_domain::port::crypto::LookupKind;

    #[test]
    fn a_dropped_lookup_task_fails_its_keys_and_lets_the_next_key_start_another() {
        let queue = Arc::new(LookupQueue::default());
        let (reply, mut found) = oneshot::channel();
        let lookup =
            Lookup { account: AccountId(1), hash: LookupHash([0; 32]), kind: LookupKind::ApiKey };
        *queue.waiting() = WaitingKeys { asked: vec![AskedKey { lookup, reply }], is_served: true };
        drop(LookupTask { queue: Arc::clone(&queue), has_ended: true });
        assert!(matches!(found.try_recv(), Err(oneshot::error::TryRecvError::Empty)));
        drop(LookupTask { queue: Arc::clone(&queue), has_ended: false });
        assert!(matches!(found.try_recv(), Err(oneshot::error::TryRecvError::Closed)));
        assert!(!queue.waiting().is_served);
    }

    #[test]
    fn a_statement_looks_up_at_most_64_keys() {
        let queue = LookupQueue::default();
        for id in 0..150 {
            let lookup = Lookup {
                account: AccountId(id),
                hash: LookupHash([0; 32]),
                kind: LookupKind::ApiKey,
            };
            let (reply, _) = oneshot::channel();
            queue.waiting().asked.push(AskedKey { lookup, reply });
        }
        let next = || queue.next().iter().map(|asked| asked.lookup.account.0).collect::<Vec<_>>();
        let expected = [(0..64).collect(), (64..128).collect(), (128..150).collect(), vec![]];
        assert_eq!([next(), next(), next(), next()], expected);
        let lookups = vec![
            Lookup {
                account: AccountId(1),
                hash: LookupHash([0; 32]),
                kind: LookupKind::ApiKey
            };
            64
        ];
        for count in 1..=TOGETHER_MAX {
            let bound = |backend| statement(backend, &lookups[..count]).values.unwrap().0.len();
            assert_eq!(bound(DbBackend::Sqlite), 3 * count.next_power_of_two());
            assert_eq!(bound(DbBackend::Postgres), 3);
        }
    }
}
