//! Signing in and out.

use roots_browser::api::http_client;
use roots_browser::seed::Amount;

use crate::visit::Visit;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_is_a_cookie_of_its_own_that_ends_with_signing_out() {
    let visit = Visit::to(Amount::Empty).await;
    let (browser, url) = (&visit.browser, visit.server.url());
    let cookies = browser.cookies().await;
    let name = format!("roots-{}", url.rsplit(':').next().unwrap());
    let cookie = cookies.iter().find(|cookie| cookie.name == name).unwrap().clone();
    assert_eq!((cookie.http_only, cookie.path.as_deref()), (Some(true), Some("/")));
    assert_ne!(cookie.value, visit.owner().key, "the cookie holds a key of its own");
    let held = browser.value("document.cookie").await;
    assert!(!held.as_str().unwrap().contains(&name), "no script reads it: {held}");

    browser.click("nav.side form[action='/sign-out'] button").await;
    browser.until_there("#api_key").await;
    let left = browser.cookies().await;
    assert!(left.iter().all(|cookie| cookie.name != name), "{left:?}");
    // What the browser kept of the page shows nothing.
    browser.driver.back().await.unwrap();
    browser.until_there("#api_key").await;
    assert!(!browser.text().await.contains("Sign out"));

    // A kept cookie opens nothing.
    let sent = http_client().get(&url).header("Cookie", format!("{name}={}", cookie.value));
    let answer = sent.send().await.unwrap();
    assert_eq!(answer.status(), 303);
    assert!(answer.headers()["location"].to_str().unwrap().starts_with("/sign-in"));
    visit.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_is_asked_for_again_and_a_right_one_leads_where_one_wanted_to_go() {
    let visit = Visit::to(Amount::Empty).await;
    let browser = &visit.browser;
    browser.driver.delete_all_cookies().await.unwrap();
    visit.open("/todos?priority=2").await;
    browser.until_there("#api_key").await;
    browser.type_into("#api_key", "roots_1_wrong").await;
    browser.click("main form button").await;
    browser.until_says("This is no valid API key").await;
    let is_sign_in = |name: &str| name.starts_with("roots-") && name != "roots-zone";
    assert!(browser.cookies().await.iter().all(|cookie| !is_sign_in(&cookie.name)));

    browser.type_into("#api_key", &visit.owner().key).await;
    browser.click("main form button").await;
    browser.until_there("#column-open").await;
    assert_eq!(browser.path().await, "/todos?priority=2");
    // Chromium puts the status of every refused page on the console.
    let errors = browser.console_errors().await;
    assert!(errors.iter().all(|error| error.contains("401")), "{errors:?}");
    visit.end().await;
}
