//! Cursors: a page names the next one, and only the caller that got a cursor can use it.

use insta::assert_snapshot;
use roots_domain::model::page::{Page, PageRequest, SortKey, Start};

use crate::fixture::{MockedApi, TestRequest, get, listed, session};

/// The end of the first page of the API below.
const END: SortKey = SortKey([0, 1_775_728_800_000_000, 1]);

/// An API with three sessions.
fn api() -> MockedApi {
    let mut api = MockedApi::keyed();
    api.sessions.expect_sessions().returning(|query| {
        let items: Vec<_> = session(1).map(listed).into_iter().collect();
        Ok(Page { items, total: 3, request: query.page, next: Some(END) })
    });
    api.todos.expect_todos().returning(|query| {
        Ok(Page { items: Vec::new(), total: 0, request: query.page, next: Some(END) })
    });
    api
}

async fn cursor(path: &str) -> String {
    let answer = get(path).of(&api().router()).await;
    answer.json()["next_cursor"].as_str().unwrap().to_owned()
}

fn with(cursor: &str, path: &str) -> TestRequest {
    let and = if path.contains('?') { '&' } else { '?' };
    get(&format!("{path}{and}cursor={cursor}"))
}

#[tokio::test]
async fn a_page_links_to_the_next_page() {
    let answer = get("/api/v1/sessions?limit=1&status=active").of(&api().router()).await;
    assert_snapshot!(answer.summary(), @r#"
    200 OK
    link: </api/v1/sessions?status=active&limit=1&cursor=ATutlGIAAAAAAAAAAAAGTwQUV2gAAAAAAAAAAAE>; rel="next"

    {
      "sessions": [
        {
          "session_id": 1,
          "status": "active",
          "notes": "Working on API docs",
          "started_at": "2026-04-09T10:00:00Z",
          "ended_at": null,
          "ended_reason": null,
          "duration_seconds": null,
          "actor_id": 1,
          "last_active_at": "2026-04-09T10:00:00Z"
        }
      ],
      "total": 3,
      "limit": 1,
      "offset": 0,
      "next_cursor": "ATutlGIAAAAAAAAAAAAGTwQUV2gAAAAAAAAAAAE"
    }
    "#);
}

#[tokio::test]
async fn the_link_keeps_the_filters_and_the_limit() {
    for (query, kept) in [
        ("", "limit=20"),
        ("?limit=1000&offset=3", "limit=100"),
        ("?session_id=7&st%61tus=open&&priority=1", "session_id=7&status=open&priority=1&limit=20"),
    ] {
        let answer = get(&format!("/api/v1/todos{query}")).of(&api().router()).await;
        let cursor = answer.json()["next_cursor"].as_str().unwrap().to_owned();
        let link = format!("</api/v1/todos?{kept}&cursor={cursor}>; rel=\"next\"");
        assert_eq!(answer.header("link"), link);
    }
}

#[tokio::test]
async fn the_link_keeps_the_time_zone() {
    let mut api = MockedApi::keyed();
    api.activities.expect_activities().times(2).returning(|filter, request| {
        assert_eq!(filter.range.since.unwrap().to_string(), "2026-04-09T14:00:00Z");
        Ok(Page { items: Vec::new(), total: 0, request, next: Some(END) })
    });
    let router = api.router();
    let path = "/api/v1/activities?since=2026-04-09T16:00:00+02:00";
    let first = get(path).of(&router).await;
    let link = first.header("link").strip_prefix('<').unwrap();
    let second = get(link.split_once('>').unwrap().0).of(&router).await;
    assert_eq!(second.status, 200, "{}", second.body);
}

#[tokio::test]
async fn a_cursor_asks_the_store_for_the_rows_behind_it() {
    let cursor = cursor("/api/v1/sessions?status=ended&limit=1").await;
    let mut api = MockedApi::keyed();
    api.sessions
        .expect_sessions()
        .withf(|query| query.page == PageRequest { limit: 7, start: Start::After(END) })
        .once()
        .returning(|query| Ok(Page { items: vec![], total: 3, request: query.page, next: None }));
    // The limit and the order of the parameters may change.
    let path = format!("/api/v1/sessions?limit=7&cursor={cursor}&status=ended");
    let answer = get(&path).of(&api.router()).await;
    let body = r#"{"sessions":[],"total":3,"limit":7,"offset":0,"next_cursor":null}"#;
    assert_eq!((answer.body.as_str(), answer.header("link")), (body, ""));
}

#[tokio::test]
async fn a_cursor_of_another_list_filter_or_caller_is_400() {
    let of_active = cursor("/api/v1/sessions?status=active").await;
    let of_all = cursor("/api/v1/todos").await;
    let router = api().router();
    for ask in [
        with(&of_active, "/api/v1/sessions"),
        with(&of_active, "/api/v1/sessions?status=ended"),
        with(&of_active, "/api/v1/todos"),
        with(&of_active, "/api/v1/sessions?status=active").by_the_member(),
        with(&of_all, "/api/v1/sessions"),
        with(&of_all, "/api/v1/todos?priority=0"),
        with(&of_all, "/api/v1/todos?session_id=1"),
    ] {
        let answer = ask.of(&router).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert!(answer.errors()[0].starts_with("cursor must be the next_cursor"));
    }
    let again = with(&of_active, "/api/v1/sessions?status=active");
    assert_eq!(again.of(&router).await.status, 200);
    assert_snapshot!(with(&of_active, "/api/v1/sessions").of(&api().router()).await.summary(), @r#"
    400 Bad Request

    {
      "type": "/docs/problems#invalid-parameters",
      "title": "Invalid query parameters",
      "status": 400,
      "detail": "cursor must be the next_cursor of a page of this list, with the same filters and caller.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "cursor must be the next_cursor of a page of this list, with the same filters and caller.",
      "errors": [
        {
          "field": "cursor",
          "message": "must be the next_cursor of a page of this list, with the same filters and caller"
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn a_cursor_that_was_changed_is_400() {
    let cursor = cursor("/api/v1/sessions").await;
    let mut changed: Vec<String> =
        ["", "x", "%00", "null", "AAAA"].map(str::to_owned).into_iter().collect();
    changed.extend([cursor[1..].to_owned(), cursor[..cursor.len() - 1].to_owned()]);
    changed.extend([format!("{cursor}="), format!("{cursor}A"), cursor.repeat(2)]);
    for at in 0..cursor.len() {
        let other = if &cursor[at..=at] == "A" { "B" } else { "A" };
        changed.push(format!("{}{other}{}", &cursor[..at], &cursor[at + 1..]));
    }
    let router = api().router();
    for changed in changed {
        let answer = with(&changed, "/api/v1/sessions").of(&router).await;
        assert_eq!(answer.status, 400, "{changed}");
        assert!(answer.errors()[0].starts_with("cursor must be"), "{changed}");
    }
}

#[tokio::test]
async fn a_cursor_beside_an_offset_is_400() {
    let cursor = cursor("/api/v1/sessions").await;
    let ask = with(&cursor, "/api/v1/sessions?offset=0&limit=0");
    let answer = ask.of(&api().router()).await;
    assert_snapshot!(answer.summary(), @r#"
    400 Bad Request

    {
      "type": "/docs/problems#invalid-parameters",
      "title": "Invalid query parameters",
      "status": 400,
      "detail": "limit must be an integer from 1 (above 100 reads as 100); cursor must not be given together with offset.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "limit must be an integer from 1 (above 100 reads as 100); cursor must not be given together with offset.",
      "errors": [
        {"field": "limit", "message": "must be an integer from 1 (above 100 reads as 100)"},
        {"field": "cursor", "message": "must not be given together with offset"}
      ]
    }
    "#);
}
