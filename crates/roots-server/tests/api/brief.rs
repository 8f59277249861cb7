//! The brief over HTTP.

use reqwest::Method;
use roots_testkit::app::{TestApp, send};
use roots_testkit::database::TestDatabase;
use roots_testkit::members::add_member;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::client::balance;

roots_testkit::on_both! {
    an_agent_that_wakes_learns_what_to_go_on_with,
    two_workers_are_told_their_own_claims,
    what_is_left_out_is_found_by_its_request,
    texts_are_shortened_and_named_and_the_rows_keep_them,
    a_stale_note_hides_no_work_from_an_empty_list_on,
    an_owner_reads_the_brief_of_a_member_and_of_all,
    a_suspended_account_reads_its_brief,
}

/// Logs an activity of a type.
async fn log(app: &TestApp, activity_type: &str, session: Option<i64>) {
    let mut activity = json!({ "description": "Something", "activity_type": activity_type });
    if let Some(session) = session {
        activity["session_id"] = session.into();
    }
    app.post("/activities", &activity).await.expect(201);
}

fn ids(brief: &Value, list: &str) -> Vec<i64> {
    let todos = brief[list].as_array().unwrap();
    todos.iter().map(|todo| todo["todo_id"].as_i64().unwrap()).collect()
}

async fn an_agent_that_wakes_learns_what_to_go_on_with(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    app.post("/sessions", &json!({ "notes": "The first day" })).await.expect(201);
    log(&app, "early", Some(1)).await;
    app.context.clock.advance_seconds(60);
    app.patch("/sessions/1", &json!({ "status": "ended" })).await.expect(200);
    app.context.clock.advance_seconds(60);
    app.post("/sessions", &json!({ "notes": "The second day" })).await.expect(201);
    for (title, priority, due_at) in [
        ("of the session", 0, None),
        ("left behind", 0, None),
        ("overdue", 1, Some("2026-04-01")),
        ("next", 2, Some("2026-05-01")),
    ] {
        let todo = json!({ "title": title, "priority": priority, "due_at": due_at });
        app.post("/todos", &todo).await.expect(201);
    }
    let claim = async |body: Value| app.post("/todos/claim", &body).await.expect(200);
    claim(json!({ "todo_id": 1, "session_id": 2 })).await;
    claim(json!({ "todo_id": 2, "lease_seconds": 60 })).await;
    app.context.clock.advance_seconds(600);
    log(&app, "question", Some(2)).await;
    let before = balance(&app).await;
    let answer = app.get("/brief").await;
    assert_eq!(answer.header("x-credits-cost"), None);
    let brief = answer.expect(200);
    assert_eq!(balance(&app).await, before);
    assert_eq!(brief["at"], app.context.clock_in(0));
    assert_eq!(brief["since"], app.context.clock_in(-660));
    assert_eq!(brief["session"]["notes"], "The second day");
    assert_eq!(brief["session"]["last_active_at"], app.context.clock_in(0));
    let lists = ["in_progress", "left_behind", "overdue", "next"];
    assert_eq!(lists.map(|list| ids(&brief, list)), [[1], [2], [3], [4]]);
    let listed = app.get("/todos?status=in_progress").await.expect(200);
    assert_eq!(brief["left_behind"][0]["until"], listed["todos"][0]["until"]);
    assert_eq!(brief["left_behind"][0]["claim"], listed["todos"][0]["claim"]);
    assert_eq!(brief["waiting"][0]["activity_type"], "question");
    assert_eq!(brief["activities"].as_array().unwrap().len(), 1);
    assert_eq!(brief["status_changes"].as_array().unwrap().len(), 2);
    assert_eq!(
        brief["counts"],
        json!({
            "todos": {"open": 2, "in_progress": 2, "done": 0, "cancelled": 0},
            "sessions": {"active": 1, "ended": 1},
            "activities": 2,
            "overdue": 1
        })
    );
    assert_eq!((&brief["omitted"], &brief["cut"]), (&json!([]), &json!([])));
    let action = |brief: &Value| {
        let action = &brief["next_action"];
        (action["action"].as_str().unwrap().to_owned(), action["todo"]["todo_id"].as_i64())
    };
    assert_eq!(action(&brief), ("resume".to_owned(), Some(1)));
    assert_eq!(brief["next_action"]["todo"]["claim_token"], 1);
    for (done, expected) in [
        (1, ("take_over", Some(2))),
        (2, ("claim", Some(4))),
        (4, ("claim", Some(3))),
        (3, ("none", None)),
    ] {
        app.patch(&format!("/todos/{done}"), &json!({ "status": "done" })).await.expect(200);
        let brief = app.get("/brief").await.expect(200);
        assert_eq!(action(&brief), (expected.0.to_owned(), expected.1));
        assert_eq!(brief["has_work"], expected.1.is_some());
    }
}

async fn two_workers_are_told_their_own_claims(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    app.post("/sessions", &json!({ "notes": "The first worker" })).await.expect(201);
    app.post("/sessions", &json!({})).await.expect(201);
    for title in ["of the first", "of the second"] {
        app.post("/todos", &json!({ "title": title })).await.expect(201);
    }
    for id in [1, 2] {
        let claim = json!({ "todo_id": id, "session_id": id });
        app.post("/todos/claim", &claim).await.expect(200);
    }
    let next = async |query: &str| {
        let brief = app.get(&format!("/brief{query}")).await.expect(200);
        let todo = &brief["next_action"]["todo"];
        let token = todo["claim_token"].as_i64();
        let shown = brief["session"]["session_id"].as_i64();
        let action = brief["next_action"]["action"].as_str().unwrap().to_owned();
        (action, todo["todo_id"].as_i64(), token, shown)
    };
    let resume = "resume".to_owned();
    assert_eq!(next("").await, ("none".to_owned(), None, None, Some(2)));
    assert_eq!(next("?session_id=1").await, (resume.clone(), Some(1), Some(1), Some(1)));
    assert_eq!(next("?session_id=2").await, (resume.clone(), Some(2), Some(1), Some(2)));
    // The first worker ends before it is done. Its claim is left to the next one.
    app.patch("/sessions/1", &json!({ "status": "ended" })).await.expect(200);
    app.post("/sessions", &json!({})).await.expect(201);
    assert_eq!(next("?session_id=3").await, (resume.clone(), Some(1), Some(1), Some(1)));
    app.patch("/todos/1", &json!({ "status": "done", "claim_token": 1 })).await.expect(200);
    assert_eq!(next("?session_id=3").await, ("none".to_owned(), None, None, Some(1)));
    assert_eq!(app.get("/brief?session_id=3").await.expect(200)["has_work"], true);
    for missing in ["4", "1&actor_id=2"] {
        let answer = app.get(&format!("/brief?session_id={missing}")).await;
        assert_eq!(answer.status, 404, "{missing}: {}", answer.text);
    }
}

async fn what_is_left_out_is_found_by_its_request(database: TestDatabase) {
    let app = TestApp::start(database, 1_000).await;
    app.post("/sessions", &json!({ "notes": "Working" })).await.expect(201);
    app.patch("/sessions/1", &json!({ "status": "ended" })).await.expect(200);
    let text = "A description that takes some of the room";
    for place in 0..36 {
        let due_at = (place % 2 == 0).then_some("2026-04-01");
        let todo =
            json!({ "title": format!("Todo {place}"), "description": text, "due_at": due_at });
        app.post("/todos", &todo).await.expect(201);
    }
    for _ in 0..8 {
        app.post("/todos/claim", &json!({ "lease_seconds": 60 })).await.expect(200);
    }
    app.context.clock.advance_seconds(600);
    for _ in 0..8 {
        app.post("/todos/claim", &json!({ "min_priority": 0 })).await.expect(200);
    }
    for session in 2..12 {
        app.post("/sessions", &json!({})).await.expect(201);
        let label = if session % 2 == 0 { "question" } else { "blocked" };
        log(&app, label, Some(session)).await;
    }
    for actor in ["", "&actor_id=1", "&actor_id=all"] {
        let brief = app.get(&format!("/brief?max_tokens=500{actor}")).await;
        assert!(brief.text.len() <= 2_000, "{}", brief.text.len());
        let brief = brief.expect(200);
        let omitted = brief["omitted"].as_array().unwrap();
        let shown = |list: &str| brief[list].as_array().unwrap().len();
        let left_out = |lists: &[&str]| -> usize {
            let of_lists =
                omitted.iter().filter(|one| lists.contains(&one["what"].as_str().unwrap()));
            of_lists.map(|one| usize::try_from(one["count"].as_u64().unwrap()).unwrap()).sum()
        };
        for one in omitted {
            let request = one["request"].as_str().unwrap();
            let path = request.strip_prefix("GET /api/v1").unwrap();
            let answer = app.get(path).await;
            assert_eq!(answer.status, 200, "{request}: {}", answer.text);
            let (found, here) = match one["what"].as_str().unwrap() {
                "in_progress" | "left_behind" => {
                    let lists = ["in_progress", "left_behind"];
                    (
                        total(&answer.json()),
                        lists.map(shown).iter().sum::<usize>() + left_out(&lists),
                    )
                }
                "overdue" | "next" => {
                    let lists = ["overdue", "next"];
                    (
                        total(&answer.json()),
                        lists.map(shown).iter().sum::<usize>() + left_out(&lists),
                    )
                }
                "activities" => {
                    (total(&answer.json()), shown("activities") + left_out(&["activities"]))
                }
                "waiting" => {
                    let count = usize::try_from(one["count"].as_u64().unwrap()).unwrap();
                    let label = request.split("type=").nth(1).unwrap();
                    let label = label.split('&').next().unwrap();
                    let here = brief["waiting"].as_array().unwrap().iter();
                    let here = here.filter(|entry| entry["activity_type"] == label).count();
                    (total(&answer.json()), here + count)
                }
                "status_changes" => {
                    let steps = answer.text.lines().filter(|line| line.contains(r#""old_status""#));
                    (steps.count(), shown("status_changes") + left_out(&["status_changes"]))
                }
                "session" => (1, 1),
                other => unreachable!("{other}"),
            };
            assert_eq!(found, here, "{request}");
        }
        for list in ["next", "activities", "status_changes"] {
            assert!(left_out(&[list]) > 0, "{list} of {omitted:?}");
        }
    }
}

fn total(page: &Value) -> usize {
    usize::try_from(page["total"].as_u64().unwrap()).unwrap()
}

async fn texts_are_shortened_and_named_and_the_rows_keep_them(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let notes = "A long note. ".repeat(5_000);
    app.post("/sessions", &json!({ "notes": notes })).await.expect(201);
    let description = "\u{1}\"👩‍👩‍👧 ".repeat(2_000);
    app.post("/todos", &json!({ "title": "Read", "description": description })).await.expect(201);
    for max_tokens in [500, 2_000, 8_000] {
        let answer = app.get(&format!("/brief?max_tokens={max_tokens}")).await;
        assert!(answer.text.len() <= 4 * max_tokens, "{}", answer.text.len());
        let brief = answer.expect(200);
        assert_eq!(brief["cut"], json!(["/session/notes", "/next/0/description"]));
        for (pointer, whole) in [("/session/notes", &notes), ("/next/0/description", &description)]
        {
            let shown = brief.pointer(pointer).unwrap().as_str().unwrap();
            assert!(whole.starts_with(shown.strip_suffix('…').unwrap()), "{pointer}");
        }
    }
    assert_eq!(app.get("/todos/1").await.expect(200)["description"], json!(description));
}

async fn a_stale_note_hides_no_work_from_an_empty_list_on(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let empty = app.get("/brief").await.expect(200);
    assert_eq!((&empty["session"], &empty["since"]), (&Value::Null, &Value::Null));
    assert_eq!(
        (&empty["has_work"], &empty["next_action"]),
        (&json!(false), &json!({"action": "none"}))
    );
    app.post("/sessions", &json!({ "notes": "Nothing is pending." })).await.expect(201);
    app.post("/todos", &json!({ "title": "Still to do" })).await.expect(201);
    let brief = app.get("/brief").await.expect(200);
    assert_eq!(brief["session"]["notes"], "Nothing is pending.");
    assert_eq!(brief["session"]["last_active_at"], app.context.clock_in(0));
    assert_eq!(brief["has_work"], true);
    assert_eq!(brief["next_action"]["todo"]["title"], "Still to do");
}

async fn an_owner_reads_the_brief_of_a_member_and_of_all(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let owner = app.context.admit(&app.credentials).await;
    let key = add_member(&app.database, &owner, 2).await;
    app.post("/todos", &json!({ "title": "of the owner" })).await.expect(201);
    let todo = json!({ "title": "of the member", "priority": 3, "actor_id": 2 });
    app.post("/todos", &todo).await.expect(201);
    for (query, expected) in
        [("", vec![1]), ("?actor_id=2", vec![2]), ("?actor_id=all", vec![2, 1])]
    {
        let brief = app.get(&format!("/brief{query}")).await.expect(200);
        assert_eq!(ids(&brief, "next"), expected, "{query}");
    }
    let by_member = async |query: &str| {
        let request = app.unauthenticated(Method::GET, &format!("/api/v1/brief{query}"));
        send(request.header("X-API-Key", key.expose_secret())).await
    };
    assert_eq!(ids(&by_member("").await.expect(200), "next"), [2]);
    assert_eq!(by_member("?actor_id=all").await.status, 403);
}

async fn a_suspended_account_reads_its_brief(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    app.database
        .execute("UPDATE accounts SET status = 'suspended', auth_epoch = auth_epoch + 1")
        .await;
    app.get("/brief").await.expect(200);
}
