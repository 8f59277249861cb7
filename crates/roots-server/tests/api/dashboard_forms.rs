//! Forms of pages: what is refused, what somebody else has changed, and what is sent again.

use reqwest::Method;
use reqwest::header::ORIGIN;
use roots_domain::model::account::AccountKind;
use roots_http_core::auth::client_ip::TrustedProxy;
use roots_testkit::app::{ApiResponse, TestApp, send};
use roots_testkit::browser::{Browser, hidden};
use roots_testkit::database::TestDatabase;
use roots_testkit::members::add_member;
use roots_testkit::on_both;
use secrecy::ExposeSecret;
use serde_json::json;
use tokio::task::JoinSet;

on_both! {
    a_stale_deletion_shows_the_todo_as_it_is_and_is_sent_anew,
    a_stale_end_and_stale_notes_of_a_session_show_both_states,
    notes_with_a_fault_keep_the_state_that_was_shown,
    a_step_with_too_long_a_note_shows_the_note_again_with_its_fault,
    a_forbidden_step_shows_the_form_again_with_the_steps_that_are_allowed,
    a_wrong_key_is_a_fault_of_its_field,
    a_form_that_was_edited_is_another_request_and_a_double_click_is_one,
    an_edit_that_is_sent_twice_is_done_once_and_told_as_done,
    what_changes_a_row_without_the_state_that_was_shown_is_400,
    what_can_not_succeed_leads_back_and_is_not_sent_again,
    pages_of_errors_have_the_frame_and_the_way_out,
    forms_of_a_suspended_account_say_so_beforehand,
    a_todo_says_who_holds_it_and_until_when,
    the_cookie_of_the_theme_is_secure_over_https,
    every_form_says_to_whom_it_was_shown,
    a_form_that_was_shown_to_somebody_else_does_nothing_and_loses_nothing_typed,
    a_form_that_is_sent_twice_at_once_is_done_once_and_both_are_answered_alike,
    of_a_key_that_is_asked_for_twice_at_once_the_second_answer_says_that_it_was_made,
}

const AGAIN: &str = "Try again";

#[track_caller]
fn assert_shows(page: &ApiResponse, status: u16, shown: &[&str]) {
    assert_eq!(page.status, status, "{}", page.text);
    for part in shown {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
}

async fn a_stale_deletion_shows_the_todo_as_it_is_and_is_sent_anew(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    app.post("/todos", &json!({ "title": "Old" })).await.expect(201);
    let mut browser = Browser::signed_in(&app).await;
    let page = browser.get("/todos/1").await.text;
    let change = json!({ "title": "Theirs", "description": "Needed", "status": "in_progress" });
    app.patch("/todos/1", &change).await.expect(200);

    let told = browser.submit(&page, "/todos/1/delete", &[]).await;
    let both =
        ["Todo 1 has changed", "Theirs", "Needed", "In progress", "Deleted, with its history"];
    assert_shows(&told, 412, &both);
    assert_shows(&told, 412, &[r#"<a class="button" href="/todos/1">Keep theirs</a>"#]);
    assert!(!told.text.contains(AGAIN), "{}", told.text);
    assert_eq!(app.get("/todos/1").await.expect(200)["title"], "Theirs");
    assert_eq!(app.get("/credits").await.expect(200)["balance"], 8);

    let deleted = browser.submit(&told.text, "/todos/1/delete", &[]).await;
    assert_eq!((deleted.status, deleted.header("location")), (303, Some("/todos")));
    app.get("/todos/1").await.expect(404);
    // What is gone can't be deleted again: the page leads to the list.
    let gone = browser.submit(&page, "/todos/1/delete", &[]).await;
    assert_shows(&gone, 404, &[r#"href="/todos">To what is left"#]);
    assert!(!gone.text.contains(AGAIN), "{}", gone.text);
}

async fn a_stale_end_and_stale_notes_of_a_session_show_both_states(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    app.post("/sessions", &json!({ "notes": "First" })).await.expect(201);
    let mut browser = Browser::signed_in(&app).await;
    let page = browser.get("/sessions/1").await.text;
    app.patch("/sessions/1", &json!({ "notes": "Theirs" })).await.expect(200);

    let told = browser.submit(&page, "/sessions/1/end", &[]).await;
    assert_shows(&told, 412, &["active", "ended", "Theirs", "End it anyway", "Keep theirs"]);
    let told = browser.submit(&page, "/sessions/1/notes", &[("notes", "Mine")]).await;
    assert_shows(&told, 412, &["Theirs", "Mine", "Use mine", "Keep theirs"]);
    let used = browser.submit(&told.text, "/sessions/1/notes", &[]).await;
    assert_eq!(used.status, 303, "{}", used.text);
    assert_eq!(app.get("/sessions/1").await.expect(200)["notes"], "Mine");
    // It has ended meanwhile, so it can't be ended again.
    let page = browser.get("/sessions/1").await.text;
    app.patch("/sessions/1", &json!({ "status": "ended" })).await.expect(200);
    let told = browser.submit(&page, "/sessions/1/end", &[]).await;
    assert_shows(&told, 412, &["Keep theirs"]);
    assert!(!told.text.contains("End it anyway") && !told.text.contains(AGAIN), "{}", told.text);
}

async fn notes_with_a_fault_keep_the_state_that_was_shown(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    app.post("/sessions", &json!({ "notes": "First" })).await.expect(201);
    let mut browser = Browser::signed_in(&app).await;
    let page = browser.get("/sessions/1").await.text;
    app.patch("/sessions/1", &json!({ "notes": "Theirs" })).await.expect(200);
    let long = "x".repeat(65_537);
    let again = browser.submit(&page, "/sessions/1/notes", &[("notes", &long)]).await;
    assert_shows(&again, 422, &[r#"id="fault-notes""#, &long]);
    // The person has not seen the notes of the other one, so they are not overwritten.
    let told = browser.submit(&again.text, "/sessions/1/notes", &[("notes", "Mine")]).await;
    assert_shows(&told, 412, &["Theirs", "Mine"]);
    assert_eq!(app.get("/sessions/1").await.expect(200)["notes"], "Theirs");
}

async fn a_step_with_too_long_a_note_shows_the_note_again_with_its_fault(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    app.post("/todos", &json!({ "title": "x" })).await.expect(201);
    let mut browser = Browser::signed_in(&app).await;
    let board = browser.get("/todos").await.text;
    assert!(!board.contains("maxlength=\"8192\""), "it would count characters, the rule bytes");
    // 4,500 characters, but 9,000 bytes.
    let note = "\u{e9}".repeat(4_500);
    let fields = [("status", "done"), ("note", note.as_str())];
    let again = browser.submit(&board, "/todos/1/status", &fields).await;
    let area = format!("aria-describedby=\"fault-note\">\n{note}</textarea>");
    assert_shows(&again, 422, &[r#"<p class="fault" id="fault-note">This "#, &area]);
    assert!(!again.text.contains(AGAIN), "{}", again.text);
    let fields = [("status", "done"), ("note", "Shorter")];
    let moved = browser.submit(&again.text, "/todos/1/status", &fields).await;
    assert_eq!((moved.status, moved.header("location")), (303, Some("/todos")), "{}", moved.text);
    let log = app.get("/todos/1/logs").await.expect(200);
    assert!(log.to_string().contains("Shorter"), "{log}");
}

async fn a_forbidden_step_shows_the_form_again_with_the_steps_that_are_allowed(
    database: TestDatabase,
) {
    let app = TestApp::start(database, 10).await;
    app.post("/todos", &json!({ "title": "x" })).await.expect(201);
    app.patch("/todos/1", &json!({ "status": "done" })).await.expect(200);
    let mut browser = Browser::signed_in(&app).await;
    let board = browser.get("/todos").await.text;
    let fields = [("status", "cancelled"), ("note", "Kept & shown")];
    let refused = browser.submit(&board, "/todos/1/status", &fields).await;
    assert_shows(&refused, 409, &[r#"role="alert""#, "Kept &amp; shown</textarea>", "Done"]);
    assert!(refused.text.contains(r#"value="open""#) && !refused.text.contains(AGAIN));
    let moved = browser.submit(&refused.text, "/todos/1/status", &[("status", "open")]).await;
    assert_eq!(moved.status, 303, "{}", moved.text);
}

async fn a_wrong_key_is_a_fault_of_its_field(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let mut browser = Browser::signed_in(&app).await;
    let page = browser.get("/access").await.text;
    for (action, id) in [
        ("/access/keys", "new-key-own"),
        ("/access/keys/rotate", "rotate-own"),
        ("/access/keys/1/revoke", "revoke-key-1"),
        ("/access/recovery-code", "code-own"),
    ] {
        let again = browser.submit(&page, action, &[("api_key", "roots_1_wrong")]).await;
        let said = r#"id="fault-api_key">This must be a valid API key of yours."#;
        assert_shows(&again, 422, &[said, &format!("id=\"{id}\"")]);
        let (_, input) = again.text.split_once(&format!("id=\"{id}\"")).unwrap();
        let (input, _) = input.split_once('>').unwrap();
        assert!(input.contains(r#"aria-describedby="fault-api_key""#), "{action}: {input}");
        assert!(!again.text.contains("roots_1_wrong") && !again.text.contains(AGAIN), "{action}");
        // The form works.
        if action == "/access/recovery-code" {
            let made = browser.submit(&again.text, action, &[("api_key", app.key())]).await;
            assert_shows(&made, 200, &[r#"<code id="code">"#]);
        }
    }
}

async fn a_form_that_was_edited_is_another_request_and_a_double_click_is_one(
    database: TestDatabase,
) {
    let app = TestApp::start(database, 10).await;
    let mut browser = Browser::signed_in(&app).await;
    let form = browser.get("/todos/new").await.text;
    // Sent, back, edited, sent: both are meant.
    for (title, total) in [("One", 1), ("One", 1), ("Two", 2), ("Two", 2), ("One", 2)] {
        let made = browser.submit(&form, "/todos", &[("title", title)]).await;
        assert_eq!(made.status, 303, "{}", made.text);
        assert_eq!(app.get("/todos").await.expect(200)["total"], total, "{title}");
    }
    assert_eq!(app.get("/credits").await.expect(200)["balance"], 8);
    // An edit that is sent, edited and sent again is told that the todo has changed, by itself.
    let form = browser.get("/todos/1/edit").await.text;
    let first = browser.submit(&form, "/todos/1", &[("title", "A"), ("priority", "0")]).await;
    assert_eq!(first.status, 303, "{}", first.text);
    let second = browser.submit(&form, "/todos/1", &[("title", "B"), ("priority", "0")]).await;
    assert_shows(&second, 412, &["Use mine"]);
}

async fn an_edit_that_is_sent_twice_is_done_once_and_told_as_done(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    app.post("/todos", &json!({ "title": "Old", "priority": 1 })).await.expect(201);
    let mut browser = Browser::signed_in(&app).await;
    let page = browser.get("/todos/1/edit").await.text;
    let edit = [("title", "New"), ("priority", "1")];
    for _ in 0..2 {
        let sent = browser.submit(&page, "/todos/1", &edit).await;
        assert_eq!(
            (sent.status, sent.header("location")),
            (303, Some("/todos/1")),
            "{}",
            sent.text
        );
    }
    // Also when somebody has changed it between the two.
    app.patch("/todos/1", &json!({ "title": "Newer" })).await.expect(200);
    let sent = browser.submit(&page, "/todos/1", &edit).await;
    assert_eq!(sent.status, 303, "{}", sent.text);
    assert_eq!(app.get("/todos/1").await.expect(200)["title"], "Newer");
    assert_eq!(app.get("/credits").await.expect(200)["balance"], 7);
}

async fn what_changes_a_row_without_the_state_that_was_shown_is_400(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    app.post("/todos", &json!({ "title": "x" })).await.expect(201);
    app.post("/sessions", &json!({ "notes": "x" })).await.expect(201);
    let mut browser = Browser::signed_in(&app).await;
    let page = browser.get("/todos/1").await.text;
    let fields = hidden(&page, "/todos/1/status");
    let (_, etag) = fields.iter().find(|(name, _)| name == "etag").unwrap();
    for etag in [None, Some("x"), Some("")] {
        for (path, name, value) in [
            ("/todos/1/status", "status", "done"),
            ("/todos/1/delete", "x", "x"),
            ("/todos/1", "title", "Other"),
            ("/sessions/1/end", "x", "x"),
            ("/sessions/1/notes", "notes", "Other"),
        ] {
            let mut sent = vec![("idempotency_key", "k"), (name, value)];
            sent.extend(etag.map(|etag| ("etag", etag)));
            let refused = browser.post(path, &sent).await;
            assert_shows(&refused, 400, &["open the page again", "Open the page again"]);
            assert!(!refused.text.contains(AGAIN), "{path}");
        }
    }
    let todo = app.get("/todos/1").await.expect(200);
    assert_eq!((&todo["status"], &todo["title"]), (&json!("open"), &json!("x")));
    let session = app.get("/sessions/1").await.expect(200);
    assert_eq!((&session["status"], &session["notes"]), (&json!("active"), &json!("x")));
    // With it, but without a key, neither.
    let sent =
        [("shown_to", "1-1"), ("etag", etag.as_str()), ("status", "done"), ("back", "/todos")];
    assert_eq!(browser.post("/todos/1/status", &sent).await.status, 400);
    let sent = [sent.as_slice(), &[("idempotency_key", "k")]].concat();
    assert_eq!(browser.post("/todos/1/status", &sent).await.status, 303);
}

async fn what_can_not_succeed_leads_back_and_is_not_sent_again(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    app.post("/todos", &json!({ "title": "x" })).await.expect(201);
    let mut browser = Browser::signed_in(&app).await;
    let page = browser.get("/todos/1").await.text;
    app.delete("/todos/1").await.expect(200);
    let fields = [("status", "done"), ("note", "What I <did>")];
    let gone = browser.submit(&page, "/todos/1/status", &fields).await;
    // What was typed can be copied.
    assert_shows(
        &gone,
        404,
        &["What I &lt;did&gt;</textarea>", r#"href="/todos">To what is left"#],
    );
    assert!(!gone.text.contains(AGAIN), "{}", gone.text);
    // What may succeed later can be sent again.
    let form = browser.get("/todos/new").await.text;
    let cookies = std::mem::take(&mut browser.cookies);
    let out = browser.submit(&form, "/todos", &[("title", "Kept")]).await;
    assert_shows(&out, 401, &[AGAIN]);
    browser.cookies = cookies;
    let made = browser.submit(&out.text, "/todos", &[]).await;
    assert_eq!(made.status, 303, "{}", made.text);
}

async fn pages_of_errors_have_the_frame_and_the_way_out(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let mut browser = Browser::signed_in(&app).await;
    let out = r#"action="/sign-out""#;
    let frame = [r#"<nav class="side""#, out, r#"href="/credits""#];
    assert_shows(&browser.get("/todos/99").await, 404, &frame);
    assert_shows(
        &browser.get("/todos/99").await,
        404,
        &[r#"href="/todos" data-go="t" aria-current"#],
    );
    assert_shows(&browser.get("/todos?x=1").await, 400, &frame);
    assert_shows(&browser.get("/accounts").await, 403, &frame);
    let form = browser.post("/todos/99/delete", &[("idempotency_key", "k")]).await;
    assert_shows(&form, 400, &frame);
    assert!(
        !form.text.contains("id=\"live\"") && !form.text.contains("data-now"),
        "it is not live"
    );
    // Nobody is looked up for a path that does not exist, nor for a form of another site.
    let unknown = browser.request(Method::GET, "/todo").header("accept", "text/html,*/*");
    let unknown = send(unknown).await;
    assert_shows(&unknown, 404, &[out]);
    assert!(!unknown.text.contains("<nav"), "{}", unknown.text);
    let foreign = browser.request(Method::POST, "/theme").header(ORIGIN, "https://evil.example");
    assert_shows(&send(foreign).await, 403, &[out]);
    // Without a sign-in there is nothing to sign out of.
    let mut other = Browser::new(&app);
    let refused = other.post("/todos", &[("title", "x")]).await;
    assert_eq!(refused.status, 401);
    assert!(!refused.text.contains(out) && !refused.text.contains("<nav"), "{}", refused.text);
}

async fn forms_of_a_suspended_account_say_so_beforehand(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    app.post("/todos", &json!({ "title": "x" })).await.expect(201);
    app.post("/sessions", &json!({})).await.expect(201);
    let mut browser = Browser::signed_in(&app).await;
    for path in ["/todos", "/todos/1", "/sessions/1", "/access"] {
        assert!(!browser.get(path).await.text.contains("suspended"), "{path}");
    }
    let suspend = "UPDATE accounts SET status = 'suspended', auth_epoch = auth_epoch + 1";
    app.database.execute(suspend).await;
    for path in ["/todos", "/todos/1", "/sessions/1", "/access"] {
        assert_shows(&browser.get(path).await, 200, &["The account is suspended."]);
    }
    for path in ["/todos/new", "/todos/1/edit", "/todos/1", "/sessions/1"] {
        let page = browser.get(path).await;
        assert_shows(&page, 200, &["The account is suspended, so this will be refused."]);
    }
    let form = browser.get("/todos/new").await.text;
    let refused = browser.submit(&form, "/todos", &[("title", "Kept")]).await;
    assert_shows(&refused, 403, &[r#"value="Kept""#]);
}

async fn a_todo_says_who_holds_it_and_until_when(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    app.post("/todos", &json!({ "title": "x" })).await.expect(201);
    app.post("/sessions", &json!({})).await.expect(201);
    let mut browser = Browser::signed_in(&app).await;
    assert!(!browser.get("/todos/1").await.text.contains("Claim"));
    app.post("/todos/claim", &json!({ "session_id": 1, "lease_seconds": 600 })).await.expect(200);
    let page = browser.get("/todos/1").await;
    let held = ["<dt>Claimed</dt>", r#"by <a href="/sessions/1">session 1</a>"#];
    assert_shows(&page, 200, &held);
    assert_shows(&page, 200, &["<dt>Claim ends</dt>", ">in 11 min</time> without another write"]);
    assert!(page.text.contains("data-next-change"), "the page knows when it lapses");
    app.context.clock.advance_seconds(700);
    let page = browser.get("/todos/1").await;
    assert_shows(&page, 200, &["lapsed</span>"]);
}

async fn the_cookie_of_the_theme_is_secure_over_https(database: TestDatabase) {
    let app = TestApp::start_with(database, 10, |settings| {
        settings.trusted_proxies = vec![TrustedProxy::parse("127.0.0.1").unwrap()];
    })
    .await;
    let browser = Browser::new(&app);
    for (proto, is_secure) in [("https", true), ("http", false)] {
        let request = browser.request(Method::POST, "/theme").header(ORIGIN, &app.address);
        let form = "application/x-www-form-urlencoded";
        let request = request.header("content-type", form).body("theme=dark");
        let set = send(request.header("x-forwarded-proto", proto)).await;
        let cookie = set.header("set-cookie").unwrap();
        assert!(cookie.starts_with("roots-theme=dark;"), "{cookie}");
        assert_eq!(cookie.contains("; Secure"), is_secure, "{cookie}");
    }
}

async fn every_form_says_to_whom_it_was_shown(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let operator = app.by(app.context.found_of(AccountKind::Operator, 10).await);
    operator.post("/todos", &json!({ "title": "x" })).await.expect(201);
    operator.post("/sessions", &json!({ "notes": "x" })).await.expect(201);
    let mut browser = Browser::new(&app);
    browser.sign_in(operator.key()).await;
    let mut seen = 0;
    for path in [
        "/",
        "/sessions",
        "/sessions/1",
        "/todos",
        "/todos/new",
        "/todos/1",
        "/todos/1/edit",
        "/activity",
        "/agents",
        "/agents/1",
        "/credits",
        "/access",
        "/access/audit",
        "/accounts",
        "/accounts/1",
    ] {
        let page = browser.get(path).await;
        assert_shows(&page, 200, &[]);
        let is_open = |form: &&str| {
            form.contains(r#"action="/sign-out""#) || form.contains(r#"action="/theme""#)
        };
        let forms = page.text.split("<form").skip(1).map(|form| form.split("</form>").next());
        for form in forms.map(Option::unwrap).filter(|form| form.contains(r#"method="post""#)) {
            let names = r#"<input type="hidden" name="shown_to" value="2-1">"#;
            assert!(form.contains(names) != is_open(&form), "{path}: {form}");
            seen += usize::from(!is_open(&form));
        }
    }
    assert!(seen >= 15, "{seen} forms were seen");
}

async fn a_form_that_was_shown_to_somebody_else_does_nothing_and_loses_nothing_typed(
    database: TestDatabase,
) {
    let app = TestApp::start(database, 10).await;
    app.post("/todos", &json!({ "title": "Of the owner" })).await.expect(201);
    let owner = app.context.admit(&app.credentials).await;
    let member = add_member(&app.database, &owner, 2).await;
    let other = app.by(app.context.found_of(AccountKind::Customer, 10).await);
    other.post("/todos", &json!({ "title": "Of another account" })).await.expect(201);

    let mut browser = Browser::signed_in(&app).await;
    let [todo, new, access] = [
        browser.get("/todos/1").await.text,
        browser.get("/todos/new").await.text,
        browser.get("/access").await.text,
    ];
    // In another tab of the same browser.
    for key in [other.key(), member.expose_secret()] {
        assert_eq!(browser.sign_in(key).await.status, 303);
        let sent = [("title", "What I <typed>")];
        let refused = browser.submit(&new, "/todos", &sent).await;
        let said =
            ["shown to somebody else", "nothing was done", "What I &lt;typed&gt;</textarea>"];
        assert_shows(&refused, 409, &said);
        assert!(!refused.text.contains(AGAIN) && !refused.text.contains("shown to</span>"));
        for (page, action) in [
            (&todo, "/todos/1/delete"),
            (&access, "/access/sign-ins/end"),
            (&access, "/access/export"),
        ] {
            let refused = browser.submit(page, action, &[("api_key", key)]).await;
            assert_shows(&refused, 409, &["shown to somebody else"]);
            assert!(!refused.text.contains(key), "{action}");
        }
        assert_eq!(browser.get("/todos").await.status, 200, "nobody was signed out");
    }
    let refused = browser.submit(&new, "/todos", &[("title", "x")]).await;
    assert_shows(&refused, 409, &["you are now \u{2068}Member 2\u{2069}."]);
    assert_eq!(other.get("/credits").await.expect(200)["balance"], 9);
    assert_eq!(app.get("/credits").await.expect(200)["balance"], 9);
    // It is the same person after signing in again.
    browser.sign_in(app.key()).await;
    assert_eq!(browser.submit(&new, "/todos", &[("title", "x")]).await.status, 303);
    // A form that does not say it is none of ours.
    assert_shows(&browser.post("/access/sign-ins/end", &[]).await, 400, &["open the page again"]);
}

/// Sends a form six times while nothing can be written. One is being done and four wait for it, as
/// many as may: so the answer that comes first is the refusal of the sixth, and says that all have
/// arrived. Answers those of the other five.
async fn sent_at_once(
    app: &TestApp,
    browser: &Browser,
    action: &str,
    fields: &[(String, String)],
) -> Vec<ApiResponse> {
    let hold = app.database.hold(app.credentials.account).await;
    let fields: Vec<_> =
        fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut requests = JoinSet::new();
    for _ in 0..6 {
        requests.spawn(send(browser.form(action, &fields)));
    }
    let first = requests.join_next().await.unwrap().unwrap();
    assert_shows(&first, 409, &["Still in progress", AGAIN]);
    hold.release().await;
    requests.join_all().await
}

async fn a_form_that_is_sent_twice_at_once_is_done_once_and_both_are_answered_alike(
    database: TestDatabase,
) {
    let app = TestApp::start(database, 10).await;
    let mut browser = Browser::signed_in(&app).await;
    let page = browser.get("/todos/new").await.text;
    let mut fields = hidden(&page, "/todos");
    fields.push(("title".to_owned(), "x".to_owned()));
    for answer in sent_at_once(&app, &browser, "/todos", &fields).await {
        assert_eq!((answer.status, answer.header("location")), (303, Some("/todos")));
    }
    let page = browser.get("/todos/1").await.text;
    let mut fields = hidden(&page, "/todos/1/status");
    fields.push(("status".to_owned(), "in_progress".to_owned()));
    for answer in sent_at_once(&app, &browser, "/todos/1/status", &fields).await {
        assert_eq!((answer.status, answer.header("location")), (303, Some("/todos/1")));
    }
    assert_eq!(app.get("/todos").await.expect(200)["total"], 1);
    assert_eq!(app.get("/todos/1/logs").await.expect(200)["logs"].as_array().unwrap().len(), 1);
    assert_eq!(app.get("/credits").await.expect(200)["balance"], 8);
}

async fn of_a_key_that_is_asked_for_twice_at_once_the_second_answer_says_that_it_was_made(
    database: TestDatabase,
) {
    let app = TestApp::start(database, 10).await;
    let mut browser = Browser::signed_in(&app).await;
    let page = browser.get("/access").await.text;
    let mut fields = hidden(&page, "/access/keys");
    fields.push(("api_key".to_owned(), app.key().to_owned()));
    let fields: Vec<_> =
        fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let send_one = || send(browser.form("/access/keys", &fields));
    let answers = <[_; 2]>::from(tokio::join!(send_one(), send_one()));
    let (shown, told): (Vec<_>, Vec<_>) = answers.iter().partition(|it| it.status == 200);
    assert_eq!((shown.len(), told.len()), (1, 1));
    assert_shows(shown[0], 200, &[r#"<code id="api-key">"#]);
    for answer in told {
        assert_shows(answer, 409, &["was done already", "revoke that key"]);
        assert!(!answer.text.contains("<code id="), "{}", answer.text);
    }
    assert_eq!(app.get("/keys").await.expect(200)["total"], 2);
}
