//! The pages Now, Activity, Agents and Credits, of a running server.

use reqwest::Method;
use roots_testkit::app::{TestApp, send};
use roots_testkit::browser::Browser;
use roots_testkit::database::TestDatabase;
use roots_testkit::members::add_member;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

roots_testkit::on_both! {
    an_empty_account_is_taught_the_first_request,
    now_tells_what_is_stuck_however_old_it_is,
    a_first_visit_of_an_account_with_four_agents_stays_small,
    the_page_says_when_its_next_rule_flips,
    activities_are_filtered_searched_and_downloaded,
    agents_and_credits_have_pages,
    a_member_sees_only_its_own_rows,
}

async fn page(browser: &mut Browser, path: &str) -> String {
    let answer = browser.get(path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    answer.text
}

/// Asserts that a page shows all of these.
fn assert_shows(page: &str, shown: &[&str]) {
    for text in shown {
        assert!(page.contains(text), "{text}: {page}");
    }
}

async fn log(app: &TestApp, activity_type: &str, session: i64, description: &str) {
    let activity = json!({
        "activity_type": activity_type, "description": description, "session_id": session
    });
    app.post("/activities", &activity).await.expect(201);
}

async fn an_empty_account_is_taught_the_first_request(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let mut browser = Browser::signed_in(&app).await;
    let curl = format!("curl {}/api/v1/sessions", app.address);
    assert_shows(&page(&mut browser, "/").await, &["Nothing here yet", &curl, "YOUR_API_KEY"]);
    let curl = format!("curl {}/api/v1/activities", app.address);
    assert_shows(&page(&mut browser, "/activity").await, &[&curl]);
    assert_shows(&page(&mut browser, "/agents").await, &["No agent has written anything"]);
    page(&mut browser, "/credits").await;
}

async fn now_tells_what_is_stuck_however_old_it_is(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    for notes in ["quiet", "asks", "ends"] {
        app.post("/sessions", &json!({ "notes": notes })).await.expect(201);
    }
    for (title, due_at) in [("Left <b>behind", None), ("Late", Some("2026-04-01"))] {
        let todo = json!({ "title": title, "due_at": due_at });
        app.post("/todos", &todo).await.expect(201);
    }
    let claim = json!({ "todo_id": 1, "session_id": 3 });
    app.post("/todos/claim", &claim).await.expect(200);
    log(&app, "question", 2, "Which region?").await;
    app.patch("/sessions/3", &json!({ "status": "ended" })).await.expect(200);
    app.context.clock.advance_seconds(3 * 3_600);
    let mut browser = Browser::signed_in(&app).await;
    let now = page(&mut browser, "/").await;
    assert_shows(
        &now,
        &[
            "Needs you (4)",
            "Quiet 3 h",
            "Session 1",
            "Asks 3 h",
            "Which region?",
            "Left behind 3 h",
            "Left &lt;b&gt;behind",
            "Overdue",
            "Late",
            "claim lapsed",
            "At work (1 of 1)",
        ],
    );
    assert!(!now.contains("style=\""));
    // An answer ends the wait.
    log(&app, "note", 2, "The region is eu-west").await;
    let now = page(&mut browser, "/").await;
    assert_shows(&now, &["Needs you (3)", "The region is eu-west"]);
}

async fn a_first_visit_of_an_account_with_four_agents_stays_small(database: TestDatabase) {
    let app = TestApp::start(database, 1_000).await;
    let owner = app.context.admit(&app.credentials).await;
    for id in 2..=4 {
        add_member(&app.database, &owner, id).await;
    }
    for agent in 1..=4_i64 {
        let of_agent = |mut body: Value| {
            body["actor_id"] = agent.into();
            body
        };
        let session = of_agent(json!({ "notes": "A day of work" }));
        app.post("/sessions", &session).await.expect(201);
        for activity_type in ["commit", "test", "research", "note"].repeat(2) {
            let activity = of_agent(json!({
                "activity_type": activity_type,
                "description": "Split the parser from the lexer; 14 tests added",
                "session_id": agent,
            }));
            app.post("/activities", &activity).await.expect(201);
        }
        let title = "Add rate limits to the import of large files";
        app.post("/todos", &of_agent(json!({ "title": title }))).await.expect(201);
        let claim = of_agent(json!({ "session_id": agent }));
        app.post("/todos/claim", &claim).await.expect(200);
        app.post("/todos", &of_agent(json!({ "title": title }))).await.expect(201);
    }
    let mut browser = Browser::signed_in(&app).await;
    let html = page(&mut browser, "/").await;
    assert_shows(&html, &["At work (4 of 4)"]);
    let mut all = html.len();
    assert!(html.len() <= 32 * 1024, "HTML: {}", html.len());
    for (extension, most) in [(".css", 16 * 1024), (".js", 16 * 1024), (".svg", 1024)] {
        let paths = html.split('"').filter(|text| text.starts_with("/assets/"));
        let path = paths.clone().find(|path| path.ends_with(extension)).unwrap();
        let asset = send(browser.request(Method::GET, path)).await;
        assert!(asset.text.len() <= most, "{path}: {}", asset.text.len());
        all += asset.text.len();
    }
    assert!(all <= 64 * 1024, "{all}");
}

async fn the_page_says_when_its_next_rule_flips(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    app.post("/sessions", &json!({})).await.expect(201);
    // It is called quiet 31 minutes after its last write.
    app.context.clock.advance_seconds(31 * 60 - 20);
    let mut browser = Browser::signed_in(&app).await;
    let read = |page: &str, name: &str| -> i64 {
        let (_, rest) = page.split_once(&format!("{name}=\"")).unwrap();
        rest.split('"').next().unwrap().parse().unwrap()
    };
    let now = page(&mut browser, "/").await;
    assert_shows(&now, &["Nothing needs you."]);
    assert_eq!(read(&now, "data-next-change") - read(&now, "data-now"), 20_000);
    app.context.clock.advance_seconds(20);
    assert_shows(&page(&mut browser, "/").await, &["Needs you (1)", "Quiet 31 min"]);
}

async fn activities_are_filtered_searched_and_downloaded(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    app.post("/sessions", &json!({})).await.expect(201);
    log(&app, "commit", 1, "=cmd|' /C calc'!A1").await;
    log(&app, "test", 1, "Ran the suite, \"all\" passed").await;
    for count in 0..25 {
        log(&app, "note", 1, &format!("Note {count}")).await;
        app.context.clock.advance_seconds(3_600);
    }
    let mut browser = Browser::signed_in(&app).await;
    let all = page(&mut browser, "/activity").await;
    assert_shows(&all, &["27 entries", "Note 24", "Earlier"]);
    let (_, earlier) = all.split_once("class=\"earlier\" href=\"").unwrap();
    let earlier = earlier.split('"').next().unwrap().replace("&amp;", "&");
    let newest = "data-later=\"\" href=\"/activity\">Newest";
    assert!(!all.contains(newest));
    assert_shows(&page(&mut browser, &earlier).await, &["Ran the suite", newest]);
    let tests = page(&mut browser, "/activity?agent=&type=test&session=1&since=&until=&q=").await;
    assert_shows(&tests, &["1 entry", "Ran the suite"]);
    assert!(!tests.contains("Note 24"));
    let found = page(&mut browser, "/activity?q=suite").await;
    assert_shows(&found, &["Found", "Ran the suite"]);
    assert_shows(&page(&mut browser, "/activity/1").await, &["Entry 1", "=cmd"]);
    let bad = browser.get("/activity?since=yesterday").await;
    assert_eq!(bad.status, 400);
    assert!(bad.text.contains("since"));
    assert_eq!(browser.get("/activity/99").await.status, 404);

    let csv = browser.get("/activity.csv?type=commit").await;
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
    let lines: Vec<_> = csv.text.lines().collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0], "activity_id,logged_at,agent,session_id,type,description");
    assert!(lines[1].ends_with(",1,commit,'=cmd|' /C calc'!A1"), "{}", lines[1]);
    assert_eq!(browser.get("/activity.csv").await.text.lines().count(), 28);
}

async fn agents_and_credits_have_pages(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    app.post("/sessions", &json!({})).await.expect(201);
    log(&app, "commit", 1, "One").await;
    let mut browser = Browser::signed_in(&app).await;
    assert_shows(&page(&mut browser, "/agents").await, &["All agents (1)", "working"]);
    let one = page(&mut browser, "/agents/1").await;
    assert_shows(&one, &["Seven days", "1 entry", "Spent", "Keys (1)"]);
    assert_eq!(browser.get("/agents/9").await.status, 404);
    let credits = page(&mut browser, "/credits").await;
    assert_shows(&credits, &["Balance", "98", "Spent by agent", "POST /activities", "Ledger"]);
}

async fn a_member_sees_only_its_own_rows(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let owner = app.context.admit(&app.credentials).await;
    let key = add_member(&app.database, &owner, 2).await;
    app.post("/sessions", &json!({})).await.expect(201);
    log(&app, "question", 1, "Of the owner").await;
    let mut browser = Browser::new(&app);
    assert_eq!(browser.sign_in(key.expose_secret()).await.status, 303);
    let now = page(&mut browser, "/").await;
    assert!(!now.contains("Of the owner"), "{now}");
    let activity = page(&mut browser, "/activity").await;
    assert!(!activity.contains("Of the owner"), "{activity}");
    assert_eq!(browser.get("/agents/1").await.status, 404);
    page(&mut browser, "/agents/2").await;
    assert_eq!(browser.get("/?agent=1").await.status, 403);
}
