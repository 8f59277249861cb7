//! What the services ask of the ports, and what they make of the answers.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use uuid::Uuid;

use super::access::Caller;
use super::outcome::{ReadError, WriteError, Written};
use super::write::{Preconditions, Writes};
use crate::command::{
    Action, Applied, AppliedRow, Charge, Command, Operator, OperatorAction, Refusal,
    ResourceAction, SystemAction, TransferAction,
};
use crate::model::account::{Account, AccountKind, AccountStatus, Actor, ActorKind, LastIds, Role};
use crate::model::api_key::KeyEpoch;
use crate::model::bearer::KeyBearer;
use crate::model::id::{AccountId, ActorId, KeyId, SessionId, Uid};
use crate::model::page::{Page, PageRequest};
use crate::model::quota::Renewals;
use crate::model::sealed::{Field, Sealed, TextPlace};
use crate::model::session::{ListedSession, Session};
use crate::model::text::{LongText, Name};
use crate::model::time::Timestamp;
use crate::model::todo::{ListedTodo, Todo};
use crate::port::clock::{MockClock, MockUids};
use crate::port::crypto::{AccountIdentity, CryptoError, MockKeyring};
use crate::port::store::{
    Admission, ApplyError, HeldActor, KeyAccount, MockAccountReader, MockCommandStore, StoreError,
};

mod access;
mod accounts;
mod activities;
mod dashboard;
mod events;
mod exports;
mod idempotency;
mod idle_sessions;
mod imports;
mod key_usage;
mod keyrings;
mod keys;
mod leftovers;
mod many_todos;
mod owner;
mod recovery;
mod search;
mod sessions;
mod sign_ins;
mod todos;
mod usage;

const HOME: AccountId = AccountId(1);
const ME: ActorId = ActorId(1);
const PEER: ActorId = ActorId(2);
const KEY: KeyId = KeyId(3);
const EPOCH: i64 = 4;
/// The admission that the caller's reads are checked against.
const BY: Admission = Admission { account: HOME, auth_epoch: Some(EPOCH) };
/// The balance that the store reports after a write.
const LEFT: i64 = 41;

const PAGE: PageRequest = PageRequest::skipping(4, 2);

/// The outcome of a future that must not wait.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => panic!("the ports of a test answer at once"),
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::FIRST.plus_seconds(seconds)
}

fn now() -> Timestamp {
    at(1_000)
}

fn uid(number: u128) -> Uid {
    Uid(Uuid::from_u128(number))
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn long(text: &str) -> LongText {
    LongText::parse(text).unwrap()
}

fn writes(commands: Arc<MockCommandStore>, accounts: Arc<MockAccountReader>) -> Writes {
    Writes { commands, accounts, clock: clock() }
}

fn clock() -> Arc<MockClock> {
    let mut clock = MockClock::new();
    clock.expect_now().returning(now);
    Arc::new(clock)
}

/// Uids that count up from `first`.
fn uids(first: u128) -> Arc<MockUids> {
    let mut uids = MockUids::new();
    let mut next = first;
    uids.expect_next().returning_st(move || {
        next += 1;
        uid(next - 1)
    });
    Arc::new(uids)
}

/// The ciphertext of `text` at that place. `when` counts the seals; 0 stands for a stored text.
fn cipher(field: Field, row: Uid, when: u64, text: &str) -> Sealed {
    Sealed(format!("{field:?}|{row}|{when}|{text}").into())
}

/// The ciphertext that the store has at that place.
fn stored(field: Field, row: Uid, text: &str) -> Sealed {
    cipher(field, row, 0, text)
}

/// A ciphertext that no keyring opens.
fn damaged() -> Sealed {
    sealed("damaged")
}

fn sealed(bytes: &str) -> Sealed {
    Sealed(bytes.into())
}

/// The same ciphertext, sealed with the peer's keys.
fn of_peer(sealed: &Sealed) -> Sealed {
    Sealed([PEERS.as_bytes(), &sealed.0].concat())
}

const PEERS: &str = "peer's ";

/// A keyring whose ciphertexts name their place and seal count. It opens only those of the place.
fn keyring() -> MockKeyring {
    keyring_of("")
}

/// The same for a named actor. It opens only what was sealed by that actor.
fn keyring_of(actor: &'static str) -> MockKeyring {
    let mut keys = in_one_epoch();
    let times = AtomicU64::new(0);
    keys.expect_seal().returning(move |TextPlace { field, row }, text| {
        let sealed = cipher(field, row, times.fetch_add(1, Ordering::Relaxed) + 1, text);
        Ok(Sealed([actor.as_bytes(), &sealed.0].concat()))
    });
    keys.expect_open().returning(move |TextPlace { field, row }, sealed| {
        let text = String::from_utf8(sealed.0.clone()).unwrap();
        let inside = text.strip_prefix(&format!("{actor}{field:?}|{row}|"));
        let opened = inside.and_then(|rest| rest.split_once('|'));
        opened.map(|(_, text)| text.to_owned()).ok_or(CryptoError::DoesNotOpen)
    });
    keys
}

/// A keyring with only the current epoch.
fn in_one_epoch() -> MockKeyring {
    let mut keys = MockKeyring::new();
    keys.expect_epoch().returning(|| KeyEpoch(3));
    keys.expect_epoch_of().returning(|_| Some(KeyEpoch(3)));
    keys.expect_lacks().returning(|_| false);
    keys
}

/// A caller whose keyring can't seal, because there is no randomness.
fn sealing_nothing() -> Caller {
    let mut keys = in_one_epoch();
    keys.expect_seal().returning(|_, _| Err(CryptoError::NoRandomness));
    Caller { keys: Arc::new(keys), ..caller() }
}

fn caller() -> Caller {
    let account = account();
    Caller {
        account: AccountIdentity { id: account.id, uid: account.uid, epoch: account.key_epoch },
        account_name: account.name,
        account_kind: account.kind,
        actor: actor(ME),
        sign_in: None,
        key: KEY,
        auth_epoch: EPOCH,
        ends_at: None,
        keys: Arc::new(keyring()),
    }
}

/// The owner of the account, whose keyring leads to the peer's.
fn owner() -> Caller {
    let mut keys = keyring();
    keys.expect_for_actor().returning(|actor, _| {
        assert_eq!(actor.id, PEER);
        Ok(Arc::new(keyring_of(PEERS)))
    });
    let actor = Actor { role: Role::Owner, ..actor(ME) };
    Caller { actor, keys: Arc::new(keys), ..caller() }
}

/// A reader that fails the test when it is asked for another actor's keys.
fn no_others() -> Arc<MockAccountReader> {
    Arc::new(MockAccountReader::new())
}

/// A reader that is asked only for the peer's keys.
fn others(found: Result<Vec<HeldActor>, StoreError>) -> Arc<MockAccountReader> {
    let mut reader = MockAccountReader::new();
    let asked = reader.expect_held_actors().times(1..);
    asked.withf(|_, actors| actors == [PEER]).returning(move |_, _| found.clone());
    Arc::new(reader)
}

fn the_peer() -> Arc<MockAccountReader> {
    others(Ok(vec![HeldActor { actor: actor(PEER), wraps: Vec::new() }]))
}

fn account() -> Account {
    Account {
        id: HOME,
        uid: uid(90),
        name: name("Home"),
        kind: AccountKind::Customer,
        status: AccountStatus::Active,
        balance: LEFT,
        auth_epoch: EPOCH,
        sign_in_epoch: 0,
        key_epoch: KeyEpoch(2),
        last_ids: LastIds::default(),
        keys: 2,
        created_at: at(1),
        version: 1,
    }
}

fn key_account() -> KeyAccount {
    let Account { id, uid, name, kind, auth_epoch, key_epoch, .. } = account();
    KeyAccount { id, uid, name, kind, auth_epoch, key_epoch }
}

fn actor(id: ActorId) -> Actor {
    Actor {
        id,
        uid: uid(91),
        name: name("ada"),
        kind: ActorKind::Agent,
        role: Role::Member,
        is_active: true,
        key_epoch: KeyEpoch(3),
        renewals: Renewals::NONE,
        created_at: at(1),
    }
}

/// The command that a store was given.
#[derive(Clone, Default)]
struct SentCommand(Arc<Mutex<Option<Command>>>);

impl SentCommand {
    fn command(&self) -> Command {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone().expect("a command was sent")
    }

    /// The action of a member's command, which must be charged at that route.
    #[track_caller]
    fn action(&self, endpoint: &'static str) -> ResourceAction {
        self.action_as(Role::Member, endpoint)
    }

    #[track_caller]
    fn action_as(&self, role: Role, endpoint: &'static str) -> ResourceAction {
        let command = self.command();
        let bearer = KeyBearer {
            account: HOME,
            actor: ME,
            role,
            sign_in: None,
            key: KEY,
            auth_epoch: EPOCH,
            ends_at: None,
        };
        let Action::Resource(_, action) = &command.action else { panic!("{:?}", command.action) };
        let action = action.clone();
        let charge = Some(Charge::of(&action, endpoint));
        let asked = Command::uncharged(Action::Resource(bearer, action.clone()), now());
        assert_eq!(command, Command { charge, ..asked });
        action
    }
}

/// A store that is given exactly one command and returns `answer`.
fn commands(answer: Result<AppliedRow, ApplyError>) -> (Arc<MockCommandStore>, SentCommand) {
    let (mut commands, sent) = (MockCommandStore::new(), SentCommand::default());
    let seen = sent.clone();
    commands.expect_apply().times(1).returning(move |command| {
        *seen.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(command);
        answer.clone().map(|row| Applied { row, cost: 1, balance: LEFT, is_replay: false })
    });
    (Arc::new(commands), sent)
}

/// A store that fails the test when it is given a command.
fn no_commands() -> Arc<MockCommandStore> {
    Arc::new(MockCommandStore::new())
}

fn written<T>(value: T) -> Written<T> {
    Written { value, cost: 1, balance: LEFT, is_replay: false }
}

/// The todo in a list.
fn listed_todo<T>(todo: Todo<T>) -> ListedTodo<T> {
    ListedTodo { todo, until: None }
}

/// The session in a list.
fn listed<T>(session: Session<T>) -> ListedSession<T> {
    ListedSession { last_active_at: session.started_at, session }
}

fn page<T>(items: Vec<T>) -> Page<T> {
    Page { items, total: 7, request: PAGE, next: None }
}

fn away() -> StoreError {
    StoreError::Unavailable("gone fishing".into())
}

fn unreadable(what: &'static str, id: i64) -> ReadError {
    ReadError::Unreadable { what, id }
}

fn saved_unreadable(what: &'static str, id: i64) -> WriteError {
    WriteError::SavedUnreadable { what, id, cost: 1, balance: LEFT }
}

/// Every error of a store, and the error that a service makes of it.
fn failures() -> Vec<(ApplyError, WriteError)> {
    let refusal = Refusal::InsufficientCredits { balance: 0, cost: 1 };
    let errors = [
        away(),
        StoreError::Busy,
        StoreError::OutcomeUnknown("cut off".into()),
        StoreError::Broken("odd".into()),
    ];
    let errors = errors.map(|error| (ApplyError::Store(error.clone()), WriteError::Store(error)));
    let refused = (ApplyError::Refused(refusal.clone()), WriteError::Refused(refusal));
    errors.into_iter().chain([refused]).collect()
}

#[track_caller]
fn assert_mismatched<T: std::fmt::Debug>(answer: Result<T, WriteError>) {
    let error = answer.expect_err("a row of another kind is no answer");
    assert!(matches!(error, WriteError::Store(StoreError::Broken(_))), "{error:?}");
}

#[test]
fn service_errors_say_what_is_wrong_and_what_is_still_possible() {
    let unreadable = unreadable("todo", 7).to_string();
    assert_eq!(
        unreadable,
        "The text of todo 7 can't be read. It can still be deleted or overwritten."
    );
    let saved = saved_unreadable("session", 2).to_string();
    assert_eq!(
        saved,
        "The change was saved, but another text of session 2 can't be read. \
         It can still be deleted or overwritten."
    );
    assert_eq!(
        WriteError::EmptyPatch.to_string(),
        "The patch changes nothing: name at least one field."
    );
    let ended = Refusal::SessionEnded(SessionId(2));
    assert_eq!(WriteError::Refused(ended.clone()).to_string(), ended.to_string());
}
