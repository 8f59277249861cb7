//! Tests of the brief: which row is in which list, what to do next, and what fits.

use std::cell::Cell;
use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::model::activity::Activity;
use crate::model::claim::{Claim, ClaimToken, Claims, LeaseSeconds};
use crate::model::id::{ActivityId, ActorId, SessionId, TodoId, Uid};
use crate::model::session::{EndReason, ListedSession, Session, SessionStatus};
use crate::model::text::ActivityType;
use crate::model::time::Timestamp;
use crate::model::todo::{ListedTodo, Priority, Todo, TodoContent, TodoStatus};

fn at(seconds: i64) -> Timestamp {
    Timestamp::FIRST.plus_seconds(1_000_000 + seconds)
}

fn text(plain: &str) -> BriefText {
    BriefText::whole(plain.to_owned())
}

fn todo(id: i64, status: TodoStatus) -> ListedTodo<BriefText> {
    let todo = Todo {
        id: TodoId(id),
        uid: Uid::NIL,
        actor: ActorId(1),
        content: TodoContent::titled(text("Write docs")),
        status,
        claims: Claims::NONE,
        created_at: at(0),
        updated_at: at(0),
        status_since: at(0),
        version: 1,
    };
    ListedTodo { todo, until: None }
}

fn open(id: i64, priority: i64, due: Option<i64>) -> ListedTodo<BriefText> {
    let mut open = todo(id, TodoStatus::Open);
    open.todo.content.priority = Priority::parse(priority).unwrap();
    open.todo.content.due_at = due.map(at);
    open
}

fn claimed(id: i64, session: Option<i64>, until: i64) -> ListedTodo<BriefText> {
    let mut claimed = todo(id, TodoStatus::InProgress);
    let session = session.map(SessionId);
    let claim = Claim { session, claimed_at: at(0), lease: LeaseSeconds::default() };
    claimed.todo.claims = Claims::NONE.claimed(claim);
    claimed.until = Some(at(until));
    claimed
}

fn session(id: i64, status: SessionStatus) -> ListedSession<BriefText> {
    let session = Session {
        id: SessionId(id),
        uid: Uid::NIL,
        actor: ActorId(1),
        status,
        notes: Some(text("Nothing is left to do")),
        started_at: at(0),
        version: 1,
    };
    ListedSession { session, last_active_at: at(0) }
}

/// The rows of these todos, for a reader that names the session 1. The sessions 1 and 2 are active.
fn rows(todos: Vec<ListedTodo<BriefText>>) -> BriefRows<BriefText> {
    let mut counts = BriefCounts::default();
    for one in &todos {
        counts.todos.add(one.todo.status, 1);
    }
    BriefRows {
        at: at(0),
        since: None,
        reader: Some(SessionId(1)),
        session: Some(session(1, SessionStatus::Active)),
        todos,
        working: BTreeSet::from([1, 2].map(SessionId)),
        waiting: Vec::new(),
        activities: Vec::new(),
        status_changes: Vec::new(),
        counts,
    }
}

fn ids(todos: &[ListedTodo<BriefText>]) -> Vec<i64> {
    todos.iter().map(|one| one.todo.id.0).collect()
}

fn action(todos: Vec<ListedTodo<BriefText>>) -> (&'static str, Option<i64>) {
    let brief = Brief::of(rows(todos), 10);
    (brief.next_action.name(), brief.next_action.todo().map(|todo| todo.id.0))
}

#[test]
fn only_active_sessions_wait_and_for_a_brief_also_those_that_were_ended_for_silence() {
    let idle = SessionStatus::Ended { at: at(0), reason: EndReason::Idle };
    let of = |sessions: WaitingSessions| {
        [SessionStatus::Active, idle, SessionStatus::ended(at(0))].map(|it| sessions.has(it))
    };
    assert_eq!(of(WaitingSessions::Active), [true, false, false]);
    assert_eq!(of(WaitingSessions::ActiveOrIdle), [true, true, false]);
}

#[test]
fn each_todo_is_in_one_list() {
    let done = todo(9, TodoStatus::Done);
    let unclaimed = todo(4, TodoStatus::InProgress);
    let todos = vec![
        open(1, 0, Some(60)),
        open(2, 0, Some(-1)),
        open(3, 0, None),
        unclaimed,
        claimed(5, None, 1),
        claimed(6, None, 0),
        open(7, 0, Some(0)),
        done,
    ];
    let brief = Brief::of(rows(todos), 10);
    assert_eq!(ids(&brief.in_progress), [4, 5], "first what the session may go on with");
    assert_eq!(ids(&brief.left_behind), [6], "a claim lives before its deadline");
    assert_eq!(ids(&brief.overdue), [2]);
    assert_eq!(ids(&brief.next), [7, 1, 3]);
    assert!(brief.has_work());
}

#[test]
fn open_todos_are_in_the_order_of_claims() {
    let todos = vec![
        open(1, 0, Some(5)),
        open(2, 3, None),
        open(3, 3, Some(9)),
        open(4, 3, Some(5)),
        open(5, 3, Some(5)),
    ];
    let brief = Brief::of(rows(todos), 3);
    assert_eq!(ids(&brief.next), [4, 5, 3]);
}

#[test]
fn the_next_action_goes_on_then_takes_over_then_claims() {
    let of_session = claimed(1, Some(1), 60);
    let of_another = claimed(2, Some(2), 60);
    let of_none = claimed(3, None, 60);
    let unclaimed = todo(4, TodoStatus::InProgress);
    let lapsed = claimed(5, Some(1), -1);
    let open = open(6, 0, None);
    let others = [of_another, of_none];
    let with = |more: &[&ListedTodo<BriefText>]| {
        action(others.iter().chain(more.iter().copied()).cloned().collect())
    };
    assert_eq!(with(&[]), ("none", None));
    assert_eq!(with(&[&open]), ("claim", Some(6)));
    assert_eq!(with(&[&open, &lapsed]), ("take_over", Some(5)));
    assert_eq!(with(&[&open, &lapsed, &unclaimed]), ("resume", Some(4)));
    assert_eq!(with(&[&open, &lapsed, &of_session]), ("resume", Some(1)));
    let of_ended = claimed(7, Some(3), 60);
    assert_eq!(with(&[&open, &lapsed, &of_ended]), ("resume", Some(7)));
    assert_eq!(action(vec![]), ("none", None));
}

#[test]
fn a_reader_without_a_session_goes_on_with_the_claims_of_the_only_active_one() {
    let action = |active_sessions| {
        let mut all = rows(vec![claimed(1, Some(1), 60)]);
        all.reader = None;
        all.counts.sessions_active = active_sessions;
        let action = Brief::of(all, 10).next_action;
        (action.name(), action.todo().and_then(|todo| todo.claim_token))
    };
    assert_eq!(action(1), ("resume", Some(ClaimToken(1))));
    assert_eq!(action(2), ("none", None));
}

#[test]
fn only_a_todo_to_resume_comes_with_the_token_of_its_claim() {
    let token = |todos| {
        let action = Brief::of(rows(todos), 10).next_action;
        (action.name(), action.todo().unwrap().claim_token)
    };
    assert_eq!(token(vec![claimed(1, Some(1), 60)]), ("resume", Some(ClaimToken(1))));
    assert_eq!(token(vec![todo(1, TodoStatus::InProgress)]), ("resume", None));
    assert_eq!(token(vec![claimed(1, Some(1), -1)]), ("take_over", None));
    assert_eq!(token(vec![open(1, 0, None)]), ("claim", None));
}

#[test]
fn the_shown_session_is_the_one_whose_notes_tell_the_reader_most() {
    let blank = |id| {
        let mut blank = session(id, SessionStatus::Active);
        blank.session.notes = None;
        blank
    };
    let noted = |id| session(id, SessionStatus::Active);
    let ended = |id| session(id, SessionStatus::ended(at(0)));
    for (named, started, last, expected) in [
        (None, None, None, None),
        (None, None, Some(ended(3)), Some(3)),
        (None, Some(blank(2)), Some(ended(3)), Some(2)),
        (Some(noted(1)), Some(noted(2)), Some(ended(3)), Some(1)),
        (Some(blank(1)), Some(noted(2)), Some(ended(3)), Some(3)),
        (Some(blank(1)), Some(noted(2)), None, Some(1)),
    ] {
        let sessions = BriefSessions { named, started, ended: last };
        assert_eq!(sessions.shown().map(|one| one.session.id.0), expected);
    }
}

#[test]
fn questions_that_were_not_looked_at_are_counted_as_left_out() {
    let mut all = rows(vec![]);
    all.counts.waiting = [2, 0];
    all.counts.older_questions = [30, 4];
    let omitted = Brief::of(all, 10).omitted();
    let omitted: Vec<_> = omitted.into_iter().map(|one| (one.list, one.count)).collect();
    assert_eq!(omitted, [(BriefList::Waiting("question"), 32), (BriefList::Waiting("blocked"), 4)]);
}

#[test]
fn overdue_todos_are_claimed_in_their_turn() {
    assert_eq!(action(vec![open(1, 0, Some(-9)), open(2, 2, None)]), ("claim", Some(2)));
    assert_eq!(action(vec![open(1, 2, Some(-9)), open(2, 2, None)]), ("claim", Some(1)));
}

#[test]
fn a_note_that_nothing_is_left_does_not_hide_work() {
    let brief = Brief::of(rows(vec![open(1, 0, None)]), 10);
    assert!(brief.has_work());
    let idle = Brief::of(rows(vec![todo(1, TodoStatus::Done)]), 10);
    assert!(!idle.has_work());
}

#[test]
fn rows_that_were_not_read_are_counted_as_left_out() {
    let mut all = rows(vec![claimed(1, None, -1), open(2, 0, Some(-1)), open(3, 0, None)]);
    all.counts.todos = TodoCounts { open: 12, in_progress: 5, done: 0, cancelled: 0 };
    all.counts.overdue_open = 4;
    let omitted: Vec<_> = Brief::of(all, 10)
        .omitted()
        .into_iter()
        .map(|omitted| (omitted.list, omitted.count))
        .collect();
    assert_eq!(
        omitted,
        [(BriefList::InProgress, 4), (BriefList::Overdue, 3), (BriefList::Next, 7)]
    );
}

#[test]
fn a_text_is_cut_between_graphemes_and_ends_in_dots() {
    let family = "👩‍👩‍👧";
    let long = text(&format!("ab{family}{family}"));
    assert_eq!(long.shortened(1_000), long);
    let cut = long.shortened(2 + family.len() + 3 + 4);
    assert_eq!((cut.as_str(), cut.is_cut()), (format!("ab{family}…").as_str(), true));
    assert_eq!(cut.shortened(2 + 3 + 4).as_str(), "ab…");
    for most in 0..4 {
        assert_eq!(cut.shortened(most).as_str(), "…");
    }
    assert_eq!(cut.shortened(2).shortened(1_000).as_str(), "…");
    // Dots of the text itself are no sign of a cut.
    assert_eq!(text("a…").shortened(4), text("a…"));
    assert_eq!(text("abcd…").shortened(6).as_str(), "abc…");
}

#[test]
fn pointers_name_the_shortened_texts() {
    let mut described = open(1, 0, None);
    described.todo.content.description = Some(BriefText::hidden());
    let mut all = rows(vec![described, open(2, 0, None)]);
    if let Some(session) = &mut all.session {
        session.session.notes = Some(BriefText::hidden());
    }
    let brief = Brief::of(all, 10);
    assert_eq!(brief.cut(), ["/session/notes", "/next/0/description"]);
}

/// A size that counts the bytes of what is shown, and something for each row and pointer.
fn size(brief: &Brief) -> usize {
    let todos = [&brief.in_progress, &brief.left_behind, &brief.overdue, &brief.next];
    let texts = todos.into_iter().flatten().flat_map(|one| one.todo.texts());
    let texts = texts.chain(brief.activities.iter().map(|one| &one.description));
    let texts = texts.chain(brief.session.iter().flat_map(|one| one.session.texts()));
    let texts = texts.chain(brief.next_action.todo().map(|todo| &todo.title));
    let bytes: usize = texts.map(|text| 100 + text.as_str().len()).sum();
    let cut: usize = brief.cut().iter().map(|pointer| pointer.len() + 3).sum();
    300 + bytes + cut + 60 * brief.omitted().len()
}

fn activity(id: i64, description: &str) -> Activity<BriefText> {
    Activity {
        id: ActivityId(id),
        uid: Uid::NIL,
        actor: ActorId(1),
        session: None,
        activity_type: ActivityType::default(),
        description: text(description),
        logged_at: at(0),
        created_at: at(0),
        version: 1,
    }
}

#[test]
fn a_brief_that_fits_is_measured_once_and_not_changed() {
    let brief = Brief::of(rows(vec![open(1, 0, None)]), 10);
    let measured = Cell::new(0);
    let same = fit(brief.clone(), 2_000, |brief| {
        measured.set(measured.get() + 1);
        size(brief)
    });
    assert_eq!((same, measured.get()), (brief, 1));
}

#[test]
fn long_notes_are_shortened_before_a_row_is_left_out() {
    let mut all = rows((1..=5).map(|id| open(id, 0, None)).collect());
    if let Some(session) = &mut all.session {
        session.session.notes = Some(text(&"note ".repeat(13_000)));
    }
    let brief = fit(Brief::of(all, 10), 2_000, size);
    assert_eq!((brief.next.len(), brief.cut()), (5, vec!["/session/notes".to_owned()]));
    assert!(size(&brief) <= 2_000);
}

proptest! {
    #[test]
    fn what_fits_is_as_small_as_asked_and_a_list_loses_its_last_rows(
        lengths in proptest::collection::vec(0_usize..3_000, 0..60),
        activities in proptest::collection::vec(0_usize..3_000, 0..60),
        max_bytes in 2_000_usize..32_000,
    ) {
        let todos = lengths.iter().zip(1..).map(|(length, id)| {
            let mut one = match id % 4 {
                0 => todo(id, TodoStatus::InProgress),
                1 => claimed(id, None, -1),
                2 => open(id, id % 3, Some(-1)),
                _ => open(id, id % 3, None),
            };
            one.todo.content.description = Some(text(&"é".repeat(*length)));
            one
        });
        let mut all = rows(todos.collect());
        let activities = activities.iter().zip(1..);
        all.activities =
            activities.map(|(length, id)| activity(id, &"a".repeat(*length))).collect();
        all.counts.activities = i64::try_from(all.activities.len()).unwrap();
        let is_overdue = |one: &&ListedTodo<BriefText>| {
            one.todo.status == TodoStatus::Open && one.todo.content.due_at.is_some()
        };
        let overdue = all.todos.iter().filter(is_overdue).count();
        all.counts.overdue_open = i64::try_from(overdue).unwrap();
        let whole = Brief::of(all, 50);
        let fitted = fit(whole.clone(), max_bytes, size);
        prop_assert!(size(&fitted) <= max_bytes);
        prop_assert_eq!(&fitted, &fit(whole.clone(), max_bytes, size));
        prop_assert_eq!(&fitted.counts, &whole.counts);
        prop_assert_eq!(fitted.next_action.name(), whole.next_action.name());
        for (some, all) in [
            (&fitted.in_progress, &whole.in_progress),
            (&fitted.left_behind, &whole.left_behind),
            (&fitted.overdue, &whole.overdue),
            (&fitted.next, &whole.next),
        ] {
            prop_assert!(ids(all).starts_with(&ids(some)));
        }
        let shown: i64 = [&fitted.in_progress, &fitted.left_behind, &fitted.overdue, &fitted.next]
            .iter()
            .map(|list| i64::try_from(list.len()).unwrap())
            .sum();
        let omitted: i64 = fitted
            .omitted()
            .iter()
            .filter(|one| !matches!(one.list, BriefList::Activities | BriefList::Session(_)))
            .map(|one| one.count)
            .sum();
        prop_assert_eq!(shown + omitted, i64::try_from(lengths.len()).unwrap());
    }
}
