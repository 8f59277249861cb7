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
        for (shape, path, method, status) in [
            (SESSION, "/api/v1/sessions/{id}", "get", "200"),
            (ACTIVITY, "/api/v1/activities", "post", "201"),
            (TODO, "/api/v1/todos/{id}", "get", "200"),
            (TODO_CLAIMED, "/api/v1/todos/claim", "post", "200"),
            (TODO_LIST, "/api/v1/todos", "get", "200"),
            (TODO_LOG, "/api/v1/todos/{id}/logs", "get", "200"),
            (TODO_DELETED, "/api/v1/todos/{id}", "delete", "200"),
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
