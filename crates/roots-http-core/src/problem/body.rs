//! The JSON form of a problem.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::request::fields::InvalidField;

/// What went wrong (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// The kind of problem: a link to its explanation.
    #[serde(rename = "type")]
    #[schema(format = "uri-reference")]
    pub(super) uri: String,
    /// The title of the kind of problem.
    pub(super) title: &'static str,
    /// The HTTP status.
    pub(super) status: u16,
    /// What is wrong in this case.
    pub(super) detail: Cow<'static, str>,
    /// The id of the request, as in the server's log.
    pub(super) request_id: String,
    /// The same as `detail`.
    pub(super) error: Cow<'static, str>,
    /// Every error, field by field (400 and 422).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) errors: Option<Vec<InvalidField>>,
    /// The account's balance (402).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) balance: Option<i64>,
    /// The cost of the write (402).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) cost: Option<i64>,
    /// Until when the todo is claimed, if nothing is written meanwhile (409).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    pub(super) until: Option<String>,
    /// The members that a surface has added. The surface describes them itself.
    #[serde(flatten)]
    #[schema(ignore)]
    pub(super) members: Map<String, Value>,
}
