//! Imports of whole files, files that are cut off, and files with errors.

use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream;
use insta::assert_snapshot;
use roots_domain::command::{Action, Applied, AppliedRow, Refusal, TransferAction};
use roots_domain::model::import::Imported;
use roots_domain::port::store::{ApplyError, StoreError};
use roots_http_core::shutdown::Shutdown;
use serde_json::json;
use tokio::time::Instant;
use tower::ServiceExt;

use crate::fixture::{
    MockedApi, TestRequest, TestResponse, account, applied, ask, get, working_set,
};

const HEADER: &str =
    r#"{"kind":"export","format":1,"source":"019d728c-2e80-7000-8000-0000000000aa"}"#;
const ACTOR: &str =
    r#"{"kind":"actor","actor_id":1,"name":"docs-agent","actor_type":"agent","role":"owner"}"#;
const SESSION: &str =
    r#"{"kind":"session","session_id":1,"status":"active","started_at":"2026-04-09","actor_id":1}"#;

fn import(file: &str) -> TestRequest {
    ask("POST", "/api/v1/import").header("content-type", "application/x-ndjson").body(file)
}

#[tokio::test]
async fn an_exported_file_can_be_imported() {
    let file = get("/api/v1/export").of_the_whole_api().await.body;
    // Rows with an unreadable text can't be imported, except a session without its notes.
    assert_snapshot!(import(&file).of_the_whole_api().await.summary(), @r#"
    200 OK
    cache-control: no-store
    vary: authorization
    vary: x-api-key
    x-credits-cost: 6
    x-credits-remaining: 98

    {
      "dry_run": false,
      "lines": 12,
      "imported": {"sessions": 2, "todos": 1, "todo_logs": 2, "activities": 1},
      "already_imported": 0,
      "updated": 0,
      "unchanged": 0,
      "deleted": 0,
      "faulty": 2,
      "faults": [
        {"line": 9, "errors": [{"field": "title", "message": "must be a string, not null"}]},
        {"line": 11, "errors": [{"field": "description", "message": "must be a string, not null"}]}
      ],
      "is_whole": true,
      "cost": 6,
      "balance": 98
    }
    "#);
}

#[tokio::test]
async fn every_error_of_every_line_is_reported() {
    let lines = [
        HEADER,
        ACTOR,
        r#"{"kind":"session","session_id":0,"status":"over","started_at":"soon","actr_id":1}"#,
        r#"{"kind":"todo","todo_id":1,"title":"","status":"open","created_at":"2026-01-02","updated_at":"2026-01-01","actor_id":1}"#,
        r#"{"kind":"activity","activity_id":1,"description":"x","logged_at":"2026-01-02","actor_id":7}"#,
        r#"{"kind":"todo_log","todo_id":1,"log_id":1,"old_status":"open","new_status":"finished"}"#,
        r#"{"kind":"letter"}"#,
        r#"{"no":"kind"}"#,
        "[]",
        "{",
        HEADER,
        "",
        SESSION,
    ];
    assert_snapshot!(import(&lines.join("\r\n")).of_the_whole_api().await.summary());
}

#[tokio::test]
async fn a_file_without_a_header_line_is_422() {
    for file in ["", "\n\n", SESSION, "[]", r#"{"kind":"export","format":2,"source":"x"}"#] {
        assert_eq!(import(file).of_the_whole_api().await.status, 422, "{file}");
    }
    let invalid = import("\n\n{\"kind\": export}").of_the_whole_api().await;
    assert_snapshot!(invalid.summary(), @r#"
    400 Bad Request
    cache-control: no-store
    vary: authorization
    vary: x-api-key

    {
      "type": "/docs/problems#malformed-json",
      "title": "Malformed JSON",
      "status": 400,
      "detail": "The body is not JSON that can be read, at line 3, column 10.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "The body is not JSON that can be read, at line 3, column 10."
    }
    "#);
    let wrong = r#"{"kind":"export","format":2,"source":"x"}"#;
    assert_snapshot!(import(wrong).of_the_whole_api().await.summary(), @r#"
    422 Unprocessable Entity
    cache-control: no-store
    vary: authorization
    vary: x-api-key

    {
      "type": "/docs/problems#invalid-body",
      "title": "Invalid body",
      "status": 422,
      "detail": "format must be 1; source must be a UUID.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "format must be 1; source must be a UUID.",
      "errors": [
        {"field": "format", "message": "must be 1"},
        {"field": "source", "message": "must be a UUID"}
      ]
    }
    "#);
}

#[tokio::test]
async fn another_media_type_is_415_and_an_unknown_parameter_400() {
    let as_json = ask("POST", "/api/v1/import").json("{}");
    assert_snapshot!(as_json.of_the_whole_api().await.summary(), @r#"
    415 Unsupported Media Type
    accept-post: application/x-ndjson
    cache-control: no-store
    vary: authorization
    vary: x-api-key

    {
      "type": "/docs/problems#unsupported-media-type",
      "title": "Unsupported media type",
      "status": 415,
      "detail": "The body must be application/x-ndjson in UTF-8, uncompressed, and Content-Type must say so.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "The body must be application/x-ndjson in UTF-8, uncompressed, and Content-Type must say so."
    }
    "#);
    let typo = ask("POST", "/api/v1/import?line=3&from_line=0&actor_id=all");
    assert_snapshot!(typo.of_the_whole_api().await.summary(), @r#"
    400 Bad Request
    cache-control: no-store
    vary: authorization
    vary: x-api-key

    {
      "type": "/docs/problems#invalid-parameters",
      "title": "Invalid query parameters",
      "status": 400,
      "detail": "actor_id must be a positive integer; from_line must be a positive integer; line is not a known parameter: did you mean from_line?",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "actor_id must be a positive integer; from_line must be a positive integer; line is not a known parameter: did you mean from_line?",
      "errors": [
        {"field": "actor_id", "message": "must be a positive integer"},
        {"field": "from_line", "message": "must be a positive integer"},
        {"field": "line", "message": "is not a known parameter: did you mean from_line?"}
      ]
    }
    "#);
}

#[tokio::test]
async fn every_name_of_utf_8_is_taken_as_charset() {
    let router = MockedApi::whole().router();
    for (content_type, status) in [
        ("application/x-ndjson; charset=utf8", 200),
        ("Application/X-NDJSON;charset=\"UTF-8\"", 200),
        ("application/x-ndjson; charset=us-ascii", 200),
        ("application/x-ndjson; charset=utf-16le", 415),
        ("application/x-ndjson; charset=latin1", 415),
    ] {
        let import = ask("POST", "/api/v1/import").header("content-type", content_type);
        let answer = import.body(HEADER).of(&router).await;
        assert_eq!(answer.status, status, "{content_type}");
    }
}

#[tokio::test]
async fn a_byte_order_mark_before_the_first_line_is_skipped() {
    let marked = |line: &str| format!("\u{feff}{line}");
    for (first, line) in [(marked(HEADER), SESSION), (marked("\r\n") + HEADER, SESSION)] {
        let report = import(&[&first, ACTOR, line].join("\r\n")).of_the_whole_api().await.json();
        assert_eq!((&report["imported"]["sessions"], &report["faulty"]), (&json!(1), &json!(0)));
    }
    // A byte-order mark at a later line, as when two files are joined.
    let within = [HEADER, ACTOR, &marked(SESSION)].join("\n");
    let report = import(&within).of_the_whole_api().await.json();
    let mark = "holds a byte-order mark, which no editor shows, at line 3, column 1";
    assert_eq!(report["faults"][0]["errors"][0]["message"], mark);
    assert_eq!(import("\u{feff}").of_the_whole_api().await.status, 422);
}

#[tokio::test]
async fn rows_before_from_line_are_skipped() {
    let file = [HEADER, ACTOR, SESSION, SESSION, SESSION].join("\n");
    let from = ask("POST", "/api/v1/import?from_line=4")
        .header("content-type", "application/x-ndjson")
        .body(file);
    let report = from.of_the_whole_api().await.json();
    assert_eq!((&report["lines"], &report["imported"]["sessions"]), (&5.into(), &2.into()));
}

/// The answer to an import for which the store returns an error.
async fn refused(error: ApplyError) -> String {
    let mut api = MockedApi::importing();
    api.commands.expect_apply().returning(move |_| Err(error.clone()));
    import(&[HEADER, ACTOR, SESSION].join("\n")).of(&api.router()).await.summary()
}

#[tokio::test]
async fn an_import_into_a_suspended_account_is_403_and_says_how_far_it_got() {
    assert_snapshot!(refused(Refusal::Suspended.into()).await, @r#"
    403 Forbidden
    cache-control: no-store
    vary: authorization
    vary: x-api-key

    {
      "type": "/docs/problems#account-suspended",
      "title": "The account is suspended",
      "status": 403,
      "detail": "This account is suspended: it is read-only.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "This account is suspended: it is read-only."
    }
    "#);
}

#[tokio::test]
async fn an_import_without_a_database_is_503_and_says_how_far_it_got() {
    assert_snapshot!(refused(StoreError::Unavailable("x".into()).into()).await, @r#"
    503 Service Unavailable
    cache-control: no-store
    retry-after: 5
    vary: authorization
    vary: x-api-key

    {
      "type": "/docs/problems#unavailable",
      "title": "Temporarily unavailable",
      "status": 503,
      "detail": "The service is temporarily unavailable. Nothing was done: try again shortly.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "The service is temporarily unavailable. Nothing was done: try again shortly."
    }
    "#);
}

#[tokio::test]
async fn a_members_import_is_403() {
    assert_snapshot!(import(HEADER).by_the_member().of_the_whole_api().await.summary(), @r#"
    403 Forbidden
    cache-control: no-store
    vary: authorization
    vary: x-api-key

    {
      "type": "/docs/problems#owner-only",
      "title": "Only the owner may do this",
      "status": 403,
      "detail": "Only the account's owner may do this: a member reads and writes only its own data.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "Only the account's owner may do this: a member reads and writes only its own data."
    }
    "#);
}

/// A file that stalls after these lines.
fn stuck(lines: &[&str]) -> Body {
    let begun = lines.join("\n") + "\n";
    let pieces = stream::once(async { Ok::<_, std::io::Error>(Bytes::from(begun)) });
    Body::from_stream(futures_util::StreamExt::chain(pieces, stream::pending()))
}

async fn sent(api: MockedApi, body: Body) -> TestResponse {
    let mut request = import("").request();
    *request.body_mut() = body;
    TestResponse::of(api.router().oneshot(request).await.unwrap()).await
}

#[tokio::test(start_paused = true)]
async fn a_stalled_import_is_408_after_60_s() {
    let begun = Instant::now();
    let answer = sent(MockedApi::whole(), stuck(&[HEADER, ACTOR])).await;
    // The clock is paused, so it moves only while every task waits.
    assert_eq!(begun.elapsed().as_secs(), 60);
    assert_snapshot!(answer.summary(), @r#"
    408 Request Timeout
    cache-control: no-store
    connection: close
    vary: authorization
    vary: x-api-key
    x-credits-cost: 0
    x-credits-remaining: 98

    {
      "type": "/docs/problems#request-timeout",
      "title": "The request took too long to arrive",
      "status": 408,
      "detail": "The body arrived at less than 1 KiB/s over a minute. Nothing more was done. Lines up to 2 are imported. Send the file again: they are not written or charged twice.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "The body arrived at less than 1 KiB/s over a minute. Nothing more was done. Lines up to 2 are imported. Send the file again: they are not written or charged twice.",
      "import": {
        "dry_run": false,
        "lines": 2,
        "imported": {"sessions": 0, "todos": 0, "todo_logs": 0, "activities": 0},
        "already_imported": 0,
        "updated": 0,
        "unchanged": 0,
        "deleted": 0,
        "faulty": 0,
        "faults": [],
        "is_whole": false,
        "cost": 0,
        "balance": 98,
        "from_line": 3
      }
    }
    "#);
}

/// A file without end, with one more piece every `seconds` seconds.
fn dripping(piece: &'static str, seconds: u64) -> Body {
    let begun = stream::once(async { Ok(Bytes::from(format!("{HEADER}\n{ACTOR}\n"))) });
    let drops = stream::unfold((), move |()| async move {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        Some((Ok::<_, std::io::Error>(Bytes::from(piece)), ()))
    });
    Body::from_stream(futures_util::StreamExt::chain(begun, drops))
}

#[tokio::test(start_paused = true)]
async fn blank_lines_do_not_count_as_progress() {
    for (piece, seconds) in [("\n", 12), ("  \t", 1), ("\r\n", 1)] {
        let begun = Instant::now();
        let answer = sent(MockedApi::whole(), dripping(piece, seconds)).await;
        assert_eq!((answer.status.as_u16(), begun.elapsed().as_secs()), (408, 60), "{piece:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_import_of_1_kib_a_second_completes() {
    let row = SESSION.replace('}', &format!(",\"notes\":\"{}\"}}\n", "x".repeat(1100)));
    let begun = Bytes::from(format!("{HEADER}\n{ACTOR}\n"));
    let pieces = std::iter::once(begun).chain(std::iter::repeat_n(Bytes::from(row), 180));
    let pieces = stream::iter(pieces);
    let slow = futures_util::StreamExt::then(pieces, |piece| async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok::<_, std::io::Error>(piece)
    });
    let begun = Instant::now();
    let answer = sent(MockedApi::whole(), Body::from_stream(slow)).await;
    assert_eq!((answer.status.as_u16(), begun.elapsed().as_secs()), (200, 181));
    assert_eq!(answer.json()["imported"]["sessions"], 180);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_ends_while_no_row_arrives_ends_the_import() {
    let mut api = MockedApi::importing();
    // The first two commands are the check before the import and its audit entry. The key ends
    // after them.
    api.commands.expect_apply().times(2).returning(|command| Ok(applied(command)));
    let refused = || Err(ApplyError::Refused(Refusal::KeyNotInForce));
    api.commands.expect_apply().times(1).returning(move |_| refused());
    let begun = Instant::now();
    // A line without end counts as progress, but never becomes a row.
    let answer = sent(api, dripping("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 1)).await;
    // The server finds out after 5 s, then drains the body for 5 s more.
    assert_eq!((answer.status.as_u16(), begun.elapsed().as_secs()), (401, 10));
}

/// A file of one line without end, with one more piece each second.
fn endless(piece: Bytes) -> Body {
    Body::from_stream(stream::unfold((), move |()| {
        let piece = piece.clone();
        async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((Ok::<_, std::io::Error>(piece), ()))
        }
    }))
}

#[tokio::test(start_paused = true)]
async fn a_key_that_ends_while_the_first_line_is_awaited_ends_the_import() {
    for (refusal, status) in [(Refusal::KeyNotInForce, 401), (Refusal::Suspended, 403)] {
        let mut api = MockedApi::keyed();
        api.commands.expect_apply().times(2).returning(|command| Ok(applied(command)));
        let refused = ApplyError::Refused(refusal);
        api.commands.expect_apply().times(1).returning(move |_| Err(refused.clone()));
        let begun = Instant::now();
        let answer = sent(api, endless(Bytes::from(vec![b'x'; 2048]))).await;
        // The third check fails after 10 s, then the server drains the body for 5 s more.
        assert_eq!((answer.status.as_u16(), begun.elapsed().as_secs()), (status, 15));
    }
}

#[tokio::test(start_paused = true)]
async fn a_suspended_account_is_refused_before_its_first_line() {
    let mut api = MockedApi::keyed();
    let refused = ApplyError::Refused(Refusal::Suspended);
    api.commands.expect_apply().times(1).returning(move |_| Err(refused.clone()));
    let begun = Instant::now();
    let answer = sent(api, endless(Bytes::from(vec![b'x'; 2048]))).await;
    // The server refuses at once, then drains the body for 5 s.
    assert_eq!((answer.status.as_u16(), begun.elapsed().as_secs()), (403, 5));
}

#[tokio::test(start_paused = true)]
async fn a_first_line_over_1_mib_is_422_before_its_end() {
    let answer = sent(MockedApi::whole(), endless(Bytes::from(vec![b'x'; 64 * 1024]))).await;
    assert_eq!(answer.status, 422);
    assert_eq!(answer.json()["errors"][0]["message"], "must be at most 1 MiB long");
}

#[tokio::test(start_paused = true)]
async fn a_third_import_at_once_is_429() {
    let router = MockedApi::whole().router();
    let begin = || {
        let mut request = import("").request();
        *request.body_mut() = stuck(&[HEADER, ACTOR]);
        tokio::spawn(router.clone().oneshot(request))
    };
    let held = [begin(), begin()];
    tokio::time::sleep(Duration::from_secs(1)).await;
    let file = [HEADER, ACTOR, SESSION].join("\n");
    assert_snapshot!(import(&file).of(&router).await.summary(), @r#"
    429 Too Many Requests
    cache-control: no-store
    retry-after: 10
    vary: authorization
    vary: x-api-key

    {
      "type": "/docs/problems#too-many-requests",
      "title": "Too many requests",
      "status": 429,
      "detail": "An account may have at most 2 imports under way at once. Try again in 10 s. No setting raises this limit.",
      "request_id": "019d728c-2e80-7000-8000-000000000003",
      "error": "An account may have at most 2 imports under way at once. Try again in 10 s. No setting raises this limit."
    }
    "#);
    // A client that hangs up frees its place, and so does an import that times out.
    held[0].abort();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(import(&file).of(&router).await.status, 200);
    let third = begin();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(import(&file).of(&router).await.status, 429);
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(import(&file).of(&router).await.status, 200);
    assert!(held[1].is_finished() && third.is_finished());
}

#[tokio::test]
async fn an_import_without_credits_left_is_402_and_says_where_to_resume() {
    let mut api = MockedApi::importing();
    api.accounts.expect_account().returning(|_| Ok(Some(account())));
    api.commands.expect_apply().returning(|command| {
        let Action::Transfer(_, TransferAction::Import(import)) = &command.action else {
            return Ok(applied(command));
        };
        let rows = import.rows.iter().take(2).map(|row| Ok(Imported::New(row.origin().id())));
        let broke = Err(Refusal::InsufficientCredits { balance: 0, cost: 1 });
        let row = AppliedRow::Imported(rows.chain([broke]).collect());
        Ok(Applied { row, cost: 2, balance: 0, is_replay: false })
    });
    let file = [HEADER, ACTOR, SESSION, "{", SESSION, "", SESSION, "{", SESSION].join("\n");
    assert_snapshot!(import(&file).of(&api.router()).await.summary());
}

#[tokio::test]
async fn a_dry_run_writes_nothing_and_says_what_it_would_cost() {
    let mut api = MockedApi::importing();
    api.imports.expect_working_set_for().returning(|_| Ok(working_set()));
    api.commands.expect_apply().never();
    let todo = |id: i64, session: i64| {
        format!(
            r#"{{"kind":"todo","todo_id":{id},"title":"t","status":"open","session_id":{session},"created_at":"2026-04-09","actor_id":1}}"#
        )
    };
    let file = [HEADER, ACTOR, SESSION, &todo(1, 1), &todo(2, 7), &todo(1, 1), "{"].join("\n");
    let dry_run = ask("POST", "/api/v1/import?dry_run=true")
        .header("content-type", "application/x-ndjson")
        .body(file);
    assert_snapshot!(dry_run.of(&api.router()).await.summary(), @r#"
    200 OK
    cache-control: no-store
    vary: authorization
    vary: x-api-key
    x-credits-cost: 0
    x-credits-remaining: 99

    {
      "dry_run": true,
      "lines": 7,
      "imported": {"sessions": 1, "todos": 1, "todo_logs": 0, "activities": 0},
      "already_imported": 1,
      "updated": 0,
      "unchanged": 1,
      "deleted": 0,
      "faulty": 2,
      "faults": [
        {"line": 5, "errors": [{"field": "session_id", "message": "There is no session 7."}]},
        {
          "line": 7,
          "errors": [
            {"field": "line", "message": "ends too early to be JSON, at line 7, column 1"}
          ]
        }
      ],
      "is_whole": false,
      "cost": 2,
      "balance": 99,
      "is_covered": true
    }
    "#);
}

#[tokio::test]
async fn a_shutdown_ends_an_import_with_503() {
    let mut api = MockedApi::whole();
    api.settings.shutdown = Shutdown::when(async {});
    tokio::task::yield_now().await;
    assert_snapshot!(sent(api, stuck(&[HEADER, ACTOR])).await.summary(), @r#"
    503 Service Unavailable
    cache-control: no-store
    connection: close
    retry-after: 5
    vary: authorization
    vary: x-api-key

    {
      "type": "/docs/problems#unavailable",
      "title": "Temporarily unavailable",
      "status": 503,
      "detail": "The server is stopping. Try again shortly.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "The server is stopping. Try again shortly."
    }
    "#);
}

#[tokio::test]
async fn a_line_over_1_mib_is_skipped_and_reported() {
    let long = format!("{{\"kind\":\"{}\"}}", "x".repeat(1024 * 1024));
    let file = [HEADER, ACTOR, &long, SESSION].join("\n");
    let report = import(&file).of_the_whole_api().await.json();
    assert_eq!((&report["faulty"], &report["imported"]["sessions"]), (&1.into(), &1.into()));
    assert_eq!(report["faults"][0]["line"], 3);
}

fn end(sessions: u64, total: u64) -> String {
    let counts =
        json!({ "actors": 1, "sessions": sessions, "todos": 0, "todo_logs": 0, "activities": 0 });
    json!({ "kind": "end", "counts": counts, "total": total, "unreadable": 0 }).to_string()
}

#[tokio::test]
async fn a_file_is_whole_if_it_has_as_many_rows_as_its_last_line_says() {
    let right = end(2, 3);
    let invalid = SESSION.replace("active", "over");
    for (what, file, expected) in [
        ("all rows", vec![HEADER, ACTOR, SESSION, SESSION, &right], true),
        ("a row with an error", vec![HEADER, ACTOR, SESSION, &invalid, &right], true),
        ("a row is missing", vec![HEADER, ACTOR, SESSION, &right], false),
        ("only the last rows", vec![HEADER, SESSION, &right], false),
        ("a row too many", vec![HEADER, ACTOR, SESSION, SESSION, SESSION, &right], false),
        ("a row that can't be read", vec![HEADER, ACTOR, SESSION, "{", &right], false),
        ("another total", vec![HEADER, ACTOR, SESSION, SESSION, &end(2, 4)], false),
        ("no last line", vec![HEADER, ACTOR, SESSION, SESSION], false),
        ("a line after the last", vec![HEADER, ACTOR, SESSION, SESSION, &right, "{"], false),
        ("no counts", vec![HEADER, r#"{"kind":"end"}"#], false),
    ] {
        let report = import(&file.join("\n")).of_the_whole_api().await.json();
        assert_eq!(report["is_whole"], expected, "{what}: {report}");
    }
}

#[tokio::test]
async fn invalid_counts_of_the_last_line_are_reported() {
    for (counts, error) in [
        ("1", "must be an object, not an integer"),
        ("{}", "is faulty: actors is required"),
        (
            r#"{"actors":-1,"sessions":0,"todos":0,"todo_logs":0,"activities":0}"#,
            "is faulty: actors must be an integer from 0",
        ),
        (
            r#"{"actors":0,"sessions":0,"todos":0,"todo_logs":0,"activities":0,"x":0}"#,
            "is faulty: x is not a known field: there are actors, sessions, todos, todo_logs, activities",
        ),
    ] {
        let end = format!(r#"{{"kind":"end","counts":{counts},"total":0}}"#);
        let report = import(&[HEADER, &end].join("\n")).of_the_whole_api().await.json();
        assert_eq!(report["faults"][0]["errors"][0]["message"], error);
    }
}

#[tokio::test]
async fn an_id_beyond_63_bits_is_an_error_of_its_line() {
    let session = |id: &str| SESSION.replace("\"session_id\":1", &format!("\"session_id\":{id}"));
    let (fits, above, fraction) =
        (session("9223372036854775807"), session("9223372036854775808"), session("1.5"));
    let (far, below) = (session("18446744073709551615"), session("-9223372036854775809"));
    let file = [HEADER, ACTOR, &fits, &above, &far, &below, &fraction].join("\n");
    let report = import(&file).of_the_whole_api().await.json();
    let counts = (&report["imported"]["sessions"], &report["already_imported"], &report["faulty"]);
    assert_eq!(counts, (&json!(1), &json!(0), &json!(4)));
    let errors: Vec<_> = report["faults"].as_array().unwrap().iter().collect();
    let messages: Vec<_> = errors.iter().map(|it| &it["errors"][0]["message"]).collect();
    let beyond = "must be an integer of at most 63 bits";
    let positive = "must be a positive integer";
    let fraction = "must be an integer, not a number with a fraction";
    assert_eq!(messages, [beyond, beyond, positive, fraction]);
}
