//! Request bodies: all errors are reported at once, and valid texts come back unchanged.

use reqwest::Method;
use roots_testkit::app::{ApiResponse, TestApp, send};
use roots_testkit::database::TestDatabase;
use serde_json::{Value, json};

use crate::client::{assert_answer, balance, faulty};
use crate::wire;

roots_testkit::on_both! {
    every_error_of_a_body_is_reported_at_once,
    every_error_of_a_new_account_is_reported_at_once,
    a_repeated_member_and_a_number_that_is_no_integer_are_errors,
    a_body_that_is_no_json_object_is_refused,
    a_body_of_another_media_type_is_415,
    a_body_over_1_mib_is_413,
    texts_come_back_byte_for_byte,
    a_text_over_its_limit_is_422,
    an_actor_has_at_most_1000_activity_types,
}

async fn raw(app: &TestApp, method: Method, path: &str, body: impl Into<Vec<u8>>) -> ApiResponse {
    let request = app.request(method, path).header("Content-Type", "application/json");
    send(request.body(body.into())).await
}

async fn every_error_of_a_new_account_is_reported_at_once(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let body = r#"{"account_name": "", "actor_type": "robot", "name": "x"}"#;
    assert_answer!(raw(&app, Method::POST, "/bootstrap", body).await, @r#"
    422 Unprocessable Entity
    cache-control: no-store

    {
      "type": "/docs/problems#invalid-body",
      "title": "Invalid body",
      "status": 422,
      "detail": "account_name must not be empty; actor_name is required; actor_type must be one of agent, human; and 1 more error.",
      "request_id": "a-test",
      "error": "account_name must not be empty; actor_name is required; actor_type must be one of agent, human; and 1 more error.",
      "errors": [
        {"field": "account_name", "message": "must not be empty"},
        {"field": "actor_name", "message": "is required"},
        {"field": "actor_type", "message": "must be one of agent, human"},
        {"field": "name", "message": "is not a known field: did you mean actor_name?"}
      ]
    }
    "#);
}

async fn every_error_of_a_body_is_reported_at_once(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    app.post("/sessions", &json!({})).await.expect(201);
    app.post("/todos", &json!({ "title": "stays" })).await.expect(201);
    let before = balance(&app).await;
    let body = r#"{
        "titel": "x", "description": 7, "session_id": -1, "priority": 9, "due_at": "soon",
        "status": "open", "description": "twice", "zzz": null
    }"#;
    assert_answer!(raw(&app, Method::POST, "/todos", body).await, "every_error_of_a_new_todo");
    let body = r#"{
        "title": "", "description": [], "status": "finished", "priority": 1.5, "due_at": 0,
        "session_id": "1", "note": {}, "Note": "x", "created_at": "2026-04-09"
    }"#;
    assert_answer!(raw(&app, Method::PATCH, "/todos/1", body).await, @r#"
    422 Unprocessable Entity

    {
      "type": "/docs/problems#invalid-body",
      "title": "Invalid body",
      "status": 422,
      "detail": "title must not be empty; description must be a string, not an array; status must be one of open, in_progress, done, cancelled; and 6 more errors.",
      "request_id": "a-test",
      "error": "title must not be empty; description must be a string, not an array; status must be one of open, in_progress, done, cancelled; and 6 more errors.",
      "errors": [
        {"field": "title", "message": "must not be empty"},
        {"field": "description", "message": "must be a string, not an array"},
        {"field": "status", "message": "must be one of open, in_progress, done, cancelled"},
        {"field": "priority", "message": "must be an integer, not a number with a fraction"},
        {"field": "due_at", "message": "must be a string, not an integer"},
        {"field": "session_id", "message": "must be an integer, not a string"},
        {"field": "note", "message": "must be a string, not an object"},
        {"field": "Note", "message": "is not a known field: did you mean note?"},
        {
          "field": "created_at",
          "message": "is not a known field: there are title, description, status, priority, due_at, session_id, note, claim_token"
        }
      ]
    }
    "#);
    let body = r#"{"activity_type": "Deploy!", "session_id": 0, "logged_at": "1969-12-31",
        "describtion": "x"}"#;
    assert_answer!(raw(&app, Method::POST, "/activities", body).await, @r#"
    422 Unprocessable Entity

    {
      "type": "/docs/problems#invalid-body",
      "title": "Invalid body",
      "status": 422,
      "detail": "description is required; activity_type must be 1 to 50 of the characters a-z, 0-9, '_', '.' and '-'; session_id must be a positive integer; and 2 more errors.",
      "request_id": "a-test",
      "error": "description is required; activity_type must be 1 to 50 of the characters a-z, 0-9, '_', '.' and '-'; session_id must be a positive integer; and 2 more errors.",
      "errors": [
        {"field": "description", "message": "is required"},
        {
          "field": "activity_type",
          "message": "must be 1 to 50 of the characters a-z, 0-9, '_', '.' and '-'"
        },
        {"field": "session_id", "message": "must be a positive integer"},
        {"field": "logged_at", "message": "must lie in the years 1970 to 9999"},
        {"field": "describtion", "message": "is not a known field: did you mean description?"}
      ]
    }
    "#);
    let body = r#"{"notes": false, "note": "x", "status": "ended"}"#;
    assert_answer!(raw(&app, Method::POST, "/sessions", body).await, @r#"
    422 Unprocessable Entity

    {
      "type": "/docs/problems#invalid-body",
      "title": "Invalid body",
      "status": 422,
      "detail": "notes must be a string, not a boolean; note is not a known field: did you mean notes?; status is not a known field: there are notes, actor_id.",
      "request_id": "a-test",
      "error": "notes must be a string, not a boolean; note is not a known field: did you mean notes?; status is not a known field: there are notes, actor_id.",
      "errors": [
        {"field": "notes", "message": "must be a string, not a boolean"},
        {"field": "note", "message": "is not a known field: did you mean notes?"},
        {"field": "status", "message": "is not a known field: there are notes, actor_id"}
      ]
    }
    "#);
    let body = r#"{"status": "over", "status": "ended", "notes": 1}"#;
    let patched = raw(&app, Method::PATCH, "/sessions/1", body).await;
    assert_answer!(patched, @r#"
    422 Unprocessable Entity

    {
      "type": "/docs/problems#invalid-body",
      "title": "Invalid body",
      "status": 422,
      "detail": "status is given more than once; notes must be a string, not an integer.",
      "request_id": "a-test",
      "error": "status is given more than once; notes must be a string, not an integer.",
      "errors": [
        {"field": "status", "message": "is given more than once"},
        {"field": "notes", "message": "must be a string, not an integer"}
      ]
    }
    "#);
    assert_eq!(balance(&app).await, before);
    assert_eq!(app.get("/sessions/1").await.expect(200)["status"], "active");
}

async fn a_repeated_member_and_a_number_that_is_no_integer_are_errors(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let before = balance(&app).await;
    // A repeated member is an error even if both values are the same.
    let twice = raw(&app, Method::POST, "/sessions", r#"{"notes": "a", "notes": "a"}"#).await;
    assert_eq!(faulty(&twice.expect(422)), ["notes"]);
    let escaped =
        raw(&app, Method::POST, "/sessions", r#"{"notes": "a", "no\u0074es": "b"}"#).await;
    assert_eq!(faulty(&escaped.expect(422)), ["notes"]);
    for priority in ["1.5", "1e-1", "99999999999999999999", "1e400", "true", "\"1\""] {
        let body = format!(r#"{{"title": "x", "priority": {priority}}}"#);
        let answer = raw(&app, Method::POST, "/todos", body).await;
        assert_eq!(faulty(&answer.expect(422)), ["priority"], "{priority}");
    }
    assert_eq!(balance(&app).await, before);
    // Negative zero and integers with a fraction or an exponent are accepted.
    for (priority, expected) in [("-0", 0), ("-0.0", 0), ("2.0", 2), ("2e0", 2)] {
        let body = format!("\u{feff}{{\"title\": \"x\", \"priority\": {priority}}}");
        let made = raw(&app, Method::POST, "/todos", body).await.expect(201);
        assert_eq!(made["priority"], expected, "{priority}");
    }
}

async fn a_body_that_is_no_json_object_is_refused(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let malformed = "{\n  \"title\": \"x\",\n  \"priority\": }";
    assert_answer!(raw(&app, Method::POST, "/todos", malformed).await, @r#"
    400 Bad Request

    {
      "type": "/docs/problems#malformed-json",
      "title": "Malformed JSON",
      "status": 400,
      "detail": "The body is not JSON that can be read, at line 3, column 15.",
      "request_id": "a-test",
      "error": "The body is not JSON that can be read, at line 3, column 15."
    }
    "#);
    let cut_off = "{\"title\": \"x\"";
    assert_answer!(raw(&app, Method::POST, "/todos", cut_off).await, @r#"
    400 Bad Request

    {
      "type": "/docs/problems#malformed-json",
      "title": "Malformed JSON",
      "status": 400,
      "detail": "The body ends too early to be JSON, at line 1, column 13.",
      "request_id": "a-test",
      "error": "The body ends too early to be JSON, at line 1, column 13."
    }
    "#);
    let invalid = b"{\"title\":\n \"\xff\"}".to_vec();
    assert_answer!(raw(&app, Method::POST, "/todos", invalid).await, @r#"
    400 Bad Request

    {
      "type": "/docs/problems#malformed-json",
      "title": "Malformed JSON",
      "status": 400,
      "detail": "The body is not UTF-8, at line 2, column 3.",
      "request_id": "a-test",
      "error": "The body is not UTF-8, at line 2, column 3."
    }
    "#);
    for body in [
        "{",
        "}",
        "{}}",
        "{'title': 'x'}",
        "{\"title\": \"x\",}",
        "{title: \"x\"}",
        "\u{feff}\u{feff}{}",
        "{} {}",
        "{\"title\": \"a\nb\"}",
        "{\"title\": \"\\x\"}",
        "nul",
        "-",
        "\0",
        "{\"title\": 01}",
        r#"{"\ud800": 1}"#,
    ] {
        let answer = raw(&app, Method::POST, "/todos", body).await;
        let refusal = answer.expect(400);
        assert_eq!(refusal["type"], "/docs/problems#malformed-json", "{body}");
        let detail = refusal["detail"].as_str().unwrap();
        assert!(detail.contains("line") && detail.contains("column"), "{body}: {detail}");
    }
    // Half of a surrogate pair is not a character.
    for title in [r"\ud83d", r"\udc00", r"\ud83dx", r"\udc00\ud83d"] {
        let body = format!("{{\"title\": \"{title}\"}}");
        let refusal = raw(&app, Method::POST, "/todos", body).await.expect(422);
        assert_eq!(faulty(&refusal), ["title"], "{title}");
    }
    for body in ["null", "[]", "\"title\"", "7", "true", "[{\"title\": \"x\"}]"] {
        let refusal = raw(&app, Method::POST, "/todos", body).await.expect(422);
        assert!(refusal["detail"].as_str().unwrap().contains("object"), "{body}: {refusal}");
    }
    let deep = format!("{{\"title\": {}", "[".repeat(200_000));
    assert_eq!(raw(&app, Method::POST, "/todos", deep).await.status, 400);
    // Without a body, the required fields are missing.
    let nothing = app.call(Method::POST, "/todos", None).await.expect(422);
    assert_eq!(faulty(&nothing), ["title"]);
    let nothing = app.call(Method::PATCH, "/sessions/1", None).await;
    assert_eq!(nothing.status, 422);
    assert_eq!(balance(&app).await, 100);
}

async fn a_body_of_another_media_type_is_415(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    app.post("/sessions", &json!({})).await.expect(201);
    let typed = async |method: Method, path: &str, types: &[&str]| {
        let mut request = app.request(method, path).body("{\"notes\": \"x\"}");
        for content_type in types {
            request = request.header("Content-Type", *content_type);
        }
        send(request).await
    };
    for accepted in [
        "application/json",
        "Application/JSON; charset=UTF-8",
        "application/json;",
        "application/json; charset=utf8",
        "application/json; charset=us-ascii",
    ] {
        assert_eq!(typed(Method::POST, "/sessions", &[accepted]).await.status, 201, "{accepted}");
        assert_eq!(
            typed(Method::PATCH, "/sessions/1", &[accepted]).await.status,
            200,
            "{accepted}"
        );
    }
    let merge = ["application/merge-patch+json"];
    assert_eq!(typed(Method::PATCH, "/sessions/1", &merge).await.status, 200);
    let before = balance(&app).await;
    assert_answer!(typed(Method::PATCH, "/sessions/1", &["text/plain"]).await, @r#"
    415 Unsupported Media Type
    accept-patch: application/json, application/merge-patch+json

    {
      "type": "/docs/problems#unsupported-media-type",
      "title": "Unsupported media type",
      "status": 415,
      "detail": "The body must be application/json or application/merge-patch+json in UTF-8, and Content-Type must say so.",
      "request_id": "a-test",
      "error": "The body must be application/json or application/merge-patch+json in UTF-8, and Content-Type must say so."
    }
    "#);
    assert_answer!(typed(Method::POST, "/sessions", &[]).await, @r#"
    415 Unsupported Media Type
    accept-post: application/json

    {
      "type": "/docs/problems#unsupported-media-type",
      "title": "Unsupported media type",
      "status": 415,
      "detail": "The body must be application/json in UTF-8, and Content-Type must say so.",
      "request_id": "a-test",
      "error": "The body must be application/json in UTF-8, and Content-Type must say so."
    }
    "#);
    for refused in [
        &["application/x-www-form-urlencoded"][..],
        &["application/jsonp"],
        &["text/json"],
        &["application/json; charset=latin1"],
        &["application/merge-patch+json"],
        &["application/json", "text/plain"],
        &[""],
    ] {
        assert_eq!(typed(Method::POST, "/sessions", refused).await.status, 415, "{refused:?}");
    }
    let request = app.request(Method::POST, "/sessions").header("Content-Encoding", "gzip");
    assert_eq!(send(request.json(&json!({}))).await.status, 415);
    assert_eq!(balance(&app).await, before);
}

async fn a_body_over_1_mib_is_413(database: TestDatabase) {
    const MIB: usize = 1024 * 1024;
    let app = TestApp::start(database, 100).await;
    // A body of exactly 1 MiB is accepted.
    let filled = |length: usize| format!("{{\"notes\": \"x\"{}}}", " ".repeat(length - 14));
    let most = filled(MIB);
    assert_eq!(most.len(), MIB);
    assert_eq!(raw(&app, Method::POST, "/sessions", most).await.status, 201);
    let more = raw(&app, Method::POST, "/sessions", filled(MIB + 1)).await;
    assert_answer!(more, @r#"
    413 Payload Too Large

    {
      "type": "/docs/problems#body-too-large",
      "title": "The body is too large",
      "status": 413,
      "detail": "The body is larger than 1048576 bytes.",
      "request_id": "a-test",
      "error": "The body is larger than 1048576 bytes."
    }
    "#);
    // A client that has sent all of it sees the answer, and the connection stays open.
    for (method, path) in [(Method::POST, "/todos"), (Method::PATCH, "/sessions/1")] {
        let large = raw(&app, method, path, vec![b' '; 4 * MIB]).await;
        assert_eq!(large.status, 413, "{path}");
    }
    // A chunked body without a Content-Length gets the same answer.
    let head = format!(
        "POST /api/v1/todos HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        app.key()
    );
    let piece = format!("10000\r\n{}\r\n", " ".repeat(0x1_0000));
    let request = [&head, &piece.repeat(48), "0\r\n\r\n"].concat();
    assert_eq!(wire::send(&app, request.into_bytes()).await.unwrap().status, 413);
    // The server answers 404 or 405 without reading the body.
    for path in ["/no-such-path", "/sessions/1"] {
        let answer = raw(&app, Method::PUT, path, vec![b' '; 3 * MIB]).await;
        assert!(matches!(answer.status, 404 | 405), "{path}: {}", answer.status);
    }
    assert_eq!(balance(&app).await, 99);
}

async fn texts_come_back_byte_for_byte(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let long = "\u{1f980}".repeat(65_536 / 4);
    let note = "\u{1f33f}".repeat(8_192 / 4);
    let title = "\u{1d11e}".repeat(500);
    let odd = [
        "",
        " ",
        "\u{feff}\u{200b}\u{202e}abc",
        "e\u{301} \u{e9}",
        "\r\n\t\u{1}\u{7f}\u{85}\u{2028}",
        "'; DROP TABLE todos; --",
        "$1 ? %s {} \\x00 \\u0000 \"quoted\"",
        "\u{10ffff}\u{fffd}\u{fffe}",
        "<script>&amp;</script>",
        "مرحبا שלום 你好",
        &long,
    ];
    for text in odd {
        let session = app.post("/sessions", &json!({ "notes": text })).await.expect(201);
        assert_eq!(session["notes"], text);
        let path = format!("/sessions/{}", session["session_id"]);
        assert_eq!(app.get(&path).await.expect(200)["notes"], text);
        let patched = app.patch(&path, &json!({ "notes": format!("{text}.") })).await;
        let is_long = text.len() == 65_536;
        assert_eq!(patched.status, if is_long { 422 } else { 200 });
        if !text.is_empty() {
            let activity = json!({ "description": text });
            let activity = app.post("/activities", &activity).await.expect(201);
            assert_eq!(activity["description"], text);
        }
    }
    let todo = json!({ "title": title, "description": long });
    let todo = app.post("/todos", &todo).await.expect(201);
    let stepped = app.patch("/todos/1", &json!({ "status": "done", "note": note })).await;
    assert_eq!(stepped.expect(200)["title"], title);
    let read = app.get("/todos/1").await.expect(200);
    assert_eq!((&read["title"], &read["description"]), (&json!(title), &json!(long)));
    assert_eq!(todo["description"], long);
    assert_eq!(app.get("/todos/1/logs").await.expect(200)["logs"][0]["note"], note);
    let mut listed = app.get("/todos").await.expect(200)["todos"][0].take();
    assert_eq!(listed.as_object_mut().unwrap().remove("until"), Some(Value::Null));
    assert_eq!(listed, read);
    // Escapes are decoded. A surrogate pair is one character.
    let escaped = r#"{"notes": "\ud83e\udd80\u00e9\/\t"}"#;
    let session = raw(&app, Method::POST, "/sessions", escaped).await.expect(201);
    assert_eq!(session["notes"], "\u{1f980}\u{e9}/\t");
}

async fn a_text_over_its_limit_is_422(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    app.post("/sessions", &json!({})).await.expect(201);
    app.post("/todos", &json!({ "title": "x" })).await.expect(201);
    let before = balance(&app).await;
    let long = "a".repeat(65_537);
    for (method, path, body, field) in [
        (Method::POST, "/sessions", json!({ "notes": long }), "notes"),
        (Method::PATCH, "/sessions/1", json!({ "notes": long }), "notes"),
        (Method::POST, "/todos", json!({ "title": "a".repeat(501) }), "title"),
        (Method::POST, "/todos", json!({ "title": "\u{1f980}".repeat(501) }), "title"),
        (Method::POST, "/todos", json!({ "title": "" }), "title"),
        (Method::POST, "/todos", json!({ "title": null }), "title"),
        (Method::POST, "/todos", json!({ "title": "x", "description": long }), "description"),
        (Method::PATCH, "/todos/1", json!({ "description": long }), "description"),
        (Method::PATCH, "/todos/1", json!({ "status": "done", "note": "a".repeat(8_193) }), "note"),
        (Method::POST, "/activities", json!({ "description": long }), "description"),
        (Method::POST, "/activities", json!({ "description": "" }), "description"),
        (Method::POST, "/activities", json!({ "description": null }), "description"),
        (
            Method::POST,
            "/activities",
            json!({ "description": "x", "activity_type": "a".repeat(51) }),
            "activity_type",
        ),
        (
            Method::POST,
            "/activities",
            json!({ "description": "x", "activity_type": "" }),
            "activity_type",
        ),
        // NUL is the only character that is not allowed.
        (Method::POST, "/sessions", json!({ "notes": "a\0b" }), "notes"),
        (Method::PATCH, "/sessions/1", json!({ "notes": "\0" }), "notes"),
        (Method::POST, "/todos", json!({ "title": "\0" }), "title"),
        (Method::PATCH, "/todos/1", json!({ "description": "a\0" }), "description"),
        (Method::PATCH, "/todos/1", json!({ "status": "done", "note": "\0" }), "note"),
        (Method::POST, "/activities", json!({ "description": "\0" }), "description"),
        (Method::POST, "/todos", json!({ "title": "x", "\0": 1 }), "\0"),
    ] {
        let refusal = app.call(method, path, Some(&body)).await.expect(422);
        assert_eq!(faulty(&refusal), [field], "{path}");
        assert!(refusal.to_string().len() < 1_000, "a refusal repeats no text");
    }
    assert_eq!(balance(&app).await, before);
    let kinds: Value = json!({ "description": "x", "activity_type": "a_b.c-9".repeat(7) });
    app.post("/activities", &kinds).await.expect(201);
}

async fn an_actor_has_at_most_1000_activity_types(database: TestDatabase) {
    let app = TestApp::start(database, 2_000).await;
    let log = async |kind: String| {
        app.post("/activities", &json!({ "description": "x", "activity_type": kind })).await
    };
    for kind in 0..1_000 {
        log(format!("kind-{kind}")).await.expect(201);
    }
    assert_answer!(log("kind-1000".to_owned()).await, @r#"
    422 Unprocessable Entity

    {
      "type": "/docs/problems#invalid-body",
      "title": "Invalid body",
      "status": 422,
      "detail": "An actor may have at most 1000 activity types.",
      "request_id": "a-test",
      "error": "An actor may have at most 1000 activity types.",
      "errors": [
        {"field": "activity_type", "message": "An actor may have at most 1000 activity types."}
      ]
    }
    "#);
    log("kind-7".to_owned()).await.expect(201);
    assert_eq!(balance(&app).await, 2_000 - 1_001);
    let stats = app.get("/activities/stats").await.expect(200);
    assert_eq!(stats["by_type"].as_array().unwrap().len(), 1_000);
    assert_eq!(stats["by_type"][0], json!({ "activity_type": "kind-7", "count": 2 }));
}
