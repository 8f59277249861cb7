//! Writes the generated part of `docs/api.md` from the `OpenAPI` document: each operation with its
//! parameters, body and answers.

use std::fmt::Write;

use serde_json::{Map, Value};

/// The lines before and after the generated part of the page.
const BEGIN: &str = "<!-- `cargo xtask openapi` writes what follows, from openapi.json. -->\n";
const END: &str = "<!-- Here it ends. -->\n";

/// The maximum width of a line, in columns.
const WIDTH: usize = 100;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ReferenceError {
    #[error("the OpenAPI document is no JSON: {0}")]
    Document(#[from] serde_json::Error),
    #[error("the page lacks the lines that its reference stands between")]
    NoPlace,
}

/// Returns the page with a new generated part between its marks.
pub(crate) fn renew(page: &str, document: &str) -> Result<String, ReferenceError> {
    let document: Value = serde_json::from_str(document)?;
    let (before, rest) = page.split_once(BEGIN).ok_or(ReferenceError::NoPlace)?;
    let (_, after) = rest.split_once(END).ok_or(ReferenceError::NoPlace)?;
    Ok(format!("{before}{BEGIN}\n{}{END}{after}", Reference { document: &document }.write()))
}

struct Reference<'a> {
    document: &'a Value,
}

/// An operation, with its method and path.
type Operation<'a> = (String, &'a str, &'a Value);

impl<'a> Reference<'a> {
    fn write(&self) -> String {
        let mut text = String::new();
        for tag in items(&self.document["tags"]) {
            let operations = self.operations(word(&tag["name"]));
            section(&mut text, "##", &capitalized(word(&tag["name"])));
            paragraph(&mut text, word(&tag["description"]));
            text.push_str("| request | what it does |\n|---|---|\n");
            for (method, path, operation) in &operations {
                let title = word(&operation["summary"]);
                let anchor = title.to_lowercase().replace(' ', "-").replace(',', "");
                let _ = writeln!(text, "| `{method} {path}` | [{title}](#{anchor}) |");
            }
            text.push('\n');
            for operation in &operations {
                self.operation(&mut text, operation);
            }
        }
        text
    }

    /// The operations of that tag, in the order of the document.
    fn operations(&self, tag: &str) -> Vec<Operation<'a>> {
        let mut found = Vec::new();
        for (path, item) in members(&self.document["paths"]) {
            for (method, operation) in members(item) {
                if items(&operation["tags"]).any(|name| name == tag) {
                    found.push((method.to_uppercase(), path.as_str(), operation));
                }
            }
        }
        found
    }

    fn operation(&self, text: &mut String, (method, path, operation): &Operation) {
        section(text, "###", word(&operation["summary"]));
        let _ = writeln!(text, "`{method} {path}`\n");
        paragraph(text, word(&operation["description"]));
        let parameters = || items(&operation["parameters"]);
        for (place, title) in [("path", "Path"), ("query", "Query"), ("header", "Headers")] {
            let of_place = || parameters().filter(|one| one["in"] == place);
            if of_place().next().is_some() {
                let _ = writeln!(text, "{title}:\n");
                for one in of_place() {
                    let description = word(&one["description"]);
                    self.field(text, word(&one["name"]), &one["schema"], description, false);
                }
                text.push('\n');
            }
        }
        self.body(text, &operation["requestBody"]);
        self.responses(text, &operation["responses"]);
    }

    fn body(&self, text: &mut String, body: &Value) {
        let Some((media_type, content)) = members(&body["content"]).next() else { return };
        let left_out = if body["required"] == true { "" } else { ", may be left out" };
        let description = word(&body["description"]);
        paragraph(text, format!("Body, `{media_type}`{left_out}. {description}").trim_end());
        let schema = self.resolved(&content["schema"]);
        let required: Vec<_> = items(&schema["required"]).collect();
        for (name, property) in members(&schema["properties"]) {
            let is_required = required.iter().any(|one| *one == name);
            self.field(text, name, property, "", is_required);
        }
        if members(&schema["properties"]).next().is_some() {
            text.push('\n');
        }
        if !schema["example"].is_null() {
            code(text, &schema["example"]);
        }
    }

    fn responses(&self, text: &mut String, responses: &Value) {
        let mut errors = Vec::new();
        for (status, response) in members(responses) {
            let response = self.resolved(response);
            if status.starts_with(['4', '5']) {
                errors.push(status.as_str());
                continue;
            }
            paragraph(text, &format!("{status}: {}", word(&response["description"])));
            for (_, content) in members(&response["content"]) {
                if !content["example"].is_null() {
                    code(text, &content["example"]);
                }
            }
        }
        paragraph(text, &format!("Errors: {}.", errors.join(", ")));
    }

    /// A parameter or a field of a body, as an item of a list.
    fn field(
        &self,
        text: &mut String,
        name: &str,
        schema: &Value,
        description: &str,
        is_required: bool,
    ) {
        let kind = self.kind(schema);
        let required = if is_required { ", required" } else { "" };
        let description =
            if description.is_empty() { self.description(schema) } else { description };
        let default = match self.default(schema) {
            Value::Null => String::new(),
            value => format!(" `{}` by default.", plain(value)),
        };
        let line = format!("`{name}` ({kind}{required}): {description}{default}");
        text.push_str(&wrapped(line.trim_end_matches([':', ' ']), "- ", "  "));
    }

    /// What its values are.
    fn kind(&self, schema: &Value) -> String {
        let schema = self.resolved(schema);
        if let Some(values) = schema["enum"].as_array() {
            let values: Vec<_> = values.iter().map(|value| format!("`{}`", plain(value))).collect();
            return values.join(", ");
        }
        for united in ["oneOf", "anyOf"] {
            let kinds: Vec<_> = items(&schema[united]).map(|one| self.kind(one)).collect();
            if !kinds.is_empty() {
                return kinds.join(" or ");
            }
        }
        let kinds: Vec<_> = match &schema["type"] {
            Value::Array(kinds) => kinds.iter().map(word).collect(),
            kind => vec![word(kind)],
        };
        let mut kind = kinds.join(" or ");
        if let (Some(from), Some(to)) = (schema["minimum"].as_i64(), schema["maximum"].as_i64()) {
            let _ = write!(kind, ", {from} to {to}");
        }
        kind
    }

    /// Its description: its own, or that of the schema it refers to.
    fn description(&self, schema: &'a Value) -> &'a str {
        let own = word(&schema["description"]);
        let united = || items(&schema["oneOf"]).map(|one| word(&one["description"]));
        let found = [own].into_iter().chain(united()).find(|text| !text.is_empty());
        found.unwrap_or_else(|| word(&self.resolved(schema)["description"]))
    }

    fn default(&self, schema: &'a Value) -> &'a Value {
        match &schema["default"] {
            Value::Null => &self.resolved(schema)["default"],
            value => value,
        }
    }

    fn resolved(&self, value: &'a Value) -> &'a Value {
        let found = value["$ref"].as_str().and_then(|path| path.strip_prefix('#'));
        found.and_then(|path| self.document.pointer(path)).unwrap_or(value)
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A value as one writes it in a query.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn capitalized(word: &str) -> String {
    let mut rest = word.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

fn section(text: &mut String, level: &str, title: &str) {
    let _ = writeln!(text, "{level} {title}\n");
}

fn paragraph(text: &mut String, content: &str) {
    if !content.is_empty() {
        text.push_str(&wrapped(content, "", ""));
        text.push('\n');
    }
}

/// An example: JSON, or lines of it as they are.
fn code(text: &mut String, example: &Value) {
    let shown = match example {
        Value::String(lines) => lines.trim_end().to_owned(),
        value => format!("{value:#}"),
    };
    let _ = writeln!(text, "```json\n{shown}\n```\n");
}

/// Wraps a text into lines. The first line and the others have their own prefixes.
fn wrapped(content: &str, first: &str, others: &str) -> String {
    let mut lines = vec![first.to_owned()];
    for word in content.split_whitespace() {
        let line = lines.last_mut().map_or("", |line| line);
        let is_empty = line.trim().is_empty() || line == first;
        if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(others.to_owned());
        }
        if let Some(line) = lines.last_mut() {
            if !(line.is_empty() || line.ends_with(' ')) {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = r##"{
        "tags": [{"name": "todos", "description": "Things to do."}],
        "paths": {"/todos": {"post": {
            "tags": ["todos"],
            "summary": "Create todo",
            "description": "Costs 1 credit.",
            "parameters": [{"name": "tz", "in": "query", "schema": {"$ref": "#/components/schemas/Zone"}}],
            "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/NewTodo"}}}},
            "responses": {
                "201": {"description": "The todo.", "content": {"application/json": {"example": {"todo_id": 1}}}},
                "401": {"description": "No key."}
            }
        }}},
        "components": {"schemas": {
            "Zone": {"type": "string", "description": "A time zone.", "default": "UTC"},
            "NewTodo": {
                "required": ["title"],
                "properties": {
                    "title": {"type": "string", "description": "What to do."},
                    "priority": {"type": ["integer", "null"], "minimum": 0, "maximum": 3}
                },
                "example": {"title": "Test"}
            }
        }}
    }"##;

    const REFERENCE: &str = r#"
## Todos

Things to do.

| request | what it does |
|---|---|
| `POST /todos` | [Create todo](#create-todo) |

### Create todo

`POST /todos`

Costs 1 credit.

Query:

- `tz` (string): A time zone. `UTC` by default.

Body, `application/json`.

- `title` (string, required): What to do.
- `priority` (integer or null, 0 to 3)

```json
{
  "title": "Test"
}
```

201: The todo.

```json
{
  "todo_id": 1
}
```

Errors: 401.

"#;

    #[test]
    fn the_reference_shows_what_an_operation_takes_and_answers() {
        let page = format!("# API\n\n{BEGIN}old\n{END}\nmore\n");
        let renewed = renew(&page, DOCUMENT).unwrap();
        assert_eq!(renewed, format!("# API\n\n{BEGIN}{REFERENCE}{END}\nmore\n"));
        assert_eq!(renew(&renewed, DOCUMENT).unwrap(), renewed);
    }

    #[test]
    fn a_page_without_the_marks_is_refused() {
        assert!(matches!(renew("# API\n", DOCUMENT), Err(ReferenceError::NoPlace)));
    }

    #[test]
    fn long_lines_are_broken() {
        let content = vec!["word"; 30].join(" ");
        let lines = wrapped(&content, "- ", "  ");
        assert!(lines.lines().all(|line| line.len() <= WIDTH), "{lines}");
        assert_eq!(lines.split_whitespace().filter(|one| *one == "word").count(), 30);
        assert!(lines.starts_with("- word word") && lines.contains("\n  word"), "{lines}");
    }
}
