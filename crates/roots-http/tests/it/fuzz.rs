//! No input is answered with 5xx.

use std::fmt::Write;

use axum::Router;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use tokio::runtime::{Builder, Runtime};

use crate::fixture::{MockedApi, TestRequest, TestResponse, ask};

const NAMES: [&str; 18] = [
    "notes",
    "status",
    "title",
    "description",
    "session_id",
    "priority",
    "due_at",
    "note",
    "activity_type",
    "logged_at",
    "account_name",
    "actor_name",
    "actor_type",
    "type",
    "since",
    "until",
    "limit",
    "offset",
];

fn operations() -> Vec<(&'static str, String)> {
    let document = serde_json::to_value(roots_http::openapi()).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let method: &'static str = method.to_uppercase().leak();
            operations.push((method, path.replace("{id}", "1")));
        }
    }
    operations
}

thread_local! {
    static WORLD: (Runtime, Router) = (
        Builder::new_current_thread().enable_all().build().unwrap(),
        MockedApi::whole().router(),
    );
    static OPERATIONS: Vec<(&'static str, String)> = operations();
}

fn answered(ask: TestRequest) -> Result<(), TestCaseError> {
    let answer = WORLD.with(|(runtime, router)| runtime.block_on(ask.of(router)));
    assert_conforms(&answer)
}

/// Sends a request to every operation of the document.
fn each(ask: impl Fn(&'static str, &str) -> TestRequest) -> Result<(), TestCaseError> {
    OPERATIONS.with(|operations| {
        operations.iter().try_for_each(|(method, path)| answered(ask(method, path)))
    })
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![4 => select(&NAMES[..]).prop_map(str::to_owned), 1 => ".{0,12}"]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,40}",
        "[0-9+. TZ:-]{0,30}",
        "-?[0-9]{1,25}",
        select(
            &[
                "open",
                "ended",
                "done",
                "agent",
                "2026-04-09",
                "9999-12-31T23:59:59-23:59",
                "\0",
                "%",
                "%C3"
            ][..]
        )
        .prop_map(str::to_owned),
    ]
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        text().prop_map(|text| serde_json::to_string(&text).unwrap()),
        any::<i64>().prop_map(|number| number.to_string()),
        (-5_i64..5).prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| format!("{number:e}")),
        select(&["null", "true", "[]", "{}", "[[1,{\"a\":2}]]", "1e400", "-0", "nul"][..])
            .prop_map(str::to_owned),
    ];
    vec((name(), leaf), 0..6).prop_map(|members| {
        let members: Vec<_> = members
            .into_iter()
            .map(|(name, value)| format!("{}:{value}", serde_json::to_string(&name).unwrap()))
            .collect();
        format!("{{{}}}", members.join(","))
    })
}

fn query() -> impl Strategy<Value = String> {
    let pair = (name(), text()).prop_map(|(name, value)| format!("{name}={value}"));
    vec(pair, 0..5).prop_map(|pairs| {
        // Escapes the bytes that a URI can't contain, but leaves '%' as it is.
        let mut query = String::new();
        for byte in pairs.join("&").bytes() {
            if byte.is_ascii_alphanumeric() || b"=&%+-._:".contains(&byte) {
                query.push(char::from(byte));
            } else {
                write!(query, "%{byte:02X}").unwrap();
            }
        }
        query
    })
}

fn assert_conforms(answer: &TestResponse) -> Result<(), TestCaseError> {
    prop_assert!(!answer.status.is_server_error(), "{}", answer.full_text());
    if answer.status.is_client_error() {
        prop_assert_eq!(answer.header("content-type"), "application/problem+json");
        let problem = answer.json();
        prop_assert_eq!(problem["status"].as_u64(), Some(answer.status.as_u16().into()));
        prop_assert_eq!(problem["request_id"].as_str(), Some(answer.header("x-request-id")));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_json_is_answered_with_5xx(body in json(), media_type in select(&["application/json", "application/merge-patch+json"][..])) {
        each(|method, path| ask(method, path).header("content-type", media_type).body(body.clone()))?;
    }

    #[test]
    fn no_bytes_are_answered_with_5xx(body in vec(any::<u8>(), 0..200), media_type in "[ -~]{0,30}") {
        each(|method, path| ask(method, path).json("").body(body.clone()))?;
        each(|method, path| ask(method, path).header("content-type", &media_type).body(body.clone()))?;
    }

    #[test]
    fn no_query_is_answered_with_5xx(query in query()) {
        each(|method, path| ask(method, &format!("{path}?{query}")))?;
    }

    #[test]
    fn no_header_and_no_id_is_answered_with_5xx(header in "[ -~]{0,80}", id in "[a-zA-Z0-9%.;:=_~-]{0,30}") {
        for name in ["x-api-key", "authorization", "x-request-id", "content-type", "expect", "origin"] {
            answered(ask("POST", "/api/v1/todos").header(name, &header).body("{}"))?;
        }
        answered(ask("GET", &format!("/api/v1/todos/{id}")))?;
    }
}
