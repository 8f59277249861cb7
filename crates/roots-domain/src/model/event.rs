//! Events: what has happened to an account, told in the order in which it happened.
//!
//! There is no table of events. Each write that was paid for has one row in the ledger, and what
//! owners, operators and the program did has one entry in the audit log. Both are numbered without
//! gaps, in the order of the account's lock. So an event is one row of either, and a position is
//! the last row of each that was told.

use std::fmt;

use super::account::Role;
use super::audit::{AuditAction, AuditEntry};
use super::credit::{LedgerEntry, Reason, WRITE_COST};
use super::id::{AccountId, ActorId, AuditId, LedgerId};
use super::named::named;
use super::step::TodoStep;
use super::time::Timestamp;
use super::todo::TodoStatus;

/// Most rows that resuming may read. Beyond that a reader is told to read everything anew.
pub const RESUME_MAX_ROWS: i64 = 10_000;
/// Most rows of the ledger, and of the audit log, that one read takes.
pub const EVENT_CHUNK_ROWS: i64 = 100;

named! {
    /// What an event is about.
    EventKind {
        /// A session.
        Session = "session",
        /// A todo, or several that were created together.
        Todo = "todo",
        /// An activity.
        Activity = "activity",
        /// The balance of the account.
        Credits = "credits",
        /// Rows of another account that came in.
        Import = "import",
        /// An actor.
        Actor = "actor",
        /// An API key.
        Key = "key",
        /// The recovery code.
        RecoveryCode = "recovery_code",
        /// The account itself, or another one that an operator manages.
        Account = "account",
    }
}

named! {
    /// What was done.
    EventAction {
        /// It was created.
        Created = "created",
        /// It was changed.
        Updated = "updated",
        /// It was deleted.
        Deleted = "deleted",
        /// A todo was claimed.
        Claimed = "claimed",
        /// A claim was given back.
        Released = "released",
        /// A silent session was ended.
        Idled = "idled",
        /// Credits were given.
        Granted = "granted",
        /// An import began.
        Started = "started",
        /// A batch of rows was imported.
        Imported = "imported",
        /// An actor was activated again.
        Activated = "activated",
        /// An actor was deactivated.
        Deactivated = "deactivated",
        /// A key was made to replace another one.
        Rotated = "rotated",
        /// A key was replaced by the first use of another one.
        Replaced = "replaced",
        /// A key was revoked.
        Revoked = "revoked",
        /// An encryption key or a recovery code was renewed.
        Renewed = "renewed",
        /// The recovery code was used.
        Used = "used",
        /// The account was exported.
        Exported = "exported",
        /// The account was suspended.
        Suspended = "suspended",
        /// The account may write again.
        Resumed = "resumed",
    }
}

/// A place in the events of an account: behind that row of the ledger and that entry of the audit
/// log. It is written `118.42`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventPosition {
    /// The last row of the ledger before it; 0 for none.
    pub ledger: LedgerId,
    /// The last entry of the audit log before it; 0 for none.
    pub audit: AuditId,
}

impl fmt::Display for EventPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.ledger, self.audit)
    }
}

impl EventPosition {
    /// Parses a position as it is displayed. Each number has 1 to 18 digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (ledger, audit) = text.split_once('.')?;
        Some(Self { ledger: LedgerId(number(ledger)?), audit: AuditId(number(audit)?) })
    }

    /// Whether no row is between this position and a later one.
    #[must_use]
    pub fn reaches(self, until: Self) -> bool {
        self.ledger >= until.ledger && self.audit >= until.audit
    }

    /// The end of the next read after this position: at most [`EVENT_CHUNK_ROWS`] of each log,
    /// nothing behind `until`, and never before this position.
    #[must_use]
    pub fn next_chunk(self, until: Self) -> Self {
        let end =
            |after: i64, until: i64| until.clamp(after, after.saturating_add(EVENT_CHUNK_ROWS));
        Self {
            ledger: LedgerId(end(self.ledger.0, until.ledger.0)),
            audit: AuditId(end(self.audit.0, until.audit.0)),
        }
    }
}

/// A number without sign, blanks or leading zeros.
fn number(text: &str) -> Option<i64> {
    let is_plain = (1..=18).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_digit())
        && (text.len() == 1 || !text.starts_with('0'));
    if is_plain { text.parse().ok() } else { None }
}

/// Where a reader of events goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resumption {
    /// From that position: it misses nothing.
    From(EventPosition),
    /// It has to read everything anew, and then goes on from that position.
    Reset(EventPosition),
}

impl Resumption {
    /// Judges where a reader goes on whose last position is `last`, if the account has come to
    /// `now`. A new reader begins now. One that would have to read more than [`RESUME_MAX_ROWS`]
    /// rows has to begin anew, and so has one with a position that the account has never had: the
    /// database was restored from a backup, or the position is another account's.
    #[must_use]
    pub fn judge(last: Option<EventPosition>, now: EventPosition) -> Self {
        let Some(last) = last else { return Self::From(now) };
        let (ledger, audit) = (now.ledger.0 - last.ledger.0, now.audit.0 - last.audit.0);
        if ledger < 0 || audit < 0 || ledger.saturating_add(audit) > RESUME_MAX_ROWS {
            return Self::Reset(now);
        }
        Self::From(last)
    }

    /// The position from which it goes on.
    #[must_use]
    pub const fn position(self) -> EventPosition {
        match self {
            Self::From(position) | Self::Reset(position) => position,
        }
    }
}

/// Something that has happened to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// The position behind it, which is its id.
    pub position: EventPosition,
    /// What it is about.
    pub kind: EventKind,
    /// What was done.
    pub action: EventAction,
    /// The actor that did it; `None` if it was not an actor of the account.
    pub actor: Option<ActorId>,
    /// The id of what it was done to, within its kind. Of several rows it is the first one's: their
    /// ids follow each other. `None` for credits, imports and the account itself.
    pub subject: Option<i64>,
    /// The actor that the subject belongs to.
    pub subject_actor: Option<ActorId>,
    /// The number of rows that were written: 1 but for several todos and imports.
    pub rows: i64,
    /// The status that a todo has come to, if the write changed it.
    pub status: Option<TodoStatus>,
    /// The change of the balance, if it changed.
    pub credits: Option<i64>,
    /// When.
    pub at: Timestamp,
}

impl Event {
    /// The event that a row of the ledger tells, after an audit log read up to `audit`.
    #[must_use]
    pub fn of_ledger(entry: &LedgerEntry, audit: AuditId) -> Self {
        let (kind, action) = match entry.reason {
            Reason::BootstrapGrant | Reason::OperatorGrant => {
                (EventKind::Credits, EventAction::Granted)
            }
            Reason::Import => (EventKind::Import, EventAction::Imported),
            Reason::ApiWrite => of_route(entry.endpoint.as_deref().unwrap_or_default()),
        };
        let is_write = matches!(entry.reason, Reason::ApiWrite | Reason::Import);
        Self {
            position: EventPosition { ledger: entry.id, audit },
            kind,
            action,
            actor: entry.actor,
            subject: entry.subject.map(|subject| subject.id),
            subject_actor: entry.subject.and_then(|subject| subject.actor),
            rows: if is_write { -entry.delta / WRITE_COST } else { 1 },
            status: if kind == EventKind::Todo { new_status(entry, action) } else { None },
            credits: Some(entry.delta),
            at: entry.created_at,
        }
    }

    /// The event that an entry of the audit log of `account` tells, after a ledger read up to
    /// `ledger`. `None` for sign-ins, and if a row of the ledger tells it already: that credits
    /// were granted to this account.
    #[must_use]
    pub fn of_audit(account: AccountId, entry: &AuditEntry, ledger: LedgerId) -> Option<Self> {
        let event = entry.event;
        let on_account = event.subject_account.map(|id| id.0);
        let is_own = event.subject_account.is_none_or(|subject| subject == account);
        if event.action == AuditAction::CreditsGranted && is_own {
            return None;
        }
        let (actor, key) = (event.subject_actor.map(|id| id.0), event.subject_key.map(|id| id.0));
        let (kind, action, subject) = match event.action {
            AuditAction::ActorAdded => (EventKind::Actor, EventAction::Created, actor),
            AuditAction::ActorRenamed => (EventKind::Actor, EventAction::Updated, actor),
            AuditAction::ActorDeactivated => (EventKind::Actor, EventAction::Deactivated, actor),
            AuditAction::ActorActivated => (EventKind::Actor, EventAction::Activated, actor),
            AuditAction::KeyMade => (EventKind::Key, EventAction::Created, key),
            AuditAction::KeyRotated => (EventKind::Key, EventAction::Rotated, key),
            AuditAction::KeySucceeded => (EventKind::Key, EventAction::Replaced, key),
            AuditAction::KeyRevoked => (EventKind::Key, EventAction::Revoked, key),
            AuditAction::KeyRenewed => (EventKind::Key, EventAction::Renewed, key),
            AuditAction::RecoveryUsed => (EventKind::RecoveryCode, EventAction::Used, None),
            AuditAction::RecoveryCodeRenewed => {
                (EventKind::RecoveryCode, EventAction::Renewed, None)
            }
            AuditAction::Exported => (EventKind::Account, EventAction::Exported, on_account),
            AuditAction::Imported => (EventKind::Import, EventAction::Started, None),
            AuditAction::SessionIdled => {
                (EventKind::Session, EventAction::Idled, event.subject_session.map(|id| id.0))
            }
            AuditAction::CreditsGranted => (EventKind::Account, EventAction::Granted, on_account),
            AuditAction::AccountSuspended => {
                (EventKind::Account, EventAction::Suspended, on_account)
            }
            AuditAction::AccountResumed => (EventKind::Account, EventAction::Resumed, on_account),
            // Looking at the pages changes nothing that an agent could see.
            AuditAction::SignedIn | AuditAction::SignedOut | AuditAction::SignInsEnded => {
                return None;
            }
        };
        Some(Self {
            position: EventPosition { ledger, audit: entry.id },
            kind,
            action,
            actor: event.actor,
            subject,
            subject_actor: event.subject_actor,
            rows: 1,
            status: None,
            credits: None,
            at: entry.created_at,
        })
    }
}

/// Whether a member is told of a row of the ledger. It is told of what concerns its own rows, no
/// matter which actor wrote them, and of imports, since a batch may bring rows of any actor. Rows
/// from before the ledger named their subject concern the actor that wrote them.
fn concerns(entry: &LedgerEntry, member: ActorId) -> bool {
    let concerned = match entry.subject {
        Some(subject) => subject.actor,
        None => entry.actor,
    };
    let has_step = || entry.steps.iter().any(|(key, _)| key.actor == member);
    entry.reason == Reason::Import || concerned == Some(member) || has_step()
}

/// Whether a member is told of an entry of the audit log: of what was done to it or its keys, and
/// of what it did.
fn is_about(entry: &AuditEntry, member: ActorId) -> bool {
    entry.event.subject_actor.or(entry.event.actor) == Some(member)
}

/// The status that the todo of a row of the ledger has come to. A claim may take several steps, and
/// leaves its todo in progress.
fn new_status(entry: &LedgerEntry, action: EventAction) -> Option<TodoStatus> {
    if action == EventAction::Claimed {
        return Some(TodoStatus::InProgress);
    }
    let mut steps = entry.steps.iter();
    match (steps.next(), steps.next()) {
        (Some((key, 1)), None) => match key.step {
            TodoStep::Moved(status) => Some(status),
            TodoStep::Made => None,
        },
        _ => None,
    }
}

/// What a paid write of that route does: `PATCH /todos/{id}`.
fn of_route(endpoint: &str) -> (EventKind, EventAction) {
    let (method, path) = endpoint.split_once(' ').unwrap_or(("", endpoint));
    let mut parts = path.split('/').skip(1);
    let kind = match parts.next() {
        Some("sessions") => EventKind::Session,
        Some("todos") => EventKind::Todo,
        Some("activities") => EventKind::Activity,
        // No other route is paid for.
        _ => EventKind::Account,
    };
    let action = match (method, parts.last()) {
        ("POST", Some("claim")) => EventAction::Claimed,
        ("POST", Some("release")) => EventAction::Released,
        ("POST", _) => EventAction::Created,
        ("DELETE", _) => EventAction::Deleted,
        _ => EventAction::Updated,
    };
    (kind, action)
}

/// The events that one read has found, in the order in which they are told, and the position behind
/// them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventChunk {
    /// The events that the reader is told of.
    pub events: Vec<Event>,
    /// The position up to which everything is told, events that the reader is not told of included.
    pub position: EventPosition,
}

/// Puts the rows between two positions in one order: each log keeps its own, and between the logs
/// the earlier one comes first. `until` is the position behind the last of them. An owner is told
/// of everything, a member of what concerns its own rows and keys.
///
/// Times of two rows may be out of order by what one of them has waited for the lock, so the order
/// between the logs may be another one for another reader. The position of each event says exactly
/// what was told before it, so no reader misses or repeats one.
#[must_use]
pub fn merge(
    account: AccountId,
    (role, actor): (Role, ActorId),
    (after, until): (EventPosition, EventPosition),
    ledger: &[LedgerEntry],
    audit: &[AuditEntry],
) -> EventChunk {
    let mut events = Vec::with_capacity(ledger.len() + audit.len());
    let (mut ledger, mut audit) = (ledger.iter().peekable(), audit.iter().peekable());
    let mut told = after;
    loop {
        let is_ledger = match (ledger.peek(), audit.peek()) {
            (None, None) => break,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some(entry), Some(note)) => entry.created_at < note.created_at,
        };
        let is_owner = role == Role::Owner;
        if is_ledger {
            let Some(entry) = ledger.next() else { break };
            told.ledger = entry.id;
            let is_told = is_owner || concerns(entry, actor);
            events.extend(is_told.then(|| Event::of_ledger(entry, told.audit)));
        } else {
            let Some(entry) = audit.next() else { break };
            told.audit = entry.id;
            let event = Event::of_audit(account, entry, told.ledger);
            events.extend(event.filter(|_| is_owner || is_about(entry, actor)));
        }
    }
    EventChunk { events, position: until }
}

#[cfg(test)]
mod tests;
