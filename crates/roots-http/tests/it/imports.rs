//! Files that come in, whole, cut off or with faults.

use axum::body::{Body, Bytes};
use futures_util::stream;
use insta::assert_snapshot;
use roots_domain::model::unit::Refusal;
use roots_domain::port::store::{ApplyError, StoreFault};
use roots_http::Ending;
use serde_json::json;
use tokio::time::Instant;
use tower::ServiceExt;

use crate::world::{Answer, Ask, World, ask, get};

const HEADER: &str =
    r#"{"kind":"export","format":1,"source":"019d728c-2e80-7000-8000-0000000000aa"}"#;
const ACTOR: &str =
    r#"{"kind":"actor","actor_id":1,"name":"docs-agent","actor_type":"agent","role":"owner"}"#;
const SESSION: &str =
    r#"{"kind":"session","session_id":1,"status":"active","started_at":"2026-04-09","actor_id":1}"#;

fn import(file: &str) -> Ask {
    ask("POST", "/api/v1/import").header("content-type", "application/x-ndjson").body(file)
}

#[tokio::test]
async fn what_is_exported_comes_in_again() {
    let file = get("/api/v1/export").of_the_whole_world().await.body;
    // Those of its rows whose texts can't be read can't come in, but for a session without notes.
    assert_snapshot!(import(&file).of_the_whole_world().await.told());
}

#[tokio::test]
async fn every_fault_of_every_line_is_told() {
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
    assert_snapshot!(import(&lines.join("\r\n")).of_the_whole_world().await.told());
}

#[tokio::test]
async fn a_first_line_that_is_no_header_is_refused() {
    for file in ["", "\n\n", SESSION, "[]", r#"{"kind":"export","format":2,"source":"x"}"#] {
        assert_eq!(import(file).of_the_whole_world().await.status, 422, "{file}");
    }
    let malformed = import("\n\n{\"kind\": export}").of_the_whole_world().await;
    assert_snapshot!("a_first_line_that_is_no_json", malformed.told());
    let wrong = r#"{"kind":"export","format":2,"source":"x"}"#;
    assert_snapshot!(import(wrong).of_the_whole_world().await.told());
}

#[tokio::test]
async fn it_takes_json_lines_and_its_own_parameters() {
    let as_json = ask("POST", "/api/v1/import").json("{}");
    assert_snapshot!("of_another_type", as_json.of_the_whole_world().await.told());
    let typo = ask("POST", "/api/v1/import?line=3&from_line=0&actor_id=all");
    assert_snapshot!("with_a_typo", typo.of_the_whole_world().await.told());
}

#[tokio::test]
async fn rows_before_a_line_are_left_out() {
    let file = [HEADER, ACTOR, SESSION, SESSION, SESSION].join("\n");
    let from = ask("POST", "/api/v1/import?from_line=4")
        .header("content-type", "application/x-ndjson")
        .body(file);
    let told = from.of_the_whole_world().await.json();
    assert_eq!((&told["lines"], &told["imported"]["sessions"]), (&5.into(), &2.into()));
}

#[tokio::test]
async fn a_refusal_of_all_of_it_is_a_problem_that_says_how_far_it_got() {
    for (name, answer) in [
        ("while_suspended", ApplyError::Refused(Refusal::Suspended)),
        ("while_the_database_is_away", ApplyError::Fault(StoreFault::Unavailable("x".into()))),
    ] {
        let mut world = World::keyed();
        world.imports.expect_imported_actors().returning(|_, _| Ok(Vec::new()));
        world.units.expect_apply().returning(move |_| Err(answer.clone()));
        let file = [HEADER, ACTOR, SESSION].join("\n");
        assert_snapshot!(name, import(&file).of(&world.router()).await.told());
    }
}

#[tokio::test]
async fn it_is_the_owners() {
    assert_snapshot!(import(HEADER).by_the_member().of_the_whole_world().await.told());
}

/// A file that begins and does not go on.
fn stuck(lines: &[&str]) -> Body {
    let begun = lines.join("\n") + "\n";
    let pieces = stream::once(async { Ok::<_, std::io::Error>(Bytes::from(begun)) });
    Body::from_stream(futures_util::StreamExt::chain(pieces, stream::pending()))
}

async fn sent(world: World, body: Body) -> Answer {
    let mut request = import("").request();
    *request.body_mut() = body;
    Answer::of(world.router().oneshot(request).await.unwrap()).await
}

#[tokio::test(start_paused = true)]
async fn a_file_that_stops_coming_is_given_up() {
    let begun = Instant::now();
    let answer = sent(World::whole(), stuck(&[HEADER, ACTOR])).await;
    // By a clock that goes on only when everything waits.
    assert_eq!(begun.elapsed().as_secs(), 20);
    assert_snapshot!(answer.told());
}

#[tokio::test]
async fn the_end_of_the_service_ends_it() {
    let mut world = World::whole();
    world.settings.ending = Ending::when(async {});
    tokio::task::yield_now().await;
    assert_snapshot!(sent(world, stuck(&[HEADER, ACTOR])).await.told());
}

#[tokio::test]
async fn a_line_that_is_too_long_is_read_off_and_told() {
    let long = format!("{{\"kind\":\"{}\"}}", "x".repeat(1024 * 1024));
    let file = [HEADER, ACTOR, &long, SESSION].join("\n");
    let told = import(&file).of_the_whole_world().await.json();
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
        ("a row with a fault came too", vec![HEADER, ACTOR, SESSION, &faulty, &right], true),
        ("a row is missing", vec![HEADER, ACTOR, SESSION, &right], false),
        ("what was left of it", vec![HEADER, SESSION, &right], false),
        ("a row too many", vec![HEADER, ACTOR, SESSION, SESSION, SESSION, &right], false),
        ("a row that can't be read", vec![HEADER, ACTOR, SESSION, "{", &right], false),
        ("another total", vec![HEADER, ACTOR, SESSION, SESSION, &end(2, 4)], false),
        ("no last line", vec![HEADER, ACTOR, SESSION, SESSION], false),
        ("more behind it", vec![HEADER, ACTOR, SESSION, SESSION, &right, "{"], false),
        ("no counts", vec![HEADER, r#"{"kind":"end"}"#], false),
    ] {
        let told = import(&file.join("\n")).of_the_whole_world().await.json();
        assert_eq!(told["is_whole"], expected, "{what}: {told}");
    }
}

#[tokio::test]
async fn the_counts_of_the_last_line_are_judged_like_any_field() {
    for (counts, fault) in [
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
        let told = import(&[HEADER, &end].join("\n")).of_the_whole_world().await.json();
        assert_eq!(told["faults"][0]["errors"][0]["message"], fault);
    }
}

#[tokio::test]
async fn an_id_beyond_63_bits_is_a_fault_of_its_line() {
    let session = |id: &str| SESSION.replace("\"session_id\":1", &format!("\"session_id\":{id}"));
    let (fits, above, other) =
        (session("9223372036854775807"), session("9223372036854775808"), session("1e3"));
    let (far, below) = (session("18446744073709551615"), session("-9223372036854775809"));
    let file = [HEADER, ACTOR, &fits, &above, &far, &below, &other].join("\n");
    let told = import(&file).of_the_whole_world().await.json();
    let counts = (&told["imported"]["sessions"], &told["already_imported"], &told["faulty"]);
    assert_eq!(counts, (&json!(1), &json!(0), &json!(4)));
    let faults: Vec<_> = told["faults"].as_array().unwrap().iter().collect();
    let messages: Vec<_> = faults.iter().map(|it| &it["errors"][0]["message"]).collect();
    let beyond = "must be an integer of at most 63 bits";
    let positive = "must be a positive integer";
    assert_eq!(messages, [beyond, beyond, positive, "must be an integer, not another number"]);
}
