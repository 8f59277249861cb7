//! Claims of todos.

use roots_domain::model::claim::LeaseSeconds;
use roots_domain::model::id::TodoId;
use roots_domain::model::todo::Priority;
use roots_domain::service::todos::{ClaimDraft, ClaimedTodo};
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::InvalidNoted;
use roots_http_core::request::json::{
    FromMembers, Members, actor_id, integer, positive, session_id,
};

use super::call::{Answer, Call, request_id};
use crate::documents::{ClaimResult, ListedTodoDocument};

struct Claim {
    draft: ClaimDraft,
    request_id: Option<String>,
}

impl FromMembers for Claim {
    fn from_members(members: &mut Members) -> Result<Self, InvalidNoted> {
        let session = members.optional("session_id", session_id);
        let todo = members.optional("todo_id", |value| positive(value).map(TodoId));
        let min_priority = members.optional("min_priority", integer(Priority::parse));
        let lease = members.optional("lease_seconds", integer(LeaseSeconds::parse));
        let actor = members.optional("actor_id", actor_id);
        let request_id = request_id(members);
        let draft = ClaimDraft {
            actor: actor?,
            session: session?,
            todo: todo?,
            min_priority: min_priority?.unwrap_or_default(),
            lease: lease?.unwrap_or_default(),
        };
        Ok(Self { draft, request_id: request_id? })
    }
}

/// Claims a todo.
pub(super) async fn claim_todo(call: Call) -> Result<Answer, Problem> {
    let Claim { draft, request_id } = call.read()?;
    let preconditions = call.preconditions("claim_todo", request_id);
    let claimed = call.services.todos.claim(&call.bearer, draft, preconditions).await;
    call.settle(claimed, |claimed| ClaimResult {
        claimed: claimed.is_some(),
        todo: claimed.map(|ClaimedTodo { todo, until }| ListedTodoDocument::new(todo, Some(until))),
    })
}
