//! The `roots-client` crate against the API.

use std::io::{self, Cursor};

use axum::body::Bytes;
use futures_util::{TryStreamExt, stream};
use roots_client::model::{
    Action, ActorChange, ActorFilter, ActorType, BriefQuery, Import, ImportOptions, LedgerFilter,
    NewActor, NewClaim, NewKey, NewTodo, Paging, ReadyStatus, Release, Rotation, SessionFilter,
    StatsFilter, TodoChange, TodoFilter, TodoStatus,
};
use roots_client::{Charge, Client, IdempotencyKey, Patch};
use roots_testkit::app::TestApp;
use roots_testkit::database::TestDatabase;

use crate::client::balance;

#[expect(dead_code, reason = "`main` is for the command line")]
#[path = "../../../roots-client/examples/export.rs"]
mod export;
#[expect(dead_code, reason = "`main` is for the command line")]
#[path = "../../../roots-client/examples/first_session.rs"]
mod first_session;

roots_testkit::on_both! {
    the_clients_first_session_works,
    the_client_reads_every_resource,
    a_write_repeated_by_the_client_is_charged_once,
    the_client_makes_conditional_requests,
    the_client_claims_each_todo_once,
    the_client_lists_all_rows,
    the_client_exports_and_imports_an_account,
    the_client_manages_actors_and_keys,
    an_error_of_the_client_holds_the_problem,
}

fn client(app: &TestApp) -> Client {
    Client::new(&app.address, app.key()).unwrap()
}

fn titled(title: &str) -> NewTodo {
    NewTodo { title: title.to_owned(), ..NewTodo::default() }
}

async fn the_clients_first_session_works(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    first_session::run(&client(&app)).await.unwrap();
    assert_eq!(balance(&app).await, 5, "five writes");
}

async fn the_client_reads_every_resource(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let client = client(&app);
    first_session::run(&client).await.unwrap();
    assert_eq!(client.health().await.unwrap().status, "ok");
    assert_eq!(client.ready().await.unwrap().status, ReadyStatus::Ready);
    assert!(client.problems().await.unwrap().value.contains("still-in-flight"));
    let document = client.openapi().await.unwrap();
    assert_eq!(document.value["openapi"], "3.1.0");
    let tag = document.etag.unwrap();
    assert!(client.openapi().if_none_match(&tag).await.unwrap().is_none());

    let page = &Paging::default();
    assert_eq!(client.whoami().await.unwrap().credits_remaining, 5);
    assert_eq!(client.list_sessions(&SessionFilter::default(), page).await.unwrap().total, 1);
    assert_eq!(client.get_todo_logs(1).await.unwrap().logs.len(), 1);
    assert_eq!(client.get_activity(1).await.unwrap().value.activity_type, "deploy");
    let filter = StatsFilter {
        time_zone: Some("Asia/Kathmandu".to_owned()),
        since: Some("1970-01-01".parse().unwrap()),
        actor: Some(ActorFilter::All),
        ..StatsFilter::default()
    };
    assert_eq!(client.get_activity_stats(&filter).await.unwrap().total_activities, 1);
    let query = BriefQuery {
        max_tokens: Some(500),
        since: Some("1970-01-01".parse().unwrap()),
        actor: Some(ActorFilter::All),
        session_id: Some(1),
    };
    let brief = client.brief(&query).await.unwrap();
    assert_eq!((brief.counts.activities, brief.next_action.action), (1, Action::None));
    assert_eq!(brief.session.unwrap().session.session_id, 1);
    assert_eq!(client.list_actors(page).await.unwrap().total, 1);
    assert_eq!(client.list_keys(page).await.unwrap().total, 1);
    assert_eq!(client.get_credits().await.unwrap().balance, 5);
    let ledger: Vec<_> = client.ledger(&LedgerFilter::default()).try_collect().await.unwrap();
    assert_eq!(ledger.last().unwrap().balance_after, 10);
    client.list_audit(page).await.unwrap();
    client.get_usage(None).await.unwrap();
    client.get_usage_history(Some("2026-04")).await.unwrap();
}

async fn a_write_repeated_by_the_client_is_charged_once(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let client = client(&app);
    let key = IdempotencyKey::unique();
    let first = client.create_todo(&titled("once")).idempotency_key(&key).await.unwrap();
    let again = client.create_todo(&titled("once")).idempotency_key(&key).await.unwrap();
    assert!(!first.is_replay && again.is_replay);
    assert_eq!(first.value, again.value);
    assert_eq!(again.charge, Some(Charge { cost: 1, remaining: 9 }));
    let other = client.create_todo(&titled("other")).idempotency_key(&key).await.unwrap_err();
    assert_eq!(other.code(), Some("idempotency-key-reused"));
    assert_eq!(balance(&app).await, 9);
}

async fn the_client_makes_conditional_requests(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let client = client(&app);
    let new = NewTodo { description: Some("text".to_owned()), ..titled("t") };
    let todo = client.create_todo(&new).await.unwrap();
    let (id, tag) = (todo.value.todo_id, todo.etag.unwrap());
    assert_eq!(client.get_todo(id).if_none_match(&tag).await.unwrap(), None);
    let change = TodoChange {
        status: Some(TodoStatus::InProgress),
        description: Patch::Clear,
        due_at: Patch::Set("2026-04-10T00:00:00Z".parse().unwrap()),
        ..TodoChange::default()
    };
    let changed = client.update_todo(id, &change).if_match(&tag).await.unwrap();
    assert_eq!(changed.value.description, None);
    assert!(changed.value.due_at.is_some());
    let error = client.delete_todo(id).if_match(&tag).await.unwrap_err();
    assert_eq!(error.code(), Some("precondition-failed"));
    let read = client.get_todo(id).if_none_match(&tag).await.unwrap().unwrap();
    assert_eq!((read.value, &read.etag), (changed.value, &changed.etag));
    let deleted = client.delete_todo(id).if_match(&read.etag.unwrap()).await.unwrap();
    assert_eq!(deleted.value.todo_id, id);
}

async fn the_client_claims_each_todo_once(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let client = client(&app);
    client.create_todo(&titled("shared")).await.unwrap();
    let claimed = client.claim_todo(&NewClaim::default()).await.unwrap().unwrap();
    assert_eq!(claimed.charge, Some(Charge { cost: 1, remaining: 8 }));
    let todo = &claimed.value.todo;
    assert_eq!((todo.todo_id, todo.status), (1, TodoStatus::InProgress));
    let page = client.list_todos(&TodoFilter::default(), &Paging::default()).await.unwrap();
    assert_eq!(page.todos, std::slice::from_ref(&claimed.value));
    assert_eq!(client.claim_todo(&NewClaim::default()).await.unwrap(), None);
    let named = NewClaim { todo_id: Some(1), ..NewClaim::default() };
    let held = client.claim_todo(&named).await.unwrap_err();
    assert_eq!(held.problem().unwrap().until, claimed.value.until);

    let claim_token = todo.claim.as_ref().unwrap().token;
    let kept = TodoChange { claim_token: Some(claim_token), ..TodoChange::default() };
    let kept = client.update_todo(1, &kept).await.unwrap();
    assert_eq!(kept.value.claim, todo.claim);
    let released = client.release_todo(1, &Release { claim_token }).await.unwrap();
    assert_eq!((released.value.status, released.value.claim), (TodoStatus::Open, None));
    let lost = client.delete_todo(1).claim_token(claim_token).await.unwrap_err();
    assert_eq!(lost.code(), Some("claim-lost"));
    assert_eq!(balance(&app).await, 6, "four writes");
}

async fn the_client_lists_all_rows(database: TestDatabase) {
    let app = TestApp::start(database, 200).await;
    let client = client(&app);
    for number in 0..130 {
        client.create_todo(&titled(&format!("todo {number}"))).await.unwrap();
    }
    let todos: Vec<i64> = client
        .todos(&TodoFilter::default())
        .map_ok(|listed| listed.todo.todo_id)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(todos, (1..=130).rev().collect::<Vec<_>>());
}

async fn the_client_exports_and_imports_an_account(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    first_session::run(&client(&app)).await.unwrap();
    let mut file = Vec::new();
    export::run(&client(&app), &mut file).await.unwrap();

    let other = app.as_another(100).await;
    let checked = ImportOptions { is_dry_run: true, ..ImportOptions::default() };
    let dry: Import =
        client(&other).import_from(&checked, Cursor::new(file.clone())).await.unwrap();
    // A session, a todo, a log entry and an activity cost one credit each.
    assert_eq!((dry.cost, dry.is_covered), (4, Some(true)));
    let pieces = file.chunks(100).map(|piece| Ok::<_, io::Error>(Bytes::copy_from_slice(piece)));
    let pieces: Vec<_> = pieces.collect();
    let done =
        client(&other).import(&ImportOptions::default(), stream::iter(pieces)).await.unwrap();
    assert!(done.is_whole);
    assert_eq!((done.imported.todos, done.balance), (1, Some(96)));
    assert_eq!(client(&other).get_todo(1).await.unwrap().value.title, "Deploy docs pages");
}

async fn the_client_manages_actors_and_keys(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let owner = client(&app);
    let new = NewActor { name: "reviewer".to_owned(), actor_type: ActorType::Agent };
    let actor = owner.add_actor(&new).await.unwrap();
    let key = NewKey { actor_id: actor.actor_id, ..NewKey::default() };
    let key = owner.add_key(&key).await.unwrap();
    let member = Client::new(&app.address, key.api_key).unwrap();
    assert_eq!(member.whoami().await.unwrap().actor_name, "reviewer");
    let rotated = member.rotate_key(&Rotation::default()).await.unwrap();
    let member = Client::new(&app.address, rotated.api_key).unwrap();
    assert_eq!(member.whoami().await.unwrap().actor_id, actor.actor_id);
    let renamed = ActorChange { name: Some("critic".to_owned()), is_active: None };
    assert_eq!(owner.update_actor(actor.actor_id, &renamed).await.unwrap().name, "critic");
    assert_eq!(owner.revoke_key(rotated.key_id).await.unwrap().status, "revoked");
    assert_eq!(member.whoami().await.unwrap_err().code(), Some("unauthorized"));
    owner.deactivate_actor(actor.actor_id).await.unwrap();
    assert!(!owner.get_actor(actor.actor_id).await.unwrap().is_active);
}

async fn an_error_of_the_client_holds_the_problem(database: TestDatabase) {
    let app = TestApp::start(database, 1).await;
    let client = client(&app);
    let error = client.create_todo(&titled("")).await.unwrap_err();
    assert_eq!(error.code(), Some("invalid-body"));
    assert_eq!(error.problem().unwrap().errors[0].field, "title");
    client.create_todo(&titled("t")).await.unwrap();
    let error = client.create_todo(&titled("t")).await.unwrap_err();
    let problem = error.problem().unwrap();
    assert_eq!((problem.status, problem.balance, problem.cost), (402, Some(0), Some(1)));
    assert_eq!(client.get_session(7).await.unwrap_err().code(), Some("not-found"));
    let stranger = Client::new(&app.address, "roots_2_wrong").unwrap();
    assert_eq!(stranger.whoami().await.unwrap_err().code(), Some("unauthorized"));
}
