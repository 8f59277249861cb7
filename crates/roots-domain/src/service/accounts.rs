//! Accounts and their credits.

use std::sync::Arc;

use secrecy::SecretString;

use super::access::{ActorScope, Caller};
use super::outcome::{ReadError, WriteError};
use super::sealing::{Opening, SealedRow};
use crate::command::{
    Action, AppliedRow, Command, NewAccount, Operator, OperatorAction, Refusal, SystemAction,
};
use crate::model::Invalid;
use crate::model::account::{Account, AccountKind, AccountStatus, Actor, ActorKind, Role};
use crate::model::api_key::KeyEpoch;
use crate::model::audit::AuditEntry;
use crate::model::credit::{self, LedgerEntry, Reason};
use crate::model::id::{AccountId, ActorId, Uid};
use crate::model::page::{Page, PageRequest};
use crate::model::text::Name;
use crate::model::time::{TimeRange, Timestamp};
use crate::model::work::{CreditStats, WorkWindow};
use crate::model::zone::Zone;
use crate::port::clock::{Clock, Uids};
use crate::port::crypto::{AccountIdentity, ActorIdentity, Founding, Locksmith};
use crate::port::store::{AccountReader, CommandStore, StoreError, StoreResult, WorkQuery};

/// The number of ledger rows that the credits show.
const RECENT_ENTRIES: u32 = 20;

/// Accounts: how they are made, their credits, and what a caller may know of them.
#[derive(Clone)]
pub struct Accounts {
    /// Applies writes.
    pub commands: Arc<dyn CommandStore>,
    /// Reads.
    pub reader: Arc<dyn AccountReader>,
    /// Makes the keys.
    pub locksmith: Arc<dyn Locksmith>,
    /// Tells the time of a write.
    pub clock: Arc<dyn Clock>,
    /// Makes the uids of new accounts and actors.
    pub uids: Arc<dyn Uids>,
}

/// A requested account.
#[derive(Debug, Clone)]
pub struct AccountDraft {
    /// Its name.
    pub name: Name,
    /// Its kind.
    pub kind: AccountKind,
    /// Its owner's name.
    pub owner_name: Name,
    /// The kind of its owner.
    pub owner_kind: ActorKind,
    /// The credits it starts with, not negative.
    pub credits: i64,
}

/// A new account's secrets, which are shown once and stored nowhere.
#[derive(Debug)]
pub struct NewCredentials {
    /// The account.
    pub account: AccountId,
    /// Its owner.
    pub owner: ActorId,
    /// The owner's name.
    pub owner_name: Name,
    /// The kind of the owner.
    pub owner_kind: ActorKind,
    /// The owner's key.
    pub api_key: SecretString,
    /// Its first characters.
    pub key_prefix: String,
    /// The recovery code.
    pub recovery_code: SecretString,
    /// The credits it starts with.
    pub credits: i64,
}

/// An account whose keys are made, but which is not founded yet, so that its secrets can be stored
/// first.
#[derive(Debug)]
pub struct PreparedAccount {
    /// The secrets that its owner must keep.
    pub credentials: NewCredentials,
    new: NewAccount,
}

/// Most other actors in [`Whoami`].
pub const OTHER_ACTORS_MAX: u32 = 100;

/// The caller's account, actor and key.
#[derive(Debug, Clone)]
pub struct Whoami {
    /// The first [`OTHER_ACTORS_MAX`] other actors of its account, by id.
    pub other_actors: Vec<Actor>,
    /// The number of all other actors: exact up to [`OTHER_ACTORS_MAX`], beyond that estimated from
    /// the assigned ids.
    pub other_actors_total: i64,
    /// The account's balance.
    pub credits_remaining: i64,
    /// Whether the account may write.
    pub status: AccountStatus,
    /// The account's version: it rises with every change of the account and its rows.
    pub version: i64,
    /// When the account was made.
    pub created_at: Timestamp,
}

/// The credits of an account.
#[derive(Debug, Clone)]
pub struct Credits {
    /// The balance.
    pub balance: i64,
    /// The newest ledger entries, newest first.
    pub recent: Vec<LedgerEntry>,
}

impl Accounts {
    /// Makes and founds an account.
    ///
    /// # Errors
    /// A database error, or no randomness.
    pub async fn bootstrap(&self, draft: AccountDraft) -> Result<NewCredentials, WriteError> {
        let id = self.reserve().await?;
        let prepared = self.prepare(id, draft, false)?;
        self.found(prepared).await
    }

    /// Sets the installation's id before its first account is founded, and returns it. The id never
    /// changes. Both this and founding an account take the directory's lock, so they do not
    /// overlap.
    ///
    /// # Errors
    /// [`Refusal::AccountExists`] if there is an account, or a database error.
    pub async fn name_installation(&self) -> Result<Uid, WriteError> {
        let action = SystemAction::NameInstallation(self.uids.next());
        match self.apply(Action::System(action)).await? {
            AppliedRow::Installation(id) => Ok(id),
            _ => Err(WriteError::mismatched()),
        }
    }

    /// Makes the keys of an account for a database that has none, without founding it. It reserves
    /// an id unless it is the very first account: ids of erased accounts are not reused.
    ///
    /// # Errors
    /// A database error, or no randomness.
    pub async fn prepare_first(&self, draft: AccountDraft) -> Result<PreparedAccount, WriteError> {
        let id = match self.reader.last_account().await? {
            None => NewAccount::FIRST,
            Some(_) => self.reserve().await?,
        };
        self.prepare(id, draft, true)
    }

    /// Founds a prepared account.
    ///
    /// # Errors
    /// [`Refusal::AccountExists`] if another process was first, or a database error.
    pub async fn found(&self, prepared: PreparedAccount) -> Result<NewCredentials, WriteError> {
        self.apply(Action::System(SystemAction::FoundAccount(prepared.new))).await?;
        Ok(prepared.credentials)
    }

    /// Whether there is any account yet.
    ///
    /// # Errors
    /// A database error.
    pub async fn any(&self) -> Result<bool, ReadError> {
        Ok(self.reader.has_accounts().await?)
    }

    /// Grants credits to an account, on behalf of the program's operator. Returns the new balance.
    ///
    /// # Errors
    /// The refusal, or a database error.
    pub async fn grant(
        &self,
        account: AccountId,
        amount: Grant,
        note: Option<Name>,
    ) -> Result<i64, WriteError> {
        let action = OperatorAction::GrantCredits { account, amount: amount.0, note };
        match self.apply(Action::Operate(Operator::CommandLine, action)).await? {
            AppliedRow::Account(account) => Ok(account.balance),
            _ => Err(WriteError::mismatched()),
        }
    }

    /// Prepares to open rows that the caller may read, one after the other.
    ///
    /// # Errors
    /// A database error.
    pub async fn opening<S: SealedRow>(
        &self,
        caller: &Caller,
        rows: Vec<S>,
    ) -> StoreResult<Opening<S>> {
        super::sealing::opening(&*self.reader, caller, rows).await
    }

    /// The actors of the caller's account, and its balance.
    ///
    /// # Errors
    /// A database error.
    pub async fn whoami(&self, caller: &Caller) -> Result<Whoami, ReadError> {
        // First, so that what is read after it is as new as its version, or newer.
        let account = self.account(caller).await?;
        // One more, since the caller may be among them.
        let mut others = self.reader.first_actors(caller.account.id, OTHER_ACTORS_MAX + 1).await?;
        let are_all = others.len() <= OTHER_ACTORS_MAX as usize;
        others.retain(|actor| actor.id != caller.actor.id);
        others.truncate(OTHER_ACTORS_MAX as usize);
        // Actor ids are never reused. So the last assigned id is the number of actors, except for
        // reserved ids that were never used.
        let other_actors_total = match i64::try_from(others.len()) {
            Ok(found) if are_all => found,
            _ => account.last_ids.actor - 1,
        };
        Ok(Whoami {
            other_actors: others,
            other_actors_total,
            credits_remaining: account.balance,
            status: account.status,
            version: account.version,
            created_at: account.created_at,
        })
    }

    /// Those actors of the caller's account that have these ids, for their names, in any order.
    ///
    /// # Errors
    /// A database error.
    pub async fn actors_of_ids(
        &self,
        caller: &Caller,
        ids: &[ActorId],
    ) -> Result<Vec<Actor>, ReadError> {
        Ok(self.reader.actors_of_ids(caller.account.id, ids).await?)
    }

    /// The balance of the caller's account.
    ///
    /// # Errors
    /// A database error.
    pub async fn balance(&self, caller: &Caller) -> Result<i64, ReadError> {
        Ok(self.account(caller).await?.balance)
    }

    /// The balance of the caller's account, and its newest ledger entries.
    ///
    /// # Errors
    /// A database error.
    pub async fn credits(&self, caller: &Caller) -> Result<Credits, ReadError> {
        let page = PageRequest::skipping(0, RECENT_ENTRIES);
        let recent = self.ledger(caller, None, page).await?.items;
        // The newest row has the balance. An account that never had credits has no row.
        let balance = recent.first().map_or(0, |entry| entry.balance_after);
        Ok(Credits { balance, recent })
    }

    /// A page of the ledger of the caller's account, newest first. A member is told less of others'
    /// writes ([`LedgerEntry::told_to_member`]).
    ///
    /// # Errors
    /// A database error.
    pub async fn ledger(
        &self,
        caller: &Caller,
        reason: Option<Reason>,
        page: PageRequest,
    ) -> Result<Page<LedgerEntry>, ReadError> {
        let mut found = self.reader.ledger(caller.admission(), reason, page).await?;
        if caller.actor.role != Role::Owner {
            let told = |entry: LedgerEntry| entry.told_to_member(caller.actor.id);
            found.items = found.items.into_iter().map(told).collect();
        }
        Ok(found)
    }

    /// Credits spent and granted in a window, by actor and by the days of a zone, and the balance
    /// at the end of each day. [`WorkWindow::until_now`] says what the window of a range is. What
    /// was granted and the balance are the account's, whatever the scope.
    ///
    /// # Errors
    /// The refusal, or a database error.
    pub async fn credit_stats(
        &self,
        caller: &Caller,
        scope: ActorScope,
        range: TimeRange,
        zone: &Zone,
    ) -> Result<CreditStats, ReadError> {
        let (by, actor) = (caller.admission(), caller.choose(scope)?);
        let window = WorkWindow::until_now(range, self.clock.now());
        Ok(self.reader.credit_stats(&WorkQuery { by, actor, window }, zone).await?)
    }

    /// A page of the audit log of the caller's account, newest first. Only the owner may read it.
    ///
    /// # Errors
    /// [`Refusal::OwnerOnly`], or a database error.
    pub async fn audit_log(
        &self,
        caller: &Caller,
        page: PageRequest,
    ) -> Result<Page<AuditEntry>, ReadError> {
        match caller.actor.role {
            Role::Owner => Ok(self.reader.audit_log(caller.admission(), page).await?),
            Role::Member => Err(Refusal::OwnerOnly.into()),
        }
    }

    async fn account(&self, caller: &Caller) -> Result<Account, ReadError> {
        let found = self.reader.account(caller.account.id).await?;
        // An erased account does not have the epoch either.
        let is_same = |account: &Account| account.auth_epoch == caller.auth_epoch;
        Ok(found.filter(is_same).ok_or(StoreError::EpochMoved)?)
    }

    fn prepare(
        &self,
        id: AccountId,
        draft: AccountDraft,
        must_be_first: bool,
    ) -> Result<PreparedAccount, WriteError> {
        let (uid, owner_uid) = (self.uids.next(), self.uids.next());
        let account = AccountIdentity { id, uid, epoch: KeyEpoch::FIRST };
        let owner = ActorIdentity { id: NewAccount::OWNER, uid: owner_uid, epoch: KeyEpoch::FIRST };
        let Founding { key, code, mut wraps } =
            self.locksmith.found(account, owner, NewAccount::KEY, NewAccount::CODE)?;
        wraps.extend(key.wraps);
        wraps.extend(code.wraps);
        let new = NewAccount {
            id,
            uid,
            name: draft.name,
            kind: draft.kind,
            owner_uid,
            owner_name: draft.owner_name.clone(),
            owner_kind: draft.owner_kind,
            key_lookup: key.lookup,
            key_prefix: key.prefix.clone(),
            code_lookup: code.lookup,
            wraps,
            credits: draft.credits,
            must_be_first,
        };
        let credentials = NewCredentials {
            account: id,
            owner: NewAccount::OWNER,
            owner_name: draft.owner_name,
            owner_kind: draft.owner_kind,
            api_key: key.secret,
            key_prefix: key.prefix,
            recovery_code: code.secret,
            credits: draft.credits,
        };
        Ok(PreparedAccount { credentials, new })
    }

    async fn reserve(&self) -> Result<AccountId, WriteError> {
        match self.apply(Action::System(SystemAction::ReserveAccount)).await? {
            AppliedRow::Reserved(id) => Ok(id),
            _ => Err(WriteError::mismatched()),
        }
    }

    pub(super) async fn apply(&self, action: Action) -> Result<AppliedRow, WriteError> {
        let command = Command::uncharged(action, self.clock.now());
        Ok(self.commands.apply(command).await?.row)
    }
}

impl WriteError {
    /// Whether the error says that another process founded the account first.
    #[must_use]
    pub const fn is_account_exists(&self) -> bool {
        matches!(self, Self::Refused(Refusal::AccountExists(_)))
    }
}

/// An amount to grant: 1 to [`credit::GRANT_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant(i64);

impl Grant {
    /// Checks an amount.
    ///
    /// # Errors
    /// Says the range.
    pub fn parse(amount: i64) -> Result<Self, Invalid> {
        if (1..=credit::GRANT_MAX).contains(&amount) {
            return Ok(Self(amount));
        }
        Err(Invalid::new("must be 1 to 1000000000"))
    }

    pub(super) const fn credits(self) -> i64 {
        self.0
    }
}
