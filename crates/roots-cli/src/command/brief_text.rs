//! The brief as text.

use roots_client::model::{
    Action, Activity, Brief, BriefChange, BriefCounts, BriefTodo, ListedSession, NextTodo,
    SessionStatus,
};

use crate::dates::{shown, shown_short};
use crate::output::{one_line, printable};

/// All of the brief: what to do first, then who waits, then the rest.
pub(super) fn whole(brief: &Brief) -> String {
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
            "  {what}: {count} more; {request}",
            what = one_line(omitted.what.as_str()),
            count = omitted.count,
            request = one_line(&omitted.request)
        )
    });
    add("LEFT OUT (give a larger --max-tokens)", omitted.collect());
    let cut = brief.cut.iter().map(|pointer| format!("  {}", one_line(pointer)));
    add("SHORTENED (the texts end in …)", cut.collect());
    parts.join("\n\n")
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
    let mut text = format!(
        "  {id}  {title} (priority {priority}",
        id = todo.todo_id,
        title = one_line(&todo.title),
        priority = todo.priority
    );
    if let Some(due) = todo.due_at {
        text.push_str(&format!(", due {}", shown_short(due)));
    }
    if let Some(session) = todo.session_id {
        text.push_str(&format!(", session {session}"));
    }
    if let Some(until) = todo.until {
        text.push_str(&format!(", claimed until {}", shown_short(until)));
    }
    text.push(')');
    if let Some(description) = &todo.description {
        text.push('\n');
        text.push_str(&indented(description));
    }
    text
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
        let text = whole(brief).replace(&shown(brief.at), "LONG TIME");
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
            ],
            "cut": ["/session/notes"],
        }));
        insta::assert_snapshot!(shown_brief(&full), @"");
    }

    #[test]
    fn without_work_the_brief_says_so() {
        insta::assert_snapshot!(shown_brief(&brief(json!({}))), @"");
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
