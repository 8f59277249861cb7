//! Pages that fit into a number of tokens.

use roots_testkit::app::TestApp;
use roots_testkit::database::TestDatabase;
use serde_json::{Value, json};

use crate::client::{done, refused};

roots_testkit::on_both! {
    a_page_fits_into_its_tokens_and_the_cursor_goes_on_after_it,
    overdue_and_finished_todos_are_listed_in_their_own_orders_page_by_page,
    long_texts_are_shortened_and_named,
    a_search_fits_into_its_tokens_and_goes_on_after_it,
    a_cursor_belongs_to_its_tool_and_arguments,
}

fn bytes(document: &Value) -> usize {
    document.to_string().len()
}

async fn add(app: &TestApp, count: usize, title: &str, description: Option<&str>) {
    for first in (0..count).step_by(20) {
        let todos: Vec<_> = (first..count.min(first + 20))
            .map(|number| match description {
                Some(text) => json!({"title": format!("{title} {number}"), "description": text}),
                None => json!({"title": format!("{title} {number}")}),
            })
            .collect();
        done(app, "add_todos", &json!({ "todos": todos })).await;
    }
}

async fn a_page_fits_into_its_tokens_and_the_cursor_goes_on_after_it(database: TestDatabase) {
    let app = TestApp::start(database, 1_000).await;
    add(&app, 100, &"é".repeat(150), None).await;
    let (mut seen, mut pages, mut cursor) = (Vec::new(), 0, Value::Null);
    loop {
        let arguments = json!({"limit": 100, "max_tokens": 1_000, "cursor": cursor});
        let page = done(&app, "list_todos", &arguments).await;
        assert!(bytes(&page) <= 4_000, "{}", bytes(&page));
        assert_eq!(page["total"], 100);
        let rows = page["todos"].as_array().unwrap();
        assert!(!rows.is_empty());
        seen.extend(rows.iter().map(|row| row["todo_id"].as_i64().unwrap()));
        pages += 1;
        let left = 100 - seen.len();
        let omitted = match left {
            0 => json!([]),
            _ => {
                json!([{"what": "todos", "count": left, "request": "list_todos with cursor = next_cursor"}])
            }
        };
        assert_eq!(page["omitted"], omitted);
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert!(pages > 5, "{pages}");
    let all: Vec<_> = (1..=100).rev().collect();
    assert_eq!(seen, all);
}

async fn overdue_and_finished_todos_are_listed_in_their_own_orders_page_by_page(
    database: TestDatabase,
) {
    let app = TestApp::start(database, 100).await;
    let wide = "é".repeat(150);
    // The first is due last.
    let todos: Vec<_> = (1..=12)
        .map(|number| {
            let due_at = format!("2026-01-{:02}T00:00:00Z", 13 - number);
            json!({ "title": format!("{wide} {number}"), "due_at": due_at, "priority": number % 4 })
        })
        .collect();
    done(&app, "add_todos", &json!({ "todos": todos })).await;
    let ids = async |arguments: Value| {
        let (mut seen, mut cursor, mut pages) = (Vec::new(), Value::Null, 0);
        loop {
            let mut arguments = arguments.clone();
            arguments["cursor"] = cursor;
            arguments["max_tokens"] = json!(1_000);
            let page = done(&app, "list_todos", &arguments).await;
            let rows = page["todos"].as_array().unwrap();
            seen.extend(rows.iter().map(|row| row["todo_id"].as_i64().unwrap()));
            pages += 1;
            cursor = page["next_cursor"].clone();
            if cursor.is_null() {
                return (seen, pages);
            }
        }
    };
    let (overdue, pages) = ids(json!({ "overdue": true })).await;
    assert_eq!(overdue, (1..=12).rev().collect::<Vec<_>>());
    assert!(pages > 1, "{pages}");
    let order = [5, 1, 9, 3, 12, 7, 2, 11, 4, 10, 6, 8];
    for id in order {
        app.context.clock.advance_seconds(1);
        done(&app, "update_todo", &json!({ "todo_id": id, "status": "done" })).await;
    }
    let latest: Vec<_> = order.into_iter().rev().collect();
    let finished = json!({ "status": "done", "sort": "status_since" });
    let (listed, pages) = ids(finished.clone()).await;
    assert_eq!(listed, latest);
    assert!(pages > 1, "{pages}");
    let mut high = finished;
    high["priority"] = json!(3);
    let (listed, _) = ids(high).await;
    assert_eq!(listed, [11, 7, 3]);
    for (arguments, argument) in [
        (json!({ "overdue": true, "status": "open" }), "overdue must not be given"),
        (json!({ "sort": "status_since" }), "sort status_since needs"),
        (json!({ "sort": "age" }), "sort must be one of"),
    ] {
        let refusal = refused(&app, "list_todos", &arguments).await;
        assert!(refusal.contains(argument), "{refusal}");
    }
}

async fn long_texts_are_shortened_and_named(database: TestDatabase) {
    let app = TestApp::start(database, 1_000).await;
    // Characters that take six bytes of JSON each.
    add(&app, 5, "long", Some(&"\u{1}".repeat(20_000))).await;
    for max_tokens in [500, 2_000, 8_000] {
        let page = done(&app, "list_todos", &json!({ "max_tokens": max_tokens })).await;
        assert!(bytes(&page) <= 4 * max_tokens, "{} of {max_tokens}", bytes(&page));
        let rows = page["todos"].as_array().unwrap();
        for (place, row) in rows.iter().enumerate() {
            let description = row["description"].as_str().unwrap();
            assert!(description.ends_with("\u{1}…"), "{description:?}");
            let pointer = format!("/todos/{place}/description");
            assert!(page["cut"].as_array().unwrap().contains(&pointer.into()), "{page}");
        }
    }
    let whole = done(&app, "get_item", &json!({"kind": "todo", "id": 1})).await;
    assert_eq!(whole["description"].as_str().unwrap().len(), 20_000);
    for out_of_range in [499, 8_001] {
        let text = refused(&app, "list_todos", &json!({ "max_tokens": out_of_range })).await;
        assert!(text.contains("max_tokens must be an integer from 500 to 8000"), "{text}");
    }
}

async fn a_search_fits_into_its_tokens_and_goes_on_after_it(database: TestDatabase) {
    let app = TestApp::start(database, 1_000).await;
    add(&app, 40, "needle", Some(&"hay ".repeat(100))).await;
    let (mut seen, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let arguments = json!({"q": "needle", "limit": 100, "max_tokens": 500, "cursor": cursor});
        let page = done(&app, "search_work", &arguments).await;
        assert!(bytes(&page) <= 2_000, "{}", bytes(&page));
        let rows = page["results"].as_array().unwrap();
        seen.extend(rows.iter().map(|row| row["id"].as_i64().unwrap()));
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
        assert_eq!(page["omitted"][0]["count"], 40 - seen.len());
    }
    seen.sort_unstable();
    let all: Vec<_> = (1..=40).collect();
    assert_eq!(seen, all);
}

async fn a_cursor_belongs_to_its_tool_and_arguments(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    add(&app, 4, "one", None).await;
    let page = done(&app, "list_todos", &json!({"limit": 2})).await;
    let cursor = &page["next_cursor"];
    let next = done(&app, "list_todos", &json!({"limit": 1, "cursor": cursor})).await;
    assert_eq!(next["todos"][0]["todo_id"], 2);
    for other in [
        ("list_todos", json!({"status": "open", "cursor": cursor})),
        ("search_work", json!({"q": "one", "cursor": cursor})),
        ("list_todos", json!({"cursor": "A"})),
    ] {
        let text = refused(&app, other.0, &other.1).await;
        assert!(text.contains("\n- cursor must be the next_cursor of a page"), "{text}");
    }
}
