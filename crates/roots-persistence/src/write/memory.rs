//! Remembers the accounts that the last batches of a connection have written, so that the next one
//! need not read them again.

use std::collections::HashMap;

use roots_domain::decide::{ActivityTypes, UnchangedRows, WriteSet};
use roots_domain::model::account::Account;
use roots_domain::model::counter::Counter;
use roots_domain::model::id::{AccountId, ActorId};
use sea_orm::{ConnectionTrait, DbBackend, Statement};

use super::transaction::BatchTransaction;
use crate::errors::BatchError;

/// Most accounts, and most actors, that are remembered. Beyond that, all are forgotten.
const REMEMBERED_MAX: usize = 10_000;
/// The activity types of an actor that has more of them are not remembered.
const ACTIVITY_TYPES_REMEMBERED_MAX: usize = 16;

/// The memory of a connection to SQLite, which can tell whether another connection has written
/// since. On PostgreSQL nothing is remembered: there, writes of other processes are only seen by
/// reading.
///
/// A batch takes out what it starts from, and puts back the result once that is durable. So after a
/// failure or an unknown outcome nothing is remembered.
#[derive(Debug, Default)]
pub(super) struct AccountMemory {
    /// SQLite's number for the state of the database. It changes when another connection writes.
    as_of: Option<i64>,
    accounts: HashMap<AccountId, Account>,
    activity_types: HashMap<(AccountId, ActorId), ActivityTypes>,
}

impl AccountMemory {
    /// Forgets everything that another connection may have changed. Call it within the transaction,
    /// which prevents all others from writing from then on.
    pub(super) async fn check(&mut self, tx: &BatchTransaction) -> Result<(), BatchError> {
        let backend = tx.get_database_backend();
        if backend == DbBackend::Postgres {
            return Ok(());
        }
        let asked = Statement::from_string(backend, "PRAGMA data_version");
        let found = tx.query_one_raw(asked).await?;
        let now = found.map(|row| row.try_get_by_index::<i64>(0)).transpose()?;
        if now.is_none() || self.as_of != now {
            *self = Self { as_of: now, ..Self::default() };
        }
        Ok(())
    }

    /// Takes the account out, if it is remembered.
    pub(super) fn take_account(&mut self, id: AccountId) -> Option<Account> {
        self.accounts.remove(&id)
    }

    /// Takes an actor's activity types out, as far as they are remembered.
    pub(super) fn take_activity_types(&mut self, of: (AccountId, ActorId)) -> ActivityTypes {
        self.activity_types.remove(&of).unwrap_or_default()
    }

    /// Remembers the durable result of a batch.
    pub(super) fn learn(&mut self, write_set: WriteSet, rest: UnchangedRows) {
        if self.as_of.is_none() {
            return;
        }
        let WriteSet { accounts_founded, accounts_changed, .. } = write_set;
        let has_ended = !write_set.erased.is_empty() || !write_set.swept.is_empty();
        let more = accounts_founded.len() + accounts_changed.len() + rest.accounts.len();
        let is_full = self.accounts.len() + more > REMEMBERED_MAX
            || self.activity_types.len() + rest.activity_types.len() > REMEMBERED_MAX;
        if has_ended || is_full {
            self.accounts.clear();
            self.activity_types.clear();
        }
        if has_ended {
            return;
        }
        let accounts = accounts_founded.into_iter().chain(accounts_changed).chain(rest.accounts);
        self.accounts.extend(accounts.map(|account| (account.id, account)));
        // A deletion changes counts that were not loaded.
        for (account, counter) in write_set.counters.keys() {
            if let Counter::Activities(actor, _) = counter {
                self.activity_types.remove(&(*account, *actor));
            }
        }
        let few = |of: &ActivityTypes| of.counts.len() <= ACTIVITY_TYPES_REMEMBERED_MAX;
        self.activity_types.extend(rest.activity_types.into_iter().filter(|(_, types)| few(types)));
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use roots_domain::model::text::ActivityType;
    use roots_domain::port::store::AccountReader;
    use roots_testkit::commands::Issuer;
    use roots_testkit::database::TestDatabase;

    use super::*;

    fn activity_types(count: usize) -> ActivityTypes {
        let activity_type = |number| ActivityType::parse(format!("type-{number}")).unwrap();
        ActivityTypes {
            counts: (0..count).map(|number| (activity_type(number), 1)).collect(),
            total: 0,
        }
    }

    #[tokio::test]
    async fn an_account_memory_is_bounded_and_forgets_erased_accounts() {
        let db = TestDatabase::sqlite().await;
        let issuer = Issuer::new(&db.store, 1).await;
        let founded = db.store.account(issuer.account).await.unwrap().unwrap();
        let account = |id| Account { id: AccountId(id), ..founded.clone() };
        let (one, actor) = (AccountId(1), ActorId(1));
        let mut memory = AccountMemory { as_of: Some(1), ..AccountMemory::default() };
        let changed = |id| WriteSet { accounts_changed: vec![account(id)], ..WriteSet::default() };
        let rest = |id, count| UnchangedRows {
            accounts: Vec::new(),
            activity_types: iter::once(((AccountId(id), actor), activity_types(count))).collect(),
        };
        let mut most = 0;
        for id in 1..=25_000 {
            memory.learn(changed(id), rest(id, 1));
            most = most.max(memory.accounts.len()).max(memory.activity_types.len());
            assert!(memory.accounts.contains_key(&AccountId(id)));
        }
        assert_eq!(most, REMEMBERED_MAX);
        memory.learn(changed(1), rest(1, ACTIVITY_TYPES_REMEMBERED_MAX + 1));
        assert_eq!(memory.take_activity_types((one, actor)).counts.len(), 0);
        assert_eq!(memory.take_account(one), Some(account(1)));
        assert_eq!(memory.take_account(one), None, "it was taken");
        let unchanged = UnchangedRows { accounts: vec![account(1)], ..UnchangedRows::default() };
        memory.learn(WriteSet::default(), unchanged);
        assert!(memory.accounts.contains_key(&one));
        let ended = WriteSet { erased: vec![(one, account(1).created_at)], ..changed(1) };
        memory.learn(ended, UnchangedRows::default());
        assert_eq!((memory.accounts.len(), memory.activity_types.len()), (0, 0));
    }
}
