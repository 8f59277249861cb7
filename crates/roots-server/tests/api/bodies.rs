//! Bodies: what is wrong with them is told whole, and what is right comes back as it was.

use reqwest::Method;
use roots_testkit::app::{ApiResponse, TestApp, send};
use roots_testkit::database::TestDatabase;
use serde_json::{Value, json};

use crate::client::{balance, confirm, faulty};
use crate::wire;

roots_testkit::on_both! {
    every_error_stands_in_one_answer,
    a_body_that_is_no_object_of_json_is_refused,
    a_body_says_what_it_is,
    a_body_that_is_too_large_is_answered,
    texts_come_back_byte_for_byte,
    texts_are_held_to_their_limits,
    an_actor_has_so_many_kinds_of_activities,
}

async fn raw(app: &TestApp, method: Method, path: &str, body: impl Into<Vec<u8>>) -> ApiResponse {
    let request = app.request(method, path).header("Content-Type", "application/json");
    send(request.body(body.into())).await
}

async fn every_error_stands_in_one_answer(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    app.post("/sessions", &json!({})).await.expect(201);
    app.post("/todos", &json!({ "title": "stays" })).await.expect(201);
    let before = balance(&app).await;
    let body = r#"{
        "titel": "x", "description": 7, "session_id": -1, "priority": 9, "due_at": "soon",
        "status": "open", "description": "twice", "zzz": null
    }"#;
    confirm("every_error_of_a_new_todo", &raw(&app, Method::POST, "/todos", body).await);
    let body = r#"{
        "title": "", "description": [], "status": "finished", "priority": 1.5, "due_at": 0,
        "session_id": "1", "note": {}, "Note": "x", "created_at": "2026-04-09"
    }"#;
    confirm("every_error_of_a_patch_of_a_todo", &raw(&app, Method::PATCH, "/todos/1", body).await);
    let body = r#"{"activity_type": "Deploy!", "session_id": 0, "logged_at": "1969-12-31",
        "describtion": "x"}"#;
    confirm("every_error_of_a_new_activity", &raw(&app, Method::POST, "/activities", body).await);
    let body = r#"{"notes": false, "note": "x", "status": "ended"}"#;
    confirm("every_error_of_a_new_session", &raw(&app, Method::POST, "/sessions", body).await);
    let body = r#"{"status": "over", "status": "ended", "notes": 1}"#;
    let patched = raw(&app, Method::PATCH, "/sessions/1", body).await;
    confirm("every_error_of_a_patch_of_a_session", &patched);
    let body = r#"{"account_name": "", "actor_type": "robot", "name": "x"}"#;
    confirm("every_error_of_a_new_account", &raw(&app, Method::POST, "/bootstrap", body).await);

    // The same key twice is an error, whatever its values.
    let twice = raw(&app, Method::POST, "/sessions", r#"{"notes": "a", "notes": "a"}"#).await;
    assert_eq!(faulty(&twice.expect(422)), ["notes"]);
    let escaped =
        raw(&app, Method::POST, "/sessions", r#"{"notes": "a", "no\u0074es": "b"}"#).await;
    assert_eq!(faulty(&escaped.expect(422)), ["notes"]);
    // Numbers that are no integers of ours.
    for priority in ["1.5", "1e-1", "99999999999999999999", "1e400", "true", "\"1\""] {
        let body = format!(r#"{{"title": "x", "priority": {priority}}}"#);
        let answer = raw(&app, Method::POST, "/todos", body).await;
        assert_eq!(faulty(&answer.expect(422)), ["priority"], "{priority}");
    }
    assert_eq!(balance(&app).await, before);
    // Zero, however it is signed, and integers, however they are written.
    for (priority, expected) in [("-0", 0), ("-0.0", 0), ("2.0", 2), ("2e0", 2)] {
        let body = format!("\u{feff}{{\"title\": \"x\", \"priority\": {priority}}}");
        let made = raw(&app, Method::POST, "/todos", body).await.expect(201);
        assert_eq!(made["priority"], expected, "{priority}");
    }
    assert_eq!(app.get("/sessions/1").await.expect(200)["status"], "active");
}

async fn a_body_that_is_no_object_of_json_is_refused(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    for (name, body) in [
        ("malformed_json", "{\n  \"title\": \"x\",\n  \"priority\": }"),
        ("json_that_ends_too_early", "{\"title\": \"x\""),
    ] {
        confirm(name, &raw(&app, Method::POST, "/todos", body).await);
    }
    let invalid = b"{\"title\":\n \"\xff\"}".to_vec();
    confirm("json_that_is_not_utf_8", &raw(&app, Method::POST, "/todos", invalid).await);
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
    // Half of a pair of surrogates is no character.
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
    // Where something must be given, nothing at all lacks it.
    let nothing = app.call(Method::POST, "/todos", None).await.expect(422);
    assert_eq!(faulty(&nothing), ["title"]);
    let nothing = app.call(Method::PATCH, "/sessions/1", None).await;
    assert_eq!(nothing.status, 422);
    assert_eq!(balance(&app).await, 100);
}

async fn a_body_says_what_it_is(database: TestDatabase) {
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
    confirm("a_patch_as_text", &typed(Method::PATCH, "/sessions/1", &["text/plain"]).await);
    confirm("a_body_of_no_type", &typed(Method::POST, "/sessions", &[]).await);
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

async fn a_body_that_is_too_large_is_answered(database: TestDatabase) {
    const MIB: usize = 1024 * 1024;
    let app = TestApp::start(database, 100).await;
    // The largest there may be is read, and judged.
    let filled = |length: usize| format!("{{\"notes\": \"x\"{}}}", " ".repeat(length - 14));
    let most = filled(MIB);
    assert_eq!(most.len(), MIB);
    assert_eq!(raw(&app, Method::POST, "/sessions", most).await.status, 201);
    let more = raw(&app, Method::POST, "/sessions", filled(MIB + 1)).await;
    confirm("a_body_that_is_too_large", &more);
    // A client that has sent all of it sees the answer, and the connection stays open.
    for (method, path) in [(Method::POST, "/todos"), (Method::PATCH, "/sessions/1")] {
        let large = raw(&app, method, path, vec![b' '; 4 * MIB]).await;
        assert_eq!(large.status, 413, "{path}");
    }
    // The same where no length is told beforehand.
    let head = format!(
        "POST /api/v1/todos HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        app.key()
    );
    let piece = format!("10000\r\n{}\r\n", " ".repeat(0x1_0000));
    let request = [&head, &piece.repeat(48), "0\r\n\r\n"].concat();
    assert_eq!(wire::send(&app, request.into_bytes()).await.unwrap().status, 413);
    // And where nobody would have read it at all.
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
    assert_eq!(app.get("/todos").await.expect(200)["todos"][0], read);
    // Escapes are but another way to write them; a pair of surrogates is one character.
    let escaped = r#"{"notes": "\ud83e\udd80\u00e9\/\t"}"#;
    let session = raw(&app, Method::POST, "/sessions", escaped).await.expect(201);
    assert_eq!(session["notes"], "\u{1f980}\u{e9}/\t");
}

async fn texts_are_held_to_their_limits(database: TestDatabase) {
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
        // NUL is the one character that there can't be.
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

async fn an_actor_has_so_many_kinds_of_activities(database: TestDatabase) {
    let app = TestApp::start(database, 2_000).await;
    let log = async |kind: String| {
        app.post("/activities", &json!({ "description": "x", "activity_type": kind })).await
    };
    for kind in 0..1_000 {
        log(format!("kind-{kind}")).await.expect(201);
    }
    confirm("one_kind_too_many", &log("kind-1000".to_owned()).await);
    log("kind-7".to_owned()).await.expect(201);
    assert_eq!(balance(&app).await, 2_000 - 1_001);
    let stats = app.get("/activities/stats").await.expect(200);
    assert_eq!(stats["by_type"].as_array().unwrap().len(), 1_000);
    assert_eq!(stats["by_type"][0], json!({ "activity_type": "kind-7", "count": 2 }));
}
