//! Exact accounting: every credit is accounted for, under any concurrency, and what fails costs
//! nothing and changes nothing.

use roots_domain::model::Patch;
use roots_domain::model::account::{AccountKind, ActorKind};
use roots_domain::model::credit::Reason;
use roots_domain::model::id::{AccountId, KeyId, SessionId, TodoId};
use roots_domain::model::key::LookupHash;
use roots_domain::model::page::PageRequest;
use roots_domain::model::session::{SessionPatch, SessionStatus};
use roots_domain::model::time::TimeRange;
use roots_domain::model::todo::{TodoPatch, TodoStatus};
use roots_domain::model::unit::{
    Author, Conditions, Intent, NewAccount, Refusal, RowPatch, UnitOfWork,
};
use roots_domain::port::store::{AccountReader, ApplyError, Auditor, UnitStore};
use roots_domain::usecase::accounts::Grant;
use roots_domain::usecase::sessions::SessionDraft;
use roots_domain::usecase::todos::TodoChange;
use roots_domain::usecase::{Terms, WriteError};
use roots_testkit::database::TestDatabase;
use roots_testkit::members::put_member;
use roots_testkit::model::Model;
use roots_testkit::units::{self, Desk, answers, begin_all, resealed};
use roots_testkit::world::name;

use crate::chance::{self, Dice};

roots_testkit::on_both! {
    a_balance_of_100_buys_100_writes_whoever_asks,
    a_write_that_the_rules_refuse_costs_nothing_and_changes_nothing,
    a_write_that_is_not_covered_changes_nothing,
    a_write_of_or_to_an_account_that_may_not_changes_nothing,
    a_key_is_checked_again_when_the_auth_epoch_has_moved,
    what_is_given_stands_in_the_ledger,
    the_books_agree_with_a_second_opinion,
}

async fn a_balance_of_100_buys_100_writes_whoever_asks(db: TestDatabase) {
    let desk = Desk::new(&db.store, 100).await;
    let writers: Vec<_> = (0..32)
        .map(|_| {
            let store = db.store.clone();
            tokio::spawn(async move {
                let mut balances = Vec::new();
                loop {
                    match store.apply(desk.log_activity("general")).await {
                        Ok(applied) => balances.push(applied.balance),
                        Err(refused) => return (balances, refused),
                    }
                }
            })
        })
        .collect();
    let mut balances = Vec::new();
    for writer in writers {
        let (theirs, refused) = writer.await.unwrap();
        balances.extend(theirs);
        let broke = Refusal::InsufficientCredits { balance: 0, cost: 1 };
        assert_eq!(refused, ApplyError::Refused(broke));
    }
    balances.sort_unstable();
    assert_eq!(balances, (0..100).collect::<Vec<_>>());

    let ledger = "SELECT ledger_id, delta, balance_after FROM ledger ORDER BY ledger_id";
    let ledger: Vec<(i64, i64, i64)> = db.rows(ledger).await;
    let spent = (1..=100).map(|number| (number + 1, -1, 100 - number));
    assert_eq!(ledger, [(1, 100, 100)].into_iter().chain(spent).collect::<Vec<_>>());
    let counted = db.rows::<(i64, i64)>("SELECT COUNT(*), MAX(activity_id) FROM activities").await;
    assert_eq!(counted, [(100, 100)]);
    let account = db.store.account(desk.account).await.unwrap().unwrap();
    assert_eq!((account.balance, account.counters.ledger), (0, 101));
    assert_eq!(db.store.audit().await.unwrap(), (1, vec![]));
}

/// Applies a unit that is refused, and sees to it that nothing whatever has changed.
async fn refused(db: &TestDatabase, unit: UnitOfWork, expected: Refusal) {
    let before = db.dump().await;
    let asked = format!("{:?}", unit.intent);
    let answer = db.store.apply(unit).await;
    assert_eq!(answer, Err(ApplyError::Refused(expected)), "{asked}");
    assert_eq!(db.dump().await, before, "{asked}");
}

/// Rows that those of another actor, those of another state and those that are missing are told from:
/// session 1 is active and session 2 ended; todo 1 is open and todo 2 done; one activity.
async fn some_rows(db: &TestDatabase) -> Desk {
    let desk = Desk::new(&db.store, 1_000).await;
    units::apply_each(
        &db.store,
        [
            desk.start_session(),
            desk.start_session(),
            desk.end_session(2),
            desk.create_todo("open"),
            desk.create_todo("done"),
            desk.step_todo(2, TodoStatus::Done),
            desk.log_activity("general"),
        ],
    )
    .await;
    assert_eq!(db.store.account(desk.account).await.unwrap().unwrap().balance, 993);
    desk
}

async fn a_write_that_the_rules_refuse_costs_nothing_and_changes_nothing(db: TestDatabase) {
    let desk = some_rows(&db).await;
    // What is not there, and what is another actor's.
    for (by, id) in [(desk, 99), (desk.of_actor(2), 1)] {
        for unit in [by.end_session(id), by.delete_session(id)] {
            refused(&db, unit, Refusal::NotFound("session")).await;
        }
        for unit in [by.step_todo(id, TodoStatus::Done), by.delete_todo(id)] {
            refused(&db, unit, Refusal::NotFound("todo")).await;
        }
        refused(&db, by.delete_activity(id), Refusal::NotFound("activity")).await;
        let missing = Refusal::NoSuchSession(SessionId(id));
        refused(&db, by.create_todo_as("linked", 0, Some(id)), missing.clone()).await;
        refused(&db, by.log_activity_as("general", Some(id), None), missing.clone()).await;
    }
    let link = TodoPatch { session: Patch::Set(SessionId(99)), ..TodoPatch::EMPTY };
    refused(&db, desk.patch_todo(1, link), Refusal::NoSuchSession(SessionId(99))).await;

    let ended = SessionId(2);
    let over = Refusal::SessionEnded(ended);
    refused(&db, desk.create_todo_as("linked", 0, Some(2)), over.clone()).await;
    refused(&db, desk.log_activity_as("general", Some(2), None), over).await;
    refused(&db, desk.end_session(2), Refusal::AlreadyEnded(ended)).await;
    let reopen = SessionPatch { status: Some(SessionStatus::Active), notes: Patch::Clear };
    refused(&db, desk.patch_session(2, reopen), Refusal::CannotReopen(ended)).await;

    let forbidden = Refusal::ForbiddenStep { from: TodoStatus::Done, to: TodoStatus::Cancelled };
    refused(&db, desk.step_todo(2, TodoStatus::Cancelled), forbidden).await;
    for status in [None, Some(TodoStatus::Open)] {
        let patch = TodoPatch { status, note: Some(resealed("why")), ..TodoPatch::EMPTY };
        refused(&db, desk.patch_todo(1, patch), Refusal::NoteWithoutChange).await;
    }

    // Texts that were sealed for another row of that id.
    let sealed_for = Some(units::uid());
    let patch = SessionPatch { status: None, notes: Patch::Set(resealed("new")) };
    let row = RowPatch { id: SessionId(1), sealed_for, patch };
    let unit = desk.unit(Intent::PatchSession(row), "PATCH /sessions/{id}");
    refused(&db, unit, Refusal::NotFound("session")).await;
    let patch = TodoPatch { title: Some(resealed("new")), ..TodoPatch::EMPTY };
    let row = RowPatch { id: TodoId(1), sealed_for, patch };
    let intent = Intent::PatchTodo { row, log_uid: units::uid() };
    refused(&db, desk.unit(intent, "PATCH /todos/{id}"), Refusal::NotFound("todo")).await;

    let kinds = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999) \
        INSERT INTO tallies SELECT 1, 1, 'activities', CAST(i AS TEXT), 1 FROM n";
    assert_eq!(db.execute(kinds).await, 999);
    refused(&db, desk.log_activity("one-more"), Refusal::TooManyKinds).await;

    // What a use case refuses never reaches the store.
    let world = db.world();
    let caller = world.caller(10).await;
    let before = db.dump().await;
    let empty = SessionPatch { status: None, notes: Patch::Keep };
    let answer = world.sessions.patch(&caller, SessionId(1), empty, Terms::default()).await;
    assert_eq!(answer, Err(WriteError::EmptyPatch));
    let answer =
        world.todos.patch(&caller, TodoId(1), TodoChange::default(), Terms::default()).await;
    assert_eq!(answer, Err(WriteError::EmptyPatch));
    assert_eq!(db.dump().await, before);
}

async fn a_write_that_is_not_covered_changes_nothing(db: TestDatabase) {
    let desk = some_rows(&db).await;
    db.execute("UPDATE accounts SET balance = 0").await;
    for unit in [
        desk.start_session(),
        desk.end_session(1),
        desk.delete_session(1),
        desk.create_todo("more"),
        desk.step_todo(1, TodoStatus::Done),
        // What changes nothing costs all the same.
        desk.step_todo(1, TodoStatus::Open),
        desk.delete_todo(1),
        desk.log_activity("general"),
        desk.log_activity("of-a-kind-there-was-none-of"),
        desk.delete_activity(1),
    ] {
        refused(&db, unit, Refusal::InsufficientCredits { balance: 0, cost: 1 }).await;
    }
    // A refusal of the rules goes before one for want of credits.
    refused(&db, desk.delete_todo(99), Refusal::NotFound("todo")).await;
}

async fn a_write_of_or_to_an_account_that_may_not_changes_nothing(db: TestDatabase) {
    let desk = some_rows(&db).await;
    db.execute("UPDATE accounts SET status = 'suspended'").await;
    refused(&db, desk.start_session(), Refusal::Suspended).await;
    refused(&db, desk.delete_todo(1), Refusal::Suspended).await;

    db.execute("UPDATE accounts SET status = 'active', balance = 9223372036854775807").await;
    let program = |intent| UnitOfWork {
        author: Author::Program,
        intent,
        charge: None,
        conditions: Conditions::default(),
        at: desk.at.plus_seconds(1),
    };
    let grant = |account| Intent::GrantCredits { account, amount: 1, note: None };
    refused(&db, program(grant(desk.account)), Refusal::BalanceTooHigh).await;
    refused(&db, program(grant(AccountId(99))), Refusal::NoSuchAccount(AccountId(99))).await;
    // No customer's key gives credits, not even to its own account.
    let by_key = desk.unit(grant(desk.account), "POST /accounts/{id}/credits");
    refused(&db, by_key, Refusal::OperatorOnly).await;
    let mut nobody = desk.start_session();
    nobody.author = Author::Program;
    refused(&db, nobody, Refusal::KeyNotInForce).await;
    let nowhere = Desk { account: AccountId(99), ..desk };
    refused(&db, nowhere.start_session(), Refusal::KeyNotInForce).await;

    let found = |id, must_be_first| {
        program(Intent::FoundAccount(Box::new(NewAccount {
            id: AccountId(id),
            uid: units::uid(),
            name: name("Another"),
            kind: AccountKind::Customer,
            owner_uid: units::uid(),
            owner_name: name("Owner"),
            owner_kind: ActorKind::Human,
            key_lookup: LookupHash([1; 32]),
            key_prefix: "roots_1_".to_owned(),
            code_lookup: LookupHash([2; 32]),
            wraps: vec![],
            credits: 5,
            must_be_first,
        })))
    };
    refused(&db, found(1, true), Refusal::AccountExists(AccountId(1))).await;
    refused(&db, found(1, false), Refusal::AccountExists(AccountId(1))).await;
    // An id that was never given.
    refused(&db, found(2, false), Refusal::AccountExists(AccountId(2))).await;
}

async fn a_key_is_checked_again_when_the_auth_epoch_has_moved(db: TestDatabase) {
    let desk = Desk::new(&db.store, 100).await;
    db.execute("UPDATE accounts SET auth_epoch = 2").await;
    // Another key may have been revoked: this one is still in force.
    units::apply_each(&db.store, [desk.start_session()]).await;

    let end = |at: i64| format!("UPDATE api_keys SET ends_at = {at}");
    db.execute(&end(desk.at.micros() + 1)).await;
    units::apply_each(&db.store, [desk.start_session()]).await;
    db.execute(&end(desk.at.micros())).await;
    refused(&db, desk.start_session(), Refusal::KeyNotInForce).await;

    db.execute("UPDATE api_keys SET ends_at = NULL").await;
    db.execute("UPDATE actors SET is_active = 0").await;
    refused(&db, desk.start_session(), Refusal::KeyNotInForce).await;
    db.execute("UPDATE actors SET is_active = 1").await;
    refused(&db, desk.of_actor(2).start_session(), Refusal::KeyNotInForce).await;
    let unknown = Desk { key: KeyId(9), ..desk };
    refused(&db, unknown.start_session(), Refusal::KeyNotInForce).await;
    // Whoever was admitted under the epoch that is in force is not looked at again.
    let current = Desk { auth_epoch: 2, ..desk };
    units::apply_each(&db.store, [current.start_session()]).await;
}

async fn what_is_given_stands_in_the_ledger(db: TestDatabase) {
    let world = db.world();
    let caller = world.caller(100).await;
    world.clock.advance_seconds(60);
    let amount = |amount| Grant::parse(amount).unwrap();
    let account = caller.account.id;
    let given = world.accounts.grant(account, amount(50), Some(name("Thanks"))).await.unwrap();
    assert_eq!(given, 150);
    world.sessions.start(&caller, SessionDraft::default(), Terms::default()).await.unwrap();
    let given = world.accounts.grant(account, amount(1_000_000_000), None).await.unwrap();
    assert_eq!(given, 1_000_000_149);

    let ledger = world.accounts.ledger(&caller, None, PageRequest::default()).await.unwrap();
    let rows: Vec<_> = ledger
        .items
        .iter()
        .map(|row| (row.id.0, row.delta, row.balance_after, row.reason, row.endpoint.as_deref()))
        .collect();
    assert_eq!(
        rows,
        [
            (4, 1_000_000_000, 1_000_000_149, Reason::OperatorGrant, None),
            (3, -1, 149, Reason::ApiWrite, Some("POST /sessions")),
            (2, 50, 150, Reason::OperatorGrant, None),
            (1, 100, 100, Reason::BootstrapGrant, None),
        ]
    );
    assert_eq!(ledger.total, 4);
    let note = ledger.items[2].note.as_deref();
    let actors: Vec<_> = ledger.items.iter().map(|row| row.actor).collect();
    assert_eq!((note, actors), (Some("Thanks"), vec![None, Some(caller.actor.id), None, None]));
    let minute = ledger.items[2].created_at.micros() - ledger.items[3].created_at.micros();
    assert_eq!(minute, 60_000_000);

    // An account that starts with nothing has an empty ledger, and adds up.
    let poor = world.caller(0).await;
    let credits = world.accounts.credits(&poor).await.unwrap();
    assert_eq!((credits.balance, credits.recent), (0, vec![]));
    let answer = world.sessions.start(&poor, SessionDraft::default(), Terms::default()).await;
    let broke = Refusal::InsufficientCredits { balance: 0, cost: 1 };
    assert_eq!(answer, Err(WriteError::Refused(broke)));
    assert_eq!(db.store.audit().await.unwrap(), (2, vec![]));
}

/// Two actors write whatever comes, many writes under way at a time, until the credits are spent. A
/// lane takes an account's units in their order, so each answer can be told beforehand, however the
/// units happen to be batched.
async fn the_books_agree_with_a_second_opinion(db: TestDatabase) {
    for seed in 0..2 {
        let mut dice = Dice(seed);
        let mut desk = Desk::new(&db.store, 350).await;
        put_member(&db, desk.account, 2).await;
        let mut model = Model::new(desk, 350);
        let mut refusals = 0;
        while model.balance() > 0 {
            let together = 1 + dice.below(80);
            let planned: Vec<_> = (0..together)
                .map(|_| {
                    // Most rows then share their time with others.
                    desk.at = desk.at.plus_seconds(dice.below(2) * 3_600);
                    chance::unit(&mut dice, &desk, 60)
                })
                .collect();
            let expected: Vec<_> = planned.iter().map(|unit| model.expect(unit)).collect();
            refusals += expected.iter().filter(|answer| answer.is_err()).count();
            let asked = planned.clone();
            let found = answers(begin_all(&db.store, planned)).await;
            for ((found, expected), unit) in found.into_iter().zip(expected).zip(asked) {
                assert_eq!(found, expected.map_err(ApplyError::Refused), "seed {seed}: {unit:?}");
            }
        }
        assert!(refusals > 100, "seed {seed} has few refusals: {refusals}");
        let day = desk.at.day();
        let ranges = [
            TimeRange::default(),
            TimeRange { since: Some(desk.at.plus_seconds(-90_000)), until: None },
            TimeRange { since: None, until: Some(day.first_instant()) },
        ];
        model.compare(&db.store, &chance::ACTORS, &ranges, 100).await;
    }
    let (accounts, faults) = db.store.audit().await.unwrap();
    assert_eq!((accounts, faults), (2, vec![]));
}
