//! The working set: the rows that a batch has loaded, and its changes so far.

use super::read_set::{ImportKey, ReadSet};
use super::rows::{Row, RowKey, Rows};
use super::write_set::{Directory, WriteSet};
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::command::{
    Action, Applied, AppliedRow, Command, IdempotencyRecord, ManageAction, RecoverAction, Refusal,
    TransferAction,
};
use crate::model::account::{Account, Actor, LastIds};
use crate::model::activity::Activity;
use crate::model::api_key::{ApiKey, RecoveryCode};
use crate::model::bearer::KeyBearer;
use crate::model::counter::WorkCounts;
use crate::model::deadline::Deadline;
use crate::model::id::{
    AccountId, ActivityId, ActorId, KeyId, RecoveryId, SessionId, SignInId, TodoId,
};
use crate::model::idempotency::IdempotencyRecordKey;
use crate::model::import::{ImportRow, Origin};
use crate::model::quota::surplus_keys;
use crate::model::sealed::Sealed;
use crate::model::session::{Session, SessionActivity};
use crate::model::sign_in::SignIn;
use crate::model::text::ActivityType;
use crate::model::time::Timestamp;
use crate::model::todo::Todo;

/// The activity types that an actor has.
#[derive(Debug, Default, Clone)]
pub struct ActivityTypes {
    /// The number of activities of each requested type.
    pub counts: BTreeMap<ActivityType, i64>,
    /// The number of types in all; exact if a requested type has no activities.
    pub total: i64,
}

impl ActivityTypes {
    pub(super) fn move_count(&mut self, activity_type: &ActivityType, moved: i64) {
        let before = self.counts.get(activity_type).copied().unwrap_or(0);
        let after = before + moved;
        if after > 0 {
            self.counts.insert(activity_type.clone(), after);
        } else {
            self.counts.remove(activity_type);
        }
        self.total += i64::from(after > 0) - i64::from(before > 0);
    }
}

/// The rows that a batch has loaded and not changed, for the next batch to go on from.
#[derive(Debug, Clone, Default)]
pub struct UnchangedRows {
    /// Unchanged accounts.
    pub accounts: Vec<Account>,
    /// The current activity types of actors, as far as they were needed.
    pub activity_types: HashMap<(AccountId, ActorId), ActivityTypes>,
}

/// The rows that a batch depends on, and its changes so far.
#[derive(Debug, Clone)]
pub struct WorkingSet {
    /// When the current command is decided. Keys are checked against it; rows get the time of
    /// asking.
    pub(super) decided_at: Timestamp,
    /// Whether costs are taken from balances.
    pub(super) is_charged: bool,
    /// The time by which silence and leases are judged; that of the decision if processes share no
    /// clock.
    pub(super) shared_now: Option<Timestamp>,
    pub(super) directory: Directory,
    pub(super) other_operator: bool,
    pub(super) accounts: BTreeMap<AccountId, Row<Account>>,
    pub(super) actors: Rows<ActorId, Actor>,
    pub(super) keys: Rows<KeyId, ApiKey>,
    pub(super) codes: Rows<RecoveryId, RecoveryCode>,
    pub(super) sign_ins: Rows<SignInId, SignIn>,
    pub(super) imported: HashMap<ImportKey, i64>,
    pub(super) activity_types: HashMap<(AccountId, ActorId), ActivityTypes>,
    pub(super) sessions: Rows<SessionId, Session<Sealed>>,
    pub(super) session_activity: Rows<SessionId, SessionActivity>,
    pub(super) newest_entries: HashMap<RowKey<SessionId>, Timestamp>,
    pub(super) todos: Rows<TodoId, Todo<Sealed>>,
    pub(super) deadlines: Rows<TodoId, Deadline>,
    pub(super) activities: Rows<ActivityId, Activity<Sealed>>,
    pub(super) idempotency_records: BTreeMap<IdempotencyRecordKey, IdempotencyRecord>,
    pub(super) write_set: WriteSet,
}

impl Default for WorkingSet {
    fn default() -> Self {
        Self {
            decided_at: Timestamp::FIRST,
            is_charged: true,
            shared_now: None,
            directory: Directory::default(),
            other_operator: false,
            accounts: BTreeMap::new(),
            actors: Rows::new(),
            keys: Rows::new(),
            codes: Rows::new(),
            sign_ins: Rows::new(),
            imported: HashMap::new(),
            activity_types: HashMap::new(),
            sessions: Rows::new(),
            session_activity: Rows::new(),
            newest_entries: HashMap::new(),
            todos: Rows::new(),
            deadlines: Rows::new(),
            activities: Rows::new(),
            idempotency_records: BTreeMap::new(),
            write_set: WriteSet::default(),
        }
    }
}

/// Loading what the store has read.
impl WorkingSet {
    /// The time by which silence and leases are judged, read under the locks. Without one it is the
    /// time of the decision.
    pub const fn set_shared_now(&mut self, now: Timestamp) {
        self.shared_now = Some(now);
    }

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
    /// those whose command was accepted under another auth epoch, or whose epoch another command of
    /// the batch may change.
    pub fn check_again<'a>(
        &self,
        commands: impl IntoIterator<Item = &'a Command> + Clone,
        read_set: &mut ReadSet,
    ) {
        let ending: BTreeSet<_> = commands
            .clone()
            .into_iter()
            .filter(|command| command.action.may_end_keys())
            .filter_map(Command::account)
            .collect();
        for command in commands {
            let Some(bearer) = command.action.bearer() else { continue };
            let Some(account) = self.account(bearer.account) else { continue };
            if account.auth_epoch != bearer.auth_epoch || ending.contains(&account.id) {
                read_set.keys.insert((account.id, bearer.key));
                read_set.actors.insert((account.id, bearer.actor));
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

    /// A sign-in.
    pub fn load_sign_in(&mut self, account: AccountId, sign_in: SignIn) {
        self.sign_ins.load((account, sign_in.id), sign_in);
    }

    /// A session.
    pub fn load_session(&mut self, account: AccountId, session: Session<Sealed>) {
        self.sessions.load((account, session.id), session);
    }

    /// When a session was last active.
    pub fn load_session_activity(&mut self, account: AccountId, activity: SessionActivity) {
        self.session_activity.load((account, activity.session), activity);
    }

    /// The time of the newest entry of a session: a linked todo's creation, or the time of a linked
    /// activity.
    pub fn load_newest_entry(&mut self, session: RowKey<SessionId>, at: Timestamp) {
        self.newest_entries.insert(session, at);
    }

    /// The sessions whose activity is needed, once the todos and the deadlines are loaded: those
    /// that the commands name, those of the todos that they change, and those that keep claims
    /// alive.
    #[must_use]
    pub fn sessions_to_touch(&self, read_set: &ReadSet) -> BTreeSet<RowKey<SessionId>> {
        let linked = read_set.todos.iter().filter_map(|key| {
            let todo = self.todos.get(*key)?;
            todo.content.session.map(|session| (key.0, session))
        });
        let deadlines = self.deadlines.0.iter().filter_map(|(key, row)| {
            let deadline = row.now.as_ref()?;
            deadline.session.map(|session| (key.0, session))
        });
        linked.chain(deadlines).chain(read_set.sessions.iter().copied()).collect()
    }

    /// A todo as callers see it: without a link to a deleted session.
    pub fn load_todo(&mut self, account: AccountId, todo: Todo<Sealed>) {
        self.todos.load((account, todo.id), todo);
    }

    /// The deadline of the claim that stands on a todo.
    pub fn load_deadline(&mut self, account: AccountId, deadline: Deadline) {
        self.deadlines.load((account, deadline.todo), deadline);
    }

    /// An activity as callers see it.
    pub fn load_activity(&mut self, account: AccountId, activity: Activity<Sealed>) {
        self.activities.load((account, activity.id), activity);
    }

    /// An idempotency record.
    pub fn load_idempotency_record(&mut self, account: AccountId, record: IdempotencyRecord) {
        self.idempotency_records.insert((account, record.actor, record.request.key), record);
    }

    /// The activity types to count, once the activities are loaded: those that the commands add,
    /// and those of activities that they delete.
    #[must_use]
    pub fn activity_types_to_count(
        &self,
        read_set: &ReadSet,
    ) -> BTreeSet<(AccountId, ActorId, ActivityType)> {
        let mut activity_types = read_set.activity_types.clone();
        let logging: BTreeSet<_> =
            read_set.activity_types.iter().map(|(account, actor, _)| (*account, *actor)).collect();
        for ((account, _), row) in &self.activities.0 {
            if let Some(loaded) = &row.loaded
                && logging.contains(&(*account, loaded.actor))
            {
                activity_types.insert((*account, loaded.actor, loaded.activity_type.clone()));
            }
        }
        activity_types
    }

    /// An actor's activity types.
    pub fn load_activity_types(
        &mut self,
        account: AccountId,
        actor: ActorId,
        activity_types: ActivityTypes,
    ) {
        self.activity_types.insert((account, actor), activity_types);
    }

    /// A row that was imported before, and its id here.
    pub fn load_imported(&mut self, key: ImportKey, id: i64) {
        self.imported.insert(key, id);
    }

    /// Whether an operator's account exists besides those that the batch ends.
    pub const fn load_other_operator(&mut self, is_there: bool) {
        self.other_operator = is_there;
    }

    /// Adds the keys that codes came with, once the codes are loaded. Expired ones are not among
    /// the keys that a command names.
    pub fn follow_codes(&self, read_set: &mut ReadSet) {
        for ((account, _), row) in &self.codes.0 {
            let key = row.now.as_ref().and_then(|code| code.comes_with);
            read_set.keys.extend(key.map(|key| (*account, key)));
        }
    }

    /// Adds ended keys of the accounts that keep as many as they may, once the accounts are loaded.
    /// They make room for the new keys, and for keys that were let in beyond the limit.
    pub fn make_room<'a>(
        &self,
        commands: impl IntoIterator<Item = &'a Command>,
        read_set: &mut ReadSet,
    ) {
        let mut adding = BTreeMap::<AccountId, i64>::new();
        for command in commands {
            let account = match &command.action {
                Action::Manage(bearer, ManageAction::AddKey { .. }) => bearer.account,
                Action::Recover(bearer, RecoverAction::AddKey { .. }) => bearer.account,
                _ => continue,
            };
            *adding.entry(account).or_default() += 1;
        }
        for (account, new) in adding {
            let Some(account) = self.account(account) else { continue };
            let surplus = surplus_keys(account.keys + new).min(2 * new);
            if let Ok(surplus @ 1..) = u64::try_from(surplus) {
                read_set.ended_keys.insert(account.id, surplus);
            }
        }
    }

    /// Adds the rows that imported rows are linked to, and those that are imported again, once
    /// these are known.
    pub fn follow_imports<'a>(
        &self,
        commands: impl IntoIterator<Item = &'a Command>,
        read_set: &mut ReadSet,
    ) {
        for command in commands {
            let Action::Transfer(KeyBearer { account, .. }, TransferAction::Import(import)) =
                &command.action
            else {
                continue;
            };
            let account = *account;
            let again = import
                .rows
                .iter()
                .filter(|row| matches!(row, ImportRow::SessionAgain(_) | ImportRow::TodoAgain(_)));
            let links = import.rows.iter().filter_map(ImportRow::link);
            for link in links.chain(again.map(ImportRow::origin)) {
                match (link, self.imported.get(&(account, import.source, link))) {
                    (Origin::Session(_), Some(id)) => {
                        read_set.sessions.insert((account, SessionId(*id)));
                    }
                    (Origin::Todo(_), Some(id)) => {
                        read_set.todos.insert((account, TodoId(*id)));
                    }
                    _ => {}
                }
            }
        }
    }
}

/// Finding rows, and handing out the result.
impl WorkingSet {
    pub(super) fn account(&self, id: AccountId) -> Option<&Account> {
        self.accounts.get(&id).and_then(|row| row.now.as_ref())
    }

    pub(super) fn account_mut(&mut self, id: AccountId) -> Option<&mut Account> {
        self.accounts.get_mut(&id).and_then(|row| row.now.as_mut())
    }

    pub(super) fn last_ids(&mut self, account: AccountId) -> Result<&mut LastIds, Refusal> {
        self.account_mut(account).map(|account| &mut account.last_ids).ok_or(Refusal::KeyNotInForce)
    }

    /// A copy of the last ids. The next of them is the id of the row that a command is about to
    /// add.
    pub(super) fn next_ids(&self, account: AccountId) -> Result<LastIds, Refusal> {
        self.account(account).map(|account| account.last_ids).ok_or(Refusal::KeyNotInForce)
    }

    pub(super) fn account_applied(&self, id: AccountId) -> Result<Applied, Refusal> {
        let account = self.account(id).ok_or(Refusal::NoSuchAccount(id))?.clone();
        let balance = account.balance;
        Ok(Applied {
            row: AppliedRow::Account(Box::new(account)),
            cost: 0,
            balance,
            is_replay: false,
        })
    }

    /// The result of a command that cost nothing and wrote that row.
    pub(super) fn managed(&self, account: AccountId, row: AppliedRow) -> Result<Applied, Refusal> {
        let balance = self.account(account).ok_or(Refusal::KeyNotInForce)?.balance;
        Ok(Applied { row, cost: 0, balance, is_replay: false })
    }

    /// The rows that were loaded and not changed: accounts, and the current activity types.
    pub fn take_unchanged(&mut self) -> UnchangedRows {
        let unchanged = self.accounts.values().filter(|row| row.loaded == row.now);
        UnchangedRows {
            accounts: unchanged.filter_map(|row| row.now.clone()).collect(),
            activity_types: std::mem::take(&mut self.activity_types),
        }
    }

    /// The difference to write.
    #[must_use]
    pub fn into_write_set(mut self) -> WriteSet {
        for row in self.accounts.into_values() {
            match (row.loaded, row.now) {
                (None, Some(founded)) => self.write_set.accounts_founded.push(founded),
                (Some(loaded), Some(mut now)) if loaded != now => {
                    if loaded.auth_epoch != now.auth_epoch {
                        self.write_set.auth_epochs_moved.push(now.id);
                    }
                    now.version = loaded.version + 1;
                    self.write_set.accounts_changed.push(now);
                }
                _ => {}
            }
        }
        // If the batch deletes a todo, the todo's steps from the same batch are dropped.
        let todos = &self.todos;
        self.write_set.logs.retain(|(account, _, log)| todos.get((*account, log.todo)).is_some());
        self.write_set.actors = self.actors.difference();
        self.write_set.keys = self.keys.difference();
        self.write_set.codes = self.codes.difference();
        self.write_set.sign_ins = self.sign_ins.difference();
        self.write_set.sessions = self.sessions.difference();
        self.write_set.session_activity = self.session_activity.difference();
        self.write_set.todos = self.todos.difference();
        self.write_set.deadlines = self.deadlines.difference();
        self.write_set.activities = self.activities.difference();
        self.write_set.counters.retain(|_, moved| *moved != 0);
        self.write_set.quarter_hours.retain(|_, moved| *moved != 0);
        self.write_set.work.retain(|_, moved| *moved != WorkCounts::default());
        self.write_set
    }
}
