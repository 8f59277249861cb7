//! The brief: its form, and that it is never longer than was asked for, whatever its texts are.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::select;
use roots_domain::model::activity::Activity;
use roots_domain::model::brief::{BriefChange, BriefCounts, BriefRows, TodoCounts, WAITING_TYPES};
use roots_domain::model::claim::{Claim, Claims, LeaseSeconds};
use roots_domain::model::id::{ActivityId, ActorId, LogId, SessionId, TodoId, Uid};
use roots_domain::model::sealed::Sealed;
use roots_domain::model::session::{ListedSession, Session, SessionStatus};
use roots_domain::model::text::ActivityType;
use roots_domain::model::time::Timestamp;
use roots_domain::model::todo::{
    ListedTodo, Priority, StatusChange, Todo, TodoContent, TodoStatus,
};
use serde_json::{Value, json};
use unicode_segmentation::UnicodeSegmentation;

use crate::fixture::{MockedApi, at, get};

const PATH: &str = "/api/v1/brief";
/// The lists whose rows are todos.
const TODO_LISTS: [&str; 4] = ["in_progress", "left_behind", "overdue", "next"];

#[tokio::test]
async fn a_brief_that_fits_has_every_row_and_names_what_is_not_among_them() {
    let answer = get(&format!("{PATH}?since=2026-04-01")).of_the_whole_api().await;
    let todo = json!({
        "todo_id": 1,
        "session_id": null,
        "title": "Write API docs",
        "description": "Document sessions, todos, and activities endpoints",
        "status": "open",
        "priority": 2,
        "due_at": "2026-04-10T00:00:00Z",
        "claim": null,
        "actor_id": 1,
        "until": null
    });
    let change = |old_status: &str, new_status: &str, note: &str, logged_at: &str| {
        json!({
            "todo_id": 1,
            "title": "Write API docs",
            "old_status": old_status,
            "new_status": new_status,
            "note": note,
            "logged_at": logged_at
        })
    };
    let done = "All three docs pages deployed";
    assert_eq!(
        answer.json(),
        json!({
            "at": "2026-04-09T14:00:00Z",
            "since": "2026-04-01T00:00:00Z",
            "session": {
                "session_id": 1,
                "status": "active",
                "notes": "Working on API docs",
                "started_at": "2026-04-09T10:00:00Z",
                "ended_at": null,
                "ended_reason": null,
                "duration_seconds": null,
                "actor_id": 1,
                "last_active_at": "2026-04-09T10:00:00Z"
            },
            "in_progress": [],
            "left_behind": [],
            "overdue": [],
            "next": [todo],
            "waiting": [],
            "activities": [{
                "activity_id": 1,
                "session_id": 1,
                "activity_type": "deploy",
                "description": "Deployed docs pages for sessions, todos, activities",
                "logged_at": "2026-04-09T14:00:00Z",
                "created_at": "2026-04-09T14:00:00Z",
                "actor_id": 1
            }],
            "status_changes": [
                change("in_progress", "done", done, "2026-04-09T14:00:00Z"),
                change("open", "in_progress", "Starting work", "2026-04-09T11:00:00Z")
            ],
            "counts": {
                "todos": {"open": 4, "in_progress": 0, "done": 1, "cancelled": 0},
                "sessions": {"active": 1, "ended": 0},
                "activities": 1,
                "overdue": 0
            },
            "has_work": true,
            "next_action": {
                "action": "claim",
                "todo": {
                    "todo_id": 1,
                    "title": "Write API docs",
                    "priority": 2,
                    "due_at": "2026-04-10T00:00:00Z",
                    "claim_token": null,
                    "actor_id": 1
                }
            },
            "omitted": [
                {"what": "next", "count": 3, "request": "GET /api/v1/todos?status=open"}
            ],
            "cut": []
        })
    );
    assert_eq!(answer.header("cache-control"), "private, no-cache");
    assert_eq!(answer.header("x-credits-cost"), "");
}

#[tokio::test]
async fn the_parameters_choose_the_time_and_the_actors() {
    let mut api = MockedApi::keyed();
    api.briefs.expect_brief().times(1).returning(|query, _| {
        assert_eq!(query.actor, None);
        assert_eq!(query.since, Some(at("2026-04-09T12:00:00Z")));
        assert_eq!(query.reader, Some(SessionId(7)));
        Ok(BriefRows { reader: query.reader, session: None, ..many(&Texts::short(), 0) })
    });
    let query = "max_tokens=500&since=2026-04-09T14:00:00+02:00&actor_id=all&session_id=7";
    let answer = get(&format!("{PATH}?{query}")).of(&api.router()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test]
async fn a_session_that_the_store_does_not_find_is_404() {
    let mut api = MockedApi::keyed();
    api.briefs.expect_brief().returning(|_, _| Ok(many(&Texts::short(), 0)));
    let router = api.router();
    for (query, status) in [("session_id=7", 404), ("session_id=0", 400), ("session_id=", 400)] {
        let answer = get(&format!("{PATH}?{query}")).of(&router).await;
        assert_eq!(answer.status, status, "{query}");
    }
}

#[tokio::test]
async fn a_size_outside_the_limits_is_400_and_not_clamped() {
    let router = MockedApi::whole().router();
    for good in ["500", "2000", "8000"] {
        let answer = get(&format!("{PATH}?max_tokens={good}")).of(&router).await;
        assert_eq!(answer.status, 200, "{good}");
    }
    for bad in ["499", "8001", "0", "-1", "+500", "1e3", "many", "", "99999999999999999999"] {
        let answer = get(&format!("{PATH}?max_tokens={bad}")).of(&router).await;
        assert_eq!(answer.status, 400, "{bad}");
        assert_eq!(answer.errors(), ["max_tokens must be 500 to 8000"], "{bad}");
    }
}

#[tokio::test]
async fn a_member_asks_for_its_own_brief_only() {
    let router = MockedApi::whole().router();
    for (query, status) in [("", 200), ("?actor_id=2", 200), ("?actor_id=1", 403)] {
        let answer = get(&format!("{PATH}{query}")).by_the_member().of(&router).await;
        assert_eq!(answer.status, status, "{query}");
    }
}

#[tokio::test]
async fn a_text_that_does_not_open_names_its_row() {
    let texts = Texts { title: "\u{fffd}".to_owned(), ..Texts::short() };
    let mut api = MockedApi::keyed();
    let mut rows = many(&texts, 1);
    rows.todos.iter_mut().for_each(|one| one.todo.actor = ActorId(1));
    let rows = BriefRows {
        waiting: vec![],
        activities: vec![],
        status_changes: vec![],
        session: None,
        ..rows
    };
    api.briefs.expect_brief().returning(move |_, _| Ok(rows.clone()));
    let answer = get(PATH).of(&api.router()).await;
    assert_eq!(answer.status, 500);
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.starts_with("The text of todo "), "{detail}");
}

/// The texts of the rows.
#[derive(Debug, Clone)]
struct Texts {
    notes: String,
    title: String,
    text: String,
}

impl Texts {
    fn short() -> Self {
        let text = |text: &str| text.to_owned();
        Self { notes: text("Working"), title: text("Write docs"), text: text("All of them") }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "a text that is too long to be read is absent")]
fn sealed(text: &str) -> Option<Sealed> {
    Some(Sealed(text.as_bytes().to_vec()))
}

/// A todo with these texts. Its claim has lapsed if `until` is past.
fn todo(
    texts: &Texts,
    id: i64,
    status: TodoStatus,
    due: i64,
    until: Option<i64>,
) -> ListedTodo<Option<Sealed>> {
    let now = at("2026-04-09T14:00:00Z");
    let lease = LeaseSeconds::default();
    let session = Some(SessionId(i64::MAX));
    let standing = until.map(|_| Claim { session, claimed_at: now, lease });
    let todo = Todo {
        id: TodoId(id),
        uid: Uid::NIL,
        actor: ActorId(i64::MAX),
        content: TodoContent {
            title: sealed(&texts.title),
            description: Some(sealed(&texts.text)),
            session,
            priority: Priority::parse(id % 4).unwrap(),
            due_at: Some(now.plus_seconds(due)),
        },
        status,
        claims: Claims { count: i64::MAX, standing },
        created_at: now,
        updated_at: now,
        status_since: now,
        version: 1,
    };
    ListedTodo { todo, until: until.map(|seconds| now.plus_seconds(seconds)) }
}

/// The rows of an account with `each` rows in every list, and as many more that are not read. Ids
/// and counts have as many digits as there are.
fn many(texts: &Texts, each: i64) -> BriefRows<Option<Sealed>> {
    let now = at("2026-04-09T14:00:00Z");
    let first = i64::MAX - 10_000;
    let todos = (0..each).flat_map(|i| {
        let id = first + 10 * i;
        [
            todo(texts, id, TodoStatus::InProgress, 60, Some(60)),
            todo(texts, id + 1, TodoStatus::InProgress, 60, Some(-60)),
            todo(texts, id + 2, TodoStatus::Open, -60, None),
            todo(texts, id + 3, TodoStatus::Open, 60, None),
        ]
    });
    let activity = |i: i64, name: &str| Activity {
        id: ActivityId(first + i),
        uid: Uid::NIL,
        actor: ActorId(i64::MAX),
        session: Some(SessionId(i64::MAX)),
        activity_type: ActivityType::parse(name).unwrap(),
        description: sealed(&texts.text),
        logged_at: now,
        created_at: now,
        version: 1,
    };
    let change = |i: i64| BriefChange {
        actor: ActorId(i64::MAX),
        todo_uid: Uid::NIL,
        title: sealed(&texts.title),
        change: StatusChange {
            id: LogId(first + i),
            uid: Uid::NIL,
            todo: TodoId(first),
            old_status: TodoStatus::InProgress,
            new_status: TodoStatus::InProgress,
            note: Some(sealed(&texts.text)),
            logged_at: now,
        },
    };
    let session = Session {
        id: SessionId(i64::MAX),
        uid: Uid::NIL,
        actor: ActorId(i64::MAX),
        status: SessionStatus::Active,
        notes: Some(sealed(&texts.notes)),
        started_at: now,
        version: 1,
    };
    let waiting = |i: i64| activity(i, WAITING_TYPES[usize::try_from(i % 2).unwrap()]);
    let all = i64::MAX - 1;
    BriefRows {
        at: Timestamp::from_micros(now.micros() + 123_456),
        since: Some(Timestamp::from_micros(now.micros() + 123_456)),
        reader: None,
        session: Some(ListedSession { session, last_active_at: now }),
        todos: todos.collect(),
        working: BTreeSet::new(),
        waiting: (0..each).map(waiting).collect(),
        activities: (0..each).map(|i| activity(i, "general")).collect(),
        status_changes: (0..each).map(change).collect(),
        counts: BriefCounts {
            todos: TodoCounts { open: all, in_progress: all, done: all, cancelled: all },
            sessions_active: all,
            sessions_ended: all,
            activities: all,
            overdue: 1_000,
            overdue_open: 1_000,
            waiting: [(each + 1) / 2, each / 2],
            older_questions: [0, 0],
            activities_since: 1_000,
            status_changes_since: 1_000,
        },
    }
}

/// The brief of these rows, checked against them.
async fn checked(rows: BriefRows<Option<Sealed>>, texts: &Texts, max_tokens: usize) -> Value {
    let mut api = MockedApi::keyed();
    let found = rows.clone();
    api.briefs.expect_brief().returning(move |_, _| Ok(found.clone()));
    // The rows are of an actor that has the caller's keys.
    let rows_of = ActorId(i64::MAX);
    api.accounts.expect_held_actors().returning(move |_, ids| {
        assert_eq!(ids, [rows_of]);
        let mut held = crate::fixture::held_owner();
        held.actor.id = rows_of;
        Ok(vec![held])
    });
    let path = format!("{PATH}?actor_id={}&max_tokens={max_tokens}", i64::MAX);
    let router = api.router();
    let answer = get(&path).of(&router).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.body.len() <= 4 * max_tokens, "{} bytes: {}", answer.body.len(), answer.body);
    assert_eq!(get(&path).of(&router).await.body, answer.body, "the same each time");
    let brief = answer.json();
    check_texts(&brief, texts);
    check_omitted(&brief, &rows);
    brief
}

/// Texts are whole, or a beginning of the text between two graphemes that `cut` names.
fn check_texts(brief: &Value, texts: &Texts) {
    let cut: BTreeSet<_> =
        brief["cut"].as_array().unwrap().iter().map(|at| at.as_str().unwrap()).collect();
    let mut found = BTreeSet::new();
    let mut check = |pointer: String, whole: &str| {
        let Some(shown) = brief.pointer(&pointer).and_then(Value::as_str) else { return };
        if !cut.contains(pointer.as_str()) {
            assert_eq!(shown, whole, "{pointer}");
            return;
        }
        let shown = shown.strip_suffix('…').unwrap();
        assert!(whole.starts_with(shown), "{pointer}");
        let is_boundary =
            |at| at == whole.len() || whole.grapheme_indices(true).any(|(start, _)| start == at);
        assert!(is_boundary(shown.len()), "{pointer}: {shown:?}");
        found.insert(pointer);
    };
    check("/session/notes".to_owned(), &texts.notes);
    check("/next_action/todo/title".to_owned(), &texts.title);
    for place in 0..60 {
        for list in TODO_LISTS {
            check(format!("/{list}/{place}/title"), &texts.title);
            check(format!("/{list}/{place}/description"), &texts.text);
        }
        check(format!("/waiting/{place}/description"), &texts.text);
        check(format!("/activities/{place}/description"), &texts.text);
        check(format!("/status_changes/{place}/title"), &texts.title);
        check(format!("/status_changes/{place}/note"), &texts.text);
    }
    let found: BTreeSet<_> = found.iter().map(String::as_str).collect();
    assert_eq!(found, cut, "all that is named was cut");
}

/// What is shown and what is left out is all there is.
fn check_omitted(brief: &Value, rows: &BriefRows<Option<Sealed>>) {
    let shown = |list: &str| i64::try_from(brief[list].as_array().unwrap().len()).unwrap();
    let omitted = |list: &str| -> i64 {
        let omitted = brief["omitted"].as_array().unwrap().iter();
        omitted.filter(|one| one["what"] == list).map(|one| one["count"].as_i64().unwrap()).sum()
    };
    let all = |list: &str| shown(list) + omitted(list);
    let counts = &rows.counts;
    assert_eq!(all("in_progress") + all("left_behind"), counts.todos.in_progress);
    assert_eq!(all("overdue") + all("next"), counts.todos.open);
    assert_eq!(all("waiting"), i64::try_from(rows.waiting.len()).unwrap());
    assert_eq!(all("activities"), counts.activities_since);
    assert_eq!(all("status_changes"), counts.status_changes_since);
    assert_eq!(omitted("session") == 1, brief["session"].is_null());
    let ids = TODO_LISTS.iter().flat_map(|list| brief[*list].as_array().unwrap());
    let ids: Vec<_> = ids.map(|todo| todo["todo_id"].as_i64().unwrap()).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "each todo once");
    assert_eq!(brief["has_work"], counts.todos.open > 0 || counts.todos.in_progress > 0);
    assert!(brief["next_action"]["action"].is_string());
}

/// Pieces of which texts are made: plain ones, those that JSON escapes, and graphemes of several
/// characters.
fn texts(most: usize) -> impl Strategy<Value = String> {
    let pieces = select(vec![
        "a",
        "word ",
        "\"",
        "\\",
        "\n",
        "\u{1}",
        "é",
        "e\u{301}",
        "🦀",
        "👩‍👩‍👧",
        "\r\n",
        "…",
    ]);
    proptest::collection::vec(pieces, 1..most).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_brief_never_exceeds_its_size_and_loses_nothing_in_silence(
        notes in texts(4_000),
        title in texts(160),
        text in texts(1_500),
        each in 0_i64..50,
        max_tokens in 500_usize..=8_000,
    ) {
        let texts = Texts { notes, title, text };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(checked(many(&texts, each), &texts, max_tokens));
    }
}

#[tokio::test]
async fn the_smallest_brief_has_the_counts_and_the_next_action_whatever_the_texts_are() {
    let escaped = |length| "\u{1}".repeat(length);
    for texts in [
        Texts { notes: escaped(65_536), title: escaped(500), text: escaped(4_000) },
        Texts {
            notes: "👩‍👩‍👧".repeat(3_000), title: "👩‍👩‍👧".repeat(100), text: "🦀".repeat(1_000)
        },
        // One grapheme.
        Texts {
            notes: format!("a{}", "\u{301}".repeat(30_000)),
            title: format!("a{}", "\u{301}".repeat(499)),
            text: format!("a{}", "\u{301}".repeat(2_000)),
        },
    ] {
        let brief = checked(many(&texts, 50), &texts, 500).await;
        assert_eq!(brief["next_action"]["action"], "resume");
        assert_eq!(brief["counts"]["overdue"], 1_000);
    }
}

#[tokio::test]
async fn long_notes_push_out_no_todo() {
    let texts = Texts { notes: "note ".repeat(13_000), ..Texts::short() };
    let brief = checked(many(&texts, 3), &texts, 2_000).await;
    for list in TODO_LISTS {
        assert_eq!(brief[list].as_array().unwrap().len(), 3, "{list}");
    }
    let notes = brief["session"]["notes"].as_str().unwrap();
    assert!(notes.len() > 300 && notes.ends_with('…'), "{notes}");
    assert_eq!(brief["cut"], json!(["/session/notes"]));
}

#[tokio::test]
async fn every_list_has_its_share() {
    let texts = Texts { text: "word ".repeat(300), ..Texts::short() };
    let brief = checked(many(&texts, 50), &texts, 4_000).await;
    let lists = TODO_LISTS.into_iter().chain(["waiting", "activities", "status_changes"]);
    let shown: Vec<_> = lists.map(|list| brief[list].as_array().unwrap().len()).collect();
    assert!(shown.iter().all(|rows| *rows >= 3), "{shown:?}");
}

#[tokio::test]
async fn a_text_that_was_not_read_is_named_as_shortened() {
    let texts = Texts::short();
    let mut rows = many(&texts, 1);
    for listed in &mut rows.todos {
        listed.todo.content.description = Some(None);
    }
    let brief = checked(rows, &texts, 2_000).await;
    assert_eq!(brief["next"][0]["description"], "…");
    assert_eq!(brief["cut"].as_array().unwrap().len(), 4);
}
