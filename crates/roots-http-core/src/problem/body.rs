//! What the caller reads of a problem.

use std::borrow::Cow;

use serde::Serialize;
use utoipa::ToSchema;

use super::import_report::ImportBody;
use crate::request::fields::InvalidField;

/// What went wrong, as RFC 9457 has it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// Names the kind of problem, and leads to its explanation.
    #[serde(rename = "type")]
    #[schema(format = "uri-reference")]
    pub(super) uri: String,
    /// What kind of problem it is.
    pub(super) title: &'static str,
    /// The HTTP status.
    pub(super) status: u16,
    /// What is wrong in this case.
    pub(super) detail: Cow<'static, str>,
    /// The request's name, under which the log has it.
    pub(super) request_id: String,
    /// The same in one sentence.
    pub(super) error: Cow<'static, str>,
    /// Every error, field by field (400 and 422).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) errors: Option<Vec<InvalidField>>,
    /// What the account has (402).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) balance: Option<i64>,
    /// What the write costs (402).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) cost: Option<i64>,
    /// What an import came to before it ended: what it wrote stands and is paid for. Its `from_line` is
    /// where to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) import: Option<ImportBody>,
}
