//! The texts that a search reads, compared with the lists, and a search with real keys.

use std::convert::Infallible;

use roots_domain::command::Command;
use roots_domain::model::Patch;
use roots_domain::model::id::{ActorId, KeyId, LogId, SessionId, TodoId};
use roots_domain::model::page::PageRequest;
use roots_domain::model::sealed::{Field, Sealed};
use roots_domain::model::search::{SearchKind, SearchTerms, SearchedKinds};
use roots_domain::model::session::SessionWindow;
use roots_domain::model::text::LogNote;
use roots_domain::model::time::{TimeRange, Timestamp};
use roots_domain::model::todo::{Priority, TodoPatch, TodoStatus};
use roots_domain::port::store::{
    ActivityFilter, ActivityReader, Admission, ItemFilter, ItemPosition, ItemSource,
    NOTES_CHUNK_ROWS, SHORT_TEXTS_MAX_BYTES, SealedItem, SearchReader, SessionQuery, SessionReader,
    StoreError, TodoQuery, TodoReader,
};
use roots_domain::service::Preconditions;
use roots_domain::service::access::{ActorScope, Caller};
use roots_domain::service::keyrings::Keyrings;
use roots_domain::service::search::SearchSelection;
use roots_domain::service::todos::TodoChange;
use roots_persistence::Store;
use roots_testkit::commands::{Issuer, apply_all, apply_each, resealed};
use roots_testkit::context::{TestContext, activity_draft, session_draft, todo_draft};
use roots_testkit::database::TestDatabase;
use roots_testkit::members::{add_member, put_member, renew_member};

use crate::random_commands::{self, SeededRng};

roots_testkit::on_both! {
    every_source_has_the_items_of_its_list_newest_first,
    items_of_a_deleted_session_are_not_found_by_it,
    long_texts_are_left_out_and_named_so,
    notes_are_read_newest_first_in_chunks,
    no_text_is_read_once_the_auth_epoch_has_moved,
    a_search_opens_texts_of_every_epoch_of_the_actors_that_its_caller_reaches,
}

/// The position before every item.
const TOP: ItemPosition = ItemPosition { at: Timestamp::LAST, id: i64::MAX };
const ALL: PageRequest = PageRequest::skipping(0, 1_000_000);

fn todos(priority: Priority, status: Option<TodoStatus>) -> ItemSource {
    ItemSource::Todos { priority, status }
}

fn filter(by: Admission) -> ItemFilter {
    ItemFilter { by, actor: None, session: None, since: None }
}

/// All items of a source, read a few at a time.
async fn walk(store: &Store, filter: &ItemFilter, source: ItemSource) -> Vec<SealedItem> {
    const AT_ONCE: u32 = 7;
    let (mut found, mut before) = (Vec::new(), TOP);
    loop {
        let items = store.items_before(filter, source, before, AT_ONCE).await.unwrap();
        let is_last = items.len() < usize::try_from(AT_ONCE).unwrap();
        if let Some(SealedItem { at, id, .. }) = items.last() {
            before = ItemPosition { at: *at, id: *id };
        }
        found.extend(items);
        if is_last {
            return found;
        }
    }
}

macro_rules! item {
    ($row:expr, $at:ident) => {{
        let row = $row;
        let (id, uid, actor, at) = (row.id.0, row.uid, row.actor, row.$at);
        let mut texts = Vec::new();
        let Ok(_) = row.try_map_text(|field, text: Sealed| {
            texts.push((field, text));
            Ok::<_, Infallible>(())
        });
        SealedItem { id, uid, actor, at, texts: Some(texts) }
    }};
}

/// The items of a source, read from the lists.
async fn listed(store: &Store, filter: &ItemFilter, source: ItemSource) -> Vec<SealedItem> {
    let ItemFilter { by, actor, session, since } = *filter;
    let mut items: Vec<_> = match source {
        ItemSource::Sessions => {
            let window = SessionWindow::default();
            let query = SessionQuery { by, actor, status: None, window, page: ALL };
            let page = store.sessions(&query).await.unwrap();
            let wanted = page
                .items
                .into_iter()
                .map(|row| row.session)
                .filter(|row| session.is_none_or(|id| row.id == id));
            wanted.map(|row| item!(row, started_at)).collect()
        }
        ItemSource::Todos { priority, status } => {
            let priority = Some(priority);
            let query = TodoQuery { by, actor, status, priority, session, page: ALL };
            let page = store.todos(&query).await.unwrap();
            page.items.into_iter().map(|row| item!(row.todo, created_at)).collect()
        }
        ItemSource::Activities => {
            let range = TimeRange::default();
            let query = ActivityFilter { by, actor, activity_type: None, session, range };
            let page = store.activities(&query, ALL).await.unwrap();
            page.items.into_iter().map(|row| item!(row, logged_at)).collect()
        }
    };
    items.retain(|item| since.is_none_or(|since| item.at >= since));
    items.sort_by_key(|item| std::cmp::Reverse((item.at, item.id)));
    items
}

async fn every_source_has_the_items_of_its_list_newest_first(db: TestDatabase) {
    let mut rng = SeededRng(11);
    let mut issuer = Issuer::new(&db.store, 1_000).await;
    put_member(&db, issuer.account, 2).await;
    let planned: Vec<_> = (0..600)
        .map(|_| {
            // Most rows share their time with others, so their ids decide the order.
            issuer.at = issuer.at.plus_seconds(i64::from(rng.below(8) == 0));
            random_commands::command(&mut rng, &issuer, 60)
        })
        .collect();
    // Some of the commands are refused.
    let _ = apply_all(&db.store, planned).await;
    let with_status = TodoStatus::ALL.into_iter().map(Some).chain([None]);
    let of_todos = with_status.flat_map(|status| Priority::ALL.map(|level| todos(level, status)));
    let sources: Vec<_> = of_todos.chain([ItemSource::Sessions, ItemSource::Activities]).collect();
    let mut found = 0;
    for actor in [None, Some(ActorId(1)), Some(ActorId(2)), Some(ActorId(3))] {
        for session in [None, Some(SessionId(1)), Some(SessionId(2)), Some(SessionId(99))] {
            for since in [None, Some(Timestamp::from_micros(issuer.at.micros() - 20_000_000))] {
                let by = issuer.account.into();
                let filter = ItemFilter { by, actor, session, since };
                for source in &sources {
                    let items = walk(&db.store, &filter, *source).await;
                    found += items.len();
                    let expected = listed(&db.store, &filter, *source).await;
                    assert_eq!(items, expected, "{filter:?} {source:?}");
                }
            }
        }
    }
    assert!(found > 500, "{found}");
}

async fn items_of_a_deleted_session_are_not_found_by_it(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let work = [
        issuer.start_session(),
        issuer.create_todo_as("a", 0, Some(1)),
        issuer.log_activity_as("a", Some(1), None),
        issuer.delete_session(1),
    ];
    apply_each(&db.store, work).await;
    // The deletion has not unlinked these rows yet.
    db.execute("UPDATE todos SET session_id = 1").await;
    db.execute("UPDATE activities SET session_id = 1").await;
    let account = issuer.account;
    db.execute(&format!(
        "INSERT INTO session_deletions (account_id, session_id) VALUES ({account}, 1)"
    ))
    .await;
    let all = filter(account.into());
    let of_session = ItemFilter { session: Some(SessionId(1)), ..all.clone() };
    for source in [ItemSource::Sessions, todos(Priority::default(), None), ItemSource::Activities] {
        assert_eq!(walk(&db.store, &of_session, source).await, [], "{source:?}");
        let found = walk(&db.store, &all, source).await.len();
        assert_eq!(found, usize::from(source != ItemSource::Sessions), "{source:?}");
    }
}

async fn long_texts_are_left_out_and_named_so(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let most = usize::try_from(SHORT_TEXTS_MAX_BYTES).unwrap();
    let describe = |id, bytes| {
        let description = Patch::Set(resealed(&"d".repeat(bytes)));
        issuer.patch_todo(id, TodoPatch { description, ..TodoPatch::EMPTY })
    };
    let work = [
        issuer.create_todo("title"),
        issuer.create_todo("title"),
        describe(1, most - "title".len()),
        describe(2, most - "title".len() + 1),
    ];
    apply_each(&db.store, work).await;
    let source = todos(Priority::default(), None);
    let items = walk(&db.store, &filter(issuer.account.into()), source).await;
    let fields: Vec<_> = items
        .iter()
        .map(|item| {
            let texts = item.texts.as_ref();
            (item.id, texts.map(|texts| texts.iter().map(|(field, _)| *field).collect::<Vec<_>>()))
        })
        .collect();
    let both = vec![Field::TodoTitle, Field::TodoDescription];
    assert_eq!(fields, [(2, None), (1, Some(both))]);
}

async fn notes_are_read_newest_first_in_chunks(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 1_000).await;
    let steps = i64::from(NOTES_CHUNK_ROWS) + 10;
    let step = |todo, number: i64| -> Command {
        let status = if number % 2 == 0 { TodoStatus::InProgress } else { TodoStatus::Open };
        // Every third step has no note.
        let note = (number % 3 != 0).then(|| resealed(&number.to_string()));
        issuer.patch_todo(todo, TodoPatch { status: Some(status), note, ..TodoPatch::EMPTY })
    };
    apply_each(&db.store, (0..3).map(|_| issuer.create_todo("a"))).await;
    apply_each(&db.store, (0..4).map(|number| step(1, number))).await;
    apply_each(&db.store, (0..4).map(|number| step(2, number))).await;
    apply_each(&db.store, (0..steps * 3 / 2).map(|number| step(3, number))).await;
    let account = issuer.account;
    let read = async |todos: &[i64], before| {
        let todos: Vec<_> = todos.iter().map(|id| TodoId(*id)).collect();
        let notes = db.store.notes_before(account.into(), &todos, before).await.unwrap();
        assert!(notes.iter().all(|note| note.note.is_some()));
        notes.into_iter().map(|note| (note.todo, note.id)).collect::<Vec<_>>()
    };
    assert_eq!(read(&[], None).await, []);
    let first = read(&[1, 3], None).await;
    assert_eq!(first.len(), usize::from(NOTES_CHUNK_ROWS));
    assert!(first.is_sorted_by(|one, next| one > next) && first.iter().all(|(id, _)| id.0 == 3));
    let second = read(&[1, 3], first.last().copied()).await;
    let all = [first, second].concat();
    assert!(all.is_sorted_by(|one, next| one > next));
    let of = |todo: i64| all.iter().filter(|(id, _)| id.0 == todo).count();
    // Of the four steps, the second and third have a note.
    assert_eq!((of(1), of(2)), (2, 0));
    assert_eq!(of(3), (0..steps * 3 / 2).filter(|number| number % 3 != 0).count());
    // The search can skip the rest of a todo's log.
    let skipped = read(&[1, 2, 3], Some((TodoId(3), LogId(0)))).await;
    assert_eq!(skipped.iter().map(|(id, _)| id.0).collect::<Vec<_>>(), [2, 2, 1, 1]);
}

async fn no_text_is_read_once_the_auth_epoch_has_moved(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    apply_each(&db.store, [issuer.log_activity("a")]).await;
    let epoch =
        |auth_epoch| filter(Admission { account: issuer.account, auth_epoch: Some(auth_epoch) });
    for source in [ItemSource::Sessions, ItemSource::Activities] {
        let read = async |auth_epoch| {
            db.store
                .items_before(&epoch(auth_epoch), source, TOP, 10)
                .await
                .map(|items| items.len())
        };
        let rows = usize::from(source == ItemSource::Activities);
        assert_eq!(read(issuer.auth_epoch).await, Ok(rows));
        assert_eq!(read(issuer.auth_epoch + 1).await, Err(StoreError::EpochMoved));
    }
}

/// The kinds and ids of the results.
async fn found(
    context: &TestContext,
    caller: &Caller,
    scope: ActorScope,
    text: &str,
) -> Vec<(SearchKind, i64)> {
    let selection = SearchSelection {
        terms: SearchTerms::parse(text).unwrap(),
        scope,
        kinds: SearchedKinds::default(),
        session: None,
        range: TimeRange::default(),
    };
    let page = context.search.find(caller, &selection, 100, None).await.unwrap();
    assert_eq!((page.next, page.is_complete, page.unreadable), (None, true, 0));
    page.hits.iter().map(|hit| (hit.kind, hit.id)).collect()
}

async fn a_search_opens_texts_of_every_epoch_of_the_actors_that_its_caller_reaches(
    db: TestDatabase,
) {
    let context = db.context();
    let owner = context.caller(100).await;
    let member = context.bearer(&add_member(&db, &owner, 2).await).await;
    let none = Preconditions::default;
    let long = format!("{} needle", "hay ".repeat(3_000));
    for caller in [&owner, &member] {
        context.sessions.start(caller, session_draft("the NEEDLE"), none()).await.unwrap();
        context.activities.log(caller, activity_draft(&long), none()).await.unwrap();
    }
    let todo = context.todos.create(&owner, todo_draft("a haystack"), none()).await.unwrap();
    let change = TodoChange {
        status: Some(TodoStatus::Done),
        note: Some(LogNote::parse("found a needle").unwrap()),
        ..TodoChange::EMPTY
    };
    context.todos.patch(&owner, todo.value.id, change, none()).await.unwrap();
    // The member's texts so far were sealed in its first epoch.
    let keys = Keyrings::in_force(&db.store, &owner, ActorId(2)).await.unwrap();
    let renewal = keys.of_row(ActorId(2)).unwrap().renew(KeyId(9)).unwrap();
    renew_member(&db, &owner, 2, &renewal).await;
    let renewed = context.bearer(&renewal.key.secret).await;
    context.activities.log(&renewed, activity_draft("needles"), none()).await.unwrap();

    let sorted = |mut found: Vec<(SearchKind, i64)>| {
        found.sort_unstable();
        found
    };
    let (session, activity) = (SearchKind::Session, SearchKind::Activity);
    let own = sorted(found(&context, &owner, ActorScope::Own, "needle").await);
    assert_eq!(own, [(session, 1), (SearchKind::Todo, 1), (activity, 1)]);
    let of_member = [(session, 2), (activity, 2), (activity, 3)];
    let scope = ActorScope::Of(ActorId(2));
    assert_eq!(sorted(found(&context, &owner, scope, "needle*").await), of_member);
    assert_eq!(sorted(found(&context, &renewed, ActorScope::Own, "needle*").await), of_member);
    let all = found(&context, &owner, ActorScope::All, "needle*").await;
    assert_eq!(all.len(), 6);
    assert_eq!(found(&context, &owner, ActorScope::All, "\"needle haystack\"").await, []);
    let spread = found(&context, &owner, ActorScope::All, "needle haystack").await;
    assert_eq!(spread, [(SearchKind::Todo, 1)]);
}
