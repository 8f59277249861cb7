//! What pages tell the script by which they stay up to date.

use reqwest::Method;
use roots_domain::model::time::Timestamp;
use roots_domain::port::clock::Clock;
use roots_testkit::app::{TestApp, send};
use roots_testkit::browser::Browser;
use roots_testkit::database::TestDatabase;
use serde_json::json;

roots_testkit::on_both! {
    pages_of_todos_say_when_one_becomes_overdue,
    the_page_of_access_says_when_the_next_key_or_sign_in_ends,
    the_pages_of_sessions_say_what_is_quiet_and_when_the_next_becomes_so,
    a_page_that_answers_a_form_is_not_live_and_leads_to_no_theme,
    a_fold_keeps_its_name_when_an_entry_joins_it,
    what_needs_a_person_is_told_without_ages,
}

async fn page(browser: &mut Browser, path: &str) -> String {
    let answer = browser.get(path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    answer.text
}

/// The value of an attribute.
fn read<'a>(page: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = page.split_once(&format!(" {name}=\""))?;
    rest.split('"').next()
}

/// The time until the page's next rule flips, in milliseconds.
fn next_change(page: &str) -> Option<i64> {
    let millis = |name| read(page, name).map(|text| text.parse::<i64>().unwrap());
    Some(millis("data-next-change")? - millis("data-now")?)
}

async fn pages_of_todos_say_when_one_becomes_overdue(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let due_at = Timestamp::from_micros(app.context.clock.now().micros() + 5_500_000).to_string();
    let todo = json!({ "title": "Soon late", "due_at": due_at });
    app.post("/todos", &todo).await.expect(201);
    let mut browser = Browser::signed_in(&app).await;
    let pages = ["/todos", "/todos/1", "/"];
    for (second, flips_in) in [(0, Some(5_501)), (5, Some(501)), (6, None)] {
        for path in pages {
            let shown = page(&mut browser, path).await;
            // A due date is past a microsecond later: the page asks in the next millisecond.
            let next = next_change(&shown).filter(|next| *next < 60_000);
            assert_eq!(next, flips_in, "{path} after {second} s");
            let is_overdue = shown.to_lowercase().contains("overdue 0 min");
            assert_eq!(is_overdue, flips_in.is_none(), "{path} after {second} s: {shown}");
        }
        app.context.clock.advance_seconds(if second == 0 { 5 } else { 1 });
    }
    app.patch("/todos/1", &json!({ "status": "done" })).await.expect(200);
    for path in &pages[..2] {
        let done = page(&mut browser, path).await;
        assert_eq!(next_change(&done), None, "{path}");
        assert!(!done.contains("overdue 0 min"), "{path}: {done}");
    }
}

async fn the_page_of_access_says_when_the_next_key_or_sign_in_ends(database: TestDatabase) {
    const HOUR: i64 = 3_600;
    let app = TestApp::start(database, 10).await;
    let mut browser = Browser::signed_in(&app).await;
    // The sign-in ends 12 hours after its last use.
    let next = next_change(&page(&mut browser, "/access").await);
    assert_eq!(next, Some(12 * HOUR * 1_000));
    let key = json!({ "actor_id": 1, "expires_at": app.context.clock_in(10 * HOUR) });
    let made = app.post("/keys", &key).await.expect(201);
    let next = next_change(&page(&mut browser, "/access").await);
    assert_eq!(next, Some(10 * HOUR * 1_000));
    // Once it is rotated and its successor is used, it ends after its grace.
    let key = made["api_key"].as_str().unwrap();
    let grace = json!({ "grace_seconds": 7_200 });
    let rotate = app.unauthenticated(Method::POST, "/api/v1/keys/rotate").header("X-API-Key", key);
    let rotated = send(rotate.json(&grace)).await.expect(201);
    let next_key = rotated["api_key"].as_str().unwrap();
    let used = app.unauthenticated(Method::GET, "/api/v1/whoami").header("X-API-Key", next_key);
    send(used).await.expect(200);
    let access = page(&mut browser, "/access").await;
    assert_eq!(next_change(&access), Some(2 * HOUR * 1_000), "{access}");
}

async fn the_pages_of_sessions_say_what_is_quiet_and_when_the_next_becomes_so(
    database: TestDatabase,
) {
    let app = TestApp::start(database, 10).await;
    app.post("/sessions", &json!({})).await.expect(201);
    // It is called quiet 31 minutes after its last write.
    app.context.clock.advance_seconds(31 * 60 - 20);
    let mut browser = Browser::signed_in(&app).await;
    let paths = ["/sessions", "/sessions?until=2026-01-01", "/sessions/1"];
    let quiet = "active, quiet</span>";
    for path in paths {
        let before = page(&mut browser, path).await;
        let shows = path != paths[1];
        assert_eq!(next_change(&before), shows.then_some(20_000), "{path}");
        assert!(!before.contains(quiet), "{before}");
    }
    app.context.clock.advance_seconds(20);
    for path in [paths[0], paths[2]] {
        let after = page(&mut browser, path).await;
        assert_eq!(next_change(&after), None, "{path}");
        assert!(after.contains(quiet), "{after}");
    }
    app.patch("/sessions/1", &json!({ "status": "ended" })).await.expect(200);
    assert!(!page(&mut browser, "/sessions/1").await.contains(quiet));
}

async fn a_page_that_answers_a_form_is_not_live_and_leads_to_no_theme(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let mut browser = Browser::signed_in(&app).await;
    let is_live = |page: &str| {
        let signs = ["id=\"live\"", "data-version=\"", "action=\"/theme\""];
        let found = signs.map(|sign| page.contains(sign));
        assert!(found[0] == found[1] && found[1] == found[2], "{found:?}: {page}");
        found[0]
    };
    let access = page(&mut browser, "/access").await;
    assert!(is_live(&access));
    let key = [("api_key", app.key())];
    let made = browser.submit(&access, "/access/keys", &key).await;
    assert!(made.text.contains("id=\"api-key\"") && !is_live(&made.text));
    let code = browser.submit(&access, "/access/recovery-code", &key).await;
    assert!(code.text.contains("id=\"code\"") && !is_live(&code.text));
    let refused = browser.submit(&access, "/access/keys", &[("api_key", "none")]).await;
    assert_eq!((refused.status, is_live(&refused.text)), (422, false));

    app.post("/todos", &json!({ "title": "One" })).await.expect(201);
    let board = page(&mut browser, "/todos").await;
    assert!(is_live(&board));
    app.patch("/todos/1", &json!({ "title": "Another" })).await.expect(200);
    let step = [("status", "done")];
    let stale = browser.submit(&board, "/todos/1/status", &step).await;
    assert_eq!((stale.status, is_live(&stale.text)), (412, false));
}

async fn a_fold_keeps_its_name_when_an_entry_joins_it(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    app.post("/sessions", &json!({})).await.expect(201);
    let log = async |second: i64| {
        let logged_at = format!("2026-04-01T12:0{}:{:02}Z", second / 60, second % 60);
        let entry = json!({ "description": "x", "session_id": 1, "logged_at": logged_at });
        app.post("/activities", &entry).await.expect(201);
    };
    log(1).await;
    log(2).await;
    let mut browser = Browser::signed_in(&app).await;
    let name = |page: &str| {
        let (_, rest) = page.split_once("<details class=\"fold\" id=\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let before = page(&mut browser, "/activity").await;
    assert!(before.contains("and 1 more of session 1"), "{before}");
    log(590).await;
    let after = page(&mut browser, "/activity").await;
    assert!(after.contains("and 2 more of session 1"), "{after}");
    assert_eq!(name(&before), name(&after));
    assert_eq!(name(&after), name(&page(&mut browser, "/").await));
}

async fn what_needs_a_person_is_told_without_ages(database: TestDatabase) {
    let app = TestApp::start(database, 1_000).await;
    app.post("/sessions", &json!({})).await.expect(201);
    let question = json!({ "description": "Which?", "activity_type": "question", "session_id": 1 });
    app.post("/activities", &question).await.expect(201);
    let mut browser = Browser::signed_in(&app).await;
    for _ in 0..2 {
        assert_eq!(read(&page(&mut browser, "/").await, "data-told"), Some("Asks: session 1"));
        app.context.clock.advance_seconds(600);
    }
}
