//! `verify` reports each kind of damage with its account.

use roots_domain::model::credit::LedgerMismatch;
use roots_domain::model::id::{AccountId, LedgerId, TodoId};
use roots_domain::port::store::{Discrepancy, Mismatch, Verifier};
use roots_testkit::commands::{self, Issuer};
use roots_testkit::database::TestDatabase;

roots_testkit::on_both! {
    each_kind_of_damage_is_reported_with_its_account,
    damage_to_several_accounts_is_reported_per_account,
    a_ledger_longer_than_one_chunk_is_verified,
    rows_without_an_account_are_found,
}

/// Three accounts, each with the ledger 100, 99, 98, 97, 96.
async fn three_accounts(db: &TestDatabase) {
    for _ in 0..3 {
        let issuer = Issuer::new(&db.store, 100).await;
        let work = [
            issuer.start_session(),
            issuer.create_todo("one"),
            issuer.log_activity("general"),
            issuer.log_activity("deploy"),
        ];
        commands::apply_each(&db.store, work).await;
    }
    assert_eq!(db.store.verify().await.unwrap(), (3, vec![]));
}

fn ledger(errors: impl IntoIterator<Item = LedgerMismatch>) -> Vec<Mismatch> {
    errors.into_iter().map(Mismatch::Ledger).collect()
}

fn count(what: &str, kept: i64, counted: i64) -> Mismatch {
    Mismatch::Count { what: what.to_owned(), kept, counted }
}

fn broken_chain(at: i64, expected: i64, found: i64) -> LedgerMismatch {
    LedgerMismatch::BrokenChain { at: LedgerId(at), expected, found }
}

/// A count of actor 1 in the quarter hour of all its writes.
fn work(what: &str, kept: i64, counted: i64) -> Mismatch {
    let of = format!("actor 1's {what} in the quarter hour from 2026-04-09T14:00:00Z");
    count(&of, kept, counted)
}

fn spent(kept: i64, counted: i64) -> Mismatch {
    work("credits spent", kept, counted)
}

/// A statement that damages account 2, one that repairs it, and the report between them.
type Damage = (&'static str, &'static str, Vec<Mismatch>);

fn damage_to_the_ledger() -> Vec<Damage> {
    let gap = LedgerMismatch::Gap { expected: LedgerId(4), found: LedgerId(5) };
    let wrong_balance = |expected, found| LedgerMismatch::WrongBalance { expected, found };
    let wrong_count = |expected, found| LedgerMismatch::WrongCount { expected, found };
    let mut missing = ledger([gap, broken_chain(5, 97, 96), wrong_balance(97, 96)]);
    missing.extend([spent(4, 3), count("ledger api_write", 4, 3)]);
    let mut cut_off = ledger([wrong_balance(97, 96), wrong_count(5, 4)]);
    cut_off.extend([spent(4, 3), count("ledger api_write", 4, 3)]);
    let mut surplus = ledger([wrong_balance(95, 96), wrong_count(5, 6)]);
    surplus.extend([spent(4, 5), count("ledger api_write", 4, 5)]);
    let negative = LedgerMismatch::Negative { at: LedgerId(5) };
    vec![
        (
            "DELETE FROM ledger WHERE account_id = 2 AND ledger_id = 4",
            "INSERT INTO ledger SELECT 2, 4, -1, 97, reason, endpoint, actor_id, note, created_at, \
                subject_id, subject_actor_id, step FROM ledger WHERE account_id = 1 AND ledger_id = 4",
            missing,
        ),
        (
            "DELETE FROM ledger WHERE account_id = 2 AND ledger_id = 5",
            "INSERT INTO ledger SELECT 2, 5, -1, 96, reason, endpoint, actor_id, note, created_at, \
                subject_id, subject_actor_id, step FROM ledger WHERE account_id = 1 AND ledger_id = 5",
            cut_off,
        ),
        (
            "INSERT INTO ledger SELECT 2, 6, -1, 95, reason, endpoint, actor_id, note, created_at, \
                subject_id, subject_actor_id, step FROM ledger WHERE account_id = 2 AND ledger_id = 5",
            "DELETE FROM ledger WHERE account_id = 2 AND ledger_id = 6",
            surplus,
        ),
        (
            "UPDATE ledger SET balance_after = 95 WHERE account_id = 2 AND ledger_id = 5",
            "UPDATE ledger SET balance_after = 96 WHERE account_id = 2 AND ledger_id = 5",
            ledger([broken_chain(5, 96, 95)]),
        ),
        (
            "UPDATE ledger SET delta = -2 WHERE account_id = 2 AND ledger_id = 5",
            "UPDATE ledger SET delta = -1 WHERE account_id = 2 AND ledger_id = 5",
            [ledger([broken_chain(5, 95, 96), wrong_balance(95, 96)]), vec![spent(4, 5)]].concat(),
        ),
        (
            "UPDATE ledger SET delta = -100 WHERE account_id = 2 AND ledger_id = 5",
            "UPDATE ledger SET delta = -1 WHERE account_id = 2 AND ledger_id = 5",
            [
                ledger([broken_chain(5, -3, 96), negative, wrong_balance(-3, 96)]),
                vec![spent(4, 103)],
            ]
            .concat(),
        ),
        (
            "UPDATE accounts SET balance = 97 WHERE account_id = 2",
            "UPDATE accounts SET balance = 96 WHERE account_id = 2",
            ledger([wrong_balance(96, 97)]),
        ),
        (
            "UPDATE accounts SET last_activity_id = 1 WHERE account_id = 2",
            "UPDATE accounts SET last_activity_id = 2 WHERE account_id = 2",
            vec![Mismatch::IdNotGiven { table: "activities", given: 1, found: 2 }],
        ),
        (
            "UPDATE accounts SET last_audit_id = 1 WHERE account_id = 2",
            "UPDATE accounts SET last_audit_id = 0 WHERE account_id = 2",
            vec![count("audit log entries", 1, 0)],
        ),
        (
            "UPDATE accounts SET last_key_id = 0 WHERE account_id = 2",
            "UPDATE accounts SET last_key_id = 1 WHERE account_id = 2",
            vec![Mismatch::IdNotGiven { table: "api_keys", given: 0, found: 1 }],
        ),
        (
            "UPDATE accounts SET last_ledger_id = 6 WHERE account_id = 2",
            "UPDATE accounts SET last_ledger_id = 5 WHERE account_id = 2",
            ledger([wrong_count(6, 5)]),
        ),
        (
            "UPDATE ledger SET reason = 'operator_grant' WHERE account_id = 2 AND ledger_id = 5",
            "UPDATE ledger SET reason = 'api_write' WHERE account_id = 2 AND ledger_id = 5",
            vec![count("ledger api_write", 4, 3), count("ledger operator_grant", 0, 1)],
        ),
    ]
}

fn damage_to_todos() -> Vec<Damage> {
    vec![(
        "UPDATE todos SET status_since = status_since + 1 WHERE account_id = 2",
        "UPDATE todos SET status_since = status_since - 1 WHERE account_id = 2",
        vec![Mismatch::StatusSince(TodoId(1))],
    )]
}

fn damage_to_the_counts() -> Vec<Damage> {
    let general = "actor 1's activities general on 2026-04-09";
    let in_quarter = "actor 1's activities general in the quarter hour from 2026-04-09T14:00:00Z";
    let day_before = "actor 1's activities general in the quarter hour from 2026-04-08T14:00:00Z";
    vec![
        (
            "UPDATE counters SET count = 2 WHERE account_id = 2 AND subject = 'sessions'",
            "UPDATE counters SET count = 1 WHERE account_id = 2 AND subject = 'sessions'",
            vec![count("actor 1's sessions active", 2, 1)],
        ),
        (
            "DELETE FROM counters WHERE account_id = 2 AND subject = 'todos'",
            "INSERT INTO counters VALUES (2, 1, 'todos', 'open/0', 1)",
            vec![count("actor 1's todos open/0", 0, 1)],
        ),
        (
            "UPDATE counters SET label = 'ended' WHERE account_id = 2 AND subject = 'sessions'",
            "UPDATE counters SET label = 'active' WHERE account_id = 2 AND subject = 'sessions'",
            vec![count("actor 1's sessions ended", 1, 0), count("actor 1's sessions active", 0, 1)],
        ),
        (
            "UPDATE counters SET count = 5 WHERE account_id = 2 AND label = 'api_write'",
            "UPDATE counters SET count = 4 WHERE account_id = 2 AND label = 'api_write'",
            vec![count("ledger api_write", 5, 4)],
        ),
        (
            "INSERT INTO counters VALUES (2, 1, 'activities', 'ghost', 3)",
            "DELETE FROM counters WHERE label = 'ghost'",
            vec![count("actor 1's activities ghost", 3, 0)],
        ),
        (
            "INSERT INTO counters VALUES (2, 7, 'todos', 'done/3', -1)",
            "DELETE FROM counters WHERE actor_id = 7",
            vec![count("actor 7's todos done/3", -1, 0)],
        ),
        (
            "UPDATE activity_daily SET count = 0 \
                WHERE account_id = 2 AND activity_type = 'general'",
            "UPDATE activity_daily SET count = 1 WHERE account_id = 2",
            vec![count(general, 0, 1)],
        ),
        (
            "DELETE FROM activity_daily WHERE account_id = 2 AND activity_type = 'general'",
            "INSERT INTO activity_daily SELECT 2, actor_id, day, activity_type, count \
                FROM activity_daily WHERE account_id = 1 AND activity_type = 'general'",
            vec![count(general, 0, 1)],
        ),
        (
            "INSERT INTO activity_daily VALUES (2, 1, 0, 'general', 1)",
            "DELETE FROM activity_daily WHERE day = 0",
            vec![count("actor 1's activities general on 1970-01-01", 1, 0)],
        ),
        (
            "UPDATE activity_quarter_hours SET count = 3 \
                WHERE account_id = 2 AND activity_type = 'general'",
            "UPDATE activity_quarter_hours SET count = 1 WHERE account_id = 2",
            vec![count(in_quarter, 3, 1)],
        ),
        // The counted rows are damaged and the counts are right.
        (
            "UPDATE activities SET logged_at = logged_at - 86400000000 \
                WHERE account_id = 2 AND activity_id = 1",
            "UPDATE activities SET logged_at = logged_at + 86400000000 \
                WHERE account_id = 2 AND activity_id = 1",
            vec![
                count(in_quarter, 1, 0),
                count(general, 1, 0),
                count(day_before, 0, 1),
                count("actor 1's activities general on 2026-04-08", 0, 1),
            ],
        ),
        (
            "UPDATE todos SET priority = 3 WHERE account_id = 2",
            "UPDATE todos SET priority = 0 WHERE account_id = 2",
            vec![count("actor 1's todos open/0", 1, 0), count("actor 1's todos open/3", 0, 1)],
        ),
    ]
}

fn damage_to_the_counts_of_work() -> Vec<Damage> {
    let granted = "the account's credits granted in the quarter hour from 2026-04-09T14:00:00Z";
    vec![
        (
            "UPDATE work_quarter_hours SET todos_made = 2 WHERE account_id = 2 AND actor_id = 1",
            "UPDATE work_quarter_hours SET todos_made = 1 WHERE account_id = 2 AND actor_id = 1",
            vec![work("todos made", 2, 1)],
        ),
        (
            "UPDATE work_quarter_hours SET todos_done = 1, todos_cancelled = 1 \
                WHERE account_id = 2 AND actor_id = 1",
            "UPDATE work_quarter_hours SET todos_done = 0, todos_cancelled = 0 \
                WHERE account_id = 2 AND actor_id = 1",
            vec![work("todos cancelled", 1, 0), work("todos done", 1, 0)],
        ),
        (
            "DELETE FROM work_quarter_hours WHERE account_id = 2 AND actor_id = 1",
            "INSERT INTO work_quarter_hours SELECT 2, quarter, actor_id, todos_made, todos_done, \
                todos_cancelled, credits_spent, credits_granted FROM work_quarter_hours \
                WHERE account_id = 1 AND actor_id = 1",
            vec![spent(0, 4), work("todos made", 0, 1)],
        ),
        (
            "UPDATE work_quarter_hours SET credits_granted = 99 \
                WHERE account_id = 2 AND actor_id = 0",
            "UPDATE work_quarter_hours SET credits_granted = 100 \
                WHERE account_id = 2 AND actor_id = 0",
            vec![count(granted, 99, 100)],
        ),
        // The counts are right and the ledger says otherwise.
        (
            "UPDATE ledger SET step = 'done' WHERE account_id = 2 AND step = 'made'",
            "UPDATE ledger SET step = 'made' WHERE account_id = 2 AND step = 'done'",
            vec![work("todos made", 1, 0), work("todos done", 0, 1)],
        ),
        (
            "UPDATE ledger SET step = 'gone' WHERE account_id = 2 AND step = 'made'",
            "UPDATE ledger SET step = 'made' WHERE account_id = 2 AND step = 'gone'",
            vec![Mismatch::Unreadable(LedgerId(3)), spent(4, 3), work("todos made", 1, 0)],
        ),
    ]
}

async fn each_kind_of_damage_is_reported_with_its_account(db: TestDatabase) {
    three_accounts(&db).await;
    for (damage, repair, errors) in [
        damage_to_the_ledger(),
        damage_to_the_counts(),
        damage_to_the_counts_of_work(),
        damage_to_todos(),
    ]
    .concat()
    {
        assert_eq!(db.execute(damage).await, 1, "{damage}");
        let of_account = |mismatch| Discrepancy { account: Some(AccountId(2)), mismatch };
        let expected: Vec<_> = errors.into_iter().map(of_account).collect();
        assert_eq!(db.store.verify().await.unwrap(), (3, expected), "{damage}");
        assert!(db.execute(repair).await >= 1, "{repair}");
        assert_eq!(db.store.verify().await.unwrap(), (3, vec![]), "{repair}");
    }
    // A count of 0 is the same as no count.
    db.execute("INSERT INTO counters VALUES (2, 1, 'todos', 'done/3', 0)").await;
    assert_eq!(db.store.verify().await.unwrap(), (3, vec![]));
}

async fn damage_to_several_accounts_is_reported_per_account(db: TestDatabase) {
    three_accounts(&db).await;
    db.execute("UPDATE accounts SET balance = 1000 WHERE account_id = 1").await;
    db.execute("UPDATE counters SET count = 9 WHERE account_id = 3 AND subject = 'todos'").await;
    let (accounts, found) = db.store.verify().await.unwrap();
    let wrong = LedgerMismatch::WrongBalance { expected: 96, found: 1_000 };
    let expected = [
        Discrepancy { account: Some(AccountId(1)), mismatch: Mismatch::Ledger(wrong) },
        Discrepancy {
            account: Some(AccountId(3)),
            mismatch: count("actor 1's todos open/0", 9, 1),
        },
    ];
    assert_eq!((accounts, found.as_slice()), (3, expected.as_slice()));
    let messages: Vec<_> = found.iter().map(|one| one.mismatch.to_string()).collect();
    assert_eq!(
        messages,
        [
            "the balance is 1000, but the ledger adds up to 96",
            "the count of actor 1's todos open/0 is kept as 9, but there are 1",
        ]
    );
}

async fn a_ledger_longer_than_one_chunk_is_verified(db: TestDatabase) {
    three_accounts(&db).await;
    let rows = "WITH RECURSIVE n (i) AS (SELECT 6 UNION ALL SELECT i + 1 FROM n WHERE i < 20001) \
        INSERT INTO ledger SELECT 2, i, 1, 91 + i, 'operator_grant', NULL, NULL, NULL, 0, NULL, \
        NULL, NULL FROM n";
    assert_eq!(db.execute(rows).await, 19_996);
    db.execute("INSERT INTO counters VALUES (2, 0, 'ledger', 'operator_grant', 19996)").await;
    db.execute("INSERT INTO work_quarter_hours VALUES (2, 0, 0, 0, 0, 0, 0, 19996)").await;
    let account =
        "UPDATE accounts SET balance = 20092, last_ledger_id = 20001 WHERE account_id = 2";
    db.execute(account).await;
    assert_eq!(db.store.verify().await.unwrap(), (3, vec![]));
    // The check also compares rows across the end of a chunk.
    let edit = "UPDATE ledger SET balance_after = 0 WHERE account_id = 2 AND ledger_id = 20001";
    db.execute(edit).await;
    let mismatch = Mismatch::Ledger(broken_chain(20_001, 20_092, 0));
    let expected = vec![Discrepancy { account: Some(AccountId(2)), mismatch }];
    assert_eq!(db.store.verify().await.unwrap(), (3, expected));
}

async fn rows_without_an_account_are_found(db: TestDatabase) {
    let issuer = commands::Issuer::new(&db.store, 10).await;
    commands::apply_each(&db.store, [issuer.log_activity("general")]).await;
    let copy = "INSERT INTO ledger SELECT 9, ledger_id, delta, balance_after, reason, endpoint, \
        actor_id, note, created_at, subject_id, subject_actor_id, step FROM ledger";
    let rows = i64::try_from(db.execute(copy).await).unwrap();
    db.execute("INSERT INTO counters VALUES (8, 1, 'sessions', 'active', 3)").await;
    let found = |account, table, rows| Discrepancy {
        account: Some(AccountId(account)),
        mismatch: Mismatch::Ownerless { table, rows },
    };
    let expected = vec![found(9, "ledger", rows), found(8, "counters", 1)];
    assert_eq!(db.store.verify().await.unwrap(), (1, expected));
}
