//! Arguments that several tools select rows by.

use roots_domain::model::Invalid;
use roots_domain::model::page::PageRequest;
use roots_domain::service::access::ActorScope;
use roots_http_core::request::json::{Value, actor_scope};

/// Reads the actors to select rows of: an id, as a number or as digits, or `all`. The schema has
/// one type only, because many clients can't offer two.
pub(super) fn actors(value: Value) -> Result<ActorScope, Invalid> {
    match value {
        Value::Text(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            actor_scope(digits.parse().map_or(Value::Text(digits), Value::Integer))
        }
        other => actor_scope(other),
    }
}

/// Reads the number of rows of a page.
pub(super) fn limit(number: i64) -> Result<u32, Invalid> {
    PageRequest::parse_limit(&number.to_string())
}

/// The actors of a filter, for the cursor.
pub(super) fn scope_text(scope: ActorScope) -> Option<String> {
    match scope {
        ActorScope::Own => None,
        ActorScope::Of(actor) => Some(actor.to_string()),
        ActorScope::All => Some("all".to_owned()),
    }
}
