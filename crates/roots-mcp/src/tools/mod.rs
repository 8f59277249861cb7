//! The tools, one file a subject.

mod activities;
mod brief;
mod call;
mod claims;
mod items;
mod search;
mod sessions;
mod todos;

use roots_http_core::problem::Problem;

pub(crate) use call::{Answer, Call};

/// A tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Reads only. It ends when its client hangs up.
    Read,
    /// Writes. It goes on when its client hangs up.
    Write,
}

/// Whether a tool reads or writes; `None` if there is no such tool.
pub(crate) fn kind(tool: &str) -> Option<Kind> {
    match tool {
        "work_brief" | "list_todos" | "get_item" | "search_work" => Some(Kind::Read),
        "claim_todo" | "add_todos" | "update_todo" | "log_activity" | "start_session"
        | "end_session" => Some(Kind::Write),
        _ => None,
    }
}

/// Runs a tool.
///
/// # Errors
/// The arguments are invalid, or the read or the write failed.
pub(crate) async fn run(tool: &str, call: Call) -> Result<Answer, Problem> {
    match tool {
        "work_brief" => brief::work_brief(call).await,
        "claim_todo" => claims::claim_todo(call).await,
        "list_todos" => todos::list_todos(call).await,
        "get_item" => items::get_item(call).await,
        "add_todos" => todos::add_todos(call).await,
        "update_todo" => todos::update_todo(call).await,
        "log_activity" => activities::log_activity(call).await,
        "start_session" => sessions::start_session(call).await,
        "end_session" => sessions::end_session(call).await,
        "search_work" => search::search_work(call).await,
        _ => Err(Problem::internal("an unknown tool was run")),
    }
}
