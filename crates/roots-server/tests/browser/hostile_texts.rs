//! Texts of agents that want to break the page.

use roots_browser::browser::Width;
use roots_browser::seed::Amount;
use serde_json::json;

use crate::visit::Visit;

const SCRIPT: &str =
    "<script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\">";
/// A direction that is never closed, and Hebrew.
const TURNED: &str = "\u{202e}\u{5e9}\u{5dc}\u{5d5}\u{5dd} abc \u{2067}";

/// The texts with an override of direction that stand in nothing that isolates it.
const LOOSE: &str = "(() => {
    const walker = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
    const loose = [];
    for (let text = walker.nextNode(); text; text = walker.nextNode()) {
        if (!text.data.includes('\u{202e}')) continue;
        const holder = text.parentElement.closest('bdi, [dir=auto], option, title');
        const isolates = (it) => it.matches('option') || getComputedStyle(it).unicodeBidi !== 'normal';
        if (!holder || !isolates(holder)) loose.push(text.parentElement.outerHTML.slice(0, 200));
    }
    return loose;
})()";

/// For each name with an override of direction: what follows it on the same line, and whether that
/// stands to its right, where it was written.
const NEIGHBOURS: &str = "[...document.querySelectorAll('main bdi')]
    .filter((it) => it.textContent.includes('\u{202e}'))
    .flatMap((it) => {
        const [name, range] = [it.getBoundingClientRect(), document.createRange()];
        const walker = document.createTreeWalker(it.closest('li, article, div'), NodeFilter.SHOW_TEXT);
        walker.currentNode = it;
        let text = walker.nextNode();
        while (text && (it.contains(text) || !text.data.trim())) text = walker.nextNode();
        if (!text) return [];
        range.selectNodeContents(text);
        const next = range.getBoundingClientRect();
        const isSameLine = next.top < name.bottom && name.top < next.bottom;
        return isSameLine ? [[text.data, next.left >= name.right - 1]] : [];
    })";

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
        assert_eq!(
            browser.value(LOOSE).await,
            json!([]),
            "{path}: a direction that is not isolated"
        );
        assert_eq!(browser.other_hosts().await, Vec::<String>::new(), "{path}");
    }
    // An override that is never closed ends with its text: what follows stays where it was written.
    browser.set_width(Width::Wide).await;
    visit.open("/sessions/1").await;
    browser.until_there("#entries").await;
    let neighbours = browser.value(NEIGHBOURS).await;
    let neighbours = neighbours.as_array().unwrap();
    assert!(!neighbours.is_empty(), "something follows the turned title");
    assert!(neighbours.iter().all(|it| it[1] == true), "{neighbours:?}");
    // What is typed follows its own direction.
    visit.open("/todos/2/edit").await;
    browser.until_there("#title").await;
    for field in ["#title", "#description"] {
        let dir = browser.value(&format!("document.querySelector('{field}').dir")).await;
        assert_eq!(dir, "auto", "{field}");
    }
    visit.open("/todos").await;
    let text = browser.text().await;
    assert!(text.contains(SCRIPT), "it is shown as it was written: {text}");
    visit.end().await;
}
