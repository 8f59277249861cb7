//! What is written reads back, in order, with true totals.

use roots_domain::model::Patch;
use roots_domain::model::id::LogId;
use roots_domain::model::page::PageRequest;
use roots_domain::model::session::{SessionPatch, SessionStatus};
use roots_domain::model::todo::TodoStatus;
use roots_domain::model::zone::Zone;
use roots_domain::usecase::Terms;
use roots_domain::usecase::activities::ActivitySelection;
use roots_domain::usecase::todos::{TodoChange, TodoFilter};
use roots_testkit::database::TestDatabase;
use roots_testkit::world::{activity_draft, long_text, session_draft, todo_draft};

roots_testkit::on_both! { a_day_of_work }

async fn a_day_of_work(db: TestDatabase) {
    let world = db.world();
    let caller = world.caller(100).await;
    let session =
        world.sessions.start(&caller, session_draft("Morning"), Terms::default()).await.unwrap();
    assert_eq!((session.value.id.0, session.cost, session.balance), (1, 1, 99));
    let mut draft = todo_draft("Write docs");
    draft.session = Some(session.value.id);
    let todo = world.todos.create(&caller, draft, Terms::default()).await.unwrap().value;
    let mut draft = activity_draft("Deployed");
    draft.session = Some(session.value.id);
    world.activities.log(&caller, draft, Terms::default()).await.unwrap();
    let change = TodoChange { status: Some(TodoStatus::Done), ..TodoChange::default() };
    let done = world.todos.patch(&caller, todo.id, change, Terms::default()).await.unwrap();
    assert_eq!(done.balance, 96);
    let log = world.todos.log_after(&caller, todo.id, LogId(0)).await.unwrap().unwrap();
    assert_eq!((log.steps.len(), log.next), (1, None));
    let patch = SessionPatch {
        status: Some(SessionStatus::Ended),
        notes: Patch::Set(long_text("Done for today")),
    };
    let ended =
        world.sessions.patch(&caller, session.value.id, patch, Terms::default()).await.unwrap();
    assert_eq!(ended.value.notes.as_deref(), Some("Done for today"));
    world.sessions.delete(&caller, session.value.id, Terms::default()).await.unwrap();
    let page = PageRequest::default();
    let todos = world.todos.list(&caller, TodoFilter::default(), page).await.unwrap();
    assert_eq!((todos.total, todos.items[0].session), (1, None));
    let all = ActivitySelection::default();
    let activities = world.activities.list(&caller, all.clone(), page).await.unwrap();
    assert_eq!((activities.total, activities.items[0].session), (1, None));
    let stats = world.activities.stats(&caller, all, &Zone::UTC).await.unwrap();
    assert_eq!((stats.total, stats.sessions.total), (1, 0));
    let credits = world.accounts.credits(&caller).await.unwrap();
    assert_eq!((credits.balance, credits.recent.len()), (94, 7));
    let (accounts, faults) = roots_domain::port::store::Auditor::audit(&world.store).await.unwrap();
    assert_eq!((accounts, faults), (1, vec![]));
}
