//! The brief as text.

use chrono::SecondsFormat;
use roots_client::model::{
    Action, Activity, Brief, BriefChange, BriefCounts, BriefList, BriefQuery, BriefTodo,
    ListedSession, NextTodo, SessionStatus,
};

use crate::dates::{shown, shown_short};
use crate::output::{one_line, printable};

/// The tokens of the largest brief.
const LARGEST: u32 = 8000;

/// All of the brief that was asked for: what to do first, then who waits, then the rest.
pub(super) fn whole(brief: &Brief, query: &BriefQuery) -> String {
    let since = brief.since.map_or_else(String::new, |time| format!(" since {}", shown(time)));
    let mut parts = vec![next_action(brief)];
    let mut add = |heading: &str, items: Vec<String>| {
        if !items.is_empty() {
            parts.push(format!("{heading}\n{items}", items = items.join("\n")));
        }
    };
    add("WAITING FOR A PERSON", brief.waiting.iter().map(activity).collect());
    add("SESSION", brief.session.iter().map(session).collect());
    add("IN PROGRESS", brief.in_progress.iter().map(todo).collect());
    add("LEFT BEHIND (the claim has lapsed)", brief.left_behind.iter().map(todo).collect());
    add("OVERDUE", brief.overdue.iter().map(todo).collect());
    add("NEXT", brief.next.iter().map(todo).collect());
    add(
        &format!("STATUS CHANGES{since}"),
        brief.status_changes.iter().map(status_change).collect(),
    );
    add(&format!("ACTIVITIES{since}"), brief.activities.iter().map(activity).collect());
    add("IN ALL", vec![counts(&brief.counts)]);
    let omitted = brief.omitted.iter().map(|omitted| {
        format!(
            "  {what}: {count} more; {command}",
            what = one_line(omitted.what.as_str()),
            count = omitted.count,
            command = command_for(&omitted.what, brief, query)
        )
    });
    add("LEFT OUT", omitted.collect());
    let cut = brief.cut.iter().map(|pointer| format!("  {}", one_line(pointer)));
    add("SHORTENED (the texts end in …)", cut.collect());
    parts.join("\n\n")
}

/// The command that shows what is left out of a list. No command lists activities or changes of the
/// status, so a larger brief of the same time shows more of them.
fn command_for(list: &BriefList, brief: &Brief, query: &BriefQuery) -> String {
    let actor = query.actor.map(|actor| format!(" --actor {actor}")).unwrap_or_default();
    let since = brief
        .since
        .map(|since| format!(" --since {}", since.to_rfc3339_opts(SecondsFormat::AutoSi, true)));
    match list {
        BriefList::InProgress | BriefList::LeftBehind => {
            format!("roots todo list --status in_progress{actor}")
        }
        BriefList::Overdue | BriefList::Next => format!("roots todo list --status open{actor}"),
        _ if query.max_tokens == Some(LARGEST) => {
            format!("roots search WORDS{actor} finds words in them")
        }
        _ => format!(
            "roots brief --max-tokens {LARGEST}{since}{actor}",
            since = since.unwrap_or_default()
        ),
    }
}

/// What to do, and the command for it.
fn next_action(brief: &Brief) -> String {
    let Some(todo) = &brief.next_action.todo else {
        let why = if brief.has_work {
            "Nothing to do: others work on what is left."
        } else {
            "Nothing to do: no todo is open or in progress."
        };
        return format!("DO NEXT\n  {why}");
    };
    let NextTodo { todo_id: id, title, priority, due_at, .. } = todo;
    let title = one_line(title);
    let due = due_at.map(|time| format!(", due {}", shown(time))).unwrap_or_default();
    let about = format!("{title} (priority {priority}{due})");
    match &brief.next_action.action {
        Action::Resume => {
            format!("DO NEXT\n  Go on with todo {id}: {about}\n  roots todo show {id}")
        }
        Action::TakeOver => format!(
            "DO NEXT\n  Take over todo {id}, whose claim has lapsed: {about}\n  roots todo claim \
             {id}"
        ),
        Action::Claim => {
            format!("DO NEXT\n  Claim todo {id}: {about}\n  roots todo claim {id}")
        }
        action => {
            format!("DO NEXT\n  {action} todo {id}: {about}", action = one_line(action.as_str()))
        }
    }
}

fn session(listed: &ListedSession) -> String {
    let session = &listed.session;
    let started = shown(session.started_at);
    let state = match (session.status, session.ended_at) {
        (SessionStatus::Ended, Some(ended)) => format!("ended {}", shown(ended)),
        (SessionStatus::Ended, None) => "ended".to_owned(),
        (SessionStatus::Active, _) => {
            format!("last active {}", shown_short(listed.last_active_at))
        }
    };
    let mut text = format!("  {id}, started {started}, {state}", id = session.session_id);
    if let Some(notes) = &session.notes {
        text.push('\n');
        text.push_str(&indented(notes));
    }
    text
}

fn todo(todo: &BriefTodo) -> String {
    let due = todo.due_at.map(|due| format!(", due {}", shown_short(due)));
    let session = todo.session_id.map(|session| format!(", session {session}"));
    let until = todo.until.map(|until| format!(", claimed until {}", shown_short(until)));
    let description = todo.description.as_deref().map(|text| format!("\n{}", indented(text)));
    format!(
        "  {id}  {title} (priority {priority}{due}{session}{until}){description}",
        id = todo.todo_id,
        title = one_line(&todo.title),
        priority = todo.priority,
        due = due.unwrap_or_default(),
        session = session.unwrap_or_default(),
        until = until.unwrap_or_default(),
        description = description.unwrap_or_default()
    )
}

fn activity(activity: &Activity) -> String {
    let Activity { activity_type, session_id, description, logged_at, .. } = activity;
    let session = session_id.map(|id| format!(", session {id}")).unwrap_or_default();
    format!(
        "  {time}  {kind}{session}: {description}",
        time = shown_short(*logged_at),
        kind = one_line(activity_type),
        description = one_line(description)
    )
}

fn status_change(change: &BriefChange) -> String {
    let note = change.note.as_deref().map(|note| format!(" ({})", one_line(note)));
    format!(
        "  {time}  todo {id}, {old} → {new}: {title}{note}",
        time = shown_short(change.logged_at),
        id = change.todo_id,
        old = change.old_status,
        new = change.new_status,
        title = one_line(&change.title),
        note = note.unwrap_or_default()
    )
}

fn counts(counts: &BriefCounts) -> String {
    let BriefCounts { todos, sessions, activities, overdue } = counts;
    let or_more = if *overdue >= 1000 { " or more" } else { "" };
    format!(
        "  Todos: {open} open, {in_progress} in progress, {done} done, {cancelled} cancelled; \
         {overdue}{or_more} overdue\n  Sessions: {active} active, {ended} ended\n  Activities: \
         {activities}",
        open = todos.open,
        in_progress = todos.in_progress,
        done = todos.done,
        cancelled = todos.cancelled,
        active = sessions.active,
        ended = sessions.ended
    )
}

/// A text of several lines below its heading.
fn indented(text: &str) -> String {
    let text = printable(text);
    text.lines().map(|line| format!("      {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use roots_client::model::ActorFilter;
    use serde_json::{Value, json};

    use super::*;

    const TIME: &str = "2026-04-09T10:00:00Z";

    fn brief(more: Value) -> Brief {
        let mut document = json!({
            "at": TIME, "since": null, "session": null, "in_progress": [], "left_behind": [],
            "overdue": [], "next": [], "waiting": [], "activities": [], "status_changes": [],
            "counts": {
                "todos": {"open": 0, "in_progress": 0, "done": 4, "cancelled": 1},
                "sessions": {"active": 0, "ended": 2}, "activities": 9, "overdue": 0,
            },
            "has_work": false, "next_action": {"action": "none"}, "omitted": [], "cut": [],
        });
        let (Value::Object(fields), Value::Object(more)) = (&mut document, more) else {
            panic!("two objects")
        };
        fields.extend(more);
        serde_json::from_value(document).unwrap()
    }

    fn shown_brief(brief: &Brief) -> String {
        // Times are shown in the zone of this machine.
        let text = whole(brief, &BriefQuery::default()).replace(&shown(brief.at), "LONG TIME");
        text.replace(&shown_short(brief.at), "TIME")
    }

    #[test]
    fn the_next_action_comes_first_and_then_who_waits() {
        let todo = |id: i64, title: &str, description: Option<&str>, is_claimed: bool| {
            let claim = is_claimed.then(
                || json!({"token": 2, "session_id": 5, "claimed_at": TIME, "lease_seconds": 7200}),
            );
            json!({
                "todo_id": id, "session_id": is_claimed.then_some(5), "title": title,
                "description": description, "status": "open", "priority": 2,
                "due_at": (id == 9).then_some(TIME), "claim": claim, "actor_id": 1,
                "until": is_claimed.then_some(TIME),
            })
        };
        let activity = |kind: &str, text: &str| {
            json!({
                "activity_id": 3, "session_id": 5, "activity_type": kind, "description": text,
                "logged_at": TIME, "created_at": TIME, "actor_id": 1,
            })
        };
        let full = brief(json!({
            "since": TIME,
            "session": {
                "session_id": 5, "status": "active", "notes": "Moving the docs.\nPages are left.",
                "started_at": TIME, "ended_at": null, "ended_reason": null,
                "duration_seconds": null, "actor_id": 1, "last_active_at": TIME,
            },
            "in_progress": [todo(7, "Deploy", Some("First the\u{1b}[2J pages.\nThen the rest."), true)],
            "left_behind": [todo(8, "Review", None, true)],
            "overdue": [todo(9, "Renew the certificate", None, false)],
            "next": [todo(10, "Write\nmore", None, false)],
            "waiting": [activity("question", "Which region?")],
            "activities": [activity("deploy", "Deployed\nthe pages")],
            "status_changes": [{
                "todo_id": 4, "title": "Build", "old_status": "in_progress", "new_status": "done",
                "note": "green", "logged_at": TIME,
            }],
            "counts": {
                "todos": {"open": 12, "in_progress": 2, "done": 4, "cancelled": 1},
                "sessions": {"active": 1, "ended": 2}, "activities": 9, "overdue": 1000,
            },
            "has_work": true,
            "next_action": {"action": "take_over", "todo": {
                "todo_id": 8, "title": "Review", "priority": 2, "due_at": null, "claim_token": 2,
                "actor_id": 1,
            }},
            "omitted": [
                {"what": "next", "count": 10, "request": "GET /api/v1/todos?status=open"},
                {"what": "left_behind", "count": 1, "request": "GET /api/v1/todos"},
                {"what": "activities", "count": 70, "request": "GET /api/v1/activities"},
                {"what": "hunches", "count": 2, "request": "GET /api/v1/hunches"},
            ],
            "cut": ["/session/notes"],
        }));
        insta::assert_snapshot!(shown_brief(&full), @"
        DO NEXT
          Take over todo 8, whose claim has lapsed: Review (priority 2)
          roots todo claim 8

        WAITING FOR A PERSON
          TIME  question, session 5: Which region?

        SESSION
          5, started LONG TIME, last active TIME
              Moving the docs.
              Pages are left.

        IN PROGRESS
          7  Deploy (priority 2, session 5, claimed until TIME)
              First the�[2J pages.
              Then the rest.

        LEFT BEHIND (the claim has lapsed)
          8  Review (priority 2, session 5, claimed until TIME)

        OVERDUE
          9  Renew the certificate (priority 2, due TIME)

        NEXT
          10  Write more (priority 2)

        STATUS CHANGES since LONG TIME
          TIME  todo 4, in_progress → done: Build (green)

        ACTIVITIES since LONG TIME
          TIME  deploy, session 5: Deployed the pages

        IN ALL
          Todos: 12 open, 2 in progress, 4 done, 1 cancelled; 1000 or more overdue
          Sessions: 1 active, 2 ended
          Activities: 9

        LEFT OUT
          next: 10 more; roots todo list --status open
          left_behind: 1 more; roots todo list --status in_progress
          activities: 70 more; roots brief --max-tokens 8000 --since 2026-04-09T10:00:00Z
          hunches: 2 more; roots brief --max-tokens 8000 --since 2026-04-09T10:00:00Z

        SHORTENED (the texts end in …)
          /session/notes
        ");
    }

    #[test]
    fn what_is_left_out_is_shown_by_a_command_for_the_same_actor() {
        let none = brief(json!({}));
        let query = |max_tokens| BriefQuery {
            max_tokens,
            actor: Some(ActorFilter::All),
            ..BriefQuery::default()
        };
        for (list, max_tokens, command) in [
            (BriefList::Next, None, "roots todo list --status open --actor all"),
            (BriefList::Activities, Some(500), "roots brief --max-tokens 8000 --actor all"),
            (
                BriefList::Activities,
                Some(8000),
                "roots search WORDS --actor all finds words in them",
            ),
        ] {
            assert_eq!(command_for(&list, &none, &query(max_tokens)), command);
        }
    }

    #[test]
    fn without_work_the_brief_says_so() {
        insta::assert_snapshot!(shown_brief(&brief(json!({}))), @"
        DO NEXT
          Nothing to do: no todo is open or in progress.

        IN ALL
          Todos: 0 open, 0 in progress, 4 done, 1 cancelled; 0 overdue
          Sessions: 0 active, 2 ended
          Activities: 9
        ");
        let elsewhere = shown_brief(&brief(json!({"has_work": true})));
        assert!(elsewhere.starts_with("DO NEXT\n  Nothing to do: others work on what is left."));
    }

    #[test]
    fn an_action_of_a_newer_server_is_shown() {
        let newer = brief(json!({"next_action": {"action": "review", "todo": {
            "todo_id": 8, "title": "t", "priority": 0, "due_at": null, "claim_token": null,
            "actor_id": 1,
        }}}));
        assert!(shown_brief(&newer).starts_with("DO NEXT\n  review todo 8: t (priority 0)"));
    }
}
