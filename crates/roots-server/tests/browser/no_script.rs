//! Everything is read, and a todo moves, without script.

use roots_browser::pages::pages;
use roots_browser::seed::Amount;

use crate::visit::Visit;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_read_and_a_todo_is_moved_without_script() {
    let visit = Visit::to(Amount::Usual).await;
    let browser = &visit.browser;
    browser.set_scripts(false).await;
    for page in pages(&visit.seeded) {
        visit.open(&page.path).await;
        let text = browser.until_there("main").await.text().await.unwrap();
        assert!(text.lines().count() > 2, "{}: {text}", page.name);
        let badge = browser.value("!document.querySelector('#live:not([hidden])')").await;
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
