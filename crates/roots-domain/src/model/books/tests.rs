//! Each unit is answered exactly, changes exactly what it says, and moves nothing when it is refused.

use std::fmt::Debug;

use uuid::Uuid;

use super::super::Patch;
use super::super::account::{AccountKind, ActorKind, Role};
use super::super::id::{AuditId, LedgerId, LogId, RecoveryId, Uid};
use super::super::key::{LookupHash, WrapHolder, WrapSubject};
use super::super::text::Name;
use super::super::time::Quarter;
use super::super::todo::Priority;
use super::super::unit::{Charge, Conditions};
use super::super::usage::Endpoint;
use super::*;

mod accounts;
mod activities;
mod admission;
mod auditor;
mod batches;
mod conditions;
mod erasures;
mod idempotency;
mod imports;
mod keys;
mod needs;
mod operators;
mod owner;
mod precedence;
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

/// When every unit is asked for, unless a test says otherwise: on the third day.
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

fn kind(text: &str) -> ActivityType {
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
        key_epoch: KeyEpoch::FIRST,
        counters: Counters {
            actor: 2,
            key: 2,
            recovery: 1,
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
    let has_ended = id == ENDED;
    Session {
        id,
        uid: uid(100),
        actor: if id == OF_PEER { PEER } else { ME },
        status: if has_ended { SessionStatus::Ended } else { SessionStatus::Active },
        notes: Some(sealed("notes")),
        started_at: at(10),
        ended_at: has_ended.then_some(at(20)),
        version: 1,
    }
}

fn todo(id: TodoId) -> Todo<Sealed> {
    Todo {
        id,
        uid: uid(200),
        actor: if id == TODO_OF_PEER { PEER } else { ME },
        session: (id == TODO).then_some(ACTIVE),
        title: sealed("title"),
        description: Some(sealed("description")),
        status: TodoStatus::Open,
        priority: priority(2),
        due_at: Some(at(900)),
        created_at: at(30),
        updated_at: at(30),
        version: 4,
    }
}

fn activity(id: ActivityId) -> Activity<Sealed> {
    Activity {
        id,
        uid: uid(300),
        actor: if id == ACTIVITY_OF_PEER { PEER } else { ME },
        session: Some(ACTIVE),
        activity_type: kind("deploy"),
        description: sealed("deployed"),
        logged_at: at(DAY_SECONDS + 5),
        created_at: at(2 * DAY_SECONDS),
        version: 1,
    }
}

fn kinds(present: &[&str], total: i64) -> Kinds {
    Kinds { counts: present.iter().map(|label| (kind(label), 1)).collect(), total }
}

/// Two accounts alike, each with rows of two actors.
fn books() -> Books {
    let mut books = Books::default();
    books.load_directory(Directory { last_account: 2, accounts: 2 });
    for home in [HOME, ABROAD] {
        books.load_account(account(home));
        for id in [ACTIVE, ENDED, OF_PEER] {
            books.load_session(home, session(id));
        }
        for id in [TODO, TODO_OF_PEER] {
            books.load_todo(home, todo(id));
        }
        for id in [ACTIVITY, ACTIVITY_OF_PEER] {
            books.load_activity(home, activity(id));
        }
        books.load_kinds(home, ME, kinds(&["deploy"], 1));
    }
    books
}

fn with_balance(balance: i64) -> Books {
    let mut books = books();
    books.load_account(Account { balance, ..account(HOME) });
    books
}

fn bearer(actor: ActorId) -> KeyBearer {
    KeyBearer {
        account: HOME,
        actor,
        role: Role::Member,
        key: KEY,
        auth_epoch: EPOCH,
        ends_at: None,
    }
}

/// A member's unit. What it makes is its own.
fn by(actor: ActorId, intent: Intent) -> UnitOfWork {
    let charge = Some(Charge::write(ROUTE));
    let intent = naming(actor, intent);
    UnitOfWork {
        author: Author::Key(bearer(actor)),
        intent,
        charge,
        conditions: Conditions::default(),
        at: now(),
    }
}

/// The same, but what it makes is that actor's.
fn naming(actor: ActorId, intent: Intent) -> Intent {
    match intent {
        Intent::StartSession { uid, notes, .. } => Intent::StartSession { actor, uid, notes },
        Intent::CreateTodo(new) => Intent::CreateTodo(NewTodo { actor, ..new }),
        Intent::LogActivity(new) => Intent::LogActivity(NewActivity { actor, ..new }),
        other => other,
    }
}

fn mine(intent: Intent) -> UnitOfWork {
    by(ME, intent)
}

fn program(intent: Intent) -> UnitOfWork {
    UnitOfWork {
        author: Author::Program,
        intent,
        charge: None,
        conditions: Conditions::default(),
        at: now(),
    }
}

fn start() -> Intent {
    Intent::StartSession { actor: ME, uid: uid(1), notes: Some(sealed("started")) }
}

fn resealed(text: &str, same_as: Option<&str>) -> Resealed {
    Resealed { sealed: sealed(text), same_as: same_as.map(sealed) }
}

fn patch_session(id: SessionId, patch: SessionPatch<Resealed>) -> Intent {
    Intent::PatchSession(RowPatch { id, sealed_for: None, patch })
}

fn end(id: SessionId) -> Intent {
    let status = Some(SessionStatus::Ended);
    patch_session(id, SessionPatch { status, notes: Patch::Keep })
}

fn new_todo(session: Option<SessionId>) -> Intent {
    Intent::CreateTodo(NewTodo {
        actor: ME,
        uid: uid(2),
        session,
        title: sealed("new title"),
        description: None,
        priority: priority(3),
        due_at: Some(at(7)),
    })
}

fn patch_todo(id: TodoId, patch: TodoPatch<Resealed>) -> Intent {
    Intent::PatchTodo { row: RowPatch { id, sealed_for: None, patch }, log_uid: uid(4) }
}

fn step(id: TodoId, to: TodoStatus) -> Intent {
    patch_todo(id, TodoPatch { status: Some(to), ..TodoPatch::EMPTY })
}

fn log(label: &str, session: Option<SessionId>) -> Intent {
    Intent::LogActivity(NewActivity {
        actor: ME,
        uid: uid(3),
        session,
        activity_type: kind(label),
        description: sealed("reviewed"),
        logged_at: None,
    })
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

fn found(new: NewAccount) -> Intent {
    Intent::FoundAccount(Box::new(new))
}

fn called(account: AccountId, count: i64) -> (Calls, i64) {
    let endpoint = Endpoint { route: "/todos/{id}".to_owned(), method: "GET".to_owned() };
    (Calls { account, day: now().day(), endpoint }, count)
}

fn grant(account: AccountId, amount: i64) -> Intent {
    Intent::GrantCredits { account, amount, note: Some(name("refill")) }
}

fn set_status(account: AccountId, status: AccountStatus) -> Intent {
    Intent::SetAccountStatus { account, status }
}

fn noted(id: i64, deed: Deed) -> TrailEntry {
    TrailEntry { id: AuditId(id), deed, created_at: now() }
}

/// All that can be told of books: a refusal leaves it as it was.
fn stands(books: &Books) -> impl PartialEq + Debug + use<> {
    let accounts: Vec<_> = books.accounts.values().map(|row| row.now.clone()).collect();
    let kinds: BTreeMap<_, _> =
        books.kinds.iter().map(|(of, kinds)| (*of, (kinds.counts.clone(), kinds.total))).collect();
    (books.directory, accounts, kinds, books.clone().into_changes())
}

impl Books {
    /// Decides a unit as soon as it is asked for.
    fn decide(&mut self, unit: UnitOfWork) -> Result<Applied, Refusal> {
        let now = unit.at;
        self.decide_at(unit, now)
    }
}

#[track_caller]
fn assert_refused(books: &mut Books, unit: UnitOfWork, refusal: &Refusal) {
    let before = stands(books);
    assert_eq!(books.decide(unit).as_ref(), Err(refusal));
    assert_eq!(stands(books), before, "a refused unit moves nothing");
}

#[track_caller]
fn apply(books: &mut Books, intent: Intent) -> AppliedRow {
    books.decide(mine(intent)).unwrap().row
}

fn paid_for(row: AppliedRow, balance: i64) -> Applied {
    Applied { row, cost: 1, balance, is_replay: false }
}

/// What so many paid writes of mine leave, whatever they write; `tune` gives the ids they took.
fn paid(units: i64, tune: impl FnOnce(&mut Counters)) -> Changes {
    let before = account(HOME);
    let mut counters = before.counters;
    counters.ledger += units;
    tune(&mut counters);
    let balance = before.balance - units;
    let entry = |number: i64| LedgerEntry {
        id: LedgerId(before.counters.ledger + number),
        delta: -1,
        balance_after: before.balance - number,
        reason: Reason::ApiWrite,
        endpoint: Some(ROUTE.into()),
        actor: Some(ME),
        note: None,
        created_at: now(),
    };
    Changes {
        accounts_changed: vec![Account { balance, counters, version: 8, ..before.clone() }],
        ledger: (1..=units).map(|number| (HOME, entry(number))).collect(),
        tallies: tallies([(Tally::Ledger(Reason::ApiWrite), units)]),
        ..Changes::default()
    }
}

fn tallies<const N: usize>(moves: [(Tally, i64); N]) -> BTreeMap<(AccountId, Tally), i64> {
    moves.into_iter().map(|(tally, moved)| ((HOME, tally), moved)).collect()
}

fn quarters(at: Timestamp, label: &str, moved: i64) -> BTreeMap<(AccountId, Quarterly), i64> {
    let quarter = Quarter(at.micros() / 900_000_000);
    let of = Quarterly { actor: ME, quarter, activity_type: kind(label) };
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

impl Changes {
    fn and_tallies<const N: usize>(mut self, moves: [(Tally, i64); N]) -> Self {
        self.tallies.extend(tallies(moves));
        self
    }
}
