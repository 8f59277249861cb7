//! Each command is answered exactly, changes exactly what it says, and moves nothing when it is
//! refused.

use std::fmt::Debug;

use uuid::Uuid;

use super::*;
use crate::command::{
    Action, Applied, AppliedRow, Charge, ClaimFate, ClaimRequest, Command, Conditions,
    IdempotencyRecord, ManageAction, NewAccount, Operator, OperatorAction, Refusal, Resealed,
    ResourceAction, RowPatch, SystemAction, TransferAction,
};
use crate::model::Patch;
use crate::model::account::{Account, AccountStatus, Actor, LastIds};
use crate::model::account::{AccountKind, ActorKind, Role};
use crate::model::activity::{ACTIVITY_TYPES_MAX, Activity, NewActivity};
use crate::model::api_key::{ApiKey, KeyEpoch, KeyStatus, RecoveryCode, Wrap};
use crate::model::api_key::{LookupHash, WrapHolder, WrapSubject};
use crate::model::audit::{AuditAction, AuditEntry, AuditEvent};
use crate::model::bearer::KeyBearer;
use crate::model::claim::{Claim, ClaimToken, Claims, LeaseSeconds};
use crate::model::counter::{Counter, QuarterHourCounter, WorkCounter, WorkCounts};
use crate::model::credit::{LedgerEntry, Reason};
use crate::model::deadline::Deadline;
use crate::model::etag::EntityTag;
use crate::model::id::{AccountId, ActivityId, ActorId, KeyId, SessionId, TodoId};
use crate::model::id::{AuditId, LedgerId, LogId, RecoveryId, Uid};
use crate::model::quota::Renewals;
use crate::model::sealed::Sealed;
use crate::model::session::{
    EndReason, Session, SessionActivity, SessionPatch, SessionStatus, SessionStatusKind,
};
use crate::model::step::{StepKey, Steps, Subject, TodoStep};
use crate::model::text::ActivityType;
use crate::model::text::Name;
use crate::model::time::QuarterHour;
use crate::model::time::Timestamp;
use crate::model::todo::{NewTodo, NewTodos, Priority};
use crate::model::todo::{StatusChange, Todo, TodoContent, TodoPatch, TodoStatus};
use crate::model::usage::Calls;
use crate::model::usage::Endpoint;
use std::collections::{BTreeMap, BTreeSet};

mod accounts;
mod activities;
mod admission;
mod batches;
mod claims;
mod conditions;
mod erasures;
mod heartbeats;
mod idempotency;
mod imports;
mod keys;
mod many_todos;
mod operators;
mod owner;
mod precedence;
mod read_set;
mod reference_model;
mod sessions;
mod todos;

const HOME: AccountId = AccountId(1);
const ABROAD: AccountId = AccountId(2);
const ME: ActorId = ActorId(1);
const PEER: ActorId = ActorId(2);
const KEY: KeyId = KeyId(1);
const EPOCH: i64 = 3;
const ROUTE: &str = "POST /route";
const BALANCE: i64 = 100;
const DAY_SECONDS: i64 = 86_400;

const ACTIVE: SessionId = SessionId(1);
const ENDED: SessionId = SessionId(2);
const OF_PEER: SessionId = SessionId(3);
const UNKNOWN: SessionId = SessionId(9);
const TODO: TodoId = TodoId(1);
const TODO_OF_PEER: TodoId = TodoId(2);
const ACTIVITY: ActivityId = ActivityId(1);
const ACTIVITY_OF_PEER: ActivityId = ActivityId(2);

fn at(seconds: i64) -> Timestamp {
    Timestamp::FIRST.plus_seconds(seconds)
}

/// The time of every command, unless a test says otherwise. It is on the third day.
fn now() -> Timestamp {
    at(2 * DAY_SECONDS + 500)
}

fn uid(number: u128) -> Uid {
    Uid(Uuid::from_u128(number))
}

fn sealed(text: &str) -> Sealed {
    Sealed(text.into())
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn activity_type(text: &str) -> ActivityType {
    ActivityType::parse(text).unwrap()
}

fn priority(level: i64) -> Priority {
    Priority::parse(level).unwrap()
}

fn account(id: AccountId) -> Account {
    Account {
        id,
        uid: uid(1_000),
        name: name("Home"),
        kind: AccountKind::Customer,
        status: AccountStatus::Active,
        balance: BALANCE,
        auth_epoch: EPOCH,
        sign_in_epoch: 0,
        key_epoch: KeyEpoch::FIRST,
        last_ids: LastIds {
            actor: 2,
            key: 2,
            recovery: 1,
            sign_in: 0,
            session: 10,
            todo: 20,
            activity: 30,
            log: 40,
            ledger: 50,
            audit: 60,
        },
        keys: 2,
        created_at: at(0),
        version: 7,
    }
}

fn session(id: SessionId) -> Session<Sealed> {
    Session {
        id,
        uid: uid(100),
        actor: if id == OF_PEER { PEER } else { ME },
        status: match id {
            ENDED => SessionStatus::ended(at(20)),
            _ => SessionStatus::Active,
        },
        notes: Some(sealed("notes")),
        started_at: at(10),
        version: 1,
    }
}

fn todo(id: TodoId) -> Todo<Sealed> {
    Todo {
        id,
        uid: uid(200),
        actor: if id == TODO_OF_PEER { PEER } else { ME },
        content: TodoContent {
            session: (id == TODO).then_some(ACTIVE),
            title: sealed("title"),
            description: Some(sealed("description")),
            priority: priority(2),
            due_at: Some(at(900)),
        },
        status: TodoStatus::Open,
        claims: Claims::NONE,
        created_at: at(30),
        updated_at: at(30),
        status_since: at(30),
        version: 4,
    }
}

fn activity(id: ActivityId) -> Activity<Sealed> {
    Activity {
        id,
        uid: uid(300),
        actor: if id == ACTIVITY_OF_PEER { PEER } else { ME },
        session: Some(ACTIVE),
        activity_type: activity_type("deploy"),
        description: sealed("deployed"),
        logged_at: at(DAY_SECONDS + 5),
        created_at: at(2 * DAY_SECONDS),
        version: 1,
    }
}

fn activity_types(present: &[&str], total: i64) -> ActivityTypes {
    ActivityTypes { counts: present.iter().map(|label| (activity_type(label), 1)).collect(), total }
}

/// Two accounts alike, each with rows of two actors.
fn working_set() -> WorkingSet {
    let mut working_set = WorkingSet::default();
    working_set.load_directory(Directory {
        last_account: Some(AccountId(2)),
        accounts: 2,
        installation: None,
    });
    for home in [HOME, ABROAD] {
        working_set.load_account(account(home));
        for id in [ACTIVE, ENDED, OF_PEER] {
            working_set.load_session(home, session(id));
        }
        for id in [TODO, TODO_OF_PEER] {
            working_set.load_todo(home, todo(id));
        }
        for id in [ACTIVITY, ACTIVITY_OF_PEER] {
            working_set.load_activity(home, activity(id));
        }
        working_set.load_activity_types(home, ME, activity_types(&["deploy"], 1));
    }
    working_set
}

fn with_balance(balance: i64) -> WorkingSet {
    let mut working_set = working_set();
    working_set.load_account(Account { balance, ..account(HOME) });
    working_set
}

fn bearer(actor: ActorId) -> KeyBearer {
    KeyBearer {
        account: HOME,
        actor,
        role: Role::Member,
        sign_in: None,
        key: KEY,
        auth_epoch: EPOCH,
        ends_at: None,
    }
}

/// A charged write by that bearer.
fn of(bearer: KeyBearer, action: ResourceAction) -> Command {
    let charge = Some(Charge::of(&action, ROUTE));
    Command { charge, ..uncharged(Action::Resource(bearer, action)) }
}

fn uncharged(action: Action) -> Command {
    Command::uncharged(action, now())
}

/// A write by a member. New rows belong to that member.
fn by(actor: ActorId, action: ResourceAction) -> Command {
    of(bearer(actor), naming(actor, action))
}

/// The same action, with new rows that belong to that actor.
fn naming(actor: ActorId, action: ResourceAction) -> ResourceAction {
    match action {
        ResourceAction::StartSession { uid, notes, .. } => {
            ResourceAction::StartSession { actor, uid, notes }
        }
        ResourceAction::CreateTodo { uid, new } => {
            ResourceAction::CreateTodo { uid, new: NewTodo { actor: Some(actor), ..new } }
        }
        ResourceAction::CreateTodos(new) => {
            let new = new.try_map(|_, (uid, new)| {
                Ok::<_, Refusal>((uid, NewTodo { actor: Some(actor), ..new }))
            });
            ResourceAction::CreateTodos(new.unwrap())
        }
        ResourceAction::LogActivity { uid, new } => {
            ResourceAction::LogActivity { uid, new: NewActivity { actor: Some(actor), ..new } }
        }
        other => other,
    }
}

fn mine(action: ResourceAction) -> Command {
    by(ME, action)
}

fn program(action: SystemAction) -> Command {
    uncharged(Action::System(action))
}

fn by_command_line(action: OperatorAction) -> Command {
    uncharged(Action::Operate(Operator::CommandLine, action))
}

/// The bearer of the key that a command was sent with.
#[track_caller]
fn bearer_of(command: &mut Command) -> &mut KeyBearer {
    match &mut command.action {
        Action::Resource(bearer, _)
        | Action::Manage(bearer, _)
        | Action::Transfer(bearer, _)
        | Action::Operate(Operator::Key(bearer), _) => bearer,
        other => panic!("{other:?} is of no key"),
    }
}

/// The same command of another bearer.
#[track_caller]
fn borne_by(bearer: KeyBearer, mut command: Command) -> Command {
    *bearer_of(&mut command) = bearer;
    command
}

fn start() -> ResourceAction {
    ResourceAction::StartSession { actor: ME, uid: uid(1), notes: Some(sealed("started")) }
}

fn resealed(text: &str, same_as: Option<&str>) -> Resealed {
    Resealed { sealed: sealed(text), same_as: same_as.map(sealed) }
}

fn patch_session(id: SessionId, patch: SessionPatch<Resealed>) -> ResourceAction {
    ResourceAction::PatchSession(RowPatch { id, sealed_for: None, patch })
}

fn end(id: SessionId) -> ResourceAction {
    let status = Some(SessionStatusKind::Ended);
    patch_session(id, SessionPatch { status, notes: Patch::Keep })
}

fn draft(session: Option<SessionId>) -> NewTodo<Sealed> {
    NewTodo {
        actor: Some(ME),
        content: TodoContent {
            session,
            title: sealed("new title"),
            description: None,
            priority: priority(3),
            due_at: Some(at(7)),
        },
    }
}

fn new_todo(session: Option<SessionId>) -> ResourceAction {
    ResourceAction::CreateTodo { uid: uid(2), new: draft(session) }
}

/// A new todo for each of these sessions.
fn new_todos<const N: usize>(sessions: [Option<SessionId>; N]) -> ResourceAction {
    let new = (70..).map(uid).zip(sessions.map(draft));
    ResourceAction::CreateTodos(NewTodos::new(new.collect()).unwrap())
}

fn patch_todo(id: TodoId, patch: TodoPatch<Resealed>) -> ResourceAction {
    ResourceAction::PatchTodo {
        row: RowPatch { id, sealed_for: None, patch },
        log_uid: uid(4),
        claim_token: None,
    }
}

fn step(id: TodoId, to: TodoStatus) -> ResourceAction {
    patch_todo(id, TodoPatch { status: Some(to), ..TodoPatch::EMPTY })
}

fn log(label: &str, session: Option<SessionId>) -> ResourceAction {
    let new = NewActivity {
        actor: Some(ME),
        session,
        activity_type: activity_type(label),
        description: sealed("reviewed"),
        logged_at: None,
    };
    ResourceAction::LogActivity { uid: uid(3), new }
}

fn founding(id: AccountId) -> NewAccount {
    NewAccount {
        id,
        uid: uid(50),
        name: name("Acme"),
        kind: AccountKind::Customer,
        owner_uid: uid(51),
        owner_name: name("ada"),
        owner_kind: ActorKind::Human,
        key_lookup: LookupHash([1; 32]),
        key_prefix: "roots_3_abc".into(),
        code_lookup: LookupHash([2; 32]),
        wraps: vec![wrap()],
        credits: 25,
        must_be_first: false,
    }
}

fn wrap() -> Wrap {
    Wrap {
        subject: WrapSubject::Account(KeyEpoch::FIRST),
        holder: WrapHolder::ApiKey(NewAccount::KEY),
        sealed: sealed("wrap"),
    }
}

fn found(new: NewAccount) -> SystemAction {
    SystemAction::FoundAccount(new)
}

fn called(account: AccountId, count: i64) -> (Calls, i64) {
    let endpoint = Endpoint { route: "/todos/{id}".to_owned(), method: "GET".to_owned() };
    (Calls { account, day: now().day(), endpoint }, count)
}

fn grant(account: AccountId, amount: i64) -> OperatorAction {
    OperatorAction::GrantCredits { account, amount, note: Some(name("refill")) }
}

fn set_status(account: AccountId, status: AccountStatus) -> OperatorAction {
    OperatorAction::SetAccountStatus { account, status }
}

fn noted(id: i64, event: AuditEvent) -> AuditEntry {
    AuditEntry { id: AuditId(id), event, created_at: now() }
}

/// All observable state of a working set, to check that a refusal changes nothing.
fn stands(working_set: &WorkingSet) -> impl PartialEq + Debug + use<> {
    let accounts: Vec<_> = working_set.accounts.values().map(|row| row.now.clone()).collect();
    let activity_types: BTreeMap<_, _> = working_set
        .activity_types
        .iter()
        .map(|(of, present)| (*of, (present.counts.clone(), present.total)))
        .collect();
    (working_set.directory, accounts, activity_types, working_set.clone().into_write_set())
}

impl WorkingSet {
    /// Decides a command at the time of its request.
    fn decide(&mut self, command: Command) -> Result<Applied, Refusal> {
        let now = command.at;
        self.decide_at(command, now)
    }
}

#[track_caller]
fn assert_refused(working_set: &mut WorkingSet, command: Command, refusal: &Refusal) {
    let before = stands(working_set);
    assert_eq!(working_set.decide(command).as_ref(), Err(refusal));
    assert_eq!(stands(working_set), before, "a refused command moves nothing");
}

#[track_caller]
fn apply(working_set: &mut WorkingSet, action: ResourceAction) -> AppliedRow {
    working_set.decide(mine(action)).unwrap().row
}

fn paid_for(row: AppliedRow, balance: i64) -> Applied {
    Applied { row, cost: 1, balance, is_replay: false }
}

/// The write set of charged writes by `ME`, without their rows. Each wrote the row of that id, by
/// which a todo may have taken a step. `tune` sets the ids that they took.
fn paid(writes: &[(i64, Option<TodoStep>)], tune: impl FnOnce(&mut LastIds)) -> WriteSet {
    let before = account(HOME);
    let commands = i64::try_from(writes.len()).unwrap();
    let mut last_ids = before.last_ids;
    last_ids.ledger += commands;
    tune(&mut last_ids);
    let balance = before.balance - commands;
    let entry = |(number, (id, step)): (i64, &(i64, Option<TodoStep>))| LedgerEntry {
        id: LedgerId(before.last_ids.ledger + number),
        delta: -1,
        balance_after: before.balance - number,
        reason: Reason::ApiWrite,
        endpoint: Some(ROUTE.into()),
        actor: Some(ME),
        note: None,
        subject: Some(Subject { id: *id, actor: Some(ME) }),
        steps: steps(step.map(|step| (ME, now(), step, 1))),
        created_at: now(),
    };
    let taken = |step| {
        let taken = writes.iter().filter(|(_, taken)| *taken == Some(step)).count();
        i64::try_from(taken).unwrap()
    };
    let counts = WorkCounts {
        todos_made: taken(TodoStep::Made),
        todos_done: taken(TodoStep::Moved(TodoStatus::Done)),
        todos_cancelled: taken(TodoStep::Moved(TodoStatus::Cancelled)),
        credits_spent: commands,
        credits_granted: 0,
    };
    WriteSet {
        accounts_changed: vec![Account { balance, last_ids, version: 8, ..before.clone() }],
        ledger: (1..).zip(writes).map(|write| (HOME, entry(write))).collect(),
        counters: counters([(Counter::Ledger(Reason::ApiWrite), commands)]),
        work: work(Some(ME), counts),
        ..WriteSet::default()
    }
}

/// Steps of todos: whose, when, which and how many.
fn steps(all: impl IntoIterator<Item = (ActorId, Timestamp, TodoStep, i64)>) -> Steps {
    let mut steps = Steps::default();
    for (actor, at, step, count) in all {
        let quarter_hour = QuarterHour(at.micros() / 900_000_000);
        steps.add(StepKey { actor, quarter_hour, step }, count);
    }
    steps
}

/// Counts of the present quarter hour.
fn work(
    actor: Option<ActorId>,
    counts: WorkCounts,
) -> BTreeMap<(AccountId, WorkCounter), WorkCounts> {
    let quarter_hour = QuarterHour(now().micros() / 900_000_000);
    BTreeMap::from([((HOME, WorkCounter { quarter_hour, actor }), counts)])
}

/// Counts of granted credits.
fn granted(credits_granted: i64) -> WorkCounts {
    WorkCounts { credits_granted, ..WorkCounts::default() }
}

/// The step of a new todo.
const MADE: Option<TodoStep> = Some(TodoStep::Made);

fn counters<const N: usize>(moves: [(Counter, i64); N]) -> BTreeMap<(AccountId, Counter), i64> {
    moves.into_iter().map(|(counter, moved)| ((HOME, counter), moved)).collect()
}

fn quarter_hours(
    at: Timestamp,
    label: &str,
    moved: i64,
) -> BTreeMap<(AccountId, QuarterHourCounter), i64> {
    let quarter_hour = QuarterHour(at.micros() / 900_000_000);
    let of = QuarterHourCounter { actor: ME, quarter_hour, activity_type: activity_type(label) };
    BTreeMap::from([((HOME, of), moved)])
}

fn inserted<I, T>(row: T) -> Difference<I, T> {
    Difference { inserted: vec![(HOME, row)], ..Difference::default() }
}

fn updated<I, T>(row: T) -> Difference<I, T> {
    Difference { updated: vec![(HOME, row)], ..Difference::default() }
}

fn deleted<I, T>(id: I) -> Difference<I, T> {
    Difference { deleted: vec![(HOME, id)], ..Difference::default() }
}

impl WriteSet {
    fn and_counters<const N: usize>(mut self, moves: [(Counter, i64); N]) -> Self {
        self.counters.extend(counters(moves));
        self
    }
}
