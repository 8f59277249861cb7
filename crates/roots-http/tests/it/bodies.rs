//! Request bodies: one answer reports every error.

use insta::assert_snapshot;
use roots_domain::model::account::AccountKind;
use roots_domain::port::store::StoreError;

use crate::fixture::{MockedApi, TestRequest, ask, delete, patch, post};

#[tokio::test]
async fn every_error_of_a_body_is_reported_at_once() {
    let body = r#"{
        "titel": "Deploy docs pages",
        "description": 7,
        "session_id": 0,
        "priority": 4,
        "priority": 2,
        "due_at": "tomorrow",
        "SessionID": 1,
        "nonsense": null
    }"#;
    let answer = post("/api/v1/todos", body).of_the_whole_api().await;
    assert_snapshot!(answer.summary(), @r#"
    422 Unprocessable Entity

    {
      "type": "/docs/problems#invalid-body",
      "title": "Invalid body",
      "status": 422,
      "detail": "title is required; description must be a string, not an integer; session_id must be a positive integer; and 5 more errors.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "title is required; description must be a string, not an integer; session_id must be a positive integer; and 5 more errors.",
      "errors": [
        {"field": "title", "message": "is required"},
        {"field": "description", "message": "must be a string, not an integer"},
        {"field": "session_id", "message": "must be a positive integer"},
        {"field": "priority", "message": "is given more than once"},
        {
          "field": "due_at",
          "message": "must be a date or time of RFC 3339, such as 2026-04-09 or 2026-04-09T14:00:00Z"
        },
        {"field": "titel", "message": "is not a known field: did you mean title?"},
        {"field": "SessionID", "message": "is not a known field: did you mean session_id?"},
        {
          "field": "nonsense",
          "message": "is not a known field: there are title, description, session_id, priority, due_at, actor_id"
        }
      ]
    }
    "#);
    assert!(!answer.body.contains("tomorrow") && !answer.body.contains("Deploy"));
}

#[tokio::test]
async fn every_error_of_a_patch_is_reported_at_once() {
    let body = r#"{
        "title": null,
        "description": ["x"],
        "status": "finished",
        "priority": 1.5,
        "due_at": "1969-12-31",
        "session_id": "1",
        "note": {"text": "x"}
    }"#;
    assert_snapshot!(patch("/api/v1/todos/1", body).of_the_whole_api().await.summary(), @r#"
    422 Unprocessable Entity

    {
      "type": "/docs/problems#invalid-body",
      "title": "Invalid body",
      "status": 422,
      "detail": "title can't be emptied: it must not be null; description must be a string, not an array; status must be one of open, in_progress, done, cancelled; and 4 more errors.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "title can't be emptied: it must not be null; description must be a string, not an array; status must be one of open, in_progress, done, cancelled; and 4 more errors.",
      "errors": [
        {"field": "title", "message": "can't be emptied: it must not be null"},
        {"field": "description", "message": "must be a string, not an array"},
        {"field": "status", "message": "must be one of open, in_progress, done, cancelled"},
        {"field": "priority", "message": "must be an integer, not a number with a fraction"},
        {"field": "due_at", "message": "must lie in the years 1970 to 9999"},
        {"field": "session_id", "message": "must be an integer, not a string"},
        {"field": "note", "message": "must be a string, not an object"}
      ]
    }
    "#);
}

#[tokio::test]
async fn an_invalid_value_is_an_error_of_its_field() {
    let router = MockedApi::whole().router();
    let long = |length: usize| format!("\"{}\"", "é".repeat(length));
    for (method, path, field, value, expected) in [
        ("POST", "todos", "title", "\"\"".to_owned(), "title must not be empty"),
        ("POST", "todos", "title", long(501), "title must be at most 500 characters, and is 501"),
        (
            "POST",
            "todos",
            "title",
            "\"a\\u0000b\"".into(),
            "title must not contain the character NUL",
        ),
        ("POST", "todos", "title", "null".into(), "title must be a string, not null"),
        (
            "POST",
            "sessions",
            "notes",
            long(32_769),
            "notes must be at most 65536 bytes of UTF-8, and is 65538",
        ),
        ("POST", "sessions", "notes", "true".into(), "notes must be a string, not a boolean"),
        (
            "PATCH",
            "sessions/1",
            "status",
            "\"Ended\"".into(),
            "status must be one of active, ended",
        ),
        (
            "PATCH",
            "sessions/1",
            "status",
            "null".into(),
            "status can't be emptied: it must not be null",
        ),
        (
            "PATCH",
            "todos/1",
            "note",
            long(4_097),
            "note must be at most 8192 bytes of UTF-8, and is 8194",
        ),
        (
            "PATCH",
            "todos/1",
            "priority",
            "null".into(),
            "priority can't be emptied: it must not be null",
        ),
        ("PATCH", "todos/1", "priority", "-1".into(), "priority must be 0 (lowest) to 3 (highest)"),
        ("PATCH", "todos/1", "session_id", "-1".into(), "session_id must be a positive integer"),
        (
            "PATCH",
            "todos/1",
            "session_id",
            "1.5".into(),
            "session_id must be an integer, not a number with a fraction",
        ),
        (
            "PATCH",
            "todos/1",
            "session_id",
            "-9223372036854775809".into(),
            "session_id must be a positive integer",
        ),
        ("POST", "activities", "description", "\"\"".into(), "description must not be empty"),
    ] {
        let body = format!("{{\"{field}\": {value}}}");
        let answer = ask(method, &format!("/api/v1/{path}")).json(&body).of(&router).await;
        assert_eq!(answer.status, 422, "{expected}");
        assert_eq!(answer.errors(), [expected]);
    }
}

#[tokio::test]
async fn null_is_accepted_for_an_optional_field() {
    let router = MockedApi::whole().router();
    for (path, body) in [
        ("sessions", r#"{"notes": null}"#),
        (
            "todos",
            r#"{"title": "x", "description": null, "session_id": null, "priority": null, "due_at": null}"#,
        ),
        (
            "activities",
            r#"{"description": "x", "activity_type": null, "session_id": null, "logged_at": null}"#,
        ),
    ] {
        let answer = post(&format!("/api/v1/{path}"), body).of(&router).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
    }
}

#[tokio::test]
async fn null_in_a_patch_clears_a_field_and_absence_keeps_it() {
    let body = r#"{"description": null, "due_at": null, "session_id": null, "note": null}"#;
    let answer = patch("/api/v1/todos/1", body).of_the_whole_api().await.json();
    assert_eq!(answer["title"], "Write API docs");
    assert_eq!(answer["priority"], 2);
    assert!(answer["description"].is_null() && answer["due_at"].is_null());
}

#[tokio::test]
async fn a_patch_without_fields_is_422() {
    let router = MockedApi::whole().router();
    assert_snapshot!(patch("/api/v1/todos/1", "{}").of(&router).await.summary(), @r#"
    422 Unprocessable Entity

    {
      "type": "/docs/problems#invalid-body",
      "title": "Invalid body",
      "status": 422,
      "detail": "The patch changes nothing: name at least one field.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "The patch changes nothing: name at least one field.",
      "errors": [
        {"field": "body", "message": "The patch changes nothing: name at least one field."}
      ]
    }
    "#);
    for ask in [
        patch("/api/v1/sessions/1", "{}"),
        ask("PATCH", "/api/v1/sessions/1"),
        patch("/api/v1/todos/1", r#"{"note": null}"#),
    ] {
        assert_eq!(ask.of(&router).await.status, 422);
    }
}

#[tokio::test]
async fn malformed_json_is_400_and_names_line_and_column() {
    let router = MockedApi::whole().router();
    let broken = "{\n  \"notes\": \"secret text\n}";
    let answer = post("/api/v1/sessions", broken).of(&router).await;
    assert_snapshot!(answer.summary(), @r#"
    400 Bad Request

    {
      "type": "/docs/problems#malformed-json",
      "title": "Malformed JSON",
      "status": 400,
      "detail": "The body is not JSON that can be read, at line 2, column 23.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "The body is not JSON that can be read, at line 2, column 23."
    }
    "#);
    assert!(!answer.body.contains("secret"));
    for (body, place) in [
        ("{\"notes\": ", "line 1, column 10"),
        ("{\"notes\": \"x\"} {", "line 1, column 16"),
        ("  ", "line 1, column 2"),
        ("{'notes': 1}", "line 1, column 2"),
        ("\u{feff}{\"notes\": 01}", "line 1, column 12"),
        (
            "\u{feff}\u{feff}{}",
            "holds a byte-order mark, which no editor shows, at line 1, column 1",
        ),
        ("{\"notes\": \"\\ud80\"}", "line 1, column 17"),
        ("{\"\\ud800\": \"x\"}", "line 1, column 9"),
        ("{\"notes\": 01}", "line 1, column 12"),
        ("{\n", "line 2, column 1"),
        ("{\n\"x\": 1e}", "line 2, column 8"),
    ] {
        let answer = post("/api/v1/sessions", body).of(&router).await;
        assert_eq!(answer.status, 400, "{body}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(place), "{body}: {detail}");
    }
    let answer = post("/api/v1/sessions", "").body(b"{\n\"notes\": \"\xff\"}").of(&router).await;
    assert_eq!(answer.json()["detail"], "The body is not UTF-8, at line 2, column 11.");
}

#[tokio::test]
async fn a_value_that_does_not_fit_leaves_other_errors_reported() {
    let router = MockedApi::whole().router();
    let digits = "9".repeat(400);
    let deep = format!("{}1{}", "{\"a\":[".repeat(50_000), "]}".repeat(50_000));
    let range = "priority must be 0 (lowest) to 3 (highest)";
    let fraction = "priority must be an integer, not a number with a fraction";
    let broken = "title must be text without lone surrogates";
    for (field, value, expected) in [
        ("priority", "1e400", range),
        ("priority", "-1E-400", fraction),
        ("priority", "2.5", fraction),
        ("priority", "9223372036854775808", range),
        ("priority", "-9223372036854775809", range),
        ("priority", &digits, range),
        ("priority", &format!("-{digits}"), range),
        ("priority", &deep, "priority must be an integer, not an object"),
        ("priority", r#""\ud800""#, "priority must be an integer, not a string"),
        ("title", r#""\ud83d""#, broken),
        ("title", r#""\udc00\ud83d""#, broken),
        ("title", r#""\ud83dx""#, broken),
        ("title", &format!("[{deep}]"), "title must be a string, not an array"),
        ("titel", &deep, "titel is not a known field: did you mean title?"),
        ("titel", "1e400", "titel is not a known field: did you mean title?"),
    ] {
        let body = format!("{{\"{field}\": {value}, \"due_at\": 7}}");
        let answer = patch("/api/v1/todos/1", &body).of(&router).await;
        assert_eq!(answer.status, 422, "{expected}");
        let errors = answer.errors();
        assert!(errors.iter().any(|error| error == expected), "{expected}: {errors:?}");
        assert_eq!(errors.len(), 2, "{errors:?}");
    }
    let zero = patch("/api/v1/todos/1", r#"{"priority": -0}"#).of(&router).await;
    assert_eq!(zero.status, 200, "{}", zero.body);
}

#[tokio::test]
async fn a_whole_number_in_any_notation_is_an_integer() {
    let router = MockedApi::whole().router();
    let zeros = "0".repeat(400);
    for (number, priority) in [
        ("2.0", 2),
        ("2e0", 2),
        ("2E+0", 2),
        ("20e-1", 2),
        ("0.2e1", 2),
        ("0.02E+2", 2),
        ("0.0", 0),
        ("-0.0", 0),
        ("0e400", 0),
        ("0e99999999999999999999", 0),
        (&format!("3.{zeros}"), 3),
        (&format!("1{zeros}e-400"), 1),
        (&format!("0.{zeros}1e401"), 1),
    ] {
        let answer = patch("/api/v1/todos/1", &format!("{{\"priority\": {number}}}"));
        let answer = answer.of(&router).await;
        assert_eq!(answer.status, 200, "{number}: {}", answer.body);
        assert_eq!(answer.json()["priority"], priority, "{number}");
    }
    let range = "priority must be 0 (lowest) to 3 (highest)";
    let fraction = "priority must be an integer, not a number with a fraction";
    for (number, expected) in [
        ("4.0", range),
        ("-1.0", range),
        ("1e19", range),
        ("-1e19", range),
        ("9.223372036854775808e18", range),
        ("1e99999999999999999999", range),
        ("2.5", fraction),
        ("25e-1", fraction),
        ("2.0000000000000000000000000001", fraction),
        ("1e-99999999999999999999", fraction),
    ] {
        let answer = patch("/api/v1/todos/1", &format!("{{\"priority\": {number}}}"));
        assert_eq!(answer.of(&router).await.errors(), [expected], "{number}");
    }
}

#[tokio::test]
async fn a_byte_order_mark_before_a_body_is_skipped() {
    let router = MockedApi::whole().router();
    let marked = post("/api/v1/sessions", "\u{feff}{\"notes\": \"x\"}").of(&router).await;
    assert_eq!(marked.status, 201, "{}", marked.body);
    let alone = post("/api/v1/sessions", "\u{feff}").of(&router).await;
    assert_eq!(alone.status, 201, "{}", alone.body);
    let patched = patch("/api/v1/sessions/1", "\u{feff}{\"notes\": \"x\"}").of(&router).await;
    assert_eq!(patched.status, 200, "{}", patched.body);
}

#[tokio::test]
async fn a_body_that_is_not_an_object_is_422() {
    let router = MockedApi::whole().router();
    assert_snapshot!(post("/api/v1/sessions", "[1, 2]").of(&router).await.summary(), @r#"
    422 Unprocessable Entity

    {
      "type": "/docs/problems#invalid-body",
      "title": "Invalid body",
      "status": 422,
      "detail": "body must be a JSON object, not an array.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "body must be a JSON object, not an array.",
      "errors": [{"field": "body", "message": "must be a JSON object, not an array"}]
    }
    "#);
    for body in ["null", "true", "1", "\"x\"", "1.5"] {
        assert_eq!(post("/api/v1/sessions", body).of(&router).await.status, 422, "{body}");
    }
}

#[tokio::test]
async fn a_body_of_another_media_type_is_415() {
    let router = MockedApi::whole().router();
    let json = r#"{"notes": "x"}"#;
    for (content_type, start, update) in [
        ("application/json", 201, 200),
        ("Application/JSON", 201, 200),
        ("application/json; charset=UTF-8", 201, 200),
        ("application/json;charset=\"utf-8\"", 201, 200),
        ("application/json; charset=utf8", 201, 200),
        ("application/json; charset=UTF_8", 201, 200),
        ("application/json; Charset = \"UTF8\"", 201, 200),
        ("application/json; charset=csUTF8", 201, 200),
        ("application/json; charset=unicode-1-1-utf-8", 201, 200),
        ("application/json; charset=us-ascii", 201, 200),
        ("application/json; charset=ascii", 201, 200),
        ("application/json; charset=ISO646-US", 201, 200),
        ("application/json; charset=ANSI_X3.4-1968", 201, 200),
        ("application/json; charset=latin1", 415, 415),
        ("application/json; charset=iso-8859-1", 415, 415),
        ("application/json; charset=utf-16", 415, 415),
        ("application/json; charset=", 415, 415),
        ("application/merge-patch+json", 415, 200),
        ("text/plain", 415, 415),
        ("application/x-www-form-urlencoded", 415, 415),
        ("", 415, 415),
    ] {
        let sent = |method, path| ask(method, path).header("content-type", content_type).body(json);
        let started = sent("POST", "/api/v1/sessions").of(&router).await;
        assert_eq!(started.status, start, "{content_type}");
        let updated = sent("PATCH", "/api/v1/sessions/1").of(&router).await;
        assert_eq!(updated.status, update, "{content_type}");
    }
    let without = ask("POST", "/api/v1/sessions").body(json).of(&router).await;
    assert_snapshot!(without.summary(), @r#"
    415 Unsupported Media Type
    accept-post: application/json

    {
      "type": "/docs/problems#unsupported-media-type",
      "title": "Unsupported media type",
      "status": 415,
      "detail": "The body must be application/json in UTF-8, and Content-Type must say so.",
      "request_id": "019d728c-2e80-7000-8000-000000000038",
      "error": "The body must be application/json in UTF-8, and Content-Type must say so."
    }
    "#);
    let without = ask("PATCH", "/api/v1/sessions/1").body(json).of(&router).await;
    assert_snapshot!(without.summary(), @r#"
    415 Unsupported Media Type
    accept-patch: application/json, application/merge-patch+json

    {
      "type": "/docs/problems#unsupported-media-type",
      "title": "Unsupported media type",
      "status": 415,
      "detail": "The body must be application/json or application/merge-patch+json in UTF-8, and Content-Type must say so.",
      "request_id": "019d728c-2e80-7000-8000-000000000039",
      "error": "The body must be application/json or application/merge-patch+json in UTF-8, and Content-Type must say so."
    }
    "#);
    let twice = post("/api/v1/sessions", json).header("content-type", "text/plain");
    assert_eq!(twice.of(&router).await.status, 415);
    let packed = post("/api/v1/sessions", json).header("content-encoding", "gzip");
    assert_eq!(packed.of(&router).await.status, 415);
}

#[tokio::test]
async fn an_absent_body_needs_no_media_type() {
    let router = MockedApi::whole().router();
    let form = ask("POST", "/api/v1/sessions").header("content-type", "text/plain");
    assert_eq!(form.of(&router).await.status, 201);
    let needed = ask("POST", "/api/v1/todos").of(&router).await;
    assert_eq!(needed.errors(), ["title is required"]);
}

/// Every write that needs no body, and its status.
fn bare_writes() -> Vec<(TestRequest, u16)> {
    let post = |path| ask("POST", path);
    vec![
        (delete("/api/v1/sessions/1"), 200),
        (delete("/api/v1/todos/1"), 200),
        (delete("/api/v1/activities/1"), 200),
        (delete("/api/v1/actors/2"), 200),
        (delete("/api/v1/keys/1"), 200),
        (post("/api/v1/recovery-code"), 201),
        (post("/api/v1/accounts/2/suspend"), 200),
        (post("/api/v1/accounts/2/resume"), 200),
    ]
}

#[tokio::test]
async fn a_write_without_fields_accepts_only_an_empty_object() {
    let router = MockedApi::whole_of(AccountKind::Operator).router();
    for (write, status) in bare_writes() {
        for fine in [
            write.clone(),
            write.clone().header("content-type", "text/plain"),
            write.clone().json("{}"),
            write.clone().json(" { } "),
        ] {
            let answer = fine.of(&router).await;
            assert_eq!(answer.status, status, "{}", answer.body);
        }
        let unknown = write.clone().json(r#"{"x": 1}"#).of(&router).await;
        assert_eq!(unknown.status, 422, "{}", unknown.body);
        assert_eq!(unknown.errors(), ["x is not a known field: there are none here"]);
        for (refused, status) in [
            (write.clone().json("{"), 400),
            (write.clone().json("[]"), 422),
            (write.clone().json("null"), 422),
            (write.clone().body("{}"), 415),
            (write.clone().header("content-type", "text/plain").body("x"), 415),
            (write.clone().json(&" ".repeat(1024 * 1024 + 1)), 413),
        ] {
            let answer = refused.of(&router).await;
            assert_eq!(answer.status, status, "{}", answer.body);
        }
    }
}

#[tokio::test]
async fn a_refused_body_never_reaches_the_store() {
    // The store fails every command, so a request that reaches it is 500.
    let router = MockedApi::failing(&StoreError::Broken("asked".to_owned())).router();
    for (write, _) in bare_writes() {
        assert_eq!(write.clone().of(&router).await.status, 500);
        assert_eq!(write.clone().json("{").of(&router).await.status, 400);
        assert_eq!(write.json(r#"{"x": 1}"#).of(&router).await.status, 422);
    }
}

#[tokio::test]
async fn an_empty_stream_counts_as_no_body() {
    let router = MockedApi::whole().router();
    for ask in [ask("POST", "/api/v1/sessions"), delete("/api/v1/sessions/1")] {
        let answer = ask.streamed(&router).await;
        assert!(answer.status.is_success(), "{}", answer.body);
    }
}

#[tokio::test]
async fn a_read_ignores_a_body() {
    let router = MockedApi::whole().router();
    for method in ["GET", "HEAD"] {
        let read = ask(method, "/api/v1/sessions/1").header("content-type", "text/plain");
        assert_eq!(read.body("x").of(&router).await.status, 200);
    }
}

#[tokio::test]
async fn a_body_over_1_mib_is_413() {
    let router = MockedApi::whole().router();
    let just = format!("{{\"notes\": \"x\"{}}}", " ".repeat(1024 * 1024 - 14));
    assert_eq!(just.len(), 1024 * 1024);
    assert_eq!(post("/api/v1/sessions", &just).of(&router).await.status, 201);
    let more = format!("{just} ");
    assert_snapshot!(post("/api/v1/sessions", &more).of(&router).await.summary(), @r#"
    413 Payload Too Large

    {
      "type": "/docs/problems#body-too-large",
      "title": "The body is too large",
      "status": 413,
      "detail": "The body is larger than 1048576 bytes.",
      "request_id": "019d728c-2e80-7000-8000-000000000003",
      "error": "The body is larger than 1048576 bytes."
    }
    "#);
}

#[tokio::test]
async fn of_50001_errors_the_first_100_are_listed() {
    let members: Vec<_> = (0..50_000).map(|count| format!("\"x{count}\": 1")).collect();
    let body = format!("{{{}}}", members.join(","));
    let answer = post("/api/v1/todos", &body).of_the_whole_api().await;
    assert_eq!(answer.status, 422);
    assert_eq!(answer.errors().len(), 100);
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.ends_with("50001 errors, the first 100 of which are listed."), "{detail}");
}

#[tokio::test]
async fn an_integer_out_of_range_is_an_error_of_its_field() {
    let router = MockedApi::whole().router();
    let beyond = "must be an integer of at most 63 bits";
    let priority = "must be 0 (lowest) to 3 (highest)";
    for (path, body, field, message) in [
        ("todos", r#"{"title":"x","session_id":N}"#, "session_id", beyond),
        ("todos", r#"{"title":"x","session_id":-N}"#, "session_id", "must be a positive integer"),
        ("activities", r#"{"description":"x","session_id":N}"#, "session_id", beyond),
        ("activities", r#"{"description":"x","actor_id":N}"#, "actor_id", beyond),
        ("todos", r#"{"title":"x","priority":N}"#, "priority", priority),
        ("todos", r#"{"title":"x","priority":-N}"#, "priority", priority),
    ] {
        for number in ["9223372036854775809", "10000000000000000000000000000000000000000"] {
            let answer = post(&format!("/api/v1/{path}"), &body.replace('N', number));
            let answer = answer.of(&router).await;
            assert_eq!(answer.status, 422, "{body}");
            let error = serde_json::json!([{ "field": field, "message": message }]);
            assert_eq!(answer.json()["errors"], error, "{body}");
        }
    }
}
