//! Reads API keys: a page of them, and expired ones, with sign-ins that are over.

use std::collections::{BTreeMap, BTreeSet};

use roots_domain::model::account::Actor;
use roots_domain::model::api_key::{AnyKeyId, ApiKey};
use roots_domain::model::id::{AccountId, KeyId, SignInId};
use roots_domain::model::page::Page;
use roots_domain::model::time::Timestamp;
use roots_domain::port::store::{KeyQuery, KeysOver, ListedKey, StoreError, StoreResult};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Statement, Value};

use super::totals::count;
use crate::errors::of_read;
use crate::store::Store;
use crate::table::{actors, api_keys};

/// How many account ids are searched at once for expired keys.
const ACCOUNTS_SWEPT: i64 = 10_000;

/// The conditions of keys that have expired, and of keys whose grace has ended, and that have not
/// ended for good. Each implies the condition of its index.
const KEY_IS_EXPIRED: &str = "expires_at <= $at AND is_ended = 0";
const KEY_GRACE_IS_OVER: &str = "ends_at <= $at";
/// The condition of sign-ins whose time is over.
const SIGN_IN_IS_OVER: &str = "ends_at <= $at";

impl Store {
    /// A page of keys, each with its actor.
    pub(super) async fn listed_keys(&self, query: &KeyQuery) -> StoreResult<Page<ListedKey>> {
        use api_keys::Column::{AccountId, ActorId, KeyId};
        let mut rows = api_keys::Entity::find().filter(AccountId.eq(query.by.account.0));
        if let Some(actor) = query.actor {
            rows = rows.filter(ActorId.eq(actor.0));
        }
        let total = count(rows.clone());
        let page =
            self.page::<_, ApiKey, 1>(query.by, rows.into(), [KeyId], total, query.page).await?;
        let theirs = actors::Entity::find()
            .filter(actors::Column::AccountId.eq(query.by.account.0))
            .filter(actors::Column::ActorId.is_in(page.items.iter().map(|key| key.actor.0)));
        let theirs = self.all::<_, Actor>(query.by.account, theirs).await?;
        let theirs: BTreeMap<_, _> = theirs.iter().map(|actor| (actor.id, actor)).collect();
        page.try_map(|key| {
            let nobody = || StoreError::Broken(format!("key {} is nobody's", key.id));
            let actor = theirs.get(&key.actor).ok_or_else(nobody)?;
            let (actor_name, actor_is_active) = (actor.name.clone(), actor.is_active);
            Ok(ListedKey { key, actor_name, actor_is_active })
        })
    }

    /// The accounts, some at a time, with expired keys that have not ended for good.
    pub(super) async fn find_accounts_with_keys_over(
        &self,
        at: Timestamp,
        after: Option<AccountId>,
    ) -> StoreResult<KeysOver> {
        // Three index look-ups for each account.
        let sql = format!(
            "SELECT account_id FROM accounts WHERE account_id > $1 AND account_id <= $2 AND \
             (EXISTS (SELECT 1 FROM api_keys WHERE api_keys.account_id = accounts.account_id AND {EXPIRED}) \
             OR EXISTS (SELECT 1 FROM api_keys WHERE api_keys.account_id = accounts.account_id AND {GRACE_OVER}) \
             OR EXISTS (SELECT 1 FROM sign_ins WHERE sign_ins.account_id = accounts.account_id AND {OVER})) \
             ORDER BY account_id",
            EXPIRED = KEY_IS_EXPIRED.replace("$at", "$3"),
            GRACE_OVER = KEY_GRACE_IS_OVER.replace("$at", "$3"),
            OVER = SIGN_IN_IS_OVER.replace("$at", "$3"),
        );
        // Ids count from 1.
        let after = after.map_or(0, |account| account.0);
        let upto = after.saturating_add(ACCOUNTS_SWEPT);
        let given = self.last_given_account().await?;
        let values = [after.into(), upto.into(), at.micros().into()];
        let accounts = self
            .ids(self.readers_of_all(), &sql, values)
            .await?
            .into_iter()
            .map(AccountId)
            .collect();
        let is_more = given.is_some_and(|given| upto < given.0);
        Ok(KeysOver { accounts, last: is_more.then_some(AccountId(upto)) })
    }

    /// The expired keys of an account that have not ended for good, and its sign-ins whose time is
    /// over.
    pub(super) async fn find_keys_over(
        &self,
        account: AccountId,
        at: Timestamp,
        most: u32,
    ) -> StoreResult<Vec<AnyKeyId>> {
        let api_key: fn(i64) -> AnyKeyId = |id| KeyId(id).into();
        let mut found = BTreeSet::new();
        for (id, table, is_over, key) in [
            ("key_id", "api_keys", KEY_IS_EXPIRED, api_key),
            ("key_id", "api_keys", KEY_GRACE_IS_OVER, api_key),
            ("sign_in_id", "sign_ins", SIGN_IN_IS_OVER, |id| SignInId(id).into()),
        ] {
            let is_over = is_over.replace("$at", "$2");
            let sql =
                format!("SELECT {id} FROM {table} WHERE account_id = $1 AND {is_over} LIMIT $3");
            let values = [account.0.into(), at.micros().into(), i64::from(most).into()];
            found
                .extend(self.ids(&self.readers(account), &sql, values).await?.into_iter().map(key));
        }
        Ok(found.into_iter().take(most as usize).collect())
    }

    /// The ids that a statement finds.
    async fn ids(
        &self,
        db: &impl ConnectionTrait,
        sql: &str,
        values: [Value; 3],
    ) -> StoreResult<Vec<i64>> {
        let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
        let rows = db.query_all_raw(statement).await.map_err(of_read)?;
        rows.iter().map(|row| row.try_get_by_index(0).map_err(of_read)).collect()
    }
}
