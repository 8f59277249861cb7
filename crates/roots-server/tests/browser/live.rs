//! The page shows what happens, as it happens.

use roots_browser::seed::Amount;
use roots_testkit::connection::connect;
use sea_orm::ConnectionTrait;
use serde_json::json;
use thirtyfour::WindowHandle;

use crate::visit::Visit;

/// How far the parts of the page may shift over ten live updates, in all.
const SHIFT_MAX: f64 = 0.02;
/// More than a browser has connections to a host.
const TABS: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_appears_and_goes_quiet_and_nothing_shifts() {
    let visit = Visit::with(Amount::Usual, &[("ROOTS_QUIET_AFTER", "1m")]).await;
    let (browser, agents) = (&visit.browser, &visit.seeded.agents);
    visit.open("/").await;
    browser.until_live().await;
    browser.watch_shifts().await;
    let (_, scout) = agents.last().unwrap();
    let session = scout.post("/sessions", &json!({ "notes": "Look around" })).await;
    let path = format!("/sessions/{}", session["session_id"]);
    browser.until_there(&format!("#work .work a[href='{path}']")).await;
    for number in 1..=10 {
        let said = format!("Found trace number {number}");
        let body = json!({
            "description": said, "activity_type": "research", "session_id": session["session_id"]
        });
        scout.post("/activities", &body).await;
        browser.until_says(&said).await;
    }
    let shifts = browser.shifts().await;
    assert!(shifts <= SHIFT_MAX, "the page has shifted by {shifts}");

    // The last sign of life becomes 117 s old: a minute, and the one that it may be behind, are
    // over in 3 s. The next write lets the page know when that is, and then only time passes.
    let database = connect(&visit.server.database_url()).await;
    let older = "UPDATE session_activity SET last_active_at = last_active_at - 117000000";
    database.execute_unprepared(older).await.unwrap();
    database.close().await.unwrap();
    let (_, builder) = agents.first().unwrap();
    let said = "Something else happens";
    builder.post("/activities", &json!({ "description": said })).await;
    browser.until_says(said).await;
    let quiet = "[...document.querySelectorAll('#needs .needrow')].some((row) =>
        row.textContent.includes('Quiet') && row.textContent.includes('scout'))";
    browser.until("the session to be called quiet", quiet).await;
    visit.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twelve_tabs_load_and_the_one_that_is_looked_at_is_live() {
    let visit = Visit::to(Amount::Empty).await;
    let browser = &visit.browser;
    for _ in 0..TABS - 1 {
        let tab = browser.driver.new_tab().await.unwrap();
        show(&visit, &tab).await;
        visit.open("/todos").await;
    }
    let tabs = browser.driver.windows().await.unwrap();
    assert_eq!(tabs.len(), TABS);
    for (number, tab) in tabs.iter().enumerate() {
        show(&visit, tab).await;
        visit.open("/todos").await;
        browser.until_live().await;
        let title = format!("Seen in tab {number}");
        visit.owner().post("/todos", &json!({ "title": title })).await;
        browser.until_says(&title).await;
    }
    visit.end().await;
}

/// Brings a tab to the front.
async fn show(visit: &Visit, tab: &WindowHandle) {
    visit.browser.driver.switch_to_window(tab.clone()).await.unwrap();
    visit.browser.command("Page.bringToFront", json!({})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_typed_form_and_an_open_menu_stay_when_the_page_changes() {
    let visit = Visit::to(Amount::Empty).await;
    let browser = &visit.browser;
    for title in ["One", "Two"] {
        visit.owner().post("/todos", &json!({ "title": title })).await;
    }
    visit.open("/todos").await;
    browser.until_live().await;
    browser.click("#todo-1 summary").await;
    browser.type_into("#todo-1 input[name=note]", "half a sen").await;
    visit.owner().post("/todos", &json!({ "title": "Three" })).await;
    browser.until_there("#todo-3").await;
    browser.press("tence").await;
    let note = "#todo-1 details[open] input[name=note]";
    let typed = browser.value(&format!("document.querySelector('{note}').value")).await;
    assert_eq!(typed, "half a sentence");
    visit.end().await;
}
