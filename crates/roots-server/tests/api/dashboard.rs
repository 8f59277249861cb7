//! The pages, by a browser without script.

use reqwest::Method;
use reqwest::header::{COOKIE, HOST, ORIGIN};
use roots_testkit::app::{TestApp, send};
use roots_testkit::browser::Browser;
use roots_testkit::database::TestDatabase;
use roots_testkit::members::add_member;
use roots_testkit::on_both;
use secrecy::ExposeSecret;
use serde_json::json;

on_both! {
    signing_in_again_ends_the_sign_in_that_the_browser_had,
    a_list_of_more_than_50_sign_ins_goes_on,
    without_a_sign_in_a_page_leads_to_the_form_and_back,
    a_wrong_key_shows_the_form_again_and_sets_no_cookie,
    a_sign_in_leads_to_no_other_server,
    one_signs_in_makes_a_todo_moves_it_and_signs_out,
    the_old_cookie_is_replayed_in_vain,
    a_double_click_is_done_and_charged_once,
    the_second_editor_is_told_and_sees_both_states,
    a_stale_or_forbidden_step_moves_nothing,
    a_fault_stands_at_its_field_and_nothing_typed_is_lost,
    without_credits_forms_say_so_beforehand,
    forms_of_other_sites_and_foreign_hosts_are_403,
    every_page_has_the_headers_and_no_inline_code,
    bad_queries_are_400_and_missing_rows_404_as_pages,
    hostile_texts_are_shown_as_text,
    a_session_is_annotated_and_ended,
    a_key_is_made_with_the_key_typed_again,
    an_export_is_downloaded_with_the_key_typed_again,
    sign_ins_are_listed_and_ended,
    accounts_are_for_operators,
    an_api_key_that_is_rotated_signs_its_browser_out_and_says_why,
    the_cookie_opens_no_api,
}

async fn without_a_sign_in_a_page_leads_to_the_form_and_back(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let mut browser = Browser::new(&app);
    let sent = browser.get("/todos?priority=3&agent=1").await;
    assert_eq!(sent.status, 303);
    let to = "/sign-in?next=%2Ftodos%3Fpriority%3D3%26agent%3D1";
    assert_eq!(sent.header("location"), Some(to));
    let form = browser.get(to).await;
    assert_eq!(form.status, 200);
    let back = browser.submit(&form.text, "/sign-in", &[("api_key", app.key())]).await;
    assert_eq!((back.status, back.header("location")), (303, Some("/todos?priority=3&agent=1")));
    assert_eq!(browser.get("/todos?priority=3&agent=1").await.status, 200);
    assert!(!form.text.contains(app.key()));
}

async fn a_wrong_key_shows_the_form_again_and_sets_no_cookie(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let mut browser = Browser::new(&app);
    let mut wrong = app.key().to_owned();
    let last = if wrong.pop() == Some('a') { 'b' } else { 'a' };
    wrong.push(last);
    for key in ["", "x", "roots_1_x", &wrong] {
        let answer = browser.post("/sign-in", &[("api_key", key), ("next", "/todos")]).await;
        assert_eq!(answer.status, 401, "{key}");
        assert!(answer.text.contains("This is no valid API key."), "{}", answer.text);
        assert!(answer.text.contains(r#"name="next" value="/todos""#));
        assert!(key.len() < 2 || !answer.text.contains(key));
        assert!(answer.headers.get("set-cookie").is_none());
    }
}

async fn a_sign_in_leads_to_no_other_server(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    for next in ["https://evil.example/", "//evil.example", "/\\evil.example", "evil", "/a\nb"] {
        let mut browser = Browser::new(&app);
        let fields = [("api_key", app.key()), ("next", next)];
        let answer = browser.post("/sign-in", &fields).await;
        assert_eq!((answer.status, answer.header("location")), (303, Some("/")), "{next}");
    }
}

async fn one_signs_in_makes_a_todo_moves_it_and_signs_out(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let mut browser = Browser::signed_in(&app).await;
    let form = browser.get("/todos/new").await;
    let fields = [
        ("title", "Deploy the docs"),
        ("description", "All **three** pages"),
        ("priority", "2"),
        ("due_at", "2999-04-09T14:02"),
        ("actor_id", ""),
    ];
    let made = browser.submit(&form.text, "/todos", &fields).await;
    assert_eq!((made.status, made.header("location")), (303, Some("/todos")), "{}", made.text);
    let stored = app.get("/todos/1").await.expect(200);
    assert_eq!(stored["due_at"], "2999-04-09T14:02:00Z");
    assert_eq!(stored["priority"], 2);

    let board = browser.get("/todos").await;
    assert!(board.text.contains("Deploy the docs"), "{}", board.text);
    let fields = [("status", "in_progress"), ("note", "Starting")];
    let moved = browser.submit(&board.text, "/todos/1/status", &fields).await;
    assert_eq!((moved.status, moved.header("location")), (303, Some("/todos")), "{}", moved.text);
    let item = browser.get("/todos/1").await.text;
    for shown in ["<strong>In progress</strong>", "Starting", "All <strong>three</strong> pages"] {
        assert!(item.contains(shown), "{shown}: {item}");
    }
    assert_eq!(app.get("/todos/1").await.expect(200)["status"], "in_progress");

    let deleted = browser.submit(&item, "/todos/1/delete", &[]).await;
    assert_eq!((deleted.status, deleted.header("location")), (303, Some("/todos")));
    app.get("/todos/1").await.expect(404);

    let out = browser.post("/sign-out", &[]).await;
    assert_eq!((out.status, out.header("location")), (303, Some("/sign-in")));
    assert!(browser.cookies.is_empty());
    assert_eq!(browser.get("/todos").await.status, 303);
    assert_eq!(browser.post("/sign-out", &[]).await.status, 303);
}

async fn the_old_cookie_is_replayed_in_vain(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let mut browser = Browser::signed_in(&app).await;
    let kept = browser.cookies.clone();
    assert_eq!(browser.get("/todos").await.status, 200);
    browser.post("/sign-out", &[]).await;
    browser.cookies = kept;
    assert_eq!(browser.get("/todos").await.status, 303);
    // The answer has removed the cookie.
    assert!(browser.cookies.is_empty());
}

async fn a_double_click_is_done_and_charged_once(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let mut browser = Browser::signed_in(&app).await;
    let form = browser.get("/todos/new").await.text;
    for _ in 0..2 {
        let made = browser.submit(&form, "/todos", &[("title", "Once")]).await;
        assert_eq!(made.status, 303, "{}", made.text);
    }
    assert_eq!(app.get("/todos").await.expect(200)["total"], 1);
    let board = browser.get("/todos").await.text;
    for _ in 0..2 {
        let moved = browser.submit(&board, "/todos/1/status", &[("status", "done")]).await;
        assert_eq!(moved.status, 303, "{}", moved.text);
    }
    assert_eq!(app.get("/credits").await.expect(200)["balance"], 8);
}

async fn the_second_editor_is_told_and_sees_both_states(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    app.post("/todos", &json!({"title": "Old", "description": "One\r\ntwo"})).await.expect(201);
    let mut browser = Browser::signed_in(&app).await;
    let form = browser.get("/todos/1/edit").await.text;
    // Nothing was changed, so nothing is written or charged.
    let fields =
        [("title", "Old"), ("description", "One\r\ntwo"), ("priority", "0"), ("due_at", "")];
    assert_eq!(browser.submit(&form, "/todos/1", &fields).await.status, 303);
    assert_eq!(app.get("/credits").await.expect(200)["balance"], 9);

    app.patch("/todos/1", &json!({"title": "Theirs <b>"})).await.expect(200);
    let fields = [("title", "Mine"), ("description", "One\r\ntwo"), ("priority", "0")];
    let told = browser.submit(&form, "/todos/1", &fields).await;
    assert_eq!(told.status, 412);
    for shown in ["Theirs &lt;b&gt;", "Mine", "Keep theirs", "Use mine"] {
        assert!(told.text.contains(shown), "{shown}: {}", told.text);
    }
    let used = browser.submit(&told.text, "/todos/1", &[]).await;
    assert_eq!(used.status, 303, "{}", used.text);
    let todo = app.get("/todos/1").await.expect(200);
    assert_eq!((&todo["title"], &todo["description"]), (&json!("Mine"), &json!("One\r\ntwo")));
}

async fn a_stale_or_forbidden_step_moves_nothing(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    app.post("/todos", &json!({"title": "x"})).await.expect(201);
    let mut browser = Browser::signed_in(&app).await;
    let board = browser.get("/todos").await.text;
    app.patch("/todos/1", &json!({"status": "done"})).await.expect(200);
    let fields = [("status", "in_progress"), ("note", "What I did")];
    let stale = browser.submit(&board, "/todos/1/status", &fields).await;
    assert_eq!(stale.status, 412, "{}", stale.text);
    assert!(stale.text.contains("What I did") && stale.text.contains("Use mine"));
    let board = browser.get("/todos").await.text;
    let refused = browser.submit(&board, "/todos/1/status", &[("status", "cancelled")]).await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    assert_eq!(app.get("/todos/1").await.expect(200)["status"], "done");
}

async fn a_fault_stands_at_its_field_and_nothing_typed_is_lost(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let mut browser = Browser::signed_in(&app).await;
    let form = browser.get("/todos/new").await.text;
    let fields = [("title", " "), ("description", "long & <typed>"), ("due_at", "soon")];
    let again = browser.submit(&form, "/todos", &fields).await;
    assert_eq!(again.status, 422);
    for shown in [
        r#"id="fault-title">This must not be empty."#,
        r#"id="fault-due_at">This must be a date and time such as"#,
        "long &amp; &lt;typed&gt;",
    ] {
        assert!(again.text.contains(shown), "{shown}: {}", again.text);
    }
    // Signed out meanwhile, it is not lost either.
    let cookies = std::mem::take(&mut browser.cookies);
    let fields = [("title", "Kept"), ("description", "long")];
    let kept = browser.submit(&form, "/todos", &fields).await;
    assert_eq!(kept.status, 401);
    assert!(kept.text.contains(r#"name="title" value="Kept""#), "{}", kept.text);
    browser.cookies = cookies;
    let sent = browser.submit(&kept.text, "/todos", &[]).await;
    assert_eq!(sent.status, 303, "{}", sent.text);
    assert_eq!(app.get("/todos/1").await.expect(200)["title"], "Kept");
}

async fn without_credits_forms_say_so_beforehand(database: TestDatabase) {
    let app = TestApp::start(database, 0).await;
    let mut browser = Browser::signed_in(&app).await;
    let form = browser.get("/todos/new").await.text;
    assert!(form.contains("Writing needs credits, and none are left."), "{form}");
    let refused = browser.submit(&form, "/todos", &[("title", "Kept")]).await;
    assert_eq!(refused.status, 402);
    assert!(refused.text.contains(r#"value="Kept""#), "{}", refused.text);
}

async fn forms_of_other_sites_and_foreign_hosts_are_403(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let browser = Browser::signed_in(&app).await;
    let form = |request: reqwest::RequestBuilder| {
        send(request.body("theme=dark").header("content-type", "application/x-www-form-urlencoded"))
    };
    let post = || browser.request(Method::POST, "/theme");
    assert_eq!(form(post().header(ORIGIN, &app.address)).await.status, 303);
    assert_eq!(form(post().header("sec-fetch-site", "same-origin")).await.status, 303);
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("x-none", "neither of both"),
    ] {
        let refused = form(post().header(name, value)).await;
        assert_eq!(refused.status, 403, "{name} {value}");
        assert!(refused.text.contains("This form was not sent by a page of this server"));
        assert_eq!(refused.header("content-type"), Some("text/html; charset=utf-8"));
    }
    for path in ["/todos", "/sign-in"] {
        let foreign = send(browser.request(Method::GET, path).header(HOST, "evil.example")).await;
        assert_eq!(foreign.status, 403, "{path}");
    }
}

async fn every_page_has_the_headers_and_no_inline_code(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    app.post("/todos", &json!({"title": "x"})).await.expect(201);
    app.post("/sessions", &json!({"notes": "x"})).await.expect(201);
    let mut browser = Browser::signed_in(&app).await;
    for path in [
        "/todos",
        "/todos/new",
        "/todos/1",
        "/todos/1/edit",
        "/todos?status=done",
        "/sessions",
        "/sessions/1",
        "/access",
        "/access/audit",
        "/sign-in",
        "/todos/99",
        "/todos?x=1",
    ] {
        let page = browser.get(path).await;
        let header = |name| page.header(name).unwrap_or_default().to_owned();
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{path}");
        assert!(policy.contains("base-uri 'none'; frame-ancestors 'none'"), "{path}");
        for (name, value) in [
            ("referrer-policy", "same-origin"),
            ("x-content-type-options", "nosniff"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cache-control", "no-store"),
            ("content-type", "text/html; charset=utf-8"),
        ] {
            assert_eq!(header(name), value, "{path} {name}");
        }
        let request = browser.request(Method::GET, path).header("accept-encoding", "gzip");
        assert!(send(request).await.headers.get("content-encoding").is_none(), "{path}");
        for forbidden in [" style=", " onclick=", "<style", "javascript:", "http://", "https://"] {
            let own = page.text.replace(&app.address, "");
            assert!(!own.contains(forbidden) || path == "/access", "{path} {forbidden}");
        }
        let scripts = page.text.matches("<script").count();
        assert_eq!(scripts, page.text.matches(r#"<script defer src="/assets/app-"#).count());
    }
    let page = browser.get("/todos").await.text;
    for (start, media_type) in
        [("/assets/app-", "text/css; charset=utf-8"), ("/assets/icon-", "image/svg+xml")]
    {
        let at = page.find(start).unwrap();
        let path = page[at..].split('"').next().unwrap();
        let asset = browser.get(path).await;
        assert_eq!((asset.status, asset.header("content-type")), (200, Some(media_type)));
        let kept = asset.header("cache-control").unwrap();
        assert_eq!(kept, "public, max-age=31536000, immutable");
    }
    assert_eq!(browser.get("/assets/app-0.css").await.status, 404);
}

async fn bad_queries_are_400_and_missing_rows_404_as_pages(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let mut browser = Browser::signed_in(&app).await;
    for (path, named) in [
        ("/todos?priority=9", "priority must be 0"),
        ("/todos?agent=x", "agent must be the id of an agent"),
        ("/todos?prority=1", "did you mean priority?"),
        ("/sessions?status=on", "status must be one of active, ended"),
        ("/access?offset=-1", "offset must be an integer from 0"),
    ] {
        let page = browser.get(path).await;
        assert_eq!(page.status, 400, "{path}");
        assert!(page.text.contains(named), "{path}: {}", page.text);
        let id = page.header("x-request-id").unwrap();
        assert!(page.text.contains(id), "{path}: the page names its request");
    }
    let unknown = browser.request(Method::GET, "/todo").header("accept", "text/html,*/*");
    let unknown = send(unknown).await;
    assert_eq!(unknown.status, 404);
    assert_eq!(unknown.header("content-type"), Some("text/html; charset=utf-8"));
    let unknown = send(browser.request(Method::GET, "/todo").header("accept", "*/*")).await;
    assert_eq!(unknown.header("content-type"), Some("application/problem+json"));
    // Filters that are sent empty are none.
    assert_eq!(browser.get("/todos?agent=&priority=").await.status, 200);
    for path in ["/todos/1", "/todos/x", "/todos/1/edit", "/sessions/1", "/accounts/99"] {
        let page = browser.get(path).await;
        assert!(matches!(page.status, 403 | 404), "{path}");
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
    }
}

async fn hostile_texts_are_shown_as_text(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let title = "<script>alert(1)</script>\u{202e}evil";
    let description = "<img src=x onerror=alert(1)> [a](javascript:alert(1)) \
                       ![i](https://evil.example/i.png)\n\n<style>*{}</style>";
    let todo = json!({"title": title, "description": description});
    app.post("/todos", &todo).await.expect(201);
    let mut browser = Browser::signed_in(&app).await;
    for path in ["/todos", "/todos/1", "/todos/1/edit"] {
        let page = browser.get(path).await.text;
        assert!(page.contains("&lt;script&gt;alert(1)"), "{path}: {page}");
        for bad in ["<script>", "<img", "<style", "href=\"javascript"] {
            assert!(!page.contains(bad), "{path} {bad}: {page}");
        }
    }
    let page = browser.get("/todos/1").await.text;
    assert!(page.contains(r#"<a href="https://evil.example/i.png">i</a>"#), "{page}");
    // A damaged text names its row and spoils nothing else.
    app.post("/todos", &json!({"title": "Whole"})).await.expect(201);
    app.database.execute("UPDATE todos SET title = description WHERE todo_id = 1").await;
    let board = browser.get("/todos").await.text;
    assert!(board.contains("A text of todo 1 can't be read"), "{board}");
    assert!(board.contains("Whole"));
    assert_eq!(browser.get("/todos/1/edit").await.status, 409);
}

async fn a_session_is_annotated_and_ended(database: TestDatabase) {
    let app = TestApp::start(database, 20).await;
    app.post("/sessions", &json!({"notes": "First"})).await.expect(201);
    app.post("/todos", &json!({"title": "In it", "session_id": 1})).await.expect(201);
    let activity = json!({"description": "Done **it**", "activity_type": "test", "session_id": 1});
    app.post("/activities", &activity).await.expect(201);
    let mut browser = Browser::signed_in(&app).await;
    let list = browser.get("/sessions").await.text;
    assert!(list.contains("First") && list.contains("active"), "{list}");
    let page = browser.get("/sessions/1").await.text;
    for shown in ["In it", "Done <strong>it</strong>", "First"] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    let saved = browser.submit(&page, "/sessions/1/notes", &[("notes", "Second")]).await;
    assert_eq!(saved.status, 303, "{}", saved.text);
    // The form was made from the notes before.
    let stale = browser.submit(&page, "/sessions/1/end", &[]).await;
    assert_eq!(stale.status, 412, "{}", stale.text);
    let ended = browser.submit(&stale.text, "/sessions/1/end", &[]).await;
    assert_eq!(ended.status, 303, "{}", ended.text);
    let session = app.get("/sessions/1").await.expect(200);
    assert_eq!((&session["status"], &session["notes"]), (&json!("ended"), &json!("Second")));
}

async fn a_key_is_made_with_the_key_typed_again(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    app.post("/actors", &json!({"name": "builder", "actor_type": "agent"})).await.expect(201);
    let mut browser = Browser::signed_in(&app).await;
    let page = browser.get("/access").await.text;
    let fields = [("actor_id", "2"), ("label", "laptop"), ("api_key", "wrong")];
    let wrong = browser.submit(&page, "/access/keys", &fields).await;
    assert_eq!(wrong.status, 422);
    assert!(wrong.text.contains("This must be a valid API key of yours."), "{}", wrong.text);
    assert!(wrong.text.contains(r#"value="laptop""#));
    let fields = [("actor_id", "2"), ("label", "laptop"), ("api_key", app.key())];
    let made = browser.submit(&page, "/access/keys", &fields).await;
    assert_eq!(made.status, 200, "{}", made.text);
    let (_, rest) = made.text.split_once(r#"<code id="api-key">"#).unwrap();
    let (key, _) = rest.split_once('<').unwrap();
    let whoami = app.unauthenticated(Method::GET, "/api/v1/whoami").header("X-API-Key", key);
    assert_eq!(send(whoami).await.expect(200)["actor_id"], 2);
    let page = browser.get("/access").await.text;
    assert!(page.contains("laptop") && !page.contains(key) && !page.contains(app.key()));

    let code = browser.submit(&page, "/access/recovery-code", &[("api_key", app.key())]).await;
    assert_eq!(code.status, 200);
    assert!(code.text.contains(r#"<code id="code">"#), "{}", code.text);
    let revoke = browser.submit(&page, "/access/keys/2/revoke", &[("api_key", app.key())]).await;
    assert_eq!(revoke.status, 303, "{}", revoke.text);
    let whoami = app.unauthenticated(Method::GET, "/api/v1/whoami").header("X-API-Key", key);
    send(whoami).await.expect(401);
    // The member's key does not act for the owner.
    let audit = browser.get("/access/audit").await.text;
    assert!(audit.contains("key revoked"), "{audit}");
}

async fn an_export_is_downloaded_with_the_key_typed_again(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let owner = app.context.admit(&app.credentials).await;
    let key = add_member(&app.database, &owner, 2).await;
    app.post("/todos", &json!({"title": "Of the owner"})).await.expect(201);
    let todo = json!({"title": "Of the member", "actor_id": 2});
    app.post("/todos", &todo).await.expect(201);
    let mut browser = Browser::signed_in(&app).await;
    let page = browser.get("/access").await.text;
    // Neither no key, nor a wrong one, nor that of another actor.
    for wrong in ["", "wrong", key.expose_secret()] {
        let refused = browser.submit(&page, "/access/export", &[("api_key", wrong)]).await;
        assert_eq!(refused.status, 422, "{}", refused.text);
        let fault =
            "<p class=\"fault\" id=\"fault-api_key\">This must be a valid API key of yours.";
        assert!(refused.text.contains(fault), "{}", refused.text);
        assert!(!refused.text.contains("Of the owner"));
        assert!(wrong.len() < 9 || !refused.text.contains(wrong));
    }
    let file = browser.submit(&page, "/access/export", &[("api_key", app.key())]).await;
    assert_eq!(file.status, 200, "{}", file.text);
    assert_eq!(file.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(file.header("cache-control"), Some("no-store"));
    let name = file.header("content-disposition").unwrap();
    assert!(name.starts_with("attachment; filename=\"roots-1-"), "{name}");
    let lines: Vec<serde_json::Value> =
        file.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.first().unwrap()["kind"], "export");
    assert_eq!(lines.last().unwrap()["kind"], "end");
    assert_eq!(lines.last().unwrap()["counts"]["todos"], 2);
    // The key authored it, and that is on record.
    let audit = app.get("/audit").await.expect(200);
    assert!(audit.to_string().contains("exported"), "{audit}");

    let mut member = Browser::new(&app);
    assert_eq!(member.sign_in(key.expose_secret()).await.status, 303);
    let page = member.get("/access").await.text;
    let own = [("api_key", key.expose_secret())];
    let file = member.submit(&page, "/access/export", &own).await;
    assert!(file.text.contains("Of the member") && !file.text.contains("Of the owner"));
    // Another site sends no such form.
    let sent =
        member.request(Method::POST, "/access/export").header(ORIGIN, "https://evil.example");
    let form = "application/x-www-form-urlencoded";
    let sent = sent.header("content-type", form).body(format!("api_key={}", key.expose_secret()));
    assert_eq!(send(sent).await.status, 403);
}

async fn sign_ins_are_listed_and_ended(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let mut one = Browser::signed_in(&app).await;
    let mut other = Browser::signed_in(&app).await;
    let page = one.get("/access").await.text;
    assert!(page.contains("/access/sign-ins/1/end") && page.contains("/access/sign-ins/2/end"));
    assert_eq!(one.submit(&page, "/access/sign-ins/2/end", &[]).await.status, 303);
    assert_eq!(other.get("/todos").await.status, 303);
    assert_eq!(one.get("/todos").await.status, 200);
    assert_eq!(one.submit(&page, "/access/sign-ins/end", &[]).await.status, 303);
    assert_eq!(one.get("/todos").await.status, 303);
}

async fn accounts_are_for_operators(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let mut browser = Browser::signed_in(&app).await;
    let page = browser.get("/todos").await.text;
    assert!(!page.contains(r#"href="/accounts""#));
    let refused = browser.get("/accounts").await;
    assert_eq!(refused.status, 403);
    assert!(refused.text.contains("Only operators may do this"), "{}", refused.text);
    let fields = [("amount", "5"), ("idempotency_key", "x"), ("shown_to", "1-1")];
    assert_eq!(browser.post("/accounts/1/credits", &fields).await.status, 403);
}

async fn an_api_key_that_is_rotated_signs_its_browser_out_and_says_why(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let mut browser = Browser::signed_in(&app).await;
    let page = browser.get("/access").await.text;
    let rotated = browser.submit(&page, "/access/keys/rotate", &[("api_key", app.key())]).await;
    assert_eq!(rotated.status, 200, "{}", rotated.text);
    let (_, rest) = rotated.text.split_once(r#"<code id="api-key">"#).unwrap();
    let (key, _) = rest.split_once('<').unwrap();
    assert_eq!(browser.get("/todos").await.status, 200);
    let whoami = app.unauthenticated(Method::GET, "/api/v1/whoami").header("X-API-Key", key);
    send(whoami).await.expect(200);
    let out = browser.get("/todos").await;
    assert_eq!(out.status, 303);
    let to = out.header("location").unwrap().to_owned();
    assert_eq!(to, "/sign-in?next=%2Ftodos&why=rotated");
    let form = browser.get(&to).await.text;
    assert!(form.contains("The API key that you signed in with was rotated"), "{form}");
}

async fn the_cookie_opens_no_api(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let browser = Browser::signed_in(&app).await;
    let (name, key) = browser.cookies.iter().next().unwrap();
    let call = || app.unauthenticated(Method::GET, "/api/v1/whoami");
    send(call().header(COOKIE, format!("{name}={key}"))).await.expect(401);
    send(call().header("X-API-Key", key)).await.expect(401);
}

async fn signing_in_again_ends_the_sign_in_that_the_browser_had(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let other = app.by(app.context.found(10).await);
    let mut browser = Browser::signed_in(&app).await;
    let first = browser.cookies.clone();
    let mut elsewhere = Browser::signed_in(&app).await;
    // A wrong key ends nothing.
    assert_eq!(browser.sign_in("roots_1_wrong").await.status, 401);
    assert_eq!(browser.get("/todos").await.status, 200);
    // Of the same actor, and of another account.
    let mut former = first;
    for key in [app.key(), other.key(), app.key()] {
        assert_eq!(browser.sign_in(key).await.status, 303);
        assert_eq!(browser.get("/todos").await.status, 200);
        let now = std::mem::replace(&mut browser.cookies, former);
        assert_eq!(browser.get("/todos").await.status, 303, "the former has ended");
        browser.cookies = now.clone();
        former = now;
    }
    let page = browser.get("/access").await.text;
    assert_eq!(page.matches("row-sign-in-").count(), 2, "{page}");
    assert_eq!(elsewhere.get("/todos").await.status, 200);
    // A cookie that opens nothing is overwritten.
    for value in browser.cookies.values_mut() {
        "x".clone_into(value);
    }
    assert_eq!(browser.sign_in(app.key()).await.status, 303);
    assert_eq!(browser.get("/todos").await.status, 200);
}

async fn a_list_of_more_than_50_sign_ins_goes_on(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    let owner = app.context.admit(&app.credentials).await;
    let mut keys = vec![app.key().to_owned()];
    for id in [2, 3] {
        keys.push(add_member(&app.database, &owner, id).await.expose_secret().to_owned());
    }
    let mut browser = Browser::signed_in(&app).await;
    for number in 1..51 {
        let answer = Browser::new(&app).sign_in(&keys[number % 3]).await;
        assert_eq!(answer.status, 303, "{}", answer.text);
    }
    let rows = |page: &str| page.matches("row-sign-in-").count();
    let latest = browser.get("/access").await.text;
    assert_eq!(rows(&latest), 50, "{latest}");
    assert!(!latest.contains("this one") && !latest.contains(">Latest</a>"), "{latest}");
    assert!(latest.contains(r#"href="/access?before=2">Older</a>"#), "{latest}");
    let older = browser.get("/access?before=2").await.text;
    assert!(rows(&older) == 1 && older.contains("this one"), "{older}");
    assert!(older.contains(">Latest</a>") && !older.contains(">Older</a>"), "{older}");
    assert_eq!(browser.get("/access?before=x").await.status, 400);
}
