//! Texts of agents that want to break the page.

use roots_browser::browser::Width;
use roots_browser::seed::Amount;
use serde_json::json;

use crate::visit::Visit;

const SCRIPT: &str =
    "<script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\">";
/// A direction that is never closed, and Hebrew.
const TURNED: &str = "\u{202e}\u{5e9}\u{5dc}\u{5d5}\u{5dd} abc \u{2067}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn markup_directions_and_64_kib_texts_break_nothing() {
    let visit = Visit::to(Amount::Empty).await;
    let (browser, owner) = (&visit.browser, visit.owner());
    let long = "x".repeat(65_536);
    let links = "[a](javascript:document.title='broken') ![b](https://example.com/b.png) <https://example.com>";
    let notes = format!("{SCRIPT}\n\n{links}\n\n{TURNED}");
    let session = owner.post("/sessions", &json!({ "notes": notes })).await["session_id"].clone();
    for (title, description) in [(SCRIPT, links), (TURNED, TURNED), ("Long", long.as_str())] {
        let body = json!({ "title": title, "description": description, "session_id": session });
        owner.post("/todos", &body).await;
    }
    for said in [SCRIPT, TURNED, &long] {
        let body = json!({ "description": said, "activity_type": "note", "session_id": session });
        owner.post("/activities", &body).await;
    }
    let paths = [
        "/",
        "/sessions",
        "/sessions/1",
        "/todos",
        "/todos/1",
        "/todos/2",
        "/todos/3",
        "/activity",
        "/activity/1",
        "/activity/3",
    ];
    browser.set_width(Width::Narrow).await;
    for path in paths {
        visit.open(path).await;
        browser.until_there("main").await;
        let title = browser.value("document.title").await;
        assert!(!title.as_str().unwrap().contains("broken"), "{path}");
        let made = browser.value("document.querySelectorAll('main script, main img').length").await;
        assert_eq!(made, 0, "{path}");
        let links =
            browser.value("document.querySelectorAll('a[href^=\"javascript\" i]').length").await;
        assert_eq!(links, 0, "{path}");
        assert_eq!(browser.sideways().await, Vec::<String>::new(), "{path}");
        assert_eq!(browser.other_hosts().await, Vec::<String>::new(), "{path}");
    }
    visit.open("/todos").await;
    let text = browser.text().await;
    assert!(text.contains(SCRIPT), "it is shown as it was written: {text}");
    visit.end().await;
}
