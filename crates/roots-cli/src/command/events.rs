//! `roots events`: what happens to the account, as it happens.

use std::pin::pin;

use clap::Args;
use futures_util::StreamExt;
use roots_client::model::{Event, EventOptions, EventUpdate};

use crate::connection::connect;
use crate::dates::shown;
use crate::error::CliError;
use crate::output::{EVENT, Output, View, one_line, tell};

/// Which events.
#[derive(Debug, Args)]
pub(crate) struct EventsArguments {
    /// Go on behind this event, such as `118.42`; `0.0` begins with the first one
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    /// End once everything up to now is shown
    #[arg(long)]
    once: bool,
}

/// Shows events, a line each, until the program is stopped.
///
/// # Errors
///
/// See [`CliError`].
pub(crate) async fn events(arguments: &EventsArguments, output: &Output) -> Result<(), CliError> {
    let view = View::new(output, EVENT)?;
    let client = connect()?.client;
    let options = EventOptions { last_event_id: arguments.after.clone(), ends_now: arguments.once };
    let mut updates = pin!(client.events(&options));
    while let Some(update) = updates.next().await {
        match update? {
            EventUpdate::Event(event) => view.show(&event, || text(&event))?,
            EventUpdate::Reset { id } => {
                tell(&format!("Events before {} were missed.", one_line(&id)));
            }
            _ => {}
        }
    }
    Ok(())
}

/// An event on one line: `2026-04-09 10:00 118.42 todo 7 updated done by 2`.
fn text(event: &Event) -> String {
    let at = shown(event.created_at);
    let mut words = vec![at, one_line(&event.id), one_line(event.kind.as_str())];
    words.extend(event.subject_id.map(|id| id.to_string()));
    words.push(one_line(event.action.as_str()));
    words.extend(event.status.map(|status| status.to_string()));
    if event.rows != 1 {
        words.push(format!("({} rows)", event.rows));
    }
    words.extend(event.actor_id.map(|id| format!("by {id}")));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let mut event = json!({
            "id": "118.42", "kind": "todo", "action": "updated", "actor_id": 2, "subject_id": 7,
            "subject_actor_id": 2, "rows": 1, "status": "done", "credits": -1,
            "created_at": "2026-04-09T10:00:00Z",
        });
        let shown = |event: &serde_json::Value| {
            let text = text(&serde_json::from_value(event.clone()).unwrap());
            text.split_once("118.42 ").unwrap().1.to_owned()
        };
        assert_eq!(shown(&event), "todo 7 updated done by 2");
        event["status"] = json!(null);
        event["rows"] = json!(3);
        event["action"] = json!("created");
        assert_eq!(shown(&event), "todo 7 created (3 rows) by 2");
        for field in ["actor_id", "subject_id"] {
            event[field] = json!(null);
        }
        event["rows"] = json!(1);
        event["kind"] = json!("new\u{1b}[2J");
        assert!(!shown(&event).contains('\u{1b}'));
    }
}
