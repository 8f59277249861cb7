//! Reads an account: its row, its actors, its ledger and its audit log.

use async_trait::async_trait;
use roots_domain::command::NewAccount;
use roots_domain::model::account::{Account, Actor};
use roots_domain::model::api_key::{AnyKeyId, KeyEpoch, RecoveryCode, Wrap};
use roots_domain::model::audit::AuditEntry;
use roots_domain::model::credit::{LedgerEntry, Reason};
use roots_domain::model::id::{AccountId, ActorId};
use roots_domain::model::page::{Page, PageRequest};
use roots_domain::model::time::Timestamp;
use roots_domain::model::work::CreditStats;
use roots_domain::model::zone::Zone;
use roots_domain::port::crypto::{Lookup, LookupKind};
use roots_domain::port::store::{
    AccountReader, Admission, Credentials, HeldActor, KeyQuery, KeysOver, ListedKey, ListedSignIn,
    Recoverable, SignInQuery, StoreResult, WorkQuery,
};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect};

use super::totals::{count, counters_of, number, sum};
use crate::store::Store;
use crate::table::{
    accounts, actors, api_keys, audit_log, counters, key_wraps, ledger, recovery_codes,
};
use crate::write::filter::padded;

/// The condition of the ledger's index by reason, word for word, so that the database sees that it
/// can use the index.
const IN_LEDGER_BY_REASON: &str = "reason <> 'api_write'";

#[async_trait]
impl AccountReader for Store {
    async fn has_accounts(&self) -> StoreResult<bool> {
        Ok(self.counted_accounts().await? > 0)
    }

    async fn last_account(&self) -> StoreResult<Option<AccountId>> {
        self.last_given_account().await
    }

    async fn credentials(&self, lookup: Lookup) -> StoreResult<Option<Credentials>> {
        match lookup.kind {
            LookupKind::ApiKey => self.node_of(lookup.account).key_lookups().find(lookup).await,
            LookupKind::BrowserKey => self.browser_credentials(lookup).await,
            LookupKind::RecoveryCode => Ok(None),
        }
    }

    async fn recoverable(&self, lookup: Lookup) -> StoreResult<Option<Recoverable>> {
        let account_id = lookup.account.0;
        // First, as the port requires.
        let Some(account) = self.account(lookup.account).await? else { return Ok(None) };
        let code = recovery_codes::Entity::find()
            .filter(recovery_codes::Column::AccountId.eq(account_id))
            .filter(recovery_codes::Column::Lookup.eq(lookup.hash.0.to_vec()));
        let Some(code) = self.one::<_, RecoveryCode>(lookup.account, code).await? else {
            return Ok(None);
        };
        let came_with = match code.comes_with {
            Some(key) => {
                {
                    let key = api_keys::Entity::find_by_id((account_id, key.0));
                    self.one(lookup.account, key)
                }
                .await?
            }
            None => None,
        };
        let owner = actors::Entity::find_by_id((account_id, NewAccount::OWNER.0));
        let Some(owner) = self.one::<_, Actor>(lookup.account, owner).await? else {
            return Ok(None);
        };
        let of_code = key_wraps::Entity::find()
            .filter(key_wraps::Column::AccountId.eq(account_id))
            .filter(key_wraps::Column::HolderKind.eq(key_wraps::HOLDER_RECOVERY))
            .filter(key_wraps::Column::HolderId.eq(code.id.0));
        let mut wraps = self.all::<_, Wrap>(lookup.account, of_code).await?;
        // The code may have come with a renewal, which it puts in force.
        let of_owner = [(owner.id, owner.key_epoch), (owner.id, owner.key_epoch.next())];
        wraps.extend(self.wraps_under_account(lookup.account, &of_owner).await?);
        Ok(Some(Recoverable { account, owner, code, came_with, wraps }))
    }

    async fn check(&self, by: Admission) -> StoreResult<()> {
        self.check_epoch(by).await
    }

    async fn account(&self, id: AccountId) -> StoreResult<Option<Account>> {
        self.one(id, accounts::Entity::find_by_id(id.0)).await
    }

    async fn actors(&self, account: AccountId) -> StoreResult<Vec<Actor>> {
        let rows = actors::Entity::find()
            .filter(actors::Column::AccountId.eq(account.0))
            .order_by(actors::Column::ActorId, Order::Asc);
        self.all(account, rows).await
    }

    async fn first_actors(&self, account: AccountId, most: u32) -> StoreResult<Vec<Actor>> {
        let rows = actors::Entity::find()
            .filter(actors::Column::AccountId.eq(account.0))
            .order_by(actors::Column::ActorId, Order::Asc)
            .limit(u64::from(most));
        self.all(account, rows).await
    }

    async fn actors_of_ids(&self, account: AccountId, ids: &[ActorId]) -> StoreResult<Vec<Actor>> {
        let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
        let rows = actors::Entity::find()
            .filter(actors::Column::AccountId.eq(account.0))
            .filter(actors::Column::ActorId.is_in(padded(ids)));
        self.all(account, rows).await
    }

    async fn actor_page(&self, by: Admission, page: PageRequest) -> StoreResult<Page<Actor>> {
        let rows = actors::Entity::find().filter(actors::Column::AccountId.eq(by.account.0));
        let total = count(rows.clone());
        self.page(by, rows.into(), [actors::Column::ActorId], total, page).await
    }

    async fn keys(&self, query: &KeyQuery) -> StoreResult<Page<ListedKey>> {
        self.listed_keys(query).await
    }

    async fn sign_ins(&self, query: &SignInQuery) -> StoreResult<Vec<ListedSignIn>> {
        self.listed_sign_ins(query).await
    }

    async fn accounts_with_keys_over(
        &self,
        at: Timestamp,
        after: Option<AccountId>,
    ) -> StoreResult<KeysOver> {
        self.find_accounts_with_keys_over(at, after).await
    }

    async fn keys_over(
        &self,
        account: AccountId,
        at: Timestamp,
        most: u32,
    ) -> StoreResult<Vec<AnyKeyId>> {
        self.find_keys_over(account, at, most).await
    }

    async fn held_actors(
        &self,
        account: AccountId,
        actors: &[ActorId],
    ) -> StoreResult<Vec<HeldActor>> {
        self.actors_with_wraps(account, actors).await
    }

    async fn wraps_under_account(
        &self,
        account: AccountId,
        keys: &[(ActorId, KeyEpoch)],
    ) -> StoreResult<Vec<Wrap>> {
        self.wraps_held_by_account(account, keys).await
    }

    async fn earlier_wraps(
        &self,
        account: AccountId,
        actor: Option<ActorId>,
        epochs: (KeyEpoch, KeyEpoch),
    ) -> StoreResult<Vec<Wrap>> {
        self.wraps_of_epochs(account, actor, epochs).await
    }

    async fn ledger(
        &self,
        by: Admission,
        reason: Option<Reason>,
        page: PageRequest,
    ) -> StoreResult<Page<LedgerEntry>> {
        let mut rows = ledger::Entity::find().filter(ledger::Column::AccountId.eq(by.account.0));
        let mut counts =
            counters_of(by.account, Some(ActorId(counters::NO_ACTOR)), counters::SUBJECT_LEDGER);
        if let Some(reason) = reason {
            rows = rows.filter(ledger::Column::Reason.eq(reason.name()));
            if reason != Reason::ApiWrite {
                rows = rows.filter(Expr::cust(IN_LEDGER_BY_REASON));
            }
            counts = counts.filter(counters::Column::Label.eq(reason.name()));
        }
        let total = sum(counts, counters::Column::Count);
        self.page(by, rows.into(), [ledger::Column::LedgerId], total, page).await
    }

    async fn credit_stats(&self, query: &WorkQuery, zone: &Zone) -> StoreResult<CreditStats> {
        self.credit_stats_of(query, zone).await
    }

    async fn audit_log(&self, by: Admission, page: PageRequest) -> StoreResult<Page<AuditEntry>> {
        let account = by.account;
        let rows = audit_log::Entity::find().filter(audit_log::Column::AccountId.eq(account.0));
        // Its ids have no gaps: the last one is the number of rows.
        let given = accounts::Entity::find_by_id(account.0)
            .select_only()
            .column(accounts::Column::LastAuditId);
        self.page(by, rows.into(), [audit_log::Column::AuditId], number(given), page).await
    }
}
