//! Rows read back as they were written, in order and with the right totals.

use roots_domain::model::Patch;
use roots_domain::model::page::PageRequest;
use roots_domain::model::session::{SessionPatch, SessionStatusKind};
use roots_domain::model::todo::TodoStatus;
use roots_domain::model::zone::Zone;
use roots_domain::service::Preconditions;
use roots_domain::service::activities::ActivitySelection;
use roots_domain::service::todos::{TodoChange, TodoFilter};
use roots_testkit::context::{activity_draft, long_text, session_draft, todo_draft};
use roots_testkit::database::TestDatabase;

roots_testkit::on_both! { a_day_of_work_through_all_services_reads_back_and_adds_up }

async fn a_day_of_work_through_all_services_reads_back_and_adds_up(db: TestDatabase) {
    let context = db.context();
    let caller = context.caller(100).await;
    let session = context
        .sessions
        .start(&caller, session_draft("Morning"), Preconditions::default())
        .await
        .unwrap();
    assert_eq!((session.value.id.0, session.cost, session.balance), (1, 1, 99));
    let mut draft = todo_draft("Write docs");
    draft.content.session = Some(session.value.id);
    let todo = context.todos.create(&caller, draft, Preconditions::default()).await.unwrap().value;
    let mut draft = activity_draft("Deployed");
    draft.session = Some(session.value.id);
    context.activities.log(&caller, draft, Preconditions::default()).await.unwrap();
    let change = TodoChange { status: Some(TodoStatus::Done), ..TodoChange::EMPTY };
    let done =
        context.todos.patch(&caller, todo.id, change, Preconditions::default()).await.unwrap();
    assert_eq!(done.balance, 96);
    let log = context.todos.log_after(&caller, todo.id, None).await.unwrap().unwrap();
    assert_eq!((log.steps.len(), log.next), (1, None));
    let patch = SessionPatch {
        status: Some(SessionStatusKind::Ended),
        notes: Patch::Set(long_text("Done for today")),
    };
    let ended = context
        .sessions
        .patch(&caller, session.value.id, patch, Preconditions::default())
        .await
        .unwrap();
    assert_eq!(ended.value.notes.as_deref(), Some("Done for today"));
    context.sessions.delete(&caller, session.value.id, Preconditions::default()).await.unwrap();
    let page = PageRequest::default();
    let todos = context.todos.list(&caller, TodoFilter::default(), page).await.unwrap();
    assert_eq!((todos.total, todos.items[0].todo.content.session), (1, None));
    let all = ActivitySelection::default();
    let activities = context.activities.list(&caller, all.clone(), page).await.unwrap();
    assert_eq!((activities.total, activities.items[0].session), (1, None));
    let stats = context.activities.stats(&caller, all, &Zone::UTC).await.unwrap();
    assert_eq!((stats.total, stats.sessions.total), (1, 0));
    let credits = context.accounts.credits(&caller).await.unwrap();
    assert_eq!((credits.balance, credits.recent.len()), (94, 7));
    let (accounts, errors) =
        roots_domain::port::store::Verifier::verify(&context.store).await.unwrap();
    assert_eq!((accounts, errors), (1, vec![]));
}
