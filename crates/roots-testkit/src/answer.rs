//! Formats an answer as text, for a snapshot beside its request.

use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;

/// The width of JSON in code that is indented by four columns.
const COLUMNS: usize = 96;

/// The status, the headers that say something about the case, an empty line and the body.
///
/// A header is left out only if its value follows from what is shown:
///
/// - `content-type` if it is JSON, or JSON of a problem for a status of 400 or more;
/// - `cache-control` and `vary` if they are those of an answer to a key that has no secret;
/// - `content-length` if it is the length of the body;
/// - `x-request-id`, which must be that in the body of a problem;
/// - `date`.
///
/// So a change of any other header, and of these, changes the text or panics.
#[must_use]
pub fn summary(status: StatusCode, headers: &HeaderMap, body: &str) -> String {
    let value: Option<Value> = serde_json::from_str(body).ok();
    let id = headers.get("x-request-id").expect("an answer has a request id");
    if let Some(named) = value.as_ref().and_then(|value| value.get("request_id")) {
        assert_eq!(named.as_str(), id.to_str().ok(), "the problem names another request");
    }
    let is_problem = status.is_client_error() || status.is_server_error();
    let media_type = if is_problem { "application/problem+json" } else { "application/json" };
    let is_private = is_private(headers);
    let is_shown = |name: &str, text: &str| match name {
        "content-type" => body.is_empty() || text != media_type,
        "cache-control" | "vary" => !is_private,
        "content-length" => text != body.len().to_string(),
        "x-request-id" | "date" => false,
        _ => true,
    };
    let mut lines = lines(headers, is_shown);
    if !body.is_empty() {
        assert!(headers.contains_key("content-type"), "a body without its type: {body}");
        if !headers.contains_key("content-length") {
            lines.push("(no content-length)".to_owned());
        }
    }
    text(status, &lines, body)
}

/// The status, all headers, an empty line and the body.
#[must_use]
pub fn full_text(status: StatusCode, headers: &HeaderMap, body: &str) -> String {
    text(status, &lines(headers, |_, _| true), body)
}

/// Whether the answer has the `Cache-Control` and `Vary` of an answer to a key that has no secret.
fn is_private(headers: &HeaderMap) -> bool {
    let values = |name: &str| {
        let values = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default());
        let mut values: Vec<_> = values.flat_map(|value| value.split(", ")).collect();
        values.sort_unstable();
        values
    };
    values("cache-control") == ["no-cache", "private"]
        && values("vary") == ["authorization", "x-api-key"]
}

/// The headers, sorted by name.
fn lines(headers: &HeaderMap, is_shown: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let shown = headers.iter().filter_map(|(name, value)| {
        let text = value.to_str().expect("a header of visible characters");
        is_shown(name.as_str(), text).then(|| format!("{name}: {text}"))
    });
    let mut lines: Vec<_> = shown.collect();
    lines.sort_unstable();
    lines
}

fn text(status: StatusCode, headers: &[String], body: &str) -> String {
    let head = std::iter::once(status.to_string()).chain(headers.iter().cloned());
    let head = head.collect::<Vec<_>>().join("\n");
    let body = match serde_json::from_str(body) {
        Ok(value) => layout(&value, 0, 0),
        Err(_) => body.to_owned(),
    };
    format!("{head}\n\n{body}").trim_end().to_owned()
}

/// JSON with each value on one line if it fits there, after `column` columns.
fn layout(value: &Value, depth: usize, column: usize) -> String {
    let line = in_one_line(value);
    if column + line.chars().count() <= COLUMNS {
        return line;
    }
    let (end, start) = ("  ".repeat(depth), "  ".repeat(depth + 1));
    let member = |name: String, value| {
        // A comma may follow.
        let column = name.chars().count() + 1;
        name + &layout(value, depth + 1, column)
    };
    match value {
        Value::Object(members) => {
            let members = members
                .iter()
                .map(|(name, value)| member(format!("{start}{}: ", Value::from(&**name)), value));
            format!("{{\n{}\n{end}}}", members.collect::<Vec<_>>().join(",\n"))
        }
        Value::Array(items) => {
            let items = items.iter().map(|item| member(start.clone(), item));
            format!("[\n{}\n{end}]", items.collect::<Vec<_>>().join(",\n"))
        }
        _ => line,
    }
}

fn in_one_line(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members = members
                .iter()
                .map(|(name, value)| format!("{}: {}", Value::from(&**name), in_one_line(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(in_one_line).collect::<Vec<_>>().join(", "))
        }
        scalar => scalar.to_string(),
    }
}
