//! The rows that a batch depends on.

use super::rows::RowKey;
use std::collections::{BTreeMap, BTreeSet};

use crate::command::{
    Action, Command, KeyOrigin, ManageAction, RecoverAction, Reservation, ResourceAction, RowPatch,
    SignInAction, SystemAction, TransferAction,
};
use crate::model::Patch;
use crate::model::account::Role;
use crate::model::api_key::AnyKeyId;
use crate::model::bearer::KeyBearer;
use crate::model::id::{AccountId, ActivityId, ActorId, KeyId, SessionId, SignInId, TodoId, Uid};
use crate::model::idempotency::IdempotencyRecordKey;
use crate::model::import::{Import, ImportRow, Origin};
use crate::model::text::ActivityType;
use crate::model::todo::Priority;

/// The identity of an imported row: its account here, its source, and its origin there.
pub type ImportKey = (AccountId, Uid, Origin);

/// All rows that a batch changes, deletes or depends on.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ReadSet {
    /// Whether it takes account ids, or changes which accounts exist and may act: an erasure
    /// depends on the state of other accounts.
    pub directory: bool,
    /// The accounts to lock and load.
    pub accounts: BTreeSet<AccountId>,
    /// An account for which it must be known whether another operator's account exists.
    pub other_operator_than: Option<AccountId>,
    /// Actors.
    pub actors: BTreeSet<RowKey<ActorId>>,
    /// Keys, ended ones included.
    pub keys: BTreeSet<RowKey<KeyId>>,
    /// Keys whose successors are needed.
    pub keys_replaced: BTreeSet<RowKey<KeyId>>,
    /// Actors whose keys are needed, except those that have ended for good.
    pub key_holders: BTreeSet<RowKey<ActorId>>,
    /// Sign-ins.
    pub sign_ins: BTreeSet<RowKey<SignInId>>,
    /// Actors whose sign-ins are needed.
    pub signed_in: BTreeSet<RowKey<ActorId>>,
    /// How many ended keys of an account may be removed, lowest ids first, except those that a
    /// recovery code may come with
    /// ([`ApiKey::may_be_forgotten`](crate::model::api_key::ApiKey::may_be_forgotten)).
    pub ended_keys: BTreeMap<AccountId, u64>,
    /// Accounts whose recovery codes are needed.
    pub codes: BTreeSet<AccountId>,
    /// Sessions.
    pub sessions: BTreeSet<RowKey<SessionId>>,
    /// Sessions whose newest entry is needed.
    pub newest_entries: BTreeSet<RowKey<SessionId>>,
    /// Todos.
    pub todos: BTreeSet<RowKey<TodoId>>,
    /// Actors of whose todos claims take the next one, with the lowest priority that a claim takes.
    /// Candidates are loaded after the todos above.
    pub claims: BTreeMap<(AccountId, ActorId), Priority>,
    /// Activities.
    pub activities: BTreeSet<RowKey<ActivityId>>,
    /// Rows for which it must be known whether they were imported before.
    pub imported: BTreeSet<ImportKey>,
    /// Activity types for which it must be known whether the actor has any.
    pub activity_types: BTreeSet<(AccountId, ActorId, ActivityType)>,
    /// Idempotency records that may exist.
    pub idempotency_records: BTreeSet<IdempotencyRecordKey>,
}

impl ReadSet {
    /// The read set of a batch.
    #[must_use]
    pub fn of<'a>(commands: impl IntoIterator<Item = &'a Command>) -> Self {
        let mut read_set = Self::default();
        for command in commands {
            read_set.add(command);
        }
        read_set
    }

    fn add(&mut self, command: &Command) {
        self.directory |= command.action.uses_directory();
        self.accounts.extend(command.accounts());
        self.idempotency_records.extend(command.idempotency_record_keys());
        if let Some(bearer) = command.action.bearer() {
            self.sign_ins.extend(bearer.sign_in.map(|id| (bearer.account, id)));
        }
        match &command.action {
            Action::Resource(bearer, action) => self.add_resource(*bearer, action),
            Action::Manage(bearer, action) => self.add_management(*bearer, action),
            Action::SignIn(bearer, action) => self.add_sign_in(*bearer, action),
            Action::Transfer(bearer, TransferAction::Import(import)) => {
                self.add_import(bearer.account, import);
            }
            Action::Recover(bearer, action) => self.add_recovery(bearer.account, action),
            Action::System(action) => self.add_system(action),
            // Their accounts are all that they need.
            Action::Transfer(
                _,
                TransferAction::CheckImport
                | TransferAction::NoteImport { .. }
                | TransferAction::NoteExport { .. },
            )
            | Action::Operate(..) => {}
        }
    }

    fn add_resource(&mut self, bearer: KeyBearer, action: &ResourceAction) {
        let account = bearer.account;
        match action {
            ResourceAction::StartSession { .. } => {}
            ResourceAction::PatchSession(RowPatch { id, .. })
            | ResourceAction::DeleteSession(id) => {
                self.sessions.insert((account, *id));
            }
            ResourceAction::CreateTodo { new, .. } => {
                self.sessions.extend(new.content.session.map(|id| (account, id)));
            }
            ResourceAction::CreateTodos(new) => {
                let sessions = new.as_slice().iter().filter_map(|(_, new)| new.content.session);
                self.sessions.extend(sessions.map(|id| (account, id)));
            }
            ResourceAction::PatchTodo { row, .. } => {
                self.todos.insert((account, row.id));
                if let Patch::Set(id) = row.patch.session {
                    self.sessions.insert((account, id));
                }
            }
            ResourceAction::DeleteTodo { id, .. } | ResourceAction::ReleaseTodo { id, .. } => {
                self.todos.insert((account, *id));
            }
            ResourceAction::ClaimTodo(claim) => {
                self.sessions.extend(claim.session.map(|id| (account, id)));
                if let Some(id) = claim.todo {
                    self.todos.insert((account, id));
                } else {
                    let lowest = self.claims.entry((account, claim.actor));
                    let lowest = lowest.or_insert(claim.min_priority);
                    *lowest = claim.min_priority.min(*lowest);
                }
            }
            ResourceAction::LogActivity { new, .. } => {
                let actor = new.actor.unwrap_or(bearer.actor);
                self.sessions.extend(new.session.map(|id| (account, id)));
                self.activity_types.insert((account, actor, new.activity_type.clone()));
            }
            ResourceAction::DeleteActivity(id) => {
                self.activities.insert((account, *id));
            }
        }
    }

    fn add_system(&mut self, action: &SystemAction) {
        match action {
            SystemAction::UseKey { account, actor, key } => {
                self.keys.insert((*account, *key));
                self.actors.insert((*account, *actor));
                self.key_holders.insert((*account, *actor));
                self.codes.insert(*account);
            }
            SystemAction::MaintainKeys { account, used, over } => {
                for key in used.iter().map(|(key, _)| key).chain(over) {
                    match key {
                        AnyKeyId::Api(id) => _ = self.keys.insert((*account, *id)),
                        AnyKeyId::Browser(id) => _ = self.sign_ins.insert((*account, *id)),
                    }
                }
                if over.iter().any(|key| matches!(key, AnyKeyId::Api(_))) {
                    self.codes.insert(*account);
                }
            }
            SystemAction::CountCalls(counts) => {
                self.accounts.extend(counts.iter().map(|(calls, _)| calls.account));
            }
            SystemAction::EndIdleSessions { account, sessions, .. } => {
                let keys = || sessions.iter().map(|session| (*account, *session));
                self.sessions.extend(keys());
                self.newest_entries.extend(keys());
            }
            SystemAction::ReserveAccount
            | SystemAction::NameInstallation(_)
            | SystemAction::FoundAccount(_)
            | SystemAction::UnlinkSession { .. }
            | SystemAction::SweepErased(_)
            | SystemAction::ForgetIdempotencyRecords { .. } => {}
        }
    }

    fn add_sign_in(&mut self, bearer: KeyBearer, action: &SignInAction) {
        let account = bearer.account;
        match action {
            SignInAction::ReserveId => {}
            SignInAction::Open(_) => {
                self.actors.insert((account, bearer.actor));
                self.signed_in.insert((account, bearer.actor));
            }
            SignInAction::End(id) => _ = self.sign_ins.insert((account, *id)),
            SignInAction::EndAll(actor) => _ = self.signed_in.insert((account, *actor)),
        }
    }

    fn add_recovery(&mut self, account: AccountId, action: &RecoverAction) {
        self.codes.insert(account);
        if let RecoverAction::AddKey { new, .. } = action {
            self.actors.insert((account, new.actor));
            self.key_holders.insert((account, new.actor));
        }
    }

    fn add_management(&mut self, bearer: KeyBearer, action: &ManageAction) {
        let account = bearer.account;
        self.keys.insert((account, bearer.key));
        match action {
            ManageAction::ReserveIds(
                Reservation::Renewal(of) | Reservation::AccountRenewal(of),
            ) => {
                self.actors.insert((account, *of));
            }
            ManageAction::ReserveIds(_) | ManageAction::AddActor(_) => {}
            ManageAction::PatchActor { id, is_active, .. } => {
                self.actors.insert((account, *id));
                if *is_active == Some(false) {
                    self.key_holders.insert((account, *id));
                }
            }
            ManageAction::AddKey { new, origin } => {
                self.actors.insert((account, new.actor));
                match origin {
                    KeyOrigin::Rotation { grace_seconds } => {
                        self.keys_replaced.insert((account, bearer.key));
                        if *grace_seconds > 0 {
                            self.key_holders.insert((account, new.actor));
                        }
                    }
                    KeyOrigin::Beside | KeyOrigin::Renewal => {
                        self.key_holders.insert((account, new.actor));
                    }
                    KeyOrigin::AccountRenewal { .. } => {
                        self.key_holders.insert((account, new.actor));
                        self.codes.insert(account);
                    }
                }
            }
            ManageAction::RevokeKey(key) => {
                self.keys.insert((account, *key));
                self.keys_replaced.insert((account, *key));
                if bearer.role == Role::Owner {
                    self.key_holders.insert((account, bearer.actor));
                    self.codes.insert(account);
                }
            }
            ManageAction::RenewCode(_) => {
                self.key_holders.insert((account, bearer.actor));
                self.codes.insert(account);
            }
            ManageAction::EraseAccount { .. } => {
                self.other_operator_than = Some(account);
                self.codes.insert(account);
            }
        }
    }

    fn add_import(&mut self, account: AccountId, import: &Import) {
        let actors = import.actors.values().map(|there| Origin::Actor(*there));
        self.imported.extend(actors.map(|origin| (account, import.source, origin)));
        for row in &import.rows {
            let origins = [Some(row.origin()), row.link()].into_iter().flatten();
            self.imported.extend(origins.map(|origin| (account, import.source, origin)));
            if let ImportRow::Activity(activity) = row {
                self.activity_types.insert((
                    account,
                    activity.actor,
                    activity.activity_type.clone(),
                ));
            }
        }
    }
}
