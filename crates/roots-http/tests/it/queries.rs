//! Query parameters: an unknown or invalid one is refused, never ignored.

use insta::assert_snapshot;
use roots_domain::model::account::AccountKind;
use roots_domain::model::activity::ActivityStats;
use roots_domain::model::page::{Page, PageRequest};
use roots_domain::model::time::TimeRange;
use roots_domain::model::zone::Zone;

use crate::fixture::{MockedApi, ask, at, get};

#[tokio::test]
async fn every_error_of_a_query_is_reported_at_once() {
    let query = "status=finished&priority=4&session=1&sessoin_id=1&limit=0&limit=5&offset=-1&zzz";
    let answer = get(&format!("/api/v1/todos?{query}")).of_the_whole_api().await;
    assert_snapshot!(answer.summary(), @r#"
    400 Bad Request

    {
      "type": "/docs/problems#invalid-parameters",
      "title": "Invalid query parameters",
      "status": 400,
      "detail": "status must be one of open, in_progress, done, cancelled; priority must be 0 (lowest) to 3 (highest); limit is given more than once; and 4 more errors.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "status must be one of open, in_progress, done, cancelled; priority must be 0 (lowest) to 3 (highest); limit is given more than once; and 4 more errors.",
      "errors": [
        {"field": "status", "message": "must be one of open, in_progress, done, cancelled"},
        {"field": "priority", "message": "must be 0 (lowest) to 3 (highest)"},
        {"field": "limit", "message": "is given more than once"},
        {"field": "offset", "message": "must be an integer from 0"},
        {"field": "session", "message": "is not a known parameter: did you mean session_id?"},
        {"field": "sessoin_id", "message": "is not a known parameter: did you mean session_id?"},
        {
          "field": "zzz",
          "message": "is not a known parameter: there are status, priority, session_id, overdue, sort, actor_id, limit, offset, cursor"
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn an_invalid_value_of_a_parameter_is_400() {
    let router = MockedApi::whole().router();
    for query in [
        "sessions?status=",
        "sessions?status",
        "sessions?status=Active",
        "sessions?limit=0",
        "sessions?limit=-1",
        "sessions?limit=ten",
        "sessions?limit=",
        "sessions?limit=1.5",
        "sessions?offset=-1",
        "sessions?offset=9223372036854775808",
        "sessions?status=active&status=active",
        "sessions?cursor=x",
        "sessions?actor_id=one",
        "sessions?%FF=1",
        "sessions?status=%",
        "sessions?status=%C3",
        "todos?priority=-1",
        "todos?priority=4",
        "todos?priority=x",
        "todos?priority=",
        "todos?session_id=0",
        "todos?session_id=x",
        "todos?overdue=1",
        "todos?overdue=True",
        "todos?overdue=true&status=open",
        "todos?overdue=true&priority=0",
        "todos?overdue=true&session_id=1",
        "todos?overdue=true&sort=priority",
        "todos?sort=",
        "todos?sort=created_at",
        "todos?sort=status_since",
        "todos?sort=status_since&status=open",
        "todos?sort=status_since&status=done&session_id=1",
        "todos?sort=status_since&status=done&session_id=1",
        "sessions?since=yesterday",
        "sessions?until=2026-02-30",
        "sessions?active_since=",
        "sessions?active_since=2026-04-01&since=2026-04-01",
        "sessions?active_since=2026-04-01&until=2026-04-01",
        "activities?type=Deploy",
        "activities?type=",
        "activities?since=yesterday",
        "activities?until=2026-02-30",
        "activities?since=1969-12-31",
        "activities/stats?type=deploy",
        "activities/stats?limit=1",
        "activities/stats?tz=",
        "activities/stats?tz=Vienna",
        "activities/stats?tz=%2B02:00",
        "todos/stats?status=done",
        "todos/stats?since=yesterday",
        "todos/stats?tz=Vienna",
        "credits/stats?reason=import",
        "credits/stats?actor_id=any",
        "activities?tz=Etc/Unknown",
        "sessions?tz=UTC",
        "credits/ledger?reason=gift",
        "brief?max_tokens=499",
        "brief?since=soon",
        "brief?actor_id=any",
        "brief?session_id=0",
        "brief?limit=5",
    ] {
        let answer = get(&format!("/api/v1/{query}")).of(&router).await;
        assert_eq!(answer.status, 400, "{query}");
    }
}

#[tokio::test]
async fn valid_values_of_parameters_are_200() {
    let router = MockedApi::whole().router();
    for query in [
        "sessions?",
        "sessions?&&",
        "sessions?status=ended&limit=1&offset=9223372036854775807",
        "sessions?st%61tus=active",
        "todos?priority=0&session_id=999999999",
        "todos?overdue=true&actor_id=all",
        "todos?overdue=false&status=open",
        "todos?sort=status_since&status=cancelled&actor_id=1",
        "todos?sort=priority&status=open&priority=1",
        "sessions?since=2026-04-01&until=2026-04-09&status=ended",
        "sessions?active_since=2026-04-09T16:00:00+02:00&status=ended",
        "activities?type=code-review_2.0&since=2026-04-09T16:00:00%2B02:00&until=2026-04-09",
        "activities?since=2026-04-09T16:00:00+02:00",
        "activities?since=2026-04-09+14:00",
        "activities/stats?session_id=1&since=2026-04-01&until=2026-04-09",
        "activities/stats?tz=Asia/Kathmandu",
        "todos/stats?since=2026-04-01&until=2026-04-09&tz=Asia/Kathmandu&actor_id=2",
        "todos/stats?since=2026-04-09&until=2026-04-01",
        "credits/stats?since=1970-01-01&until=9999-12-31",
        "activities?tz=europe%2Fvienna&since=2026-03-29",
        "credits/ledger?reason=operator_grant",
    ] {
        let answer = get(&format!("/api/v1/{query}")).of(&router).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_limit_over_100_reads_as_100() {
    for limit in ["100", "101", "99999999999999999999"] {
        let path = format!("/api/v1/sessions?limit={limit}&offset=3");
        let answer = get(&path).of_the_whole_api().await.json();
        assert_eq!((answer["limit"].as_i64(), answer["offset"].as_i64()), (Some(100), Some(3)));
    }
}

#[tokio::test]
async fn a_range_of_times_reaches_the_store_in_utc() {
    let mut api = MockedApi::keyed();
    api.activities
        .expect_activities()
        .withf(|filter, page| {
            let range = TimeRange {
                since: Some(at("2026-04-09T14:00:00Z")),
                until: Some(at("2026-04-09T23:59:59.999999Z")),
            };
            filter.range == range
                && filter.activity_type.as_ref().is_some_and(|kind| kind.as_str() == "deploy")
                && filter.session.is_some_and(|session| session.0 == 3)
                && *page == PageRequest::skipping(10, 5)
        })
        .once()
        .returning(|_, request| Ok(Page { items: Vec::new(), total: 0, request, next: None }));
    let query = "type=deploy&session_id=3&since=2026-04-09T16:00:00+02:00&until=2026-04-09&limit=5&offset=10";
    let answer = get(&format!("/api/v1/activities?{query}")).of(&api.router()).await;
    assert_eq!(
        answer.body,
        r#"{"activities":[],"total":0,"limit":5,"offset":10,"next_cursor":null}"#
    );
}

#[tokio::test]
async fn a_list_says_which_parameters_do_not_go_together() {
    let message = async |query: &str| {
        let answer = get(&format!("/api/v1/{query}")).of_the_whole_api().await.json();
        let error = &answer["errors"][0];
        format!("{} {}", error["field"].as_str().unwrap(), error["message"].as_str().unwrap())
    };
    assert_eq!(
        message("todos?overdue=true&status=open").await,
        "overdue must not be given together with sort, or with a filter but actor_id"
    );
    assert_eq!(
        message("todos?sort=status_since").await,
        "sort status_since needs status=done or status=cancelled, and can't be combined with session_id"
    );
    assert_eq!(
        message("sessions?active_since=2026-04-01&until=2026-04-09").await,
        "active_since must not be given together with since or until"
    );
}

#[tokio::test]
async fn a_plain_date_is_a_day_of_the_time_zone() {
    let mut api = MockedApi::keyed();
    let between = |since, until| TimeRange { since: Some(at(since)), until: Some(at(until)) };
    api.activities
        .expect_activities()
        .withf(move |filter, _| {
            filter.range == between("2026-04-08T18:15:00Z", "2026-04-09T18:14:59.999999Z")
        })
        .once()
        .returning(|_, request| Ok(Page { items: vec![], total: 0, request, next: None }));
    api.activities
        .expect_activity_stats()
        .withf(move |filter, zone| {
            let range = between("2026-03-28T23:00:00Z", "2026-03-29T12:00:00Z");
            filter.range == range && *zone == Zone::parse("Europe/Vienna").unwrap()
        })
        .once()
        .returning(|_, _| Ok(ActivityStats::default()));
    let router = api.router();
    let list = "/api/v1/activities?since=2026-04-09&until=2026-04-09&tz=Asia/Kathmandu";
    assert_eq!(get(list).of(&router).await.status, 200);
    // A time without an offset is UTC in every zone.
    let stats = "/api/v1/activities/stats?tz=Europe/Vienna&since=2026-03-29&until=2026-03-29T12:00";
    assert_eq!(get(stats).of(&router).await.status, 200);
}

#[tokio::test]
async fn an_unknown_time_zone_is_reported_with_every_other_error() {
    let query = "tz=Mars/Olympus&since=yesterday&limit=1";
    let answer = get(&format!("/api/v1/activities/stats?{query}")).of_the_whole_api().await;
    assert_snapshot!(answer.summary(), @r#"
    400 Bad Request

    {
      "type": "/docs/problems#invalid-parameters",
      "title": "Invalid query parameters",
      "status": 400,
      "detail": "tz must be a time zone of the IANA database, such as Europe/Vienna or UTC; since must be a date or time of RFC 3339, such as 2026-04-09 or 2026-04-09T14:00:00Z; limit is not a known parameter: there are session_id, tz, since, until, actor_id.",
      "request_id": "019d728c-2e80-7000-8000-000000000001",
      "error": "tz must be a time zone of the IANA database, such as Europe/Vienna or UTC; since must be a date or time of RFC 3339, such as 2026-04-09 or 2026-04-09T14:00:00Z; limit is not a known parameter: there are session_id, tz, since, until, actor_id.",
      "errors": [
        {
          "field": "tz",
          "message": "must be a time zone of the IANA database, such as Europe/Vienna or UTC"
        },
        {
          "field": "since",
          "message": "must be a date or time of RFC 3339, such as 2026-04-09 or 2026-04-09T14:00:00Z"
        },
        {
          "field": "limit",
          "message": "is not a known parameter: there are session_id, tz, since, until, actor_id"
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn every_endpoint_refuses_an_unknown_parameter() {
    let router = MockedApi::whole_of(AccountKind::Operator).router();
    let document = serde_json::to_value(roots_http::openapi()).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let method = method.to_uppercase().leak();
            let path = format!("{}?zzz=1", path.replace("{id}", "1"));
            let answer = ask(method, &path).of(&router).await;
            assert_eq!(answer.status, 400, "{method} {path}");
            assert!(answer.errors()[0].starts_with("zzz is not a known parameter"), "{path}");
        }
    }
}
