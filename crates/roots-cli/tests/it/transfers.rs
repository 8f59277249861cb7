//! Exports and imports.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use roots_testkit::app::TestApp;
use serde_json::{Value, json};

use crate::program::{User, credits, user_of_api};
use crate::scripted_server::{ScriptedServer, answer, cut};

const LINES: &str = "application/x-ndjson";
const SESSION: &str = r#"{"kind":"session","session_id":2,"status":"active","notes":"é","started_at":"2026-04-09T10:00:00Z","ended_at":null,"actor_id":1}"#;
const END: &str = r#"{"kind":"end","counts":{"actors":0,"sessions":1,"todos":0,"todo_logs":0,"activities":0},"total":1,"unreadable":0}"#;

/// A session, a todo with two entries of its log, and an activity: 5 rows.
async fn write_rows(user: &User) {
    user.done(&["start", "Moving the docs"]).await;
    user.done(&["todo", "add", "Deploy the docs"]).await;
    user.done(&["todo", "start", "1"]).await;
    user.done(&["todo", "done", "1", "--note", "green"]).await;
    user.done(&["log", "Deployed"]).await;
}

/// The names of the files in the user's folder.
fn files(user: &User) -> Vec<String> {
    let files = fs::read_dir(&user.folder).unwrap();
    let mut names: Vec<_> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn mode(user: &User, file: &str) -> u32 {
    fs::metadata(user.folder.join(file)).unwrap().permissions().mode() & 0o777
}

/// Another account, and a user of it in the same folder.
async fn another(app: &TestApp, user: &User, credits: i64) -> (TestApp, User) {
    let other = app.as_another(credits).await;
    let mut importer = User::of(&other);
    importer.folder.clone_from(&user.folder);
    (other, importer)
}

fn user_of(server: &ScriptedServer) -> User {
    let mut user = User::new();
    user.set("ROOTS_URL", &server.url);
    user.set("ROOTS_API_KEY", "roots_2_key");
    user
}

#[tokio::test]
async fn an_export_is_imported_by_another_account_and_costs_only_once() {
    let (app, user) = user_of_api(20).await;
    write_rows(&user).await;
    let exported = user.done(&["export", "-o", "roots.jsonl"]).await;
    assert!(exported.starts_with("Exported to "), "{exported}");
    assert!(
        exported
            .ends_with("actors 1, sessions 1, todos 1, entries of their logs 2, activities 1\n"),
        "{exported}"
    );
    assert_eq!(files(&user), ["roots.jsonl"]);
    assert_eq!(mode(&user, "roots.jsonl"), 0o600);
    assert_eq!(credits(&app).await, 15, "an export is free");

    let (other, importer) = another(&app, &user, 20).await;
    let checked = importer.done(&["import", "roots.jsonl", "--dry-run"]).await;
    insta::assert_snapshot!(checked, @"");
    assert_eq!(credits(&other).await, 20);
    insta::assert_snapshot!(importer.done(&["import", "roots.jsonl"]).await, @"");
    let again = importer.json(&["import", "roots.jsonl"]).await;
    assert_eq!((&again["cost"], &again["unchanged"]), (&json!(0), &json!(5)));
    assert_eq!(credits(&other).await, 15);
    assert_eq!(other.get("/todos/1").await.json()["title"], "Deploy the docs");
}

#[tokio::test]
async fn without_a_file_an_export_is_all_of_standard_output() {
    let (_app, user) = user_of_api(20).await;
    write_rows(&user).await;
    let run = user.run(&["export"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    let lines: Vec<Value> =
        run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<_> = lines.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        ["export", "actor", "session", "todo", "todo_log", "todo_log", "activity", "end"]
    );
    assert!(run.stderr.starts_with("Exported ("), "{run:?}");
    assert_eq!(files(&user), Vec::<String>::new());
}

#[tokio::test]
async fn a_cut_export_starts_anew_and_is_whole_at_the_end() {
    let whole = format!("{SESSION}\n{END}\n");
    let answers = vec![
        cut(LINES, &format!("{SESSION}\n")),
        answer("200 OK", LINES, SESSION),
        answer("200 OK", LINES, &whole),
    ];
    let server = ScriptedServer::start(answers);
    let user = user_of(&server);
    let run = user.run(&["export", "-o", "roots.jsonl"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(run.stderr.matches("starts anew").count(), 2, "{run:?}");
    assert_eq!(fs::read_to_string(user.folder.join("roots.jsonl")).unwrap(), whole);
    assert_eq!(files(&user), ["roots.jsonl"]);
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_cut_export_to_standard_output_is_to_be_tried_later() {
    let server = ScriptedServer::start(vec![cut(LINES, &format!("{SESSION}\n"))]);
    let run = user_of(&server).run(&["export"]).await;
    assert_eq!((run.code, run.stdout), (7, format!("{SESSION}\n")));
}

#[tokio::test]
async fn a_failed_export_leaves_the_older_file_and_keeps_what_came_beside_it() {
    let error = r#"{"kind":"error","type":"/docs/problems#internal-error","error":"No keys."}"#;
    let failed = format!("{SESSION}\n{error}\n");
    let server = ScriptedServer::start(vec![answer("200 OK", LINES, &failed)]);
    let user = user_of(&server);
    fs::write(user.folder.join("roots.jsonl"), "older").unwrap();
    let told = user.refused(1, &["export", "-o", "roots.jsonl"]).await;
    assert!(told.contains("No keys."), "{told}");
    assert_eq!(files(&user), ["roots.jsonl", "roots.jsonl.incomplete"]);
    assert_eq!(fs::read_to_string(user.folder.join("roots.jsonl")).unwrap(), "older");
    let kept = fs::read_to_string(user.folder.join("roots.jsonl.incomplete")).unwrap();
    assert_eq!(kept, failed);
    assert_eq!(mode(&user, "roots.jsonl.incomplete"), 0o600);
}

#[tokio::test]
async fn a_refused_export_leaves_nothing() {
    let (_app, mut user) = user_of_api(20).await;
    user.set("ROOTS_API_KEY", "roots_1_wrong");
    user.refused(4, &["export", "-o", "roots.jsonl"]).await;
    assert_eq!(files(&user), Vec::<String>::new());
    user.refused(2, &["export", "-o", "/dev/null"]).await;
}

#[tokio::test]
async fn an_import_goes_on_where_it_was_cut() {
    let part = |sessions: u64, lines: u64, from_line: Option<u64>| {
        let mut import = json!({
            "dry_run": false, "lines": lines,
            "imported": {"sessions": sessions, "todos": 0, "todo_logs": 0, "activities": 0},
            "already_imported": 0, "updated": 0, "unchanged": 0, "deleted": 0, "faulty": 0,
            "faults": [], "is_whole": from_line.is_none(), "cost": sessions, "balance": 10,
        });
        if let Some(line) = from_line {
            import["from_line"] = json!(line);
        }
        import
    };
    let problem = json!({
        "type": "/docs/problems#unavailable", "title": "t", "status": 503, "detail": "It stops.",
        "request_id": "r", "error": "It stops.", "import": part(2, 3, Some(4)),
    });
    let server = ScriptedServer::start(vec![
        answer("503 Service Unavailable", "application/problem+json", &problem.to_string()),
        // Not even an answer.
        String::new(),
        answer("200 OK", "application/json", &part(5, 9, None).to_string()),
    ]);
    let user = user_of(&server);
    let file = format!("{SESSION}\n{END}\n");
    fs::write(user.folder.join("roots.jsonl"), &file).unwrap();
    let run = user.run(&["import", "roots.jsonl"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stdout.starts_with("Imported: sessions 7, "), "{run:?}");
    assert!(run.stdout.contains("It cost 7 credits"), "{run:?}");
    assert_eq!(run.stderr.matches("goes on from line 4").count(), 2, "{run:?}");
    let seen = server.seen();
    let targets: Vec<_> = seen.iter().map(|request| request.lines().next().unwrap()).collect();
    assert_eq!(
        targets,
        [
            "POST /api/v1/import HTTP/1.1",
            "POST /api/v1/import?from_line=4 HTTP/1.1",
            "POST /api/v1/import?from_line=4 HTTP/1.1"
        ]
    );
    assert!(seen.iter().all(|request| request.contains(&file)), "the whole file each time");
}

#[tokio::test]
async fn an_import_without_credits_says_how_to_go_on() {
    let (app, user) = user_of_api(20).await;
    write_rows(&user).await;
    user.done(&["export", "-o", "roots.jsonl"]).await;
    let (_other, importer) = another(&app, &user, 2).await;
    let told = importer.refused(6, &["import", "roots.jsonl"]).await;
    assert!(told.contains("Go on later: roots import roots.jsonl --from-line "), "{told}");
    let problem = importer.refused(6, &["import", "roots.jsonl", "--json"]).await;
    let problem: Value = serde_json::from_str(&problem).unwrap();
    assert!(problem["import"]["from_line"].is_u64(), "{problem}");
}

#[tokio::test]
async fn lines_with_errors_are_told_and_the_import_is_not_called_done() {
    let (app, user) = user_of_api(20).await;
    write_rows(&user).await;
    let export = user.done(&["export"]).await.replace("Deployed", "");
    fs::write(user.folder.join("roots.jsonl"), export).unwrap();
    let (_other, importer) = another(&app, &user, 20).await;
    let run = importer.run(&["import", "roots.jsonl"]).await;
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stdout.contains("Lines with errors: 1 of 1\n  line 7: description "), "{run:?}");
    assert_eq!(run.stderr, "error: 1 line has errors and was not imported\n");
}

#[tokio::test]
async fn to_delete_missing_rows_wants_yes() {
    let (app, user) = user_of_api(20).await;
    write_rows(&user).await;
    user.done(&["export", "-o", "roots.jsonl"]).await;
    let (other, importer) = another(&app, &user, 20).await;
    importer.done(&["import", "roots.jsonl"]).await;
    user.done(&["todo", "rm", "1", "--yes"]).await;
    user.done(&["export", "-o", "roots.jsonl"]).await;
    let told = importer.refused(2, &["import", "roots.jsonl", "--delete-missing"]).await;
    assert!(told.contains("--delete-missing --yes"), "{told}");
    assert_eq!(other.get("/todos/1").await.status, 200);
    importer.done(&["import", "roots.jsonl", "--delete-missing", "--yes"]).await;
    assert_eq!(other.get("/todos/1").await.status, 404);
}
