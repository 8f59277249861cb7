//! The tools as clients see them: names, descriptions, schemas and annotations, written by hand.
//!
//! Every byte of them is in the context of every agent, so they are short. The schemas say the form
//! of arguments; the rules that no schema can say come with the refusal.

use std::sync::{Arc, LazyLock};

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use roots_domain::model::todo::TodoStatus;
use serde_json::{Value, json};

/// All tools, in their order. It never changes within a version: clients cache what they were told.
pub(crate) static TOOLS: LazyLock<Vec<Tool>> = LazyLock::new(|| {
    vec![
        work_brief(),
        claim_todo(),
        list_todos(),
        get_item(),
        add_todos(),
        update_todo(),
        log_activity(),
        start_session(),
        end_session(),
        search_work(),
    ]
});

/// What a tool does to what is stored.
#[derive(Clone, Copy)]
enum Effect {
    /// Nothing.
    Reads,
    /// It adds rows, or changes a status.
    Adds,
    /// It may overwrite texts.
    Overwrites,
}

fn tool(
    name: &'static str,
    title: &str,
    effect: Effect,
    description: &'static str,
    arguments: Value,
    required: &[&str],
    result: Value,
) -> Tool {
    let mut input = json!({
        "type": "object",
        "properties": {},
        "required": required,
        "additionalProperties": false
    });
    input["properties"] = arguments;
    let reads = matches!(effect, Effect::Reads);
    let annotations = ToolAnnotations::with_title(title)
        .read_only(reads)
        .destructive(matches!(effect, Effect::Overwrites))
        .idempotent(reads)
        .open_world(false);
    Tool::new(name, description, object(input))
        .with_title(title)
        .with_raw_output_schema(object(result))
        .with_annotations(annotations)
}

fn object(schema: Value) -> Arc<JsonObject> {
    Arc::new(match schema {
        Value::Object(object) => object,
        _ => JsonObject::new(),
    })
}

/// The schema of a result: these members, and the credits that every result tells.
fn result(members: Value, required: &[&str]) -> Value {
    let mut properties = members;
    properties["cost"] = json!({"type": "integer"});
    properties["credits_left"] = json!({"type": "integer"});
    let required = [required, &["cost", "credits_left"]].concat();
    json!({"type": "object", "properties": properties, "required": required})
}

fn id() -> Value {
    json!({"type": "integer", "minimum": 1})
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

fn priority() -> Value {
    json!({"type": "integer", "minimum": 0, "maximum": 3, "description": "3 is the highest"})
}

fn status() -> Value {
    json!({"type": "string", "enum": TodoStatus::ALL.map(TodoStatus::name)})
}

fn actor() -> Value {
    json!({"type": "integer", "minimum": 1, "description": "For another actor (owner only)"})
}

fn actors() -> Value {
    text("An actor's id, or \"all\" (owner only)")
}

fn max_tokens() -> Value {
    json!({"type": "integer", "minimum": 500, "maximum": 8000, "default": 2000})
}

fn limit() -> Value {
    json!({"type": "integer", "minimum": 1, "maximum": 100, "default": 20})
}

fn cursor() -> Value {
    text("next_cursor of the page before; other arguments the same")
}

fn request_id() -> Value {
    text("Makes a retry safe: reuse it when you retry, with the same arguments")
}

fn rows() -> Value {
    json!({"type": "array", "items": {"type": "object"}})
}

/// A member that may be null. Some clients can't read a list in `type`.
fn or_null(kind: &str) -> Value {
    json!({"anyOf": [{"type": kind}, {"type": "null"}]})
}

/// The members of a todo that its readers rely on.
fn todo() -> Value {
    json!({
        "todo_id": {"type": "integer"},
        "title": {"type": "string"},
        "status": {"type": "string"},
        "priority": {"type": "integer"},
        "claim": or_null("object")
    })
}

fn work_brief() -> Tool {
    tool(
        "work_brief",
        "Work brief",
        Effect::Reads,
        "Call this first, with session_id once you have a session: it tells your claims from those \
         of other workers. Says where your work stands: the open or last session with its notes, \
         todos in progress, left behind (their claim lapsed), overdue and next, who waits for an \
         answer, what happened since the last session, counts, and next_action (resume, take_over, \
         claim or none). counts, has_work and next_action are computed from the todos; trust them \
         over any note. omitted says what was left out, cut which texts were shortened.",
        json!({
            "max_tokens": max_tokens(),
            "since": text("RFC 3339; default: the end of the last session"),
            "actor_id": actors(),
            "session_id": {"type": "integer", "minimum": 1, "description": "The session that you work in"}
        }),
        &[],
        result(
            json!({
                "has_work": {"type": "boolean"},
                "next_action": {"type": "object"},
                "session": or_null("object"),
                "in_progress": rows(),
                "left_behind": rows(),
                "overdue": rows(),
                "next": rows(),
                "counts": {"type": "object"}
            }),
            &["has_work", "next_action", "counts"],
        ),
    )
}

fn claim_todo() -> Tool {
    let mut claimed = todo();
    claimed["claimed"] = json!({"type": "boolean"});
    claimed["until"] = json!({"type": "string"});
    tool(
        "claim_todo",
        "Claim a todo",
        Effect::Adds,
        "Takes the next open todo (highest priority, then earliest due date, then oldest), or the \
         one named, and sets it in_progress. No other worker gets it. Keep claim.token and send it \
         as claim_token with update_todo. The claim is a lease: it lapses at `until` unless you \
         write with its token or to its session. With claimed false there is no todo to claim, and \
         it cost nothing; else it costs 1 credit.",
        json!({
            "session_id": {"type": "integer", "minimum": 1, "description": "Your session: its writes keep the claim alive"},
            "todo_id": id(),
            "min_priority": priority(),
            "lease_seconds": {"type": "integer", "minimum": 60, "maximum": 86400, "default": 7200},
            "actor_id": actor(),
            "request_id": request_id()
        }),
        &[],
        result(claimed, &["claimed"]),
    )
}

fn list_todos() -> Tool {
    tool(
        "list_todos",
        "List todos",
        Effect::Reads,
        "Lists todos by priority, then newest first; with overdue, those past due_at, earliest \
         first (no sort, no filter but actor_id); with sort status_since, done or cancelled ones, \
         latest first (needs status, no session_id). total counts all that match; overdue ones up \
         to 1,000. A page holds at most max_tokens: go on with next_cursor. cut names texts that \
         were shortened (get_item has them whole).",
        json!({
            "status": status(),
            "priority": priority(),
            "session_id": id(),
            "overdue": {"type": "boolean"},
            "sort": {"type": "string", "enum": ["priority", "status_since"]},
            "actor_id": actors(),
            "limit": limit(),
            "cursor": cursor(),
            "max_tokens": max_tokens()
        }),
        &[],
        result(
            json!({
                "todos": rows(),
                "total": {"type": "integer"},
                "next_cursor": or_null("string"),
                "omitted": rows(),
                "cut": {"type": "array", "items": {"type": "string"}}
            }),
            &["todos", "total", "next_cursor", "omitted", "cut"],
        ),
    )
}

fn get_item() -> Tool {
    tool(
        "get_item",
        "Get an item",
        Effect::Reads,
        "Gets one todo, session or activity with its whole texts; a todo also with its claim and \
         the log of its status changes, oldest first.",
        json!({
            "kind": {"type": "string", "enum": ["todo", "session", "activity"]},
            "id": id()
        }),
        &["kind", "id"],
        result(
            json!({
                "todo_id": {"type": "integer"},
                "session_id": or_null("integer"),
                "activity_id": {"type": "integer"},
                "logs": rows()
            }),
            &[],
        ),
    )
}

fn add_todos() -> Tool {
    let item = json!({
        "type": "object",
        "properties": {
            "title": text("1 to 500 characters"),
            "description": text("What done means, and what a worker must know"),
            "priority": priority(),
            "due_at": text("RFC 3339"),
            "session_id": id(),
            "actor_id": actor()
        },
        "required": ["title"],
        "additionalProperties": false
    });
    tool(
        "add_todos",
        "Add todos",
        Effect::Adds,
        "Creates 1 to 20 todos, all or none, in one call. Each costs 1 credit. Priority defaults \
         to 0.",
        json!({
            "todos": {"type": "array", "minItems": 1, "maxItems": 20, "items": item},
            "request_id": request_id()
        }),
        &["todos"],
        result(json!({"todos": rows()}), &["todos"]),
    )
}

fn update_todo() -> Tool {
    tool(
        "update_todo",
        "Update a todo",
        Effect::Overwrites,
        "Changes the fields given. status done or cancelled finishes it; open gives it back to \
         everyone. Send claim_token if you claimed it: if that claim is lost, nothing is changed \
         (claim-lost) and you must stop working on the todo. With claim_token alone it only keeps \
         the claim alive. Costs 1 credit.",
        json!({
            "todo_id": id(),
            "title": text("1 to 500 characters"),
            "description": text("Replaces the old one"),
            "status": status(),
            "priority": priority(),
            "due_at": text("RFC 3339"),
            "session_id": id(),
            "note": text("Why the status changes; only with status"),
            "claim_token": id(),
            "clear": {
                "type": "array",
                "items": {"type": "string", "enum": ["description", "due_at", "session_id"]},
                "description": "Fields to empty"
            },
            "request_id": request_id()
        }),
        &["todo_id"],
        result(todo(), &["todo_id", "status"]),
    )
}

fn log_activity() -> Tool {
    tool(
        "log_activity",
        "Log an activity",
        Effect::Adds,
        "Records what you did or decided. Type question or blocked, with a session_id, says that \
         the session waits for a person; any later activity of that session ends the wait. Costs 1 \
         credit.",
        json!({
            "description": text("What happened"),
            "activity_type": text("a-z, 0-9, _ . -, up to 50; default: general"),
            "session_id": id(),
            "logged_at": text("RFC 3339; default: now"),
            "actor_id": actor(),
            "request_id": request_id()
        }),
        &["description"],
        result(
            json!({"activity_id": {"type": "integer"}, "warning": {"type": "string"}}),
            &["activity_id"],
        ),
    )
}

fn start_session() -> Tool {
    tool(
        "start_session",
        "Start a session",
        Effect::Adds,
        "Starts a session of work. Pass its session_id to the other tools, so that a later reader \
         can tell what belongs together. Costs 1 credit.",
        json!({
            "notes": text("What you are about to do"),
            "actor_id": actor(),
            "request_id": request_id()
        }),
        &[],
        session_result(),
    )
}

fn end_session() -> Tool {
    tool(
        "end_session",
        "End a session",
        Effect::Overwrites,
        "Ends a session for good. First finish its todos or set them open again. notes replace \
         the old ones: write what the next worker needs to know. Costs 1 credit.",
        json!({
            "session_id": id(),
            "notes": text("The summary"),
            "request_id": request_id()
        }),
        &["session_id"],
        session_result(),
    )
}

fn session_result() -> Value {
    result(
        json!({"session_id": {"type": "integer"}, "status": {"type": "string"}}),
        &["session_id", "status"],
    )
}

fn search_work() -> Tool {
    tool(
        "search_work",
        "Search",
        Effect::Reads,
        "Finds words in notes, titles, descriptions, log notes and activities, newest first. All \
         words must match, in any case; \"…\" is a phrase, word* a prefix. Each result has an \
         excerpt; get_item has the whole. With complete false, go on with next_cursor.",
        json!({
            "q": text("1 to 8 terms, 200 characters"),
            "kind": {"type": "string", "enum": ["session", "todo", "activity"]},
            "since": text("RFC 3339"),
            "until": text("RFC 3339"),
            "session_id": id(),
            "status": status(),
            "actor_id": actors(),
            "limit": limit(),
            "cursor": cursor(),
            "max_tokens": max_tokens()
        }),
        &["q"],
        result(
            json!({
                "results": rows(),
                "next_cursor": or_null("string"),
                "complete": {"type": "boolean"},
                "omitted": rows()
            }),
            &["results", "next_cursor", "complete", "omitted"],
        ),
    )
}

#[cfg(test)]
mod tests {
    use rmcp::model::{CacheScope, ListToolsResult};

    use super::*;
    use crate::instructions::INSTRUCTIONS;
    use crate::tools;

    /// The longest description that no client cuts, with room to spare.
    const TEXT_MAX_CHARS: usize = 1_500;
    /// The largest list of tools, in bytes.
    const LIST_MAX_BYTES: usize = 16_000;

    fn schemas() -> impl Iterator<Item = (&'static str, Value)> {
        TOOLS.iter().flat_map(|tool| {
            let name = tool.name.as_ref();
            let output = tool.output_schema.clone().unwrap();
            [(name, tool.schema_as_json_value()), (name, Value::Object((*output).clone()))]
        })
    }

    #[test]
    fn the_list_of_tools_fits_into_16_000_bytes() {
        let list = ListToolsResult::with_all_items(TOOLS.clone());
        let list = list.with_ttl_ms(3_600_000).with_cache_scope(CacheScope::Public);
        let bytes = serde_json::to_vec(&list).unwrap().len();
        assert!(bytes <= LIST_MAX_BYTES, "{bytes}");
    }

    #[test]
    fn no_description_is_so_long_that_a_client_cuts_it() {
        assert!(INSTRUCTIONS.chars().count() <= TEXT_MAX_CHARS);
        for tool in TOOLS.iter() {
            let description = tool.description.as_ref().unwrap();
            let chars = description.chars().count();
            assert!((40..=TEXT_MAX_CHARS).contains(&chars), "{}: {chars}", tool.name);
        }
    }

    #[test]
    fn the_tools_stand_in_their_fixed_order() {
        let names: Vec<_> = TOOLS.iter().map(|tool| tool.name.as_ref()).collect();
        let expected = [
            "work_brief",
            "claim_todo",
            "list_todos",
            "get_item",
            "add_todos",
            "update_todo",
            "log_activity",
            "start_session",
            "end_session",
            "search_work",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn every_tool_has_all_annotations_and_says_truly_whether_it_reads() {
        for tool in TOOLS.iter() {
            let hints = tool.annotations.as_ref().unwrap();
            let reads = tools::kind(&tool.name) == Some(tools::Kind::Read);
            assert_eq!(hints.read_only_hint, Some(reads), "{}", tool.name);
            assert!(hints.title.is_some() && hints.title == tool.title, "{}", tool.name);
            assert!(hints.destructive_hint.is_some(), "{}", tool.name);
            assert!(hints.idempotent_hint.is_some(), "{}", tool.name);
            assert_eq!(hints.open_world_hint, Some(false), "{}", tool.name);
        }
        assert_eq!(tools::kind("delete_everything"), None);
    }

    #[test]
    fn arguments_are_absent_or_given_and_have_one_type_without_a_format() {
        for tool in TOOLS.iter() {
            let schema = tool.schema_as_json_value();
            assert_eq!(schema["additionalProperties"], false, "{}", tool.name);
            let properties = schema["properties"].as_object().unwrap();
            for (name, property) in properties {
                assert!(property["type"].is_string(), "{}.{name}", tool.name);
            }
            let text = schema.to_string();
            assert!(!text.contains("null") && !text.contains("\"format\""), "{text}");
        }
    }

    #[test]
    fn every_result_tells_its_cost_and_the_credits_left() {
        for tool in TOOLS.iter() {
            let schema = tool.output_schema.as_ref().unwrap();
            let required = schema["required"].as_array().unwrap();
            assert!(required.contains(&"cost".into()) && required.contains(&"credits_left".into()));
        }
    }

    #[test]
    fn required_members_are_described() {
        for (tool, schema) in schemas() {
            assert_eq!(schema["type"], "object", "{tool}");
            for name in schema["required"].as_array().unwrap() {
                assert!(
                    schema["properties"].get(name.as_str().unwrap()).is_some(),
                    "{tool}: {name}"
                );
            }
        }
    }

    #[test]
    fn the_page_for_agents_has_every_argument() {
        let page = include_str!("../../../docs/agents.md");
        for tool in TOOLS.iter() {
            let schema = tool.schema_as_json_value();
            let mut expected = named(&schema);
            expected.extend(named(&schema["properties"]["todos"]["items"]));
            expected.sort();
            let start = format!("| `{}` | ", tool.name);
            let row = page.lines().find_map(|line| line.strip_prefix(&start)).unwrap();
            let (cell, _) = row.split_once(" | ").unwrap();
            // The code and what follows it, by turns.
            let parts: Vec<_> = cell.split('`').skip(1).collect();
            let mut shown: Vec<_> = parts
                .chunks(2)
                .map(|part| (part[0].to_owned(), part[1].starts_with(r"\*")))
                .collect();
            shown.sort();
            assert_eq!(shown, expected, "the row of {} in docs/agents.md", tool.name);
        }
    }

    /// The properties of a schema, and whether each is required.
    fn named(schema: &Value) -> Vec<(String, bool)> {
        let properties = schema["properties"].as_object().into_iter().flatten();
        properties
            .map(|(name, _)| {
                let required = schema["required"].as_array().unwrap();
                (name.clone(), required.contains(&name.as_str().into()))
            })
            .collect()
    }
}
