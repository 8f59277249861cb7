//! Claims: each todo is taken once by any number of callers, and once more when its claim has
//! lapsed.

use std::collections::BTreeMap;
use std::sync::Arc;

use roots_domain::command::{AppliedRow, ClaimRequest, Command, Refusal};
use roots_domain::model::Patch;
use roots_domain::model::claim::LeaseSeconds;
use roots_domain::model::id::{SessionId, TodoId};
use roots_domain::model::idempotency::{Idempotency, IdempotencyMacs, Mac};
use roots_domain::model::time::Timestamp;
use roots_domain::model::todo::{Priority, TodoPatch, TodoStatus};
use roots_domain::port::clock::Clock;
use roots_domain::port::store::{ApplyError, CommandStore, Mismatch, StoreError, Verifier};
use roots_persistence::{DatabaseUrl, Store};
use roots_testkit::commands::{CommandResult, Issuer, answers, apply_each, begin_all, text};
use roots_testkit::database::TestDatabase;

roots_testkit::on_both! {
    of_racing_callers_each_todo_is_claimed_by_one_and_lapsed_ones_once_more,
    a_batch_claims_the_todo_after_those_that_it_finishes,
    todos_are_claimed_in_order_and_lapsed_ones_after_the_open_ones_of_their_priority,
    a_lapsed_claim_of_a_session_that_the_batch_writes_to_hides_no_other,
    the_claims_of_a_deleted_session_are_left_to_their_leases,
    many_claims_of_a_deleted_session_are_left_to_their_leases_in_steps,
    a_repeated_claim_tells_its_first_deadline_and_an_empty_one_is_not_kept,
    a_claim_without_its_deadline_and_a_deadline_without_its_claim_are_found,
}

const CALLERS: usize = 64;
const TODOS: i64 = 1_000;
const LEASE_SECONDS: i64 = 600;
/// The lease, and the minute that a heartbeat may be behind.
const LAPSE_SECONDS: i64 = LEASE_SECONDS + 60;

fn request(issuer: &Issuer) -> ClaimRequest {
    let lease = LeaseSeconds::parse(LEASE_SECONDS).unwrap();
    ClaimRequest { lease, ..issuer.next_claim() }
}

fn next(issuer: &Issuer) -> Command {
    issuer.claim(request(issuer))
}

/// Applies a command. SQLite has no queue for its lock: a store that does not get it within 4 s
/// reports that nothing was done, and the command is sent again.
async fn apply(store: &Store, command: Command) -> CommandResult {
    loop {
        match store.apply(command.clone()).await {
            Err(ApplyError::Store(StoreError::Unavailable(_) | StoreError::Busy)) => {}
            answer => return answer,
        }
    }
}

/// The todo that was claimed, and the token of the claim.
#[track_caller]
fn claimed(answer: CommandResult) -> Option<(i64, i64)> {
    match answer.unwrap().row {
        AppliedRow::Claimed(todo, _) => Some((todo.id.0, todo.claims.token().unwrap().0)),
        AppliedRow::NothingToClaim => None,
        other => panic!("{other:?} is no claim"),
    }
}

/// Claims until nothing is left, with as many callers at once. Answers how often each todo was
/// claimed, with which token.
async fn claim_all(stores: &[Store], issuer: Issuer) -> BTreeMap<(i64, i64), usize> {
    let mut callers = Vec::new();
    for store in stores.iter().cycle().take(CALLERS) {
        let store = store.clone();
        callers.push(tokio::spawn(async move {
            let mut mine = Vec::new();
            while let Some(one) = claimed(apply(&store, next(&issuer)).await) {
                mine.push(one);
            }
            mine
        }));
    }
    let mut counts = BTreeMap::new();
    for caller in callers {
        for one in caller.await.unwrap() {
            *counts.entry(one).or_default() += 1;
        }
    }
    counts
}

async fn of_racing_callers_each_todo_is_claimed_by_one_and_lapsed_ones_once_more(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100_000).await;
    let new = |id: i64| issuer.create_todo_as("one", id % 4, None);
    apply_each(&db.store, (1..=TODOS).map(new)).await;
    let mut stores = vec![db.store.clone()];
    if db.is_postgres() {
        stores.extend([db.another_store().await, db.another_store().await]);
    }
    let once = |token: i64| (1..=TODOS).map(|id| ((id, token), 1)).collect::<BTreeMap<_, _>>();
    assert_eq!(claim_all(&stores, issuer).await, once(1));
    // The clock of one process is moved on; the others are gone.
    db.clock.advance_seconds(LAPSE_SECONDS - 1);
    assert_eq!(claim_all(&stores[..1], issuer).await, BTreeMap::new());
    db.clock.advance_seconds(1);
    assert_eq!(claim_all(&stores[..1], issuer).await, once(2));
    let balance = db.rows::<(i64,)>("SELECT balance FROM accounts").await;
    assert_eq!(balance, [(100_000 - 3 * TODOS,)], "those that found nothing cost nothing");
    assert_eq!(db.store.verify().await.unwrap(), (1, vec![]));
}

/// Applies commands in one batch.
async fn in_one_batch(
    db: &TestDatabase,
    issuer: &Issuer,
    commands: Vec<Command>,
) -> Vec<CommandResult> {
    let hold = db.hold(issuer.account).await;
    let calls = begin_all(&db.store, commands);
    hold.wait_until_blocking().await;
    hold.release().await;
    answers(calls).await
}

async fn a_batch_claims_the_todo_after_those_that_it_finishes(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 1_000).await;
    apply_each(&db.store, (0..20).map(|_| issuer.create_todo_as("one", 2, None))).await;
    let mut commands: Vec<_> = (1..=9).map(|id| issuer.step_todo(id, TodoStatus::Done)).collect();
    commands.push(issuer.delete_todo(10));
    commands.push(next(&issuer));
    commands.push(issuer.create_todo_as("first of all", 3, None));
    commands.extend((0..3).map(|_| next(&issuer)));
    let answers = in_one_batch(&db, &issuer, commands).await;
    let ids = answers
        .into_iter()
        .skip(10)
        .filter(|answer| matches!(answer.as_ref().unwrap().row, AppliedRow::Claimed(..)));
    let ids: Vec<_> = ids.map(|answer| claimed(answer).unwrap().0).collect();
    assert_eq!(ids, [11, 21, 12, 13]);
}

async fn todos_are_claimed_in_order_and_lapsed_ones_after_the_open_ones_of_their_priority(
    db: TestDatabase,
) {
    let issuer = Issuer::new(&db.store, 1_000).await;
    // Priorities and due dates, in seconds from now.
    let todos = [
        (1, None),
        (1, Some(90)),
        (1, Some(80)),
        (3, None),
        (0, Some(1)),
        (1, None),
        (1, Some(90)),
        (2, None),
    ];
    for (priority, due) in todos {
        let id = 1 + db.rows::<(i64,)>("SELECT COUNT(*) FROM todos").await[0].0;
        let due_at = due.map_or(Patch::Keep, |due| Patch::Set(issuer.at.plus_seconds(due)));
        let patch = TodoPatch { due_at, ..TodoPatch::EMPTY };
        let new = issuer.create_todo_as("one", priority, None);
        apply_each(&db.store, [new, issuer.patch_todo(id, patch)]).await;
    }
    let order = async |commands: usize| {
        let mut ids = Vec::new();
        for _ in 0..commands {
            ids.extend(claimed(db.store.apply(next(&issuer)).await).map(|(id, _)| id));
        }
        ids
    };
    let min_priority = Priority::parse(2).unwrap();
    let above = issuer.claim(ClaimRequest { min_priority, ..request(&issuer) });
    assert_eq!(claimed(db.store.apply(above.clone()).await), Some((4, 1)));
    assert_eq!(claimed(db.store.apply(above.clone()).await), Some((8, 1)));
    assert_eq!(claimed(db.store.apply(above).await), None);
    assert_eq!(order(3).await, [3, 2, 7]);
    db.clock.advance_seconds(LAPSE_SECONDS);
    assert_eq!(order(20).await, [4, 8, 1, 6, 3, 2, 7, 5]);
    let log: Vec<(i64, String, Option<Vec<u8>>)> = db
        .rows("SELECT log_id, new_status, note FROM todo_logs WHERE todo_id = 4 ORDER BY log_id")
        .await;
    let steps: Vec<_> = log.iter().map(|(_, to, note)| (to.as_str(), note.clone())).collect();
    let lapsed = Some(text("claim lapsed").0);
    assert_eq!(steps, [("in_progress", None), ("open", lapsed), ("in_progress", None)]);
    assert_eq!(db.store.verify().await.unwrap(), (1, vec![]));
}

async fn a_lapsed_claim_of_a_session_that_the_batch_writes_to_hides_no_other(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 1_000).await;
    apply_each(&db.store, [issuer.start_session()]).await;
    apply_each(&db.store, (0..10).map(|_| issuer.create_todo("one"))).await;
    let session = Some(SessionId(1));
    let of_session = || issuer.claim(ClaimRequest { session, ..request(&issuer) });
    apply_each(&db.store, (0..9).map(|_| of_session())).await;
    apply_each(&db.store, [next(&issuer)]).await;
    db.clock.advance_seconds(LAPSE_SECONDS);
    // The first nine live again by the write of their session.
    let commands = vec![issuer.log_activity_as("a", Some(1), None), next(&issuer), next(&issuer)];
    let answers = in_one_batch(&db, &issuer, commands).await;
    let claims: Vec<_> = answers.into_iter().skip(1).map(claimed).collect();
    assert_eq!(claims, [Some((10, 2)), None]);
}

async fn the_claims_of_a_deleted_session_are_left_to_their_leases(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 1_000).await;
    apply_each(&db.store, [issuer.start_session(), issuer.create_todo("one")]).await;
    let session = Some(SessionId(1));
    let claim = issuer.claim(ClaimRequest { session, ..request(&issuer) });
    apply_each(&db.store, [claim]).await;
    db.clock.advance_seconds(LAPSE_SECONDS + 7);
    apply_each(&db.store, [issuer.delete_session(1)]).await;
    let until = db.clock.now().plus_seconds(LAPSE_SECONDS);
    let rows: Vec<(Option<i64>, i64)> =
        db.rows("SELECT session_id, until_at FROM claim_deadlines").await;
    assert_eq!(rows, [(None, until.micros())]);
    let todo = TodoId(1);
    let named = issuer.claim(ClaimRequest { todo: Some(todo), ..request(&issuer) });
    let held = Err(ApplyError::Refused(Refusal::ClaimHeld { todo, until }));
    assert_eq!(db.store.apply(named).await, held);
    assert_eq!(db.rows::<(i64,)>("SELECT COUNT(*) FROM session_activity").await, [(0,)]);
    assert_eq!(db.store.verify().await.unwrap(), (1, vec![]));
    db.clock.advance_seconds(LAPSE_SECONDS);
    assert_eq!(claimed(db.store.apply(next(&issuer)).await), Some((1, 2)));
}

async fn many_claims_of_a_deleted_session_are_left_to_their_leases_in_steps(db: TestDatabase) {
    const CLAIMS: usize = 600;
    let issuer = Issuer::new(&db.store, 10_000).await;
    apply_each(&db.store, [issuer.start_session()]).await;
    apply_each(&db.store, (0..CLAIMS).map(|_| issuer.create_todo("one"))).await;
    let session = Some(SessionId(1));
    let of_session = || issuer.claim(ClaimRequest { session, ..request(&issuer) });
    apply_each(&db.store, (0..CLAIMS).map(|_| of_session())).await;
    db.clock.advance_seconds(LAPSE_SECONDS + 7);
    apply_each(&db.store, [issuer.delete_session(1)]).await;
    let count =
        async |rows: &str| db.rows::<(i64,)>(&format!("SELECT COUNT(*) FROM {rows}")).await[0].0;
    assert_eq!(count("session_deletions").await, 1, "there are more than one step removes");
    assert!(count("claim_deadlines WHERE session_id IS NOT NULL").await > 0);
    // Those that no step has come to yet live as long.
    db.clock.advance_seconds(LAPSE_SECONDS - 1);
    assert_eq!(claimed(db.store.apply(next(&issuer)).await), None);
    assert_eq!(db.store.verify().await.unwrap(), (1, vec![]));
    db.context().leftovers.work_off().await.unwrap();
    for rows in ["session_deletions", "session_activity"] {
        assert_eq!(count(rows).await, 0, "{rows}");
    }
    assert_eq!(count("claim_deadlines WHERE session_id IS NOT NULL").await, 0);
    assert_eq!(claimed(db.store.apply(next(&issuer)).await), None);
    assert_eq!(db.store.verify().await.unwrap(), (1, vec![]));
    db.clock.advance_seconds(1);
    assert_eq!(claimed(db.store.apply(next(&issuer)).await), Some((1, 2)));
}

async fn a_repeated_claim_tells_its_first_deadline_and_an_empty_one_is_not_kept(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 1_000).await;
    let mac = Mac([7; 32]);
    let now = IdempotencyMacs { key: mac, request: mac };
    let mut command = next(&issuer);
    command.conditions.idempotency = Some(Idempotency { now, before: vec![] });
    assert_eq!(claimed(db.store.apply(command.clone()).await), None);
    apply_each(&db.store, [issuer.create_todo("one"), issuer.create_todo("two")]).await;
    let first = db.store.apply(command.clone()).await.unwrap();
    assert_eq!((first.cost, first.balance, first.is_replay), (1, 997, false));
    db.clock.advance_seconds(120);
    let patch = TodoPatch { priority: Some(Priority::parse(1).unwrap()), ..TodoPatch::EMPTY };
    apply_each(&db.store, [issuer.patch_claimed(1, 1, patch)]).await;
    let again = db.store.apply(command).await.unwrap();
    assert_eq!((again.balance, again.is_replay), (996, true));
    assert_eq!(again.row, first.row, "the todo and its deadline, as they were");
}

async fn a_claim_without_its_deadline_and_a_deadline_without_its_claim_are_found(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 1_000).await;
    apply_each(&db.store, [issuer.create_todo("one"), issuer.create_todo("two")]).await;
    apply_each(&db.store, [next(&issuer)]).await;
    assert_eq!(db.store.verify().await.unwrap(), (1, vec![]));
    db.execute("UPDATE claim_deadlines SET todo_id = 2").await;
    let (_, found) = db.store.verify().await.unwrap();
    let found: Vec<_> = found.into_iter().map(|one| one.mismatch).collect();
    assert_eq!(found, [Mismatch::Claim(TodoId(1)), Mismatch::Claim(TodoId(2))]);
}

/// A process whose clock is so many seconds ahead of the time at which tests begin.
struct SkewedClock(i64);

impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_775_743_200_000_000).plus_seconds(self.0)
    }
}

/// Leases are judged by the database's clock, which all processes share.
#[tokio::test]
async fn a_process_whose_clock_is_ahead_steals_nothing() {
    let db = TestDatabase::postgres().await;
    let issuer = Issuer::new(&db.store, 1_000).await;
    apply_each(&db.store, [issuer.create_todo("one")]).await;
    let url = DatabaseUrl::parse(&db.sql_proxy.as_ref().unwrap().url).unwrap();
    let open = async |seconds| Store::open(&url, Arc::new(SkewedClock(seconds))).await.unwrap();
    let (one, ahead) = (open(0).await, open(1_000_000).await);
    assert_eq!(claimed(one.apply(next(&issuer)).await), Some((1, 1)));
    assert_eq!(claimed(ahead.apply(next(&issuer)).await), None);
    let todo = Some(TodoId(1));
    let named = ahead.apply(issuer.claim(ClaimRequest { todo, ..request(&issuer) })).await;
    assert!(matches!(named, Err(ApplyError::Refused(Refusal::ClaimHeld { .. }))), "{named:?}");
    // The lease ends by the database's clock.
    db.execute("UPDATE claim_deadlines SET until_at = until_at - 700000000").await;
    assert_eq!(claimed(one.apply(next(&issuer)).await), Some((1, 2)));
    one.close().await;
    ahead.close().await;
}
