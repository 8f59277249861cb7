//! What an export contains, in which order, and when it stops.

use super::*;
use crate::model::account::LastIds;
use crate::model::activity::Activity;
use crate::model::api_key::{KeyStatus, KeyValidity, LookupHash};
use crate::model::claim::Claims;
use crate::model::id::{ActivityId, LogId, TodoId};
use crate::model::session::{Session, SessionStatus};
use crate::model::text::ActivityType;
use crate::model::todo::{StatusChange, Todo, TodoContent, TodoStatus};
use crate::port::archive::{CHUNK_MAX_ROWS, ExportChunk, ExportScope, MockArchiveReader};
use crate::port::crypto::{Lookup, LookupKind, MockLocksmith};
use crate::port::store::{Credentials, KeyAccount, MockAccountReader, StoreResult};
use crate::service::access::Access;
use crate::service::exports::{Export, Exports, Record};

const LOOKUP: Lookup =
    Lookup { account: HOME, hash: LookupHash([7; 32]), kind: LookupKind::ApiKey };
const GIVEN: LastIds =
    LastIds { actor: 2, key: 3, recovery: 1, session: 5, todo: 900, activity: 9, log: 900, ..ZERO };
const ZERO: LastIds = LastIds {
    actor: 0,
    key: 0,
    recovery: 0,
    sign_in: 0,
    session: 0,
    todo: 0,
    activity: 0,
    log: 0,
    ledger: 0,
    audit: 0,
};

fn whole_of(actor: Option<ActorId>) -> ExportScope {
    ExportScope { account: HOME, actor, given: GIVEN }
}

fn row(number: i64) -> Uid {
    uid(u128::from(number.unsigned_abs()))
}

fn session(id: i64) -> Session<Sealed> {
    Session {
        id: SessionId(id),
        uid: row(id),
        actor: ME,
        status: SessionStatus::Active,
        notes: Some(stored(Field::SessionNotes, row(id), "notes")),
        started_at: at(1),
        version: 1,
    }
}

fn todo(id: i64, status: TodoStatus) -> Todo<Sealed> {
    Todo {
        id: TodoId(id),
        uid: row(id),
        actor: ME,
        content: TodoContent::titled(stored(Field::TodoTitle, row(id), "title")),
        status,
        claims: Claims::NONE,
        created_at: at(1),
        updated_at: at(2),
        status_since: at(2),
        version: 1,
    }
}

fn step(todo: i64, id: i64, old: TodoStatus, new: TodoStatus) -> StatusChange<Sealed> {
    StatusChange {
        id: LogId(id),
        uid: row(id),
        todo: TodoId(todo),
        old_status: old,
        new_status: new,
        note: Some(stored(Field::LogNote, row(id), "note")),
        logged_at: at(3),
    }
}

fn activity(id: i64) -> Activity<Sealed> {
    Activity {
        id: ActivityId(id),
        uid: row(id),
        actor: ME,
        session: None,
        activity_type: ActivityType::default(),
        description: stored(Field::ActivityDescription, row(id), "text"),
        logged_at: at(1),
        created_at: at(1),
        version: 1,
    }
}

#[expect(clippy::unnecessary_wraps, reason = "what the reader answers")]
fn chunk<T>(rows: Vec<T>, next: Option<i64>) -> StoreResult<ExportChunk<T>> {
    Ok(ExportChunk { rows, next })
}

/// An account whose key stays in force.
fn accounts() -> MockAccountReader {
    let mut accounts = MockAccountReader::new();
    accounts.expect_account().returning(|_| Ok(Some(Account { last_ids: GIVEN, ..account() })));
    accounts.expect_actors().returning(|_| {
        let peer = Actor { role: Role::Member, ..actor(PEER) };
        Ok(vec![actor(ME), peer])
    });
    accounts.expect_credentials().returning(|_| Ok(Some(credentials())));
    accounts.expect_check().returning(|_| Ok(()));
    accounts
}

fn credentials() -> Credentials {
    let key = KeyValidity {
        id: KEY,
        expires_at: None,
        status: KeyStatus::Current,
        succession: None,
        first_used_at: None,
    };
    Credentials { account: key_account(), actor: actor(ME), key, sign_in: None, wraps: Vec::new() }
}

/// An archive without rows.
fn empty() -> MockArchiveReader {
    let mut archive = MockArchiveReader::new();
    archive.expect_sessions_after().returning(|_, _| chunk(vec![], None));
    archive.expect_todos_after().returning(|_, _| chunk(vec![], None));
    archive.expect_activities_after().returning(|_, _| chunk(vec![], None));
    archive
}

fn exports(accounts: MockAccountReader, archive: MockArchiveReader) -> Exports {
    exports_at(accounts, archive, clock())
}

fn exports_at(
    accounts: MockAccountReader,
    archive: MockArchiveReader,
    clock: Arc<MockClock>,
) -> Exports {
    let locksmith = Arc::new(MockLocksmith::new());
    // The only command of an export is the audit entry of an owner's export.
    let mut commands = MockCommandStore::new();
    commands.expect_apply().returning(|command| {
        let is_note =
            matches!(command.action, Action::Transfer(_, TransferAction::NoteExport { .. }));
        assert!(is_note, "{:?}", command.action);
        let row = AppliedRow::Account(Box::new(account()));
        Ok(Applied { row, cost: 0, balance: LEFT, is_replay: false })
    });
    let access =
        Access { locksmith, reader: Arc::new(accounts), commands: Arc::new(commands), clock };
    Exports { access, reader: Arc::new(archive) }
}

fn begin(exports: &Exports, caller: Caller, actor: Option<ActorId>) -> Result<Export, ReadError> {
    ready(exports.begin(Arc::new(caller), LOOKUP, actor))
}

/// All records of an export except the actors.
fn records_of(exports: &Exports) -> Result<Vec<Record>, ReadError> {
    let mut export = begin(exports, owner(), None).unwrap();
    let mut records = Vec::new();
    while let Some(more) = ready(export.next())? {
        records.extend(more);
    }
    records.retain(|record| !matches!(record, Record::Actor(_)));
    Ok(records)
}

/// A short form of each record: its kind and id, and for a todo its first status.
fn brief(records: &[Record]) -> Vec<String> {
    let one = |record: &Record| match record {
        Record::Actor(actor) => format!("actor {}", actor.id),
        Record::Session(session) => format!("session {}", session.id),
        Record::Todo(todo, first) => format!("todo {} from {}", todo.id, first.name()),
        Record::Step(_, step) => format!("step {} of {}", step.id, step.todo),
        Record::Activity(activity) => format!("activity {}", activity.id),
    };
    records.iter().map(one).collect()
}

#[test]
fn an_owner_can_export_the_account_and_a_member_only_itself() {
    let member = |id| {
        let actor = Actor { role: Role::Member, ..actor(id) };
        Caller { actor, ..caller() }
    };
    for (caller, asked, walked) in [
        (owner(), None, None),
        (owner(), Some(PEER), Some(PEER)),
        (member(PEER), None, Some(PEER)),
        (member(PEER), Some(PEER), Some(PEER)),
    ] {
        let mut archive = MockArchiveReader::new();
        let sessions = archive.expect_sessions_after().times(1);
        sessions
            .withf(move |of, after| *of == whole_of(walked) && after.is_none())
            .returning(|_, _| chunk(vec![], None));
        let exports = exports(accounts(), archive);
        let mut export = begin(&exports, caller, asked).unwrap();
        let header = export.header();
        assert_eq!((header.actor, header.at, header.account.id), (walked, now(), HOME));
        let actors = ready(export.next()).unwrap().unwrap();
        assert_eq!(actors.len(), if walked.is_some() { 1 } else { 2 });
        ready(export.next()).unwrap().unwrap();
    }
    let refused = begin(&exports(accounts(), empty()), member(PEER), Some(ME));
    assert_eq!(refused.err(), Some(Refusal::OwnerOnly.into()));
}

#[test]
fn an_owners_export_is_audited_before_the_first_chunk_and_a_members_is_not() {
    let member = Caller { actor: Actor { role: Role::Member, ..actor(ME) }, ..caller() };
    for (caller, actor, answer, expected) in [
        (owner(), None, Ok(()), Ok(None)),
        (owner(), Some(PEER), Ok(()), Ok(None)),
        // An owner can export even if the audit entry can't be written, as on a full disk.
        (owner(), None, Err(away().into()), Ok(Some(away()))),
        (
            owner(),
            None,
            Err(Refusal::KeyNotInForce.into()),
            Err(ReadError::Refused(Refusal::KeyNotInForce)),
        ),
    ] {
        let row = AppliedRow::Account(Box::new(account()));
        let (commands, sent) = commands(answer.map(|()| row));
        let mut exports = exports(accounts(), empty());
        exports.access.commands = commands;
        let bearer = caller.bearer();
        let begun = begin(&exports, caller, actor);
        assert_eq!(begun.map(|export| export.unnoted().cloned()), expected);
        let action = Action::Transfer(bearer, TransferAction::NoteExport { actor });
        assert_eq!(sent.command(), Command::uncharged(action, now()));
    }
    let mut exports = exports(accounts(), empty());
    exports.access.commands = no_commands();
    assert!(begin(&exports, member, None).is_ok());
}

#[test]
fn an_export_continues_past_empty_chunks() {
    let mut archive = MockArchiveReader::new();
    archive.expect_sessions_after().returning(|_, after| match after {
        None => chunk(vec![session(1), session(2)], Some(2)),
        Some(2) => chunk(vec![], Some(4)),
        _ => chunk(vec![session(5)], None),
    });
    archive.expect_todos_after().returning(|_, after| match after {
        None => chunk(vec![], Some(700)),
        _ => chunk(vec![todo(800, TodoStatus::Open)], None),
    });
    archive.expect_steps_of().returning(|_, _, _| Ok(vec![]));
    archive.expect_activities_after().returning(|_, after| match after {
        None => chunk(vec![activity(3)], Some(3)),
        _ => chunk(vec![activity(9)], None),
    });
    let records = records_of(&exports(accounts(), archive)).unwrap();
    assert_eq!(
        brief(&records),
        ["session 1", "session 2", "session 5", "todo 800 from open", "activity 3", "activity 9"]
    );
}

#[test]
fn a_todo_is_exported_before_its_log_however_long_the_log_is() {
    use TodoStatus::{Done, InProgress, Open};
    let mut archive = MockArchiveReader::new();
    archive.expect_sessions_after().returning(|_, _| chunk(vec![], None));
    archive.expect_activities_after().returning(|_, _| chunk(vec![], None));
    // The third todo was done between the reads of todos and of logs.
    archive.expect_todos_after().times(1).returning(|_, _| {
        chunk(vec![todo(1, Open), todo(2, InProgress), todo(3, Open), todo(4, Open)], None)
    });
    let full = i64::from(CHUNK_MAX_ROWS);
    let long: Vec<_> = (1..=full)
        .map(|id| if id % 2 == 1 { step(2, id, Open, Done) } else { step(2, id, Done, Open) })
        .collect();
    let ids = |ids: &[i64]| ids.iter().copied().map(TodoId).collect::<Vec<_>>();
    let logs = archive.expect_steps_of().times(1);
    logs.withf(move |_, todos, after| *todos == ids(&[1, 2, 3, 4]) && after.is_none())
        .return_once(|_, _, _| Ok(long));
    let logs = archive.expect_steps_of().times(1);
    logs.withf(move |_, todos, after| {
        *todos == ids(&[2, 3, 4]) && *after == Some((TodoId(2), LogId(full)))
    })
    .return_once(move |_, _, _| {
        Ok(vec![step(2, full + 1, Open, InProgress), step(3, full + 2, Open, Done)])
    });
    let records = brief(&records_of(&exports(accounts(), archive)).unwrap());
    let mut expected = vec!["todo 1 from open".to_owned(), "todo 2 from open".to_owned()];
    expected.extend((1..=full + 1).map(|id| format!("step {id} of 2")));
    expected.extend(["todo 3 from open".to_owned(), format!("step {} of 3", full + 2)]);
    expected.push("todo 4 from open".to_owned());
    assert_eq!(records, expected);
}

#[test]
fn an_export_drops_links_to_sessions_newer_than_its_header() {
    let mut archive = MockArchiveReader::new();
    archive.expect_sessions_after().returning(|_, _| chunk(vec![], None));
    let linked = |id, session| todo(id, TodoStatus::Open).linked_to(Some(SessionId(session)));
    archive
        .expect_todos_after()
        .returning(move |_, _| chunk(vec![linked(1, 5), linked(2, 6)], None));
    archive.expect_steps_of().returning(|_, _, _| Ok(vec![]));
    let linked = |id, session| Activity { session: Some(SessionId(session)), ..activity(id) };
    archive
        .expect_activities_after()
        .returning(move |_, _| chunk(vec![linked(1, 5), linked(2, 6)], None));
    let records = records_of(&exports(accounts(), archive)).unwrap();
    let links: Vec<_> = records
        .iter()
        .map(|record| match record {
            Record::Todo(todo, _) => todo.content.session,
            Record::Activity(activity) => activity.session,
            _ => unreachable!("nothing else is there"),
        })
        .collect();
    let five = Some(SessionId(5));
    assert_eq!(links, [five, None, five, None]);
}

#[test]
fn an_unreadable_text_is_exported_as_unreadable_and_does_not_end_the_export() {
    let mut archive = MockArchiveReader::new();
    archive.expect_sessions_after().returning(|_, _| {
        chunk(vec![Session { notes: Some(damaged()), ..session(1) }, session(2)], None)
    });
    archive.expect_todos_after().returning(|_, _| {
        chunk(
            vec![Todo {
                content: TodoContent { title: damaged(), ..todo(1, TodoStatus::Open).content },
                ..todo(1, TodoStatus::Open)
            }],
            None,
        )
    });
    archive.expect_steps_of().returning(|_, _, _| {
        let step = step(1, 1, TodoStatus::Open, TodoStatus::Done);
        Ok(vec![StatusChange { note: Some(damaged()), ..step }])
    });
    archive
        .expect_activities_after()
        .returning(|_, _| chunk(vec![Activity { description: damaged(), ..activity(1) }], None));
    let records = records_of(&exports(accounts(), archive)).unwrap();
    let texts: Vec<_> = records
        .into_iter()
        .map(|record| match record {
            Record::Session(session) => session.notes.unwrap(),
            Record::Todo(todo, _) => todo.content.title,
            Record::Step(_, step) => step.note.unwrap(),
            Record::Activity(activity) => activity.description,
            Record::Actor(_) => unreachable!("left out"),
        })
        .collect();
    let gone = || Err(CryptoError::DoesNotOpen);
    assert_eq!(texts, [gone(), Ok("notes".to_owned()), gone(), gone(), gone()]);
}

#[test]
fn missing_keys_are_reported_at_the_end_and_an_unavailable_database_at_once() {
    let of_peer = || Session { actor: PEER, ..session(1) };
    let broken = || StoreError::Broken("no wrap".into());
    for (answer, expected) in
        [(broken(), vec![Some(Err(CryptoError::WrapMissing))]), (away(), vec![])]
    {
        let mut archive = empty();
        archive.checkpoint();
        archive.expect_sessions_after().returning(move |_, _| chunk(vec![of_peer()], None));
        archive.expect_todos_after().returning(|_, _| chunk(vec![], None));
        archive.expect_activities_after().returning(|_, _| chunk(vec![], None));
        let mut accounts = accounts();
        let error = answer.clone();
        accounts.expect_held_actors().returning(move |_, _| Err(answer.clone()));
        let exports = exports(accounts, archive);
        let mut export = begin(&exports, owner(), None).unwrap();
        let mut notes = Vec::new();
        let end = loop {
            match ready(export.next()) {
                Ok(Some(records)) => notes.extend(records.into_iter().filter_map(|it| match it {
                    Record::Session(session) => Some(session.notes),
                    _ => None,
                })),
                end => break end,
            }
        };
        assert_eq!((notes, end), (expected, Err(ReadError::Store(error))));
    }
}

#[test]
fn an_export_looks_its_key_up_again_after_an_epoch_change_and_at_its_end() {
    // Whether the epoch changes, how often the key is found in force, how many chunks are read, and
    // whether the export is whole.
    for (moves, found, expected, is_whole) in [
        (false, 0, 4, false),
        (false, 1, 4, true),
        (true, 0, 0, false),
        (true, 1, 4, false),
        (true, 2, 4, true),
    ] {
        let mut accounts = MockAccountReader::new();
        accounts.expect_account().returning(|_| Ok(Some(account())));
        accounts.expect_actors().returning(|_| Ok(vec![actor(ME)]));
        let now = EPOCH + i64::from(moves);
        accounts.expect_check().returning(move |by| {
            if by.auth_epoch == Some(now) { Ok(()) } else { Err(StoreError::EpochMoved) }
        });
        let looks = AtomicU64::new(0);
        accounts.expect_credentials().returning(move |_| {
            let look = looks.fetch_add(1, Ordering::Relaxed);
            let account = KeyAccount { auth_epoch: now, ..key_account() };
            Ok(Some(Credentials { account, ..credentials() }).filter(|_| look < found))
        });
        let exports = exports(accounts, empty());
        let mut export = begin(&exports, owner(), None).unwrap();
        let mut chunks = 0;
        let end = loop {
            match ready(export.next()) {
                Ok(Some(_)) => chunks += 1,
                end => break end,
            }
        };
        let last =
            if is_whole { Ok(None) } else { Err(ReadError::Refused(Refusal::KeyNotInForce)) };
        assert_eq!((chunks, end), (expected, last), "{moves} {found}");
    }
}

#[test]
fn an_export_ends_when_its_key_expires() {
    let mut clock = MockClock::new();
    let seconds = AtomicU64::new(0);
    clock
        .expect_now()
        .returning(move || at(seconds.fetch_add(1, Ordering::Relaxed).try_into().unwrap()));
    let exports = exports_at(accounts(), empty(), Arc::new(clock));
    let caller = Caller { ends_at: Some(at(3)), ..owner() };
    let mut export = begin(&exports, caller, None).unwrap();
    while let Ok(Some(_)) = ready(export.next()) {}
    assert_eq!(ready(export.next()), Err(ReadError::Refused(Refusal::KeyNotInForce)));
}
