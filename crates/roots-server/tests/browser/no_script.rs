//! Everything is read, and a todo moves, without script.

use roots_browser::pages::pages;
use roots_browser::seed::Amount;

use crate::visit::Visit;

/// The heading of a page, or its beginning, and what must stand on it; `None` for an unknown page.
fn expected(name: &str) -> Option<(&'static str, &'static str)> {
    Some(match name {
        "now" => ("Now", ".needrow"),
        "sessions" => ("Sessions", "main a[href^='/sessions/']"),
        "todos" => ("Todos", "#column-in_progress .todo"),
        "column" => ("Todos", "#column-open .todo"),
        "overdue" => ("Todos", "#column-open"),
        "new-todo" => ("New todo", "#title"),
        "activity" => ("Activity", "main a[href^='/activity/']"),
        "search" => ("Activity", "main input[name=q][value=parser]"),
        "agents" => ("Agents", "main a[href^='/agents/']"),
        "credits" => ("Credits", "main table, main svg"),
        "access" => ("Access", "#keys td"),
        "audit" => ("Audit log", "#audit li"),
        "session" => ("Session ", "#entries li"),
        "todo" => ("Todo ", "#history li"),
        "edit-todo" => ("Edit todo ", "#title"),
        "agent" => ("builder", ".card"),
        "entry" => ("Entry ", ".md"),
        "not-found" => ("Not found", "main code"),
        "bad-query" => ("Invalid query parameters", "main code"),
        _ => return None,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_read_and_a_todo_is_moved_without_script() {
    let visit = Visit::to(Amount::Usual).await;
    let browser = &visit.browser;
    browser.set_scripts(false).await;
    for page in pages(&visit.seeded) {
        visit.open(&page.path).await;
        let (heading, content) = expected(page.name).unwrap();
        let shown = browser.until_there("main h1").await.text().await.unwrap();
        assert!(shown.starts_with(heading), "{}: {shown}", page.name);
        browser.until_there(content).await;
        let is_error = browser.value("!!document.querySelector('main.bare, .error')").await;
        assert_eq!(is_error, matches!(page.name, "not-found" | "bad-query"), "{}", page.name);
        let badge =
            browser.value("!document.querySelector('#live:not([hidden], [data-still])')").await;
        assert_eq!(badge, true, "{}: nothing says that the page is live", page.name);
    }
    let todo = visit.seeded.todo.unwrap();
    visit.open("/todos").await;
    browser.click(&format!("#todo-{todo} summary")).await;
    browser.click(&format!("#todo-{todo} button[value=done]")).await;
    browser.until_there(&format!("#column-done #todo-{todo}")).await;
    // The pages of what does not exist and of a bad query are among them.
    let errors = browser.console_errors().await;
    let are_pages = |error: &String| error.contains("404") || error.contains("400");
    assert!(errors.iter().all(are_pages), "{errors:?}");
    visit.end().await;
}
