//! What a search finds, in which order, and where it stops.

use async_trait::async_trait;
use proptest::prelude::*;

use super::*;
use crate::model::activity::Activity;
use crate::model::id::{ActivityId, LogId, TodoId};
use crate::model::page::SortKey;
use crate::model::search::{SearchHit, SearchKind, SearchTerms, SearchedKinds};
use crate::model::text::ActivityType;
use crate::model::time::TimeRange;
use crate::model::todo::{Priority, StatusChange, TodoStatus};
use crate::port::store::{
    ItemFilter, ItemPosition, ItemSource, MockActivityReader, MockSearchReader, MockSessionReader,
    MockTodoReader, NOTES_CHUNK_ROWS, SealedItem, SearchReader, StoreResult,
};
use crate::service::access::ActorScope;
use crate::service::search::{NOTES_MAX, Search, SearchPage, SearchSelection, TEXTS_MAX};

/// A reader of rows in memory.
#[derive(Default, Clone)]
struct Rows {
    items: Vec<(ItemSource, SealedItem)>,
    notes: Vec<StatusChange<Sealed>>,
}

#[async_trait]
impl SearchReader for Rows {
    async fn items_before(
        &self,
        filter: &ItemFilter,
        source: ItemSource,
        before: ItemPosition,
        most: u32,
    ) -> StoreResult<Vec<SealedItem>> {
        assert_eq!(filter.by, BY);
        let is_wanted = |(of, item): &&(ItemSource, SealedItem)| {
            *of == source
                && (item.at, item.id) < (before.at, before.id)
                && filter.since.is_none_or(|since| item.at >= since)
                && filter.actor.is_none_or(|actor| item.actor == actor)
        };
        let mut wanted: Vec<_> =
            self.items.iter().filter(is_wanted).map(|(_, item)| item.clone()).collect();
        wanted.sort_by_key(|item| std::cmp::Reverse((item.at, item.id)));
        wanted.truncate(most.try_into().unwrap());
        Ok(wanted)
    }

    async fn notes_before(
        &self,
        by: Admission,
        todos: &[TodoId],
        before: Option<(TodoId, LogId)>,
    ) -> StoreResult<Vec<StatusChange<Sealed>>> {
        assert_eq!(by, BY);
        let is_wanted = |note: &&StatusChange<Sealed>| {
            todos.contains(&note.todo) && before.is_none_or(|before| (note.todo, note.id) < before)
        };
        let mut wanted: Vec<_> = self.notes.iter().filter(is_wanted).cloned().collect();
        wanted.sort_by_key(|note| std::cmp::Reverse((note.todo, note.id)));
        wanted.truncate(NOTES_CHUNK_ROWS.into());
        Ok(wanted)
    }
}

fn todos_of(level: i64) -> ItemSource {
    ItemSource::Todos { priority: Priority::parse(level).unwrap(), status: None }
}

/// The uid of a row.
fn row(kind: SearchKind, id: i64) -> Uid {
    uid(u128::from(id.unsigned_abs()) * 10 + kind as u128)
}

fn field_of(source: ItemSource) -> Field {
    match source.kind() {
        SearchKind::Session => Field::SessionNotes,
        SearchKind::Todo => Field::TodoTitle,
        SearchKind::Activity => Field::ActivityDescription,
    }
}

impl Rows {
    /// Adds an item of the caller with that text.
    fn with(mut self, source: ItemSource, id: i64, seconds: i64, text: &str) -> Self {
        let (field, uid) = (field_of(source), row(source.kind(), id));
        let texts = Some(vec![(field, stored(field, uid, text))]);
        self.items.push((source, SealedItem { id, uid, actor: ME, at: at(seconds), texts }));
        self
    }

    fn last(&mut self) -> &mut SealedItem {
        &mut self.items.last_mut().unwrap().1
    }

    fn with_note(mut self, todo: i64, id: i64, text: &str) -> Self {
        let uid = uid(100_000 + u128::from(id.unsigned_abs()));
        self.notes.push(StatusChange {
            id: LogId(id),
            uid,
            todo: TodoId(todo),
            old_status: TodoStatus::Open,
            new_status: TodoStatus::Done,
            note: Some(stored(Field::LogNote, uid, text)),
            logged_at: at(1),
        });
        self
    }
}

fn search_in(reader: impl SearchReader + 'static, accounts: Arc<MockAccountReader>) -> Search {
    Search {
        accounts,
        reader: Arc::new(reader),
        sessions: Arc::new(MockSessionReader::new()),
        todos: Arc::new(MockTodoReader::new()),
        activities: Arc::new(MockActivityReader::new()),
    }
}

fn selection(text: &str) -> SearchSelection {
    SearchSelection {
        terms: SearchTerms::parse(text).unwrap(),
        scope: ActorScope::Own,
        kinds: SearchedKinds::default(),
        session: None,
        range: TimeRange::default(),
    }
}

/// Checks at compile time that a search can run on another thread.
fn sendable<F: Future + Send>(search: F) -> F {
    search
}

/// A page for the caller, who needs no other actor's keys.
fn page_of(
    rows: &Rows,
    selection: &SearchSelection,
    limit: u32,
    after: Option<SortKey>,
) -> SearchPage {
    let search = search_in(rows.clone(), no_others());
    ready(sendable(search.find(&caller(), selection, limit, after))).unwrap()
}

/// The kind and id of each result.
fn names(page: &SearchPage) -> Vec<(&'static str, i64)> {
    page.hits.iter().map(|hit| (hit.kind.name(), hit.id)).collect()
}

#[test]
fn results_of_all_kinds_are_merged_newest_first() {
    let rows = Rows::default()
        .with(ItemSource::Sessions, 1, 10, "needle")
        .with(todos_of(0), 1, 30, "a Needle")
        .with(todos_of(3), 2, 20, "the needle")
        .with(todos_of(2), 3, 25, "hay")
        .with(ItemSource::Activities, 1, 20, "NEEDLE")
        .with(ItemSource::Activities, 2, 40, "hay");
    let page = page_of(&rows, &selection("needle"), 10, None);
    assert_eq!(names(&page), [("todo", 1), ("activity", 1), ("todo", 2), ("session", 1)]);
    assert_eq!((page.next, page.is_complete, page.unreadable), (None, true, 0));
    let hit = &page.hits[0];
    assert_eq!((hit.field, hit.excerpt.as_str()), (Field::TodoTitle, "a Needle"));
    assert_eq!((hit.actor, hit.at, hit.title.as_deref()), (ME, at(30), Some("a Needle")));
    assert_eq!(page.hits[1].title, None);
}

#[test]
fn a_full_page_continues_after_its_last_item_and_the_last_page_ends() {
    let rows = Rows::default()
        .with(ItemSource::Activities, 1, 10, "needle")
        .with(ItemSource::Activities, 2, 10, "needle")
        .with(ItemSource::Sessions, 7, 10, "needle");
    let wanted = selection("needle");
    let first = page_of(&rows, &wanted, 2, None);
    assert_eq!(names(&first), [("activity", 2), ("activity", 1)]);
    assert_eq!(first.next, Some(first.hits[1].position()));
    let second = page_of(&rows, &wanted, 2, first.next);
    assert_eq!((names(&second), second.next), (vec![("session", 7)], None));
    assert!(first.is_complete && second.is_complete);
}

#[test]
fn a_todo_that_matches_by_title_and_notes_is_one_result() {
    let rows = Rows::default()
        .with(todos_of(1), 1, 10, "the login page")
        .with(todos_of(1), 2, 9, "other")
        .with_note(1, 3, "a bug")
        .with_note(1, 4, "a bug of the login")
        .with_note(2, 5, "a bug");
    let page = page_of(&rows, &selection("login bug"), 10, None);
    assert_eq!(names(&page), [("todo", 1)]);
    let hit = &page.hits[0];
    assert_eq!((hit.field, hit.excerpt.as_str()), (Field::LogNote, "a bug of the login"));
    assert_eq!(hit.title.as_deref(), Some("the login page"));
}

#[test]
fn only_the_newest_250_notes_of_each_todo_are_searched() {
    let mut rows = Rows::default().with(todos_of(1), 1, 10, "one").with(todos_of(1), 2, 9, "two");
    for id in 1..=600 {
        let text = if id == 600 - i64::from(NOTES_MAX) + 1 { "last" } else { "hay" };
        rows = rows.with_note(2, id, if id == 1 { "beyond" } else { text });
    }
    rows = rows.with_note(1, 601, "needle");
    let find = |text| names(&page_of(&rows, &selection(text), 10, None));
    assert_eq!(find("last"), [("todo", 2)]);
    assert_eq!(find("beyond"), []);
    assert_eq!(find("needle"), [("todo", 1)]);
}

#[test]
fn long_texts_are_read_alone() {
    let mut rows = Rows::default().with(ItemSource::Activities, 5, 10, "");
    rows.last().texts = None;
    let mut search = search_in(rows, no_others());
    let mut activities = MockActivityReader::new();
    activities.expect_activity().times(1).returning(|by, id| {
        assert_eq!((by, id), (BY, ActivityId(5)));
        let uid = row(SearchKind::Activity, 5);
        Ok(Some(Activity {
            id,
            uid,
            actor: ME,
            session: None,
            activity_type: ActivityType::default(),
            description: stored(Field::ActivityDescription, uid, "a needle"),
            logged_at: at(10),
            created_at: at(10),
            version: 1,
        }))
    });
    search.activities = Arc::new(activities);
    let page = ready(search.find(&caller(), &selection("needle"), 10, None)).unwrap();
    assert_eq!(names(&page), [("activity", 5)]);
}

#[test]
fn a_text_that_does_not_open_is_counted_and_does_not_match() {
    let mut rows = Rows::default().with(ItemSource::Activities, 1, 10, "needle").with(
        ItemSource::Activities,
        2,
        11,
        "needle",
    );
    rows.last().texts = Some(vec![(Field::ActivityDescription, damaged())]);
    let page = page_of(&rows, &selection("needle"), 10, None);
    assert_eq!((names(&page), page.unreadable), (vec![("activity", 1)], 1));
    assert_eq!(page.broken, None);
}

#[test]
fn keys_that_cannot_be_read_make_only_their_actors_texts_unreadable() {
    let mut rows = Rows::default().with(ItemSource::Activities, 1, 10, "needle").with(
        ItemSource::Activities,
        2,
        11,
        "needle",
    );
    rows.last().actor = PEER;
    let broken = StoreError::Broken("no wraps".into());
    let search = search_in(rows, others(Err(broken.clone())));
    let wanted = SearchSelection { scope: ActorScope::All, ..selection("needle") };
    let page = ready(search.find(&owner(), &wanted, 10, None)).unwrap();
    assert_eq!((names(&page), page.unreadable), (vec![("activity", 1)], 1));
    assert_eq!(page.broken, Some(broken));
}

#[test]
fn an_owner_searches_the_texts_of_another_actor_and_a_member_does_not() {
    let mut rows = Rows::default().with(ItemSource::Activities, 1, 10, "");
    let text = of_peer(&stored(Field::ActivityDescription, row(SearchKind::Activity, 1), "needle"));
    rows.last().actor = PEER;
    rows.last().texts = Some(vec![(Field::ActivityDescription, text)]);
    for scope in [ActorScope::All, ActorScope::Of(PEER)] {
        let wanted = SearchSelection { scope, ..selection("needle") };
        let search = search_in(rows.clone(), the_peer());
        let page = ready(search.find(&owner(), &wanted, 10, None)).unwrap();
        assert_eq!(page.hits[0].actor, PEER);
        let search = search_in(MockSearchReader::new(), no_others());
        let refused = ready(search.find(&caller(), &wanted, 10, None));
        assert_eq!(refused, Err(Refusal::OwnerOnly.into()));
    }
    assert_eq!(names(&page_of(&rows, &selection("needle"), 10, None)), []);
}

#[test]
fn the_filters_go_to_the_reader_and_the_range_includes_both_ends() {
    let mut reader = MockSearchReader::new();
    let status = Some(TodoStatus::InProgress);
    reader.expect_items_before().times(4).returning(move |filter, source, before, _| {
        let session = Some(SessionId(8));
        let expected = ItemFilter { by: BY, actor: Some(ME), session, since: Some(at(2)) };
        assert_eq!(filter, &expected);
        assert!(matches!(source, ItemSource::Todos { status: of, .. } if of == status));
        assert_eq!(before, ItemPosition { at: at(9), id: i64::MAX });
        Ok(Vec::new())
    });
    let wanted = SearchSelection {
        kinds: SearchedKinds::new(None, status).unwrap(),
        session: Some(SessionId(8)),
        range: TimeRange { since: Some(at(2)), until: Some(at(9)) },
        ..selection("needle")
    };
    let page = ready(search_in(reader, no_others()).find(&caller(), &wanted, 10, None)).unwrap();
    assert_eq!((page.hits.len(), page.next, page.is_complete), (0, None, true));

    let rows = Rows::default()
        .with(ItemSource::Sessions, 1, 1, "needle")
        .with(ItemSource::Sessions, 2, 2, "needle")
        .with(ItemSource::Sessions, 9, 9, "needle")
        .with(ItemSource::Sessions, 10, 10, "needle");
    let wanted = SearchSelection { session: None, kinds: SearchedKinds::default(), ..wanted };
    assert_eq!(names(&page_of(&rows, &wanted, 10, None)), [("session", 9), ("session", 2)]);
}

#[test]
fn errors_of_the_database_end_a_search() {
    for error in [StoreError::EpochMoved, away()] {
        let mut reader = MockSearchReader::new();
        let failed = error.clone();
        reader.expect_items_before().returning(move |_, _, _, _| Err(failed.clone()));
        let search = search_in(reader, no_others());
        let found = ready(search.find(&caller(), &selection("needle"), 10, None));
        assert_eq!(found, Err(error.into()));
    }
}

/// A reader whose activities never end.
struct Endless;

#[async_trait]
impl SearchReader for Endless {
    async fn items_before(
        &self,
        _: &ItemFilter,
        source: ItemSource,
        before: ItemPosition,
        most: u32,
    ) -> StoreResult<Vec<SealedItem>> {
        if source != ItemSource::Activities {
            return Ok(Vec::new());
        }
        let latest = Ord::min(before.id, 1_000_000);
        let item = |back| {
            let (id, texts) = (latest - back, vec![(Field::ActivityDescription, damaged())]);
            let uid = row(SearchKind::Activity, id);
            SealedItem { id, uid, actor: ME, at: at(1), texts: Some(texts) }
        };
        Ok((1..=i64::from(most)).map(item).collect())
    }

    async fn notes_before(
        &self,
        _: Admission,
        _: &[TodoId],
        _: Option<(TodoId, LogId)>,
    ) -> StoreResult<Vec<StatusChange<Sealed>>> {
        Ok(Vec::new())
    }
}

#[test]
fn a_call_stops_at_200_000_texts_and_the_next_one_goes_on() {
    let search = search_in(Endless, no_others());
    let caller = Caller { keys: Arc::new(opening_nothing()), ..caller() };
    let first = ready(search.find(&caller, &selection("needle"), 10, None)).unwrap();
    assert!(!first.is_complete);
    assert!((TEXTS_MAX - 300..=TEXTS_MAX).contains(&first.unreadable), "{}", first.unreadable);
    let SortKey([time, kind, id]) = first.next.unwrap();
    assert_eq!((time, kind), (at(1).micros(), SearchKind::Activity as i64));
    assert_eq!(u64::try_from(1_000_000 - id).unwrap(), first.unreadable);
    let second = ready(search.find(&caller, &selection("needle"), 10, first.next)).unwrap();
    assert_eq!(second.next.unwrap().0[2], id - (1_000_000 - id));
}

/// A keyring that opens no text.
fn opening_nothing() -> MockKeyring {
    let mut keys = in_one_epoch();
    keys.expect_open().returning(|_, _| Err(CryptoError::DoesNotOpen));
    keys
}

/// The source with that number.
fn source(number: i64) -> ItemSource {
    match number {
        0 => ItemSource::Sessions,
        1 => ItemSource::Activities,
        level => todos_of(level - 2),
    }
}

proptest! {
    #[test]
    fn pages_of_any_size_hold_every_match_once_and_in_order(
        items in prop::collection::vec((0..6_i64, 0..40_i64, any::<bool>()), 0..300),
        limit in 1..20_u32,
    ) {
        let (mut rows, mut expected) = (Rows::default(), Vec::new());
        for ((number, seconds, is_match), id) in items.into_iter().zip(1..) {
            let source = source(number);
            rows = rows.with(source, id, seconds, if is_match { "a needle" } else { "hay" });
            if is_match {
                expected.push(source.kind().position(at(seconds), id));
            }
        }
        expected.sort_by_key(|position| std::cmp::Reverse(*position));
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = page_of(&rows, &selection("needle"), limit, after);
            prop_assert!(page.is_complete);
            found.extend(page.hits.iter().map(SearchHit::position));
            after = page.next;
            if after.is_none() {
                break;
            }
            prop_assert_eq!(page.hits.len(), usize::try_from(limit).unwrap());
        }
        prop_assert_eq!(found, expected);
    }
}
