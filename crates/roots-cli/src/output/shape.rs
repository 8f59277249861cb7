//! Which fields the documents of the API have, for `--json=FIELD,…`.

/// The fields of a document that can be selected.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// The field that holds the rows, if the document is a list. The rows' fields are selected
    /// then.
    pub(crate) rows: Option<&'static str>,
    /// The fields. Any can be selected if none is listed.
    pub(crate) fields: &'static [&'static str],
}

impl Shape {
    /// A document with these fields.
    pub(crate) const fn of(fields: &'static [&'static str]) -> Self {
        Self { rows: None, fields }
    }

    /// A list whose rows have these fields.
    pub(crate) const fn list(rows: &'static str, fields: &'static [&'static str]) -> Self {
        Self { rows: Some(rows), fields }
    }
}

/// A document whose fields only the server knows.
pub(crate) const ANY: Shape = Shape::of(&[]);

/// A session.
pub(crate) const SESSION: Shape = Shape::of(&[
    "session_id",
    "status",
    "notes",
    "started_at",
    "ended_at",
    "ended_reason",
    "duration_seconds",
    "actor_id",
]);

/// An activity.
pub(crate) const ACTIVITY: Shape = Shape::of(&[
    "activity_id",
    "session_id",
    "activity_type",
    "description",
    "logged_at",
    "created_at",
    "actor_id",
]);

/// A todo.
pub(crate) const TODO: Shape = Shape::of(&[
    "todo_id",
    "session_id",
    "title",
    "description",
    "status",
    "priority",
    "due_at",
    "created_at",
    "updated_at",
    "status_since",
    "claim",
    "actor_id",
]);

/// The fields of a todo where it is listed or claimed.
const LISTED_TODO: &[&str] = &[
    "todo_id",
    "session_id",
    "title",
    "description",
    "status",
    "priority",
    "due_at",
    "created_at",
    "updated_at",
    "status_since",
    "claim",
    "actor_id",
    "until",
];

/// A todo that was claimed.
pub(crate) const TODO_CLAIMED: Shape = Shape::of(LISTED_TODO);

/// A page of todos.
pub(crate) const TODO_LIST: Shape = Shape::list("todos", LISTED_TODO);

/// The log of a todo.
pub(crate) const TODO_LOG: Shape =
    Shape::list("logs", &["log_id", "old_status", "new_status", "note", "logged_at"]);

/// A deleted todo.
pub(crate) const TODO_DELETED: Shape = Shape::of(&["status", "todo_id"]);

/// The brief.
pub(crate) const BRIEF: Shape = Shape::of(&[
    "at",
    "since",
    "session",
    "in_progress",
    "left_behind",
    "overdue",
    "next",
    "waiting",
    "activities",
    "status_changes",
    "counts",
    "has_work",
    "next_action",
    "omitted",
    "cut",
]);

/// What a search found.
pub(crate) const SEARCH_RESULTS: Shape =
    Shape::list("results", &["kind", "id", "at", "field", "excerpt", "title", "actor_id"]);

/// An event.
pub(crate) const EVENT: Shape = Shape::of(&[
    "id",
    "kind",
    "action",
    "actor_id",
    "subject_id",
    "subject_actor_id",
    "rows",
    "status",
    "credits",
    "created_at",
]);

/// Statistics of activities.
pub(crate) const STATS: Shape = Shape::of(&[
    "total_activities",
    "by_type",
    "by_type_omitted",
    "by_day",
    "by_day_omitted",
    "sessions",
]);

/// The balance.
pub(crate) const CREDITS: Shape = Shape::of(&["balance", "cost_model", "recent_ledger"]);

/// A page of the ledger.
pub(crate) const LEDGER: Shape = Shape::list(
    "entries",
    &["ledger_id", "delta", "balance_after", "reason", "related_endpoint", "created_at"],
);

/// The calls of a month.
pub(crate) const USAGE: Shape = Shape::of(&["period", "used", "top_endpoints"]);

/// The calls of a month by day.
pub(crate) const USAGE_BY_DAY: Shape = Shape::of(&["period", "daily"]);

/// A page of keys.
pub(crate) const KEY_LIST: Shape = Shape::list(
    "keys",
    &[
        "key_id",
        "actor_id",
        "actor_name",
        "key_prefix",
        "label",
        "is_active",
        "created_at",
        "last_used",
        "expires_at",
    ],
);

/// A new key.
pub(crate) const KEY_SHOWN: Shape = Shape::of(&[
    "key_id",
    "actor_id",
    "api_key",
    "key_prefix",
    "label",
    "created_at",
    "expires_at",
    "recovery_code",
]);

/// A revoked key.
pub(crate) const KEY_REVOKED: Shape = Shape::of(&["status", "key_id"]);

/// A new recovery code.
pub(crate) const RECOVERY_CODE: Shape = Shape::of(&["account_id", "recovery_code", "warning"]);

/// The owner's new key.
pub(crate) const RECOVERED: Shape = Shape::of(&[
    "account_id",
    "actor_id",
    "key_id",
    "api_key",
    "key_prefix",
    "recovery_code",
    "warning",
]);

/// An actor.
pub(crate) const ACTOR: Shape =
    Shape::of(&["actor_id", "name", "actor_type", "role", "is_active", "created_at"]);

/// A page of actors.
pub(crate) const ACTOR_LIST: Shape =
    Shape::list("actors", &["actor_id", "name", "actor_type", "role", "is_active", "created_at"]);

/// A deactivated actor.
pub(crate) const ACTOR_DEACTIVATED: Shape = Shape::of(&["status", "actor_id"]);

/// The result of an import.
pub(crate) const IMPORT: Shape = Shape::of(&[
    "dry_run",
    "lines",
    "imported",
    "already_imported",
    "updated",
    "unchanged",
    "missing",
    "deleted",
    "faulty",
    "faults",
    "is_whole",
    "cost",
    "balance",
    "is_covered",
    "from_line",
]);

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::Value;

    use super::*;

    /// The fields of a schema of the OpenAPI document, with those that it takes over.
    fn fields(document: &Value, schema: &Value) -> Vec<String> {
        let name = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next());
        let schema = name.map_or(schema, |name| &document["components"]["schemas"][name]);
        let own = schema["properties"].as_object().into_iter().flatten();
        let own = own.map(|(field, _)| field.clone());
        let parts = schema["allOf"].as_array().into_iter().flatten();
        own.chain(parts.flat_map(|part| fields(document, part))).collect()
    }

    #[test]
    fn the_fields_are_those_of_the_api() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
        let document: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let mut events = fields(&document, &document["components"]["schemas"]["Event"]);
        let mut listed = EVENT.fields.to_vec();
        events.sort();
        listed.sort_unstable();
        assert_eq!(listed, events, "events");
        for (shape, path, method, status) in [
            (SESSION, "/api/v1/sessions/{id}", "get", "200"),
            (ACTIVITY, "/api/v1/activities", "post", "201"),
            (TODO, "/api/v1/todos/{id}", "get", "200"),
            (TODO_CLAIMED, "/api/v1/todos/claim", "post", "200"),
            (TODO_LIST, "/api/v1/todos", "get", "200"),
            (TODO_LOG, "/api/v1/todos/{id}/logs", "get", "200"),
            (TODO_DELETED, "/api/v1/todos/{id}", "delete", "200"),
            (BRIEF, "/api/v1/brief", "get", "200"),
            (SEARCH_RESULTS, "/api/v1/search", "post", "200"),
            (STATS, "/api/v1/activities/stats", "get", "200"),
            (CREDITS, "/api/v1/credits", "get", "200"),
            (LEDGER, "/api/v1/credits/ledger", "get", "200"),
            (USAGE, "/api/v1/usage", "get", "200"),
            (USAGE_BY_DAY, "/api/v1/usage/history", "get", "200"),
            (KEY_LIST, "/api/v1/keys", "get", "200"),
            (KEY_SHOWN, "/api/v1/keys", "post", "201"),
            (KEY_REVOKED, "/api/v1/keys/{id}", "delete", "200"),
            (RECOVERY_CODE, "/api/v1/recovery-code", "post", "201"),
            (RECOVERED, "/api/v1/recover", "post", "201"),
            (ACTOR, "/api/v1/actors/{id}", "get", "200"),
            (ACTOR_LIST, "/api/v1/actors", "get", "200"),
            (ACTOR_DEACTIVATED, "/api/v1/actors/{id}", "delete", "200"),
            (IMPORT, "/api/v1/import", "post", "200"),
        ] {
            let answer = &document["paths"][path][method]["responses"][status];
            let mut schema = &answer["content"]["application/json"]["schema"];
            if let Some(rows) = shape.rows {
                let name = schema["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
                let page = &document["components"]["schemas"][name];
                schema = &page["properties"][rows]["items"];
            }
            let mut known = fields(&document, schema);
            let mut listed: Vec<_> = shape.fields.iter().map(|&field| field.to_owned()).collect();
            known.sort();
            listed.sort();
            assert_eq!(listed, known, "{method} {path}");
        }
    }
}
