//! Every credit is accounted for under concurrent writes. A refused write costs nothing and changes
//! nothing.

use roots_domain::command::{
    Action, Command, NewAccount, Operator, OperatorAction, Refusal, ResourceAction, RowPatch,
    SystemAction,
};
use roots_domain::model::Patch;
use roots_domain::model::account::{AccountKind, ActorKind, Role};
use roots_domain::model::api_key::LookupHash;
use roots_domain::model::credit::Reason;
use roots_domain::model::id::{AccountId, KeyId, SessionId, TodoId};
use roots_domain::model::page::PageRequest;
use roots_domain::model::session::{SessionPatch, SessionStatusKind};
use roots_domain::model::time::TimeRange;
use roots_domain::model::todo::{TodoPatch, TodoStatus};
use roots_domain::port::store::{AccountReader, ApplyError, CommandStore, Verifier};
use roots_domain::service::accounts::Grant;
use roots_domain::service::sessions::SessionDraft;
use roots_domain::service::todos::TodoChange;
use roots_domain::service::{Preconditions, WriteError};
use roots_testkit::commands::{self, Issuer, answers, begin_all, resealed};
use roots_testkit::compare::compare;
use roots_testkit::context::name;
use roots_testkit::database::TestDatabase;
use roots_testkit::members::put_member;

use crate::random_commands::{self, SeededRng};

roots_testkit::on_both! {
    a_balance_of_100_pays_for_exactly_100_concurrent_writes,
    a_write_refused_by_a_rule_costs_nothing_and_changes_nothing,
    a_write_that_the_balance_does_not_cover_changes_nothing,
    a_write_that_its_account_or_principal_forbids_changes_nothing,
    a_key_is_checked_again_when_the_auth_epoch_has_moved,
    grants_are_entered_in_the_ledger_with_their_notes,
    random_concurrent_writes_agree_with_the_reference_model,
}

async fn a_balance_of_100_pays_for_exactly_100_concurrent_writes(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let writers: Vec<_> = (0..32)
        .map(|_| {
            let store = db.store.clone();
            tokio::spawn(async move {
                let mut balances = Vec::new();
                loop {
                    match store.apply(issuer.log_activity("general")).await {
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
    let account = db.store.account(issuer.account).await.unwrap().unwrap();
    assert_eq!((account.balance, account.last_ids.ledger), (0, 101));
    assert_eq!(db.store.verify().await.unwrap(), (1, vec![]));
}

/// Applies a command and checks that it is refused and that no row has changed.
async fn refused(db: &TestDatabase, command: Command, expected: Refusal) {
    let before = db.dump().await;
    let asked = format!("{:?}", command.action);
    let answer = db.store.apply(command).await;
    assert_eq!(answer, Err(ApplyError::Refused(expected)), "{asked}");
    assert_eq!(db.dump().await, before, "{asked}");
}

/// Session 1 is active and session 2 ended. Todo 1 is open and todo 2 done. There is one activity.
async fn some_rows(db: &TestDatabase) -> Issuer {
    let issuer = Issuer::new(&db.store, 1_000).await;
    commands::apply_each(
        &db.store,
        [
            issuer.start_session(),
            issuer.start_session(),
            issuer.end_session(2),
            issuer.create_todo("open"),
            issuer.create_todo("done"),
            issuer.step_todo(2, TodoStatus::Done),
            issuer.log_activity("general"),
        ],
    )
    .await;
    assert_eq!(db.store.account(issuer.account).await.unwrap().unwrap().balance, 993);
    issuer
}

async fn a_write_refused_by_a_rule_costs_nothing_and_changes_nothing(db: TestDatabase) {
    let issuer = some_rows(&db).await;
    // The row is missing, or belongs to another actor.
    for (by, id) in [(issuer, 99), (issuer.of_actor(2), 1)] {
        for command in [by.end_session(id), by.delete_session(id)] {
            refused(&db, command, Refusal::NotFound("session")).await;
        }
        for command in [by.step_todo(id, TodoStatus::Done), by.delete_todo(id)] {
            refused(&db, command, Refusal::NotFound("todo")).await;
        }
        refused(&db, by.delete_activity(id), Refusal::NotFound("activity")).await;
        let missing = Refusal::NoSuchSession(SessionId(id));
        refused(&db, by.create_todo_as("linked", 0, Some(id)), missing.clone()).await;
        refused(&db, by.log_activity_as("general", Some(id), None), missing.clone()).await;
    }
    let link = TodoPatch { session: Patch::Set(SessionId(99)), ..TodoPatch::EMPTY };
    refused(&db, issuer.patch_todo(1, link), Refusal::NoSuchSession(SessionId(99))).await;

    let ended = SessionId(2);
    let over = Refusal::SessionEnded(ended);
    refused(&db, issuer.create_todo_as("linked", 0, Some(2)), over.clone()).await;
    refused(&db, issuer.log_activity_as("general", Some(2), None), over).await;
    refused(&db, issuer.end_session(2), Refusal::AlreadyEnded(ended)).await;
    let reopen = SessionPatch { status: Some(SessionStatusKind::Active), notes: Patch::Clear };
    refused(&db, issuer.patch_session(2, reopen), Refusal::CannotReopen(ended)).await;

    let forbidden = Refusal::ForbiddenStep { from: TodoStatus::Done, to: TodoStatus::Cancelled };
    refused(&db, issuer.step_todo(2, TodoStatus::Cancelled), forbidden).await;
    for status in [None, Some(TodoStatus::Open)] {
        let patch = TodoPatch { status, note: Some(resealed("why")), ..TodoPatch::EMPTY };
        refused(&db, issuer.patch_todo(1, patch), Refusal::NoteWithoutChange).await;
    }

    // The texts were sealed for another row with this id.
    let sealed_for = Some(commands::uid());
    let patch = SessionPatch { status: None, notes: Patch::Set(resealed("new")) };
    let row = RowPatch { id: SessionId(1), sealed_for, patch };
    let command = issuer.command(ResourceAction::PatchSession(row), "PATCH /sessions/{id}");
    refused(&db, command, Refusal::NotFound("session")).await;
    let patch = TodoPatch { title: Some(resealed("new")), ..TodoPatch::EMPTY };
    let row = RowPatch { id: TodoId(1), sealed_for, patch };
    let action = ResourceAction::PatchTodo { row, log_uid: commands::uid(), claim_token: None };
    refused(&db, issuer.command(action, "PATCH /todos/{id}"), Refusal::NotFound("todo")).await;

    let kinds = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999) \
        INSERT INTO counters SELECT 1, 1, 'activities', CAST(i AS TEXT), 1 FROM n";
    assert_eq!(db.execute(kinds).await, 999);
    refused(&db, issuer.log_activity("one-more"), Refusal::TooManyActivityTypes).await;

    // The service refuses an empty patch before it reaches the store.
    let context = db.context();
    let caller = context.caller(10).await;
    let before = db.dump().await;
    let empty = SessionPatch { status: None, notes: Patch::Keep };
    let answer =
        context.sessions.patch(&caller, SessionId(1), empty, Preconditions::default()).await;
    assert_eq!(answer, Err(WriteError::EmptyPatch));
    let answer =
        context.todos.patch(&caller, TodoId(1), TodoChange::EMPTY, Preconditions::default()).await;
    assert_eq!(answer, Err(WriteError::EmptyPatch));
    assert_eq!(db.dump().await, before);
}

async fn a_write_that_the_balance_does_not_cover_changes_nothing(db: TestDatabase) {
    let issuer = some_rows(&db).await;
    db.execute("UPDATE accounts SET balance = 0").await;
    for command in [
        issuer.start_session(),
        issuer.end_session(1),
        issuer.delete_session(1),
        issuer.create_todo("more"),
        issuer.step_todo(1, TodoStatus::Done),
        // A patch that changes nothing costs a credit too.
        issuer.step_todo(1, TodoStatus::Open),
        issuer.delete_todo(1),
        issuer.log_activity("general"),
        issuer.log_activity("of-a-kind-there-was-none-of"),
        issuer.delete_activity(1),
    ] {
        refused(&db, command, Refusal::InsufficientCredits { balance: 0, cost: 1 }).await;
    }
    // The refusal of a rule takes precedence over missing credits.
    refused(&db, issuer.delete_todo(99), Refusal::NotFound("todo")).await;
}

async fn a_write_that_its_account_or_principal_forbids_changes_nothing(db: TestDatabase) {
    let issuer = some_rows(&db).await;
    db.execute("UPDATE accounts SET status = 'suspended'").await;
    refused(&db, issuer.start_session(), Refusal::Suspended).await;
    refused(&db, issuer.delete_todo(1), Refusal::Suspended).await;

    db.execute("UPDATE accounts SET status = 'active', balance = 9223372036854775807").await;
    let command = |action| Command::uncharged(action, issuer.at.plus_seconds(1));
    let grant = |operator, account| {
        let action = OperatorAction::GrantCredits { account, amount: 1, note: None };
        command(Action::Operate(operator, action))
    };
    let own = grant(Operator::CommandLine, issuer.account);
    refused(&db, own, Refusal::BalanceTooHigh).await;
    let another = grant(Operator::CommandLine, AccountId(99));
    refused(&db, another, Refusal::NoSuchAccount(AccountId(99))).await;
    // A customer's key can't grant credits, not even to its own account.
    let by_key = grant(Operator::Key(issuer.bearer(Role::Member)), issuer.account);
    refused(&db, by_key, Refusal::OperatorOnly).await;
    let nowhere = Issuer { account: AccountId(99), ..issuer };
    refused(&db, nowhere.start_session(), Refusal::KeyNotInForce).await;

    let found = |id, must_be_first| {
        command(Action::System(SystemAction::FoundAccount(NewAccount {
            id: AccountId(id),
            uid: commands::uid(),
            name: name("Another"),
            kind: AccountKind::Customer,
            owner_uid: commands::uid(),
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
    // No sign-up has reserved this id.
    refused(&db, found(2, false), Refusal::AccountExists(AccountId(2))).await;
}

async fn a_key_is_checked_again_when_the_auth_epoch_has_moved(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    db.execute("UPDATE accounts SET auth_epoch = 2").await;
    // The epoch moved because another key may have been revoked. This key is still in force.
    commands::apply_each(&db.store, [issuer.start_session()]).await;

    let end = |at: i64| format!("UPDATE api_keys SET ends_at = {at}");
    db.execute(&end(issuer.at.micros() + 1)).await;
    commands::apply_each(&db.store, [issuer.start_session()]).await;
    db.execute(&end(issuer.at.micros())).await;
    refused(&db, issuer.start_session(), Refusal::KeyNotInForce).await;

    db.execute("UPDATE api_keys SET ends_at = NULL").await;
    db.execute("UPDATE actors SET is_active = 0").await;
    refused(&db, issuer.start_session(), Refusal::KeyNotInForce).await;
    db.execute("UPDATE actors SET is_active = 1").await;
    refused(&db, issuer.of_actor(2).start_session(), Refusal::KeyNotInForce).await;
    let unknown = Issuer { key: KeyId(9), ..issuer };
    refused(&db, unknown.start_session(), Refusal::KeyNotInForce).await;
    // A key that was admitted under the current epoch is not checked again.
    let current = Issuer { auth_epoch: 2, ..issuer };
    commands::apply_each(&db.store, [current.start_session()]).await;
}

async fn grants_are_entered_in_the_ledger_with_their_notes(db: TestDatabase) {
    let context = db.context();
    let caller = context.caller(100).await;
    context.clock.advance_seconds(60);
    let amount = |amount| Grant::parse(amount).unwrap();
    let account = caller.account.id;
    let given = context.accounts.grant(account, amount(50), Some(name("Thanks"))).await.unwrap();
    assert_eq!(given, 150);
    context
        .sessions
        .start(&caller, SessionDraft::default(), Preconditions::default())
        .await
        .unwrap();
    let given = context.accounts.grant(account, amount(1_000_000_000), None).await.unwrap();
    assert_eq!(given, 1_000_000_149);

    let ledger = context.accounts.ledger(&caller, None, PageRequest::default()).await.unwrap();
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

    // An account without credits starts with an empty ledger, which adds up too.
    let poor = context.caller(0).await;
    let credits = context.accounts.credits(&poor).await.unwrap();
    assert_eq!((credits.balance, credits.recent), (0, vec![]));
    let answer =
        context.sessions.start(&poor, SessionDraft::default(), Preconditions::default()).await;
    let broke = Refusal::InsufficientCredits { balance: 0, cost: 1 };
    assert_eq!(answer, Err(WriteError::Refused(broke)));
    assert_eq!(db.store.verify().await.unwrap(), (2, vec![]));
}

/// Two actors send random writes, up to 80 at once, until the credits are spent. A writer applies
/// an account's commands in order, so the model can predict each answer, whatever the batches are.
async fn random_concurrent_writes_agree_with_the_reference_model(db: TestDatabase) {
    for seed in 0..2 {
        let mut rng = SeededRng(seed);
        let mut issuer = Issuer::new(&db.store, 350).await;
        put_member(&db, issuer.account, 2).await;
        let mut model = issuer.reference_model(350);
        let mut refusals = 0;
        while model.account.balance > 0 {
            let together = 1 + rng.below(80);
            let planned: Vec<_> = (0..together)
                .map(|_| {
                    // About half of the rows share their time with the row before.
                    issuer.at = issuer.at.plus_seconds(rng.below(2) * 3_600);
                    random_commands::command(&mut rng, &issuer, 60)
                })
                .collect();
            let expected: Vec<_> = planned.iter().map(|command| model.expect(command)).collect();
            refusals += expected.iter().filter(|answer| answer.is_err()).count();
            let asked = planned.clone();
            let found = answers(begin_all(&db.store, planned)).await;
            for ((found, expected), command) in found.into_iter().zip(expected).zip(asked) {
                assert_eq!(
                    found,
                    expected.map_err(ApplyError::Refused),
                    "seed {seed}: {command:?}"
                );
            }
        }
        assert!(refusals > 100, "seed {seed} has few refusals: {refusals}");
        let day = issuer.at.day();
        let ranges = [
            TimeRange::default(),
            TimeRange { since: Some(issuer.at.plus_seconds(-90_000)), until: None },
            TimeRange { since: None, until: Some(day.first_instant()) },
        ];
        compare(&model, &db.store, &random_commands::ACTORS, &ranges, 100).await;
    }
    let (accounts, errors) = db.store.verify().await.unwrap();
    assert_eq!((accounts, errors), (2, vec![]));
}
