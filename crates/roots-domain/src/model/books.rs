//! Deciding a batch of units in memory.
//!
//! A store applies a batch in three steps inside one transaction: it locks the batch's accounts and
//! loads [`Needs`] into [`Books`]; it has the books [`Books::decide_at`] each unit in its order, later
//! units seeing what earlier ones did; it writes [`Changes`], the difference, with one statement a
//! table. The rules stand here once, whatever the database.
//!
//! A refused unit changes nothing in the books, so there is nothing to roll back.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::account::{Account, AccountKind, AccountStatus, Actor, Counters, Role};
use super::activity::{Activity, KINDS_MAX};
use super::credit::{BalanceFault, LedgerEntry, Reason};
use super::id::{AccountId, ActivityId, ActorId, KeyId, RecoveryId, SessionId, TodoId};
use super::idempotency::{AnswerKey, Idempotency, KeptAnswer, NamedRequest};
use super::key::{ApiKey, KeyEpoch, RecoveryCode, Wrap, WrapHolder};
use super::quota::Renewals;
use super::sealed::Sealed;
use super::session::{Session, SessionPatch, SessionStatus, SessionStep};
use super::tag::EntityTag;
use super::tally::{Quarterly, Tally};
use super::text::{ActivityType, Name};
use super::time::Timestamp;
use super::todo::{StatusChange, Todo, TodoPatch, TodoStatus, TodoStep};
use super::trail::{Act, Deed, TrailEntry};
use super::unit::{
    Applied, AppliedRow, Author, Charge, Conditions, Intent, KeyBearer, NewAccount, NewActivity,
    NewTodo, Refusal, Resealed, RowPatch, UnitOfWork,
};
use super::usage::Calls;

mod dry_run;
mod erasures;
mod imports;
mod keys;

pub use dry_run::DryRun;
pub use imports::ImportKey;

/// A row's key: ids are counted per account.
pub type RowKey<I> = (AccountId, I);

/// Every row that a batch changes, deletes or rests on.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Needs {
    /// Whether it takes account ids, or decides which accounts there are and may act: an erasure
    /// rests on how others stand.
    pub directory: bool,
    /// The accounts to lock and load.
    pub accounts: BTreeSet<AccountId>,
    /// An account of which it must be known whether an operator's is left without it.
    pub other_operator_than: Option<AccountId>,
    /// Actors.
    pub actors: BTreeSet<RowKey<ActorId>>,
    /// Keys, whatever became of them.
    pub keys: BTreeSet<RowKey<KeyId>>,
    /// Keys of which those are needed that were made to replace them.
    pub keys_replaced: BTreeSet<RowKey<KeyId>>,
    /// Actors of which every key is needed that has not ended for good.
    pub key_holders: BTreeSet<RowKey<ActorId>>,
    /// Of how many ended keys an account can do without, those with the lowest ids first: none that a
    /// recovery code may come with ([`ApiKey::may_be_forgotten`]).
    pub ended_keys: BTreeMap<AccountId, u64>,
    /// Accounts of which every recovery code is needed.
    pub codes: BTreeSet<AccountId>,
    /// Sessions.
    pub sessions: BTreeSet<RowKey<SessionId>>,
    /// Todos.
    pub todos: BTreeSet<RowKey<TodoId>>,
    /// Activities.
    pub activities: BTreeSet<RowKey<ActivityId>>,
    /// Rows of which it must be known whether they have come in from elsewhere.
    pub imported: BTreeSet<ImportKey>,
    /// Kinds of activity of which it must be known whether the actor has any.
    pub kinds: BTreeSet<(AccountId, ActorId, ActivityType)>,
    /// Answers that may have been kept.
    pub answers: BTreeSet<AnswerKey>,
}

impl Needs {
    /// What the units of a batch need.
    #[must_use]
    pub fn of<'a>(units: impl IntoIterator<Item = &'a UnitOfWork>) -> Self {
        let mut needs = Self::default();
        for unit in units {
            needs.add(unit);
        }
        needs
    }

    fn add(&mut self, unit: &UnitOfWork) {
        self.accounts.extend(unit.accounts());
        self.answers.extend(unit.answer_keys());
        if matches!(
            unit.intent,
            Intent::ReserveAccount
                | Intent::FoundAccount(_)
                | Intent::EraseAccount { .. }
                | Intent::SetAccountStatus { .. }
        ) {
            self.directory = true;
        }
        self.add_keys(unit);
        if let Intent::CountCalls(counts) = &unit.intent {
            self.accounts.extend(counts.iter().map(|(calls, _)| calls.account));
        }
        let Author::Key(KeyBearer { account, key, .. }) = unit.author else {
            return;
        };
        match &unit.intent {
            Intent::PatchSession(RowPatch { id, .. }) | Intent::DeleteSession(id) => {
                self.sessions.insert((account, *id));
            }
            Intent::CreateTodo(new) => {
                self.sessions.extend(new.session.map(|id| (account, id)));
            }
            Intent::PatchTodo { row, .. } => {
                self.todos.insert((account, row.id));
                if let super::Patch::Set(id) = row.patch.session {
                    self.sessions.insert((account, id));
                }
            }
            Intent::DeleteTodo(id) => {
                self.todos.insert((account, *id));
            }
            Intent::LogActivity(new) => {
                self.sessions.extend(new.session.map(|id| (account, id)));
                self.kinds.insert((account, new.actor, new.activity_type.clone()));
            }
            Intent::DeleteActivity(id) => {
                self.activities.insert((account, *id));
            }
            Intent::Import(import) => self.add_import(account, import),
            Intent::EraseAccount { .. } => {
                self.other_operator_than = Some(account);
                self.keys.insert((account, key));
                self.codes.insert(account);
            }
            Intent::StartSession { .. }
            | Intent::NoteExport { .. }
            | Intent::NoteImport { .. }
            | Intent::ReserveAccount
            | Intent::FoundAccount(_)
            | Intent::Manage(_)
            | Intent::UseKey { .. }
            | Intent::TendKeys { .. }
            | Intent::GrantCredits { .. }
            | Intent::CountCalls(_)
            | Intent::SetAccountStatus { .. }
            | Intent::SweepErased(_)
            | Intent::UnlinkSession { .. }
            | Intent::ForgetAnswers { .. } => {}
        }
    }
}

/// What there is of all accounts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Directory {
    /// The last account id given, 0 for none.
    pub last_account: i64,
    /// How many accounts there are.
    pub accounts: i64,
}

/// The kinds of activity that an actor has.
#[derive(Debug, Default, Clone)]
pub struct Kinds {
    /// How many activities it has of each needed one.
    pub counts: BTreeMap<ActivityType, i64>,
    /// How many it has in all; exact where a needed one is not present.
    pub total: i64,
}

impl Kinds {
    fn move_count(&mut self, kind: &ActivityType, moved: i64) {
        let before = self.counts.get(kind).copied().unwrap_or(0);
        let after = before + moved;
        if after > 0 {
            self.counts.insert(kind.clone(), after);
        } else {
            self.counts.remove(kind);
        }
        self.total += i64::from(after > 0) - i64::from(before > 0);
    }
}

/// Rows of one table: as loaded, and as they stand now.
#[derive(Debug, Clone)]
struct Rows<I, T>(BTreeMap<RowKey<I>, Row<T>>);

#[derive(Debug, Clone)]
struct Row<T> {
    loaded: Option<T>,
    now: Option<T>,
}

impl<I: Ord + Copy, T: Clone + PartialEq> Rows<I, T> {
    const fn new() -> Self {
        Self(BTreeMap::new())
    }

    fn load(&mut self, key: RowKey<I>, row: T) {
        self.0.insert(key, Row { loaded: Some(row.clone()), now: Some(row) });
    }

    fn get(&self, key: RowKey<I>) -> Option<&T> {
        self.0.get(&key).and_then(|row| row.now.as_ref())
    }

    /// Those of an account, as they stand now.
    fn of(&self, account: AccountId) -> impl Iterator<Item = &T> {
        let rows = self.0.iter().filter(move |((of, _), _)| *of == account);
        rows.filter_map(|(_, row)| row.now.as_ref())
    }

    fn set(&mut self, key: RowKey<I>, now: Option<T>) {
        self.0.entry(key).or_insert(Row { loaded: None, now: None }).now = now;
    }

    /// Changes those of an account as if they had been loaded so.
    fn for_each_of(&mut self, account: AccountId, change: impl Fn(&mut T)) {
        let rows = self.0.iter_mut().filter(|((of, _), _)| *of == account);
        for (_, Row { loaded, now }) in rows {
            loaded.iter_mut().chain(now).for_each(&change);
        }
    }

    fn difference(self) -> Difference<I, T> {
        let mut difference = Difference::default();
        for (key, row) in self.0 {
            match (row.loaded, row.now) {
                (None, Some(now)) => difference.inserted.push((key.0, now)),
                (Some(loaded), Some(now)) if loaded != now => {
                    difference.updated.push((key.0, now));
                }
                (Some(_), None) => difference.deleted.push(key),
                _ => {}
            }
        }
        difference
    }
}

/// What a batch did to the rows of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference<I, T> {
    /// New rows.
    pub inserted: Vec<(AccountId, T)>,
    /// Changed rows, whole.
    pub updated: Vec<(AccountId, T)>,
    /// Deleted rows.
    pub deleted: Vec<RowKey<I>>,
}

impl<I, T> Difference<I, T> {
    /// The rows that it leaves behind, new and changed.
    pub fn written(&self) -> impl Iterator<Item = &(AccountId, T)> {
        self.inserted.iter().chain(&self.updated)
    }
}

impl<I, T> Default for Difference<I, T> {
    fn default() -> Self {
        Self { inserted: Vec::new(), updated: Vec::new(), deleted: Vec::new() }
    }
}

/// What a batch changes, to be written whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The directory, where it moved.
    pub directory: Option<Directory>,
    /// New accounts.
    pub accounts_founded: Vec<Account>,
    /// Accounts that end, and when.
    pub erased: Vec<(AccountId, Timestamp)>,
    /// Accounts that have ended, of which some rows are swept.
    pub swept: Vec<(AccountId, Timestamp)>,
    /// Changed accounts, whole. Their version is one above the one loaded, which guards the write.
    pub accounts_changed: Vec<Account>,
    /// Accounts whose auth epoch has moved.
    pub auth_epochs_moved: Vec<AccountId>,
    /// Actors.
    pub actors: Difference<ActorId, Actor>,
    /// Keys.
    pub keys: Difference<KeyId, ApiKey>,
    /// Recovery codes.
    pub codes: Difference<RecoveryId, RecoveryCode>,
    /// Holders of which all wraps go, before the new ones come.
    pub holders_emptied: BTreeSet<RowKey<WrapHolder>>,
    /// New wraps.
    pub wraps: Vec<(AccountId, Wrap)>,
    /// Sessions. Whatever is linked to those deleted is to count as unlinked at once.
    pub sessions: Difference<SessionId, Session<Sealed>>,
    /// Todos. Their logs go with those deleted.
    pub todos: Difference<TodoId, Todo<Sealed>>,
    /// Activities.
    pub activities: Difference<ActivityId, Activity<Sealed>>,
    /// New status changes.
    pub logs: Vec<(AccountId, StatusChange<Sealed>)>,
    /// New rows that have come in from elsewhere, and the ids that they were given.
    pub imported: Vec<(ImportKey, i64)>,
    /// New ledger rows.
    pub ledger: Vec<(AccountId, LedgerEntry)>,
    /// New entries of the audit trail.
    pub trail: Vec<(AccountId, TrailEntry)>,
    /// By how much each count moved; none is 0.
    pub tallies: BTreeMap<(AccountId, Tally), i64>,
    /// By how much each count of a quarter of an hour moved; none is 0.
    pub quarters: BTreeMap<(AccountId, Quarterly), i64>,
    /// How many calls to add.
    pub calls: BTreeMap<Calls, i64>,
    /// Sessions that were deleted, and how many rows at most are to lose their link to each now.
    pub unlinked: Vec<(RowKey<SessionId>, u32)>,
    /// New answers to keep. One may take the place of an expired one.
    pub answers: BTreeMap<AnswerKey, KeptAnswer>,
    /// Accounts of which some answers from before then are to be forgotten.
    pub forgotten: Vec<(AccountId, Timestamp)>,
}

/// What a batch has loaded that is not among its changes, for whoever goes on from there.
#[derive(Debug, Clone, Default)]
pub struct Rest {
    /// Accounts that nothing was done to.
    pub accounts: Vec<Account>,
    /// The kinds of activity that actors have, as far as they were needed, as they stand now.
    pub kinds: HashMap<(AccountId, ActorId), Kinds>,
}

/// What a batch rests on, and what it has done so far.
#[derive(Debug, Clone)]
pub struct Books {
    /// When the unit in hand is decided. Keys are judged by it; rows carry the time of asking.
    decided_at: Timestamp,
    directory: Directory,
    other_operator: bool,
    accounts: BTreeMap<AccountId, Row<Account>>,
    actors: Rows<ActorId, Actor>,
    keys: Rows<KeyId, ApiKey>,
    codes: Rows<RecoveryId, RecoveryCode>,
    imported: HashMap<ImportKey, i64>,
    kinds: HashMap<(AccountId, ActorId), Kinds>,
    sessions: Rows<SessionId, Session<Sealed>>,
    todos: Rows<TodoId, Todo<Sealed>>,
    activities: Rows<ActivityId, Activity<Sealed>>,
    answers: BTreeMap<AnswerKey, KeptAnswer>,
    changes: Changes,
}

impl Default for Books {
    fn default() -> Self {
        Self {
            decided_at: Timestamp::FIRST,
            directory: Directory::default(),
            other_operator: false,
            accounts: BTreeMap::new(),
            actors: Rows::new(),
            keys: Rows::new(),
            codes: Rows::new(),
            imported: HashMap::new(),
            kinds: HashMap::new(),
            sessions: Rows::new(),
            todos: Rows::new(),
            activities: Rows::new(),
            answers: BTreeMap::new(),
            changes: Changes::default(),
        }
    }
}

/// Loading: what the store found.
impl Books {
    /// The directory.
    pub const fn load_directory(&mut self, directory: Directory) {
        self.directory = directory;
    }

    /// A locked account.
    pub fn load_account(&mut self, account: Account) {
        let id = account.id;
        self.accounts.insert(id, Row { loaded: Some(account.clone()), now: Some(account) });
    }

    /// Adds the keys that must be checked again, and their actors, once the accounts are loaded:
    /// those whose unit was accepted under another auth epoch, or may come to be by a batch-mate.
    pub fn check_again<'a>(
        &self,
        units: impl IntoIterator<Item = &'a UnitOfWork> + Clone,
        needs: &mut Needs,
    ) {
        let ending: BTreeSet<_> = units
            .clone()
            .into_iter()
            .filter(|unit| unit.intent.may_end_keys())
            .filter_map(UnitOfWork::account)
            .collect();
        for unit in units {
            let Author::Key(bearer) = unit.author else { continue };
            let Some(account) = self.account(bearer.account) else { continue };
            if account.auth_epoch != bearer.auth_epoch || ending.contains(&account.id) {
                needs.keys.insert((account.id, bearer.key));
                needs.actors.insert((account.id, bearer.actor));
            }
        }
    }

    /// An actor.
    pub fn load_actor(&mut self, account: AccountId, actor: Actor) {
        self.actors.load((account, actor.id), actor);
    }

    /// A key.
    pub fn load_key(&mut self, account: AccountId, key: ApiKey) {
        self.keys.load((account, key.id), key);
    }

    /// A recovery code.
    pub fn load_code(&mut self, account: AccountId, code: RecoveryCode) {
        self.codes.load((account, code.id), code);
    }

    /// A session.
    pub fn load_session(&mut self, account: AccountId, session: Session<Sealed>) {
        self.sessions.load((account, session.id), session);
    }

    /// A todo, as it is shown: a link to a deleted session is none.
    pub fn load_todo(&mut self, account: AccountId, todo: Todo<Sealed>) {
        self.todos.load((account, todo.id), todo);
    }

    /// An activity, as it is shown.
    pub fn load_activity(&mut self, account: AccountId, activity: Activity<Sealed>) {
        self.activities.load((account, activity.id), activity);
    }

    /// A kept answer.
    pub fn load_answer(&mut self, account: AccountId, answer: KeptAnswer) {
        self.answers.insert((account, answer.actor, answer.request.key), answer);
    }

    /// The kinds of activity to count, once the activities are loaded: those that the units bring,
    /// and beside them those that may go with an activity that they delete.
    #[must_use]
    pub fn kinds_to_count(&self, needs: &Needs) -> BTreeSet<(AccountId, ActorId, ActivityType)> {
        let mut kinds = needs.kinds.clone();
        let logging: BTreeSet<_> =
            needs.kinds.iter().map(|(account, actor, _)| (*account, *actor)).collect();
        for ((account, _), row) in &self.activities.0 {
            if let Some(loaded) = &row.loaded
                && logging.contains(&(*account, loaded.actor))
            {
                kinds.insert((*account, loaded.actor, loaded.activity_type.clone()));
            }
        }
        kinds
    }

    /// An actor's kinds of activity.
    pub fn load_kinds(&mut self, account: AccountId, actor: ActorId, kinds: Kinds) {
        self.kinds.insert((account, actor), kinds);
    }
}

/// What the bearer of a key writes in.
struct Desk {
    account: AccountId,
    actor: ActorId,
    role: Role,
    at: Timestamp,
}

impl Desk {
    /// What is of that actor is there for this one, or it is not.
    fn reaches(&self, other: ActorId) -> bool {
        self.role.reaches(self.actor, other)
    }

    /// Who asks may make something of that actor's.
    fn check_reach(&self, other: ActorId) -> Result<(), Refusal> {
        if self.reaches(other) { Ok(()) } else { Err(Refusal::OwnerOnly) }
    }
}

/// Deciding.
impl Books {
    /// Decides one unit: that its caller's key is in force, then whether it was done before, then that
    /// its caller may still write, then the state that it insists on, then the rules, then the balance.
    ///
    /// `now` is the time at which it is decided. A unit may have waited since [`UnitOfWork::at`], and a
    /// key may have expired meanwhile, so whether a key is in force is judged by `now` everywhere. What
    /// is written carries the time of asking, and an answer that is kept for a day is judged by that.
    ///
    /// # Errors
    /// Why it is refused; the books are then as they were.
    pub fn decide_at(&mut self, unit: UnitOfWork, now: Timestamp) -> Result<Applied, Refusal> {
        self.decided_at = now;
        let UnitOfWork { author, intent, charge, conditions, at } = unit;
        if let Author::Key(bearer) = author {
            self.admit(bearer)?;
        }
        match (author, intent) {
            (Author::Key(bearer), Intent::GrantCredits { account, amount, note }) => {
                self.check_operator(bearer)?;
                let endpoint = charge.map(|charge| charge.endpoint.to_owned());
                self.grant_credits(account, amount, note, endpoint, at)?;
                self.note_of_operator(Act::CreditsGranted, account, bearer, at);
                self.account_applied(account)
            }
            (Author::Key(bearer), Intent::SetAccountStatus { account, status }) => {
                self.check_operator(bearer)?;
                self.set_status(account, status, bearer, at)
            }
            (Author::Key(bearer), intent) => {
                let Conditions { if_match, idempotency } = conditions;
                if let Some(idempotency) = &idempotency
                    && let Some(answered) = self.answered(idempotency, bearer, at)
                {
                    return answered;
                }
                if !intent.is_open_to_suspended() {
                    self.check_not_suspended(bearer.account)?;
                }
                let KeyBearer { account, actor, role, .. } = bearer;
                let desk = Desk { account, actor, role, at };
                self.check_state(&intent, if_match.as_deref(), &desk)?;
                match intent {
                    Intent::Manage(management) => self.manage(*management, bearer, at),
                    Intent::EraseAccount { code } => self.erase_account(code, bearer, at),
                    Intent::NoteExport { actor } => {
                        self.note_of_owner(Act::Exported, actor, bearer, at)
                    }
                    Intent::NoteImport { source, actor } => {
                        self.check_not_own(source, bearer.account)?;
                        self.note_of_owner(Act::Imported, actor, bearer, at)
                    }
                    Intent::Import(import) => self.import(import, &desk),
                    intent => {
                        let applied = self.decide_resource(intent, &desk, charge)?;
                        if let Some(idempotency) = idempotency {
                            self.keep(idempotency.now, bearer, &applied, at);
                        }
                        Ok(applied)
                    }
                }
            }
            (Author::Code(bearer), Intent::Manage(management)) => {
                self.manage_by_code(*management, bearer, at)
            }
            (Author::Code(_), _) => Err(Refusal::CodeNotInForce),
            (Author::Program, Intent::UseKey { account, actor, key }) => {
                self.use_key(account, actor, key, at)
            }
            (Author::Program, Intent::TendKeys { account, used, over }) => {
                self.tend_keys(account, &used, &over)
            }
            (Author::Program, Intent::SweepErased(account)) => self.sweep_erased(account, at),
            (Author::Program, Intent::UnlinkSession { account, session, rows }) => {
                let owner = self.account(account).ok_or(Refusal::NoSuchAccount(account))?;
                let balance = owner.balance;
                self.changes.unlinked.push(((account, session), rows));
                Ok(Applied { row: AppliedRow::Deleted, cost: 0, balance, is_replay: false })
            }
            (Author::Program, Intent::ReserveAccount) => Ok(self.reserve_account()),
            (Author::Program, Intent::FoundAccount(new)) => self.found_account(*new, at),
            (Author::Program, Intent::GrantCredits { account, amount, note }) => {
                self.grant_credits(account, amount, note, None, at)?;
                self.note(account, Deed::of_program(Act::CreditsGranted), at);
                self.account_applied(account)
            }
            (Author::Program, Intent::CountCalls(counts)) => Ok(self.count_calls(counts)),
            (Author::Program, Intent::ForgetAnswers { account, before }) => {
                let owner = self.account(account).ok_or(Refusal::NoSuchAccount(account))?;
                let balance = owner.balance;
                self.changes.forgotten.push((account, before));
                Ok(Applied { row: AppliedRow::Deleted, cost: 0, balance, is_replay: false })
            }
            // What belongs to an actor is written by its key alone.
            (Author::Program, _) => Err(Refusal::KeyNotInForce),
        }
    }

    /// What was loaded and is not among the changes: accounts that nothing was done to, and kinds of
    /// activity as they stand now.
    pub fn take_rest(&mut self) -> Rest {
        let unchanged = self.accounts.values().filter(|row| row.loaded == row.now);
        Rest {
            accounts: unchanged.filter_map(|row| row.now.clone()).collect(),
            kinds: std::mem::take(&mut self.kinds),
        }
    }

    /// The difference to write.
    #[must_use]
    pub fn into_changes(mut self) -> Changes {
        for row in self.accounts.into_values() {
            match (row.loaded, row.now) {
                (None, Some(founded)) => self.changes.accounts_founded.push(founded),
                (Some(loaded), Some(mut now)) if loaded != now => {
                    if loaded.auth_epoch != now.auth_epoch {
                        self.changes.auth_epochs_moved.push(now.id);
                    }
                    now.version = loaded.version + 1;
                    self.changes.accounts_changed.push(now);
                }
                _ => {}
            }
        }
        // A todo that a batch-mate deleted takes along the steps it took in this very batch.
        let todos = &self.todos;
        self.changes.logs.retain(|(account, log)| todos.get((*account, log.todo)).is_some());
        self.changes.actors = self.actors.difference();
        self.changes.keys = self.keys.difference();
        self.changes.codes = self.codes.difference();
        self.changes.sessions = self.sessions.difference();
        self.changes.todos = self.todos.difference();
        self.changes.activities = self.activities.difference();
        self.changes.tallies.retain(|_, moved| *moved != 0);
        self.changes.quarters.retain(|_, moved| *moved != 0);
        self.changes
    }

    /// Counts beside the books: they are nothing that a rule rests on.
    fn count_calls(&mut self, counts: Vec<(Calls, i64)>) -> Applied {
        for (calls, count) in counts {
            if self.account(calls.account).is_some() {
                *self.changes.calls.entry(calls).or_default() += count;
            }
        }
        Applied { row: AppliedRow::Counted, cost: 0, balance: 0, is_replay: false }
    }

    fn account(&self, id: AccountId) -> Option<&Account> {
        self.accounts.get(&id).and_then(|row| row.now.as_ref())
    }

    fn account_mut(&mut self, id: AccountId) -> Option<&mut Account> {
        self.accounts.get_mut(&id).and_then(|row| row.now.as_mut())
    }

    /// What is answered to a request that was named before: the first success again, whatever has
    /// become of its row, or that the name is taken. `None` for a name that is new.
    fn answered(
        &self,
        idempotency: &Idempotency,
        bearer: KeyBearer,
        at: Timestamp,
    ) -> Option<Result<Applied, Refusal>> {
        let find = |key| self.answers.get(&(bearer.account, bearer.actor, key));
        let mut kept = idempotency.all().filter_map(|named| Some((named, find(named.key)?)));
        let (named, kept) = kept.find(|(_, kept)| !kept.is_expired(at))?;
        if named.request != kept.request.request {
            return Some(Err(Refusal::KeyOfAnotherRequest));
        }
        let balance = self.account(bearer.account)?.balance;
        Some(Ok(Applied { row: kept.row.clone(), cost: kept.cost, balance, is_replay: true }))
    }

    /// Keeps the answer to a request that is named for the first time.
    fn keep(&mut self, request: NamedRequest, bearer: KeyBearer, applied: &Applied, at: Timestamp) {
        let (row, cost) = (applied.row.clone(), applied.cost);
        let answer = KeptAnswer { actor: bearer.actor, request, row, cost, created_at: at };
        let key = (bearer.account, bearer.actor, request.key);
        self.answers.insert(key, answer.clone());
        self.changes.answers.insert(key, answer);
    }

    /// Whether the bearer's key is in force as its unit is decided.
    fn admit(&self, bearer: KeyBearer) -> Result<(), Refusal> {
        let account = self.account(bearer.account).ok_or(Refusal::KeyNotInForce)?;
        if bearer.has_ended(self.decided_at) {
            return Err(Refusal::KeyNotInForce);
        }
        if account.auth_epoch == bearer.auth_epoch {
            return Ok(());
        }
        let key = self.keys.get((account.id, bearer.key));
        let actor = self.actors.get((account.id, bearer.actor));
        let in_force = |key: &ApiKey| key.actor == bearer.actor && key.in_force(self.decided_at);
        let is_good = key.is_some_and(in_force) && actor.is_some_and(|actor| actor.is_active);
        if is_good { Ok(()) } else { Err(Refusal::KeyNotInForce) }
    }

    fn check_not_suspended(&self, account: AccountId) -> Result<(), Refusal> {
        match self.account(account).map(|account| account.status) {
            Some(AccountStatus::Active) => Ok(()),
            _ => Err(Refusal::Suspended),
        }
    }

    /// Whether the row that a unit changes or deletes is in a state that its caller insists on. A
    /// new row has none before.
    fn check_state(
        &self,
        intent: &Intent,
        if_match: Option<&[EntityTag]>,
        desk: &Desk,
    ) -> Result<(), Refusal> {
        let Some(allowed) = if_match else { return Ok(()) };
        let (what, stands) = match intent {
            Intent::PatchSession(RowPatch { id, .. }) | Intent::DeleteSession(id) => {
                ("session", self.session(*id, desk)?.tag())
            }
            Intent::PatchTodo { row: RowPatch { id, .. }, .. } | Intent::DeleteTodo(id) => {
                ("todo", self.todo(*id, desk)?.tag())
            }
            Intent::DeleteActivity(id) => ("activity", self.activity(*id, desk)?.tag()),
            _ => return Ok(()),
        };
        if allowed.contains(&stands) { Ok(()) } else { Err(Refusal::HasChanged(what)) }
    }

    /// Any actor of an operator's account may do what operators do.
    fn check_operator(&self, bearer: KeyBearer) -> Result<(), Refusal> {
        self.check_not_suspended(bearer.account)?;
        match self.account(bearer.account).map(|account| account.kind) {
            Some(AccountKind::Operator) => Ok(()),
            _ => Err(Refusal::OperatorOnly),
        }
    }

    /// Judges the unit, then charges for it, then does it: nothing is done that is not paid, and
    /// nothing is paid that is not done.
    fn decide_resource(
        &mut self,
        intent: Intent,
        desk: &Desk,
        charge: Option<Charge>,
    ) -> Result<Applied, Refusal> {
        let verdict = self.judge(intent, desk)?;
        let cost = charge.map_or(0, |charge| charge.cost);
        self.pay(desk, charge)?;
        let row = self.carry_out(verdict, desk)?;
        let balance = self.account(desk.account).map_or(0, |account| account.balance);
        Ok(Applied { row, cost, balance, is_replay: false })
    }

    fn judge(&self, intent: Intent, desk: &Desk) -> Result<Verdict, Refusal> {
        Ok(match intent {
            Intent::StartSession { actor, uid, notes } => {
                desk.check_reach(actor)?;
                Verdict::StartSession(Session {
                    id: SessionId(0),
                    uid,
                    actor,
                    status: SessionStatus::Active,
                    notes,
                    started_at: desk.at,
                    ended_at: None,
                    version: 1,
                })
            }
            Intent::PatchSession(row) => Verdict::PutSession(self.patched_session(row, desk)?),
            Intent::DeleteSession(id) => Verdict::DeleteSession(self.session(id, desk)?.clone()),
            Intent::CreateTodo(new) => Verdict::CreateTodo(self.new_todo(new, desk)?),
            Intent::PatchTodo { row, log_uid } => self.patched_todo(row, log_uid, desk)?,
            Intent::DeleteTodo(id) => Verdict::DeleteTodo(self.todo(id, desk)?.clone()),
            Intent::LogActivity(new) => Verdict::LogActivity(self.new_activity(new, desk)?),
            Intent::DeleteActivity(id) => Verdict::DeleteActivity(self.activity(id, desk)?.clone()),
            // No key makes accounts or counts.
            Intent::ReserveAccount
            | Intent::FoundAccount(_)
            | Intent::UseKey { .. }
            | Intent::TendKeys { .. }
            | Intent::CountCalls(_)
            | Intent::ForgetAnswers { .. }
            | Intent::SweepErased(_)
            | Intent::UnlinkSession { .. }
            // Decided elsewhere.
            | Intent::GrantCredits { .. }
            | Intent::SetAccountStatus { .. }
            | Intent::EraseAccount { .. }
            | Intent::NoteExport { .. }
            | Intent::NoteImport { .. }
            | Intent::Import(_)
            | Intent::Manage(_) => return Err(Refusal::KeyNotInForce),
        })
    }

    fn session(&self, id: SessionId, desk: &Desk) -> Result<&Session<Sealed>, Refusal> {
        let found = self.sessions.get((desk.account, id));
        found.filter(|session| desk.reaches(session.actor)).ok_or(Refusal::NotFound("session"))
    }

    fn todo(&self, id: TodoId, desk: &Desk) -> Result<&Todo<Sealed>, Refusal> {
        let found = self.todos.get((desk.account, id));
        found.filter(|todo| desk.reaches(todo.actor)).ok_or(Refusal::NotFound("todo"))
    }

    fn activity(&self, id: ActivityId, desk: &Desk) -> Result<&Activity<Sealed>, Refusal> {
        let found = self.activities.get((desk.account, id));
        found.filter(|activity| desk.reaches(activity.actor)).ok_or(Refusal::NotFound("activity"))
    }

    /// "Link to a session": one of the actor whose row it is, whoever asks.
    fn linkable(
        &self,
        id: SessionId,
        actor: ActorId,
        desk: &Desk,
    ) -> Result<&Session<Sealed>, Refusal> {
        let found = self.sessions.get((desk.account, id));
        found.filter(|session| session.actor == actor).ok_or(Refusal::NoSuchSession(id))
    }

    /// "Link to an active session": one of the actor that has not ended.
    fn check_active_link(
        &self,
        id: Option<SessionId>,
        actor: ActorId,
        desk: &Desk,
    ) -> Result<(), Refusal> {
        let Some(id) = id else { return Ok(()) };
        match self.linkable(id, actor, desk)?.status {
            SessionStatus::Active => Ok(()),
            SessionStatus::Ended => Err(Refusal::SessionEnded(id)),
        }
    }

    fn patched_session(
        &self,
        row: RowPatch<SessionId, SessionPatch<Resealed>>,
        desk: &Desk,
    ) -> Result<Session<Sealed>, Refusal> {
        let session = self.session(row.id, desk)?;
        if row.sealed_for.is_some_and(|uid| uid != session.uid) {
            return Err(Refusal::NotFound("session"));
        }
        let notes = row.patch.notes.against(session.notes.as_ref());
        let patch = SessionPatch { status: row.patch.status, notes };
        session.patch(patch, desk.at).map_err(|step| match step {
            SessionStep::EndTwice => Refusal::AlreadyEnded(row.id),
            SessionStep::Reopen => Refusal::CannotReopen(row.id),
        })
    }

    fn new_todo(&self, new: NewTodo, desk: &Desk) -> Result<Todo<Sealed>, Refusal> {
        desk.check_reach(new.actor)?;
        self.check_active_link(new.session, new.actor, desk)?;
        Ok(Todo {
            id: TodoId(0),
            uid: new.uid,
            actor: new.actor,
            session: new.session,
            title: new.title,
            description: new.description,
            status: TodoStatus::Open,
            priority: new.priority,
            due_at: new.due_at,
            created_at: desk.at,
            updated_at: desk.at,
            version: 1,
        })
    }

    fn patched_todo(
        &self,
        row: RowPatch<TodoId, TodoPatch<Resealed>>,
        log_uid: super::id::Uid,
        desk: &Desk,
    ) -> Result<Verdict, Refusal> {
        let todo = self.todo(row.id, desk)?;
        if row.sealed_for.is_some_and(|uid| uid != todo.uid) {
            return Err(Refusal::NotFound("todo"));
        }
        if let super::Patch::Set(id) = row.patch.session {
            self.linkable(id, todo.actor, desk)?;
        }
        let TodoPatch { title, description, status, priority, due_at, session, note } = row.patch;
        let note = note.map(|note| note.sealed);
        let patch = TodoPatch {
            title: title
                .map_or(super::Patch::Keep, super::Patch::Set)
                .against(Some(&todo.title))
                .apply(None),
            description: description.against(todo.description.as_ref()),
            status,
            priority,
            due_at,
            session,
            note: note.clone(),
        };
        let next = todo.patch(patch, desk.at).map_err(|step| match step {
            TodoStep::Forbidden { from, to } => Refusal::ForbiddenStep { from, to },
            TodoStep::NoteWithoutChange => Refusal::NoteWithoutChange,
        })?;
        let log = (next.status != todo.status).then_some(StatusChange {
            id: super::id::LogId(0),
            uid: log_uid,
            todo: todo.id,
            old_status: todo.status,
            new_status: next.status,
            note,
            logged_at: next.updated_at,
        });
        Ok(Verdict::PutTodo(next, log))
    }

    fn new_activity(&self, new: NewActivity, desk: &Desk) -> Result<Activity<Sealed>, Refusal> {
        desk.check_reach(new.actor)?;
        self.check_active_link(new.session, new.actor, desk)?;
        self.check_kind(desk.account, new.actor, &new.activity_type)?;
        Ok(Activity {
            id: ActivityId(0),
            uid: new.uid,
            actor: new.actor,
            session: new.session,
            activity_type: new.activity_type,
            description: new.description,
            logged_at: new.logged_at.unwrap_or(desk.at),
            created_at: desk.at,
            version: 1,
        })
    }

    /// An actor's kinds stay few.
    fn check_kind(
        &self,
        account: AccountId,
        actor: ActorId,
        kind: &ActivityType,
    ) -> Result<(), Refusal> {
        let kinds = self.kinds.get(&(account, actor));
        let is_new = |kinds: &Kinds| !kinds.counts.contains_key(kind);
        if kinds.is_some_and(|kinds| is_new(kinds) && kinds.total >= KINDS_MAX) {
            return Err(Refusal::TooManyKinds);
        }
        Ok(())
    }

    fn pay(&mut self, desk: &Desk, charge: Option<Charge>) -> Result<(), Refusal> {
        let Some(Charge { cost, endpoint }) = charge else {
            return Ok(());
        };
        let account = self.account_mut(desk.account).ok_or(Refusal::KeyNotInForce)?;
        account.debit(cost).map_err(refused_balance)?;
        let row = EntryText {
            reason: Reason::ApiWrite,
            endpoint: Some(endpoint.to_owned()),
            actor: Some(desk.actor),
            note: None,
        };
        self.enter(desk.account, -cost, row, desk.at);
        Ok(())
    }

    /// Appends to the ledger what the account's balance has just moved by.
    fn enter(&mut self, account: AccountId, delta: i64, text: EntryText, at: Timestamp) {
        let Some(owner) = self.account_mut(account) else {
            return;
        };
        let entry = LedgerEntry {
            id: owner.counters.next_ledger(),
            delta,
            balance_after: owner.balance,
            reason: text.reason,
            endpoint: text.endpoint,
            actor: text.actor,
            note: text.note,
            created_at: at,
        };
        self.count(account, Tally::Ledger(text.reason), 1);
        self.changes.ledger.push((account, entry));
    }

    /// Appends to an account's audit trail what was just done.
    fn note(&mut self, account: AccountId, deed: Deed, at: Timestamp) {
        let Some(of) = self.account_mut(account) else {
            return;
        };
        let entry = TrailEntry { id: of.counters.next_audit(), deed, created_at: at };
        self.changes.trail.push((account, entry));
    }

    /// An owner takes along, or brings in, what may be one actor's alone.
    fn note_of_owner(
        &mut self,
        act: Act,
        actor: Option<ActorId>,
        bearer: KeyBearer,
        at: Timestamp,
    ) -> Result<Applied, Refusal> {
        if bearer.role != Role::Owner {
            return Err(Refusal::OwnerOnly);
        }
        let deed = Deed { subject_actor: actor, ..Deed::of(act, bearer) };
        self.note(bearer.account, deed, at);
        self.account_applied(bearer.account)
    }

    /// What an operator does to another account stands in both trails: here by which of its actors,
    /// there by which account.
    fn note_of_operator(
        &mut self,
        act: Act,
        subject: AccountId,
        operator: KeyBearer,
        at: Timestamp,
    ) {
        if subject != operator.account {
            self.note(subject, Deed::of_operator(act, operator.account), at);
        }
        let deed = Deed::of(act, operator).to_account(subject);
        self.note(operator.account, deed, at);
    }

    fn count(&mut self, account: AccountId, tally: Tally, moved: i64) {
        *self.changes.tallies.entry((account, tally)).or_insert(0) += moved;
    }

    fn count_activity(&mut self, account: AccountId, activity: &Activity<Sealed>, moved: i64) {
        self.count(account, Tally::of_activity(activity), moved);
        *self.changes.quarters.entry((account, Quarterly::of(activity))).or_insert(0) += moved;
    }

    fn counters(&mut self, desk: &Desk) -> Result<&mut Counters, Refusal> {
        self.account_mut(desk.account)
            .map(|account| &mut account.counters)
            .ok_or(Refusal::KeyNotInForce)
    }

    fn carry_out(&mut self, verdict: Verdict, desk: &Desk) -> Result<AppliedRow, Refusal> {
        let account = desk.account;
        match verdict {
            Verdict::StartSession(mut session) => {
                session.id = self.counters(desk)?.next_session();
                self.count(account, Tally::of_session(&session), 1);
                self.sessions.set((account, session.id), Some(session.clone()));
                Ok(AppliedRow::Session(session))
            }
            Verdict::PutSession(session) => {
                if let Some(before) = self.sessions.get((account, session.id)) {
                    let left = Tally::of_session(before);
                    self.count(account, left, -1);
                }
                self.count(account, Tally::of_session(&session), 1);
                self.sessions.set((account, session.id), Some(session.clone()));
                Ok(AppliedRow::Session(session))
            }
            Verdict::DeleteSession(session) => {
                self.count(account, Tally::of_session(&session), -1);
                self.sessions.set((account, session.id), None);
                self.todos.for_each_of(account, |todo| todo.unlink(session.id));
                self.activities.for_each_of(account, |activity| activity.unlink(session.id));
                Ok(AppliedRow::Deleted)
            }
            Verdict::CreateTodo(mut todo) => {
                todo.id = self.counters(desk)?.next_todo();
                self.count(account, Tally::of_todo(&todo), 1);
                self.todos.set((account, todo.id), Some(todo.clone()));
                Ok(AppliedRow::Todo(todo))
            }
            Verdict::PutTodo(todo, log) => {
                if let Some(mut log) = log {
                    log.id = self.counters(desk)?.next_log();
                    self.changes.logs.push((account, log));
                }
                if let Some(before) = self.todos.get((account, todo.id)) {
                    let left = Tally::of_todo(before);
                    self.count(account, left, -1);
                }
                self.count(account, Tally::of_todo(&todo), 1);
                self.todos.set((account, todo.id), Some(todo.clone()));
                Ok(AppliedRow::Todo(todo))
            }
            Verdict::DeleteTodo(todo) => {
                self.count(account, Tally::of_todo(&todo), -1);
                self.todos.set((account, todo.id), None);
                Ok(AppliedRow::Deleted)
            }
            Verdict::LogActivity(mut activity) => {
                activity.id = self.counters(desk)?.next_activity();
                let kinds = self.kinds.entry((account, activity.actor)).or_default();
                kinds.move_count(&activity.activity_type, 1);
                self.count_activity(account, &activity, 1);
                self.activities.set((account, activity.id), Some(activity.clone()));
                Ok(AppliedRow::Activity(activity))
            }
            Verdict::DeleteActivity(activity) => {
                if let Some(kinds) = self.kinds.get_mut(&(account, activity.actor)) {
                    kinds.move_count(&activity.activity_type, -1);
                }
                self.count_activity(account, &activity, -1);
                self.activities.set((account, activity.id), None);
                Ok(AppliedRow::Deleted)
            }
        }
    }

    fn reserve_account(&mut self) -> Applied {
        self.directory.last_account += 1;
        self.changes.directory = Some(self.directory);
        let id = AccountId(self.directory.last_account);
        Applied { row: AppliedRow::Reserved(id), cost: 0, balance: 0, is_replay: false }
    }

    fn found_account(&mut self, new: NewAccount, at: Timestamp) -> Result<Applied, Refusal> {
        // Where no id was ever given there is no account, nor was there one that has left rows.
        let is_given = new.id.0 <= self.directory.last_account;
        let is_very_first = self.directory.last_account == 0 && new.id == NewAccount::FIRST;
        let fits = if new.must_be_first {
            self.directory.accounts == 0
                && (is_very_first || is_given && new.id != NewAccount::FIRST)
        } else {
            is_given
        };
        if !fits || self.account(new.id).is_some() {
            return Err(Refusal::AccountExists(new.id));
        }
        if is_very_first {
            self.directory.last_account = new.id.0;
        }
        self.directory.accounts += 1;
        self.changes.directory = Some(self.directory);
        let mut counters = Counters::default();
        let owner = Actor {
            id: counters.next_actor(),
            uid: new.owner_uid,
            name: new.owner_name,
            kind: new.owner_kind,
            role: NewAccount::OWNER_ROLE,
            is_active: true,
            key_epoch: KeyEpoch::FIRST,
            renewals: Renewals::NONE,
            created_at: at,
        };
        let key = ApiKey {
            id: counters.next_key(),
            actor: owner.id,
            lookup: new.key_lookup,
            prefix: new.key_prefix,
            label: None,
            created_at: at,
            last_used: None,
            expires_at: None,
            ends_at: None,
            succession: None,
            first_used_at: None,
        };
        let code = RecoveryCode {
            id: counters.next_recovery(),
            lookup: new.code_lookup,
            created_at: at,
            comes_with: None,
        };
        let account = Account {
            id: new.id,
            uid: new.uid,
            name: new.name,
            kind: new.kind,
            status: AccountStatus::Active,
            balance: 0,
            auth_epoch: 1,
            key_epoch: KeyEpoch::FIRST,
            counters,
            keys: 1,
            created_at: at,
            version: 1,
        };
        self.accounts.insert(new.id, Row { loaded: None, now: Some(account) });
        self.actors.set((new.id, owner.id), Some(owner));
        self.keys.set((new.id, key.id), Some(key));
        self.codes.set((new.id, code.id), Some(code));
        self.changes.wraps.extend(new.wraps.into_iter().map(|wrap| (new.id, wrap)));
        if new.credits == 0 {
            return self.account_applied(new.id);
        }
        let text =
            EntryText { reason: Reason::BootstrapGrant, endpoint: None, actor: None, note: None };
        self.credit(new.id, new.credits, text, at)
    }

    fn grant_credits(
        &mut self,
        account: AccountId,
        amount: i64,
        note: Option<Name>,
        endpoint: Option<String>,
        at: Timestamp,
    ) -> Result<Applied, Refusal> {
        let note = note.map(Name::into_string);
        let text = EntryText { reason: Reason::OperatorGrant, endpoint, actor: None, note };
        self.credit(account, amount, text, at)
    }

    /// What is so already changes nothing. A suspension moves the auth epoch, so that whoever was
    /// admitted before is looked at again.
    fn set_status(
        &mut self,
        id: AccountId,
        status: AccountStatus,
        operator: KeyBearer,
        at: Timestamp,
    ) -> Result<Applied, Refusal> {
        if id == operator.account && status == AccountStatus::Suspended {
            return Err(Refusal::OwnAccount);
        }
        let account = self.account_mut(id).ok_or(Refusal::NoSuchAccount(id))?;
        if account.status != status {
            account.status = status;
            let act = match status {
                AccountStatus::Active => Act::AccountResumed,
                AccountStatus::Suspended => {
                    account.auth_epoch += 1;
                    Act::AccountSuspended
                }
            };
            self.note_of_operator(act, id, operator, at);
        }
        self.account_applied(id)
    }

    fn credit(
        &mut self,
        id: AccountId,
        amount: i64,
        text: EntryText,
        at: Timestamp,
    ) -> Result<Applied, Refusal> {
        let account = self.account_mut(id).ok_or(Refusal::NoSuchAccount(id))?;
        account.grant(amount).map_err(refused_balance)?;
        self.enter(id, amount, text, at);
        self.account_applied(id)
    }

    fn account_applied(&self, id: AccountId) -> Result<Applied, Refusal> {
        let account = self.account(id).ok_or(Refusal::NoSuchAccount(id))?.clone();
        let balance = account.balance;
        Ok(Applied {
            row: AppliedRow::Account(Box::new(account)),
            cost: 0,
            balance,
            is_replay: false,
        })
    }
}

/// What a judged unit will do, once paid. New rows get their id then.
enum Verdict {
    StartSession(Session<Sealed>),
    PutSession(Session<Sealed>),
    DeleteSession(Session<Sealed>),
    CreateTodo(Todo<Sealed>),
    PutTodo(Todo<Sealed>, Option<StatusChange<Sealed>>),
    DeleteTodo(Todo<Sealed>),
    LogActivity(Activity<Sealed>),
    DeleteActivity(Activity<Sealed>),
}

/// The words of a ledger row.
struct EntryText {
    reason: Reason,
    endpoint: Option<String>,
    actor: Option<ActorId>,
    note: Option<String>,
}

const fn refused_balance(fault: BalanceFault) -> Refusal {
    match fault {
        BalanceFault::TooLow { balance, cost } => Refusal::InsufficientCredits { balance, cost },
        BalanceFault::TooHigh => Refusal::BalanceTooHigh,
    }
}

#[cfg(test)]
mod tests;
