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
    all_that_is_in_progress_shows_for_more_than_a_hundred_agents,
    an_agent_beyond_the_first_hundred_is_named_and_chosen,
    sessions_are_stepped_through_by_spans,
    a_session_shows_each_of_its_todos_and_activities_once_by_time,
    overdue_todos_are_shown_page_by_page,
    lines_show_the_words_of_markdown_without_its_marks,
    the_curve_of_a_new_account_begins_when_it_was_made,
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
    assert_shows(&page(&mut browser, "/agents").await, &["Agents (1)", "working"]);
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
    app.post("/sessions", &json!({ "notes": "Owned" })).await.expect(201);
    log(&app, "question", 1, "Of the owner").await;
    let mut browser = Browser::new(&app);
    assert_eq!(browser.sign_in(key.expose_secret()).await.status, 303);
    let now = page(&mut browser, "/").await;
    assert!(!now.contains("Of the owner"), "{now}");
    let activity = page(&mut browser, "/activity").await;
    assert!(!activity.contains("Of the owner"), "{activity}");
    assert_eq!(browser.get("/agents/1").await.status, 404);
    page(&mut browser, "/agents/2").await;
    for path in
        ["/sessions", "/sessions?span=quarter&until=2999-01-01", "/agents", "/agents?after=1"]
    {
        let shown = browser.get(path).await;
        assert!(!shown.text.contains("/sessions/1\"") && !shown.text.contains("Owned"), "{path}");
        assert!(!shown.text.contains("name=\"agent\""), "{path}: {}", shown.text);
    }
    assert!(!activity.contains("name=\"agent\""), "{activity}");
    // What is not theirs is 404, and so is what is nobody's.
    let mut owner = Browser::signed_in(&app).await;
    for path in ["/", "/sessions", "/todos", "/todos?overdue=true", "/activity", "/activity.csv"] {
        let of = |agent: i64| {
            format!("{path}{}agent={agent}", if path.contains('?') { '&' } else { '?' })
        };
        assert_eq!(browser.get(&of(1)).await.status, 404, "{path}");
        assert_eq!(browser.get(&of(2)).await.status, 200, "{path}");
        assert_eq!(owner.get(&of(2)).await.status, 200, "{path}");
        assert_eq!(owner.get(&of(99)).await.status, 404, "{path}");
    }
}

/// Adds members up to this id to the account of the owner, each with a session and a todo in
/// progress.
async fn many_agents(app: &TestApp, last: i64) {
    let owner = app.context.admit(&app.credentials).await;
    for id in 2..=last {
        add_member(&app.database, &owner, id).await;
    }
    for id in 1..=last {
        app.post("/sessions", &json!({ "actor_id": id })).await.expect(201);
        let todo = json!({ "title": format!("Work {id} of it."), "actor_id": id });
        app.post("/todos", &todo).await.expect(201);
        let claim = json!({ "actor_id": id, "session_id": id });
        app.post("/todos/claim", &claim).await.expect(200);
    }
}

async fn all_that_is_in_progress_shows_for_more_than_a_hundred_agents(database: TestDatabase) {
    const AGENTS: i64 = 110;
    let app = TestApp::start(database, 1_000).await;
    many_agents(&app, AGENTS).await;
    let mut browser = Browser::signed_in(&app).await;
    let now = page(&mut browser, "/").await;
    assert_shows(&now, &["At work (110 of 110 or more)", "href=\"/agents\">All agents"]);
    for id in 1..=AGENTS {
        assert_shows(&now, &[&format!("Work {id} of it."), &format!("/sessions/{id}\"")]);
    }
    assert!(!now.contains("do not show here"));
}

async fn an_agent_beyond_the_first_hundred_is_named_and_chosen(database: TestDatabase) {
    let app = TestApp::start(database, 1_000).await;
    many_agents(&app, 105).await;
    let mut browser = Browser::signed_in(&app).await;
    let first = page(&mut browser, "/agents").await;
    assert_shows(&first, &["Agents (100 of more)", "/agents?after=100"]);
    assert!(!first.contains("Member 104"));
    let second = page(&mut browser, "/agents?after=100").await;
    assert_shows(&second, &["Agents (5)", "Member 104", "Work 104 of it."]);
    // Every page names it, and its own page leads to those of its rows.
    let one = page(&mut browser, "/agents/104").await;
    for path in ["/", "/sessions", "/todos", "/activity", "/todos/new", "/access"] {
        let link = format!("{path}?agent=104");
        assert_shows(&one, &[&link]);
        let of_agent = page(&mut browser, &link).await;
        assert_shows(&of_agent, &["<option value=\"104\" selected>Member 104</option>"]);
    }
    for path in ["/sessions/104", "/todos/104", "/credits", "/access/audit", "/sessions", "/todos"]
    {
        let shown = page(&mut browser, path).await;
        assert!(!shown.contains("agent 104"), "{path}: {shown}");
    }
    assert_eq!(browser.get("/agents?after=x").await.status, 400);
}

async fn sessions_are_stepped_through_by_spans(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    app.post("/sessions", &json!({ "notes": "the early one" })).await.expect(201);
    app.patch("/sessions/1", &json!({ "status": "ended" })).await.expect(200);
    app.context.clock.advance_seconds(30 * 3_600);
    app.post("/sessions", &json!({ "notes": "the late one" })).await.expect(201);
    let mut browser = Browser::signed_in(&app).await;
    let link = |page: &str, which: &str| {
        let (_, rest) = page.split_once(&format!("data-{which}=\"\" href=\"")).unwrap();
        rest.split('"').next().unwrap().replace("&amp;", "&")
    };
    let now = page(&mut browser, "/sessions").await;
    assert_shows(&now, &["data-href=\"/sessions/2\"", "the early one", "the late one", "to now"]);
    assert!(!now.contains("data-href=\"/sessions/1\"") && !now.contains("data-later"));
    let before = page(&mut browser, &link(&now, "earlier")).await;
    assert_shows(&before, &["data-href=\"/sessions/1\"", "the early one", "data-later"]);
    assert!(!before.contains("the late one"), "{before}");
    assert_eq!(link(&before, "later"), "/sessions");
    let week = page(&mut browser, "/sessions?span=week").await;
    assert_shows(&week, &["data-href=\"/sessions/1\"", "data-href=\"/sessions/2\""]);
    // Filters stay.
    let filtered = page(&mut browser, "/sessions?agent=1&span=6h").await;
    let earlier = link(&filtered, "earlier");
    assert!(earlier.starts_with("/sessions?agent=1&span=6h&until="), "{earlier}");
    let future = page(&mut browser, "/sessions?until=2999-01-01").await;
    assert_shows(&future, &["to now"]);
    let bad = browser.get("/sessions?until=yesterday").await;
    assert!(bad.status == 400 && bad.text.contains("until"), "{}", bad.text);
}

async fn a_session_shows_each_of_its_todos_and_activities_once_by_time(database: TestDatabase) {
    const EACH: usize = 230;
    let app = TestApp::start(database, 1_000).await;
    app.post("/sessions", &json!({})).await.expect(201);
    let mut expected = Vec::new();
    for number in 0..EACH {
        // Three todos and three activities at a time, of all priorities: at one time, todos stand
        // before activities, and rows of a kind in the order of their ids.
        app.context.clock.advance_seconds(i64::from(number % 3 == 0));
        let (title, priority) = (format!("Todo {number}."), number * 7 % 4);
        let todo = json!({ "title": title, "priority": priority, "session_id": 1 });
        app.post("/todos", &todo).await.expect(201);
        log(&app, "note", 1, &format!("Entry {number}.")).await;
        expected.push((number / 3, 0, number, title));
        expected.push((number / 3, 1, number, format!("Entry {number}.")));
    }
    expected.sort();
    let expected: Vec<_> = expected.into_iter().map(|(.., shown)| shown).collect();
    let mut browser = Browser::signed_in(&app).await;
    let (mut path, mut seen, mut pages) = ("/sessions/1".to_owned(), Vec::new(), 0);
    loop {
        let shown = page(&mut browser, &path).await;
        let (_, list) = shown.split_once("<ol class=\"rows\">").unwrap();
        let (list, _) = list.split_once("</ol>").unwrap();
        let names = list.split(['>', '<']).filter(|text| {
            let number = text.strip_prefix("Todo ").or_else(|| text.strip_prefix("Entry "));
            number.is_some_and(|number| number.ends_with('.'))
        });
        let names: Vec<_> = names.map(str::to_owned).collect();
        assert!(names.len() <= 100, "{}", names.len());
        seen.splice(0..0, names);
        pages += 1;
        assert_eq!(shown.contains("data-later=\"\" href=\"/sessions/1\">Newest"), pages > 1);
        let Some((_, rest)) = shown.split_once("data-earlier=\"\" href=\"") else {
            assert!(list.contains("Started"), "{list}");
            break;
        };
        assert!(!list.contains("Started"), "{list}");
        rest.split('"').next().unwrap().clone_into(&mut path);
    }
    assert_eq!((pages, seen), (5, expected));
    let bad = browser.get("/sessions/1?before=1-2").await;
    assert!(bad.status == 400 && bad.text.contains("before must be"), "{}", bad.text);
}

async fn overdue_todos_are_shown_page_by_page(database: TestDatabase) {
    let app = TestApp::start(database, 1_000).await;
    for number in 1..=130 {
        let due_at = format!("2026-01-01T00:{:02}:{:02}Z", number / 60, number % 60);
        let title = format!("Late {number}.");
        app.post("/todos", &json!({ "title": title, "due_at": due_at })).await.expect(201);
    }
    let mut browser = Browser::signed_in(&app).await;
    let first = page(&mut browser, "/todos?overdue=true").await;
    assert_shows(&first, &["Late 1.", "Late 100.", "Overdue 1 to 100 of 130"]);
    assert!(!first.contains("Late 101."));
    assert_shows(&first, &["/todos?overdue=true&amp;offset=100"]);
    let second = page(&mut browser, "/todos?overdue=true&offset=100").await;
    assert_shows(&second, &["Late 101.", "Late 130.", "Overdue 101 to 130 of 130", "Due earlier"]);
    assert!(!second.contains("Due later"));
    // A column alone is paged too, and its filters stay.
    let open = page(&mut browser, "/todos?priority=0").await;
    assert_shows(&open, &["/todos?priority=0&amp;status=open\">80 more"]);
    let alone = page(&mut browser, "/todos?priority=0&status=open").await;
    assert_shows(&alone, &["/todos?priority=0&amp;status=open&amp;offset=100\">30 more"]);
    let last = page(&mut browser, "/todos?priority=0&status=open&offset=100").await;
    assert_shows(&last, &["The cards before", "name=\"status\" value=\"open\""]);
}

async fn lines_show_the_words_of_markdown_without_its_marks(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let notes = json!({ "notes": "# Plan\n\n**First** the `parser`" });
    app.post("/sessions", &notes).await.expect(201);
    log(&app, "note", 1, "Read **RFC 9110** and `main.rs`").await;
    let mut browser = Browser::signed_in(&app).await;
    for path in ["/", "/activity"] {
        assert_shows(&page(&mut browser, path).await, &["<bdi>Read RFC 9110 and main.rs</bdi>"]);
    }
    let sessions = page(&mut browser, "/sessions").await;
    assert_shows(&sessions, &["<bdi>Plan First the parser</bdi>"]);
}

async fn the_curve_of_a_new_account_begins_when_it_was_made(database: TestDatabase) {
    let app = TestApp::start(database, 50).await;
    app.context.clock.advance_seconds(2 * 86_400);
    let mut browser = Browser::signed_in(&app).await;
    let credits = page(&mut browser, "/credits").await;
    let (_, table) = credits.split_once("id=\"curve-numbers\"").unwrap();
    let (table, _) = table.split_once("</table>").unwrap();
    assert_eq!(table.matches("<td>50</td>").count(), 3, "{table}");
    assert!(!table.contains("<td>0</td>"), "{table}");
}
