//! What stays and what changes when a page asks for itself again.

use roots_browser::seed::{Amount, Seeded};
use serde_json::json;

use crate::visit::Visit;

/// Waits until a text is said aloud.
async fn until_told(visit: &Visit, text: &str) {
    let told = format!("document.querySelector('#told').textContent.includes('{text}')");
    visit.browser.until(&format!("{text:?} to be told"), &told).await;
}

/// Ends the browser. Chromium puts refused requests of scripts on the console, with their status.
async fn end_with(visit: Visit, status: &str) {
    let errors = visit.browser.console_errors().await;
    assert!(!errors.is_empty(), "a request was refused");
    assert!(errors.iter().all(|error| error.contains(status)), "{errors:?}");
    visit.browser.quit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_an_empty_account_fill_by_themselves() {
    let visit = Visit::to(Amount::Empty).await;
    let browser = &visit.browser;
    visit.open("/").await;
    browser.until_live().await;
    browser.until_says("Nothing here yet").await;
    let owner = visit.owner();
    owner.post("/sessions", &json!({ "notes": "Begin" })).await;
    let question = json!({
        "description": "Which plan?", "activity_type": "question", "session_id": 1
    });
    owner.post("/activities", &question).await;
    owner.post("/todos", &json!({ "title": "Write the plan" })).await;
    for shown in ["Which plan?", "Write the plan", "Session 1"] {
        browser.until_says(shown).await;
    }
    browser.until_silent("Nothing here yet").await;
    browser.until_live().await;
    until_told(&visit, "Needs you. Asks: session 1").await;

    // A part that is new, and one that goes.
    let other = Seeded::new(&visit.server.url(), Amount::Empty).await;
    browser.driver.delete_all_cookies().await.unwrap();
    browser.sign_in(&visit.server.url(), &other.owner.key).await;
    visit.open("/agents").await;
    browser.until_live().await;
    browser.until_there("#first").await;
    other.owner.post("/todos", &json!({ "title": "Begun" })).await;
    other.owner.post("/todos/claim", &json!({})).await;
    browser.until_there("#ages").await;
    browser.until("#first to go", "!document.querySelector('#first')").await;
    browser.until_live().await;
    visit.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_fold_and_the_focus_stay_when_entries_come() {
    let visit = Visit::to(Amount::Empty).await;
    let browser = &visit.browser;
    visit.owner().post("/sessions", &json!({})).await;
    let log = async |text: &str| {
        let entry = json!({ "description": text, "session_id": 1 });
        visit.owner().post("/activities", &entry).await;
    };
    // However the ten minutes of the clock part them, two are in one fold.
    for text in ["one", "two", "three"] {
        log(text).await;
    }
    for path in ["/activity", "/"] {
        visit.open(path).await;
        browser.until_live().await;
        browser.click("details.fold summary").await;
        log("another").await;
        log(&format!("the last of {path}")).await;
        browser.until_says(&format!("the last of {path}")).await;
        let stays = "document.activeElement.matches('details.fold[open] > summary')";
        assert_eq!(browser.value(stays).await, true, "{path}");
        // A link that moves down keeps the focus too.
        browser.value("document.querySelector('a[href=\"/activity/2\"]').focus()").await;
        log(&format!("the very last of {path}")).await;
        browser.until_says(&format!("the very last of {path}")).await;
        let focused = browser.value("document.activeElement.getAttribute('href')").await;
        assert_eq!(focused, "/activity/2", "{path}");
    }
    visit.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_typed_note_moves_with_its_card_and_does_not_hold_it_back() {
    let visit = Visit::to(Amount::Empty).await;
    let (browser, owner) = (&visit.browser, visit.owner());
    owner.post("/todos", &json!({ "title": "First" })).await;
    visit.open("/todos").await;
    browser.until_live().await;
    browser.click("#todo-1 summary").await;
    browser.type_into("#todo-1 input[name=note]", "half a sen").await;
    owner.patch("/todos/1", &json!({ "title": "Renamed", "status": "in_progress" })).await;
    browser.until_there("#column-in_progress #todo-1").await;
    browser.press("tence").await;
    let note = "#column-in_progress #todo-1 details[open] input[name=note]";
    let typed = browser.value(&format!("document.querySelector('{note}').value")).await;
    assert_eq!(typed, "half a sentence");
    let cards = browser.value("document.querySelectorAll('[id=\"todo-1\"]').length").await;
    assert_eq!(cards, 1);
    browser.value("document.querySelector('#todo-1').focus()").await;
    browser.press("md").await;
    browser.until_there("#column-done #todo-1").await;
    assert!(owner.get("/todos/1/logs").await.to_string().contains("half a sentence"));
    visit.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_typed_for_a_row_that_goes_is_shown() {
    let visit = Visit::to(Amount::Empty).await;
    let browser = &visit.browser;
    visit.owner().post("/todos", &json!({ "title": "First" })).await;
    visit.open("/todos").await;
    browser.until_live().await;
    browser.click("#todo-1 summary").await;
    browser.type_into("#todo-1 input[name=note]", "half a sentence").await;
    visit.owner().delete("/todos/1").await;
    let shown = browser.until_there("dialog pre").await.text().await.unwrap();
    assert_eq!(shown, "half a sentence");
    browser.until("the card to go", "!document.querySelector('#todo-1')").await;
    visit.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_move_by_key_shows_both_states_and_mine_can_still_be_used() {
    let visit = Visit::to(Amount::Empty).await;
    let (browser, owner) = (&visit.browser, visit.owner());
    owner.post("/todos", &json!({ "title": "First" })).await;
    visit.open("/todos").await;
    browser.until_live().await;
    // The page learns of no change any more, as if the other was faster.
    let deaf = "(() => { const ask = fetch; window.fetch = (url, options) =>
        options.method === 'POST' ? ask(url, options) : new Promise(() => {}); })()";
    browser.value(deaf).await;
    owner.patch("/todos/1", &json!({ "status": "in_progress" })).await;
    browser.value("document.querySelector('#todo-1').focus()").await;
    browser.press("md").await;
    let dialog = browser.until_there("dialog[open]").await.text().await.unwrap();
    for said in ["since you opened it", "In progress", "Done", "Keep theirs", "Use mine"] {
        assert!(dialog.contains(said), "{said}: {dialog}");
    }
    assert_eq!(owner.get("/todos/1").await["status"], "in_progress");
    browser.click("dialog button.primary").await;
    browser.until("the todo", "location.pathname === '/todos/1'").await;
    assert_eq!(owner.get("/todos/1").await["status"], "done");
    end_with(visit, "412").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quick_moves_of_a_card_are_made_one_after_the_other() {
    let visit = Visit::to(Amount::Empty).await;
    let (browser, owner) = (&visit.browser, visit.owner());
    owner.post("/todos", &json!({ "title": "First" })).await;
    visit.open("/todos").await;
    browser.until_live().await;
    browser.value("document.querySelector('#todo-1').focus()").await;
    browser.press("mimdmo").await;
    until_told(&visit, "First: done to open").await;
    let log = owner.get("/todos/1/logs").await.to_string();
    assert_eq!(log.matches("new_status").count(), 3, "{log}");
    assert_eq!(owner.get("/todos/1").await["status"], "open");
    visit.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_of_a_deleted_row_says_so_and_asks_no_more() {
    let visit = Visit::to(Amount::Empty).await;
    let browser = &visit.browser;
    visit.owner().post("/todos", &json!({ "title": "First" })).await;
    visit.open("/todos/1").await;
    browser.until_live().await;
    visit.owner().delete("/todos/1").await;
    browser.until_says("This is gone").await;
    browser.until_says("First").await;
    let badge = browser.value("document.querySelector('#live').textContent").await;
    assert_eq!(badge, "Gone");
    end_with(visit, "404").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_shown_once_stays_and_its_page_asks_for_nothing() {
    let visit = Visit::to(Amount::Empty).await;
    let browser = &visit.browser;
    visit.open("/access").await;
    browser.type_into("#new-key-own", &visit.owner().key).await;
    browser.click("form[action='/access/keys'] button").await;
    browser.until_there("#api-key").await;
    // The page has loaded when the script has shown the button.
    browser.until_there("[data-copy]:not([hidden])").await;
    let asked = "performance.getEntriesByType('resource').map((it) => it.name)
        .filter((name) => !name.includes('/assets/'))";
    assert_eq!(browser.value(asked).await, json!([]));
    assert_eq!(browser.value("document.querySelector('form.theme')").await, json!(null));
    visit.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_other_accounts_say_of_when_they_are() {
    let visit = Visit::to(Amount::Empty).await;
    let browser = &visit.browser;
    browser.driver.delete_all_cookies().await.unwrap();
    browser.sign_in(&visit.server.url(), &visit.server.operator().key).await;
    for path in ["/accounts", "/accounts/2"] {
        visit.open(path).await;
        browser.until_says("As of ").await;
        browser.until_says(", asks each minute").await;
        let state = browser.value("document.querySelector('#live').dataset.state").await;
        assert_eq!(state, "old");
    }
    visit.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_no_credits_are_left_appears_and_goes_by_itself() {
    let visit = Visit::with(Amount::Empty, &[("ROOTS_SIGNUP_CREDITS", "1")]).await;
    let browser = &visit.browser;
    visit.open("/todos").await;
    browser.until_live().await;
    visit.owner().post("/todos", &json!({ "title": "The last" })).await;
    browser.until_says("The account has no credits left").await;
    browser.until_says("The last").await;
    visit.server.operator().post("/accounts/2/credits", &json!({ "amount": 5 })).await;
    browser.until_silent("The account has no credits left").await;
    visit.end().await;
}
