//! Two servers on one PostgreSQL.

use std::path::Path;

use roots_browser::browser::Browser;
use roots_browser::seed::{Amount, Seeded};
use roots_browser::server::Server;
use roots_testkit::database::TestDatabase;
use serde_json::json;

use crate::visit::PROGRAM;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_to_one_process_shows_on_a_page_of_another() {
    let database = TestDatabase::postgres().await;
    database.store.close().await;
    let settings = [("ROOTS_DATABASE_URL", database.url.as_str())];
    let one = Server::start(Path::new(PROGRAM), &settings).await;
    let seeded = Seeded::new(&one.url(), Amount::Empty).await;
    // The other creates no operator, and listens for itself.
    let other = Server::start(Path::new(PROGRAM), &settings).await;
    let browser = Browser::start().await;
    browser.sign_in(&other.url(), &seeded.owner.key).await;
    browser.open(&format!("{}/todos", other.url())).await;
    browser.until_live().await;
    seeded.owner.post("/todos", &json!({ "title": "Written elsewhere" })).await;
    browser.until_says("Written elsewhere").await;

    // A key that ends at one process signs out at the other.
    let key = seeded.owner.post("/keys/rotate", &json!({})).await["api_key"].clone();
    seeded.owner.with_key(key.as_str().unwrap()).get("/whoami").await;
    browser.until_there("#api_key").await;
    assert_eq!(browser.console_errors().await, Vec::<String>::new());
    browser.quit().await;
}
