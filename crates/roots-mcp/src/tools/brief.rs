//! The brief.

use roots_http_core::problem::Problem;

use super::call::{Answer, Call};

/// Tells what an agent has to know when it wakes.
pub(super) async fn work_brief(call: Call) -> Result<Answer, Problem> {
    let _ = call;
    Err(Problem::internal("not yet"))
}
