//! Reads wraps: which keys hold which.

use std::collections::BTreeMap;

use roots_domain::model::account::Actor;
use roots_domain::model::api_key::{KeyEpoch, Wrap, WrapSubject};
use roots_domain::model::id::{AccountId, ActorId};
use roots_domain::port::store::{HeldActor, StoreResult};
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, Statement, Value};

use crate::errors::of_read;
use crate::store::Store;
use crate::table::{actors, key_wraps};

/// The index from a key to its wraps. SQLite has no statistics here and would scan all wraps under
/// the account's key instead.
const BY_SUBJECT: &str = "INDEXED BY key_wraps_by_subject";

/// The wraps of actors' keys under the account's key, each looked up separately. `OFFSET 0` fixes
/// the order, since the planner may have no statistics of the table yet.
const WRAPS_UNDER_ACCOUNT: &str = "SELECT found.* \
    FROM (SELECT UNNEST($2::bigint[]) AS id, UNNEST($3::bigint[]) AS epoch) AS given, \
    LATERAL (SELECT * FROM key_wraps AS w WHERE w.account_id = $1 AND w.subject_kind = 'actor' \
    AND w.subject_id = given.id AND w.holder_kind = 'account' AND w.subject_epoch = given.epoch \
    OFFSET 0) AS found";

/// The same for SQLite, which also takes a list as one value and keeps the order of a cross join.
const WRAPS_UNDER_ACCOUNT_ON_SQLITE: &str = "SELECT w.* FROM json_each($2) AS given \
    CROSS JOIN key_wraps AS w INDEXED BY key_wraps_by_subject WHERE w.account_id = $1 \
    AND w.subject_kind = 'actor' AND w.subject_id = given.value ->> 0 \
    AND w.holder_kind = 'account' AND w.subject_epoch = given.value ->> 1";

impl Store {
    /// Those actors, each with the wraps of its keys under the account's key.
    pub(super) async fn actors_with_wraps(
        &self,
        account: AccountId,
        actors: &[ActorId],
    ) -> StoreResult<Vec<HeldActor>> {
        use actors::Column::{AccountId, ActorId};
        let ids: Vec<_> = actors.iter().map(|id| [account.0.into(), id.0.into()]).collect();
        // First; the port gives the reason.
        let found =
            self.look_up::<actors::Entity, Actor, 2>(account, [AccountId, ActorId], &ids).await?;
        let epochs = |actor: &Actor| [actor.key_epoch, actor.key_epoch.next()];
        let of = |actor: &Actor| epochs(actor).map(|epoch| (actor.id, epoch));
        let wanted: Vec<_> = found.iter().flat_map(of).collect();
        let mut wraps = BTreeMap::<_, Vec<_>>::new();
        for wrap in self.wraps_held_by_account(account, &wanted).await? {
            if let WrapSubject::Actor(id, _) = wrap.subject {
                wraps.entry(id).or_default().push(wrap);
            }
        }
        let held = |actor: Actor| {
            let wraps = wraps.remove(&actor.id).unwrap_or_default();
            HeldActor { actor, wraps }
        };
        Ok(found.into_iter().map(held).collect())
    }

    /// The wraps of those actors' keys under the account's key.
    pub(super) async fn wraps_held_by_account(
        &self,
        account: AccountId,
        keys: &[(ActorId, KeyEpoch)],
    ) -> StoreResult<Vec<Wrap>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let db = &self.readers(account);
        let backend = db.get_database_backend();
        let ids = keys.iter().map(|(actor, _)| actor.0);
        let epochs = keys.iter().map(|(_, epoch)| i64::from(epoch.0));
        let asked = if backend == DbBackend::Postgres {
            let numbers = |numbers: Vec<i64>| -> Value { numbers.into() };
            let values = [account.0.into(), numbers(ids.collect()), numbers(epochs.collect())];
            Statement::from_sql_and_values(backend, WRAPS_UNDER_ACCOUNT, values)
        } else {
            let pairs: Vec<_> =
                ids.zip(epochs).map(|(id, epoch)| format!("[{id},{epoch}]")).collect();
            let values = [account.0.into(), format!("[{}]", pairs.join(",")).into()];
            Statement::from_sql_and_values(backend, WRAPS_UNDER_ACCOUNT_ON_SQLITE, values)
        };
        self.wraps(account, asked).await
    }

    /// The wraps of these epochs' keys, of the account or of an actor, under later keys.
    pub(super) async fn wraps_of_epochs(
        &self,
        account: AccountId,
        actor: Option<ActorId>,
        (first, last): (KeyEpoch, KeyEpoch),
    ) -> StoreResult<Vec<Wrap>> {
        let (kind, id) =
            actor.map_or((key_wraps::PARTY_ACCOUNT, 0), |actor| (key_wraps::PARTY_ACTOR, actor.0));
        let backend = self.readers(account).get_database_backend();
        let (first, last) = (i64::from(first.0), i64::from(last.0));
        let values = [account.0.into(), kind.into(), id.into(), first.into(), last.into()];
        let hint = if backend == DbBackend::Sqlite { BY_SUBJECT } else { "" };
        let sql = format!(
            "SELECT w.* FROM key_wraps AS w {hint} WHERE w.account_id = $1 AND w.subject_kind = $2 \
             AND w.subject_id = $3 AND w.holder_kind = $2 AND w.subject_epoch BETWEEN $4 AND $5"
        );
        self.wraps(account, Statement::from_sql_and_values(backend, sql, values)).await
    }

    async fn wraps(&self, account: AccountId, asked: Statement) -> StoreResult<Vec<Wrap>> {
        let found = key_wraps::Entity::find().from_raw_sql(asked).all(&self.readers(account)).await;
        let found = found.map_err(of_read)?.into_iter();
        Ok(found.map(Wrap::try_from).collect::<Result<_, _>>()?)
    }
}
