//! No answer is longer than the estimate that is made before its texts are opened.

use proptest::prelude::*;
use roots_domain::model::activity::Activity;
use roots_domain::model::claim::{Claim, Claims, LeaseSeconds};
use roots_domain::model::id::{ActivityId, ActorId, LogId, SessionId, TodoId, Uid};
use roots_domain::model::session::{ListedSession, Session, SessionStatus};
use roots_domain::model::text::ActivityType;
use roots_domain::model::time::Timestamp;
use roots_domain::model::todo::{
    ListedTodo, Priority, StatusChange, Todo, TodoContent, TodoStatus,
};
use serde_json::json;

use crate::activities::ActivityBody;
use crate::sessions::ListedSessionBody;
use crate::todo_bodies::ListedTodoBody;
use crate::todos::StatusChangeBody;
use roots_http_core::middleware::list_permits::{JsonRows, json_max_bytes, streamed_max_bytes};
use serde::Serialize;
use std::collections::VecDeque;

const MOST: i64 = i64::MAX;
/// The longest form of a timestamp.
const LAST: Timestamp = Timestamp::LAST;

fn session(notes: String) -> ListedSessionBody {
    let (id, actor) = (SessionId(MOST), ActorId(MOST));
    let (status, notes) = (SessionStatus::ended(LAST), Some(notes));
    let (uid, started_at, version) = (Uid::NIL, LAST, MOST);
    let session = Session { id, uid, actor, status, notes, started_at, version };
    ListedSession { session, last_active_at: LAST }.into()
}

fn todo(title: String, description: String) -> ListedTodoBody {
    let lease = LeaseSeconds::parse(LeaseSeconds::MAX).unwrap();
    let claim = Claim { session: Some(SessionId(MOST)), claimed_at: LAST, lease };
    let todo = Todo {
        id: TodoId(MOST),
        uid: Uid::NIL,
        actor: ActorId(MOST),
        content: TodoContent {
            session: Some(SessionId(MOST)),
            title,
            description: Some(description),
            priority: Priority::default(),
            due_at: Some(LAST),
        },
        status: TodoStatus::InProgress,
        claims: Claims { count: MOST, standing: Some(claim) },
        created_at: LAST,
        updated_at: LAST,
        status_since: LAST,
        version: MOST,
    };
    ListedTodo { todo, until: Some(LAST) }.into()
}

fn activity(description: String) -> ActivityBody {
    Activity {
        id: ActivityId(MOST),
        uid: Uid::NIL,
        actor: ActorId(MOST),
        session: Some(SessionId(MOST)),
        activity_type: ActivityType::parse("x".repeat(50)).unwrap_or_default(),
        description,
        logged_at: LAST,
        created_at: LAST,
        version: MOST,
    }
    .into()
}

fn step(note: String) -> StatusChangeBody {
    StatusChange {
        id: LogId(MOST),
        uid: Uid::NIL,
        todo: TodoId(MOST),
        old_status: TodoStatus::InProgress,
        new_status: TodoStatus::InProgress,
        note: Some(note),
        logged_at: LAST,
    }
    .into()
}

/// Checks that a page of these rows is not longer than the estimate. Their texts have `text_bytes`
/// bytes.
fn validate<B: Serialize>(rows: Vec<B>, text_bytes: usize) -> Result<(), TestCaseError> {
    let cursor = "x".repeat(50);
    let page = json!({
        "activities": [], "total": MOST, "limit": 100, "offset": MOST, "next_cursor": cursor,
    });
    let max_bytes = json_max_bytes(rows.len(), text_bytes);
    let mut body = JsonRows::new(&page, rows.into());
    let chunks: Vec<_> = std::iter::from_fn(|| body.chunk(true)).collect();
    let whole = chunks.concat();
    prop_assert!(whole.len() <= max_bytes, "{} > {max_bytes}", whole.len());
    let read: serde_json::Value = serde_json::from_slice(&whole).unwrap_or_default();
    prop_assert_eq!(&read["next_cursor"], &json!(cursor));
    Ok(())
}

proptest! {
 #[test]
 fn no_answer_is_longer_than_its_estimate(
     texts in prop::collection::vec(
         prop_oneof![any::<String>(), "[\\x00-\\x1f\"\\\\]{0,400}", "\\PC{0,200}"],
         0..20,
     ),
 ) {
     let bytes = texts.iter().map(String::len).sum();
     validate(texts.iter().cloned().map(session).collect(), bytes)?;
     validate(texts.iter().cloned().map(activity).collect(), bytes)?;
     validate(texts.iter().cloned().map(step).collect(), bytes)?;
     let todos = texts.iter().cloned().map(|text| todo(text.clone(), text));
     validate(todos.collect(), 2 * bytes)?;
 }
}

#[test]
fn the_estimate_of_the_longest_page_is_less_than_50_000_bytes_too_high() {
    let text = "\u{1}".repeat(65_536);
    let rows: VecDeque<_> = (0..100).map(|_| activity(text.clone())).collect();
    let max_bytes = json_max_bytes(100, 100 * text.len());
    let mut body = JsonRows::new(&json!({ "activities": [] }), rows);
    let bytes: usize = std::iter::from_fn(|| body.chunk(true)).map(|chunk| chunk.len()).sum();
    assert!(bytes <= max_bytes && bytes > max_bytes - 50_000, "{bytes} of {max_bytes}");
    // A stream holds 7 MiB of them, about a fifth.
    assert_eq!(streamed_max_bytes(100, 100 * text.len()) / (1 << 20), 7);
}
