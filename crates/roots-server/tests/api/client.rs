//! Assertions and reads that most tests of the API use.

use roots_domain::port::store::Verifier;
use roots_testkit::app::TestApp;
use serde_json::Value;

/// Compares an answer with an inline snapshot (`@"…"`) or with the snapshot file of that name. Both
/// databases must give the same answer.
macro_rules! assert_answer {
    ($answer:expr, @$text:literal) => {{
        let summary = $answer.summary();
        insta::allow_duplicates! { insta::assert_snapshot!(summary, @$text) }
    }};
    ($answer:expr, $file:literal) => {{
        let summary = $answer.summary();
        insta::with_settings!({ prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!($file, summary);
        });
    }};
}
pub(crate) use assert_answer;

/// An answer as the seed documents show it: without `actor_id` and `next_cursor`, which they do not
/// mention.
pub(crate) fn as_documented(mut answer: Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(strip),
            Value::Object(members) => {
                let actor = members.remove("actor_id");
                assert!(actor.is_none_or(|actor| actor == 1), "a row of another actor");
                let next = members.remove("next_cursor");
                assert!(next.is_none_or(|next| next.is_null()), "the documents show whole lists");
                // The documents know nothing of claims, and of how a session went.
                for since in [
                    "claim",
                    "until",
                    "status_since",
                    "ended_reason",
                    "duration_seconds",
                    "last_active_at",
                ] {
                    members.remove(since);
                }
                members.values_mut().for_each(strip);
            }
            _ => {}
        }
    }
    strip(&mut answer);
    answer
}

/// The ids of a list's items, in order.
pub(crate) fn ids(list: &Value, items: &str, id: &str) -> Vec<i64> {
    list[items].as_array().unwrap().iter().map(|item| item[id].as_i64().unwrap()).collect()
}

/// The fields that a problem reports errors of, in order.
pub(crate) fn faulty(refusal: &Value) -> Vec<&str> {
    let errors = refusal["errors"].as_array().unwrap();
    errors.iter().map(|error| error["field"].as_str().unwrap()).collect()
}

/// The balance of the account.
pub(crate) async fn balance(app: &TestApp) -> i64 {
    app.get("/credits").await.expect(200)["balance"].as_i64().unwrap()
}

/// Asserts that ledger, counters and links agree with the rows, as `roots-server verify` checks.
pub(crate) async fn assert_ledger_matches(app: &TestApp) {
    let (_, mismatches) = app.context.store.verify().await.unwrap();
    assert_eq!(mismatches, []);
}
