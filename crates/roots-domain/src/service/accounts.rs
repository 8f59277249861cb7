//! Accounts and their credits.

use std::sync::Arc;

use secrecy::SecretString;

use super::access::Caller;
use super::outcome::{ReadError, WriteError};
use super::sealing::{Opening, SealedRow};
use crate::command::{
    Action, AppliedRow, Command, NewAccount, Operator, OperatorAction, Refusal, SystemAction,
};
use crate::model::Invalid;
use crate::model::account::{Account, AccountKind, Actor, ActorKind, Role};
use crate::model::api_key::KeyEpoch;
use crate::model::audit::AuditEntry;
use crate::model::credit::{self, LedgerEntry, Reason};
use crate::model::id::{AccountId, ActorId, Uid};
use crate::model::page::{Page, PageRequest};
use crate::model::text::Name;
use crate::port::clock::{Clock, Uids};
use crate::port::crypto::{AccountIdentity, ActorIdentity, Founding, Locksmith};
use crate::port::store::{AccountReader, CommandStore, StoreError, StoreResult};

/// How many of the newest ledger rows a look at the credits shows.
const RECENT_ENTRIES: u32 = 20;

/// Accounts: who writes, and with what credits.
#[derive(Clone)]
pub struct Accounts {
    /// Applies writes.
    pub commands: Arc<dyn CommandStore>,
    /// Reads.
    pub reader: Arc<dyn AccountReader>,
    /// Makes keys.
    pub locksmith: Arc<dyn Locksmith>,
    /// Tells the time of a write.
    pub clock: Arc<dyn Clock>,
    /// Names new accounts and actors.
    pub uids: Arc<dyn Uids>,
}

/// An account that someone asks for.
#[derive(Debug, Clone)]
pub struct AccountDraft {
    /// Its name.
    pub name: Name,
    /// What it is for.
    pub kind: AccountKind,
    /// Its owner's name.
    pub owner_name: Name,
    /// What its owner is.
    pub owner_kind: ActorKind,
    /// The credits it starts with, not negative.
    pub credits: i64,
}

/// A new account's secrets, which are shown once and kept nowhere.
#[derive(Debug)]
pub struct NewCredentials {
    /// The account.
    pub account: AccountId,
    /// Its owner.
    pub owner: ActorId,
    /// The owner's name.
    pub owner_name: Name,
    /// What the owner is.
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

/// An account whose keys are made, but which is not founded yet: time to put its secrets away.
#[derive(Debug)]
pub struct PreparedAccount {
    /// What its owner must keep.
    pub credentials: NewCredentials,
    new: NewAccount,
}

/// Most other actors that are told with who the caller is.
pub const OTHER_ACTORS_MAX: u32 = 100;

/// Who the caller is.
#[derive(Debug, Clone)]
pub struct Whoami {
    /// The first [`OTHER_ACTORS_MAX`] other actors of its account, by id.
    pub other_actors: Vec<Actor>,
    /// How many there are in all: exact up to [`OTHER_ACTORS_MAX`], beyond it by the ids that were given.
    pub other_actors_total: i64,
    /// What the account has left.
    pub credits_remaining: i64,
}

/// The credits of an account.
#[derive(Debug, Clone)]
pub struct Credits {
    /// What it has.
    pub balance: i64,
    /// How that came about lately, newest first.
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

    /// Names the installation before its first account is founded. Answers its id, which stays the
    /// same. A founding that was under way has ended by then: both take the directory's lock.
    ///
    /// # Errors
    /// [`Refusal::AccountExists`] when there is an account, or a database error.
    pub async fn name_installation(&self) -> Result<Uid, WriteError> {
        let action = SystemAction::NameInstallation(self.uids.next());
        match self.apply(Action::System(action)).await? {
            AppliedRow::Installation(id) => Ok(id),
            _ => Err(WriteError::mismatched()),
        }
    }

    /// Makes the keys of an account for a database that has none, without founding it. It takes an
    /// id unless it is the very first: an account that was erased keeps its own.
    ///
    /// # Errors
    /// A database error, or no randomness.
    pub async fn prepare_first(&self, draft: AccountDraft) -> Result<PreparedAccount, WriteError> {
        let id = match self.reader.last_account().await? {
            AccountId(0) => NewAccount::FIRST,
            _ => self.reserve().await?,
        };
        self.prepare(id, draft, true)
    }

    /// Founds a prepared account.
    ///
    /// # Errors
    /// [`Refusal::AccountExists`] when another process was first, or a database error.
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

    /// Gives an account credits, on behalf of whoever runs the program. Answers its new balance.
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

    /// Prepares to open rows that the caller reaches, one after the other.
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

    /// Who else is in the caller's account, and what is left of its credits.
    ///
    /// # Errors
    /// A database error.
    pub async fn whoami(&self, caller: &Caller) -> Result<Whoami, ReadError> {
        // One more, for the caller may be among them.
        let mut others = self.reader.first_actors(caller.account.id, OTHER_ACTORS_MAX + 1).await?;
        let are_all = others.len() <= OTHER_ACTORS_MAX as usize;
        others.retain(|actor| actor.id != caller.actor.id);
        others.truncate(OTHER_ACTORS_MAX as usize);
        let account = self.account(caller).await?;
        // An actor keeps its id for as long as there is the account. So the last one given is how many
        // there are, but for ids that were taken and lost.
        let other_actors_total = match i64::try_from(others.len()) {
            Ok(found) if are_all => found,
            _ => account.last_ids.actor - 1,
        };
        Ok(Whoami { other_actors: others, other_actors_total, credits_remaining: account.balance })
    }

    /// The balance of the caller's account, and how it came about lately.
    ///
    /// # Errors
    /// A database error.
    pub async fn credits(&self, caller: &Caller) -> Result<Credits, ReadError> {
        let page = PageRequest::skipping(0, RECENT_ENTRIES);
        let recent = self.ledger(caller, None, page).await?.items;
        // The newest row is the balance; an account that was never given any has none.
        let balance = recent.first().map_or(0, |entry| entry.balance_after);
        Ok(Credits { balance, recent })
    }

    /// A page of the ledger of the caller's account, newest first.
    ///
    /// # Errors
    /// A database error.
    pub async fn ledger(
        &self,
        caller: &Caller,
        reason: Option<Reason>,
        page: PageRequest,
    ) -> Result<Page<LedgerEntry>, ReadError> {
        Ok(self.reader.ledger(caller.admission(), reason, page).await?)
    }

    /// A page of the audit log of the caller's account, newest first. It is for its owner to read.
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
        // None that was erased has the epoch either.
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
    /// Whether it says that another process founded the account first.
    #[must_use]
    pub const fn is_account_exists(&self) -> bool {
        matches!(self, Self::Refused(Refusal::AccountExists(_)))
    }
}

/// An amount to give: 1 to [`credit::GRANT_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant(i64);

impl Grant {
    /// The grant of that amount.
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
