//! What every page must be: small, quiet and open to all.

use roots_browser::browser::{Theme, Width};
use roots_browser::pages::{Page, pages, pages_of_operators};
use roots_browser::seed::Amount;

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
    check(&visit, &[Page { name: "sign-in", path: "/sign-in".to_owned() }]).await;
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

/// Looks at each page in both themes and at each width.
async fn check(visit: &Visit, pages: &[Page]) {
    let browser = &visit.browser;
    let mut faults = Vec::new();
    for Page { name, path } in pages {
        visit.open(path).await;
        browser.until_there("main").await;
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
        let errors = browser.console_errors().await;
        // Chromium puts the status of every refused page on the console.
        let errors = errors.iter().filter(|it| *name != "not-found" || !it.contains("404"));
        faults.extend(errors.map(|it| format!("{name}: console: {it}")));
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
