//! Making, moving and editing todos.

use roots_browser::seed::Amount;
use serde_json::{Value, json};
use thirtyfour::{By, Key};

use crate::visit::Visit;

/// Waits until the card of a todo is in a column.
async fn until_in(visit: &Visit, todo: i64, column: &str) {
    let is_there = format!("document.querySelector('#column-{column} #todo-{todo}')");
    visit.browser.until(&format!("todo {todo} in {column}"), &is_there).await;
}

async fn status(visit: &Visit, todo: i64) -> Value {
    visit.owner().get(&format!("/todos/{todo}")).await["status"].clone()
}

/// Drags the card of a todo to a column, and drops it there.
async fn drag(visit: &Visit, todo: i64, column: &str) {
    let driver = &visit.browser.driver;
    let card = driver.find(By::Css(format!("#todo-{todo} .meta"))).await.unwrap();
    let target = driver.find(By::Css(format!("#column-{column} > header"))).await.unwrap();
    let held = driver.action_chain().click_and_hold_element(&card).move_by_offset(12, 4);
    held.move_to_element_center(&target).release().perform().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_todo_is_made_and_moved_by_drag_by_keys_and_by_menu() {
    let visit = Visit::to(Amount::Empty).await;
    let browser = &visit.browser;
    visit.open("/todos").await;
    browser.press("n").await;
    browser.type_into("#title", "Deploy the docs").await;
    browser.type_into("#description", "By **noon**.").await;
    browser.click("main form button.primary").await;
    until_in(&visit, 1, "open").await;

    browser.until_live().await;
    // The second drag is as good as the first.
    for column in ["in_progress", "open", "in_progress"] {
        drag(&visit, 1, column).await;
        until_in(&visit, 1, column).await;
        assert_eq!(status(&visit, 1).await, column);
        browser.until_live().await;
    }

    // m, then the first letter of a column.
    browser.value("document.querySelector('#todo-1').focus()").await;
    browser.press("md").await;
    until_in(&visit, 1, "done").await;
    browser
        .until(
            "the move to be told",
            "document.querySelector('#told').textContent
        .includes('Deploy the docs: in progress to done')",
        )
        .await;

    // m, an arrow to the next column, Enter.
    browser.value("document.querySelector('#todo-1').focus()").await;
    browser.press(format!("m{}{}", Key::Right.value(), Key::Enter.value())).await;
    until_in(&visit, 1, "in_progress").await;

    browser.click("#todo-1 summary").await;
    browser.type_into("#todo-1 input[name=note]", "Nobody needs it").await;
    browser.click("#todo-1 button[value=cancelled]").await;
    until_in(&visit, 1, "cancelled").await;
    let log = visit.owner().get("/todos/1/logs").await;
    assert!(log.to_string().contains("Nobody needs it"), "{log}");

    // Escape leaves it where it is.
    browser.value("document.querySelector('#todo-1').focus()").await;
    browser.press(format!("m{}", Key::Escape.value())).await;
    let told = "document.querySelector('#told').textContent === 'Not moved'";
    browser.until("the end of the move to be told", told).await;

    // A step that the rules do not allow: the card goes back, and a sentence says why.
    drag(&visit, 1, "done").await;
    browser.until_says("there is no step from cancelled to done").await;
    until_in(&visit, 1, "cancelled").await;
    assert_eq!(status(&visit, 1).await, "cancelled");
    visit.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_second_sees_both_states_and_loses_nothing() {
    let visit = Visit::to(Amount::Empty).await;
    let browser = &visit.browser;
    let made = visit.owner().post("/todos", &json!({ "title": "First" })).await;
    let path = format!("/todos/{}", made["todo_id"]);
    let balance = async || visit.owner().get("/credits").await["balance"].clone();

    visit.open(&format!("{path}/edit")).await;
    browser.type_into("#title", "Mine").await;
    visit.owner().patch(&path, &json!({ "title": "Theirs" })).await;
    let before = balance().await;
    browser.click("main form button.primary").await;
    browser.until_says("since you opened it").await;
    let text = browser.text().await;
    assert!(text.contains("Theirs") && text.contains("Mine"), "{text}");
    assert_eq!(balance().await, before, "nothing was charged");
    browser.click("main form button.primary").await;
    // The page of the conflict has the same address.
    browser.until("the todo", "!document.title.includes('has changed')").await;
    assert_eq!(visit.owner().get(&path).await["title"], "Mine");

    // A step from a state that is gone.
    browser.set_scripts(false).await;
    visit.open("/todos").await;
    browser.click("#todo-1 summary").await;
    visit.owner().patch(&path, &json!({ "status": "done" })).await;
    browser.click("#todo-1 button[value=cancelled]").await;
    browser.until_says("since you opened it").await;
    assert_eq!(status(&visit, 1).await, "done");
    // The same by key, on a page that has not heard of it.
    browser.set_scripts(true).await;
    visit.owner().patch(&path, &json!({ "status": "in_progress" })).await;
    visit.open("/todos").await;
    browser.until_live().await;
    browser.value("dispatchEvent(new Event('pagehide'))").await;
    visit.owner().patch(&path, &json!({ "status": "done" })).await;
    browser.value("document.querySelector('#todo-1').focus()").await;
    browser.press("mc").await;
    let said = browser.until_there("dialog[open]").await.text().await.unwrap();
    assert!(said.contains("since you opened it"), "{said}");
    until_in(&visit, 1, "done").await;
    assert_eq!(status(&visit, 1).await, "done");
    // Chromium puts the status of every refused page on the console.
    let errors = browser.console_errors().await;
    assert!(errors.iter().all(|error| error.contains("412")), "{errors:?}");
    visit.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_menu_closes_by_escape_and_by_a_click_beside_it() {
    let visit = Visit::to(Amount::Empty).await;
    let browser = &visit.browser;
    visit.owner().post("/todos", &json!({ "title": "First" })).await;
    visit.open("/todos").await;
    let is_open = async || browser.value("!!document.querySelector('.menu[open]')").await;
    browser.click("#todo-1 summary").await;
    browser.type_into("#todo-1 input[name=note]", "A click in it").await;
    assert_eq!(is_open().await, true);
    browser.press(Key::Escape.value().to_string()).await;
    assert_eq!(is_open().await, false);
    let focused = "document.activeElement === document.querySelector('#todo-1 summary')";
    assert_eq!(browser.value(focused).await, true);
    browser.click("#todo-1 summary").await;
    assert_eq!(is_open().await, true);
    browser.click("h1").await;
    assert_eq!(is_open().await, false);
    visit.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_somebody_else_is_loaded_anew_and_not_mixed() {
    let visit = Visit::to(Amount::Empty).await;
    let browser = &visit.browser;
    let (_, member) = visit.owner().add_member("Scout").await;
    visit.open("/todos").await;
    browser.until_live().await;
    browser.value("window.isFirst = true").await;
    let key = serde_json::to_string(&member.key).unwrap();
    let signs_in = format!(
        "fetch('/sign-in', {{ method: 'POST', body: new URLSearchParams({{ api_key: {key} }}) }})"
    );
    browser.value(&format!("void {signs_in}")).await;
    visit.owner().post("/todos", &json!({ "title": "First" })).await;
    let is_theirs = "!window.isFirst
        && document.querySelector('nav.side .end p').textContent === 'Scout'";
    browser.until("the page of the member", is_theirs).await;
    visit.end().await;
}
