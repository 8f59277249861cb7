//! What the tests of the API share.

use roots_testkit::app::{ApiResponse, TestApp};
use serde_json::{Value, json};

/// The headers that a snapshot shows.
const SHOWN: [&str; 13] = [
    "allow",
    "cache-control",
    "content-type",
    "link",
    "location",
    "retry-after",
    "vary",
    "www-authenticate",
    "x-credits-cost",
    "x-credits-remaining",
    "x-request-id",
    "accept-patch",
    "accept-post",
];

/// Holds a whole answer to its snapshot, which is one for both databases.
pub(crate) fn confirm(name: &str, answer: &ApiResponse) {
    let mut headers = serde_json::Map::new();
    for shown in SHOWN {
        let values: Vec<_> =
            answer.headers.get_all(shown).iter().map(|value| value.to_str().unwrap()).collect();
        if !values.is_empty() {
            headers.insert(shown.to_owned(), values.join(", ").into());
        }
    }
    let body = if answer.text.is_empty() { Value::Null } else { answer.json() };
    let whole = json!({ "status": answer.status, "headers": headers, "body": body });
    insta::with_settings!({ sort_maps => true, prepend_module_to_snapshot => false }, {
        insta::assert_json_snapshot!(name, whole);
    });
}

/// An answer as the documents show it: they do not know `actor_id`, which everything carries, nor
/// cursors.
pub(crate) fn as_documented(mut answer: Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(strip),
            Value::Object(members) => {
                let actor = members.remove("actor_id");
                assert!(actor.is_none_or(|actor| actor == 1), "another's");
                let next = members.remove("next_cursor");
                assert!(next.is_none_or(|next| next.is_null()), "the documents show whole lists");
                members.values_mut().for_each(strip);
            }
            _ => {}
        }
    }
    strip(&mut answer);
    answer
}

/// The ids of a list's items, in its order.
pub(crate) fn ids(list: &Value, items: &str, id: &str) -> Vec<i64> {
    list[items].as_array().unwrap().iter().map(|item| item[id].as_i64().unwrap()).collect()
}

/// The fields that a refusal reports, in its order.
pub(crate) fn faulty(refusal: &Value) -> Vec<&str> {
    let errors = refusal["errors"].as_array().unwrap();
    errors.iter().map(|error| error["field"].as_str().unwrap()).collect()
}

/// What is left of the account's credits.
pub(crate) async fn balance(app: &TestApp) -> i64 {
    app.get("/credits").await.expect(200)["balance"].as_i64().unwrap()
}
