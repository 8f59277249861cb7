//! Files that come in, whole, cut off or with errors.

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
async fn what_is_exported_comes_in_again() {
    let file = get("/api/v1/export").of_the_whole_api().await.body;
    // Those of its rows whose texts can't be read can't come in, but for a session without notes.
    assert_snapshot!(import(&file).of_the_whole_api().await.told());
}

#[tokio::test]
async fn every_error_of_every_line_is_told() {
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
    assert_snapshot!(import(&lines.join("\r\n")).of_the_whole_api().await.told());
}

#[tokio::test]
async fn a_first_line_that_is_no_header_is_refused() {
    for file in ["", "\n\n", SESSION, "[]", r#"{"kind":"export","format":2,"source":"x"}"#] {
        assert_eq!(import(file).of_the_whole_api().await.status, 422, "{file}");
    }
    let invalid = import("\n\n{\"kind\": export}").of_the_whole_api().await;
    assert_snapshot!("a_first_line_that_is_no_json", invalid.told());
    let wrong = r#"{"kind":"export","format":2,"source":"x"}"#;
    assert_snapshot!(import(wrong).of_the_whole_api().await.told());
}

#[tokio::test]
async fn it_takes_json_lines_and_its_own_parameters() {
    let as_json = ask("POST", "/api/v1/import").json("{}");
    assert_snapshot!("of_another_type", as_json.of_the_whole_api().await.told());
    let typo = ask("POST", "/api/v1/import?line=3&from_line=0&actor_id=all");
    assert_snapshot!("with_a_typo", typo.of_the_whole_api().await.told());
}

#[tokio::test]
async fn the_names_of_utf_8_are_one_charset() {
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
        let told = import(&[&first, ACTOR, line].join("\r\n")).of_the_whole_api().await.json();
        assert_eq!((&told["imported"]["sessions"], &told["faulty"]), (&json!(1), &json!(0)));
    }
    // Two files in one.
    let within = [HEADER, ACTOR, &marked(SESSION)].join("\n");
    let told = import(&within).of_the_whole_api().await.json();
    let mark = "holds a byte-order mark, which no editor shows, at line 3, column 1";
    assert_eq!(told["faults"][0]["errors"][0]["message"], mark);
    assert_eq!(import("\u{feff}").of_the_whole_api().await.status, 422);
}

#[tokio::test]
async fn rows_before_a_line_are_left_out() {
    let file = [HEADER, ACTOR, SESSION, SESSION, SESSION].join("\n");
    let from = ask("POST", "/api/v1/import?from_line=4")
        .header("content-type", "application/x-ndjson")
        .body(file);
    let told = from.of_the_whole_api().await.json();
    assert_eq!((&told["lines"], &told["imported"]["sessions"]), (&5.into(), &2.into()));
}

#[tokio::test]
async fn a_refusal_of_all_of_it_is_a_problem_that_says_how_far_it_got() {
    for (name, answer) in [
        ("while_suspended", ApplyError::Refused(Refusal::Suspended)),
        ("while_the_database_is_away", ApplyError::Store(StoreError::Unavailable("x".into()))),
    ] {
        let mut api = MockedApi::keyed();
        api.imports.expect_imported_actors().returning(|_, _| Ok(Vec::new()));
        api.imports.expect_imported_rows().returning(|_, _, _| Ok(Vec::new()));
        api.imports.expect_imported_after().returning(|_, _, _| Ok(Vec::new()));
        api.commands.expect_apply().returning(move |_| Err(answer.clone()));
        let file = [HEADER, ACTOR, SESSION].join("\n");
        assert_snapshot!(name, import(&file).of(&api.router()).await.told());
    }
}

#[tokio::test]
async fn it_is_the_owners() {
    assert_snapshot!(import(HEADER).by_the_member().of_the_whole_api().await.told());
}

/// A file that begins and does not go on.
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
async fn a_file_that_stops_coming_is_given_up() {
    let begun = Instant::now();
    let answer = sent(MockedApi::whole(), stuck(&[HEADER, ACTOR])).await;
    // By a clock that goes on only when everything waits.
    assert_eq!(begun.elapsed().as_secs(), 60);
    assert_snapshot!(answer.told());
}

/// A file that goes on for ever by one more piece each so many seconds.
fn dripping(piece: &'static str, seconds: u64) -> Body {
    let begun = stream::once(async { Ok(Bytes::from(format!("{HEADER}\n{ACTOR}\n"))) });
    let drops = stream::unfold((), move |()| async move {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        Some((Ok::<_, std::io::Error>(Bytes::from(piece)), ()))
    });
    Body::from_stream(futures_util::StreamExt::chain(begun, drops))
}

#[tokio::test(start_paused = true)]
async fn blank_lines_are_no_progress() {
    for (piece, seconds) in [("\n", 12), ("  \t", 1), ("\r\n", 1)] {
        let begun = Instant::now();
        let answer = sent(MockedApi::whole(), dripping(piece, seconds)).await;
        assert_eq!((answer.status.as_u16(), begun.elapsed().as_secs()), (408, 60), "{piece:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_comes_at_a_kib_a_second_comes_to_its_end() {
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
async fn a_key_that_ends_while_nothing_comes_ends_the_import() {
    let mut api = MockedApi::keyed();
    api.imports.expect_imported_actors().returning(|_, _| Ok(Vec::new()));
    api.imports.expect_imported_rows().returning(|_, _, _| Ok(Vec::new()));
    api.imports.expect_imported_after().returning(|_, _, _| Ok(Vec::new()));
    // It ends at once after the import has begun: it is checked before that, and the import is noted.
    api.commands.expect_apply().times(2).returning(|command| Ok(applied(command)));
    let refused = || Err(ApplyError::Refused(Refusal::KeyNotInForce));
    api.commands.expect_apply().times(1).returning(move |_| refused());
    let begun = Instant::now();
    // A line without end is progress, and never a row.
    let answer = sent(api, dripping("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 1)).await;
    // It is found out after 5 s; what is left of the body is read off for 5 s more.
    assert_eq!((answer.status.as_u16(), begun.elapsed().as_secs()), (401, 10));
}

/// A file of one line, which goes on for ever by one more piece each second.
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
        // It is found out by the third check, after 10 s; the body is read off for 5 s more.
        assert_eq!((answer.status.as_u16(), begun.elapsed().as_secs()), (status, 15));
    }
}

#[tokio::test(start_paused = true)]
async fn a_suspended_account_takes_up_no_place_with_a_first_line_that_never_comes() {
    let mut api = MockedApi::keyed();
    let refused = ApplyError::Refused(Refusal::Suspended);
    api.commands.expect_apply().times(1).returning(move |_| Err(refused.clone()));
    let begun = Instant::now();
    let answer = sent(api, endless(Bytes::from(vec![b'x'; 2048]))).await;
    // It is refused at once; the body is read off for 5 s.
    assert_eq!((answer.status.as_u16(), begun.elapsed().as_secs()), (403, 5));
}

#[tokio::test(start_paused = true)]
async fn a_first_line_that_gets_too_long_ends_the_import_before_its_end() {
    let answer = sent(MockedApi::whole(), endless(Bytes::from(vec![b'x'; 64 * 1024]))).await;
    assert_eq!(answer.status, 422);
    assert_eq!(answer.json()["errors"][0]["message"], "must be at most 1 MiB long");
}

#[tokio::test(start_paused = true)]
async fn an_account_has_two_imports_at_once() {
    let router = MockedApi::whole().router();
    let begin = || {
        let mut request = import("").request();
        *request.body_mut() = stuck(&[HEADER, ACTOR]);
        tokio::spawn(router.clone().oneshot(request))
    };
    let held = [begin(), begin()];
    tokio::time::sleep(Duration::from_secs(1)).await;
    let file = [HEADER, ACTOR, SESSION].join("\n");
    assert_snapshot!(import(&file).of(&router).await.told());
    // Whoever hangs up gives its place back, and so does one that is given up.
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
async fn where_credits_end_it_says_what_is_paid_and_where_to_go_on() {
    let mut api = MockedApi::keyed();
    api.imports.expect_imported_actors().returning(|_, _| Ok(Vec::new()));
    api.imports.expect_imported_rows().returning(|_, _, _| Ok(Vec::new()));
    api.imports.expect_imported_after().returning(|_, _, _| Ok(Vec::new()));
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
    assert_snapshot!(import(&file).of(&api.router()).await.told());
}

#[tokio::test]
async fn a_dry_run_writes_nothing_and_says_what_it_would_cost() {
    let mut api = MockedApi::keyed();
    api.imports.expect_imported_actors().returning(|_, _| Ok(Vec::new()));
    api.imports.expect_imported_rows().returning(|_, _, _| Ok(Vec::new()));
    api.imports.expect_imported_after().returning(|_, _, _| Ok(Vec::new()));
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
    assert_snapshot!(dry_run.of(&api.router()).await.told());
}

#[tokio::test]
async fn the_end_of_the_service_ends_it() {
    let mut api = MockedApi::whole();
    api.settings.shutdown = Shutdown::when(async {});
    tokio::task::yield_now().await;
    assert_snapshot!(sent(api, stuck(&[HEADER, ACTOR])).await.told());
}

#[tokio::test]
async fn a_line_that_is_too_long_is_read_off_and_told() {
    let long = format!("{{\"kind\":\"{}\"}}", "x".repeat(1024 * 1024));
    let file = [HEADER, ACTOR, &long, SESSION].join("\n");
    let told = import(&file).of_the_whole_api().await.json();
    assert_eq!((&told["faulty"], &told["imported"]["sessions"]), (&1.into(), &1.into()));
    assert_eq!(told["faults"][0]["line"], 3);
}

fn end(sessions: u64, total: u64) -> String {
    let counts =
        json!({ "actors": 1, "sessions": sessions, "todos": 0, "todo_logs": 0, "activities": 0 });
    json!({ "kind": "end", "counts": counts, "total": total, "unreadable": 0 }).to_string()
}

#[tokio::test]
async fn a_file_is_whole_when_all_came_that_its_last_line_counts() {
    let right = end(2, 3);
    let faulty = SESSION.replace("active", "over");
    for (what, file, expected) in [
        ("all of it", vec![HEADER, ACTOR, SESSION, SESSION, &right], true),
        ("a row with an error came too", vec![HEADER, ACTOR, SESSION, &faulty, &right], true),
        ("a row is missing", vec![HEADER, ACTOR, SESSION, &right], false),
        ("what was left of it", vec![HEADER, SESSION, &right], false),
        ("a row too many", vec![HEADER, ACTOR, SESSION, SESSION, SESSION, &right], false),
        ("a row that can't be read", vec![HEADER, ACTOR, SESSION, "{", &right], false),
        ("another total", vec![HEADER, ACTOR, SESSION, SESSION, &end(2, 4)], false),
        ("no last line", vec![HEADER, ACTOR, SESSION, SESSION], false),
        ("more behind it", vec![HEADER, ACTOR, SESSION, SESSION, &right, "{"], false),
        ("no counts", vec![HEADER, r#"{"kind":"end"}"#], false),
    ] {
        let told = import(&file.join("\n")).of_the_whole_api().await.json();
        assert_eq!(told["is_whole"], expected, "{what}: {told}");
    }
}

#[tokio::test]
async fn the_counts_of_the_last_line_are_judged_like_any_field() {
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
        let told = import(&[HEADER, &end].join("\n")).of_the_whole_api().await.json();
        assert_eq!(told["faults"][0]["errors"][0]["message"], error);
    }
}

#[tokio::test]
async fn an_id_beyond_63_bits_is_an_error_of_its_line() {
    let session = |id: &str| SESSION.replace("\"session_id\":1", &format!("\"session_id\":{id}"));
    let (fits, above, fraction) =
        (session("9223372036854775807"), session("9223372036854775808"), session("1.5"));
    let (far, below) = (session("18446744073709551615"), session("-9223372036854775809"));
    let file = [HEADER, ACTOR, &fits, &above, &far, &below, &fraction].join("\n");
    let told = import(&file).of_the_whole_api().await.json();
    let counts = (&told["imported"]["sessions"], &told["already_imported"], &told["faulty"]);
    assert_eq!(counts, (&json!(1), &json!(0), &json!(4)));
    let errors: Vec<_> = told["faults"].as_array().unwrap().iter().collect();
    let messages: Vec<_> = errors.iter().map(|it| &it["errors"][0]["message"]).collect();
    let beyond = "must be an integer of at most 63 bits";
    let positive = "must be a positive integer";
    let fraction = "must be an integer, not a number with a fraction";
    assert_eq!(messages, [beyond, beyond, positive, fraction]);
}
