//! The pages that answer forms, those of members, and all pages with names that are one long word.

use roots_browser::browser::Width;
use roots_browser::pages::{Page, pages};
use roots_browser::seed::Amount;
use serde_json::json;

use crate::the_bar::look;
use crate::visit::Visit;

const WIDTHS: [Width; 3] = [Width::Wide, Width::Phone, Width::Narrow];

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_one_long_word_fit_on_every_page() {
    let mut visit = Visit::to(Amount::Empty).await;
    let owner = visit.owner().clone();
    let (id, agent) = owner.add_member(&"n".repeat(100)).await;
    owner.post("/keys", &json!({ "actor_id": id, "label": "k".repeat(100) })).await;
    let notes = json!({ "notes": "s".repeat(300) });
    visit.seeded.session = agent.post("/sessions", &notes).await["session_id"].as_i64();
    let title = "t".repeat(500);
    let todo = json!({ "title": title, "session_id": visit.seeded.session, "priority": 3 });
    visit.seeded.todo = agent.post("/todos", &todo).await["todo_id"].as_i64();
    agent.patch("/todos/1", &json!({ "status": "in_progress", "note": "l".repeat(300) })).await;
    for kind in ["y".repeat(50), "question".to_owned()] {
        let said = json!({
            "description": "d".repeat(300), "activity_type": kind,
            "session_id": visit.seeded.session,
        });
        visit.seeded.entry = agent.post("/activities", &said).await["activity_id"].as_i64();
    }
    visit.seeded.agents.push((id, agent));
    let mut shown = pages(&visit.seeded);
    for (name, path) in [
        ("filtered", format!("/activity?type={}&agent={id}", "y".repeat(50))),
        ("search", "/activity?q=ddd".to_owned()),
        ("first entry", "/activity/1".to_owned()),
        ("column", "/todos?status=in_progress".to_owned()),
    ] {
        shown.push(Page { name, path });
    }
    let mut found = Vec::new();
    for Page { name, path } in &shown {
        visit.open(path).await;
        visit.browser.until_there("main h1").await;
        for width in WIDTHS {
            visit.browser.set_width(width).await;
            let both =
                [visit.browser.sideways().await, visit.browser.small_targets().await].concat();
            found.extend(both.iter().map(|it| format!("{name} at {} px: {it}", width.pixels())));
        }
    }
    assert_none(&found);
    let errors = visit.browser.console_errors().await;
    assert!(errors.iter().all(|it| it.contains("404") || it.contains("400")), "{errors:?}");
    visit.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_deletion_a_long_note_and_a_wrong_key_are_told_where_they_are_mended() {
    let visit = Visit::to(Amount::Empty).await;
    let (browser, owner) = (&visit.browser, visit.owner());
    let made = owner.post("/todos", &json!({ "title": "First", "description": "One" })).await;
    let path = format!("/todos/{}", made["todo_id"]);
    let mut faults = Vec::new();

    // Without script, so that the page does not see the change.
    browser.set_scripts(false).await;
    visit.open(&path).await;
    browser.click("details.danger summary").await;
    owner.patch(&path, &json!({ "title": "Theirs", "status": "in_progress" })).await;
    browser.click("details.danger button").await;
    browser.until_says("Deleted, with its history").await;
    let text = browser.text().await;
    assert!(text.contains("Theirs") && text.contains("Keep theirs"), "{text}");
    browser.set_scripts(true).await;
    look(&visit, "conflict of a deletion", &mut faults).await;

    // 4,500 characters, which are 9,000 bytes.
    browser.set_width(Width::Wide).await;
    visit.open(&path).await;
    let note = "document.querySelector('#move input[name=note]')";
    browser.value(&format!("({note}.value = '\u{e9}'.repeat(4500)).length")).await;
    browser.click("#move button[value=done]").await;
    browser.until_there("#fault-note").await;
    look(&visit, "fault of a note", &mut faults).await;
    browser.set_width(Width::Wide).await;
    browser.type_into("textarea[name=note]", "Shorter").await;
    browser.click("form.step button[value=done]").await;
    browser.until("the todo", &format!("location.pathname === '{path}'")).await;
    assert_eq!(owner.get(&path).await["status"], "done");

    visit.open("/access").await;
    browser.type_into("#rotate-own", "wrong").await;
    browser.click("form[action='/access/keys/rotate'] button").await;
    browser.until_there("#fault-api_key").await;
    look(&visit, "fault of a key", &mut faults).await;

    assert_none(&faults);
    // Chromium puts the status of every refused page on the console.
    let errors = browser.console_errors().await;
    let is_status = |error: &String| ["412", "422"].iter().any(|it| error.contains(it));
    assert!(errors.iter().all(is_status), "{errors:?}");
    visit.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_of_a_member_are_open_to_all() {
    let visit = Visit::to(Amount::Usual).await;
    let (id, member) = visit.seeded.agents[0].clone();
    visit.browser.driver.delete_all_cookies().await.unwrap();
    visit.browser.sign_in(&visit.server.url(), &member.key).await;
    let own = format!("/agents/{id}");
    let mut faults = Vec::new();
    for path in ["/", "/sessions", "/todos", "/activity", "/agents", &own, "/credits", "/access"] {
        visit.open(path).await;
        visit.browser.until_there("main h1").await;
        let is_error = visit.browser.value("!!document.querySelector('main.bare, .error')").await;
        assert_eq!(is_error, false, "{path} is an error");
        look(&visit, path, &mut faults).await;
    }
    assert_none(&faults);
    visit.end().await;
}
