//! What every page must be: small, quiet and open to all.

use roots_browser::browser::{Theme, Width};
use roots_browser::pages::{Page, pages, pages_of_nobody, pages_of_operators};
use roots_browser::seed::Amount;
use serde_json::json;
use thirtyfour::Key;

use crate::visit::Visit;

const KB: u64 = 1_024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn now_is_small_on_the_first_visit() {
    let visit = Visit::to(Amount::Usual).await;
    visit.open("/").await;
    visit.browser.until_live().await;
    let sizes = visit.browser.sizes().await;
    for (what, most) in [("html", 32), ("css", 16), ("script", 16), ("all", 64)] {
        let bytes = sizes[what].as_u64().unwrap();
        assert!(0 < bytes && bytes <= most * KB, "{what}: {sizes}");
    }
    visit.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_of_a_usual_account_are_open_to_all() {
    let visit = Visit::to(Amount::Usual).await;
    check(&visit, &pages(&visit.seeded)).await;
    visit.browser.driver.delete_all_cookies().await.unwrap();
    check(&visit, &pages_of_nobody()).await;
    visit.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_of_an_empty_account_and_of_operators_are_open_to_all() {
    let visit = Visit::to(Amount::Empty).await;
    check(&visit, &pages(&visit.seeded)).await;
    visit.browser.driver.delete_all_cookies().await.unwrap();
    visit.browser.sign_in(&visit.server.url(), &visit.server.operator().key).await;
    check(&visit, &pages_of_operators(2)).await;
    visit.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_of_a_crowded_account_are_open_to_all() {
    let visit = Visit::to(Amount::Crowded).await;
    check(&visit, &pages(&visit.seeded)).await;
    visit.end().await;
}

/// What stands on no path of its own: what a form answers, and what is open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_of_forms_open_menus_and_dialogs_are_open_to_all() {
    let visit = Visit::to(Amount::Usual).await;
    let browser = &visit.browser;
    let mut faults = Vec::new();
    let todo = visit.seeded.todo.unwrap();

    visit.open("/todos").await;
    browser.until_live().await;
    browser.click(&format!("#todo-{todo} summary")).await;
    look(&visit, "an open card", &mut faults).await;
    browser.set_width(Width::Wide).await;
    browser.click(&format!("#todo-{todo} summary")).await;
    browser.press("?").await;
    browser.until_there("dialog[open] dl").await;
    look(&visit, "the keys", &mut faults).await;
    browser.press(Key::Escape.value().to_string()).await;
    browser.chord(Key::Control, "k").await;
    browser.until_there("dialog[open] li:nth-child(12)").await;
    look(&visit, "go to", &mut faults).await;

    // A field with a fault. The browser would not send it.
    browser.set_width(Width::Wide).await;
    visit.open("/todos/new").await;
    browser.value("document.querySelector('main form').noValidate = true").await;
    browser.click("main form button.primary").await;
    browser.until_there(".fault").await;
    look(&visit, "a fault", &mut faults).await;

    // Both states of a todo that somebody else has changed.
    browser.set_width(Width::Wide).await;
    visit.open(&format!("/todos/{todo}/edit")).await;
    browser.type_into("#title", "Mine").await;
    visit.owner().patch(&format!("/todos/{todo}"), &json!({ "title": "Theirs" })).await;
    browser.click("main form button.primary").await;
    browser.until_says("since you opened it").await;
    look(&visit, "a conflict", &mut faults).await;

    // A secret that is shown once.
    browser.set_width(Width::Wide).await;
    visit.open("/access").await;
    browser.type_into("#rotate-own", &visit.owner().key).await;
    browser.click("form[action='/access/keys/rotate'] button").await;
    browser.until_there("#api-key").await;
    look(&visit, "shown once", &mut faults).await;

    // A key that is none.
    visit.browser.driver.delete_all_cookies().await.unwrap();
    browser.set_width(Width::Wide).await;
    visit.open("/sign-in").await;
    browser.type_into("#api_key", "roots_1_wrong").await;
    browser.click("main form button").await;
    browser.until_there(".fault").await;
    look(&visit, "a wrong key", &mut faults).await;

    // Chromium puts the status of every refused page on the console.
    let errors = browser.console_errors().await;
    let of_pages = ["422", "400", "412", "401"];
    let errors = errors.iter().filter(|it| !of_pages.iter().any(|status| it.contains(status)));
    faults.extend(errors.map(|it| format!("console: {it}")));
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    visit.end().await;
}

/// Opens each page and looks at it.
async fn check(visit: &Visit, pages: &[Page]) {
    let browser = &visit.browser;
    let mut faults = Vec::new();
    for Page { name, path } in pages {
        visit.open(path).await;
        browser.until_there("main").await;
        look(visit, name, &mut faults).await;
        let errors = browser.console_errors().await;
        // Chromium puts the status of every refused page on the console.
        let status = match *name {
            "not-found" => "404",
            "bad-query" => "400",
            _ => "none",
        };
        let errors = errors.iter().filter(|it| !it.contains(status));
        faults.extend(errors.map(|it| format!("{name}: console: {it}")));
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// Looks at the page in both themes and at each width.
pub(crate) async fn look(visit: &Visit, name: &str, faults: &mut Vec<String>) {
    let browser = &visit.browser;
    for width in [Width::Wide, Width::Phone, Width::Narrow] {
        browser.set_width(width).await;
        let at = format!("{name} at {} px", width.pixels());
        let small = browser.small_targets().await;
        faults.extend(small.iter().map(|it| format!("{at}: small target: {it}")));
        let sideways = browser.sideways().await;
        faults.extend(sideways.iter().map(|it| format!("{at}: scrolls sideways: {it}")));
        if width == Width::Narrow {
            continue;
        }
        for theme in [Theme::Light, Theme::Dark] {
            browser.set_theme(theme).await;
            let found = browser.violations().await;
            faults.extend(found.iter().map(|it| format!("{at}, {}: {it}", theme.name())));
        }
    }
    let hosts = browser.other_hosts().await;
    faults.extend(hosts.iter().map(|it| format!("{name}: asks another host: {it}")));
}
