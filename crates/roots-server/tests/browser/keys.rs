//! The keys of pages.

use roots_browser::seed::Amount;
use serde_json::{Value, json};
use thirtyfour::Key;

use crate::visit::Visit;

/// Waits until the page of a path is open and listens to keys.
async fn until_at(visit: &Visit, path: &str) {
    let browser = &visit.browser;
    browser.until(path, &format!("location.pathname === '{path}'")).await;
    browser.until_live().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_lead_to_pages_rows_and_filters() {
    let visit = Visit::to(Amount::Usual).await;
    let browser = &visit.browser;
    let pages = [
        ("s", "/sessions"),
        ("t", "/todos"),
        ("a", "/activity"),
        ("g", "/agents"),
        ("c", "/credits"),
        ("k", "/access"),
        ("n", "/"),
    ];
    visit.open("/credits").await;
    until_at(&visit, "/credits").await;
    for (letter, path) in pages {
        browser.press(format!("g{letter}")).await;
        until_at(&visit, path).await;
    }

    // Rows: each has one stop, and Enter opens it.
    browser.press("gs").await;
    until_at(&visit, "/sessions").await;
    let focused = "document.activeElement.getAttribute('href')";
    let rows = "[...document.querySelectorAll('#sessions .rows > li')]
        .map((row) => row.querySelector('a').getAttribute('href'))";
    let rows = browser.value(rows).await;
    browser.press("jj").await;
    assert_eq!(browser.value(focused).await, rows[1]);
    browser.press(format!("{}k", Key::Down.value())).await;
    assert_eq!(browser.value(focused).await, rows[1]);
    browser.press(format!("k{}", Key::Enter.value())).await;
    until_at(&visit, rows[0].as_str().unwrap()).await;
    browser.press("gn").await;
    until_at(&visit, "/").await;
    let row = "[...document.querySelectorAll('main .rows > li')]
        .findIndex((row) => row.contains(document.activeElement))";
    for number in 0..4 {
        browser.press("j").await;
        assert_eq!(browser.value(row).await, number, "a row with several links is one stop");
    }

    // Earlier and later pages of a list.
    browser.press("gs").await;
    until_at(&visit, "/sessions").await;
    browser.press("[").await;
    browser.until("earlier sessions", "location.search.includes('until=')").await;
    browser.until_live().await;
    let before = browser.value("location.search").await;
    browser.press("]").await;
    browser.until("later sessions", &format!("location.search !== {before}")).await;
    browser.until_live().await;

    visit.open("/activity").await;
    browser.until_live().await;
    browser.press("/").await;
    assert_eq!(browser.value("document.activeElement.name").await, "q");
    visit.open("/sessions").await;
    browser.until_live().await;

    browser.press("/").await;
    let filter = "document.activeElement.closest('[data-filter]') !== null";
    assert_eq!(browser.value(filter).await, true);
    // Letters are silent in fields, and beside Alt.
    browser.press("gt").await;
    browser.value("document.activeElement.blur()").await;
    browser.chord(Key::Alt, "n").await;
    assert_eq!(browser.path().await.split('?').next(), Some("/sessions"));
    browser.press("n").await;
    browser.until_there("#title").await;
    visit.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_keys_are_shown_and_letters_can_be_turned_off() {
    let visit = Visit::to(Amount::Empty).await;
    let browser = &visit.browser;
    visit.open("/").await;
    until_at(&visit, "/").await;
    browser.press("?").await;
    let shown = browser.until_there("dialog[open]").await.text().await.unwrap();
    for key in ["g, then n s t a g c k", "j k", "[ ]", "Ctrl K", "?"] {
        assert!(shown.contains(key), "{key}: {shown}");
    }
    browser.click("#keys-off").await;
    browser.press(Key::Escape.value().to_string()).await;
    browser.until("the end of the dialog", "!document.querySelector('dialog')").await;
    browser.press("n?").await;
    assert_eq!(browser.value("document.querySelector('dialog')").await, Value::Null);
    assert_eq!(browser.path().await, "/");

    // The next page knows it too. A button shows the keys, where they are turned on again.
    visit.open("/todos").await;
    until_at(&visit, "/todos").await;
    browser.click("nav.side .keys").await;
    browser.click("#keys-off").await;
    browser.press(Key::Escape.value().to_string()).await;
    browser.press("n").await;
    browser.until_there("#title").await;
    visit.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_k_leads_to_pages_agents_todos_and_actions() {
    let visit = Visit::to(Amount::Usual).await;
    let browser = &visit.browser;
    let (agent, _) = visit.seeded.agents[0];
    let todo = visit.seeded.todo.unwrap();
    let path = format!("/todos/{todo}");
    visit.owner().patch(&path, &json!({ "title": "Paint the zebra" })).await;
    let targets = [
        ("credits".to_owned(), "/credits".to_owned()),
        ("agent builder".to_owned(), format!("/agents/{agent}")),
        ("zebra".to_owned(), path),
    ];
    visit.open("/").await;
    for (typed, path) in targets {
        browser.until_live().await;
        browser.chord(Key::Control, "k").await;
        browser.until_there("dialog[open] [role=combobox]").await;
        browser.press(&typed).await;
        let chosen = "document.querySelector('dialog [aria-selected=true]')";
        browser.until(&typed, chosen).await;
        browser.press(Key::Enter.value().to_string()).await;
        until_at(&visit, &path).await;
    }
    browser.chord(Key::Control, "k").await;
    browser.until_there("dialog[open] [role=combobox]").await;
    browser.press("theme dark").await;
    browser.press(Key::Enter.value().to_string()).await;
    browser.until_there(":root[data-theme=dark]").await;
    browser.until_live().await;
    browser.chord(Key::Control, "k").await;
    browser.until_there("dialog[open] [role=combobox]").await;
    browser.press(format!("sign out{}", Key::Enter.value())).await;
    browser.until_there("#api_key").await;
    visit.end().await;
}
