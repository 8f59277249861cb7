//! Rows to and from the domain's types.
//!
//! A row that Roots can't have written is a [`InvalidRow`] one: an error, never a default.

use roots_domain::command::IdempotencyRecord;
use roots_domain::decide::{Directory, ImportKey};
use roots_domain::model::account::{
    Account, AccountKind, AccountStatus, Actor, ActorKind, LastIds, Role,
};
use roots_domain::model::activity::Activity;
use roots_domain::model::api_key::{
    ApiKey, KeyEpoch, LookupHash, RecoveryCode, Succession, Wrap, WrapHolder, WrapSubject,
};
use roots_domain::model::audit::{AuditAction, AuditEntry, AuditEvent};
use roots_domain::model::counter::{Counter, QuarterHourCounter};
use roots_domain::model::credit::{LedgerEntry, Reason};
use roots_domain::model::id::{
    AccountId, ActivityId, ActorId, AuditId, KeyId, LedgerId, LogId, RecoveryId, SessionId, TodoId,
    Uid,
};
use roots_domain::model::idempotency::{IdempotencyMacs, IdempotencyRecordKey, Mac};
use roots_domain::model::import::Origin;
use roots_domain::model::quota::Renewals;
use roots_domain::model::sealed::Sealed;
use roots_domain::model::session::{Session, SessionStatus};
use roots_domain::model::text::{ActivityType, Name};
use roots_domain::model::time::{Day, Timestamp};
use roots_domain::model::todo::{Priority, StatusChange, Todo, TodoStatus};
use roots_domain::model::usage::Calls;
use roots_domain::port::store::StoreError;
use sea_orm::prelude::Uuid;

use crate::entity::{
    accounts, activities, activity_quarters, actors, api_keys, audit_trail, directory, idempotency,
    imports, key_wraps, ledger, recovery_codes, sessions, tallies, todo_logs, todos, usage,
};
use crate::idempotency_record;

/// A row that Roots can't have written.
#[derive(Debug, thiserror::Error)]
#[error("{table} holds what Roots never wrote there, in {column}")]
pub(crate) struct InvalidRow {
    table: &'static str,
    column: &'static str,
}

impl From<InvalidRow> for StoreError {
    fn from(invalid: InvalidRow) -> Self {
        Self::Broken(invalid.to_string())
    }
}

pub(crate) fn known<T>(
    value: Option<T>,
    table: &'static str,
    column: &'static str,
) -> Result<T, InvalidRow> {
    value.ok_or(InvalidRow { table, column })
}

pub(crate) fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn micros(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::micros)
}

pub(crate) fn epoch(number: i64, table: &'static str) -> Result<KeyEpoch, InvalidRow> {
    known(i32::try_from(number).ok().map(KeyEpoch), table, "epoch")
}

fn lookup(bytes: Vec<u8>, table: &'static str) -> Result<LookupHash, InvalidRow> {
    known(bytes.try_into().ok().map(LookupHash), table, "lookup")
}

pub(crate) fn name(
    text: String,
    table: &'static str,
    column: &'static str,
) -> Result<Name, InvalidRow> {
    known(Name::parse(text).ok(), table, column)
}

pub(crate) fn activity_type(text: String) -> Result<ActivityType, InvalidRow> {
    known(ActivityType::parse(text).ok(), "activities", "activity_type")
}

fn todo_status(text: &str) -> Result<TodoStatus, InvalidRow> {
    known(TodoStatus::from_name(text), "todos", "status")
}

impl From<&Account> for accounts::Model {
    fn from(account: &Account) -> Self {
        let last_ids = account.last_ids;
        Self {
            account_id: account.id.0,
            uid: account.uid.0,
            name: account.name.as_str().to_owned(),
            kind: account.kind.name().to_owned(),
            status: account.status.name().to_owned(),
            balance: account.balance,
            auth_epoch: account.auth_epoch,
            key_epoch: account.key_epoch.0.into(),
            last_actor_id: last_ids.actor,
            last_key_id: last_ids.key,
            last_recovery_id: last_ids.recovery,
            last_session_id: last_ids.session,
            last_todo_id: last_ids.todo,
            last_activity_id: last_ids.activity,
            last_log_id: last_ids.log,
            last_ledger_id: last_ids.ledger,
            created_at: account.created_at.micros(),
            version: account.version,
            last_audit_id: last_ids.audit,
            keys: account.keys,
        }
    }
}

/// What is selected of an account `t` on SQLite where many are read: its name and its numbers as one text. The
/// driver copies each value of a row by itself, which takes longer than to write and read a dozen numbers.
pub(crate) const ACCOUNT_IN_SHORT: &str = "t.uid, t.name, \
    format('%s %s %d %d %d %d %d %d %d %d %d %d %d %d %d %d %d %d', t.kind, t.status, t.account_id, \
    t.balance, t.auth_epoch, t.key_epoch, t.last_actor_id, t.last_key_id, t.last_recovery_id, \
    t.last_session_id, t.last_todo_id, t.last_activity_id, t.last_log_id, t.last_ledger_id, \
    t.created_at, t.version, t.last_audit_id, t.keys)";

/// An account of what [`ACCOUNT_IN_SHORT`] selects.
pub(crate) fn account_in_short(uid: Uuid, name: String, rest: &str) -> Result<Account, InvalidRow> {
    let mut words = rest.split(' ');
    let (kind, status) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut number =
        || known(words.next().and_then(|word| word.parse().ok()), "accounts", "its numbers");
    let row = accounts::Model {
        uid,
        name,
        kind: kind.to_owned(),
        status: status.to_owned(),
        account_id: number()?,
        balance: number()?,
        auth_epoch: number()?,
        key_epoch: number()?,
        last_actor_id: number()?,
        last_key_id: number()?,
        last_recovery_id: number()?,
        last_session_id: number()?,
        last_todo_id: number()?,
        last_activity_id: number()?,
        last_log_id: number()?,
        last_ledger_id: number()?,
        created_at: number()?,
        version: number()?,
        last_audit_id: number()?,
        keys: number()?,
    };
    Account::try_from(row)
}

impl From<directory::Model> for Directory {
    fn from(row: directory::Model) -> Self {
        Self {
            last_account: row.last_account_id,
            accounts: row.accounts,
            installation: row.installation.map(Uid),
        }
    }
}

impl TryFrom<accounts::Model> for Account {
    type Error = InvalidRow;

    fn try_from(row: accounts::Model) -> Result<Self, InvalidRow> {
        Ok(Self {
            id: AccountId(row.account_id),
            uid: Uid(row.uid),
            name: name(row.name, "accounts", "name")?,
            kind: known(AccountKind::from_name(&row.kind), "accounts", "kind")?,
            status: known(AccountStatus::from_name(&row.status), "accounts", "status")?,
            balance: row.balance,
            auth_epoch: row.auth_epoch,
            key_epoch: epoch(row.key_epoch, "accounts")?,
            last_ids: LastIds {
                actor: row.last_actor_id,
                key: row.last_key_id,
                recovery: row.last_recovery_id,
                session: row.last_session_id,
                todo: row.last_todo_id,
                activity: row.last_activity_id,
                log: row.last_log_id,
                ledger: row.last_ledger_id,
                audit: row.last_audit_id,
            },
            keys: row.keys,
            created_at: at(row.created_at),
            version: row.version,
        })
    }
}

pub(crate) fn actor_row((account, actor): &(AccountId, Actor)) -> actors::Model {
    actors::Model {
        account_id: account.0,
        actor_id: actor.id.0,
        uid: actor.uid.0,
        name: actor.name.as_str().to_owned(),
        kind: actor.kind.name().to_owned(),
        role: actor.role.name().to_owned(),
        is_active: actor.is_active.into(),
        key_epoch: actor.key_epoch.0.into(),
        created_at: actor.created_at.micros(),
        renewals_day: actor.renewals.day.0,
        renewals: actor.renewals.count,
    }
}

impl TryFrom<actors::Model> for Actor {
    type Error = InvalidRow;

    fn try_from(row: actors::Model) -> Result<Self, InvalidRow> {
        Ok(Self {
            id: ActorId(row.actor_id),
            uid: Uid(row.uid),
            name: name(row.name, "actors", "name")?,
            kind: known(ActorKind::from_name(&row.kind), "actors", "kind")?,
            role: known(Role::from_name(&row.role), "actors", "role")?,
            is_active: row.is_active != 0,
            key_epoch: epoch(row.key_epoch, "actors")?,
            renewals: Renewals { day: Day(row.renewals_day), count: row.renewals },
            created_at: at(row.created_at),
        })
    }
}

/// How a key's succession is stored.
pub(crate) const SUCCESSION_ROTATION: &str = "rotation";
const SUCCESSION_RECOVERY: &str = "recovery";
const SUCCESSION_RENEWAL: &str = "renewal";

pub(crate) fn key_row((account, key): &(AccountId, ApiKey)) -> api_keys::Model {
    let (succession, replaces_key_id, grace_seconds) = match key.succession {
        None => (None, None, None),
        Some(Succession::Rotation { replaces, grace_seconds }) => {
            (Some(SUCCESSION_ROTATION), Some(replaces.0), Some(grace_seconds))
        }
        Some(Succession::Recovery) => (Some(SUCCESSION_RECOVERY), None, None),
        Some(Succession::Renewal) => (Some(SUCCESSION_RENEWAL), None, None),
    };
    api_keys::Model {
        account_id: account.0,
        key_id: key.id.0,
        actor_id: key.actor.0,
        lookup: key.lookup.0.to_vec(),
        prefix: key.prefix.clone(),
        label: key.label.as_ref().map(|label| label.as_str().to_owned()),
        created_at: key.created_at.micros(),
        last_used: micros(key.last_used),
        expires_at: micros(key.expires_at),
        ends_at: micros(key.ends_at),
        succession: succession.map(str::to_owned),
        replaces_key_id,
        grace_seconds,
        first_used_at: micros(key.first_used_at),
    }
}

pub(crate) fn succession(
    kind: Option<&str>,
    replaces: Option<i64>,
    grace_seconds: Option<i64>,
) -> Result<Option<Succession>, InvalidRow> {
    match (kind, replaces, grace_seconds) {
        (None, None, None) => Ok(None),
        (Some(SUCCESSION_ROTATION), Some(key), Some(grace_seconds)) => {
            Ok(Some(Succession::Rotation { replaces: KeyId(key), grace_seconds }))
        }
        (Some(SUCCESSION_RECOVERY), None, None) => Ok(Some(Succession::Recovery)),
        (Some(SUCCESSION_RENEWAL), None, None) => Ok(Some(Succession::Renewal)),
        _ => Err(InvalidRow { table: "api_keys", column: "succession" }),
    }
}

impl TryFrom<api_keys::Model> for ApiKey {
    type Error = InvalidRow;

    fn try_from(row: api_keys::Model) -> Result<Self, InvalidRow> {
        let succession =
            succession(row.succession.as_deref(), row.replaces_key_id, row.grace_seconds);
        Ok(Self {
            id: KeyId(row.key_id),
            actor: ActorId(row.actor_id),
            lookup: lookup(row.lookup, "api_keys")?,
            prefix: row.prefix,
            label: row.label.map(|label| name(label, "api_keys", "label")).transpose()?,
            created_at: at(row.created_at),
            last_used: row.last_used.map(at),
            expires_at: row.expires_at.map(at),
            ends_at: row.ends_at.map(at),
            succession: succession?,
            first_used_at: row.first_used_at.map(at),
        })
    }
}

pub(crate) fn code_row((account, code): &(AccountId, RecoveryCode)) -> recovery_codes::Model {
    recovery_codes::Model {
        account_id: account.0,
        recovery_id: code.id.0,
        lookup: code.lookup.0.to_vec(),
        created_at: code.created_at.micros(),
        comes_with_key_id: code.comes_with.map(|key| key.0),
    }
}

impl TryFrom<recovery_codes::Model> for RecoveryCode {
    type Error = InvalidRow;

    fn try_from(row: recovery_codes::Model) -> Result<Self, InvalidRow> {
        Ok(Self {
            id: RecoveryId(row.recovery_id),
            lookup: lookup(row.lookup, "recovery_codes")?,
            created_at: at(row.created_at),
            comes_with: row.comes_with_key_id.map(KeyId),
        })
    }
}

/// How the parties of a wrap are stored: kind, id, epoch.
pub(crate) const HOLDER_API_KEY: &str = "api_key";
pub(crate) const HOLDER_RECOVERY: &str = "recovery";
pub(crate) const PARTY_ACCOUNT: &str = "account";
pub(crate) const PARTY_ACTOR: &str = "actor";

/// A holder as it is stored.
pub(crate) const fn holder(holder: WrapHolder) -> (&'static str, i64, i32) {
    match holder {
        WrapHolder::ApiKey(id) => (HOLDER_API_KEY, id.0, 0),
        WrapHolder::Recovery(id) => (HOLDER_RECOVERY, id.0, 0),
        WrapHolder::Account(epoch) => (PARTY_ACCOUNT, 0, epoch.0),
        WrapHolder::Actor(id, epoch) => (PARTY_ACTOR, id.0, epoch.0),
    }
}

pub(crate) fn wrap_row((account, wrap): &(AccountId, Wrap)) -> key_wraps::Model {
    let (holder_kind, holder_id, holder_epoch) = holder(wrap.holder);
    let (subject_kind, subject_id, subject_epoch) = match wrap.subject {
        WrapSubject::Account(epoch) => (PARTY_ACCOUNT, 0, epoch.0),
        WrapSubject::Actor(id, epoch) => (PARTY_ACTOR, id.0, epoch.0),
    };
    key_wraps::Model {
        account_id: account.0,
        holder_kind: holder_kind.to_owned(),
        holder_id,
        holder_epoch: holder_epoch.into(),
        subject_kind: subject_kind.to_owned(),
        subject_id,
        subject_epoch: subject_epoch.into(),
        sealed: wrap.sealed.0.clone(),
    }
}

impl TryFrom<key_wraps::Model> for Wrap {
    type Error = InvalidRow;

    fn try_from(row: key_wraps::Model) -> Result<Self, InvalidRow> {
        let holder_epoch = epoch(row.holder_epoch, "key_wraps")?;
        let subject_epoch = epoch(row.subject_epoch, "key_wraps")?;
        let holder = match row.holder_kind.as_str() {
            HOLDER_API_KEY => Some(WrapHolder::ApiKey(KeyId(row.holder_id))),
            HOLDER_RECOVERY => Some(WrapHolder::Recovery(RecoveryId(row.holder_id))),
            PARTY_ACCOUNT => Some(WrapHolder::Account(holder_epoch)),
            PARTY_ACTOR => Some(WrapHolder::Actor(ActorId(row.holder_id), holder_epoch)),
            _ => None,
        };
        let subject = match row.subject_kind.as_str() {
            PARTY_ACCOUNT => Some(WrapSubject::Account(subject_epoch)),
            PARTY_ACTOR => Some(WrapSubject::Actor(ActorId(row.subject_id), subject_epoch)),
            _ => None,
        };
        Ok(Self {
            holder: known(holder, "key_wraps", "holder_kind")?,
            subject: known(subject, "key_wraps", "subject_kind")?,
            sealed: Sealed(row.sealed),
        })
    }
}

pub(crate) fn session_row((account, session): &(AccountId, Session<Sealed>)) -> sessions::Model {
    sessions::Model {
        account_id: account.0,
        session_id: session.id.0,
        uid: session.uid.0,
        actor_id: session.actor.0,
        status: session.status.name().to_owned(),
        notes: session.notes.as_ref().map(|notes| notes.0.clone()),
        started_at: session.started_at.micros(),
        ended_at: micros(session.ended_at),
        version: session.version,
    }
}

impl TryFrom<sessions::Model> for Session<Sealed> {
    type Error = InvalidRow;

    fn try_from(row: sessions::Model) -> Result<Self, InvalidRow> {
        Ok(Self {
            id: SessionId(row.session_id),
            uid: Uid(row.uid),
            actor: ActorId(row.actor_id),
            status: known(SessionStatus::from_name(&row.status), "sessions", "status")?,
            notes: row.notes.map(Sealed),
            started_at: at(row.started_at),
            ended_at: row.ended_at.map(at),
            version: row.version,
        })
    }
}

pub(crate) fn todo_row((account, todo): &(AccountId, Todo<Sealed>)) -> todos::Model {
    todos::Model {
        account_id: account.0,
        todo_id: todo.id.0,
        uid: todo.uid.0,
        actor_id: todo.actor.0,
        session_id: todo.session.map(|id| id.0),
        title: todo.title.0.clone(),
        description: todo.description.as_ref().map(|text| text.0.clone()),
        status: todo.status.name().to_owned(),
        priority: todo.priority.level(),
        due_at: micros(todo.due_at),
        created_at: todo.created_at.micros(),
        updated_at: todo.updated_at.micros(),
        version: todo.version,
    }
}

impl TryFrom<todos::Model> for Todo<Sealed> {
    type Error = InvalidRow;

    fn try_from(row: todos::Model) -> Result<Self, InvalidRow> {
        Ok(Self {
            id: TodoId(row.todo_id),
            uid: Uid(row.uid),
            actor: ActorId(row.actor_id),
            session: row.session_id.map(SessionId),
            title: Sealed(row.title),
            description: row.description.map(Sealed),
            status: todo_status(&row.status)?,
            priority: known(Priority::parse(row.priority.into()).ok(), "todos", "priority")?,
            due_at: row.due_at.map(at),
            created_at: at(row.created_at),
            updated_at: at(row.updated_at),
            version: row.version,
        })
    }
}

pub(crate) fn log_row((account, log): &(AccountId, StatusChange<Sealed>)) -> todo_logs::Model {
    todo_logs::Model {
        account_id: account.0,
        todo_id: log.todo.0,
        log_id: log.id.0,
        uid: log.uid.0,
        old_status: log.old_status.name().to_owned(),
        new_status: log.new_status.name().to_owned(),
        note: log.note.as_ref().map(|note| note.0.clone()),
        logged_at: log.logged_at.micros(),
    }
}

impl TryFrom<todo_logs::Model> for StatusChange<Sealed> {
    type Error = InvalidRow;

    fn try_from(row: todo_logs::Model) -> Result<Self, InvalidRow> {
        Ok(Self {
            id: LogId(row.log_id),
            uid: Uid(row.uid),
            todo: TodoId(row.todo_id),
            old_status: todo_status(&row.old_status)?,
            new_status: todo_status(&row.new_status)?,
            note: row.note.map(Sealed),
            logged_at: at(row.logged_at),
        })
    }
}

pub(crate) fn activity_row(
    (account, activity): &(AccountId, Activity<Sealed>),
) -> activities::Model {
    activities::Model {
        account_id: account.0,
        activity_id: activity.id.0,
        uid: activity.uid.0,
        actor_id: activity.actor.0,
        session_id: activity.session.map(|id| id.0),
        activity_type: activity.activity_type.as_str().to_owned(),
        description: activity.description.0.clone(),
        logged_at: activity.logged_at.micros(),
        created_at: activity.created_at.micros(),
        version: activity.version,
    }
}

impl TryFrom<activities::Model> for Activity<Sealed> {
    type Error = InvalidRow;

    fn try_from(row: activities::Model) -> Result<Self, InvalidRow> {
        Ok(Self {
            id: ActivityId(row.activity_id),
            uid: Uid(row.uid),
            actor: ActorId(row.actor_id),
            session: row.session_id.map(SessionId),
            activity_type: activity_type(row.activity_type)?,
            description: Sealed(row.description),
            logged_at: at(row.logged_at),
            created_at: at(row.created_at),
            version: row.version,
        })
    }
}

pub(crate) fn ledger_row((account, entry): &(AccountId, LedgerEntry)) -> ledger::Model {
    ledger::Model {
        account_id: account.0,
        ledger_id: entry.id.0,
        delta: entry.delta,
        balance_after: entry.balance_after,
        reason: entry.reason.name().to_owned(),
        endpoint: entry.endpoint.clone(),
        actor_id: entry.actor.map(|id| id.0),
        note: entry.note.clone(),
        created_at: entry.created_at.micros(),
    }
}

impl TryFrom<ledger::Model> for LedgerEntry {
    type Error = InvalidRow;

    fn try_from(row: ledger::Model) -> Result<Self, InvalidRow> {
        Ok(Self {
            id: LedgerId(row.ledger_id),
            delta: row.delta,
            balance_after: row.balance_after,
            reason: known(Reason::from_name(&row.reason), "ledger", "reason")?,
            endpoint: row.endpoint,
            actor: row.actor_id.map(ActorId),
            note: row.note,
            created_at: at(row.created_at),
        })
    }
}

pub(crate) fn audit_row((account, entry): &(AccountId, AuditEntry)) -> audit_trail::Model {
    let event = entry.event;
    audit_trail::Model {
        account_id: account.0,
        audit_id: entry.id.0,
        action: event.action.name().to_owned(),
        actor_id: event.actor.map(|id| id.0),
        key_id: event.key.map(|id| id.0),
        by_account_id: event.by_account.map(|id| id.0),
        subject_account_id: event.subject_account.map(|id| id.0),
        subject_actor_id: event.subject_actor.map(|id| id.0),
        subject_key_id: event.subject_key.map(|id| id.0),
        created_at: entry.created_at.micros(),
    }
}

impl TryFrom<audit_trail::Model> for AuditEntry {
    type Error = InvalidRow;

    fn try_from(row: audit_trail::Model) -> Result<Self, InvalidRow> {
        Ok(Self {
            id: AuditId(row.audit_id),
            event: AuditEvent {
                action: known(AuditAction::from_name(&row.action), "audit_trail", "action")?,
                actor: row.actor_id.map(ActorId),
                key: row.key_id.map(KeyId),
                by_account: row.by_account_id.map(AccountId),
                subject_account: row.subject_account_id.map(AccountId),
                subject_actor: row.subject_actor_id.map(ActorId),
                subject_key: row.subject_key_id.map(KeyId),
            },
            created_at: at(row.created_at),
        })
    }
}

pub(crate) fn idempotency_row(
    ((account, ..), record): (&IdempotencyRecordKey, &IdempotencyRecord),
) -> Result<idempotency::Model, InvalidRow> {
    Ok(idempotency::Model {
        account_id: account.0,
        actor_id: record.actor.0,
        key_mac: record.request.key.0.to_vec(),
        request_mac: record.request.request.0.to_vec(),
        answer: known(idempotency_record::written(&record.row), "idempotency", "answer")?,
        cost: record.cost,
        created_at: record.created_at.micros(),
    })
}

impl TryFrom<idempotency::Model> for IdempotencyRecord {
    type Error = InvalidRow;

    fn try_from(row: idempotency::Model) -> Result<Self, InvalidRow> {
        let mac =
            |bytes: Vec<u8>, column| known(bytes.try_into().ok().map(Mac), "idempotency", column);
        Ok(Self {
            actor: ActorId(row.actor_id),
            request: IdempotencyMacs {
                key: mac(row.key_mac, "key_mac")?,
                request: mac(row.request_mac, "request_mac")?,
            },
            row: known(idempotency_record::read(&row.answer), "idempotency", "answer")?,
            cost: row.cost,
            created_at: at(row.created_at),
        })
    }
}

pub(crate) fn import_row(((account, source, origin), id): &(ImportKey, i64)) -> imports::Model {
    imports::Model {
        account_id: account.0,
        source: source.0,
        kind: origin.kind().to_owned(),
        source_id: origin.id(),
        id: *id,
    }
}

pub(crate) fn imported(row: &imports::Model) -> Result<(ImportKey, i64), InvalidRow> {
    let origin = known(Origin::from_parts(&row.kind, row.source_id), "imports", "kind")?;
    Ok(((AccountId(row.account_id), Uid(row.source), origin), row.id))
}

/// What a counter is of, as it is stored.
pub(crate) const COUNTER_SESSIONS: &str = "sessions";
pub(crate) const COUNTER_TODOS: &str = "todos";
pub(crate) const COUNTER_ACTIVITIES: &str = "activities";
pub(crate) const COUNTER_LEDGER: &str = "ledger";

/// The actor of what is counted for the account as a whole.
pub(crate) const NO_ACTOR: i64 = 0;

pub(crate) fn counter_row(account: AccountId, counter: &Counter, count: i64) -> tallies::Model {
    let (actor, subject, label) = match counter {
        Counter::Sessions(actor, status) => (actor.0, COUNTER_SESSIONS, status.name().to_owned()),
        Counter::Todos(actor, status, priority) => {
            (actor.0, COUNTER_TODOS, todo_label(*status, *priority))
        }
        Counter::Activities(actor, kind) => (actor.0, COUNTER_ACTIVITIES, kind.as_str().to_owned()),
        Counter::Ledger(reason) => (NO_ACTOR, COUNTER_LEDGER, reason.name().to_owned()),
    };
    tallies::Model {
        account_id: account.0,
        actor_id: actor,
        subject: subject.to_owned(),
        label,
        count,
    }
}

/// `open/2`
pub(crate) fn todo_label(status: TodoStatus, priority: Priority) -> String {
    format!("{}/{}", status.name(), priority.level())
}

pub(crate) fn quarter_hour_row(
    account: AccountId,
    of: &QuarterHourCounter,
    count: i64,
) -> activity_quarters::Model {
    activity_quarters::Model {
        account_id: account.0,
        actor_id: of.actor.0,
        quarter: of.quarter_hour.0,
        activity_type: of.activity_type.as_str().to_owned(),
        count,
    }
}

pub(crate) fn usage_row((calls, count): (&Calls, &i64)) -> usage::Model {
    usage::Model {
        account_id: calls.account.0,
        day: calls.day.0,
        route: calls.endpoint.route.clone(),
        method: calls.endpoint.method.clone(),
        calls: *count,
    }
}
