//! Reads accounts for operators, with their usage.

use std::collections::BTreeMap;

use async_trait::async_trait;
use roots_domain::model::account::Account;
use roots_domain::model::credit::Reason;
use roots_domain::model::id::AccountId;
use roots_domain::model::page::{Listed, Page, PageRequest, SortKey, Start};
use roots_domain::model::time::Timestamp;
use roots_domain::port::store::{
    AccountOverview, AccountReader, AccountsReader, Admission, StoreResult,
};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, EntityTrait, FromQueryResult, Order, QueryFilter, QueryOrder, QuerySelect,
};

use super::totals::number;
use crate::errors::of_read;
use crate::store::Store;
use crate::table::{accounts, counters, directory, ledger};

/// The usage of an account.
#[derive(FromQueryResult)]
struct UsageRow {
    account_id: i64,
    writes: Option<i64>,
    last_write_at: Option<i64>,
}

impl Store {
    /// The usage of those accounts, by a few index look-ups for each, and a scan back over the
    /// grants since the last single write or import.
    async fn with_usage(&self, accounts: Vec<Account>) -> StoreResult<Vec<AccountOverview>> {
        if accounts.is_empty() {
            return Ok(Vec::new());
        }
        let account = || Expr::col((accounts::Entity, accounts::Column::AccountId));
        let (write, import) = (Reason::ApiWrite.name(), Reason::Import.name());
        let writes = counters::Entity::find()
            .select_only()
            .column(counters::Column::Count)
            .filter(Expr::col((counters::Entity, counters::Column::AccountId)).eq(account()))
            .filter(counters::Column::ActorId.eq(counters::NO_ACTOR))
            .filter(counters::Column::Subject.eq(counters::SUBJECT_LEDGER))
            .filter(counters::Column::Label.eq(write));
        let last = ledger::Entity::find()
            .select_only()
            .column(ledger::Column::CreatedAt)
            .filter(Expr::col((ledger::Entity, ledger::Column::AccountId)).eq(account()))
            .filter(ledger::Column::Reason.is_in([write, import]))
            .order_by(ledger::Column::LedgerId, Order::Desc)
            .limit(1);
        let ids = accounts.iter().map(|account| account.id.0);
        let found = accounts::Entity::find()
            .select_only()
            .column(accounts::Column::AccountId)
            .expr_as(number(writes), "writes")
            .expr_as(number(last), "last_write_at")
            .filter(accounts::Column::AccountId.is_in(ids))
            .into_model::<UsageRow>()
            .all(self.readers_of_all())
            .await
            .map_err(of_read)?;
        let mut usage: BTreeMap<_, _> =
            found.into_iter().map(|one| (one.account_id, one)).collect();
        let overview = |account: Account| {
            let used = usage.remove(&account.id.0);
            AccountOverview {
                writes: used.as_ref().and_then(|used| used.writes).unwrap_or(0),
                last_write_at: used.and_then(|used| used.last_write_at).map(Timestamp::from_micros),
                account,
            }
        };
        Ok(accounts.into_iter().map(overview).collect())
    }
}

#[async_trait]
impl AccountsReader for Store {
    async fn accounts(
        &self,
        by: Admission,
        page: PageRequest,
    ) -> StoreResult<Page<AccountOverview>> {
        let first_and_one_more = u64::from(page.limit) + 1;
        let mut rows = accounts::Entity::find()
            .order_by_desc(accounts::Column::AccountId)
            .limit(first_and_one_more);
        rows = match page.start {
            Start::Offset(_) => rows.offset(page.offset().unsigned_abs()),
            Start::After(SortKey([.., id])) => rows.filter(accounts::Column::AccountId.lt(id)),
        };
        // Not one statement: a cluster's nodes answer for their own accounts alone.
        let tx = self.readers_of_all().begin().await.map_err(of_read)?;
        let found = rows.all(&tx).await.map_err(of_read)?;
        let counted = directory::Entity::find().one(&tx).await.map_err(of_read)?;
        tx.commit().await.map_err(of_read)?;
        // After the rows were read: nothing is told to a caller whose keys have ended since.
        self.check_epoch(by).await?;
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let has_more = found.len() > limit;
        let items = found.into_iter().take(limit).map(Account::try_from);
        let items = items.collect::<Result<Vec<_>, _>>()?;
        let next = items.last().filter(|_| has_more).map(Listed::sort_key);
        let total = counted.map_or(0, |row| row.accounts);
        Ok(Page { items: self.with_usage(items).await?, total, request: page, next })
    }

    async fn account_overview(
        &self,
        by: Admission,
        id: AccountId,
    ) -> StoreResult<Option<AccountOverview>> {
        self.check_epoch(by).await?;
        let Some(account) = self.account(id).await? else { return Ok(None) };
        Ok(self.with_usage(vec![account]).await?.pop())
    }
}
