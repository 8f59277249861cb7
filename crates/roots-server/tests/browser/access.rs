//! Keys on the page of access.

use roots_browser::api::http_client;
use roots_browser::seed::Amount;

use crate::visit::Visit;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_key_signs_out_and_the_sign_in_page_says_why() {
    let visit = Visit::to(Amount::Empty).await;
    let browser = &visit.browser;
    let cookie = visit.sign_in_cookie().await;
    visit.open("/access").await;
    browser.type_into("#rotate-own", &visit.owner().key).await;
    browser.click("form[action='/access/keys/rotate'] button").await;
    let shown = browser.until_there("#api-key").await.text().await.unwrap();
    assert_ne!(shown, visit.owner().key);
    browser.click("a.button.primary").await;
    browser.until_there("#keys").await;
    let text = browser.text().await;
    assert!(!text.contains(&shown), "it is shown once");

    // The first use of the new key ends the old one, and the page finds out by itself.
    browser.until_live().await;
    let rotated = visit.owner().with_key(&shown);
    rotated.get("/whoami").await;
    browser.until_there("#api_key").await;
    let said = browser.until_there(".note").await.text().await.unwrap();
    assert!(said.contains("rotated"), "{said}");

    // What was kept of the old sign-in opens nothing.
    let sent = http_client().get(visit.server.url()).header("Cookie", cookie);
    let answer = sent.send().await.unwrap();
    assert_eq!(answer.status(), 303);
    assert!(answer.headers()["location"].to_str().unwrap().starts_with("/sign-in"));
    browser.type_into("#api_key", &shown).await;
    browser.click("main form button").await;
    browser.until_there("nav.side").await;
    visit.end().await;
}
